"""What went wrong in a run, since when, and what to try: rules over its history, metrics and details. No torch.

Each rule is a pure function of what the run folder holds and gives a finding even when all is well, so that a reader
sees what was looked at. A rule that has nothing to look at (no validation part, no rate) gives none.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeGuard

from elboroom.core.errors import InputError

__all__ = ["Finding", "Record", "diagnose", "findings", "nonfinite", "overfitting", "posterior_collapse", "read_record"]

Row = dict[str, Any]

UNUSED = 0.01  # nats of rate below which a latent dimension carries nothing
LOST = (0.02, 0.2)  # share of what training gained on validation data that was lost again: warn, alarm
FEWEST = 5  # validation points below which a rise is not told from noise
COLLAPSED = 0.9  # share of unused dimensions that is an alarm


@dataclass(frozen=True)
class Finding:
    """One check: `value` against `threshold`; `since_step` is None where it cannot be dated."""

    name: str
    level: str
    value: float | None
    threshold: float | None
    since_step: int | None
    why: str
    try_: str

    def to_json(self) -> dict[str, Any]:
        found = asdict(self)
        found["try"] = found.pop("try_")
        return found


@dataclass(frozen=True)
class Record:
    """What a run folder says of itself; empty parts where it is silent."""

    meta: dict[str, Any]
    history: list[Row]
    metrics: dict[str, Any]
    details: dict[str, Any]


def diagnose(folder: Path | str) -> list[dict[str, Any]]:
    """The findings of a run folder, as CONTRACT's `diagnose --json` lists them."""
    return [finding.to_json() for finding in findings(read_record(folder))]


def findings(record: Record) -> list[Finding]:
    """Every rule that has something to look at, worst first."""
    rules: tuple[Callable[[Record], Finding | None], ...] = (nonfinite, overfitting, posterior_collapse)
    found = [finding for rule in rules if (finding := rule(record)) is not None]
    order = {"alarm": 0, "warn": 1, "ok": 2}
    return sorted(found, key=lambda finding: order[finding.level])


def read_record(folder: Path | str) -> Record:
    """Read a run folder; a last line of history that was cut off is left out."""
    path = Path(folder)
    if not (path / "run.json").is_file():
        raise InputError(f"{folder}: is no run folder, run.json is missing; give the folder that `elboroom fit` wrote")
    history: list[Row] = []
    if (path / "history.jsonl").is_file():
        for line in (path / "history.jsonl").read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                continue
            if isinstance(row, dict):
                history.append(row)
    return Record(_json(path / "run.json"), history, _json(path / "metrics.json", {}), _json(path / "details.json", {}))


def _json(path: Path, missing: dict[str, Any] | None = None) -> dict[str, Any]:
    if missing is not None and not path.is_file():
        return missing
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: cannot be read: {error}; restore it from a copy or run the verb that wrote it"
        ) from error
    if not isinstance(held, dict):
        raise InputError(f"{path}: holds no table; restore it from a copy or run the verb that wrote it")
    return held


def nonfinite(record: Record) -> Finding | None:
    """Values that are no numbers: in the history (written as null), in the measures, or what ended the run."""
    bad: list[tuple[int, str]] = []
    values = 0
    for row in record.history:
        for name, value in row.items():
            if "/" in name:
                values += 1
                if not _is_number(value):
                    bad.append((_step(row), name))
    lost = [name for name, measure in record.metrics.items() if not _is_number(measure.get("value"))]
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
    points = [(_step(row), sign * float(row[key])) for row in record.history if key and _is_number(row.get(key))]
    if len(points) < FEWEST:
        return None
    losses = [loss for _, loss in points]
    best = min(range(len(points)), key=lambda i: losses[i])
    tail = losses[-min(3, len(losses) - best) :]
    rise = sum(tail) / len(tail) - losses[best]
    name = key.partition("/")[2]
    first = next(
        (sign * float(row[f"train/{name}"]) for row in record.history if _is_number(row.get(f"train/{name}"))), 0
    )
    gained = max(losses[0], first) - losses[best]
    noise = _median([abs(b - a) for a, b in zip(losses[best // 2 :], losses[best // 2 + 1 :], strict=False)])
    lost = 0.0 if rise <= 3 * noise and rise < LOST[1] * max(gained, 1e-12) else _share(rise, gained)
    falling = _train_fell(record.history, name, sign, points[best][0])
    level = "ok"
    if falling is not False:
        level = "alarm" if lost > LOST[1] else "warn" if lost > LOST[0] else "ok"
    if level == "ok":
        why = f"{key} ends {_percent(_share(max(rise, 0.0), gained))} of its gain above its best"
        return Finding("overfitting", "ok", lost, LOST[0], None, why, "")
    kept = record.meta.get("kept") or {}
    saved = " The weights kept are the best ones." if kept.get("step") == points[best][0] else ""
    why = (
        f"{key} was best at step {points[best][0]:,} and has since lost {_percent(lost)} of what it had gained, "
        f"while the training loss went on falling.{saved}"
    )
    remedy = f"stop at step {points[best][0]:,} (--steps), --dropout 0.1, a smaller network, or more data"
    threshold = LOST[1] if level == "alarm" else LOST[0]
    return Finding("overfitting", level, lost, threshold, points[best][0], why, remedy)


def posterior_collapse(record: Record) -> Finding | None:
    """Latent dimensions whose posterior is the prior: they carry nothing from x."""
    rates = [entry["value"] for entry in record.details.get("rate_by_dimension", []) if _is_number(entry["value"])]
    if not rates:
        return None
    unused = [d for d, rate in enumerate(rates) if rate < UNUSED]
    share = len(unused) / len(rates)
    if not unused:
        lowest = min(rates)
        why = f"all {len(rates)} latent dimensions carry information, the least {lowest:.3g} nats"
        return Finding("posterior_collapse", "ok", 0.0, 0.0, None, why, "")
    some = ", ".join(f"z{d + 1}" for d in unused[:8]) + (" ..." if len(unused) > 8 else "")
    why = f"{len(unused)} of {len(rates)} latent dimensions carry less than {UNUSED} nats ({some})"
    if share < COLLAPSED:
        remedy = f"--latent {len(rates) - len(unused)} loses nothing; or a beta below 1 to use more of them"
        return Finding("posterior_collapse", "warn", share, 0.0, None, why, remedy)
    since = _stays_below(record.history, "rate_nats", UNUSED * len(rates))
    remedy = "a beta below 1, a smaller decoder, a smaller --lr, or a likelihood that fits the data better"
    return Finding("posterior_collapse", "alarm", share, COLLAPSED, since, why, remedy)


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
        (_step(row), sign * float(row[f"train/{name}"])) for row in history if _is_number(row.get(f"train/{name}"))
    ]
    before = [value for step, value in values if step <= best][-3:]
    after = [value for step, value in values if step > best]
    if not before or not after:
        return None
    late = after[-max(1, len(after) // 4) :]
    return sum(late) / len(late) < sum(before) / len(before)


def _stays_below(history: list[Row], name: str, bar: float) -> int | None:
    """The first logged step from which `name` never again reaches `bar`."""
    since: int | None = None
    for row in history:
        value = row.get(f"valid/{name}", row.get(f"train/{name}"))
        if _is_number(value):
            since = None if float(value) >= bar else _step(row) if since is None else since
    return since


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _step(row: Row) -> int:
    step = row.get("step")
    return int(step) if _is_number(step) else 0


def _median(values: list[float]) -> float:
    ordered = sorted(values)
    n = len(ordered)
    return 0.0 if n == 0 else (ordered[(n - 1) // 2] + ordered[n // 2]) / 2


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else float(part > 0)


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
