"""Measures of noise taken off: the filter, the curve, and what stands beside the model."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter as reference_filter

import elboroom as elbo
from elboroom.evaluate_denoising import gaussian_filter


def curve_of(run: elbo.Run) -> dict[str, Any]:
    curve: dict[str, Any] = json.loads((run.path / "details.json").read_text(encoding="utf-8"))["denoising"]
    return curve


@pytest.mark.parametrize("sd", [0.5, 1.25])
def test_the_gaussian_filter_is_scipys(sd: float) -> None:
    x = torch.rand(2, 3, 12, 9, dtype=torch.float64)
    expected = reference_filter(x.numpy(), (0, 0, sd, sd), mode="nearest", radius=math.ceil(4 * sd))
    np.testing.assert_allclose(gaussian_filter(x, sd).numpy(), expected, atol=1e-12)


def test_noise_is_taken_off_digits_better_than_by_pca_and_a_filter_and_the_report_shows_it(tmp_path: Path) -> None:
    settings = {"latent": 16, "hidden": (128,), "batch_size": 32, "lr": 2e-3}
    run = elbo.fit("denoiser", "digits", run=tmp_path / "run", epochs=30, threads=1, seed=1, **settings)
    found = run.metrics["denoised_psnr_db"]
    beside = {reference["name"].split(",")[0]: reference["value"] for reference in found["references"]}
    assert set(beside) == {"noisy input", "PCA", "Gaussian filter"}
    # clipping to [0, 1] takes some noise off: unclipped the noisy input would have 20 log10(1 / 0.2) = 14 dB
    assert 14 < beside["noisy input"] < 17
    assert found["low"] > max(beside.values())
    curve = curve_of(run)
    assert [point["level"] for point in curve["points"]] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    noisy = [point["noisy"]["value"] for point in curve["points"]]
    assert noisy == sorted(noisy, reverse=True)
    assert curve["points"][1]["model"]["value"] == found["value"]
    assert [p["filter_sd"] for p in curve["points"]] == sorted(p["filter_sd"] for p in curve["points"])
    page = (run.path / "report.html").read_text(encoding="utf-8")
    assert 'id="denoising"' in page and "denoising.csv" in page


def test_rows_of_a_table_are_judged_by_squared_error_and_shares_above_one_are_not_asked() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 2)) @ rng.normal(size=(2, 6))
    settings = {"latent": 2, "hidden": (32,), "noise": "masking", "level": 0.6, "batch_size": 32, "lr": 3e-3}
    run = elbo.fit("denoiser", x, steps=600, threads=1, seed=1, **settings)
    found = run.metrics["denoised_mse"]
    beside = {reference["name"]: reference["value"] for reference in found["references"]}
    assert set(beside) == {"noisy input", "PCA, 2 dimensions"}
    assert beside["noisy input"] == pytest.approx(0.6, abs=0.2)  # of columns of variance 1, a share of 0.6 set to 0
    assert found["value"] < min(beside.values())
    assert [point["times"] for point in curve_of(run)["points"]] == [0.5, 1.0, 1.5]
