"""The pages of the adversarial kinds and of short answers: their tables, what the recipes behind them compute."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import b9_closer, b9_ideas, e8_concepts, images, record  # noqa: E402

from elboroom.core.abilities import Decodes  # noqa: E402

TABLE = re.compile(r"<!-- results: (\w+)/(\w+): ([^\n]+) -->")


@pytest.fixture
def generate() -> ModuleType:
    located = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert located is not None and located.loader is not None
    module = importlib.util.module_from_spec(located)
    located.loader.exec_module(module)
    return module


class Bowl(Decodes):
    """log p(x given z) = -|x - z|^2 / 2: its expectation under N(mu, sd^2) has the gradient x - mu."""

    def __init__(self, z: Tensor | None = None) -> None:
        self.z = z

    def decode(self, z: Tensor) -> Bowl:  # type: ignore[override]
        return Bowl(z)

    def log_prob(self, x: Tensor, observed: Tensor | None = None) -> Tensor:
        assert self.z is not None
        return -(x - self.z).square().sum(1) / 2


def test_a_table_of_a_part_holds_the_rows_of_that_part_without_its_name(
    generate: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = record.Result("r", "", "")
    result.add("gan, off: recall", 0.25, "share", low=0.2, high=0.3)
    result.add("gan, on: recall", 0.5, "share")
    result.add("wgan, on: recall", 0.75, "share")
    result.write(tmp_path)
    monkeypatch.setattr(generate, "RESULTS", tmp_path)
    assert generate.measured("r/gan", ["recall"]).splitlines()[2:] == ["| off | 0.25 (0.2 to 0.3) |", "| on | 0.5 |"]
    assert "wgan, on" in generate.measured("r", ["recall"])
    assert generate.measured("absent/gan", ["recall"]) == "Not measured yet: `python -m benchmarks absent`.\n"


def test_every_kind_has_its_page_and_every_table_asks_for_a_kind_that_is_measured() -> None:
    asked = {page.stem: TABLE.findall(page.read_text(encoding="utf-8")) for page in (ROOT / "docs").glob("*.md")}
    for kind, about in b9_ideas.KINDS.items():
        assert any(recipe == b9_ideas.NAME and part == kind for recipe, part, _ in asked[kind])
        assert len(about.arms) >= 2
    parts = {part for tables in asked.values() for recipe, part, _ in tables if recipe == b9_ideas.NAME}
    assert parts == set(b9_ideas.KINDS)


def test_every_column_asked_of_the_short_answers_was_measured() -> None:
    rows = json.loads((record.RESULTS / "e8_concepts.json").read_text(encoding="utf-8"))["rows"]
    known = {(row["measure"].split(", ")[0], row["measure"].rpartition(": ")[2]) for row in rows}
    tables = TABLE.findall((ROOT / "docs" / "concepts.md").read_text(encoding="utf-8"))
    wanted = {(part, c) for recipe, part, columns in tables if recipe == "e8_concepts" for c in columns.split(" | ")}
    assert wanted and wanted <= known


def test_links_within_the_page_of_questions_lead_to_its_headings() -> None:
    text = (ROOT / "docs" / "concepts.md").read_text(encoding="utf-8")
    headings = {h.lower().replace(" ", "-") for h in re.findall(r"^## (.+)$", text, re.MULTILINE)}
    linked = set(re.findall(r"\]\(#([^)]+)\)", text))
    assert linked == headings


def test_both_gradients_have_the_mean_of_the_closed_form_and_the_score_function_spreads_more() -> None:
    mu, x = torch.tensor([0.5, -1.0]), torch.tensor([[2.0, 1.0]])
    found = e8_concepts.two_gradients(Bowl(), x, mu, 20_000)
    for each in found.values():
        error = each.std(0) / len(each) ** 0.5
        assert ((each.mean(0) - (x[0] - mu)).abs() <= 4 * error).all()
    assert (found["score function"].std(0) > 3 * found["through the draw"].std(0)).all()


def test_a_sure_critic_leaves_the_minimax_generator_without_a_gradient() -> None:
    x = torch.from_numpy(images.digits().train.astype(np.float32))[:, None] / 127.5 - 1
    found = b9_closer.ahead(x, 0, (0, 50))
    assert found[50]["taken for real"] < 0.1 < found[0]["taken for real"]
    assert found[50]["gradient, minimax"] < 0.3 * found[50]["gradient, non-saturating"]


def test_a_number_that_falls_with_the_distance_follows_it_and_one_that_grows_does_not() -> None:
    distances = [9.0, 4.0, 3.0, 1.0]
    rows = [{"valid/frechet_distance": d, "valid/critic.estimate": d**0.5} for d in distances]
    assert b9_closer.follows([{"step": 1}, *rows]) == pytest.approx(1)
    plain = [{"valid/frechet_distance": d, "valid/critic.loss_nats": d} for d in distances]
    assert b9_closer.follows(plain) == pytest.approx(-1)  # a larger loss of the plain critic is a smaller divergence
    assert b9_closer.follows(rows[:2]) is None


def test_the_shared_embedding_gives_the_published_number_of_weights_and_tables_give_more() -> None:
    result = record.Result("r", "", "")
    b9_closer.shared_embedding(result, "biggan")
    tables, shared = (row.value or 0 for row in result.rows)
    assert shared == pytest.approx(70.43, abs=0.01)
    assert tables > 1.2 * shared


def test_half_the_size_is_the_mean_of_four_pixels() -> None:
    x = np.array([[[0, 4, 10, 10], [8, 4, 10, 11]]], dtype=np.uint8)
    assert b9_closer.halved(x).tolist() == [[[4, 10]]]
