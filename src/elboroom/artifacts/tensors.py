"""Named tensors in one safetensors file, written and read through the one door for files.

Written here and not by the safetensors package because its file has mode 0600 and no fsync, and a hash taken beside
the writing needs the bytes as they go. The bytes are the same (a test compares them): widest dtype first, so every
tensor lies aligned, then by name, no metadata: equal tensors give equal files.

Read by the package, whose parser refuses overlaps, holes and lengths that do not fit; before it stands our smaller
limit on the header and after it our list of dtypes. A damaged or hostile file is an `InputError`. A flipped bit among
the values cannot be seen in this format: give the SHA-256 that was noted when the file was written, and it is.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np

from elboroom.core.errors import InputError

from .files import Buffer, Written, write_new, write_pieces

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Loaded", "load_tensors", "save_tensors"]

Loaded: TypeAlias = "np.ndarray[Any, Any] | Tensor"
"""numpy, except bfloat16, which numpy lacks: that comes as a torch tensor."""

HEADER_LIMIT = 16 << 20
"""Largest header that is read, in bytes; the package would take 100 MB."""
TENSOR_LIMIT = 100_000
"""Most tensors in one file."""

# numpy's name of a dtype, the file's name and its form in the file, in the order in which the package lays them out.
_DTYPES = [
    ("uint64", "U64", "<u8"),
    ("int64", "I64", "<i8"),
    ("float64", "F64", "<f8"),
    ("float32", "F32", "<f4"),
    ("uint32", "U32", "<u4"),
    ("int32", "I32", "<i4"),
    ("bfloat16", "BF16", "<u2"),
    ("float16", "F16", "<f2"),
    ("uint16", "U16", "<u2"),
    ("int16", "I16", "<i2"),
    ("int8", "I8", "|i1"),
    ("uint8", "U8", "|u1"),
    ("bool", "BOOL", "|b1"),
]
_FILE_NAME = {name: in_file for name, in_file, _ in _DTYPES}
_FORM = {in_file: form for _, in_file, form in _DTYPES}
_RANK = {in_file: rank for rank, in_file in enumerate(_FORM)}


def save_tensors(path: Path, tensors: Mapping[str, Any], *, new: bool = False) -> Written:
    """Write numpy arrays or torch tensors of any device; gives the size and SHA-256 of the file.

    `new` writes straight under the name, for a file inside a folder that is itself still temporary.
    """
    pieces = list(_pieces(tensors))
    return write_new(path, pieces) if new else write_pieces(path, pieces)


def _pieces(tensors: Mapping[str, Any]) -> Iterator[Buffer]:
    """The file in its parts: length of the header, header, then the memory of each tensor as it lies."""
    flat = sorted(((name, *_flat(name, t)) for name, t in tensors.items()), key=lambda t: (_RANK[t[1]], t[0]))
    header: dict[str, Any] = {}
    begin = 0
    for name, dtype, shape, values in flat:
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, begin + values.nbytes]}
        begin += values.nbytes
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    yield len(text).to_bytes(8, "little") + text
    for _, _, _, values in flat:
        yield values.data


def _flat(name: str, tensor: Any) -> tuple[str, list[int], np.ndarray[Any, Any]]:
    """dtype, shape and the bytes of one tensor, without a copy where it already lies in order on the host."""
    torch = sys.modules.get("torch")  # who brings a tensor of torch has imported it
    if torch is not None and isinstance(tensor, torch.Tensor):
        dtype, shape = str(tensor.dtype).removeprefix("torch."), list(tensor.shape)
        tensor = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    else:
        array = np.asarray(tensor)
        dtype, shape = array.dtype.name, list(array.shape)
        tensor = array.astype(array.dtype.newbyteorder("<"), copy=False)
    if dtype not in _FILE_NAME:
        raise InputError(f"tensor {name!r} of dtype {dtype} cannot be saved; use one of {', '.join(_FILE_NAME)}")
    return _FILE_NAME[dtype], shape, np.ascontiguousarray(tensor).reshape(-1).view(np.uint8)


def load_tensors(path: Path, *, sha256: str = "") -> dict[str, Loaded]:
    """Read every tensor of a file, by name; `sha256`, where given, must be that of the bytes."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}; restore it from a copy") from error
    if sha256 and hashlib.sha256(content).hexdigest() != sha256:
        raise InputError(f"{path}: is damaged: its SHA-256 is not the one noted when it was written; restore a copy")
    try:
        return parse_tensors(content)
    except ValueError as error:
        raise InputError(f"{path}: is damaged or no safetensors file: {error}; restore it from a copy") from error


def parse_tensors(content: bytes) -> dict[str, Loaded]:
    """The tensors in the bytes of a file; ValueError says what is wrong with them."""
    from safetensors import SafetensorError, deserialize

    length = int.from_bytes(content[:8], "little")
    if length > HEADER_LIMIT:
        raise ValueError(f"it declares a header of {length:,} bytes, the most is {HEADER_LIMIT:,}")
    if len(content) < 8 + length:
        raise ValueError(f"it ends after {len(content):,} bytes, inside its header")
    try:
        if len(json.loads(content[8 : 8 + length], object_pairs_hook=_without_twins)) > TENSOR_LIMIT:
            raise ValueError(f"it names more than {TENSOR_LIMIT:,} tensors")
        entries = deserialize(content)  # type: ignore[no-untyped-call]
    except (SafetensorError, RecursionError, TypeError) as error:
        raise ValueError(f"{error}") from error
    return {name: _tensor(name, entry) for name, entry in sorted(entries, key=lambda e: cast(str, e[0]))}


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    named = dict(pairs)
    if len(named) != len(pairs):
        raise ValueError("a name is given twice")
    return named


def _tensor(name: str, entry: dict[str, Any]) -> Loaded:
    dtype, shape, values = entry["dtype"], entry["shape"], entry["data"]
    if dtype not in _FORM:
        raise ValueError(f"tensor {name!r} has dtype {dtype}, known are {', '.join(_FORM)}")
    array = np.frombuffer(values, _FORM[dtype]).reshape(shape)
    if dtype == "BOOL" and array.size and array.view(np.uint8).max() > 1:
        raise ValueError(f"tensor {name!r} holds booleans that are neither 0 nor 1")
    if dtype != "BF16":
        return array
    import torch

    return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
