"""The page of `compare`, from the dictionary that compare.py gives."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from elboroom.report import compare_html

NAMES = ["vae-1", "vae-2", "plain-3"]


def cell(run: str, value: float | None, half: float = 0.0, why: str = "") -> dict[str, Any]:
    ends = (None, None) if value is None else (value - half, value + half)
    return {"run": run, "value": value, "low": ends[0], "high": ends[1], "n": 10, "why": why}


def difference(a: str, b: str, value: float, half: float, verdict: str) -> dict[str, Any]:
    return {"a": a, "b": b, "value": value, "low": value - half, "high": value + half, "n": 10, "verdict": verdict}


def comparison(names: list[str], place: Path | None = None) -> dict[str, Any]:
    one, two, *rest = names
    elbo = [cell(one, -100.1234567, 0.5), cell(two, -90.0, 0.5), *(cell(n, None, why="plain has none") for n in rest)]
    error = [cell(n, 0.02 + i / 1000, 0.002) for i, n in enumerate(names)]
    reference = {"name": "PCA, 8 dimensions", "value": 0.03, "low": None, "high": None}
    return {
        "data": {"name": "digits", "fingerprint": "f", "split": "test", "n": 180},
        "runs": [
            {
                "name": n,
                "path": str(place or "nowhere"),
                "model": n.split("-")[0],
                "scale": "unit",
                "abilities": [],
                "state": "done",
                "seed": 0,
                "command": f"elboroom fit {n}",
            }
            for n in names
        ],
        "measures": [
            {
                "key": "elbo_nats",
                "unit": "nats per example",
                "better": "more",
                "cells": elbo,
                "references": [],
                "differences": [difference(one, two, -10.1, 0.3, f"{two} is better")],
                "best": two,
                "said": "x",
            },
            {
                "key": "reconstruction_mse",
                "unit": "squared, per pixel",
                "better": "less",
                "cells": error,
                "references": [reference],
                "best": None,
                "said": "none can be told apart",
                "differences": [difference(one, two, 0.001, 0.01, "no difference")] * (len(names) - 1),
            },
        ],
        "costs": [
            {
                "key": "took_s",
                "unit": "s",
                "label": "training time",
                "cells": [{"run": n, "value": 171.0, "why": "one run"} for n in names],
            }
        ],
        "settings": [
            {"name": "latent", "values": list(range(len(names))), "differs": True},
            {"name": "lr", "values": [0.001] * len(names), "differs": False},
        ],
        "notes": ["All measured anew on the same 180 rows of digits; intervals are 95 %."],
    }


def row(text: str, label: str) -> str:
    found = next(r for r in re.findall(r"<tr.*?</tr>", text, re.DOTALL) if f">{label}<" in r)
    return unescape(found)


def test_values_differences_and_what_can_be_said_stand_in_one_row() -> None:
    text = row(compare_html(comparison(NAMES)), "ELBO")
    assert 'data-value="-100.1234567"' in text
    assert "−100.1 ± 0.5" in text
    assert "vae-2 is better by 10.1 ± 0.3" in text
    assert "plain has none" in text


def test_only_the_run_that_is_better_than_every_other_is_bold() -> None:
    text = compare_html(comparison(NAMES))
    assert re.findall(r'class="num best"[^>]*data-run="([^"]+)"', text) == ["vae-2"]


def test_what_cannot_be_told_apart_is_called_so() -> None:
    assert "cannot be told apart" in row(compare_html(comparison(NAMES[:2])), "Squared error a value")


def test_runs_keep_their_shape_over_the_page_and_more_than_eight_lose_the_marks() -> None:
    text = compare_html(comparison(NAMES))
    assert text.count('class="slot"') == 3 and "<circle" in row(text, "ELBO")
    eight = row(compare_html(comparison([f"vae-{i}" for i in range(8)])), "Squared error a value")
    shapes = {re.sub(r"[\d.]+", "", one) for one in re.findall(r'<path class="c\d fill" d="([^"]+)"', eight)}
    assert len(shapes) == 7 and eight.count('class="c1 fill"') == 1, "the first is a circle, the others differ"
    many = compare_html(comparison([f"vae-{i}" for i in range(9)]))
    assert '<svg class="mark"' not in many and "vae-8" in many and "9 runs: a table without marks" in many


def test_a_run_brings_its_slot_and_can_be_opened_where_it_has_an_id() -> None:
    plain = compare_html(comparison(NAMES))
    assert "data-open" not in plain.split("</style>")[1]
    table = comparison(NAMES)
    for run, slot, id in zip(table["runs"], (7, 2, 7), ("a0", "b1", "c2"), strict=True):
        run |= {"slot": slot, "id": id}
    text = compare_html(table)
    found = row(text, "Squared error a value")
    assert re.findall(r'class="(c\d) fill"', found) == ["c7", "c2", "c1"], "a slot is given once"
    assert re.findall(r'data-open="(\w+)"', found) == ["a0", "b1", "c2"]
    assert text.count('<button type="button" class="csv" data-open=') == 3 and "{ open: " in text


def test_a_run_that_was_trained_on_these_data_is_marked_at_its_head() -> None:
    table = comparison(NAMES)
    table["runs"][1]["favoured"] = True
    assert compare_html(table).split("<tbody>")[0].count("trained on these data") == 1


def test_the_cell_of_a_model_that_cannot_names_what_it_lacks() -> None:
    table = comparison(NAMES)
    table["measures"][0]["cells"][2] |= {"lacks": "has no likelihood", "why": "plain has no likelihood; others have"}
    found = row(compare_html(table), "ELBO")
    assert ">has no likelihood</td>" in found and ">none<" not in found and "plain has no likelihood; others" in found


def test_curves_of_runs_that_log_one_term_stand_on_one_x(vae_run: Path) -> None:
    text = compare_html(comparison(NAMES, vae_run)).split('id="curves"')[1].split("</section>")[0]
    assert [text.count(f"line mean c{i}") > 0 for i in (1, 2, 3, 4)] == [True, True, True, False]
    assert 'download="bits_per_dim.csv"' in text and "vae-2 falls from" in text and "less is better" in text
    assert 'id="curves"' not in compare_html(comparison(NAMES))


def test_settings_that_differ_come_first_and_the_others_on_request() -> None:
    text = compare_html(comparison(NAMES))
    first, rest = text.split("<details", 1)
    assert ">latent<" in first and ">lr<" not in first and ">lr<" in rest


def test_samples_of_runs_that_have_some_stand_side_by_side(vae_run: Path) -> None:
    text = compare_html(comparison(NAMES, vae_run)).split('id="samples"')[1].split("</section>")[0]
    assert text.count('src="data:image/png') == 3
    assert "epoch 80" in text


@pytest.mark.parametrize("evil", ["<script>alert(1)</script>", "\"'><img src=x onerror=alert(1)>"])
def test_nothing_from_the_runs_becomes_markup(evil: str) -> None:
    table = comparison([evil, "b"])
    table["notes"] = table["data"]["name"] = [evil]
    table["settings"].append({"name": evil, "values": [evil, evil], "differs": True})
    table["measures"].append({**table["measures"][0], "key": evil, "unit": evil, "said": evil, "differences": []})
    text = compare_html(table)
    assert text.count("<script>") == 1 and "<img" not in text
    found: list[str] = []

    class Names(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.extend(name for name, _ in attrs)

    Names().feed(text)
    assert found and not [name for name in found if name.startswith("on")]
