"""What the models of two players share: views, scores, labels, averages and abilities. A model file adds its losses.

z ~ N(0, I)                 what the generator is given
x = G(z)                    an example, made
D(x)                        the critic's score, the higher the more it takes x for one of the data

The critic sees examples on [-1, 1], `pack` of them at once (Lin et al. 2018, PacGAN, 1712.04086): a generator that
gives the same example twice is then caught. Missing cells are 0 with a mask beside, and made rows wear the masks of
the batch (Li et al. 2019, MisGAN, 1902.09599).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor, nn

from elboroom.core.abilities import Draws, Judges, Samples
from elboroom.core.batch import Batch
from elboroom.core.errors import InputError
from elboroom.core.model import Model
from elboroom.core.phase import Logs
from elboroom.core.spec import Spec
from elboroom.losses.adversarial import scores_and_gradients
from elboroom.nn.augment import augmentation
from elboroom.nn.averaging import Averaged
from elboroom.nn.conditional import labels_by
from elboroom.nn.inputs import Inputs
from elboroom.nn.span import Span

__all__ = ["Adversarial", "AdversarialConfig", "seen_shape"]


@dataclass(frozen=True, kw_only=True)
class AdversarialConfig:
    """The settings every model of two players has."""

    latent: Annotated[int, Gt(0)] = 64
    """Width of z, the noise an example is made of."""
    pack: Annotated[int, Ge(1)] = 1
    """Examples that the critic sees at once; 2 to 4 work against collapse (Lin et al. 2018)."""
    ema: Annotated[float, Ge(0), Lt(1)] = 0.999
    """Decay, a step, of the averaged generator, which is the one that samples; 0 takes the last weights."""
    augment: Literal["none", "flip", "diff"] = "none"
    """What the critic sees of an image, real or made: itself; half of them mirrored; or that with brightness,
    saturation, contrast, place and a hole at random, for sets of few images (Zhao et al. 2020, DiffAugment)."""
    batch_size: Annotated[int, Gt(0)] = 64
    """Examples a step, over all processes."""


def seen_shape(spec: Spec, pack: int) -> tuple[int, ...]:
    """The shape of what the critic sees at once, without the batch axis."""
    first, *rest = Inputs(spec).shape
    return (pack * first, *rest)


class Adversarial(Model, Samples, Draws, Judges):
    """Generator, critic and the generator's running average. Both are called with (input, label or None)."""

    joint: ClassVar[bool] = True
    """Whether the critic is given real and made examples in one batch; not where its norms would mix them."""
    config: AdversarialConfig
    class_shares: Tensor
    batches: Tensor

    def __init__(self, config: AdversarialConfig, spec: Spec, *, generator: nn.Module, critic: nn.Module) -> None:
        super().__init__(config, spec)
        if config.batch_size % config.pack:
            raise InputError(
                f"--batch-size {config.batch_size} --pack {config.pack}: the critic sees {config.pack} examples at "
                f"once; give a batch size that {config.pack} divides"
            )
        self.span, self.inputs = Span(spec), Inputs(spec)
        if spec.kind != "images":
            self.precision = "fp32"  # bf16 tells values apart by 1 in 256, and modes can be narrower than that
        self.noise, self.classes = config.latent, getattr(generator, "classes", 0)
        if self.classes and config.pack > 1:
            raise InputError(f"--pack {config.pack}: examples of different classes cannot be judged as one; use 1")
        self.generator, self.critic = generator, critic
        self.averaged = Averaged(generator, config.ema)
        self.augment = augmentation(config.augment, spec)
        self.register_buffer("class_shares", torch.full((self.classes,), 1 / max(self.classes, 1)))
        self.register_buffer("batches", torch.zeros(()))

    # what the two players see

    def make(self, batch: Batch) -> Tensor:
        """As many examples as the batch has, by the generator in training, of its labels where there are classes."""
        z = torch.randn(len(batch), self.noise, device=batch.x.device, dtype=self.batches.dtype)
        made: Tensor = self.span(self.generator(z, self.label_of(batch)))
        return made.to(batch.x.dtype)

    def seen(self, x: Tensor, batch: Batch) -> Tensor:
        """x (batch, *shape) as the critic sees it, one example at a time: centred, with the batch's masks.

        In training with a change of its own where `augment` asks for one; the gradient goes through it.
        """
        x = self.augment(self.span.centred(x))
        x = x if batch.observed is None else x * batch.observed
        view: Tensor = self.inputs(Batch(x, observed=batch.observed))
        return view

    def packed(self, seen: Tensor) -> Tensor:
        """What is seen (n, ...), as many at once as the critic sees: (n / pack, ...), channels side by side."""
        pack = self.config.pack
        if pack == 1:
            return seen
        if seen.shape[0] % pack:  # of a last short batch: some rows twice
            full = -(-seen.shape[0] // pack) * pack
            seen = seen.index_select(0, torch.arange(full, device=seen.device) % seen.shape[0])
        return seen.reshape(-1, pack * seen.shape[1], *seen.shape[2:])

    def judged(self, packed: Tensor, label: Tensor | None = None) -> Tensor:
        """The critic's scores of what it sees at once, in float32."""
        scores: Tensor = self.critic(packed, label)
        return scores.to(torch.promote_types(scores.dtype, torch.float32))

    def score(self, seen: Tensor, label: Tensor | None = None) -> Tensor:
        """Scores (n,) of what is seen (n, ...), or (n / pack,)."""
        return self.judged(self.packed(seen), label)

    def label_of(self, batch: Batch) -> Tensor | None:
        """The labels that both players are told; None where they are told of no classes."""
        return batch.label if self.classes else None

    # scores for the losses

    def views(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """What the critic sees of the batch, and of as many made examples: no gradient reaches the generator."""
        with torch.no_grad():
            made = self.seen(self.make(batch), batch)
        self.count_(self.label_of(batch))
        return self.seen(batch.x, batch), made

    def duel(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Their scores, for the critic."""
        label = self.label_of(batch)
        real, made = (self.packed(x) for x in self.views(batch))
        if not self.joint:
            return self.judged(real, label), self.judged(made, label)
        both = None if label is None else torch.cat([label, label])
        real_scores, made_scores = self.judged(torch.cat([real, made]), both).chunk(2)
        return real_scores, made_scores

    def bout(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The same for the generator, whose examples they are: the gradient goes through them."""
        label = self.label_of(batch)
        made = self.seen(self.make(batch), batch)
        return self.score(self.seen(batch.x, batch), label), self.score(made, label)

    def slopes(self, packed: Tensor, label: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Scores (n,) of what the critic sees at once, and the gradient of each at its own place (n, ...), in float32.

        For critics that mix no examples.
        """
        scores, gradient = scores_and_gradients(lambda x: self.judged(x, label), packed)
        return scores, gradient.to(scores.dtype)

    def terms(self, real: Tensor, made: Tensor) -> Logs:
        """What the history shows of the scores: their means, and how often a real example has the higher one."""
        with torch.no_grad():
            ranked = (real > made).to(real.dtype) + (real == made).to(real.dtype) / 2
            return {"score_real": real.mean(), "score_made": made.mean(), "ranked": ranked.mean()}

    # after a step

    @torch.no_grad()
    def count_(self, label: Tensor | None) -> None:
        """Shares of the classes in the data, over all batches so far: `sample` draws its labels by them."""
        if label is None or not self.training:
            return
        here = (label[:, None] == torch.arange(self.classes, device=label.device)).to(self.class_shares.dtype).mean(0)
        self.batches.add_(1)
        self.class_shares.add_((here - self.class_shares) / self.batches)

    def follow_(self) -> None:
        """The average follows the generator."""
        self.averaged.follow_(self.generator)

    # abilities

    def draw(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """By the averaged generator."""
        made: Tensor = self.span(self.averaged(z.to(self.batches.dtype), label))
        return made

    def judge(self, batch: Batch) -> Tensor:
        """Scores; with `pack` above 1 those of the example with its neighbours in the batch."""
        scores = self.score(self.seen(batch.x, batch), self.label_of(batch))
        return scores.repeat_interleave(self.config.pack)[: len(batch)]

    def sample(self, n: int, *, temperature: float = 1.0, mean: bool = False) -> Tensor:
        """temperature * z with z from N(0, I), through the averaged generator, which adds no noise to be left out."""
        z = temperature * torch.randn(n, self.noise, device=self.batches.device)
        if not self.classes:
            return self.draw(z)
        return self.draw(z, labels_by(self.class_shares, n))
