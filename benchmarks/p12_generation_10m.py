"""P12: greedy generation on a CPU with a net of 10.8 million weights, 255 tokens of one text, its whole context.

6 layers of 6 heads, width 384, 256 tokens, which are bytes: where calls, not weights, take the time.
"""

from __future__ import annotations

from benchmarks.generating import generation
from benchmarks.gpt2_folder import BABY, TINY
from benchmarks.recipe import Options
from benchmarks.record import Result
from benchmarks.rounds import Pace

__all__ = ["run"]

NAME = "p12_generation_10m"
PROTOCOL = (
    "3 sessions of fresh processes; in each one uncounted turn, then 4 measured turns in rotation; a turn is 255 "
    "tokens after a prompt of one token, batch 1, greedy; 2 threads on 2 processors for all; median of ratios of "
    "neighbouring turns, in seconds a token; transformers with its cache, nanoGPT's generate with one candidate; "
    "tokens to text on our side alone"
)
GOALS = {
    "fp32 / nanoGPT": "<= 0.08",
    "fp32 / transformers": "<= 0.5",
    "bf16 / nanoGPT": "<= 0.05",
    "bf16 / transformers": "<= 0.33",
}


def run(options: Options) -> Result:
    result = options.begin(NAME, __doc__.splitlines()[0], PROTOCOL, "a net of 2 layers and 32 numbers, one turn of 20")
    short = Pace(sessions=1, turns=1, batch=1, threads=options.threads, device=options.device, pinned=False)
    whole = Pace(sessions=3, turns=4, batch=1, threads=options.threads, device=options.device)
    sizes, tokens, pace = (TINY, 20, short) if options.short else (BABY, 255, whole)
    return generation(options, result, sizes, tokens, 1, pace, GOALS)
