"""P11: greedy generation on a CPU with weights of GPT-2's smallest form, 500 tokens of one text.

The same random weights for all, made by transformers and imported. nanoGPT reads all of the text again for each token:
it is timed at every 10th token, and its whole 500 once a session, uncounted, to show what that estimate is worth.
"""

from __future__ import annotations

from benchmarks.generating import generation
from benchmarks.gpt2_folder import SMALL, TINY
from benchmarks.recipe import Options
from benchmarks.record import Result
from benchmarks.rounds import Pace

__all__ = ["run"]

NAME = "p11_generation_124m"
PROTOCOL = (
    "2 sessions of fresh processes; in each one uncounted turn, then 3 measured turns in rotation; a turn is 500 "
    "tokens after a prompt of one token, batch 1, greedy; 2 threads on 2 processors for all; median of ratios of "
    "neighbouring turns, in seconds a token; transformers with its cache, nanoGPT's generate with one candidate, timed "
    "at every 10th token (the uncounted turn walks all 500); tokens to text on our side alone"
)
GOALS = {
    "fp32 / nanoGPT": "<= 0.12",
    "fp32 / transformers": "<= 1.0",
    "bf16 / nanoGPT": "<= 0.08",
    "bf16 / transformers": "<= 0.6",
}


def run(options: Options) -> Result:
    result = options.begin(NAME, __doc__.splitlines()[0], PROTOCOL, "a net of 2 layers and 32 numbers, one turn of 20")
    short = Pace(sessions=1, turns=1, batch=1, threads=options.threads, device=options.device, pinned=False)
    whole = Pace(sessions=2, turns=3, batch=1, threads=options.threads, device=options.device)
    sizes, tokens, pace = (TINY, 20, short) if options.short else (SMALL, 500, whole)
    return generation(options, result, sizes, tokens, 10, pace, GOALS)
