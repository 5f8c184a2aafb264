"""`elbo.attend`: the exercise in both readings, every kind of input, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import elboroom as elbo

# The exercise: one query, key and value, each of three numbers.
Q, K, V = [0.8, 0.5, 0.21], [0.1, 0.62, 0.73], [0.6, 0.2, 0.9]


def test_read_as_three_tokens_of_width_one() -> None:
    output, weights = elbo.attend(Q, K, V)
    assert output == pytest.approx([0.573687, 0.570633, 0.568153], abs=5e-7)
    assert weights == [
        pytest.approx([0.239738, 0.363416, 0.396846], abs=5e-7),
        pytest.approx([0.272688, 0.353658, 0.373654], abs=5e-7),
        pytest.approx([0.307046, 0.342475, 0.350478], abs=5e-7),
    ]


def test_read_as_one_token_of_width_three() -> None:
    output, weights = elbo.attend([Q], [K], [V])
    assert weights == [[1.0]]  # one key: whatever the query, it gets all of the attention
    assert output == [pytest.approx(V, abs=1e-15)]


def test_three_tokens_of_which_each_sees_those_before() -> None:
    output, weights = elbo.attend(Q, K, V, causal=True)
    assert output == pytest.approx([0.6, 0.374145, 0.568153], abs=5e-7)
    assert weights[0] == [1.0, 0.0, 0.0]
    assert weights[1] == pytest.approx([0.435364, 0.564636, 0.0], abs=5e-7)


def test_the_scale_of_width_three_on_tokens_of_width_one_is_another_answer() -> None:
    output, _ = elbo.attend(Q, K, V, scale=3**-0.5)
    assert output == pytest.approx([0.570280, 0.568778, 0.567493], abs=5e-7)


@pytest.mark.parametrize("lead", [(), (2,), (2, 3)])
def test_what_comes_out_is_of_the_kind_that_went_in(lead: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    q, k, v = (rng.normal(size=(*lead, n, d)) for n, d in ((4, 5), (6, 5), (6, 2)))
    output, weights = elbo.attend(q, k, v)
    assert isinstance(output, np.ndarray)
    assert (output.shape, weights.shape, output.dtype) == ((*lead, 4, 2), (*lead, 4, 6), np.float64)
    torch_q, torch_k, torch_v = map(torch.from_numpy, (q, k, v))
    expected = F.scaled_dot_product_attention(torch_q, torch_k, torch_v).numpy()
    np.testing.assert_allclose(output, expected, atol=1e-12)
    np.testing.assert_allclose(weights @ v, output, atol=1e-12)
    listed = elbo.attend(q.tolist(), k.tolist(), v.tolist())
    assert listed == (output.tolist(), weights.tolist())
    tensors = elbo.attend(torch_q, torch_k, torch_v)
    assert all(isinstance(x, torch.Tensor) for x in tensors)
    np.testing.assert_array_equal(tensors[0], output)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4"])
def test_numpys_widths_stay_and_whole_numbers_become_float64(dtype: str) -> None:
    x = np.linspace(0, 1, 12).reshape(4, 3).astype(dtype)
    output, weights = elbo.attend(x, x, x)
    assert output.dtype == weights.dtype == np.dtype(dtype).newbyteorder("=")
    whole, _ = elbo.attend(np.arange(12).reshape(4, 3), np.arange(12).reshape(4, 3), np.arange(12).reshape(4, 3))
    assert whole.dtype == np.float64
    np.testing.assert_array_equal(np.linspace(0, 1, 12).reshape(4, 3).astype(dtype), x)


def test_tensors_keep_their_gradient() -> None:
    q = torch.randn(3, 4, requires_grad=True)
    output, weights = elbo.attend(q, q, q, causal=True)
    assert torch.autograd.grad((output.sum(), weights[1, 0]), q)[0].any()


def test_a_boolean_mask_says_what_is_allowed_and_a_blind_row_gives_zeros_in_both() -> None:
    mask = [[True, True, True], [False, False, False], [True, False, False]]
    output, weights = elbo.attend(Q, K, V, mask=mask)
    assert output[1:] == [0.0, 0.6]
    assert weights[1:] == [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]
    hidden = np.where(np.array(mask), 0.0, -np.inf)
    assert elbo.attend(Q, K, V, mask=hidden.tolist()) == (output, weights)
    np.testing.assert_array_equal(elbo.attend(np.array(Q), K, V, mask=torch.tensor(mask))[1], weights)


def test_an_additive_mask_is_added_to_the_scaled_scores() -> None:
    bias = np.array([[0.5, -1.0, 2.0]] * 3)
    scores = np.outer(Q, K) + bias
    expected = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    np.testing.assert_allclose(elbo.attend(Q, K, V, mask=bias)[1], expected, atol=1e-12)


def test_fewer_queries_than_keys_are_the_newest_tokens() -> None:
    x = np.random.default_rng(1).normal(size=(6, 3))
    whole, _ = elbo.attend(x, x, x, causal=True)
    np.testing.assert_allclose(elbo.attend(x[4:], x, x, causal=True)[0], whole[4:], atol=1e-12)


X = np.zeros((3, 4))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            {"q": Q, "k": [K], "v": V},
            r"q is \(3,\), k is \(1, 3\).*x\[:, None\] for n tokens .*x\[None, :\] for one token",
        ),
        (
            {"q": Q, "k": K, "v": V[:2]},
            r"3 tokens of width 1.*2 tokens of width 1.*for one token of width n write \[x\]",
        ),
        (
            {"q": X, "k": np.zeros((3, 5)), "v": X},
            r"q \(3, 4\) is 3 tokens of width 4.*need one width.*swap the last two",
        ),
        ({"q": X, "k": X, "v": np.zeros((4, 4))}, "each key needs one value"),
        ({"q": np.zeros((2, 3, 4)), "k": np.zeros((3, 3, 4)), "v": X}, "must be equal or 1"),
        ({"q": np.zeros((3, 0)), "k": np.zeros((3, 0)), "v": X}, "tokens of no width"),
        ({"q": 0.8, "k": 0.1, "v": 0.6}, "q is a single number"),
        ({"q": [[1, 2], [3]], "k": K, "v": V}, "rows of unequal length"),
        ({"q": "0.8", "k": K, "v": V}, "q is not made of numbers"),
        ({"q": X, "k": X * 1j, "v": X}, "k is not made of numbers"),
        ({"q": torch.zeros(3, dtype=torch.complex64), "k": K, "v": V}, "q holds complex numbers"),
        (
            {"mask": [[1, 0, 1]] * 3},
            "whole numbers can mean two things; give booleans, True where attention is allowed",
        ),
        ({"mask": [[True] * 4] * 3}, r"the mask is \(3, 4\) and the scores are \(3, 3\)"),
        ({"mask": np.ones((2, 3, 3), bool)}, r"the mask is \(2, 3, 3\)"),
        ({"mask": [[0.0, np.nan, 0.0]] * 3}, r"NaN or \+inf"),
        ({"mask": [[0.0, np.inf, 0.0]] * 3}, r"NaN or \+inf"),
        ({"mask": [["a"]]}, "the mask is not made of booleans or numbers"),
        ({"mask": [[True], [True, False]]}, "the mask has rows of unequal length"),
        ({"scale": "root"}, r"the scale 'root' is not a number; leave it out"),
        ({"scale": np.nan}, "the scale is nan"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_to_do(call: dict[str, Any], words: str) -> None:
    with pytest.raises(elbo.InputError, match=words):
        elbo.attend(**{"q": Q, "k": K, "v": V, **call})
