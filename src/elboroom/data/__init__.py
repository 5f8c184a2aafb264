"""Floor 1: from the user's data to batches on the device. Readers, splits, scaling, rows, streams."""

from __future__ import annotations

from .reading import Reading
from .rows import Mapped, Resident, Rows, Sparse
from .source import Dataset, read, read_like, saved_tokenizer
from .stream import Stream, in_order
from .transforms import Transform, transform_from_json
from .windows import Windows

__all__ = [
    "Dataset",
    "Mapped",
    "Reading",
    "Resident",
    "Rows",
    "Sparse",
    "Stream",
    "Transform",
    "Windows",
    "in_order",
    "read",
    "read_like",
    "saved_tokenizer",
    "transform_from_json",
]
