"""The forecaster: what it says after a row follows from that row and those before, however they are read."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from elboroom.core.batch import Batch
from elboroom.core.errors import InputError
from elboroom.core.spec import Column, Spec
from elboroom.engine.runtime import seed_draws
from elboroom.models.forecaster import Forecaster

CELLS = ("rnn", "lstm", "peephole", "gru", "transformer")
WINDOW, CHANNELS, HORIZON = 24, 3, 4


def made(cell: str = "lstm", **settings: object) -> Forecaster:
    spec = Spec(
        kind="series",
        shape=(WINDOW, CHANNELS),
        scale="standard",
        columns=tuple(Column(name=name) for name in "abc"),
        masked=True,
    )
    seed_draws(1)
    config = Forecaster.Config(cell=cell, hidden=32, layers=2, horizon=HORIZON, **settings)  # type: ignore[arg-type]
    model = Forecaster(config, spec).double()
    torch.nn.init.normal_(model.head.weight, std=0.3)  # it begins at 0, where nothing could be told apart
    return model.eval()


def rows(n: int, batch: int = 2, missing: float = 0.2) -> Batch:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(batch, n, CHANNELS, dtype=torch.float64, generator=generator)
    observed = torch.rand(x.shape, generator=generator) >= missing
    return Batch(x=torch.where(observed, x, 0), observed=observed)


def cut(batch: Batch, start: int, stop: int) -> Batch:
    assert batch.observed is not None
    return Batch(x=batch.x[:, start:stop], observed=batch.observed[:, start:stop])


@pytest.mark.parametrize("cell", CELLS)
def test_at_once_in_pieces_and_row_by_row_it_says_the_same(cell: str) -> None:
    model, whole = made(cell), rows(60)
    mean, sd, _ = model.expect(whole)
    assert mean.shape == sd.shape == (2, 60, HORIZON, CHANNELS)
    assert (sd > 0).all()
    for pieces in ([17, 1, 42], [1] * 60):
        memory, means, sds, at = None, [], [], 0
        for n in pieces:
            a, b, memory = model.expect(cut(whole, at, at + n), memory)
            means.append(a)
            sds.append(b)
            at += n
        torch.testing.assert_close(torch.cat(means, 1), mean, rtol=0, atol=1e-9)
        torch.testing.assert_close(torch.cat(sds, 1), sd, rtol=0, atol=1e-9)


@pytest.mark.parametrize("cell", CELLS)
def test_no_later_row_changes_what_was_said(cell: str) -> None:
    model, whole = made(cell), rows(40)
    mean = model.expect(whole)[0]
    assert whole.observed is not None
    other = Batch(x=whole.x.clone(), observed=whole.observed.clone())
    other.x[:, 25:] = 100.0
    other.observed[:, 25:] = True  # type: ignore[index]
    changed = model.expect(other)[0]
    assert torch.equal(changed[:, :25], mean[:, :25])
    assert not torch.equal(changed[:, 25:], mean[:, 25:])


def test_a_missing_cell_is_neither_read_nor_asked_for() -> None:
    model, batch = made(), rows(WINDOW, missing=0.3)
    assert batch.observed is not None
    rubbish = Batch(x=torch.where(batch.observed, batch.x, 1e6), observed=batch.observed)
    assert torch.equal(model.expect(rubbish)[0], model.expect(batch)[0])
    assert torch.equal(model.loss(rubbish, torch.zeros(()))[0], model.loss(batch, torch.zeros(()))[0])


def test_before_training_it_expects_the_last_known_value() -> None:
    model, batch = made(), rows(30, batch=1)
    torch.nn.init.zeros_(model.head.weight)
    mean, sd, _ = model.expect(batch)
    assert batch.observed is not None
    for c in range(CHANNELS):
        last = 0.0
        for t in range(30):
            last = float(batch.x[0, t, c]) if batch.observed[0, t, c] else last
            assert mean[0, t, :, c].tolist() == [last] * HORIZON
    assert torch.equal(sd, torch.ones_like(sd))


def by_hand(model: Forecaster, batch: Batch) -> float:
    """Mean over windows, rows, steps and channels of -log N(x; mean, sd), missing cells counting 0."""
    assert batch.observed is not None
    mean, sd, _ = model.expect(batch)
    total, count = 0.0, 0
    for b in range(len(batch.x)):
        for t in range(batch.x.shape[1] - HORIZON):
            for h in range(HORIZON):
                for c in range(CHANNELS):
                    count += 1
                    if batch.observed[b, t + 1 + h, c]:
                        m, s = float(mean[b, t, h, c]), float(sd[b, t, h, c])
                        z = (float(batch.x[b, t + 1 + h, c]) - m) / s
                        total += 0.5 * z * z + math.log(s) + 0.5 * math.log(2 * math.pi)
    return total / count


def test_the_loss_is_that_of_the_laws_it_says() -> None:
    model, batch = made(), rows(12)
    with torch.no_grad():
        found, logs = model.loss(batch, torch.zeros(()))
        expected = by_hand(model, batch)
    assert float(found) == pytest.approx(expected, rel=1e-10)
    assert set(logs) == {"absolute_error"}


def test_in_training_cells_are_hidden_by_the_default_generator() -> None:
    model, batch = made(hide=0.5).train(), rows(WINDOW, missing=0)

    def loss(seed: int) -> Tensor:
        seed_draws(seed)
        return model.loss(batch, torch.zeros(()))[0]

    assert torch.equal(loss(3), loss(3))
    assert not torch.equal(loss(3), loss(4))
    model.eval()
    assert torch.equal(loss(3), loss(4))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"bidirectional": True}, "reads the rows after a time"),
        ({"horizon": WINDOW}, "does not fit into windows"),
        ({"cell": "transformer", "hidden": 33}, "cannot be shared"),
    ],
)
def test_what_makes_no_sense_is_refused(settings: dict[str, object], words: str) -> None:
    spec = Spec(kind="series", shape=(WINDOW, 1), scale="standard", columns=(Column(name="a"),), masked=True)
    with pytest.raises(InputError, match=words):
        Forecaster(Forecaster.Config(**settings), spec)  # type: ignore[arg-type]
