"""One number for a data set: SHA-256 over its canonical content and labels.

The same values give the same fingerprint, whatever file they came from: arrays are hashed in their smallest type,
little-endian, rows in order, with column names, categories and labels; of a text, its documents in UTF-8 in order and
the tokenizer they are read with.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .content import Array, Content, Csr
from .storage import blocks

__all__ = ["fingerprint", "repeated", "text_fingerprint"]

CHARACTERS = 2**20
"""Of a text, hashed at a time."""


def fingerprint(content: Content) -> str:
    """64 hexadecimal digits."""
    digest = hashlib.sha256()
    head = {
        "kind": content.kind,
        "shape": list(content.x.shape),
        "white": content.white if content.kind == "images" else None,
        "columns": [[c.name, list(c.categories)] for c in content.columns] if content.named else len(content.columns),
        "classes": list(content.classes),
    }
    digest.update(json.dumps(head, ensure_ascii=True).encode())
    if isinstance(content.x, Csr):
        for part in (content.x.indptr, content.x.indices, content.x.data):
            digest.update(_canonical(part))
    else:
        for block in blocks(content.x):
            digest.update(_canonical(block))
    if content.label is not None:
        digest.update(_canonical(content.label))
    return digest.hexdigest()


def text_fingerprint(documents: Sequence[str], tokenizer: dict[str, Any]) -> str:
    """64 hexadecimal digits. `tokenizer` is its `to_json()`."""
    head = {"kind": "text", "documents": len(documents), "tokenizer": tokenizer}
    digest = hashlib.sha256(json.dumps(head, ensure_ascii=True, sort_keys=True).encode())
    for document in documents:
        digest.update(len(document).to_bytes(8, "little"))
        for at in range(0, len(document), CHARACTERS):
            digest.update(document[at : at + CHARACTERS].encode())
    return digest.hexdigest()


def _canonical(x: Array) -> bytes:
    """Little-endian bytes with one NaN and one zero."""
    out = np.ascontiguousarray(x, dtype=x.dtype.newbyteorder("<"))
    if out.dtype.kind == "f":
        out = out + np.zeros((), out.dtype)  # -0.0 + 0.0 is 0.0
        out[np.isnan(out)] = np.nan
    return out.tobytes()


def repeated(x: Array | Csr, train: Array, held: Array) -> int:
    """How many held-out rows are equal to a training row; such rows flatter every measure."""
    seen = {hash(row) for row in _row_bytes(x, train)}
    return sum(hash(row) in seen for row in _row_bytes(x, held))


def _row_bytes(x: Array | Csr, rows: Array) -> Iterator[bytes]:
    if isinstance(x, Csr):
        for i in rows:
            part = slice(x.indptr[i], x.indptr[i + 1])
            yield x.indices[part].tobytes() + x.data[part].tobytes()
    else:
        for i in rows:
            yield x[i].tobytes()
