"""Windows of a text: each token is a target once, each epoch cuts elsewhere, and a resumed run meets the same ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from elboroom.data import Reading, Stream, in_order, read, storage
from elboroom.data.windows import Windows


def text(n=103, dtype=np.uint8):
    return Windows(np.arange(n).astype(dtype), 10)


def rows(windows):
    return windows.take(torch.arange(len(windows)))["x"]


def test_every_token_but_the_first_is_a_target_once_as_far_as_whole_windows_reach():
    windows = text()
    x = rows(windows)
    assert len(windows) == 10
    assert x.shape == (10, 11)
    assert x[:, 1:].flatten().tolist() == list(range(1, 101))
    assert torch.equal(x[:, :-1].flatten(), torch.arange(100))


@pytest.mark.parametrize("n", [11, 12, 20, 21, 22])
def test_the_number_of_windows_is_that_of_the_targets_over_the_window(n):
    assert len(text(n)) == (n - 1) // 10
    assert rows(text(n))[-1, -1] == (n - 1) // 10 * 10


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32])
def test_a_batch_comes_in_the_smallest_type_in_the_order_asked_for(dtype):
    windows = text(dtype=dtype)
    x = windows.take(torch.tensor([7, 0, 7]))["x"]
    assert x.dtype == windows.tokens.dtype == torch.from_numpy(np.zeros(0, dtype)).dtype
    assert x[:, 0].tolist() == [70, 0, 70]


@pytest.mark.parametrize("seed", range(12))
def test_an_epoch_shifts_every_window_and_the_last_one_ends_with_the_text(seed):
    windows = text()
    shifted = rows(windows.epoch(seed))
    first = torch.minimum(torch.arange(10) * 10 + seed % 10, torch.tensor(103 - 11))
    assert torch.equal(shifted, (first[:, None] + torch.arange(11)).to(torch.uint8))
    assert torch.equal(rows(windows)[:, 0], torch.arange(0, 100, 10).to(torch.uint8)), "the rows themselves stay"


def test_windows_differ_between_epochs_and_are_a_function_of_seed_and_epoch():
    windows = text(2001, np.int16)

    def starts(epoch, seed=3):
        stream = Stream(windows, 20, seed=seed)
        steps = range(epoch * stream.steps_per_epoch, (epoch + 1) * stream.steps_per_epoch)
        return sorted(torch.cat([stream.rows(step)["x"][:, 0] for step in steps]).tolist())

    shifts = {starts(epoch)[0] % 10 for epoch in range(12)}
    assert len(shifts) > 3
    assert starts(5) == starts(5)
    assert starts(5) != starts(5, seed=4)


def test_a_stream_taken_up_in_the_middle_gives_the_same_batches():
    windows = text(2001, np.int16)
    whole, resumed = Stream(windows, 16, seed=9), Stream(windows, 16, seed=9)
    steps = range(3 * whole.steps_per_epoch)
    every = [whole.rows(step)["x"] for step in steps]
    for step in reversed(steps):
        assert torch.equal(resumed.rows(step)["x"], every[step])


def test_several_processes_share_the_batch_of_one():
    windows = text(2001, np.int16)
    alone = Stream(windows, 16, seed=9)
    parts = [Stream(windows, 16, seed=9, rank=rank, world=2) for rank in (0, 1)]
    for step in (0, 5, 3 * alone.steps_per_epoch):
        assert torch.equal(alone.rows(step)["x"], torch.cat([part.rows(step)["x"] for part in parts]))


def test_evaluation_sees_the_text_from_its_start_whatever_training_does():
    windows = text()
    Stream(windows, 4, seed=1).rows(30)
    assert torch.equal(torch.cat([raw["x"] for raw in in_order(windows, 3)]), rows(text()))


def test_places_of_the_windows_are_those_in_the_whole_text_and_no_two_parts_share_any():
    data = read(["all the ships are at sea and the lamp is lit " * 40], Reading(window=16))
    places = [part.index for part in data.parts.values()]
    assert len(np.unique(np.concatenate(places))) == sum(map(len, places))
    assert places[0][:3].tolist() == [0, 16, 32]
    assert data.parts["valid"].index[0] == len(data.parts["train"].tokens)


def test_a_text_too_large_for_memory_gives_the_batches_of_a_resident_one(monkeypatch):
    words = np.random.default_rng(0).choice(["sea", "ship", "lamp", "\u00e9t\u00e9", "night"], 5000)
    documents = [" ".join(words[i : i + 250]) for i in range(0, 5000, 250)]
    for tokenizer in ("char", "byte", "bpe:300"):
        known = read(documents, Reading(tokenizer=tokenizer, window=32))
        with monkeypatch.context() as small:
            small.setattr(storage, "RESIDENT_BYTES", 1000)
            data = read(documents, Reading(tokenizer=tokenizer, window=32))
        train = data.parts["train"]
        assert not train.resident
        assert known.parts["train"].resident
        assert isinstance(train._array, np.memmap)
        assert data.fingerprint == known.fingerprint
        assert torch.equal(train.tokens, known.parts["train"].tokens)
        assert torch.equal(rows(train.to("cpu")), rows(known.parts["train"]))
        assert torch.equal(rows(train.epoch(7)), rows(known.parts["train"].epoch(7)))


def test_pages_of_a_mapped_text_are_given_back_and_read_again(monkeypatch):
    monkeypatch.setattr(storage, "RESIDENT_BYTES", 1000)
    monkeypatch.setattr("elboroom.data.windows.RELEASE_BYTES", 1)
    tokens = storage.joined((np.arange(i, i + 100) for i in range(0, 20_000, 100)), np.int16, "a test")
    windows = Windows(tokens, 50)
    for _ in range(3):
        assert rows(windows)[:, 0].tolist() == list(range(0, 19_950, 50))
