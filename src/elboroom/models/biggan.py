"""BigGAN: a class-conditional GAN in which the class and a part of the noise reach every block of the generator.

Brock, Donahue & Simonyan 2019, Large scale GAN training for high fidelity natural image synthesis (arXiv 1809.11096).
The one idea: the hinge game of SAGAN grows if it is made wide and told enough:

    shared embedding    one embedding e(y) of the class, from which each batch norm takes its gain and bias linearly
    skip-z              z is cut into parts, and block i is told [e(y), z_i]
    projection          the critic's score has the term e'_y^T phi(x) (Miyato & Koyama 2018, 1802.05637)
    orthogonality       weights begin orthogonal, and 1e-4 || W W^T * (1 - I) ||^2 is added to the generator's loss
    truncation          samples of z with |z_i| at most a threshold are better and more alike (`--truncation`)

Data without classes give a generator that is told z_i alone, and a critic without the projection.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor, nn

from elboroom.core.batch import Batch
from elboroom.core.optim import Adam
from elboroom.core.phase import Logs, Phase
from elboroom.core.spec import Spec
from elboroom.losses.adversarial import hinge
from elboroom.losses.orthogonal import orthogonal_penalty
from elboroom.models._adversarial import Adversarial, AdversarialConfig, seen_shape
from elboroom.nn.spectral import SpectralConv2d, SpectralLinear, iterate_
from elboroom.nn.spectral_residual import SpectralCritic, SpectralGenerator, begin_

__all__ = ["BigGAN"]


class BigGAN(Adversarial):
    """The one with 70 million weights in its generator, and small ones."""

    @dataclass(frozen=True, kw_only=True)
    class Config(AdversarialConfig):
        """Defaults suit small images on a GPU, `tiny` a processor; the other presets are the published sizes."""

        latent: Annotated[int, Gt(0)] = 80
        """Width of z, the noise an example is made of; cut into one part for the start and one for each block."""
        shared: Annotated[int, Gt(0)] = 128
        """Width of the embedding of a class that all blocks share."""
        width: Annotated[int, Gt(0)] = 48
        """Channels of both nets at the size of the image, twice as many at each halving."""
        widest: Annotated[int, Gt(0)] = 4
        """The most that the channels grow by (16 in the paper)."""
        critic_smallest: Annotated[int, Gt(0)] = 4
        """Pixels on the shorter side where the critic stops halving; 8 is usual for 32 x 32."""
        attention: Literal["on", "off"] = "on"
        """Whether pixels look at each other, at half the image's size, as in SAGAN."""
        conditional: bool = True
        """Whether both nets are told the label, where the data have labels."""
        orthogonal: Annotated[float, Ge(0)] = 1e-4
        """Weight of the penalty on filters of the generator that point the same way (section 3.1)."""
        lr: Annotated[float, Gt(0)] = 5e-5
        """Step size of the generator's Adam."""
        critic_lr: Annotated[float, Gt(0)] = 2e-4
        """Step size of the critic's Adam."""
        beta2: Annotated[float, Ge(0), Lt(1)] = 0.999
        """Adam's memory of the squared gradient; that of the gradient is 0."""
        critic_steps: Annotated[int, Ge(1)] = 2
        """Steps of the critic to one of the generator, each on a batch of its own."""

    config: Config
    kinds = ("images",)
    epochs = 50
    presets = {
        "tiny": {
            "settings": {
                "latent": 64,
                "shared": 32,
                "width": 16,
                "attention": "off",
                "lr": 5e-4,
                "critic_lr": 1e-3,
                "beta2": 0.99,
                "critic_steps": 1,
                "batch_size": 64,
                "ema": 0.995,
            },
            "reading": {"scale": "symmetric"},
            "epochs": 1,
        },
        "cifar-32": {
            "settings": {
                "width": 384,
                "widest": 1,
                "critic_smallest": 8,
                "lr": 2e-4,
                "critic_lr": 2e-4,
                "critic_steps": 5,
                "ema": 0.9999,
            },
            "reading": {"scale": "symmetric", "size": (32, 32)},
            "epochs": 500,
        },
        "imagenet-128": {
            "settings": {"latent": 120, "width": 96, "widest": 16, "batch_size": 2048, "ema": 0.9999},
            "reading": {"scale": "symmetric", "size": (128, 128)},
            "epochs": 200,
        },
    }

    def __init__(self, config: Config, spec: Spec) -> None:
        classes = len(spec.classes) if config.conditional else 0
        attention = config.attention == "on"
        generator = SpectralGenerator(
            config.latent,
            spec.shape,
            width=config.width,
            widest=config.widest,
            classes=classes,
            shared=config.shared,
            attention=attention,
        )
        critic = SpectralCritic(
            seen_shape(spec, config.pack),
            width=config.width,
            widest=config.widest,
            classes=classes,
            smallest=config.critic_smallest,
            attention=attention,
        )
        for player in (generator, critic):
            begin_(player, nn.init.orthogonal_)
        super().__init__(config, spec, generator=generator, critic=critic)

    def critic_loss(self, batch: Batch, t: Tensor) -> tuple[Tensor, Logs]:
        """E relu(1 - D(x, y)) + E relu(1 + D(G(z, y), y))."""
        real, made = self.duel(batch)
        return hinge.critic(real, made), self.terms(real, made)

    def generator_loss(self, batch: Batch, t: Tensor) -> tuple[Tensor, Logs]:
        """-E D(G(z, y), y), and the penalty on all its weights but the embedding of the classes."""
        made = self.score(self.seen(self.make(batch), batch), self.label_of(batch))
        loss = hinge.generator(torch.zeros_like(made), made)
        if not self.config.orthogonal:
            return loss, {}
        layers = [m for m in self.generator.modules() if isinstance(m, SpectralConv2d | SpectralLinear)]
        overlap = orthogonal_penalty(layer.weight for layer in layers)
        return loss + self.config.orthogonal * overlap, {"overlap": overlap}

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
