"""Discrete codes, their law, and what both cost."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import torch

from elboroom.api import fit
from elboroom.core import registry
from elboroom.core.batch import Batch
from elboroom.core.spec import Spec

VQVAE = registry.load("vqvae")
SPEC = Spec(kind="images", shape=(1, 8, 8), scale="levels:16", levels=16, low=0.0, high=15.0)


def made(**settings: Any) -> Any:
    torch.manual_seed(0)
    small = {"codes": 6, "code_width": 3, "places": 2, "width": 8, "prior_width": 64, "prior_layers": 1}
    return VQVAE(VQVAE.Config(**{**small, **settings}), SPEC).eval()


def pictures(n: int = 5) -> Batch:
    return Batch(torch.randint(0, 16, (n, 1, 8, 8)).float())


@pytest.mark.parametrize("settings", [{}, {"quantizer": "scalars", "levels": (3, 2)}])
def test_probabilities_of_all_rows_of_codes_sum_to_one(settings: dict[str, Any]) -> None:
    model = made(**settings)
    places = model.places
    rows = torch.cartesian_prod(*[torch.arange(model.codes)] * places).reshape(-1, places)
    with torch.no_grad():
        total = (-model.number_nats(rows).sum(1)).exp().sum()
    assert abs(float(total) - 1) < 1e-4


def test_its_bound_is_the_price_of_the_codes_and_of_x_given_them() -> None:
    model, batch = made(), pictures()
    with torch.no_grad():
        weights = model.log_weights(batch, 3)
        numbers = model.numbers(batch)
        x = model.outcome(model.quantizer.vectors(numbers)).log_prob(batch.x)
    assert weights.shape == (3, 5)
    torch.testing.assert_close(weights[1], x - model.number_nats(numbers).sum(1))


def test_codes_that_encode_gives_decode_to_the_reconstruction() -> None:
    model, batch = made(backbone="conv"), pictures()
    with torch.no_grad():
        _, vectors, _, _ = model.quantized(batch)
        torch.testing.assert_close(model.decode(model.encode(batch).mean).mean, model.outcome(vectors).mean)


def test_samples_follow_the_prior() -> None:
    """Numbers drawn place by place come as often as the prior says; decoded alike, they are told by their codes."""
    model = made()
    drawn: list[torch.Tensor] = []
    model.outcome, held = lambda vectors: drawn.append(vectors) or held(vectors), model.outcome
    torch.manual_seed(3)
    with torch.no_grad():
        model.sample(4000)
        numbers = torch.cdist(drawn[0], model.quantizer.all_vectors()).argmin(2)
        rows = torch.cartesian_prod(torch.arange(6), torch.arange(6))
        expected = 4000 * (-model.number_nats(rows).sum(1)).exp()
    counts = torch.bincount(numbers[:, 0] * 6 + numbers[:, 1], minlength=36)
    chi_square = float(((counts - expected).square() / expected).sum())
    assert chi_square < 70  # 35 degrees of freedom: the 99.96 % point


@pytest.mark.slow
def test_the_codes_stand_still_while_their_law_is_fitted(tmp_path: Any) -> None:
    run = fit(
        "vqvae", "digits", scale="levels:16", steps=200, codes=16, code_width=4, places=4, width=32, prior_layers=1,
        prior_width=64, run=tmp_path / "run", threads=1, seed=1,
    )  # fmt: skip
    rows = [json.loads(line) for line in (run.path / "history.jsonl").read_text().splitlines()]
    name = "valid/autoencoder.distortion_nats"
    late = [row[name] for row in rows if name in row and row["step"] > 141]
    assert len(late) > 1
    assert np.ptp(late) < 1e-6 * late[0]
    found = run.metrics
    assert found["codebook_usage"]["value"] > 0.9
    bits = found["prior_bits_per_code"]
    assert bits["value"] < math.log2(16)
    assert [r["name"] for r in bits["references"]] == ["order 0", "uniform"]
    whole = (found["rate_nats"]["value"] + found["distortion_nats"]["value"]) / math.log(2) / 64
    assert math.isclose(found["bits_per_dim"]["value"], whole, rel_tol=1e-5)
    assert found["bits_per_dim"]["value"] < 4
