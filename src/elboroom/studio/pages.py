"""The studio's own page: a fixed table of a few files, read once. What is not in the table is not there."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

__all__ = ["PAGE", "POLICY", "asset", "assets", "tokens_css"]

STATIC = Path(__file__).parent / "static"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}
PAGE = "index.html"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "frame-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
"""No inline script or style, nothing from elsewhere, and no page may frame this one."""


@cache
def assets() -> dict[str, tuple[bytes, str]]:
    """Name -> (content, media type)."""
    found = {p.name: (p.read_bytes(), TYPES[p.suffix]) for p in sorted(STATIC.iterdir()) if p.suffix in TYPES}
    return {**found, "tokens.css": (tokens_css().encode(), TYPES[".css"])}


def asset(name: str) -> tuple[bytes, str] | None:
    """One file of the page; None where there is none of that name."""
    return assets().get(name)


def tokens_css() -> str:
    """The colours that reports use, as custom properties of both themes."""
    tokens = json.loads((Path(__file__).parent.parent / "report" / "tokens.json").read_text(encoding="utf-8"))
    themes = {name: _properties(tokens[name]) for name in ("light", "dark")}
    return (
        f":root{{color-scheme:light;{themes['light']}}}\n"
        f"@media (prefers-color-scheme:dark){{:root:not([data-theme=light]){{color-scheme:dark;{themes['dark']}}}}}\n"
        f":root[data-theme=dark]{{color-scheme:dark;{themes['dark']}}}\n"
    )


def _properties(theme: dict[str, object]) -> str:
    lines = []
    for name, value in theme.items():
        if isinstance(value, list):
            lines += [f"--{name}{i}:{colour};" for i, colour in enumerate(value, 1)]
        else:
            lines.append(f"--{name}:{value};")
    return "".join(lines)
