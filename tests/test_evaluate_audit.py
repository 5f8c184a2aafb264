"""The audit of the likelihood: against a linear VAE whose likelihood is known, refused where there is nothing to audit,
and through the command line into a run's folder."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch.distributions import MultivariateNormal

import elboroom as elbo
from elboroom import evaluate_audit as audit
from elboroom.cli.main import main
from elboroom.core.errors import Unable
from elboroom.data.reading import Reading
from elboroom.data.source import read
from elboroom.engine.runtime import seeded
from elboroom.evaluate import Reader
from elboroom.models.vae import VAE


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer temperatures and draws: posteriors here are near the prior."""
    monkeypatch.setattr(audit, "TEMPERATURES", 60)
    monkeypatch.setattr(audit, "LEAPFROG", 4)


def linear() -> tuple[VAE, Any]:
    """A VAE without hidden layers, its weights drawn: probabilistic PCA with a variance for each column."""
    torch.manual_seed(0)
    data = read(torch.randn(300, 5).numpy(), Reading(scale="none"), seed=0)
    return VAE(VAE.Config(latent=2, hidden=(), likelihood="gaussian"), data.spec), data


def exact(model: VAE, x: torch.Tensor) -> torch.Tensor:
    """log p(x) in closed form, read off the decoder alone."""
    with torch.no_grad():
        base = model.decode(torch.zeros(1, 2))
        slope = model.decode(torch.eye(2)).mean - base.mean  # (2, 5)
        covariance = slope.T.double() @ slope.double() + torch.diag(base.sd[0].double().square())
        return MultivariateNormal(base.mean[0].double(), covariance).log_prob(x.double())


def test_every_estimate_of_a_linear_vae_lies_where_its_exact_likelihood_says(short: None) -> None:
    model, data = linear()
    reader = Reader(data.parts["test"], data.transform, model, 1)
    with torch.no_grad(), seeded(1):
        found = audit.evaluate_audit(model, reader, "test", examples=30, samples=500, seed=1, name="vae")
    truth = float(exact(model, next(iter(reader.batches("x", 30))).x).mean())
    rows = {row["name"]: row for row in found.details["audit"]["estimates"]}
    assert set(rows) == {"ais", "bound", "prior", "elbo"}
    for name in ("ais", "prior"):
        assert abs(rows[name]["value"] - truth) < 3 * rows[name]["error"] + 0.01, name
    # its encoder was never trained: the bound's few heavy weights were not all drawn, and the ELBO is far below
    assert rows["elbo"]["value"] < rows["bound"]["value"] - 0.1 < truth - 0.1
    gap = found.measures["ais_gap_nats"]
    assert abs(gap.value) < 0.1
    approximation, amortization = (
        found.measures[f"{name}_gap_nats"].value for name in ("approximation", "amortization")
    )
    assert approximation + amortization == pytest.approx(
        max(rows["ais"]["value"], rows["bound"]["value"]) - rows["elbo"]["value"]
    )
    assert amortization > 0.01
    assert approximation < 0.1


def test_a_model_without_a_density_of_its_codes_is_refused_by_one_sentence() -> None:
    run = elbo.fit("aae", "digits", latent=2, hidden=(8,), critic_hidden=(8,), steps=2)
    with pytest.raises(Unable, match="aae has no p"):
        run.evaluate(ais=5)


def test_the_command_line_writes_the_audit_into_the_runs_metrics(
    digits_run: elbo.Run, tmp_path: Any, capsys: pytest.CaptureFixture[str], short: None
) -> None:
    run = digits_run.save(tmp_path / "run")
    assert main(["evaluate", str(run.path), "--samples", "50", "--ais", "4", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)["metrics"]
    kept = json.loads((run.path / "metrics.json").read_text(encoding="utf-8"))
    assert printed == kept
    found = kept["ais_log_likelihood_nats"]
    assert found["n"] == 4
    beside = {r["name"]: r["value"] for r in found["references"]}
    assert set(beside) == {"importance-weighted, K = 50", "draws of the prior, K = 50", "ELBO"}
    assert found["value"] > beside["ELBO"]
    assert {"ais_gap_nats", "approximation_gap_nats", "amortization_gap_nats", "elbo_nats"} <= set(kept)
    details = json.loads((run.path / "details.json").read_text(encoding="utf-8"))
    assert details["audit"]["samples"] == 50
    assert [point["k"] for point in details["bound_by_samples"]] == [1, 2, 5, 10, 20, 50]
    assert all(point["error"] > 0 for point in details["bound_by_samples"])
    assert [
        point["k"] for point in json.loads((run.path / "details.json").read_text(encoding="utf-8"))["bound_by_samples"]
    ]
    assert main(["evaluate", str(run.path), "--ais", "0"]) == 2
    again = elbo.load(run.path).evaluate(samples=50, ais=4).metrics["ais_log_likelihood_nats"]
    assert again == found
