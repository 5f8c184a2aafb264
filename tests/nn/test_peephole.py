"""The peephole kernel: equal to the plain form in values and gradients, repeatable, and left aside where it must be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from elboroom.engine.inductor import inductor
from elboroom.engine.trace import trace
from elboroom.nn import native
from elboroom.nn.peephole import peephole_steps, plain_because, plain_steps
from elboroom.nn.recurrent import Recurrent, State

compiled = pytest.mark.skipif(native.library("peephole") is None, reason=native.why("peephole"))
SHAPES = [(1, 1, 1, 1), (1, 9, 3, 7), (13, 1, 2, 16), (5, 6, 1, 20), (7, 11, 4, 65), (131, 4, 3, 33)]
"""Rows, steps, inputs, units: one of each; units that fill no vector, or several panels; rows of several chunks."""


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def layer(rows: int, steps: int, inputs: int, units: int, dtype: Any = torch.float64) -> list[Tensor]:
    """x, h0, c0, W, U, b, p, all of them different from zero."""
    torch.manual_seed(rows + units)
    shapes = ((rows, steps, inputs), (rows, units), (rows, units), (4 * units, inputs), (4 * units, units))
    scale = (1.0, 0.5, 1.0, 0.5, units**-0.5, 0.5, 0.5)
    drawn = [torch.randn(s, dtype=torch.float64) for s in (*shapes, (4 * units,), (3, units))]
    return [(t * k).to(dtype).requires_grad_() for t, k in zip(drawn, scale, strict=True)]


def with_gradients(run: Any, given: list[Tensor], reverse: bool = False) -> list[Tensor]:
    """Outputs, last states, and the gradient of everything given in a sum in which each value has its own weight."""
    results = run(*given, reverse)
    torch.manual_seed(1)
    total = sum((t * torch.randn(t.shape, dtype=torch.float64).to(t.dtype)).sum() for t in results)
    return [*(t.detach() for t in results), *torch.autograd.grad(total, given)]


def near(found: list[Tensor], wanted: list[Tensor], bound: float) -> None:
    """Each difference is small beside the largest value."""
    for a, b in zip(found, wanted, strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype
        assert (a - b).abs().max() <= bound * b.abs().max().clamp(min=1)


# -- equal to the plain form -------------------------------------------------------------------------------------------


@compiled
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-14), (torch.float32, 2e-6)])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_outputs_states_and_all_gradients_are_those_of_the_plain_form(
    shape: tuple[int, int, int, int], reverse: bool, dtype: Any, bound: float
) -> None:
    given = layer(*shape, dtype=dtype)
    assert plain_because(given) is None
    found = with_gradients(peephole_steps, given, reverse)
    near(found, with_gradients(plain_steps, given, reverse), bound)
    with torch.no_grad():  # nothing is kept for a gradient: the same numbers
        assert all(torch.equal(a, b) for a, b in zip(peephole_steps(*given, reverse), found, strict=False))


@compiled
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_gates_are_right_from_one_end_of_the_numbers_to_the_other(dtype: Any) -> None:
    values = torch.tensor([0, 1e-30, 1e-8, 1e-3, 0.3, 1, 5, 9, 17, 40, 88, 700, 1e4, 1e30], dtype=torch.float64)
    values = torch.cat([-values, values])
    x = values.to(dtype)[:, None, None]
    h = c = torch.zeros(len(x), 1, dtype=dtype)
    units, zeros = torch.eye(4, dtype=dtype), torch.zeros(4, 1, dtype=dtype)
    look = torch.zeros(3, 1, dtype=dtype)
    given = (x, h, c + 1, units[:, 1:2], zeros, torch.zeros(4, dtype=dtype), look, False)  # f = sigmoid(x), c = f
    close = {"rtol": 4 * torch.finfo(dtype).eps, "atol": 2 * torch.finfo(dtype).tiny}
    torch.testing.assert_close(peephole_steps(*given)[2][:, 0], torch.sigmoid(values).to(dtype), **close)
    given = (x, h, c, units[:, 2:3], zeros, torch.tensor([1e4, -1e4, 0, 1e4], dtype=dtype), look, False)  # c = tanh(x)
    torch.testing.assert_close(peephole_steps(*given)[2][:, 0], torch.tanh(values).to(dtype), **close)


@compiled
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_closed_step_changes_nothing_at_all(dtype: Any) -> None:
    given = layer(6, 1, 2, 19, dtype)
    with torch.no_grad():
        bias = given[5].view(4, -1)
        for gate, sign in enumerate((-1, 1, 0, -1)):
            bias[gate] += 1e4 * sign
    y, h, c, *gradients = with_gradients(peephole_steps, given)
    assert torch.equal(c, given[2]) and not h.any() and not y.any()
    of_x, _, of_c0, of_into, of_recurrent, of_bias, of_look = gradients
    torch.manual_seed(1)
    weight = [torch.randn(t.shape, dtype=torch.float64).to(dtype) for t in (y, h, c)][2]
    assert torch.equal(of_c0, weight)
    assert not any(g.any() for g in (of_x, of_into, of_recurrent, of_bias, of_look))


@compiled
def test_what_is_not_a_number_stays_visible_in_its_own_row() -> None:
    given = layer(4, 5, 3, 6)
    with torch.no_grad():
        given[0][2, 1, 0] = torch.nan
        y, _, c = peephole_steps(*given, False)
    assert y[2, 1:].isnan().all() and c[2].isnan().all()
    assert y[[0, 1, 3]].isfinite().all() and y[2, 0].isfinite().all()


@compiled
def test_first_and_second_gradients_are_those_of_differences() -> None:
    given = layer(2, 3, 2, 3)
    for reverse in (False, True):
        assert torch.autograd.gradcheck(lambda *a, r=reverse: peephole_steps(*a, r), given)
    assert torch.autograd.gradgradcheck(lambda *a: peephole_steps(*a, False), given)


@compiled
def test_a_result_that_nobody_uses_and_an_input_without_a_gradient_are_no_work() -> None:
    for used in range(3):
        given = layer(3, 4, 2, 5)
        weights = [p for k, p in enumerate(given) if k not in (0, 2)]
        given[0].requires_grad_(False)
        found = torch.autograd.grad(peephole_steps(*given, False)[used].sum(), weights)
        near(list(found), list(torch.autograd.grad(plain_steps(*given, False)[used].sum(), weights)), 1e-14)


# -- the network that is made of it ------------------------------------------------------------------------------------


@compiled
@pytest.mark.parametrize("carried", [False, True])
@pytest.mark.parametrize("both", [False, True])
def test_networks_over_rows_of_any_length_are_those_of_the_plain_form(
    both: bool, carried: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    net = Recurrent(3, 18, cell="peephole", layers=3, bidirectional=both)
    with torch.no_grad():
        for p in net.parameters():
            p.add_(torch.randn_like(p) * 0.2)
    x, lengths = torch.randn(7, 12, 3, requires_grad=True), torch.tensor([12, 0, 1, 7, 12, 30, 5])
    state = State(*torch.randn(2, net.layers * net.directions, 7, 18)) if carried else None

    def found(lengths: Tensor | None) -> list[Tensor]:
        y, end = net(x, state, lengths)
        assert end.cell is not None
        total = y.square().sum() + end.hidden.square().sum() + end.cell.sum()
        return [y, end.hidden, end.cell, *torch.autograd.grad(total, [x, *net.parameters()])]

    ours = [*found(None), *found(lengths)]
    monkeypatch.setenv("ELBOROOM_NATIVE", "off")
    near(ours, [*found(None), *found(lengths)], 3e-6)


@compiled
def test_without_peepholes_it_is_torchs_lstm_and_its_steps_are_the_whole() -> None:
    torch.manual_seed(0)
    net, x = Recurrent(8, 40, cell="peephole", layers=2), torch.randn(9, 30, 8)
    theirs = nn.LSTM(8, 40, 2, batch_first=True)
    theirs.load_state_dict({name: p for name, p in net.state_dict().items() if "peephole" not in name})
    y, end = net(x)
    expected, (h, c) = theirs(x)
    near([y, end.hidden, end.cell], [expected, h, c], 1e-6)  # type: ignore[list-item]
    mine = [p for name, p in net.named_parameters() if "peephole" not in name]
    g = torch.randn_like(y)
    near(list(torch.autograd.grad(y, mine, g)), list(torch.autograd.grad(expected, list(theirs.parameters()), g)), 2e-6)
    now = net.empty(9, x)
    for t in range(30):
        one, now = net.step(x[:, t], now)
        near([one], [y[:, t]], 1e-6)


# -- the same bits again -----------------------------------------------------------------------------------------------


@compiled
def test_equal_inputs_give_equal_bits_and_threads_change_only_sums_over_rows(threads: Callable[[int], None]) -> None:
    given = layer(45, 12, 5, 24, torch.float32)
    for reverse in (False, True):
        by_threads = {}
        for count in (1, 2):
            threads(count)
            by_threads[count] = with_gradients(peephole_steps, given, reverse)
            again = with_gradients(peephole_steps, [t.detach().clone().requires_grad_() for t in given], reverse)
            assert all(torch.equal(a, b) for a, b in zip(by_threads[count], again, strict=True))
        assert all(torch.equal(a, b) for a, b in zip(by_threads[1][:3], by_threads[2][:3], strict=True))
        near(by_threads[2], by_threads[1], 2e-6)


@compiled
def test_a_row_is_the_same_bit_for_bit_whatever_stands_beside_it() -> None:
    x, h, c, *weights = (t.detach() for t in layer(200, 5, 3, 20, torch.float32))
    whole = peephole_steps(x, h, c, *weights, False)
    for first, last in ((0, 1), (3, 5), (60, 77), (199, 200)):
        part = peephole_steps(x[first:last], h[first:last], c[first:last], *weights, False)
        assert all(torch.equal(a, b[first:last]) for a, b in zip(part, whole, strict=True))


# -- the ways to run it ------------------------------------------------------------------------------------------------


def loss_of(net: Recurrent) -> Any:
    def loss(weights: dict[str, Tensor], x: Tensor) -> Tensor:
        y, end = functional_call(net, weights, (x,))
        assert end.cell is not None
        value: Tensor = y.square().mean() + end.cell.mean()
        return value

    return loss


def bare() -> tuple[Recurrent, dict[str, Tensor], Tensor]:
    torch.manual_seed(2)
    net = Recurrent(3, 10, cell="peephole", layers=2)
    for p in net.parameters():
        p.requires_grad_(False)
    return net, dict(net.named_parameters()), torch.randn(4, 6, 3)


@compiled
def test_a_functional_gradient_and_its_trace_take_the_kernel_and_give_the_eager_bits() -> None:
    net, weights, x = bare()
    loss = loss_of(net)
    live = [w.clone().requires_grad_() for w in weights.values()]
    eager = torch.autograd.grad(loss(dict(zip(weights, live, strict=True)), x), live)

    def flat(*given: Tensor) -> list[Tensor]:
        return list(torch.func.grad(loss)(dict(zip(weights, given, strict=False)), given[-1]).values())

    given = [*weights.values(), x]
    assert all(torch.equal(a, b) for a, b in zip(flat(*given), eager, strict=True))
    graph = trace(flat, given)
    called = [str(node.target) for node in graph.module.graph.nodes]
    assert [called.count(f"elboroom.peephole_{way}.default") for way in ("forward", "backward")] == [2, 2]
    assert all(torch.equal(a, b) for a, b in zip(graph.module(*given), eager, strict=True))


@pytest.mark.slow
@compiled
def test_inductor_takes_the_kernel_as_it_is() -> None:
    net, weights, x = bare()
    loss = loss_of(net)

    def flat(*given: Tensor) -> list[Tensor]:
        return list(torch.func.grad(loss)(dict(zip(weights, given, strict=False)), given[-1]).values())

    given = [*weights.values(), x]
    torch.use_deterministic_algorithms(True)
    try:
        run, entry = inductor(trace(flat, given))
        found = list(run(*given))
    finally:
        torch.use_deterministic_algorithms(False)
    assert entry == "standalone"
    near(found, flat(*given), 1e-6)


@compiled
def test_the_operations_are_those_that_torch_would_define() -> None:
    given = [t.detach() for t in layer(3, 4, 2, 5)]
    ops = torch.ops.elboroom
    checks = ("test_schema", "test_faketensor")
    torch.library.opcheck(ops.peephole_forward.default, (*given, False, True), test_utils=checks)
    y, h, c, gates, cells = ops.peephole_forward(*given, True, True)
    held = (torch.randn_like(y), h, c, gates, cells, given[2], given[4], given[6], True)
    torch.library.opcheck(ops.peephole_backward.default, held, test_utils=checks)


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")  # torch's own jvp
def test_stacks_higher_derivatives_and_exports_take_the_plain_form() -> None:
    net, weights, x = bare()
    loss, said = loss_of(net), []

    def asked(run: Any) -> Any:
        before = len(said)
        value = run()
        assert len(said) > before and all(said[before:])
        return value

    def watched(weights: dict[str, Tensor], x: Tensor) -> Tensor:
        said.append(plain_because((x, x, x, *weights.values())))
        return loss(weights, x)

    gradient = torch.func.grad(watched)
    twice = {name: torch.stack([w, 2 * w]) for name, w in weights.items()}
    stacked = asked(lambda: torch.func.vmap(gradient, in_dims=(0, None))(twice, x))
    alone = torch.func.grad(loss)({name: 2 * w for name, w in weights.items()}, x)
    near([g[1] for g in stacked.values()], list(alone.values()), 1e-6)
    asked(lambda: torch.func.jvp(lambda x: watched(weights, x), (x,), (x,)))
    of_x = torch.func.grad(lambda x: watched(weights, x))
    nested = asked(lambda: torch.func.grad(lambda x: of_x(x).square().sum())(x))
    outer = x.clone().requires_grad_()
    (penalty,) = asked(lambda: torch.autograd.grad(of_x(outer).square().sum(), [outer]))
    near([penalty], [nested], 1e-6)
    whole = x.clone().requires_grad_()
    (first,) = torch.autograd.grad(loss(weights, whole), [whole], create_graph=True)
    near(list(torch.autograd.grad(first.square().sum(), [whole])), [nested], 1e-6)

    class Outputs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.net(x)[0]
            return y

    program = torch.export.export(Outputs(), (x,))
    assert not any("elboroom" in str(node.target) for node in program.graph.nodes)
    near([program.module()(x)], [net(x)[0]], 1e-6)


@compiled
def test_jacobians_of_what_the_kernel_computed_are_those_of_the_plain_form(monkeypatch: pytest.MonkeyPatch) -> None:
    net, _, x = bare()
    jacobian = torch.func.jacrev(lambda x: net(x)[0].sum(-1))
    found = jacobian(x)
    monkeypatch.setenv("ELBOROOM_NATIVE", "off")
    near([found], [jacobian(x)], 1e-6)


def test_it_can_be_asked_which_form_runs_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    given = [t.detach() for t in layer(2, 3, 2, 4, torch.float32)]
    found = plain_because(given)
    assert found is None if native.library("peephole") else found == native.why("peephole")
    assert "not on meta" in str(plain_because([t.to("meta") for t in given]))
    assert "not torch.bfloat16" in str(plain_because([t.bfloat16() for t in given]))
    assert "torch.float32 and torch.float64" in str(plain_because([*given[:-1], given[-1].double()]))
    monkeypatch.setenv("ELBOROOM_NATIVE", "off")
    assert plain_because(given) == "ELBOROOM_NATIVE is off"
    assert torch.equal(peephole_steps(*given, False)[0], plain_steps(*given, False)[0])


@compiled
def test_within_autocast_the_kernel_keeps_the_precision_of_the_weights() -> None:
    given = [t.detach() for t in layer(2, 3, 2, 4, torch.float32)]
    exact = peephole_steps(*given, False)[0]
    with torch.autocast("cpu", torch.bfloat16):
        y, _, _ = peephole_steps(*given, False)
        near_by, _, _ = peephole_steps(given[0].bfloat16(), *given[1:], False)
    assert torch.equal(y, exact) and near_by.dtype == torch.float32
    assert (near_by - exact).abs().max() < 0.02


@compiled
def test_the_engine_counts_the_products_inside() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    given = [t.detach() for t in layer(3, 4, 2, 5)]
    with FlopCounterMode(display=False) as counter:
        peephole_steps(*given, False)
    ours = counter.get_total_flops()
    with FlopCounterMode(display=False) as counter:
        plain_steps(*given, False)
    assert ours == counter.get_total_flops() > 0
