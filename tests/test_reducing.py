"""What the recipes on dimension reduction and denoising compute: known codes, known errors, the tales' titles."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import elboroom as elbo

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import a2_denoiser, a3_reduction, reducing  # noqa: E402
from benchmarks.reducing import Held  # noqa: E402


def clouds(n: int, seed: int, *, mixed: bool = False) -> Held:
    """Three clouds far apart; `mixed` codes know nothing of them."""
    rng = np.random.default_rng(seed)
    label = np.arange(n) % 3
    x = np.eye(3)[label] * 20 + rng.normal(size=(n, 3))
    z = rng.normal(size=(n, 2)) if mixed else x[:, :2]
    return Held(x, z, x + 0.5, label)


def test_codes_that_hold_the_clouds_apart_get_the_labels_and_codes_of_noise_do_not() -> None:
    good = a3_reduction.judged(clouds(150, 0), clouds(90, 1))
    noise = a3_reduction.judged(clouds(150, 0, mixed=True), clouds(90, 1, mixed=True))
    assert good["squared error"][0].value == pytest.approx(0.25)
    assert good["label of the neighbours"][0].value == 1 == good["clusters against labels (ARI)"][0].value
    assert good["trustworthiness"][0].value > 0.9 > 0.6 > noise["trustworthiness"][0].value
    assert noise["label of the neighbours"][0].value < 0.6
    assert noise["clusters against labels (ARI)"][0].value == pytest.approx(0, abs=0.1)
    found = noise["clusters against labels (ARI)"][0]
    assert found.low < found.value < found.high


def test_the_linear_code_rebuilds_rank_two_data_and_pca_minds_the_mean_where_svd_does_not() -> None:
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(2, 6))
    both = [rng.normal(size=(80, 2)) @ plane + 5 for _ in range(2)]
    train, test = (Held(x, x, x, np.zeros(80, int)) for x in both)
    errors = {}
    for counts in (False, True):
        _, held = a3_reduction.linear(train, test, 2, counts=counts)
        errors[counts] = float(np.square(held.x - held.made).mean())
    assert errors[False] == pytest.approx(0, abs=1e-10)
    assert errors[True] > 0.01


def test_rows_of_a_run_are_its_own_test_part_and_counts_are_stated_as_logarithms(tmp_path: Path) -> None:
    place = reducing.by_paragraph(tmp_path, short=True)
    settings = {"noise": "masking", "level": 0.5, "latent": 2, "hidden": (8,)}
    reading = {"kind": "documents", "label": "tale", "columns": ("text",)}
    run = elbo.fit("denoiser", str(place), **reading, **settings, steps=3, threads=1)
    held = reducing.rows_of(run, "test", 1000)
    assert len(held.x) == len(held.z) == len(held.label) == 12
    assert np.allclose(np.expm1(held.x).sum(1), 25)  # every document has 25 words
    whole, none = (a2_denoiser.told_again(run, share) for share in (1.0, 0.0))
    assert np.allclose(none["noisy"], 0)
    np.testing.assert_allclose(whole["noisy"], np.square(held.x).mean(1))
    assert whole["truncated SVD"].mean() == pytest.approx(whole["noisy"].mean())  # nothing goes in, nothing comes out
    assert none["truncated SVD"].mean() < none["mean document"].mean()


def test_what_a_law_of_counts_expects_of_the_logarithm_is_the_mean_over_its_draws(tmp_path: Path) -> None:
    place = reducing.by_paragraph(tmp_path, short=True)
    reading = {"kind": "documents", "label": "tale", "columns": ("text",)}
    run = elbo.fit("autoencoder", str(place), **reading, latent=2, steps=60, lr=1e-2, threads=1)
    torch.manual_seed(0)
    with torch.no_grad():
        law = run.model.decode(torch.rand(3, 2))
        drawn = torch.stack([law.sample() for _ in range(4000)]).double().log1p()
    error = drawn.std(0) / 4000**0.5
    assert np.all(np.abs(reducing.told(run, law) - drawn.mean(0).numpy()) < 5 * error.numpy() + 1e-4)


def test_paragraphs_of_the_tales_carry_the_title_above_them(real_data: Path) -> None:
    found = reducing.tales((real_data / "text" / "grimm.txt").read_text(encoding="utf-8-sig"))
    titles = list(dict.fromkeys(row["tale"] for row in found))
    assert 55 <= len(titles) <= 70
    assert titles[0] == "The Golden Bird" and titles[-1] == "Snow-White And Rose-Red"
    assert all("Gutenberg" not in row["text"] for row in found)
    assert {row["tale"] for row in found if "rampion" in row["text"]} == {"Rapunzel"}
