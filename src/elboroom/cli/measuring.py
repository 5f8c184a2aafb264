"""`measure`: sample quality of two sets, as a table with its ceiling and floors."""

from __future__ import annotations

import argparse
from typing import Any

from elboroom.cli import console, flags
from elboroom.cli.parser import Parser, whole
from elboroom.cli.verbs import Answer, Verb
from elboroom.report.numbers import written
from elboroom.report.words import measure as word

__all__ = ["Measure"]

COLUMNS = ("frechet_distance", "kernel_distance", "precision", "recall", "density", "coverage")
SIGN = {"more": " (more is better)", "less": " (less is better)"}


class Measure(Verb):
    """Made examples beside real ones: distances, precision and recall, density and coverage, modes, copies."""

    def flags(self, parser: Parser, words: list[str]) -> None:
        parser.add_argument("REAL", help="a named set, a file or a folder")
        parser.add_argument("FAKE", help="the made examples: a file or a folder of the same kind")
        parser.add_argument(
            "--extractor",
            default="auto",
            metavar="E",
            help="auto|classifier|selfsup|random|pca|pixels|module:FILE.py:NAME|inception:FILE (default auto)",
        )
        parser.add_argument("-n", type=whole(1), default=0, metavar="N", help="examples of each (default 2000)")
        parser.add_argument("--seed", type=flags.SEED, default=0, metavar="S", help="which of FAKE (default 0)")
        flags.add_reading(parser)

    def run(self, args: argparse.Namespace) -> Answer:
        from elboroom.measuring import measure_sets

        found = measure_sets(
            args.REAL,
            args.FAKE,
            extractor=args.extractor,
            n=args.n,
            seed=args.seed,
            reading=flags.reading(vars(args)),
        )
        return Answer(document=found, text=shown(found))


def shown(found: dict[str, Any]) -> str:
    """One table for each extractor, then what there is beside."""
    lines = [f"{found['n_made']:,} of {found['fake']} beside {found['n_real']:,} of {found['real']}, {found['split']}"]
    for extractor in found["extractors"]:
        head = ["", *(word(key).label + SIGN.get(word(key).better, "") for key in COLUMNS)]
        names = [found["fake"] if row["kind"] == "model" else row["name"] for row in extractor["rows"]]
        rows = [
            [name, *(_written(row[key]) for key in COLUMNS)] for name, row in zip(names, extractor["rows"], strict=True)
        ]
        lines += ["", f"features: {extractor['name']} {extractor['hash']}, {extractor['how']}"]
        lines.append(console.table(rows, head))
    limit = found["extractors"][0]["frechet_over_n"]["limit"]
    if limit is not None:
        lines += ["", f"Fréchet distance with endless examples, by {found['extractors'][0]['name']}: {written(limit)}"]
    rows = []
    for key, measure in found["metrics"].items():
        if key not in COLUMNS:
            beside = [f"{r['name']} {written(r['value'])}" for r in measure.get("references", [])]
            rows.append([word(key).label, _written(measure), "; ".join(beside)])
    lines += ["", console.table(rows)] if rows else []
    absent = (found["classes"] or {}).get("absent") or []
    if absent:
        more = f" and {len(absent) - 10:,} more" if len(absent) > 10 else ""
        lines.append(f"classes never made: {', '.join(absent[:10])}{more}")
    return "\n".join(lines)


def _written(found: dict[str, Any]) -> str:
    return written(found["value"], found["low"], found["high"])
