"""Sparse causal attention: from a pattern's name to the quickest path, which says what it is and why.

Paths: `reference` holds all scores and masks them; `sdpa` is torch's fused kernel over all keys, with a mask where the
pattern hides any; `blocked` never touches what is hidden (blocks.py). All give the same numbers; `auto` takes what
`explain` says, and nothing falls back to another path in silence.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from elboroom.core.errors import InputError, nearest

from .attention import fused, needs_gradient, plain, suits_plain
from .patterns import BlockLocal, Dense, Fixed, Pattern, Sliding, Strided

__all__ = [
    "PATHS",
    "BlockLocal",
    "Dense",
    "Fixed",
    "Path",
    "Pattern",
    "Sliding",
    "Strided",
    "attend_causal",
    "explain",
    "parse",
    "parse_layers",
]

PATHS = ("auto", "reference", "sdpa", "blocked")
FORMS = {
    "dense": "dense",
    "sliding": "sliding:W",
    "block": "block:L",
    "strided": "strided:L",
    "fixed": "fixed:L:C",
}


# -- names -------------------------------------------------------------------------------------------------------------


def parse(text: str, window: int | None = None) -> Pattern:
    """`dense`, `sliding:W`, `block:L`, `strided:L` or `fixed:L:C`; an L of `auto` is made for `window` tokens."""
    name, *numbers = text.strip().split(":")
    if name not in FORMS:
        forms = ", ".join(FORMS.values())
        raise InputError(f"there is no attention pattern {name!r}{nearest(name, FORMS)}; patterns: {forms}")
    if len(numbers) != FORMS[name].count(":"):
        raise InputError(f"attention {text!r} is not of the form {FORMS[name]}; write it so, with whole numbers")
    if name == "dense":
        return Dense()
    if numbers[0] == "auto" and name in ("strided", "fixed"):
        if window is None:
            raise InputError(
                f"the length of {text!r} follows from the tokens seen at once, and these are not given; "
                f"write a number, or say for how many tokens: parse({text!r}, window=1024)"
            )
        return Strided.auto(window) if name == "strided" else Fixed.auto(window, whole(numbers[1], text))
    if name == "sliding":
        return Sliding(whole(numbers[0], text))
    if name == "block":
        return BlockLocal(whole(numbers[0], text))
    if name == "strided":
        return Strided(whole(numbers[0], text))
    return Fixed(whole(numbers[0], text), whole(numbers[1], text))


def whole(number: str, text: str) -> int:
    if not (number.isascii() and number.isdigit()):
        auto = " (or auto)" if text.startswith(("strided", "fixed")) else ""
        raise InputError(f"{number!r} in attention {text!r} is not a whole number; write one above 0{auto}")
    return int(number)


def parse_layers(text: str, layers: int, window: int | None = None) -> list[Pattern]:
    """One pattern a layer; several joined by `+` take turns: `sliding:64+dense` makes every second layer dense."""
    patterns = [parse(part, window) for part in text.split("+")]
    if len(patterns) > layers:
        raise InputError(
            f"{text!r} names {len(patterns)} attention patterns for {layers} layers; name at most one a layer"
        )
    return [patterns[layer % len(patterns)] for layer in range(layers)]


# -- paths -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Path:
    """Which path is taken, and why."""

    name: str
    why: str

    def __str__(self) -> str:
        return f"{self.name}: {self.why}"


def explain(
    pattern: Pattern,
    n: int,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    grad: bool = True,
) -> Path:
    """The path that `auto` takes for n tokens; `grad`: whether gradients are asked for."""
    if suits_plain(n, torch.device(device), dtype, grad):
        return Path("reference", f"{n} tokens are so few that holding all {n} x {n} scores trains quickest")
    if pattern.hides_nothing(n):
        return Path("sdpa", f"{pattern} hides no earlier token among {n}, so torch's fused causal kernel does it")
    cost = pattern.cost(n)
    if cost < n:
        return Path("blocked", f"it takes as long as {cost:,} keys a query would, masking takes all {n:,}")
    return Path("sdpa", f"with so few tokens blocks take as long as {cost:,} keys a query would, masking takes {n:,}")


def attend_causal(
    q: Tensor, k: Tensor, v: Tensor, pattern: Pattern, *, path: str = "auto", dropout: float = 0.0
) -> Tensor:
    """Attention of (B, H, T, D) among equally many queries, keys and values, each seeing what the pattern allows.

    `dropout` of weights is for dense attention alone, and makes it hold them; the others do without, on every path.
    """
    if q.ndim != 4 or q.shape != k.shape or q.shape[:3] != v.shape[:3]:
        shapes = ", ".join(str(tuple(x.shape)) for x in (q, k, v))
        raise InputError(
            f"queries, keys and values must be (rows, heads, tokens, width) with equally many tokens, not {shapes}; "
            "for new tokens after a cache use attend(..., mask=pattern.mask(queries, keys, device))"
        )
    if path not in PATHS:
        raise InputError(f"there is no path {path!r}{nearest(path, PATHS)}; paths: {', '.join(PATHS)}")
    n = q.shape[2]
    if isinstance(pattern, Dense) and dropout > 0:
        return plain(q, k, v, causal=True, dropout=dropout)[0]
    if path == "auto":
        path = explain(pattern, n, q.device, q.dtype, needs_gradient(q, k, v)).name
    if path == "blocked":
        return pattern.blocked(q, k, v)
    hides = not pattern.hides_nothing(n)
    mask = pattern.mask(n, n, q.device) if hides else None
    if path == "reference":
        return plain(q, k, v, mask=mask, causal=not hides)[0]
    return fused(q, k, v, mask=mask, causal=not hides)
