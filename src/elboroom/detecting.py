"""Anomalies of a series, from data to events: the forecaster's score, what is simpler beside it, and what both say.

A forecaster is trained on the first stretch of the series, or taken from a run; its threshold is set on a later stretch
that it was not trained on, and every row after both is judged. No label is ever used for that. With labels the report
says who won; without them it says how far the detectors agree, and how many faults injected into the calibration
stretch were found, which is another thing than finding real ones.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from elboroom.anomalies.detector import Detector, Smoothing
from elboroom.anomalies.events import Event, blame, reasons
from elboroom.anomalies.expected import Expected, expected
from elboroom.anomalies.following import follow
from elboroom.anomalies.likelihood import Likelihood, place_of_day, rows_of_day
from elboroom.anomalies.shifts import Rule, Shift, mark
from elboroom.anomalies.stream import Stream
from elboroom.baselines.detection import BASELINES, Baseline
from elboroom.core import registry
from elboroom.core.abilities import Forecasts
from elboroom.core.errors import InputError, Unable
from elboroom.data.archive import told
from elboroom.data.reading import Reading

if TYPE_CHECKING:
    from elboroom.data.series import Series, SeriesSet
    from elboroom.run import Run

__all__ = ["ROWS_AN_ALARM", "Asked", "Beside", "Found", "Judged", "asked_for", "at_rate", "detect", "expectations",
    "judge", "judged", "learnt", "scored", "stream", "unjudged"]  # fmt: skip

Array = NDArray[np.float64]
TRAIN = 0.4
"""Share of the rows to learn from where the user names none; its end sets the threshold."""
STEPS = 80
"""Training steps of a forecaster that is only made to answer soon."""
ROWS_AN_ALARM = 2000
"""One false alarm in so many rows where no rate is asked for."""
DAY_NS = 86_400 * 10**9
PAIRS, CELLS, PRODUCTS = 4e8, 5e4, 5e10
"""Comparisons of windows, cells, and cells times the square of a window, up to which the slow baselines are run."""
WARM_UP = 2
"""Horizons at a segment's start without a score."""
# Not fewer in short pieces: with an empty memory the errors of a seasonal series are a third larger in these rows.


@dataclass(frozen=True, kw_only=True)
class Asked:
    """How to look."""

    alarms_per_day: float = 0.0
    """False alarms a day that the threshold is set for; 0: one in 2,000 rows."""
    smoothing: Smoothing = "centred"
    seed: int = 0
    follow_shifts: bool = True
    """Judge what comes after a level shift by the new level."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.alarms_per_day) and self.alarms_per_day >= 0):
            raise InputError(f"--alarms-per-day {self.alarms_per_day}: expected a rate above 0")


@dataclass
class Beside:
    """A baseline on one series."""

    baseline: Baseline
    score: Array
    """(T,), NaN where it gives none."""


@dataclass
class Judged:
    """One series and what was said of its rows."""

    series: Series
    train: int
    """Rows before this one were learnt from, or set the threshold."""
    score: Array
    """(T,), NaN where a row has none."""
    shares: Array
    """(T, C)"""
    reasons: NDArray[np.str_]
    """(T,)"""
    events: list[Event]
    expected: Array
    """(T, C), one row ahead, in the user's units."""
    sd: Array
    """(T, C)"""
    shifts: list[Shift] = field(default_factory=list)
    """Level shifts among the rows that are judged; events that they lie in are of that kind."""
    beside: list[Beside] = field(default_factory=list)

    def channels(self, event: Event) -> list[tuple[int, float]]:
        """(channel, share of the blame), largest first."""
        return blame(self.shares, event)


@dataclass
class Found:
    """All of it."""

    run: Run
    detector: Detector
    series: SeriesSet
    judged: list[Judged]
    asked: Asked
    rate: float
    """False alarms a row asked for."""
    problems: list[str]
    left_out: dict[str, str]
    """Baselines that did not run, and why."""
    calibration: Array
    """(N,): the scores that set the threshold; series are joined by one NaN."""

    @property
    def threshold(self) -> float:
        assert self.detector.tail is not None
        return self.detector.tail.threshold

    @property
    def events(self) -> int:
        return sum(len(one.events) for one in self.judged)


def asked_for(*, alarms_per_day: float = 0.0, smoothing: str = "centred", seed: int = 0) -> Asked:
    """An Asked, its words checked."""
    if smoothing not in ("centred", "causal"):
        raise InputError(f"smoothing {smoothing!r}: expected centred or causal")
    return Asked(alarms_per_day=alarms_per_day, smoothing=smoothing, seed=seed)  # type: ignore[arg-type]


def stream(run: Run, *, alarms_per_day: float = 0.0, follow_shifts: bool = True) -> Stream:
    """A stream from an empty memory, with the threshold for causal scores."""
    from elboroom.run import require

    require(run.model, Forecasts, "judge a stream", run.name)
    assert isinstance(run.model, Forecasts)
    known = run.dataset().series
    assert known is not None
    causal = Asked(alarms_per_day=alarms_per_day, smoothing="causal")
    read = expectations(run, known)
    detector, _ = calibrated(run, known, read, causal)
    step = known.step if known.time else 0
    rare = rarity(known, read)
    return Stream(run.model, run.transform, detector, step, follow_shifts=follow_shifts, likelihood=rare)


def rarity(known: SeriesSet, read: list[Expected]) -> Likelihood | None:
    """How rare a row is, by all rows that were learnt from or set the threshold; None where they are too few."""
    errors, values, places = [], [], []
    season = rows_of_day(known.step) if known.time else 0
    for found, series, stretches in zip(read, known.series, known.stretches, strict=True):
        held = [stretches[part] for part in ("train", "valid") if part in stretches]
        if held:
            cut = slice(held[0][0], held[-1][1])
            errors.append(found.errors[cut, 0])
            values.append(found.x[cut])
            times = None if series.times is None or not season else series.times[cut].astype("int64")
            places.append(np.full(len(values[-1]), -1) if times is None else place_of_day(times, known.step))
    try:
        return Likelihood.fit(
            np.concatenate(errors), np.concatenate(values), np.concatenate(places).astype(np.int64), season=season
        )
    except InputError:  # too few rows: the scores stand without it
        return None


def detect(
    source: Any,
    *,
    run: Run | None = None,
    model: str = "",
    reading: Reading | None = None,
    settings: dict[str, Any] | None = None,
    asked: Asked | None = None,
    minutes: float = 0.0,
    folder: Path | None = None,
    progress: Callable[..., None] = lambda event: None,
    **runtime: Any,
) -> Found:
    """Judge every row of `source`: by `run`, or by a model trained on its first stretch (`reading.train_until`).

    `folder` keeps that model's run (None: a temporary one). Raises InputError where the data are no series, or too few.
    """
    asked = asked or Asked()
    if run is not None:
        if reading is not None and reading != Reading(label=reading.label):
            raise InputError("a run knows how its data are read: beside --run only --label can be given")
        return judge(run, source, asked)
    reading = dataclasses.replace(reading or Reading(), kind="series")
    if not reading.train_until and reading.split is None and told(source) is None:
        reading = dataclasses.replace(reading, train_until=str(TRAIN))
    if not (model := model or next(iter(registry.able("Forecasts")), "")):
        raise Unable("no model of this installation can forecast, and detect needs one")
    from elboroom.fitting import fit

    budget: dict[str, Any] = {"minutes": minutes} if minutes else {"steps": STEPS}
    made = fit(
        model, source, reading=reading, settings=settings or {}, run=folder, seed=asked.seed,
        progress=progress, **budget, **runtime,
    )  # fmt: skip
    return judge(made, source, asked, own=True)


def judge(run: Run, source: Any, asked: Asked, *, own: bool = False) -> Found:
    """Judge the rows of `source` by a run; `own`: they are its own, and those it was trained on are not judged."""
    from elboroom.run import require

    require(run.model, Forecasts, "detect", run.name)
    assert isinstance(run.model, Forecasts)
    trained = run.dataset()
    data = trained if own else run.read(source)
    assert trained.series is not None
    assert data.series is not None
    known = expectations(run, trained.series)
    detector, calibration = calibrated(run, trained.series, known, asked)
    all_judged = [
        judged(run, detector, series, found, learnt(data.series, i) if own else 0, asked)
        for i, (series, found) in enumerate(
            zip(data.series.series, known if own else expectations(run, data.series), strict=True)
        )
    ]
    left_out = _baselines(all_judged, trained.series, asked) if own else {}
    return Found(
        run,
        detector,
        data.series,
        all_judged,
        asked,
        _rate(trained.series, asked),
        list(data.problems),
        left_out,
        calibration,
    )


def expectations(run: Run, known: SeriesSet) -> list[Expected]:
    """What the run expected of each series."""
    assert isinstance(run.model, Forecasts)
    return [expected(run.model, run.transform, one.values, one.segments) for one in known.series]


def calibrated(run: Run, known: SeriesSet, read: list[Expected], asked: Asked) -> tuple[Detector, Array]:
    """A detector with the threshold for the rate asked for, and the scores that set it; see `scored`, `at_rate`."""
    detector, valid, both = scored(run, known, read, asked.smoothing)
    return at_rate(detector, valid, both, _rate(known, asked))


def scored(run: Run, known: SeriesSet, read: list[Expected], smoothing: Smoothing) -> tuple[Detector, Array, Array]:
    """A detector without a threshold, its units from the stretch that the run was trained on; the scores of that on
    which it was validated; and those of both, training first. Series are joined by one NaN."""
    assert isinstance(run.model, Forecasts)
    errors = [found.errors for found in read]
    trained = zip(errors, known.stretches, strict=True)
    period = known.period or max(2, run.spec.shape[0] // 4)
    detector = Detector.fit(
        np.concatenate([one[slice(*stretches["train"])] for one, stretches in trained if "train" in stretches]),
        period=period,
        smoothing=smoothing,
        warm_up=WARM_UP * run.model.horizon,
    )
    parts = {"valid": [np.zeros(0)], "train": [np.zeros(0)]}
    for one, series, stretches in zip(errors, known.series, known.stretches, strict=True):
        score = detector.scores(one, series.segments).score
        for part, held in parts.items():
            held += [score[slice(*stretches.get(part, (0, 0)))], np.full(1, np.nan)]
    valid, train = (np.concatenate(held) for held in parts.values())
    return detector, valid, np.concatenate([train, valid])


def at_rate(detector: Detector, valid: Array, both: Array, rate: float) -> tuple[Detector, Array]:
    """With the threshold for `rate` false alarms a row from validation scores, which are given, too.

    Where those are too few for the rate, the training stretch counts, too, whose errors are smaller.
    """
    rows = int((~np.isnan(valid)).sum())
    if rows * rate >= 1:
        return detector.calibrated(valid, rate), valid
    ready = detector.calibrated(both, rate)
    assert ready.tail is not None
    said = f"{ready.tail.how}; training rows are among them, for the {rows} after them cannot show such a rate"
    return dataclasses.replace(ready, tail=dataclasses.replace(ready.tail, how=said)), both


def _rate(known: SeriesSet, asked: Asked) -> float:
    """False alarms a row."""
    if not asked.alarms_per_day:
        return 1 / ROWS_AN_ALARM
    if not known.time:
        raise InputError("--alarms-per-day: the rows have no times, so there are no days; leave it out")
    rate = asked.alarms_per_day * known.step / DAY_NS
    if rate >= 0.5:
        raise InputError(
            f"--alarms-per-day {asked.alarms_per_day:g} is an alarm in every {1 / rate:.1f} rows; give fewer"
        )
    return rate


def learnt(known: SeriesSet, i: int) -> int:
    """The row from which a series of the run's own is judged: after training and calibration."""
    stretches = known.stretches[i]
    return max((stretches[part][1] for part in ("train", "valid") if part in stretches), default=0)


def judged(run: Run, detector: Detector, series: Series, found: Expected, train: int, asked: Asked) -> Judged:
    """What a detector with a threshold says of one series; rows before `train` are not judged."""
    usable = np.arange(len(series)) >= train
    missing = np.isnan(series.values).all(1)
    shifts: list[Shift] = []
    if asked.follow_shifts:
        assert isinstance(run.model, Forecasts)
        followed = follow(Rule(run.model, detector), found, series.segments, usable)
        found, scores, shifts = followed.expected, followed.scores, followed.shifts
    else:
        scores = detector.scores(found.errors, series.segments)
    mean, sd = _in_units(run, found)
    return Judged(
        series=series,
        train=train,
        score=scores.score,
        shares=scores.shares,
        reasons=reasons(scores.score, train=train, missing=missing),
        events=mark(detector.events(scores.score, usable), shifts),
        expected=mean,
        sd=sd,
        shifts=shifts,
    )


def unjudged(one: Judged) -> tuple[int, int]:
    """Of the measurements to be judged, those that lie too soon after a gap or the start to have a score, and all."""
    why = one.reasons[one.series.row_of[one.series.row_of >= 0]]
    return int((why == "warm-up").sum()), int((why != "training").sum())


def _in_units(run: Run, found: Expected) -> tuple[Array, Array]:
    """What was expected one row ahead, (T, C), and its standard deviation, in the user's units."""
    import torch

    mean, sd = (torch.from_numpy(said[:, 0]).double() for said in (found.mean, found.sd))
    middle = run.transform.undo(mean[None])[0].double().numpy()
    upper = run.transform.undo((mean + sd)[None])[0].double().numpy()
    return middle, np.abs(upper - middle)


def _baselines(judged: list[Judged], known: SeriesSet, asked: Asked) -> dict[str, str]:
    """Run every baseline on every series; gives those left out, and why."""
    left_out: dict[str, str] = {}
    period = known.period or max(4, min(32, min(len(one.series) for one in judged) // 20))
    pairs = sum(len(one.series) ** 2 * one.series.values.shape[1] for one in judged)
    cells = sum(one.series.values.size for one in judged)
    many = f"{cells:,} cells are too many for it to answer soon"
    wide = f"{cells:,} cells in windows of {period:,} rows are too many for it to answer soon"
    slow = {"isolation_forest": many if cells > CELLS else ""}
    slow |= dict.fromkeys(("matrix_profile", "matrix_profile_left"), many if pairs > PAIRS else "")
    slow |= dict.fromkeys(
        ("sub_pca", "sub_pca_centred", "sub_pca_transductive"), wide if cells * period**2 > PRODUCTS else ""
    )
    for baseline in BASELINES:
        if why := slow.get(baseline.name):
            left_out[baseline.title] = why
            continue
        for one in judged:
            score = np.full(len(one.series), np.nan)
            if one.train:  # a series too short to learn from is judged by the others' model alone
                score = baseline.score(one.series.values, one.train, period=period, seed=asked.seed)
            one.beside.append(Beside(baseline, score))
    return left_out
