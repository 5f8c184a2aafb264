"""Rules for models that read step by step: how far back gradients reach, and what the data ask for. No torch.

They look at what `elboroom.horizon` measured at the end of the run: the norm of d loss_T / d x_(T-k) by lag k.
"""

from __future__ import annotations

import math
from typing import Any

from .record import Finding, Record, Rule, is_number

__all__ = ["RULES", "exploding_gradients", "short_memory", "vanishing_gradients"]

FADING = (-0.35, -0.7)
"""Slope of the log norm, nats a step: warn (a hundredth is left after 13 steps), alarm (half is lost at every step)."""
ENOUGH = 0.25
"""Share of the steps in a window; a horizon that reaches as far is not judged by its slope."""
GROWN = (10.0, 100.0)
"""Times the norm grows over the window by that slope: warn, alarm."""
LARGE = 100.0
"""Norm of a whole gradient, before clipping, above which one step can undo the run."""


def vanishing_gradients(record: Record) -> Finding | None:
    """The norm falls so fast with the lag that most of a window is never learnt from."""
    found = _memory(record)
    if found is None:
        return None
    slope, horizon, span = float(found["slope"]), int(found["horizon"]), int(found["span"])
    reach = _reach(found)
    if slope > FADING[0] or horizon >= ENOUGH * span:
        why = f"{reach}; it changes by {slope:.2g} nats a step"
        return Finding("vanishing_gradients", "ok", slope, FADING[0], None, why, "")
    level, bar = ("alarm", FADING[1]) if slope <= FADING[1] else ("warn", FADING[0])
    left = f"{100 * math.exp(slope):.2g} % of it is left at every step"
    remedy = (
        "a cell with gates (--cell lstm or gru), which begins by keeping; shorter sequences, or fewer rows a step; "
        "a --window of what is reached costs less and loses nothing"
    )
    return Finding("vanishing_gradients", level, slope, bar, None, f"{reach}: {left}", remedy)


def exploding_gradients(record: Record) -> Finding | None:
    """The norm grows with the lag, the whole gradient is huge, or it was what ended the run."""
    why_ended = str(record.meta.get("why") or "")
    if record.meta.get("state") == "failed" and "the gradient of" in why_ended and "the loss of" not in why_ended:
        step = record.meta.get("step")
        since = int(step) if is_number(step) else None
        return Finding("exploding_gradients", "alarm", None, None, since, why_ended, "--clip 1, or a smaller --lr")
    found = _memory(record)
    if found is None:
        return None
    slope, span = float(found["slope"]), int(found["span"])
    factor = math.exp(min(slope * (span - 1), 600.0))
    times = f"over {span} steps back the norm grows {factor:.3g} times"
    gradient = found.get("gradient") or {}
    norms = [float(n) for n in gradient.get("norms", []) if is_number(n)]
    largest, clip = max(norms, default=0.0), gradient.get("clip")
    bound = "" if not norms else f"; the whole gradient has a norm of {largest:.3g}"
    if norms and is_number(clip):
        bound += f", clipped to {clip:g}" if 0 < clip < largest else "" if clip else ", not clipped"
    if factor < GROWN[0] and largest <= LARGE:
        steady = times if slope > 0 else "the norm does not grow with the lag"
        return Finding("exploding_gradients", "ok", factor, GROWN[0], None, steady + bound, "")
    level, bar = ("alarm", GROWN[1]) if factor >= GROWN[1] else ("warn", GROWN[0])
    remedy = (
        "clipping (--clip 1), a smaller --lr, recurrent weights that begin orthogonal (they do, unless they are your "
        "own), a cell with gates, or shorter windows"
    )
    return Finding("exploding_gradients", level, factor, bar, None, times + bound, remedy)


def short_memory(record: Record) -> Finding | None:
    """The effective horizon is shorter than the season of the series, and remembering one season does better."""
    found, period = _memory(record), (record.details.get("series") or {}).get("period")
    if found is None or not is_number(period) or period < 2:
        return None
    horizon, span, season = int(found["horizon"]), int(found["span"]), int(period)
    value, threshold, reach = float(horizon), float(season), _reach(found)
    if horizon >= season:
        return Finding("short_memory", "ok", value, threshold, None, f"{reach}, and a season has {season:,} rows", "")
    short = f"{reach}; a season has {season:,} rows"
    lost = [key for key in ("mae", "mae_horizon") if _behind(record.metrics.get(key) or {})]
    if not lost:
        why = f"{short}, but what repeats the season alone does worse than the model"
        return Finding("short_memory", "ok", value, threshold, None, why, "")
    where = "one row ahead" if lost[0] == "mae" else "at the farthest step ahead"
    why = f"{short}, and what repeats the season alone does better {where}"
    window = f"a longer --window ({2 * season:,})" if span < season else "a cell with gates (--cell lstm or gru)"
    remedy = f"{window}; the series in longer steps; the differences to a season before as its values"
    return Finding("short_memory", "alarm", value, threshold, None, why, remedy)


def _memory(record: Record) -> dict[str, Any] | None:
    """What was measured of a model that reads step by step."""
    found = record.details.get("memory")
    if not isinstance(found, dict) or not all(is_number(found.get(key)) for key in ("slope", "horizon", "span")):
        return None
    return found


def _reach(found: dict[str, Any]) -> str:
    """The effective horizon in words."""
    horizon, span = int(found["horizon"]), int(found["span"])
    if horizon >= span:
        return f"gradients reach back over the whole window, {span:,} steps"
    return f"gradients reach {horizon:,} of {span:,} steps back (a hundredth of that of one step back)"


def _behind(measure: dict[str, Any]) -> bool:
    """Whether the season's repetition has a smaller error than the model's interval."""
    low = measure.get("low")
    beside = [r.get("value") for r in measure.get("references") or [] if str(r.get("name")).startswith("seasonal")]
    return is_number(low) and any(is_number(value) and value < low for value in beside)


RULES: tuple[Rule, ...] = (vanishing_gradients, exploding_gradients, short_memory)
