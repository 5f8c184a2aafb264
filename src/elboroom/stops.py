"""From tokens back to text, piece by piece: nothing is shown that a stop string or half a character would take back.

Stop strings are looked for in bytes, so it does not matter where tokens begin and end. The stop that ends first wins,
the longest of those that end together; the text ends before it. What may yet become a stop is held back, and so are
the bytes of a character that has not ended. Bytes that are no UTF-8 become U+FFFD.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Sequence

from elboroom.core.errors import InputError

__all__ = ["Writer", "stop_bytes"]


class Writer:
    """One text in the making. `stopped` turns True with the first stop string; further pieces are then ignored."""

    def __init__(self, stops: Sequence[bytes] = ()) -> None:
        self.stopped = False
        self._stops = stops
        self._longest = max(map(len, stops), default=0)
        self._held = b""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, piece: bytes) -> str:
        """Take the bytes of one more token and give the text that can be shown by now."""
        if self.stopped:
            return ""
        held = self._held + piece
        cut = self._found(held)
        if cut is not None:
            self.stopped, self._held = True, b""
            return self._decoder.decode(held[:cut], final=True)
        safe = len(held) - self._possible(held)
        self._held = held[safe:]
        return self._decoder.decode(held[:safe])

    def finish(self) -> str:
        """No more tokens come: what was held back, as it stands."""
        held, self._held = self._held, b""
        return self._decoder.decode(held, final=True)

    def _found(self, held: bytes) -> int | None:
        """Where the stop begins that ends first; None where there is none."""
        found = [(at + len(stop), at) for stop in self._stops if (at := held.find(stop)) >= 0]
        return min(found)[1] if found else None

    def _possible(self, held: bytes) -> int:
        """The most bytes at the end that begin a stop."""
        for length in range(min(self._longest - 1, len(held)), 0, -1):
            tail = held[-length:]
            if any(stop.startswith(tail) for stop in self._stops):
                return length
        return 0


def stop_bytes(stops: str | Iterable[str]) -> tuple[bytes, ...]:
    """Stop strings as bytes; an empty one, or one that is no text, is refused."""
    found = []
    for stop in [stops] if isinstance(stops, str) else stops:
        if not isinstance(stop, str) or not stop:
            raise InputError(f"stop {stop!r}: expected a text of at least one character")
        try:
            found.append(stop.encode())
        except UnicodeEncodeError as error:
            raise InputError(f"stop {stop!r}: this is no text that UTF-8 can hold; name another") from error
    return tuple(found)
