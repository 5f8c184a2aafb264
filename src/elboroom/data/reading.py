"""How the user wants data to be read: the reading flags, parsed, as plain values that run.json keeps."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from elboroom.core.errors import InputError

from .tokenizers import check_name

__all__ = ["Reading"]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Empty fields mean that the data decide; "auto" is resolved in `Dataset.reading`."""

    kind: str = "auto"
    """images, table, series, sequences, text or documents."""
    scale: str = "auto"
    """images: unit, symmetric, column, levels:K, binary, dynamic; tables and documents: standard, robust, log1p,
    counts, none; series and sequences: standard, robust, none; text: always tokens."""
    size: tuple[int, int] | None = None
    """Height and width that images are brought to."""
    channels: int | None = None
    """1 or 3."""
    label: str = ""
    """Column (or array, or obs field) that holds the labels, of sequences or texts one each; of a series, 0 or 1, false
    or true: whether a row is an anomaly."""
    time: str = ""
    """Column that holds the times of a series; NAME:dayfirst or NAME:monthfirst says what 02/03/2026 means."""
    columns: tuple[str, ...] = ()
    """Columns to keep, in this order; empty for all. Text, documents: the field of a .jsonl or .csv that holds it."""
    observed: tuple[str, ...] = ()
    """Columns that are always known, to impute the others from."""
    group_by: str = ""
    """Column whose groups are never split over parts; of series, each group is one."""
    train_until: str = ""
    """Series: a time, a row of the input or a share of the rows; what lies before is trained on."""
    split: tuple[float, ...] | None = None
    """Shares or counts of train, valid, test; None for .8,.1,.1 or the set's own parts."""
    strict: bool = False
    """Refuse missing cells, repeated times and unreadable files in place of masking, averaging and skipping them."""
    tokenizer: str = ""
    """char, byte, bpe:V, or the path of a tokenizer.json or of a folder that holds one; empty lets the text decide."""
    window: int = 0
    """Tokens (text) or grid rows (series) in one example; 0 lets the data decide."""
    period: int = 0
    """Grid rows in one season of a series; 0 lets the data decide."""

    def __post_init__(self) -> None:
        if self.size is not None and (len(self.size) != 2 or not all(1 <= n <= 4096 for n in self.size)):
            raise InputError(f"--size {'x'.join(map(str, self.size))}: give HEIGHTxWIDTH, each 1 to 4096")
        if self.channels not in (None, 1, 3):
            raise InputError(f"--channels {self.channels}: give 1 (grey) or 3 (colour)")
        if self.window < 0:
            raise InputError(f"--window {self.window}: give a number of tokens or rows from 1")
        if self.period < 0:
            raise InputError(f"--period {self.period}: give a number of rows from 1")
        check_name(self.tokenizer)

    def refuse_unused(self, kind: str) -> None:
        """Refuse a flag that means nothing for this kind of data."""
        images: dict[str, object] = {"--size": self.size, "--channels": self.channels}
        table: dict[str, object] = {"--observed": self.observed, "--group-by": self.group_by}
        series: dict[str, object] = {"--time": self.time, "--train-until": self.train_until, "--period": self.period}
        text: dict[str, object] = {"--tokenizer": self.tokenizer, "--window": self.window}
        scale = "" if self.scale in ("auto", "tokens") else self.scale
        others: dict[str, dict[str, object]] = {
            "images": {"--columns": self.columns, **table, **text, **series},
            "table": {**images, **text, **series},
            "text": {**images, **table, "--scale": scale, "--label": self.label, **series},
            "documents": {**images, **table, **text, **series},
            "series": {**images, "--observed": self.observed, "--tokenizer": self.tokenizer},
            "sequences": {**images, "--columns": self.columns, **table, **text, **series},
        }
        given = [flag for flag, value in others[kind].items() if value]
        if given:
            other = "; --kind series reads one" if given[0] in series and kind == "table" else ""
            raise InputError(f"{given[0]} means nothing for {kind}; leave it out{other}")

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        out = asdict(self)
        return {k: list(v) if isinstance(v, tuple) else v for k, v in out.items()}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Reading:
        """The inverse of `to_json`."""
        known: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in saved.items()}
        return cls(**known)
