"""What a model may know about the data: kind, shape, levels, classes, names, units. Never the data.

A Spec is written once, when data are read, kept in run.json, and is all a model's constructor sees.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from .errors import InputError

__all__ = ["Column", "Kind", "Spec"]

Kind = Literal["images", "table", "series", "sequences", "text", "documents"]
ColumnKind = Literal["real", "count", "binary", "categorical"]


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a table, or channel of a series, as the model sees it: one slot of x."""

    name: str
    kind: ColumnKind = "real"
    """real: scaled number; count: 0, 1, 2 ...; binary: 0 or 1; categorical: the index of a category."""
    categories: tuple[str, ...] = ()
    """Names of the categories, in the order of their indices; empty for the other kinds."""


@dataclass(frozen=True, kw_only=True)
class Spec:
    """The shape and meaning of one example x, without the batch axis."""

    kind: Kind
    shape: tuple[int, ...]
    """images: (channels, height, width); table: (columns,); text: (window,), the tokens a model sees at once;
    series: (window, channels), the rows in time that it sees at once; sequences: (longest, channels), or (longest,)
    where they are made of tokens."""
    scale: str
    """How raw values became x. images: unit, symmetric, column, levels:K, binary, dynamic; tables: standard, robust,
    log1p, counts, none; series and sequences: standard, robust, none; text: tokens."""
    levels: int = 0
    """Number of grey levels, or of tokens, where x holds whole numbers 0 .. levels-1; 0 where x is not discrete."""
    low: float = -math.inf
    """Smallest value x can take by its scale (0 for unit, -1 for symmetric)."""
    high: float = math.inf
    """Largest value x can take by its scale."""
    columns: tuple[Column, ...] = ()
    """Tables, series and sequences: one entry a column or channel, in order."""
    classes: tuple[str, ...] = ()
    """Names of the labels, in the order of their indices; empty where there are none."""
    masked: bool = False
    """True where cells may be missing, as always in series: then every Batch carries `observed`."""
    per_step: bool = False
    """Sequences: True where each step has a label of its own."""
    observed: tuple[int, ...] = ()
    """Tables: places of the columns that are always known, from which the others are to be told; empty where none are
    named."""

    def __post_init__(self) -> None:
        if self.kind == "sequences" and (len(self.columns), 2) != (self.shape[-1], len(self.shape)) and not self.levels:
            raise InputError(
                f"sequences of shape {self.shape} with {len(self.columns)} columns: give (longest, channels) and a "
                "column for each channel"
            )
        if self.kind != "series":
            return
        if len(self.shape) != 2 or len(self.columns) != self.shape[1] or not self.masked:
            raise InputError(
                f"a series of shape {self.shape} with {len(self.columns)} columns: give (window, channels), a column "
                "for each channel, and masked"
            )

    @property
    def size(self) -> int:
        """Number of values in one example."""
        return math.prod(self.shape)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types; infinities become None."""
        out = asdict(self)
        for key in ("low", "high"):
            out[key] = out[key] if math.isfinite(out[key]) else None
        return out

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Spec:
        """The inverse of `to_json`."""
        known = dict(saved)
        known["shape"] = tuple(known["shape"])
        known["classes"] = tuple(known["classes"])
        known["observed"] = tuple(known.get("observed", ()))
        known["columns"] = tuple(
            Column(name=c["name"], kind=c["kind"], categories=tuple(c["categories"])) for c in known["columns"]
        )
        known["low"] = -math.inf if known["low"] is None else known["low"]
        known["high"] = math.inf if known["high"] is None else known["high"]
        return cls(**known)
