"""The likelihood of a table whose columns differ in kind, each by its own law, all from one h.

h holds, side by side: a mean for each real column, a log mean for each count, a logit for each binary column, and one
logit for each category of each categorical column. Columns are taken kind by kind, never one by one: the softmaxes of
all categorical columns are one segmented log-softmax, so a thousand columns cost a few operations.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from elboroom.core.spec import ColumnKind, Spec

from .counts import NegativeBinomialHead
from .head import Head, Independent, full_precision, pick, sum_observed
from .pixels import BernoulliHead, GaussianHead, gumbel_like

__all__ = ["Categories", "CategoriesHead", "Mixed", "MixedHead"]


@dataclass(frozen=True)
class Categories(Independent):
    """Several categorical columns; logits (..., slots), one slot for each category, column after column."""

    logits: Tensor
    head: CategoriesHead
    shape: tuple[int, ...]

    def expected(self) -> Tensor:
        """The most probable category of each column: categories have no mean."""
        return self._largest(self.logits)

    def deviations(self) -> Tensor:
        """Names have no distance: the probability of any other category than the one expected."""
        p = self.head.log_softmax(self.logits).exp()
        return 1 - torch.stack([part.amax(-1) for part in torch.split(p, self.head.sizes, -1)], -1)

    def draw(self) -> Tensor:
        return self._largest(self.logits + gumbel_like(self.logits))

    def surprisal(self, x: Tensor) -> Tensor:
        log_p = self.head.log_softmax(self.logits)
        return -pick(log_p, x.to(torch.int64) + self.head.first, -1)

    def _largest(self, values: Tensor) -> Tensor:
        parts = torch.split(values, self.head.sizes, -1)
        return torch.stack([part.argmax(-1) for part in parts], -1).to(values.dtype)


class CategoriesHead(Head):
    """A softmax over the categories of each column."""

    discrete = True
    first: Tensor
    owner: Tensor

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.shape = spec.shape
        self.sizes = [len(c.categories) for c in spec.columns]
        self.features = sum(self.sizes)
        size = torch.tensor(self.sizes)
        owner = torch.arange(len(self.sizes)).repeat_interleave(size)
        self.register_buffer("first", size.cumsum(0) - size, persistent=False)  # (columns,) the slot of category 0
        self.register_buffer("owner", owner, persistent=False)  # (slots,) the column of a slot

    def log_softmax(self, logits: Tensor) -> Tensor:
        """Over the slots of each column, all columns at once."""
        per_column = (*logits.shape[:-1], len(self.sizes))
        with torch.no_grad():  # the shift cancels, so it needs no gradient
            lowest = logits.new_full(per_column, -torch.inf)
            largest = lowest.scatter_reduce(-1, self.owner.expand_as(logits), logits, "amax")
            shift = largest.index_select(-1, self.owner)
        shifted = logits - shift
        sums = logits.new_zeros(per_column).index_add(-1, self.owner, shifted.exp())
        return shifted - sums.log().index_select(-1, self.owner)

    def forward(self, h: Tensor) -> Categories:
        return Categories(full_precision(h), self, self.shape)


@dataclass(frozen=True)
class Mixed:
    """One row of a table: the laws of its columns by kind, and the columns' places."""

    laws: list[Independent]
    counts: list[int]
    order: Tensor
    back: Tensor

    @property
    def mean(self) -> Tensor:
        """Expected x; of a binary column the probability of 1, of a categorical one the most probable category."""
        return torch.cat([law.mean for law in self.laws], -1).index_select(-1, self.back)

    @property
    def sd(self) -> Tensor:
        """Standard deviation of each column; of a categorical one the probability that another category is right."""
        return torch.cat([law.sd for law in self.laws], -1).index_select(-1, self.back)

    def sample(self) -> Tensor:
        return torch.cat([law.sample() for law in self.laws], -1).index_select(-1, self.back)

    def log_prob(self, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """(...,): log p of x (batch, columns) in nats, summed over the observed cells."""
        parts = torch.split(x.index_select(-1, self.order), self.counts, -1)
        surprisal = torch.cat([law.surprisal(part) for law, part in zip(self.laws, parts, strict=True)], -1)
        seen = None if observed is None else observed.index_select(-1, self.order)
        return -sum_observed(surprisal, seen)


LAWS: dict[ColumnKind, type[Head]] = {
    "real": GaussianHead,
    "count": NegativeBinomialHead,
    "binary": BernoulliHead,
    "categorical": CategoriesHead,
}


class MixedHead(Head):
    """Real columns gaussian, counts negative binomial, binary bernoulli, categorical softmax."""

    order: Tensor
    back: Tensor

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        at = {kind: [i for i, c in enumerate(spec.columns) if c.kind == kind] for kind in LAWS}
        present = [kind for kind, places in at.items() if places]
        heads = []
        for kind in present:
            columns = tuple(spec.columns[i] for i in at[kind])
            heads.append(LAWS[kind](replace(spec, shape=(len(columns),), columns=columns)))
        self.heads = nn.ModuleDict(dict(zip(present, heads, strict=True)))
        self.counts = [len(at[kind]) for kind in present]
        self.widths = [head.features for head in heads]
        self.features = sum(self.widths)
        self.discrete = all(head.discrete for head in heads)
        order = torch.tensor([i for kind in present for i in at[kind]])
        self.register_buffer("order", order, persistent=False)  # the table's columns kind by kind
        self.register_buffer("back", order.argsort(), persistent=False)

    def forward(self, h: Tensor) -> Mixed:
        parts = torch.split(h, self.widths, -1)
        laws = [head(part) for head, part in zip(self.heads.values(), parts, strict=True)]
        return Mixed(laws, self.counts, self.order, self.back)
