"""The drawn set whose labels lie in the future: they are what its page says, and nothing else tells them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from elboroom.core.errors import InputError
from elboroom.data import Reading, read
from elboroom.data.future import draw_future, read_future
from elboroom.data.sequences import Sequences


def rows(found: Sequences) -> list[tuple[np.ndarray, np.ndarray]]:
    assert found.label is not None
    return [(found.values[a:b, 0], found.label[a:b]) for a, b in pairwise(found.starts)]


@pytest.mark.parametrize("ahead", [1, 3, 7, -1, -4])
def test_a_label_is_the_sign_of_the_sum_of_the_steps_it_looks_at(ahead: int) -> None:
    for x, label in rows(draw_future(ahead, 0.0, 30)):
        for t in range(len(x)):
            seen = x[t + 1 : t + 1 + ahead] if ahead > 0 else x[max(0, t + ahead) : t]
            expected = -1 if len(seen) < abs(ahead) else int(seen.sum() > 0)
            assert label[t] == expected


def test_noise_turns_that_share_of_the_labels_over() -> None:
    clean, noisy = draw_future(3, 0.0, 400), draw_future(3, 0.2, 400)
    assert clean.label is not None and noisy.label is not None
    np.testing.assert_array_equal(clean.values, noisy.values)
    there = clean.label >= 0
    assert (clean.label != noisy.label)[there].mean() == pytest.approx(0.2, abs=0.02)
    np.testing.assert_array_equal(noisy.label[~there], -1)


def test_what_was_read_so_far_tells_nothing_of_the_label() -> None:
    """Of independent values the label of step t and any function of x[..t] are independent: correlation 0."""
    past, label = [], []
    for x, y in rows(draw_future(3, 0.0, 600)):
        there = np.flatnonzero(y >= 0)[3:]
        past += [[x[t], x[t - 1], x[t - 2], x[: t + 1].sum()] for t in there]
        label += (2 * y[there] - 1).tolist()
    assert np.abs(np.corrcoef(np.array(past).T, np.array(label))[-1, :-1]).max() < 0.03


def test_it_is_a_set_with_a_test_part_of_its_own_and_the_same_each_time() -> None:
    data = read("future")
    assert {part: len(found) for part, found in data.parts.items()} == {"train": 720, "valid": 80, "test": 400}
    assert data.spec.per_step and data.spec.classes == ("down", "up") and data.spec.shape == (40, 1)
    assert data.fingerprint == read("future:ahead=3").fingerprint != read("future:ahead=4").fingerprint


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("ahaed=3", "did you mean 'ahead'"),
        ("ahead=0", "whole number from 1"),
        ("ahead=20", "whole number from 1 to 19"),
        ("ahead=1.5", "whole number"),
        ("noise=0.7", "0 to 0.5"),
        ("noise=some", "give a number"),
        ("sequences=nan", "sequences=nan"),
        ("ahead=inf", "ahead=inf"),
    ],
)
def test_an_option_that_cannot_be_is_refused(options: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_future(options, None)


def test_it_is_read_as_sequences_or_not_at_all() -> None:
    with pytest.raises(InputError, match="these data are read as sequences"):
        read("future", Reading(kind="table"))
