"""What all recipes share: how they are asked for, the command line they drive, the race between ourselves and peers."""

from __future__ import annotations

import json
import shlex
import statistics
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import environments, floors, images
from benchmarks.record import Result, median_of_ratios
from benchmarks.rounds import Contestant, Pace, Track, environment, race

__all__ = [
    "Comparison",
    "Options",
    "Race",
    "compare",
    "elboroom",
    "engine",
    "fit",
    "history",
    "peer",
    "round_off",
    "track_words",
]


@dataclass(frozen=True)
class Options:
    """How a recipe is asked for."""

    cache: Path
    """Where peers' environments, run folders and logs go."""
    short: bool = False
    """Digits in place of MNIST and almost no training: shows that the recipe runs, and nothing else."""
    threads: int = 2
    device: str = "cpu"

    def scratch(self, name: str) -> Path:
        """A folder for one recipe's runs and logs."""
        folder = self.cache / "work" / (name + ("-short" if self.short else ""))
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def pace(self, batch: int = 256) -> Pace:
        """Of a worker that works alone; see `rounds.alone`."""
        return Pace(batch=batch, threads=self.threads, device=self.device, pinned=not self.short)

    def images(self) -> images.Images:
        """The set the recipe measures on."""
        return images.digits() if self.short else images.mnist()

    def begin(self, name: str, what: str, protocol: str, shortened: str) -> Result:
        """An empty result; `shortened` says how the short form was cut."""
        return Result(name, what, protocol, shortened if self.short else "")


# -- the command line --------------------------------------------------------------------------------------------------


def fit(options: Options, folder: Path, words: Iterable[object]) -> tuple[str, dict[str, Any]]:
    """`elboroom fit ...` in `folder`; gives the command and the document it prints.

    Run folders are named relative to `folder`, so the command holds no path of this machine.
    """
    return elboroom(options, folder, ["fit", *words, "--threads", options.threads, "--device", options.device])


def elboroom(options: Options, folder: Path, words: Iterable[object]) -> tuple[str, Any]:
    """Any verb with --json, likewise."""
    call = [*(str(word) for word in words), "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "elboroom", *call],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=None if sys.stderr.isatty() else subprocess.PIPE,
        text=True,
        env=environment(options.threads, Path(sys.executable)),
    )
    command = shlex.join(["elboroom", *call])
    if done.returncode:
        raise RuntimeError(f"{command}\nended with {done.returncode}: {(done.stderr or '')[-2000:]}")
    return command, json.loads(done.stdout)


def history(run: Path) -> list[dict[str, Any]]:
    """The lines of RUN/history.jsonl."""
    return [json.loads(line) for line in (run / "history.jsonl").read_text(encoding="utf-8").splitlines()]


# -- the race ----------------------------------------------------------------------------------------------------------


def engine(name: str, model: str, scale: str, precision: str, compile: str, settings: dict[str, Any]) -> Contestant:
    """Ourselves, in one way of running."""
    words = ("--model", model, "--scale", scale, "--precision", precision, "--compile", compile)
    return Contestant(name, Path(sys.executable), "elboroom_engine.py", (*words, "--settings", json.dumps(settings)))


def peer(options: Options, name: str, of: str, script: str, args: tuple[str, ...] = ()) -> Contestant | None:
    """A peer in its own environment, made where it is missing; a shortened run takes only what is there already."""
    python = environments.find(of, options.cache) if options.short else environments.build(of, options.cache)
    return None if python is None else Contestant(name, python, script, args)


@dataclass(frozen=True)
class Comparison:
    """Ours over theirs, and the bound it was promised to keep ("" for none)."""

    ours: str
    theirs: str
    goal: str = ""


@dataclass
class Race:
    """Contestants, the pairs to compare, and the least work of an epoch."""

    contestants: list[Contestant | None]
    comparisons: list[Comparison]
    pace: Pace
    layers: list[tuple[int, int]]
    """Dense layers of the net as (inputs, outputs), for the floor."""

    def run(self, options: Options, result: Result) -> dict[str, Track]:
        """Race, then write ratios, times, floors, commands and versions into the result."""
        data = options.images()
        result.data = data.words()
        scratch = options.scratch(result.name)
        present = [who for who in self.contestants if who is not None]
        rates = floors.measure(options.threads) if options.device == "cpu" else None
        examples = len(data.train)
        tracks = race(present, data.save(scratch / "data"), self.pace, scratch / "logs", per=examples)
        for pair in self.comparisons:
            compare(result, tracks, pair, "seconds an epoch")
        result.commands = [who.command() for who in present]
        result.details["pace"] = asdict(self.pace)
        result.details["contestants"] = {name: self._words(track) for name, track in tracks.items()}
        if rates is not None:
            work = floors.Work.of_mlp(self.layers, examples, min(self.pace.batch, examples))
            result.details["rates"] = rates.to_json()
            result.details["floors"] = {
                name: work.beside(round_off(statistics.median(track.seconds)), rates, precision_of(track))
                for name, track in tracks.items()
            }
        return tracks

    @staticmethod
    def _words(track: Track) -> dict[str, Any]:
        return {**track_words(track, "seconds_an_epoch"), "held_out": track.finished}


def compare(result: Result, tracks: dict[str, Track], pair: Comparison, what: str) -> None:
    """A row with the median of the ratios of two contestants' turns; without a value where one of them did not run."""
    measure = f"{what}: {pair.ours} / {pair.theirs}"
    absent = [name for name in (pair.ours, pair.theirs) if name not in tracks]
    if absent:
        result.add(measure, None, "x", pair.goal, how=f"{' and '.join(absent)} did not run")
        return
    ours, theirs = tracks[pair.ours].seconds, tracks[pair.theirs].seconds
    middle, low, high = median_of_ratios(ours, theirs)
    how = f"median of {len(ours)} ratios of neighbouring turns, with quartiles"
    result.add(measure, round_off(middle), "x", pair.goal, low=round_off(low), high=round_off(high), how=how)


def track_words(track: Track, seconds: str) -> dict[str, Any]:
    """What a contestant did and said of itself; `seconds` is the name of its turns' times."""
    ready = {k: v for k, v in track.ready.items() if k != "ready"}
    return {
        seconds: [round_off(s) for s in track.seconds],
        "warm_up_s": [round_off(s) for s in track.warm_up],
        "start": {k: round_off(v) if isinstance(v, float) else v for k, v in ready.items()},
    }


def held_out(track: Track, name: str) -> list[float]:
    """One measure of the held-out part, an entry a session."""
    return [entry[name] for entry in track.finished]


def precision_of(track: Track) -> str:
    """fp32 unless the worker said otherwise."""
    return str(track.ready.get("runtime", {}).get("precision", "fp32"))


def round_off(value: float) -> float:
    """Four digits: more than any of these figures is worth."""
    return float(f"{value:.4g}")
