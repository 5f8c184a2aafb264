"""Quantisers: the nearest code, a gradient that goes straight through, codes that follow and never die."""

from __future__ import annotations

import math

import pytest
import torch

from elboroom.nn.quantize import RARE, Codebook, Scalars
from elboroom.nn.transformer import rms_norm


def book(codes: int = 7, width: int = 4, *, commitment: float = 0.25, decay: float = 0.9) -> Codebook:
    torch.manual_seed(0)
    return Codebook(codes, width, commitment=commitment, decay=decay)


@pytest.mark.parametrize("decay", [0.0, 0.9])
def test_numbers_are_those_of_a_search_by_hand(decay: float) -> None:
    quantizer, z = book(decay=decay).eval(), torch.randn(50, 4)
    vectors, numbers, _ = quantizer(z)
    distances = torch.cdist(rms_norm(z), quantizer.all_vectors())
    assert torch.equal(numbers, distances.argmin(1))
    torch.testing.assert_close(vectors, quantizer.all_vectors()[numbers], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(quantizer.vectors(numbers), quantizer.all_vectors()[numbers])


def test_the_gradient_goes_straight_through() -> None:
    quantizer, z = book().eval(), rms_norm(torch.randn(9, 4)).requires_grad_()
    weight = torch.randn(9, 4)
    vectors, _, _ = quantizer(z)
    through = torch.autograd.grad((vectors * weight).sum(), z)[0]
    alone = torch.autograd.grad((rms_norm(z) * weight).sum(), z)[0]
    torch.testing.assert_close(through, alone)


def test_commitment_pulls_the_encoder_alone_and_a_learnt_book_the_codes_too() -> None:
    z = rms_norm(torch.randn(9, 4))
    quantizer = book(commitment=0.25, decay=0.0)
    _, numbers, pull = quantizer(z)
    apart = (z - quantizer.all_vectors()[numbers]).square().sum(1)
    torch.testing.assert_close(pull, 1.25 * apart)
    followed = book(commitment=0.25).eval()
    _, numbers, pull = followed(z)
    torch.testing.assert_close(pull, 0.25 * (z - followed.all_vectors()[numbers]).square().sum(1))


def test_running_means_equal_a_loop_by_hand() -> None:
    quantizer = book()
    count, total = quantizer.count.clone(), quantizer.total.clone()
    for _ in range(20):
        z = torch.randn(30, 4)
        expected = (rms_norm(z) @ rms_norm(total / count[:, None]).T).argmax(1)
        quantizer.follow_(z, quantizer(z)[1])
        for k in range(7):
            mine = rms_norm(z)[expected == k]
            count[k] = 0.9 * count[k] + 0.1 * len(mine) / 30
            total[k] = 0.9 * total[k] + 0.1 * mine.sum(0) / 30
    torch.testing.assert_close(quantizer.count, count)
    torch.testing.assert_close(quantizer.total, total)


def test_shares_of_two_halves_join_to_those_of_the_whole() -> None:
    z = torch.randn(40, 4)
    whole, one, two = book(), book(), book()
    for quantizer, rows in ((whole, z), (one, z[:20]), (two, z[20:])):
        quantizer.follow_(rows, quantizer(rows)[1])
    torch.testing.assert_close((one.count + two.count) / 2, whole.count)
    torch.testing.assert_close((one.total + two.total) / 2, whole.total)


def test_every_code_is_soon_used_though_all_vectors_lie_close_together() -> None:
    torch.manual_seed(0)
    z = torch.tensor([3.0, 0.2, 0.1, -0.3]) + 0.5 * torch.randn(512, 4)
    lazy, revived = book(32), book(32)
    for _ in range(60):
        for quantizer in (lazy, revived):
            some = z[torch.randperm(512)[:128]]
            quantizer.follow_(some, quantizer(some)[1])
        revived.settle_()
    used = [len(q.eval()(z)[1].unique()) for q in (lazy, revived)]
    assert used[0] < 20
    assert used[1] >= 31
    assert float(revived.count.min()) > 0.5 * RARE / 32 or used[1] == 32


def test_scalars_number_every_grid_point_once_and_round_to_the_nearest() -> None:
    quantizer = Scalars((4, 3, 2))
    assert (quantizer.codes, quantizer.width) == (24, 3)
    grid = quantizer.vectors(torch.arange(24))
    assert len(grid.unique(dim=0)) == 24
    vectors, numbers, pull = quantizer(torch.atanh(0.999 * grid))
    assert torch.equal(numbers, torch.arange(24))
    torch.testing.assert_close(vectors, grid)
    assert not pull.any()
    z = torch.randn(200, 3)
    bounded, (vectors, _, _) = torch.tanh(z), quantizer(z)
    for axis, size in enumerate((4, 3, 2)):
        assert float((vectors[:, axis] - bounded[:, axis]).abs().max()) <= 1 / (size - 1) + 1e-6
    assert math.isclose(float(vectors.abs().max()), 1.0, rel_tol=1e-6)
