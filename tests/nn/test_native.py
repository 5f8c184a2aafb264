"""Compiling kernels: once, whole, of one's own; and a reason wherever there is none."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from elboroom.nn import native

HALVES = """
#include <cstdint>
extern "C" int halves(const int64_t* n, const float* const* in, float* const* out) {
    if (n[0] < 0) return 1;
    for (int64_t k = 0; k < n[0]; ++k) out[0][k] = in[0][k] / 2 + (out[1] ? 1 : 0);
    return 0;
}
"""


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small kernel, and a cache of its own that does not exist yet."""
    if not any(shutil.which(name) for name in native.COMPILERS):
        pytest.skip("there is no C++ compiler here")
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "halves.cpp"
    path.write_text(HALVES, encoding="utf-8")
    return path


def halved(library: native.Library) -> bool:
    """Whether its kernel does what it is for."""
    x, y = torch.tensor([2.0, 6.0]), torch.empty(2)
    library.call("halves", [2], [x], [y, None])
    return y.tolist() == [1.0, 3.0]


def compiler(folder: Path, before: str) -> str:
    """A compiler that does something first; its own name."""
    real = next(filter(None, map(shutil.which, native.COMPILERS)))
    path = folder / "compiler"
    path.write_text(f'#!/bin/sh\n{before}\nexec {real} "$@"\n', encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def test_a_source_is_compiled_once_and_found_from_then_on(source: Path, tmp_path: Path) -> None:
    first, second = native.load(source), native.load(source)
    assert (first.compiled, second.compiled) == (True, False)
    assert first.path == second.path and halved(first) and halved(second)
    folder = tmp_path / "cache" / "elboroom" / "native"
    assert list(folder.iterdir()) == [first.path]
    assert folder.stat().st_mode & 0o777 == 0o700


def test_another_source_or_compiler_makes_another_library(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = native.load(source)
    source.write_text(HALVES.replace("/ 2", "/ 4"), encoding="utf-8")
    assert native.load(source).compiled
    source.write_text(HALVES, encoding="utf-8")
    assert native.load(source).path == first.path
    monkeypatch.setenv("CXX", compiler(tmp_path, ""))
    assert native.load(source).compiled


def test_another_header_beside_the_source_makes_another_library(source: Path) -> None:
    header = source.parent / "share.h"
    header.write_text("constexpr int share = 2;\n", encoding="utf-8")
    source.write_text('#include "share.h"\n' + HALVES.replace("/ 2", "/ share"), encoding="utf-8")
    first = native.load(source)
    assert first.compiled and halved(first) and not native.load(source).compiled
    header.write_text("constexpr int share = 4;\n", encoding="utf-8")
    second = native.load(source)
    assert second.compiled and second.path != first.path and not halved(second)


def test_what_the_kernel_says_of_memory_reaches_the_caller(source: Path) -> None:
    with pytest.raises(MemoryError, match="halves"):
        native.load(source).call("halves", [-1], [torch.zeros(1)], [torch.zeros(1), None])


@pytest.mark.parametrize("damage", ["garbage", "cut", "empty", "one bit"])
def test_a_damaged_library_is_made_again(source: Path, damage: str) -> None:
    path = native.load(source).path
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    damaged = {"garbage": b"\x7fELF" + b"x" * 4000, "cut": whole[:5000], "empty": b"", "one bit": bytes(flipped)}
    path.unlink()  # a library that this process has loaded is not to be written over
    path.write_bytes(damaged[damage])
    again = native.load(source)
    assert again.compiled and halved(again)
    assert again.path.read_bytes() == whole


def test_flags_that_the_compiler_does_not_take_are_left_out(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse = 'case "$*" in *{}*) echo "error: unknown {}" >&2; exit 1;; esac'
    monkeypatch.setenv("CXX", compiler(tmp_path, "\n".join(refuse.format(f, f) for f in ("-fopenmp", "-march=native"))))
    assert halved(native.load(source))


def test_a_source_with_a_fault_is_refused_with_the_compilers_words(source: Path, tmp_path: Path) -> None:
    source.write_text(HALVES.replace("return 0;", "return nothing;"), encoding="utf-8")
    with pytest.raises(native.Unusable, match=r"made no library of it: .*error.*nothing"):
        native.load(source)
    assert not list((tmp_path / "cache" / "elboroom" / "native").iterdir())


def test_a_folder_that_others_may_write_to_is_not_used(source: Path, tmp_path: Path) -> None:
    native.load(source)
    (tmp_path / "cache" / "elboroom" / "native").chmod(0o777)
    with pytest.raises(native.Unusable, match="others may write to"):
        native.load(source)


TWO = """
import json, sys, time
from pathlib import Path
from elboroom.nn import native
source, mine, other = map(Path, sys.argv[1:])
mine.touch()
while not other.exists():
    time.sleep(0.001)
library = native.load(source)
print(json.dumps([library.compiled, library.path.name]))
"""


@pytest.mark.slow
def test_two_processes_that_compile_at_once_both_get_a_whole_library(source: Path, tmp_path: Path) -> None:
    slow = {**os.environ, "CXX": compiler(tmp_path, "sleep 0.7")}
    flags = [str(tmp_path / name) for name in ("a", "b")]
    running = [
        subprocess.Popen(
            [sys.executable, "-c", TWO, str(source), *names], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=slow
        )
        for names in (flags, flags[::-1])
    ]
    said = [process.communicate(timeout=120) for process in running]
    assert [process.returncode for process in running] == [0, 0], said
    found = [json.loads(out) for out, _ in said]
    assert [compiled for compiled, _ in found] == [True, True]
    folder = tmp_path / "cache" / "elboroom" / "native"
    assert {path.name for path in folder.iterdir()} == {name for _, name in found}


# -- no library: the reason --------------------------------------------------------------------------------------------


def refused() -> str:
    assert native.library("peephole") is None
    return native.why("peephole")


def test_it_can_be_turned_off_and_on_again(monkeypatch: pytest.MonkeyPatch) -> None:
    before = native.why("peephole")
    monkeypatch.setenv("ELBOROOM_NATIVE", "off")
    assert refused() == "ELBOROOM_NATIVE is off"
    monkeypatch.undo()
    assert native.why("peephole") == before


def test_without_a_compiler_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert refused() == "peephole.cpp is not used: there is no C++ compiler g++, clang++, c++"
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert refused().endswith("there is no C++ compiler no-such-compiler")


def test_a_compiler_that_fails_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\nexit 3\n", encoding="utf-8")
    broken.chmod(0o755)
    monkeypatch.setenv("CXX", str(broken))
    assert refused() == "peephole.cpp is not used: broken --version ended with 3"


def test_a_cache_that_cannot_be_written_to_leaves_the_plain_form(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert "Not a directory" in refused()


def test_a_name_without_a_source_has_no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    assert native.library("no_such_kernel") is None
    assert "no_such_kernel" in native.why("no_such_kernel")
