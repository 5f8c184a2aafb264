"""`python -m benchmarks NAME ...`: run recipes and write `results/NAME.json`; `peers` and `table` do what they say."""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from pathlib import Path

from benchmarks import environments, record
from benchmarks.recipe import Options

RECIPES = (
    "p17_start",
    "p16_engine_loop",
    "p14_detect",
    "c6_stream",
    "p15_vus",
    "p8_peephole",
    "p9_variable_length",
    "c4_nab14",
    "c4_forecaster",
    "c4b_nab",
    "p1_autoencoder_epoch",
    "p2_vae_epoch",
    "p3_sweep",
    "a1_autoencoder",
    "course_mlp",
    "d2_reverse",
    "d4_gpt2_weights",
    "p13_sliding_attention",
    "p10_gpt_training",
    "p12_generation_10m",
    "d4_shakespeare",
    "p11_generation_124m",
    "d3_patterns",
    "d4b_shakespeare",
    "b8_watch",
    "c5_pitfalls",
    "c1_adding",
    "c1_peepholes",
    "d6_lstm_against_transformer",
    "c3_classification",
    "c3_future",
    "p4_likelihood",
    "p5_disentanglement",
    "a8_beta",
    "a9_vqvae",
    "a9_clothing64",
    "a10_course",
    "a10_aae",
    "a10_lam",
    "a11_imbalance",
    "a12_against_vae",
    "a2_denoiser",
    "a3_reduction",
    "a4_imputer",
    "a5_vae_bits",
    "a6_likelihood",
    "p6_dcgan",
    "p7_penalty",
    "b3_segments",
    "b1_modes",
    "b2_stacked_mnist",
    "b5_mnist",
    "b5_clothing64",
    "b9_ideas",
    "e3_pages",
    "e4_serve_streams",
    "e4_openapi",
    "e8_concepts",
)
README = Path(__file__).parent / "README.md"
MARKS = ("<!-- table: python -m benchmarks table -->\n", "<!-- end of table -->")


def main(argv: list[str] | None = None) -> int:
    """Run what is asked for; the exit code is 1 where a goal was missed."""
    args = parsed(argv)
    missed = False
    for word in args.what:
        if word == "peers":
            for peer in environments.PEERS:
                environments.build(peer, args.cache)
        elif word == "table":
            tabulate()
        else:
            for name in RECIPES if word == "all" else (word,):
                missed = one(name, args) or missed
    return int(missed)


def parsed(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("what", nargs="*", default=["all"], choices=(*RECIPES, "all", "peers", "table"), metavar="NAME")
    parser.epilog = (
        f"NAME: {', '.join(RECIPES)}; all (the default); peers (make the peers' environments); table (of all results)"
    )
    parser.add_argument("--short", action="store_true", help="digits, almost no training: shows only that it runs")
    parser.add_argument("--cache", type=Path, default=environments.default_cache(), help="for environments and runs")
    parser.add_argument("--out", type=Path, default=record.RESULTS, help="folder of the results")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    return parser.parse_args(argv)


def one(name: str, args: argparse.Namespace) -> bool:
    """Run one recipe, write and print its result; whether it missed a goal."""
    options = Options(cache=args.cache.expanduser(), short=args.short, threads=args.threads, device=args.device)
    about = record.machine(options.threads)
    began = time.monotonic()
    result: record.Result = importlib.import_module(f"benchmarks.{name}").run(options)
    result.took_s = round(time.monotonic() - began, 1)
    result.machine, result.versions, result.date = about, record.versions(), record.today()
    path = result.write(args.out)
    if path.parent == record.RESULTS and not result.shortened:
        tabulate()
    else:
        print(
            record.table([record.as_json(result)]) + (f"\nshortened: {result.shortened}\n" if result.shortened else "")
        )
    print(f"{path.name} written, {result.took_s:.0f} s", file=sys.stderr)
    return any(row.met is False for row in result.rows)


def tabulate() -> None:
    """Print the table of all results and put it into README.md between its marks."""
    text = record.table(record.load_all())
    print(text, end="")
    page = README.read_text(encoding="utf-8")
    before, rest = page.split(MARKS[0])
    README.write_text(before + MARKS[0] + text + MARKS[1] + rest.split(MARKS[1])[1], encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
