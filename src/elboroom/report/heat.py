"""Colours of heat maps: the two ramps of the house in 33 steps, as paints that light, dark and print each resolve.

A paint is a name: "q0" .. "q32" (sequential, 0 is the paper), "d0" .. "d32" (diverging, d16 is neutral), a token
("ink", "rule", ...), or "wash-c4" (a class colour thinned over the paper). The same names are the classes of a style
sheet, so that one drawing serves both themes.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from .colors import contrast, tokens
from .plots import Array

__all__ = ["LEVELS", "color", "diverging", "file_rules", "on", "page_rules", "ramp", "sequential"]

LEVELS = 32
"""The highest step of a ramp."""
INKS = ("paper", "panel", "inset", "rule", "edge", "ink", "ink-2", "ink-3", "accent")
STEPS = tuple(f"{letter}{i}" for letter in "qd" for i in range(LEVELS + 1))
WASHES = ("wash-c3", "wash-c4", "wash-c5", "wash-c7")
THIN = {"light": 0.18, "dark": 0.32}
"""Share of the class colour in a wash."""

# Ottosson 2020, "A perceptual color space for image processing": linear sRGB to cone response, its cube root to Lab.
_TO_LMS = np.array([
    [0.4122214708, 0.5363325363, 0.0514459929],
    [0.2119034982, 0.6806995451, 0.1073969566],
    [0.0883024619, 0.2817188376, 0.6299787005],
])  # fmt: skip
_TO_LAB = np.array([
    [0.2104542553, 0.7936177850, -0.0040720468],
    [1.9779984951, -2.4285922050, 0.4505937099],
    [0.0259040371, 0.7827717662, -0.8086757660],
])  # fmt: skip


def sequential(shares: Array) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Steps of shares in [0, 1] on the square-root scale; 0 keeps step 0, all above it at least step 1."""
    steps = np.rint(np.sqrt(np.clip(np.nan_to_num(shares), 0, 1)) * LEVELS).astype(np.int64)
    return np.where((shares > 0) & (steps == 0), 1, steps)


def diverging(values: Array) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Steps of values on a linear scale from minus to plus the largest finite size; what is not finite is neutral."""
    finite = np.where(np.isfinite(values), values, 0.0)
    end = float(np.abs(finite).max()) if finite.size else 0.0
    return np.rint((finite / end if end else finite) * (LEVELS // 2)).astype(np.int64) + LEVELS // 2


@cache
def ramp(theme: str, name: str) -> tuple[str, ...]:
    """The 33 colours of "seq" or "div", interpolated in OKLab between the tokens."""
    stops = np.stack([_oklab(c) for c in tokens()[theme][name]])
    at = np.linspace(0, len(stops) - 1, LEVELS + 1)
    below = np.minimum(at.astype(int), len(stops) - 2)
    share = (at - below)[:, None]
    return tuple(_hex(lab) for lab in stops[below] * (1 - share) + stops[below + 1] * share)


def color(paint: str, theme: str = "light") -> str:
    """#rrggbb of a paint."""
    if paint in STEPS:
        return ramp(theme, "seq" if paint[0] == "q" else "div")[int(paint[1:])]
    known = tokens()[theme]
    if paint.startswith("wash-c"):
        over, under = (_rgb(c) for c in (known["c"][int(paint[6:]) - 1], known["paper"]))
        return "#" + "".join(f"{round(255 * v):02x}" for v in under + (over - under) * THIN[theme])
    found: str = known[paint]
    return found


def on(paint: str, theme: str = "light") -> str:
    """Black or white, whichever can be read better on the paint."""
    ground = color(paint, theme)
    return max("#000000", "#ffffff", key=lambda ink: contrast(ink, ground))


def _paints() -> tuple[str, ...]:
    """All paints a drawing may use."""
    return (*INKS, *WASHES, *STEPS)


@cache
def page_rules() -> str:
    """The paints as classes of a page that has the tokens as variables: `f-` fills, `s-` strokes, `on-` is text that
    stands on a step, `b-` is a step under text of HTML."""
    own = [paint for paint in _paints() if paint not in INKS]
    out = [f".f-{paint}{{fill:var(--{paint})}}" for paint in _paints()]
    out += [f".s-{paint}{{stroke:var(--{paint})}}" for paint in INKS]
    out += [f".on-{paint}{{fill:var(--on-{paint})}}" for paint in STEPS]
    out += [f".b-{paint}{{background:var(--{paint});color:var(--on-{paint})}}" for paint in STEPS if paint[0] == "q"]

    def variables(theme: str) -> str:
        named = [f"--{paint}:{color(paint, theme)}" for paint in own]
        return ";".join(named + [f"--on-{paint}:{on(paint, theme)}" for paint in STEPS])

    light, dark = variables("light"), variables("dark")
    return (
        f":root{{{light}}}"
        f"@media screen and (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{dark}}}}}"
        f"@media screen{{:root[data-theme=dark]{{{dark}}}}}{''.join(out)}"
    )


@cache
def file_rules() -> str:
    """For a drawing that stands alone in a file: its light colours are attributes, so only dark needs a rule."""
    out = [f".f-{paint}{{fill:{color(paint, 'dark')}}}" for paint in _paints()]
    out += [f".s-{paint}{{stroke:{color(paint, 'dark')}}}" for paint in INKS]
    out += [f".on-{paint}{{fill:{on(paint, 'dark')}}}" for paint in STEPS]
    return f"@media screen and (prefers-color-scheme:dark){{{''.join(out)}}}"


def _rgb(text: str) -> Array:
    return np.array([int(text[i : i + 2], 16) for i in (1, 3, 5)]) / 255


def _oklab(text: str) -> Array:
    rgb = _rgb(text)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    found: Array = np.cbrt(linear @ _TO_LMS.T) @ _TO_LAB.T
    return found


def _hex(lab: Array) -> str:
    linear = (((lab @ np.linalg.inv(_TO_LAB).T) ** 3) @ np.linalg.inv(_TO_LMS).T).clip(0, 1)
    rgb = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return "#" + "".join(f"{round(255 * v):02x}" for v in rgb.tolist())
