from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch

from elboroom.artifacts.tensors import HEADER_LIMIT, load_tensors, save_tensors
from elboroom.core.errors import InputError

DTYPES = [
    torch.float64, torch.int64, torch.uint64, torch.float32, torch.int32, torch.uint32, torch.float16, torch.int16,
    torch.uint16, torch.bfloat16, torch.int8, torch.uint8, torch.bool,
]  # fmt: skip


def everything() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    made = {f"{name}{d}": (torch.rand(3, 5, generator=generator) * 4).to(d) for d in DTYPES for name in "ba"}
    made |= {"scalar": torch.tensor(2.5), "empty": torch.zeros(0, 3), 'name "quoted" ü': torch.ones(2)}
    return made | {"turned": made["atorch.float32"].T}


def test_files_are_byte_for_byte_those_of_the_safetensors_package(tmp_path: Path) -> None:
    tensors = everything()
    save_tensors(tmp_path / "x", tensors)
    assert (tmp_path / "x").read_bytes() == safetensors.torch.save({n: t.contiguous() for n, t in tensors.items()})


def test_every_dtype_and_shape_comes_back_bit_for_bit(tmp_path: Path) -> None:
    tensors = everything()
    save_tensors(tmp_path / "x", tensors)
    loaded = load_tensors(tmp_path / "x")
    assert list(loaded) == sorted(tensors)
    for name, tensor in tensors.items():
        back = torch.as_tensor(loaded[name])
        assert back.dtype == tensor.dtype and back.shape == tensor.shape and torch.equal(back, tensor), name
        assert isinstance(loaded[name], torch.Tensor) == (tensor.dtype == torch.bfloat16)


def test_equal_tensors_give_equal_files_whatever_their_order_or_library(tmp_path: Path) -> None:
    arrays = {"b": np.arange(6.0).reshape(2, 3), "a": np.array([True, False]), "c": np.arange(3, dtype=">i4")}
    first = save_tensors(tmp_path / "1", arrays)
    second = save_tensors(
        tmp_path / "2", {n: torch.from_numpy(arrays[n].astype(arrays[n].dtype.newbyteorder("="))) for n in "cab"}
    )
    assert first == second and (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
    assert safetensors.numpy.load_file(tmp_path / "1")["b"].tolist() == arrays["b"].tolist()


def test_what_is_loaded_may_be_written_to_and_the_mode_of_the_file_follows_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        save_tensors(tmp_path / "x", {"a": torch.zeros(3), "b": torch.zeros(3, dtype=torch.bfloat16)})
    finally:
        os.umask(before)
    loaded = load_tensors(tmp_path / "x")
    torch.as_tensor(loaded["a"]).add_(1)
    torch.as_tensor(loaded["b"]).add_(1)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o644


def test_a_dtype_that_the_format_lacks_is_refused_by_name(tmp_path: Path) -> None:
    for bad in (np.array(["a"]), np.array([1j]), torch.tensor([1j])):
        with pytest.raises(InputError, match=r"tensor 'x' of dtype .* cannot be saved"):
            save_tensors(tmp_path / "x", {"x": bad})
    assert os.listdir(tmp_path) == []


def packed(header: Any, size: int) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(size)


def entry(begin: Any, end: Any, shape: Any = (2,), dtype: Any = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


TWIN = json.dumps(entry(0, 8)).encode()
HOSTILE = {
    "empty file": b"",
    "seven bytes": b"\x02\0\0\0\0\0\0",
    "header beyond the end": (100).to_bytes(8, "little") + b"{}",
    "header over our limit": (HEADER_LIMIT + 1).to_bytes(8, "little") + b"{}",
    "header of 2^63 bytes": b"\xff" * 8 + b"{}",
    "header no JSON": packed(b"{,}", 0),
    "header no UTF-8": packed(b'{"\xff": 1}', 0),
    "header a list": packed([1], 0),
    "header a number": packed(1, 0),
    "header very deep": packed(b"[" * 1_000_000, 0),
    "entry very deep": packed(b'{"a":' * 1_000_000, 0),
    "entry a number": packed({"a": 1}, 8),
    "overlap": packed({"a": entry(0, 8), "b": entry(4, 12)}, 12),
    "one range for two": packed({"a": entry(0, 8), "b": entry(0, 8)}, 8),
    "hole": packed({"a": entry(0, 8), "b": entry(12, 20)}, 20),
    "values left over": packed({"a": entry(0, 8)}, 9),
    "truncated": packed({"a": entry(0, 8)}, 7),
    "negative offset": packed({"a": entry(-8, 0)}, 8),
    "end before begin": packed({"a": entry(8, 0)}, 8),
    "fractional offset": packed({"a": entry(0.0, 8.0)}, 8),
    "offset a word": packed({"a": entry("0", "8")}, 8),
    "negative shape": packed({"a": entry(0, 8, [-2])}, 8),
    "shape that overflows": packed({"a": entry(0, 8, [2**62, 2**62, 4])}, 8),
    "shape larger than the values": packed({"a": entry(0, 8, [3])}, 8),
    "8 TiB in an empty file": packed({"a": entry(0, 2**43, [2**41])}, 0),
    "empty but vast shape": packed({"a": entry(0, 0, [0, 2**62, 2**62])}, 0),
    "hundred axes": packed({"a": entry(0, 0, [0] + [1] * 100)}, 0),
    "wrong dtype": packed({"a": entry(0, 8, (2,), "F33")}, 8),
    "dtype of code": packed({"a": entry(0, 8, (1,), "object")}, 8),
    "dtype we lack": packed({"a": entry(0, 2, (2,), "F8_E4M3")}, 2),
    "dtype a number": packed({"a": entry(0, 8, (2,), 3)}, 8),
    "boolean that is 2": packed({"a": entry(0, 1, (1,), "BOOL")}, 0) + b"\2",
    "name twice": packed(b'{"a":%b,"a":%b}' % (TWIN, TWIN.replace(b"F32", b"I32")), 8),
    "metadata not text": packed({"__metadata__": {"a": 1}, "a": entry(0, 8)}, 8),
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_file_is_refused_in_one_sentence(tmp_path: Path, what: str) -> None:
    (tmp_path / "x.safetensors").write_bytes(HOSTILE[what])
    with pytest.raises(InputError, match=r"x\.safetensors: is damaged or no safetensors file: .*; restore it"):
        load_tensors(tmp_path / "x.safetensors")


def test_a_hostile_file_costs_no_memory_of_its_declared_size(tmp_path: Path, exit_code: Callable[[Any], int]) -> None:
    import resource

    def child() -> None:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (256 << 20), used + (256 << 20)))
        for content in HOSTILE.values():
            (tmp_path / "x").write_bytes(content)
            with pytest.raises(InputError):
                load_tensors(tmp_path / "x")

    save_tensors(tmp_path / "x", {"a": torch.zeros(1)})
    load_tensors(tmp_path / "x")  # what is imported at the first call is imported here, before the limit
    assert exit_code(child) == 0


def test_a_missing_file_and_a_folder_are_bad_input(tmp_path: Path) -> None:
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            load_tensors(path)


def test_a_flipped_bit_is_seen_with_the_noted_hash(tmp_path: Path) -> None:
    path = tmp_path / "x"
    noted = save_tensors(path, {"a": torch.randn(1000)}).sha256
    load_tensors(path, sha256=noted)
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="SHA-256"):
        load_tensors(path, sha256=noted)


@pytest.mark.parametrize("rounds", [3000, pytest.param(200_000, marks=pytest.mark.slow)])
def test_no_mutation_of_a_file_raises_anything_but_bad_input(tmp_path: Path, rounds: int) -> None:
    from elboroom.artifacts.tensors import parse_tensors

    path = tmp_path / "x"
    save_tensors(
        path, {"a": torch.randn(3), "b": torch.ones(2, 2, dtype=torch.bool), "c": torch.zeros(2, dtype=torch.bfloat16)}
    )
    whole = path.read_bytes()
    chance = random.Random(0)
    for _ in range(rounds):
        content = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            match chance.randrange(5):
                case 0:
                    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
                case 1:
                    del content[chance.randrange(len(content)) :]
                    content += b"\0"
                case 2:
                    at = chance.randrange(len(content))
                    content[at:at] = chance.choice([b"9", b"-", b"{", b'"', b"]", b"1e400", b"null", b"\0" * 8])
                case 3:
                    at = chance.randrange(len(content))
                    del content[at : at + chance.randint(1, 8)]
                    content += b"\0"
                case 4:
                    content[:8] = chance.randrange(2 ** chance.randrange(1, 64)).to_bytes(8, "little")
        try:
            parse_tensors(bytes(content))
        except ValueError:
            continue
