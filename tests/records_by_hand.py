"""Records made by hand: what a run folder would hold, of curves, rates and what was measured of a memory."""

from __future__ import annotations

from typing import Any

from elboroom.checks.record import Record

META = {"state": "done", "why": "", "step": 100, "kept": None}


def record(history: Any = (), details: Any = None, metrics: Any = None, **meta: Any) -> Record:
    return Record({**META, **meta}, list(history), metrics or {}, details or {})


def curve(valid: list[float], train: list[float], every: int = 10) -> list[dict[str, Any]]:
    return [
        {"step": every * (i + 1), "epoch": i + 1, "train/loss_nats": t, "valid/loss_nats": v}
        for i, (v, t) in enumerate(zip(valid, train, strict=True))
    ]


FALLING = [100 * 0.8**i + 20 for i in range(20)]


def rates(*values: float) -> dict[str, Any]:
    return {"rate_by_dimension": [{"dimension": i, "value": v, "low": v, "high": v} for i, v in enumerate(values)]}


def reach(slope: float = -0.1, horizon: int = 40, span: int = 119, **more: Any) -> dict[str, Any]:
    """Details of a net whose gradient changes by `slope` nats a step."""
    return {"memory": {"slope": slope, "horizon": horizon, "span": span, "floor": 0.01, "rows": 64, **more}}
