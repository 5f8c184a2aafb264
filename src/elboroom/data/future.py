"""A drawn set whose labels lie in the future: the label of step t depends on the steps after it, and on no other.

Values are independent draws of N(0, 1). Step t is `up` where x[t+1] + ... + x[t+ahead] is above 0, else `down`; a
share `noise` of the labels is turned over. The last `ahead` steps of a sequence have no label. So who has read up to t
knows nothing of its label: right half of the time, whatever the net. Who has read on can be right 1 - noise of the
time. With `ahead` below 0 the label depends on the -ahead steps before t, and both can.
"""

from __future__ import annotations

import numpy as np

from elboroom.core.errors import InputError

from .content import Array
from .options import numbers, whole
from .sequences import Sequences

__all__ = ["draw_future", "read_future"]

DEFAULTS = {"ahead": 3.0, "noise": 0.05, "sequences": 1200.0}
SHORTEST, LONGEST, TEST = 20, 40, 1 / 3
"""Steps of a sequence; share of the sequences that are the set's own test part."""
MOST = 100_000


def read_future(options: str, size: tuple[int, int] | None) -> Sequences:
    """The set for options such as "ahead=5,noise=0.1"."""
    if size is not None:
        raise InputError("future: --size is for images; ahead, noise and sequences may follow the name and a colon")
    given = numbers("future", options, DEFAULTS)
    ahead, noise, count = given["ahead"], given["noise"], given["sequences"]
    if ahead % 1 or not 1 <= abs(ahead) < SHORTEST:
        raise InputError(
            f"future: ahead={ahead:g}: give a whole number from 1 to {SHORTEST - 1}, or below 0 for the past"
        )
    if not 0 <= noise <= 0.5:
        raise InputError(f"future: noise={noise:g}: give the share of labels to turn over, 0 to 0.5")
    return draw_future(int(ahead), noise, whole("future", "sequences", count, 10, MOST))


def draw_future(ahead: int, noise: float, count: int) -> Sequences:
    """`count` sequences of one channel; the last third of them are the test part."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(SHORTEST, LONGEST + 1, count)
    values, labels = [], []
    for steps in lengths.tolist():
        x = rng.standard_normal(steps)
        label = _labels(x, ahead)
        turned = (rng.random(steps) < noise) & (label >= 0)
        values.append(x)
        labels.append(np.where(turned, 1 - label, label))
    own = np.zeros(count, np.int8)
    own[count - round(count * TEST) :] = 2
    return Sequences(
        where="future",
        values=np.concatenate(values)[:, None],
        lengths=lengths.astype(np.int64),
        channels=("value",),
        label=np.concatenate(labels),
        classes=("down", "up"),
        per_step=True,
        own=own,
    )


def _labels(x: Array, ahead: int) -> Array:
    """(T,): whether the sum of the steps ahead, or behind, is above 0; -1 where they are not all there."""
    width, steps = abs(ahead), len(x)
    total = np.concatenate([[0.0], np.cumsum(x)])
    out = np.full(steps, -1, np.int64)
    if ahead > 0:
        out[: steps - width] = total[width + 1 :] - total[1 : steps - width + 1] > 0
    else:
        out[width:] = total[width:steps] - total[: steps - width] > 0
    return out
