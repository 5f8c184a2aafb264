"""Which modes or classes samples fall into: counted by the known centres of the data, else by a classifier of its
labels. Samples come in parts, so that a thousand classes need no memory for all their pictures.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elboroom.metrics.coverage import class_shares, mixture_modes
from elboroom.metrics.interval import Interval, Measure, Reference
from elboroom.quality import ends

if TYPE_CHECKING:
    from elboroom.data.content import Mixture
    from elboroom.extractors.labels import LabelNetwork

__all__ = ["A_CLASS", "MOST_COUNTED", "OF_MIXTURE", "Counted", "by_class", "by_mode", "classified"]

OF_MIXTURE = 2500
"""Samples of a known mixture, as in the published tables (Lin et al. 2018)."""
A_CLASS, MOST_COUNTED = 26, 26_000
"""Samples a class, and at most; 26,000 for the thousand classes of the published tables."""


@dataclass
class Counted:
    """Measures by name, and what details.json holds of them."""

    measures: dict[str, Measure]
    classes: dict[str, Any] | None = None
    modes: dict[str, Any] | None = None


def by_mode(made: Iterable[Tensor], real: Tensor, mixture: Mixture, *, split: str) -> Counted:
    """Samples, and held-out rows beside them, against the mixture the data were drawn from; all in raw units."""
    x = torch.cat(list(made)).double().cpu().numpy()
    found = mixture_modes(x, mixture.centres, mixture.sd)
    beside = mixture_modes(real.double().cpu().numpy(), mixture.centres, mixture.sd)
    how = f"{len(x):,} samples against {found.known} known centres, standard deviation {mixture.sd:g}, within three"
    measures = {
        "modes_found": _count(found.found, found.known, how, len(x), split),
        "high_quality_share": Measure.of(
            found.high_quality_share,
            unit="share",
            n=len(x),
            split=split,
            how=how,
            references=(_held_out(beside.high_quality_share),),
        ),
    }
    if np.isfinite(found.kl.value):
        told = f"KL of the shares of high-quality samples to equal ones; {how}"
        measures["mode_kl"] = _divergence(found.kl, beside.kl, told, len(x), split)
    modes = {
        "found": found.found,
        "held": found.held,
        "known": found.known,
        "high_quality_share": ends(found.high_quality_share),
        "kl": ends(found.kl),
        "counts": found.counts.tolist(),
        "centres": mixture.centres.tolist(),
    }
    return Counted(measures, modes=modes)


def by_class(
    made: Iterable[Tensor],
    real: Tensor,
    classifier: LabelNetwork,
    names: tuple[str, ...],
    label: NDArray[Any],
    split: str,
) -> Counted:
    """Samples, and held-out rows beside them, by the classes they are given; `label` are those of the training rows."""
    shares = np.bincount(label[label >= 0], minlength=len(names)) / max(1, int((label >= 0).sum()))
    given = classified(classifier, made)
    found = class_shares(given, len(names), shares)
    beside = class_shares(classified(classifier, [real]), len(names), shares)
    how = f"{len(given):,} samples, their classes by {classifier.name} {classifier.hash[:12]}"
    measures = {"modes_found": _count(found.found, found.known, how, len(given), split)}
    if np.isfinite(found.kl.value):
        told = f"KL of the samples' class shares to those of the training part; {how}"
        measures["mode_kl"] = _divergence(found.kl, beside.kl, told, len(given), split)
    classes = {
        "names": list(names),
        "real": shares.tolist(),
        "made": found.shares.tolist(),
        "absent": [names[i] for i in found.absent],
        "kl": ends(found.kl),
    }
    return Counted(measures, classes=classes)


def classified(classifier: LabelNetwork, parts: Iterable[Tensor]) -> NDArray[np.int64]:
    """(n,) the class of each example."""
    return np.concatenate([classifier.classify(part).cpu().numpy() for part in parts]).astype(np.int64)


def _count(found: int, known: int, how: str, n: int, split: str) -> Measure:
    sure = Interval(float(found), float(found), float(found))
    beside = (Reference(name="in the data", value=float(known)),)
    return Measure.of(sure, unit="modes", n=n, split=split, how=how, references=beside)


def _divergence(found: Interval, beside: Interval, how: str, n: int, split: str) -> Measure:
    references = (_held_out(beside),) if np.isfinite(beside.value) else ()
    return Measure.of(found, unit="nats", n=n, split=split, how=how, references=references)


def _held_out(found: Interval) -> Reference:
    return Reference.of("held-out rows", found)
