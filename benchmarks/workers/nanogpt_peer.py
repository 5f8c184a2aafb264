"""What the workers of nanoGPT share: its network from the reader's checkout, and the step of its training script.

`model.py` is imported as it lies in the folder that ELBOROOM_BENCH_NANOGPT names. `train.py` cannot be imported: it
trains when it is read. So `Training` does what it does on a CPU, in its order: the learning rate of the iteration, the
forward pass, the next batch (the memory map opened anew, windows cut one by one), the backward pass, clipping, the
optimiser that `configure_optimizers` gives, the loss read at every iteration.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["Setting", "Training", "from_gpt2", "surprisal"]


def model_file() -> Any:
    """nanoGPT's model.py."""
    sys.path.append(os.environ["ELBOROOM_BENCH_NANOGPT"])
    return importlib.import_module("model")


@dataclass(frozen=True)
class Setting:
    """nanoGPT's setting for a CPU: config/train_shakespeare_char.py with what its README changes for a laptop."""

    layers: int = 4
    heads: int = 4
    width: int = 128
    window: int = 64
    rows: int = 12
    steps: int = 2000
    look_every: int = 250
    look_batches: int = 20
    lr: float = 1e-3
    least_lr: float = 1e-4
    warmup: int = 100


class Training:
    """One training on tokens that lie in `folder` as nanoGPT keeps them."""

    def __init__(self, setting: Setting, train: np.ndarray[Any, Any], held: np.ndarray[Any, Any], folder: Path) -> None:
        self.setting, self.folder = setting, folder
        for part, tokens in (("train", train), ("val", held)):
            tokens.astype(np.uint16).tofile(folder / f"{part}.bin")
        file = model_file()
        self.net = file.GPT(
            file.GPTConfig(
                n_layer=setting.layers,
                n_head=setting.heads,
                n_embd=setting.width,
                block_size=setting.window,
                vocab_size=int(max(train.max(), held.max())) + 1,
                dropout=0.0,
                bias=False,
            )
        )
        self.optimizer = self.net.configure_optimizers(0.1, setting.lr, (0.9, 0.99), "cpu")
        self.scaler = torch.amp.GradScaler("cuda", enabled=False)
        self.done = 0
        self.ahead = self.batch("train")

    def batch(self, part: str) -> tuple[Tensor, Tensor]:
        tokens = np.memmap(self.folder / f"{part}.bin", dtype=np.uint16, mode="r")
        n = self.setting.window
        starts = torch.randint(len(tokens) - n, (self.setting.rows,))
        cut = [[torch.from_numpy(tokens[i + k : i + k + n].astype(np.int64)) for i in starts] for k in (0, 1)]
        return torch.stack(cut[0]).to("cpu"), torch.stack(cut[1]).to("cpu")

    def rate(self) -> float:
        s, at = self.setting, self.done
        if at < s.warmup:
            return s.lr * (at + 1) / (s.warmup + 1)
        share = min(1.0, (at - s.warmup) / (s.steps - s.warmup))
        return s.least_lr + 0.5 * (1 + math.cos(math.pi * share)) * (s.lr - s.least_lr)

    def step(self) -> float:
        """One iteration; its loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate()
        _, loss = self.net(*self.ahead)
        self.ahead = self.batch("train")
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        self.done += 1
        return loss.item()  # type: ignore[no-any-return]

    def look(self) -> dict[str, float]:
        """Its estimate of the loss on both parts."""
        self.net.eval()
        found = {}
        with torch.no_grad():
            for part in ("train", "val"):
                losses = [self.net(*self.batch(part))[1].item() for _ in range(self.setting.look_batches)]
                found[part] = sum(losses) / len(losses)
        self.net.train()
        return found

    def save(self) -> None:
        """Its checkpoint: weights, optimiser and settings in one file."""
        state = {"model": self.net.state_dict(), "optimizer": self.optimizer.state_dict(), "iter_num": self.done}
        torch.save(state, self.folder / "ckpt.pt")


def surprisal(net: Any, x: Tensor, y: Tensor) -> Tensor:
    """-log p of each next token, (rows, window), by the logits that the network gives where it is told the targets."""
    logits = net(x, y)[0]
    return F.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="none").view_as(y)


def from_gpt2(folder: Path) -> Any:
    """nanoGPT's network with the weights of a GPT-2 folder, as its `from_pretrained` copies them."""
    from safetensors.torch import load_file  # type: ignore[import-not-found,unused-ignore]

    said = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    file = model_file()
    names = {"n_layer": "n_layer", "n_head": "n_head", "n_embd": "n_embd", "block_size": "n_positions"}
    sizes = {ours: said[theirs] for ours, theirs in names.items()}
    net = file.GPT(file.GPTConfig(vocab_size=said["vocab_size"], dropout=0.0, bias=True, **sizes))
    weights = load_file(folder / "model.safetensors")
    turned = ("attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")
    with torch.no_grad():
        for name, p in net.named_parameters():
            w = weights[name]
            p.copy_(w.T if name.endswith(turned) else w)
    return net.eval()
