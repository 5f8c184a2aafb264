"""Whether a series is the same all along: tests on its training stretch, and the levels of the later ones beside it.

Without its season (the mean of each place of the period) a stretch is averaged into at most BLOCKS blocks, which keeps
a walk a walk and a level a level, and tested twice (`anomalies.stationarity`): the null of one test is a unit root, of
the other stationarity. A shift is the distance of a later stretch's mean, likewise without the season, from that of the
training stretch, in standard deviations of the training stretch: as far as the net's inputs have moved.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from elboroom.anomalies.stationarity import dickey_fuller, kpss
from elboroom.core.errors import InputError

if TYPE_CHECKING:
    from elboroom.data.series import SeriesSet

__all__ = ["steadiness"]

Array = NDArray[np.float64]
BLOCKS = 2000
LOOKED_AT = 16
"""Most pairs of series and channel that are tested, the longest series first."""


def steadiness(found: SeriesSet) -> list[dict[str, Any]]:
    """What details.json keeps under "stationarity": an entry a channel that varies, for series with a training part."""
    order = sorted(range(len(found.series)), key=lambda i: -len(found.series[i]))
    out: list[dict[str, Any]] = []
    for i in order:
        stretches = found.stretches[i] if found.stretches else {}
        for c, channel in enumerate(found.channels):
            if "train" in stretches and len(out) < LOOKED_AT:
                entry = _channel(found.series[i].values[:, c], stretches, found.period)
                if entry is not None:
                    out.append({"series": found.series[i].name, "channel": channel, **entry})
    return out


def _channel(values: Array, stretches: dict[str, tuple[int, int]], period: int) -> dict[str, Any] | None:
    """One channel (T,), NaN where missing; None where its training stretch does not vary."""
    start, stop = stretches["train"]
    train = values[start:stop]
    spread = float(np.nanstd(train)) if (~np.isnan(train)).sum() > 1 else 0.0
    if not spread > 0:
        return None
    season = _season(values, (start, stop), period)
    rest = values - season[np.arange(len(values)) % len(season)]
    level = float(np.nanmean(rest[start:stop]))
    shifts = {
        part: float(f"{(float(np.nanmean(rest[a:b])) - level) / spread:.4g}")
        for part, (a, b) in stretches.items()
        if part != "train" and (~np.isnan(rest[a:b])).any()
    }
    return {**_tests(_blocks(rest[start:stop])), "shifts": shifts, "rows": int((~np.isnan(train)).sum())}


def _season(values: Array, stretch: tuple[int, int], period: int) -> Array:
    """(period,) mean of each place of the season over the stretch, less that of all; (1,) 0 where there is none."""
    start, stop = stretch
    if period < 2 or stop - start < 3 * period:
        return np.zeros(1)
    train = values[start:stop]
    place = np.arange(start, stop) % period
    known = ~np.isnan(train)
    count = np.bincount(place[known], minlength=period)
    total = np.bincount(place[known], weights=train[known], minlength=period)
    return np.where(count > 0, total / np.maximum(count, 1) - np.nanmean(train), 0.0)


def _blocks(x: Array) -> Array:
    """Means of neighbouring rows, NaN where all are missing."""
    width = math.ceil(len(x) / BLOCKS)
    if width < 2:
        return x
    whole = x[: len(x) // width * width].reshape(-1, width)
    known = ~np.isnan(whole)
    mean = np.where(known, whole, 0.0).sum(1) / np.maximum(known.sum(1), 1)
    return np.where(known.any(1), mean, np.nan)


def _tests(x: Array) -> dict[str, float | None]:
    """p of the two tests; None where they cannot be made."""
    try:
        root, still = dickey_fuller(x), kpss(x)
    except InputError:
        return {"unit_root_p": None, "stationary_p": None}
    return {"unit_root_p": float(f"{root.p:.4g}"), "stationary_p": float(f"{still.p:.4g}")}
