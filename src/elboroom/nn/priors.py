"""Laws for codes from which one can draw, and that need no density: what an adversarial autoencoder aims at.

Makhzani et al. 2016, Adversarial Autoencoders (1511.05644), figures 2 and 4: a Gaussian, ten Gaussians like the petals
of a flower, a Swiss roll. The last two lie in a plane; of more dimensions the others are N(0, 1).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from elboroom.core.errors import InputError

__all__ = ["LAWS", "PRIORS", "prior_for"]

PETALS = 10
RADIUS, ALONG, ACROSS = 2.0, 0.5, 0.1
"""Distance of a petal's middle from the origin, and its standard deviations along and across that line."""
ROLL = (1.5 * math.pi, 4.5 * math.pi)
"""Angles of the roll's inner and outer end; divided by the outer one it reaches distance TURN."""
TURN, THICK = 2.5, 0.05

Prior = Callable[[int, int, torch.device], Tensor]
"""(draws, width, device) -> (draws, width)."""


def gaussian(n: int, width: int, device: torch.device) -> Tensor:
    """N(0, I)."""
    return torch.randn(n, width, device=device)


def mixture(n: int, width: int, device: torch.device) -> Tensor:
    """Ten equal Gaussians, each stretched away from the origin."""
    z = torch.randn(n, width, device=device)
    petal = (torch.rand(n, device=device) * PETALS).floor()
    angle = petal * (2 * math.pi / PETALS)
    along, across = RADIUS + ALONG * z[:, 0], ACROSS * z[:, 1]
    cos, sin = angle.cos(), angle.sin()
    return torch.cat([torch.stack([along * cos - across * sin, along * sin + across * cos], 1), z[:, 2:]], 1)


def swiss_roll(n: int, width: int, device: torch.device) -> Tensor:
    """A spiral of one and a half turns, evenly covered along its length."""
    z = torch.randn(n, width, device=device)
    inner, outer = ROLL
    # the length of an Archimedean spiral grows about as its angle squared
    angle = (inner**2 + (outer**2 - inner**2) * torch.rand(n, device=device)).sqrt()
    plane = torch.stack([angle * angle.cos(), angle * angle.sin()], 1) * (TURN / outer)
    return torch.cat([plane + THICK * z[:, :2], z[:, 2:]], 1)


PRIORS: dict[str, Prior] = {"gaussian": gaussian, "mixture": mixture, "swiss_roll": swiss_roll}
LAWS = {"gaussian": "N(0, I)", "mixture": "a mixture of ten Gaussians", "swiss_roll": "a Swiss roll"}


def prior_for(name: str, width: int) -> Prior:
    """The prior of that name for codes of that width."""
    if name != "gaussian" and width < 2:
        raise InputError(f"--prior {name} lies in a plane: give --latent 2 or more, not {width}")
    return PRIORS[name]
