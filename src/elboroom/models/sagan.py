"""Self-attention GAN: residual nets in which every pixel can look at every other one.

Zhang et al. 2019, Self-attention generative adversarial networks (arXiv 1805.08318). The one idea: one layer of
attention in each player (nn/pixel_attention.py), so that far parts of an image can agree. What makes it train: spectral
norms in the generator as in the critic, and two step sizes, the critic's the larger one (Heusel et al. 2017,
1706.08500), in place of several critic steps. Both play for the hinge,

    critic     E relu(1 - D(x, y)) + E relu(1 + D(G(z, y), y))        generator     -E D(G(z, y), y).

Where the data have classes y, the generator's batch norms and the critic's score depend on them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor, nn

from elboroom.core.abilities import Looks
from elboroom.core.batch import Batch
from elboroom.core.errors import Unable
from elboroom.core.optim import Adam
from elboroom.core.phase import Logs, Phase
from elboroom.core.spec import Spec
from elboroom.losses.adversarial import hinge
from elboroom.models._adversarial import Adversarial, AdversarialConfig, seen_shape
from elboroom.nn.spectral import iterate_
from elboroom.nn.spectral_residual import SpectralCritic, SpectralGenerator, begin_

__all__ = ["SAGAN"]


class SAGAN(Adversarial, Looks):
    """Its maps of attention can be looked at."""

    @dataclass(frozen=True, kw_only=True)
    class Config(AdversarialConfig):
        """Defaults suit small images; the preset is the paper's net. Without classes in the data it knows none."""

        latent: Annotated[int, Gt(0)] = 128
        """Width of z, the noise an example is made of."""
        width: Annotated[int, Gt(0)] = 32
        """Channels of both nets at the size of the image, twice as many at each halving."""
        widest: Annotated[int, Gt(0)] = 4
        """The most that the channels grow by (16 in the paper)."""
        attention: Literal["on", "off"] = "on"
        """Whether pixels look at each other, at half the image's size; off leaves all else equal."""
        conditional: bool = True
        """Whether both nets are told the label, where the data have labels."""
        lr: Annotated[float, Gt(0)] = 1e-4
        """Step size of the generator's Adam."""
        critic_lr: Annotated[float, Gt(0)] = 4e-4
        """Step size of the critic's Adam."""
        beta2: Annotated[float, Ge(0), Lt(1)] = 0.9
        """Adam's memory of the squared gradient; that of the gradient is 0."""
        critic_steps: Annotated[int, Ge(1)] = 1
        """Steps of the critic to one of the generator, each on a batch of its own."""

    config: Config
    kinds = ("images",)
    epochs = 50
    presets = {
        "imagenet-128": {
            "settings": {"width": 64, "widest": 16, "batch_size": 256, "ema": 0.9999},
            "reading": {"scale": "symmetric", "size": (128, 128)},
        },
    }

    def __init__(self, config: Config, spec: Spec) -> None:
        classes = len(spec.classes) if config.conditional else 0
        attention = config.attention == "on"
        generator = SpectralGenerator(
            config.latent, spec.shape, width=config.width, widest=config.widest, classes=classes, attention=attention
        )
        critic = SpectralCritic(
            seen_shape(spec, config.pack),
            width=config.width,
            widest=config.widest,
            classes=classes,
            attention=attention,
        )
        for player in (generator, critic):
            begin_(player, nn.init.xavier_uniform_)
        super().__init__(config, spec, generator=generator, critic=critic)

    def critic_loss(self, batch: Batch, t: Tensor) -> tuple[Tensor, Logs]:
        """The hinge."""
        real, made = self.duel(batch)
        return hinge.critic(real, made), self.terms(real, made)

    def generator_loss(self, batch: Batch, t: Tensor) -> tuple[Tensor, Logs]:
        """-E D(G(z, y), y)."""
        made = self.score(self.seen(self.make(batch), batch), self.label_of(batch))
        return hinge.generator(torch.zeros_like(made), made), {}

    def after_critic_(self) -> None:
        """One power iteration of the critic's singular values."""
        iterate_(self.critic)

    def after_generator_(self) -> None:
        """The same of the generator's, and the average follows."""
        iterate_(self.generator)
        self.follow_()

    def phases(self) -> list[Phase]:
        """The critic at every step, the generator at every `critic_steps`th."""
        fast = Adam(lr=self.config.critic_lr, beta1=0.0, beta2=self.config.beta2)
        slow = Adam(lr=self.config.lr, beta1=0.0, beta2=self.config.beta2)
        critic, generator = self.critic.parameters(), self.generator.parameters()
        return [
            Phase("critic", self.critic_loss, critic, fast, after=self.after_critic_, watched=True),
            Phase(
                "generator",
                self.generator_loss,
                generator,
                slow,
                every=self.config.critic_steps,
                after=self.after_generator_,
                watched=True,
            ),
        ]

    def look(self, z: Tensor, label: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Of the averaged generator."""
        generator = self.averaged.network
        assert isinstance(generator, SpectralGenerator)
        if generator.attention is None:
            raise Unable("this run was made with --attention off, so its pixels look at nothing; fit it with on")
        h, _ = generator.halfway(z.to(self.batches.dtype), label)
        return self.draw(z, label), generator.attention.maps(h)
