"""The page that sets LSTM and transformer side by side: its tables and figures are those of the measurements."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import d6_page, record  # noqa: E402

RESULT = record.RESULTS / "d6_lstm_against_transformer.json"


def net(bits: float, looks: list[tuple[float, float]], sample: str) -> dict[str, Any]:
    return {
        "parameters": 804_248, "bits_per_byte": {"value": bits, "low": bits - 0.01, "high": bits + 0.01},
        "steps": 1200, "epoch_s": 30.5, "tokens_a_second": 812.0, "looks": looks, "prompt": "ROMEO:", "sample": sample,
    }  # fmt: skip


@pytest.fixture
def details() -> dict[str, Any]:
    """Made-up measurements: what is drawn and written of them is known."""
    falls = [(10.0 * k, 2.5 - 0.1 * k) for k in range(1, 6)]
    length = [{"tokens": n, "seconds": n / 1000, "step_mib": n / 8} for n in (64, 128, 256)]
    recalled = [{"delay": d, "accuracy": a, "seeds": [a, a], "parameters": 25_120} for d, a in ((16, 1.0), (64, 0.2))]
    return {
        "language": {"LSTM": net(2.4, falls, "one\ntwo"), "transformer": net(2.3, falls, "<three> & | `four`")},
        "differences": [{"a": "LSTM", "b": "transformer", "value": 0.1, "low": 0.08, "high": 0.12,
                         "verdict": "transformer is better"}],
        "beside": [{"name": "xz", "value": 3.1}],
        "lengths": {"LSTM": length, "transformer": length},
        "recall": {"LSTM": recalled, "transformer": recalled},
    }  # fmt: skip


def test_the_page_says_what_the_result_says() -> None:
    page = (d6_page.DOCS / d6_page.PAGE).read_text(encoding="utf-8")
    held = page.split(d6_page.MARKS[0])[1].split(d6_page.MARKS[1])[0]
    if not RESULT.is_file():
        assert held.startswith("Not measured yet")
        return
    found = json.loads(RESULT.read_text(encoding="utf-8"))["details"]
    assert held == d6_page.measured(found)
    for name, svg in d6_page.figures(found).items():
        assert (d6_page.DOCS / "figures" / name).read_text(encoding="utf-8") == svg


def test_every_figure_that_the_words_name_is_drawn_and_every_number_stands_in_a_table(details: dict[str, Any]) -> None:
    words = d6_page.measured(details)
    named = re.findall(r"\]\(figures/([^)]*)\)", words)
    assert sorted(named) == sorted(d6_page.figures(details))
    for cell in ("2.4 (2.39 to 2.41)", "0.1 (0.08 to 0.12)", "transformer is better", "804,248", "xz 3.1",
                 "| 256 | 0.256 | 0.256 | 32 | 32 |", "| 64 | 0.2 (0.2 to 0.2) | 0.2 (0.2 to 0.2) |"):  # fmt: skip
        assert cell in words
    assert "    one\n    two\n" in words and "    <three> & | `four`\n" in words


def test_a_line_passes_through_its_points_on_the_axes_that_are_drawn(details: dict[str, Any]) -> None:
    root = ElementTree.fromstring(d6_page.figures(details)["lstm-time.svg"])
    paths = [e.get("d", "") for e in root.iter() if e.get("class", "").startswith("line ")]
    assert len(paths) == 2
    places = [tuple(map(float, pair)) for pair in re.findall(r"([\d.]+) ([\d.]+)", paths[0])]
    (x0, y0), (x1, y1), (x2, y2) = places
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)  # doubling is the same distance on a log axis
    assert y0 - y1 == pytest.approx(y1 - y2, abs=0.2)
    assert (x0, x2) == (d6_page.LEFT, d6_page.WIDTH - d6_page.RIGHT)


def test_writing_changes_the_measured_part_of_the_page_and_nothing_else(
    details: dict[str, Any], tmp_path: Path
) -> None:
    d6_page.write(details, tmp_path)
    made, page = ((folder / d6_page.PAGE).read_text(encoding="utf-8") for folder in (tmp_path, d6_page.DOCS))
    for i in (0, 1):
        mark = d6_page.MARKS[i]
        assert made.split(mark)[i] == page.split(mark)[i]
    assert d6_page.measured(details) in made
    assert {p.name for p in (tmp_path / "figures").iterdir()} == set(d6_page.figures(details))
