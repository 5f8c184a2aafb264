"""The kernel for one more token does what the blocks do, whatever the family, pattern, dtype and place of the texts."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from elboroom.core.spec import Spec
from elboroom.models.gpt import GPT
from elboroom.nn import decode, native
from elboroom.nn.linear import Linear, linear
from elboroom.nn.transformer import Where

CONTEXT, LEVELS = 24, 50

pytestmark = pytest.mark.skipif(native.library("decode") is None, reason=native.why("decode"))


def made(family: str, attention: str = "dense", dtype: torch.dtype = torch.float32) -> GPT:
    """A small net whose every matrix and vector has something to say."""
    torch.manual_seed(3)
    settings = GPT.Config(family=family, attention=attention, layers=2, heads=3, width=30)  # type: ignore[arg-type]
    model = GPT(settings, Spec(kind="text", shape=(CONTEXT,), levels=LEVELS, scale="tokens"))
    for p in model.parameters():
        nn.init.normal_(p, std=0.3)
    return model.to(dtype).eval()


def answers(model: GPT, prompts: list[int], tokens: int) -> Tensor:
    """(rows, tokens, V): what the model says after each further token; the prompts have the given lengths."""
    chance = torch.Generator().manual_seed(1)
    with torch.inference_mode():
        memories = [model.read(torch.randint(LEVELS, (1, n), generator=chance))[1] for n in prompts]
        memory = memories[0].join(memories[1:]) if len(memories) > 1 else memories[0]
        more = torch.randint(LEVELS, (len(prompts), tokens), generator=chance)
        found = []
        for i in range(tokens):
            logits, memory = model.read(more[:, i : i + 1], memory)
            found.append(logits[:, 0])
    return torch.stack(found, 1)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the kernels that ran."""
    seen: list[str] = []
    call = native.Library.call

    def noted(self: native.Library, name: str, *rest: object) -> None:
        seen.append(name)
        call(self, name, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(native.Library, "call", noted)
    return seen


@pytest.mark.parametrize("family", ["gpt2", "modern"])
@pytest.mark.parametrize("attention", ["dense", "sliding:5+strided:4", "block:6+fixed:6:2"])
@pytest.mark.parametrize("prompts", [[3], [4, 4], [1, 7, 5]], ids=["alone", "even", "uneven"])
def test_it_says_what_the_blocks_say_past_the_end_of_the_context_too(
    family: str, attention: str, prompts: list[int], calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = made(family, attention)
    found = answers(model, prompts, 2 * CONTEXT)
    assert calls.count("decode_step") > CONTEXT
    calls.clear()
    monkeypatch.setenv("ELBOROOM_NATIVE", "off")
    expected = answers(model, prompts, 2 * CONTEXT)
    assert not calls
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-5 * float(expected.abs().max()))


@pytest.mark.parametrize("family", ["gpt2", "modern"])
def test_bfloat16_is_nearer_to_float32_than_the_blocks_in_bfloat16_are(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = made(family, dtype=torch.bfloat16)
    found = answers(model, [3, 6], 12)
    monkeypatch.setenv("ELBOROOM_NATIVE", "off")
    rounded, exact = answers(model, [3, 6], 12), answers(model.float(), [3, 6], 12)
    assert (found - exact).square().mean() <= (rounded - exact).square().mean()


def test_a_text_has_the_same_bits_whatever_stands_beside_it_and_however_many_threads_there_are() -> None:
    model = made("modern")
    beside = answers(model, [3, 7, 5], 10)[0]
    threads = torch.get_num_threads()
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            assert torch.equal(answers(model, [3, 7, 5], 10)[0], beside)
    finally:
        torch.set_num_threads(threads)
    x = torch.randn(1, 1, 30, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        _, memory = model.read(torch.zeros(1, 6, dtype=torch.int64))
        three = memory.pick(torch.tensor([0, 0, 0]))
        among = decode.step(model.blocks, x.repeat(3, 1, 1), Where(1, x.device, [6] * 3), three.layers)
        alone = decode.step(model.blocks, x, Where(1, x.device, [6]), memory.layers)
    assert alone is not None
    assert among is not None
    assert torch.equal(among, alone.repeat(3, 1, 1))


def test_new_weights_are_read_whether_changed_in_place_or_put_in_anothers_place(calls: list[str]) -> None:
    model = made("gpt2")
    before = answers(model, [4], 3)
    with torch.no_grad():
        model.blocks[0].up.weight.mul_(1.5)  # type: ignore[union-attr, operator]
    changed = answers(model, [4], 3)
    assert not torch.equal(before, changed)
    model.blocks[0].up.weight = nn.Parameter(model.blocks[0].up.weight.detach() / 1.5)  # type: ignore[union-attr, operator]
    torch.testing.assert_close(answers(model, [4], 3), before)
    assert "decode_step" in calls


def test_training_gradients_many_rows_and_other_dtypes_go_by_the_blocks(calls: list[str]) -> None:
    model = made("modern")
    token = torch.zeros(1, 1, dtype=torch.int64)
    _, memory = model.read(token)
    model.read(token, memory)[0].sum().backward()
    answers(model, [2] * (decode.ROWS + 1), 2)
    answers(model.double(), [2], 2)
    model.float().train()
    answers(model, [2], 2)
    assert "decode_step" not in calls


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(515,), (1, 515), (2, 3, 515), (decode.ROWS, 1, 515)])
@pytest.mark.parametrize("bias", [True, False])
def test_few_rows_are_multiplied_alike(
    shape: tuple[int, ...], bias: bool, dtype: torch.dtype, calls: list[str]
) -> None:
    torch.manual_seed(0)
    layer, x = Linear(515, 257, bias=bias).to(dtype), torch.randn(shape).to(dtype)
    expected = nn.functional.linear(x.double(), layer.weight.double(), layer.bias.double() if bias else None)
    with torch.inference_mode():
        found = layer(x)
    assert calls == ["few_rows"]
    assert found.shape == expected.shape
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-5 if dtype == torch.float32 else 2e-2)


def test_many_rows_small_matrices_other_dtypes_and_training_go_by_torch(calls: list[str]) -> None:
    large, x = Linear(512, 256), torch.randn(2, 512)
    with torch.inference_mode():
        large(torch.randn(decode.ROWS + 1, 512))
        Linear(100, 100)(torch.randn(1, 100))
        linear(x.double(), large.weight.double())
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert large(x).dtype == torch.bfloat16
    large(x).sum().backward()
    assert large.weight.grad is not None
    assert not calls
