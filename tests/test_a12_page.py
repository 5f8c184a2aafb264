"""The page that sets an autoencoder and a VAE side by side holds what its recipe measured."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import a12_against_vae, record  # noqa: E402

RESULT = record.RESULTS / "a12_against_vae.json"
PAGE = ROOT / "docs" / a12_against_vae.PAGE


def cell(run: str, value: float | None, low: float | None, high: float | None) -> dict[str, Any]:
    return {"run": run, "value": value, "low": low, "high": high, "n": 10, "why": ""}


def test_a_measure_has_both_values_with_their_intervals_and_what_can_be_said() -> None:
    cells = [cell("autoencoder", 0.5, 0.4, 0.61), cell("vae", None, None, None)]
    row = {"key": "code_mmd", "cells": cells, "said": "only autoencoder can answer", "unit": ""}
    terms = [
        {"name": "loss_nats", "value": 9.0, "part": "valid"},
        {"name": "rate_nats", "value": 3.14159, "part": "valid"},
    ]
    details = {
        "data": {"n": 1000, "unit": "rows", "name": "mnist"},
        "measures": [row],
        "objectives": [{"run": "vae", "phase": "elbo", "says": "-E log p", "terms": terms}],
    }
    text = a12_against_vae.measured(details)
    assert "| MMD² of the codes from N(0, I) | 0.5 ± 0.11 | none | only autoencoder can answer |" in text
    assert "- vae: `-E log p` rate_nats 3.142\n" in text
    assert "1,000 held-out rows of mnist" in text


def test_the_pages_pictures_are_there_and_its_part_is_what_the_recipe_measured() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name in re.findall(r"\]\((figures/[^)]*)\)", text):
        assert (PAGE.parent / name).is_file()
    first, last = a12_against_vae.MARKS
    part = text.split(first)[1].split(last)[0]
    if not RESULT.is_file():
        pytest.skip("its recipe was not recorded yet")
    assert part == a12_against_vae.measured(json.loads(RESULT.read_text(encoding="utf-8"))["details"])
