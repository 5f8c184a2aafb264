"""Optimisers against torch's own, and rules side by side against the rules alone."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from elboroom.core.optim import SGD, Adam, Muon, Optimizer, RMSProp, Split, clipped, orthogonalised, warmup_cosine

YES = torch.tensor(True)


def matrices(dtype: torch.dtype = torch.float64) -> list[Tensor]:
    g = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=g, dtype=dtype) for shape in ((8, 5), (4, 12), (8, 5), (6, 6))]


def steps_of(
    rule: Optimizer, params: list[Tensor], gradients: list[list[Tensor]], *, fused: bool = False
) -> list[Tensor]:
    params = [p.clone() for p in params]
    slots = rule.init(params)
    for i, grads in enumerate(gradients):
        move = rule.fused_ if fused else rule.update_
        move(params, [g.clone() for g in grads], slots, torch.tensor(i / len(gradients)), YES)
    return params


def gradients_like(params: list[Tensor], count: int = 4) -> list[list[Tensor]]:
    g = torch.Generator().manual_seed(1)
    return [[torch.randn(p.shape, generator=g, dtype=p.dtype) for p in params] for _ in range(count)]


def test_muon_is_torchs_muon() -> None:
    params = matrices(torch.float32)
    grads = gradients_like(params)
    ours = steps_of(Muon(lr=0.02, momentum=0.95, weight_decay=0.1), params, grads)
    theirs = [nn.Parameter(p.clone()) for p in params]
    muon = torch.optim.Muon(theirs, lr=0.02, momentum=0.95, weight_decay=0.1, nesterov=True, ns_steps=5)
    for step in grads:
        for p, g in zip(theirs, step, strict=True):
            p.grad = g.clone()
        muon.step()
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b.detach(), atol=4e-3, rtol=0)  # torch orthogonalises in bfloat16


@pytest.mark.parametrize("fused", [False, True])
def test_rmsprop_is_torchs_rmsprop(fused: bool) -> None:
    params = matrices()
    grads = gradients_like(params)
    ours = steps_of(RMSProp(lr=0.01, decay=0.9, eps=1e-6), params, grads, fused=fused)
    theirs = [nn.Parameter(p.clone()) for p in params]
    rule = torch.optim.RMSprop(theirs, lr=0.01, alpha=0.9, eps=1e-6)
    for step in grads:
        for p, g in zip(theirs, step, strict=True):
            p.grad = g.clone()
        rule.step()
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b.detach(), rtol=1e-10, atol=1e-12)


def test_the_orthogonalised_matrix_keeps_directions_and_evens_out_their_sizes() -> None:
    x = torch.randn(3, 7, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    u, _, vh = torch.linalg.svd(x, full_matrices=False)
    inside = u.mT @ orthogonalised(x) @ vh.mT
    sizes = torch.diagonal(inside, dim1=-2, dim2=-1)
    assert (inside - torch.diag_embed(sizes)).abs().max() < 1e-9
    assert sizes.min() > 0.6 and sizes.max() < 1.25


def test_muon_refuses_vectors() -> None:
    with pytest.raises(ValueError, match="for matrices"):
        Muon(lr=0.1).init([torch.zeros(3)])


@pytest.mark.parametrize("fused", [False, True])
def test_rules_side_by_side_move_each_share_as_the_rule_alone(fused: bool) -> None:
    params = matrices(torch.float32)
    grads = gradients_like(params)
    schedule = warmup_cosine(0.3, 0.1)
    rules = (Muon(lr=0.02, schedule=schedule), Adam(lr=1e-2, weight_decay=0.1, schedule=schedule), SGD(lr=0.1))
    together = steps_of(Split(rules=rules, counts=(1, 2, 1)), params, grads, fused=fused)
    for rule, cut in zip(rules, (slice(0, 1), slice(1, 3), slice(3, 4)), strict=True):
        alone = steps_of(rule, params[cut], [g[cut] for g in grads], fused=fused)
        for a, b in zip(together[cut], alone, strict=True):
            assert torch.equal(a, b)


def test_the_norm_that_is_clipped_is_that_of_all_shares_together() -> None:
    params = matrices()
    grads = gradients_like(params, 1)
    bounded = clipped(grads[0], 0.5)
    assert torch.stack([(g * g).sum() for g in bounded]).sum().sqrt() == pytest.approx(0.5, rel=1e-5)
    split = Split(rules=(SGD(lr=1.0), SGD(lr=1.0)), counts=(2, 2), clip=0.5)
    moved = steps_of(split, params, grads)
    for p, q, g in zip(params, moved, bounded, strict=True):
        torch.testing.assert_close(p - q, g)


def test_a_gradient_that_is_not_finite_changes_nothing() -> None:
    params = matrices(torch.float32)
    for rule in (Muon(lr=0.1), RMSProp(lr=0.1), Split(rules=(Muon(lr=0.1), Adam(lr=0.1)), counts=(2, 2), clip=1.0)):
        held = [p.clone() for p in params]
        slots = rule.init(held)
        before = copy.deepcopy(slots)
        bad = [torch.full_like(p, float("nan")) for p in params]
        rule.update_(held, bad, slots, torch.tensor(0.0), torch.tensor(False))
        assert all(torch.equal(a, b) for a, b in zip(held, params, strict=True))
        assert all(torch.equal(a, b) for name in slots for a, b in zip(slots[name], before[name], strict=True))


def test_shares_must_fill_the_phase() -> None:
    with pytest.raises(ValueError, match="rules are for 3 parameters"):
        Split(rules=(SGD(lr=1.0),), counts=(3,)).init(matrices())


def test_the_schedule_rises_to_one_and_falls_to_its_floor() -> None:
    factor = warmup_cosine(0.2, 0.1)
    at = [float(factor(torch.tensor(t, dtype=torch.float64))) for t in (0.0, 0.1, 0.2, 0.6, 1.0)]
    assert at == pytest.approx([0.01, 0.505, 1.0, 0.55, 0.1])
