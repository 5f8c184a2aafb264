"""The peers' own environments: one virtual environment a peer, from a pinned list, outside the project.

`peers/NAME.txt` is installed with its needs; `peers/NAME.no-deps.txt`, where there is one, without them. The
folder's name carries the hash of both lists, so a changed pin makes a new environment and an old one is never
mistaken for it.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import venv
from pathlib import Path

__all__ = ["PEERS", "build", "default_cache", "find"]

FOLDER = Path(__file__).parent / "peers"
PEERS = ("keras", "pythae", "schemathesis", "transformers")


def default_cache() -> Path:
    """Where environments and run folders go unless the caller names a folder."""
    return Path("~/.cache/elboroom-bench").expanduser()


def find(peer: str, cache: Path) -> Path | None:
    """The peer's Python, or None where its environment was not made yet."""
    python = _place(peer, cache) / "bin" / "python"
    return python if (python.parent.parent / "complete").is_file() else None


def build(peer: str, cache: Path) -> Path:
    """Make the peer's environment where it is missing; gives its Python."""
    ready = find(peer, cache)
    if ready is not None:
        return ready
    place = _place(peer, cache)
    print(f"making the environment of {peer}", file=sys.stderr)
    venv.create(place, clear=True, with_pip=True)
    python = place / "bin" / "python"
    for listed, extra in zip(_lists(peer), ([], ["--no-deps"]), strict=False):
        subprocess.run([python, "-m", "pip", "install", "--quiet", *extra, "-r", listed], check=True, stdout=sys.stderr)
    (place / "complete").touch()
    return python


def _lists(peer: str) -> list[Path]:
    return [p for p in (FOLDER / f"{peer}.txt", FOLDER / f"{peer}.no-deps.txt") if p.is_file()]


def _place(peer: str, cache: Path) -> Path:
    pins = "\n".join(path.read_text(encoding="utf-8") for path in _lists(peer))
    return cache / f"{peer}-{hashlib.sha256(pins.encode()).hexdigest()[:10]}"
