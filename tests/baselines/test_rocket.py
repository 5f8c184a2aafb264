"""MiniRocket and its ridge: against slow loops, scikit-learn, and the paper's figures."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch

from elboroom.baselines.ngrams import GramClassifier, grams
from elboroom.baselines.ridge import ALPHAS, Ridge
from elboroom.baselines.rocket import MiniRocket, RocketClassifier, _dilations


@pytest.mark.slow
def test_shares_are_those_of_plain_loops_over_kernels_steps_and_thresholds() -> None:
    rng = np.random.default_rng(0)
    lengths = np.array([30, 12, 7, 21])
    x = rng.normal(size=(4, 30, 2)).astype(np.float32)
    rocket = MiniRocket(84 * 6, seed=1).fit(x, lengths)
    found = rocket.transform(x, lengths)
    assert found.shape == (4, rocket.features)
    triples, expected = list(combinations(range(9), 3)), []
    for b in range(4):
        own, row = x[b, : lengths[b]].astype(np.float64), []
        for scale in rocket.scales:
            for k, triple in enumerate(triples):
                out = np.zeros(lengths[b])
                for t in range(lengths[b]):
                    for j in range(9):
                        at = t + (j - 4) * scale.dilation
                        if 0 <= at < lengths[b]:
                            used = (scale.weight[k, :, j] != 0).numpy()
                            out[t] += (2 if j in triple else -1) * own[at][used].sum()
                margin = 4 * scale.dilation
                inner = out[margin : lengths[b] - margin]
                kept = out if bool(scale.padded[k]) or not len(inner) else inner
                row += [(kept > bias).mean() for bias in scale.bias[k].double().numpy()]
        expected.append(row)
    assert np.mean(np.abs(found - np.array(expected)) > 1e-6) < 1e-3  # rounding may tip an output over a threshold


def test_thresholds_are_spread_over_all_dilations_and_none_is_lost() -> None:
    for longest in (1, 9, 24, 150, 251, 3000):
        found = _dilations(longest, 119)
        assert sum(count for _, count in found) == 119
        widest = max(d for d, _ in found)
        assert widest == 1 or 8 * widest <= longest - 1
        assert 8 * 2 * widest > longest - 1


def test_what_lies_beyond_the_end_is_not_looked_at() -> None:
    rng = np.random.default_rng(0)
    x, lengths = rng.normal(size=(6, 20, 3)), np.array([20, 5, 9, 13, 20, 3])
    other = np.where((np.arange(20) < lengths[:, None])[..., None], x, 99.0)
    rocket = MiniRocket(84 * 3).fit(x, lengths)
    np.testing.assert_array_equal(rocket.transform(x, lengths), rocket.transform(other, lengths))


@pytest.mark.parametrize(("n", "p"), [(30, 80), (80, 12)])
def test_the_ridge_is_the_closed_form_and_its_errors_those_of_leaving_each_row_out(n: int, p: int) -> None:
    rng = np.random.default_rng(p)
    x, label = rng.normal(size=(n, p)) * rng.uniform(0.1, 9, p) + 3, rng.integers(0, 3, n)
    ridge = Ridge((2.5,)).fit(x, label, 3)
    z = (x - x.mean(0)) / x.std(0)
    y = np.where(label[:, None] == np.arange(3), 1.0, -1.0)

    def answers(rows: np.ndarray, at: np.ndarray) -> np.ndarray:
        one = np.concatenate([z[rows], np.ones((len(rows), 1))], 1)  # an intercept without a penalty
        penalty = np.diag([*[2.5] * p, 0.0])
        held: np.ndarray = np.concatenate([z[at], np.ones((len(at), 1))], 1) @ np.linalg.solve(
            one.T @ one + penalty, one.T @ y[rows]
        )
        return held

    every = np.arange(n)
    np.testing.assert_allclose(ridge.decide(x), answers(every, every), atol=1e-8)
    left = np.concatenate([answers(np.delete(every, i), every[i : i + 1]) for i in every])
    np.testing.assert_allclose(ridge.scores, left, atol=1e-7)


def test_the_strength_is_the_one_scikit_learn_chooses() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 40))
    label = (x[:, 0] + rng.normal(size=60) > 0).astype(int)
    z = (x - x.mean(0)) / x.std(0)
    theirs = linear.RidgeClassifierCV(alphas=ALPHAS).fit(z, label)
    ours = Ridge().fit(x, label, 2)
    assert ours.alpha == pytest.approx(theirs.alpha_)
    np.testing.assert_array_equal(ours.decide(x).argmax(1), theirs.predict(z))


def test_a_column_that_does_not_vary_harms_nothing() -> None:
    x = np.random.default_rng(0).normal(size=(20, 3))
    label = np.arange(20) % 2
    with_flat = Ridge().fit(np.concatenate([x, np.full((20, 1), 7.0)], 1), label, 2)
    np.testing.assert_allclose(with_flat.scores, Ridge().fit(x, label, 2).scores, atol=1e-9)


def test_runs_of_tokens_tell_texts_apart_by_their_order() -> None:
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 3, (120, 30))
    label = np.arange(120) % 2
    for row, one in zip(tokens, label, strict=True):
        row[7:10] = (0, 1, 2) if one else (2, 1, 0)
    lengths = np.full(120, 30)
    lengths[::3] = 20
    features = grams(tokens, lengths)
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, rtol=1e-5)
    other = tokens.copy()
    other[::3, 20:] = 1
    np.testing.assert_array_equal(grams(other, lengths), features)
    found = GramClassifier().fit(tokens[:80], label[:80], 2, lengths[:80]).predict(tokens[80:], lengths[80:])
    assert (found == label[80:]).mean() > 0.6


@pytest.mark.parametrize(("name", "published"), [("ItalyPowerDemand", 0.960), ("GunPoint", 0.992)])
def test_minirocket_reaches_the_published_accuracy(real_data: Path, name: str, published: float) -> None:
    """Dempster et al. 2021: means over 30 resamples; here the archive's own split."""
    from elboroom.data.reading import Reading
    from elboroom.data.source import read

    data = read(name, Reading(split=(1.0, 0.0, 1.0)))
    parts = {}
    for part, rows in data.parts.items():
        batch = data.transform(rows.take(torch.arange(len(rows))))
        assert batch.label is not None and batch.lengths is None
        parts[part] = batch.x.numpy(), batch.label.numpy()
    model = RocketClassifier(5000).fit(*parts["train"], len(data.spec.classes))
    x, label = parts["test"]
    assert (model.predict(x) == label).mean() > published - 0.02
