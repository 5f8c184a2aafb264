"""What may follow a named set's name and a colon: numbers by name, as in `ring8:n=2000,sd=0.02`."""

from __future__ import annotations

import math
from collections.abc import Mapping

from elboroom.core.errors import InputError, nearest

__all__ = ["numbers", "whole"]


def numbers(name: str, options: str, defaults: Mapping[str, float]) -> dict[str, float]:
    """The defaults of the set `name`, with those that were given in their place; each is finite."""
    given = dict(defaults)
    for part in options.split(",") if options else []:
        key, _, value = (word.strip() for word in part.partition("="))
        if key not in defaults:
            raise InputError(f"{name}: there is no option {key!r}{nearest(key, defaults)}; {', '.join(defaults)}")
        try:
            given[key] = float(value)
        except ValueError:
            raise InputError(f"{name}: {key}={value}: give a number") from None
        if not math.isfinite(given[key]):
            raise InputError(f"{name}: {key}={value}: give a finite number")
    return given


def whole(name: str, key: str, value: float, low: int, high: int) -> int:
    """`value` as the whole number from `low` to `high` that it has to be."""
    if value % 1 or not low <= value <= high:
        raise InputError(f"{name}: {key}={value:g}: give a whole number from {low:,} to {high:,}")
    return int(value)
