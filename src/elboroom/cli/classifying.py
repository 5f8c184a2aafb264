"""`classify`: the class of each new sequence, or of each of its steps, with the probability of every class."""

from __future__ import annotations

import argparse
from pathlib import Path

from elboroom.cli import flags
from elboroom.cli.parser import Parser
from elboroom.cli.verbs import Answer, Verb

__all__ = ["Classify"]


class Classify(Verb):
    """The class of each sequence: one row a sequence in input order, its label and the probability of every class."""

    def flags(self, parser: Parser, words: list[str]) -> None:
        parser.add_argument("RUN", type=Path, help="a run folder")
        parser.add_argument("DATA", help="a named set, a file or a folder")
        flags.add_out(parser, "the ending decides: .csv .tsv .parquet .jsonl .npz .npy (probabilities alone)")

    def run(self, args: argparse.Namespace) -> Answer:
        from elboroom import outputs
        from elboroom.run import load

        outputs.check(args.out, force=args.force, pictures=False)
        run = load(args.RUN)
        found = run.classify(args.DATA)
        outputs.write(args.out, found.result(args.out.suffix.lower()), force=args.force)
        rows = {"rows": len(found), "classes": list(found.classes)}
        return Answer(document={"run": str(args.RUN), "out": str(args.out), **rows}, text=str(args.out))
