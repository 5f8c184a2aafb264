"""The parser every verb uses: the standard library's, with exact flags and errors of one line.

A wrong call raises InputError, which names the nearest right flag; a value's converter says what is expected and
gives an example.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from elboroom.core.errors import InputError, nearest

__all__ = ["Parser", "comma_list", "number", "one_of", "size", "split_shares", "steps_added", "whole",
    "without"]  # fmt: skip

Converter = Callable[[str], Any]
_NUMBER = re.compile(r"^-\d+$|^-\d*\.\d+$")  # argparse's own idea of a value that begins with a minus

_OURS = (
    (r"expected one argument$", "needs a value"),
    (r"expected at least one argument$", "needs a value"),
    (r"not allowed with argument (\S+)$", r"cannot stand beside \1"),
    (r"ignored explicit argument (.+)$", r"takes no value, but has \1"),
)


class Parser(argparse.ArgumentParser):
    """One verb's arguments. `given_only`: what the call leaves out is absent from the result, not a default."""

    def __init__(self, verb: str, usage: str, summary: str, *, given_only: bool = False) -> None:
        super().__init__(
            prog=f"elboroom {verb}",
            usage=f"elboroom {verb} {usage}",
            description=summary[:1].upper() + summary[1:] + ".",
            allow_abbrev=False,
            add_help=False,
            argument_default=argparse.SUPPRESS if given_only else None,
            formatter_class=_Formatter,
        )
        self.verb = verb
        always = self.add_argument_group("always")
        always.add_argument("-h", "--help", action="help", help="this text")
        always.add_argument("--json", action="store_true", help="one JSON document on stdout")
        always.add_argument("--models", metavar="DIR", action="append", help="a folder with further model files")
        always.add_argument("--debug", action="store_true", help="show the traceback of an error")

    def read(self, words: Sequence[str]) -> argparse.Namespace:
        """Parse a whole call; flags and other arguments may stand in any order."""
        self._refuse_unknown_flags(words)
        known, extra = self.parse_known_intermixed_args(list(words))
        if extra:
            raise InputError(f"{self.verb}: {extra[0]!r} is one argument too many; usage: {self.usage}")
        return known

    def options(self) -> dict[str, argparse.Action]:
        """Every flag by its written name."""
        return dict(self._option_string_actions)

    def error(self, message: str) -> NoReturn:
        """Called by argparse; its sentence begins with "argument NAME: "."""
        required = "the following arguments are required: "
        if message.startswith(required):
            raise InputError(f"{self.verb} needs {message.removeprefix(required)}; usage: {self.usage}")
        text = message.removeprefix("argument ").replace("-h/--help", "--help")
        for theirs, ours in _OURS:
            text = re.sub(theirs, ours, text)
        raise InputError(f"{self.verb}: {text}; `{self.prog} --help` lists what it takes")

    def _refuse_unknown_flags(self, words: Sequence[str]) -> None:
        options = self.options()
        for word in words:
            if word == "--":
                return
            name = word.split("=", 1)[0]
            if not _is_flag(word) or name in options or (word[1] != "-" and word[:2] in options):
                continue
            hint = nearest(name.replace("_", "-"), options) or f"; `{self.prog} --help` lists them"
            raise InputError(f"{self.verb} has no flag {name!r}{hint}")


class _Formatter(argparse.HelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30)


def _is_flag(word: str) -> bool:
    return len(word) > 1 and word.startswith("-") and " " not in word and not _NUMBER.match(word)


def one_of(*words: str) -> Converter:
    """One of a few words."""

    def convert(text: str) -> str:
        if text not in words:
            raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(words)}{nearest(text, words)}")
        return text

    return convert


def whole(low: int, what: str = "") -> Converter:
    """A whole number of at least `low`."""

    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if value < low or value > 2**63 - 1:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least {low}{what}")
        return value

    return convert


def number(low: float, *, above: bool = False) -> Converter:
    """A finite number of at least (or `above`) `low`."""

    def convert(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not (low < value if above else low <= value) or value == float("inf"):
            raise argparse.ArgumentTypeError(f"{text!r} is no number {'above' if above else 'of at least'} {low:g}")
        return value

    return convert


def comma_list(text: str) -> tuple[str, ...]:
    """Names set apart by commas."""
    parts = tuple(part.strip() for part in text.split(","))
    if not all(parts):
        raise argparse.ArgumentTypeError(f"{text!r} has an empty name; write names set apart by commas, as in A,B")
    return parts


def size(text: str) -> tuple[int, int]:
    """Height x width of an image."""
    found = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no HxW in pixels, as in 28x28")
    return int(found[1]), int(found[2])


def split_shares(text: str) -> tuple[float, ...]:
    """Shares or counts of the parts train, valid, test."""
    try:
        parts = tuple(float(part) for part in text.split(","))
    except ValueError:
        parts = ()
    if not 2 <= len(parts) <= 3 or not all(0 <= p < float("inf") for p in parts) or not parts[0] > 0:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no TRAIN,VALID,TEST as shares (.8,.1,.1) or counts (50000,0,10000)"
        )
    return parts


def steps_added(text: str) -> int:
    """+N: steps beyond the plan."""
    if not re.fullmatch(r"\+?[1-9]\d{0,17}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of steps to add, as in +1000")
    return int(text)


def without(words: Sequence[str], flags: Mapping[str, int]) -> list[str]:
    """The words of a call less some flags, each with as many words after it as it takes, or joined to it by =."""
    kept, skip = [], 0
    for word in words:
        flag, joined, _ = word.partition("=")
        if skip:
            skip -= 1
        elif flag in flags:
            skip = 0 if joined else flags[flag]
        else:
            kept.append(word)
    return kept
