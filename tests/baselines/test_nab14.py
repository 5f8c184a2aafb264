"""The 14 series of NAB as TSB-AD has them, and Sub-PCA on them against the published VUS-PR."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks import c4_nab14, nab, recipe  # noqa: E402

from elboroom.baselines.detection import BASELINES  # noqa: E402

NAMED = {b.name: b for b in BASELINES}
SHORT = ("009", "014", "018")


def test_the_series_have_the_published_lengths_and_labels(real_data: Path) -> None:
    series = nab.nab14(real_data)
    assert len(series) == 14
    for one in series:
        edges = np.diff(np.concatenate([[0], one.labels.astype(int), [0]]))
        assert len(one.values) == len(one.labels) == one.published["ts_len"], one.name
        assert one.labels.sum() == one.published["anomaly_len"], one.name
        assert (edges == 1).sum() == one.published["num_anomaly"], one.name
        assert np.flatnonzero(one.labels)[0] == one.first, one.name


def test_the_one_series_whose_values_are_here_is_equal(real_data: Path) -> None:
    ours = nab.nab14(real_data)[0]
    theirs = np.genfromtxt(
        real_data / "tsb_ad_u" / "001_NAB_id_1_Facility_tr_1007_1st_2014.csv", delimiter=",", skip_header=1
    )
    np.testing.assert_allclose(ours.values, theirs[:, 0], rtol=1e-15)  # the last digit was printed otherwise
    np.testing.assert_array_equal(ours.labels, theirs[:, 1].astype(bool))


@pytest.mark.parametrize("name", SHORT)
def test_sub_pca_reaches_the_published_figure(real_data: Path, name: str) -> None:
    one = next(s for s in nab.nab14(real_data) if s.name == name)
    found = c4_nab14.tsb_score(NAMED["sub_pca_transductive"], one)
    assert found == pytest.approx(one.published["Sub-PCA"], abs=0.01)


@pytest.mark.parametrize("name", SHORT)
def test_the_matrix_profile_reaches_the_published_figure(real_data: Path, name: str) -> None:
    one = next(s for s in nab.nab14(real_data) if s.name == name)
    assert c4_nab14.tsb_profile(one) == pytest.approx(one.published["MatrixProfile"], abs=0.01)


def test_the_recipe_measures_every_baseline_in_both_protocols(tmp_path: Path) -> None:
    result = c4_nab14.run(recipe.Options(cache=tmp_path, short=True))
    rows = {row.measure: row for row in result.rows}
    for baseline in BASELINES:
        for protocol in ("TSB-AD's protocol", "leak-free"):
            row = rows[f"{protocol}: {baseline.title}"]
            assert row.value is not None and 0 < row.value <= 1
            assert row.met is None
    chance, found = rows["leak-free: random"].value, rows["leak-free: Sub-PCA"].value
    assert chance is not None and found is not None and chance < found
