"""From a name to a feature extractor made for a data set.

auto        the labels' network where there are labels, else random for images and pca for tables
classifier  a small network trained on the labels of the training part
selfsup     a small network trained without labels
random      fixed random networks; the same for every data set of one shape
pca         principal axes of the training part
pixels      the values themselves
module:FILE.py:NAME, module:package.module:NAME      a torch module of the user's
inception, inception:FILE.pt      an Inception network that lies on disk
"""

from __future__ import annotations

from collections.abc import Callable

from elboroom.core.errors import InputError, nearest
from elboroom.data.source import Dataset

from . import fixed, labels, selfsup
from .extractor import Extractor
from .inception import inception
from .module import own_module

__all__ = ["NAMES", "choose"]

MADE: dict[str, Callable[[Dataset, int], Extractor]] = {
    labels.NAME: labels.learn_labels,
    selfsup.NAME: selfsup.learn_apart,
    "random": fixed.random_networks,
    "pca": fixed.principal,
    "pixels": fixed.pixels,
}
NAMES = ("auto", *MADE, "module:FILE.py:NAME", "inception")


def choose(name: str, dataset: Dataset, seed: int = 0) -> Extractor:
    """The extractor of that name for these data; learned ones are trained on the training part, or come from the cache.

    `seed` decides what learned ones draw, so that two of one seed on one training part have one hash. InputError for
    a name that is none; Unable where the data have no labels, or are no images and no table.
    """
    head, colon, rest = name.partition(":")
    if name == "auto":
        head = labels.NAME if labels.has_labels(dataset) else "random" if dataset.spec.kind == "images" else "pca"
    if head == "inception":
        return inception(dataset, rest)
    where, _, what = (rest if head == "module" else name).rpartition(":")
    if where and what:
        return own_module(dataset, where, what)
    if head not in MADE or colon:
        raise InputError(f"there is no extractor {name!r}{nearest(head, NAMES)}; extractors: {', '.join(NAMES)}")
    return MADE[head](dataset, seed)
