"""A detector that reads a series row by row, in memory that does not grow, and says the same as over the whole series.

It holds what the forecaster carries, its last forecasts, the sums of the moving means, the open alarm, and the last
rows, by which an alarm is told from a level shift (`shifts.py`). Rows are told with their time: what came in between
and is missing is read as missing rows, and a gap begins a new segment, as it does in a series that is read at once.
`state` and `restore` carry it over an end of the process, to the bit.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from elboroom.core.abilities import Forecasts
from elboroom.core.errors import InputError

from .detector import ORDINARY, Detector
from .events import GAP, Alarm, Event
from .expected import scale_of_a_row, scaled
from .held import Held
from .likelihood import Likelihood, place_of_day
from .reading import Reader
from .residuals import multi_step
from .shifts import Found, Rule, Shift, Trial, mark, rounded
from .smoothing import WindowSums

__all__ = ["Stream", "Verdict"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Verdict:
    """On one row."""

    row: int
    """Rows since the first, missing ones counted."""
    score: float
    """NaN where there is none."""
    alarm: bool
    """Whether an event is open."""
    reason: str
    """ok, warm-up or missing."""
    shares: tuple[float, ...] = ()
    """Each channel's part of the score."""
    ended: Event | None = None
    """An event that is over, as soon as that is known."""
    shift: Shift | None = None
    """A level shift that is declared with this row; rows after it are judged by the new level."""
    rarity: float = math.nan
    """How rare the row is, 0 to 1 on the same scale for every series, quiet after it has spoken; see likelihood.py."""


class Stream:
    """Made by `run.stream()`."""

    def __init__(
        self,
        model: Forecasts,
        transform: nn.Module,
        detector: Detector,
        step: int,
        gap: int = GAP,
        *,
        follow_shifts: bool = True,
        likelihood: Likelihood | None = None,
    ) -> None:
        """`step`: nanoseconds from row to row, 0 where rows have no times; `likelihood`: for the rarity, calibrated."""
        if detector.smoothing != "causal" or detector.tail is None:
            raise InputError("a stream needs a threshold and the causal mean: the centred one looks at rows to come")
        assert isinstance(model, nn.Module)
        self.model, self.transform, self.detector, self.step, self.gap = model, transform, detector, step, gap
        self.reader, self.scale = Reader(model), scale_of_a_row(transform)
        self.threshold = detector.tail.threshold
        self.unit = np.asarray(detector.unit)
        self.horizon, self.channels = self.unit.shape
        h = np.arange(self.horizon)
        self.made_for = (self.horizon - 1 - h) * self.horizon + h
        """Of (H * H) places of the last forecasts, newest last: those made for the row to come, 1 .. H rows before."""
        self.rule = Rule(model, detector) if follow_shifts else None
        self.likelihood = likelihood
        self.row, self.first_time, self.last_time = -1, 0, 0
        self.alarm = Alarm(self.threshold, merge=detector.merge)
        self.level, self.shifted = np.zeros(self.channels), False
        """Taken off every row: the shifts so far; and whether there is any."""
        self.shifts: list[Shift] = []
        """Those of the open alarm."""
        self._begin()

    def _begin(self) -> None:
        """A new segment: nothing is remembered but the level."""
        self.reader.memory = None
        self.since = 0
        self.ahead = Held(self.horizon, self.unit.size)
        """(H, H * C): the last forecasts."""
        self.ahead.replace(np.full((self.horizon, self.unit.size), np.nan))
        self._hear(np.full((self.detector.width, self.channels), ORDINARY))
        self.held = Held(self.rule.held if self.rule else 0, 2 * self.channels)
        """Rows, the level taken off, and what was missed in each."""
        self.trial: Trial | None = None

    # -- rows ----------------------------------------------------------------------------------------------------------

    def update(self, t: Any, x: ArrayLike) -> Verdict:
        """Judge the row x (C,), NaN where missing, of time `t` (a number of nanoseconds, numpy or ISO time; None)."""
        row = _numbers(x).reshape(-1)
        missed, last = self._checked([t], row[None])
        self.last_time = last
        if missed[0]:
            return self._stretch(row[None], missed)[0]
        with np.errstate(over="ignore", invalid="ignore"):
            return self._one(self.scale(row))

    def update_many(self, times: Sequence[Any] | None, x: ArrayLike) -> list[Verdict]:
        """Judge rows x (N, C) of `times` (N,), None where they have none, at once: the same verdicts, sooner."""
        rows = _numbers(x)
        missed, last = self._checked([None] * len(rows) if times is None else times, rows)
        self.last_time = last
        out: list[Verdict] = []
        begins = [0, *np.flatnonzero(np.array(missed) > self.gap).tolist(), len(rows)]
        for first, stop in pairwise(begins):
            if first < stop:
                out += self._stretch(rows[first:stop], missed[first:stop])
        return out

    def _checked(self, times: Sequence[Any], rows: Array) -> tuple[list[int], int]:
        """`_missed`, after a look at the values."""
        if rows.ndim != 2 or rows.shape[1] != self.channels:
            raise InputError(f"a row has {rows.shape[-1]} values and the series {self.channels} channels")
        # a sum is finite only where all are, and takes a third of the time of a look at each
        if not math.isfinite(np.add.reduce(rows, None)) and np.isinf(rows).any():
            raise InputError("a row holds an infinite value; give NaN where one is missing")
        return self._missed(times, len(rows))

    def _missed(self, times: Sequence[Any], count: int) -> tuple[list[int], int]:
        """Rows that did not come before each of the times, and the last time."""
        if len(times) != count:
            raise InputError(f"{len(times)} times for {count} rows; give one with each row")
        if not self.step:
            return [0] * count, self.last_time
        last, known, out = self.last_time, self.row >= 0, []
        for t in times:
            if t is None:
                raise InputError("the rows of this series have times; give one with each row")
            now = int(t) if isinstance(t, int | np.integer) else int(np.datetime64(t, "ns").astype(np.int64))
            if not known:
                self.first_time = now
            steps = round((now - last) / self.step) if known else 1
            if steps < 1:
                raise InputError(f"{t} is not after the row before; rows of a stream come in the order of time")
            last, known = now, True
            out.append(steps - 1)
        return out, last

    def _stretch(self, rows: Array, missed: list[int]) -> list[Verdict]:
        """Rows without a gap between them; there may be one before."""
        if missed[0] > self.gap:
            self._begin()
            self.row += missed[0]
            missed = [0, *missed[1:]]
        places = np.arange(len(rows)) + np.cumsum(missed)
        filled = np.full((int(places[-1]) + 1, self.channels), np.nan)
        filled[places] = rows
        x = scaled(self.transform, filled).double().numpy()
        verdicts: list[Verdict] = []
        while len(verdicts) < len(x):
            verdicts += self._read(x[len(verdicts) :])
        out, ended = [], None
        came = set(places.tolist())
        for place, verdict in enumerate(verdicts):
            ended = verdict.ended or ended
            if place in came:
                out.append(verdict if verdict.ended is ended else dataclasses.replace(verdict, ended=ended))
                ended = None
        return out

    def _read(self, x: Array) -> list[Verdict]:
        """Read scaled rows (n, C) up to the end, or the first at which a shift is declared."""
        if self.reader.one_by_one(len(x)):
            with np.errstate(over="ignore", invalid="ignore"):
                return [self._one(x[0])]
        x = rounded(x - self.level) if self.shifted else x
        mean = self.reader.rows(x)
        forecasts = np.concatenate([self.ahead.rows.reshape(self.horizon, *self.unit.shape), mean])
        horizon, rows = self.horizon, np.arange(len(x))[:, None]
        made = forecasts[rows + horizon - 1 - np.arange(horizon), np.arange(horizon)]
        missed = multi_step((x[:, None] - made) / self.unit)
        missed[: max(0, self.detector.warm_up - self.since)] = np.nan
        out = []
        for row, errors, ahead in zip(x, missed, x - made[:, 0], strict=True):
            verdict, found = self._judge(row, errors, ahead)
            out.append(verdict)
            if found is not None:
                self._move(found)
                return out
        self.ahead.replace(forecasts[-horizon:].reshape(horizon, -1))
        return out

    def _one(self, x: Array) -> Verdict:
        """Read one scaled row (C,)."""
        x = rounded(x - self.level) if self.shifted else x
        made = self.ahead.rows.reshape(-1, self.channels).take(self.made_for, 0)
        ahead = x - made
        missed = self._missed_by(ahead / self.unit)
        self.ahead.add(self.reader.row(x).reshape(-1))
        verdict, found = self._judge(x, missed, ahead[0])
        if found is not None:
            self._move(found)
        return verdict

    def _missed_by(self, z: Array) -> Array:
        """`multi_step` of one row (H, C), sooner where nothing is missing; (C,)."""
        if self.since < self.detector.warm_up:
            return np.full(self.channels, np.nan)
        missed: Array = np.add.reduce(z * z, 0) / self.horizon
        return multi_step(z[None])[0] if math.isnan(np.add.reduce(missed)) else missed

    def _judge(self, x: Array, missed: Array, error: Array) -> tuple[Verdict, Found | None]:
        """One row, what was missed in it and its error one step ahead, (C,) each."""
        self.row += 1
        self.since += 1
        whole = not math.isnan(np.add.reduce(missed))
        there: Any = slice(None)
        if not whole:
            there = ~np.isnan(missed)
        sums = self.sums.update(missed if whole else np.where(there, missed, ORDINARY))
        score, parts = math.nan, tuple[float, ...]()
        channels = sums[there] / self.detector.width
        if len(channels):
            score = float(np.add.reduce(channels)) / len(channels)
            parts = self._shares(channels, there)
        ended = self.alarm.update(self.row, score, parts or None)
        if ended is not None:
            (ended,), self.shifts = mark([ended], self.shifts), []
        found = self._look(x, missed, score) if self.rule else None
        shift = None
        if found is not None:
            shift = Shift(self.row + 1 - found.rows, self.row, tuple(found.level.tolist()))
            self.shifts.append(shift)
        reason = "ok" if parts else "missing" if np.isnan(x).all() else "warm-up"
        rare = math.nan if self.likelihood is None else self.likelihood.update(error, x, self._place())
        return Verdict(self.row, score, self.alarm.open is not None, reason, parts, ended, shift, rare), found

    def _place(self) -> int:
        """Where in its day the row lies; -1 where that is not known."""
        assert self.likelihood is not None
        if not (self.step and self.likelihood.season):
            return -1
        return int(place_of_day(self.first_time + self.row * self.step, self.step))

    def _shares(self, channels: Array, there: Any) -> tuple[float, ...]:
        """Each channel's part; a missing one has none, and all have the same where all are 0."""
        if self.channels == 1:
            return (1.0,)
        parts = np.zeros(self.channels)
        total = float(np.add.reduce(channels))
        parts[there] = channels / total if total > 0 else 1 / len(channels)
        return tuple(parts.tolist())

    # -- shifts --------------------------------------------------------------------------------------------------------

    def _look(self, x: Array, missed: Array, score: float) -> Found | None:
        """Whether the open alarm is a level shift."""
        assert self.rule is not None
        event = self.alarm.open
        if event is None:
            self.trial = None
        elif self.trial is None or self.trial.event != event.start:
            self.trial = Trial.at(self.rule, event.start, self.row, self.held.rows[:, : self.channels])
        self.held.add(np.concatenate([x, missed]))
        if self.trial is None or self.row < self.trial.due or not score > self.threshold:
            return None
        rows, errors = np.split(self.held.rows, 2, axis=1)
        return self.trial.look(self.rule, self.row, rows, errors)

    def _move(self, found: Found) -> None:
        """Go on at the new level."""
        assert self.rule is not None
        assert self.trial is not None
        self.level = self.level + found.level
        self.shifted = bool(self.level.any())
        self.reader.memory = found.memory
        self.ahead.replace(found.mean[-self.horizon :].reshape(-1, self.unit.size))
        self.held.replace(np.concatenate([found.x, found.missed], 1))
        self._hear(found.missed[-self.detector.width :])
        self.trial = Trial.at(self.rule, self.trial.event, self.row + 1, found.x)

    def _hear(self, missed: Array) -> None:
        """Begin the moving mean with what was missed in the last rows (width, C)."""
        self.sums = WindowSums(self.detector.width, self.channels)
        for row in np.where(np.isnan(missed), ORDINARY, missed):
            self.sums.update(row)

    @property
    def memory(self) -> Any:
        """What the forecaster carries."""
        return self.reader.memory

    def finish(self) -> Event | None:
        """The event that is still open, ended here."""
        event = self.alarm.finish()
        return None if event is None else mark([event], self.shifts)[0]

    # -- over an end of the process ------------------------------------------------------------------------------------

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors, and plain JSON types, from which `restore` goes on."""
        tensors = {"ahead": torch.from_numpy(self.ahead.rows.copy()), "held": torch.from_numpy(self.held.rows.copy())}
        form = _packed(self.memory, "memory", tensors)
        plain = {
            "row": self.row,
            "first_time": self.first_time,
            "last_time": self.last_time,
            "since": self.since,
            "sums": self.sums.to_json(),
            "alarm": self.alarm.to_json(),
            "level": self.level.tolist(),
            "shifts": [dataclasses.asdict(shift) for shift in self.shifts],
            "trial": None if self.trial is None else self.trial.to_json(),
            "memory": form,
            "likelihood": None if self.likelihood is None else self.likelihood.to_json(),
        }
        return tensors, plain

    def restore(self, tensors: dict[str, Tensor], plain: dict[str, Any], like: Any) -> None:
        """`like`: a memory of the same model, whose form is filled; see `Run.stream`."""
        self._begin()
        self.row, self.last_time, self.since = plain["row"], plain["last_time"], plain["since"]
        self.ahead.replace(tensors["ahead"].numpy())
        self.held.replace(tensors["held"].numpy())
        self.sums = WindowSums.from_json(plain["sums"])
        self.alarm = Alarm.from_json(plain["alarm"])
        self.level = np.asarray(plain["level"], dtype=np.float64)
        self.shifted = bool(self.level.any())
        self.shifts = [Shift(one["start"], one["row"], tuple(one["sizes"])) for one in plain["shifts"]]
        self.trial = None if plain["trial"] is None else Trial.from_json(plain["trial"])
        self.first_time, rare = plain["first_time"], plain["likelihood"]
        self.likelihood = self.likelihood if rare is None else Likelihood.from_json(rare)
        form = plain["memory"]
        self.reader.memory = None if form is None else _unpacked(like, "memory", tensors, form)


def _numbers(x: ArrayLike) -> Array:
    """Values as they were given, as numbers."""
    try:
        return np.asarray(x, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"a row is not made of numbers: {error}; give one for each channel, in their order") from error


def _packed(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """The plain part of a memory; its tensors go into `tensors` by name."""
    if isinstance(value, Tensor):
        tensors[name] = value
        return {"tensor": name}
    if isinstance(value, list | tuple):
        return [_packed(one, f"{name}.{i}", tensors) for i, one in enumerate(value)]
    if dataclasses.is_dataclass(value) or hasattr(value, "__dict__"):
        return {key: _packed(one, f"{name}.{key}", tensors) for key, one in vars(value).items()}
    return value


def _unpacked(like: Any, name: str, tensors: dict[str, Tensor], form: Any) -> Any:
    """A memory of the form of `like` with what was packed."""
    if isinstance(like, Tensor):
        return tensors[form["tensor"]]
    if isinstance(like, list | tuple):
        if len(like) != len(form):
            return list(form) if not any(isinstance(one, dict) for one in form) else _listed(like, name, tensors, form)
        return [_unpacked(a, f"{name}.{i}", tensors, b) for i, (a, b) in enumerate(zip(like, form, strict=True))]
    if dataclasses.is_dataclass(like) or hasattr(like, "__dict__"):
        out = object.__new__(type(like))
        for key, one in vars(like).items():
            object.__setattr__(out, key, _unpacked(one, f"{name}.{key}", tensors, form[key]))
        return out
    return form


def _listed(like: Sequence[Any], name: str, tensors: dict[str, Tensor], form: Sequence[Any]) -> list[Any]:
    return [_unpacked(like[0], f"{name}.{i}", tensors, one) for i, one in enumerate(form)]
