"""Text that comes from data, made fit to be shown: no control characters, no turned direction, not endless.

Escaping is not done here: the templates and the canvas escape whatever they put out.
"""

from __future__ import annotations

__all__ = ["printable", "shown_name", "shown_text"]

KEPT = "\n\t\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}"
LONGEST_NAME = 60
LONGEST_TEXT = 600
SYMBOLS = {"\n": "↵", "\r": "↵", "\t": "⇥", "\x00": "␀", "\u2028": "↵", "\u2029": "↵"}


def shown_name(text: object) -> str:
    """A name from data for the page: control characters as their symbols, cut at 60 characters."""
    whole = "".join(SYMBOLS.get(c, c if c.isprintable() else "␣" if c.isspace() else "�") for c in str(text))
    return whole if len(whole) <= LONGEST_NAME else whole[: LONGEST_NAME - 1] + "…"


def shown_text(text: object) -> str:
    """A sentence that may hold data: control characters as their symbols, whole up to 600 characters."""
    whole = "".join(SYMBOLS.get(c, c) for c in str(text))
    return whole if len(whole) <= LONGEST_TEXT else whole[: LONGEST_TEXT - 1] + "…"


def printable(text: str) -> str:
    """Text without what a page must never hold: control characters, marks that turn the direction, lone surrogates."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in KEPT else SYMBOLS.get(c, "�") for c in text)
