"""Examples of a class, truncated noise, and what is refused; through Python and the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image

from elboroom.cli.main import main
from elboroom.core.abilities import Draws
from elboroom.core.errors import InputError, Unable
from elboroom.drawing import standing
from elboroom.fitting import fit
from elboroom.inspect_looks import look
from elboroom.nn.norm import BatchNorm

if TYPE_CHECKING:
    from elboroom.run import Run

SETTINGS = {"latent": 6, "width": 4, "widest": 2, "batch_size": 16}


def halves() -> tuple[np.ndarray, list[str]]:
    """96 images of 8 x 8, the left or the right half bright; a third of them left."""
    rng = np.random.default_rng(0)
    left = np.arange(96) % 3 == 0
    x = rng.integers(0, 60, (96, 8, 8))
    x[left, :, :4] += 190
    x[~left, :, 4:] += 190
    return x.astype(np.uint8), ["left" if one else "right" for one in left]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A SAGAN that is told which half is bright, a few steps old."""
    settings = {**SETTINGS, "lr": 0.05, "ema": 0.5}
    folder = tmp_path_factory.mktemp("runs") / "told"
    return fit("sagan", halves(), run=folder, settings=settings, steps=6, threads=1, seed=1)


@pytest.fixture(scope="module")
def untold(tmp_path_factory: pytest.TempPathFactory) -> Run:
    x, _ = halves()
    return fit("biggan", x, run=tmp_path_factory.mktemp("runs") / "untold", settings=SETTINGS, steps=3, threads=1)


def leans(x: np.ndarray) -> np.ndarray:
    """Brightness of the right half less that of the left one, an example each."""
    x = x.reshape(len(x), 8, 8).astype(float)
    return np.asarray(x[:, :, 4:].mean((1, 2)) - x[:, :, :4].mean((1, 2)))


@pytest.mark.slow
def test_the_class_that_is_asked_for_is_made(tmp_path: Path) -> None:
    rates = {"lr": 1e-3, "critic_lr": 2e-3, "beta2": 0.99, "critic_steps": 1, "ema": 0.95}
    run = fit("biggan", halves(), run=tmp_path / "run", settings={**SETTINGS, **rates}, steps=300, threads=1, seed=1)
    assert (leans(run.sample(100, label="left")) < 0).mean() > 0.95
    assert (leans(run.sample(100, label="right")) > 0).mean() > 0.95
    both = leans(run.sample(100, label=["left", "right"] * 50))
    assert (both[::2] < 0).mean() > 0.95 and (both[1::2] > 0).mean() > 0.95


def test_every_example_may_have_a_class_of_its_own(told: Run) -> None:
    mixed, right = told.sample(4, label=["left", "right", 1, "0"]), told.sample(4, label="right")
    same = [np.array_equal(a, b) for a, b in zip(mixed, right, strict=True)]
    assert same == [False, True, True, False]


def test_a_class_may_be_named_or_numbered(told: Run) -> None:
    named = told.sample(3, label="right")
    assert np.array_equal(named, told.sample(3, label=1)) and np.array_equal(named, told.sample(3, label="1"))


@pytest.mark.parametrize("asked", [{}, {"label": "left"}, {"label": "all"}, {"label": 0, "truncation": 0.5}])
def test_the_first_examples_of_a_seed_are_the_same_however_many_follow(told: Run, asked: dict[str, object]) -> None:
    few, many = told.sample(5, seed=3, **asked), told.sample(70, seed=3, **asked)  # type: ignore[arg-type]
    assert np.array_equal(few, many[:5])
    assert not np.array_equal(few, told.sample(5, seed=4, **asked))  # type: ignore[arg-type]


def test_a_smaller_truncation_gives_examples_that_are_more_alike(told: Run) -> None:
    spread = [float(told.sample(200, label="left", truncation=t).std(0).mean()) for t in (0.05, 0.5, 3.0)]
    assert spread[0] < spread[1] < spread[2]


def test_batch_statistics_are_taken_anew_where_noise_is_truncated(told: Run) -> None:
    assert isinstance(told.model, Draws)
    own = standing(told.model, 0.3)
    changed = [
        not torch.equal(a.square, b.square)
        for a, b in zip(told.model.modules(), own.modules(), strict=True)  # type: ignore[attr-defined]
        if isinstance(a, BatchNorm)
    ]
    assert any(changed) and not all(changed)  # those of the average alone: it is the one that samples
    assert not any(module.training for module in own.modules())  # type: ignore[attr-defined]


def test_labels_come_in_the_shares_of_the_data_where_none_is_asked_for(told: Run, tmp_path: Path) -> None:
    assert main(["sample", str(told.path), "-n", "600", "--out", str(tmp_path / "made.npz")]) == 0
    made = np.load(tmp_path / "made.npz")
    assert made["x"].shape == (600, 1, 8, 8) or made["x"].shape == (600, 8, 8)
    assert float((made["label"] == 0).mean()) == pytest.approx(1 / 3, abs=0.06)
    assert np.array_equal(made["x"][:5], told.sample(5))


def test_the_command_line_writes_the_label_and_a_column_for_each_class(told: Run, tmp_path: Path) -> None:
    words = ["sample", str(told.path), "-n", "6", "--truncation", "0.5"]
    assert main([*words, "--label", "right", "--out", str(tmp_path / "right.npz")]) == 0
    assert np.load(tmp_path / "right.npz")["label"].tolist() == [1] * 6
    assert main([*words, "--label", "all", "--out", str(tmp_path / "all.png")]) == 0
    with Image.open(tmp_path / "all.png") as sheet:
        width, height = sheet.size
    assert height == 3 * width / 2


def test_an_unknown_class_is_refused_with_those_there_are(told: Run, capsys: pytest.CaptureFixture[str]) -> None:
    for label in ("lift", "2", 2, -1):
        with pytest.raises(InputError, match=r"there is no such class.*classes: left, right"):
            told.sample(2, label=label)
    with pytest.raises(InputError, match="3 labels for 2 examples"):
        told.sample(2, label=[0, 1, 0])
    with pytest.raises(InputError, match="--truncation 0"):
        told.sample(2, truncation=0)
    assert main(["sample", str(told.path), "-n", "2", "--label", "lift", "--out", "x.npz"]) == 2
    assert "'left'" in capsys.readouterr().err


def test_a_model_that_was_told_no_classes_says_which_are(untold: Run, digits_run: Run) -> None:
    with pytest.raises(Unable, match="fit it on data with labels"):
        untold.sample(2, label="left")
    with pytest.raises(Unable, match=r"knows no classes.*biggan.*sagan.* can"):
        digits_run.sample(2, label="3")
    with pytest.raises(Unable, match=r"cannot truncate its noise; .*biggan"):
        digits_run.sample(2, truncation=0.5)
    assert untold.sample(3, truncation=0.5).shape == untold.sample(3).shape


def test_where_samples_look_is_drawn_and_written(told: Run, untold: Run, tmp_path: Path) -> None:
    found = look(told, n=3)
    assert found.maps.shape == (3, 5, 2, 2) and found.label is not None and found.label.tolist() == [0, 1, 0]
    np.testing.assert_allclose(found.maps.sum((2, 3)), 1, rtol=1e-5)
    for ending in ("png", "svg", "npz"):
        assert main(["inspect", str(told.path), "--out", str(tmp_path / f"looks.{ending}")]) == 0
    with Image.open(tmp_path / "looks.png") as sheet:
        picture = np.asarray(sheet)
    assert found.sheet().pixels.shape[1] == picture.shape[1] and picture.shape[2] == 3
    assert np.load(tmp_path / "looks.npz")["maps"].shape == (6, 5, 2, 2)
    assert b"<svg" in (tmp_path / "looks.svg").read_bytes()[:10]
    with pytest.raises(Unable):
        untold.inspect()
