"""How the next token is chosen from a model's logits: filters, exact down to ties, and one number a draw.

The order is fixed: repetition penalty, temperature, top-k, top-p, min-p; each filter sees the law the one before left.
- repetition penalty (Keskar et al. 2019, CTRL, section 4.1): logits of tokens already there are divided where positive,
  multiplied where negative.
- temperature: logits over T; 0 is greedy, the most likely token.
- top-k (Fan et al. 2018): exactly the k most likely tokens; a k above the vocabulary keeps all of it.
- top-p (Holtzman et al. 2020): the most likely tokens, as few as together reach the mass p.
- min-p (Nguyen et al. 2024): tokens at least p times as likely as the most likely one.
Of equally likely tokens the one with the lower id comes first, everywhere.

A draw inverts the distribution function: the token follows from the row's logits and one uniform number, so it does not
depend on what is drawn beside it. Probabilities are summed as whole multiples of 2**-53, float64's own grain below 1:
such sums are exact in every order, so a device that adds in parallel is as repeatable as a loop. Filters leave weights
that need not sum to 1.
Shapes: R rows, V vocabulary, C candidates that a filter has left, their ids ascending.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from elboroom.core.errors import InputError

__all__ = ["Sampling", "best", "choose", "draw", "filtered", "repetition_penalty", "uniforms"]

# splitmix64 (Steele, Lea & Flood 2014, fig. 17)
GOLDEN, FIRST, SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How tokens are chosen; the defaults draw from the model's own law. A value out of its range is refused."""

    temperature: float = 1.0
    """Logits are divided by it, from 0; 0 is greedy."""
    top_k: int = 0
    """Tokens kept; 0 keeps all."""
    top_p: float = 1.0
    """Mass kept, in (0, 1]; 1 keeps all."""
    min_p: float = 0.0
    """Least probability relative to the largest, in [0, 1]; 0 keeps all."""
    repetition_penalty: float = 1.0
    """Divisor of the positive logits of tokens already there, above 0; 1 changes nothing."""

    def __post_init__(self) -> None:
        if not _number(self.temperature) or not 0 <= self.temperature < math.inf:
            raise InputError(f"temperature {self.temperature}: expected a finite number from 0; 0 is greedy")
        if not isinstance(self.top_k, int | np.integer) or self.top_k < 0:
            raise InputError(f"top_k {self.top_k}: expected a whole number of tokens to keep; 0 keeps all")
        if not _number(self.top_p) or not 0 < self.top_p <= 1:
            raise InputError(f"top_p {self.top_p}: expected a mass above 0 and at most 1; 1 keeps all")
        if not _number(self.min_p) or not 0 <= self.min_p <= 1:
            raise InputError(f"min_p {self.min_p}: expected a share of the largest probability, 0 to 1; 0 keeps all")
        if not _number(self.repetition_penalty) or not 0 < self.repetition_penalty < math.inf:
            raise InputError(
                f"repetition_penalty {self.repetition_penalty}: expected a finite number above 0; 1 is off"
            )


def _number(value: object) -> bool:
    return isinstance(value, int | float | np.integer | np.floating)


def repetition_penalty(logits: Tensor, penalties: Tensor) -> Tensor:
    """(R, V) logits, divided by `penalties` (R, V) where positive and multiplied where negative.

    `penalties` holds the penalty at tokens already there and 1 elsewhere. The two parts apart take a tenth of the time
    that two `where` take, and are as exact.
    """
    return logits.clamp(min=0).div_(penalties).add_(logits.clamp(max=0).mul_(penalties))


def choose(logits: Tensor, sampling: Sampling, uniforms: Tensor) -> Tensor:
    """(R,): one token a row, by one number of `uniforms` a row, for logits (R, V) that bear the penalty already."""
    if sampling.temperature == 0:
        return _greedy(logits)
    weights_RC, ids_RC = _weights(logits, sampling)
    place_R = draw(weights_RC, uniforms)
    return place_R if ids_RC is None else ids_RC.gather(1, place_R[:, None])[:, 0]


def filtered(logits: Tensor, sampling: Sampling) -> Tensor:
    """(R, V) float64: log-probabilities, in nats, of the law that `choose` draws from; -inf for what is left out."""
    weights = torch.zeros_like(logits, dtype=torch.float64)
    if sampling.temperature == 0:
        return weights.scatter(1, _greedy(logits)[:, None], 1.0).log()
    found, ids = _weights(logits, sampling)
    weights = found if ids is None else weights.scatter(1, ids, found)
    return (weights / weights.sum(-1, keepdim=True)).log()


def draw(weights: Tensor, uniforms: Tensor) -> Tensor:
    """(R,): the first index at which the running sum of the weights (R, C), float64 and at most 1, exceeds u times all.

    uniforms: (R,) float64 from 0 to 1 - 2**-52: then u times a sum is less than the sum, rounded too, and what weighs 0
    is never drawn.
    """
    sums = _running(weights)
    place = torch.searchsorted(sums, (uniforms * sums[:, -1]).long()[:, None], right=True)
    return place[:, 0].clamp(max=weights.shape[1] - 1)  # weights that are no numbers; the caller looks for such logits


def best(x: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest of each row of (R, V), or all where there are no more, as values and ids (R, k), ids ascending."""
    if k >= x.shape[1]:
        return x, torch.arange(x.shape[1], device=x.device).expand_as(x)
    values, ids = x.topk(k + 1)
    edge = values[:, k - 1 : k]
    if x.device.type != "cpu" or bool((edge == values[:, k:]).any()):  # topk leaves open which of equal ones it takes
        ids = _first(x, edge, torch.full_like(edge, k, dtype=torch.int64)).to(torch.uint8).topk(k + 1).indices
    ids = ids[:, :k].sort().values
    return x.gather(1, ids), ids


def uniforms(seeds: Sequence[int], start: int, count: int) -> Tensor:
    """(R, count) float64, multiples of 2**-52 below 1: numbers `start` and following of each seed's own stream."""
    steps = np.arange(start + 1, start + count + 1, dtype=np.uint64)
    state = np.array(seeds, dtype=np.uint64)[:, None] + steps * GOLDEN
    state = (state ^ (state >> np.uint64(30))) * FIRST
    state = (state ^ (state >> np.uint64(27))) * SECOND
    state ^= state >> np.uint64(31)
    return torch.from_numpy((state >> np.uint64(12)).astype(np.float64) * 2.0**-52)


def _greedy(logits: Tensor) -> Tensor:
    """(R,): the largest of each row, of equal ones the first."""
    if logits.device.type == "cpu":  # numpy takes a tenth of torch's time
        return torch.from_numpy(logits.detach().numpy().argmax(-1))
    return logits.argmax(-1)


def _weights(logits: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor | None]:
    """The filtered law as weights (R, C), float64, and whose they are; None: of all tokens, in order.

    Dividing by a temperature keeps the order, so top-k goes first: on the finer, undivided logits, and with less to do
    after.
    """
    x_RC, ids_RC = logits, None
    if 0 < sampling.top_k < logits.shape[-1]:
        x_RC, ids_RC = best(logits, sampling.top_k)
    if sampling.temperature != 1:
        x_RC = x_RC.double()  # and relative to the largest: so no temperature is too small
        x_RC = (x_RC - x_RC.amax(-1, keepdim=True)) / sampling.temperature
    weights_RC = x_RC.softmax(-1, dtype=torch.float64)
    if sampling.top_p < 1:
        weights_RC = _nucleus(weights_RC, sampling.top_p)
    if sampling.min_p > 0:
        weights_RC = weights_RC * (weights_RC >= sampling.min_p * weights_RC.amax(-1, keepdim=True))
    return weights_RC, ids_RC


def _nucleus(weights: Tensor, p: float) -> Tensor:
    """Weights (R, C) of which as few of the largest as reach the share p of their sum are kept, the others 0."""
    if weights.device.type == "cpu":  # numpy sorts a vocabulary of 50,000 in a tenth of torch's time
        falling = torch.from_numpy(np.sort(weights.detach().numpy(), axis=-1)).flip(-1)
    else:
        falling = weights.sort(-1, descending=True).values
    sums = _running(falling).double()
    count = 1 + (sums[:, :-1] < p * sums[:, -1:]).sum(-1, keepdim=True)
    return torch.where(_first(weights, falling.gather(1, count - 1), count), weights, 0.0)


def _running(weights: Tensor) -> Tensor:
    """(R, C) int64: running sums of weights, float64 and at most 1, in units of 2**-53."""
    return (weights * 2.0**53).long().cumsum(-1)


def _first(x: Tensor, edge: Tensor, count: Tensor) -> Tensor:
    """(R, C) bool: the `count` (R, 1) largest of each row of (R, C), the least of which is `edge` (R, 1)."""
    kept = x >= edge
    if x.device.type == "cpu" and torch.equal(kept.sum(-1, keepdim=True), count):  # a device should not be waited for
        return kept
    above = x > edge
    level = kept ^ above
    return above | (level & (level.cumsum(-1) <= count - above.sum(-1, keepdim=True)))
