"""Peer of P6 in plain torch: DCGAN nets for 28 x 28 and other images, and the eager loop of torch's own tutorial.

The same layers as elboroom's, written out: 5 x 5 convolutions with stride 2, batch norms except at the ends, weights
of N(0, 0.02). One made batch an iteration; three `backward()`, two fused Adams; nothing is compiled.
"""

from __future__ import annotations

import time

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from wire import connect  # type: ignore[import-not-found]


def sizes_of(side: int) -> list[int]:
    """Sides an image goes through, halved until at most 4, and at least twice."""
    sizes = [side]
    while sizes[-1] > 4 or len(sizes) < 3:
        sizes.append((sizes[-1] + 1) // 2)
    return sizes


class Generator(nn.Module):
    """z (batch, latent) -> (batch, 1, side, side) on [-1, 1]."""

    def __init__(self, latent: int, width: int, side: int) -> None:
        super().__init__()
        sizes = sizes_of(side)[::-1]
        wide = width * 2 ** (len(sizes) - 2)
        self.start = (wide, sizes[0], sizes[0])
        self.first = nn.Linear(latent, wide * sizes[0] ** 2, bias=False)
        layers: list[nn.Module] = []
        for i in range(1, len(sizes)):
            last = i == len(sizes) - 1
            more = sizes[i] - (2 * sizes[i - 1] - 1)
            layers += [nn.BatchNorm2d(wide), nn.ReLU(inplace=True)]
            layers += [nn.ConvTranspose2d(wide, 1 if last else wide // 2, 5, 2, 2, more, bias=last)]
            wide //= 2
        self.layers = nn.Sequential(*layers, nn.Tanh())

    def forward(self, z: Tensor) -> Tensor:
        out: Tensor = self.layers(self.first(z).reshape(-1, *self.start))
        return out


class Critic(nn.Module):
    """(batch, 1, side, side) -> (batch,)."""

    def __init__(self, width: int, side: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        sizes, channels = sizes_of(side), 1
        for i in range(len(sizes) - 1):
            layers += [nn.Conv2d(channels, width, 5, 2, 2, bias=i == 0)]
            layers += [nn.BatchNorm2d(width)] if i else []
            layers += [nn.LeakyReLU(0.2, inplace=True)]
            channels, width = width, 2 * width
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * sizes[-1] ** 2, 1), nn.Flatten(0))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x)
        return out


def main() -> None:
    wire = connect(latent="100", width="32")
    args = wire.args
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    train = (torch.from_numpy(wire.train)[:, None].float() / 127.5 - 1).to(args.device)
    side, latent, width = train.shape[-1], int(args.latent), int(args.width)
    generator, critic = Generator(latent, width, side).to(args.device), Critic(width, side).to(args.device)
    for layer in (*generator.modules(), *critic.modules()):
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(layer.weight, std=0.02)
    adams = [torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=True) for net in (critic, generator)]
    parameters = sum(p.numel() for net in (generator, critic) for p in net.parameters())
    wire.ready(versions={"torch": torch.__version__}, parameters=parameters)
    for _ in wire.turns():
        began = time.perf_counter()
        for _ in range(args.turn_epochs):
            order = torch.randperm(len(train), device=args.device)
            for i in range(0, len(train) - args.batch + 1, args.batch):
                x = train[order[i : i + args.batch]]
                critic.zero_grad()
                F.softplus(-critic(x)).mean().backward()
                made = generator(torch.randn(len(x), latent, device=args.device))
                F.softplus(critic(made.detach())).mean().backward()
                adams[0].step()
                generator.zero_grad()
                loss = F.softplus(-critic(made)).mean()
                loss.backward()
                adams[1].step()
        loss.item()  # on an accelerator: wait for the last step
        wire.took(time.perf_counter() - began, len(train) // args.batch * args.batch * args.turn_epochs)
    wire.finish()


if __name__ == "__main__":
    main()
