"""The members of a sweep: every combination of the values, each with every seed, named and checked before any work."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from elboroom.core import registry
from elboroom.core.errors import InputError, nearest
from elboroom.settings import checked

__all__ = ["MOST", "Planned", "chosen_values", "grouped", "planned"]

MOST = 256
"""Members of one sweep."""


@dataclass(frozen=True)
class Planned:
    """One member."""

    name: str
    """Of its run folder inside the sweep's."""
    over: dict[str, Any]
    """Its values of the fields that are swept."""
    settings: dict[str, Any]
    """Everything that is set for it, those values included."""
    seed: int


def planned(
    model: str, over: Mapping[str, Sequence[Any]], settings: Mapping[str, Any], *, seeds: int, seed: int
) -> list[Planned]:
    """All members, the values of the last field changing fastest, then the seeds `seed`, `seed` + 1, ..."""
    entry = registry.entry(model)
    values = chosen_values(entry, over, settings)
    if seeds < 1:
        raise InputError(f"--seeds {seeds}: expected a count of at least 1")
    count = seeds
    for each in values.values():
        count *= len(each)
    if count < 2:
        raise InputError("a sweep has two members or more: give --over FIELD=A,B, or --seeds 2")
    if count > MOST:
        raise InputError(
            f"this sweep has {count:,} members, the most is {MOST}; give fewer values or seeds, or sweep in parts"
        )
    members = []
    for row in itertools.product(*values.values()):
        here = dict(zip(values, row, strict=True))
        for number in range(seed, seed + seeds):
            parts = [f"{field}-{_short(value)}" for field, value in here.items()]
            parts += [f"seed-{number}"] if seeds > 1 or not parts else []
            members.append(Planned("_".join(parts), here, {**settings, **here}, number))
    names = [member.name for member in members]
    if len(set(names)) < len(names):  # values that differ only in characters a folder cannot have
        members = [Planned(f"{i:03d}_{m.name}", m.over, m.settings, m.seed) for i, m in enumerate(members)]
    return members


def chosen_values(
    entry: registry.Entry, over: Mapping[str, Sequence[Any]], settings: Mapping[str, Any]
) -> dict[str, list[Any]]:
    """The values of each field as the model's Config holds them; what cannot be swept raises InputError."""
    fields = {field.name for field in entry.fields}
    found: dict[str, list[Any]] = {}
    for name, given in over.items():
        if name == "seed":
            raise InputError("--over seed: seeds are swept with --seeds K, from --seed S on")
        if name not in fields:
            raise InputError(
                f"--over {name}: {entry.name} has no setting {name!r}{nearest(name, fields)}; "
                f"`elboroom models {entry.name}` lists them"
            )
        if name in settings:
            raise InputError(f"{name} is given twice, as a setting and in --over; leave one out")
        if isinstance(given, str) or not isinstance(given, Sequence) or len(given) < 2:
            raise InputError(f"--over {name}: one value is no sweep; give two or more, as in --over {name}=A,B")
        values = [checked(entry, {**settings, name: value})[name] for value in given]
        endless = next((v for v in values if isinstance(v, float) and not math.isfinite(v)), None)
        if endless is not None:
            raise InputError(f"--over {name}: {endless} is no number that a run could have; give finite ones")
        twice = next((v for i, v in enumerate(values) if v in values[:i]), None)
        if twice is not None:
            raise InputError(f"--over {name}: the value {twice} stands there twice; leave one out")
        found[name] = values
    return found


def grouped(members: Sequence[Planned]) -> list[list[Planned]]:
    """Members that may be trained as one stack: they differ in seeds and in fractional numbers only.

    A number that is 0 switches a branch of many losses, so members with it stand apart from those without.
    """
    groups: dict[tuple[Any, ...], list[Planned]] = {}
    for member in members:
        key = tuple((n, v == 0) if isinstance(v, float) else (n, str(v)) for n, v in member.over.items())
        groups.setdefault(key, []).append(member)
    return list(groups.values())


def _short(value: Any) -> str:
    """A value as part of a folder's name."""
    if isinstance(value, list | tuple):
        return "x".join(_short(v) for v in value) or "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    text = f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)
    return re.sub(r"[^\w.+-]+", "_", text)[:40] or "none"
