"""Contestants taking turns: A B C A B C on the same processors, each in a process of its own.

A session starts every contestant, gives each one warm-up turn that is not counted, then the measured turns in
rotation; several sessions with fresh processes and other seeds keep one lucky memory layout from deciding. While
one contestant trains, the others wait for a line on their standard input. The comparison is the median over turns
of the ratio of two contestants' turns that stood side by side.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Contestant", "Pace", "Track", "alone", "pinned", "race"]

WORKERS = Path(__file__).parent / "workers"
PAUSE_S = 0.1  # lets the threads of the one before go to sleep


@dataclass(frozen=True)
class Contestant:
    """One way of doing the work: a worker script, the Python that runs it, its arguments."""

    name: str
    python: Path
    script: str
    args: tuple[str, ...] = ()

    def command(self) -> str:
        """The command as a reader would type it; the folder of arrays and the turns are the benchmark's own."""
        return " ".join(["python", f"benchmarks/workers/{self.script}", *self.args])


@dataclass(frozen=True)
class Pace:
    """How much of it."""

    sessions: int = 3
    turns: int = 4
    """Measured turns a session."""
    epochs: int = 1
    """Epochs a turn; more where an epoch is too short to be timed well."""
    batch: int = 256
    threads: int = 2
    device: str = "cpu"
    pinned: bool = True
    """Whether the processes are kept on as many processors as there are threads; a shortened run may go anywhere."""


@dataclass
class Track:
    """What one contestant did, over all sessions."""

    seconds: list[float] = field(default_factory=list)
    """Seconds an epoch of `per` examples, one entry a measured turn."""
    warm_up: list[float] = field(default_factory=list)
    ready: dict[str, Any] = field(default_factory=dict)
    finished: list[dict[str, float]] = field(default_factory=list)
    """Held-out measures, one entry a session."""


class _Worker:
    def __init__(self, who: Contestant, data: Path, pace: Pace, seed: int, log: Path) -> None:
        self.who, self.log = who, log
        words = ["--data", data, "--turns", pace.turns + 1, "--turn-epochs", pace.epochs, "--batch", pace.batch]
        words += ["--threads", pace.threads, "--seed", seed, "--device", pace.device]
        command = [who.python, WORKERS / who.script, *words, *who.args]
        with log.open("wb") as errors, pinned(pace.threads if pace.pinned else 0):
            self.process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=environment(pace.threads, who.python),
            )

    def turn(self) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return self.answer()

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            tail = self.log.read_text(encoding="utf-8", errors="replace")[-2000:]
            raise RuntimeError(f"{self.who.name} ended before its answer; the end of what it said:\n{tail}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def race(contestants: list[Contestant], data: Path, pace: Pace, logs: Path, per: int) -> dict[str, Track]:
    """All sessions; each turn's time is scaled to `per` examples (one drops a last short batch, another trains it)."""
    logs.mkdir(parents=True, exist_ok=True)
    tracks = {who.name: Track() for who in contestants}
    for session in range(pace.sessions):
        workers: list[_Worker] = []
        try:
            for who in contestants:  # one after the other, so that no start or compile disturbs another's
                workers.append(_Worker(who, data, pace, session, logs / f"{who.name}.{session}.log"))
                tracks[who.name].ready = workers[-1].answer()
            for turn in range(pace.turns + 1):
                for worker in workers:
                    time.sleep(PAUSE_S)
                    answer = worker.turn()
                    seconds = answer["seconds"] * per / answer["examples"]
                    track = tracks[worker.who.name]
                    (track.seconds if turn else track.warm_up).append(seconds)
                print(f"session {session + 1}, turn {turn}", file=sys.stderr)
            for worker in workers:  # held-out measures, when no turn is left that they could disturb
                answer = worker.turn()
                tracks[worker.who.name].finished.append({k: v for k, v in answer.items() if k != "finished"})
        finally:
            for worker in workers:
                worker.close()
    return tracks


def alone(who: Contestant, data: Path, pace: Pace, log: Path) -> dict[str, Any]:
    """A worker that needs no turns: start it, take its one answer."""
    log.parent.mkdir(parents=True, exist_ok=True)
    worker = _Worker(who, data, pace, 0, log)
    try:
        return worker.answer()
    finally:
        worker.close()


@contextmanager
def pinned(threads: int) -> Iterator[None]:
    """Processes started inside run on as many processors as there are threads (0: any); this one is as before after."""
    if not threads or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:threads])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def environment(threads: int, python: Path) -> dict[str, str]:
    """Equal threads for every library; a peer's Python gets no search path of ours."""
    names = (
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "TF_NUM_INTRAOP_THREADS",
        "TF_NUM_INTEROP_THREADS",
    )
    ours = {**os.environ, **dict.fromkeys(names, str(threads)), "PYTHONUNBUFFERED": "1", "PYTHONHASHSEED": "0"}
    if python != Path(sys.executable):
        ours.pop("PYTHONPATH", None)
    return ours
