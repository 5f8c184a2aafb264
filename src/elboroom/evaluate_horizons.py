"""What a report draws of a forecaster: a held-out stretch with its forecasts; error, coverage, residuals by step.

Errors and standard deviations are in the model's scaled space, as in `evaluate_series`; the stretch is in the units of
the data. Seasonal naive takes the last value of the same phase that is known when the forecast is made. Letters: T
rows, H steps ahead, C channels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from elboroom.metrics.interval import finite

if TYPE_CHECKING:
    from elboroom.anomalies.expected import Expected
    from elboroom.data.series import SeriesSet
    from elboroom.data.transforms import Transform

__all__ = ["Horizons"]

Array = NDArray[np.float64]
LEVELS = {"inside_50": 0.6744897501960817, "inside_90": 1.6448536269514722}
"""The middle half and nine tenths of a normal law lie within so many standard deviations."""
AHEAD = 16
"""Most steps ahead that are measured by themselves, evenly chosen; the first and the last are among them."""
SHOWN_ROWS, SHOWN_CHANNELS = 400, 3
EDGES = np.linspace(-4.0, 4.0, 33)
"""Of the histogram of residuals in standard deviations that the model itself stated."""
DIGITS = 5


class Horizons:
    """Collects what each series gives, then says it all."""

    def __init__(self, known: SeriesSet, horizon: int, *, baselines: bool) -> None:
        self.known, self.horizon, self.baselines = known, horizon, baselines
        self.ahead = np.unique(np.linspace(1, horizon, min(horizon, AHEAD)).round().astype(int))
        self.few = sorted({1, int(self.ahead[len(self.ahead) // 2]), horizon})
        """The steps ahead that are drawn."""
        self.tables: dict[str, list[Array]] = {}
        self.residuals: dict[int, list[Array]] = {h: [] for h in self.few}
        self.stretch: dict[str, Any] = {}

    def add(self, found: Expected, i: int, rows: tuple[int, int], transform: Transform) -> None:
        """Rows (start, stop) of series `i`."""
        part, at = slice(*rows), self.ahead - 1
        errors = found.errors[part, at]
        size, z = np.abs(errors), errors / found.sd[part, at]
        found_here = {"error": size}
        for name, bound in LEVELS.items():
            found_here[name] = np.where(np.isnan(z), np.nan, np.abs(z) <= bound)
        if self.baselines:
            found_here["last value"] = self._naive(found.x, part, [int(h) for h in self.ahead])
            if self.known.period:
                lags = [self.known.period * math.ceil(h / self.known.period) for h in self.ahead]
                found_here["seasonal naive"] = self._naive(found.x, part, lags)
        for name, values in found_here.items():
            self.tables.setdefault(name, []).append(_over_channels(values))
        for h in self.few:
            r = found.errors[part, h - 1] / found.sd[part, h - 1]
            self.residuals[h].append(r[np.isfinite(r)])
        if not self.stretch and rows[1] > rows[0]:
            self.stretch = self._stretch(found, i, rows, transform)

    @staticmethod
    def _naive(x: Array, part: slice, lags: list[int]) -> Array:
        """(rows, H, C): how far each row lies from the one so many rows before."""
        out = np.full((len(x), len(lags), x.shape[1]), np.nan)
        for k, lag in enumerate(lags):
            out[lag:, k] = np.abs(x[lag:] - x[:-lag])
        return out[part]

    def _stretch(self, found: Expected, i: int, rows: tuple[int, int], transform: Transform) -> dict[str, Any]:
        """The first rows of the part in the units of the data, with the forecasts of each."""
        wanted = min(SHOWN_ROWS, max(120, 2 * self.known.period))
        start, stop = rows[0], min(rows[1], rows[0] + wanted)
        series, channels = self.known.series[i], self.known.channels[:SHOWN_CHANNELS]
        ends = torch.tensor([0.0, 1.0], dtype=torch.float64)[:, None, None].expand(2, 1, len(self.known.channels))
        zero, one = transform.undo(ends)[:, 0].numpy()  # scales of series are straight lines
        unit = one - zero
        drawn = []
        for c, name in enumerate(channels):
            mean, sd = found.mean[start:stop, :, c] * unit[c] + zero[c], found.sd[start:stop, :, c] * abs(unit[c])
            forecasts = [{"ahead": h, "mean": _numbers(mean[:, h - 1]), "sd": _numbers(sd[:, h - 1])} for h in self.few]
            x = found.x[start:stop, c] * unit[c] + zero[c]
            drawn.append({"name": name, "values": _numbers(x), "forecasts": forecasts})
        times = None if series.times is None else series.times[start:stop].astype("datetime64[ns]").astype(np.int64)
        return {
            "series": series.name,
            "start": start,
            "of": rows[1] - rows[0],
            "times_ns": None if times is None else times.tolist(),
            "channels": drawn,
        }

    def details(self, mean: Callable[[Array], Any]) -> dict[str, Any]:
        """For details.json; `mean` gives the interval of the mean of rows (T,), NaN where there is none."""
        table = {name: np.concatenate(parts) for name, parts in self.tables.items()}
        by = []
        for k, h in enumerate(self.ahead.tolist()):
            entry: dict[str, Any] = {"ahead": h}
            for name, values in table.items():
                if np.isfinite(values[:, k]).any():
                    interval = mean(values[:, k])
                    ends = (interval.value, interval.low, interval.high)
                    entry[name] = dict(zip(("value", "low", "high"), map(finite, ends), strict=True))
            by.append(entry)
        return {"by_ahead": by, "residuals": self._histograms(), "stretch": self.stretch}

    def _histograms(self) -> list[dict[str, Any]]:
        out = []
        for h in self.few:
            z = np.concatenate(self.residuals[h])
            if len(z):
                counts = np.histogram(z, EDGES)[0]
                beyond = [int((z < EDGES[0]).sum()), int((z > EDGES[-1]).sum())]
                words = {"n": len(z), "mean": finite(float(z.mean())), "sd": finite(float(z.std()))}
                out.append({"ahead": h, **words, "edges": EDGES.tolist(), "counts": counts.tolist(), "beyond": beyond})
        return out


def _over_channels(values: Array) -> Array:
    """(rows, H) of (rows, H, C): the mean over the channels that are there."""
    there = ~np.isnan(values)
    total, count = np.where(there, values, 0.0).sum(2), there.sum(2)
    out: Array = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return out


def _numbers(values: Array) -> list[float | None]:
    return [float(f"{v:.{DIGITS}g}") if math.isfinite(v) else None for v in values.tolist()]
