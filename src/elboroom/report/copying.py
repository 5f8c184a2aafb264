"""The section on what a longer context brings to a model of text, and what it copies from its training text."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from markupsafe import Markup

from .contents import Contents, entries
from .layout import Cell, Figure, Note, Run, Section, Table, Writing, csv_uri
from .numbers import number, written
from .plots import Array
from .text import is_text
from .text_charts import Line, lengths_chart
from .words import plural

__all__ = ["context_and_copying"]

WIDE, NARROW = 332.0, 358.0


def context_and_copying(contents: Contents) -> Section | None:
    """Bits per byte by what was read before, and how long the runs are that stand in the training text."""
    if not is_text(contents):
        return None
    section = Section("context", "Context and copying")
    charts = [chart for chart in (_context_chart(contents), _copying_chart(contents)) if chart is not None]
    if not charts:
        return None
    captions = [caption for _, _, caption in charts]
    sides = ["Left: ", "Right: "] if len(charts) == 2 else [""]
    caption = " ".join(f"{side}{text}" for side, text in zip(sides, captions, strict=True))
    section.figures.append(
        Figure(
            caption[:1].upper() + caption[1:],
            wide=[wide for wide, _, _ in charts],
            narrow=[narrow for _, narrow, _ in charts],
            csv=csv_uri(["chart", "length", "value", "low", "high"], _rows(contents)),
            csv_name="context_and_copying.csv",
        )
    )
    section.notes = _context_notes(contents)
    copied = contents.detail("memorisation")
    if copied:
        section.sentences += [f"Warning: {copied['warning']}"] if copied.get("warning") else []
        section.tables.append(_copying_table(contents))
        span = _longest(copied)
        if span is not None:
            section.figures.append(span)
        section.notes.append(Note("Copying.", f"{copied.get('samples')}. A warning is {copied.get('rule')}."))
    return section


def _context(contents: Contents) -> list[dict[str, Any]]:
    return [
        e for e in entries(contents.details.get("by_context")) if isinstance(e, dict) and number(e.get("value")) > 0
    ]


def _context_chart(contents: Contents) -> tuple[Markup, Markup, str] | None:
    found = _context(contents)
    if len(found) < 2:
        return None
    x = np.array([math.sqrt(number(e.get("first")) * number(e.get("last"))) for e in found])
    y, low, high = (np.array([number(e.get(n)) for e in found]) for n in ("value", "low", "high"))
    last = f"{written(float(y[-1]), decimals=2)} bits"
    rivals = [r for r in entries(contents.metrics.get("bits_per_byte", {}).get("references")) if isinstance(r, dict)]
    rivals = sorted((r for r in rivals if number(r.get("value")) > 0), key=lambda r: number(r["value"]))
    level = (str(rivals[0]["name"]), number(rivals[0]["value"])) if rivals else None
    summary = (
        f"Bits per byte fall from {written(float(y[0]), decimals=2)} after one token to {last} "
        f"after {found[-1].get('first')} to {found[-1].get('last')}."
    )
    drawn = [
        lengths_chart(
            [Line(last, "c1", x, y, low, high)], width, title="Bits per byte by what was read before",
            note="less is better", x_title="tokens read before, log axis", summary=summary, level=level,
        )
        for width in (WIDE, NARROW)
    ]  # fmt: skip
    return drawn[0], drawn[1], "what a longer context brings; band: 95 % interval."


def _curve(contents: Contents) -> tuple[Array, Array, Array]:
    """(lengths, samples, unseen sets (sets, lengths)) of the copying curve."""
    rows = [e for e in entries(contents.detail("memorisation").get("curve")) if isinstance(e, dict)]
    length = np.array([number(e.get("characters")) for e in rows])
    samples = np.array([number(e.get("samples")) for e in rows])
    sets = [[number(v) for v in entries(e.get("unseen"))] for e in rows]
    count = min((len(s) for s in sets), default=0)
    return length, samples, np.array([s[:count] for s in sets]).reshape(len(rows), count).T


def _copying_chart(contents: Contents) -> tuple[Markup, Markup, str] | None:
    length, samples, unseen = _curve(contents)
    there = samples > 0
    if there.sum() < 2 and not (len(unseen) and (unseen > 0).any()):
        return None
    lines = []
    none = np.full(len(length), math.nan)
    if len(unseen):
        some = (unseen > 0).any(0)
        middle, low, high = unseen.mean(0), unseen.min(0), unseen.max(0)
        low = np.where(low > 0, low, middle.clip(min=1e-9))
        lines.append(Line("unseen text", "base", length[some], middle[some], low[some], high[some]))
    if there.any():
        lines.append(Line("samples", "c1", length[there], samples[there], none[there], none[there]))
    longest = contents.detail("memorisation").get("longest")
    most = longest.get("characters") if isinstance(longest, dict) else None
    summary = f"The longest copy has {plural(int(number(most)), 'character')}." if isinstance(most, int) else ""
    drawn = [
        lengths_chart(
            lines, width, title="Share of places copied for at least so long", note="log axes", share=True,
            x_title="characters", summary=summary or "Share of places by length of the copy.",
        )
        for width in (WIDE, NARROW)
    ]  # fmt: skip
    caption = "how often samples repeat the training text; grey band: held-out text, lowest to highest of its sets."
    return drawn[0], drawn[1], caption


def _rows(contents: Contents) -> list[list[Any]]:
    rows: list[list[Any]] = [
        ["context", e.get("last"), number(e.get("value")), number(e.get("low")), number(e.get("high"))]
        for e in _context(contents)
    ]
    length, samples, unseen = _curve(contents)
    for i, n in enumerate(length.tolist()):
        rows.append(["samples", n, float(samples[i]), "", ""])
        if len(unseen):
            rows.append(["unseen", n, *(float(f(unseen[:, i])) for f in (np.mean, np.min, np.max))])
    return rows


def _context_notes(contents: Contents) -> list[Note]:
    """What the second half of the window brings."""
    found = _context(contents)
    if len(found) < 3:
        return []
    before, last = found[-2], found[-1]
    gain = number(before["value"]) - number(last["value"])
    apart = number(last.get("high")) < number(before.get("low"))
    half = plural(int(number(before.get("last"))), "token")
    if gain <= 0 or not apart:
        text = "the context brings nothing that can be told: a longer one will not help this model."
    else:
        text = f"the context brings {written(gain, decimals=2 if gain >= 0.01 else 3)} bits a byte"
        text += ": a longer one may help." if gain > 0.02 else ": a longer one would help little."
    return [Note(f"Beyond {half}", text)]


def _copying_table(contents: Contents) -> Table:
    copied = contents.detail("memorisation")
    longest = copied.get("longest") if isinstance(copied.get("longest"), dict) else {}
    known = sorted(int(v) for v in entries(copied.get("unseen_longest")) if isinstance(v, int))
    share = contents.metrics.get("memorised_share", {})
    theirs = next((r for r in entries(share.get("references")) if isinstance(r, dict)), {})
    ends = f" ({known[0]:,} to {known[-1]:,})" if len(known) > 1 else ""
    spread = f"{known[len(known) // 2]:,}{ends}" if known else "none"
    count = longest.get("characters") if isinstance(longest, dict) else None
    pairs = (
        ("Longest copy, characters", written(number(count), form="count"), spread),
        ("Pieces of 50 characters copied", _share(share), _share(theirs)),
    )
    rows = [[Cell(name, "name"), Cell(own, "num"), Cell(unseen, "num muted")] for name, own, unseen in pairs]
    head = [Cell("Copied from the training text"), Cell("Samples", "num"), Cell("Unseen text of that length", "num")]
    return Table("How much is copied from the training text", head, rows, "plain")


def _share(entry: dict[str, Any]) -> str:
    value = number(entry.get("value"))
    if not math.isfinite(value):
        return "none"
    high = number(entry.get("high"))
    upper = f", at most {written(high, form='share', decimals=1)}" if math.isfinite(high) and high > value else ""
    return f"{written(value, form='share', decimals=0 if value in (0.0, 1.0) else 1)}{upper}"


def _longest(copied: dict[str, Any]) -> Figure | None:
    longest = copied.get("longest")
    if not isinstance(longest, dict) or not longest.get("span"):
        return None
    before, after = str(longest.get("before") or ""), str(longest.get("after") or "")
    runs = [Run(before, "around"), Run(str(longest["span"]), "copy"), Run(after, "around")]
    return Figure("The longest copy, underlined, where it stands in its sample.", texts=[Writing("", runs)])
