"""`fit` and `resume`: everything said on the command line or in a file of settings, handed to the library as it is.

A file of settings is the same flags in a file, so both pass the same checks; what the call itself says wins.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from elboroom.cli import flags, summary
from elboroom.cli.console import STARTED
from elboroom.cli.parser import Parser, steps_added
from elboroom.cli.progress import Progress
from elboroom.cli.verbs import VERBS, Answer, Verb
from elboroom.core import registry
from elboroom.core.errors import InputError, Stopped, nearest

__all__ = ["Fit", "Resume", "model_in"]

_SEVERAL = (
    "Several processes: torchrun --nproc-per-node N --max-restarts R -m elboroom -- fit ... --or-resume "
    "(the lone -- keeps torchrun from taking --run for one of its own flags)."
)
_TABLES = ("settings", "reading", "budget", "runtime")


class Fit(Verb):
    """Train a model on data, then evaluate it and write card and report."""

    def flags(self, parser: Parser, words: list[str]) -> None:
        self.words = words
        _declare(parser)
        name = model_in(words, parser)
        parser.epilog = _SEVERAL
        if name:
            flags.add_settings(parser, registry.entry(name))
        else:
            parser.epilog = f"Settings depend on the model: `elboroom fit MODEL --help` lists those of one. {_SEVERAL}"

    def run(self, args: argparse.Namespace) -> Answer:
        from elboroom.artifacts.run import RunFolder

        entry = registry.entry(args.MODEL)
        given = _given(self.words, entry)
        if args.config is not None:
            given = _merged(_from_file(args.config, entry, args.DATA), given)
        if given.get("from_run") is not None:
            RunFolder.open(given["from_run"])  # refused before hours of reading data
        from elboroom.fitting import fit

        progress = Progress()
        command = shlex.join(["elboroom", "fit", *self.words])
        folder = _folder(given, entry.name, args.DATA, command)
        return _trained(
            progress,
            folder,
            lambda: fit(
                entry.name,
                args.DATA,
                run=folder,
                reading=flags.reading(given),
                settings=flags.settings(given),
                preset=given.get("preset", ""),
                **{name: given[name] for name in flags.BUDGET if name in given},
                **flags.runtime(given),
                force=given.get("force", False),
                or_resume=given.get("or_resume", False),
                from_run=given.get("from_run"),
                command=command,
                progress=progress,
                since=STARTED,
            ),
        )


class Resume(Verb):
    """Go on from the last good checkpoint to the end that fit was asked for, or further."""

    def flags(self, parser: Parser, words: list[str]) -> None:
        parser.add_argument("RUN", type=Path, help="a run folder")
        parser.add_argument("--steps", type=steps_added, default=0, metavar="+N", help="steps beyond the plan")

    def run(self, args: argparse.Namespace) -> Answer:
        from elboroom.fitting import resume

        progress = Progress()
        return _trained(progress, args.RUN, lambda: resume(args.RUN, steps=args.steps, progress=progress))


def _trained(progress: Progress, folder: Path, work: Callable[[], object]) -> Answer:
    """What is to be said of a run that ended, or that stopped with its state saved."""
    note, code = "", 0
    try:
        work()
    except Stopped as stopped:
        if not (folder / "run.json").is_file():
            raise
        note, code = str(stopped), stopped.exit_code
    finally:
        progress.close()
    found = summary.read(folder)
    text = f"{folder}: {found.state}\n\n{summary.metrics_table(found.metrics)}"
    if found.state == "done":
        text += f"\n\nreport: {folder / 'report.html'}"
    document = {"run": str(folder), "state": found.state, "metrics": found.metrics}
    return Answer(document=document, text=text, note=note, code=code)


def _folder(given: Mapping[str, Any], model: str, data: str, command: str) -> Path:
    """--run, or the first free runs/MODEL-DATA-N; with --or-resume the newest of them that this same call began."""
    if given.get("run") is not None:
        return Path(given["run"])
    stem = re.sub(r"[^\w.-]+", "_", Path(data).name.split(".")[0]).strip("._-")[:60] or "data"
    number = 1
    while os.path.lexists(path := Path("runs") / f"{model}-{stem}-{number}"):
        number += 1
    earlier = [Path("runs") / f"{model}-{stem}-{n}" for n in range(number - 1, 0, -1)] if given.get("or_resume") else []
    return next((begun for begun in earlier if summary.command(begun) == command), path)


def _declare(parser: Parser) -> None:
    parser.add_argument("MODEL", help="`elboroom models` lists them")
    parser.add_argument("DATA", help="a named set, a file or a folder")
    parser.add_argument("--run", type=Path, metavar="DIR", help="the run folder (default runs/MODEL-DATA-N)")
    parser.add_argument("--preset", metavar="NAME", help="settings, budget and reading under one name")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings from a .toml or .json file")
    parser.add_argument("--or-resume", action="store_true", help="resume where the run exists already")
    parser.add_argument("--from", dest="from_run", type=Path, metavar="RUN", help="begin with the weights of this run")
    flags.add_force(parser)
    flags.add_budget(parser)
    flags.add_reading(parser)
    flags.add_runtime(parser)


def _given(words: list[str], entry: registry.Entry) -> dict[str, Any]:
    """Only what the call says; defaults are the library's."""
    parser = Parser("fit", VERBS["fit"].usage, VERBS["fit"].summary, given_only=True)
    _declare(parser)
    flags.add_settings(parser, entry)
    return vars(parser.read(words))


def model_in(words: list[str], parser: Parser) -> str:
    """The first argument that is neither a flag nor a flag's value; "" where there is none."""
    known = parser.options()
    skip = False
    for i, word in enumerate(words):
        if skip:
            skip = False
        elif not word.startswith("-") or word == "-":
            return word
        elif "=" not in word:
            action = known.get(word)
            following = words[i + 1] if i + 1 < len(words) else ""
            takes_value = action.nargs != 0 if action is not None else following not in registry.names()
            skip = takes_value and not following.startswith("--")
    return ""


def _from_file(path: Path, entry: registry.Entry, data: str) -> dict[str, Any]:
    from elboroom.settings import from_file

    flat: dict[str, Any] = {}
    for key, value in from_file(path).items():
        flat.update(value if key in _TABLES and isinstance(value, dict) else {key: value})
    parser = Parser("fit", VERBS["fit"].usage, VERBS["fit"].summary)
    _declare(parser)
    flags.add_settings(parser, entry)
    known = {name for name in parser.options() if name.startswith("--") and name not in ("--help", "--config")}
    words = [entry.name, data]
    for key, value in flat.items():
        flag = "--" + str(key).replace("_", "-")
        if flag not in known:
            names = [name[2:].replace("-", "_") for name in known]
            raise InputError(f"{path}: {entry.name} has no setting {key!r}{nearest(str(key), names)}")
        words += _as_words(path, flag, value, takes_value=parser.options()[flag].nargs != 0)
    try:
        return _given(words, entry)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _as_words(path: Path, flag: str, value: Any, *, takes_value: bool) -> list[str]:
    """One entry of the file as it would be typed."""
    if isinstance(value, bool):
        off = [flag.replace("--", "--no-", 1)] if not takes_value else []
        if takes_value:
            raise InputError(f"{path}: {flag[2:]} takes a value, not {str(value).lower()}")
        return [flag] if value else off
    if not takes_value:
        raise InputError(f"{path}: {flag[2:]} is true or false, not {value!r}")
    if isinstance(value, list) and all(isinstance(v, str | int | float) and not isinstance(v, bool) for v in value):
        value = ("x" if flag == "--size" else ",").join(str(v) for v in value)
    if not isinstance(value, str | int | float):
        raise InputError(f"{path}: {flag[2:]} = {value!r} is no number, text or list of them")
    return [f"{flag}={value}"]


def _merged(file: Mapping[str, Any], call: Mapping[str, Any]) -> dict[str, Any]:
    """The call over the file; a budget in the call replaces the file's, whichever of the three it is."""
    kept = dict(file)
    if any(name in call for name in flags.BUDGET):
        kept = {name: value for name, value in kept.items() if name not in flags.BUDGET}
    return {**kept, **call}
