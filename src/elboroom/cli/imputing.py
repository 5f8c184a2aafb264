"""`impute`: missing cells and whole missing columns of a table filled in, each with a standard deviation."""

from __future__ import annotations

import argparse
from pathlib import Path

from elboroom.cli import flags
from elboroom.cli.parser import Parser
from elboroom.cli.verbs import Answer, Verb

__all__ = ["Impute"]


class Impute(Verb):
    """Rows in input order under the run's column names; measured cells stay as they are, with standard deviation 0."""

    def flags(self, parser: Parser, words: list[str]) -> None:
        parser.add_argument("RUN", type=Path, help="a run folder")
        parser.add_argument("DATA", help="a named set, a file or a folder; the run's columns it lacks are filled in")
        flags.add_out(
            parser, "the ending decides: .csv .tsv .parquet .jsonl .h5ad (layers) .npz .npy (filled cells alone)"
        )
        parser.add_argument(
            "--observed",
            type=flags.names_or_file,
            default=(),
            metavar="FILE|A,B",
            help="only these columns count as measured",
        )

    def run(self, args: argparse.Namespace) -> Answer:
        from elboroom import outputs
        from elboroom.run import load

        outputs.check(args.out, force=args.force, pictures=False)
        run = load(args.RUN)
        found = run.impute(args.DATA, observed=args.observed)
        outputs.write(args.out, found.result(), force=args.force)
        document = {"run": str(args.RUN), "out": str(args.out), "rows": len(found.x), "shape": list(found.x.shape)}
        note = "; ".join(found.problems) if found.filled else "nothing is missing: every cell stays as it was"
        return Answer(document={**document, "filled": found.filled}, text=str(args.out), note=note)
