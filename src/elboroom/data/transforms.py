"""From raw rows to what a model sees, on the device and inside the traced step; and back to the user's units.

Every fitted number is a buffer, fitted on the training part only. Letters: B batch, C channels, H height, W width,
u a raw pixel in 0..white, x what the model sees.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from elboroom.core.batch import Batch
from elboroom.core.errors import InputError, nearest

__all__ = ["IMAGE_SCALES", "TABLE_SCALES", "TableTransform", "Transform", "image_transform", "transform_from_json"]

TABLE_SCALES = ("standard", "robust", "log1p", "counts", "none")


class Transform(nn.Module, ABC):
    """Raw batch in, Batch out. Draws come from the default generator, so that a step sees the same ones again."""

    undoable: ClassVar[bool] = True
    """Whether `undo` gives the user's units back; where False it gives x as it is."""
    scale: str

    @abstractmethod
    def forward(self, raw: dict[str, Tensor]) -> Batch:
        """`raw` as `Rows.take` gives it."""

    @abstractmethod
    def undo(self, x: Tensor) -> Tensor:
        """(..., *shape) in the model's space to the user's units, in the dtype of x."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """What `transform_from_json` needs to build an empty one; the numbers travel in the state_dict."""


class _Images(Transform, ABC):
    """One scale of pixels."""

    levels: int = 0
    low: float = 0.0
    high: float = 1.0
    white: Tensor

    def __init__(self, scale: str, white: float) -> None:
        super().__init__()
        self.scale = scale
        self.register_buffer("white", torch.tensor(float(white)))

    @abstractmethod
    def scaled(self, u: Tensor) -> Tensor:
        """(B, C, H, W) raw pixels to x."""

    def unit(self, u: Tensor) -> Tensor:
        """Pixels in [0, 1], in the dtype of the fitted numbers."""
        return u.to(self.white.dtype) / self.white

    def forward(self, raw: dict[str, Tensor]) -> Batch:
        return Batch(self.scaled(raw["x"]), raw.get("label"))

    def undo(self, x: Tensor) -> Tensor:
        return x * self.white.to(x.dtype)

    def to_json(self) -> dict[str, Any]:
        return {"kind": "images", "scale": self.scale, "white": float(self.white)}


class Unit(_Images):
    """x = u / white, in [0, 1]."""

    def scaled(self, u: Tensor) -> Tensor:
        return self.unit(u)


class Symmetric(_Images):
    """x = 2 u / white - 1, in [-1, 1]."""

    low = -1.0

    def scaled(self, u: Tensor) -> Tensor:
        return self.unit(u) * 2 - 1

    def undo(self, x: Tensor) -> Tensor:
        return (x + 1) / 2 * self.white.to(x.dtype)


class ColumnNorm(_Images):
    """Each column x[:, j] of one image over its L2 norm: `tf.keras.utils.normalize(x, axis=1)` on (N, H, W)."""

    undoable = False

    def scaled(self, u: Tensor) -> Tensor:
        v = u.to(self.white.dtype)
        norm = (v * v).sum(dim=-2, keepdim=True).sqrt()
        return v / torch.where(norm == 0, torch.ones_like(norm), norm)

    def undo(self, x: Tensor) -> Tensor:
        return x


class Levels(_Images):
    """x = floor(K u / white), at most K - 1: whole numbers 0 .. K-1."""

    def __init__(self, scale: str, white: float) -> None:
        super().__init__(scale, white)
        digits = scale.partition(":")[2]
        if not digits.isdecimal() or not 2 <= int(digits) <= 65536:
            raise InputError(f"--scale {scale}: give the number of levels, 2 to 65536, as in levels:16")
        self.levels = int(digits)
        self.high = float(self.levels - 1)

    def scaled(self, u: Tensor) -> Tensor:
        # u K is exact in float32, so the division cannot round past a whole number
        return torch.floor(u.to(self.white.dtype) * self.levels / self.white).clamp(max=self.high)

    def undo(self, x: Tensor) -> Tensor:
        # k / (K - 1) lies within level k's own interval, and keeps black black and white white
        return x / self.high * self.white.to(x.dtype)


class Binary(_Images):
    """x = 1 where u / white > 0.5, else 0."""

    def scaled(self, u: Tensor) -> Tensor:
        return (self.unit(u) > 0.5).to(self.white.dtype)


class Dynamic(_Images):
    """x drawn anew each time from Bernoulli(u / white)."""

    def scaled(self, u: Tensor) -> Tensor:
        if u.dtype.is_floating_point:
            return (torch.rand_like(u) * self.white < u).to(self.white.dtype)
        # 16-bit draws, four from each 64-bit number: a third of the time of rand, exact to 2**-16
        count = u.shape[0]
        size = u.numel() // max(count, 1)
        words = torch.randint(-(2**63), 2**63 - 1, (count, (size + 3) // 4), device=u.device)
        draws = words.view(torch.int16)[:, :size].reshape(u.shape).to(torch.int32)
        bar = torch.round(u.to(self.white.dtype) * (65536 / self.white)).to(torch.int32) - 32768
        return (draws < bar).to(self.white.dtype)


IMAGE_SCALES: dict[str, type[_Images]] = {
    "unit": Unit,
    "symmetric": Symmetric,
    "column": ColumnNorm,
    "levels": Levels,
    "binary": Binary,
    "dynamic": Dynamic,
}


def image_transform(scale: str, white: float) -> _Images:
    """The transform of one image scale; `levels:K` carries its number."""
    name = scale.partition(":")[0]
    if name not in IMAGE_SCALES or (name != "levels" and ":" in scale):
        known = [*(k for k in IMAGE_SCALES if k != "levels"), "levels:K"]
        raise InputError(f"--scale {scale}: no scale for images{nearest(name, known)}; known: {', '.join(known)}")
    return IMAGE_SCALES[name](scale, white)


class TableTransform(Transform):
    """x = (raw - center) / spread in real columns, log(1 + raw) where `scale` is log1p; other columns as they are.

    Raw values are (..., columns): rows of a table, or (window, columns) of a series. A missing cell becomes 0 and is
    marked in `observed`.
    """

    center: Tensor
    spread: Tensor

    def __init__(self, scale: str, width: int, *, wide: bool = False) -> None:
        super().__init__()
        self.scale = scale
        self.wide = wide
        """Raw values are float64, because float32 would blur a column that lies far from 0."""
        self.register_buffer("center", torch.zeros(width, dtype=torch.float64 if wide else torch.float32))
        self.register_buffer("spread", torch.ones(width))

    @property
    def moves(self) -> bool:
        """Whether center and spread are used."""
        return self.scale in ("standard", "robust")

    def forward(self, raw: dict[str, Tensor]) -> Batch:
        x, dtype = raw["x"], self.spread.dtype
        observed = raw.get("observed")
        if self.moves:
            x = (x.to(self.center.dtype) - self.center).to(dtype) / self.spread
        else:
            x = x.to(dtype)
        if self.scale == "log1p":
            x = torch.log1p(x)
        if observed is not None:
            x = torch.where(observed, x, torch.zeros_like(x))
        return Batch(x, raw.get("label"), observed, raw.get("lengths"))

    def undo(self, x: Tensor) -> Tensor:
        if self.scale == "log1p":
            return torch.expm1(x)
        if not self.moves:
            return x
        wide = (x * self.spread.to(x.dtype)).to(self.center.dtype) + self.center
        return wide if self.wide else wide.to(x.dtype)

    def to_json(self) -> dict[str, Any]:
        return {"kind": "table", "scale": self.scale, "width": len(self.spread), "wide": self.wide}


def transform_from_json(saved: dict[str, Any]) -> Transform:
    """The transform that `to_json` described, its numbers still to be loaded."""
    if saved.get("kind") == "images":
        return image_transform(saved["scale"], saved["white"])
    if saved.get("kind") == "table":
        return TableTransform(saved["scale"], saved["width"], wide=saved["wide"])
    if saved.get("kind") == "text":
        from .text import TextTransform
        from .tokenizers import tokenizer_from_json

        return TextTransform(tokenizer_from_json(saved["tokenizer"]))
    if saved.get("kind") == "labelled text":
        from .sequences_text import TokenTransform
        from .tokenizers import tokenizer_from_json

        return TokenTransform(tokenizer_from_json(saved["tokenizer"]))
    raise InputError(f"a run's transform is of kind {saved.get('kind')!r}, which this version does not know")
