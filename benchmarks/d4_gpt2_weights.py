"""D4c: GPT-2's weights in and out: the same logits as transformers, the same greedy text, and back without a change.

Random weights of GPT-2's smallest form, made and saved by transformers, with layer norms and biases off their start so
that no term is left out. They become a run by `elboroom import`, and a folder again by `elboroom export`, which
transformers loads. nanoGPT's own error with the same weights stands beside: its GELU is the exact one, not GPT-2's.
"""

from __future__ import annotations

from pathlib import Path
from sys import executable
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from benchmarks.gpt2_folder import SMALL, TINY, imported, make, words
from benchmarks.nanogpt import nanogpt
from benchmarks.recipe import Options, elboroom, peer, round_off
from benchmarks.record import Result
from benchmarks.rounds import Contestant, alone

__all__ = ["run"]

NAME = "d4_gpt2_weights"
TOKENS = 100
PROTOCOL = (
    "logits of a text of 1,024 random tokens at every 8th place, largest absolute difference from transformers'; 100 "
    "tokens of greedy text after a prompt of one token; fp32; then export, from_pretrained, and the same logits"
)


def run(options: Options) -> Result:
    result = options.begin(NAME, __doc__.splitlines()[0], PROTOCOL, "a net of 2 layers and 32 numbers, 20 tokens")
    sizes = TINY if options.short else SMALL
    result.details["sizes"] = sizes
    scratch = options.scratch(NAME)
    made = make(options, scratch, sizes)
    result.data = words(scratch)
    document = imported(options, scratch, result)
    result.details["parameters"] = {"transformers": made["parameters"], "elboroom": document["parameters"]}
    call = ["export", "run", "--format", "safetensors", "--out", "back", "--force"]
    result.commands.append(elboroom(options, scratch / "data", call)[0])
    given, back = (load_file(scratch / "data" / name / "model.safetensors") for name in ("gpt2", "back"))
    how = f"of {len(back)} tensors, bit for bit, in the folder that was exported again"
    result.add("tensors that came back changed", changed(given, back), "", "<= 0", how=how)
    if peer(options, "transformers", "transformers", "transformers_gpt2.py") is None:
        result.add("largest difference of a logit", None, "", "<= 1e-4", how="transformers did not run")
    else:
        beside(options, result, scratch, "20" if options.short else str(TOKENS))
    return result


def changed(given: dict[str, Any], back: dict[str, Any]) -> int:
    """How many tensors differ, the prefix of their names apart."""
    a, b = ({name.removeprefix("transformer."): x for name, x in w.items()} for w in (given, back))
    return sum(name not in a or name not in b or not np.array_equal(a[name], b[name]) for name in {*a, *b})


def beside(options: Options, result: Result, scratch: Path, tokens: str) -> None:
    """Logits and greedy text of all programs, of the peer's own weights and of those that came back."""
    theirs, ours = answer(options, scratch, "gpt2", tokens), mine(options, scratch, tokens)
    result.details["transformers"] = theirs["versions"]
    reference, found = logits(scratch, "gpt2"), logits(scratch, "run")
    result.details["spread_of_logits"] = round_off(float(reference.std()))
    result.add("largest difference of a logit", furthest(found, reference), "", "<= 1e-4")
    same = sum(a == b for a, b in zip(ours["tokens"], theirs["tokens"], strict=True))
    result.add("greedy tokens that are the same", same, f"of {tokens}", f">= {tokens}")
    result.details["different_tokens"] = len(set(theirs["tokens"]))
    result.add("prompts encoded alike", float(ours["prompt"] == theirs["prompt"]), "", ">= 1")
    answer(options, scratch, "back", tokens)
    how = "exported again and loaded by transformers"
    result.add("largest difference of a logit, back", furthest(logits(scratch, "back"), reference), "", "<= 0", how=how)
    other = nanogpt(options, "nanogpt_gpt2.py", ("--do", "answer"))
    if other is not None:
        alone(other, scratch / "data", options.pace(), scratch / "logs" / "nanogpt.log")
        result.add("largest difference of a logit: nanoGPT", furthest(logits(scratch, "nanogpt"), reference), "")


def answer(options: Options, scratch: Path, folder: str, tokens: str) -> dict[str, Any]:
    """transformers' logits and greedy text of one folder."""
    asked = ("--do", "answer", "--folder", folder, "--tokens", tokens)
    who = peer(options, folder, "transformers", "transformers_gpt2.py", asked)
    assert who is not None
    return alone(who, scratch / "data", options.pace(), scratch / "logs" / f"{folder}.log")


def mine(options: Options, scratch: Path, tokens: str) -> dict[str, Any]:
    """Ours."""
    who = Contestant("elboroom", Path(executable), "elboroom_gpt2.py", ("--do", "answer", "--tokens", tokens))
    return alone(who, scratch / "data", options.pace(), scratch / "logs" / "elboroom.log")


def logits(scratch: Path, name: str) -> np.ndarray[Any, Any]:
    return np.load(scratch / "data" / f"{name}-logits.npy")  # type: ignore[no-any-return]


def furthest(found: np.ndarray[Any, Any], reference: np.ndarray[Any, Any]) -> float:
    return round_off(float(np.abs(found - reference).max()))
