"""A GPT-2 folder with random weights for every contestant: the peer's own network, and a byte-pair tokenizer for it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.recipe import Options, elboroom, peer
from benchmarks.record import Result
from benchmarks.rounds import alone

__all__ = ["BABY", "PROMPT", "SMALL", "TINY", "imported", "make", "words"]

SMALL = {"n_layer": 12, "n_head": 12, "n_embd": 768, "n_positions": 1024, "vocab_size": 50257}
"""The 124 million weights of GPT-2's smallest form."""
BABY = {"n_layer": 6, "n_head": 6, "n_embd": 384, "n_positions": 256, "vocab_size": 257}
"""10.8 million: nanoGPT's setting for characters on an accelerator, its symbols being bytes."""
TINY = {"n_layer": 2, "n_head": 2, "n_embd": 32, "n_positions": 64, "vocab_size": 300}
PROMPT = "O"


def symbols() -> list[str]:
    """GPT-2's printable stand-in of each byte: itself where it is printable, else a letter from 256 on."""
    shown = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [b for b in range(256) if b not in shown]
    return [chr(b) if b in shown else chr(256 + hidden.index(b)) for b in range(256)]


def write_tokenizer(folder: Path, size: int) -> None:
    """vocab.json and merges.txt of `size` tokens: bytes, pairs of bytes in order, and the end of a text."""
    letters = symbols()
    merges = [(letters[i // 256], letters[i % 256]) for i in range(size - 257)]
    words = [*letters, *(a + b for a, b in merges), "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {word: i for i, word in enumerate(words)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    listed = "".join(f"{a} {b}\n" for a, b in merges)
    (folder / "merges.txt").write_text(f"#version: 0.2\n{listed}", encoding="utf-8")


def by_hand(folder: Path, sizes: dict[str, int]) -> dict[str, Any]:
    """config.json and model.safetensors in the form of the peer, where it is not here to save them."""
    from safetensors.numpy import save_file

    rng, width = np.random.default_rng(0), sizes["n_embd"]
    shapes = {"wte.weight": (sizes["vocab_size"], width), "wpe.weight": (sizes["n_positions"], width)}
    layers = {"attn.c_attn": 3 * width, "attn.c_proj": width, "mlp.c_fc": 4 * width, "mlp.c_proj": width}
    for i in range(sizes["n_layer"]):
        for name, out in layers.items():
            rows = 4 * width if name == "mlp.c_proj" else width
            shapes |= {f"h.{i}.{name}.weight": (rows, out), f"h.{i}.{name}.bias": (out,)}
    for norm in ("ln_f", *(f"h.{i}.ln_{j}" for i in range(sizes["n_layer"]) for j in (1, 2))):
        shapes |= {f"{norm}.weight": (width,), f"{norm}.bias": (width,)}
    weights = {name: rng.normal(0, 0.05, shape).astype(np.float32) for name, shape in shapes.items()}
    save_file(weights, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "gpt2", **sizes}), encoding="utf-8")
    return {"parameters": sum(w.size for w in weights.values())}


def make(options: Options, scratch: Path, sizes: dict[str, int]) -> dict[str, Any]:
    """DATA/gpt2 with random weights, tokens to read and a prompt; by hand where a shortened run has no peer."""
    data = scratch / "data"
    write_tokenizer(data / "gpt2", sizes["vocab_size"])
    rng = np.random.default_rng(0)
    np.save(data / "train.npy", rng.integers(0, sizes["vocab_size"], (1, sizes["n_positions"]), np.uint16))
    np.save(data / "test.npy", np.frombuffer(PROMPT.encode(), np.uint8).astype(np.uint16))
    (data / "prompt.txt").write_text(PROMPT, encoding="utf-8")
    who = peer(options, "make", "transformers", "transformers_gpt2.py", ("--do", "make", "--config", json.dumps(sizes)))
    if who is None:
        return by_hand(data / "gpt2", sizes)
    return alone(who, data, options.pace(), scratch / "logs" / "make.log")


def words(scratch: Path) -> dict[str, Any]:
    """Name and SHA-256 of the weights, for the result."""
    with (scratch / "data" / "gpt2" / "model.safetensors").open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"name": "random weights in GPT-2's form", "sha256": digest}


def imported(options: Options, scratch: Path, result: Result) -> dict[str, Any]:
    """DATA/run, made of DATA/gpt2 through the command line."""
    command, document = elboroom(options, scratch / "data", ["import", "gpt2", "--run", "run", "--force"])
    result.commands.append(command)
    return document  # type: ignore[no-any-return]
