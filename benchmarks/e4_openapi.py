"""E4: schemathesis asks `elboroom serve` what its OpenAPI document allows, of three runs: no answer is a 5xx.

Bodies are made from the document, right, wrong and at their bounds, over single calls and chains of them.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

from benchmarks import environments
from benchmarks.e4_serve_streams import Served, serving
from benchmarks.recipe import Options, fit
from benchmarks.record import Result

__all__ = ["run"]

NAME = "e4_openapi"
RUNS: dict[str, list[Any]] = {
    "VAE of pictures": ["vae", "digits", "--latent", 2, "--hidden", 16, "--epochs", 2],
    "GPT of letters": [
        "gpt",
        "pydocs",
        "--tokenizer",
        "char",
        "--layers",
        1,
        "--heads",
        2,
        "--width",
        16,
        "--steps",
        5,
    ],
    "forecaster of sensors": ["forecaster", "machine", "--hidden", 8, "--epochs", 1],
}
EXAMPLES = 50
PROTOCOL = (
    f"`schemathesis run`, phases coverage, fuzzing and stateful, {EXAMPLES} examples an operation, seed 1, check "
    "not_a_server_error, against a server process of each run"
)


def run(options: Options) -> Result:
    result = options.begin(NAME, __doc__.splitlines()[0], PROTOCOL, "one run, 2 examples an operation")
    folder = options.scratch(NAME)
    python = environments.build("schemathesis", options.cache)
    listed = list(RUNS.items())[:1] if options.short else RUNS.items()
    for name, words in listed:
        place = words[0]
        command, _ = fit(options, folder, [*words, "--run", place, "--force"])
        result.commands.append(command)
        with serving(options, folder, ["serve", place]) as served:
            generated, faults = asked(options, python, folder, served)
        result.add(f"{name}: requests", generated, "requests")
        result.add(f"{name}: answered with a 5xx", faults, "requests", "<= 0")
    return result


def asked(options: Options, python: Path, folder: Path, served: Served) -> tuple[int, int]:
    """(requests made, those that were answered with a 5xx)."""
    most = 2 if options.short else EXAMPLES
    words = ["--max-examples", str(most), "--seed", "1", "--checks", "not_a_server_error", "--request-timeout", "60"]
    address = f"http://127.0.0.1:{served.port}/openapi.json"
    call = [
        python,
        "-m",
        "schemathesis.cli",
        "run",
        address,
        "-H",
        f"Authorization: Bearer {served.token}",
        "--no-color",
    ]
    env = {**os.environ, "COLUMNS": "200"}
    done = subprocess.run([*call, *words], capture_output=True, text=True, env=env, cwd=folder)  # it leaves files there
    counts = re.search(r"([\d,]+) generated", done.stdout)
    if counts is None:
        raise RuntimeError(f"schemathesis said nothing of its requests: {done.stdout[-2000:]} {done.stderr[-2000:]}")
    found = re.search(r"Server error: ([\d,]+)", done.stdout)
    faults = int(found[1].replace(",", "")) if found else 0
    if done.returncode and not faults:
        raise RuntimeError(f"schemathesis ended with {done.returncode}: {done.stdout[-2000:]}")
    return int(counts[1].replace(",", "")), faults
