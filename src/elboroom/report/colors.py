"""The colours of the house as data (tokens.json), as style sheet variables, and their contrast by WCAG 2."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["contrast", "style_sheet", "tokens", "variables"]

FOLDER = Path(__file__).parent


@cache
def tokens() -> dict[str, Any]:
    """The file as it is: {"light": {...}, "dark": {...}}."""
    loaded: dict[str, Any] = json.loads((FOLDER / "tokens.json").read_text(encoding="utf-8"))
    return loaded


def variables(theme: str) -> str:
    """One theme as declarations: `--ink:#16181d;--c1:#4462b4;...`."""
    out = []
    for name, value in tokens()[theme].items():
        if isinstance(value, list):
            first = 1 if name == "c" else 0
            out += [f"--{name}{i}:{color}" for i, color in enumerate(value, first)]
        else:
            out.append(f"--{name}:{value}")
    return ";".join(out)


def style_sheet() -> str:
    """The whole style of a page: tokens of both themes, then style.css. Print always takes light tokens on white."""
    light, dark = variables("light"), variables("dark")
    themes = (
        f":root{{color-scheme:light;{light}}}"
        f"@media screen and (prefers-color-scheme:dark){{:root:not([data-theme=light]){{color-scheme:dark;{dark}}}}}"
        f"@media screen{{:root[data-theme=dark]{{color-scheme:dark;{dark}}}}}"
        "@media print{:root{--paper:#ffffff}}"
    )
    return themes + (FOLDER / "style.css").read_text(encoding="utf-8")


def contrast(one: str, other: str) -> float:
    """WCAG 2 contrast of two colours #rrggbb, 1 to 21."""
    bright, dim = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def _luminance(color: str) -> float:
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
