"""Batches in an order that is a pure function of (seed, epoch), so that a resumed run meets the same rows.

A permutation is drawn once an epoch and cut once into batches; a step then only picks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from elboroom.core.chance import mix
from elboroom.core.errors import InputError

from .rows import Rows

__all__ = ["Stream", "Streams", "in_order"]


class Stream:
    """Training rows, shuffled anew each epoch; a last short batch is dropped.

    `batch_size` is global: with `world` processes each gives its own contiguous slice of the same global batch.
    """

    def __init__(self, rows: Rows, batch_size: int, *, seed: int, rank: int = 0, world: int = 1) -> None:
        if batch_size < 1:
            raise InputError(f"batch size {batch_size}: must be at least 1")
        self.batch_size = min(batch_size, len(rows))
        if self.batch_size % world:
            raise InputError(
                f"a batch of {self.batch_size} rows cannot be shared by {world} processes; choose a multiple"
            )
        self.data = self._data = rows
        self.seed = seed
        self.steps_per_epoch = len(rows) // self.batch_size
        self.examples = self.steps_per_epoch * self.batch_size
        """Rows seen in one epoch."""
        share = self.batch_size // world
        self._slice = slice(rank * share, (rank + 1) * share)
        self._generator = torch.Generator()
        self._epoch = -1
        self._order = torch.empty(0)
        self._batches: tuple[Tensor, ...] = ()

    def rows(self, step: int) -> dict[str, Tensor]:
        """This process's slice of the global batch of `step`."""
        epoch, place = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._shuffle(epoch)
        return self._data.take(self._batches[place])

    def _shuffle(self, epoch: int) -> None:
        # drawn on the CPU, so that the order is the same on every device
        order = torch.randperm(len(self.data), generator=self._generator.manual_seed(mix(self.seed, epoch)))
        order = order.to(self.data.device)[: self.examples].view(self.steps_per_epoch, self.batch_size)
        self._order = order[:, self._slice]
        self._batches = self._order.unbind(0)
        self._data = self.data.epoch(mix(self.seed, epoch, "cut"))
        self._epoch = epoch


class Streams:
    """Several orders of the same rows at once: what a stack of trainings sees, each member as if it were alone."""

    def __init__(self, streams: Sequence[Stream]) -> None:
        """The streams hold the same rows in batches of one size."""
        self.streams = list(streams)
        self.steps_per_epoch = streams[0].steps_per_epoch
        self._epoch = -1
        self._batches: tuple[Tensor, ...] = ()

    def rows(self, step: int) -> dict[str, Tensor]:
        """The raw batches of `step`: (streams, rows, ...)."""
        epoch, place = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._shuffle(epoch)
        if not self._batches:
            each = [stream.rows(step) for stream in self.streams]
            return {name: torch.stack([rows[name] for rows in each]) for name in each[0]}
        taken = self.streams[0].data.take(self._batches[place])  # one pick for all is a tenth of one each
        return {name: x.unflatten(0, (len(self.streams), -1)) for name, x in taken.items()}

    def _shuffle(self, epoch: int) -> None:
        by_seed = {stream.seed: stream for stream in self.streams}
        for stream in by_seed.values():
            if stream._epoch != epoch:
                stream._shuffle(epoch)
        # a text is cut anew each epoch, elsewhere by each seed: then the rows are not the same ones
        same = all(stream._data is stream.data for stream in by_seed.values())
        orders = torch.stack([by_seed[stream.seed]._order for stream in self.streams], 1)
        self._batches = orders.flatten(1).unbind(0) if same else ()
        self._epoch = epoch


def in_order(rows: Rows, batch_size: int, most: int = 0) -> Iterator[dict[str, Tensor]]:
    """All rows once, in order, the last batch as short as it is: for evaluation. `most`: so many, evenly spread."""
    n = min(most or len(rows), len(rows))
    for at in range(0, n, batch_size):
        some = torch.arange(at, min(at + batch_size, n), device=rows.device)
        yield rows.take(some if n == len(rows) else some * len(rows) // n)
