"""Generation against plain loops: one row, the whole text read anew for every token, the law and the draw spelled out.

The models are tiny: a table of laws for the last few tokens, whose bits do not depend on the batch, and a GRU.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from elboroom import generation
from elboroom.core.abilities import Continues, Memory
from elboroom.core.chance import mix
from elboroom.core.errors import InputError
from elboroom.generation import Asked, Generation, generate, opening, stream
from elboroom.nn.sampling import Sampling, filtered, repetition_penalty, uniforms

LETTERS = "abcdefgh \n"


class Letters:
    """One token a byte sequence of a list; the longest that fits is taken. None stands for the end of a text."""

    def __init__(self, pieces: Sequence[str | bytes | None] = tuple(LETTERS)) -> None:
        self.pieces = [b"" if p is None else p.encode() if isinstance(p, str) else p for p in pieces]
        self.name, self.size = "letters", len(pieces)
        self.end = list(pieces).index(None) if None in pieces else None

    def encode(self, text: str) -> NDArray[np.int64]:
        rest, ids = text.encode(), []
        while rest:
            fits = [i for i, piece in enumerate(self.pieces) if piece and rest.startswith(piece)]
            if not fits:
                raise InputError(f"unknown characters: {rest.decode()[:1]!r}")
            ids.append(max(fits, key=lambda i: len(self.pieces[i])))
            rest = rest[len(self.pieces[ids[-1]]) :]
        return np.array(ids, dtype=np.int64)

    def decode(self, ids: Sequence[int]) -> str:
        return b"".join(self.pieces[i] for i in ids).decode(errors="replace")

    def token_bytes(self, i: int) -> bytes:
        return self.pieces[i]


@dataclass
class Last:
    """A memory of the last few tokens."""

    tokens: Tensor
    lengths: Tensor

    def pick(self, rows: Tensor) -> Last:
        return Last(self.tokens[rows], self.lengths[rows])

    def join(self, others: Sequence[Last]) -> Last:
        every = [self, *others]
        return Last(torch.cat([m.tokens for m in every]), torch.cat([m.lengths for m in every]))


class Table(nn.Module, Continues):
    """A random law for each (hashed) context of three tokens. `reads` notes what was asked: (rows, tokens)."""

    def __init__(self, size: int, *, spread: float = 2.0, seed: int = 0) -> None:
        super().__init__()
        self.laws = spread * torch.randn(997, size, generator=torch.Generator().manual_seed(seed))
        self.reads: list[tuple[int, int]] = []

    def read(self, tokens: Tensor, memory: Memory | None = None) -> tuple[Tensor, Last]:
        rows, n = tokens.shape
        self.reads.append((rows, n))
        before = memory if isinstance(memory, Last) else Last(torch.full((rows, 2), -1), torch.zeros(rows).long())
        seen = torch.cat([before.tokens, tokens], 1)
        bucket = (seen[:, :-2] * 7919 + seen[:, 1:-1] * 104729 + seen[:, 2:] * 1299709) % 997
        return self.laws[bucket], Last(seen[:, -2:], before.lengths + n)


class Recurrent(nn.Module, Continues):
    """A GRU with random weights in float64."""

    def __init__(self, size: int) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.embed, self.cell = nn.Embedding(size, 8), nn.GRU(8, 16, batch_first=True)
            self.head = nn.Linear(16, size)
        self.double().eval()

    def read(self, tokens: Tensor, memory: Memory | None = None) -> tuple[Tensor, Last]:
        rows, n = tokens.shape
        before = memory if isinstance(memory, Last) else Last(torch.zeros(rows, 16).double(), torch.zeros(rows).long())
        h, last = self.cell(self.embed(tokens), before.tokens[None])
        return 10 * self.head(h).float(), Last(last[0], before.lengths + n)


MODELS = {"table": Table, "recurrent": Recurrent}
SAMPLINGS = {
    "plain": Sampling(),
    "greedy": Sampling(temperature=0),
    "filtered": Sampling(temperature=1.3, top_k=6, top_p=0.9, min_p=0.02),
    "penalised": Sampling(temperature=0.8, repetition_penalty=1.4),
    "greedy, penalised": Sampling(temperature=0, repetition_penalty=1.4),
}
PROMPTS = ["", "a", "bad", "head\n", "cab", "a deaf bee", "bad"]


def plainly(model: Any, tokenizer: Any, prompt: str, tokens: int, sampling: Sampling, seed: int) -> list[int]:
    """The ids of one text: everything read anew at each step, the inverse of the distribution function by a search."""
    given = [int(i) for i in tokenizer.encode(prompt)]
    ids = given or opening(tokenizer)
    made: list[int] = []
    for step in range(tokens):
        logits = model.read(torch.tensor([ids + made]))[0][:, -1]
        penalties = torch.ones_like(logits)
        penalties[0, given + made] = sampling.repetition_penalty
        law = filtered(repetition_penalty(logits, penalties), sampling)[0].exp()
        u = float(uniforms([mix(seed, prompt)], step, 1))
        made.append(int(np.searchsorted(np.cumsum(law.numpy()), u, side="right")))
        if made[-1] == tokenizer.end:
            break
    return made


def keywords(sampling: Sampling) -> dict[str, Any]:
    return {name: getattr(sampling, name) for name in sampling.__dataclass_fields__}


@torch.no_grad()
@pytest.mark.parametrize("sampling", SAMPLINGS.values(), ids=SAMPLINGS)
@pytest.mark.parametrize("name", MODELS)
def test_every_row_is_what_a_plain_loop_over_it_alone_gives(name: str, sampling: Sampling) -> None:
    tokenizer = Letters([*LETTERS, None])
    model = MODELS[name](tokenizer.size)
    made = generate(model, tokenizer, PROMPTS, tokens=25, seed=5, **keywords(sampling))
    for prompt, text in zip(PROMPTS, made, strict=True):
        assert list(text.tokens) == plainly(model, tokenizer, prompt, 25, sampling, 5)
        assert text.text == tokenizer.decode(text.tokens) and (text.prompt, text.seed) == (prompt, 5)
        assert text.finish_reason == ("stop" if text.tokens[-1] == tokenizer.end else "length")


def test_a_row_has_the_same_text_alone_and_in_any_batch() -> None:
    tokenizer, model = Letters(), Table(len(LETTERS))
    how: dict[str, Any] = {"tokens": 30, "stop": "e", "seed": 9}
    together = generate(model, tokenizer, PROMPTS, n=3, **how)
    for i, prompt in enumerate(PROMPTS):
        assert generate(model, tokenizer, prompt, n=3, **how) == together[3 * i : 3 * i + 3]
    assert len({len(text.tokens) for text in together}) > 5  # they leave the batch at all kinds of times


def test_the_seed_beside_a_text_gives_it_again_alone() -> None:
    tokenizer, model = Letters(), Table(len(LETTERS))
    made = generate(model, tokenizer, ["bad", "cab"], tokens=20, n=4, seed=3)
    assert [text.seed for text in made[:4]] == [text.seed for text in made[4:]]
    assert made[0].seed == 3 and max(text.seed for text in made) < 2**53
    for text in made:
        assert generate(model, tokenizer, [text.prompt], tokens=20, seed=text.seed) == [text]
    assert len({text.text for text in made}) == 8


def test_equal_prompts_give_equal_texts_and_another_seed_other_ones() -> None:
    tokenizer, model = Letters(), Table(len(LETTERS))
    a, b, c = generate(model, tokenizer, ["bad", "cab", "bad"], tokens=20)
    assert a == c and a.text != b.text
    assert generate(model, tokenizer, "bad", tokens=20, seed=1)[0].text != a.text


def test_a_longer_text_begins_as_the_shorter_one() -> None:
    tokenizer, model = Letters(), Table(len(LETTERS))
    long, short = (generate(model, tokenizer, "bad", tokens=tokens)[0] for tokens in (600, 20))
    assert long.text.startswith(short.text) and len(long.tokens) == 600  # past the numbers made at a time


def test_all_samples_of_a_prompt_share_one_reading_of_it_and_prompts_of_one_length_are_read_together() -> None:
    tokenizer, model = Letters(), Table(len(LETTERS))
    generate(model, tokenizer, ["bad", "head", "cab", "bad"], tokens=4, n=5)
    assert model.reads == [(2, 3), (1, 4), *[(20, 1)] * 3]  # and nothing is read after the last token


def test_rows_that_have_ended_leave_the_batch() -> None:
    tokenizer, model = Letters(), Table(len(LETTERS))
    made = generate(model, tokenizer, PROMPTS, tokens=50, stop=["a", "e"])
    lengths = [len(text.tokens) for text in made]
    rows = [rows for rows, n in model.reads[-max(lengths) + 1 :]]
    assert rows == [sum(length > step for length in lengths) for step in range(1, max(lengths))]
    assert rows[-1] < len(PROMPTS)


@pytest.mark.parametrize("name", MODELS)
def test_a_long_prompt_is_read_in_parts_with_the_same_end(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer, model = Letters(), MODELS[name](len(LETTERS))
    prompts = ["a bad deaf bee " * 9, "head " * 27, "fed"]
    whole = generate(model, tokenizer, prompts, tokens=20)
    monkeypatch.setattr(generation, "PREFILL_LOGITS", 2 * len(LETTERS) * 20)
    assert generate(model, tokenizer, prompts, tokens=20) == whole
    if isinstance(model, Table):
        assert (2, 20) in model.reads and (2, 135 % 20) in model.reads


def test_more_rows_than_stand_side_by_side_follow_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer, model = Letters(), Table(len(LETTERS))
    together = generate(model, tokenizer, PROMPTS, n=3, tokens=9)
    monkeypatch.setattr(generation, "ROWS", 4)
    assert generate(model, tokenizer, PROMPTS, n=3, tokens=9) == together


@pytest.mark.parametrize("look_every", [2, 7, 16, 100])
def test_looking_at_the_device_less_often_changes_no_text(look_every: int) -> None:
    tokenizer = Letters([*LETTERS, None])
    model = Table(tokenizer.size, spread=1.0)
    asked = Asked(tokens=18, n=9, stop=("ab", "e\n"), logprobs=2, sampling=Sampling(repetition_penalty=1.2))
    texts = generation.begin(tokenizer, PROMPTS, asked)
    pieces = generation._pieces(model, tokenizer, texts, asked, look_every=look_every)
    found = {piece.row: piece.done for piece in pieces if piece.done}
    seldom = [found[row] for row in range(len(texts))]
    assert seldom == [piece.done for piece in sorted(streamed(model, tokenizer, asked), key=lambda p: p.row)]
    assert {"stop", "length"} == {text.finish_reason for text in seldom}


def streamed(model: Any, tokenizer: Any, asked: Asked) -> list[generation.Piece]:
    return [piece for piece in stream(model, tokenizer, PROMPTS, asked) if piece.done]


# ---- texts ------------------------------------------------------------------------------------------------------

SPLIT = Letters(["a", "ab", "b", "ba", "\n", b"\xc3", b"\xa9", b"\xf0\x9f", b"\xa4\x97", "🤗", "é", b"\xff", None])
"""Pieces that overlap, and characters that come in parts, whole, or not at all."""


@pytest.mark.parametrize("stops", [(), ("ab",), ("bab", "é", "\na"), ("🤗🤗", "aba", "abab", "b\n")])
def test_pieces_make_the_text_and_the_text_is_what_stands_before_the_stop(stops: tuple[str, ...]) -> None:
    model, asked = Table(SPLIT.size, spread=0.5), Asked(tokens=12, stop=stops, n=60, seed=2)
    shown: dict[int, str] = {}
    done: dict[int, Generation] = {}
    for piece in stream(model, SPLIT, ["a", "\n"], asked):
        assert piece.row not in done and (piece.text or piece.done)
        shown[piece.row] = shown.get(piece.row, "") + piece.text
        if piece.done:
            done[piece.row] = piece.done
    whole = generate(model, SPLIT, ["a", "\n"], tokens=12, stop=stops, n=60, seed=2)
    assert [done[row] for row in range(120)] == whole and [shown[row] for row in range(120)] == [t.text for t in whole]
    for text in whole:
        made = b"".join(SPLIT.token_bytes(i) for i in text.tokens)
        ends = [made.find(s.encode()) + len(s.encode()) for s in stops if s.encode() in made]
        starts = [made.find(s.encode()) for s in stops if s.encode() in made and made[: min(ends)].endswith(s.encode())]
        assert text.text == (made[: min(starts)] if starts else made).decode(errors="replace")
        assert text.finish_reason == ("stop" if starts or text.tokens[-1] == SPLIT.end else "length")
        if starts:  # with the token before, the stop had not come yet
            before = b"".join(SPLIT.token_bytes(i) for i in text.tokens[:-1])
            assert not any(s.encode() in before for s in stops)
    assert {t.finish_reason for t in whole} == {"stop", "length"}


def test_a_stop_that_begins_in_the_prompt_does_not_count() -> None:
    tokenizer = Letters(["a", "b"])
    model = Table(2)
    model.laws[:] = torch.tensor([0.0, 9.0])  # b, always
    text = generate(model, tokenizer, "a", tokens=5, stop="ab", greedy=True)[0]
    assert (text.text, text.finish_reason) == ("bbbbb", "length")


def test_the_end_token_ends_a_text_and_is_no_part_of_it() -> None:
    tokenizer = Letters(["a", "b", None])
    model = Table(3)
    model.laws[:] = torch.tensor([0.0, 0.0, 9.0])
    text = generate(model, tokenizer, ["ab", ""], tokens=5, greedy=True, stop="b")[0]
    assert (text.text, text.tokens, text.finish_reason) == ("", (2,), "stop")


def test_an_empty_prompt_begins_with_the_end_token_or_a_line_break_or_the_first_token() -> None:
    assert opening(Letters(["a", "\n", None])) == [2]
    assert opening(Letters(["a", "\n"])) == [1]
    assert opening(Letters(["a", "b"])) == [0]


def test_log_probabilities_are_the_models_own_whatever_was_asked_of_the_draw() -> None:
    tokenizer, model = Letters(), Table(len(LETTERS))
    how: dict[str, Any] = {"temperature": 0.5, "top_k": 3, "repetition_penalty": 1.5}
    plain = generate(model, tokenizer, PROMPTS, tokens=15, **how)
    for size in (2, 100):
        made = generate(model, tokenizer, PROMPTS, tokens=15, logprobs=size, **how)
        assert [text.tokens for text in made] == [text.tokens for text in plain]
        for text in made:
            ids = [*(tokenizer.encode(text.prompt).tolist() or opening(tokenizer)), *text.tokens]
            laws = model.read(torch.tensor([ids]))[0][0].double().log_softmax(-1)[-len(text.tokens) - 1 : -1]
            assert len(text.logprobs) == 15
            for token, law in zip(text.logprobs, laws, strict=True):
                assert token.text == tokenizer.decode([token.id])
                assert token.logprob == pytest.approx(float(law[token.id]), abs=1e-12)
                best = sorted(range(len(law)), key=lambda i: (-float(law[i]), i))[:size]
                assert [other.id for other in token.top] == best
                assert [other.logprob for other in token.top] == pytest.approx(law[best].tolist(), abs=1e-12)
            assert [token.id for token in text.logprobs] == list(text.tokens)
            assert sum(math.exp(other.logprob) for other in text.logprobs[0].top) <= 1 + 1e-12


def test_as_json_a_text_has_the_names_of_the_contract() -> None:
    tokenizer, model = Letters(), Table(len(LETTERS))
    plain, told = (generate(model, tokenizer, "bad", tokens=2, logprobs=k)[0].to_json() for k in (0, 1))
    assert list(plain) == ["prompt", "text", "tokens", "finish_reason", "seed"]
    assert plain == {k: told[k] for k in plain} and set(told) - set(plain) == {"logprobs"}
    assert {"id", "text", "logprob", "top"} == set(told["logprobs"][0])
    assert str(generate(model, tokenizer, "bad", tokens=2)[0]) == "bad" + plain["text"]


# ---- what is refused, and what stays as it was ------------------------------------------------------------------

BAD: list[tuple[str, Any, str]] = [
    ("temperature", -0.1, "0 is greedy"),
    ("temperature", math.nan, "finite"),
    ("top_k", -1, "whole number"),
    ("top_p", 0, "above 0"),
    ("top_p", 1.5, "at most 1"),
    ("min_p", -0.1, "0 to 1"),
    ("min_p", 2, "0 to 1"),
    ("repetition_penalty", 0, "above 0"),
    ("tokens", 0, "at least one token"),
    ("tokens", 1.5, "at least one token"),
    ("n", 0, "at least one text"),
    ("seed", -1, "whole number from 0"),
    ("seed", 2**63, "whole number from 0"),
    ("logprobs", -1, "number of tokens"),
    ("stop", "", "at least one character"),
    ("stop", ["a", ""], "at least one character"),
]


@pytest.mark.parametrize(("name", "value", "said"), BAD)
def test_a_wrong_argument_is_refused_before_anything_is_read(name: str, value: Any, said: str) -> None:
    model = Table(len(LETTERS))
    with pytest.raises(InputError, match=f"^{name} .*{said}"):
        generate(model, Letters(), "a", **{name: value})
    assert model.reads == []


@pytest.mark.parametrize(
    ("prompts", "said"),
    [
        ([], "the list is empty"),
        (["a", 3], "prompt 3: expected a text"),
        (["a", "bax"], "prompt 'bax': unknown characters: 'x'"),
        (["\ud800"], "no text that UTF-8 can hold"),
    ],
)
def test_a_wrong_prompt_is_refused_at_once_even_by_a_stream(prompts: list[str], said: str) -> None:
    model = Table(len(LETTERS))
    for call in (generate, stream):
        with pytest.raises(InputError, match=said):
            call(model, Letters(), prompts)
    assert model.reads == []


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_model_whose_logits_are_no_numbers_is_refused(value: float, temperature: float) -> None:
    model = Table(len(LETTERS))
    model.laws[:, 3] = value
    with pytest.raises(InputError, match="logits that are no numbers"):
        generate(model, Letters(), "a", temperature=temperature)


def test_generating_moves_no_shared_state() -> None:
    model, before = Table(len(LETTERS)), torch.random.get_rng_state()
    for _ in stream(model, Letters(), ["a"], Asked(tokens=3)):
        assert not torch.is_inference_mode_enabled() and torch.is_grad_enabled()
    assert torch.equal(torch.random.get_rng_state(), before)
