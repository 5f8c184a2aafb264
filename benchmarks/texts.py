"""The text every contestant gets: read once, split once, kept as token arrays and as a file, with its hash."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Text", "pydoc_topics", "tinyshakespeare"]


@dataclass
class Text:
    """Characters in a text, the first nine tenths for training as nanoGPT cuts them."""

    name: str
    text: str

    @property
    def symbols(self) -> str:
        """Every character that occurs, in code-point order: token i is the i-th."""
        return "".join(sorted(set(self.text)))

    @property
    def tokens(self) -> np.ndarray[Any, Any]:
        """(characters,) uint16."""
        points = np.frombuffer(self.text.encode("utf-32-le"), np.uint32)
        known = np.frombuffer(self.symbols.encode("utf-32-le"), np.uint32)
        return np.searchsorted(known, points).astype(np.uint16)

    @property
    def cut(self) -> int:
        """Where the held-out part begins."""
        return int(0.9 * len(self.text))

    def save(self, folder: Path) -> Path:
        """train.npy and test.npy for the workers, text.txt for the command line."""
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "train.npy", self.tokens[: self.cut])
        np.save(folder / "test.npy", self.tokens[self.cut :])
        (folder / "text.txt").write_text(self.text, encoding="utf-8", newline="")
        return folder

    def words(self) -> dict[str, Any]:
        """Name, sizes and SHA-256 of the text."""
        return {
            "name": self.name,
            "characters": len(self.text),
            "symbols": len(self.symbols),
            "train": self.cut,
            "held_out": len(self.text) - self.cut,
            "sha256": hashlib.sha256(self.text.encode()).hexdigest(),
        }


def tinyshakespeare() -> Text:
    """The usual character corpus, from $ELBOROOM_DATA/text."""
    root = os.environ.get("ELBOROOM_DATA", "")
    path = Path(root) / "text" / "tinyshakespeare.txt"
    if not root or not path.is_file():
        raise SystemExit("tiny Shakespeare is not here: set ELBOROOM_DATA to a folder with text/tinyshakespeare.txt")
    return Text("tinyshakespeare", path.read_bytes().decode())


def pydoc_topics() -> Text:
    """20,000 characters of the documentation inside Python. For shortened runs."""
    from pydoc_data.topics import topics

    return Text("pydoc topics", "\n".join(topics[name] for name in sorted(topics))[:20_000])
