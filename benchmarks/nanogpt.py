"""nanoGPT as a peer: it is no package, so the reader brings a checkout and names it in ELBOROOM_BENCH_NANOGPT.

Wanted is karpathy/nanoGPT at commit 3adf61e. Its code is no part of this project. The two files it is measured by are
known by their SHA-256, so another commit is never mistaken for this one. It runs in the environment of the peer
transformers, since it needs torch and numpy alone.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from benchmarks.recipe import Options, peer
from benchmarks.rounds import Contestant

__all__ = ["COMMIT", "VARIABLE", "nanogpt"]

VARIABLE = "ELBOROOM_BENCH_NANOGPT"
COMMIT = "3adf61e154c3fe3fca428ad6bc3818b27a3b8291"
FILES = {
    "model.py": "7c01703240dbec5d554527dc666e35b3df8391d0b117fddc07afcf325a21d11c",
    "train.py": "413bd97b40bb400a2a0d01230e2946f056c263ebac1b7281c2367d964a123085",
}


def nanogpt(options: Options, script: str, args: tuple[str, ...] = (), name: str = "nanoGPT") -> Contestant | None:
    """nanoGPT running a worker's script; None where there is no checkout: no peer, no row."""
    place = os.environ.get(VARIABLE, "")
    if not place:
        return None
    for file, wanted in FILES.items():
        path = Path(place) / file
        found = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "nothing"
        if found != wanted:
            raise SystemExit(f"{VARIABLE} names a folder whose {file} is not that of nanoGPT {COMMIT[:7]}")
    return peer(options, name, "transformers", script, args)
