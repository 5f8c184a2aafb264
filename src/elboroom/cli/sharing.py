"""`report`, `export` and `import`: a run for others to read and to use, and the weights of others as a run."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from elboroom.cli import flags
from elboroom.cli.parser import Parser, one_of
from elboroom.cli.verbs import Answer, Verb

__all__ = ["Export", "Import", "Report"]


class Report(Verb):
    """One self-contained HTML file; RUN/report.html unless --out names another."""

    def flags(self, parser: Parser, words: list[str]) -> None:
        parser.add_argument("RUN", type=Path, help="a run folder")
        flags.add_out(parser, "another place, ending in .html (default RUN/report.html)", required=False)

    def run(self, args: argparse.Namespace) -> Answer:
        from elboroom import outputs
        from elboroom.artifacts.run import RunFolder
        from elboroom.report import build, write

        if args.out is not None:
            outputs.check_page(args.out, force=args.force)
        folder = RunFolder.open(args.RUN).path
        out = args.out
        if out is None:
            out = write(folder)
        else:
            outputs.write_bytes(out, build(folder).encode(), force=args.force)
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


class Import(Verb):
    """A GPT-2 style folder (config.json, model.safetensors, tokenizer) as a run that generates and can be measured."""

    def flags(self, parser: Parser, words: list[str]) -> None:
        self.words = words
        parser.add_argument("FOLDER", type=Path, help="holds config.json, model.safetensors and the tokenizer's files")
        parser.add_argument("--run", required=True, type=Path, metavar="DIR", help="the run folder to make")
        flags.add_force(parser)

    def run(self, args: argparse.Namespace) -> Answer:
        from elboroom.gpt2_weights import import_gpt2

        command = shlex.join(["elboroom", "import", *self.words])
        made = import_gpt2(args.FOLDER, args.run, force=args.force, command=command)
        parameters, reading = made.meta["parameters"], made.meta["data"]["reading"]
        document = {"run": str(args.run), "state": made.meta["state"], "parameters": parameters}
        said = f"{parameters:,} parameters, tokenizer {reading['tokenizer']}, context {reading['window']:,}"
        return Answer(document=document, text=f"{args.run}: {said}")
