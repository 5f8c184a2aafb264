"""The race of P11 and P12: one GPT-2 folder, three programs that continue the same prompt greedily, token by token."""

from __future__ import annotations

import statistics
from dataclasses import asdict
from pathlib import Path
from sys import executable
from typing import Any

import torch

from benchmarks import floors
from benchmarks.gpt2_folder import imported, make, words
from benchmarks.nanogpt import nanogpt
from benchmarks.recipe import Comparison, Options, compare, peer, precision_of, round_off, track_words
from benchmarks.record import Result
from benchmarks.rounds import Contestant, Pace, Track, race
from elboroom.engine.runtime import has_bf16_products

__all__ = ["generation"]

OURS = ("elboroom fp32", "elboroom bf16")
PEERS = ("nanoGPT", "transformers")


def generation(
    options: Options, result: Result, sizes: dict[str, int], tokens: int, every: int, pace: Pace, goals: dict[str, str]
) -> Result:
    """Race, then ratios of seconds a token, agreement of the texts, floors. `goals`: "fp32 / nanoGPT" -> bound.

    `every`: nanoGPT is timed at each so many-th token (workers/nanogpt_gpt2.py).
    """
    scratch = options.scratch(result.name)
    make(options, scratch, sizes)
    result.data = words(scratch)
    imported(options, scratch, result)
    can_bf16 = has_bf16_products(torch.device(options.device))
    asked = ("--tokens", str(tokens))
    contestants = [
        nanogpt(options, "nanogpt_gpt2.py", (*asked, "--every", str(every))),
        peer(options, PEERS[1], "transformers", "transformers_gpt2.py", asked),
        *(ours(name, asked) for name in OURS if can_bf16 or "fp32" in name),
    ]
    present = [who for who in contestants if who is not None]
    tracks = race(present, scratch / "data", pace, scratch / "logs", per=1)
    for name in OURS:
        for theirs in PEERS:
            goal = goals.get(f"{name.split()[1]} / {theirs}", "")
            if "bf16" in name and not can_bf16:
                how = "did not run: this processor has no bf16 products"
                result.add(f"seconds a token: {name} / {theirs}", None, "x", goal, how=how)
            else:
                compare(result, tracks, Comparison(name, theirs, goal), "seconds a token")
    agreement(result, tracks, tokens)
    result.commands += [who.command() for who in present]
    result.details["pace"] = {**asdict(pace), "tokens": tokens, "nanogpt_every": every}
    result.details["sizes"] = sizes
    describe(options, result, tracks, sizes, tokens)
    return result


def ours(name: str, asked: tuple[str, ...]) -> Contestant:
    return Contestant(name, Path(executable), "elboroom_gpt2.py", ("--precision", name.split()[1], *asked))


def agreement(result: Result, tracks: dict[str, Track], tokens: int) -> None:
    """How far each greedy text goes along with that of transformers."""
    if PEERS[1] not in tracks:
        return
    reference = texts(tracks[PEERS[1]])[0]
    for name, track in tracks.items():
        if name != PEERS[1]:
            same = min(common(text, reference) for text in texts(track))
            how = "before the first difference from transformers, the least of the sessions"
            result.add(f"greedy tokens in agreement: {name}", same, f"of {tokens}", how=how)


def texts(track: Track) -> list[list[int]]:
    found: list[Any] = [entry["tokens"] for entry in track.finished]
    return found


def common(a: list[int], b: list[int]) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def describe(options: Options, result: Result, tracks: dict[str, Track], sizes: dict[str, int], tokens: int) -> None:
    """Each contestant's turns, tokens a second, and the floor under a token: its weights and what it remembers."""
    rates = floors.measure(options.threads) if options.device == "cpu" else None
    for name, track in tracks.items():
        seconds = statistics.median(track.seconds)
        said = {**track_words(track, "seconds_a_token"), "tokens_a_second": round_off(1 / seconds)}
        result.details.setdefault("contestants", {})[name] = said
        if rates is not None:
            precision = precision_of(track)
            work = floors.Work.of_next_token(
                sizes["n_layer"], sizes["n_embd"], sizes["vocab_size"], tokens / 2, 2 if precision == "bf16" else 4
            )
            beside = work.beside(round_off(seconds), rates, precision)
            result.details.setdefault("floors", {})[name] = beside
            how = "weights and keys read once a token, at the rate of a plain copy"
            result.add(f"share of the floor reached: {name}", beside["fraction_reached"], "", how=how)
    if rates is not None:
        result.details["rates"] = rates.to_json()
