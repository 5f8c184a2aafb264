"""Write the pages that are made from the source: one per model, and one of all verbs (`make docs`).

Models are read by `ast`, verbs from their parsers: what a page says is what the program does. Tables of what was
measured, on pages that are otherwise written by hand, are made from benchmarks/results.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

from elboroom.cli.parser import Parser
from elboroom.cli.verbs import VERBS
from elboroom.core import registry

__all__ = ["pages"]

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parent / "benchmarks" / "results"
MEASURED = re.compile(r"(<!-- results: (\w+(?:/\w+)?): ([^\n]+) -->\n).*?(<!-- end of results -->\n)", re.DOTALL)
"""A recipe, or RECIPE/PART of it, and, with | between them, the columns of its table."""
MADE = "<!-- Made by `make docs` from the source; edit that. -->\n"


def pages() -> dict[Path, str]:
    """Every made page: where it belongs and what it says."""
    own = [e for e in registry.entries() if e.path.parent == registry.PACKAGE / "models"]
    out = {HERE / "models" / f"{entry.name}.md": model_page(entry) for entry in own}
    out[HERE / "models" / "README.md"] = model_list(own)
    out[HERE / "verbs.md"] = verb_page()
    for path in HERE.glob("*.md"):
        text = path.read_text(encoding="utf-8")
        if MEASURED.search(text):
            out[path] = MEASURED.sub(lambda m: m[1] + measured(m[2], m[3].split(" | ")) + m[4], text)
    return out


def measured(recipe: str, columns: list[str]) -> str:
    """A recipe's figures called "ROW: COLUMN", or "PART, ROW: COLUMN", as a table of rows and columns."""
    lines: dict[str, dict[str, str]] = {}
    recipe, _, part = recipe.partition("/")
    path = RESULTS / f"{recipe}.json"
    if not path.is_file():
        return f"Not measured yet: `python -m benchmarks {recipe}`.\n"
    for row in json.loads(path.read_text(encoding="utf-8"))["rows"]:
        name, _, column = row["measure"].rpartition(": ")
        mine = not part or name.startswith(f"{part}, ")
        if mine and column in columns and row["value"] is not None:
            unit = f" {row['unit']}" if row["unit"] in ("s", "ms") else ""
            digits = 3 if row["unit"] in ("accuracy", "share of steps", "nats per example") else 2
            value, low, high = (
                None if n is None else figure(n, digits) for n in (row["value"], row["low"], row["high"])
            )
            ends = "" if low is None else f" ({low} to {high})"
            lines.setdefault(name.removeprefix(f"{part}, "), {})[column] = f"{value}{unit}{ends}"
    rows = [(name, *(found.get(column, "") for column in columns)) for name, found in lines.items()]
    return table(("", *columns), rows)


def figure(value: float, digits: int) -> str:
    """So many digits, without an exponent where a whole number says as much."""
    return f"{value:,.0f}" if abs(value) >= 10**digits else f"{value:.{digits}g}"


def model_list(entries: list[registry.Entry]) -> str:
    rows = [(f"[{e.name}]({e.name}.md)", e.summary, ", ".join(a.lower() for a in e.abilities)) for e in entries]
    return f"{MADE}# Models\n\n{table(('model', 'what it is', 'abilities'), rows)}"


def model_page(entry: registry.Entry) -> str:
    rows = [(f"`--{f.name.replace('_', '-')}`", kind_of(f), f"`{shown(f.default)}`", f.doc) for f in entry.fields]
    text = f"{MADE}# {entry.name}\n\n{entry.doc.strip()}\n\n"
    text += f"Takes {' and '.join(entry.kinds)}; it {', '.join(a.lower() for a in entry.abilities)}; "
    text += f"{entry.epochs} epochs where no budget is given.\n\n"
    text += f"```sh\nelboroom models {entry.name}\n```\n\n## Settings\n\n"
    text += "The same names serve in Python (with underscores), in `--config` files and in `run.json`.\n\n"
    text += table(("setting", "type", "default", "meaning"), rows)
    if entry.presets:
        rows = [(f"`{name}`", preset(parts)) for name, parts in entry.presets.items()]
        text += "\n## Presets\n\n" + table(("`--preset`", "sets"), rows)
    return text


def preset(parts: dict[str, object]) -> str:
    said = []
    for part in parts.values():
        pairs = part.items() if isinstance(part, dict) else []
        said += [f"`--{str(k).replace('_', '-')} {shown(v)}`" for k, v in pairs]
    said += [f"`--{k} {shown(v)}`" for k, v in parts.items() if not isinstance(v, dict)]
    return " ".join(said)


def kind_of(field: registry.Field) -> str:
    if field.choices:
        return " \\| ".join(field.choices)
    text = re.sub(r"Annotated\[(\w+), ([^\[\]]*)\]", lambda m: f"{m[1]} {bounds(m[2])}", field.annotation)
    text = re.sub(r"tuple\[(.*), \.\.\.\]", r"list of \1", text)
    return text.replace("|", "\\|")


def bounds(text: str) -> str:
    """`Ge(0), Lt(1)` as a reader writes it."""
    signs = {"Gt": ">", "Ge": "≥", "Lt": "<", "Le": "≤"}
    return ", ".join(f"{signs[name]} {value}" for name, value in re.findall(r"(\w+)\(([^()]*)\)", text))


def shown(value: object) -> str:
    if isinstance(value, list | tuple):
        return ",".join(shown(v) for v in value) or "none"
    return str(value)


def verb_page() -> str:
    text = f"{MADE}# Verbs\n\n`elbo` is short for `elboroom`; `python -m elboroom` is the same program.\n"
    for name, listed in VERBS.items():
        parser = Parser(name, listed.usage, listed.summary)
        listed.load().flags(parser, [])
        summary = listed.summary[:1].upper() + listed.summary[1:]
        text += f"\n## {name}\n\n```text\nelboroom {name} {listed.usage}\n```\n\n{summary}.\n\n"
        text += table(("argument", "meaning"), [row for a in parser._actions if (row := flag(a))])
    return text


def flag(action: argparse.Action) -> tuple[str, str] | None:
    """One argument; those every verb has are said once, by `--help`."""
    if action.help == argparse.SUPPRESS or action.dest in ("help", "json", "models", "debug"):
        return None
    name = ", ".join(action.option_strings) or str(action.metavar or action.dest)
    takes = action.metavar or (action.dest.upper() if action.option_strings else "")
    if action.option_strings and action.nargs != 0 and takes:
        name += f" {takes if isinstance(takes, str) else ' '.join(takes)}"
    meaning = (action.help or "").replace("%%", "%").replace("|", "\\|")
    return f"`{name}`".replace("|", "\\|"), meaning


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join("| " + " | ".join(" ".join(cell.split()) for cell in line) + " |\n" for line in lines)


if __name__ == "__main__":
    for path, text in pages().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(HERE.parent))
