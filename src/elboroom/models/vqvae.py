"""VQ-VAE: an autoencoder whose code is a grid of whole numbers, and a transformer that learns their law.

van den Oord, Vinyals & Kavukcuoglu 2017, Neural Discrete Representation Learning (arXiv 1711.00937). The one idea: each
place of the encoder's output is replaced by the nearest of K codes, and the decoder's gradient goes straight through;

    distortion + commitment = -log p(x given codes) + beta sum over places |z - sg(code)|^2      (equation 3, nats).

For the last part of the run the codes stand still and a causal transformer is fitted to them, place by place. So new
examples can be drawn, and codes are as good as any text: -log p(x) <= -log p(codes) - log p(x given codes).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor

from elboroom.core.abilities import Bounds, Decodes, Encodes, Outcome, Quantizes, Samples
from elboroom.core.batch import Batch
from elboroom.core.model import Model
from elboroom.core.optim import Adam, warmup_cosine
from elboroom.core.phase import Logs, Phase
from elboroom.core.spec import Spec
from elboroom.losses.elbo import bits_per_dim, values_per_example
from elboroom.losses.sequence import next_token_loss
from elboroom.models.gpt import GPT
from elboroom.nn.backbone import convolutional
from elboroom.nn.grid import conv_pair, mlp_pair
from elboroom.nn.head import full_precision
from elboroom.nn.inputs import Inputs
from elboroom.nn.likelihood import head_for
from elboroom.nn.linear import linear
from elboroom.nn.posterior import Point
from elboroom.nn.quantize import Codebook, Quantizer, Scalars, batch_perplexity
from elboroom.nn.sampling import draw
from elboroom.nn.transformer import Where

__all__ = ["VQVAE"]

PRIOR_FROM = 0.7
"""Share of the run after which the codes stand still and their law is fitted."""


class VQVAE(Model, Samples, Encodes, Decodes, Bounds, Quantizes):
    """Encoder, quantiser, decoder, head; and the prior of the codes."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Defaults suit images of 28 x 28 on a laptop."""

        backbone: Literal["auto", "mlp", "conv"] = "auto"
        """Networks: fully connected, convolutional, or by the data (convolutions for images of 16 pixels or more)."""
        quantizer: Literal["codebook", "scalars"] = "codebook"
        """codebook: nearest of K vectors; scalars: each number rounded to one of a few levels (Mentzer et al. 2024)."""
        codes: Annotated[int, Gt(1)] = 512
        """K, the entries of the codebook."""
        code_width: Annotated[int, Gt(0)] = 16
        """Numbers of an entry."""
        levels: tuple[Annotated[int, Gt(1)], ...] = (8, 5, 5, 5)
        """Of scalars: levels of each number; their product is K."""
        places: Annotated[int, Gt(0)] = 8
        """Codes that stand for an example, with fully connected networks; convolutions have one each 4 x 4 pixels."""
        width: Annotated[int, Gt(3)] = 64
        """Channels of the convolutions, or a quarter of the units of fully connected layers."""
        blocks: Annotated[int, Ge(0)] = 2
        """Residual blocks on each side of the code."""
        commitment: Annotated[float, Ge(0)] = 0.25
        """beta: weight of the squared distance of z from its code."""
        decay: Annotated[float, Ge(0), Lt(1)] = 0.99
        """Decay of the running means that the codes are; 0 makes them parameters, pulled by the same distance."""
        likelihood: Literal["auto", "bernoulli", "categorical", "logistic", "gaussian", "poisson",
                            "negative_binomial", "mixed"] = "auto"  # fmt: skip
        """Law of x given its codes; auto decides by grey levels, kinds of columns and range."""
        lr: Annotated[float, Gt(0)] = 1e-3
        """Step size of Adam for the autoencoder."""
        prior_layers: Annotated[int, Gt(0)] = 4
        """Blocks of the transformer over codes."""
        prior_width: Annotated[int, Gt(0)] = 128
        """Its width, a multiple of 64."""
        prior_lr: Annotated[float, Gt(0)] = 2e-3
        """Its largest step size: warmed up, then a cosine down to a tenth."""
        batch_size: Annotated[int, Gt(0)] = 64
        """Examples a step, over all processes."""

    config: Config

    def __init__(self, config: Config, spec: Spec) -> None:
        super().__init__(config, spec)
        self.inputs, self.head = Inputs(spec), head_for(config.likelihood, spec)
        self.quantizer: Quantizer = Scalars(config.levels)
        if config.quantizer == "codebook":
            self.quantizer = Codebook(config.codes, config.code_width, commitment=config.commitment, decay=config.decay)
        self.codes, wide = self.quantizer.codes, self.quantizer.width
        if convolutional(config.backbone, spec):
            self.encoder, self.decoder, self.places = conv_pair(
                self.inputs.shape, self.head.features, config.width, config.blocks, wide
            )
        else:
            self.places = config.places
            self.encoder, self.decoder = mlp_pair(
                self.inputs.shape, self.head.features, 4 * config.width, self.places, wide
            )
        self.code_size = self.places * wide
        text = Spec(kind="text", shape=(self.places,), scale="tokens", levels=self.codes + 1)
        net = GPT.Config(layers=config.prior_layers, width=config.prior_width, heads=max(1, config.prior_width // 64))
        self.prior = GPT(net, text)

    # codes and examples

    def quantized(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """z and its codes' vectors (batch, places, D), numbers (batch, places), the sum of the pulls (batch,)."""
        z: Tensor = self.encoder(self.inputs(batch))
        vectors, numbers, pull = self.quantizer(z.flatten(0, 1))
        return z, vectors.reshape(z.shape), numbers.reshape(z.shape[:2]), pull.reshape(z.shape[:2]).sum(1)

    def numbers(self, batch: Batch) -> Tensor:
        return self.quantized(batch)[2]

    def encode(self, batch: Batch) -> Point:
        """The vectors of the codes, one place after the other."""
        return Point(self.quantized(batch)[1].flatten(1))

    def decode(self, z: Tensor) -> Outcome:
        """p(x given codes) for vectors (..., places * D), each taken to its nearest code; leading axes stay."""
        vectors = self.quantizer(z.reshape(-1, self.quantizer.width))[0]
        return self.outcome(vectors.reshape(*z.shape[:-1], self.places, -1))

    def outcome(self, vectors: Tensor) -> Outcome:
        """p(x given codes) for their vectors (..., places, D)."""
        h: Tensor = self.decoder(vectors.flatten(0, -3))
        outcome: Outcome = self.head(h.reshape(*vectors.shape[:-2], -1))
        return outcome

    # losses

    def autoencoder_loss(self, batch: Batch, t: Tensor) -> tuple[Tensor, Logs]:
        """-log p(x given codes) and what pulls encoder and codes together, nats per example."""
        z, vectors, numbers, pull = self.quantized(batch)
        distortion = -self.outcome(vectors).log_prob(batch.x, batch.observed).mean()
        if self.training:
            self.quantizer.follow_(z.flatten(0, 1), numbers.flatten())
        logs = {"distortion_nats": distortion.detach(), "commitment": pull.mean().detach()}
        return distortion + pull.mean(), logs | {"batch_perplexity": batch_perplexity(numbers, self.codes)}

    def prior_loss(self, batch: Batch, t: Tensor) -> tuple[Tensor, Logs]:
        """-log p of each code given those before it, nats per code."""
        with torch.no_grad():
            numbers = self.numbers(batch)
        rate = next_token_loss(self.read(numbers), self.prior.head_weight[: self.codes], numbers)
        logs = {"rate_nats": rate.detach() * self.places}
        logs["bits_per_dim"] = bits_per_dim(logs["rate_nats"], values_per_example(batch.observed, self.spec.size))
        return rate, logs

    def read(self, numbers: Tensor) -> Tensor:
        """What the prior's head reads before each of the numbers (batch, places): a token of its own begins."""
        begin = torch.full_like(numbers[:, :1], self.codes)
        tokens = torch.cat([begin, numbers[:, :-1]], 1)
        return self.prior.hidden(tokens, Where(self.places, tokens.device))

    def phases(self) -> list[Phase]:
        """The autoencoder, then the prior, each in its window."""
        c = self.config
        prior = {id(p) for p in self.prior.parameters()}
        own = [p for p in self.parameters() if id(p) not in prior]
        cosine = warmup_cosine(0.02, 0.1)
        late = Adam(lr=c.prior_lr, beta2=0.99, clip=1.0, schedule=lambda t: cosine((t - PRIOR_FROM) / (1 - PRIOR_FROM)))
        first, settle = Adam(lr=c.lr), self.quantizer.settle_
        return [
            Phase("autoencoder", self.autoencoder_loss, own, first, window=(0.0, PRIOR_FROM), after=settle),
            Phase("prior", self.prior_loss, self.prior.parameters(), late, window=(PRIOR_FROM, 1.0)),
        ]

    # abilities

    def number_nats(self, numbers: Tensor) -> Tensor:
        logits = full_precision(linear(self.read(numbers), self.prior.head_weight[: self.codes]))
        return -logits.log_softmax(-1).gather(-1, numbers[..., None])[..., 0]

    def log_weights(self, batch: Batch, samples: int) -> Tensor:
        """(samples, batch): log p(codes) + log p(x given codes) of the one row of codes that the encoder gives."""
        _, vectors, numbers, _ = self.quantized(batch)
        x_nats = self.outcome(vectors).log_prob(batch.x, batch.observed)
        return (x_nats - self.number_nats(numbers).sum(1)).expand(samples, -1)

    def sample(self, n: int, *, temperature: float = 1.0, mean: bool = False) -> Tensor:
        """Codes from the prior, place by place, at `temperature`; then x from the decoder."""
        device = self.prior.head_weight.device
        tokens, memory = torch.full((n, 1), self.codes, device=device), None
        numbers: list[Tensor] = []
        places = torch.rand(self.places, n, device=device, dtype=torch.float64)
        for place in places:
            logits, memory = self.prior.read(tokens, memory)
            weights = (logits[:, -1, : self.codes].double() / max(temperature, 1e-6)).softmax(-1)
            tokens = draw(weights, place)[:, None]
            numbers.append(tokens)
        p = self.outcome(self.quantizer.vectors(torch.cat(numbers, 1)))
        return p.mean if mean else p.sample()
