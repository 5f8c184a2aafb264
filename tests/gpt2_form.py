"""GPT-2 folders as model hubs keep them, made by hand, and what such a network computes, in the names of the form."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

__all__ = ["CONFIG", "LAYERS", "VOCABULARY", "WINDOW", "Weights", "forward", "made", "weights"]

LAYERS, HEADS, WIDTH, WINDOW, VOCABULARY = 2, 3, 12, 16, 260
CONFIG: dict[str, Any] = {
    "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "activation_function": "gelu_new",
    "layer_norm_epsilon": 1e-5, "n_layer": LAYERS, "n_head": HEADS, "n_embd": WIDTH, "n_positions": WINDOW,
    "n_ctx": WINDOW, "vocab_size": VOCABULARY, "resid_pdrop": 0.1, "embd_pdrop": 0.1, "attn_pdrop": 0.1,
}  # fmt: skip
Weights = dict[str, Tensor]


def weights(seed: int = 0) -> Weights:
    """Every tensor of a GPT-2 by the names of the form, large enough that each is heard in the logits."""
    chance = torch.Generator().manual_seed(seed)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=chance) * 0.4

    w = {"wte.weight": drawn(VOCABULARY, WIDTH), "wpe.weight": drawn(WINDOW, WIDTH)}
    norms = ["ln_f", *(f"h.{i}.ln_{j}" for i in range(LAYERS) for j in (1, 2))]
    w |= {f"{name}.weight": 1 + drawn(WIDTH) for name in norms} | {f"{name}.bias": drawn(WIDTH) for name in norms}
    widths = {"attn.c_attn": (WIDTH, 3 * WIDTH), "attn.c_proj": (WIDTH, WIDTH), "mlp.c_fc": (WIDTH, 4 * WIDTH),
              "mlp.c_proj": (4 * WIDTH, WIDTH)}  # fmt: skip
    for i in range(LAYERS):
        for name, shape in widths.items():
            w |= {f"h.{i}.{name}.weight": drawn(*shape), f"h.{i}.{name}.bias": drawn(shape[1])}
    return w


def tokenizer(folder: Path) -> None:
    """vocab.json and merges.txt: the 256 bytes, three pairs, the end of a text."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [b for b in range(256) if b not in shown]
    letters = [chr(b) if b in shown else chr(256 + hidden.index(b)) for b in range(256)]
    words = [*letters, "th", "the", "an", "<|endoftext|>"]
    folder.joinpath("vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}), encoding="utf-8")
    folder.joinpath("merges.txt").write_text("#version: 0.2\nt h\nth e\na n\n", encoding="utf-8")


def made(folder: Path, given: Weights | None = None, **config: Any) -> Path:
    """A GPT-2 folder."""
    folder.mkdir(parents=True)
    tokenizer(folder)
    folder.joinpath("config.json").write_text(json.dumps({**CONFIG, **config}), encoding="utf-8")
    save_file(weights() if given is None else given, folder / "model.safetensors")
    return folder


def forward(w: Weights, tokens: Tensor) -> Tensor:
    """Radford et al. 2019 in float64, by the names of the form: logits (rows, n, vocabulary)."""
    v = {name: x.double() for name, x in w.items()}

    def norm(x: Tensor, name: str) -> Tensor:
        mean, variance = x.mean(-1, keepdim=True), x.var(-1, unbiased=False, keepdim=True)
        return (x - mean) / (variance + 1e-5).sqrt() * v[f"{name}.weight"] + v[f"{name}.bias"]

    def layer(x: Tensor, name: str) -> Tensor:
        return x @ v[f"{name}.weight"] + v[f"{name}.bias"]

    n, width = tokens.shape[1], WIDTH // HEADS
    x = v["wte.weight"][tokens] + v["wpe.weight"][:n]
    ahead = torch.ones(n, n, dtype=torch.bool).triu(1)
    for i in range(LAYERS):
        q, k, values = layer(norm(x, f"h.{i}.ln_1"), f"h.{i}.attn.c_attn").chunk(3, -1)
        heads = []
        for h in range(HEADS):
            own = slice(h * width, (h + 1) * width)
            scores = (q[..., own] @ k[..., own].mT / math.sqrt(width)).masked_fill(ahead, -math.inf)
            heads.append(scores.softmax(-1) @ values[..., own])
        x = x + layer(torch.cat(heads, -1), f"h.{i}.attn.c_proj")
        u = layer(norm(x, f"h.{i}.ln_2"), f"h.{i}.mlp.c_fc")
        u = u / 2 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (u + 0.044715 * u**3)))
        x = x + layer(u, f"h.{i}.mlp.c_proj")
    return norm(x, "ln_f") @ v["wte.weight"].T
