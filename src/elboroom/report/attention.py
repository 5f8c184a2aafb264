"""What a model of text looks at: maps of all heads, one of them large, and its block with the actual matrices.

Drawn from arrays and strings alone. The arrays are those of `elboroom inspect RUN --text T --out FILE.npz`, and of the
file media/attention.npz of a run, so that a picture can be made again from either.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from elboroom.core.errors import InputError

from .attention_block import MOST, draw_attention, token_label
from .attention_map import causal, key, large_map, small_map
from .drawing import Drawing, Group, Mark, Words
from .plots import Array
from .words import plural

if TYPE_CHECKING:
    from elboroom.outputs import Result

__all__ = ["Attention", "draw_attention"]

TABLES = (".csv", ".tsv", ".parquet", ".jsonl")
WIDTH = 1032.0
LABEL = 58.0
GAP = 8.0
LARGEST = 128.0
"""Of a small map."""
MOST_CELLS = 40_000_000


@dataclass(frozen=True, eq=False)
class Attention:
    """Attention of all heads on one text; layers and heads count from 1, as people do."""

    weights: Array
    """(layers, heads, n, n): how much of its attention the row's token gives to the column's."""
    tokens: tuple[str, ...]
    layer: int = 1
    head: int = 1
    """The head that is drawn large."""
    q: Array | None = None
    k: Array | None = None
    v: Array | None = None
    """(n, width) of that head; None where the model's attention is of another kind than the block's."""
    allowed: np.ndarray[Any, Any] | None = None
    """(n, n) bool: where that head may look."""
    said: str = ""
    """How the text was cut, as a sentence; "" where it is whole."""
    name: str = ""
    """Of the run."""

    kind = "attention"

    @classmethod
    def of(cls, arrays: Mapping[str, Any], *, name: str = "") -> Attention:
        """From the arrays of a file; InputError says what does not fit."""
        weights = _numbers(arrays, "weights")
        tokens = tuple(str(t) for t in np.asarray(arrays.get("tokens", ())).reshape(-1))
        if weights.ndim != 4 or weights.shape[2:] != (len(tokens), len(tokens)) or not tokens or not weights.size:
            raise InputError(f"attention of shape {weights.shape} does not fit {len(tokens)} tokens")
        if weights.size > MOST_CELLS or weights.min() < 0 or weights.max() > 1 + 1e-4:
            raise InputError("these are no shares of attention, or far too many")
        layer, head = (int(np.asarray(arrays.get(name, 1)).reshape(())) for name in ("layer", "head"))
        if not (1 <= layer <= len(weights) and 1 <= head <= weights.shape[1]):
            raise InputError(f"there is no layer {layer}, head {head} in {weights.shape[0]} x {weights.shape[1]} heads")
        held = {name: _numbers(arrays, name) for name in ("q", "k", "v") if name in arrays}
        if held and (len(held) < 3 or any(x.ndim != 2 or len(x) != len(tokens) for x in held.values())):
            raise InputError("q, k and v do not fit the tokens")
        allowed = np.asarray(arrays["allowed"]).astype(bool) if "allowed" in arrays else None
        if allowed is not None and allowed.shape != (len(tokens), len(tokens)):
            raise InputError(f"a mask of shape {allowed.shape} does not fit {len(tokens)} tokens")
        said = str(np.asarray(arrays.get("said", "")).reshape(()))
        return cls(weights, tokens, layer, head, **held, allowed=allowed, said=said, name=name)

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """What `of` reads; plain arrays, without pickle."""
        found: dict[str, Any] = {
            "weights": self.weights.astype(np.float32),
            "tokens": np.array(self.tokens, dtype=np.str_),
        }
        found |= {"layer": np.int64(self.layer), "head": np.int64(self.head), "said": np.str_(self.said)}
        own = {"q": self.q, "k": self.k, "v": self.v, "allowed": self.allowed}
        return {name: np.asarray(x) for name, x in {**found, **own}.items() if x is not None}

    def forms(self) -> dict[str, Callable[[], bytes]]:
        """The endings of files that hold the pictures, and what makes them."""
        return {".png": self.png, ".svg": lambda: self.svg().encode(), ".html": lambda: self.html().encode()}

    def result(self, ending: str) -> Result:
        """The arrays for .npz and .npy; for tables a row a weight above 0: layer, head, who looks at whom, how much."""
        from elboroom.core.spec import Column
        from elboroom.outputs import Result

        arrays = self.arrays()
        weights = arrays.pop("weights")
        if ending in (".npz", ".npy"):
            return Result(name="weights", values=weights, beside=arrays)
        if ending not in TABLES:
            known = " ".join([*self.forms(), ".npz", ".npy", *TABLES])
            raise InputError(f"attention has no form for {ending or 'a folder'}; endings: {known}")
        layer, head, i, j = np.nonzero(weights)
        tokens = np.array(self.tokens, dtype=object)
        places: dict[str, Any] = {"layer": layer + 1, "head": head + 1, "query": i + 1, "query_token": tokens[i]}
        names = {name: x.tolist() for name, x in {**places, "key": j + 1, "key_token": tokens[j]}.items()}
        values = weights[layer, head, i, j][:, None]
        return Result(name="weight", values=values, columns=(Column(name="weight"),), names=names)

    @property
    def chosen(self) -> Array:
        """(n, n): the map drawn large."""
        found: Array = self.weights[self.layer - 1, self.head - 1]
        return found

    @property
    def which(self) -> str:
        """The chosen head."""
        return f"Layer {self.layer}, head {self.head}"

    @property
    def caption(self) -> str:
        """One sentence, and how the text was cut."""
        layers, heads, n, _ = self.weights.shape
        text = f"Attention of {plural(layers, 'layer')} of {plural(heads, 'head')} on {plural(n, 'token')}."
        return f"{text} {self.said}".strip()

    def block(self, *, narrow: bool = False) -> Drawing | None:
        """The chosen head step by step on the first tokens; None where its q, k, v are not known."""
        if self.q is None or self.k is None or self.v is None:
            return None
        n = min(MOST, len(self.tokens))
        mask = None if self.allowed is None else self.allowed[:n, :n]
        return draw_attention(self.q[:n], self.k[:n], self.v[:n], mask, tokens=self.tokens[:n], narrow=narrow)

    def small_size(self, width: float) -> float:
        """Side of a small map where all heads of a layer stand in `width`: whole pixels a token, if there is room."""
        heads, n = self.weights.shape[1:3]
        room = min(LARGEST, (width - LABEL) / heads - GAP)
        return n * float(int(room / n)) if room >= n else max(room, 4.0)

    def sheet(self) -> Drawing:
        """Everything under each other, for a file."""
        marks: list[Mark] = [Words(0, 14, self._title(), "ink", 16, face="bold")]
        y = 38.0
        for line in textwrap.wrap(self.caption, 140):
            marks.append(Words(0, y, line, "ink-2", 13))
            y += 18
        note = "Weight, square-root scale. Row: the token that looks; column: the one looked at."
        marks += [Group(0, y - 10, key().marks), Words(144, y, note, "ink-3", 12)]
        y += 24
        y = self._small(marks, y) + 30
        large = large_map(self.chosen, self.tokens, WIDTH, self.which).drawing
        marks.append(Group(0, y - 12, large.marks, "map", {"layer": str(self.layer), "head": str(self.head)}))
        y += large.height + 24
        block = self.block()
        if block is not None:
            marks.append(Words(0, y, f"{self.which}, step by step", "ink", 13, face="bold"))
            y += 18
            if len(self.tokens) > MOST:
                marks.append(Words(0, y, self.of_the_block(), "ink-3", 12))
                y += 18
            marks.append(Group(0, y + 6, block.marks, "block"))
            y += 6 + block.height
        return Drawing(WIDTH, y, marks)

    def of_the_block(self) -> str:
        """Which tokens the block is drawn of."""
        n = len(self.tokens)
        whole = " Later ones would change nothing in it." if causal(self.chosen) else ""
        return f"The first {MOST} of {n} tokens.{whole}" if n > MOST else f"All {plural(n, 'token')}."

    def _title(self) -> str:
        text = "".join(token_label(t) for t in self.tokens)
        return "Where the heads look: " + (text if len(text) <= 70 else text[:69] + "…")

    def _small(self, marks: list[Mark], y: float) -> float:
        """All heads, a row a layer; gives where they end."""
        layers, heads = self.weights.shape[:2]
        size = self.small_size(WIDTH)
        for h in range(heads):
            name = f"head {h + 1}" if size >= 44 else str(h + 1)
            marks.append(Words(LABEL + h * (size + GAP), y + 10, name, "ink-3", 11))
        y += 16
        for m in range(layers):
            marks.append(Words(0, y + size / 2 + 4, f"layer {m + 1}", "ink-3", 11))
            for h in range(heads):
                chosen = (m + 1, h + 1) == (self.layer, self.head)
                one = small_map(self.weights[m, h], size, m + 1, h + 1, chosen=chosen)
                marks.append(Group(LABEL + h * (size + GAP), y, [one]))
            y += size + GAP
        return y

    def svg(self) -> str:
        """One SVG file; cells say their weight when pointed at."""
        return self.sheet().file(self.caption)

    def png(self) -> bytes:
        """The same as a PNG, two pixels to one."""
        return self.sheet().png(self.caption)

    def html(self) -> str:
        """A page one can hover."""
        from .attention_page import attention_html

        return attention_html(self)


def _numbers(arrays: Mapping[str, Any], name: str) -> Array:
    """A named array as float64, all finite."""
    try:
        found: Array = np.asarray(arrays[name]).astype(np.float64)
    except (KeyError, ValueError, TypeError):
        raise InputError(f"there is no array {name!r} of numbers") from None
    if not np.isfinite(found).all():
        raise InputError(f"{name} holds values that are not finite")
    return found
