"""The classifier: exact on padded batches whatever the cell, honest about the future, able to learn what needs it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from elboroom.core.batch import Batch
from elboroom.core.errors import InputError
from elboroom.core.spec import Column, Spec
from elboroom.models.classifier import Classifier

CELLS = ("rnn", "lstm", "peephole", "gru", "transformer")
SPEC = Spec(
    kind="sequences", shape=(7, 2), scale="standard", columns=(Column(name="a"), Column(name="b")), classes=tuple("xyz")
)


def made(spec: Spec = SPEC, **settings: Any) -> Classifier:
    torch.manual_seed(0)
    model = Classifier(Classifier.Config(**{"hidden": 8, "dropout": 0.0, **settings}), spec).double().eval()
    for p in model.parameters():  # a fresh head is 0, and so are a transformer's output matrices
        torch.nn.init.normal_(p, std=0.5)
    return model


def batch(lengths: list[int], label: Any = None) -> Batch:
    torch.manual_seed(1)
    n = torch.tensor(lengths)
    x = torch.randn(len(lengths), 7, 2, dtype=torch.float64)
    inside = (torch.arange(7) < n[:, None])[..., None]
    label = torch.tensor([i % 3 for i in range(len(lengths))]) if label is None else label
    return Batch(torch.where(inside, x, 0), label, inside.expand_as(x), n)


def alone(given: Batch, i: int) -> Batch:
    """One sequence without its padding."""
    assert given.lengths is not None and given.observed is not None
    n = int(given.lengths[i])
    return Batch(given.x[i : i + 1, :n], None, given.observed[i : i + 1, :n])


@pytest.mark.parametrize("pooling", ["mean", "last", "attention"])
@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("cell", CELLS)
def test_a_padded_sequence_is_named_as_it_is_alone(cell: Any, bidirectional: bool, pooling: Any) -> None:
    model, given = made(cell=cell, bidirectional=bidirectional, pooling=pooling, layers=2), batch([7, 3, 1, 5])
    logits = model.classify(given)
    assert logits.shape == (4, 3)
    for i in range(4):
        torch.testing.assert_close(logits[i], model.classify(alone(given, i))[0])


def test_pooling_last_takes_the_end_of_each_direction() -> None:
    model, given = made(cell="gru", pooling="last"), batch([7, 3])
    h, inside = model.states(given)
    expected = torch.stack([torch.cat([h[0, 6, :8], h[0, 0, 8:]]), torch.cat([h[1, 2, :8], h[1, 0, 8:]])])
    torch.testing.assert_close(model.pooled(h, inside), expected)
    one_way = made(cell="gru", pooling="last", bidirectional=False)
    h, inside = one_way.states(given)
    torch.testing.assert_close(one_way.pooled(h, inside), torch.stack([h[0, 6], h[1, 2]]))


def test_pooling_by_attention_is_a_softmax_over_the_steps_inside() -> None:
    model, given = made(pooling="attention"), batch([7, 3])
    h, inside = model.states(given)
    assert model.score is not None
    score = (h[1, :3] @ model.score.weight[0]).detach().numpy()
    weight = np.exp(score) / np.exp(score).sum()
    np.testing.assert_allclose(model.pooled(h, inside)[1].detach(), weight @ h[1, :3].detach().numpy(), rtol=1e-10)


PER_STEP = dataclasses.replace(SPEC, per_step=True)


@pytest.mark.parametrize("cell", CELLS)
def test_only_both_directions_know_the_future(cell: Any) -> None:
    given = batch([7])
    changed = dataclasses.replace(given, x=given.x.clone())
    changed.x[0, 5] += 1
    for both in (True, False):
        model = made(PER_STEP, cell=cell, bidirectional=both, target="step")
        before, after = model.classify(given), model.classify(changed)
        assert before.shape == (1, 7, 3)
        moved = (before - after).abs()[0].amax(-1)
        assert (moved[5:] > 0).all()
        assert (moved[:5] > 1e-9).all() if both else moved[:5].max() == 0


def test_the_loss_is_the_cross_entropy_of_torch() -> None:
    model, given = made(), batch([7, 3, 1, 5])
    loss, logs = model.loss(given, torch.zeros(()))
    logits = model.classify(given)
    assert given.label is not None
    torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(logits, given.label))
    torch.testing.assert_close(logs["accuracy"], (logits.argmax(1) == given.label).double().mean().float())


def test_steps_without_a_label_count_for_nothing() -> None:
    label = torch.full((2, 7), -1)
    label[0, :5] = torch.tensor([0, 1, 2, -1, 1])
    label[1, :2] = torch.tensor([2, 0])
    model, given = made(PER_STEP, target="step"), batch([5, 2], label)
    loss, _ = model.loss(given, torch.zeros(()))
    expected = torch.nn.functional.cross_entropy(model.classify(given).flatten(0, 1), label.flatten(), ignore_index=-1)
    torch.testing.assert_close(loss, expected)
    nothing, _ = model.loss(dataclasses.replace(given, label=torch.full((2, 7), -1)), torch.zeros(()))
    assert nothing == 0


def test_a_model_of_gappy_data_sees_which_cells_are_missing() -> None:
    model = made(dataclasses.replace(SPEC, masked=True))
    given = batch([7])
    assert given.observed is not None
    observed = given.observed.clone()
    given.x[0, 2, 1] = 0.0
    observed[0, 2, 1] = False
    gap = model.classify(dataclasses.replace(given, observed=observed))
    assert (gap - model.classify(given)).abs().max() > 1e-6


def test_what_the_data_label_and_what_is_asked_must_agree() -> None:
    with pytest.raises(InputError, match="--target step: in these data each sequence has one label"):
        made(target="step")
    with pytest.raises(InputError, match="give --target step"):
        made(PER_STEP)


def trained(model: Classifier, given: Batch, steps: int) -> float:
    """The share right after some steps of the model's own rule."""
    (phase,) = model.train().phases()
    params: list[Tensor] = list(phase.params)
    slots, ok = phase.optimizer.init(params), torch.tensor(True)
    for i in range(steps):
        t = torch.tensor(i / steps)
        loss, logs = phase.loss(given, t)
        with torch.no_grad():
            phase.optimizer.update_(params, list(torch.autograd.grad(loss, params)), slots, t, ok)
    return float(logs["accuracy"])


def test_a_label_that_lies_in_the_future_needs_both_directions() -> None:
    """Each step's label is the sign of the next value: from the past alone it is a guess."""
    x = torch.randn(64, 9, 1, generator=torch.Generator().manual_seed(0))
    label = (x[:, 1:, 0] > 0).long()
    given = Batch(x, torch.cat([label, torch.full((64, 1), -1)], 1))
    spec = Spec(kind="sequences", shape=(9, 1), scale="none", columns=(Column(name="a"),), classes=("0", "1"),
                per_step=True)  # fmt: skip
    found = {}
    for both in (True, False):
        torch.manual_seed(0)
        config = Classifier.Config(
            cell="gru", hidden=8, target="step", bidirectional=both, dropout=0.0, noise=0.0, lr=0.03
        )
        found[both] = trained(Classifier(config, spec), given, 60)
    assert found[True] > 0.95 and found[False] < 0.75


def test_noise_is_added_in_training_alone_and_only_to_what_is_there() -> None:
    model = Classifier(Classifier.Config(hidden=8, noise=0.5), SPEC).double()
    x = torch.zeros(400, 7, 2, dtype=torch.float64)
    given = Batch(x, None, torch.arange(7)[:, None].expand(400, 7, 2) < 5)
    assert model.eval().disturbed(given) is given.x
    torch.manual_seed(0)
    disturbed = model.train().disturbed(given)
    assert not disturbed[:, 5:].any()
    assert float(disturbed[:, :5].std()) == pytest.approx(0.5, rel=0.05)
    assert float(disturbed[:, :5].mean()) == pytest.approx(0, abs=0.03)
    assert Classifier(Classifier.Config(hidden=8, noise=0.0), SPEC).train().disturbed(given) is given.x
