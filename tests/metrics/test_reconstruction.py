from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from elboroom.metrics import reconstruction


def test_sums_of_errors_have_their_hand_values():
    x = torch.tensor([[0.0, 1.0], [0.5, 0.5]])
    y = torch.tensor([[0.5, 1.0], [0.0, 1.0]])
    assert reconstruction.squared_error(x, y).tolist() == [0.25, 0.5]
    assert reconstruction.absolute_error(x, y).tolist() == [0.5, 1.0]
    assert reconstruction.cells(x).tolist() == [2.0, 2.0]


def test_missing_cells_count_for_nothing_even_when_they_hold_nan():
    x = torch.tensor([[0.0, math.nan, 2.0]])
    seen = torch.tensor([[True, False, True]])
    y = torch.tensor([[1.0, 5.0, 4.0]])
    assert reconstruction.squared_error(x, y, seen).tolist() == [5.0]
    assert reconstruction.cells(x, seen).tolist() == [2.0]


def test_cross_entropy_equals_torchs():
    x, p = torch.rand(5, 1, 4, 4), torch.rand(5, 1, 4, 4).clamp(0.01, 0.99)
    want = F.binary_cross_entropy(p.double(), x.double(), reduction="none").flatten(1).sum(1)
    torch.testing.assert_close(reconstruction.binary_cross_entropy(x, p), want)


def test_the_entropy_is_the_smallest_cross_entropy():
    x = torch.rand(6, 9, dtype=torch.float64)
    floor = reconstruction.binary_entropy(x)
    torch.testing.assert_close(reconstruction.binary_cross_entropy(x, x), floor, rtol=1e-9, atol=1e-9)
    assert (reconstruction.binary_cross_entropy(x, (x + 0.01).clamp(0, 1)) > floor).all()


def test_the_entropy_of_black_and_white_is_nothing_and_of_grey_is_log_two():
    assert reconstruction.binary_entropy(torch.tensor([[0.0, 1.0, 0.5]])).item() == pytest.approx(math.log(2))


def test_a_sure_and_wrong_prediction_costs_as_much_as_in_keras():
    got = reconstruction.binary_cross_entropy(torch.tensor([[1.0]]), torch.tensor([[0.0]]))
    assert got.item() == pytest.approx(-math.log(1e-7))


def test_decibels_count_tenths_of_powers_of_ten():
    assert reconstruction.psnr_db(torch.tensor([0.01])).item() == pytest.approx(20)
    assert reconstruction.psnr_db(torch.tensor([0.04]), width=2.0).item() == pytest.approx(20)
    assert reconstruction.psnr_db(torch.tensor([0.0])).item() == 100
