"""`machine`: five weeks of one pump, six sensors every five minutes, eight faults whose rows and channels are known.

Ours alone, no copy of another set. The pump follows a daily load with orders that come and go. Its speed, flow and
current follow the load, the temperature lags behind the current and the room, vibration grows with speed and load,
pressure falls with flow; each sensor has noise that remembers a little (AR(1)). The first half is clean, so that a
model can learn what is normal; each fault of the second half is of another kind. Numbers come from a hash
(splitmix64), not from a library's generator, so that they are the same in every version.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from elboroom.core.chance import mix

from .columns import RawTable
from .content import Array

__all__ = ["CHANNELS", "FAULTS", "ROWS", "Fault", "draw_machine", "read_machine"]

DAY = 288
"""Rows of five minutes."""
ROWS = 35 * DAY
CHANNELS = ("temperature", "vibration", "pressure", "current", "speed", "flow")
"""In degrees C, mm/s, bar, A, revolutions a minute, m3/h."""
START = "2026-01-05T00:00"
DECIMALS = (2, 3, 3, 2, 1, 2)


@dataclass(frozen=True)
class Fault:
    """One known fault: rows start <= row < stop of the five-minute grid, and the channels to blame."""

    kind: str
    start: int
    stop: int
    channels: tuple[str, ...]


FAULTS = (
    Fault("spike", 5400, 5403, ("vibration",)),
    Fault("level shift", 5900, 6080, ("pressure",)),
    Fault("drift", 6400, 6760, ("temperature",)),
    Fault("stuck sensor", 7150, 7290, ("flow",)),
    Fault("variance change", 7650, 7830, ("current",)),
    Fault("lost coupling", 8200, 8440, ("speed", "vibration")),
    Fault("missing rows", 8850, 8914, CHANNELS),
    Fault("phase shift", 9300, 9588, ("temperature",)),
)
"""In the order of time."""
KEPT = 8
"""Of the rows of "missing rows" every eighth is there."""


def read_machine(options: str, size: tuple[int, int] | None) -> RawTable:
    """The set as a table: a column of times, the six channels; `fault` (0 or 1) beside it, as its labels."""
    values, there = draw_machine()
    faulty = np.zeros(ROWS, np.int64)
    for fault in FAULTS:
        faulty[fault.start : fault.stop] = 1
    times = np.datetime64(START, "m") + 5 * np.arange(ROWS)
    cells = np.array([str(t).replace("T", " ") for t in times[there]], dtype=object)
    numbers = np.column_stack([np.full(int(there.sum()), np.nan), values[there]])
    label = faulty[there]
    own = np.where(np.arange(ROWS) < ROWS // 2, 0, 2).astype(np.int8)[there]
    return RawTable("machine", ["time", *CHANNELS], numbers, {0: cells}, beside={"fault": label}, label=label, own=own)


def draw_machine(*, faults: bool = True) -> tuple[Array, Array]:
    """(rows, 6) readings on the full grid, and (rows,) bool: whether the row was written down.

    Without `faults` the same pump, healthy: outside the faults' rows and channels both are equal.
    """
    row = np.arange(ROWS)
    day = 2 * np.pi * row / DAY
    orders = _steps("orders", 36, 0.30) + _steps("line", 96, 0.15)
    shift = 1 / (1 + np.exp(-6 * np.sin(day - 1.9)))  # on from about 7 to 19 o'clock
    load = np.clip(0.25 + 0.35 * shift + orders, 0, 1)
    coupled = load
    if faults:
        fault = _fault("lost coupling")
        coupled = load.copy()
        coupled[fault] = load[fault - DAY // 2]  # the governor follows a load that was there half a day ago
    room = 21 + 3.5 * np.sin(day - 2.4)
    if faults:
        fault = _fault("phase shift")
        room = room.copy()
        room[fault] = 21 + 3.5 * np.sin(day[fault] - 2.4 - 2 * np.pi / 3)  # eight hours late
    speed = 1440 + 55 * coupled + _noise("speed", 2.0, 0.6)
    followed = 1440 + 55 * load + _noise("speed", 2.0, 0.6)
    flow = 38 + 24 * load + 0.02 * (followed - 1440) + _noise("flow", 0.5, 0.5)
    current = 11 + 21 * load + _noise("current", 0.35, 0.4)
    steady = 11 + 21 * load
    warm = _lagged(0.045 * steady**1.5, 18) - _lagged(0.045 * np.full(ROWS, 11.0**1.5), 18)
    temperature = room + 16 + warm + _noise("temperature", 0.15, 0.8)
    vibration = 0.9 + 0.012 * (speed - 1440) + 0.6 * load**2 + _noise("vibration", 0.06, 0.3)
    pressure = 7.2 - 0.00035 * flow**2 + _noise("pressure", 0.025, 0.5)
    values = np.column_stack([temperature, vibration, pressure, current, speed, flow])
    there = np.ones(ROWS, bool)
    if faults:
        _break(values, there)
    return np.column_stack([np.round(values[:, i], digits) for i, digits in enumerate(DECIMALS)]), there


def _break(values: Array, there: Array) -> None:
    """The faults of single sensors, in place."""
    at = {name: i for i, name in enumerate(CHANNELS)}
    values[_fault("spike"), at["vibration"]] += (2.5, 4.0, 1.5)
    values[_fault("level shift"), at["pressure"]] -= 0.6
    drift = _fault("drift")
    values[drift, at["temperature"]] += np.linspace(0, 9, len(drift))
    stuck = _fault("stuck sensor")
    values[stuck, at["flow"]] = values[stuck[0] - 1, at["flow"]]
    wild = _fault("variance change")
    values[wild, at["current"]] += _noise("wild", 2.2, 0.0)[wild]
    lost = _fault("missing rows")
    there[lost] = (lost - lost[0]) % KEPT == 0


def _fault(kind: str) -> Array:
    """Its rows."""
    found = next(fault for fault in FAULTS if fault.kind == kind)
    return np.arange(found.start, found.stop)


def _uniform(purpose: str, n: int) -> Array:
    """(n,) numbers in (0, 1), the same for the same purpose: splitmix64 (Steele, Lea & Flood 2014)."""
    state = (np.arange(n, dtype=np.uint64) + np.uint64(mix(0, "machine", purpose))) * np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    state ^= state >> np.uint64(31)
    uniform: Array = ((state >> np.uint64(11)).astype(np.float64) + 0.5) / 2.0**53
    return uniform


def _noise(purpose: str, sd: float, memory: float) -> Array:
    """(ROWS,) AR(1) noise of this standard deviation: e[t] = memory e[t-1] + normal; normals by Box and Muller 1958."""
    u, v = _uniform(purpose + " radius", ROWS), _uniform(purpose + " angle", ROWS)
    normal = np.sqrt(-2 * np.log(u)) * np.cos(2 * np.pi * v)
    fresh = np.sqrt(1 - memory**2) * normal
    fresh[0] = normal[0]
    noise: Array = sd * _filtered(fresh, memory)
    return noise


def _filtered(x: Array, memory: float) -> Array:
    """y[t] = memory y[t-1] + x[t]."""
    out, last = np.empty(len(x)), 0.0
    for i, new in enumerate(x.tolist()):
        last = memory * last + new
        out[i] = last
    return out


def _lagged(x: Array, rows: int) -> Array:
    """First-order lag with a time constant of so many rows, in balance at the start."""
    keep = float(np.exp(-1 / rows))
    lagged: Array = x[0] + _filtered((1 - keep) * (x - x[0]), keep)
    return lagged


def _steps(purpose: str, rows: int, height: float) -> Array:
    """(ROWS,) levels from 0 to `height` in four steps, each held for `rows` on average."""
    count = 2 * ROWS // rows
    lengths = 1 + (2 * rows * _uniform(purpose + " length", count)).astype(np.int64)
    levels = np.floor(4 * _uniform(purpose + " level", count)) / 3 * height
    out = np.repeat(levels, lengths)
    return np.resize(out, ROWS)
