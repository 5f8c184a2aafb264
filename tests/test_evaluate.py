"""evaluate() on a hand-made linear Gaussian model whose likelihood is known, and on real models and data."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal

from elboroom.core.abilities import Bounds, Decodes, Encodes, Samples
from elboroom.core.batch import Batch
from elboroom.core.errors import InputError
from elboroom.core.model import Model
from elboroom.core.phase import Phase
from elboroom.core.spec import Spec
from elboroom.data.reading import Reading
from elboroom.data.rows import Resident
from elboroom.data.source import read
from elboroom.evaluate import FLOATS_AT_ONCE, evaluate, held_out
from elboroom.models.autoencoder import Autoencoder
from elboroom.models.vae import VAE
from elboroom.quality import MEASURES as QUALITY

LATENT, NOISE = 2, 0.6


class Seen:
    """The normal law of x around a mean."""

    def __init__(self, mean: Tensor) -> None:
        self.mean = mean

    def sample(self) -> Tensor:
        return Normal(self.mean, NOISE).sample()

    def log_prob(self, x: Tensor, observed: Tensor | None = None) -> Tensor:
        terms = Normal(self.mean, NOISE).log_prob(x)
        return (terms if observed is None else torch.where(observed, terms, 0.0)).sum(-1)


@dataclass
class Proposal:
    mean: Tensor
    stddev: Tensor

    def rsample(self) -> Tensor:
        return self.mean + self.stddev * torch.randn_like(self.mean)


class Linear(Model, Samples, Encodes, Decodes, Bounds):
    """Probabilistic PCA with fixed weights; the proposal is the exact posterior, stretched by `stretch`."""

    def __init__(self, spec: Spec, stretch: float = 1.2) -> None:
        super().__init__(None, spec)
        q, _ = torch.linalg.qr(torch.randn(spec.size, LATENT, generator=torch.Generator().manual_seed(3)))
        self.w = torch.nn.Parameter(q * torch.tensor([1.5, 0.9]))
        self.precision = (self.w.square().sum(0) / NOISE**2 + 1).detach()
        self.stretch = stretch
        self.draws = 0
        self.most = 0

    def phases(self) -> list[Phase]:
        return []

    def encode(self, batch: Batch) -> Proposal:
        mean = batch.x @ self.w / NOISE**2 / self.precision
        return Proposal(mean, (self.stretch / self.precision.sqrt()).expand_as(mean))

    def decode(self, z: Tensor) -> Seen:
        return Seen(z @ self.w.T)

    def sample(self, n: int, *, temperature: float = 1.0, mean: bool = False) -> Tensor:
        p = self.decode(temperature * torch.randn(n, LATENT))
        return p.mean if mean else p.sample()

    def log_weights(self, batch: Batch, samples: int) -> Tensor:
        self.draws += samples * len(batch)
        self.most = max(self.most, samples * len(batch))
        q = self.encode(batch)
        z = q.mean + q.stddev * torch.randn(samples, *q.mean.shape)
        prior = Normal(0.0, 1.0).log_prob(z).sum(-1)
        return self.decode(z).log_prob(batch.x) + prior - Normal(q.mean, q.stddev).log_prob(z).sum(-1)

    def exact(self, x: Tensor) -> Tensor:
        w = self.w.detach()
        return MultivariateNormal(torch.zeros(len(w)), w @ w.T + NOISE**2 * torch.eye(len(w))).log_prob(x)


def gaussian_data(n: int = 400) -> Any:
    spec = Spec(kind="table", shape=(5,), scale="none")
    model = Linear(spec)
    with torch.no_grad():
        torch.manual_seed(1)
        x = model.sample(n).numpy()
    return read(x, Reading(scale="none"), seed=0)


@pytest.fixture(scope="module")
def linear() -> tuple[Linear, Any]:
    data = gaussian_data()
    return Linear(data.spec), data


@pytest.fixture(scope="module")
def digits() -> Any:
    return read("digits", seed=0)


def small_vae(spec: Spec, **settings: Any) -> VAE:
    torch.manual_seed(0)
    return VAE(VAE.Config(latent=4, hidden=(32,), **settings), spec)


def test_a_linear_models_bound_is_within_three_standard_errors_of_its_exact_log_likelihood(linear):
    model, data = linear
    found = evaluate(model, data.transform, data.spec, data, samples=5000, seed=1)
    x = data.transform(data.parts["test"].take(torch.arange(len(data.parts["test"])))).x
    exact = model.exact(x).double()
    measure = found.metrics["log_likelihood_nats"]
    error = found.details["bound"]["monte_carlo_error_nats"]
    assert measure["n"] == len(x)
    assert abs(measure["value"] - exact.mean().item()) < 3 * error
    assert found.metrics["elbo_nats"]["value"] < exact.mean().item() - 10 * error
    np.testing.assert_allclose(found.per_example["log_likelihood_nats"], exact.numpy(), atol=0.1)


def test_rate_and_distortion_are_the_closed_forms_and_sum_to_minus_the_elbo(linear):
    model, data = linear
    found = evaluate(model, data.transform, data.spec, data, seed=1)
    x = data.transform(data.parts["test"].take(torch.arange(len(data.parts["test"])))).x
    q = model.encode(Batch(x))
    rate = torch.distributions.kl_divergence(Normal(q.mean, q.stddev), Normal(0.0, 1.0)).sum(1).mean().item()
    value = {name: found.metrics[name]["value"] for name in ("elbo_nats", "rate_nats", "distortion_nats")}
    assert value["rate_nats"] == pytest.approx(rate, rel=1e-5)
    assert -value["elbo_nats"] == pytest.approx(value["rate_nats"] + value["distortion_nats"])
    # E_q[-log p(x | z)] of a linear decoder: the error of the mean, and the spread of z seen through w
    off = (x - q.mean @ model.w.T).square().sum(1) + (q.stddev.square() * model.w.square().sum(0)).sum(1)
    closed = (off / (2 * NOISE**2)).mean().item() + 5 * math.log(NOISE * math.sqrt(2 * math.pi))
    assert value["distortion_nats"] == pytest.approx(closed, abs=0.1)


def test_exactly_k_draws_an_example_are_made_for_the_bound(linear):
    model, data = linear
    n = len(data.parts["test"])
    for samples in (50, 333):
        evaluate(model, data.transform, data.spec, data, samples=samples, baselines=False)
        model.draws = 0
        found = evaluate(model, data.transform, data.spec, data, samples=samples, baselines=False)
        elbo_draws = min(20, math.ceil(2000 / n)) * n
        probe = 2  # one example, twice, to see how wide the layers are
        assert model.draws == samples * n + elbo_draws + probe
        assert f"K = {samples}" in found.metrics["log_likelihood_nats"]["how"]


def test_draws_are_decoded_in_chunks_that_fit_and_their_size_changes_no_total(linear, monkeypatch):
    _, data = linear
    wide = evaluate(Linear(data.spec), data.transform, data.spec, data, samples=400, baselines=False)
    monkeypatch.setitem(FLOATS_AT_ONCE, "cpu", 1000)
    model = Linear(data.spec)
    tight = evaluate(model, data.transform, data.spec, data, samples=400, baselines=False)
    assert model.most * data.spec.size <= 1000
    a, b = (found.metrics["log_likelihood_nats"]["value"] for found in (wide, tight))
    assert a == pytest.approx(b, abs=6 * wide.details["bound"]["monte_carlo_error_nats"])


def test_the_gap_is_the_bound_minus_the_elbo_of_the_same_draws(linear):
    model, data = linear
    found = evaluate(model, data.transform, data.spec, data, seed=1)
    gap = found.metrics["posterior_gap_nats"]
    curve = found.details["bound_by_samples"]
    assert gap["value"] == pytest.approx(curve[-1]["value"] - curve[0]["value"])
    assert gap["low"] > 0  # the proposal is off, and the paired interval sees it


def test_an_exact_posterior_leaves_no_gap():
    data = gaussian_data()
    model = Linear(data.spec, stretch=1.0)
    found = evaluate(model, data.transform, data.spec, data)
    assert found.metrics["posterior_gap_nats"]["value"] == pytest.approx(0, abs=1e-4)
    assert found.details["bound"]["effective_samples"]["lowest"] == pytest.approx(100, rel=1e-3)


def test_measures_repeat_to_the_bit_and_leave_the_default_generator_alone(digits):
    model = small_vae(digits.spec)
    torch.manual_seed(5)
    want = torch.rand(3)
    torch.manual_seed(5)
    one = evaluate(model, digits.transform, digits.spec, digits, seed=2)
    assert torch.equal(torch.rand(3), want)
    torch.rand(100)
    two = evaluate(model, digits.transform, digits.spec, digits, seed=2)
    assert one.metrics == two.metrics
    assert one.details == two.details
    assert evaluate(model, digits.transform, digits.spec, digits, seed=3).metrics != one.metrics


def test_the_model_stays_in_training_mode_and_without_gradients(digits):
    model = small_vae(digits.spec).train()
    evaluate(model, digits.transform, digits.spec, digits)
    assert model.training
    assert all(p.grad is None for p in model.parameters())


def test_abilities_decide_which_measures_there_are(digits):
    torch.manual_seed(0)
    plain = Autoencoder(Autoencoder.Config(latent=4), digits.spec)
    found = set(evaluate(plain, digits.transform, digits.spec, digits).metrics)
    shared = {
        "reconstruction_bce",
        "reconstruction_mse",
        "psnr_db",
        "active_units",
        "trustworthiness",
        "neighbour_accuracy",
    }
    assert found == shared
    bound = {"elbo_nats", "rate_nats", "distortion_nats", "log_likelihood_nats", "posterior_gap_nats"}
    samples = {*QUALITY, "modes_found", "mode_kl", "memorised_share"}
    assert (
        set(evaluate(small_vae(digits.spec), digits.transform, digits.spec, digits).metrics) == shared | bound | samples
    )


def test_bits_per_dim_are_given_where_x_is_discrete_with_uniform_and_independent_pixels_beside():
    data = read("digits", Reading(scale="levels:16"), seed=0)
    found = evaluate(small_vae(data.spec), data.transform, data.spec, data).metrics
    bits, elbo = found["bits_per_dim"], found["elbo_nats"]
    assert bits["value"] == pytest.approx(-elbo["value"] / (64 * math.log(2)))
    beside = {r["name"]: r["value"] for r in bits["references"]}
    assert beside["uniform"] == pytest.approx(4.0)
    assert beside["independent pixels"] == pytest.approx(2.3, abs=0.1)
    assert {r["name"] for r in found["reconstruction_mse"]["references"]} == {"PCA, 4 dimensions", "constant per pixel"}


def test_a_code_as_wide_as_the_data_has_no_pca_beside_it():
    rows = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    data = read(rows, seed=0)
    names = {}
    for latent in (2, 3):
        config = VAE.Config(latent=latent, hidden=(4,))
        found = evaluate(VAE(config, data.spec), data.transform, data.spec, data).metrics
        names[latent] = {r["name"] for r in found["reconstruction_mse"]["references"]}
    assert names == {2: {"PCA, 2 dimensions", "constant per cell"}, 3: {"constant per cell"}}


def test_the_cross_entropy_stands_above_its_entropy_floor(digits):
    found = evaluate(small_vae(digits.spec), digits.transform, digits.spec, digits)
    bce = found.metrics["reconstruction_bce"]
    beside = {r["name"]: r["value"] for r in bce["references"]}
    assert bce["value"] > beside["entropy floor"] == pytest.approx(found.details["entropy_floor"])
    assert found.details["bce_excess"]["value"] == pytest.approx(bce["value"] - beside["entropy floor"])


def test_labels_give_neighbour_accuracy_beside_pca_and_raw_pixels(digits):
    found = evaluate(small_vae(digits.spec), digits.transform, digits.spec, digits).metrics["neighbour_accuracy"]
    beside = {r["name"]: r["value"] for r in found["references"]}
    assert beside["x itself"] > 0.9 > beside["PCA, 4 dimensions"] > 0.6 > beside["largest class"]


def test_missing_cells_count_nowhere(tmp_path):
    rng = np.random.default_rng(0)
    town = rng.choice(["here", "there", "away"], size=300)
    a = rng.normal(20, 5, size=300)
    rows = [
        "a,b,town",
        *(f"{x:.3f},{3 * x + y:.3f},{t}" for x, y, t in zip(a, rng.normal(size=300), town, strict=True)),
    ]
    holed = [row if i % 4 else ",".join(["", *row.split(",")[1:]]) for i, row in enumerate(rows)]
    holed[0] = rows[0]
    (tmp_path / "t.csv").write_text("\n".join(holed) + "\n")
    data = read(tmp_path / "t.csv", seed=0)
    found = evaluate(small_vae(data.spec), data.transform, data.spec, data)
    columns = {entry["name"]: entry for entry in found.details["columns"]}
    n = len(data.parts["test"])
    assert columns["b"]["n"] == n > columns["a"]["n"]
    assert columns["b"]["mae_mean"] == pytest.approx(12, abs=4)  # in the user's units: a normal of sd 15
    assert 0 <= columns["town"]["accuracy_model"] <= 1
    assert found.per_example["cells"].sum() == sum(entry["n"] for entry in columns.values())
    assert {"r2", "mae", "reconstruction_mse"} <= set(found.metrics)
    assert "bits_per_dim" not in found.metrics
    everything = [v for m in found.metrics.values() for v in (m["value"], m["low"], m["high"])]
    assert all(v is not None for v in everything)


def test_r2_of_a_perfect_linear_code_is_near_one_and_pca_stands_beside(tmp_path):
    rng = np.random.default_rng(1)
    z = rng.normal(size=(300, 2))
    x = z @ rng.normal(size=(2, 6))
    data = read(x.astype(np.float32), seed=0)
    found = evaluate(small_vae(data.spec), data.transform, data.spec, data).metrics["r2"]
    assert {r["name"]: r["value"] for r in found["references"]}["PCA, 4 dimensions"] == pytest.approx(1, abs=1e-4)


def test_sparse_counts_are_measured(tmp_path):
    rng = np.random.default_rng(2)
    from scipy.sparse import csr_matrix

    data = read(csr_matrix(rng.poisson(0.2, size=(200, 40)).astype(np.float32)), seed=0)
    found = evaluate(small_vae(data.spec), data.transform, data.spec, data).metrics
    assert found["bits_per_dim"]["value"] > 0
    assert found["bits_per_dim"]["references"][0]["name"] == "independent cells"


def test_by_default_at_most_1000_examples_get_100_draws_and_the_measure_says_so():
    data = gaussian_data(15_000)
    model = Linear(data.spec)
    found = evaluate(model, data.transform, data.spec, data).metrics["log_likelihood_nats"]
    assert found["n"] == 1000
    assert "K = 100" in found["how"]
    assert "1,000 of 1,500 examples at random" in found["how"]


def test_data_without_a_test_part_is_measured_on_validation_and_says_so():
    data = read("digits", Reading(split=(0.8, 0.2, 0)), seed=0)
    assert held_out(data) == "valid"
    assert evaluate(small_vae(data.spec), data.transform, data.spec, data).metrics["elbo_nats"]["split"] == "valid"


def test_a_negative_number_of_draws_is_refused(digits):
    with pytest.raises(InputError, match="--samples -3"):
        evaluate(small_vae(digits.spec), digits.transform, digits.spec, digits, samples=-3)


def test_one_row_is_measured_without_intervals():
    data = read("digits", seed=0)
    rows = data.parts["test"]
    data.parts["test"] = Resident(rows.data[:1], rows.index[:1])
    found = evaluate(small_vae(data.spec), data.transform, data.spec, data).metrics["elbo_nats"]
    assert found["value"] is not None
    assert found["low"] is None


def test_a_model_of_nans_gives_measures_without_a_value_and_plain_json(digits):
    model = small_vae(digits.spec)
    with torch.no_grad():
        for p in model.decoder.parameters():
            p.fill_(math.nan)
    found = evaluate(model, digits.transform, digits.spec, digits)
    assert found.metrics["elbo_nats"]["value"] is None
    assert found.metrics["elbo_nats"]["how"].endswith("not finite, no interval")
    json.dumps([found.metrics, found.details], allow_nan=False)


def test_items_without_a_label_are_left_out_of_neighbour_accuracy(digits):
    rows = digits.parts["test"]
    label = rows.label.clone()
    label[:80] = -1
    part = Resident(rows.data, rows.index, label)
    data = replace(digits, parts={**digits.parts, "test": part})
    found = evaluate(small_vae(data.spec), data.transform, data.spec, data)
    assert found.metrics["neighbour_accuracy"]["n"] == 100
    assert np.isnan(found.per_example["neighbour_accuracy"][:80]).all()


def test_codes_for_the_map_carry_their_rows_and_labels(digits):
    codes = evaluate(small_vae(digits.spec), digits.transform, digits.spec, digits).codes
    assert codes["z"].shape == (180, 4)
    assert codes["index"].tolist() == digits.parts["test"].index.tolist()
    assert codes["label"].tolist() == digits.parts["test"].label.tolist()
