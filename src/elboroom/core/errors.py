"""What can go wrong, as a small tree; each leaf carries the exit code of the command line.

    ElboroomError
    |-- InputError (also a ValueError)   wrong call, bad data, damaged run        exit 2
    |-- Unable                           this model or data cannot do that        exit 3
    `-- Stopped                          ended early, last good state is saved    exit 4

A message is one sentence on what went wrong and where (file, row, column, field, step), then one thing to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["ElboroomError", "InputError", "Stopped", "Unable", "nearest"]


class ElboroomError(Exception):
    """Anything elboroom says to its user on purpose. `exit_code` is what the command line returns."""

    exit_code = 1


class InputError(ElboroomError, ValueError):
    """A wrong call or bad input, a damaged run included; nothing was written."""

    exit_code = 2


class Unable(ElboroomError):
    """This model or this data cannot do what was asked; the message names what can."""

    exit_code = 3


class Stopped(ElboroomError):
    """A run ended before its end; its last good state is on disk. `state` is what run.json then says."""

    exit_code = 4

    def __init__(self, message: str, state: str = "failed") -> None:
        super().__init__(message)
        self.state = state


def nearest(word: str, words: Iterable[str]) -> str:
    """The sentence "; did you mean 'x'?" for the closest of `words`, or "" where none is close."""
    close = difflib.get_close_matches(word, list(words), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""
