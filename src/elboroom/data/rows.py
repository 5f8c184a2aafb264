"""Raw rows in their smallest type, picked a batch at a time; never copied per epoch.

Three places to lie, one interface: on the device (`Resident`), sparse (`Sparse`), in a file (`Mapped`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import Tensor

from .content import Array, Content, Csr
from .storage import RELEASE_BYTES, mapped, release

__all__ = ["Mapped", "Resident", "Rows", "Sparse", "rows_of"]

Device = torch.device | str


class Rows(ABC):
    """Rows of one part. `take` gives "x", "label" where there are labels, "observed" where cells may be missing.

    A missing number is NaN in "x"; `observed` says where it is not.
    """

    resident = True

    def __init__(
        self, index: Array, label: Tensor | None, *, masked: bool = False, beside: dict[str, Tensor] | None = None
    ) -> None:
        self.index = index
        """Row numbers in the input."""
        self.label = label
        self.masked = masked
        self.beside = beside or {}
        """What is known of each row and never given to a model, such as generative factors."""

    def __len__(self) -> int:
        return len(self.index)

    @property
    def fields(self) -> tuple[str, ...]:
        """Names in the batches that `take` gives."""
        return ("x", *(["label"] if self.label is not None else []), *(["observed"] if self.masked else []))

    @property
    def device(self) -> torch.device:
        """Where batches come out."""
        return torch.device("cpu")

    @abstractmethod
    def x(self, where: Tensor) -> Tensor:
        """Raw values of the rows at these places, 0 <= place < len(self)."""

    @abstractmethod
    def to(self, device: Device) -> Rows:
        """The same rows with batches coming out on `device`."""

    def epoch(self, seed: int) -> Rows:
        """The rows as the epoch of this seed sees them: the same ones, but for a text, which is cut elsewhere."""
        return self

    def take(self, where: Tensor) -> dict[str, Tensor]:
        """A raw batch; `where` is int64 on `self.device`."""
        batch = {"x": self.x(where)}
        if self.label is not None:
            batch["label"] = self.label.index_select(0, where)
        if self.masked:
            batch["observed"] = ~torch.isnan(batch["x"])
        return batch


class Resident(Rows):
    """All rows as one tensor on the device; `index_select` is ten times faster than `x[where]` on bytes."""

    def __init__(
        self,
        x: Tensor,
        index: Array,
        label: Tensor | None = None,
        *,
        masked: bool = False,
        beside: dict[str, Tensor] | None = None,
    ) -> None:
        super().__init__(index, label, masked=masked, beside=beside)
        self.data = x

    @property
    def device(self) -> torch.device:
        return self.data.device

    def x(self, where: Tensor) -> Tensor:
        return self.data.index_select(0, where)

    def to(self, device: Device) -> Resident:
        label = None if self.label is None else self.label.to(device)
        return Resident(self.data.to(device), self.index, label, masked=self.masked, beside=self.beside)


class Sparse(Rows):
    """Compressed rows on the device; a batch becomes dense when it is taken."""

    def __init__(
        self, x: Csr, index: Array, label: Tensor | None = None, *, beside: dict[str, Tensor] | None = None
    ) -> None:
        super().__init__(index, label, beside=beside)
        self.csr = x
        self.width = x.shape[1]
        self.data = torch.from_numpy(np.ascontiguousarray(x.data))
        self.indices = torch.from_numpy(np.ascontiguousarray(x.indices))
        self.indptr = torch.from_numpy(np.ascontiguousarray(x.indptr, dtype=np.int64))

    @property
    def device(self) -> torch.device:
        return self.data.device

    def x(self, where: Tensor) -> Tensor:
        start = self.indptr.index_select(0, where)
        length = self.indptr.index_select(0, where + 1) - start
        ends = length.cumsum(0)
        # one flat list of the stored cells of these rows: their place in `data`, and in the dense batch
        row = torch.repeat_interleave(torch.arange(len(where), device=where.device), length)
        at = torch.arange(len(row), device=where.device) + (start - (ends - length)).index_select(0, row)
        place = row * self.width + self.indices.index_select(0, at)
        dense = torch.zeros(len(where) * self.width, dtype=self.data.dtype, device=where.device)
        return dense.index_copy_(0, place, self.data.index_select(0, at)).reshape(len(where), self.width)

    def to(self, device: Device) -> Sparse:
        label = None if self.label is None else self.label.to(device)
        out = Sparse(self.csr, self.index, label, beside=self.beside)
        out.data, out.indices, out.indptr = self.data.to(device), self.indices.to(device), self.indptr.to(device)
        return out


class Mapped(Rows):
    """Rows of an array that is too large for memory: each batch is read from its file."""

    resident = False

    def __init__(
        self,
        array: Array,
        index: Array,
        label: Tensor | None = None,
        *,
        masked: bool = False,
        beside: dict[str, Tensor] | None = None,
        device: Device = "cpu",
    ) -> None:
        super().__init__(index, label, masked=masked, beside=beside)
        self.array = array
        self._device = torch.device(device)
        self._read = 0

    @property
    def device(self) -> torch.device:
        return self._device

    def x(self, where: Tensor) -> Tensor:
        picked = self.array[self.index[where.cpu().numpy()]]
        # a touched page maps its neighbours with it, 64 kB at a time, when they are in the system's cache
        self._read += picked.nbytes + len(picked) * 65536
        if self._read > RELEASE_BYTES:
            release(self.array)
            self._read = 0
        native = np.ascontiguousarray(picked, dtype=picked.dtype.newbyteorder("="))
        return torch.from_numpy(native).to(self._device)

    def to(self, device: Device) -> Rows:
        device = torch.device(device)
        label = None if self.label is None else self.label.to(device)
        if device.type == "cuda" and self._bytes() < torch.cuda.mem_get_info(device)[0] // 2:
            return Resident(self._load(device), self.index, label, masked=self.masked, beside=self.beside)
        return Mapped(self.array, self.index, label, masked=self.masked, beside=self.beside, device=device)

    def _bytes(self) -> int:
        return len(self) * int(np.prod(self.array.shape[1:])) * self.array.dtype.itemsize

    def _load(self, device: torch.device) -> Tensor:
        """All rows on an accelerator whose free memory holds them twice."""
        shape = (len(self), *self.array.shape[1:])
        first = self.x(torch.zeros(1, dtype=torch.int64))
        out = torch.empty(shape, dtype=first.dtype, device=device)
        for at in range(0, len(self), 8192):
            where = torch.arange(at, min(at + 8192, len(self)))
            out[at : at + len(where)] = self.x(where).to(device)
        return out


def rows_of(content: Content, index: Array, *, masked: bool) -> Rows:
    """Some rows of what was read, in the given order, in the place that fits their size."""
    label = None if content.label is None else torch.from_numpy(content.label[index])
    beside = {name: torch.from_numpy(values[index]) for name, values in content.beside.items()}
    if isinstance(content.x, Csr):
        return Sparse(content.x.take(index), index, label, beside=beside)
    if mapped(content.x):
        return Mapped(content.x, index, label, masked=masked, beside=beside)
    x = content.x[index]
    native = np.ascontiguousarray(x, dtype=x.dtype.newbyteorder("="))
    return Resident(torch.from_numpy(native), index, label, masked=masked, beside=beside)
