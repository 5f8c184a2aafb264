"""Which row goes to which part: a pure function of (seed, row number), the same on every machine and version.

Rows are ordered by a hash of their number (splitmix64: Steele, Lea & Flood 2014, "Fast splittable pseudorandom number
generators") rather than by a library's shuffle, whose stream may change with its version. One long text, whose order
has a meaning, is cut into spans.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from elboroom.core.chance import mix
from elboroom.core.errors import InputError

from .content import Array

__all__ = ["DEFAULT", "PARTS", "Piece", "spans", "split"]

PARTS = ("train", "valid", "test")
DEFAULT = (0.8, 0.1, 0.1)
Piece = tuple[int, int, int]
"""A document and the characters of it from start to stop."""


def _order(n: int, seed: int) -> Array:
    """A permutation of range(n)."""
    state = (np.arange(n, dtype=np.uint64) + np.uint64(mix(seed))) * np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.argsort(state ^ (state >> np.uint64(31)), kind="stable")


def split(
    n: int,
    asked: tuple[float, ...] | None,
    *,
    seed: int,
    own: Array | None = None,
    group: Array | None = None,
    row: str = "row",
) -> tuple[dict[str, Array], str]:
    """Row numbers of each part, ascending, and a sentence on how they were chosen; empty parts are absent.

    `own` is the part the input gives each row (0 train, 1 valid, 2 test); its test part is then never trained on.
    """
    if own is not None and (own > 0).any():
        return _own(own, asked, seed)
    wanted = _wanted(asked or DEFAULT, n, row)
    if group is not None:
        return _grouped(group, wanted, seed)
    order = _order(n, seed)
    cuts = np.cumsum([0, *wanted])
    parts = {name: np.sort(order[a:b]) for name, a, b in zip(PARTS, cuts[:-1], cuts[1:], strict=True) if b > a}
    return parts, f"at random by seed {seed}, {_said(asked or DEFAULT)}"


def spans(lengths: Sequence[int], asked: tuple[float, ...] | None) -> tuple[dict[str, list[Piece]], str]:
    """Contiguous pieces of documents laid end to end: TRAIN from the start, then VALID, then TEST.

    Shares and counts are of characters; a cut lies at the whole number below its share of them.
    """
    asked, n = asked or DEFAULT, sum(lengths)
    if _shares(asked):
        ends = [min(int(share * n + 1e-6), n) for share in np.cumsum(asked)]
    else:
        ends = [int(count) for count in np.cumsum(asked)]
        _enough(asked, n, "character")
    if not ends[0]:
        raise InputError(
            f"{n} character{'s' * (n != 1)} cannot be split into {_said(asked)} (train, valid, test); "
            "give more text, or `--split 1,0,0` to train on all of it"
        )
    starts = np.cumsum([0, *lengths])
    parts = {}
    for name, a, b in zip(PARTS, [0, *ends], ends, strict=False):
        first, last = np.searchsorted(starts, a, "right") - 1, np.searchsorted(starts, b, "left")
        pieces = [
            (i, max(a - int(starts[i]), 0), min(b, int(starts[i + 1])) - int(starts[i])) for i in range(first, last)
        ]
        if b > a:
            parts[name] = pieces
    return parts, f"contiguous spans from the start, {_said(asked)} of the characters"


def _said(asked: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in asked)


def _checked(asked: tuple[float, ...]) -> bool:
    """Whether the three numbers are shares; refuse what is neither shares nor counts."""
    if len(asked) != 3 or any(not np.isfinite(v) or v < 0 for v in asked):
        raise InputError(f"--split {_said(asked)}: give three shares or counts, TRAIN,VALID,TEST, none below 0")
    if asked[0] <= 0:
        raise InputError(f"--split {_said(asked)}: the training part is empty; give TRAIN more than 0")
    if all(v <= 1 for v in asked):
        return True
    if any(v != int(v) for v in asked):
        raise InputError(f"--split {_said(asked)}: mixes shares and counts; give three of one kind")
    return False


def _shares(asked: tuple[float, ...]) -> bool:
    """Whether the three numbers are shares of one whole."""
    shares = _checked(asked)
    if shares and sum(asked) > 1 + 1e-9:
        raise InputError(f"--split {_said(asked)}: the shares add up to {sum(asked):g}, more than 1")
    return shares


def _enough(asked: tuple[float, ...], n: int, row: str) -> None:
    """Refuse counts of more than there is."""
    if sum(asked) > n:
        raise InputError(f"--split {_said(asked)}: asks for {int(sum(asked)):,} {row}s and the data have {n:,}")


def _wanted(asked: tuple[float, ...], n: int, row: str) -> list[int]:
    """Rows for each part: a share above 0 gives at least one row, what rounding leaves goes to training."""
    if not _shares(asked):
        _enough(asked, n, row)
        return [int(v) for v in asked]
    held = [max(1, round(v * n)) if v > 0 else 0 for v in asked[1:]]
    left = n - sum(held)
    train = left if sum(asked) > 1 - 1e-9 else min(left, round(asked[0] * n))
    if train < 1:
        raise InputError(
            f"{n} {row}{'s' if n != 1 else ''} cannot be split into {_said(asked)} (train, valid, test); "
            "give more data, or `--split 1,0,0` to train on all of it"
        )
    return [train, *held]


def _grouped(group: Array, wanted: list[int], seed: int) -> tuple[dict[str, Array], str]:
    """Whole groups, in random order, to the part that is furthest from what it should have."""
    names, member = np.unique(group, return_inverse=True)
    size = np.bincount(member)
    target = np.array(wanted, float)
    if len(names) < int((target > 0).sum()):
        raise InputError(
            f"--group-by: {len(names)} groups cannot fill {int((target > 0).sum())} parts; name a column of more "
            "groups, or leave a part empty, as in --split .8,0,.2"
        )
    held = np.zeros(3)
    part = np.empty(len(names), np.int64)
    for one in _order(len(names), seed):
        short = np.where(target > 0, (target - held) / np.maximum(target, 1), -np.inf)
        part[one] = int(np.argmax(short))
        held[part[one]] += size[one]
    rows = part[member]
    parts = {name: np.flatnonzero(rows == k) for k, name in enumerate(PARTS) if (rows == k).any()}
    return parts, f"whole groups at random by seed {seed}"


def _own(own: Array, asked: tuple[float, ...] | None, seed: int) -> tuple[dict[str, Array], str]:
    """The set's own parts: TRAIN and VALID are taken from its training part, TEST from its test part."""
    train, valid, test = (np.flatnonzero(own == k) for k in range(3))
    how = "the set's own test part"
    if asked is None and len(valid):
        return {k: v for k, v in zip(PARTS, (train, valid, test), strict=True) if len(v)}, "the set's own parts"
    pool = np.concatenate([train, valid])
    pool = pool[_order(len(pool), seed)]
    if asked is None:
        cut = max(1, round(0.1 * len(pool)))
        parts = (pool[cut:], pool[:cut], test)
        how += f"; 10% of its training part at random by seed {seed} for validation"
    else:
        if _checked(asked):
            if asked[0] + asked[1] > 1 + 1e-9:
                raise InputError(
                    f"--split {_said(asked)}: TRAIN and VALID are shares of the set's training part, above 1"
                )
            counts = [round(asked[0] * len(pool)), round(asked[1] * len(pool)), len(test) if asked[2] else 0]
        else:
            counts = [int(v) for v in asked]
        if counts[0] + counts[1] > len(pool) or counts[2] > len(test):
            raise InputError(
                f"--split {_said(asked)}: the set has {len(pool):,} rows for TRAIN and VALID, {len(test):,} for TEST"
            )
        kept = np.sort(_order(len(test), seed)[: counts[2]])
        parts = (pool[: counts[0]], pool[counts[0] : counts[0] + counts[1]], test[kept])
        how += f"; {_said(asked)} by seed {seed}"
    if not len(parts[0]):
        raise InputError(f"the set's own training part has {len(pool)} rows: too few to split")
    return {name: np.sort(rows) for name, rows in zip(PARTS, parts, strict=True) if len(rows)}, how
