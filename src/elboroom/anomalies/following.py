"""A whole series with its level shifts followed, as a stream does it row by row.

First everything is read as if nothing ever moved. From the row at which a shift is declared on, the series is read
again with the level taken off (`shifts.py`), and so on from there; rows before keep what was said of them. The level
goes on over gaps: the world does not move back while nobody looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from .detector import Scores
from .events import find_events
from .expected import Expected, read
from .residuals import pooled
from .shifts import Found, Rule, Shift, Trial

__all__ = ["Followed", "follow"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass
class Followed:
    """Of one series."""

    expected: Expected
    """With the level in force when each row came put back: what was expected of the rows as they are."""
    scores: Scores
    shifts: list[Shift]


def follow(rule: Rule, found: Expected, segments: Sequence[tuple[int, int]], usable: Mask) -> Followed:
    """`found` is what the model expects without shifts; alarms of usable rows (T,) alone are looked at."""
    detector, level = rule.detector, np.zeros(found.x.shape[1])
    whole = Expected(found.x, found.mean.copy(), found.sd.copy())
    missed = detector.missed(found.errors, segments)
    smooth, shifts = np.full_like(missed, np.nan), []
    for start, stop in segments:
        one = _Segment(rule, whole, missed, smooth, (start, stop), level, usable[start:stop])
        shifts += one.shifts
        level = one.level
    if not shifts:  # nothing was read anew
        return Followed(found, detector.scores(found.errors, segments), [])
    if detector.smoothing == "centred":
        for start, stop in segments:
            smooth[start:stop] = detector.smoothed(missed[start:stop])
    return Followed(whole, Scores(pooled(smooth), smooth), shifts)


class _Segment:
    """Follows the shifts of one segment, and writes what is read anew into the arrays of the series."""

    def __init__(
        self,
        rule: Rule,
        whole: Expected,
        missed: Array,
        smooth: Array,
        span: tuple[int, int],
        level: Array,
        usable: Mask,
    ) -> None:
        self.rule, self.level, self.usable, self.start = rule, level, usable, span[0]
        here = slice(*span)
        self.whole = Expected(whole.x[here], whole.mean[here], whole.sd[here])
        self.missed, self.smooth = missed[here], smooth[here]
        self.rows = self.whole.x - level
        self.shifts: list[Shift] = []
        self.oldest = self.after = 0
        """The oldest row that a stream would still hold, and the first that is judged by the level in force."""
        if level.any():
            self._read_anew(0, 0)
        self.heard = self.missed.copy()
        """What the causal mean runs over: rows of a shift as they are read at the new level."""
        self.smooth[:] = rule.detector.smoothed(self.heard, causal=True)
        while (hit := self._next()) is not None:
            self._move(*hit)

    def _next(self) -> tuple[int, Found] | None:
        """The next row at which a shift is declared, and what was found there."""
        detector, score = self.rule.detector, pooled(self.smooth)
        assert detector.tail is not None
        threshold = detector.tail.threshold
        for event in find_events(score, threshold, usable=self.usable, merge=detector.merge):
            if event.stop <= self.after:
                continue
            begun = max(event.start, self.after)
            trial = Trial.at(self.rule, event.start, begun, self.rows[self.oldest : begun])
            loud = begun + np.flatnonzero(score[begun : event.stop] > threshold)
            at = int(np.searchsorted(loud, trial.due))
            while at < len(loud):
                row = int(loud[at])
                held = slice(max(self.oldest, row + 1 - self.rule.held), row + 1)
                if (found := trial.look(self.rule, row, self.rows[held], self.heard[held])) is not None:
                    return row, found
                at = int(np.searchsorted(loud, trial.due))
        return None

    def _move(self, row: int, found: Found) -> None:
        self.level = self.level + found.level
        first, self.oldest, self.after = row + 1 - found.rows, row + 1 - len(found.x), row + 1
        sizes = tuple(found.level.tolist())
        self.shifts.append(Shift(self.start + first, self.start + row, sizes))
        self.rows[first:] -= found.level
        self.heard[self.oldest : self.after] = found.missed
        self._read_anew(self.oldest, self.after)
        self.heard[self.after :] = self.missed[self.after :]
        self.smooth[self.after :] = self.rule.detector.smoothed(self.heard, causal=True)[self.after :]

    def _read_anew(self, first: int, after: int) -> None:
        """Read from `first` on with an empty memory; what is said of rows from `after` on counts."""
        again = read(self.rule.model, torch.from_numpy(self.rows[first:]).float())
        self.missed[after:] = self.rule.detector.missed(again.errors)[after - first :]
        self.whole.mean[after:] = again.mean[after - first :] + self.level
        self.whole.sd[after:] = again.sd[after - first :]
