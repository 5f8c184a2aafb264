"""D6: LSTM, GRU and transformer at equal parameters: as language models in equal minutes, over length, over a delay.

Three questions. (a) Tiny Shakespeare: `charnn` with two cells and `gpt`, some 0.8 million weights and four minutes
each: which law of the next character is better, and how fast does each write? (b) What do a training step's seconds and
memory do as windows grow? (c) A symbol is marked and asked for after a delay: who still knows it? Settings are the
models' own but for sizes, which are chosen to be equal, and the transformer's lr in (c); nothing is tuned. The page
docs/lstm-against-transformer.md gets its figures and its tables from here.
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from sys import executable
from typing import Any

import numpy as np

from benchmarks import d6_page
from benchmarks.recipe import Options, elboroom, fit, history, round_off
from benchmarks.record import Result
from benchmarks.rounds import Contestant, Pace, alone
from benchmarks.texts import pydoc_topics, tinyshakespeare
from elboroom.artifacts.files import read_json

__all__ = ["run"]

NAME = "d6_lstm_against_transformer"
MINUTES, WINDOW, ROWS = 4, 128, 16
NETS: dict[str, tuple[str, dict[str, Any]]] = {
    "LSTM": ("charnn", {"cell": "lstm", "hidden": 408}),
    "GRU": ("charnn", {"cell": "gru", "hidden": 474}),
    "transformer": ("gpt", {"layers": 4, "heads": 4, "width": 128}),
}
"""803,000 to 804,300 weights with 65 characters."""
SMALL: dict[str, dict[str, Any]] = {"LSTM": {"hidden": 16}, "GRU": {"hidden": 16}, "transformer": {"width": 16}}
PROMPT, TOKENS = "ROMEO:", 500
LENGTHS = (64, 128, 256, 512, 1024, 2048, 4096)
DELAYS, SEEDS, STEPS = (16, 32, 64, 128, 256), 3, 600
RECALL: dict[str, dict[str, Any]] = {
    "LSTM": {"cell": "lstm", "hidden": 73},
    "transformer": {"cell": "transformer", "hidden": 32, "layers": 2, "lr": 1e-3},
}
"""25,100 weights each."""
PROTOCOL = (
    f"(a) elboroom fit tinyshakespeare --minutes {MINUTES} --window {WINDOW} --batch-size {ROWS} --split .9,.05,.05, "
    "characters, seed 0, weights of the best look at the validation part; elboroom compare on the test part, 95 % "
    f"intervals over 64 blocks of the text; {TOKENS} characters from one prompt, a time that is not counted, then 3, "
    "the median. (b) the language models of (a), forward and backward of 4 windows of T characters without the "
    "optimiser, each T in a process of its own, a turn that is not counted, then 3, the shortest; memory: the most the "
    "process held less what it held before the first step. (c) classifiers, 8,000 sequences to train on, "
    f"{STEPS} steps of 32, 1,000 to test on, the last weights, {SEEDS} seeds, mean with smallest and largest"
)


def run(options: Options) -> Result:
    result = options.begin(NAME, __doc__.splitlines()[0], PROTOCOL, "other text, tiny nets, a few steps, two lengths")
    text = pydoc_topics() if options.short else tinyshakespeare()
    result.data = text.words()
    data = text.save(options.scratch(NAME) / "data")
    language(options, result, data)
    lengths(options, result, data)
    recall(options, result)
    page = data.parent / "page" if options.short else d6_page.DOCS
    d6_page.write(result.details, page)
    return result


# -- (a) language models -----------------------------------------------------------------------------------------------


def language(options: Options, result: Result, data: Path) -> None:
    found: dict[str, dict[str, Any]] = {net: trained(options, result, data, net) for net in NETS}
    command, document = elboroom(options, data, ["compare", *(entry["run"] for entry in found.values())])
    result.commands.append(command)
    measures = {measure["key"]: measure for measure in document["measures"]}
    for entry, cell in zip(found.values(), measures["bits_per_byte"]["cells"], strict=True):
        entry["bits_per_byte"] = {end: cell[end] for end in ("value", "low", "high")}
    result.details["language"] = found
    names = {entry["run"]: net for net, entry in found.items()}
    result.details["differences"] = [
        {**d, "a": names[d["a"]], "b": names[d["b"]], "verdict": spoken(d["verdict"], names)}
        for d in measures["bits_per_byte"]["differences"]
    ]
    result.details["beside"] = measures["bits_per_byte"]["references"]
    for net, entry in found.items():
        bits = entry["bits_per_byte"]
        how = f"after {entry['training_s']:.0f} s, {entry['steps']:,} steps, {entry['parameters']:,} weights"
        result.add(f"bits a byte: {net}", round_off(bits["value"]), "bits", low=bits["low"], high=bits["high"], how=how)
    for d in result.details["differences"]:
        measure = f"bits a byte: {d['a']} minus {d['b']}"
        result.add(measure, round_off(d["value"]), "bits", low=d["low"], high=d["high"], how=d["verdict"])
    for net, entry in found.items():
        result.add(f"seconds an epoch: {net}", round_off(entry["epoch_s"]), "s", how="training and its looks")
        result.add(f"characters a second, one text: {net}", round_off(entry["tokens_a_second"]), "1/s", how="median")


def spoken(verdict: str, names: dict[str, str]) -> str:
    """A verdict with the nets' names in place of those of the runs."""
    for run_name, net in names.items():
        verdict = verdict.replace(f"{run_name} is", f"{net} is")
    return verdict


def trained(options: Options, result: Result, data: Path, net: str) -> dict[str, Any]:
    """One net trained, and asked to go on."""
    model, sizes = NETS[net]
    sizes = {**sizes, **(SMALL[net] if options.short else {})}
    source = ["text.txt", "--kind", "text"] if options.short else ["tinyshakespeare"]
    budget: list[object] = ["--steps", 6] if options.short else ["--minutes", MINUTES]
    words: list[object] = [model, *source, "--tokenizer", "char", "--split", ".9,.05,.05"]
    words += ["--window", 16 if options.short else WINDOW, "--batch-size", ROWS, *budget, "--seed", 0]
    words += [word for name, value in sizes.items() for word in (f"--{name}", value)]
    name = f"language-{net.lower()}"
    command, _ = fit(options, data, [*words, "--run", name, "--force"])
    result.commands.append(command)
    meta, rows = read_json(data / name / "run.json"), history(data / name)
    looks = [(row["time_s"], row["valid/loss_nats"]) for row in rows if "valid/loss_nats" in row]
    spoke = generated(options, result, data, name)
    epochs = rows[-1]["step"] / meta["budget"]["steps_per_epoch"]
    return {
        "run": name,
        "parameters": meta["parameters"],
        "settings": sizes,
        "steps": rows[-1]["step"],
        "training_s": round_off(rows[-1]["time_s"]),
        "epoch_s": round_off(rows[-1]["time_s"] / epochs),
        "looks": [[round_off(at), round_off(loss)] for at, loss in looks],
        **spoke,
    }


def generated(options: Options, result: Result, data: Path, name: str) -> dict[str, Any]:
    tokens = 20 if options.short else TOKENS
    prompt = "The" if options.short else PROMPT
    who = Contestant(name, Path(executable), "run_generation.py", ("--run", name, "--prompt", prompt, "--tokens",
                                                                   str(tokens)))  # fmt: skip
    result.commands.append(who.command())
    found = alone(who, data, pace(options, 3), data.parent / "logs" / f"{name}.log")
    seconds = statistics.median(found["seconds"])
    return {"prompt": prompt, "sample": found["text"], "tokens_a_second": round_off(tokens / seconds)}


def pace(options: Options, turns: int, batch: int = 4) -> Pace:
    return Pace(turns=1 if options.short else turns, batch=batch, threads=options.threads, device=options.device,
                pinned=not options.short)  # fmt: skip


# -- (b) lengths -------------------------------------------------------------------------------------------------------


def lengths(options: Options, result: Result, data: Path) -> None:
    found: dict[str, list[dict[str, Any]]] = {net: [] for net in NETS}
    for tokens in (16, 32) if options.short else LENGTHS:
        for net, (model, sizes) in NETS.items():
            settings = json.dumps({**sizes, **(SMALL[net] if options.short else {})})
            words = ("--model", model, "--settings", settings, "--tokens", str(tokens))
            who = Contestant(f"{net}-{tokens}", Path(executable), "language_lengths.py", words)
            answer = alone(who, data, pace(options, 3), data.parent / "logs" / f"{who.name}.log")
            result.commands.append(who.command())
            found[net].append({
                "tokens": tokens,
                "seconds": round_off(min(answer["seconds"])),
                "turns": [round_off(s) for s in answer["seconds"]],
                "step_mib": round_off((answer["peak_bytes"] - answer["before_bytes"]) / 2**20),
                "process_mib": round_off(answer["peak_bytes"] / 2**20),
            })  # fmt: skip
    result.details["lengths"] = found
    for net, rows in found.items():
        last = rows[-1]
        how = f"4 windows of {last['tokens']:,}, forward and backward"
        result.add(f"seconds a step at {last['tokens']:,} characters: {net}", last["seconds"], "s", how=how)
        result.add(f"memory of a step at {last['tokens']:,} characters: {net}", last["step_mib"], "MiB", how=how)


# -- (c) a long delay --------------------------------------------------------------------------------------------------


def recall(options: Options, result: Result) -> None:
    folder = options.scratch(NAME) / "recall"
    folder.mkdir(exist_ok=True)
    train, test = (64, 32) if options.short else (8000, 1000)
    for name, rows in (("train", train), ("test", test)):  # the worker draws the sequences; their number is told so
        np.save(folder / f"{name}.npy", np.zeros(rows, np.uint8))
    found: dict[str, list[dict[str, Any]]] = {net: [] for net in RECALL}
    for delay in (4, 8) if options.short else DELAYS:
        for net, sizes in RECALL.items():
            answers = [
                asked(options, result, folder, net, sizes, delay, s) for s in range(1 if options.short else SEEDS)
            ]
            right = [answer["accuracy"] for answer in answers]
            found[net].append({
                "delay": delay,
                "accuracy": round_off(statistics.mean(right)),
                "seeds": [round_off(share) for share in right],
                "training_s": [round_off(answer["training_s"]) for answer in answers],
                "parameters": answers[0]["parameters"],
            })  # fmt: skip
            how = f"mean of {len(right)} seeds; by chance 0.125"
            result.add(f"right after {delay} steps: {net}", found[net][-1]["accuracy"], "share", low=min(right),
                       high=max(right), how=how)  # fmt: skip
    result.details["recall"] = found


def asked(
    options: Options, result: Result, folder: Path, net: str, sizes: dict[str, Any], delay: int, seed: int
) -> dict[str, Any]:
    """One classifier of one seed."""
    settings = json.dumps({**sizes, "bidirectional": False, "pooling": "last", "dropout": 0.0, "noise": 0.0})
    steps = 4 if options.short else STEPS
    words = ("--settings", settings, "--delay", str(delay), "--steps", str(steps), "--seed", str(seed))
    who = Contestant(f"recall-{net}-{delay}-{seed}", Path(executable), "recall.py", words)
    result.commands.append(who.command())
    return alone(who, folder, pace(options, 1, batch=32), folder.parent / "logs" / f"{who.name}.log")
