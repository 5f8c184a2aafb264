"""How a language model goes on from the same few words, at one moment of its training, as a file that reads alone.

After a first line that says what it is, each text stands under a head that gives its name and its length, so that a
program finds its end whatever is written in it:

    [greedy, 160 characters]
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from elboroom.core.abilities import Continues
from elboroom.core.errors import InputError
from elboroom.data.text import TextTransform
from elboroom.data.windows import Windows
from elboroom.evaluate import held_out
from elboroom.generation import generate
from elboroom.memorisation import CUT, tokens_for

if TYPE_CHECKING:
    from elboroom.data.source import Dataset
    from elboroom.data.tokenizers import Tokenizer

__all__ = ["opening_words", "text_sample"]

TOKENS = 200
PROMPT_TOKENS, PROMPT = 64, 40
"""Tokens of the held-out part that are looked at for a prompt, and its characters at most."""


def opening_words(tokenizer: Tokenizer, held: Tensor) -> str:
    """The beginning of the held-out text, whole words of its first document."""
    ids = held[:PROMPT_TOKENS].tolist()
    first = next((i for i, token in enumerate(ids) if token != tokenizer.end), len(ids))
    ids = ids[first:]
    text = tokenizer.decode(ids[: ids.index(tokenizer.end)] if tokenizer.end in ids else ids)
    text = text.rstrip(CUT)[:PROMPT]
    end = max(text.rfind(" "), text.rfind("\n"))
    return text[:end] if end > PROMPT // 2 else text


def text_sample(model: Continues, dataset: Dataset, *, seed: int, step: int) -> str:
    """The file: words that begin the held-out part, then what follows them greedily and at temperature 1.

    The same draws at every step.
    """
    part = held_out(dataset)
    held, transform = dataset.parts[part], dataset.transform
    if not (isinstance(held, Windows) and isinstance(transform, TextTransform)):
        raise InputError(f"{dataset.name} holds no text to go on with")
    assert isinstance(model, nn.Module)
    prompt, size = opening_words(transform.tokenizer, held.tokens), tokens_for(model, 2, TOKENS)
    texts = {"prompt": prompt}
    for name, temperature in (("greedy", 0.0), ("temperature 1", 1.0)):
        drawn = generate(model, transform.tokenizer, [prompt], tokens=size, temperature=temperature, seed=seed)
        texts[name] = drawn[0].text
    about = f"Step {step:,}, seed {seed}; the prompt begins the {part} part; {size} tokens each."
    return "\n\n".join([about, *(f"[{name}, {len(text)} characters]\n{text}" for name, text in texts.items())]) + "\n"
