"""A picture that a page holds, as the model sees one: bytes of the data's size, the ground it is drawn on, its code."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from annotated_types import MaxLen
from numpy.typing import NDArray
from torch import Tensor

from elboroom.core.abilities import Encodes
from elboroom.core.batch import Batch
from elboroom.core.errors import InputError, Unable
from elboroom.engine.runtime import mix, seed_draws
from elboroom.run import Run, require

from .items import Items, pictures
from .pens import commonest

__all__ = ["Pixels", "Sketch", "ground", "known", "of_images", "pixels_of", "sketched"]

KNOWN = 500
"""Items that say how the data stand in their frame."""
Pixels = Annotated[str, MaxLen(1 << 22)]
"""Bytes in base64, row after row, one a grey pixel or three a coloured one; 0 is black."""


@dataclass(frozen=True)
class Sketch:
    """One picture with the law of its code, both (1, d)."""

    batch: Batch
    mean: Tensor
    sd: Tensor


def of_images(run: Run) -> None:
    """Raises Unable for a run of other data."""
    if run.spec.kind != "images":
        raise Unable(f"this run is of a {run.spec.kind}; pictures are for a run of images")


def pixels_of(text: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Bytes in base64 as an array. Raises InputError where they are not of that shape."""
    try:
        content = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise InputError("pixels: is not base64") from None
    if len(content) != np.prod(shape):
        wanted = " x ".join(map(str, shape))
        raise InputError(f"pixels: {len(content):,} bytes came; {wanted} (height, width, channels) are needed")
    return np.frombuffer(content, dtype=np.uint8).reshape(shape)


@torch.no_grad()
def sketched(run: Run, device: torch.device, text: str) -> Sketch:
    """A picture of the data's size, encoded."""
    require(run.model, Encodes, "encode", run.name)
    assert isinstance(run.model, Encodes)
    of_images(run)
    channels, height, width = run.spec.shape
    pixels = pixels_of(text, (height, width, channels))
    seed_draws(mix(run.meta["runtime"]["seed"], "play", "drawn"))
    white = float(run.transform.to_json()["white"])
    raw = torch.from_numpy(np.moveaxis(pixels, -1, 0)[None].astype(np.float32) * np.float32(white / 255))
    batch = run.transform({"x": raw.to(device)})
    q = run.model.encode(batch)
    return Sketch(batch, q.mean.float().flatten(1), q.stddev.float().flatten(1))


def known(items: Items) -> NDArray[np.uint8]:
    """Some items as pictures."""
    some = np.arange(min(KNOWN, items.n))
    return np.concatenate([pictures(batch.x, items.run) for _, batch in items.batches(some, "look")])


def ground(items: Items) -> list[int]:
    """The commonest colour of the items' edges, one level a channel."""
    return [int(level) for level in commonest(known(items))]
