"""GPT: GPT-2 written out by hand, no leak, and reading on that equals reading at once."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from elboroom.core.batch import Batch
from elboroom.core.errors import InputError
from elboroom.core.spec import Spec
from elboroom.engine.runtime import seed_draws
from elboroom.models.gpt import GPT

V = 11
EVERY = ["dense", "sliding:5", "block:4", "strided:3", "fixed:4:1", "sliding:3+dense"]
FAMILIES = ["gpt2", "modern"]


def made(context: int = 16, seed: int = 0, **settings: object) -> GPT:
    seed_draws(seed)
    config = GPT.Config(**{"layers": 2, "heads": 2, "width": 16, **settings})  # type: ignore[arg-type]
    model = GPT(config, Spec(kind="text", shape=(context,), scale="tokens", levels=V)).double().eval()
    with torch.no_grad():  # output matrices that start at zero would hide what attention does
        for p in model.parameters():
            p.add_(torch.randn_like(p) * 0.3)
    return model


def text(n: int, rows: int = 1, seed: int = 1) -> Tensor:
    return torch.randint(0, V, (rows, n), generator=torch.Generator().manual_seed(seed))


def start_of(length: int, context: int) -> int:
    """Where the window begins once `length` tokens were read: a full window lets go of its first half."""
    half = context // 2
    return 0 if length <= context else half * math.ceil((length - context) / half)


def uncached(model: GPT, tokens: Tensor) -> Tensor:
    """Logits after each token of one text, each from a pass of its own over what is visible."""
    out = []
    with torch.no_grad():
        for length in range(1, tokens.shape[1] + 1):
            begin = 0 if model.endless else start_of(length, model.context)
            out.append(model.read(tokens[:, begin:length])[0][:, -1])
    return torch.stack(out, 1)


def test_the_gpt2_family_is_gpt2_written_out() -> None:
    model, tokens = made(family="gpt2"), text(9, rows=3)
    w = dict(model.named_parameters())

    def norm(x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, (16,), w[f"{name}.weight"], w[f"{name}.bias"])

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    x = w["tokens.weight"][tokens] + w["positions.weight"][:9]
    for i in range(2):
        q, k, v = linear(norm(x, f"blocks.{i}.norm_1"), f"blocks.{i}.attention.qkv").split(16, -1)
        heads = []
        for h in (slice(0, 8), slice(8, 16)):
            scores = q[..., h] @ k[..., h].mT / math.sqrt(8)
            scores = scores.masked_fill(torch.ones(9, 9).triu(1).bool(), -math.inf)
            heads.append(scores.softmax(-1) @ v[..., h])
        x = x + linear(torch.cat(heads, -1), f"blocks.{i}.attention.out")
        up = linear(norm(x, f"blocks.{i}.norm_2"), f"blocks.{i}.up")
        x = x + linear(
            0.5 * up * (1 + torch.tanh(math.sqrt(2 / math.pi) * (up + 0.044715 * up**3))), f"blocks.{i}.down"
        )
    wanted = norm(x, "norm") @ w["tokens.weight"].T
    with torch.no_grad():
        torch.testing.assert_close(model.read(tokens)[0], wanted)


def test_published_sizes_have_published_counts_of_parameters() -> None:
    for preset, vocabulary, wanted in (("gpt2-124m", 50257, 124_439_808),):
        settings, reading = GPT.presets[preset]["settings"], GPT.presets[preset]["reading"]
        spec = Spec(kind="text", shape=(reading["window"],), scale="tokens", levels=vocabulary)
        with torch.device("meta"):
            assert sum(p.numel() for p in GPT(GPT.Config(**settings), spec).parameters()) == wanted


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("attention", EVERY)
def test_the_future_changes_nothing_even_with_extreme_logits(family: str, attention: str) -> None:
    model = made(family=family, attention=attention)
    with torch.no_grad():
        for block in model._blocks():
            block.attention.qkv.weight.mul_(1e4)
        one = text(16, rows=2)
        for t in (1, 7, 15):
            other = one.clone()
            other[:, t:] = (other[:, t:] + 1) % V
            assert torch.equal(model.read(one)[0][:, :t], model.read(other)[0][:, :t])


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("attention", EVERY)
def test_reading_on_equals_reading_at_once_far_past_the_context(family: str, attention: str) -> None:
    model, tokens = made(family=family, attention=attention), text(61)
    wanted = uncached(model, tokens)
    for pieces in ([1] * 61, [61], [5, 1, 1, 30, 1, 23], [16, 1, 7, 37]):
        found, memory = [], None
        with torch.no_grad():
            for some in tokens.split(pieces, 1):
                logits, memory = model.read(some, memory)
                found.append(logits)
        torch.testing.assert_close(torch.cat(found, 1), wanted, atol=1e-9, rtol=1e-9)
        assert memory is not None and memory.lengths.tolist() == [61]


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_two_thousand_tokens_at_context_64(family: str) -> None:
    model, tokens = made(context=64, family=family, layers=1), text(2000)
    with torch.no_grad():
        memory, found = None, []
        for token in tokens.split(1, 1):
            logits, memory = model.read(token, memory)
            found.append(logits)
    torch.testing.assert_close(torch.cat(found, 1), uncached(model, tokens), atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("attention", EVERY)
def test_texts_of_unequal_length_are_read_side_by_side_as_if_alone(family: str, attention: str) -> None:
    model = made(family=family, attention=attention)
    texts = [text(3 + n, seed=n) for n in (0, 9, 4, 21)]
    after = text(25, rows=4, seed=9)
    with torch.no_grad():
        memories = [model.read(one)[1] for one in texts]
        memory = memories[0].join(memories[1:]).pick(torch.tensor([2, 0, 3, 1, 2]))
        together = []
        for some in after[[2, 0, 3, 1, 2]].split([1, 1, 4, 1, 1, 17], 1):
            logits, memory = model.read(some, memory)
            together.append(logits)
        found = torch.cat(together, 1)
        for row, which in enumerate([2, 0, 3, 1, 2]):
            alone = model.read(torch.cat([texts[which], after[[which]]], 1))[0][:, texts[which].shape[1] :]
            torch.testing.assert_close(found[[row]], alone, atol=1e-9, rtol=1e-9)
    assert memory.lengths.tolist() == [32, 28, 49, 37, 32]


def test_a_picked_row_goes_its_own_way() -> None:
    model, tokens = made(), text(5)
    with torch.no_grad():
        _, memory = model.read(tokens)
        twins = memory.pick(torch.tensor([0, 0]))
        twins_logits, _ = model.read(torch.tensor([[1], [2]]), twins)
        for token, found in ((1, twins_logits[0]), (2, twins_logits[1])):
            alone, _ = model.read(torch.cat([tokens, torch.tensor([[token]])], 1))
            torch.testing.assert_close(found[-1], alone[0, -1])
        torch.testing.assert_close(
            model.read(torch.tensor([[3]]), memory)[0][0, 0],
            model.read(torch.cat([tokens, torch.tensor([[3]])], 1))[0][0, -1],
        )


@pytest.mark.parametrize("attention", EVERY)
def test_attention_maps_are_laws_over_what_the_pattern_allows(attention: str) -> None:
    model = made(attention=attention)
    with torch.no_grad():
        found = model.attention(text(12)[0])
    assert found.shape == (2, 2, 12, 12)
    torch.testing.assert_close(found.sum(-1), torch.ones_like(found[..., 0]))
    i, j = torch.arange(12)[:, None], torch.arange(12)[None, :]
    for layer, block in zip(found, model._blocks(), strict=True):
        seen = block.attention.pattern.allowed(i, j).expand(12, 12)
        assert (layer[:, ~seen] == 0).all() and (layer[:, seen] > 0).all()


def test_the_loss_is_the_mean_surprisal_of_the_next_tokens() -> None:
    model, x = made(), text(17, rows=3)
    loss, _ = model.loss(Batch(x), torch.tensor(0.0))
    with torch.no_grad():
        logits = model.read(x[:, :-1])[0]
    torch.testing.assert_close(loss, F.cross_entropy(logits.flatten(0, 1), x[:, 1:].flatten()))


def test_a_fresh_modern_net_knows_nothing() -> None:
    seed_draws(0)
    model = GPT(GPT.Config(), Spec(kind="text", shape=(16,), scale="tokens", levels=V))
    assert model.loss(Batch(text(17)), torch.tensor(0.0))[0].item() == pytest.approx(math.log(V), rel=0.05)


def test_width_and_heads_must_fit() -> None:
    with pytest.raises(InputError, match="--width 20 cannot be shared by 3 heads"):
        made(width=20, heads=3)


def test_a_larger_budget_never_gives_a_smaller_net() -> None:
    spec = Spec(kind="text", shape=(256,), scale="tokens", levels=65)
    sizes = [GPT.sized(spec, 3000, 10.0**e) for e in range(9, 19)]
    weights = [12 * s["layers"] * s["width"] ** 2 for s in sizes]
    assert weights == sorted(weights) and weights[0] < weights[-1]
    for size in sizes:
        assert size["width"] % size["heads"] == 0 and 4 <= size["batch_size"] <= 64
    assert GPT.sized(spec, 10, 1e13)["dropout"] > GPT.sized(spec, 10**6, 1e13)["dropout"] == 0


@pytest.mark.parametrize("attention", ["sliding:40", "block:40", "sliding:40+sliding:5"])
def test_a_reach_beyond_the_window_is_the_window(attention: str) -> None:
    """Distances that no window held were never learnt: the text is read anew, as by dense attention."""
    model = made(family="modern", attention=attention)
    assert not model.endless
    assert max(model.slots) <= model.context
    tokens = text(45)
    torch.testing.assert_close(read_one_by_one(model, tokens), uncached(model, tokens))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_window_of_one_token_reads_each_alone(family: str) -> None:
    model, tokens = made(context=1, family=family), text(6)
    with torch.no_grad():
        alone = torch.cat([model.read(tokens[:, i : i + 1])[0] for i in range(6)], 1)
    torch.testing.assert_close(read_one_by_one(model, tokens), alone)


def read_one_by_one(model: GPT, tokens: Tensor) -> Tensor:
    """Logits after each token, each read on from the memory of those before it."""
    out, memory = [], None
    with torch.no_grad():
        for i in range(tokens.shape[1]):
            logits, memory = model.read(tokens[:, i : i + 1], memory)
            out.append(logits[:, -1])
    return torch.stack(out, 1)
