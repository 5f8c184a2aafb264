"""`inspect` on text: the arrays are the model's own pass, cut where it is said, and every ending holds them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from elboroom.cli.main import main
from elboroom.core.errors import InputError, Unable
from elboroom.core.spec import Spec
from elboroom.data.tokenizers import Byte, Char, Tokenizer
from elboroom.engine.runtime import seed_draws
from elboroom.inspect_text import Arrays, attention_arrays
from elboroom.models.gpt import GPT
from elboroom.report.attention import Attention
from elboroom.run import Run, load
from text_toys import few_drawn

LETTERS = Char.of(iter(["abcdefghijklmnop .\n"]), end=True)
TEXT = "a cab. bad\nice"


def model(tokenizer: Tokenizer = LETTERS, window: int = 32, **settings: object) -> GPT:
    seed_draws(0)
    config = GPT.Config(**{"layers": 2, "heads": 2, "width": 16, **settings})  # type: ignore[arg-type]
    made = GPT(config, Spec(kind="text", shape=(window,), scale="tokens", levels=tokenizer.size))
    with torch.no_grad():
        for p in made.parameters():
            p.add_(torch.randn_like(p) * 0.3)
    return made


def of(text: str, **asked: int) -> Arrays:
    return attention_arrays(model(), LETTERS, LETTERS.encode(text), **asked)


@pytest.mark.parametrize("family", ["gpt2", "modern"])
@pytest.mark.parametrize("pattern", ["dense", "sliding:3", "block:4+dense"])
def test_queries_and_keys_give_the_weights_of_their_head(family: str, pattern: str) -> None:
    made, ids = model(family=family, attention=pattern), LETTERS.encode(TEXT)
    for layer in (1, 2):
        for head in (1, 2):
            a = attention_arrays(made, LETTERS, ids, layer=layer, head=head)
            scores = a["q"].astype(float) @ a["k"].astype(float).T / np.sqrt(8)
            powers = np.where(a["allowed"], np.exp(scores), 0.0)
            want = powers / powers.sum(1, keepdims=True)
            np.testing.assert_allclose(a["weights"][layer - 1, head - 1], want, atol=1e-5)
            assert a["v"].shape == (len(ids), 8)


def test_the_weights_are_those_the_model_gives_and_the_model_is_left_as_it_was() -> None:
    made = model(dropout=0.5).train()
    got = attention_arrays(made, LETTERS, LETTERS.encode(TEXT))["weights"]
    assert made.training
    assert not any(m._forward_pre_hooks for m in made.modules())
    with torch.no_grad():
        want = made.eval().attention(torch.from_numpy(LETTERS.encode(TEXT)))
    np.testing.assert_array_equal(got, want)
    np.testing.assert_allclose(got.sum(-1), 1, atol=1e-5)


def test_the_drawing_of_a_pass_ends_in_the_weights_and_values_of_that_pass() -> None:
    found = Attention.of(of(TEXT, layer=2, head=2))
    block = found.block()
    assert block is not None
    svg = block.file("")
    rows = svg.split('data-name="weights" data-values="')[1].split('"')[0].split(";")
    drawn = np.array([row.split(" ") for row in rows], float)
    np.testing.assert_allclose(drawn, found.weights[1, 1, :8, :8], atol=1e-5)


def test_a_long_text_is_cut_to_its_last_tokens_and_that_is_said() -> None:
    text = "abcdefghij" * 20
    a = of(text)
    assert "".join(a["tokens"]) == text[-32:]
    assert str(a["said"]) == "The text has 200 tokens; the last 32 are read."
    b = attention_arrays(model(window=100), LETTERS, LETTERS.encode(text))
    assert "".join(b["tokens"]) == text[-64:]
    np.testing.assert_array_equal(
        b["weights"], attention_arrays(model(window=100), LETTERS, LETTERS.encode(text[-64:]))["weights"]
    )
    assert str(of("abc")["said"]) == ""


@pytest.mark.parametrize("asked", [{"layer": 3}, {"head": 0}, {"layer": -1}])
def test_a_head_that_is_not_there_is_refused_with_those_that_are(asked: dict[str, int]) -> None:
    with pytest.raises(InputError, match=r"--(layer|head) -?\d: this run has \w+s 1 to 2"):
        of(TEXT, **asked)


def test_parts_of_characters_and_the_end_of_a_text_have_names() -> None:
    assert LETTERS.end is not None
    ids = np.append(LETTERS.encode("ab"), LETTERS.end)
    assert attention_arrays(model(), LETTERS, ids)["tokens"].tolist() == ["a", "b", "⟨end⟩"]
    byte = Byte(end=False)
    assert attention_arrays(model(byte), byte, byte.encode("é"))["tokens"].tolist() == [r"\xc3", r"\xa9"]


# -- through the program -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def text_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A tiny GPT, a few steps old, on words of few letters."""
    folder = tmp_path_factory.mktemp("text")
    words = np.random.default_rng(0).choice(["cab", "bad", "ice", "a", "\n", "dead", "fade"], 3000)
    (folder / "words.txt").write_text(" ".join(words), encoding="utf-8")
    sizes = ["--layers", "2", "--heads", "2", "--width", "16", "--window", "24", "--batch-size", "4"]
    quick = ["--threads", "1", "--compile", "off", "--steps", "3", "--tokenizer", "char"]
    with few_drawn():
        assert main(["fit", "gpt", str(folder / "words.txt"), *sizes, *quick, "--run", str(folder / "run")]) == 0
    return load(folder / "run")


@pytest.fixture
def inspect(text_run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, Path, str]]:
    def call(name: str, *words: str) -> tuple[int, Path, str]:
        code = main(["inspect", str(text_run.path), "--out", str(tmp_path / name), *words])
        return code, tmp_path / name, "".join(capsys.readouterr())

    return call


Inspect = Callable[..., tuple[int, Path, str]]


def test_every_ending_holds_the_same_attention(text_run: Run, inspect: Inspect) -> None:
    want = text_run.inspect(text="a bad cab", layer=2, head=1)
    asked = ("--text", "a bad cab", "--layer", "2", "--head", "1")
    for name, form in (("a.svg", want.svg), ("a.html", want.html)):
        code, place, said = inspect(name, *asked)
        assert code == 0, said
        assert place.read_text(encoding="utf-8") == form()
    assert inspect("a.png", *asked)[1].read_bytes() == want.png()
    np.testing.assert_array_equal(np.load(inspect("a.npy", *asked)[1]), want.weights.astype(np.float32))
    with np.load(inspect("a.npz", *asked)[1]) as held:
        assert Attention.of(dict(held), name=want.name).html() == want.html()
        assert set(held) == {"weights", "tokens", "layer", "head", "said", "q", "k", "v", "allowed"}
    with inspect("a.csv", *asked)[1].open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    total = np.zeros(want.weights.shape, np.float32)
    for row in rows:
        total[tuple(int(row[name]) - 1 for name in ("layer", "head", "query", "key"))] = np.float32(row["weight"])
    np.testing.assert_array_equal(total, want.weights.astype(np.float32))
    assert [r["key_token"] for r in rows[:2]] == ["a", "a"]


def test_without_a_text_held_out_text_is_shown_and_a_file_by_its_beginning(inspect: Inspect, tmp_path: Path) -> None:
    code, _, said = inspect("own.svg")
    assert code == 0, said
    assert "the beginning of the test part" in said
    (tmp_path / "other.txt").write_text("dead ice fade " * 40, encoding="utf-8")
    code, place, said = inspect("other.npz", str(tmp_path / "other.txt"))
    assert code == 0, said
    with np.load(place) as held:
        assert "".join(held["tokens"]) == ("dead ice fade " * 40)[:24]


@pytest.mark.parametrize(
    ("name", "words", "code", "said"),
    [
        ("a.svg", ("--text", ""), 2, "--text is empty"),
        ("a.svg", ("--text", "zebra"), 2, "'z'"),
        ("a.svg", ("--text", "a", "--layer", "7"), 2, "layers 1 to 2"),
        ("a.svg", ("digits", "--text", "a"), 2, "leave one out"),
        ("a.h5ad", ("--text", "a"), 2, ".h5ad"),
        ("a", ("--text", "a"), 2, "a folder"),
        ("a.jpg", ("--text", "a"), 2, ".jpg"),
    ],
)
def test_what_cannot_be_inspected_is_refused_in_a_sentence(
    inspect: Inspect, name: str, words: tuple[str, ...], code: int, said: str
) -> None:
    got, place, message = inspect(name, *words)
    assert (got, place.exists()) == (code, False)
    assert said in message
    assert "Traceback" not in message


def test_a_run_on_pictures_has_no_attention_and_says_who_has(digits_run: Run) -> None:
    with pytest.raises(Unable, match=r"cannot say where it looks in a text; .*can"):
        digits_run.inspect(text="a")
    with pytest.raises(Unable):
        digits_run.inspect(layer=1)


def test_a_finished_run_keeps_its_attention_and_its_report_shows_it(text_run: Run) -> None:
    picture = (text_run.path / "media" / "attention.svg").read_text(encoding="utf-8")
    with np.load(text_run.path / "media" / "attention.npz", allow_pickle=False) as held:
        kept = Attention.of(dict(held))
    assert kept.svg() == picture
    assert len(kept.tokens) == 24
    np.testing.assert_array_equal(kept.weights, text_run.inspect().weights)
    page = (text_run.path / "report.html").read_text(encoding="utf-8")
    assert 'id="attention"' in page
    assert json.dumps(kept.tokens[0])[1:-1] in page
