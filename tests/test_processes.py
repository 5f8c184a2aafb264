"""Several processes under torchrun walk the path of one, and survive the death of a worker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

FOREIGN = Path(__file__).parent / "foreign"
FIT = [
    "fit",
    "vae",
    "digits",
    "--hidden",
    "64",
    "--latent",
    "8",
    "--batch-size",
    "64",
    "--steps",
    "100",
    "--threads",
    "1",
]
FIXED = ["--precision", "fp32", "--compile", "off", "--device", "cpu", "--seed", "4"]


def environment() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k not in {"WORLD_SIZE", "RANK", "LOCAL_RANK"}}
    return {**kept, "OMP_NUM_THREADS": "1", "ELBOROOM_MODELS": str(FOREIGN)}


def torchrun(*words: str) -> list[str]:
    return [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *words]


def ran(command: list[str]) -> None:
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-2000:]


def curve(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("model", ["vae", "duel"])
def test_two_processes_give_the_loss_curve_of_one(model: str, tmp_path: Path) -> None:
    fit = FIT if model == "vae" else ["fit", "duel", "digits", "--batch-size", "64", "--steps", "100", "--threads", "1"]
    one, two = tmp_path / "one", tmp_path / "two"
    ran([sys.executable, "-m", "elboroom", *fit, *FIXED, "--run", str(one)])
    ran(torchrun("-m", "--", "elboroom", *fit, *FIXED, "--run", str(two)))
    rows, others = curve(one), curve(two)
    assert len(rows) == len(others) > 1
    for row, other in zip(rows, others, strict=True):
        assert row.keys() == other.keys()
        for key in row:
            if key != "time_s":
                # a Wasserstein distance passes through zero: its error is held against the size of a loss
                assert other[key] == pytest.approx(row[key], rel=1e-5, abs=1e-5 if model == "duel" else 0), key


@pytest.mark.slow
def test_a_killed_worker_is_survived_and_the_end_is_the_same(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    fit = [*FIT, *FIXED, "--save-every", "0.001"]
    fit[fit.index("100")] = "1500"
    ran(torchrun("-m", "--", "elboroom", *fit, "--run", str(whole)))
    command = torchrun("--max-restarts", "3", "-m", "--", "elboroom", *fit, "--run", str(cut), "--or-resume")
    process = subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not ((cut / "history.jsonl").exists() and len(curve(cut)) > 4):
        time.sleep(0.02)
    children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()
    assert len(children) == 2
    os.kill(int(children[1]), signal.SIGKILL)
    assert process.wait(timeout=240) == 0
    assert (cut / "weights.safetensors").read_bytes() == (whole / "weights.safetensors").read_bytes()
    drop = [{k: v for k, v in row.items() if k != "time_s"} for row in curve(cut)]
    assert drop == [{k: v for k, v in row.items() if k != "time_s"} for row in curve(whole)]
