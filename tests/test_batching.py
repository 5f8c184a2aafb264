"""Continuous batching against one text alone: whoever comes, goes or stays, a text is the one it would be alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from elboroom.batching import CANCELLED, Batch, Row, rows
from elboroom.core.errors import InputError
from elboroom.generation import Asked, Generation, generate
from elboroom.nn.sampling import Sampling
from text_toys import LETTERS, Markov, Recurrent

WISHES: list[tuple[str, Asked]] = [
    ("the cat", Asked(tokens=12, seed=3)),
    ("dog ran", Asked(tokens=30, seed=4, sampling=Sampling(temperature=0.7, top_k=5))),
    ("", Asked(tokens=7, seed=5, sampling=Sampling(temperature=0.0))),
    ("the cat", Asked(tokens=300, seed=6, stop=("th", "q"))),
    ("a", Asked(tokens=20, seed=7, sampling=Sampling(repetition_penalty=1.7), logprobs=3)),
    ("mat ", Asked(tokens=20, seed=8, sampling=Sampling(repetition_penalty=1.7), logprobs=3)),
    ("far", Asked(tokens=25, seed=9, n=3, sampling=Sampling(top_p=0.8, min_p=0.01))),
]


def recurrent() -> Any:
    torch.manual_seed(0)
    return Recurrent(LETTERS.size).eval()


def alone(model: Any, prompt: str, asked: Asked) -> list[Generation]:
    sampling = {name: getattr(asked.sampling, name) for name in asked.sampling.__dataclass_fields__}
    return generate(model, LETTERS, [prompt], tokens=asked.tokens, stop=asked.stop, seed=asked.seed, n=asked.n,
                    logprobs=asked.logprobs, **sampling)  # fmt: skip


def written(model: Any, arriving: dict[int, list[Row]]) -> tuple[dict[int, Generation], dict[int, str]]:
    """Every row's end and its pieces, where rows arrive before the given steps."""
    batch, done, pieces = Batch(model, LETTERS), dict[int, Generation](), dict[int, str]()
    for step in range(400):
        for gain in batch.advance(arriving.get(step, [])):
            pieces[id(gain.row)] = pieces.get(id(gain.row), "") + gain.text
            if gain.done is not None:
                done[id(gain.row)] = gain.done
        if not len(batch) and step > max(arriving):
            return done, pieces
    raise AssertionError("a row never ended")


def test_a_text_that_arrives_among_others_is_the_one_it_would_be_alone() -> None:
    model = recurrent()
    made = [rows(LETTERS, [prompt], asked) for prompt, asked in WISHES]
    done, pieces = written(model, {3 * i: group for i, group in enumerate(made)})
    for group, (prompt, asked) in zip(made, WISHES, strict=True):
        expected = alone(model, prompt, asked)
        found = [done[id(row)] for row in group]
        assert [f.tokens for f in found] == [e.tokens for e in expected]
        assert [f.to_json().keys() for f in found] == [e.to_json().keys() for e in expected]
        assert [(f.text, f.finish_reason, f.seed) for f in found] == [
            (e.text, e.finish_reason, e.seed) for e in expected
        ]
        assert [pieces[id(row)] for row in group] == [e.text for e in expected]


def test_rows_that_leave_change_nothing_for_those_that_stay() -> None:
    model = recurrent()
    (stays,), (goes,) = rows(LETTERS, ["the cat"], WISHES[0][1]), rows(LETTERS, ["dog"], Asked(tokens=50, seed=1))
    batch = Batch(model, LETTERS)
    gains = batch.advance([goes, stays])
    gains += batch.advance()
    batch.leave([goes])
    while batch.rows:
        gains += batch.advance()
    (done,) = [gain.done for gain in gains if gain.done is not None]
    assert done.tokens == alone(model, *WISHES[0])[0].tokens
    ended = goes.cancelled()
    assert ended.finish_reason == CANCELLED and len(ended.tokens) == 2
    assert ended.tokens == alone(model, "dog", Asked(tokens=2, seed=1))[0].tokens


def test_a_model_without_a_law_is_refused_and_the_batch_can_be_emptied() -> None:
    model = Markov(torch.full((LETTERS.size, LETTERS.size), float("nan"))).eval()
    batch = Batch(model, LETTERS)
    with pytest.raises(InputError, match="no numbers"):
        batch.advance(rows(LETTERS, ["a"], Asked()))
    batch.leave(batch.rows)
    assert not len(batch)
    assert batch.advance() == []
