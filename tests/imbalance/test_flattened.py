"""The code flattened to N(0, I): densities of the code say nothing, masses of decoded groups say all."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest

from elboroom.data.reading import Reading
from elboroom.data.source import read
from elboroom.imbalance.baselines import density_scores
from elboroom.imbalance.diagnosis import Diagnosis, diagnose_rows
from elboroom.imbalance.representation import Representation, represent, unlabelled
from elboroom.metrics.imbalance import imbalance_index

from .transport import Transport, mixture

EVEN, TWO, TEN = [1 / 3, 1 / 3, 1 / 3], [0.5, 0.25, 0.25], [0.8, 0.12, 0.08]
N = 1000


def seen(weights: list[float]) -> Representation:
    x, _ = mixture(weights, N, seed=1)
    dataset = read(x, Reading(scale="none"))
    return represent(Transport(weights), dataset.transform, unlabelled(dataset), 0)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def three() -> dict[str, tuple[Representation, Diagnosis]]:
    found = {name: seen(w) for name, w in (("even", EVEN), ("two", TWO), ("ten", TEN))}
    return {name: (one, diagnose_rows([one])) for name, one in found.items()}


@pytest.mark.slow
def test_the_code_is_standard_normal_whatever_the_shares(three: dict[str, tuple[Representation, Diagnosis]]) -> None:
    for one, _ in three.values():
        for column in one.codes.T:
            assert kstest(column, "norm").pvalue > 0.01


def test_densities_of_the_code_do_not_tell_ten_to_one_from_even(
    three: dict[str, tuple[Representation, Diagnosis]],
) -> None:
    scores = {name: density_scores(one.codes) for name, (one, _) in three.items()}
    for recipe in range(2):
        assert abs(scores["ten"][recipe] - scores["even"][recipe]) < 0.05  # while the index itself differs by .4
    assert imbalance_index(TEN) - imbalance_index(EVEN) > 0.4


def test_masses_of_decoded_groups_rank_and_measure_them(
    three: dict[str, tuple[Representation, Diagnosis]],
) -> None:
    index = {name: found.index for name, (_, found) in three.items()}
    assert all(found.identifiable for _, found in three.values())
    assert index["even"].value < index["two"].value < index["ten"].value
    assert index["even"].low == 0.0 < index["ten"].low
    for weights, name in ((EVEN, "even"), (TWO, "two"), (TEN, "ten")):
        found = three[name][1]
        assert len(found.shares) == 3
        assert index[name].low <= imbalance_index(weights) <= index[name].high
        error = 3 * np.sqrt(np.array(weights) * (1 - np.array(weights)) / N)
        assert (np.abs(found.shares - np.sort(weights)[::-1]) < error + 0.005).all()
