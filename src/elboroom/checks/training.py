"""Rules for every model: values that are no numbers, a loss that never fell, validation that falls behind. No torch."""

from __future__ import annotations

from itertools import pairwise

from .record import Finding, Record, Row, Rule, is_number, median, percent, share, step_of

__all__ = ["RULES", "nonfinite", "overfitting", "stalled"]

LOST = (0.02, 0.2)
"""Share of what training gained on validation data that was lost again: warn, alarm."""
FEWEST = 5
"""Points of a curve below which a change is not told from noise."""
NOISE = 3.0
"""A change counts from so many times the typical change from one point to the next."""
LITTLE = 0.02
"""A fall by a smaller share of the start, without beating anything simpler, is next to none."""
LOSSES = ("log_loss_nats", "loss_nats_per_token", "bits_per_dim", "mae", "reconstruction_bce", "reconstruction_mse")
"""Measures of which less is better and beside which something simpler stands."""
REMEDY = "another --lr, ten times larger or smaller; longer training; whether rows and labels belong together"


def nonfinite(record: Record) -> Finding | None:
    """Values that are no numbers: in the history (written as null), in the measures, or what ended the run."""
    bad: list[tuple[int, str]] = []
    values = 0
    for row in record.history:
        for name, value in row.items():
            if "/" in name:
                values += 1
                if not is_number(value):
                    bad.append((step_of(row), name))
    lost = [name for name, measure in record.metrics.items() if not is_number(measure.get("value"))]
    why_ended = str(record.meta.get("why") or "")
    ended = record.meta.get("state") == "failed" and "finite" in why_ended
    if not (bad or lost or ended):
        if not values:
            return None
        return Finding("nonfinite", "ok", 0.0, 0.0, None, f"all {values:,} logged values are finite", "")
    since = bad[0][0] if bad else int(record.meta.get("step") or 0) if ended else None
    if ended:
        why = why_ended
    elif bad:
        why = f"{bad[0][1]} is not finite from step {bad[0][0]:,} on, {len(bad):,} of {values:,} logged values"
    else:
        why = f"{', '.join(lost)} could not be measured: not finite"
    count = float(len(bad) + len(lost) + (1 if ended and not bad else 0))
    remedy = "a smaller --lr; the rows of the data at that step; --precision fp32 if it was bf16"
    return Finding("nonfinite", "alarm", count, 0.0, since, why, remedy)


def overfitting(record: Record) -> Finding | None:
    """The share of what training gained on the validation part that it lost again after its best epoch.

    Rises within three times the typical change from one point to the next are taken for noise.
    """
    key, sign = _watched(record.history)
    points = [(step_of(row), sign * float(row[key])) for row in record.history if key and is_number(row.get(key))]
    if len(points) < FEWEST:
        return None
    losses = [loss for _, loss in points]
    best = min(range(len(points)), key=lambda i: losses[i])
    tail = losses[-min(3, len(losses) - best) :]
    rise = sum(tail) / len(tail) - losses[best]
    name = key.partition("/")[2]
    first = next(
        (sign * float(row[f"train/{name}"]) for row in record.history if is_number(row.get(f"train/{name}"))), 0
    )
    gained = max(losses[0], first) - losses[best]
    noise = median([abs(b - a) for a, b in zip(losses[best // 2 :], losses[best // 2 + 1 :], strict=False)])
    lost = 0.0 if rise <= NOISE * noise and rise < LOST[1] * max(gained, 1e-12) else share(rise, gained)
    falling = _train_fell(record.history, name, sign, points[best][0])
    level = "ok"
    if falling is not False:
        level = "alarm" if lost > LOST[1] else "warn" if lost > LOST[0] else "ok"
    if level == "ok":
        why = (
            f"{key} was best at step {points[best][0]:,}; the end has lost {_part(share(max(rise, 0.0), gained))} "
            "what had been gained"
        )
        return Finding("overfitting", "ok", lost, LOST[0], None, why, "")
    kept = record.meta.get("kept") or {}
    saved = " The weights kept are the best ones." if kept.get("step") == points[best][0] else ""
    why = (
        f"{key} was best at step {points[best][0]:,} and has since lost {_part(lost)} what it had gained, "
        f"while the training loss went on falling.{saved}"
    )
    remedy = f"stop at step {points[best][0]:,} (--steps), --dropout 0.1, a smaller network, or more data"
    threshold = LOST[1] if level == "alarm" else LOST[0]
    return Finding("overfitting", level, lost, threshold, points[best][0], why, remedy)


def _part(lost: float) -> str:
    """ "12.5 % of", "329 times"."""
    return f"{lost:,.3g} times" if lost > 2 else f"{percent(lost)} of"


def stalled(record: Record) -> Finding | None:
    """A training loss that never fell from its start: less than so many times its noise, and nothing simpler is beaten.

    The start is the first logged value, itself a mean over some steps: a run that learnt all there is before is told
    by the measures, which beat what stands beside them.
    """
    points = [(step_of(row), row["train/loss_nats"]) for row in record.history if is_number(row.get("train/loss_nats"))]
    if len(points) < FEWEST:
        return None
    losses = [float(loss) for _, loss in points]
    late = losses[-max(1, len(losses) // 4) :]
    end = sum(late) / len(late)
    fall, noise = losses[0] - end, median([abs(b - a) for a, b in pairwise(losses)])
    bar, beside = NOISE * noise, _beside(record)
    said = f"the training loss went from {losses[0]:.4g} to {end:.4g} nats, the mean of its last quarter"
    if fall > bar or beside[0]:
        if beside[1] and not beside[0] and fall < LITTLE * abs(losses[0]):
            why = f"{said}, and {beside[1]} is not beaten"
            return Finding("stalled", "warn", fall, LITTLE * abs(losses[0]), None, why, REMEDY)
        return Finding(
            "stalled", "ok", fall, bar, None, f"{said}{f'; the simpler {beside[1]} is beaten' if beside[0] else ''}", ""
        )
    never = f" and {beside[1]} is not beaten" if beside[1] else ""
    why = f"{said}, no more than its noise ({bar:.2g} nats){never}"
    return Finding("stalled", "alarm", fall, bar, points[0][0], why, REMEDY)


def _beside(record: Record) -> tuple[bool, str]:
    """Whether the model does better than something simpler, and the name of that; "" where nothing stands beside it."""
    name = ""
    for key in LOSSES:
        found = record.metrics.get(key, {})
        for reference in found.get("references") or []:
            if is_number(found.get("value")) and is_number(reference.get("value")):
                name = name or str(reference["name"])
                if found["value"] < reference["value"]:
                    return True, str(reference["name"])
    return False, name


def _watched(history: list[Row]) -> tuple[str, float]:
    """The validation curve to watch, and the sign that makes less better."""
    found = {name for row in history for name in row if name.startswith("valid/")}
    for name in ("loss_nats", "bits_per_dim", "reconstruction_bce", "distortion_nats"):
        if f"valid/{name}" in found:
            return f"valid/{name}", 1.0
    return ("valid/elbo_nats", -1.0) if "valid/elbo_nats" in found else ("", 1.0)


def _train_fell(history: list[Row], name: str, sign: float, best: int) -> bool | None:
    """Whether the training curve of that name fell further after step `best`; None where there is no such curve."""
    values = [
        (step_of(row), sign * float(row[f"train/{name}"])) for row in history if is_number(row.get(f"train/{name}"))
    ]
    before = [value for step, value in values if step <= best][-3:]
    after = [value for step, value in values if step > best]
    if not before or not after:
        return None
    late = after[-max(1, len(after) // 4) :]
    return sum(late) / len(late) < sum(before) / len(before)


RULES: tuple[Rule, ...] = (nonfinite, stalled, overfitting)
