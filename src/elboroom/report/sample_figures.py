"""The figures of what a model can be asked to make: a row a class, a row a truncation, walks, nearest training rows.

And where pixels of what it makes look.
"""

from __future__ import annotations

import math

from .contents import Contents, entries
from .figures import Dot
from .galleries import sheet_figure
from .layout import Figure, Note, Section
from .numbers import number, written
from .quality import dot, truncation_curves

__all__ = ["looks", "neighbours", "truncation", "varied"]

LOOKING = 6
"""Rows of the sheet at most."""
NEAR = ("sample", "nearest", "second", "third", "fourth", "fifth")


def varied(contents: Contents) -> Section | None:
    """One row a class, and walks between samples; None where neither sheet is there."""
    section = Section("varied", "Classes and walks")
    names = [str(name) for name in entries(contents.spec.get("classes"))]
    _add(section, contents, "classes.png", "one row of samples a class", "Samples by class.", names)
    _add(section, contents, "interpolation.png", "walks from one sample to another", "Walks between samples.", [])
    walks = bool(section.figures) and section.figures[-1].pictures[0].alt.startswith("walks")
    if len(section.figures) == 1:
        section.heading = "Walks between samples" if walks else "Samples by class"
    if walks:
        section.notes.append(Note("A walk", "that changes step by step, and is like the data all the way, shows that "
            "the model knows more than single examples."))  # fmt: skip
    return section if section.figures or section.sentences else None


def truncation(contents: Contents) -> Section | None:
    """One row a truncation, and what truncation trades; None where it was not varied."""
    section = Section("truncation", "Truncation")
    listed = [t for t in entries(contents.detail("quality").get("truncation")) if isinstance(t, dict)]
    values = sorted(_limit(t.get("truncation")) for t in listed)
    names = ["whole prior" if math.isinf(v) else f"|z| ≤ {written(v)}" for v in values]
    _add(section, contents, "truncation.png", "one row of samples a truncation", "Samples by truncation.", names)
    curves = truncation_curves(contents)
    section.figures += [] if curves is None else [curves]
    if section.figures:
        section.notes.append(Note("Truncation.", "The numbers of z are drawn within these limits (Brock et al. 2019): "
            "nearer to what is usual, and more alike."))  # fmt: skip
    return section if section.figures or section.sentences else None


def neighbours(contents: Contents) -> Section | None:
    """Samples over their nearest training rows, and the share that lies too near; None where neither is there."""
    found = contents.detail("quality").get("memorised")
    table = found if isinstance(found, dict) else {}
    share = dot({"value": table.get("share"), "low": table.get("low"), "high": table.get("high")})
    section = Section("neighbours", "Nearest training examples")
    _add(section, contents, "neighbours.png", "samples over their nearest training examples",
        "Each sample over the training examples nearest to it.", list(NEAR))  # fmt: skip
    if share is not None:
        section.sentences.append(_memorised(share, str(table.get("how") or "")))
    return section if section.figures or section.sentences else None


def looks(contents: Contents) -> Section | None:
    """Where pixels of samples look; None where the model has no such layer."""
    section = Section("looks", "Where pixels look")
    names = [str(name) for name in entries(contents.spec.get("classes"))]
    in_turn = [names[i % len(names)] for i in range(LOOKING)] if names else []
    _add(section, contents, "looks.png", "samples, and under them where a few of their pixels look",
        "A row a sample: places marked in blue, then where each of them looks.", in_turn)  # fmt: skip
    if section.figures:
        section.notes.append(Note("Read it as.", "A pixel takes up what it looks at, weighed so, before the last "
            "doubling of the image (Zhang et al. 2019); under even brown it looks everywhere alike."))  # fmt: skip
    return section if section.figures or section.sentences else None


def _memorised(share: Dot, how: str) -> str:
    amount = written(share.value, share.low, share.high, form="share", decimals=1)
    told = f"Copies of training data among the samples: {amount}."
    return f"{told} {how[:1].upper()}{how[1:].rstrip('.')}." if how else told


def _limit(value: object) -> float:
    found = number(value)
    return found if math.isfinite(found) else math.inf


def _add(section: Section, contents: Contents, file: str, alt: str, default: str, names: list[str]) -> None:
    """The sheet as a figure; the reason where it is there and cannot be shown; nothing where there is none."""
    made: tuple[Figure | None, str] = sheet_figure(contents, file, alt, default, names)
    figure, reason = made
    if figure is not None:
        section.figures.append(figure)
    elif not reason.startswith("there is no"):
        section.sentences.append(f"A sheet cannot be shown: {reason}.")
