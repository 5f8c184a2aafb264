"""The verbs as a table of names, so that `--help` imports none of them.

A verb is a class with two methods: `flags` declares what it takes, `run` does it and returns an Answer. Its module is
imported when it is called by name.
"""

from __future__ import annotations

import argparse
import importlib
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from elboroom.core.errors import InputError, nearest

if TYPE_CHECKING:
    from elboroom.cli.parser import Parser

__all__ = ["VERBS", "Answer", "Listed", "Verb", "find"]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a verb has to say on stdout: `document` with --json, else `text`."""

    document: Any
    """None: there is nothing (more) to say."""
    text: str = ""
    code: int = 0
    note: str = ""
    """One line for stderr, beside the answer: why a run stopped early."""


class Verb(ABC):
    """One verb of the command line."""

    @abstractmethod
    def flags(self, parser: Parser, words: list[str]) -> None:
        """Declare arguments; `words` is the call after the verb, for flags that depend on it (a model's settings)."""

    @abstractmethod
    def run(self, args: argparse.Namespace) -> Answer:
        """Do it. Wrong input raises InputError, a missing ability Unable."""


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A verb as `elboroom --help` shows it."""

    usage: str
    summary: str
    where: str = field(repr=False)
    """module:Class inside elboroom.cli"""

    def load(self) -> Verb:
        module, name = self.where.split(":")
        verb: Verb = getattr(importlib.import_module(f"elboroom.cli.{module}"), name)()
        return verb


VERBS: dict[str, Listed] = {
    "models": Listed(usage="[NAME]", summary="what models there are; NAME: its settings", where="listing:Models"),
    "data": Listed(
        usage="[NAME|PATH] [reading]",
        summary="what sets are known; what a file or folder would be read as",
        where="listing:Data",
    ),
    "fit": Listed(
        usage="MODEL DATA [--run DIR] [reading] [settings] [budget] [runtime] [--or-resume] [--from RUN]",
        summary="train, then evaluate and write card and report",
        where="training:Fit",
    ),
    "resume": Listed(
        usage="RUN [--steps +N]", summary="go on from the last good checkpoint, or further", where="training:Resume"
    ),
    "evaluate": Listed(
        usage="RUN [DATA] [--samples K] [--ais N] [--per-example FILE]",
        summary="every measure the model's abilities allow, on held-out data",
        where="judging:Evaluate",
    ),
    "sample": Listed(
        usage="RUN -n N --out FILE [--label L] [--truncation T] [--temperature T] [--seed S] [--mean]",
        summary="draw new examples",
        where="applying:Sample",
    ),
    "reconstruct": Listed(
        usage="RUN DATA --out FILE", summary="each example through the code and back", where="applying:Reconstruct"
    ),
    "encode": Listed(usage="RUN DATA --out FILE", summary="each example's code", where="applying:Encode"),
    "decode": Listed(
        usage="RUN CODES --out FILE",
        summary="examples from codes: a file of encode, or .npy/.csv",
        where="applying:Decode",
    ),
    "impute": Listed(
        usage="RUN DATA --out FILE [--observed FILE|A,B]",
        summary="missing cells or columns filled in, each with a standard deviation",
        where="imputing:Impute",
    ),
    "generate": Listed(
        usage="RUN [--prompt TEXT ... | --prompt-file F] [--tokens N] [--temperature T] [--top-k K] [--top-p P] "
        "[--min-p P] [--repetition-penalty R] [--greedy] [--stop S ...] [--seed S] [-n N] [--logprobs] [--stream]",
        summary="go on writing a text",
        where="generating:Generate",
    ),
    "classify": Listed(
        usage="RUN DATA --out FILE",
        summary="the class of each sequence, with the probability of every class",
        where="classifying:Classify",
    ),
    "forecast": Listed(
        usage="RUN DATA --horizon H --out FILE", summary="what comes next, with intervals", where="series:Forecast"
    ),
    "detect": Listed(
        usage="DATA [--run RUN | --model NAME] [--label COLUMN] [--alarms-per-day F] [--minutes M] [--fail-on-event] "
        "--out DIR",
        summary="what is unusual in a series: scores, events and a page",
        where="series:Detect",
    ),
    "inspect": Listed(
        usage="RUN [DATA|--text T] --out FILE [--layer N] [--head N] [--unit K] [--step T]",
        summary="what flows inside: the manifold, attention maps with their block, cells with their gates",
        where="judging:Inspect",
    ),
    "diagnose": Listed(
        usage="RUN | imbalance DATA|RUN [--out FILE.html] [--weights FILE] [reading]",
        summary="what went wrong in training, and what to try; how unequal the groups of unlabelled data are",
        where="judging:Diagnose",
    ),
    "measure": Listed(
        usage="REAL FAKE [--extractor E] [-n N] [--seed S] [reading]",
        summary="sample quality of any two folders, files or sets, without a run",
        where="measuring:Measure",
    ),
    "compare": Listed(
        usage="RUN RUN ... [--data DATA] [--out FILE.html]",
        summary="runs side by side on the same held-out data",
        where="judging:Compare",
    ),
    "sweep": Listed(
        usage="MODEL DATA --over FIELD=A,B,C [--over ...] [--seeds K] [--run DIR] [--stop-hopeless] [--or-resume] "
        "[reading] [settings] [budget] [runtime]",
        summary="a model over values of its settings and over seeds, small ones together in one pass",
        where="sweeping:Sweep",
    ),
    "report": Listed(usage="RUN [--out FILE.html]", summary="one self-contained HTML file", where="sharing:Report"),
    "serve": Listed(
        usage="RUN [--port P] [--token T] [--slots N] [--queue N] [--streams N]",
        summary="HTTP for one run: completions, every verb it can, streams to be watched",
        where="serving:Serve",
    ),
    "studio": Listed(
        usage="[DIR] [--port P] [--no-browser]",
        summary="a local page that lists, starts, watches and compares runs",
        where="studio:Studio",
    ),
    "export": Listed(
        usage="RUN --format onnx|torch|safetensors --out FILE",
        summary="the model for use elsewhere",
        where="sharing:Export",
    ),
    "import": Listed(
        usage="FOLDER --run DIR", summary="a folder of GPT-2 style safetensors as a run", where="sharing:Import"
    ),
}


def find(name: str) -> Listed:
    """The verb called `name`; another name is refused with the nearest."""
    if name not in VERBS:
        raise InputError(f"there is no verb {name!r} (verbs: {', '.join(VERBS)}){nearest(name, VERBS)}")
    return VERBS[name]
