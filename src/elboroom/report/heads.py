"""What each attention head looks at, named by a fixed rule, and how far back.

A head has the name of the feature that takes more of its weight than even attention would give it, where that surplus
is at least 0.3 of all weight and no other's is larger; else it is called by its reach. Queries before the fourth token
count for nothing: they have hardly a choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .plots import Array

__all__ = ["RULE", "Head", "head"]

SURPLUS = 0.3
FIRST = 3
"""The first query that counts."""
NEAR = 0.5
"""A reach below this share of even attention's is "the last few tokens"."""
RULE = (
    f"A head has the name of what takes at least {SURPLUS} more of its weight than even attention would give: itself, "
    "the token before, the first token, white space, equal tokens before. The others go by their reach."
)


@dataclass(frozen=True)
class Head:
    """One head."""

    name: str
    reach: float
    """Mean distance of what it looks at, in tokens."""


def head(weights: Array, tokens: Sequence[str]) -> Head:
    """Name and reach of one head; weights (n, n), rows look."""
    n = len(weights)
    first = min(FIRST, n - 1)
    at = np.arange(n)
    back = at[:, None] - at[None, :]
    space = np.array([t.isspace() for t in tokens])
    equal = np.array([[a == b for b in tokens] for a in tokens])
    seen = back >= 0 if not np.triu(weights, 1).any() else np.ones((n, n), bool)
    even = seen / seen.sum(1, keepdims=True)
    features = {
        "itself": back == 0,
        "the token before": back == 1,
        "the start of the text": (at[None, :] == 0) & (back > 1),
        "white space": np.broadcast_to(space[None, :], (n, n)) & (back > 1),
        "equal tokens before": equal & (back > 1),
    }
    surplus = {
        name: float(((weights - even) * where)[first:].sum(1).mean())
        for name, where in features.items()
    }  # fmt: skip
    reach, alike = (float((w * np.abs(back))[first:].sum(1).mean()) for w in (weights, even))
    best = max(surplus, key=lambda name: surplus[name])
    if surplus[best] >= SURPLUS:
        return Head(best, reach)
    return Head("the last few tokens" if reach < NEAR * alike else "many tokens alike", reach)
