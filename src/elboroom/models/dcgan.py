"""Deep convolutional adversarial network: the plain game with convolutional nets that made it train on images.

Radford et al. 2016, Unsupervised representation learning with deep convolutional generative adversarial networks
(1511.06434). The one idea: strided convolutions in place of pooling, batch norms in both nets, and a short memory of
Adam; losses are those of the plain game (`gan`), non-saturating. The critic sees real and made images in batches of
their own, for its norms would otherwise tell it of which kind the batch is made.

Presets: `pacdcgan2`, PacGAN's nets for stacked MNIST (Lin et al. 2018, 1712.04086): two images at once, the generator
moved at every step and the critic at every second one, 100,000 steps of the critic. Its noise is uniform there and
normal here. `unrolled-quarter` and `unrolled-half`, the tiny nets of Metz et al. 2017 (1611.02163) for the same
set, which drop most of its modes: the critic has a quarter, or half, of the generator's channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor

from elboroom.core.batch import Batch
from elboroom.core.optim import Adam
from elboroom.core.phase import Logs, Phase
from elboroom.core.spec import Spec
from elboroom.losses.adversarial import non_saturating
from elboroom.models._adversarial import Adversarial, AdversarialConfig, seen_shape
from elboroom.nn.strided import ConvCritic, ConvGenerator

__all__ = ["DCGAN"]


class DCGAN(Adversarial):
    """The plain game, played by convolutional nets."""

    @dataclass(frozen=True, kw_only=True)
    class Config(AdversarialConfig):
        """The paper's settings, and nets half as wide as usual, for a processor."""

        latent: Annotated[int, Gt(0)] = 100
        """Width of z, the noise an image is made of."""
        width: Annotated[int, Gt(0)] = 32
        """The generator's channels before its last layer, doubled with each halving of the image; 128 in the paper's
        figure 1, 64 in PacGAN's nets."""
        critic_width: Annotated[int, Gt(0)] = 32
        """The critic's channels after its first layer, likewise."""
        kernel: Annotated[int, Gt(0)] = 5
        """Side of the convolutions, odd, pixels."""
        refined: bool = False
        """Whether the generator ends in a further convolution at full size."""
        conditional: bool = False
        """Whether both nets are told the label, where the data have labels."""
        lr: Annotated[float, Gt(0)] = 2e-4
        """Step size of Adam for the generator."""
        critic_lr: Annotated[float, Gt(0)] = 2e-4
        """Step size of Adam for the critic."""
        beta1: Annotated[float, Ge(0), Lt(1)] = 0.5
        """Adam's memory of the gradient (0.9 was found unstable)."""
        beta2: Annotated[float, Ge(0), Lt(1)] = 0.999
        """Adam's memory of its square."""
        critic_every: Annotated[int, Gt(0)] = 1
        """Steps of the generator for one of the critic."""

    config: Config
    kinds = ("images",)
    epochs = 25
    joint = False
    presets = {
        "pacdcgan2": {
            "settings": {"width": 64, "critic_width": 64, "pack": 2, "batch_size": 64, "critic_every": 2, "ema": 0.0},
            "epochs": 100,
        },
        "unrolled-quarter": {
            "settings": {
                "latent": 256,
                "width": 8,
                "critic_width": 2,
                "kernel": 3,
                "refined": True,
                "lr": 1e-4,
                "critic_lr": 2e-4,
                "beta2": 0.99,
                "batch_size": 128,
                "ema": 0.0,
            },
        },
        "unrolled-half": {
            "settings": {
                "latent": 256,
                "width": 8,
                "critic_width": 4,
                "kernel": 3,
                "refined": True,
                "lr": 1e-4,
                "critic_lr": 2e-4,
                "beta2": 0.99,
                "batch_size": 128,
                "ema": 0.0,
            },
        },
    }

    def __init__(self, config: Config, spec: Spec) -> None:
        classes = len(spec.classes) if config.conditional else 0
        generator = ConvGenerator(
            config.latent,
            spec.shape,
            width=config.width,
            kernel=config.kernel,
            refined=config.refined,
            classes=classes,
        )
        critic = ConvCritic(
            seen_shape(spec, config.pack), width=config.critic_width, kernel=config.kernel, classes=classes
        )
        super().__init__(config, spec, generator=generator, critic=critic)

    def critic_loss(self, batch: Batch, t: Tensor) -> tuple[Tensor, Logs]:
        """-E log sigmoid(D(x)) - E log(1 - sigmoid(D(G(z)))), nats."""
        real, made = self.duel(batch)
        return non_saturating.critic(real, made), self.terms(real, made)

    def generator_loss(self, batch: Batch, t: Tensor) -> tuple[Tensor, Logs]:
        """-E log sigmoid(D(G(z))), nats."""
        made = self.score(self.seen(self.make(batch), batch), self.label_of(batch))
        return non_saturating.generator(torch.zeros_like(made), made), {}

    def phases(self) -> list[Phase]:
        """The critic, then the generator, on the same batch."""
        c = self.config
        critic = Adam(lr=c.critic_lr, beta1=c.beta1, beta2=c.beta2)
        adam = Adam(lr=c.lr, beta1=c.beta1, beta2=c.beta2)
        return [
            Phase("critic", self.critic_loss, self.critic.parameters(), critic, every=c.critic_every, watched=True),
            Phase(
                "generator", self.generator_loss, self.generator.parameters(), adam, after=self.follow_, watched=True
            ),
        ]
