"""Slow drift of residuals: what no single row shows and adds up.

`PageHinkley` (Page 1954, Biometrika 41; two-sided) adds up what residuals lie on one side beyond a drift that is
allowed, and speaks when the sum passes a limit; both in standard deviations. It holds plain numbers and goes row by
row. Sudden shifts of the level are found, and learnt, in `shifts.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from elboroom.core.errors import InputError

__all__ = ["Drift", "PageHinkley", "limit_for"]

OVERSHOOT = 1.166
"""Twice 0.583, by which a sum of standard normal steps passes a limit on average (Siegmund 1985, chapter 10)."""


@dataclass(frozen=True)
class Drift:
    """A drift found at `row` by a sum that began at `start`; `side` is 1 upwards, -1 downwards."""

    start: int
    row: int
    side: int


class PageHinkley:
    """Slow drift of residuals z around 0, both ways."""

    def __init__(self, *, drift: float = 0.25, limit: float = 25.0, cap: float = 4.0) -> None:
        """`drift`: the mean that is allowed, `limit`: the sum beyond it that is not, both in standard deviations.

        The usual choice of `drift` is half of the mean that shall be found; one of m > drift is found after about
        limit / (m - drift) rows. `cap`: |z| beyond it counts as this much, so that no single row is a drift.
        """
        if drift < 0 or not limit > 0 or not cap > drift:
            raise InputError(
                f"drift {drift:g}, limit {limit:g}, cap {cap:g}; the drift is 0 or more, the limit above 0, "
                "the cap above the drift"
            )
        self.drift, self.limit, self.cap = drift, limit, cap
        self._row = 0
        self._sums = [0.0, 0.0]
        self._starts = [0, 0]

    def update(self, z: float) -> Drift | None:
        """Take the next row; NaN counts for nothing. A drift that is found begins both sums anew."""
        row, self._row = self._row, self._row + 1
        if math.isnan(z):
            return None
        z = min(max(z, -self.cap), self.cap)
        up, down = self._sums[0] + z - self.drift, self._sums[1] - z - self.drift
        if up <= 0:
            up, self._starts[0] = 0.0, row + 1
        if down <= 0:
            down, self._starts[1] = 0.0, row + 1
        self._sums = [up, down]
        if up <= self.limit and down <= self.limit:
            return None
        found = Drift(self._starts[0], row, 1) if up > self.limit else Drift(self._starts[1], row, -1)
        self.reset()
        return found

    def reset(self) -> None:
        """Begin anew with the next row: after a shift, or a gap."""
        self._sums, self._starts = [0.0, 0.0], [self._row, self._row]

    def to_json(self) -> dict[str, Any]:
        settings = {"drift": self.drift, "limit": self.limit, "cap": self.cap}
        return settings | {"row": self._row, "sums": list(self._sums), "starts": list(self._starts)}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> PageHinkley:
        found = cls(drift=saved["drift"], limit=saved["limit"], cap=saved["cap"])
        found._row, found._sums, found._starts = saved["row"], list(saved["sums"]), list(saved["starts"])
        return found


def limit_for(rate: float, *, drift: float = 0.25, variance: float = 1.0) -> float:
    """The limit of `PageHinkley` with `rate` false findings per row on residuals without drift.

    Rows to a finding on one side = (e^(2 d b) - 2 d b - 1) / (2 d^2), b = limit + 1.166 (Siegmund 1985, Sequential
    Analysis). `variance` is the long-run variance of z (`stationarity.long_run_variance`), 1 for independent
    residuals; what is correlated wanders further, and limit and drift are counted in its root.
    """
    if not 0 < rate < 1 or not drift > 0 or not variance > 0:
        raise InputError(
            f"rate {rate:g}, drift {drift:g}, variance {variance:g}; the rate lies between 0 and 1, the others above 0"
        )
    d = drift / math.sqrt(variance)
    low, high = 0.0, 350 / d
    for _ in range(200):
        b = (low + high) / 2
        rows = (math.exp(2 * d * b) - 2 * d * b - 1) / (2 * d * d)
        low, high = (b, high) if rows < 2 / rate else (low, b)
    return max(low - OVERSHOOT, 1e-3) * math.sqrt(variance)
