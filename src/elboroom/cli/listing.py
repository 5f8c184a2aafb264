"""`models` and `data`: what there is. `models` reads names and first lines from the source and imports no model."""

from __future__ import annotations

import argparse
import os
import textwrap
from typing import TYPE_CHECKING, Any

from elboroom.cli import console, flags
from elboroom.cli.parser import Parser
from elboroom.cli.verbs import Answer, Verb
from elboroom.core import registry

if TYPE_CHECKING:
    from elboroom.data.sequences_files import ArchiveSet
    from elboroom.data.source import Dataset

__all__ = ["Data", "Models"]


class Models(Verb):
    """What models there are; with NAME its settings with units and sources."""

    def flags(self, parser: Parser, words: list[str]) -> None:
        parser.add_argument("NAME", nargs="?", help="a model")

    def run(self, args: argparse.Namespace) -> Answer:
        if args.NAME is not None:
            entry = registry.entry(args.NAME)
            return Answer(document={**_short(entry), **_long(entry)}, text=_described(entry))
        entries = registry.entries()
        rows = [(e.name, e.summary, ", ".join(e.abilities).lower()) for e in entries]
        return Answer(
            document=[_short(e) for e in entries],
            text=console.table(rows) + "\n\n`elboroom models NAME` lists the settings of one.",
        )


class Data(Verb):
    """What named sets there are; with NAME or PATH what it would be read as."""

    def flags(self, parser: Parser, words: list[str]) -> None:
        parser.add_argument("DATA", nargs="?", metavar="NAME|PATH", help="a named set, a file or a folder")
        flags.add_reading(parser)
        parser.add_argument("--seed", type=flags.SEED, default=0, metavar="S", help="of the split (default 0)")

    def run(self, args: argparse.Namespace) -> Answer:
        if args.DATA is None:
            return _catalog()
        from elboroom.data.source import read

        dataset = read(args.DATA, flags.reading(vars(args)), seed=args.seed)
        counts = {part: len(rows) for part, rows in dataset.parts.items()}
        return Answer(document={**dataset.to_json(), "counts": counts}, text=_read_as(dataset, counts))


def _short(entry: registry.Entry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "summary": entry.summary,
        "abilities": [a.lower() for a in entry.abilities],
        "kinds": list(entry.kinds),
        "epochs": entry.epochs,
        "presets": sorted(entry.presets),
    }


def _long(entry: registry.Entry) -> dict[str, Any]:
    settings = [
        {
            "name": f.name,
            "type": f.annotation,
            "default": f.default,
            "doc": f.doc,
            "choices": list(f.choices),
            "flag": flags.setting_flag(f),
        }
        for f in entry.fields
    ]
    return {"doc": entry.doc, "path": str(entry.path), "settings": settings}


def _described(entry: registry.Entry) -> str:
    head = [
        f"{entry.name}: {entry.doc.strip()}",
        "",
        f"abilities: {', '.join(entry.abilities).lower() or 'none'}",
        f"data:      {', '.join(entry.kinds)}",
        f"epochs:    {entry.epochs}",
    ]
    head += [f"preset:    {name}: {_preset(entry.presets[name])}" for name in sorted(entry.presets)]
    body = ["", "settings:"]
    for field in entry.fields:
        body.append(f"  {flags.setting_flag(field)}  [{flags.kind_of(field)}; default {flags.shown(field.default)}]")
        body += textwrap.wrap(field.doc, 110, initial_indent="      ", subsequent_indent="      ")
    return "\n".join(head + body)


def _preset(preset: dict[str, Any]) -> str:
    """What a preset sets, as one would type it."""
    flat: dict[str, Any] = {}
    for key, value in preset.items():
        flat.update(value if isinstance(value, dict) else {key: value})
    return " ".join(f"--{key.replace('_', '-')} {flags.shown(value)}" for key, value in flat.items())


def _catalog() -> Answer:
    from elboroom.data.catalog import CATALOG
    from elboroom.data.sequences_files import archive_sets

    shown = ("name", "summary", "kind", "shape", "origin", "licence", "options")
    entries = [{name: getattr(entry, name) for name in shown} for entry in CATALOG.values()]
    entries += [_of_archive(one) for one in archive_sets(os.environ.get("ELBOROOM_DATA", ""))]
    rows = [(e["name"], f"{e['kind']} {e['shape']}", e["summary"]) for e in entries]
    return Answer(
        document=entries, text=console.table(rows) + "\n\n`elboroom data NAME|PATH` shows what one would be read as."
    )


def _of_archive(found: ArchiveSet) -> dict[str, str]:
    """A set that lies in $ELBOROOM_DATA/sequences, in the form of the others."""
    from elboroom.report.words import plural

    shape = [plural(found.steps, "step")] if found.steps else []
    shape += [plural(found.channels, "channel")] if found.channels else []
    kinds = f"{plural(len(found.classes), 'class', 'classes')}: {', '.join(found.classes[:6])}"
    summary = (kinds if found.classes else "no classes") + (", ..." if len(found.classes) > 6 else "")
    return {
        "name": found.name,
        "summary": summary + ("; a test part of its own" if found.tested else ""),
        "kind": "sequences",
        "shape": " x ".join(shape),
        "origin": "a file of the UCR/UEA archive, in $ELBOROOM_DATA/sequences",
        "licence": "as its authors say",
        "options": "",
    }


def _read_as(dataset: Dataset, counts: dict[str, int]) -> str:
    spec = dataset.spec
    rows = [("name", dataset.name), ("kind", spec.kind)]
    unit = " windows" if dataset.text else ""
    if dataset.text:
        rows += _text(dataset)
    elif spec.kind == "sequences":
        rows += _sequences(dataset)
    else:
        rows += [("shape", " x ".join(str(n) for n in spec.shape)), ("scale", spec.scale)]
    rows += [
        ("split", f"{', '.join(f'{part} {n:,}' for part, n in counts.items())}{unit} ({dataset.split_how})"),
        ("fingerprint", dataset.fingerprint),
    ]
    if spec.classes:
        named = ", ".join(spec.classes[:10]) + (", ..." if len(spec.classes) > 10 else "")
        rows.append(("classes", f"{len(spec.classes)}: {named}"))
    if dataset.channelwise:
        made = ", ".join(f"{name} ({size})" for name, size in dataset.factors)
        rows.append(("label", f"made of one label a channel, the first counting most: {made}"))
    if dataset.mixture is not None:
        found = dataset.mixture
        rows.append(("modes", f"{len(found.centres):,} Gaussians of standard deviation {found.sd:g}, centres known"))
    for column in spec.columns[:20] if dataset.named or spec.kind != "sequences" else ():
        rows.append(("column", f"{column.name}, {column.kind}"))
    if len(spec.columns) > 20 and (dataset.named or spec.kind != "sequences"):
        rows.append(("column", f"and {len(spec.columns) - 20:,} more"))
    rows += [("problem", problem) for problem in dataset.problems]
    return console.table(rows)


def _sequences(dataset: Dataset) -> list[tuple[str, str]]:
    """How long they are, of what, and what carries a label."""
    from elboroom.data.sequences_rows import SequenceRows
    from elboroom.report.words import plural

    spec = dataset.spec
    held = [rows.lengths for rows in dataset.parts.values() if isinstance(rows, SequenceRows)]
    shortest = min(spec.shape[0] if lengths is None else int(lengths.min()) for lengths in held)
    several = "" if shortest == spec.shape[0] else f"{shortest:,} to "
    what = f"{spec.levels:,} tokens, {dataset.reading.tokenizer}" if spec.levels else plural(spec.shape[1], "channel")
    label = "one a step" if spec.per_step else "one a sequence"
    return [("steps", f"{several}{spec.shape[0]:,}"), ("of", what), ("label", label), ("scale", spec.scale)]


def _text(dataset: Dataset) -> list[tuple[str, str]]:
    """How much text there is and how it is cut."""
    held, parts = dataset.text, dataset.text["parts"]
    tokens = ", ".join(f"{part} {count['tokens']:,}" for part, count in parts.items())
    return [
        ("documents", f"{held['documents']:,}"),
        ("characters", f"{held['characters']:,}"),
        ("bytes", f"{held['bytes']:,}"),
        ("tokens", f"{held['tokens']:,} ({tokens})"),
        ("tokenizer", dataset.reading.tokenizer),
        ("vocabulary", f"{dataset.spec.levels:,}"),
        ("window", f"{dataset.reading.window:,} tokens"),
    ]
