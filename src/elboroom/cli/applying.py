"""`sample`, `reconstruct`, `encode` and `decode`: a run put to use, its answer written in the form --out names."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elboroom.cli import flags
from elboroom.cli.parser import Parser, number, whole
from elboroom.cli.verbs import Answer, Verb

if TYPE_CHECKING:
    import numpy as np

    from elboroom.outputs import Result
    from elboroom.run import Run

__all__ = ["Decode", "Encode", "Reconstruct", "Sample"]

_OUT = "the ending decides: .npy .npz .csv .tsv .parquet .jsonl .h5ad .png .svg, or none for a folder of pictures"


class Sample(Verb):
    """Draw new examples: x is drawn from p(x given z); --mean writes its mean."""

    def flags(self, parser: Parser, words: list[str]) -> None:
        parser.add_argument("RUN", type=Path, help="a run folder")
        parser.add_argument("-n", required=True, type=whole(1), metavar="N", help="how many")
        flags.add_out(parser, _OUT)
        parser.add_argument("--temperature", type=number(0), default=1.0, metavar="T", help="of the prior (default 1)")
        parser.add_argument("--seed", type=flags.SEED, default=0, metavar="S", help="of the draws (default 0)")
        parser.add_argument("--mean", action="store_true", help="the decoder's mean in place of a draw of x")
        parser.add_argument("--label", metavar="L", help="a class by name or number, or all: each in turn")
        parser.add_argument(
            "--truncation", type=number(0, above=True), metavar="T", help="the largest |z_i| (models of two players)"
        )

    def run(self, args: argparse.Namespace) -> Answer:
        from elboroom.drawing import ALL, samples

        run = _opened(args)
        asked = {name: getattr(args, name) for name in ("seed", "mean", "temperature", "label", "truncation")}
        drawn = samples(run, args.n, **asked)
        beside = {} if drawn.label is None else {"label": drawn.label}
        across = len(run.spec.classes) if args.label == ALL else 0
        return _written(args, _examples(run, run.in_units(drawn.x), beside=beside, across=across))


class Reconstruct(Verb):
    """Each example through the code and back, in the units of the input."""

    def flags(self, parser: Parser, words: list[str]) -> None:
        _run_and_data(parser)

    def run(self, args: argparse.Namespace) -> Answer:
        run = _opened(args)
        made = run.reconstruct(args.DATA)
        beside = {"index": made.index}
        return _written(args, _examples(run, made.x, beside=beside, original=made.original, names=made.names))


class Encode(Verb):
    """Each example's code: its mean, and its standard deviation where the model has one."""

    def flags(self, parser: Parser, words: list[str]) -> None:
        _run_and_data(parser)

    def run(self, args: argparse.Namespace) -> Answer:
        from elboroom.outputs import Result

        run = _opened(args, pictures=False)
        codes = run.encode(args.DATA)
        beside = {"z_sd": codes.z_sd, "label": codes.label, "index": codes.index}
        known = {name: values for name, values in beside.items() if values is not None}
        return _written(
            args, Result(name="z", values=codes.z, beside=known, classes=run.spec.classes, names=codes.names or {})
        )


class Decode(Verb):
    """The mean example of each code."""

    def flags(self, parser: Parser, words: list[str]) -> None:
        parser.add_argument("RUN", type=Path, help="a run folder")
        parser.add_argument("CODES", type=Path, help="a file that encode wrote, or .npy/.csv of z")
        flags.add_out(parser, _OUT)

    def run(self, args: argparse.Namespace) -> Answer:
        from elboroom.cli.codefiles import read_codes

        z = read_codes(args.CODES)
        run = _opened(args)
        return _written(args, _examples(run, run.decode(z)))


def _run_and_data(parser: Parser) -> None:
    parser.add_argument("RUN", type=Path, help="a run folder")
    parser.add_argument("DATA", help="a named set, a file or a folder")
    flags.add_out(parser, _OUT)


def _opened(args: argparse.Namespace, *, pictures: bool | None = None) -> Run:
    """The run, once the place of the answer is known to be free and its form to exist."""
    from elboroom import outputs
    from elboroom.run import load

    outputs.check(args.out, force=args.force, pictures=pictures)
    return load(args.RUN)


def _examples(run: Run, x: np.ndarray, **further: Any) -> Result:
    from elboroom.outputs import Result

    white = float(run.transform.to_json().get("white", 1)) if run.transform.undoable else 1.0
    return Result(name="x", values=x, columns=run.spec.columns, classes=run.spec.classes, white=white, **further)


def _written(args: argparse.Namespace, result: Result) -> Answer:
    from elboroom import outputs

    outputs.write(args.out, result, force=args.force)
    shape = list(result.values.shape)
    return Answer(
        document={"run": str(args.RUN), "out": str(args.out), "rows": shape[0], "shape": shape},
        text=str(args.out),
    )
