"""`evaluate`, `diagnose`, `inspect` and `compare`: what a run is worth, and why."""

from __future__ import annotations

import argparse
from pathlib import Path

from elboroom.cli import console, flags, imbalance, summary
from elboroom.cli.parser import Parser, whole
from elboroom.cli.verbs import Answer, Verb
from elboroom.core.errors import InputError

__all__ = ["Compare", "Diagnose", "Evaluate", "Inspect"]


class Evaluate(Verb):
    """Every measure the model's abilities allow, on held-out data; without DATA into the run's metrics.json."""

    def flags(self, parser: Parser, words: list[str]) -> None:
        parser.add_argument("RUN", type=Path, help="a run folder")
        parser.add_argument("DATA", nargs="?", help="other data of the same shape (default: the run's own test part)")
        parser.add_argument("--samples", type=whole(1), default=0, metavar="K", help="draws of z for the likelihood")
        parser.add_argument(
            "--ais", type=whole(1), default=0, metavar="N", help="audit the likelihood of N examples by annealing"
        )
        parser.add_argument("--per-example", type=Path, metavar="FILE", help="one row an example: .csv .npz ...")
        flags.add_force(parser)

    def run(self, args: argparse.Namespace) -> Answer:
        from elboroom import outputs
        from elboroom.run import load

        if args.per_example is not None:
            outputs.check(args.per_example, force=args.force, pictures=False)
        run = load(args.RUN)
        evaluation = run.evaluate(args.DATA, samples=args.samples, ais=args.ais, write=args.DATA is None)
        document = {"run": str(args.RUN), "data": args.DATA, "metrics": evaluation.metrics}
        if args.per_example is not None:
            outputs.write(args.per_example, outputs.per_example(evaluation.per_example), force=args.force)
            document["per_example"] = str(args.per_example)
        return Answer(document=document, text=summary.metrics_table(evaluation.metrics))


class Inspect(Verb):
    """What flows inside: the manifold of a code; the attention of a model of text; a cell with its gates and states."""

    def flags(self, parser: Parser, words: list[str]) -> None:
        parser.add_argument("RUN", type=Path, help="a run folder")
        parser.add_argument("DATA", nargs="?", help="data to show on it (default: held-out data of the run)")
        parser.add_argument("--text", metavar="T", help="a text, for models of text")
        parser.add_argument("--layer", type=whole(1), metavar="N", help="of the head or cell drawn large (default 1)")
        parser.add_argument("--head", type=whole(1), metavar="N", help="the head's number in that layer (default 1)")
        parser.add_argument("--unit", type=whole(1), metavar="K", help="of a cell (default: the unit that varies most)")
        parser.add_argument("--step", type=whole(2), metavar="T", help="draw a cell at steps T - 1 and T")
        parser.add_argument(
            "--backward", action="store_true", help="of two directions the cells that read from the end"
        )
        flags.add_out(parser, "a picture (.png .svg), of sequences also a page (.html), or arrays (.npz .npy .csv ...)")

    def run(self, args: argparse.Namespace) -> Answer:
        from elboroom import outputs
        from elboroom.run import load

        ending = args.out.suffix.lower()
        (outputs.check_page if ending == ".html" else outputs.check)(args.out, force=args.force)
        asked = {name: getattr(args, name) for name in ("text", "layer", "head", "unit", "step", "backward")}
        found = load(args.RUN).inspect(args.DATA, **asked)
        drawn = found.forms().get(ending)
        if drawn is not None:
            outputs.write_bytes(args.out, drawn(), force=args.force)
        else:
            outputs.write(args.out, found.result(ending), force=args.force)
        return Answer(
            document={"run": str(args.RUN), "out": str(args.out), "kind": found.kind, "caption": found.caption},
            text=f"{args.out}\n{found.caption}",
        )


class Diagnose(Verb):
    """What went wrong in training, since when, and what to try; or, `diagnose imbalance`, how unequal groups are."""

    balance = False

    def flags(self, parser: Parser, words: list[str]) -> None:
        self.balance = imbalance.asked(words)
        if self.balance:
            imbalance.add_flags(parser)
        else:
            parser.add_argument("RUN", type=Path, help="a run folder")

    def run(self, args: argparse.Namespace) -> Answer:
        if self.balance:
            return imbalance.answer(args)
        from elboroom.artifacts.run import RunFolder
        from elboroom.diagnose import diagnose

        found = diagnose(RunFolder.open(args.RUN).path)
        return Answer(document={"findings": found}, text=summary.findings_table(found))


class Compare(Verb):
    """Runs side by side on the same held-out data, with intervals of their differences."""

    def flags(self, parser: Parser, words: list[str]) -> None:
        parser.add_argument("RUN", nargs="+", type=Path, help="run folders, two or more")
        parser.add_argument("--data", metavar="DATA", help="other held-out data (default: the test part they share)")
        flags.add_out(parser, "a page, ending in .html", required=False)

    def run(self, args: argparse.Namespace) -> Answer:
        if len(args.RUN) < 2:
            raise InputError("compare needs two runs or more; usage: elboroom compare RUN RUN ...")
        from elboroom import outputs

        if args.out is not None:
            outputs.check_page(args.out, force=args.force)
        from elboroom.comparison import compare, table
        from elboroom.run import load

        found = compare([load(path) for path in args.RUN], args.data, progress=console.say)
        if args.out is None:
            return Answer(document=found, text=table(found))
        from elboroom.report import compare_html

        outputs.write_bytes(args.out, compare_html(found).encode(), force=args.force)
        return Answer(document={**found, "out": str(args.out)}, text=f"{table(found)}\n\n{args.out}")
