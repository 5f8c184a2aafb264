"""Sparse attention: each pattern is its definition, each path gives the same numbers, and none holds T x T of them."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from elboroom.core.errors import InputError
from elboroom.nn import blocks
from elboroom.nn.attention import attend
from elboroom.nn.sparse import (
    BlockLocal,
    Dense,
    Fixed,
    Pattern,
    Sliding,
    Strided,
    attend_causal,
    explain,
    parse,
    parse_layers,
)
from recorder import Recorder

CPU = torch.device("cpu")
PATTERNS = [
    Sliding(1), Sliding(5), Sliding(64), Sliding(70), BlockLocal(1), BlockLocal(5), BlockLocal(16),
    Strided(1), Strided(3), Strided(8), Fixed(8, 1), Fixed(8, 3), Fixed(7, 7), Fixed(3, 2), Fixed(1, 1),
]  # fmt: skip
LENGTHS = [1, 2, 7, 8, 16, 63, 65, 129, 200]


def inputs(
    n: int, *, rows: int = 2, heads: int = 3, width: int = 8, dtype: torch.dtype = torch.float64
) -> list[Tensor]:
    torch.manual_seed(n)
    return [torch.randn(rows, heads, n, width, dtype=dtype, requires_grad=True) for _ in range(3)]


def square(pattern: Pattern, n: int) -> Tensor:
    return pattern.mask(n, n, CPU)


# -- definitions -------------------------------------------------------------------------------------------------------


def by_definition(name: str, i: int, numbers: list[int]) -> set[int]:
    """The keys of query i, written out as sets: Child et al. 2019, section 4.3, for the last two."""
    if name == "dense":
        return set(range(i + 1))
    length = numbers[0]
    start = i // length * length
    if name == "sliding":
        return set(range(max(0, i - length + 1), i + 1))
    if name == "block":
        return set(range(start, i + 1))
    if name == "strided":
        local = set(range(max(0, i - length), i + 1))  # t = max(0, i - l): l + 1 keys, as the paper has it
        return local | {j for j in range(i + 1) if (i - j) % length == 0}
    ends = {j for j in range(i + 1) if length - numbers[1] <= j % length <= length - 1}
    return set(range(start, i + 1)) | ends


@pytest.mark.parametrize("pattern", [Dense(), *PATTERNS], ids=str)
def test_a_pattern_is_its_definition_and_counts_its_pairs(pattern: Pattern) -> None:
    name, *numbers = pattern.name.split(":")
    for n in LENGTHS:
        seen = square(pattern, n)
        for i in range(n):
            expected = sorted(by_definition(name, i, [int(x) for x in numbers]))
            assert seen[i].nonzero().flatten().tolist() == expected
            assert pattern.keys(i).tolist() == expected
        assert pattern.pairs(n) == int(seen.sum())
        assert pattern.hides_nothing(n) is bool(seen.equal(square(Dense(), n)))
    assert pattern.pairs(0) == 0


@pytest.mark.parametrize("pattern", PATTERNS, ids=str)
def test_a_cache_needs_what_lies_within_reach_and_no_less(pattern: Pattern) -> None:
    i, j = torch.arange(200)[:, None], torch.arange(200)[None, :]
    farthest = int((i - j)[square(pattern, 200)].max()) + 1
    assert pattern.reach == farthest or (pattern.reach is None and farthest > 200 - 8)
    late = pattern.mask(3, 200, CPU)
    assert late.equal(square(pattern, 200)[-3:])


def test_strided_and_fixed_are_the_two_parts_of_the_paper_merged() -> None:
    i, j = torch.arange(40)[:, None], torch.arange(40)[None, :]
    for pattern in (Strided(6), Fixed(6, 2)):
        merged = (pattern.near(i, j) | pattern.far(i, j)) & (j <= i)
        assert merged.equal(square(pattern, 40))
        assert not merged.equal(pattern.near(i, j) & (j <= i))


@pytest.mark.parametrize("n", [64, 1000, 1024, 4096, 16384, 65536])
def test_auto_takes_the_power_of_two_with_nearly_the_fewest_pairs(n: int) -> None:
    lengths = [2**p for p in range(1, 15)]
    for auto, all_lengths in (
        (Strided.auto(n), [Strided(length) for length in lengths]),
        (Fixed.auto(n, 16), [Fixed(length, 16) for length in lengths if length >= 16]),
    ):
        assert auto.pairs(n) <= 1.07 * min(p.pairs(n) for p in all_lengths)


def test_pairs_grow_with_the_power_three_halves_when_the_length_follows_the_root() -> None:
    sizes = [2**p for p in range(10, 21, 2)]
    for auto in (Strided.auto, lambda n: Fixed.auto(n, 16)):
        counts = [auto(n).pairs(n) for n in sizes]
        slopes = [math.log(b / a, 4) for a, b in pairwise(counts)]
        assert all(abs(slope - 1.5) < 0.05 for slope in slopes[1:])
    constant = [Fixed(128, 16).pairs(n) for n in sizes]
    assert math.log(constant[-1] / constant[-2], 4) > 1.95  # with a constant length it stays quadratic


# -- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", [Dense(), *PATTERNS], ids=str)
def test_a_patterns_name_reads_back(pattern: Pattern) -> None:
    assert parse(pattern.name) == pattern


def test_auto_needs_the_window_and_follows_it() -> None:
    assert parse("strided:auto", 1024) == Strided(32)
    assert parse("strided:auto", 1023) == Strided(16)
    assert parse("fixed:auto:16", window=4096) == Fixed(256, 16)
    assert parse("fixed:auto:16", window=4) == Fixed(16, 16)
    with pytest.raises(InputError, match=r"tokens seen at once.*window=1024"):
        parse("strided:auto")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("slidding:4", r"no attention pattern 'slidding'; did you mean 'sliding'\?"),
        ("", "patterns: dense, sliding:W, block:L, strided:L, fixed:L:C"),
        ("sliding", "form sliding:W"),
        ("sliding:4:4", "form sliding:W"),
        ("fixed:8", "form fixed:L:C"),
        ("dense:1", "form dense"),
        ("sliding:auto", "'auto' in attention 'sliding:auto' is not a whole number"),
        ("block:auto", "not a whole number"),
        ("sliding:-3", "not a whole number"),
        ("sliding:2.5", "not a whole number"),
        ("sliding:0", "must be 1 or more, not 0"),
        ("fixed:8:0", "must be 1 or more, not 0"),
        ("fixed:8:9", "with C at most L"),
        ("strided:x", r"\(or auto\)"),
    ],
)
def test_a_wrong_name_is_refused_with_the_right_form(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        parse(text, 1024)


def test_layers_take_the_patterns_in_turn() -> None:
    names = [p.name for p in parse_layers("sliding:64+dense", 5)]
    assert names == ["sliding:64", "dense", "sliding:64", "dense", "sliding:64"]
    assert parse_layers("strided:auto", 2, window=128) == [Strided(8)] * 2
    with pytest.raises(InputError, match="names 3 attention patterns for 2 layers"):
        parse_layers("dense+dense+dense", 2)


# -- paths -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("pattern", PATTERNS, ids=str)
def test_every_path_equals_the_masked_square_in_output_and_gradients(pattern: Pattern, dtype: torch.dtype) -> None:
    close = {"rtol": 0, "atol": 1e-12} if dtype is torch.float64 else {"rtol": 2e-6, "atol": 2e-6}
    for n in LENGTHS:
        q, k, v = inputs(n, dtype=dtype)
        g = torch.randn_like(v)
        double = [x.detach().double().requires_grad_() for x in (q, k, v)]
        expected = attend(*double, mask=square(pattern, n), weights=True)[0]
        wanted = (expected, *torch.autograd.grad(expected, double, g.double()))
        for path in ("reference", "sdpa", "blocked"):
            output = attend_causal(q, k, v, pattern, path=path)
            got = (output, *torch.autograd.grad(output, (q, k, v), g))
            torch.testing.assert_close(got, wanted, check_dtype=False, msg=lambda m: f"{path}, n={n}: {m}", **close)  # noqa: B023


@pytest.mark.parametrize("pattern", [Sliding(5), Sliding(70), Strided(8), Fixed(8, 3)], ids=str)
def test_a_text_cut_into_many_steps_gives_what_one_step_gives(
    pattern: Pattern, monkeypatch: pytest.MonkeyPatch
) -> None:
    q, k, v = inputs(500)
    g = torch.randn_like(v)
    found = []
    for numbers in (2**21, 3000, 1):
        monkeypatch.setattr(blocks, "ROOM_CPU", numbers)
        output = attend_causal(q, k, v, pattern, path="blocked")
        found.append((output, *torch.autograd.grad(output, (q, k, v), g)))
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=1e-12)
    torch.testing.assert_close(found[2], found[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("pattern", [Sliding(3), BlockLocal(4), Strided(3), Fixed(4, 2)], ids=str)
def test_the_gradient_of_the_blocked_path_is_that_of_its_values(pattern: Pattern) -> None:
    q, k, v = inputs(10, rows=1, heads=1, width=3)
    assert torch.autograd.gradcheck(lambda *x: attend_causal(*x, pattern, path="blocked"), (q, k, v))


@pytest.mark.parametrize("path", ["reference", "sdpa", "blocked"])
@pytest.mark.parametrize("pattern", [Sliding(5), Sliding(70), BlockLocal(8), Strided(8), Fixed(8, 3)], ids=str)
def test_what_a_query_may_not_see_changes_nothing_for_it_however_loud(pattern: Pattern, path: str) -> None:
    n, late = 150, 100
    q, k, v = (x.detach().float() for x in inputs(n))
    before = attend_causal(q, k, v, pattern, path=path)
    k[:, :, late] = q[:, :, late - 1] * 1e9
    v[:, :, late] = 1e9
    after = attend_causal(q, k, v, pattern, path=path)
    blind = ~square(pattern, n)[:, late]
    assert blind[:late].all()
    assert torch.equal(after[:, :, blind], before[:, :, blind])
    assert after.isfinite().all()
    assert not torch.equal(after[:, :, late], before[:, :, late])


LONG = 8192
AUTO = [Sliding(256), BlockLocal(256), Strided.auto(LONG), Fixed.auto(LONG, 16)]


@pytest.mark.parametrize("pattern", AUTO, ids=str)
def test_long_texts_take_the_blocked_path_and_nothing_square_is_ever_held(pattern: Pattern) -> None:
    q, k, v = inputs(LONG, rows=1, heads=1, width=4, dtype=torch.float32)
    assert explain(pattern, LONG).name == "blocked"
    with Recorder() as seen:
        torch.autograd.grad(attend_causal(q, k, v, pattern).sum(), (q, k, v))
    assert seen.largest < LONG * LONG / 8


def test_the_other_paths_of_a_pattern_do_hold_a_square() -> None:
    x = inputs(1024, rows=1, heads=1, width=4)[0]
    for path in ("reference", "sdpa"):
        with Recorder() as seen:
            attend_causal(x, x, x, Sliding(64), path=path)
        assert seen.largest >= 1024 * 1024


def test_auto_takes_the_path_that_it_names() -> None:
    recorded = set()
    for pattern, n, grad in (
        (Dense(), 64, True), (Dense(), 64, False), (Dense(), 65, True),
        (Sliding(256), 64, True), (Sliding(256), 200, True), (Sliding(64), 200, True), (Sliding(64), 256, True),
        (Strided(8), 200, True), (Strided(32), 1024, True), (Strided(32), 1024, False), (Fixed(32, 8), 256, True),
        (BlockLocal(32), 60, True), (BlockLocal(32), 128, True),
    ):  # fmt: skip
        q, k, v = (x.detach().float().requires_grad_(grad) for x in inputs(n, rows=1, heads=1))
        path = explain(pattern, n, grad=grad)
        with Recorder() as seen:
            attend_causal(q, k, v, pattern)
        taken = "blocked" if "exp_" in seen.names or seen.fused - {q.shape} else "sdpa" if seen.fused else "reference"
        assert taken == path.name, (pattern, n, grad, str(path))
        recorded.add(taken)
    assert recorded == {"reference", "sdpa", "blocked"}


def test_a_path_says_why() -> None:
    assert str(explain(Dense(), 40)).startswith("reference: 40 tokens are so few")
    assert str(explain(Sliding(512), 512)).startswith("sdpa: sliding:512 hides no earlier token among 512")
    assert str(explain(Sliding(256), 8192)) == (
        "blocked: it takes as long as 576 keys a query would, masking takes all 8,192"
    )
    assert explain(Sliding(256), 200, dtype=torch.bfloat16).name == "reference"
    assert explain(Sliding(256), 300, device="cuda").name == "sdpa"
    assert explain(Strided(32), 1024, device="cuda", dtype=torch.bfloat16).name == "blocked"


@pytest.mark.parametrize("pattern", [Sliding(64), BlockLocal(64), Strided(16), Fixed(64, 8)], ids=str)
def test_the_blocked_path_traces_within_a_gradient_and_maps_over_members(pattern: Pattern) -> None:
    n = 600
    x = torch.stack([q.detach().float() for q in inputs(n, rows=1, heads=2, width=4)])
    assert explain(pattern, n).name == "blocked"

    def loss(x: Tensor) -> Tensor:
        return attend_causal(x, 2 * x, x, pattern).square().sum()

    step = torch.func.grad(loss)
    graph = make_fx(step, tracing_mode="fake")(x[0])
    torch.testing.assert_close(graph(x[0]), step(x[0]))
    widest = max(node.meta["val"].numel() for node in graph.graph.nodes if isinstance(node.meta.get("val"), Tensor))
    assert widest < n * n
    if pattern.name.startswith("strided"):  # plain products; the fused kernel for processors has no rule for mapping
        together = torch.func.vmap(step)(x)
        torch.testing.assert_close(together[1], step(x[1]))


@pytest.mark.parametrize("pattern", [Sliding(64), BlockLocal(64), Strided(16), Fixed(64, 8)], ids=str)
def test_autocast_to_bfloat16_stays_near_float32_on_the_blocked_path(pattern: Pattern) -> None:
    q, k, v = (x.detach().float().requires_grad_() for x in inputs(600, rows=1))
    whole = attend_causal(q, k, v, pattern, path="blocked")
    with torch.autocast("cpu", torch.bfloat16):
        low = attend_causal(q.bfloat16(), k.bfloat16(), v.bfloat16(), pattern, path="blocked")
    assert low.dtype == torch.bfloat16
    torch.testing.assert_close(low.float(), whole, rtol=0.02, atol=0.03)


def test_dropout_is_for_dense_weights_alone_on_every_path() -> None:
    torch.manual_seed(0)
    q, k, v = inputs(100)
    assert not torch.equal(attend_causal(q, k, v, Dense(), dropout=0.5), attend_causal(q, k, v, Dense()))
    for path in ("auto", "reference", "blocked"):
        kept = attend_causal(q, k, v, Sliding(5), path=path, dropout=0.5)
        assert torch.equal(kept, attend_causal(q, k, v, Sliding(5), path=path))


def test_wrong_calls_are_refused_with_what_to_do() -> None:
    q, k, v = inputs(8)
    with pytest.raises(InputError, match=r"equally many tokens.*pattern\.mask"):
        attend_causal(q[:, :, -1:], k, v, Sliding(4))
    with pytest.raises(InputError, match="did you mean 'blocked'"):
        attend_causal(q, k, v, Sliding(4), path="block")
    with pytest.raises(InputError, match="dense attention leaves nothing out"):
        attend_causal(q, k, v, Dense(), path="blocked")
