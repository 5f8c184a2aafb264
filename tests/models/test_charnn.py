"""The recurrent language model reads on as it reads at once, and a row does not depend on its neighbours."""

from __future__ import annotations

import pytest
import torch

from elboroom.core.batch import Batch
from elboroom.core.errors import InputError
from elboroom.core.spec import Spec
from elboroom.engine.runtime import seed_draws
from elboroom.models.charnn import CharRNN

CELLS = ("rnn", "lstm", "peephole", "gru", "transformer")
SPEC = Spec(kind="text", shape=(16,), scale="tokens", levels=11)


def made(cell: str) -> CharRNN:
    seed_draws(0)
    return CharRNN(CharRNN.Config(cell=cell, hidden=32, layers=2, embedding=8), SPEC).double().eval()  # type: ignore[arg-type]


def tokens(n: int, rows: int = 3) -> torch.Tensor:
    return torch.randint(0, 11, (rows, n), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("cell", CELLS)
def test_reading_on_equals_reading_at_once_far_past_the_window(cell: str) -> None:
    model, text = made(cell), tokens(70)
    whole, memory = model.read(text)
    assert memory.lengths.tolist() == [70, 70, 70]
    found, at, memory = [], 0, None
    for n in (5, 1, 1, 30, 33):
        logits, memory = model.read(text[:, at : at + n], memory)
        found.append(logits)
        at += n
    torch.testing.assert_close(torch.cat(found, 1), whole, rtol=0, atol=1e-9)


@pytest.mark.parametrize("cell", CELLS)
def test_rows_go_their_own_ways(cell: str) -> None:
    model, text = made(cell), tokens(20)
    _, memory = model.read(text)
    picked = memory.pick(torch.tensor([2, 2, 0]))
    joined = picked.join([memory.pick(torch.tensor([1]))])
    assert joined.lengths.tolist() == [20] * 4
    further = tokens(4, rows=4)
    found = model.read(further, joined)[0]
    for row, source in enumerate((2, 2, 0, 1)):
        alone = model.read(torch.cat([text[source], further[row]])[None])[0][:, -4:]
        torch.testing.assert_close(found[row : row + 1], alone, rtol=0, atol=1e-9)


@pytest.mark.parametrize("cell", CELLS)
def test_the_loss_is_the_surprise_at_each_next_token(cell: str) -> None:
    model, text = made(cell), tokens(17)
    logits = model.read(text[:, :-1])[0]
    expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), text[:, 1:].flatten())
    torch.testing.assert_close(model.loss(Batch(x=text), torch.zeros(()))[0], expected, rtol=1e-9, atol=0)


def test_a_net_that_reads_the_future_is_refused() -> None:
    with pytest.raises(InputError, match="classif"):
        CharRNN(CharRNN.Config(bidirectional=True), SPEC)
