"""The model card says what run.json and metrics.json say, and invents nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from elboroom import card

if TYPE_CHECKING:
    from elboroom.run import Run


def changed(source: Run, to: Path, **parts: Any) -> Path:
    """A copy of a run with parts of run.json, metrics.json or details.json replaced."""
    shutil.copytree(source.path, to)
    for name in ("run", "metrics", "details"):
        path = to / f"{name}.json"
        if name in parts:
            path.write_text(json.dumps({**json.loads(path.read_text()), **parts[name]}), encoding="utf-8")
    return to


def test_a_finished_run_has_its_card(digits_run: Run) -> None:
    assert (digits_run.path / "card.md").read_text(encoding="utf-8") == card.build(digits_run.path)


def test_every_measure_stands_on_the_card_with_how_many_it_rests_on(digits_run: Run) -> None:
    text = card.build(digits_run.path)
    lines = {key: next(line for line in text.splitlines() if f"`{key}`" in line) for key in digits_run.metrics}
    for key, found in digits_run.metrics.items():
        assert f"{found['n']:,} {found['split']}" in lines[key]
        for reference in found.get("references", []):
            assert reference["name"] in lines[key]


def test_a_named_set_comes_with_its_terms_and_other_data_with_a_question(digits_run: Run, table_run: Run) -> None:
    assert "CC BY 4.0" in card.build(digits_run.path)
    assert "whoever shares these weights must say" in card.build(table_run.path)


def test_what_was_found_in_the_data_and_in_training_is_a_limit(table_run: Run, tmp_path: Path) -> None:
    finding = {"name": "posterior_collapse", "level": "alarm", "why": "2 of 2 latents carry nothing"}
    text = card.build(changed(table_run, tmp_path / "run", details={"checks": [finding]}))
    assert "posterior collapse: 2 of 2 latents carry nothing" in text
    for problem in table_run.meta["data"]["problems"]:
        assert problem in text


@pytest.mark.parametrize(
    ("value", "said"), [(0.5, "does better by"), (1.05, "cannot be told apart from it by"), (2.5, "")]
)
def test_a_simpler_thing_that_does_as_well_is_named(digits_run: Run, tmp_path: Path, value: float, said: str) -> None:
    error = {"value": 1.0, "low": 0.9, "high": 1.1, "unit": "", "n": 500, "split": "test", "how": "",
             "references": [{"name": "PCA", "value": value, "low": value, "high": value}]}  # fmt: skip
    folder = changed(digits_run, tmp_path / "run", metrics={"reconstruction_mse": error})
    text = card.build(folder)
    for phrase in ("does better by", "cannot be told apart from it by"):
        assert (f"PCA, which is simpler, {phrase} `reconstruction_mse`" in text) is (phrase == said)


def test_a_run_without_measures_says_why(digits_run: Run, tmp_path: Path) -> None:
    folder = changed(digits_run, tmp_path / "run", run={"state": "failed", "why": "no room on the disk"})
    (folder / "metrics.json").unlink()
    text = card.build(folder)
    assert "None were taken (state: failed)" in text
    assert "no room on the disk" in text


def test_the_command_that_repeats_it_stands_there(digits_run: Run, tmp_path: Path) -> None:
    command = "elboroom fit vae digits --latent 3"
    assert f"```sh\n{command}\n```" in card.build(changed(digits_run, tmp_path / "run", run={"command": command}))


def test_text_from_data_cannot_break_a_table(table_run: Run, tmp_path: Path) -> None:
    data = {**table_run.meta["data"], "name": "a|b\n# title"}
    text = card.build(changed(table_run, tmp_path / "run", run={"data": data}))
    assert "| set | a\\|b # title |" in text


@pytest.fixture(scope="module")
def text_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A small finished run on text."""
    from elboroom.fitting import fit
    from text_toys import few_drawn, prose

    folder = tmp_path_factory.mktemp("text")
    (folder / "prose.txt").write_text(prose(2500), encoding="utf-8")
    settings = {"layers": 1, "heads": 1, "width": 16, "batch_size": 8}
    with few_drawn():
        return fit("gpt", str(folder / "prose.txt"), run=folder / "run", settings=settings, steps=4, seed=1)


def test_the_card_of_a_text_run_says_what_its_tokens_are_and_that_likely_is_not_true(text_run: Run) -> None:
    text = card.build(text_run.path)
    spec = text_run.meta["data"]["spec"]
    assert f"a window of {spec['shape'][0]} tokens, {spec['levels']} different ones" in text
    assert "goes on with a text" in text and "likely, not checked to be true" in text
    assert "unseen text, which is simpler" not in text


def test_a_copying_model_is_a_limit(text_run: Run, tmp_path: Path) -> None:
    warning = "A sample repeats 90 characters of the training text word for word; unseen text repeats 20 at most."
    copied = {"memorisation": {"copied": True, "warning": warning}}
    assert f"- {warning[:-1]}\n" in card.build(changed(text_run, tmp_path / "run", details=copied))


def test_a_finished_text_run_keeps_samples_speed_and_every_measure(text_run: Run) -> None:
    assert (text_run.path / "media/samples/step-0000000.txt").is_file()
    assert (text_run.path / "media/samples/step-0000004.txt").is_file()
    assert text_run.meta["speed"]["generation_tokens_per_s"] > 0
    assert {"bits_per_byte", "loss_nats_per_token", "perplexity", "memorised_share"} <= set(text_run.metrics)
    details = json.loads((text_run.path / "details.json").read_text(encoding="utf-8"))
    assert "speed" not in details, "what differs from run to run stays out of what is equal for equal runs"
    assert {"text", "baselines", "by_context", "memorisation", "sample", "checks"} <= set(details)
