"""The command line: find the verb, run it, answer with text or JSON and the exit code of the contract.

Codes: 0 done; 1 a fault of ours; 2 wrong call or bad input; 3 this model or data cannot do that; 4 stopped early, last
good state saved (memory and disk included); 130 and 143 after a second signal. A message is one line on stderr.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence

from elboroom.cli import console, verbs
from elboroom.cli.faults import Fault, explain
from elboroom.cli.parser import Parser
from elboroom.core.errors import InputError

__all__ = ["main"]

_USAGE = "elboroom VERB ... [--json] [--models DIR] [--debug]"


def main(words: Sequence[str] | None = None) -> int:
    """Run one call and return its exit code. Prints at most one document on stdout."""
    if words is None:
        words = sys.argv[1:]
        if not sys.warnoptions and "--debug" not in words:
            warnings.simplefilter("ignore")  # a library's warning is no message of ours
    call = list(words)
    try:
        return _run(call)
    except SystemExit as leave:  # argparse, after --help
        return leave.code if isinstance(leave.code, int) else 0
    except BrokenPipeError:  # the reader has seen enough, as in `elboroom models | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (Exception, KeyboardInterrupt) as error:
        return _failed(call, error)


def _run(call: list[str]) -> int:
    before = [word for word in call if word in ("--json", "--debug")]
    rest = [word for word in call if word not in before]
    if not rest or rest[0] in ("-h", "--help", "help"):
        return _overview(before)
    if rest[0] == "--version":
        from importlib.metadata import version

        console.print_answer(console.document(version("elboroom")) if before else f"elboroom {version('elboroom')}")
        return 0
    if rest[0].startswith("-"):
        raise InputError(f"a call begins with a verb, not with {rest[0]!r}; verbs: {', '.join(verbs.VERBS)}")
    listed = verbs.find(rest[0])
    verb = listed.load()
    parser = Parser(rest[0], listed.usage, listed.summary)
    _add_folders(rest[1:])
    verb.flags(parser, rest[1:])
    args = parser.read(rest[1:])
    args.json = "--json" in call  # taken out of the call above, so that it may stand anywhere
    answer = verb.run(args)
    if answer.note:
        console.say(f"elboroom: {answer.note}")
    document = "" if answer.document is None else console.document(answer.document)
    console.print_answer(document if "--json" in call else answer.text)
    return answer.code


def _overview(flags: list[str]) -> int:
    listed = {name: verb.summary for name, verb in verbs.VERBS.items()}
    if "--json" in flags:
        console.print_answer(console.document({"verbs": listed}))
        return 0
    body = console.table([(f"  {name}", summary) for name, summary in listed.items()])
    text = f"usage: {_USAGE}\n\nTrain, measure and show generative models on your own data.\n\n"
    indented = "\n".join(f"  {row}" for row in body.splitlines())
    console.print_answer(f"{text}verbs:\n{indented}\n\n`elboroom VERB --help` lists what a verb takes.")
    return 0


def _add_folders(words: list[str]) -> None:
    """--models DIR counts before flags are read, since a model's settings are flags."""
    from elboroom.core import registry

    for i, word in enumerate(words):
        if word == "--models" and i + 1 < len(words):
            registry.add_folder(words[i + 1])
        elif word.startswith("--models="):
            registry.add_folder(word.split("=", 1)[1])


def _failed(call: list[str], error: BaseException) -> int:
    fault: Fault = explain(error, call)
    try:
        if "--debug" in call:
            import traceback

            sys.stderr.write("".join(traceback.format_exception(error)))
        rank = os.environ.get("RANK", "0")
        name = "elboroom" if rank == "0" else f"elboroom (process {rank})"
        sys.stderr.write(f"{name}: {console.line(fault.message)}\n")
        sys.stderr.flush()
        if "--json" in call:
            console.print_answer(console.document({"error": fault.message, "exit_code": fault.code}))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return fault.code
