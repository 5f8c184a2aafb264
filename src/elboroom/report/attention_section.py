"""The section of a report that shows where the heads of a model of text look, made from media/attention.npz."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from elboroom.core.errors import InputError

from .attention import Attention
from .attention_page import head_table, heads_figure, map_figure, rules, script
from .contents import Contents
from .layout import Note, Section

__all__ = ["attention"]

WIDTH, MAP = 680, 540
LARGEST = 400_000_000
"""Bytes of the arrays; a larger file is none that a run writes."""


def attention(contents: Contents) -> Section | None:
    """All heads, one of them large, and what they look at; None where the run kept none."""
    path = contents.folder / "media" / "attention.npz"
    if not path.exists():
        return None
    section = Section("attention", "Attention")
    found = _read(path)
    if isinstance(found, str):
        section.sentences.append(f"The attention of this run cannot be shown: {found}.")
        return section
    section.figures = [heads_figure(found), map_figure(found, MAP)]
    section.tables = [head_table(found)]
    section.notes = [
        Note("Read.", f"{found.caption} A click on a small map draws it large."),
        Note("Not why.", "Attention says where a head looked, not why a token was chosen."),
        Note("Another text.", "elboroom inspect RUN --text T --out FILE.html shows any text, and the block of a head."),
        Note("Kept", "media/attention.svg, with every step of one head; the arrays are in media/attention.npz."),
    ]
    section.rules, section.script = rules(found, WIDTH), script()
    return section


def _read(path: Path) -> Attention | str:
    """What the file holds, or why it cannot be read."""
    try:
        with zipfile.ZipFile(path) as file:
            if sum(one.file_size for one in file.infolist()) > LARGEST:
                return "media/attention.npz is larger than any that a run writes"
        with np.load(path, allow_pickle=False) as held:
            return Attention.of({name: held[name] for name in held.files})
    except (InputError, OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        return f"media/attention.npz is damaged: {error}"
