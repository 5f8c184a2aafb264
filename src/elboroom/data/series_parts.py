"""How a series is cut in time, how long its season is, and how many rows a model sees at once.

Parts are consecutive stretches, the training stretch first, and a window of rows is left out between one and the next,
so that no row that is judged was seen, or stood within a window of one that was. The season is looked for in the
training stretch alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from elboroom.core.errors import InputError

from .content import Array
from .scaling import MAD
from .series import Series
from .splits import PARTS, _shares
from .times import read_time

__all__ = ["Stretches", "by_shares", "by_stop", "calendar", "season", "stop_row", "usual_window", "window_limit"]

Stretches = dict[str, tuple[int, int]]
"""Part to rows (start, stop); only parts that have rows."""
CHANNELS = 8
"""So many channels are looked at for a season."""
CERTAIN = 4.0
"""Standard errors that the autocorrelation at a season must reach."""
WEAK = 0.15
"""And the autocorrelation below which a season says too little of what comes next."""
CLOSE, SURE = 0.05, 3.0
"""Of two seasons this close in autocorrelation, or within so many standard errors, the shorter one is taken: its
multiples are seasons too."""
MULTIPLES, EXACT = 8, 12
"""So many multiples of a season say how long it is; below so many rows its own peak does."""
CALENDAR = tuple(hours * 3600 * 10**9 for hours in (1, 24, 7 * 24))
NEAR = 0.03
"""Share of an hour, a day or a week by which a season may miss it and still be it."""
CLIP = 3.0
STRAIGHT = 1e-12
"""Share of the power below which what a straight line leaves is rounding."""
WINDOWS = (32, 128)
SHORTEST = 4
HELD = 0.1
"""Of what lies before --train-until, the last share, for validation."""


def by_shares(rows: int, asked: tuple[float, ...], gap: int) -> Stretches:
    """TRAIN from the start, VALID, TEST at the end, `gap` rows left out between; shares of the rows, or counts of them.

    Of shares the gaps are taken from the training stretch. Empty where the series is too short.
    """
    counted = not _shares(asked)
    if not counted:
        held = [max(1, round(share * rows)) if share > 0 else 0 for share in asked[1:]]
        most = round(asked[0] * rows) if sum(asked) < 1 - 1e-9 else rows
    else:
        held, most = [int(count) for count in asked[1:]], int(asked[0])
    stop, out = rows, Stretches()
    for part, size in zip(PARTS[:0:-1], reversed(held), strict=True):
        if size:
            out[part] = (stop - size, stop)
            stop -= size + gap
    train = min(most, stop)
    if train < (gap if any(held) else 1) or (counted and train < most):
        return {}
    out["train"] = (0, train)
    return {part: out[part] for part in PARTS if part in out}


def by_stop(rows: int, stop: int, gap: int) -> Stretches:
    """What lies before row `stop` is trained on, but for its last tenth, for validation; what follows is the test part.

    `gap` rows are left out on both sides of the validation part. Where the series has too few rows before `stop` there
    is no training part.
    """
    size = max(1, round(HELD * stop))
    train = stop - 2 * gap - size
    out: Stretches = {}
    if train >= gap:
        out = {"train": (0, train), "valid": (stop - gap - size, stop - gap)}
    if stop < rows:
        out["test"] = (stop, rows)
    return out


def stop_row(series: Series, text: str, zone: str) -> int:
    """The grid row that `--train-until` names: a time, a row of the input, or a share of the rows; 0 to T."""
    n, size = len(series.rows), len(series)
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if 0 < value < 1:
        return round(value * size)
    if value >= 1 and value == int(value):
        if value > n:
            raise InputError(f"--train-until {text}: {_whose(series)} {n:,} rows")
        later = series.row_of[int(value) :]
        return int(later[later >= 0][0]) if (later >= 0).any() else size
    found = read_time(text.strip())
    if found is None:
        raise InputError(
            f"--train-until {text}: give a time such as 2026-01-31T12:00, a row from 1, or a share below 1"
        )
    if series.times is None:
        raise InputError(f"--train-until {text}: the rows have no times; give a row or a share")
    ns, minutes = found
    if zone == "UTC" and minutes:
        ns -= minutes * 60 * 10**9
    return int(np.searchsorted(series.times.astype(np.int64), ns))


def window_limit(rows: int) -> int:
    """The most rows of a window, for a longest series of so many that are not held out."""
    return max(SHORTEST, min(WINDOWS[1], rows // 10))


def usual_window(period: int, rows: int) -> int:
    """Two periods, else a tenth of the rows; 32 to 128 of them, and never more than a tenth."""
    wanted = 2 * period if period else rows // 10
    return min(window_limit(rows), max(WINDOWS[0], min(WINDOWS[1], wanted)))


def season(runs: Sequence[Array]) -> int:
    """Rows in one season of stretches (T, C) without gaps, NaN where missing; 0 where none is sure.

    The autocorrelation is the mean over the first channels that vary, of pairs of observed rows, after a straight line
    was taken away and what is more than CLIP robust standard deviations off was cut. Its highest local maximum at a lag
    from 2 to a third of the longest stretch is the season, if it lies after the first zero, and above WEAK and CERTAIN
    standard errors; the peaks at its multiples make it exact. The error is that of Bartlett 1946 for a process whose
    correlations end at the first zero: sqrt((1 + 2 sum r_k^2) / pairs).
    """
    most = max((len(run) for run in runs), default=0) // 3
    if most < 3:
        return 0
    channels = [c for c in range(runs[0].shape[1]) if _varies(runs, c)][:CHANNELS]
    if not channels:
        return 0
    found = [_correlation([run[:, c] for run in runs], most + 1) for c in channels]
    r = np.mean([one for one, _ in found], axis=0)
    pairs = np.mean([count for _, count in found], axis=0)
    below = np.flatnonzero(r <= 0)
    if not len(below):
        return 0
    start = int(below[0])
    error = np.sqrt((1 + 2 * np.square(r[1:start]).sum()) / np.maximum(pairs, 1))
    lags = np.arange(max(2, start), most + 1)
    high = r[lags] > np.maximum(WEAK, CERTAIN * error[lags])
    lags = lags[high & (r[lags] > r[lags - 1]) & (r[lags] >= r[lags + 1])]
    # a bump beside a higher one is noise on its slope
    tops = [int(lag) for lag in lags if r[lag] >= r[lag - lag // 6 : lag + lag // 6 + 1].max()]
    if not tops:
        return 0
    best = max(tops, key=lambda lag: float(r[lag]))
    margin = max(CLOSE, SURE * float(error[best]))
    return _refined(r, next(lag for lag in tops if r[lag] >= r[best] - margin))


def calendar(period: int, step: int) -> int:
    """The rows of an hour, a day or a week where the period is nearly one; `step` in ns."""
    for length in CALENDAR:
        rows, rest = divmod(length, step)
        if not rest and abs(period - rows) <= NEAR * rows:
            return rows
    return period


def _refined(r: Array, lag: int) -> int:
    """The season near `lag` that the peaks at its multiples agree on, by least squares: k times the season each."""
    if lag < EXACT:
        return lag
    total, weight, last = float(lag), 1.0, float(lag)
    for k in range(2, MULTIPLES + 1):
        middle = round(k * last)
        reach = lag // 6
        if middle + reach >= len(r):
            break
        top = middle - reach + int(np.argmax(r[middle - reach : middle + reach + 1]))
        total, weight = total + k * top, weight + k * k
        last = total / weight
    return round(last)


def _whose(series: Series) -> str:
    return f"series {series.name!r} has" if series.name else "the data have"


def _varies(runs: Sequence[Array], c: int) -> bool:
    cells = np.concatenate([run[:, c] for run in runs])
    cells = cells[~np.isnan(cells)]
    return len(cells) > 1 and bool(cells.min() < cells.max())


def _correlation(runs: Sequence[Array], most: int) -> tuple[Array, Array]:
    """(most + 1,) autocorrelation of one channel at lags 0 to `most`, and the number of pairs behind each."""
    product, pairs, whole = np.zeros(most + 1), np.zeros(most + 1), 0.0
    for run in runs:
        known = ~np.isnan(run)
        if known.sum() < 2:
            continue
        off = np.where(known, _clipped(run - _line(run, known), known), 0.0)
        whole += float(np.square(run[known] - run[known].mean()).sum())
        size = 1 << (len(run) + most).bit_length()
        for out, x in ((product, off), (pairs, known.astype(np.float64))):
            power = np.abs(np.fft.rfft(x, size)) ** 2
            lags = min(most + 1, len(run))
            out[:lags] += np.fft.irfft(power, size)[:lags]
    pairs = np.rint(pairs)
    mean = np.where(pairs > 0, product / np.maximum(pairs, 1), 0.0)
    if product[0] <= STRAIGHT * whole:
        return np.zeros(most + 1), pairs
    return mean / mean[0], pairs


def _clipped(off: Array, known: Array) -> Array:
    """Within CLIP robust standard deviations of 0, so that no two spikes make a season."""
    size = np.abs(off[known])
    limit = CLIP * (MAD * float(np.median(size)) or float(np.sqrt(np.square(size).mean())))
    return np.clip(off, -limit, limit)


def _line(run: Array, known: Array) -> Array:
    """The straight line through the observed rows with the least squares."""
    at = np.arange(len(run), dtype=np.float64)
    t, y = at[known], run[known]
    middle = t.mean()
    spread = float(np.square(t - middle).sum())
    slope = float(((t - middle) * (y - y.mean())).sum()) / spread if spread else 0.0
    line: Array = y.mean() + slope * (at - middle)
    return line
