"""Code lengths that need no network: laws that sum to one, a second implementation, published programs."""

from __future__ import annotations

import gzip
import lzma
import math
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from elboroom.baselines.text import LONGEST, NGram, gzip_size, order_for, stored, xz_size

SMALL = b"a rose is a rose is a rose, said the roses to the rosary; the rest is a rise of roses."


def letters(text: bytes) -> np.ndarray:
    return np.frombuffer(text, dtype=np.uint8)


def probability(model: NGram, context: bytes, last: int) -> float:
    return math.exp(-float(model.nats(letters(context + bytes([last])))[-1]))


@pytest.mark.parametrize("context", [b"", b"a rose i", b"xyz", b"\x00\xff", b"the re"])
@pytest.mark.parametrize("order", [1, 2, 5, LONGEST])
def test_the_law_of_the_next_byte_sums_to_one_after_any_context(order: int, context: bytes) -> None:
    model = NGram(order).fit(letters(SMALL))
    assert sum(probability(model, context, last) for last in range(256)) == pytest.approx(1.0, abs=1e-12)


class Counted:
    """The same smoothing written with dictionaries, one probability at a time (Chen & Goodman 1999, section 2.7.3)."""

    def __init__(self, text: bytes, order: int) -> None:
        padded = bytes(order - 1) + text
        raw: dict[bytes, int] = defaultdict(int)
        for i in range(len(text)):
            raw[padded[i : i + order]] += 1
        self.counts = {order: dict(raw)}
        for length in range(order - 1, 0, -1):
            after: dict[bytes, set[int]] = defaultdict(set)
            for gram in self.counts[length + 1]:
                after[gram[1:]].add(gram[0])
            self.counts[length] = {gram: len(met) for gram, met in after.items()}

    def discount(self, length: int, count: int) -> float:
        n = [sum(c == k for c in self.counts[length].values()) for k in range(5)]
        if not all(n[1:]):
            return 0.5 if count else 0.0
        y, k = n[1] / (n[1] + 2 * n[2]), min(count, 3)
        return 0.0 if count == 0 else min(max(k - (k + 1) * y * n[k + 1] / n[k], 0.01), k - 0.01)

    def p(self, context: bytes, last: int, length: int) -> float:
        if length == 0:
            return 1 / 256
        seen = context[len(context) - length + 1 :] if length > 1 else b""
        same = {g: c for g, c in self.counts[length].items() if g[:-1] == seen}
        lower = self.p(context, last, length - 1)
        if not same:
            return lower
        total, count = sum(same.values()), same.get(seen + bytes([last]), 0)
        left = sum(self.discount(length, c) for c in same.values()) / total
        return (count - self.discount(length, count)) / total + left * lower


@pytest.mark.parametrize("order", [1, 3, 4])
def test_the_n_gram_equals_a_second_implementation_with_dictionaries(order: int) -> None:
    held = b"the rose is risen, 7 times"
    slow = Counted(SMALL, order)
    padded = bytes(order) + held
    wanted = [-math.log(slow.p(padded[i : i + order], held[i], order)) for i in range(len(held))]
    found = NGram(order).fit(letters(SMALL)).nats(letters(held))
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_one_byte_grams_are_frequencies_with_half_a_count_taken_for_the_unseen() -> None:
    found = NGram(1).fit(letters(b"aab")).nats(letters(b"ab!"))
    left = (0.5 + 0.5) / 3 / 256
    np.testing.assert_allclose(np.exp(-found), [1.5 / 3 + left, 0.5 / 3 + left, left])


def test_an_order_that_no_machine_word_holds_is_refused() -> None:
    with pytest.raises(ValueError, match="1 to 8"):
        NGram(9)


def test_a_gram_is_five_characters_long_whatever_the_script() -> None:
    assert order_for(letters(b"plain words")) == 5
    assert order_for(letters("größer äußern überall".encode())) == 6
    assert order_for(letters("все счастливые семьи".encode())) == LONGEST


def test_sizes_are_those_of_the_standard_programs() -> None:
    data = SMALL * 50
    assert gzip_size(data) == len(gzip.compress(data, 9))
    assert abs(xz_size(data) - len(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME))) <= 8
    assert lzma.decompress(lzma.compress(data)) == data


def test_a_compressor_that_was_given_the_training_text_finds_it_again() -> None:
    noise = np.random.default_rng(0).integers(0, 256, 200_000).astype(np.uint8)
    found = {s.name: s.bits for s in stored(noise[:50_000], noise)}
    assert found["xz alone"] > 8 * 50_000
    assert found["xz"] < 8 * 400, "one match every 273 bytes"
    assert found["gzip"] > 8 * 45_000, "gzip looks back 32 kB only"


def test_without_a_training_text_only_the_held_out_text_itself_is_packed() -> None:
    assert [s.name for s in stored(letters(SMALL), letters(b""))] == ["gzip alone", "xz alone"]


def test_held_out_texts_of_one_byte_and_training_texts_of_one_byte_have_a_length() -> None:
    found = stored(letters(b"a"), letters(b"b"))
    assert [s.name for s in found] == ["byte frequencies", "5-gram", "gzip", "xz", "gzip alone", "xz alone"]
    assert all(np.isfinite(s.bits).all() for s in found)


def test_tiny_shakespeare_costs_what_it_costs_others(real_data: Path) -> None:
    """nanoGPT's split; xz given the training text has 2.52 bits a byte, a Witten-Bell 5-gram 2.41."""
    text = letters((real_data / "text" / "tinyshakespeare.txt").read_bytes())
    cut = int(0.9 * len(text))
    begun = time.process_time()
    found = {s.name: np.sum(s.bits) / (len(text) - cut) for s in stored(text[cut:], text[:cut])}
    assert time.process_time() - begun < 12
    assert found["xz"] == pytest.approx(2.518, abs=0.01)
    assert found["gzip"] == pytest.approx(3.096, abs=0.02)
    assert found["byte frequencies"] == pytest.approx(4.829, abs=0.001)
    assert found["5-gram"] == pytest.approx(2.253, abs=0.002)
