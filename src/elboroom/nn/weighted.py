"""Mean and standard deviation under weighted draws, taken in one draw at a time, so that memory stays that of one.

A draw brings log w (batch,), and a law with mean m and standard deviation s for each value (batch, ...). With the
weights normalised over the draws: mean = sum of w m, variance = sum of w (s^2 + m^2) - mean^2 (law of total variance).
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["WeightedMoments"]


class WeightedMoments:
    """Sums over the draws so far, each times exp(-largest log w so far)."""

    def __init__(self) -> None:
        self.largest = torch.tensor(-torch.inf)
        self.weight, self.first, self.second = (torch.zeros(()) for _ in range(3))
        self.top = (torch.zeros(()), torch.zeros(()))
        """Mean and standard deviation of the law of each example's draw of most weight: where values are names."""

    def add(self, log_weight: Tensor, mean: Tensor, sd: Tensor) -> None:
        """One more draw."""
        largest = torch.maximum(self.largest.to(log_weight), log_weight)
        old, new = (self.largest - largest).exp(), (log_weight - largest).exp()
        aside = (-1,) + (1,) * (mean.ndim - 1)
        old_values, new_values = old.reshape(aside), new.reshape(aside)
        better = (log_weight > self.largest).reshape(aside)
        self.top = (torch.where(better, mean, self.top[0]), torch.where(better, sd, self.top[1]))
        self.largest, self.weight = largest, self.weight * old + new
        self.first = self.first * old_values + new_values * mean
        self.second = self.second * old_values + new_values * (sd.square() + mean.square())

    def result(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (batch, ...)."""
        weight = self.weight.reshape((-1,) + (1,) * (self.first.ndim - 1))
        mean = self.first / weight
        return mean, (self.second / weight - mean.square()).clamp_min(0).sqrt()
