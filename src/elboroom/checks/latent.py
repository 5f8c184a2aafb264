"""Rules for models with a latent code. No torch."""

from __future__ import annotations

from .record import Finding, Record, Row, Rule, is_number, percent, step_of

__all__ = ["RULES", "posterior_collapse", "unused_noise"]

UNUSED = 0.01
"""Nats of rate below which a latent dimension carries nothing."""
COLLAPSED = 0.9
"""Share of unused dimensions that is an alarm."""
HEARD = 0.01
"""Share of the variance of z below which an encoder draws in name only."""


def posterior_collapse(record: Record) -> Finding | None:
    """Latent dimensions whose posterior is the prior: they carry nothing from x."""
    rates = [entry["value"] for entry in record.details.get("rate_by_dimension", []) if is_number(entry["value"])]
    if not rates:
        return None
    unused = [d for d, rate in enumerate(rates) if rate < UNUSED]
    unused_share = len(unused) / len(rates)
    if not unused:
        lowest = min(rates)
        why = f"all {len(rates)} latent dimensions carry information, the least {lowest:.3g} nats"
        return Finding("posterior_collapse", "ok", 0.0, 0.0, None, why, "")
    some = ", ".join(f"z{d + 1}" for d in unused[:8]) + (" ..." if len(unused) > 8 else "")
    why = f"{len(unused)} of {len(rates)} latent dimensions carry less than {UNUSED} nats ({some})"
    if unused_share < COLLAPSED:
        remedy = f"--latent {len(rates) - len(unused)} loses nothing; or a beta below 1 to use more of them"
        return Finding("posterior_collapse", "warn", unused_share, 0.0, None, why, remedy)
    since = _stays_below(record.history, "rate_nats", UNUSED * len(rates))
    remedy = "a beta below 1, a smaller decoder, a smaller --lr, or a likelihood that fits the data better"
    return Finding("posterior_collapse", "alarm", unused_share, COLLAPSED, since, why, remedy)


def unused_noise(record: Record) -> Finding | None:
    """An encoder that draws its codes, and draws nearly the same one each time. A rate would not have let it."""
    noise = (record.details.get("matching") or {}).get("noise") or {}
    found = noise.get("share")
    if not is_number(found) or record.details.get("rate_by_dimension"):
        return None
    below = sum(is_number(axis) and axis < HEARD for axis in noise.get("axes", []))
    why = f"{percent(found)} of the variance of z is of the encoder's noise, the rest follows from x"
    if found >= HEARD:
        return Finding("unused_noise", "ok", found, HEARD, None, why, "")
    why += f"; {below} of {len(noise.get('axes', []))} axes lie below {percent(HEARD)}: it is all but deterministic"
    remedy = "a smaller weight of the reconstruction (--lam) leaves room for noise; or --encoder deterministic"
    return Finding("unused_noise", "warn", found, HEARD, None, why, remedy)


def _stays_below(history: list[Row], name: str, bar: float) -> int | None:
    """The first logged step from which `name` never again reaches `bar`."""
    since: int | None = None
    for row in history:
        value = row.get(f"valid/{name}", row.get(f"train/{name}"))
        if is_number(value):
            since = None if float(value) >= bar else step_of(row) if since is None else since
    return since


RULES: tuple[Rule, ...] = (posterior_collapse, unused_noise)
