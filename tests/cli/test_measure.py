"""`measure`: two sets without a run, as text, as JSON and from Python, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import elboroom as elbo
from elboroom.data.source import read

Call = Callable[..., tuple[int, str, str]]
Answer = Callable[..., Any]


@pytest.fixture
def half(tmp_path: Path) -> Path:
    """Every second digit with the label below 5, as a file of pixels 0..16."""
    rows = read("digits", seed=0).parts["train"]
    assert rows.label is not None
    x = rows.data[rows.label < 5][::2].numpy()  # type: ignore[attr-defined]
    np.save(tmp_path / "half.npy", x)
    return tmp_path / "half.npy"


def test_json_and_python_give_the_same_and_name_what_is_missing(answer: Answer, half: Path) -> None:
    found = answer("measure", "digits", half)
    assert found == elbo.measure("digits", str(half))
    assert (found["real"], found["fake"], found["split"]) == ("digits", "half", "valid+test")
    assert found["n_real"] == found["n_made"] == 360
    assert {"5", "6", "7"} <= set(found["classes"]["absent"])
    main = {row["name"]: row for row in found["extractors"][0]["rows"]}
    assert main["real against real"]["coverage"]["value"] > main["model"]["coverage"]["value"] > 0.3
    assert main["model"]["frechet_distance"]["low"] > main["real against real"]["frechet_distance"]["high"]
    assert found["metrics"]["memorised_share"]["value"] > 0.9  # they are rows of the training part


def test_the_text_is_a_table_for_each_extractor(call: Call, half: Path) -> None:
    code, out, _ = call("measure", "digits", half, "-n", "100", "--extractor", "pixels")
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == "100 of half beside 100 of digits, valid+test"
    assert sum(line.startswith("real against real") for line in lines) == 2
    assert any(line.startswith("features: pixels") for line in lines)
    assert sum(line.startswith("half ") for line in lines) == 2


def test_samples_that_a_run_wrote_can_be_measured_and_the_seed_draws_them(
    answer: Answer, pictures_run: Path, tmp_path: Path
) -> None:
    made = tmp_path / "made.npy"
    answer("sample", pictures_run, "-n", "300", "--out", made)
    words = ["measure", "digits", made, "-n", "150", "--extractor", "random"]
    one, same, other = (answer(*words, "--seed", seed)["extractors"] for seed in (1, 1, 2))
    assert one == same != other
    assert {each["name"] for each in one} == {"random", "pca"}


def test_tables_are_compared_column_by_name(answer: Answer, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    real, fake = rng.normal([5.0, -3.0], [1.0, 9.0], (900, 2)), rng.normal([5.0, 3.0], [1.0, 9.0], (400, 2))
    np.savetxt(tmp_path / "real.csv", real, delimiter=",", header="a,b", comments="")
    np.savetxt(tmp_path / "fake.csv", fake[:, ::-1], delimiter=",", header="b,a", comments="")
    found = answer("measure", tmp_path / "real.csv", tmp_path / "fake.csv")
    value = found["metrics"]["frechet_distance"]
    assert found["extractors"][0]["name"] == "pca" and found["n_real"] == 180
    assert value["low"] < (6 / 9) ** 2 < value["high"]  # standardised columns: the means differ by 6 of 9


def test_pictures_of_another_size_are_refused_with_what_to_do_and_then_fit(
    call: Call, answer: Answer, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    np.save(tmp_path / "real.npy", rng.integers(0, 256, (800, 10, 10), dtype=np.uint8))
    np.save(tmp_path / "fake.npy", rng.integers(0, 256, (200, 14, 14), dtype=np.uint8))
    words = ["measure", tmp_path / "real.npy", tmp_path / "fake.npy"]
    code, _, err = call(*words)
    assert code == 2 and "--size 10x10" in err and len(err.strip().splitlines()) == 1
    assert answer(*words, "--size", "10x10")["extractors"][0]["name"] == "random"


@pytest.mark.parametrize(
    ("fake", "extractor", "code", "said"),
    [
        (np.zeros((20, 8, 8)), "auto", 2, "fewer than 50"),
        (np.zeros((80, 8, 8)), "inceptoin", 2, "no extractor"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(
    call: Call, tmp_path: Path, fake: Any, extractor: str, code: int, said: str
) -> None:
    np.save(tmp_path / "fake.npy", fake)
    found, out, err = call("measure", "digits", tmp_path / "fake.npy", "--extractor", extractor)
    assert (found, out) == (code, "") and said in err and len(err.strip().splitlines()) == 1


def test_data_of_other_kinds_and_too_little_data_are_refused(call: Call, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("words " * 500, encoding="utf-8")
    code, _, err = call("measure", tmp_path / "text.txt", tmp_path / "text.txt")
    assert code == 3 and "images and tables" in err
    np.save(tmp_path / "small.npy", np.random.default_rng(0).normal(size=(60, 3)))
    code, _, err = call("measure", tmp_path / "small.npy", tmp_path / "small.npy")
    assert code == 2 and "--split" in err
    code, _, err = call("measure", "digits", tmp_path / "nowhere.npy")
    assert code == 2 and "nowhere.npy" in err
    with pytest.raises(elbo.InputError, match="knows no 'sclae'"):
        elbo.measure("digits", "digits", sclae="unit")
