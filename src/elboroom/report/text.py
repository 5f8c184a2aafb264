"""Two sections of a text run: is its loss good, and what does it write."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

from markupsafe import Markup

from .contents import Contents, entries
from .layout import Cell, Figure, Note, Run, Section, Table, Writing
from .numbers import beside, decimals_for, number, written
from .plots import Canvas
from .words import plural

__all__ = ["is_text", "standing", "taken_apart", "writing"]

SURPRISE = ((2.0, "under 2"), (4.0, "2 to 4"), (7.0, "4 to 7"), (math.inf, "over 7"))
"""Bits below which a character has each shade."""
FILE = re.compile(r"^step-(\d{1,12})\.txt$")
HEAD = re.compile(r"\[([a-z0-9 .]{1,40}), (\d{1,7}) characters\]\n")
LONGEST_FILE = 1_000_000
CUT, LINES = 240, 7
"""Characters and lines shown of each text at an epoch."""


def is_text(contents: Contents) -> bool:
    return contents.spec.get("kind") == "text"


# -- is the loss good? -------------------------------------------------------------------------------------------------


def standing(contents: Contents) -> Section | None:
    """The run among what needs no network, in bits per byte, the dearest first."""
    found = contents.metrics.get("bits_per_byte", {})
    own = number(found.get("value"))
    listed = [r for r in entries(contents.details.get("baselines")) if isinstance(r, dict)]
    listed = [r for r in listed if math.isfinite(number(r.get("value")))]
    if not is_text(contents) or not math.isfinite(own) or not listed:
        return None
    section = Section("loss", "Is the loss good?")
    loss = contents.metrics.get("loss_nats_per_token", {})
    decimals, finer = (_decimals(entry) for entry in (found, loss))
    per_token = number(contents.detail("text").get("bytes_per_token")) * math.log(2)
    mine = {"name": "this run", "value": own, "low": found.get("low"), "high": found.get("high"), "how": ""}
    rows = []
    for entry in sorted([*listed, mine], key=lambda r: -number(r["value"])):
        value, is_mine = number(entry["value"]), entry is mine
        low, high = entry.get("low"), entry.get("high")
        shown = beside(value, decimals) if low is None or low == high else written(value, low, high)
        css = "strong" if is_mine else ""
        rows.append([
            Cell(str(entry.get("name")), f"name {css}", is_name=True),
            Cell(shown, f"num {css}", title=repr(value)),
            Cell(beside(value * per_token, finer) if math.isfinite(per_token) else "", f"num {css}"),
            Cell("" if is_mine else _against(own, value), "muted"),
            Cell(str(entry.get("how") or ""), "how"),
        ])  # fmt: skip
    texts = (("What", ""), ("Bits per byte", "num"), ("Nats a token", "num"), ("This run needs", ""), ("How", ""))
    head = [Cell(text, css) for text, css in texts]
    section.tables.append(Table("The run among what needs no network", head, rows, "standing"))
    section.sentences.append(_judged(contents, own, listed))
    section.notes = [Note("The same bytes.", "All of them store the same held-out bytes; less is better."),
                     *_speed_notes(contents)]  # fmt: skip
    return section


def _decimals(found: dict[str, Any]) -> int | None:
    return decimals_for(number(found.get("value")), found.get("low"), found.get("high"))


def _against(own: float, other: float) -> str:
    if other <= 0:
        return ""  # a text so repetitive that a compressor needs nothing more for it
    share = own / other - 1
    if abs(share) < 0.005:
        return "as much"
    return f"{written(abs(share), form='share', decimals=0)} {'more' if share > 0 else 'less'}"


def _judged(contents: Contents, own: float, listed: list[dict[str, Any]]) -> str:
    """What the order says, in words."""
    fair = [r for r in listed if not str(r["name"]).endswith(" alone")]
    better = [str(r["name"]) for r in sorted(fair, key=lambda r: number(r["value"])) if number(r["value"]) < own]
    nano = number(contents.metrics.get("nano_loss_nats_per_token", {}).get("value"))
    said = (
        f"Not yet: {_and(better)} {'needs' if len(better) == 1 else 'need'} fewer bits, and no network."
        if better
        else "Yes: nothing here that needs no network stores these bytes in fewer bits."
    )
    if math.isfinite(nano):
        said += f" nanoGPT's estimate would be {written(nano, decimals=3)} nats a token."
    return said


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _speed_notes(contents: Contents) -> list[Note]:
    """Tokens a second in training and in writing, the latter beside what the memory allows."""
    notes = []
    shape, batch = entries(contents.spec.get("shape")), contents.part("budget").get("batch_size")
    steps = max((float(s[-1]) for s in contents.history.steps.values()), default=0.0)
    if len(shape) == 1 and isinstance(shape[0], int) and isinstance(batch, int) and contents.history.time_s > 0:
        rate = steps * batch * shape[0] / contents.history.time_s
        text = f"{written(round(rate, -2), form='count')} tokens a second, looks at held-out text included."
        notes.append(Note("Training.", text))
    speed = contents.part("speed")
    rate, bound = number(speed.get("generation_tokens_per_s")), number(speed.get("bound_tokens_per_s"))
    if rate > 0 and bound > 0:
        size = written(number(speed.get("weight_bytes")), form="size")
        memory = written(number(speed.get("copy_bytes_per_s")), form="size")
        share = written(rate / bound, form="share", decimals=0 if rate / bound > 0.1 else 1)
        text = (
            f"{_rough(rate)} tokens a second, one text alone. Reading its {size} of weights once a token at the "
            f"memory's {memory} a second would allow {_rough(bound)}: {share} of that is reached."
        )
        notes.append(Note("Writing.", text))
    return notes


def _rough(value: float) -> str:
    """Three digits: more would not be the same tomorrow."""
    place = max(0, math.floor(math.log10(value)) - 2) if value > 0 else 0
    return written(round(value, -place), form="count")


# -- text --------------------------------------------------------------------------------------------------------------


def writing(contents: Contents) -> Section | None:
    """One sample shaded by surprise, then what followed the same words over training."""
    if not is_text(contents):
        return None
    section = Section("text", "Text")
    shaded = _shaded(contents)
    if shaded is not None:
        section.figures.append(shaded)
    files = _files(contents.folder / "media" / "samples")
    over_time, reasons = _over_time(files)
    if over_time is not None:
        section.figures.append(over_time)
    section.sentences += reasons
    if not files:
        ends = {"running": "the run is not at its end", "stopped": "the run was stopped before its end"}
        reason = ends.get(contents.state, "there is no media/samples in the run folder")
        section.sentences.append(f"There are no texts over training: {reason}.")
    sample = contents.detail("sample")
    if shaded is not None:
        text = f"Temperature {written(number(sample.get('temperature')))}, seed {sample.get('seed')}, the first sample."
        section.notes.append(Note("Settings.", f"{text} Bold: the words it was given, from held-out text."))
    if files:
        section.notes.append(Note("Kept.", f"{plural(len(files), 'text')} in media/samples."))
    return section


def _shaded(contents: Contents) -> Figure | None:
    sample = contents.detail("sample")
    pieces = [p for p in entries(sample.get("pieces")) if isinstance(p, list) and len(p) == 2]
    if not pieces:
        return None
    runs = [Run(str(sample.get("prompt") or ""), "given")]
    for text, bits in pieces:
        amount = number(bits)
        level = next(i for i, (end, _) in enumerate(SURPRISE) if not amount >= end)
        runs.append(Run(str(text), f"s{level}"))
    merged = [runs[0]]
    for run in runs[1:]:
        if run.css == merged[-1].css:
            merged[-1] = Run(merged[-1].text + run.text, run.css)
        else:
            merged.append(run)
    total = sum(number(b) for _, b in pieces)
    size = sum(len(str(t).encode("utf-8", "replace")) for t, _ in pieces)
    caption = "One sample. Shade: how surprising each piece was to the model itself, in bits."
    summary = f"{written(total / max(1, size), decimals=2)} bits for each byte of this sample."
    return Figure(caption, summary, texts=[Writing("", merged)], key=_surprise_key())


def _surprise_key() -> Markup:
    drawn = []
    for i, (_, words) in enumerate(SURPRISE):
        canvas = Canvas(13, 11)
        canvas.rect(1, 1, 10, 9, f"s{i}-box")
        drawn.append(Markup('<span class="key-word">{} {}</span>').format(canvas.svg("", "key"), words))
    return Markup(" ").join(drawn)


def _files(folder: Path) -> list[tuple[int, Path]]:
    found = [(FILE.match(p.name), p) for p in folder.glob("step-*.txt")] if folder.is_dir() else []
    return sorted((int(m.group(1)), p) for m, p in found if m)


def _over_time(files: list[tuple[int, Path]]) -> tuple[Figure | None, list[str]]:
    """What followed the same words at the first, a middle and the last kept step; and why one is not shown."""
    texts, reasons, prompt = [], [], ""
    chosen = [files[i] for i in sorted({0, len(files) // 2, len(files) - 1})] if files else []
    for step, path in chosen:
        found, reason = taken_apart(path)
        if reason:
            reasons.append(f"The text of step {step:,} cannot be shown: {reason}.")
            continue
        prompt = found.pop("prompt", prompt)
        texts += [Writing(f"step {step:,}, {name}", [Run(_cut(text))]) for name, text in found.items()]
    if not texts:
        return None, reasons
    times = {1: "one time", 2: "two times", 3: "three times"}[len(chosen) - len(reasons)]
    caption = f"What follows the same words (bold) at {times} of training, none selected."
    given = Writing("given", [Run(prompt, "given")])
    return Figure(caption, texts=[given, *texts], side_by_side=True), reasons


def _cut(text: str) -> str:
    """The beginning of a text that may be long, or of many lines."""
    some = "\n".join(text[:CUT].split("\n")[:LINES])
    return some if some == text else some + "…"


def taken_apart(path: Path) -> tuple[dict[str, str], str]:
    """({name: text}, "") of one file of samples, or ({}, reason). A head gives a length, so texts may hold heads."""
    name = f"media/samples/{path.name}"
    try:
        if path.stat().st_size > LONGEST_FILE:
            return {}, f"{name} is larger than any that a run writes"
        text = path.read_bytes().decode("utf-8", "replace")
    except OSError as error:
        return {}, f"{name} cannot be read: {error}"
    found: dict[str, str] = {}
    at = text.find("\n\n") + 2
    while at > 1 and (head := HEAD.match(text, at)):
        end = head.end() + int(head.group(2))
        if end > len(text):
            break
        found[head.group(1)] = text[head.end() : end]
        at = end + 2
    return (found, "") if len(found) > 1 else ({}, f"{name} is damaged: its heads do not fit its texts")
