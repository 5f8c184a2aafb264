"""Augmented images: what each change does, for each image its own, with a gradient, and only in training."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from elboroom.core.errors import InputError
from elboroom.core.spec import Column, Spec
from elboroom.nn.augment import DiffAugment, Flip, augmentation, coloured, cut_out, translated

IMAGES = Spec(kind="images", shape=(3, 16, 24), scale="symmetric", low=-1, high=1)
TABLE = Spec(kind="table", shape=(2,), scale="standard", columns=(Column(name="a"), Column(name="b")))


def drawn(n: int = 400, channels: int = 3) -> Tensor:
    torch.manual_seed(0)
    return torch.rand(n, channels, 16, 24, dtype=torch.float64) * 2 - 1


def test_half_of_the_images_are_mirrored_and_the_others_left() -> None:
    x = drawn()
    out = Flip()(x)
    mirrored = (out == x.flip(3)).flatten(1).all(1)
    same = (out == x).flatten(1).all(1)
    assert bool((mirrored ^ same).all())
    assert 160 < int(mirrored.sum()) < 240


def test_images_are_moved_by_whole_pixels_up_to_an_eighth_and_zeros_come_in() -> None:
    x = drawn(200) + 3  # no pixel is 0
    out = translated(x)
    seen = set()
    for before, after in zip(x, out, strict=True):
        rows, columns = after[0].abs().sum(1) > 0, after[0].abs().sum(0) > 0
        down = int(rows.int().argmax()) - int(rows.flip(0).int().argmax())
        right = int(columns.int().argmax()) - int(columns.flip(0).int().argmax())
        rolled = before.roll((down, right), (1, 2))
        kept = (rows[:, None] & columns[None, :]).expand_as(rolled)
        assert torch.equal(after, torch.where(kept, rolled, 0.0))
        assert int(rows.sum()) == 16 - abs(down) and int(columns.sum()) == 24 - abs(right)
        seen.add((down, right))
    assert {d for d, _ in seen} == set(range(-2, 3)) and {r for _, r in seen} == set(range(-3, 4))


def test_a_hole_of_at_most_half_the_sides_is_cut_and_the_rest_is_left() -> None:
    x = drawn() + 3
    out = cut_out(x)
    gone = out == 0
    assert torch.equal(out[~gone], x[~gone])
    assert torch.equal(gone, gone[:, :1].expand_as(gone)), "all channels of an image lose the same pixels"
    tall, wide = gone[:, 0].any(2).sum(1), gone[:, 0].any(1).sum(1)
    assert int(tall.max()) == 8 and int(wide.max()) == 12
    assert torch.equal(gone[:, 0].sum((1, 2)), tall * wide)
    centre = gone[:, 0, 8, 12].double().mean()
    assert float(centre) == pytest.approx(8 / 17 * 12 / 25, abs=0.08)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_colours_change_by_a_straight_line_of_the_pixels_within_the_papers_ranges(channels: int) -> None:
    x = drawn(300, channels)
    out = coloured(x)
    grey, grey_out = x.mean(1), out.mean(1)
    moved = (out.mean((1, 2, 3)) - x.mean((1, 2, 3))).abs()
    assert float(moved.max()) <= 0.5 and float(moved.max()) > 0.45
    contrast = grey_out.flatten(1).std(1) / grey.flatten(1).std(1)
    assert 0.5 <= float(contrast.min()) < 0.55 and 1.45 < float(contrast.max()) <= 1.5
    if channels > 1:
        ratio = (out - grey_out[:, None]).flatten(1).std(1) / (x - grey[:, None]).flatten(1).std(1) / contrast
        assert 0 <= float(ratio.min()) < 0.1 and 1.9 < float(ratio.max()) <= 2.0 + 1e-9


def test_the_gradient_goes_through_and_equals_finite_differences() -> None:
    x = drawn(1, 2)[:, :, :4, :4].clone().requires_grad_()

    def changed(x: Tensor) -> Tensor:
        torch.manual_seed(5)
        out: Tensor = augmentation("diff", IMAGES)(x)
        return out

    assert torch.autograd.gradcheck(changed, x)


def test_nothing_is_changed_outside_of_training() -> None:
    x = drawn(8)
    for network in (Flip(), DiffAugment(), augmentation("diff", IMAGES), augmentation("none", IMAGES)):
        assert torch.equal(network.eval()(x), x)
    assert torch.equal(augmentation("none", TABLE)(torch.ones(2, 2)), torch.ones(2, 2))


def test_the_changes_of_an_image_do_not_depend_on_what_it_shows() -> None:
    one, other = drawn(50), torch.zeros(50, 3, 16, 24, dtype=torch.float64) + 1
    torch.manual_seed(9)
    first = cut_out(one) == 0
    torch.manual_seed(9)
    assert torch.equal(first, cut_out(other) == 0)


@pytest.mark.parametrize("name", ["flip", "diff"])
def test_a_table_cannot_be_augmented_as_images_are(name: str) -> None:
    with pytest.raises(InputError, match=f"--augment {name} is for whole images, and these data are a table"):
        augmentation(name, TABLE)
