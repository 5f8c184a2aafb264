"""One step in numpy is the step of the network itself, whatever its cell, and goes on from where that stopped."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from elboroom.nn.cells import CELLS
from elboroom.nn.recurrent import Recurrent, State
from elboroom.nn.stepping import LAYERS, Steps


def network(cell: str, layers: int) -> Recurrent:
    torch.manual_seed(0)
    net = Recurrent(3, 16, cell=cell, layers=layers)  # type: ignore[arg-type]
    with torch.no_grad():
        for p in net.parameters():
            p.normal_(std=0.4)  # biases and peepholes, too, which begin at 0
    return net.eval()


def test_every_cell_has_its_step() -> None:
    assert set(LAYERS) == set(CELLS)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_steps_are_those_of_the_network_from_its_start_and_from_any_state(cell: str, layers: int) -> None:
    net, x = network(cell, layers), torch.randn(1, 30, 3, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        _, middle = net(x[:, :10])
        y, end = net(x)
    steps = Steps(net)
    said = np.stack([steps.step(row).copy() for row in x[0].numpy()])
    np.testing.assert_allclose(said, y[0].numpy(), rtol=1e-5, atol=2e-6)
    state = steps.state()
    torch.testing.assert_close(state.hidden, end.hidden.clone(), rtol=1e-5, atol=2e-6)
    assert (state.cell is None) == (end.cell is None)
    steps.begin(middle)
    again = np.stack([steps.step(row).copy() for row in x[0, 10:].numpy()])
    np.testing.assert_allclose(again, y[0, 10:].numpy(), rtol=1e-5, atol=2e-6)
    steps.begin(None)
    np.testing.assert_array_equal(steps.step(x[0, 0].numpy()), said[0])


def test_a_state_that_was_given_out_is_not_written_to_and_brings_the_same_bits_back() -> None:
    net = network("lstm", 2)
    steps, rows = Steps(net), np.random.default_rng(0).normal(size=(9, 3)).astype(np.float32)
    for row in rows[:5]:
        steps.step(row)
    state = steps.state()
    assert state.cell is not None
    kept = State(state.hidden.clone(), state.cell.clone())
    first = [steps.step(row).copy() for row in rows[5:]]
    assert torch.equal(state.hidden, kept.hidden) and torch.equal(state.cell, kept.cell)  # type: ignore[arg-type]
    other = Steps(net)
    other.begin(state)
    np.testing.assert_array_equal([other.step(row).copy() for row in rows[5:]], first)
