"""The sections that say what was done, so that it can be judged and repeated: checks, data, settings, versions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from elboroom.core import registry

from .contents import Contents, entries
from .layout import Cell, Section, Table, named
from .names import shown_name, shown_text
from .numbers import written
from .words import CHECKS, LEVELS, clean, plural

__all__ = ["Check", "checks", "choices", "data", "model_name", "repeat", "settings", "value_text"]

MOST_COLUMNS = 25
MOST_PROBLEMS = 25


@dataclass
class Check:
    """One finding of `diagnose`."""

    glyph: str
    css: str
    word: str
    head: str
    why: str
    attempt: str


def checks(contents: Contents) -> tuple[list[Check], str]:
    """(findings, reason why there are none)."""
    listed = entries(contents.details.get("checks"))
    if not listed:
        return [], "Nothing was checked yet: " + contents.missing.get("details", "details.json holds no checks") + "."
    found = []
    for entry in (e for e in listed if isinstance(e, dict)):
        level = str(entry.get("level"))
        glyph, css, word = LEVELS.get(level, LEVELS["warn"])
        name = str(entry.get("name"))
        pair = CHECKS.get(name, (clean(name), clean(name)))
        why = str(entry.get("why") or "").strip()
        since = entry.get("since_step")
        if level != "ok" and isinstance(since, int | float):
            why = f"{why.rstrip('.')}, since step {written(since, form='count')}"
        is_key = any(c in why.split(" ")[0] for c in "/_")
        why = (why if is_key else why[:1].upper() + why[1:]) + ("." if why and not why.endswith(".") else "")
        attempt = str(entry.get("try") or "") if level != "ok" else ""
        found.append(Check(glyph, css, word, pair[0 if level == "ok" else 1], why, attempt))
    order = {"bad": 0, "warn": 1, "good": 2}
    return sorted(found, key=lambda c: order.get(c.css, 1)), ""


# -- data --------------------------------------------------------------------------------------------------------------


def data(contents: Contents) -> Section:
    """What was read, how it was split, what was wrong with it."""
    section = Section("data", "Data")
    saved, spec = contents.data, contents.spec
    rows = [("Read", _shape_text(spec)), ("From", str(saved.get("source") or saved.get("name") or ""))]
    split = saved.get("split") if isinstance(saved.get("split"), dict) else {}
    counts = split.get("counts") if isinstance(split, dict) else None
    if isinstance(counts, dict):
        names = {"train": "train", "valid": "validation", "test": "test"}
        text = ", ".join(f"{written(n, form='count')} {names.get(k, k)}" for k, n in counts.items() if n)
        how = str(split.get("how") or "") if isinstance(split, dict) else ""
        rows.append(("Split", text + (f"; {how}" if how else "")))
    rows.append(("Scale", str(spec.get("scale") or "")))
    classes = entries(spec.get("classes"))
    if classes:
        listed = ", ".join(shown_name(c) for c in classes[:12]) + (" …" if len(classes) > 12 else "")
        rows.append((plural(len(classes), "class", "classes").capitalize(), listed))
    if saved.get("fingerprint"):
        rows.append(("Fingerprint", str(saved["fingerprint"])))
    body = [[Cell(a), named(b) if a in ("From",) else Cell(b, is_name=a != "Split")] for a, b in rows if b]
    section.tables.append(Table("What was read", [Cell("What"), Cell("Value")], body, "pairs"))
    problems = [str(p) for p in entries(saved.get("problems"))]
    if problems:
        shown = [
            [Cell(str(i + 1), "num muted"), Cell(shown_text(p), is_name=True)]
            for i, p in enumerate(problems[:MOST_PROBLEMS])
        ]
        note = f"{MOST_PROBLEMS} of {len(problems):,}; run.json has all." if len(problems) > MOST_PROBLEMS else ""
        section.tables.append(Table("Problems found", [Cell("#", "num"), Cell("Problem")], shown, "plain", note))
    else:
        section.sentences.append("No problems were found in the data.")
    columns = [c for c in entries(spec.get("columns")) if isinstance(c, dict)]
    if columns:
        section.tables.append(_columns(columns))
    return section


def _shape_text(spec: dict[str, Any]) -> str:
    shape = entries(spec.get("shape"))
    if spec.get("kind") == "images" and len(shape) == 3:
        channels = {1: "grey", 3: "colour"}.get(shape[0], f"{shape[0]} channels")
        levels = f", {spec['levels']} levels" if spec.get("levels") else ""
        return f"images, {shape[2]} × {shape[1]} pixels, {channels}{levels}"
    if spec.get("kind") == "text" and len(shape) == 1:
        return f"text, windows of {shape[0]:,} tokens, {spec.get('levels') or 'no'} different ones"
    masked = ", some cells missing" if spec.get("masked") else ""
    size = " × ".join(f"{n:,}" for n in shape if isinstance(n, int))
    return f"{spec.get('kind', 'data')}, {size} {'columns' if spec.get('kind') == 'table' else 'values'}{masked}"


def _columns(columns: list[dict[str, Any]]) -> Table:
    rows = []
    for column in columns[:MOST_COLUMNS]:
        categories = entries(column.get("categories"))
        listed = ", ".join(shown_name(c) for c in categories[:6]) + (" …" if len(categories) > 6 else "")
        rows.append([named(column.get("name", "")), Cell(str(column.get("kind", "")), "muted"), named(listed, "muted")])
    head = [Cell("Column"), Cell("Kind"), Cell("Categories")]
    if not any(entries(column.get("categories")) for column in columns):
        head, rows = head[:2], [row[:2] for row in rows]
    note = f"{MOST_COLUMNS} of {len(columns):,} columns; run.json has all." if len(columns) > MOST_COLUMNS else ""
    return Table("Columns as read", head, rows, "plain", note)


# -- settings ----------------------------------------------------------------------------------------------------------


def _fields(contents: Contents) -> dict[str, registry.Field]:
    """The model's settings as its source states them; empty where the model is not known here."""
    return {f.name: f for f in contents.entry.fields} if contents.entry is not None else {}


def model_name(contents: Contents) -> str:
    """The model's class name apart in words, as the title says it: "VAE", "Beta VAE", "autoencoder"."""
    if contents.entry is None:
        return shown_name(str(contents.meta.get("model") or "model").replace("_", " "))
    text = contents.entry.class_name
    words, word = [], ""
    for i, letter in enumerate(text):
        ends = letter.isupper() and word and (not text[i - 1].isupper() or text[i + 1 : i + 2].islower())
        if ends:
            words.append(word)
            word = ""
        word += letter
    return " ".join(w if w.isupper() else w.lower() for w in [*words, word])


def settings(contents: Contents) -> tuple[list[Table], list[Table], list[str]]:
    """(settings that differ from defaults, all of them, sentences)."""
    fields, given = _fields(contents), contents.part("settings")
    head = [Cell("Setting"), Cell("Here", "num"), Cell("Default", "num"), Cell("Meaning")]
    rows, different, said = [], [], []
    for name, value in given.items():
        default = fields[name].default if name in fields else None
        known = name in fields
        differs = known and _plain(default) != _plain(value)
        row = [
            Cell(name, "code"),
            Cell(value_text(value), "num strong" if differs else "num", is_name=True),
            Cell(value_text(default) if known else "not known", "num muted", is_name=True),
            Cell(fields[name].doc if known else "", "how"),
        ]
        rows.append(row)
        if differs:
            different.append(row)
    if not given:
        said.append("run.json holds no settings.")
    elif not fields:
        said.append("This installation does not know the model, so defaults cannot be shown.")
    elif not different:
        said.append("All settings have their default.")
    parameters = contents.meta.get("parameters")
    if isinstance(parameters, int) and parameters > 0:
        own = ", networks of the user's own" if contents.meta.get("networks") == "own" else ""
        said.append(f"{written(parameters, form='count')} parameters{own}.")
    preset = contents.meta.get("preset")
    if preset:
        said.append(f"Preset: {shown_name(preset)}.")
    first = [Table("Settings that differ from their default", head, different, "settings")] if different else []
    whole = [Table("All settings of the model", head, rows, "settings")] if rows else []
    for title, name in (("Reading", "reading"), ("Budget", "budget"), ("Runtime", "runtime")):
        source = contents.data.get("reading") if name == "reading" else contents.part(name)
        if isinstance(source, dict) and source:
            body = [[Cell(k, "code"), Cell(value_text(v), "num", is_name=True)] for k, v in source.items()]
            whole.append(Table(title, [Cell("Name"), Cell("Value", "num")], body, "plain"))
    return first, whole, said


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def value_text(value: Any) -> str:
    """A setting's value as the tables write it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list | tuple):
        return shown_name(", ".join(value_text(v) for v in value)) or "none"
    if isinstance(value, int):
        return written(value, form="count") if abs(value) < 1e6 else f"{value:,}"
    if isinstance(value, float):
        return f"{value:g}"
    if value is None or value == "":
        return "none"
    return shown_name(value)


def choices(contents: Contents) -> Table | None:
    """What "auto" became, and why."""
    found = contents.part("choices")
    runtime = {**contents.part("budget"), **contents.part("settings"), **contents.part("runtime")}
    rows = [
        [
            Cell(name, "code"),
            Cell(value_text(runtime[name]) if name in runtime else "", "num", is_name=True),
            Cell(str(why), "how"),
        ]
        for name, why in found.items()
    ]
    head = [Cell("Choice"), Cell("Became", "num"), Cell("Why")]
    return Table("What auto chose, and why", head, rows, "settings") if rows else None


def repeat(contents: Contents) -> tuple[str, list[str]]:
    """(the command, its lines broken before flags) and what must be equal for equal bits."""
    command = str(contents.meta.get("command") or "")
    versions = contents.part("versions")
    said = [f"{name} {value}" for name, value in versions.items()]
    runtime = contents.part("runtime")
    threads = runtime.get("threads")
    if isinstance(threads, int):
        said.append(plural(threads, "thread"))
    said += [str(runtime[k]) for k in ("precision",) if runtime.get(k)]
    fingerprint = str(contents.data.get("fingerprint") or "")
    if fingerprint:
        said.append(f"data {fingerprint[:10]}{'…' if len(fingerprint) > 10 else ''}")
    return _broken(command), said


def _broken(command: str) -> str:
    r"""The command with a backslash and a new line before a flag where a line grows past 34 characters."""
    lines, line = [], ""
    for piece in command.replace(" --", "\n--").split("\n"):
        if line and len(line) + 1 + len(piece) > 34:
            lines.append(line)
            line = "  " + piece
        else:
            line = f"{line} {piece}" if line else piece
    return " \\\n".join([*lines, line])
