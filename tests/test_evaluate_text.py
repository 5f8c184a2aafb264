"""evaluate() of models that continue texts: models whose law is known, a small recurrent one, every target once."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from elboroom import surprise
from elboroom.core.errors import InputError
from elboroom.core.model import Model
from elboroom.data.text import TextTransform
from elboroom.data.tokenizers import Byte, Char, Tokenizer
from elboroom.data.windows import Windows
from elboroom.evaluate import Evaluation, evaluate
from elboroom.surprise import overlapping, tokens_read
from text_toys import LETTERS, TEST, TRAIN, WINDOW, Law, Markov, Parrot, Recurrent, dataset, prose


def measured(model: Model, tokenizer: Tokenizer, train: str, test: str, **more: Any) -> Evaluation:
    data = dataset(tokenizer, train, test)
    return evaluate(model, data.transform, model.spec, data, seed=3, **more)


def bigram() -> Tensor:
    ids = LETTERS.encode(TRAIN)
    counts = torch.full((LETTERS.size, LETTERS.size), 0.3)
    pairs = torch.from_numpy(ids[:-1]), torch.from_numpy(ids[1:])
    counts.index_put_(pairs, torch.ones(len(ids) - 1), accumulate=True)
    return (counts / counts.sum(1, keepdim=True)).log()


def test_a_law_of_equal_odds_costs_log_v_whatever_the_protocol() -> None:
    found = measured(Law(LETTERS.size, lambda seen: torch.zeros(LETTERS.size)), LETTERS, "", TEST[:300]).metrics
    for key in ("loss_nats_per_token", "nano_loss_nats_per_token"):
        assert found[key]["value"] == pytest.approx(math.log(LETTERS.size), rel=1e-6)
    assert found["perplexity"]["value"] == pytest.approx(LETTERS.size, rel=1e-5)
    assert found["bits_per_byte"]["value"] == pytest.approx(math.log2(LETTERS.size), rel=1e-6)
    names = [r["name"] for r in found["bits_per_byte"]["references"]]
    assert "uniform" in names and "5-gram" not in names, "without a training part there is nothing to count in"


def test_the_loss_of_a_bigram_is_its_closed_form_over_every_target_once() -> None:
    table, ids = bigram(), torch.from_numpy(LETTERS.encode(TEST))
    exact = -table[ids[:-1], ids[1:]].double()
    found = measured(Markov(table), LETTERS, TRAIN, TEST)
    metrics = found.metrics
    assert metrics["loss_nats_per_token"]["n"] == len(ids) - 1
    assert metrics["loss_nats_per_token"]["value"] == pytest.approx(float(exact.mean()), rel=1e-6)
    assert metrics["bits_per_byte"]["value"] == pytest.approx(float(exact.mean()) / math.log(2), rel=1e-6)
    right = (table[ids[:-1]].argmax(1) == ids[1:]).double().mean()
    assert metrics["token_accuracy"]["value"] == pytest.approx(float(right))
    nano = metrics["nano_loss_nats_per_token"]
    assert nano["n"] == 240 * WINDOW and nano["low"] < float(exact.mean()) < nano["high"]
    assert "20 × 12 random windows" in nano["how"] and "standard error" in nano["how"]
    for entry in found.details["by_context"]:  # what a bigram read earlier brings nothing
        assert entry["low"] - 0.05 < float(exact.mean()) / math.log(2) < entry["high"] + 0.05


@pytest.mark.parametrize("width", [1, 2, 5, 16])
@pytest.mark.parametrize("spans", [[(1, 100)], [(1, 4)], [(3, 9), (40, 41), (60, 100)], [(99, 100)]])
def test_windows_keep_each_target_once_after_half_a_window_or_all_there_is(
    width: int, spans: list[tuple[int, int]]
) -> None:
    kept: list[int] = []
    for window in overlapping(spans, 100, width):
        assert 0 <= window.start <= 99 - width
        for target in range(window.first, window.last):
            context = target - window.start
            assert 1 <= context <= width
            assert context > width // 2 or window.start == 0
            kept.append(target)
    assert kept == [t for low, high in spans for t in range(low, high)]


def test_every_kept_target_of_a_model_was_given_half_a_window() -> None:
    """A model whose loss is the number of tokens it was given tells how many those were."""

    def law(seen: Tensor) -> Tensor:
        cost = torch.tensor(float(len(seen)))  # -log p of token 0, which is all there is
        return torch.stack([-cost, torch.log1p(-(-cost).exp())])

    tokens = "a" * 200
    letters = Char("ab", end=False)
    found = measured(Law(2, law), letters, "", tokens)
    nats = found.per_example["bits_per_byte"] * math.log(2) * found.per_example["cells"]
    assert found.per_example["cells"].sum() == 199
    rest = float(nats.sum()) - sum(range(1, WINDOW + 1))
    assert (WINDOW // 2 + 1) * (199 - WINDOW) <= rest <= WINDOW * (199 - WINDOW)


def test_large_vocabularies_are_read_in_parts_of_a_row_with_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model = Recurrent(LETTERS.size).eval()
    whole = measured(model, LETTERS, "", TEST)
    monkeypatch.setattr(surprise, "LOGITS", {"cpu": 5 * LETTERS.size})
    parts = measured(model, LETTERS, "", TEST)
    assert parts.metrics["loss_nats_per_token"]["value"] == pytest.approx(
        whole.metrics["loss_nats_per_token"]["value"], rel=1e-6
    )


def test_a_part_that_would_take_too_long_is_measured_on_a_piece_of_each_block_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = prose(8000, seed=4)
    table = bigram()
    whole = measured(Markov(table), LETTERS, TRAIN, text).metrics["loss_nats_per_token"]
    monkeypatch.setattr(surprise, "MOST", 4096)
    found = measured(Markov(table), LETTERS, TRAIN, text)
    loss = found.metrics["loss_nats_per_token"]
    assert loss["n"] == pytest.approx(4096, rel=0.05)
    assert f"{loss['n']:,} of {len(text) - 1:,} tokens" in loss["how"] and not found.details["text"]["whole"]
    assert loss["low"] < whole["value"] < loss["high"]
    assert loss["high"] - loss["low"] > whole["high"] - whole["low"]
    assert len(found.per_example["cells"]) == 64


def test_models_of_letters_and_of_bytes_are_measured_on_the_same_blocks() -> None:
    text = TEST.replace("dog", "Dögge")
    letters, byte = Char.of(iter([TRAIN + text]), end=False), Byte(end=False)
    found = [
        measured(Law(t.size, lambda seen, size=t.size: torch.zeros(size)), t, "", text).per_example
        for t in (letters, byte)
    ]
    np.testing.assert_array_equal(found[0]["index"], found[1]["index"])
    assert np.abs(found[0]["cells"] - found[1]["cells"]).max() <= 2
    bits = [(f["bits_per_byte"] * f["cells"]).sum() for f in found]
    assert bits[1] == pytest.approx(8 * (len(text.encode()) - 1), rel=1e-6)
    assert bits[0] == pytest.approx(math.log2(letters.size) * (len(text) - 1), rel=1e-6)


def test_what_needs_no_network_stands_beside_the_model_in_its_own_unit() -> None:
    found = measured(Markov(bigram()), LETTERS, TRAIN, TEST)
    bits = {r["name"]: r["value"] for r in found.metrics["bits_per_byte"]["references"]}
    nats = {r["name"]: r["value"] for r in found.metrics["loss_nats_per_token"]["references"]}
    assert set(bits) == {"uniform", "byte frequencies", "gzip", "xz", "5-gram"}
    assert bits["uniform"] == pytest.approx(math.log2(LETTERS.size))
    assert bits["5-gram"] < bits["byte frequencies"] < bits["uniform"]
    assert nats["5-gram"] == pytest.approx(bits["5-gram"] * math.log(2)), "one byte a token"
    assert {r["name"] for r in found.details["baselines"]} == {*bits, "gzip alone", "xz alone"}
    share = np.mean(LETTERS.encode(TEST)[1:] == np.bincount(LETTERS.encode(TRAIN)).argmax())
    assert found.metrics["token_accuracy"]["references"][0]["value"] == pytest.approx(share)


def test_a_model_that_copies_its_training_text_is_told_so_and_one_that_does_not_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("elboroom.memorisation.TOKENS", 100)
    rng = np.random.default_rng(0)
    train, test = ("".join(rng.choice(list("abcdefgh "), n)) for n in (4000, 6000))
    letters = Char.of(iter([train, test]), end=False)
    copied = measured(Parrot(letters, train), letters, train, test)
    about = copied.details["memorisation"]
    assert about["copied"] and "word for word" in about["warning"]
    assert copied.metrics["memorised_share"]["value"] > 0.5
    assert about["longest"]["span"] in train and about["longest"]["characters"] >= 90
    assert copied.metrics["longest_copy_characters"]["value"] == about["longest"]["characters"]
    fair = measured(Law(letters.size, lambda seen: torch.zeros(letters.size)), letters, train, test)
    assert not fair.details["memorisation"]["copied"] and fair.details["memorisation"]["warning"] == ""
    unseen = fair.metrics["longest_copy_characters"]["references"][0]
    assert unseen["name"] == "unseen text" and unseen["low"] <= unseen["value"] <= unseen["high"]
    assert fair.metrics["memorised_share"]["value"] == 0


def test_texts_that_end_at_once_have_no_share_and_prompts_stay_inside_a_document() -> None:
    names = [w + "a" for w in ("ann", "bob", "eve", "joe", "kim", "tom")] * 40
    letters = Char.of(iter(names), end=True)
    ids = np.concatenate([np.append(letters.encode(name), letters.end) for name in names])
    tokens = torch.from_numpy(ids).to(torch.int16)
    data = dataset(letters, "", "")
    data.parts = {"train": Windows(tokens[:800], WINDOW), "test": Windows(tokens[800:], WINDOW)}
    read: list[Tensor] = []

    def law(seen: Tensor) -> Tensor:
        read.append(seen)
        return torch.where(torch.arange(letters.size) == letters.end, 9.0, 0.0)

    model = Law(letters.size, law)
    found = evaluate(model, data.transform, model.spec, data, seed=3)
    assert "memorised_share" not in found.metrics and not found.details["memorisation"]["copied"]
    assert found.metrics["longest_copy_characters"]["value"] == 0
    assert all("aa" not in letters.decode(seen) for seen in read[-16:]), "no prompt runs from one name into the next"
    bits = found.metrics["bits_per_byte"]
    assert bits["n"] == sum(len(name) for name in names[160:]) - 1 and bits["value"] > 0


def test_the_kept_sample_carries_the_bits_of_each_piece() -> None:
    found = measured(Markov(bigram()), LETTERS, TRAIN, TEST).details["sample"]
    text = "".join(piece for piece, _ in found["pieces"])
    ids = LETTERS.encode(found["prompt"] + text)
    table = bigram()
    start = len(LETTERS.encode(found["prompt"]))
    exact = [-float(table[ids[i - 1], ids[i]]) / math.log(2) for i in range(start, len(ids))]
    np.testing.assert_allclose([bits for _, bits in found["pieces"]], exact, atol=2e-3)


def test_the_same_seed_gives_the_same_numbers_and_leaves_model_and_chance_as_they_were() -> None:
    torch.manual_seed(5)
    model = Recurrent(LETTERS.size).train()
    before = torch.get_rng_state()
    one, two = measured(model, LETTERS, TRAIN, TEST), measured(model, LETTERS, TRAIN, TEST)
    assert one.metrics == two.metrics and one.details == two.details
    assert model.training and torch.equal(before, torch.get_rng_state())


def test_without_baselines_nothing_of_the_training_part_is_looked_at() -> None:
    found = measured(Markov(bigram()), LETTERS, TRAIN, TEST, baselines=False)
    assert "memorised_share" not in found.metrics
    assert [r["name"] for r in found.details["baselines"]] == ["uniform", "gzip alone", "xz alone"]


@pytest.mark.parametrize("length", [2, 3, WINDOW, WINDOW + 1, WINDOW + 2, 40])
def test_parts_shorter_than_a_window_or_little_longer_are_measured_whole(length: int) -> None:
    data = dataset(LETTERS, TRAIN, TEST[:length], window=1)
    model = Markov(bigram())
    found = evaluate(model, data.transform, model.spec, data, seed=3).metrics
    assert found["loss_nats_per_token"]["n"] == length - 1
    assert ("nano_loss_nats_per_token" in found) == (length > WINDOW + 1)


def test_data_that_are_no_text_are_refused_in_words() -> None:
    data = SimpleNamespace(name="digits", parts={"test": [1, 2]})
    model = Markov(bigram())
    with pytest.raises(InputError, match="digits holds no text"):
        evaluate(model, TextTransform(LETTERS), model.spec, data)  # type: ignore[arg-type]


def test_the_cost_is_known_before() -> None:
    model = Law(LETTERS.size, lambda seen: torch.zeros(LETTERS.size))
    measured(model, LETTERS, "", TEST)
    read = sum(rows * columns for rows, columns in model.calls)
    assert read <= tokens_read(1, len(TEST), WINDOW) <= 1.2 * read
    assert tokens_read(10**9, 10**6, 1024) < tokens_read(10**6, 10**6, 1024)
