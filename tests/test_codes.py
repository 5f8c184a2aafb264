"""Codes beside their law in a run: what is measured, of whom, and what a comparison and a report make of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from elboroom.comparison import compare, table
from elboroom.comparison_codes import compared_codes
from elboroom.comparison_measures import Side
from elboroom.data.reading import Reading
from elboroom.evaluate import Evaluation
from elboroom.fitting import fit
from elboroom.metrics.interval import Interval
from elboroom.report import compare_html
from elboroom.report.build import write


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    place = tmp_path_factory.mktemp("codes")
    settings: dict[str, dict[str, Any]] = {
        "plain": {"latent": 2, "hidden": (32,), "code": "linear"},
        "vae": {"latent": 2, "hidden": (32,)},
        "aae": {"latent": 2, "hidden": (32,), "critic_hidden": (16,), "encoder": "universal", "prior": "mixture"},
    }
    names = {"plain": "autoencoder", "vae": "vae", "aae": "aae"}
    reading = Reading(scale="symmetric")
    return {
        key: fit(names[key], "digits", run=place / key, steps=60, settings=given, reading=reading, threads=1)
        for key, given in settings.items()
    }


def details(run: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run.path / "details.json").read_text())
    return found


def test_what_is_measured_is_of_draws_of_the_posterior_against_draws_of_the_law(runs: dict[str, Any]) -> None:
    for key, law, asked in (("plain", "N(0, I)", False), ("vae", "N(0, I)", True), ("aae", "a mixture of ten", True)):
        found = details(runs[key])["matching"]
        assert found["law"].startswith(law)
        assert found["asked"] is asked
        with np.load(runs[key].path / "media" / "matching.npz") as file:
            drawn, prior = file["drawn"], file["prior"]
        assert drawn.shape == prior.shape == (found["n"], 2) == (180, 2)
        gaps = [stats.ks_2samp(drawn[:, j], prior[:, j]).statistic for j in range(2)]
        assert [axis["ks"] for axis in found["axes"]] == pytest.approx(gaps)
        assert found["ks"]["value"] == pytest.approx(max(gaps))
        assert [axis["sd"] for axis in found["axes"]] == pytest.approx(drawn.std(0, ddof=1), rel=1e-5)


def test_the_share_of_noise_is_that_of_the_posterior_and_points_have_none(runs: dict[str, Any]) -> None:
    assert "noise" not in details(runs["plain"])["matching"]
    run = runs["vae"]
    rows = run.dataset().parts["test"]
    batch = run.transform(rows.take(torch.arange(len(rows))))
    with torch.no_grad():
        code = run.model.eval().encode(batch)
    within = code.stddev.double().square().mean(0)
    total = within + code.mean.double().var(0, correction=0)
    found = details(run)["matching"]["noise"]
    assert found["axes"] == pytest.approx((within / total).tolist(), rel=1e-4)
    assert found["share"] == pytest.approx(float(within.sum() / total.sum()), rel=1e-4)


def test_draws_of_a_normal_law_and_walks_are_kept_as_sheets(runs: dict[str, Any]) -> None:
    assert all((run.path / "media" / f"{name}.png").is_file() for run in runs.values() for name in ("normal", "walks"))


def test_codes_of_different_laws_are_not_compared(runs: dict[str, Any]) -> None:
    found = compare([runs["plain"], runs["vae"], runs["aae"]])
    rows = {row["key"]: row for row in found["measures"] if row["key"].startswith("code_")}
    assert set(rows) == {"code_mmd", "code_gap", "code_auc"}
    for row in rows.values():
        assert [cell["value"] is None for cell in row["cells"]] == [False, False, True]
        assert "a mixture of ten Gaussians, not N(0, I)" in row["cells"][2]["why"]
    assert rows["code_mmd"]["best"] == "vae"
    assert rows["code_mmd"]["cells"][0]["p"] < 0.01


def test_a_comparison_says_what_each_run_minimises_with_the_last_terms_of_validation(runs: dict[str, Any]) -> None:
    found = compare([runs["vae"], runs["aae"]])
    rows = {(row["run"], row["phase"]): row for row in found["objectives"]}
    assert set(rows) == {("vae", "elbo"), ("aae", "autoencoder"), ("aae", "discriminator")}
    last = json.loads((runs["vae"].path / "history.jsonl").read_text().splitlines()[-1])
    terms = {term["name"]: term for term in rows["vae", "elbo"]["terms"]}
    assert terms["rate_nats"] == {"name": "rate_nats", "value": last["valid/rate_nats"], "part": "valid"}
    assert rows["vae", "elbo"]["says"].startswith("-E log p(x given z) + KL(")
    assert {t["name"] for t in rows["aae", "autoencoder"]["terms"]} == {
        "loss_nats",
        "reconstruction_mse",
        "adversarial_nats",
    }


def test_memory_stands_beside_time_and_a_run_that_did_not_record_it_says_so(runs: dict[str, Any]) -> None:
    del runs["plain"].meta["peak_bytes"]
    found = compare([runs["plain"], runs["vae"]])
    cells = next(cost for cost in found["costs"] if cost["key"] == "peak_bytes")["cells"]
    assert cells[0] == {"run": "plain", "value": None, "why": "was not recorded"}
    assert cells[1]["value"] > 10e6
    assert re.search(r"peak memory +not recorded +[\d,.]+ MB", table(found))


def test_the_page_shows_maps_draws_walks_and_objectives(runs: dict[str, Any]) -> None:
    text = compare_html(compare([runs["plain"], runs["vae"]]))
    for heading in ("What each run minimises", "Codes of each", "Draws of N(0, I), decoded", "Between two examples"):
        assert f"<h2>{heading}</h2>" in text
    section = text.split('id="codes"')[1].split("</section>")[0]
    assert section.count("<svg") == 2
    assert "plain: 180 mean codes as they are" in section
    assert len(set(re.findall(r'id="(sheet-\d+)"', text))) == len(re.findall(r'id="sheet-\d+"', text)) == 7


def test_the_report_of_a_run_shows_its_codes_over_their_law(runs: dict[str, Any]) -> None:
    text = write(runs["aae"].path).read_text(encoding="utf-8")
    section = text.split('id="code-law"')[1].split("</section>")[0]
    assert "Draws of q(z) beside a mixture of ten Gaussians" in section
    assert 'data-key="matching/mmd"' in section
    assert "Grey: as many of a mixture of ten Gaussians" in section
    assert "Noise in the code" in section
    plain = write(runs["plain"].path).read_text(encoding="utf-8").split('id="code-law"')[1]
    assert "Not asked for." in plain


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", None])
def test_a_damaged_file_of_draws_leaves_the_numbers(runs: dict[str, Any], content: bytes | None) -> None:
    file: Path = runs["vae"].path / "media" / "matching.npz"
    kept = file.read_bytes()
    file.unlink() if content is None else file.write_bytes(content)
    try:
        text = write(runs["vae"].path).read_text(encoding="utf-8")
    finally:
        file.write_bytes(kept)
    assert 'data-key="matching/mmd"' in text
    assert "Coloured: one draw" not in text


class Stub:
    name = "stub"


def test_the_difference_of_two_runs_has_the_interval_of_both() -> None:
    def side(name: str, value: float, reach: float) -> Side:
        ends = {"value": value, "low": value - reach, "high": value + reach}
        found = {"law": "N(0, I)", "n": 100, "mmd": {**ends, "p": 0.1}, "ks": {**ends, "p": 0.5}, "auc": ends}
        evaluation = Evaluation({}, {"matching": found}, {})
        return Side(name, Stub(), None, None, evaluation)  # type: ignore[arg-type]

    row = compared_codes([side("a", 0.5, 0.03), side("b", 0.1, 0.04)])[0]
    one = row["differences"][0]
    assert Interval(one["value"], one["low"], one["high"]) == Interval(
        pytest.approx(0.4), pytest.approx(0.35), pytest.approx(0.45)
    )
    assert row["best"] == "b"
