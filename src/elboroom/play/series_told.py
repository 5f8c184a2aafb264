"""What the page of a series is told: how data were read, scores and blame, and what a table says of the rows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from elboroom.anomalies.events import GAP
from elboroom.anomalies.shifts import BACK
from elboroom.core.errors import InputError
from elboroom.detecting import ROWS_AN_ALARM, Judged, unjudged
from elboroom.report.detection_series import Judged as Drawable
from elboroom.report.detection_series import judged as drawable

from .answers import Json, packed

if TYPE_CHECKING:
    from elboroom.anomalies.detector import Detector
    from elboroom.data.series import SeriesSet
    from elboroom.data.source import Dataset

__all__ = ["Kept", "Learnt", "differing", "drawn", "ranges", "reading", "table", "told"]

Array = NDArray[np.float64]
SHARES = 250
"""A share of 1 as a byte; 255 is a row without shares."""
LEFT_OUT = 0.5
"""Share of a channel's rows outside what training saw from which a page asks about the unit."""


@dataclass
class Learnt:
    """What a run knows before it judges anything: its own data, its units, and a threshold for each rate."""

    data: Dataset
    detector: Detector
    """With the threshold for one false alarm in 2,000 rows."""
    thresholds: list[Json]
    ranges: list[tuple[float, float]]
    """Of each channel, the lowest and highest of the training stretch."""


@dataclass
class Kept:
    """An input that was judged."""

    data: Dataset
    series: list[Judged]
    shown: list[Drawable]
    """The same as the report draws it."""
    usual: float
    """The threshold for one false alarm in 2,000 rows."""


def ranges(values: Array) -> list[tuple[float, float]]:
    """Lowest and highest of each channel (T, C); 0 and 0 where it has no value."""
    there = np.isfinite(values)
    lows = np.where(there, values, np.inf).min(0, initial=np.inf)
    highs = np.where(there, values, -np.inf).max(0, initial=-np.inf)
    return [(float(a), float(b)) if a <= b else (0.0, 0.0) for a, b in zip(lows, highs, strict=True)]


def drawn(one: Judged, found: SeriesSet, i: int) -> Drawable:
    series = one.series
    entry = {
        "name": series.name, "times": series.times, "values": series.values, "expected": one.expected, "sd": one.sd,
        "score": one.score, "shares": one.shares, "train": one.train, "segments": series.segments,
        "stretches": found.stretches[i] if found.stretches else {},
    }  # fmt: skip
    return drawable(entry, list(found.channels))


def reading(base: Learnt, data: Dataset) -> Json:
    """What is known of data before they are judged."""
    found = data.series
    assert found is not None
    return {
        "name": data.name,
        "rows": found.rows,
        "channels": list(found.channels),
        "problems": data.problems,
        "reading": _side_by_side(base, found),
        "step_words": found.step_words,
    }


def told(base: Learnt, kept: Kept) -> Json:
    """All that does not depend on the stretch that is looked at."""
    found = kept.data.series
    assert found is not None
    detector = base.detector
    assert detector.tail is not None
    return {
        **reading(base, kept.data),
        "fingerprint": kept.data.fingerprint,
        "step_ms": found.step / 1e6 if found.time else None,
        "zone": found.zone,
        "thresholds": base.thresholds,
        "usual": next(i for i, one in enumerate(base.thresholds) if one["rows"] == ROWS_AN_ALARM),
        "merge": detector.merge,
        "gap": GAP,
        "back": BACK,
        "width": detector.width,
        "warm_up": detector.warm_up,
        "series": [_series(one, found, i) for i, one in enumerate(kept.series)],
    }


def _series(one: Judged, found: SeriesSet, i: int) -> Json:
    """One series: scores (T,) and shares of blame (T, C) as bytes, NaN and 255 where a row has none."""
    series = one.series
    shares = np.rint(one.shares * SHARES)
    times = None if series.times is None else series.times.astype("datetime64[us]").astype(np.int64) / 1000
    return {
        "name": series.name,
        "rows": len(series),
        "first": one.train,
        "times": None if times is None else packed(times),
        "segments": [list(ends) for ends in series.segments],
        "stretches": {part: list(rows) for part, rows in (found.stretches[i] if found.stretches else {}).items()},
        "score": packed(one.score),
        "shares": packed(np.where(np.isnan(shares), 255, shares).astype(np.uint8)),
        "unscored": dict(Counter(one.reasons.tolist())),
        "unjudged": list(unjudged(one)),
        "shifts": [{"start": shift.start, "row": shift.row, "sizes": list(shift.sizes)} for shift in one.shifts],
    }


def _side_by_side(base: Learnt, found: SeriesSet) -> list[Json]:
    """Each channel as training saw it and as it is here."""
    values = np.concatenate([one.values for one in found.series])
    rows = []
    for c, (name, trained, here) in enumerate(zip(found.channels, base.ranges, ranges(values), strict=True)):
        there = values[~np.isnan(values[:, c]), c]
        outside = float(((there < trained[0]) | (there > trained[1])).mean()) if len(there) else 0.0
        rows.append({"name": name, "trained": list(trained), "here": list(here), "outside": outside,
                     "missing": len(values) - len(there), "strange": outside > LEFT_OUT})  # fmt: skip
    return rows


def differing(path: str, base: Learnt, why: str) -> Json:
    """The columns of a file that does not fit, beside those of the run."""
    from elboroom.data.columns import RawTable
    from elboroom.data.formats import open_path

    known = base.data.series
    assert known is not None
    here: list[str] = []
    try:
        table, _ = open_path(Path(path), base.data.reading, own_test=False)
        here = list(table.names) if isinstance(table, RawTable) else []
    except InputError:  # what cannot be read at all has no columns to show
        pass
    trained = [*([known.time] if known.time else []), *known.channels]
    return {"why": why.replace(path, Path(path).name), "trained": trained, "here": here}


def table(one: Judged, found: SeriesSet) -> Json:
    """The values (T, C) of one series, the input row of each row of its grid, the first of several, -1 where none was
    measured, and its time as the input gave it."""
    series, there = one.series, one.series.row_of >= 0
    rows = np.full(len(series), -1, np.int32)
    rows[series.row_of[there][::-1]] = series.rows[there][::-1]
    cells = found.identifiers.get(found.time) if found.time else None
    given = None if cells is None else ["" if row < 0 else str(cells[row]) for row in rows.tolist()]
    return {"values": packed(series.values), "rows": packed(rows), "given": given}
