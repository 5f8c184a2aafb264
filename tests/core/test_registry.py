"""Models read from their source: once, and again where the file changed."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from elboroom.core import registry

SOURCE = '''"""{summary}"""

from elboroom.core.abilities import Encodes
from elboroom.core.model import Model

__all__ = ["Small"]


class Small(Model, Encodes):
    """A model."""
'''


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one model file of a folder that the environment names."""
    monkeypatch.setenv("ELBOROOM_MODELS", str(tmp_path))
    path = tmp_path / "small.py"
    path.write_text(SOURCE.format(summary="The first."), encoding="utf-8")
    return path


def test_a_model_file_that_changes_is_read_again(model: Path) -> None:
    assert registry.entry("small").summary == "The first."
    assert registry.entry("small").abilities == ("Encodes",)
    model.write_text(SOURCE.format(summary="The second, which is longer."), encoding="utf-8")
    assert registry.entry("small").summary == "The second, which is longer."


def test_no_file_is_parsed_twice(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []
    parse = ast.parse

    def counted(text: str, *args: Any, **words: Any) -> Any:
        parsed.append(text)
        return parse(text, *args, **words)

    before = registry.entries()
    monkeypatch.setattr(ast, "parse", counted)
    assert registry.entries() == before
    assert "small" in registry.able("Encodes")
    assert not parsed
