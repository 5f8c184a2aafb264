"""`sweep`: one model over values of its settings and over seeds, each member a run folder of its own."""

from __future__ import annotations

import argparse
import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elboroom.cli import console, flags
from elboroom.cli.parser import Parser, whole, without
from elboroom.cli.progress import Progress
from elboroom.cli.training import model_in
from elboroom.cli.verbs import VERBS, Answer, Verb
from elboroom.core import registry
from elboroom.core.errors import InputError, Stopped
from elboroom.report.numbers import written

if TYPE_CHECKING:
    from elboroom.sweeping_members import Planned

__all__ = ["Sweep"]

SHOWN = 5
"""Measures in the table of the terminal; sweep.json and the page have all."""
OF_THE_SWEEP = {"--over": 1, "--seeds": 1, "--seed": 1, "--run": 1, "--or-resume": 0, "--force": 0,
    "--stop-hopeless": 0, "--save-every": 1, "--json": 0, "--debug": 0}  # fmt: skip
"""Flags that a member alone is not given, and how many words follow each."""


class Sweep(Verb):
    """Train every combination of some settings' values with every seed; small models together in one pass."""

    def flags(self, parser: Parser, words: list[str]) -> None:
        self.words = words
        _declare(parser)
        name = model_in(words, parser)
        parser.epilog = "Values that are lists are set apart by semicolons, as in --over 'hidden=64;64,32'."
        if name:
            flags.add_settings(parser, registry.entry(name))

    def run(self, args: argparse.Namespace) -> Answer:
        entry = registry.entry(args.MODEL)
        given = _given(self.words, entry)
        over = _over(given.get("over") or [], entry)
        from elboroom.sweeping import sweep

        progress = Progress()
        folder = _folder(given, entry.name, args.DATA)
        runtime = flags.runtime(given)
        note, code = "", 0
        try:
            sweep(
                entry.name,
                args.DATA,
                over=over,
                seeds=given.get("seeds", 1),
                run=folder,
                reading=flags.reading(given),
                settings=_plain(flags.settings(given), entry),
                force=given.get("force", False),
                or_resume=given.get("or_resume", False),
                stop_hopeless=given.get("stop_hopeless", False),
                repeats=lambda member: _repeat(self.words, member, entry),
                command=shlex.join(["elboroom", "sweep", *self.words]),
                progress=progress,
                preset=given.get("preset", ""),
                **{name: given[name] for name in flags.BUDGET if name in given},
                **runtime,
            )
        except Stopped as stopped:
            if not (folder / "sweep.json").is_file():
                raise
            note, code = f"{stopped}; go on with the same call and --or-resume", stopped.exit_code
        finally:
            progress.close()
        return _answer(folder, note, code)


def _answer(folder: Path, note: str, code: int) -> Answer:
    from elboroom.artifacts.files import read_json

    members = read_json(folder / "sweep.json")["members"]
    failed = [m["name"] for m in members if m["state"] == "failed"]
    if failed and not code:
        note, code = f"{len(failed)} of {len(members)} members failed: {', '.join(failed[:5])}", Stopped.exit_code
    rows = [
        {key: m[key] for key in ("name", "over", "seed", "state", "why", "metrics")} | {"run": str(folder / m["name"])}
        for m in members
    ]
    text = f"{folder}\n\n{shown(members)}"
    if (folder / "report.html").is_file():
        text += f"\n\nreport: {folder / 'report.html'}"
    return Answer(document={"run": str(folder), "members": rows}, text=text, note=note, code=code)


def shown(members: list[dict[str, Any]]) -> str:
    """One setting a line: its values, the seeds done, and means over seeds with their intervals."""
    from elboroom.report.words import MEASURES, measure
    from elboroom.sweeping_table import settings_table

    table = settings_table(members)
    found = {key for row in table for key in row["measures"]}
    keys = ([key for key in MEASURES if key in found] or sorted(found))[:SHOWN]
    fields = list(table[0]["over"])
    rows = []
    for row in table:
        cells = [flags.shown(row["over"][name]) for name in fields] + [str(len(row["seeds"]))]
        for key in keys:
            one = row["measures"].get(key)
            value = None if one is None else one["value"]
            cells.append("none" if one is None or value is None else written(value, one["low"], one["high"]))
        rows.append(cells)
    return console.table(rows, [*fields, "seeds", *(measure(key).label for key in keys)])


def _declare(parser: Parser) -> None:
    parser.add_argument("MODEL", help="`elboroom models` lists them")
    parser.add_argument("DATA", help="a named set, a file or a folder")
    parser.add_argument("--over", action="append", metavar="FIELD=A,B,C", help="values of a setting; may come again")
    parser.add_argument("--seeds", type=whole(1), metavar="K", help="each with K seeds, from --seed on (default 1)")
    parser.add_argument("--run", type=Path, metavar="DIR", help="the folder (default runs/sweep-MODEL-DATA-N)")
    parser.add_argument("--preset", metavar="NAME", help="settings, budget and reading under one name")
    parser.add_argument("--or-resume", action="store_true", help="go on where the sweep exists already")
    parser.add_argument("--stop-hopeless", action="store_true", help="stop the worse half at a quarter and at a half")
    flags.add_force(parser)
    flags.add_budget(parser)
    flags.add_reading(parser)
    flags.add_runtime(parser)


def _given(words: list[str], entry: registry.Entry) -> dict[str, Any]:
    """Only what the call says; defaults are the library's."""
    parser = Parser("sweep", VERBS["sweep"].usage, VERBS["sweep"].summary, given_only=True)
    _declare(parser)
    flags.add_settings(parser, entry)
    return vars(parser.read(words))


def _over(texts: list[str], entry: registry.Entry) -> dict[str, list[Any]]:
    """FIELD=A,B,C ... as values by field; their types are checked where the members are made."""
    fields = {field.name: field for field in entry.fields}
    found: dict[str, list[Any]] = {}
    for text in texts:
        name, sign, values = text.partition("=")
        name = name.strip().replace("-", "_")
        if not sign or not name:
            raise InputError(f"--over {text}: expected FIELD=A,B,C, as in --over beta=1,4,16")
        if name in found:
            raise InputError(f"--over {name} is given twice; put all its values into one")
        listed = name in fields and "tuple[" in fields[name].annotation
        parts = [part.strip() for part in re.split(";" if listed and ";" in values else ",", values)]
        if not all(parts):
            raise InputError(f"--over {text}: has an empty value; write values set apart by commas, as in beta=1,4,16")
        switch = name in fields and flags.kind_of(fields[name]) == "bool"
        found[name] = [{"on": True, "off": False}.get(part, part) for part in parts] if switch else list(parts)
    return found


def _plain(settings: dict[str, Any], entry: registry.Entry) -> dict[str, Any]:
    """Settings as the Config holds them, so that sweep.json and folders compare equal."""
    from elboroom.settings import checked

    whole_ = checked(entry, settings)
    return {name: whole_[name] for name in settings}


def _repeat(words: list[str], member: Planned, entry: registry.Entry) -> str:
    """The call of `fit` that trains this member alone."""
    kept = without(words, OF_THE_SWEEP)
    fields = {field.name: field for field in entry.fields}
    for name, value in member.over.items():
        flag = flags.setting_flag(fields[name])
        if isinstance(value, bool):
            kept.append(flag if value else flag.replace("--", "--no-", 1))
        else:
            text = ",".join(map(str, value)) or "none" if isinstance(value, list) else str(value)
            kept.append(f"{flag}={text}")
    return shlex.join(["elboroom", "fit", *kept, "--seed", str(member.seed)])


def _folder(given: Mapping[str, Any], model: str, data: str) -> Path:
    """--run, or the first free runs/sweep-MODEL-DATA-N; with --or-resume the newest of them."""
    if given.get("run") is not None:
        return Path(given["run"])
    stem = re.sub(r"[^\w.-]+", "_", Path(data).name.split(".")[0]).strip("._-")[:60] or "data"
    number = 1
    while os.path.lexists(path := Path("runs") / f"sweep-{model}-{stem}-{number}"):
        number += 1
    newest = Path("runs") / f"sweep-{model}-{stem}-{number - 1}"
    return newest if given.get("or_resume") and (newest / "sweep.json").is_file() else path
