"""`diagnose imbalance`: how unequal the groups of unlabelled data are, or why that cannot be said."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from elboroom.cli import console, flags
from elboroom.cli.parser import Parser, one_of, whole
from elboroom.cli.verbs import Answer
from elboroom.report.numbers import written

__all__ = ["add_flags", "answer", "asked"]

WORD = "imbalance"


def asked(words: list[str]) -> bool:
    """Whether the call goes on with the word imbalance."""
    plain = [word for word in words if not word.startswith("-")]
    return plain[:1] == [WORD]


def add_flags(parser: Parser) -> None:
    """What `diagnose imbalance` takes."""
    parser.add_argument("imbalance", type=one_of(WORD), help="the word imbalance")
    parser.add_argument("DATA", help="a named set, a file or a folder; or a run folder, whose model is then taken")
    flags.add_out(parser, "a page, ending in .html", required=False)
    parser.add_argument("--weights", type=Path, metavar="FILE", help="resampling weights, a row each: .csv .npy ...")
    parser.add_argument("--count-labels", action="store_true", help="put the count of known labels beside the answer")
    parser.add_argument("--seed", type=flags.SEED, default=0, metavar="S", help="of everything drawn (default 0)")
    parser.add_argument("--seeds", type=whole(1), default=3, metavar="K", help="models to train (default 3)")
    flags.add_reading(parser)


def answer(args: argparse.Namespace) -> Answer:
    """Diagnose, and write what was asked for; an answer that cannot be given ends with code 0, too."""
    from elboroom import outputs

    if args.out is not None:
        outputs.check_page(args.out, force=args.force)
    if args.weights is not None:
        outputs.check(args.weights, force=args.force, pictures=False)
    from elboroom.imbalance.found import find_imbalance

    found = find_imbalance(
        args.DATA,
        reading=flags.reading(vars(args)),
        seed=args.seed,
        seeds=args.seeds,
        count_labels=args.count_labels,
        progress=console.say,
    )
    document, note = dict(found.document), ""
    if args.out is not None:
        document["out"] = str(found.report(args.out, force=args.force))
    if args.weights is not None and document["identifiable"]:
        document["weights"] = str(found.write_weights(args.weights, force=args.force))
    elif args.weights is not None:
        note = f"{args.weights} is not written: {document['why']}"
    return Answer(document=document, text=shown(document), note=note)


def shown(document: dict[str, Any]) -> str:
    """Index, shares and what stands beside them."""
    lines = [f"{document['data']}, {document['rows']:,} rows"]
    if document["identifiable"]:
        from elboroom.report.imbalance import value_text

        rows = [
            [key.replace("_", " "), value_text(key, document[key])] for key in ("index", "effective_groups", "ratio")
        ]
        shares = enumerate(document["share_intervals"])
        rows += [[f"share of group {g + 1}", value_text("share", found)] for g, found in shares]
        lines += [console.table(rows), document["why"]]
    else:
        lines.append(f"no answer: {document['why']}")
    beside = [
        [entry["name"], "none" if entry["index"] is None else written(entry["index"]), entry["how"]]
        for entry in document["baselines"]
    ]
    lines += ["", console.table(beside, ["index by simpler recipes", "", ""])]
    lines += [str(document[key]) for key in ("out", "weights") if key in document]
    return "\n".join(lines)
