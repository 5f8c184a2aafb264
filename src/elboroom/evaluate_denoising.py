"""Noise put on held-out rows and taken off again: error over the strength of the noise, beside what needs no network.

Beside the model stand the noisy rows themselves, PCA of the code's width fitted on clean training rows, and for images
a Gaussian filter whose width is chosen for each strength on validation images. All draws follow (seed, "evaluate",
"denoising", strength): every method sees the same noise.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from elboroom.baselines.pca import PCA
from elboroom.core.abilities import Denoises
from elboroom.core.batch import Batch
from elboroom.core.model import Model
from elboroom.core.spec import Spec
from elboroom.evaluate_imputation import Filled
from elboroom.metrics.interval import Interval, Measure, Reference, finite, mean_interval, ratio_interval
from elboroom.metrics.reconstruction import cells, psnr_db, squared_error
from elboroom.metrics.table import numeric_columns

if TYPE_CHECKING:
    from elboroom.data.rows import Rows
    from elboroom.evaluate import Reader

__all__ = ["evaluate_denoising", "gaussian_filter"]

TIMES = (0.5, 1.0, 1.5, 2.0)
"""Strengths, in units of the one that was trained."""
ROWS, CHOOSING, AT_ONCE = 1000, 200, 250
SDS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.85, 1.0, 1.25, 1.5, 2.0, 3.0)
"""Widths of the filter, in pixels."""
Array = NDArray[Any]


def evaluate_denoising(
    model: Denoises, spec: Spec, reader: Reader, part: str, valid: Rows | None, pca: PCA | None, seed: int
) -> Filled:
    """details["denoising"] and one measure at the trained strength; the filter needs `valid` to be chosen on."""
    assert isinstance(model, Model)
    which = reader.choose(ROWS, "denoising")
    held = type(reader)(valid, reader.transform, model, seed) if valid is not None and len(valid) else None
    judge = _Judge(spec, seed)
    points, out = list[dict[str, Any]](), Filled()
    for times in TIMES:
        level = round(times * model.level, 9)  # 1.5 times 0.2 is 0.3 on the page
        if model.noise != "gaussian" and level > 1:
            continue
        purpose = f"denoising {times:g}"
        sd = _chosen(model, held, level, purpose) if spec.kind == "images" and held is not None else None
        squares, counts = _squares(model, reader.batches(purpose, AT_ONCE, which), level, pca, sd, judge)
        measured = {name: judge.interval(square, counts) for name, square in squares.items()}
        points.append(
            {"level": level, "times": times, "filter_sd": sd}
            | {name: {k: finite(getattr(i, k)) for k in ("value", "low", "high")} for name, i in measured.items()}
        )
        if times == 1.0:
            told = {"noisy": "noisy input", "pca": f"PCA, {pca.width if pca else 0} dimensions"}
            told["filter"] = f"Gaussian filter, sd {sd:g} pixels" if sd else ""
            beside = [Reference.of(told[name], found) for name, found in measured.items() if name != "model"]
            how = f"{model.noise} noise of strength {level:g} put on {len(which):,} rows, against the clean rows"
            out.measures[judge.key] = Measure.of(
                measured["model"], unit=judge.unit, n=len(which), split=part, how=how, references=tuple(beside)
            )
    out.details["denoising"] = {
        "noise": model.noise,
        "level": model.level,
        "measure": judge.key,
        "unit": judge.unit,
        "points": points,
    }
    return out


class _Judge:
    """What an error is stated in: decibels for images of a known range, squared units of x else."""

    def __init__(self, spec: Spec, seed: int) -> None:
        self.seed = seed & 0x7FFFFFFF
        self.width = float(spec.levels - 1) if spec.levels > 1 else spec.high - spec.low
        self.peak = spec.kind == "images" and math.isfinite(self.width)
        self.key = "denoised_psnr_db" if self.peak else "denoised_mse"
        self.unit = "dB" if self.peak else "squared, per cell"
        self.numeric = numeric_columns(spec.columns) if spec.columns else None

    def counted(self, batch: Batch) -> Tensor | None:
        """Values that were measured and can be subtracted; None for all."""
        if self.numeric is None:
            return batch.observed
        numeric = self.numeric.to(batch.x.device).expand_as(batch.x)
        return numeric if batch.observed is None else numeric & batch.observed

    def each(self, square: Array, counts: Array) -> Array:
        """(rows,): PSNR, or mean squared error, of each."""
        mean = square / np.maximum(counts, 1)
        values: Array = psnr_db(torch.from_numpy(mean), self.width).numpy() if self.peak else mean
        return values

    def interval(self, square: Array, counts: Array) -> Interval:
        if self.peak:
            return mean_interval(self.each(square, counts), seed=self.seed)
        return ratio_interval(square, counts, seed=self.seed)


def _squares(
    model: Denoises, batches: Any, level: float, pca: PCA | None, sd: float | None, judge: _Judge
) -> tuple[dict[str, Array], Array]:
    """Sums of squared errors (rows,) by method, and how many values each row's sum is over."""
    sums, counts = dict[str, list[Tensor]](), list[Tensor]()
    for batch in batches:
        noisy = model.corrupt(batch, level)
        guesses = {"model": model.denoise(noisy).mean, "noisy": noisy.x}
        if pca is not None:
            guesses["pca"] = pca.reconstruct(noisy.x)
        if sd is not None:
            guesses["filter"] = gaussian_filter(noisy.x, sd)
        counted = judge.counted(batch)
        counts.append(cells(batch.x, counted).cpu())
        for name, guess in guesses.items():
            sums.setdefault(name, []).append(squared_error(batch.x, guess, counted).cpu())
    return {name: torch.cat(parts).numpy() for name, parts in sums.items()}, torch.cat(counts).numpy()


def _chosen(model: Denoises, held: Reader, level: float, purpose: str) -> float:
    """The filter's width of least squared error on validation images."""
    errors = np.zeros(len(SDS))
    for batch in held.batches(purpose, AT_ONCE, held.choose(CHOOSING, "choosing")):
        noisy = model.corrupt(batch, level).x
        errors += [float(squared_error(batch.x, gaussian_filter(noisy, sd), batch.observed).sum()) for sd in SDS]
    return SDS[int(errors.argmin())]


def gaussian_filter(x: Tensor, sd: float) -> Tensor:
    """Images (batch, channels, height, width) smoothed by a normal density of `sd` pixels, cut at 4 sd; edges go on
    outwards."""
    reach = math.ceil(4 * sd)
    weights = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, device=x.device, dtype=x.dtype) / sd) ** 2)
    weights = weights / weights.sum()
    flat = F.pad(x.flatten(0, 1)[:, None], (reach, reach, reach, reach), mode="replicate")
    smooth = F.conv2d(F.conv2d(flat, weights[None, None, None, :]), weights[None, None, :, None])
    return smooth.reshape(x.shape)
