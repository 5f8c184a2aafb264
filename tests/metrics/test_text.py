"""Measures of text: units, blocks that do not depend on tokens, intervals that hold where neighbours depend."""

from __future__ import annotations

import math

import numpy as np
import pytest

from elboroom.metrics.interval import Interval, mean_interval
from elboroom.metrics.text import BLOCKS, Blocks, bits_per_byte, blocks_of, bytes_of, context_bins, perplexity


def test_a_uniform_law_over_v_letters_costs_log2_v_bits_a_byte_and_has_perplexity_v() -> None:
    nats = 1000 * math.log(65)
    assert bits_per_byte(nats, 1000) == pytest.approx(math.log2(65))
    found = perplexity(Interval(math.log(65), math.log(60), math.log(70)))
    assert (found.value, found.low, found.high) == pytest.approx((65, 60, 70))


def test_a_loss_beyond_floats_has_a_large_perplexity_and_one_without_interval_keeps_none() -> None:
    found = perplexity(Interval(1e6, math.nan, math.nan))
    assert found.value == pytest.approx(math.exp(700)) and math.isnan(found.low)


def blocks(nats: np.ndarray, sizes: np.ndarray) -> Blocks:
    begins = np.cumsum(sizes) - sizes
    count = blocks_of(int(sizes.sum()))
    block = np.minimum(begins * count // sizes.sum(), count - 1)
    return Blocks.of(block, nats, sizes, np.ones(len(nats)), count)


def test_bits_per_byte_are_the_same_whether_letters_or_pairs_of_letters_are_the_tokens() -> None:
    rng = np.random.default_rng(0)
    nats = rng.exponential(size=40_960)
    one = blocks(nats, np.ones(40_960, int))
    two = blocks(nats.reshape(-1, 2).sum(1), np.full(20_480, 2))
    assert len(one.nats) == len(two.nats) == BLOCKS
    assert one.bits().value == pytest.approx(two.bits().value)
    assert two.loss().value == pytest.approx(2 * one.loss().value)
    np.testing.assert_allclose(one.size, two.size)
    np.testing.assert_allclose(one.nats, two.nats)  # a block holds the same bytes, so models can be paired


def test_blocks_of_a_short_text_are_few_and_long_enough_and_one_block_has_no_interval() -> None:
    assert [blocks_of(n) for n in (1, 127, 1000, 8191, 8192, 10**9)] == [1, 1, 7, 63, 64, 64]
    found = blocks(np.ones(100), np.ones(100, int)).bits()
    assert found.value == pytest.approx(1 / math.log(2)) and math.isnan(found.low)
    assert "no interval" in found.how


def test_tokens_without_bytes_count_for_the_loss_and_for_the_code_length_of_their_block() -> None:
    nats, sizes = np.ones(4000), np.tile([1, 0], 2000)
    found = blocks(nats, sizes)
    assert found.loss().value == pytest.approx(1.0)
    assert found.bits().value == pytest.approx(2 / math.log(2))
    assert found.nats.sum() == pytest.approx(4000)


@pytest.mark.slow
@pytest.mark.parametrize("phi", [0.0, 0.9])
def test_the_interval_of_blocks_covers_the_mean_of_an_autoregressive_series_where_that_of_tokens_does_not(
    phi: float,
) -> None:
    rng = np.random.default_rng(1)
    n, runs = 16_384, 300
    hits = tokens_hit = 0
    for _ in range(runs):
        noise = rng.normal(size=n) * math.sqrt(1 - phi**2)
        series = np.empty(n)
        last = rng.normal()
        for start in range(0, n, 512):  # x_t = phi x_(t-1) + e_t, in pieces that floats can hold
            part = noise[start : start + 512]
            powers = phi ** np.arange(1, len(part) + 1)
            weights = np.convolve(part, np.concatenate([[1.0], powers[:-1]]))[: len(part)]
            series[start : start + 512] = weights + powers * last
            last = series[start + len(part) - 1]
        found = blocks(series + 2.0, np.ones(n, int)).loss(seed=int(rng.integers(2**31)))
        plain = mean_interval(series + 2.0)
        hits += found.low <= 2.0 <= found.high
        tokens_hit += plain.low <= 2.0 <= plain.high
    assert 0.91 < hits / runs < 0.985
    assert tokens_hit / runs < 0.5 if phi else tokens_hit / runs > 0.91


def test_bytes_come_back_from_tokens_of_any_lengths_and_an_end_has_a_mark() -> None:
    pieces = [b"a", b"bc", "ß".encode(), b"", b" word"]
    tokens = np.random.default_rng(0).integers(0, 5, 3_000_000).astype(np.uint8)
    found = bytes_of(tokens, pieces)
    head = b"".join(pieces[i] or b"\x00" for i in tokens[:1000])
    assert found[: len(head)].tobytes() == head
    tail = b"".join(pieces[i] or b"\x00" for i in tokens[-1000:])
    assert found[-len(tail) :].tobytes() == tail
    assert len(found) == sum(max(1, len(pieces[i])) * int((tokens == i).sum()) for i in range(5))
    assert bytes_of(np.array([], int), pieces).size == 0
    assert bytes_of(np.array([1, 0]), [b"x", b"y"]).tobytes() == b"yx"


@pytest.mark.parametrize("window", [1, 2, 3, 64, 100, 256])
def test_groups_of_contexts_double_and_cover_the_window_once(window: int) -> None:
    bins = context_bins(window)
    assert [n for first, last in bins for n in range(first, last + 1)] == list(range(1, window + 1))
    assert all(last <= 2 * (first - 1) for first, last in bins[1:])
