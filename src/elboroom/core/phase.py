"""A phase: one loss, the parameters it may touch, the optimiser that touches them, and when.

Alternation is a list of phases, not control flow: a GAN returns two, a WGAN a critic and a generator with `every=5`,
a VQ-VAE an autoencoder in the window (0, 0.7) and its prior in (0.7, 1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from torch import Tensor
from torch.nn import Parameter

from .batch import Batch
from .optim import Optimizer

__all__ = ["Logs", "Phase"]

Logs = dict[str, Tensor]


@dataclass
class Phase:
    """The only thing a model and the engine share.

    `loss(batch, t)` gives a 0-dim loss (nats per example where the model has a likelihood) and named 0-dim terms;
    `t` is a 0-dim tensor, progress through the run in [0, 1). Gradients are taken of `params` only. `every` and
    `window` belong to the engine: the phase runs at steps that `every` divides, inside its window of progress.
    `after()` is what follows the step without a gradient, in place (weight clipping, averaged weights).
    """

    name: str
    loss: Callable[[Batch, Tensor], tuple[Tensor, Logs]]
    params: Iterable[Parameter]
    optimizer: Optimizer
    every: int = 1
    window: tuple[float, float] = (0.0, 1.0)
    after: Callable[[], None] | None = None
    watched: bool = False
    """Whether the norm of the gradient is logged, before any clipping, as gradient_norm."""

    def __post_init__(self) -> None:
        self.params = list(self.params)

    @property
    def always(self) -> bool:
        """Whether the phase runs at every step."""
        return self.every == 1 and self.window[0] <= 0.0 and self.window[1] >= 1.0

    def due(self, step: int, steps: int) -> bool:
        """Whether the phase runs at `step` of `steps`; steps past the plan belong to the last window."""
        progress = min(step, steps - 1) / steps
        return step % self.every == 0 and self.window[0] <= progress < self.window[1]
