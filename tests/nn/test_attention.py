"""Scaled dot-product attention: equal to torch's and to a float64 hand computation, and nothing leaks."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.fx.experimental.proxy_tensor import make_fx

from elboroom.nn.attention import attend, fused, plain, suits_plain
from recorder import FUSED, Recorder

CPU = torch.device("cpu")
INF = torch.inf


def by_hand(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool, scale: float) -> tuple[Tensor, Tensor]:
    """Row by row in float64, keeping only what may be seen."""
    q, k, v = q.double(), k.double(), v.double()
    queries, keys = q.shape[-2], k.shape[-2]
    rows, laws = [], []
    for i in range(queries):
        scores = (q[..., i, None, :] * k).sum(-1) * scale
        seen = torch.ones_like(scores, dtype=torch.bool)
        if mask is not None:
            row = mask.expand(*scores.shape[:-1], queries, keys)[..., i, :]
            seen = row if mask.dtype == torch.bool else row > -INF
            scores = scores if mask.dtype == torch.bool else scores + torch.where(seen, row, 0.0)
        if causal:
            seen = seen & (torch.arange(keys) <= i + keys - queries)
        exponentials = torch.where(seen, (scores - scores.detach().amax(-1, keepdim=True)).exp(), 0.0)
        sums = exponentials.sum(-1, keepdim=True)
        law = exponentials / torch.where(sums == 0, 1.0, sums)
        laws.append(law)
        rows.append((law[..., None] * v).sum(-2))
    return torch.stack(rows, -2), torch.stack(laws, -2)


def inputs(queries: int = 7, keys: int = 7, dtype: torch.dtype = torch.float64, lead: Any = (2, 3)) -> list[Tensor]:
    torch.manual_seed(queries + keys)
    shapes = ((queries, 4), (keys, 4), (keys, 4))
    return [torch.randn(*lead, *shape, dtype=dtype, requires_grad=True) for shape in shapes]


def masks(queries: int, keys: int) -> dict[str, Tensor | None]:
    torch.manual_seed(5)
    holes = torch.rand(queries, keys) < 0.6
    blind = holes.clone()
    blind[-1] = False
    floats = torch.randn(queries, keys, dtype=torch.float64)
    return {
        "none": None,
        "boolean": holes,
        "blind row": blind,
        "each text": torch.rand(2, 1, queries, keys) < 0.6,
        "keys only": torch.rand(2, 1, 1, keys) < 0.8,
        "three axes": torch.rand(3, queries, keys) < 0.6,
        "additive": floats,
        "additive with a blind row": torch.where(blind, floats, -INF),
    }


SHAPES = [(7, 7), (3, 7), (1, 7), (7, 3)]
CASES = list(itertools.product(masks(7, 7), (False, True), SHAPES))


@pytest.mark.parametrize("way", ["plain", "fused"])
@pytest.mark.parametrize(("name", "causal", "shape"), CASES)
def test_output_weights_and_gradients_equal_a_hand_computation(
    name: str, causal: bool, shape: tuple[int, int], way: str
) -> None:
    mask = masks(*shape)[name]
    q, k, v = inputs(*shape)
    expected, law = by_hand(q, k, v, mask, causal, 0.5)
    if way == "plain":
        output, weights = plain(q, k, v, mask=mask, causal=causal)
        torch.testing.assert_close(weights, law, rtol=0, atol=1e-12)
    else:
        output = fused(q, k, v, mask=mask, causal=causal)
    torch.testing.assert_close(output, expected, rtol=0, atol=1e-12)
    g = torch.randn_like(output)
    got, wanted = torch.autograd.grad(output, (q, k, v), g), torch.autograd.grad(expected, (q, k, v), g)
    torch.testing.assert_close(got, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("weights", [False, True])
def test_it_equals_torchs_own_in_float32(causal: bool, weights: bool) -> None:
    q, k, v = inputs(90, 90, torch.float32)
    output, found = attend(q, k, v, causal=causal, weights=weights)
    expected = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
    torch.testing.assert_close(output, expected, rtol=0, atol=2e-6)
    assert (found is not None) is weights


def test_the_default_scale_is_one_over_the_root_of_the_width() -> None:
    torch.manual_seed(0)
    q, k = torch.randn(256, 64), torch.randn(256, 64)

    def entropy(scale: float | None) -> float:
        weights = attend(q, k, k, scale=scale, weights=True)[1]
        assert weights is not None
        return float(-(weights * weights.clamp(min=1e-30).log()).sum(-1).mean())

    assert entropy(None) == entropy(1 / 8)
    assert entropy(None) > 5.0  # of log 256 = 5.55
    assert entropy(1.0) < 1.0  # what leaving the scale out would give


@pytest.mark.parametrize("keys", [7, 300])
def test_new_queries_after_a_past_get_what_they_get_in_one_piece(keys: int) -> None:
    q, k, v = inputs(keys, keys)
    whole = attend(q, k, v, causal=True)[0]
    for new in (1, 2, 5):
        torch.testing.assert_close(attend(q[..., -new:, :], k, v, causal=True)[0], whole[..., -new:, :])


@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_future_has_no_say_however_loud_it_is(dtype: torch.dtype, weights: bool) -> None:
    q, k, v = (x.detach().to(dtype) for x in inputs(9, 9))
    before = attend(q, k, v, causal=True, weights=weights)[0]
    k[..., 5:, :] = q[..., 4:5, :] * 1e9  # scores of 1e9 and more for what query 4 may not see
    v[..., 5:, :] = 1e9
    after, found = attend(q, k, v, causal=True, weights=weights)
    assert torch.equal(after[..., :5, :], before[..., :5, :])
    if found is not None:
        assert torch.all(found[..., :5, 5:] == 0)


@pytest.mark.parametrize("mask", [torch.tensor([[False, True]]), torch.tensor([[-INF, 0.0]])], ids=["bool", "float"])
def test_a_hidden_key_weighs_nothing_beside_scores_of_minus_two_thousand_million(mask: Tensor) -> None:
    q, k, v = torch.tensor([[1.0]]), torch.tensor([[0.0], [-2e9]]), torch.tensor([[7.0], [3.0]])
    output, weights = attend(q, k, v, mask=mask, weights=True)
    assert weights is not None
    assert weights.tolist() == [[0.0, 1.0]]
    assert output.item() == fused(q, k, v, mask=mask).item() == 3.0
    leaking = torch.softmax(q @ k.T + torch.tensor([[-1e9, 0.0]]), -1)  # what a finite mask does
    assert leaking.tolist() == [[1.0, 0.0]]


def test_a_query_without_keys_gives_zeros() -> None:
    q, k, v = inputs(3, 0)
    output, weights = attend(q, k, v, weights=True)
    assert weights is not None
    assert output.shape == (2, 3, 3, 4)
    assert not output.any()
    assert weights.shape == (2, 3, 3, 0)


@pytest.mark.parametrize("causal", [False, True])
def test_gradients_are_right_to_second_order(causal: bool) -> None:
    q, k, v = inputs(4, 5, lead=(1, 2))
    assert torch.autograd.gradcheck(lambda *x: plain(*x, causal=causal)[0], (q, k, v))
    assert torch.autograd.gradgradcheck(lambda *x: plain(*x, causal=causal)[0], (q, k, v))
    assert torch.autograd.gradcheck(lambda *x: fused(*x, causal=causal), (q, k, v))


@pytest.mark.parametrize("lead", [(), (2,), (2, 3), (2, 1, 3)])
def test_any_number_of_axes_takes_the_kernel_that_holds_no_square(lead: tuple[int, ...]) -> None:
    q, k, v = inputs(90, 90, lead=lead)
    given: list[dict[str, Any]] = [{}, {"causal": True}]
    given += [{"mask": torch.rand(*lead[axes:], 90, 90) < 0.5} for axes in range(len(lead) + 1)]
    for words in given:
        with Recorder() as seen:
            output = fused(q, k, v, **words)
        assert FUSED in seen.names
        torch.testing.assert_close(output, plain(q, k, v, **words)[0])


def test_fewer_key_heads_are_shared_among_query_heads() -> None:
    q, _, _ = inputs(90, 90, lead=(2, 2, 3))
    _, k, v = inputs(90, 90, lead=(2, 2, 1))
    torch.testing.assert_close(fused(q, k, v, causal=True), plain(q, k, v, causal=True)[0])


def test_short_training_on_a_processor_is_plain_and_everything_else_is_fused() -> None:
    assert suits_plain(64, CPU, torch.float32, grad=True)
    assert not suits_plain(65, CPU, torch.float32, grad=True)
    assert suits_plain(256, CPU, torch.bfloat16, grad=True)
    assert not suits_plain(64, CPU, torch.float32, grad=False)
    assert not suits_plain(64, torch.device("cuda"), torch.bfloat16, grad=True)
    for n, dtype, grad, expected in (
        (64, torch.float32, True, False),
        (64, torch.float32, False, True),
        (65, torch.float32, True, True),
        (200, torch.bfloat16, True, False),
        (300, torch.bfloat16, True, True),
    ):
        x = torch.randn(1, 1, n, 4, dtype=dtype, requires_grad=grad)
        with Recorder() as seen:
            attend(x, x, x, causal=True)
        assert (FUSED in seen.names) is expected, (n, dtype, grad)


class Layer(nn.Module):
    """Heads, attention, a sum: enough of a model for functional_call."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(8, 24)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, 2, 4)).permute(2, 0, 3, 1, 4)
        return attend(q, k, v, causal=True)[0].square().sum()


@pytest.mark.parametrize("n", [12, 80])
@pytest.mark.parametrize("low", [False, True], ids=["fp32", "bf16"])
def test_it_traces_within_a_gradient_and_the_graph_gives_the_eager_gradient(n: int, low: bool) -> None:
    torch.manual_seed(0)
    layer, x = Layer(), torch.randn(2, n, 8)

    def loss(params: dict[str, Tensor], x: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=low, cache_enabled=False):
            return functional_call(layer, params, (x,))

    params = {name: p.detach() for name, p in layer.named_parameters()}
    step = torch.func.grad(loss)
    graph = make_fx(step, tracing_mode="fake")(params, x)
    torch.testing.assert_close(graph(params, x), step(params, x))
    live = torch.autograd.grad(loss(dict(layer.named_parameters()), x), list(layer.parameters()))
    torch.testing.assert_close(list(step(params, x).values()), list(live), rtol=1e-2 if low else 1e-5, atol=1e-4)
    names = {node.target._schema.name for node in graph.graph.nodes if hasattr(node.target, "_schema")}
    assert (f"aten::{FUSED}" in names) is (n > 64 and not low)


def test_bfloat16_keeps_its_softmax_and_the_kernels_backward_in_float32() -> None:
    q, k, v = inputs(300, 300)
    expected = torch.autograd.grad(plain(q, k, v, causal=True)[0].sum(), (q, k, v))
    low = [x.detach().bfloat16().requires_grad_() for x in (q, k, v)]
    output, weights = plain(*low, causal=True)
    assert (output.dtype, weights.dtype) == (torch.bfloat16, torch.float32)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3, 300))
    for autocast in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            output = fused(*low, causal=True)
        assert output.dtype == torch.bfloat16
        for got, wanted in zip(torch.autograd.grad(output.float().sum(), low), expected, strict=True):
            torch.testing.assert_close(got.double(), wanted, rtol=0.02, atol=0.06)


def test_members_of_a_sweep_map_over_it() -> None:
    x = torch.randn(3, 2, 2, 12, 4)

    def loss(x: Tensor) -> Tensor:
        return attend(x, x, x, causal=True)[0].square().sum()

    together = torch.func.vmap(torch.func.grad(loss))(x)
    for member, alone in zip(together, x, strict=True):
        torch.testing.assert_close(member, torch.func.grad(loss)(alone))


def test_dropout_sets_its_share_of_weights_to_zero_and_keeps_their_mean() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 8, 200, 4)
    whole = plain(x, x, x)[1]
    output, weights = attend(x, x, x, weights=True, dropout=0.25)
    assert weights is not None
    kept = weights != 0
    n = kept.numel()
    assert abs(kept.double().mean().item() - 0.75) < 4 * math.sqrt(0.75 * 0.25 / n)
    torch.testing.assert_close(weights[kept], whole[kept] / 0.75)
    torch.testing.assert_close(output, weights @ x)
    with Recorder() as seen:
        attend(x, x, x, dropout=0.25)
    assert FUSED not in seen.names
