"""The program under test, run whole in children that can be killed, and what of a run must be equal to the bit."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Outcome:
    """How a call ended: exit code (negative: the signal that ended it), what it printed, how long it took."""

    code: int
    said: str
    took_s: float
    to_exit_s: float
    """Seconds from the last signal to the end; 0 where none was sent."""


class Program:
    """The command line, each call in a fresh child of a server that has imported everything."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls = 0
        self.server = subprocess.Popen(
            [sys.executable, str(HERE / "forkserver.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
        )
        if self._answer() != "ready":
            self.close()
            raise RuntimeError("the server did not start; what it said is above")

    def _answer(self) -> str:
        assert self.server.stdout is not None
        return self.server.stdout.readline().strip()

    def __call__(self, *words: str | Path, **plan: Any) -> Outcome:
        assert self.server.stdin is not None
        self.calls += 1
        said = self.folder / f"said {self.calls}"
        request = {"call": self.calls, "words": [str(word) for word in words], "said": str(said), **plan}
        self.server.stdin.write(json.dumps(request) + "\n")
        self.server.stdin.flush()
        ended = json.loads(self._answer())
        while ended.pop("call") != self.calls:  # of a test that was given up
            ended = json.loads(self._answer())
        return Outcome(said=said.read_text() if said.exists() else "", **ended)

    def close(self) -> None:
        assert self.server.stdin is not None and self.server.stdout is not None
        self.server.stdin.close()
        self.server.wait(30)
        self.server.stdout.close()


@pytest.fixture(scope="session")
def memory() -> Iterator[Path]:
    """A folder in memory where the machine has one: hundreds of runs with all their fsyncs."""
    folder = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=folder if os.access(folder, os.W_OK) else None) as inside:
        yield Path(inside)


@pytest.fixture(scope="session")
def drawn(memory: Path) -> Path:
    """A folder with a text, sequences of two classes and many lengths, and a series with a gap and missing cells."""
    chance, folder = np.random.default_rng(0), memory / "drawn"
    folder.mkdir()
    words = chance.choice(["the fox", "the old owl", "a hare", "saw", "fed", "feared", "\n"], 3000)
    (folder / "tale.txt").write_text(" ".join(words))
    lengths = chance.integers(8, 17, 60)
    waves = [np.sin((0.5, 1.5)[i % 2] * np.arange(n) + chance.uniform(0, 6)) for i, n in enumerate(lengths)]
    np.savez(folder / "waves.npz", x=np.concatenate(waves)[:, None], lengths=lengths, y=np.arange(60) % 2)
    lines = ["time,load,flow"]
    for k in [*range(300), *range(340, 600)]:
        load, flow = np.sin(k / 4) + chance.normal(0, 0.1), np.cos(k / 6) + chance.normal(0, 0.1)
        lines.append(f"2026-01-{1 + k // 24:02d} {k % 24:02d}:00,{load:.3f},{'' if k % 17 == 0 else f'{flow:.3f}'}")
    (folder / "pump.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="session")
def program(memory: Path) -> Iterator[Program]:
    made = Program(memory)
    yield made
    made.close()


def _digest(run: Path) -> dict[str, str]:
    """SHA-256 of everything of a run that an interruption must not change: all but times and the log."""

    def of(content: bytes) -> str:
        return hashlib.sha256(content).hexdigest()

    rows = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    for row in rows:
        row.pop("time_s")
    found = {"history.jsonl": of(json.dumps(rows).encode())}
    for name in ("weights.safetensors", "metrics.json", "details.json", "per_example.npz"):
        found[name] = of((run / name).read_bytes())
    for path in sorted((run / "media").rglob("*")):
        if path.is_file():
            found[str(path.relative_to(run))] = of(path.read_bytes())
    return found


@pytest.fixture(scope="session")
def digest() -> Any:
    return _digest


@dataclass(frozen=True)
class Reference:
    """A run that nothing interrupted."""

    words: tuple[str, ...]
    """The call, without --run."""
    path: Path
    digest: dict[str, str]
    operations: list[tuple[float, str, str, str]]
    """Every operation on the disk: seconds from the start, action, path, target of a rename."""
    took_s: float

    def before(self, name: str) -> list[tuple[int, float]]:
        """(number of the operation, seconds to the next) before each making of a file whose name contains `name`:
        the time in which its content was computed."""
        found = []
        for number, (_, action, path, target) in enumerate(self.operations):
            if action == "rename" and name in target:
                opened = next(n for n in range(number, -1, -1) if self.operations[n][1:3] == ("open", path))
                found.append((opened - 1, self.operations[opened][0] - self.operations[opened - 1][0]))
        return found


@pytest.fixture(scope="session")
def reference(program: Program, memory: Path) -> Reference:
    words = (
        "fit", "vae", "digits", "--epochs", "6", "--latent", "4", "--hidden", "48", "--lr", "0.02", "--threads", "1",
        "--device", "cpu", "--precision", "fp32", "--compile", "off", "--save-every", "0.0001",
    )  # fmt: skip
    path, log = memory / "reference", memory / "operations.json"
    outcome = program(*words, "--run", path, record=str(log))
    assert outcome.code == 0, outcome.said
    operations = [(float(s), str(a), str(p), str(t)) for s, a, p, t in json.loads(log.read_text())]
    return Reference(words, path, _digest(path), operations, outcome.took_s)
