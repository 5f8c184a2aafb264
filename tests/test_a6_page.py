"""The page on sampling the prior: its tables and figures are those of the measurements, and the exact likelihood of a
linear VAE is exact."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

import elboroom as elbo

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import a6_likelihood, a6_page, record  # noqa: E402

RESULT = record.RESULTS / "a6_likelihood.json"


def interval(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 1, "high": value + 1}


def row(name: str, value: float, ess: float | None) -> dict[str, Any]:
    sized = {} if ess is None else {"ess": {"median": ess, "lowest": 1.0}, "error": 0.1}
    return {"name": name, "told": name, **interval(value), **sized}


@pytest.fixture
def details() -> dict[str, Any]:
    """Made-up measurements: what is drawn and written of them is known."""
    widths = {}
    for z in (1, 2, 8):
        rows = [row("ais", -90.0 - z, None), row("bound", -91.0, 812.5 / z), row("elbo", -95.0, None)]
        widths[str(z)] = {
            "estimates": {r["name"]: r for r in [*rows, row("prior", -100.0 * z, 1.5)]},
            "curve": [{"k": k, "value": -95.0 + np.log10(k)} for k in (1, 10, 100, 5000)],
            "n": 50, "samples": 5000, "accepted": 0.65, "heavy": 17.0, "ais_gap_nats": interval(0.25),
            "approximation_gap_nats": interval(0.5), "amortization_gap_nats": interval(3.125),
        }  # fmt: skip
    points = [[0.1 * i, -0.1 * i] for i in range(20)]
    return {
        "widths": widths,
        "training": [{"epochs": e, "gap": interval(9.0 / e), "elbo_nats": -100.0} for e in (1, 2, 5)],
        "picture": {"draws": 20_000, "heavy": 60, "points": points, "heavy_points": points[:5], "mean": [0.5, -0.5],
                    "sd": [0.1, 0.2], "nats": -120.0},
        "linear": {"exact": -12.5, "estimates": [row("ais", -12.49, 5.0), row("elbo", -13.0, None)]},
    }  # fmt: skip


def test_the_page_says_what_the_result_says() -> None:
    page = (a6_page.DOCS / a6_page.PAGE).read_text(encoding="utf-8")
    held = page.split(a6_page.MARKS[0])[1].split(a6_page.MARKS[1])[0]
    if not RESULT.is_file():
        assert held.startswith("Not measured yet")
        return
    found = json.loads(RESULT.read_text(encoding="utf-8"))["details"]
    assert held == a6_page.measured(found)
    for name, svg in a6_page.figures(found).items():
        assert (a6_page.DOCS / "figures" / name).read_text(encoding="utf-8") == svg


def test_every_figure_that_the_words_name_is_drawn_and_every_number_stands_in_a_table(details: dict[str, Any]) -> None:
    words = a6_page.measured(details)
    assert sorted(re.findall(r"\]\(figures/([^)]*)\)", words)) == sorted(a6_page.figures(details))
    for cell in (
        "| 8 | -98 (-99 to -97) | -91 [102] | -95 (-96 to -94) | -800 [1.5] | 17 |",
        "| 1 | 0.5 (-0.5 to 1.5) | 3.125 (2.125 to 4.125) | 0.25 (-0.75 to 1.25) |",
        "Of 20,000 draws of a prior of two numbers, 60 carry 99 %",
        "AIS -12.490 ± 0.100",
    ):
        assert cell in words, cell


def test_the_picture_has_a_dot_for_each_draw_and_the_ring_lies_two_deviations_from_the_mean(
    details: dict[str, Any],
) -> None:
    root = ElementTree.fromstring(a6_page.figures(details)["prior-draws.svg"])
    dots = [e for e in root.iter() if e.tag.endswith("circle")]
    assert [sum(e.get("class") == css for e in dots) for css in ("past", "c4")] == [20, 5]
    ring = next(e.get("d", "") for e in root.iter() if e.get("class") == "line l-c1")
    xs = [float(a) for a, _ in re.findall(r"([\d.]+) ([\d.]+)", ring)]
    a_unit = (a6_page.SIDE - 2) / (2 * a6_page.REACH)
    assert max(xs) - min(xs) == pytest.approx(4 * 0.1 * a_unit, abs=0.3)


def test_writing_changes_the_measured_part_of_the_page_and_nothing_else(
    details: dict[str, Any], tmp_path: Path
) -> None:
    a6_page.write(details, tmp_path)
    made, page = ((folder / a6_page.PAGE).read_text(encoding="utf-8") for folder in (tmp_path, a6_page.DOCS))
    for i in (0, 1):
        mark = a6_page.MARKS[i]
        assert made.split(mark)[i] == page.split(mark)[i]
    assert a6_page.measured(details) in made


def test_the_fewest_draws_that_carry_the_weight_are_counted() -> None:
    assert a6_likelihood.fewest(np.zeros(1000)) == 990
    assert a6_likelihood.fewest(np.array([0.0, -50.0, -60.0])) == 1
    weights = np.log(np.array([0.5, 0.3, 0.15, 0.045, 0.005])) - 700
    assert a6_likelihood.fewest(weights[::-1].copy()) == 4


def test_the_exact_likelihood_of_a_linear_vae_is_the_mean_of_p_over_many_draws_of_the_prior() -> None:
    x = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    settings = {"latent": a6_likelihood.FACTORS, "hidden": (), "likelihood": "gaussian"}
    made = elbo.fit("vae", x, scale="none", steps=5, threads=1, **settings)
    torch.manual_seed(0)
    log_p = a6_likelihood.weights(made, x[:5], torch.randn(40_000, a6_likelihood.FACTORS)).double()
    found = torch.logsumexp(log_p, 0) - np.log(len(log_p))
    torch.testing.assert_close(found, a6_likelihood.exact_linear(made, x[:5]), atol=0.05, rtol=0)
