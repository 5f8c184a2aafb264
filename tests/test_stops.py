"""Text comes back whole whatever the pieces, and ends where a plain search through all of it says."""

from __future__ import annotations

import random

import pytest

from elboroom.core.errors import InputError
from elboroom.stops import Writer, stop_bytes

ALPHABET = "ab\n é€🤗"


def searched(whole: bytes, stops: tuple[bytes, ...]) -> tuple[bytes, bool]:
    """What stands before the stop that ends first (the longest of those), by looking at every end in turn."""
    for end in range(len(whole) + 1):
        for stop in sorted(stops, key=len, reverse=True):
            if whole[:end].endswith(stop):
                return whole[: end - len(stop)], True
    return whole, False


def split(whole: bytes, rng: random.Random) -> list[bytes]:
    """Pieces of 0 to 5 bytes, characters cut anywhere."""
    pieces = []
    while whole:
        size = rng.choice((0, 1, 1, 1, 2, 3, 5))
        pieces.append(whole[:size])
        whole = whole[size:]
    return pieces


@pytest.mark.parametrize("seed", range(10))
def test_a_text_ends_where_a_search_through_all_of_it_says(seed: int) -> None:
    rng = random.Random(seed)
    stopped = 0
    for _ in range(400):
        letters = rng.choice(("ab", "aé", ALPHABET, "€🤗"))
        whole = "".join(rng.choices(letters, k=rng.randrange(25))).encode()
        if rng.random() < 0.2:  # not UTF-8
            whole += bytes(rng.choices(range(256), k=3)) + b"ab"
        stops = tuple("".join(rng.choices(letters, k=rng.randint(1, 4))).encode() for _ in range(rng.randrange(4)))
        writer, shown = Writer(stops), ""
        expected, expected_stop = searched(whole, stops)
        final = expected.decode(errors="replace")
        for piece in split(whole, rng):
            shown += writer.push(piece)
            assert final.startswith(shown)  # nothing of a stop, and nothing that is taken back later
        shown += writer.finish()
        assert (shown, writer.stopped) == (final, expected_stop)
        stopped += expected_stop
    assert 50 < stopped < 350


def test_what_cannot_become_a_stop_any_more_is_shown_at_once() -> None:
    writer = Writer((b"abc", b"bd"))
    assert [writer.push(piece) for piece in (b"x", b"a", b"b", b"a", b"b", b"d")] == ["x", "", "", "ab", "", "a"]
    assert writer.stopped and writer.finish() == "" == writer.push(b"more")


def test_a_character_is_shown_when_its_last_byte_comes() -> None:
    writer = Writer()
    assert [writer.push(bytes([b])) for b in "a🤗é".encode()] == ["a", "", "", "", "🤗", "", "é"]
    assert writer.push("€".encode()[:2]) == "" and writer.finish() == "\ufffd"


def test_of_stops_that_end_together_the_longest_counts_and_the_earliest_end_comes_first() -> None:
    for stops, text in (((b"b", b"ab"), "x"), ((b"abc", b"b"), "xa"), ((b"bc", b"abcd"), "xa")):
        writer = Writer(stops)
        assert writer.push(b"xabcd") + writer.finish() == text


@pytest.mark.parametrize("stop", [[""], ["a", ""], [3], ["\ud800"]])
def test_a_stop_that_is_no_text_is_refused(stop: list[str]) -> None:
    with pytest.raises(InputError, match=r"^stop "):
        stop_bytes(stop)
