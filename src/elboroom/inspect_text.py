"""Where a model of text looks: the attention of all its heads on one text, and one head's queries, keys and values.

Gives plain arrays; `elboroom.report.attention` draws them. A text longer than a map, or than what the model sees at
once, is cut to its last tokens, which are then read as a text of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from elboroom.core.abilities import Attends
from elboroom.core.errors import InputError, Unable
from elboroom.core.model import Model
from elboroom.data.text import TextTransform
from elboroom.data.windows import Windows
from elboroom.evaluate import held_out
from elboroom.nn.transformer import SelfAttention

if TYPE_CHECKING:
    from elboroom.data.source import Dataset
    from elboroom.data.tokenizers import Tokenizer
    from elboroom.run import Run

__all__ = ["EXCERPT", "LONGEST", "attention_arrays", "excerpt", "look"]

LONGEST = 64
"""Tokens of a map."""
EXCERPT = 36
"""Tokens of held-out text that are looked at where no text is given."""
END = "⟨end⟩"

Arrays = dict[str, NDArray[Any]]


def look(run: Run, text: str | None = None, source: Any = None, *, layer: int = 1, head: int = 1) -> Arrays:
    """The attention of a run on `text`, on the beginning of the text `source`, or on held-out text of its own."""
    model, transform = run.model, run.transform
    if not isinstance(model, Attends) or not isinstance(transform, TextTransform):
        raise Unable(f"{run.path} was made with {run.spec.kind}; only a run on text has attention to look at")
    if text is not None and source is not None:
        raise InputError("inspect looks at DATA or at --text, not at both; leave one out")
    if text is not None:
        return attention_arrays(model, transform.tokenizer, _encoded(transform.tokenizer, text), layer=layer, head=head)
    ids, said = excerpt(run.dataset() if source is None else run.read(source))
    return attention_arrays(model, transform.tokenizer, ids, layer=layer, head=head, said=said)


def _encoded(tokenizer: Tokenizer, text: str) -> NDArray[np.int64]:
    ids = tokenizer.encode(text)
    if not len(ids):
        raise InputError("--text is empty; give the text whose attention is to be seen")
    return ids


def excerpt(dataset: Dataset) -> tuple[NDArray[np.int64], str]:
    """The first tokens of held-out text, and the sentence that says so."""
    part = held_out(dataset)
    rows = dataset.parts[part]
    assert isinstance(rows, Windows)
    ids: NDArray[np.int64] = rows.tokens[: min(EXCERPT, dataset.spec.shape[0])].cpu().numpy().astype(np.int64)
    return ids, f"The text is the beginning of {'the data' if part == 'all' else f'the {part} part'}."


def attention_arrays(
    model: Attends, tokenizer: Tokenizer, ids: NDArray[np.int64], *, layer: int = 1, head: int = 1, said: str = ""
) -> Arrays:
    """weights (layers, heads, n, n), tokens (n,); of the head asked for, counted from 1, q, k, v (n, width), allowed.

    `said` holds how the text was cut. q, k, v are left out where the model's attention is not `SelfAttention`.
    """
    assert isinstance(model, Model)
    most = min(LONGEST, model.spec.shape[0])
    if len(ids) > most:
        said = f"The text has {len(ids):,} tokens; the last {most} are read."
        ids = ids[-most:]
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad(), _heard(model) as inner:
            weights = model.attention(torch.from_numpy(np.ascontiguousarray(ids)).to(device))
    finally:
        model.train(was_training)
    _check(layer, head, weights)
    names = [tokenizer.token_bytes(int(i)).decode("utf-8", "backslashreplace") for i in ids]
    names = [END if int(i) == tokenizer.end else name for i, name in zip(ids, names, strict=True)]
    found: Arrays = {
        "weights": weights.float().cpu().numpy(),
        "tokens": np.array(names, dtype=np.str_),
        "layer": np.array(layer),
        "head": np.array(head),
        "said": np.array(said, dtype=np.str_),
    }
    if len(inner) == len(weights):
        q, k, v, allowed = inner[layer - 1]
        found |= {name: x[0, head - 1].float().cpu().numpy() for name, x in (("q", q), ("k", k), ("v", v))}
        found["allowed"] = allowed.cpu().numpy()
    return found


@contextmanager
def _heard(model: nn.Module) -> Iterator[list[tuple[Tensor, Tensor, Tensor, Tensor]]]:
    """Queries, keys and values of each layer, and where it may look, as a pass goes by."""
    found: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []

    def hear(module: nn.Module, given: tuple[Any, ...]) -> None:
        assert isinstance(module, SelfAttention)
        x, where = given[:2]
        at = torch.arange(x.shape[1], device=x.device)
        found.append((*module.heads_of(x, where), module.pattern.allowed(at[:, None], at[None, :])))

    handles = [m.register_forward_pre_hook(hear) for m in model.modules() if isinstance(m, SelfAttention)]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _check(layer: int, head: int, weights: Tensor) -> None:
    for flag, given, most in (("--layer", layer, weights.shape[0]), ("--head", head, weights.shape[1])):
        if not 1 <= given <= most:
            raise InputError(f"{flag} {given}: this run has {flag[2:]}s 1 to {most}")
