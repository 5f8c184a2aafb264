"""Labelled sequences: .ts files, .npz files, arrays and texts; padded rows, the scaling, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from elboroom.core.errors import InputError
from elboroom.core.spec import Spec
from elboroom.data.reading import Reading
from elboroom.data.source import Dataset, read, read_like
from elboroom.data.transforms import transform_from_json

HEAD = "#made up\n@problemName tiny\n@timeStamps false\n@univariate false\n@classLabel true b a\n@data\n"


def write(path: Path, *lines: str, head: str = HEAD) -> Path:
    path.write_text(head + "\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    """A folder with a set of its own test part: sequences of one to three steps of two channels."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    train = [f"{i},{i + 1},?:{10 * i},?,5:{'ab'[i % 2]}" for i in range(20)]
    write(folder / "tiny_TRAIN.ts", *train)
    write(folder / "tiny_TEST.ts", "7:8:b", "1,2:3,4:a")
    return folder


def rows_of(data: Dataset, part: str) -> dict[str, torch.Tensor]:
    rows = data.parts[part]
    return rows.take(torch.arange(len(rows)))


def sequences(n: int = 30, longest: int = 8, channels: int = 3) -> tuple[list[np.ndarray], list[str]]:
    rng = np.random.default_rng(0)
    return [rng.normal(4, 2, (1 + i % longest, channels)) for i in range(n)], ["xyz"[i % 3] for i in range(n)]


def test_a_set_of_the_archive_is_read_with_its_own_test_part(pair: Path) -> None:
    data = read(pair)
    assert data.name == "tiny" and data.spec.kind == "sequences"
    assert data.spec.shape == (3, 2) and data.spec.classes == ("a", "b") and data.spec.masked
    assert {part: len(rows) for part, rows in data.parts.items()} == {"train": 18, "valid": 2, "test": 2}
    test = rows_of(data, "test")
    expected = [[[7, 8], [np.nan] * 2, [np.nan] * 2], [[1, 3], [2, 4], [np.nan] * 2]]
    np.testing.assert_array_equal(test["x"], np.array(expected))
    assert test["label"].tolist() == [1, 0] and test["lengths"].tolist() == [1, 2]
    train = rows_of(data, "train")
    first = data.parts["train"].index.tolist().index(0)
    np.testing.assert_array_equal(train["x"][first], [[0, 0], [1, np.nan], [np.nan, 5]])
    assert any("missing cells: 40" in p for p in data.problems)


@pytest.mark.parametrize("given", ["folder", "stem", "training file"])
def test_the_pair_has_three_names_and_one_fingerprint(pair: Path, given: str) -> None:
    path = {"folder": pair, "stem": pair / "tiny", "training file": pair / "tiny_TRAIN.ts"}[given]
    assert read(path).fingerprint == read(pair).fingerprint
    assert len(read(pair / "tiny_TEST.ts", Reading(split=(1, 0, 0))).parts["train"]) == 2


def test_a_set_below_elboroom_data_has_a_name(pair: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "data" / "sequences").mkdir(parents=True)
    pair.rename(tmp_path / "data" / "sequences" / "tiny")
    monkeypatch.setenv("ELBOROOM_DATA", str(tmp_path / "data"))
    assert read("tiny").spec.shape == (3, 2)
    with pytest.raises(InputError, match="there is no such file or folder"):
        read("tinier")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["1,2:3,x:a"], "line 7, channel 1: 'x' is no number"),
        (["1,2:3,4:c"], "'c' is not among those of @classLabel: b a"),
        (["1,2:3,4:?"], "line 7: the sequence has no label"),
        (["1,2:3,4:a", "1,2:a"], "sequence 1 has 1 channels and the first one 2"),
        (["1,2:inf,4:a"], "sequence 0, step 0, channel 1: the value is infinite"),
        (["a"], "line 7: holds no values"),
        ([], "holds no sequences"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, lines: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said.replace("?", r"\?")):
        read(write(tmp_path / "bad.ts", *lines))


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (HEAD.replace("timeStamps false", "timeStamps true"), "times of their own"),
        (HEAD.replace("@classLabel true b a", "@targetLabel true"), "classes are needed"),
        (HEAD.replace("@classLabel true b a", "@classLabel false"), "no labels"),
        ("1,2:a\n", "comes before @data"),
    ],
)
def test_a_header_that_promises_something_else_is_refused(tmp_path: Path, head: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read(write(tmp_path / "bad.ts", "1,2:3,4", "2,3:4,5", "1,2:7,8", head=head))


def test_rows_are_the_sequences_padded_and_the_scaling_is_fitted_on_training_steps_alone() -> None:
    x, y = sequences()
    data = read((x, y), Reading(kind="sequences"))
    assert data.spec.shape == (8, 3) and not data.spec.masked and data.reading.scale == "standard"
    raw = rows_of(data, "train")
    batch = data.transform(raw)
    index = data.parts["train"].index
    steps = np.concatenate([x[i] for i in index])
    for row, i in enumerate(index):
        n = len(x[i])
        expected = (x[i] - steps.mean(0)) / steps.std(0)
        np.testing.assert_allclose(batch.x[row, :n], expected, rtol=1e-5, atol=1e-6)
        assert not batch.x[row, n:].any()
        assert batch.observed is not None and batch.lengths is not None and batch.label is not None
        assert batch.observed[row].any(-1).sum() == n == batch.lengths[row]
        assert data.spec.classes[int(batch.label[row])] == y[i]


def test_sequences_of_one_length_carry_no_lengths() -> None:
    x = np.random.default_rng(0).normal(size=(12, 5, 2))
    data = read((x, np.arange(12) % 2), Reading(kind="sequences"))
    assert data.parts["train"].fields == ("x", "label") == tuple(rows_of(data, "train"))


def test_a_file_of_arrays_says_the_same_in_each_of_its_forms(tmp_path: Path) -> None:
    x, y = sequences()
    lengths = np.array([len(row) for row in x])
    padded = np.full((len(x), 8, 3), np.nan)
    for i, row in enumerate(x):
        padded[i, : len(row)] = row
    filled = np.nan_to_num(padded, nan=-7.0)
    forms: dict[str, dict[str, Any]] = {
        "padded": {"x": padded, "y": y},
        "lengths": {"x": filled, "y": y, "lengths": lengths},
        "flat": {"x": np.concatenate(x), "y": y, "lengths": lengths},
    }
    known = read((x, y), Reading(kind="sequences")).fingerprint
    for name, arrays in forms.items():
        np.savez(tmp_path / f"{name}.npz", **arrays)
        assert read(tmp_path / f"{name}.npz", Reading(kind="sequences")).fingerprint == known, name
    np.savez(tmp_path / "parts.npz", x_train=padded[:20], y_train=y[:20], x_test=padded[20:], y_test=y[20:])
    parts = read(tmp_path / "parts.npz", Reading(kind="sequences"))
    assert parts.fingerprint == known and parts.parts["test"].index.tolist() == list(range(20, 30))


def test_objects_in_a_file_are_never_unpickled(tmp_path: Path) -> None:
    x = np.empty(2, object)
    x[:] = [np.zeros((2, 1)), np.zeros((3, 1))]
    np.savez(tmp_path / "x.npz", x=x, y=np.arange(2))
    with pytest.raises(InputError, match="call the sequences 'x'"):
        read(tmp_path / "x.npz", Reading(kind="sequences"))


def test_labels_of_single_steps_keep_their_steps_and_their_gaps() -> None:
    x, _ = sequences()
    y: list[Any] = [["on" if v > 4 else "off" for v in row[:, 0]] for row in x]
    y[7][2] = None
    data = read((x, [np.array(one, object) for one in y]), Reading(kind="sequences", split=(1, 0, 0)))
    assert data.spec.per_step and data.spec.classes == ("off", "on")
    label = rows_of(data, "train")["label"]
    assert label.shape == (30, 8)
    for i, one in enumerate(y):
        wanted = [-1 if v is None else ("off", "on").index(v) for v in one]
        assert label[i].tolist() == wanted + [-1] * (8 - len(one))
    assert Spec.from_json(json.loads(json.dumps(data.spec.to_json()))) == data.spec


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (([np.zeros((2, 1)), np.zeros((2, 1))], [0]), "2 sequences and 1 labels"),
        (([np.zeros((2, 1)), np.zeros((2, 1))], [[0, 1], [0]]), "sequence 1 has 2 steps and 1 labels"),
        (([np.zeros((2, 1)), np.zeros((2, 2))], [0, 1]), "sequence 1 has 2 channels and the first one 1"),
        (([np.zeros((2, 1)), np.zeros((0, 1))], [0, 1]), "sequence 1 has shape"),
        (([np.zeros((2, 1)), ["a"]], [0, 1]), "numbers are needed"),
        ([np.zeros((2, 1)), np.zeros((2, 1))], "have no labels"),
    ],
)
def test_what_does_not_fit_together_is_refused(given: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read(given, Reading(kind="sequences"))


def test_new_sequences_get_the_runs_numbers_and_may_be_longer() -> None:
    x, y = sequences()
    data = read((x, y), Reading(kind="sequences"))
    saved = json.loads(json.dumps(data.to_json()))
    transform = transform_from_json(saved["transform"])
    transform.load_state_dict(data.transform.state_dict())
    longer = [np.ones((11, 3)), np.ones((2, 3))]
    new = read_like((longer, ["z", "y"]), saved, transform)
    raw = rows_of(new, "all")
    assert raw["x"].shape == (2, 11, 3) and raw["label"].tolist() == [2, 1] and raw["lengths"].tolist() == [11, 2]
    assert any("longer than the run's longest, 8 steps: 1 of 2" in p for p in new.problems)
    assert "label" not in rows_of(read_like((longer, ["q", "y"]), saved, transform), "all")
    with pytest.raises(InputError, match="2 channels; the run was trained on 3"):
        read_like([np.ones((4, 2))], saved, transform)


def test_missing_cells_are_counted_and_refused_when_asked() -> None:
    x, y = sequences()
    x[4][1, 2] = np.nan
    data = read((x, y), Reading(kind="sequences"))
    assert data.spec.masked
    assert any("missing cells: 1" in p and "sequence 4, step 1, channel 'channel_2'" in p for p in data.problems)
    with pytest.raises(InputError, match="--strict refuses them"):
        read((x, y), Reading(kind="sequences", strict=True))


def test_flags_that_mean_nothing_for_sequences_are_refused(pair: Path) -> None:
    for reading in (Reading(window=3), Reading(size=(2, 2)), Reading(time="t"), Reading(scale="log1p")):
        with pytest.raises(InputError):
            read(pair, reading)


# -- labelled texts ----------------------------------------------------------------------------------------------------


TEXTS = [f"the {('sea', 'road')[i % 2]} is {'very ' * (i % 4)}long" for i in range(40)]
KINDS = [("water", "land")[i % 2] for i in range(40)]


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    path = tmp_path / "texts.csv"
    lines = [f"{kind},{text}" for kind, text in zip(KINDS, TEXTS, strict=True)]
    path.write_text("kind,text\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_column_of_texts_and_one_of_labels_become_sequences_of_tokens(texts: Path, tmp_path: Path) -> None:
    data = read(texts, Reading(kind="sequences", label="kind"))
    assert data.spec.classes == ("land", "water") and data.spec.scale == "tokens"
    assert data.spec.shape == (max(map(len, TEXTS)),) and data.reading.tokenizer == "char"
    batch = data.transform(rows_of(data, "test"))
    tokenizer: Any = data.transform.tokenizer
    assert batch.lengths is not None and batch.label is not None and batch.x.dtype == torch.int64
    for row, i in enumerate(data.parts["test"].index):
        n = int(batch.lengths[row])
        assert tokenizer.decode(batch.x[row, :n].tolist()) == TEXTS[i] and not batch.x[row, n:].any()
        assert data.spec.classes[int(batch.label[row])] == KINDS[i]
    lines = tmp_path / "texts.jsonl"
    lines.write_text("".join(json.dumps({"text": t, "label": k}) + "\n" for t, k in zip(TEXTS, KINDS, strict=True)))
    assert read(lines, Reading(kind="sequences")).fingerprint == data.fingerprint
    assert read((TEXTS, KINDS), Reading(kind="sequences")).fingerprint == data.fingerprint


def test_texts_longer_than_the_window_are_cut_and_counted(texts: Path) -> None:
    data = read(texts, Reading(kind="sequences", label="kind", window=16))
    assert data.spec.shape == (16,)
    longer = sum(len(t) > 16 for t in TEXTS)
    assert any(f"cut there: {longer} of 40" in p for p in data.problems)
    saved = json.loads(json.dumps(data.to_json()))
    new = read_like(["the sea is the road"], saved, transform_from_json(saved["transform"]))
    assert rows_of(new, "all")["x"].shape == (1, 16)


def test_texts_without_labels_or_without_words_are_refused(texts: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--label sort: there is no such column"):
        read(texts, Reading(kind="sequences", label="sort"))
    with pytest.raises(InputError, match="no labels"):
        read(texts, Reading(kind="sequences"))
    with pytest.raises(InputError, match="text 1 is blank"):
        read((["a", " "], [0, 1]), Reading(kind="sequences"))
