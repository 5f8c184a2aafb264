"""How the user wants data to be read: the reading flags, parsed, as plain values that run.json keeps."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from elboroom.core.errors import InputError

__all__ = ["Reading"]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Empty fields mean that the data decide; "auto" is resolved in `Dataset.reading`."""

    kind: str = "auto"
    """images or table."""
    scale: str = "auto"
    """images: unit, symmetric, column, levels:K, binary, dynamic; tables: standard, robust, log1p, counts, none."""
    size: tuple[int, int] | None = None
    """Height and width that images are brought to."""
    channels: int | None = None
    """1 or 3."""
    label: str = ""
    """Column (or array, or obs field) that holds the labels."""
    time: str = ""
    columns: tuple[str, ...] = ()
    """Columns to keep, in this order; empty for all."""
    observed: tuple[str, ...] = ()
    """Columns that are always known, to impute the others from."""
    group_by: str = ""
    """Column whose groups are never split over parts."""
    train_until: str = ""
    split: tuple[float, ...] | None = None
    """Shares or counts of train, valid, test; None for .8,.1,.1 or the set's own parts."""
    strict: bool = False
    """Refuse missing cells and unreadable files in place of masking and skipping them."""
    tokenizer: str = ""
    window: int = 0
    period: int = 0

    def __post_init__(self) -> None:
        if self.size is not None and (len(self.size) != 2 or not all(1 <= n <= 4096 for n in self.size)):
            raise InputError(f"--size {'x'.join(map(str, self.size))}: give HEIGHTxWIDTH, each 1 to 4096")
        if self.channels not in (None, 1, 3):
            raise InputError(f"--channels {self.channels}: give 1 (grey) or 3 (colour)")

    def refuse_unused(self, kind: str) -> None:
        """Refuse a flag that means nothing for this kind of data."""
        images = {"--size": self.size, "--channels": self.channels}
        table = {"--columns": self.columns, "--observed": self.observed, "--group-by": self.group_by}
        series = {
            "--time": self.time,
            "--train-until": self.train_until,
            "--window": self.window,
            "--period": self.period,
        }
        other = {**(images if kind == "table" else table), **series, "--tokenizer": self.tokenizer}
        given = [flag for flag, value in other.items() if value]
        if given:
            raise InputError(f"{given[0]} means nothing for {kind}; leave it out")

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        out = asdict(self)
        return {k: list(v) if isinstance(v, tuple) else v for k, v in out.items()}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Reading:
        """The inverse of `to_json`."""
        known: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in saved.items()}
        return cls(**known)
