"""Peers of P1 and P2 in plain torch: a hand-written eager loop on data that lie in memory as float32.

The loop that a careful reader of torch's tutorial writes once the data fit in memory: one permutation an epoch, a
batch by indexing, forward, `backward()`, `Adam.step()`; nothing is compiled. `--adam fused` takes torch's
one-kernel Adam, `--adam default` the form that `torch.optim.Adam(params)` gives.
"""

from __future__ import annotations

import time

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from wire import column_normalised, connect  # type: ignore[import-not-found]


class Autoencoder(nn.Module):
    """784-32-784 with a ReLU code, Glorot-uniform weights and zero biases; the loss is the mean BCE over pixels."""

    def __init__(self, pixels: int) -> None:
        super().__init__()
        self.encode = nn.Linear(pixels, 32)
        self.decode = nn.Linear(32, pixels)
        for layer in (self.encode, self.decode):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def loss(self, x: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(self.decode(torch.relu(self.encode(x))), x)


class VAE(nn.Module):
    """784-512-16 and back; the loss is the negative ELBO in nats per example, Bernoulli pixels."""

    def __init__(self, pixels: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(pixels, 512)
        self.mean = nn.Linear(512, 16)
        self.log_variance = nn.Linear(512, 16)
        self.decode = nn.Sequential(nn.Linear(16, 512), nn.ReLU(), nn.Linear(512, pixels))

    def loss(self, x: Tensor) -> Tensor:
        h = torch.relu(self.hidden(x))
        mean, log_variance = self.mean(h), self.log_variance(h)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        distortion = F.binary_cross_entropy_with_logits(self.decode(z), x, reduction="none").sum(1)
        rate = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(1)
        loss: Tensor = (distortion + rate).mean()
        return loss


def main() -> None:
    wire = connect(net="autoencoder", adam="fused")
    args = wire.args
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    prepare = column_normalised if args.net == "autoencoder" else lambda images: images / 255.0
    train, test = (
        torch.from_numpy(prepare(x)).float().reshape(len(x), -1).to(args.device) for x in (wire.train, wire.test)
    )
    net: Autoencoder | VAE = Autoencoder(train.shape[1]) if args.net == "autoencoder" else VAE(train.shape[1])
    net.to(args.device)
    adam = torch.optim.Adam(net.parameters(), lr=1e-3, fused=args.adam == "fused")
    parameters = sum(p.numel() for p in net.parameters())
    wire.ready(versions={"torch": torch.__version__}, parameters=parameters)
    for _ in wire.turns():
        began = time.perf_counter()
        for _ in range(args.turn_epochs):
            order = torch.randperm(len(train), device=args.device)
            for i in range(0, len(train), args.batch):
                loss = net.loss(train[order[i : i + args.batch]])
                adam.zero_grad()
                loss.backward()
                adam.step()
        loss.item()  # on an accelerator: wait for the last step
        wire.took(time.perf_counter() - began, len(train) * args.turn_epochs)
    with torch.no_grad():
        value = sum(float(net.loss(test)) for _ in range(10)) / 10  # 10 draws of z
    wire.finish(**{"validation_bce" if args.net == "autoencoder" else "validation_nats": value})


if __name__ == "__main__":
    main()
