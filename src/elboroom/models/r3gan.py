"""The network to start from: each made example is compared with a real one, and slopes are kept small at both.

Huang et al. 2024, The GAN is dead; long live the GAN! A modern baseline GAN (2501.05441). The one idea: with a loss
that looks at pairs (Jolicoeur-Martineau 2019, 1807.00734) and zero-centred penalties on the slope of the score, both at
real examples (R1) and at made ones (R2),

    critic      E softplus(D(G(z)) - D(x)) + gamma / 2 (E |grad D(x)|^2 + E |grad D(G(z))|^2)
    generator   E softplus(D(x) - D(G(z)))

the game converges locally and drops no modes, and a plain residual net without normalisation is enough. Both penalties
are taken at every step: taken now and then, training failed in the paper (its appendix E) on mixtures in the plane.

As there, step size and gamma begin high and fall along half a cosine during a burn-in. Adam's memory of the squared
gradient, which grows from 0.9 to 0.99 there, stays at its last value here. Nets: for images the residual ones of
`nn/residual.py`, far smaller than the paper's; for tables and points in the plane fully connected. The preset `plane`,
for mixtures of two columns, has smaller ones and a larger step size, found by trial.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Gt, Le, Lt
from torch import Tensor

from elboroom.core.batch import Batch
from elboroom.core.errors import InputError
from elboroom.core.optim import Adam
from elboroom.core.phase import Logs, Phase
from elboroom.core.spec import Spec
from elboroom.losses.adversarial import relativistic, zero_centred_penalty
from elboroom.losses.norms import euclidean
from elboroom.models._adversarial import Adversarial, AdversarialConfig, seen_shape
from elboroom.nn.players import MLPCritic, MLPGenerator
from elboroom.nn.residual import ResidualCritic, ResidualGenerator

__all__ = ["R3GAN"]


class R3GAN(Adversarial):
    """Relativistic pairs, R1 and R2."""

    @dataclass(frozen=True, kw_only=True)
    class Config(AdversarialConfig):
        """Defaults suit small images, tables and points in the plane on a processor."""

        gamma: Annotated[float, Ge(0)] = 1.0
        """Weight of half of R1 + R2 in the beginning; more for larger images."""
        gamma_end: Annotated[float, Ge(0)] = 0.1
        """The same after the burn-in."""
        burn_in: Annotated[float, Ge(0), Le(1)] = 0.5
        """Share of the run in which gamma and the step size fall to their ends."""
        backbone: Literal["auto", "mlp", "conv"] = "auto"
        """Nets: residual convolutions for images, fully connected otherwise."""
        hidden: tuple[Annotated[int, Gt(0)], ...] = (256, 256, 256)
        """Widths of the hidden layers of both fully connected nets."""
        width: Annotated[int, Gt(0)] = 16
        """Channels of both residual nets at full size, doubled with each halving up to four times as many."""
        depth: Annotated[int, Gt(0)] = 1
        """Residual blocks a size; 2 in the paper."""
        conditional: bool = False
        """Whether both residual nets are told the label, where the data have labels."""
        lr: Annotated[float, Gt(0)] = 5e-4
        """Step size of Adam for both in the beginning."""
        lr_end: Annotated[float, Gt(0)] = 5e-5
        """The same after the burn-in."""
        beta2: Annotated[float, Ge(0), Lt(1)] = 0.99
        """Adam's memory of the squared gradient; it has none of the gradient."""

    config: Config
    epochs = 50
    presets = {
        "plane": {
            "settings": {"latent": 2, "hidden": [128, 128, 128], "lr": 2e-3, "lr_end": 1e-4, "batch_size": 256},
            "steps": 6000,
        },
    }

    def __init__(self, config: Config, spec: Spec) -> None:
        seen = seen_shape(spec, config.pack)
        classes = len(spec.classes) if config.conditional else 0
        if config.backbone == "conv" and spec.kind != "images":
            raise InputError(f"--backbone conv is for images, and these data are a {spec.kind}; use mlp or auto")
        if spec.kind == "images" and config.backbone != "mlp":
            size = {"width": config.width, "depth": config.depth, "classes": classes}
            generator = ResidualGenerator(config.latent, spec.shape, **size)
            critic = ResidualCritic(seen, **size)
            super().__init__(config, spec, generator=generator, critic=critic)
            return
        if classes:
            raise InputError("--conditional: only the residual nets for images are told labels; leave it out")
        super().__init__(
            config,
            spec,
            generator=MLPGenerator(config.latent, config.hidden, spec.shape),
            critic=MLPCritic(seen, config.hidden),
        )

    def fallen(self, t: Tensor, first: float, last: float) -> Tensor:
        """From `first` down to `last` along half a cosine during the burn-in, and `last` after it."""
        part = (t / max(self.config.burn_in, 1e-9)).clamp(max=1)
        return last + (first - last) * 0.5 * (1 + torch.cos(math.pi * part))

    def critic_loss(self, batch: Batch, t: Tensor) -> tuple[Tensor, Logs]:
        """Pairs in nats, and both penalties, from one call of the critic."""
        label = self.label_of(batch)
        both = torch.cat([self.packed(x) for x in self.views(batch)])
        scores, slopes = self.slopes(both, None if label is None else torch.cat([label, label]))
        (real, made), (at_real, at_made) = scores.chunk(2), slopes.chunk(2)
        penalty = zero_centred_penalty(at_real) + zero_centred_penalty(at_made)
        gamma = self.fallen(t, self.config.gamma, self.config.gamma_end)
        logs = {
            "slope_real": euclidean(at_real.detach()).mean(),
            "slope_made": euclidean(at_made.detach()).mean(),
            "penalty": penalty.detach(),
        }
        return relativistic.critic(real, made) + gamma / 2 * penalty, {**self.terms(real, made), **logs}

    def generator_loss(self, batch: Batch, t: Tensor) -> tuple[Tensor, Logs]:
        """Pairs the other way round, nats."""
        return relativistic.generator(*self.bout(batch)), {}

    def phases(self) -> list[Phase]:
        """The critic, then the generator, on the same batch."""
        c = self.config
        adam = Adam(lr=c.lr, beta1=0.0, beta2=c.beta2, schedule=lambda t: self.fallen(t, 1.0, c.lr_end / c.lr))
        return [
            Phase("critic", self.critic_loss, self.critic.parameters(), adam, watched=True),
            Phase(
                "generator", self.generator_loss, self.generator.parameters(), adam, after=self.follow_, watched=True
            ),
        ]
