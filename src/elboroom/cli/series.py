"""`detect` and `forecast`: what is unusual in a series, and what comes after its end."""

from __future__ import annotations

import argparse
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elboroom.cli import flags
from elboroom.cli.console import STARTED
from elboroom.cli.parser import Parser, number, one_of, whole
from elboroom.cli.verbs import Answer, Verb
from elboroom.core import registry
from elboroom.core.errors import InputError, Stopped

if TYPE_CHECKING:
    from elboroom.detecting import Found

__all__ = ["Detect", "Forecast"]

FOUND_EVENTS = 5
"""Exit code of --fail-on-event."""
SHOWN = 12
"""Events that are printed; all are in events.csv."""
FILES = ("scores.csv", "events.csv", "report.html")
TABLES, ARRAYS = (".csv", ".tsv", ".parquet", ".jsonl"), (".npy", ".npz")
"""Endings of a forecast: the middles with the ends of their intervals beside each other, or the middles as `x`."""
JUDGING_S = 1.1
"""Seconds that judging, baselines and the page take for a megabyte of CSV, measured with 10 to 100 MB."""


class Detect(Verb):
    """What is unusual in a series: scores of every row, events and a page; by a run, or a model made on the spot."""

    def flags(self, parser: Parser, words: list[str]) -> None:
        self.words, able = words, registry.able("Forecasts")
        add = parser.add_argument
        add("DATA", help="a named set, or a table with a row for each time")
        add("--run", type=Path, metavar="RUN", help="judge by this run")
        add("--model", metavar="NAME", help=f"the model that is trained (default {able[0]})")
        add("--alarms-per-day", type=number(0, above=True), metavar="F", help="false alarms the threshold allows for")
        add(
            "--smoothing",
            type=one_of("centred", "causal"),
            default="centred",
            metavar="S",
            help="centred|causal mean of the scores over a period; causal uses no later row (default centred)",
        )
        add("--minutes", type=number(0, above=True), metavar="M", help="train as long (default: seconds)")
        add("--fail-on-event", action="store_true", help=f"exit with {FOUND_EVENTS} where there are events")
        flags.add_out(parser, "a folder: scores.csv, events.csv, report.html, and the model in run")
        flags.add_reading(parser)
        flags.add_runtime(parser)
        flags.add_settings(parser, registry.entry(_model_in(words) or able[0]))

    def run(self, args: argparse.Namespace) -> Answer:
        from elboroom.artifacts.files import output
        from elboroom.cli.progress import Progress
        from elboroom.detecting import Asked, detect
        from elboroom.detecting_answer import write
        from elboroom.run import load

        given = vars(args)
        if args.run is not None and (args.model or args.minutes or flags.settings(given)):
            raise InputError("--run: a run is trained already; leave out --model, --minutes and settings")
        asked = Asked(alarms_per_day=args.alarms_per_day or 0.0, smoothing=args.smoothing, seed=given.get("seed") or 0)
        command = shlex.join(["elboroom", "detect", *self.words])
        progress = Progress()
        made = () if args.run is not None else ("run",)
        if args.force:
            _refuse_foreign(args.out, {*FILES, *made})
        try:
            with output(args.out, force=args.force, owned=made) as folder:
                folder.mkdir()
                found = detect(
                    args.DATA,
                    run=None if args.run is None else load(args.run),
                    model=args.model or "",
                    reading=flags.reading(given),
                    settings=flags.settings(given),
                    asked=asked,
                    minutes=args.minutes or 0.0,
                    folder=None if args.run is not None else folder / "run",
                    progress=progress,
                    since=_since(args.DATA, args.minutes or 0.0),
                    **{k: v for k, v in flags.runtime(given).items() if k != "seed"},
                )
                headline, more = write(found, folder, command)
        except Stopped as stopped:
            raise _nothing_left(stopped, args.out) from stopped
        finally:
            progress.close()
        document: dict[str, Any] = {
            "out": str(args.out),
            "events": found.events,
            "threshold": found.threshold,
            "headline": " ".join([headline, *more]),
            "problems": found.problems,
        }
        code = FOUND_EVENTS if args.fail_on_event and found.events else 0
        return Answer(document=document, text=_said(found, [headline, *more], args.out), code=code)


class Forecast(Verb):
    """What comes after the end of a series: the middle of many drawn paths, and an interval."""

    def flags(self, parser: Parser, words: list[str]) -> None:
        add = parser.add_argument
        add("RUN", type=Path, help="a run folder")
        add("DATA", help="a table with a row for each time, read to its end")
        add("--horizon", required=True, type=whole(1), metavar="H", help="rows ahead")
        add("--level", type=number(0, above=True), default=0.9, metavar="L", help="share inside the interval (.9)")
        add("--seed", type=flags.SEED, default=0, metavar="S", help="of the paths (default 0)")
        flags.add_out(parser, f"the ending decides: {' '.join((*TABLES, *ARRAYS))}")

    def run(self, args: argparse.Namespace) -> Answer:
        from elboroom import outputs

        outputs.check(args.out, force=args.force, pictures=False)
        ending = args.out.suffix.lower()
        if ending not in (*TABLES, *ARRAYS):
            raise InputError(f"{args.out}: a forecast has no form {ending}; endings: {' '.join((*TABLES, *ARRAYS))}")
        from elboroom.forecasting import forecast
        from elboroom.run import load
        from elboroom.series_files import forecast_result

        found = forecast(load(args.RUN), args.DATA, args.horizon, level=args.level, seed=args.seed)
        outputs.write(args.out, forecast_result(found, wide=ending in TABLES), force=args.force)
        rows = sum(len(one.middle) for one in found)
        return Answer(document={"run": str(args.RUN), "out": str(args.out), "rows": rows}, text=str(args.out))


def _model_in(words: list[str]) -> str:
    """The model that the call names, so that its settings become flags."""
    for i, word in enumerate(words):
        if word == "--model" and i + 1 < len(words):
            return words[i + 1]
        if word.startswith("--model="):
            return word.removeprefix("--model=")
    return ""


def _since(data: str, minutes: float) -> float:
    """When --minutes began: with the program, and earlier by what follows training beyond the tenth kept free for it.

    That can be known only from the size of the file, since the steps are counted before the first one.
    """
    megabytes = os.path.getsize(data) / 1e6 if os.path.isfile(data) else 0.0
    return STARTED - max(0.0, JUDGING_S * megabytes - 6 * minutes)


def _nothing_left(stopped: Stopped, out: Path) -> Stopped:
    """The stop of a training whose run went with the unfinished answer, so that there is nothing to resume."""
    what = str(stopped).partition(";")[0]
    way = "repeat the call" if stopped.state == "stopped" else "mend that, or try a smaller --lr or --batch-size"
    return Stopped(f"{what}; nothing was written to {out}: {way}", state=stopped.state)


def _refuse_foreign(out: Path, ours: set[str]) -> None:
    """Refuse, before the work, to replace a folder that holds what would not come anew."""
    there = sorted(out.iterdir()) if out.is_dir() else []
    foreign = [p.name for p in there if p.name not in ours or (p.name == "run" and not (p / "run.json").is_file())]
    if foreign:
        raise InputError(f"--out {out}: holds {foreign[0]}, which would be lost; move it away or name another folder")


def _said(found: Found, headlines: list[str], out: Path) -> str:
    """The answer in a few lines."""
    from elboroom.series_files import blamed, number, time_words

    events: list[str] = []
    for one in found.judged:
        for event in one.events[: SHOWN - len(events)]:
            row = "" if one.series.times is not None else "row "
            first, last = time_words(one.series, event.start), time_words(one.series, event.stop - 1)
            name = f"{one.series.name}: " if one.series.name else ""
            blame = f", {blamed(found, one, event)}" if len(found.series.channels) > 1 else ""
            events.append(f"  {name}{row}{first} to {last}, score {number(event.peak_score)}{blame}")
    lines = [*headlines, f"threshold {number(found.threshold)}; highest score of each event:", *events]
    if not events:
        lines = [*headlines, f"threshold {number(found.threshold)}"]
    if found.events > len(events):
        lines.append(f"  and {found.events - len(events)} more in events.csv")
    lines += [f"data: {problem}" for problem in found.problems]
    return "\n".join([*lines, str(out / "report.html")])
