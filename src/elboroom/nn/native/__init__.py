"""Kernels in C++ for a processor: compiled where they are first needed, by the compiler that is there.

`library("peephole")` compiles `peephole.cpp` of this folder, about five seconds once, and gives the loaded library;
where there is no compiler, or anything else is amiss, it gives None, `why("peephole")` says what, and the caller takes
its form in plain torch. `ELBOROOM_NATIVE=off` has the same effect. Nothing is needed for it when elboroom is installed.

What was compiled is kept in `$XDG_CACHE_HOME/elboroom/native`, or `~/.cache/elboroom/native`, under a name made of the
SHA-256 of source (with what it includes from its folder), compiler, flags and processor, and of the file itself:
another compiler or processor gets its own file, and a damaged one is known and made again. The compiler writes under a
temporary name, and the renaming is one operation: of two processes that compile at once, each finds a whole file. A
folder that others may write to is not used.

A kernel is a function `int name(const int64_t* numbers, const T* const* read, T* const* written)` that gives 0, or 1
where memory is short.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import platform
import re
import secrets
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from torch import Tensor

__all__ = ["Library", "library", "why"]

SOURCES = Path(__file__).parent
COMPILERS = ("g++", "clang++", "c++")
FLAGS = ("-std=c++20", "-O3", "-ffp-contract=fast", "-fno-math-errno", "-fPIC", "-shared", "-w")
CHOICES = (("-march=native", "-fopenmp"), ("-march=native",), ("-fopenmp",), ())
"""Further flags, the first that this compiler takes and whose library can be loaded."""
PATIENCE_S = 300
ENVIRONMENT = ("ELBOROOM_NATIVE", "CXX", "PATH", "XDG_CACHE_HOME", "HOME")


@dataclass(frozen=True)
class Library:
    """A source compiled and loaded."""

    path: Path
    compiled: bool
    """Whether it was compiled just now, and not found."""
    loaded: ctypes.CDLL

    def call(
        self, name: str, numbers: Sequence[int], read: Sequence[Tensor | None], written: Sequence[Tensor | None]
    ) -> None:
        """Run one kernel. The tensors lie in memory as the kernel expects them; None is the null pointer."""
        n = (ctypes.c_int64 * len(numbers))(*numbers)
        if getattr(self.loaded, name)(n, pointers(read), pointers(written)):
            raise MemoryError(f"no memory was left for {name}; smaller batches need less")


class Unusable(Exception):
    """Why there is no library."""


def library(name: str) -> Library | None:
    """The kernels of `name`.cpp, or None: see `why`."""
    found = look(name, tuple(os.environ.get(key) for key in ENVIRONMENT))
    return found if isinstance(found, Library) else None


def why(name: str) -> str:
    """In a sentence: what became of `library(name)`."""
    found = look(name, tuple(os.environ.get(key) for key in ENVIRONMENT))
    if isinstance(found, Library):
        return f"{name}.cpp was {'compiled' if found.compiled else 'found compiled'}: {found.path.name}"
    return found


@cache
def look(name: str, settings: tuple[str | None, ...]) -> Library | str:
    """The library or the reason against it; asked again only where the environment has changed."""
    if settings[0] == "off":
        return "ELBOROOM_NATIVE is off"
    try:
        return load(SOURCES / f"{name}.cpp")
    except (Unusable, OSError, RuntimeError) as error:  # the last where nobody knows a home
        return f"{name}.cpp is not used: {error}"


def load(source: Path) -> Library:
    """Find it in the cache, or compile it into there."""
    name, compiler = source.stem, find_compiler()
    made_of = (*texts(source), version(compiler), repr((FLAGS, CHOICES)), processor())
    key = hashlib.sha256("\0".join(made_of).encode()).hexdigest()[:16]
    folder = own_folder()
    for path in sorted(folder.glob(f"{name}-{key}-*.so")):
        if path.stem.endswith(digest(path)):  # a library cut short would end the process that loads it
            with contextlib.suppress(OSError):
                return Library(path, False, ctypes.CDLL(str(path)))
        path.unlink(missing_ok=True)
    said = ""
    for choice in CHOICES:
        with temporary(folder) as place:
            said = compile_to(place, compiler, choice, source) or said
            if place.exists():
                try:
                    loaded = ctypes.CDLL(str(place))
                except OSError as error:
                    said = str(error)
                    continue
                path = folder / f"{name}-{key}-{digest(place)}.so"
                os.replace(place, path)
                return Library(path, True, loaded)
    raise Unusable(f"{Path(compiler).name} made no library of it: {said}")


def texts(source: Path) -> list[str]:
    """Of the source, then of the headers beside it that it includes."""
    text = source.read_text(encoding="utf-8")
    headers = re.findall(r'^#include "(.+)"$', text, re.M)
    return [text, *((source.parent / header).read_text(encoding="utf-8") for header in headers)]


def find_compiler() -> str:
    """$CXX or the first of the usual names."""
    if sys.platform == "win32":
        raise Unusable("compilers of Windows are not known here")
    named = os.environ.get("CXX")
    for candidate in (named,) if named else COMPILERS:
        found = shutil.which(candidate)
        if found:
            return found
    raise Unusable(f"there is no C++ compiler {named or ', '.join(COMPILERS)}")


def version(compiler: str) -> str:
    """What it says of itself, with where it lies."""
    done = run([compiler, "--version"])
    if done.returncode:
        raise Unusable(f"{Path(compiler).name} --version ended with {done.returncode}")
    return f"{compiler}\n{done.stdout}"


def processor() -> str:
    """Its features, as far as the system tells them: what `-march=native` depends on."""
    with contextlib.suppress(OSError):
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        return "\n".join(dict(re.findall(r"^(model name|flags|Features|CPU part)\s*: (.*)$", text, re.M)).values())
    return f"{platform.machine()} {platform.processor()}"


def own_folder() -> Path:
    """The folder of compiled libraries, which nobody else may write to: what lies there is run."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "elboroom" / "native"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.stat()
    if found.st_uid != os.getuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise Unusable(f"others may write to {folder}; make it your own alone (chmod 700)")
    return folder


@contextlib.contextmanager
def temporary(folder: Path) -> Iterator[Path]:
    """A fresh name for the compiler to write to; gone afterwards."""
    place = folder / f".tmp-{secrets.token_hex(8)}.so"
    try:
        yield place
    finally:
        place.unlink(missing_ok=True)


def compile_to(place: Path, compiler: str, choice: tuple[str, ...], source: Path) -> str:
    """Run the compiler; gives the first error it found, or nothing."""
    done = run([compiler, *FLAGS, *choice, str(source), "-o", str(place)])
    if not done.returncode:
        return ""
    lines = done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"]
    place.unlink(missing_ok=True)
    return next((line for line in lines if "error" in line), lines[0])


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Call the compiler and take down what it says."""
    silent = subprocess.DEVNULL
    try:
        return subprocess.run(
            command, stdin=silent, capture_output=True, text=True, errors="replace", check=False, timeout=PATIENCE_S
        )
    except subprocess.TimeoutExpired as error:
        raise Unusable(f"{Path(command[0]).name} took more than {PATIENCE_S} s") from error


def digest(path: Path) -> str:
    """The first half of the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:32]


def pointers(tensors: Sequence[Tensor | None]) -> ctypes.Array[ctypes.c_void_p]:
    """Where they begin in memory."""
    return (ctypes.c_void_p * len(tensors))(*[None if t is None else t.data_ptr() for t in tensors])
