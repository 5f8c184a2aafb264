from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from elboroom.data.reading import Reading
from elboroom.data.source import Dataset, read
from elboroom.extractors.cache import place
from elboroom.extractors.choosing import choose
from elboroom.extractors.extractor import features_of
from elboroom.extractors.inputs import examples
from elboroom.extractors.labels import RECIPE, Labelled, learn_labels
from elboroom.extractors.selfsup import covered, exchanged, moved, pair_loss
from elboroom.metrics.images import frechet_distance


def empty(cache):
    for path in cache.glob("*"):
        path.unlink()


def test_digits_are_told_apart_on_held_out_rows(digits):
    made = learn_labels(digits, 0)
    rows = digits.parts["test"]
    hits = made.classify(torch.cat(list(examples(digits, "test")))) == rows.label
    assert made.accuracy.value == float(hits.double().mean()) >= 0.95
    assert made.accuracy.low < made.accuracy.value < made.accuracy.high
    assert made.classes == tuple("0123456789") and "180 test rows" in made.how


def test_a_table_with_three_classes_apart_is_told_apart(table):
    made = learn_labels(table, 0)
    assert made.accuracy.value >= 0.9 and made.classes == ("x", "y", "z")


def test_labels_drawn_by_chance_are_not_learned(tmp_path, few):
    """The accuracy is that of held-out rows: where labels mean nothing it is that of guessing."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 4, 800)
    rows = ["a,b,kind", *(f"{a},{b},k{k}" for a, b, k in zip(*rng.normal(size=(2, 800)), label, strict=True))]
    (tmp_path / "table.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    made = learn_labels(read(tmp_path / "table.csv", Reading(label="kind", split=(0.5, 0, 0.5))), 0)
    assert made.accuracy.low < 0.25 < made.accuracy.high


def test_without_held_out_rows_there_is_no_accuracy(digits, few):
    only = dataclasses.replace(digits, parts={"train": digits.parts["train"]})
    made = learn_labels(only, 0)
    assert made.accuracy is None and "no rows are held out" in made.how


@pytest.mark.parametrize("name", ["classifier", "selfsup"])
def test_equal_data_and_seed_train_to_equal_weights(name, digits, cache, few):
    first = choose(name, digits, 3)
    empty(cache)
    assert choose(name, digits, 3).hash == first.hash
    assert choose(name, digits, 4).hash != first.hash


def test_the_number_of_threads_changes_no_weight(digits, cache, few):
    before = torch.get_num_threads()
    try:
        hashes = set()
        for threads in (1, 2):
            torch.set_num_threads(threads)
            hashes.add(choose("classifier", digits, 0).hash)
            assert torch.get_num_threads() == threads
            empty(cache)
    finally:
        torch.set_num_threads(before)
    assert len(hashes) == 1


@pytest.mark.parametrize("name", ["classifier", "selfsup"])
def test_the_generator_of_the_process_is_as_it_was(name, digits, few):
    before = torch.default_generator.get_state()
    choose(name, digits, 0)
    assert torch.equal(torch.default_generator.get_state(), before)


def count_trainings(monkeypatch) -> list[int]:
    from elboroom.extractors import labels

    done: list[int] = []
    learn = labels.learn
    monkeypatch.setattr(labels, "learn", lambda *a, **k: (done.append(1), learn(*a, **k)))
    return done


def test_a_second_one_comes_from_the_cache(digits, cache, few, monkeypatch):
    done = count_trainings(monkeypatch)
    x = torch.cat(list(examples(digits, "test")))
    one, two = learn_labels(digits, 0), learn_labels(digits, 0)
    assert len(done) == 1 and len(list(cache.glob("*.safetensors"))) == 1
    assert one.hash == two.hash and one.accuracy == two.accuracy and torch.equal(one.features(x), two.features(x))


def test_another_training_part_is_trained_on_anew(digits, cache, few, monkeypatch):
    """The data are the same and so is their fingerprint; which rows are held out is not."""
    done = count_trainings(monkeypatch)
    learn_labels(digits, 0)
    other = read("digits", seed=1)
    assert other.fingerprint == digits.fingerprint
    learn_labels(other, 0)
    assert len(done) == 2


@pytest.mark.parametrize("harm", ["cut", "flip", "empty", "foreign"])
def test_a_damaged_cache_file_is_trained_anew(harm, digits, cache, few, monkeypatch):
    first = learn_labels(digits, 0)
    path = place("classifier", RECIPE, digits, 0)
    content = bytearray(path.read_bytes())
    if harm == "flip":
        content[-1] ^= 1
    path.write_bytes({"cut": content[:-5], "flip": content, "empty": b"", "foreign": b"PK" * 500}[harm])
    done = count_trainings(monkeypatch)
    again = learn_labels(digits, 0)
    assert done and again.hash == first.hash
    learn_labels(digits, 0)
    assert len(done) == 1, "the file was not made whole again"


def test_a_cache_that_cannot_be_written_costs_time_only(digits, tmp_path, few, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert learn_labels(digits, 0).accuracy is not None


def test_a_label_of_channels_is_digits_in_mixed_radix(digits):
    network = Labelled(_stacked(digits))
    label = torch.tensor([0, 7, 83, 409, 999])
    want = torch.tensor([[0, 0, 0], [0, 0, 7], [0, 8, 3], [4, 0, 9], [9, 9, 9]])
    assert torch.equal(network.apart(label), want) and torch.equal(network.joined(want), label)


def _stacked(digits: Dataset, n: int = 900) -> Dataset:
    """Three digits an image, one a channel, as stacked sets are made."""
    from elboroom.data.rows import Resident

    rng = np.random.default_rng(0)
    parts = {}
    for name, rows in digits.parts.items():
        picked = torch.from_numpy(rng.integers(0, len(rows), (n, 3)))
        x = rows.x(picked.flatten()).reshape(n, 3, 8, 8)
        factors = rows.label[picked]
        parts[name] = Resident(x, np.arange(n), factors @ torch.tensor([100, 10, 1]), beside={"factors": factors})
    spec = dataclasses.replace(digits.spec, shape=(3, 8, 8), classes=tuple(f"{i:03d}" for i in range(1000)))
    factors = tuple((f"channel {c}", 10) for c in range(3))
    return dataclasses.replace(digits, spec=spec, parts=parts, factors=factors, channelwise=True)


def test_a_stack_is_read_channel_by_channel(digits, monkeypatch):
    """1,000 classes from 900 rows: far too few for a network of the whole, enough for one of a channel."""
    monkeypatch.setattr("elboroom.extractors.labels.seen", lambda dataset: 10_000)
    stacked = _stacked(digits)
    made = learn_labels(stacked, 0)
    assert made.accuracy.value >= 0.85 and made.width == 3 * 96
    x = torch.cat(list(examples(stacked, "test", most=20)))
    turned = made.features(x.flip(1)).reshape(-1, 3, 96)
    torch.testing.assert_close(turned.flip(1).flatten(1), made.features(x), atol=1e-4, rtol=1e-4)


def test_the_loss_of_pairs_equals_its_definition():
    a, b = torch.randn(2, 5, 7, generator=torch.Generator().manual_seed(0)).double()
    views = torch.cat([a, b])
    unit = views / views.norm(dim=1, keepdim=True)
    want = []
    for i in range(10):
        e = [float(torch.exp(unit[i] @ unit[j] / 0.2)) for j in range(10)]
        want.append(-np.log(e[(i + 5) % 10] / (sum(e) - e[i])))
    assert float(pair_loss(a, b, 0.2)) == pytest.approx(np.mean(want), rel=1e-9)


def test_views_keep_what_they_must():
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(40, 3, 8, 10, generator=generator)
    torch.testing.assert_close(moved(torch.full((4, 1, 8, 8), 0.3)), torch.full((4, 1, 8, 8), 0.3))
    view = covered(x)
    same = (view == x).all(1).double().mean((1, 2))
    assert ((same > 0.7) & (same < 0.95)).all(), "a square of 0.4 x 0.4 of the image is covered"
    rows = torch.rand(500, 6, generator=generator)
    other = exchanged(rows)
    assert torch.isin(other, rows).all() and 0.6 < float((other == rows).double().mean()) < 0.8
    for column, source in zip(other.T, rows.T, strict=True):
        assert torch.isin(column, source).all()


def test_features_without_labels_know_the_classes_and_what_samples_lack(digits):
    """A line through them tells the digits apart; lost classes, blur and noise lie further from real than real does."""
    from sklearn.linear_model import RidgeClassifier

    made = choose("selfsup", digits, 0)
    train, test = (features_of(made, examples(digits, part)) for part in ("train", "test"))
    label = digits.parts["train"].label
    assert RidgeClassifier().fit(train.numpy(), label.numpy()).score(test.numpy(), digits.parts["test"].label) >= 0.9
    x = torch.cat(list(examples(digits, "train")))
    half = torch.arange(len(x)) % 2 == 0
    other = x[~half]
    worse = {
        "noise": (other + 0.25 * torch.randn(x[~half].shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1),
        "blur": torch.nn.functional.avg_pool2d(other, 3, 1, padding=1),
        "two classes lost": other[(label[~half] != 3) & (label[~half] != 7)],
    }
    real = frechet_distance(train[half], made.features(other))
    for name, samples in worse.items():
        assert frechet_distance(train[half], made.features(samples)) > 2 * real, name


@pytest.mark.slow
def test_mnist_is_told_apart_as_the_network_of_the_literature_does(real_data):
    """99.2 % is the accuracy of the network that counts modes in Lin et al. 2018 (PacGAN)."""
    assert learn_labels(read("mnist"), 0).accuracy.value >= 0.985
