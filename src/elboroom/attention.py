"""`elbo.attend`: scaled dot-product attention of what one holds, lists, numpy or torch, with nothing left to guess.

Whatever could be read in two ways is refused, or is said: a 1-D input is n tokens of width 1, not one token of width n.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from elboroom.core.errors import InputError
from elboroom.nn import attention

__all__ = ["attend"]

NAMES = ("q", "k", "v")


def attend(q: Any, k: Any, v: Any, mask: Any = None, causal: bool = False, scale: float | None = None) -> Any:
    """softmax(scale q k^T + mask) v -> (output, weights), both of the kind of q: nested list, numpy or torch.

    q (..., queries, width), k (..., keys, width), v (..., keys, width of the output). A 1-D input is n tokens of
    width 1. `mask` (..., queries, keys): True where attention is allowed, or floats added to the scaled scores.
    `causal`: the last query sees every key, the one before it all but the last, and so on. `scale` is 1/sqrt(width)
    where it is not given. A query that may see nothing gives zeros in both.
    """
    tensors = [read(x, name) for x, name in zip((q, k, v), NAMES, strict=True)]
    flat = [x.ndim == 1 for x in tensors]
    if any(flat) and not all(flat):
        shapes = ", ".join(f"{name} is {tuple(x.shape)}" for name, x in zip(NAMES, tensors, strict=True))
        raise InputError(
            f"{shapes}: a 1-D input is n tokens of width 1, and then all three must be 1-D; write x[:, None] for n "
            "tokens of width 1, or x[None, :] for one token of width n"
        )
    dtype = common_dtype(tensors)
    tensors = [(x[:, None] if x.ndim == 1 else x).to(dtype) for x in tensors]
    fitting(*tensors, flat=all(flat))
    allowed = None if mask is None else read_mask(mask, tensors)
    output, weights = attention.attend(
        *tensors, mask=allowed, causal=bool(causal), scale=read_scale(scale), weights=True
    )
    assert weights is not None
    output = output[..., 0] if all(flat) else output
    return back(output, q), back(weights.to(output.dtype), q)


# -- reading -----------------------------------------------------------------------------------------------------------


def read(x: Any, name: str) -> Tensor:
    """Numbers with at least one axis; whole numbers become float64, as Python's are."""
    if isinstance(x, Tensor):
        tensor = x
    else:
        try:
            array = np.asarray(x)
        except ValueError as error:
            raise InputError(f"{name} has rows of unequal length; give a rectangle of numbers") from error
        if array.dtype.kind not in "fiub":
            raise InputError(f"{name} is not made of numbers ({array.dtype}); give a list or an array of them")
        tensor = torch.from_numpy(np.array(array, dtype=np.float64 if array.dtype.kind in "iub" else portable(array)))
    if tensor.is_complex() or tensor.dtype == torch.bool:
        raise InputError(f"{name} holds {'complex numbers' if tensor.is_complex() else 'booleans'}; give real numbers")
    if tensor.ndim == 0:
        raise InputError(f"{name} is a single number; give (..., tokens, width), or n numbers for n tokens of width 1")
    return tensor if tensor.is_floating_point() else tensor.to(torch.float64)


def portable(array: np.ndarray[Any, Any]) -> np.dtype[Any]:
    """The array's own width in this machine's byte order; torch has none above float64."""
    return np.dtype(f"f{min(array.dtype.itemsize, 8)}")


def common_dtype(tensors: list[Tensor]) -> torch.dtype:
    devices = {x.device for x in tensors}
    if len(devices) > 1:
        raise InputError(f"q, k and v lie on {', '.join(sorted(map(str, devices)))}; move them to one device")
    dtype = tensors[0].dtype
    for x in tensors[1:]:
        dtype = torch.promote_types(dtype, x.dtype)
    return dtype


def fitting(q: Tensor, k: Tensor, v: Tensor, *, flat: bool) -> None:
    """Refuse shapes that do not fit, with how each was read."""

    hint = (
        "a 1-D input is n tokens of width 1; for one token of width n write [x]"
        if flat
        else "(..., tokens, width): if yours are (..., width, tokens), swap the last two axes"
    )

    def reading(name: str, x: Tensor) -> str:
        return f"{name} {tuple(x.shape[:1] if flat else x.shape)} is {x.shape[-2]} tokens of width {x.shape[-1]}"

    if k.shape[-2] != v.shape[-2]:
        raise InputError(f"{reading('k', k)}, {reading('v', v)}: each key needs one value; {hint}")
    if q.shape[-1] != k.shape[-1]:
        raise InputError(f"{reading('q', q)}, {reading('k', k)}: queries and keys need one width; {hint}")
    if q.shape[-1] == 0:
        raise InputError(f"{reading('q', q)}: tokens of no width have no scores; give at least one number a token")
    leads = [tuple(x.shape[:-2]) for x in (q, k, v)]
    try:
        torch.broadcast_shapes(*leads)
    except RuntimeError as error:
        raise InputError(
            f"q {tuple(q.shape)}, k {tuple(k.shape)} and v {tuple(v.shape)}: the axes before (tokens, width) must be "
            "equal or 1"
        ) from error


def read_mask(mask: Any, tensors: list[Tensor]) -> Tensor:
    """Boolean, or floats; refused where it is neither, holds NaN, or does not fit the scores."""
    q, k, v = tensors
    if isinstance(mask, Tensor):
        found = mask
    else:
        try:
            array = np.asarray(mask)
        except ValueError as error:
            raise InputError("the mask has rows of unequal length; give (queries, keys)") from error
        if array.dtype.kind not in "bfiu":
            raise InputError(f"the mask is not made of booleans or numbers ({array.dtype})")
        found = torch.from_numpy(np.array(array, dtype=portable(array) if array.dtype.kind == "f" else array.dtype))
    if found.dtype != torch.bool and not found.is_floating_point():
        raise InputError(
            "a mask of whole numbers can mean two things; give booleans, True where attention is allowed "
            "(mask == 1, or mask == 0 where 1 meant hidden), or floats, which are added to the scores"
        )
    if found.is_floating_point() and not bool((found < torch.inf).all()):
        raise InputError("an additive mask holds NaN or +inf; give finite numbers, and -inf where nothing may be seen")
    found = found.to(q.device)
    scores = (*torch.broadcast_shapes(q.shape[:-2], k.shape[:-2], v.shape[:-2]), q.shape[-2], k.shape[-2])
    try:
        fits = torch.broadcast_shapes(tuple(found.shape), scores) == torch.Size(scores)
    except RuntimeError:
        fits = False
    if not fits:
        raise InputError(
            f"the mask is {tuple(found.shape)} and the scores are {scores}: (..., queries, keys); give the mask that "
            "shape, or 1 where it is the same for all"
        )
    return found


def read_scale(scale: Any) -> float | None:
    if scale is None:
        return None
    try:
        value = float(scale)
    except (TypeError, ValueError) as error:
        raise InputError(f"the scale {scale!r} is not a number; leave it out for 1/sqrt(width)") from error
    if not math.isfinite(value):
        raise InputError(f"the scale is {value}; give a finite number, or leave it out for 1/sqrt(width)")
    return value


def back(x: Tensor, like: Any) -> Any:
    """As a tensor, an array or a nested list, like what was given."""
    if isinstance(like, Tensor):
        return x
    array = x.detach().numpy()
    return array if isinstance(like, np.ndarray | np.generic) or hasattr(like, "__array__") else array.tolist()
