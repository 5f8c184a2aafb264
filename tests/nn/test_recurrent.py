"""Recurrent networks: equal to torch's, to hand computations and to packing; rows, steps and states hold together."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, get_args

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from elboroom.core.errors import InputError
from elboroom.engine.trace import trace
from elboroom.nn.cells import side_by_side
from elboroom.nn.peephole import peephole_layer
from elboroom.nn.recurrent import Cell, Recurrent, State

CELLS: tuple[Cell, ...] = get_args(Cell)
TORCH: dict[Cell, Any] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
SHAPES = list(itertools.product((1, 2, 3), (False, True)))
ROWS, STEPS, INPUTS, HIDDEN = 5, 9, 3, 4
LENGTHS = [9, 1, 4, 9, 2]


@pytest.fixture
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def net(cell: Cell, layers: int = 1, both: bool = False, dtype: Any = torch.float64, **words: Any) -> Recurrent:
    """With biases and peepholes that are not zero."""
    torch.manual_seed(layers + 7)
    out = Recurrent(INPUTS, HIDDEN, cell=cell, layers=layers, bidirectional=both, **words).to(dtype)
    with torch.no_grad():
        for p in out.parameters():
            p.add_(torch.randn_like(p) * 0.3)
    return out


def series(dtype: Any = torch.float64) -> Tensor:
    torch.manual_seed(3)
    return torch.randn(ROWS, STEPS, INPUTS, dtype=dtype)


def some_state(of: Recurrent, rows: int = ROWS, dtype: Any = torch.float64) -> State:
    torch.manual_seed(4)
    shape = (of.layers * of.directions, rows, of.hidden)
    keeps = of.cell in ("lstm", "peephole")
    return State(torch.randn(shape, dtype=dtype).tanh(), torch.randn(shape, dtype=dtype) if keeps else None)


def twin(of: Recurrent) -> Any:
    """torch's own with the same weights."""
    kind = TORCH["lstm" if of.cell == "peephole" else of.cell]
    out = kind(of.inputs, of.hidden, of.layers, batch_first=True, bidirectional=of.directions == 2)
    out.to(next(of.parameters()).dtype)
    out.load_state_dict({name: p for name, p in of.state_dict().items() if "peephole" not in name})
    return out


def torchs(state: State | None) -> Any:
    """As torch has it."""
    return None if state is None else state.hidden if state.cell is None else (state.hidden, state.cell)


def parts(state: Any) -> list[Tensor]:
    """The tensors of a state, ours or torch's."""
    if isinstance(state, State):
        return [state.hidden] + ([] if state.cell is None else [state.cell])
    return list(state) if isinstance(state, tuple) else [state]


def gradients(outputs: Tensor, state: Any, of: list[Tensor]) -> list[Tensor]:
    """Of a sum in which every output and every last state has a weight of its own."""
    torch.manual_seed(6)
    total = sum((t * torch.randn(t.shape, dtype=t.dtype)).sum() for t in (outputs, *parts(state)))
    assert isinstance(total, Tensor)
    return list(torch.autograd.grad(total, of))


def close(a: Any, b: Any, atol: float = 1e-12) -> None:
    torch.testing.assert_close(a, b, rtol=0, atol=atol)


# -- against torch's own -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("carried", [False, True])
@pytest.mark.parametrize(("layers", "both"), SHAPES)
@pytest.mark.parametrize("cell", TORCH)
def test_outputs_states_and_gradients_equal_torchs(cell: Cell, layers: int, both: bool, carried: bool) -> None:
    ours, x = net(cell, layers, both), series().requires_grad_()
    theirs, state = twin(ours), some_state(net(cell, layers, both)) if carried else None
    given = [x, *(s.requires_grad_() for s in parts(state))] if state else [x]
    y, end = ours(x, state)
    expected, final = theirs(x, torchs(state))
    close(y, expected)
    close(parts(end), parts(final))
    names = [name for name, _ in ours.named_parameters()]
    assert names == [name for name, _ in theirs.named_parameters()]
    wanted = gradients(expected, final, [*given, *theirs.parameters()])
    close(gradients(y, end, [*given, *ours.parameters()]), wanted)


@pytest.mark.parametrize(("dtype", "atol"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
@pytest.mark.parametrize(("layers", "both"), SHAPES)
def test_a_peephole_network_without_peepholes_is_torchs_lstm(layers: int, both: bool, dtype: Any, atol: float) -> None:
    ours, x = net("peephole", layers, both, dtype), series(dtype)
    with torch.no_grad():
        for name, p in ours.named_parameters():
            p.mul_(0.0 if "peephole" in name else 1.0)
    theirs, state = twin(ours), some_state(ours, dtype=dtype)
    y, end = ours(x, state)
    expected, final = theirs(x, torchs(state))
    close(y, expected, atol)
    close(parts(end), parts(final), atol)
    mine = [p for name, p in ours.named_parameters() if "peephole" not in name]
    close(gradients(y, end, mine), gradients(expected, final, list(theirs.parameters())), 10 * atol)


def test_a_new_peephole_network_looks_at_nothing_yet_and_learns_to() -> None:
    torch.manual_seed(0)
    fresh = Recurrent(INPUTS, HIDDEN, cell="peephole").double()
    close(fresh(series())[0], twin(fresh)(series())[0])
    (grad,) = torch.autograd.grad(fresh(series())[0].sum(), [fresh.get_parameter("peephole_l0")])
    assert (grad != 0).all()


# -- against equations written again, in numpy -------------------------------------------------------------------------


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def layer_by_hand(cell: Cell, w: dict[str, Any], x: Any, h: Any, c: Any) -> dict[str, Any]:
    """One direction of one layer for one row: a loop over time and gates, from the definitions."""
    size = len(h)
    gate = [slice(k * size, (k + 1) * size) for k in range(4)]
    kept: dict[str, list[Any]] = {}
    for t in range(len(x)):
        a, u = w["weight_ih"] @ x[t] + w["bias_ih"], w["weight_hh"] @ h + w["bias_hh"]
        now: dict[str, Any] = {}
        if cell == "rnn":
            now["pre"] = a + u
            h = np.tanh(now["pre"])
        elif cell == "gru":
            now["r"] = sigmoid(a[gate[0]] + u[gate[0]])
            now["z"] = sigmoid(a[gate[1]] + u[gate[1]])
            now["n"] = np.tanh(a[gate[2]] + now["r"] * u[gate[2]])
            h = (1 - now["z"]) * now["n"] + now["z"] * h
        else:
            p = w["peephole"] if cell == "peephole" else np.zeros((3, size))
            now["i"] = sigmoid((a + u)[gate[0]] + p[0] * c)
            now["f"] = sigmoid((a + u)[gate[1]] + p[1] * c)
            now["g"] = np.tanh((a + u)[gate[2]])
            c = now["f"] * c + now["i"] * now["g"]
            now["o"] = sigmoid((a + u)[gate[3]] + p[2] * c)
            now["c"], h = c, now["o"] * np.tanh(c)
        now["h"] = h
        for name, value in now.items():
            kept.setdefault(name, []).append(value)
    return {name: np.stack(values) for name, values in kept.items()}


def by_hand(of: Recurrent, x: Tensor, state: State, row: int) -> list[dict[str, Any]]:
    """Every layer's values for one row, directions side by side."""
    weights = {name: p.detach().double().numpy() for name, p in of.named_parameters()}
    read, layers = x[row].double().numpy(), []
    for layer in range(of.layers):
        sides = []
        for direction, side in enumerate(("", "_reverse")[: of.directions]):
            end = f"_l{layer}{side}"
            mine = {name.removesuffix(end): w for name, w in weights.items() if name.endswith(end)}
            place = layer * of.directions + direction
            h = state.hidden[place, row].double().numpy()
            c = None if state.cell is None else state.cell[place, row].double().numpy()
            turn = slice(None, None, -1 if direction else 1)
            found = layer_by_hand(of.cell, mine, read[turn], h, c)
            sides.append({name: value[turn] for name, value in found.items()})
        layers.append({name: np.concatenate([s[name] for s in sides], -1) for name in sides[0]})
        read = layers[-1]["h"]
    return layers


@pytest.mark.parametrize(("layers", "both"), SHAPES)
@pytest.mark.parametrize("cell", CELLS)
def test_outputs_equal_a_loop_in_numpy(cell: Cell, layers: int, both: bool) -> None:
    ours, x = net(cell, layers, both), series()
    state = some_state(ours)
    y, end = ours(x, state)
    for row in range(ROWS):
        found = by_hand(ours, x, state, row)
        close(y[row], torch.from_numpy(found[-1]["h"]))
        for layer in range(layers):
            for k, name in ((0, "h"), (1, "c")):
                if name in found[layer]:
                    place, last = layer * ours.directions, found[layer][name]
                    close(parts(end)[k][place, row], torch.from_numpy(last[-1, :HIDDEN]))
                    if both:
                        close(parts(end)[k][place + 1, row], torch.from_numpy(last[0, HIDDEN:]))


@pytest.mark.parametrize(("dtype", "atol"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_the_values_inside_are_those_of_the_equations(cell: Cell, both: bool, dtype: Any, atol: float) -> None:
    names = {"rnn": "pre h", "gru": "r z n h"}.get(cell, "i f g o c h").split()
    ours, x = net(cell, 2, both, dtype, dropout=0.5), series(dtype)
    state = some_state(ours, dtype=dtype)
    for layer in (0, 1):
        inside = ours.gates(x, state, layer)
        assert list(inside) == names
        for row in (0, 3):
            found = by_hand(ours, x, state, row)[layer]
            assert set(found) == set(names)
            for name, value in inside.items():
                assert value.shape == (ROWS, STEPS, ours.outputs)
                close(value[row].double(), torch.from_numpy(found[name].copy()), atol)
    ours.eval()
    y, end = ours(x, state)
    close(inside["h"], y, atol)
    if "c" in inside:
        close(inside["c"][:, -1, :HIDDEN], parts(end)[1][ours.directions], atol)
    close(ours.gates(x)["h"], ours.gates(x, ours.empty(ROWS, x))["h"], 0)


def test_peepholes_of_i_and_f_see_the_step_before_and_that_of_o_its_own() -> None:
    x, h, c = torch.zeros(1, 1, 4), torch.zeros(1, 1), torch.full((1, 1), 2.0)
    look = torch.tensor([[0.5], [-0.25], [3.0]])
    y, _, after = peephole_layer(x, h, c, torch.zeros(4, 1), look)
    kept = 2 / (1 + np.exp(0.5))  # f = sigmoid(-0.25 * 2), and g = 0 adds nothing
    assert after.item() == pytest.approx(kept)
    assert y.item() == pytest.approx(np.tanh(kept) / (1 + np.exp(-3 * kept)))
    x[..., 2] = 1.0
    after = peephole_layer(x, h, c, torch.zeros(4, 1), look)[2]
    assert after.item() == pytest.approx(kept + np.tanh(1) / (1 + np.exp(-1)))  # i = sigmoid(0.5 * 2)


# -- rows of different lengths -----------------------------------------------------------------------------------------


def packed(theirs: Any, x: Tensor, state: State | None, lengths: Tensor) -> tuple[Tensor, Any]:
    rows = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    y, end = theirs(rows, torchs(state))
    return pad_packed_sequence(y, batch_first=True, total_length=x.shape[1])[0], end


@pytest.mark.parametrize("carried", [False, True])
@pytest.mark.parametrize(("layers", "both"), SHAPES)
@pytest.mark.parametrize("cell", TORCH)
def test_lengths_give_what_packing_gives(cell: Cell, layers: int, both: bool, carried: bool) -> None:
    ours, lengths = net(cell, layers, both), torch.tensor(LENGTHS)
    x, theirs = series().requires_grad_(), twin(ours)
    state = some_state(ours) if carried else None
    given = [x, *(s.requires_grad_() for s in parts(state))] if state else [x]
    y, end = ours(x, state, lengths)
    expected, final = packed(theirs, x, state, lengths)
    close(y, expected)
    close(parts(end), parts(final))
    beyond = torch.arange(STEPS) >= lengths[:, None]
    assert beyond.any() and not y[beyond].any()
    wanted = gradients(expected, final, [*given, *theirs.parameters()])
    found = gradients(y, end, [*given, *ours.parameters()])
    close(found, wanted)
    assert not found[0][beyond].any()


@pytest.mark.parametrize("cell", TORCH)
def test_lengths_give_what_packing_gives_in_single_precision_and_at_some_size(cell: Cell) -> None:
    torch.manual_seed(0)
    ours = Recurrent(16, 48, cell=cell, layers=2, bidirectional=True)
    theirs, x, lengths = twin(ours), torch.randn(6, 40, 16), torch.randint(1, 41, (6,))
    state = some_state(ours, 6, torch.float32)
    for begin in (None, state):
        y, end = ours(x, begin, lengths)
        expected, final = packed(theirs, x, begin, lengths)
        close(y, expected, 1e-6)
        close(parts(end), parts(final), 1e-6)
        g = torch.randn_like(y)
        found = torch.autograd.grad(y, list(ours.parameters()), g)
        for a, b in zip(found, torch.autograd.grad(expected, list(theirs.parameters()), g), strict=True):
            assert (a - b).norm() < 2e-6 * b.norm()


@pytest.mark.parametrize("carried", [False, True])
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_a_short_row_is_read_as_if_it_stood_alone(cell: Cell, both: bool, carried: bool) -> None:
    ours, x = net(cell, 2, both), series()
    state = some_state(ours) if carried else None
    y, end = ours(x, state, torch.tensor(LENGTHS))
    alone = [
        ours(x[row : row + 1, :n], None if state is None else state.pick(torch.tensor([row])))
        for row, n in enumerate(LENGTHS)
    ]
    for row, (expected, _) in enumerate(alone):
        close(y[row, : LENGTHS[row]], expected[0])
    last = alone[0][1].join([s for _, s in alone[1:]])
    close(parts(end), parts(last))
    weights = list(ours.parameters())
    torch.manual_seed(6)
    g, ends = torch.randn_like(y), [torch.randn_like(s) for s in parts(end)]
    whole = (y * g).sum() + sum((s * e).sum() for s, e in zip(parts(end), ends, strict=True))
    pieces = sum((expected[0] * g[row, : LENGTHS[row]]).sum() for row, (expected, _) in enumerate(alone))
    pieces = pieces + sum((s * e).sum() for s, e in zip(parts(last), ends, strict=True))
    close(torch.autograd.grad(whole, weights), torch.autograd.grad(pieces, weights))


@pytest.mark.parametrize("cell", CELLS)
def test_what_lies_beyond_a_rows_end_is_not_looked_at(cell: Cell) -> None:
    ours, x, lengths = net(cell, 2, True), series(), torch.tensor(LENGTHS)
    beyond = torch.arange(STEPS) >= lengths[:, None]
    rubbish = x.clone()
    rubbish[beyond] = torch.nan
    (y, end), (other, last) = ours(x, None, lengths), ours(rubbish, None, lengths)
    assert torch.equal(y, other)
    assert all(torch.equal(a, b) for a, b in zip(parts(end), parts(last), strict=True))
    weights = list(ours.parameters())
    assert all(g.isfinite().all() for g in gradients(other, last, weights))


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_an_empty_row_keeps_its_state_and_a_length_beyond_the_steps_is_all_of_them(cell: Cell, both: bool) -> None:
    ours, x = net(cell, 2, both), series()
    state = some_state(ours)
    y, end = ours(x, state, torch.tensor([0, 9, 12, 0, 5]))
    assert not y[[0, 3]].any()
    for before, after in zip(parts(state), parts(end), strict=True):
        close(after[:, [0, 3]], before[:, [0, 3]])
    expected, final = ours(x, state, torch.tensor([1, 9, 9, 1, 5]))
    rest = torch.tensor([1, 2, 4])
    close(y[rest], expected[rest])
    close(parts(end.pick(rest)), parts(final.pick(rest)))


def test_an_exploding_gradient_does_not_explode_in_the_padding() -> None:
    ours = net("rnn", 1, True, torch.float32)
    with torch.no_grad():
        for name, p in ours.named_parameters():
            p.mul_(3.0 if "weight_hh" in name else 1.0)
    x, weights = torch.randn(2, 600, INPUTS), list(ours.parameters())
    y, end = ours(x, None, torch.tensor([600, 3]))
    found = gradients(y[1:, :3], State(end.hidden[:, 1:]), weights)
    for a, b in zip(found, gradients(*ours(x[1:, :3]), weights), strict=True):
        assert (a - b).norm() <= 1e-5 * b.norm()


# -- states ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", CELLS)
def test_step_by_step_and_stretch_by_stretch_equal_the_whole(cell: Cell) -> None:
    ours, x = net(cell, 2), series()
    state = some_state(ours)
    whole, end = ours(x, state)
    now, steps = state, []
    for t in range(STEPS):
        y, now = ours.step(x[:, t], now)
        steps.append(y)
    close(torch.stack(steps, 1), whole)
    close(parts(now), parts(end))
    for cut in (1, 4):
        first, middle = ours(x[:, :cut], state)
        second, last = ours(x[:, cut:], middle)
        close(torch.cat([first, second], 1), whole)
        close(parts(last), parts(end))
    short, held = ours(x, state, torch.tensor(LENGTHS))
    more, after = ours(x, held)  # each row goes on from its own end
    joined = [torch.cat([x[r, :n], x[r]]) for r, n in enumerate(LENGTHS)]
    for row, n in enumerate(LENGTHS):
        alone, final = ours(joined[row][None], state.pick(torch.tensor([row])))
        close(torch.cat([short[row, :n], more[row]]), alone[0])
        close([s[:, row] for s in parts(after)], [s[:, 0] for s in parts(final)])


@pytest.mark.parametrize("cell", CELLS)
def test_rows_have_no_say_in_each_other(cell: Cell) -> None:
    ours, x = net(cell, 2, True), series()
    state, lengths = some_state(ours), torch.tensor(LENGTHS)
    y, end = ours(x, state, lengths)
    x[1:] = 1e3
    lengths[1:] = 3
    parts(state)[0][:, 1:] = 0.5
    other, last = ours(x, state, lengths)
    close(other[0], y[0])
    close([s[:, 0] for s in parts(last)], [s[:, 0] for s in parts(end)])
    assert not torch.equal(other[1], y[1])


@pytest.mark.parametrize("cell", CELLS)
def test_states_can_be_picked_joined_and_cut_from_their_past(cell: Cell) -> None:
    ours = net(cell, 2, True)
    state = ours(series(), some_state(ours))[1]
    assert all(s.shape == (4, ROWS, HIDDEN) for s in parts(state))
    picked = state.pick(torch.tensor([3, 0, 3]))
    close([s[:, 0] for s in parts(picked)], [s[:, 3] for s in parts(state)], 0)
    again = state.pick(torch.tensor([0, 1])).join([state.pick(torch.tensor([2])), state.pick(torch.tensor([3, 4]))])
    close(parts(again), parts(state), 0)
    assert all(s.requires_grad for s in parts(state)) and not any(s.requires_grad for s in parts(state.detach()))
    nothing = ours.empty(7, series())
    assert [(s.shape, s.dtype) for s in parts(nothing)] == [((4, 7, HIDDEN), torch.float64)] * len(parts(state))
    assert not any(s.any() for s in parts(nothing))
    close(ours(series(), ours.empty(ROWS, series()))[0], ours(series())[0], 0)


# -- gradients, traces, precisions -------------------------------------------------------------------------------------


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_gradients_are_those_of_differences(cell: Cell, padded: bool) -> None:
    torch.manual_seed(1)
    ours = Recurrent(2, 2, cell=cell, bidirectional=True).double()
    state, names = some_state(ours, 2), [name for name, _ in ours.named_parameters()]
    lengths = torch.tensor([3, 1]) if padded else None
    x = torch.randn(2, 3, 2, dtype=torch.float64, requires_grad=True)
    given = [x, *(s.requires_grad_() for s in parts(state)), *ours.parameters()]

    def function(x: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        held, weights = rest[: len(parts(state))], rest[len(parts(state)) :]
        begin = State(held[0], held[1] if len(held) > 1 else None)
        y, end = functional_call(ours, dict(zip(names, weights, strict=True)), (x, begin, lengths))
        return (y, *parts(end))

    assert torch.autograd.gradcheck(function, given)


class Loss(nn.Module):
    """Enough of a model for functional_call."""

    def __init__(self, network: Recurrent) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        y, end = self.network(x, None, lengths)
        return y.square().mean() + sum(s.square().mean() for s in parts(end))


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.usefixtures("deterministic")
def test_it_traces_within_a_gradient_and_the_graph_gives_the_eager_gradient(cell: Cell, padded: bool) -> None:
    loss = Loss(net(cell, 1 if padded else 2, padded, torch.float32))
    x = series(torch.float32)[:, :2]
    given = [x, torch.tensor([2, 1, 2, 1, 0])] if padded else [x]
    params = {name: p.detach() for name, p in loss.named_parameters()}

    def flat(*tensors: Tensor) -> list[Tensor]:
        weights = dict(zip(params, tensors, strict=False))
        x, *lengths = tensors[len(params) :]

        def value(weights: dict[str, Tensor]) -> Tensor:
            return functional_call(loss, weights, (x, lengths[0] if lengths else None))

        return list(torch.func.grad(value)(weights).values())

    live = torch.autograd.grad(loss(x, given[1] if padded else None), list(loss.parameters()))
    inputs = [*params.values(), *given]
    close(flat(*inputs), list(live), 1e-6)
    with torch.no_grad():
        graph = trace(flat, inputs)  # a length read on the host would end it
        close(graph.module(*inputs), list(live), 1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_an_input_has_a_gradient_in_evaluation_too(cell: Cell) -> None:
    ours, x = net(cell, 2, True, torch.float32).eval(), series(torch.float32).requires_grad_()
    y, _ = ours(x, None, torch.tensor(LENGTHS))
    (grad,) = torch.autograd.grad(y.sum(), [x])
    assert grad[0].abs().sum(-1).min() > 0
    with torch.no_grad():
        close(ours(x, None, torch.tensor(LENGTHS))[0], y, 1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_it_runs_in_lower_precision_and_reads_inputs_of_any(cell: Cell) -> None:
    ours, x, lengths, one = net(cell, 2, True), series(), torch.tensor(LENGTHS), net(cell, 2)
    begin = some_state(one)
    there, _ = one.step(x[:, 0], begin)
    exact, end = ours(x, None, lengths)
    ours.float()
    close(ours(x, None, lengths)[0], exact.float(), 1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        y, state = ours(x, None, lengths)
        y, _ = ours(x, state, lengths)
        near, _ = one.float().step(x[:, 0], begin)
    close(near.double(), there, 0.05)
    assert (y.float() - ours(x, end, lengths)[0]).abs().max() < 0.05
    ours.bfloat16()
    y, _ = ours(x, None, lengths)
    assert y.dtype == torch.bfloat16
    assert (y - exact).abs().max() < 0.05


def test_weights_side_by_side_are_the_same_weights_in_one_piece() -> None:
    for cell in TORCH:
        ours = net(cell, 2, True)
        weights = [p for w in (*ours.weights(0), *ours.weights(1)) for p in w[:4]]
        placed = side_by_side(weights)
        close(placed, weights, 0)
        assert len({p.untyped_storage().data_ptr() for p in placed}) == 1
        assert all(p.is_contiguous() for p in placed)
        order = [p for p in placed if p.ndim == 2] + [p for p in placed if p.ndim == 1]
        begins = np.cumsum([0] + [p.numel() for p in order])
        assert [p.storage_offset() for p in order] == begins[:-1].tolist()
        assert placed[0].untyped_storage().nbytes() == 8 * begins[-1]
        found = torch.autograd.grad(sum((p * p).sum() for p in placed), weights)
        close(list(found), [2 * p for p in weights])


# -- dropout -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_dropout_lies_between_layers_in_training_and_follows_the_seed(cell: Cell, padded: bool) -> None:
    ours, x = net(cell, 2, dropout=0.4), series()
    lengths = torch.tensor(LENGTHS) if padded else None
    below, above = net(cell, 1), Recurrent(HIDDEN, HIDDEN, cell=cell).double()
    weights = ours.state_dict()
    below.load_state_dict({name: w for name, w in weights.items() if name.endswith("l0")})
    above.load_state_dict({name.replace("l1", "l0"): w for name, w in weights.items() if name.endswith("l1")})
    torch.manual_seed(5)
    expected = above(F.dropout(below(x, None, lengths)[0], 0.4), None, lengths)[0]
    for _ in range(2):
        torch.manual_seed(5)
        found = ours(x, None, lengths)[0]
        close(found, expected)
    assert not torch.equal(ours(x, None, lengths)[0], found)
    ours.eval()
    close(ours(x, None, lengths)[0], above(below(x, None, lengths)[0], None, lengths)[0])
    lone = net(cell, 1, dropout=0.4)
    close(lone(x)[0], net(cell, 1)(x)[0])  # no layers to lie between


def test_a_step_in_training_drops_too() -> None:
    ours, x = net("gru", 2, dropout=0.4), series()
    state = some_state(ours)
    torch.manual_seed(5)
    y, _ = ours.step(x[:, 0], state)
    torch.manual_seed(5)
    close(y, ours(x[:, :1], state)[0][:, 0])
    assert not torch.equal(ours.step(x[:, 0], state)[0], y)


# -- beginnings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("cell", "gates"), [("rnn", 1), ("lstm", 4), ("peephole", 4), ("gru", 3)])
def test_each_gate_begins_orthogonal_within_glorots_bounds_and_without_bias(cell: Cell, gates: int) -> None:
    torch.manual_seed(0)
    ours = Recurrent(50, 40, cell=cell, layers=2, bidirectional=True)
    assert set(dict(ours.named_parameters())) == set(dict(twin(ours).named_parameters())) | (
        {f"peephole_l{k}{side}" for k in (0, 1) for side in ("", "_reverse")} if cell == "peephole" else set()
    )
    for layer, width in ((0, 50), (1, 80)):
        bound = (6 / (width + 40)) ** 0.5
        for side in ("", "_reverse"):
            w = {name: ours.get_parameter(f"{name}_l{layer}{side}") for name in ("weight_ih", "weight_hh")}
            assert w["weight_ih"].shape == (gates * 40, width)
            for block in w["weight_hh"].chunk(gates):
                close(block @ block.T, torch.eye(40), 1e-5)
            for block in w["weight_ih"].chunk(gates):
                assert 0.95 * bound < block.abs().max() <= bound
                assert block.std().item() == pytest.approx(bound / 3**0.5, rel=0.05)
            bias = ours.get_parameter(f"bias_ih_l{layer}{side}") + ours.get_parameter(f"bias_hh_l{layer}{side}")
            expected = torch.zeros_like(bias)
            if gates == 4:
                expected[40:80] = 1.0
            assert torch.equal(bias, expected)
    torch.manual_seed(0)
    again = Recurrent(50, 40, cell=cell, layers=2, bidirectional=True)
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), again.parameters(), strict=True))


@pytest.mark.parametrize("cell", ["lstm", "peephole"])
def test_the_forget_bias_is_what_was_asked_for_or_follows_the_times_of_chrono(cell: Cell) -> None:
    def bias(**words: Any) -> Tensor:
        torch.manual_seed(0)
        ours = Recurrent(2, 400, cell=cell, **words)
        return (ours.get_parameter("bias_ih_l0") + ours.get_parameter("bias_hh_l0")).detach().chunk(4)

    i, f, g, o = bias(forget_bias=5.0)
    assert torch.equal(f, torch.full_like(f, 5.0)) and not torch.cat([i, g, o]).any()
    i, f, g, o = bias(chrono=400)
    assert torch.equal(i, -f) and not torch.cat([g, o]).any()
    times = f.exp()
    assert times.min() >= 1 and times.max() <= 399.01
    assert times.mean().item() == pytest.approx(200, abs=4 * 398 / 12**0.5 / 400**0.5)
    assert times.std().item() == pytest.approx(398 / 12**0.5, rel=0.1)


def test_a_gru_of_chrono_keeps_for_the_times_it_drew() -> None:
    torch.manual_seed(0)
    ours = Recurrent(1, 400, cell="gru", chrono=100)
    bias = ours.get_parameter("bias_ih_l0").detach()
    r, z, n = bias.chunk(3)
    assert not torch.cat([r, n]).any() and not ours.get_parameter("bias_hh_l0").any()
    kept = torch.sigmoid(z)  # the share of h that one step keeps without an input
    assert (1 / (1 - kept)).mean().item() == pytest.approx(51, abs=6)  # 1 + U[1, 99], four standard errors
    inside = ours.gates(torch.zeros(1, 1, 1))
    close(inside["z"][0, 0], kept, 1e-6)


# -- names and refusals ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", CELLS)
def test_weights_go_to_a_file_and_back_by_their_names(cell: Cell) -> None:
    ours, other = net(cell, 2, True), Recurrent(INPUTS, HIDDEN, cell=cell, layers=2, bidirectional=True).double()
    assert not torch.equal(other(series())[0], ours(series())[0])
    other.load_state_dict(ours.state_dict())
    assert torch.equal(other(series())[0], ours(series())[0])
    assert "weight_hh_l1_reverse" in ours.state_dict()
    assert (ours.inputs, ours.outputs) == (INPUTS, 2 * HIDDEN)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"hidden": 0}, "hidden of a recurrent network must be 1 or more, not 0"),
        ({"inputs": -1}, "inputs of a recurrent network must be 1 or more"),
        ({"layers": 0}, "layers of a recurrent network must be 1 or more"),
        ({"cell": "ltsm"}, "no cell 'ltsm'; did you mean 'lstm'"),
        ({"cell": "peepholes"}, "did you mean 'peephole'"),
        ({"dropout": 1.0}, "below 1, not 1.0"),
        ({"dropout": -0.1}, "at least 0"),
        ({"chrono": 1}, "2 steps or more, or 0 for none: not 1"),
        ({"chrono": -4}, "2 steps or more"),
        ({"chrono": 9, "cell": "rnn"}, "an rnn has no gate"),
    ],
)
def test_what_no_network_can_have_is_refused_in_words(words: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Recurrent(**{"inputs": 2, "hidden": 3, **words})


def test_inputs_states_and_lengths_that_do_not_fit_are_refused_in_words() -> None:
    ours, x = Recurrent(INPUTS, HIDDEN, layers=2), torch.zeros(ROWS, STEPS, INPUTS)
    state = ours.empty(ROWS, x)
    for wrong in (x[0], x[..., :2], x[:, :0], x[:0]):
        with pytest.raises(InputError, match=r"reads \(rows, steps, 3\)"):
            ours(wrong)
    with pytest.raises(InputError, match=r"reads \(rows, 3\), none of them 0, not \(5, 9, 3\)"):
        ours.step(x, state)
    for held in (State(state.hidden), state.pick(torch.tensor([0])), State(state.hidden[:1], state.cell)):
        with pytest.raises(InputError, match=r"hidden and cell, each \(2, 5, 4\)"):
            ours(x, held)
    with pytest.raises(InputError, match="hidden alone"):
        Recurrent(INPUTS, HIDDEN, layers=2, cell="gru")(x, state)
    for lengths in (torch.ones(3, dtype=torch.int64), torch.ones(ROWS), torch.ones(ROWS, dtype=torch.bool)):
        with pytest.raises(InputError, match="one whole number a row"):
            ours(x, None, lengths)
    with pytest.raises(InputError, match="it has no next step"):
        Recurrent(INPUTS, HIDDEN, bidirectional=True).step(x[:, 0], state)
    for layer in (2, -1):
        with pytest.raises(InputError, match="layers 0 to 1"):
            ours.gates(x, layer=layer)
