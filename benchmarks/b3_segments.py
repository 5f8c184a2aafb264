"""B3: two parallel segments at a distance d, and what two critics say of it: Wasserstein's d, Jensen-Shannon's log 2.

Arjovsky et al. 2017 (1701.07875), example 1: x = 0 and x = d in the plane, y uniform on [0, 1]. The generator stands
still; the critic alone is trained between the two fixed sets. The gradient penalty is soft: a critic of slope s gains
s d and pays lambda (s - 1)^2, so its estimate is d (1 + d / (2 lambda)); lambda is 40 here. The plain game's critic
gives the Jensen-Shannon divergence as log 2 minus half its loss (Goodfellow et al. 2014, theorem 1).
"""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.recipe import Options, round_off
from benchmarks.record import Result
from elboroom.core.optim import Adam, warmup_cosine
from elboroom.losses.adversarial import (
    between,
    lipschitz_penalty,
    non_saturating,
    scores_and_gradients,
    wasserstein,
)
from elboroom.nn.players import MLPCritic

__all__ = ["jensen_shannon", "run", "wasserstein_estimate"]

NAME = "b3_segments"
DISTANCES = (0.1, 0.2, 0.5, 1.0, 2.0)
SEEDS = (0, 1, 2)
STEPS, BATCH, LAMBDA = 2000, 128, 40.0
PROTOCOL = (
    f"a critic of three hidden layers of 64, {STEPS} steps of Adam (1e-3 along half a cosine to 0, beta 0 and 0.9), "
    f"batches of {BATCH} points of each segment, seeds {SEEDS}; then the estimate on 1,000 even places of each"
)


def run(options: Options) -> Result:
    result = options.begin(NAME, __doc__.splitlines()[0], PROTOCOL, "one distance, one seed, 200 steps")
    result.data = {"name": "two segments in the plane", "distances": list(DISTANCES)}
    steps, seeds = (200, SEEDS[:1]) if options.short else (STEPS, SEEDS)
    torch.set_num_threads(options.threads)
    for d in DISTANCES[-2:-1] if options.short else DISTANCES:
        found = [wasserstein_estimate(d, seed, steps) for seed in seeds]
        worst = max(found, key=lambda w: abs(w / d - 1))
        how = f"the worst of {len(found)} seeds; all: {', '.join(f'{w:.4f}' for w in found)}"
        result.add(f"Wasserstein estimate / d, d = {d:g}", round_off(worst / d), "x", "1.00 +- 0.05", how=how)
        lost = [jensen_shannon(d, seed, steps) / math.log(2) for seed in seeds]
        how = f"mean of {len(lost)} seeds; 1 says that no distance is seen"
        result.add(f"Jensen-Shannon estimate / log 2, d = {d:g}", round_off(statistics.mean(lost)), "x", how=how)
        print(f"d = {d:g} done", file=sys.stderr)
    result.commands = [f"python -m benchmarks {NAME}"]
    return result


def wasserstein_estimate(d: float, seed: int, steps: int) -> float:
    """E D(x) - E D(y) of a critic trained with the gradient penalty."""

    def loss(critic: MLPCritic, real: Tensor, made: Tensor) -> Tensor:
        _, slope = scores_and_gradients(critic, between(real, made))
        return wasserstein.critic(critic(real), critic(made)) + LAMBDA * lipschitz_penalty(slope)

    critic = trained(loss, d, seed, steps)
    real, made = segments(d, torch.linspace(0, 1, 1000), torch.linspace(0, 1, 1000))
    with torch.no_grad():
        return -float(wasserstein.critic(critic(real), critic(made)))


def jensen_shannon(d: float, seed: int, steps: int) -> float:
    """Nats, by the critic of the plain game."""
    critic = trained(lambda c, real, made: non_saturating.critic(c(real), c(made)), d, seed, steps)
    real, made = segments(d, torch.linspace(0, 1, 1000), torch.linspace(0, 1, 1000))
    with torch.no_grad():
        return math.log(2) - float(non_saturating.critic(critic(real), critic(made))) / 2


def trained(loss: Callable[[MLPCritic, Tensor, Tensor], Tensor], d: float, seed: int, steps: int) -> MLPCritic:
    """A critic of the segments after so many steps."""
    torch.manual_seed(seed)
    critic = MLPCritic((2,), (64, 64, 64))
    params = [p.detach() for p in critic.parameters()]
    adam = Adam(lr=1e-3, beta1=0.0, beta2=0.9, schedule=warmup_cosine(0.0, 0.0))
    slots, ok = adam.init(params), torch.tensor(True)
    for step in range(steps):
        value = loss(critic, *segments(d, torch.rand(BATCH), torch.rand(BATCH)))
        grads = torch.autograd.grad(value, list(critic.parameters()), materialize_grads=True)
        adam.fused_(params, list(grads), slots, torch.tensor(step / steps), ok)
    return critic


def segments(d: float, y: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Points (n, 2) of the segment at d, taken as real, and of that at 0."""
    return torch.stack([torch.full_like(y, d), y], 1), torch.stack([torch.zeros_like(other), other], 1)
