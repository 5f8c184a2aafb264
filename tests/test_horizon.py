"""How far back a gradient reaches: against products that are known, and against autograd taken lag by lag."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from elboroom.core.batch import Batch
from elboroom.core.optim import SGD
from elboroom.core.phase import Phase
from elboroom.horizon import FLOOR, norm_by_lag, reader_of, summary
from elboroom.nn.recurrent import Recurrent

T0 = torch.zeros(())
STEPS, WIDTH = 24, 6


def net(cell: str = "rnn", **words: Any) -> Recurrent:
    torch.manual_seed(0)
    return Recurrent(2, WIDTH, cell=cell, **words).double()  # type: ignore[arg-type]


def inputs(size: float = 1.0, rows: int = 5) -> Tensor:
    return size * torch.randn(rows, STEPS, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def last_step(of: nn.Module) -> Phase:
    """A loss of the last output: half its squared distance from 1."""

    def loss(batch: Batch, t: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        return 0.5 * (of(batch.x)[0][:, -1] - 1).square().sum(1).mean(), {}

    return Phase("last", loss, of.parameters(), SGD(lr=1.0))


@pytest.mark.parametrize("factor", [0.3, 0.9, 1.2])
def test_a_linear_net_with_an_orthogonal_matrix_times_c_has_the_slope_log_c(factor: float) -> None:
    one = net()
    with torch.no_grad():
        one.weight_hh_l0.mul_(factor)  # type: ignore[operator]
    norms = norm_by_lag(last_step(one), one, Batch(inputs(1e-6)), T0)  # so small that tanh is the identity
    assert norms is not None
    found = summary(norms)
    assert found is not None
    assert found["span"] == STEPS - 1
    assert found["slope"] == pytest.approx(math.log(factor), abs=0.02)
    reached = min(STEPS - 1, 1 + int(math.log(FLOOR) / math.log(factor))) if factor < 1 else STEPS - 1
    assert abs(found["horizon"] - reached) <= 1


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru", "peephole"])
def test_each_lag_is_what_autograd_gives_for_that_step_alone(cell: str) -> None:
    one, x = net(cell, layers=2), inputs()
    norms = norm_by_lag(last_step(one), one, Batch(x), T0)
    assert norms is not None
    leaves = [step.clone().requires_grad_() for step in x.unbind(1)]
    told = (one(torch.stack(leaves, 1))[0][:, -1] - 1).detach()
    state = one.empty(len(x), x)
    for leaf in leaves:
        y, state = one.step(leaf, state)
    toward = told / told.norm(dim=1, keepdim=True)
    grads = torch.autograd.grad((y * toward).sum(), leaves)
    expected = torch.stack([g.norm(dim=1) for g in reversed(grads)], 1)
    torch.testing.assert_close(norms, expected, rtol=1e-9, atol=1e-15)


def test_only_the_last_step_that_the_loss_looks_at_counts_and_rows_may_end_anywhere() -> None:
    one, lengths = net("gru"), torch.tensor([STEPS, 10, 7, 3, 12])

    def loss(batch: Batch, t: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        h = one(batch.x, lengths=lengths)[0]
        return h.sum(1).square().sum(), {}  # a pool of all steps

    norms = norm_by_lag(Phase("pool", loss, one.parameters(), SGD(lr=1.0)), one, Batch(inputs()), T0)
    assert norms is not None
    assert norms.shape == (5, STEPS)
    assert (~norms.isnan()).sum(1).tolist() == lengths.tolist()
    alone = norm_by_lag(last_step(one), one, Batch(inputs()[1:2, :10]), T0)
    assert alone is not None
    assert norms[1, 9] > 0
    found = summary(norms)
    assert found is not None
    assert found["span"] == 9  # three of five rows have ten steps


def test_of_two_directions_the_one_that_reads_forwards_is_measured() -> None:
    torch.manual_seed(0)
    both = Recurrent(2, WIDTH, cell="rnn", bidirectional=True).double()
    norms = norm_by_lag(last_step(both), both, Batch(inputs()), T0)
    assert norms is not None
    assert (norms[:, 1:] > 0).all()  # the other direction has read one step only, the last


def test_neither_weights_nor_hooks_are_left_behind() -> None:
    one = net("lstm")
    before = {name: p.clone() for name, p in one.named_parameters()}
    norm_by_lag(last_step(one), one, Batch(inputs()), T0)
    assert all(torch.equal(p, before[name]) and p.grad is None for name, p in one.named_parameters())
    assert not one._forward_hooks
    assert not one._forward_pre_hooks


def test_a_loss_that_does_not_ask_the_net_has_no_gradient_by_lag() -> None:
    one, other = net(), nn.Linear(2, 1).double()

    def loss(batch: Batch, t: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        return other(batch.x).mean(), {}

    assert norm_by_lag(Phase("other", loss, other.parameters(), SGD(lr=1.0)), one, Batch(inputs()), T0) is None


def test_the_outermost_net_that_reads_steps_in_order_is_found() -> None:
    inner = net()
    assert reader_of(nn.Sequential(nn.Linear(2, 2), inner)) is inner
    assert reader_of(nn.Sequential(nn.Linear(2, 2))) is None
    foreign = nn.LSTM(2, 3, batch_first=True)
    assert reader_of(nn.ModuleList([nn.LSTM(2, 3), foreign])) is foreign


def test_a_gradient_that_is_gone_at_once_or_a_few_steps_give_no_numbers() -> None:
    assert summary(torch.ones(3, 3, dtype=torch.float64)) is None
    gone = torch.zeros(3, 9, dtype=torch.float64)
    gone[:, 0] = 1
    assert summary(gone) is None


def test_lags_below_single_precision_do_not_bend_the_slope() -> None:
    lag = torch.arange(200, dtype=torch.float64)
    norms = torch.exp(-0.9 * lag).expand(4, 200)
    found = summary(torch.where(norms < 1e-38, 0, norms))
    assert found is not None
    assert found["slope"] == pytest.approx(-0.9, abs=1e-3)
    assert found["horizon"] == 6  # exp(-0.9 * 5) = 0.011
