"""How good samples are while a game is trained: no loss of two players says it, so held-out examples are compared with
made ones at each look, in a space of features that is cheap and never trained.

Images: two layers of random convolutions (random features are sound where no trained ones fit the data: Naeem et al.
2020, 2002.09797). Tables: random Fourier features of several widths (Rahimi & Recht 2007), which tell modes apart that
have one mean and one covariance together. Both on their leading axes over training rows.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from elboroom.core.abilities import Draws, Judges, Samples
from elboroom.core.model import Model
from elboroom.engine.runtime import mix, seed_draws, seeded
from elboroom.metrics.images import frechet_distance
from elboroom.metrics.neighbours import doubles, neighbourhood, spread

if TYPE_CHECKING:
    from elboroom.data.rows import Rows
    from elboroom.data.transforms import Transform

__all__ = ["QualityWatch", "watch_for"]

ROWS = 1000
"""Held-out examples, and as many made ones."""
FITTED_ON = 4000
FEWEST = 50
"""Below so many held-out rows nothing is compared."""
WIDTH = 64
CHANNELS = (24, 48)
SIDE = 32
"""Larger pictures are averaged down to this many pixels."""
WIDTHS = (1.0, 4.0, 16.0)
"""Frequencies of the waves: radians a standard deviation of all columns together."""
WAVES = 64
"""Waves of each frequency."""
AT_ONCE = 250


def watch_for(model: Model, transform: Transform, train: Rows, held: Rows | None, *, seed: int) -> QualityWatch | None:
    """For a model that makes examples and judges them: its losses say nothing of their quality. None for others."""
    players = isinstance(model, Samples) and isinstance(model, Draws) and isinstance(model, Judges)
    if not players or held is None or len(held) < FEWEST or held.masked or model.spec.kind not in ("images", "table"):
        return None
    return QualityWatch(transform, train, held, seed=seed)


class QualityWatch:
    """Features of held-out rows, kept, and what samples are beside them. Reads no training draw and changes none."""

    def __init__(self, transform: Transform, train: Rows, held: Rows, *, seed: int) -> None:
        self.seed = mix(seed, "watch")
        with seeded(self.seed):
            x = self._rows(transform, train, FITTED_ON)
            real = self._rows(transform, held, ROWS)
            self.centre = x.mean(0) if x.ndim == 2 else x.mean()
            self.spread = (x.std(0) if x.ndim == 2 else x.std()).clamp_min(1e-6)
            self.weights = self._pictures(x.shape[1]) if x.ndim == 4 else self._waves(x.shape[1])
            self.weights = [w.to(x.device, x.dtype) for w in self.weights]
        raw = torch.cat([self._raw(part) for part in x.split(AT_ONCE)]).double()
        self.mean = raw.mean(0)
        values, axes = torch.linalg.eigh(torch.cov(raw.T))
        width = max(2, min(WIDTH, len(real) // 5, raw.shape[1]))
        # one scale for all axes: the features' variances add up to their number
        self.axes = axes[:, -width:] * (width / values[-width:].sum().clamp_min(1e-12)).sqrt()
        self.real = self.features(real)

    def look(self, model: Samples) -> dict[str, float]:
        """What history shows of as many samples as there are held-out rows; the same z at every look."""
        parts = []
        with torch.no_grad(), seeded(self.seed):
            for i, start in enumerate(range(0, len(self.real), AT_ONCE)):
                seed_draws(mix(self.seed, "made", i))
                parts.append(self.features(model.sample(AT_ONCE)[: len(self.real) - start]))
        made = torch.cat(parts)
        if not bool(torch.isfinite(made).all()):
            return {}
        near = neighbourhood(self.real, made)
        found = {
            "frechet_distance": frechet_distance(self.real, made),
            "coverage": near.coverage.value,
            "density": near.density.value,
            "spread": spread(self.real, made).value,
            "doubles": doubles(self.real, made).value,
        }
        return {name: value for name, value in found.items() if math.isfinite(value)}

    def features(self, x: Tensor) -> Tensor:
        """(n, width) float64 of examples in the model's space."""
        raw = torch.cat([self._raw(part) for part in x.split(AT_ONCE)])
        along: Tensor = (raw.double() - self.mean) @ self.axes
        return along.cpu()  # what follows is small, and the same on every device

    def _rows(self, transform: Transform, rows: Rows, most: int) -> Tensor:
        """At most `most` rows, evenly spread, in the model's space; draws of the scaling follow the watch's seed."""
        n = min(most, len(rows))
        which = torch.arange(n, device=rows.device) * len(rows) // n
        return torch.cat([transform(rows.take(part)).x for part in which.split(AT_ONCE)])

    def _raw(self, x: Tensor) -> Tensor:
        """Random features before their leading axes are taken."""
        h = (x.to(self.spread.dtype) - self.centre) / self.spread
        if h.ndim == 2:
            return torch.cat([h, torch.cos(h @ self.weights[0] + self.weights[1])], 1)
        if max(h.shape[2:]) > SIDE:
            h = F.adaptive_avg_pool2d(h, (min(SIDE, h.shape[2]), min(SIDE, h.shape[3])))
        for weight in self.weights:
            h = F.relu(F.conv2d(h, weight, stride=2, padding=weight.shape[-1] // 2))
        quarters = F.adaptive_avg_pool2d(h, (2, 2)).flatten(1)
        return torch.cat([quarters, F.adaptive_max_pool2d(h, (1, 1)).flatten(1)], 1)

    @staticmethod
    def _pictures(channels: int) -> list[Tensor]:
        sizes = [(CHANNELS[0], channels, 5, 5), (CHANNELS[1], CHANNELS[0], 3, 3)]
        return [torch.randn(size) * math.sqrt(2 / math.prod(size[1:])) for size in sizes]

    @staticmethod
    def _waves(columns: int) -> list[Tensor]:
        scale = torch.tensor(WIDTHS).repeat_interleave(WAVES) / math.sqrt(columns)
        return [torch.randn(columns, len(WIDTHS) * WAVES) * scale, torch.rand(len(WIDTHS) * WAVES) * 2 * math.pi]
