"""The imputer and what it stands on: its landmarks, its loss, its intervals, and what a VAE says of missing cells."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from elboroom.core.batch import Batch
from elboroom.core.errors import InputError, Unable
from elboroom.core.spec import Column, Spec
from elboroom.data.landmarks import choose_landmarks, greedy_columns
from elboroom.data.reading import Reading
from elboroom.data.source import read
from elboroom.engine.runtime import seed_draws
from elboroom.fitting import fit
from elboroom.models.imputer import Imputer
from elboroom.models.vae import VAE
from elboroom.nn.weighted import WeightedMoments
from elboroom.report.contents import read_run
from elboroom.report.verdict import verdict
from elboroom.run import Run

ROWS, TRUE_SD = 1500, 0.5
NAMES = [f"x{i}" for i in range(8)]
LOADING = np.random.default_rng(7).normal(size=(2, 8))


def rows(seed: int = 0, n: int = ROWS) -> np.ndarray:
    """Eight columns of two factors: x0 and x1 are the factors, the others their sums, all with noise on the sums."""
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(n, 2))
    x = factors @ LOADING + TRUE_SD * rng.normal(size=(n, 8))
    x[:, :2] = factors
    return x


def spec(**words: Any) -> Spec:
    columns = tuple(Column(name=name) for name in NAMES)
    return Spec(kind="table", shape=(8,), scale="none", columns=columns, **words)


@pytest.fixture(scope="module")
def landmark_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    reading = Reading(observed=("x0", "x1"), split=(0.6, 0.2, 0.2))
    settings = {"hidden": [], "lr": 0.01}
    return fit(
        "imputer", rows(), run=tmp_path_factory.mktemp("l") / "run", reading=reading, settings=settings, epochs=25
    )


@pytest.fixture(scope="module")
def masking_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    x = rows()
    x[np.random.default_rng(3).random(x.shape) < 0.05] = np.nan
    reading, settings = Reading(split=(0.6, 0.2, 0.2)), {"hidden": [64], "dropout": 0.0, "lr": 0.003}
    return fit("imputer", x, run=tmp_path_factory.mktemp("m") / "run", reading=reading, settings=settings, epochs=25)


def beside(run: Run, key: str, name: str) -> float:
    return next(r["value"] for r in run.metrics[key]["references"] if r["name"].startswith(name))


def test_from_landmarks_it_reaches_the_error_that_noise_leaves(landmark_run: Run) -> None:
    told = landmark_run.impute(np.where(np.arange(8) < 2, rows(1), np.nan))
    error = np.sqrt(np.square(told.x - rows(1))[:, 2:].mean())
    assert error == pytest.approx(TRUE_SD, rel=0.04)


def test_its_stated_spread_is_that_of_the_noise_and_covers_nine_of_ten(landmark_run: Run) -> None:
    x = rows(2)
    told = landmark_run.impute(np.where(np.arange(8) < 2, x, np.nan))
    assert told.sd[:, 2:] == pytest.approx(TRUE_SD, rel=0.15)
    inside = np.abs(told.x - x)[:, 2:] <= 1.645 * told.sd[:, 2:]
    assert inside.mean() == pytest.approx(0.9, abs=0.03)
    measured = landmark_run.metrics["interval_coverage"]
    assert measured["value"] == pytest.approx(0.9, abs=0.03)


def test_ridge_regression_stands_beside_it_and_a_linear_imputer_equals_it(landmark_run: Run) -> None:
    assert landmark_run.metrics["r2"]["value"] == pytest.approx(beside(landmark_run, "r2", "ridge"), abs=0.01)
    assert landmark_run.metrics["r2"]["value"] > beside(landmark_run, "r2", "mean of each column") == 0
    assert landmark_run.metrics["mae"]["value"] < beside(landmark_run, "mae", "mean of each column")


def test_only_columns_that_were_asked_for_are_in_the_table_of_columns(landmark_run: Run) -> None:
    from elboroom.artifacts.files import read_json

    details = read_json(landmark_run.folder.details)
    assert [c["name"] for c in details["columns"]] == NAMES[2:]
    assert details["imputation"]["landmarks"] == ["x0", "x1"]
    assert {"mae_model", "r2_model", "r2_ridge", "r2_nearest", "correlation_model"} <= details["columns"][0].keys()
    page = (landmark_run.path / "report.html").read_text(encoding="utf-8")
    assert "Missing cells by column" in page and "Information recovered" in page


def test_measured_cells_come_back_as_they_were_and_hold_no_spread(masking_run: Run) -> None:
    x = rows(4, 50)
    x[::3, 5] = np.nan
    told = masking_run.impute(x)
    there = np.isfinite(x)
    np.testing.assert_array_equal(told.x[there], x[there].astype(np.float32))
    assert (told.sd[there] == 0).all() and (told.sd[~there] > 0).all()
    assert np.isfinite(told.x).all() and told.filled == int((~there).sum())


def test_any_cell_may_be_missing_where_no_column_is_named(masking_run: Run) -> None:
    x = rows(5)
    hidden = np.random.default_rng(0).random(x.shape) < 0.2
    told = masking_run.impute(np.where(hidden, np.nan, x))
    explained = 1 - np.square(told.x - x)[hidden].sum() / np.square(x.mean(0) - x)[hidden].sum()
    assert explained > 0.6
    assert (np.abs(told.x - x) <= 1.645 * told.sd)[hidden].mean() == pytest.approx(0.9, abs=0.03)
    assert masking_run.metrics["r2"]["value"] > beside(masking_run, "r2", "ridge") - 0.05


def test_columns_the_data_lack_and_columns_called_unmeasured_are_filled_in_alike(landmark_run: Run) -> None:
    x = rows(6, 40)
    alone = landmark_run.impute(x[:, :2])
    np.testing.assert_array_equal(alone.x, landmark_run.impute(x, observed=["x0", "x1"]).x)
    assert alone.filled == 40 * 6
    with pytest.raises(InputError, match="x9: the run knows no such column"):
        landmark_run.impute(x, observed=["x9"])


def test_the_loss_asks_for_hidden_cells_alone_and_no_missing_cell_has_a_say() -> None:
    model = Imputer(Imputer.Config(hidden=()), spec(observed=(0, 1), masked=True))
    x, seen = torch.randn(6, 8), torch.ones(6, 8, dtype=torch.bool)
    seen[0, 4] = False
    with torch.no_grad():
        loss, logs = model.loss(Batch(x, observed=seen), torch.zeros(()))
    asked = seen.clone()
    asked[:, :2] = False  # at first every law is N(0, 1 + 0.01), the floor of the standard deviation
    nats = 0.5 * (x / 1.01).square() + math.log(1.01) + 0.5 * math.log(2 * math.pi)
    assert float(loss) == pytest.approx(float((nats * asked).sum() / 6), rel=1e-5)
    assert float(logs["cell_nats"]) == pytest.approx(float((nats * asked).sum() / asked.sum()), rel=1e-5)


def test_targets_never_reach_the_network_that_tells_them() -> None:
    model = Imputer(Imputer.Config(hidden=(4,), dropout=0.0), spec(observed=(0, 1)))
    torch.nn.init.normal_(model.network.last.weight)
    x = torch.randn(3, 8)
    other = x.clone()
    other[:, 2:] += 1
    shown = torch.ones(3, 8, dtype=torch.bool)
    assert torch.equal(model.law(x, shown).mean, model.law(other, shown).mean)


def test_a_landmark_that_is_missing_at_first_is_told_as_its_mean(landmark_run: Run) -> None:
    x = rows(8, 30)
    x[:, 1] = np.nan
    center = float(landmark_run.transform.center[1])  # type: ignore[arg-type]
    assert landmark_run.impute(x).x[:, 1] == pytest.approx(center, abs=1e-6)


def test_greedy_landmarks_span_a_table_of_low_rank_and_are_the_same_every_time() -> None:
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(200, 4)) @ rng.normal(size=(4, 30))).astype(np.float32)
    chosen = greedy_columns(x, 4, np.ones(30, bool))
    assert chosen == greedy_columns(x, 4, np.ones(30, bool))
    off = x - x.mean(0)
    left = off - off[:, chosen] @ np.linalg.lstsq(off[:, chosen], off, rcond=None)[0]
    assert np.square(left).sum() < 1e-6 * np.square(off).sum()
    assert len(greedy_columns(x, 9, np.ones(30, bool))) == 4


def test_each_greedy_landmark_explains_the_most_by_brute_force() -> None:
    x = np.random.default_rng(1).normal(size=(60, 7)) @ np.random.default_rng(2).normal(size=(7, 7))
    e = (x - x.mean(0)) / x.std(0)

    def left(columns: list[int]) -> float:
        return float(np.square(e - e[:, columns] @ np.linalg.lstsq(e[:, columns], e, rcond=None)[0]).sum())

    chosen: list[int] = []
    for _ in range(4):
        chosen.append(min((i for i in range(7) if i not in chosen), key=lambda i: left([*chosen, i])))
    assert greedy_columns(x.astype(np.float32), 4, np.ones(7, bool)) == chosen


def test_chosen_landmarks_are_written_down_and_read_again(tmp_path: Path) -> None:
    run = fit("imputer", rows(), run=tmp_path / "run", settings={"landmarks": 2, "hidden": [8]}, steps=5)
    names = run.meta["data"]["reading"]["observed"]
    assert len(names) == 2 and "greedily" in run.meta["choices"]["landmarks"]
    assert [run.spec.columns[i].name for i in run.spec.observed] == names
    again = run.resume(source=rows(), steps=5)
    assert again.spec.observed == run.spec.observed and again.meta["step"] == 10


def test_impossible_landmarks_are_refused_with_what_to_do(tmp_path: Path) -> None:
    dataset = read(rows(), Reading())
    with pytest.raises(InputError, match="choose fewer"):
        choose_landmarks(dataset.parts["train"], dataset.transform, dataset.spec, 8)
    with pytest.raises(InputError, match="--observed x99: there is no such column"):
        read(rows(), Reading(observed=("x99",)))
    with pytest.raises(InputError, match="none left to tell"):
        read(rows(), Reading(observed=tuple(NAMES)))
    with pytest.raises(InputError, match="give one of the two"):
        fit("imputer", rows(), reading=Reading(observed=("x0",)), settings={"landmarks": 3}, steps=1)
    with pytest.raises(Unable, match=r"autoencoder does not tell columns from others; .*imputer"):
        fit("autoencoder", rows(), reading=Reading(observed=("x0",)), steps=1)


def test_weighted_moments_are_those_of_all_draws_at_once() -> None:
    seed_draws(0)
    logs, means, sds = torch.randn(9, 4) * 30, torch.randn(9, 4, 3), torch.rand(9, 4, 3)
    moments = WeightedMoments()
    for i in range(9):
        moments.add(logs[i], means[i], sds[i])
    w = logs.softmax(0)[..., None]
    mean = (w * means).sum(0)
    found = moments.result()
    torch.testing.assert_close(found[0], mean)
    torch.testing.assert_close(found[1], ((w * (sds**2 + means**2)).sum(0) - mean**2).sqrt(), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(moments.top[0], means[logs.argmax(0), torch.arange(4)])


def test_a_linear_vae_tells_missing_cells_as_its_own_gaussian_does() -> None:
    """x = W z + b + noise: E[x_m given x_o] is known, whatever the encoder; importance weights must find it."""
    seed_draws(1)
    model = VAE(VAE.Config(latent=1, hidden=(), likelihood="gaussian"), spec()).eval()
    weight, bias = model.decoder.last.weight.detach(), model.decoder.last.bias.detach()
    noise = model.head.stddev.detach()
    x = torch.randn(5, 8)
    seen = torch.ones(5, 8, dtype=torch.bool)
    seen[:, 3] = seen[:, 6] = False
    drawn = [model.impute(Batch(torch.where(seen, x, 0.0), observed=seen)) for _ in range(15)]
    told = torch.stack([mean for mean, _ in drawn])
    at = seen[0]
    w = weight[at, 0] / noise[at] ** 2
    z = ((x[:, at] - bias[at]) * w).sum(1) / (1 + (weight[at, 0] * w).sum())
    exact = bias + z[:, None] * weight[:, 0]
    error = told.std(0)[:, ~at] / 15**0.5
    assert bool(((told.mean(0) - exact)[:, ~at].abs() < 4 * error + 0.02).all())
    assert torch.equal(told[0][:, at], x[:, at])


@pytest.mark.slow
def test_a_vae_with_named_columns_is_measured_by_what_it_tells_of_the_others(tmp_path: Path) -> None:
    reading = Reading(observed=tuple(NAMES[:5]), split=(0.6, 0.2, 0.2))
    run = fit(
        "vae", rows(n=240), run=tmp_path / "run", reading=reading, settings={"latent": 2, "hidden": [32]}, steps=300
    )
    assert "columns told from 5" in run.metrics["r2"]["how"]
    assert run.metrics["r2"]["value"] > 0.3
    assert np.isfinite(run.impute(rows(9, 20)[:, :5]).x).all()


def test_a_model_that_cannot_impute_names_those_that_can(tmp_path: Path) -> None:
    run = fit("autoencoder", rows(n=80), run=tmp_path / "run", steps=2)
    with pytest.raises(Unable, match=r"autoencoder cannot impute; .*imputer.*vae"):
        run.impute(rows(n=5))
    assert dataclasses.is_dataclass(Imputer.Config)


def test_counts_categories_and_flags_are_told_by_their_own_laws(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lines = ["size,visits,ward,ill"]
    for _ in range(600):
        ward = rng.integers(3)
        lines.append(f"{rng.normal(3 * ward, 0.3):.3f},{rng.poisson(4 + 8 * ward)},{'abc'[ward]},{int(ward == 2)}")
    table = tmp_path / "wards.csv"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    reading = Reading(observed=("size",))
    run = fit("imputer", str(table), run=tmp_path / "run", reading=reading, settings={"lr": 0.01}, epochs=12)
    new = tmp_path / "new.csv"
    new.write_text("size\n0\n3\n6\n", encoding="utf-8")
    told = run.impute(str(new))
    ward, visits, ill = (told.x[:, [c.name for c in told.columns].index(n)] for n in ("ward", "visits", "ill"))
    assert ward.tolist() == [0, 1, 2]
    assert visits == pytest.approx([4, 12, 20], rel=0.2)
    assert ill[0] < 0.1 < 0.9 < ill[2]


def test_its_report_says_that_hidden_cells_were_told(landmark_run: Run) -> None:
    said = verdict(read_run(landmark_run.path))
    assert said.startswith("It tells hidden cells of rows it has not seen with a mean error of")
    assert "standard deviations" in said
