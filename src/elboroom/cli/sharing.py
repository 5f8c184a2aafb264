"""`report` and `export`: a run for others to read and to use."""

from __future__ import annotations

import argparse
from pathlib import Path

from elboroom.cli import flags
from elboroom.cli.parser import Parser, one_of
from elboroom.cli.verbs import Answer, Verb
from elboroom.core.errors import InputError

__all__ = ["Export", "Report"]


class Report(Verb):
    """One self-contained HTML file; RUN/report.html unless --out names another."""

    def flags(self, parser: Parser, words: list[str]) -> None:
        parser.add_argument("RUN", type=Path, help="a run folder")
        flags.add_out(parser, "another place, ending in .html (default RUN/report.html)", required=False)

    def run(self, args: argparse.Namespace) -> Answer:
        from elboroom.artifacts.files import output
        from elboroom.artifacts.run import RunFolder

        if args.out is not None and args.out.suffix.lower() != ".html":
            raise InputError(f"--out {args.out}: a report is HTML; name a file that ends in .html")
        folder = RunFolder.open(args.RUN).path
        from elboroom.report.build import build, write

        out = args.out
        if out is None:
            out = write(folder)
        else:
            with output(out, force=args.force) as place:
                place.write_text(build(folder), encoding="utf-8")
        return Answer(document={"run": str(folder), "out": str(out)}, text=str(out))


class Export(Verb):
    """The model for use elsewhere."""

    def flags(self, parser: Parser, words: list[str]) -> None:
        parser.add_argument("RUN", type=Path, help="a run folder")
        formats = ("onnx", "torch", "safetensors")
        parser.add_argument("--format", required=True, type=one_of(*formats), metavar="FORMAT", help="|".join(formats))
        flags.add_out(parser, "where to")

    def run(self, args: argparse.Namespace) -> Answer:
        from elboroom.export import export
        from elboroom.run import load

        out = export(load(args.RUN), args.format, args.out, force=args.force)
        return Answer(document={"run": str(args.RUN), "format": args.format, "out": str(out)}, text=str(out))
