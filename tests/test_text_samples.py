"""Texts kept over training, and the speed of writing: files that are taken apart again whatever is written in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from elboroom.core.errors import InputError
from elboroom.data.tokenizers import Byte, Char
from elboroom.pace import is_round
from elboroom.report.text import taken_apart
from elboroom.speed import copy_rate, generation_speed
from elboroom.text_samples import opening_words, text_sample
from text_toys import LETTERS, TEST, TRAIN, Recurrent, dataset


@pytest.fixture
def model() -> Recurrent:
    torch.manual_seed(0)
    return Recurrent(LETTERS.size).eval()


def written(model: Any, test: str, folder: Path, **more: Any) -> dict[str, str]:
    text = text_sample(model, dataset(LETTERS, TRAIN, test), **{"seed": 1, "step": 20, **more})
    (folder / "step-0000020.txt").write_bytes(text.encode())
    found, reason = taken_apart(folder / "step-0000020.txt")
    assert not reason and text.startswith("Step ") and "the prompt begins the test part" in text
    return found


def test_a_file_of_samples_gives_back_its_texts(model: Recurrent, tmp_path: Path) -> None:
    found = written(model, TEST, tmp_path)
    assert list(found) == ["prompt", "greedy", "temperature 1"]
    assert TEST.startswith(found["prompt"]) and len(found["greedy"]) == len(found["temperature 1"]) == 200


def test_the_draws_are_those_of_the_seed_at_every_step(model: Recurrent, tmp_path: Path) -> None:
    one, two = written(model, TEST, tmp_path), written(model, TEST, tmp_path, step=400)
    other = written(model, TEST, tmp_path, seed=2)
    assert one == two
    assert other["greedy"] == one["greedy"] and other["temperature 1"] != one["temperature 1"]


def test_texts_that_look_like_heads_are_taken_apart_by_their_lengths(tmp_path: Path) -> None:
    hostile = "[greedy, 3 characters]\nabc\n\n[prompt, 1 characters]\r\n\u202e\n"
    path = tmp_path / "step-0000001.txt"
    parts = {"prompt": hostile, "greedy": "\n\n" + hostile, "temperature 1": ""}
    heads = [f"[{name}, {len(text)} characters]\n{text}" for name, text in parts.items()]
    path.write_bytes("\n\n".join(["Step 1.", *heads, ""]).encode())
    assert taken_apart(path) == (parts, "")


@pytest.mark.parametrize("content", [b"", b"no heads", b"a\n\n[prompt, 9 characters]\nab", b"\xff\xfe\n\n[x, 1 chars]"])
def test_files_that_are_none_give_a_reason(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "step-0000001.txt"
    path.write_bytes(content)
    found, reason = taken_apart(path)
    assert found == {} and "damaged" in reason
    assert "cannot be read" in taken_apart(tmp_path / "step-2.txt")[1]


def test_the_prompt_is_whole_words_where_there_are_some() -> None:
    text = "The first words of a text that goes on for a long time"
    letters = Char.of(iter([text]), end=False)
    ids = torch.from_numpy(letters.encode(text))
    assert opening_words(letters, ids) == "The first words of a text that goes on"
    joined = torch.from_numpy(letters.encode(text.replace(" ", "")))
    assert len(opening_words(letters, joined)) == 40


def test_the_prompt_begins_after_the_end_of_the_document_before_and_ends_with_a_whole_character() -> None:
    tokenizer = Byte(end=True)
    words = tokenizer.encode("one document")
    ids = np.concatenate([[tokenizer.end], words, [tokenizer.end], words])
    assert opening_words(tokenizer, torch.from_numpy(ids)) == "one document"
    assert opening_words(tokenizer, torch.tensor([tokenizer.end])) == ""
    broken = torch.from_numpy(tokenizer.encode("春" * 30)[:64])  # 64 bytes are 21 characters and a third
    assert opening_words(tokenizer, broken) == "春" * 21


def test_samples_are_kept_at_round_looks() -> None:
    assert [look for look in range(1001) if is_round(look)] == [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]


def test_data_that_are_no_text_have_no_samples(model: Recurrent) -> None:
    data = dataset(LETTERS, TRAIN, TEST)
    data.parts = {"test": [1, 2, 3]}
    with pytest.raises(InputError, match="no text"):
        text_sample(model, data, seed=0, step=0)


def test_the_speed_of_writing_stands_beside_what_the_memory_allows(model: Recurrent) -> None:
    before = torch.get_rng_state()
    found = generation_speed(model.train(), torch.device("cpu"))
    assert model.training and torch.equal(before, torch.get_rng_state())
    size = sum(p.numel() for p in model.parameters()) * 4
    assert found["weight_bytes"] == size
    assert found["bound_tokens_per_s"] == pytest.approx(found["copy_bytes_per_s"] / size)
    assert found["tokens"] >= 4 and found["generation_tokens_per_s"] > 0
    assert 1e8 < copy_rate(torch.device("cpu")) < 1e13
