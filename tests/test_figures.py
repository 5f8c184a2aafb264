"""The figures of docs/attention.md are those that `python docs/figures.py` draws now."""

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
    page = (DOCS / "attention.md").read_text(encoding="utf-8")
    assert {f"figures/{path.name}" for path in made} == set(re.findall(r"\]\((figures/[^)]*)\)", page))


def test_a_picture_fills_as_many_cells_as_its_pattern_has_pairs(drawn: ModuleType) -> None:
    for pattern in drawn.PATTERNS:
        root = ElementTree.fromstring(drawn.picture(pattern))
        widths = [float(x.get("width", 0)) for x in root.iter() if x.get("class") in ("c1", "c2")]
        assert sum((width + 1) / drawn.CELL for width in widths) == pattern.pairs(drawn.TOKENS)
