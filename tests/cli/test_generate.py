"""`generate` through the program, on a run of a tiny language model that lies in a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from elboroom.cli.main import main
from elboroom.run import load

Call = Callable[..., tuple[int, str, str]]
Answer = Callable[..., Any]

MODEL = '''"""Pairs: the next character given the last one, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from annotated_types import Gt
from torch import Tensor, nn

from elboroom.core.abilities import Continues, Memory
from elboroom.core.batch import Batch
from elboroom.core.model import Model
from elboroom.core.optim import Adam
from elboroom.core.phase import Phase
from elboroom.core.spec import Spec

__all__ = ["Pairs"]


@dataclass
class Read:
    """How much was read."""

    lengths: Tensor

    def pick(self, rows: Tensor) -> Read:
        return Read(self.lengths[rows])

    def join(self, others: Any) -> Read:
        return Read(torch.cat([self.lengths, *(other.lengths for other in others)]))


class Pairs(Model, Continues):
    """A table of pairs."""

    kinds = ("text",)
    epochs = 1

    @dataclass(frozen=True, kw_only=True)
    class Config:
        batch_size: Annotated[int, Gt(0)] = 8
        """Windows of text a step."""
        lr: Annotated[float, Gt(0)] = 0.3
        """Step size of Adam."""

    def __init__(self, config: Config, spec: Spec) -> None:
        super().__init__(config, spec)
        self.table = nn.Embedding(spec.levels, spec.levels)
        nn.init.zeros_(self.table.weight)

    def loss(self, batch: Batch, t: Tensor) -> Any:
        return F.cross_entropy(self.table(batch.x[:, :-1]).flatten(0, 1), batch.x[:, 1:].flatten()), {}

    def phases(self) -> list[Phase]:
        return [Phase("pairs", self.loss, self.parameters(), Adam(lr=self.config.lr))]

    def read(self, tokens: Tensor, memory: Memory | None = None) -> tuple[Tensor, Read]:
        before = torch.zeros(len(tokens), dtype=torch.int64) if memory is None else memory.lengths
        return self.table(tokens), Read(before + tokens.shape[1])
'''
TEXT = "hold the door, old friend.\nthe gold is told to the cold wold.\n" * 40


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the model file."""
    made = tmp_path_factory.mktemp("models")
    (made / "pairs.py").write_text(MODEL, encoding="utf-8")
    return made


@pytest.fixture(autouse=True)
def _models(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELBOROOM_MODELS", str(folder))


@pytest.fixture(scope="session")
def run(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a short text, by characters."""
    place = tmp_path_factory.mktemp("text")
    (place / "text.txt").write_text(TEXT, encoding="utf-8")
    words = ["fit", "pairs", str(place / "text.txt"), "--kind", "text", "--tokenizer", "char", "--window", "16",
             "--steps", "40", "--threads", "1", "--device", "cpu", "--compile", "off"]  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ELBOROOM_MODELS", str(folder))
        assert main([*words, "--run", str(place / "run")]) == 0
    return place / "run"


def test_json_is_a_list_with_the_names_of_the_contract(answer: Answer, run: Path) -> None:
    made = answer("generate", run, "--prompt", "the ", "old", "--tokens", 20, "-n", 2, "--seed", 4)
    assert [text["prompt"] for text in made] == ["the ", "the ", "old", "old"]
    for text in made:
        assert set(text) == {"prompt", "text", "tokens", "finish_reason", "seed"}
        assert len(text["tokens"]) == 20 == len(text["text"]) and text["finish_reason"] == "length"
    again = answer("generate", run, "--prompt", "old", "--tokens", 20, "--seed", made[3]["seed"])
    assert again == [made[3]]


def test_python_gives_what_the_program_gives(answer: Answer, run: Path) -> None:
    loaded = load(run)
    how: dict[str, Any] = {"tokens": 30, "temperature": 0.7, "top_k": 5, "top_p": 0.9, "min_p": 0.01, "stop": "ld"}
    words = [part for name, value in how.items() for part in (f"--{name.replace('_', '-')}", value)]
    said = answer("generate", run, "--prompt", "the", "--repetition-penalty", 1.2, *words)
    made = loaded.generate("the", repetition_penalty=1.2, **how)
    assert [made.to_json()] == said
    assert loaded.generate(["the"], repetition_penalty=1.2, **how) == [made]
    assert len(loaded.generate("the", n=3)) == 3
    assert loaded.generate(tokens=3).prompt == ""


def test_without_json_prompt_and_text_are_printed(call: Call, answer: Answer, run: Path) -> None:
    words = ["generate", run, "--prompt", "the", "--tokens", 30]
    (text,) = answer(*words)
    assert call(*words) == (0, f"the{text['text']}\n".replace("\n\n", "\n"), "")
    code, out, _ = call(*words, "-n", 2)
    assert code == 0 and [line[:7] for line in out.splitlines() if line.startswith("---")] == ["--- 1.1", "--- 1.2"]


def test_a_streamed_text_is_the_same_text(call: Call, answer: Answer, run: Path) -> None:
    words = ["generate", run, "--prompt", "the", "--tokens", 60]
    (text,) = answer(*words)
    assert call(*words, "--stream") == (0, f"the{text['text']}\n", "")


def test_several_streamed_texts_come_line_by_line_behind_their_labels(call: Call, answer: Answer, run: Path) -> None:
    words = ["generate", run, "--prompt", "the", "old", "-n", 2, "--tokens", 60]
    texts = answer(*words)
    code, out, err = call(*words, "--stream")
    assert (code, err) == (0, "")
    found: dict[str, list[str]] = {}
    for line in out.splitlines():
        label, _, rest = line.partition("| ")
        found.setdefault(label, []).append(rest)
    assert ["\n".join(found[label]) for label in ("1.1", "1.2", "2.1", "2.2")] == [
        t["prompt"] + t["text"] for t in texts
    ]


def test_streaming_with_json_still_gives_one_document(call: Call, answer: Answer, run: Path) -> None:
    words = ["generate", run, "--prompt", "the", "--tokens", 20]
    code, out, err = call(*words, "--stream", "--json")
    assert code == 0 and json.loads(out) == answer(*words)
    assert err.startswith("the")


def test_greedy_is_temperature_zero_and_takes_no_chance(answer: Answer, run: Path) -> None:
    words = ["generate", run, "--prompt", "the", "--tokens", 20]
    greedy, cold, seeded = (
        answer(*words, *more)[0]["text"] for more in (["--greedy"], ["--temperature", 0], ["--greedy", "--seed", 5])
    )
    assert greedy == cold == seeded == answer(*words, "--top-k", 1)[0]["text"]


def test_a_stop_may_be_a_line_break(answer: Answer, run: Path) -> None:
    for text in answer("generate", run, "--prompt", "the", "--stop", r"\n", "ld ", "-n", 8, "--tokens", 400):
        assert text["finish_reason"] == "stop" and "\n" not in text["text"] and "ld " not in text["text"]


def test_prompts_may_come_from_a_file_one_a_line(answer: Answer, run: Path, tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_bytes("\ufeffthe gold\r\n\r\nold \n".encode())
    made = answer("generate", run, "--prompt-file", tmp_path / "p.txt", "--tokens", 3)
    assert [text["prompt"] for text in made] == ["the gold", "old "]


def test_log_probabilities_come_when_they_are_asked_for(answer: Answer, run: Path) -> None:
    (text,) = answer("generate", run, "--prompt", "the", "--tokens", 5, "--logprobs")
    assert [token["id"] for token in text["logprobs"]] == text["tokens"]
    assert all(len(token["top"]) == 5 and token["logprob"] <= 0 for token in text["logprobs"])
    assert "".join(token["text"] for token in text["logprobs"]) == text["text"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--temperature", "-1"], "--temperature: '-1'"),
        (["--temperature", "nan"], "--temperature: 'nan'"),
        (["--temperature", "inf"], "--temperature: 'inf'"),
        (["--top-k", "0"], "--top-k: '0'"),
        (["--top-p", "0"], "--top-p: '0'"),
        (["--top-p", "1.5"], "top_p 1.5: expected a mass above 0 and at most 1"),
        (["--min-p", "2"], "min_p 2.0"),
        (["--min-p", "-0.1"], "--min-p: '-0.1'"),
        (["--repetition-penalty", "0"], "--repetition-penalty: '0'"),
        (["--tokens", "0"], "--tokens: '0'"),
        (["-n", "0"], "-n: '0'"),
        (["--seed", "-1"], "--seed: '-1'"),
        (["--stop", ""], "stop '': expected a text"),
        (["--prompt", "a", "--prompt-file", "p"], "cannot stand beside"),
        (["--prompt"], "--prompt: needs a value"),
        (["--prompt-file", "nowhere.txt"], "nowhere.txt"),
        (["--prompt-file", "empty.txt"], "holds no prompt"),
        (["--prompt-file", "latin.txt"], "byte 2 is no UTF-8"),
        (["--prompt", "the", "Qüx"], "prompt 'Qüx'"),
        (["--temprature", "1"], "did you mean '--temperature'?"),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else "",
)
def test_a_wrong_call_is_answered_in_one_line(
    call: Call, run: Path, words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.txt").write_text("\n \n")
    (tmp_path / "latin.txt").write_bytes(b"M\xfcller\n")
    code, out, err = call("generate", run, *words)
    assert (code, out) == (2, "") and said in err and err.count("\n") == 1 and "Traceback" not in err


def test_a_model_that_does_not_continue_texts_is_refused_with_those_that_do(call: Call, points_run: Path) -> None:
    code, out, err = call("generate", points_run)
    assert (code, out) == (3, "") and "autoencoder cannot generate; " in err and "pairs" in err


def test_control_characters_of_a_text_are_shown_and_not_sent() -> None:
    from elboroom.cli.generating import _shown

    assert _shown("a\x1b[31mé\t\n\x07\r 🤗") == "a\\x1b[31mé\t\n\\x07\\r 🤗"


@pytest.mark.slow
def test_the_real_program_writes_to_a_pipe_and_ends_quietly_when_the_reader_leaves(run: Path, folder: Path) -> None:
    words = [sys.executable, "-m", "elboroom", "generate", str(run), "--prompt", "the", "--stream", "--tokens", "20000"]
    environment = {**os.environ, "ELBOROOM_MODELS": str(folder), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as program:
        assert program.stdout is not None and program.stderr is not None
        assert program.stdout.read(50).startswith(b"the")  # long before the end
        program.stdout.close()
        assert program.wait(60) == 0 and program.stderr.read() == b""
