"""A process that keeps a run folder as a training does: it holds the lock, logs rows, and at SIGTERM saves and ends.

It imports no torch, so that a page can be watched over a run which begins at once.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DONE = ("history.jsonl", "metrics.json", "details.json", "report.html", "weights.safetensors")
VALID_EVERY = 10
SAVED = "saved"
"""A file that ends the time which saving takes."""


@contextmanager
def trained(finished: Path, place: Path, *, rows_a_second: float = 20.0, saves_s: float = 0.0) -> Iterator[Path]:
    """A run in training, made of a finished one; afterwards its folder is gone."""
    shutil.copytree(finished, place, ignore=shutil.ignore_patterns(*DONE))
    meta = json.loads((place / "run.json").read_text())
    budget = {**meta["budget"], "planned_steps": 100_000, "epochs": 10_000}
    (place / "run.json").write_text(json.dumps({**meta, "name": place.name, "budget": budget, "state": "running"}))
    child = subprocess.Popen([sys.executable, __file__, str(place), str(rows_a_second), str(saves_s)])
    try:
        end = time.monotonic() + 60
        logged = place / "history.jsonl"
        while not (logged.exists() and logged.stat().st_size) and time.monotonic() < end:
            time.sleep(0.02)
        yield place
    finally:
        child.kill()
        child.wait()
        shutil.rmtree(place)


def main(place: Path, rows_a_second: float, saves_s: float) -> None:
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: os._exit(143) if asked else asked.append(number))
    meta = json.loads((place / "run.json").read_text())
    with (place / "lock").open("w") as lock, (place / "history.jsonl").open("a") as history:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(f"process {os.getpid()} on host {socket.gethostname()} since now\n")
        lock.flush()
        step = 0
        while not asked:
            step += 1
            row = {"step": step, "epoch": step / 10, "time_s": step / rows_a_second, "train/loss_nats": 40 + 10 / step}
            if step % VALID_EVERY == 0:
                row["valid/loss_nats"] = 41 + 10 / step
            history.write(json.dumps(row) + "\n")
            history.flush()
            time.sleep(1 / rows_a_second)
        end = time.monotonic() + saves_s
        while time.monotonic() < end and not (place / SAVED).exists():
            time.sleep(0.02)
        (place / "new.json").write_text(json.dumps({**meta, "state": "stopped", "why": "Stopped by a signal."}))
        os.replace(place / "new.json", place / "run.json")


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]))
