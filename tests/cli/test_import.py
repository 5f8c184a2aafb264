"""`import` through the program: a GPT-2 folder becomes a run that the other verbs take; a wrong one leaves nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gpt2_form import made, weights

pytest.importorskip("tokenizers")

Call = Callable[..., tuple[int, str, str]]
Answer = Callable[..., Any]


def test_what_was_imported_generates_is_measured_and_goes_back(answer: Answer, tmp_path: Path) -> None:
    folder, run, back = made(tmp_path / "gpt2"), tmp_path / "run", tmp_path / "back"
    parameters = sum(x.numel() for x in weights().values())
    assert answer("import", folder, "--run", run) == {"run": str(run), "state": "done", "parameters": parameters}
    asked = ["generate", run, "--prompt", "the man", "--tokens", "6", "--greedy"]
    first = answer(*asked)
    assert first[0]["prompt"] == "the man" and len(first[0]["tokens"]) == 6
    (tmp_path / "text.txt").write_text("the hand and the man " * 20, encoding="utf-8")
    assert answer("evaluate", run, tmp_path / "text.txt")["metrics"]["loss_nats_per_token"]["value"] > 0
    assert answer("export", run, "--format", "safetensors", "--out", back)["out"] == str(back)
    answer("import", back, "--run", tmp_path / "again")
    asked[1] = tmp_path / "again"
    assert answer(*asked) == first


def test_it_says_what_it_made(call: Call, tmp_path: Path) -> None:
    code, out, _ = call("import", made(tmp_path / "gpt2"), "--run", tmp_path / "run")
    parameters = sum(x.numel() for x in weights().values())
    assert code == 0 and out == f"{tmp_path / 'run'}: {parameters:,} parameters, tokenizer bpe:260, context 16\n"


def test_a_run_that_is_there_is_replaced_by_force_only(call: Call, tmp_path: Path) -> None:
    words = ["import", made(tmp_path / "gpt2"), "--run", tmp_path / "run"]
    assert call(*words)[0] == 0
    code, out, err = call(*words)
    assert code == 2 and out == "" and "--force replaces it" in err
    assert call(*words, "--force")[0] == 0


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda folder: folder.joinpath("model.safetensors").rename(folder / "pytorch_model.bin"), "a pickle"),
        (lambda folder: folder.joinpath("config.json").write_text(json.dumps({"model_type": "bert"})), "only GPT-2"),
        (lambda folder: folder.joinpath("config.json").unlink(), "config.json"),
    ],
)
def test_a_folder_that_is_no_gpt2_is_one_message_and_no_run(
    harm: Callable[[Path], Any], words: str, call: Call, tmp_path: Path
) -> None:
    folder = made(tmp_path / "gpt2")
    harm(folder)
    code, out, err = call("import", folder, "--run", tmp_path / "run")
    assert code == 2 and out == "" and words in err and err.count("\n") == 1
    assert not (tmp_path / "run").exists()
