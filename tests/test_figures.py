"""The figures of docs/attention.md and docs/disentanglement.md are those that `python docs/figures.py` draws now."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

DOCS = Path(__file__).resolve().parent.parent / "docs"


@pytest.fixture(scope="module")
def drawn() -> ModuleType:
    located = importlib.util.spec_from_file_location("figures", DOCS / "figures.py")
    assert located is not None
    assert located.loader is not None
    module = importlib.util.module_from_spec(located)
    located.loader.exec_module(module)
    return module


def test_the_figures_say_what_patterns_and_measurements_say(drawn: ModuleType) -> None:
    made = drawn.figures()
    stale = [path.name for path, text in made.items() if not path.is_file() or path.read_text("utf-8") != text]
    assert not stale, f"run `python docs/figures.py`: {stale}"
    pages = "".join((DOCS / f"{name}.md").read_text(encoding="utf-8") for name in ("attention", "disentanglement"))
    assert {f"figures/{path.name}" for path in made} == set(re.findall(r"\]\((figures/[^)]*)\)", pages))


def test_a_picture_fills_as_many_cells_as_its_pattern_has_pairs(drawn: ModuleType) -> None:
    for pattern in drawn.PATTERNS:
        root = ElementTree.fromstring(drawn.picture(pattern))
        widths = [float(x.get("width", 0)) for x in root.iter() if x.get("class") in ("c1", "c2")]
        assert sum((width + 1) / drawn.CELL for width in widths) == pattern.pairs(drawn.TOKENS)


def test_the_figure_over_beta_has_a_point_for_every_seed_and_measure(drawn: ModuleType) -> None:
    keys = ("rate_nats", "distortion_nats", *drawn.SCORES)
    measures = {key: {"1": [0.1 * i, 0.3], "4": [0.2, 0.5 + i]} for i, key in enumerate(keys)}
    root = ElementTree.fromstring(drawn.over_beta("shapes", measures))
    said = [x.text for x in root.iter() if x.tag.endswith("text")]
    assert {"MIG", "DCI", "SAP", "FactorVAE", "Rate, nats, shapes"} <= set(said)
    points = [x for x in root.iter() if x.get("class") in ("base", "c1", "c2", "c3", "c4")]
    assert len(points) == len(keys) * 4
