"""Rules for series: whether what comes later is like what was learnt from. No torch."""

from __future__ import annotations

from typing import Any

from .record import Finding, Record, Rule, is_number

__all__ = ["RULES", "nonstationary"]

MOVED = (1.0, 2.0)
"""Standard deviations of the training stretch between its mean and that of a later one: warn, alarm."""
WALK = (0.05, 0.01)
"""A channel walks where a unit root is not refused (p above the first) and stationarity is (p at most the second)."""
PARTS = {"valid": "validation", "test": "test"}


def nonstationary(record: Record) -> Finding | None:
    """The largest distance of a later stretch's level from that of the training stretch, and channels that walk."""
    listed = record.details.get("stationarity")
    entries = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    if not entries:
        return None
    shifts = [(float(s), e, p) for e in entries for p, s in (e.get("shifts") or {}).items() if is_number(s)]
    walks = [entry for entry in entries if _walks(entry)]
    shift, entry, part = max(
        shifts, key=lambda found: abs(found[0]), default=(0.0, walks[0] if walks else entries[0], "")
    )
    far = f"the {PARTS.get(part, part)} part lies {abs(shift):.2g} standard deviations of the training part "
    far += f"{'above' if shift > 0 else 'below'} it in {_name(entry)}" if part else ""
    said = [far] if part else []
    said.append(_tested(entry))
    if walks:
        said.append(f"{len(walks)} of {len(entries)} channels walk without coming home: {_names(walks)}")
    why = "; ".join(text for text in said if text)
    level = "alarm" if abs(shift) >= MOVED[1] else "warn" if abs(shift) >= MOVED[0] or walks else "ok"
    bar = MOVED[1] if level == "alarm" else MOVED[0]
    remedy = (
        "the differences from row to row (or to a season before) as values; training on newer rows (--train-until); "
        "a new run when the level has moved; --scale robust where a few rows are far off"
    )
    return Finding("nonstationary", level, abs(shift), bar, None, why, "" if level == "ok" else remedy)


def _walks(entry: dict[str, Any]) -> bool:
    root, still = entry.get("unit_root_p"), entry.get("stationary_p")
    return is_number(root) and is_number(still) and root > WALK[0] and still <= WALK[1]


def _tested(entry: dict[str, Any]) -> str:
    """What the two tests say of a channel's training stretch."""
    root, still = entry.get("unit_root_p"), entry.get("stationary_p")
    if not (is_number(root) and is_number(still)):
        return ""
    at = "at most 0.01" if still <= 0.01 else "0.1 or more" if still >= 0.1 else f"{still:.2g}"
    return f"in training a unit root has p {root:.2g} (Dickey-Fuller), stationarity p {at} (KPSS)"


def _name(entry: dict[str, Any]) -> str:
    series = f" of {entry['series']}" if entry.get("series") else ""
    return f"{entry.get('channel')}{series}"


def _names(entries: list[dict[str, Any]]) -> str:
    return ", ".join(map(_name, entries[:4])) + (" ..." if len(entries) > 4 else "")


RULES: tuple[Rule, ...] = (nonstationary,)
