"""Wasserstein network: a critic of bounded slope, whose scores measure how far apart data and made examples lie.

Arjovsky et al. 2017, Wasserstein GAN (1701.07875). The one idea: where the Jensen-Shannon divergence of two laws that
do not overlap is log 2 however far apart they lie, and gives no direction, the distance

    W(P, Q) = max over D with slope at most 1 of  E D(x) - E D(G(z))

goes to 0 as they meet. Of two ways to bound the slope, `clip` keeps every weight in [-c, c] (algorithm 1 there, which
bounds it by some number) and `penalty` adds E (|grad D| - 1)^2 at points on lines between real and made examples
(Gulrajani et al. 2017, 1704.00028), in a norm of choice (Adler & Lunz 2018, 1806.06621; see `losses/norms.py`). The
history's `estimate` is E D(x) - E D(G(z)).

Presets: `wgan-clip`, the first paper's settings; `gan_toy`, the nets of the second's points in the plane (its public
code: three layers of 512, penalty 0.1, batch 256).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor

from elboroom.core.batch import Batch
from elboroom.core.optim import Adam, RMSProp
from elboroom.core.phase import Logs, Phase
from elboroom.core.spec import Spec
from elboroom.losses.adversarial import between, lipschitz_penalty, wasserstein
from elboroom.losses.norms import dual_norm
from elboroom.models._adversarial import Adversarial, AdversarialConfig, seen_shape
from elboroom.nn.backbone import convolutional
from elboroom.nn.players import MLPCritic, MLPGenerator
from elboroom.nn.strided import ConvCritic, ConvGenerator

__all__ = ["WGAN"]


class WGAN(Adversarial):
    """Several steps of the critic, whose slope is bounded, for one of the generator."""

    @dataclass(frozen=True, kw_only=True)
    class Config(AdversarialConfig):
        """The settings of the gradient penalty; the preset wgan-clip has those of clipped weights."""

        lipschitz: Literal["penalty", "clip"] = "penalty"
        """How the critic's slope is bounded; clip goes with RMSProp, penalty with Adam, as in the papers."""
        critic_steps: Annotated[int, Gt(0)] = 5
        """Steps of the critic for one of the generator."""
        penalty: Annotated[float, Ge(0)] = 10.0
        """Weight of the gradient penalty."""
        norm: str = "l2"
        """What makes two examples far apart, and so bounds the slope: l2, lp:P or, for images, sobolev:S."""
        clip: Annotated[float, Gt(0)] = 0.01
        """Largest size of the critic's weights, for clip."""
        backbone: Literal["auto", "mlp", "conv"] = "auto"
        """Nets: convolutional for images of at least 16 x 16, fully connected otherwise."""
        hidden: tuple[Annotated[int, Gt(0)], ...] = (512, 512, 512)
        """Widths of the hidden layers of both fully connected nets."""
        width: Annotated[int, Gt(0)] = 32
        """Channels of both convolutional nets at half size, doubled with each halving."""
        lr: Annotated[float, Gt(0)] = 1e-4
        """Step size for both."""
        beta1: Annotated[float, Ge(0), Lt(1)] = 0.0
        """Adam's memory of the gradient, for penalty."""
        beta2: Annotated[float, Ge(0), Lt(1)] = 0.9
        """Adam's memory of its square, for penalty."""

    config: Config
    epochs = 100
    presets = {
        "wgan-clip": {"settings": {"lipschitz": "clip", "lr": 5e-5, "ema": 0.0}},
        "gan_toy": {
            "settings": {
                "latent": 2,
                "backbone": "mlp",
                "hidden": [512, 512, 512],
                "penalty": 0.1,
                "beta1": 0.5,
                "batch_size": 256,
                "ema": 0.0,
            },
        },
    }

    def __init__(self, config: Config, spec: Spec) -> None:
        shape = seen_shape(spec, config.pack)
        if convolutional(config.backbone, spec):
            super().__init__(
                config,
                spec,
                generator=ConvGenerator(config.latent, spec.shape, width=config.width),
                critic=ConvCritic(shape, width=config.width, norm="none"),
            )
        else:
            super().__init__(
                config,
                spec,
                generator=MLPGenerator(config.latent, config.hidden, spec.shape),
                critic=MLPCritic(shape, config.hidden),
            )
        self.length = dual_norm(config.norm, shape)

    def critic_loss(self, batch: Batch, t: Tensor) -> tuple[Tensor, Logs]:
        """E D(G(z)) - E D(x), no nats, and with `penalty` what slopes other than 1 cost."""
        if self.config.lipschitz == "clip":
            real, made = self.duel(batch)
            loss = wasserstein.critic(real, made)
            return loss, {**self.terms(real, made), "estimate": -loss.detach()}
        seen, made_seen = (self.packed(x) for x in self.views(batch))
        real, made = self.judged(torch.cat([seen, made_seen])).chunk(2)
        loss = wasserstein.critic(real, made)
        _, slope = self.slopes(between(seen, made_seen))
        penalty = lipschitz_penalty(slope, length=self.length)
        logs = {"estimate": -loss.detach(), "penalty": penalty.detach(), "slope": self.length(slope.detach()).mean()}
        return loss + self.config.penalty * penalty, {**self.terms(real, made), **logs}

    def generator_loss(self, batch: Batch, t: Tensor) -> tuple[Tensor, Logs]:
        """-E D(G(z))."""
        made = self.score(self.seen(self.make(batch), batch))
        return wasserstein.generator(torch.zeros_like(made), made), {}

    @torch.no_grad()
    def clip_(self) -> None:
        """The critic's weights within [-c, c]."""
        for p in self.critic.parameters():
            p.clamp_(-self.config.clip, self.config.clip)

    def phases(self) -> list[Phase]:
        """The critic at every step, the generator at every few."""
        c, clipped = self.config, self.config.lipschitz == "clip"
        rule = RMSProp(lr=c.lr) if clipped else Adam(lr=c.lr, beta1=c.beta1, beta2=c.beta2)
        after = self.clip_ if clipped else None
        return [
            Phase("critic", self.critic_loss, self.critic.parameters(), rule, after=after, watched=True),
            Phase(
                "generator",
                self.generator_loss,
                self.generator.parameters(),
                rule,
                every=c.critic_steps,
                after=self.follow_,
                watched=True,
            ),
        ]
