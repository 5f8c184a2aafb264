"""Features of a small network that learned the user's labels: its last layer before the classes.

The space of labelled data, as the MNIST networks of mode counts are (Srivastava et al. 2017, Lin et al. 2018), made
from the training part. Its accuracy on held-out rows is kept with it: a network that cannot tell the classes apart
measures nothing.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from elboroom.core.errors import Unable
from elboroom.data.source import Dataset
from elboroom.data.stream import in_order
from elboroom.engine.runtime import mix, seeded
from elboroom.metrics.interval import Interval, share_interval

from .bodies import body
from .cache import cached, place
from .extractor import AT_ONCE, check_shape, digest, in_parts
from .inputs import training_rows, unit
from .learning import learn, seen, shifted

__all__ = ["NAME", "LabelNetwork", "has_labels", "learn_labels"]

NAME = "classifier"
RECIPE = 1


class Labelled(nn.Module):
    """A body and one linear layer to the classes: of the example, or of each channel alone."""

    def __init__(self, dataset: Dataset) -> None:
        super().__init__()
        self.body = body(dataset)
        self.sizes = tuple(size for _, size in dataset.factors) if dataset.channelwise else (len(dataset.spec.classes),)
        """Classes of each channel, or of the example."""
        self.head = nn.Linear(self.body.width // len(self.sizes), max(self.sizes))

    def scores(self, features: Tensor) -> Tensor:
        """(batch, body.width) -> (batch, channels or 1, classes), before the softmax."""
        found: Tensor = self.head(features.reshape(len(features), len(self.sizes), -1))
        return found

    def apart(self, label: Tensor) -> Tensor:
        """(batch,) -> (batch, channels or 1): the digits of a label in mixed radix, the first channel's slowest."""
        below = [math.prod(self.sizes[i + 1 :]) for i in range(len(self.sizes))]
        return torch.stack([label // b % size for b, size in zip(below, self.sizes, strict=True)], 1)

    def joined(self, digits: Tensor) -> Tensor:
        """The inverse of `apart`."""
        below = [math.prod(self.sizes[i + 1 :]) for i in range(len(self.sizes))]
        return (digits * torch.tensor(below, device=digits.device)).sum(1)

    def loss(self, x: Tensor, label: Tensor | None) -> Tensor:
        """Cross-entropy in nats; images are shifted a little."""
        assert label is not None
        scores = self.scores(self.body(shifted(x) if x.ndim == 4 else x)).float()
        return functional.cross_entropy(scores.flatten(0, 1), self.apart(label).flatten())


class LabelNetwork:
    """The extractor; it also classifies, and knows how well."""

    name = NAME

    def __init__(self, network: Labelled, dataset: Dataset, how: str) -> None:
        self.network = network.eval()
        self.shape = dataset.spec.shape
        self.width = network.body.width
        self.classes = dataset.spec.classes
        self.hash = digest(NAME, RECIPE, network.state_dict())
        self.accuracy, told = self._accuracy(dataset)
        """The share of held-out rows classified rightly; None where no rows are held out."""
        self.how = f"{how}; {told}"

    @torch.no_grad()
    def features(self, x: Tensor) -> Tensor:
        """(n, width) float32."""
        check_shape(x, self.shape)
        return in_parts(self.network.to(x.device).body, x, self.width)

    @torch.no_grad()
    def classify(self, x: Tensor) -> Tensor:
        """(n,) int64: the place in `classes` of the most likely one."""
        features = self.features(x)
        return self.network.joined(self.network.scores(features).argmax(2))

    def _accuracy(self, dataset: Dataset) -> tuple[Interval | None, str]:
        """Over the test part, or the validation part where there is no other: nothing was chosen by either."""
        part = next((p for p in ("test", "valid") if p in dataset.parts), "")
        if not part:
            return None, "no rows are held out to measure its accuracy on"
        to_unit = unit(dataset)
        hits = [self.classify(to_unit(r["x"])) == r["label"] for r in in_order(dataset.parts[part], AT_ONCE)]
        found = share_interval(torch.cat(hits).numpy())
        return found, f"accuracy {found.value:.4f} on {len(dataset.parts[part]):,} {part} rows"


def has_labels(dataset: Dataset) -> bool:
    """Whether the training part holds at least two classes."""
    label = training_rows(dataset).label
    return label is not None and label.ndim == 1 and len(label) > 0 and bool((label != label[0]).any())


def learn_labels(dataset: Dataset, seed: int) -> LabelNetwork:
    """Train on the training part, or take from the cache what was trained on it before."""
    if not has_labels(dataset):
        raise Unable(f"{dataset.name} has no two classes to learn features from; choose selfsup, random or pca")
    with seeded(mix(seed, NAME)):
        network = Labelled(dataset)
        path = place(NAME, RECIPE, dataset, seed)
        cached(path, network, lambda: learn(network, network.loss, dataset, seen(dataset), seed=seed))
    what = "convolutional" if dataset.spec.kind == "images" else "dense"
    rows = f"{len(training_rows(dataset)):,} training rows, {seen(dataset):,} examples seen, seed {seed}"
    each = f", one for all {len(network.sizes)} channels" if dataset.channelwise else ""
    return LabelNetwork(network, dataset, f"a small {what} network{each} trained on the labels of {rows}")
