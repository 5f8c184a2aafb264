"""ring8 and grid25: points of a mixture whose centres, shares and spread are what their page says."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch

from elboroom.cli.main import main
from elboroom.core.errors import InputError
from elboroom.data import Dataset, Reading, read, read_like
from elboroom.data.content import Mixture
from elboroom.data.mixtures import draw_mixture, grid_centres, ring_centres


def rows(data: Dataset, part: str) -> tuple[np.ndarray, np.ndarray]:
    held = data.parts[part]
    batch = held.take(torch.arange(len(held)))
    return batch["x"].double().numpy(), batch["label"].numpy()


def known(data: Dataset) -> Mixture:
    assert data.mixture is not None
    return data.mixture


def test_the_centres_are_those_of_the_protocol() -> None:
    angle = np.deg2rad([0, 45, 90, 135, 180, 225, 270, 315])
    np.testing.assert_allclose(ring_centres(8), np.column_stack([np.cos(angle), np.sin(angle)]), atol=1e-15)
    assert sorted(map(tuple, grid_centres(5))) == [(x, y) for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)]
    assert grid_centres(2).tolist() == [[-1, -1], [-1, 1], [1, -1], [1, 1]]


@pytest.mark.parametrize(("name", "modes", "sd"), [("ring8", 8, 0.01), ("grid25", 25, 0.05)])
def test_each_point_lies_around_the_centre_of_its_label(name: str, modes: int, sd: float) -> None:
    data = read(name)
    assert {part: len(held) for part, held in data.parts.items()} == {"train": 100_000, "valid": 10_000, "test": 10_000}
    assert (data.spec.kind, data.spec.shape, len(data.spec.classes)) == ("table", (2,), modes)
    assert [column.name for column in data.spec.columns] == ["x", "y"] and not data.problems
    mixture = known(data)
    assert mixture.centres.shape == (modes, 2) and mixture.centres.dtype == np.float64 and mixture.sd == sd
    for part in data.parts:
        x, label = rows(data, part)
        away = (x - mixture.centres[label]) / sd
        n = len(x)
        # standard normal in both columns: means within 4 / sqrt(n), variances within 4 sqrt(2 / n)
        assert np.abs(away.mean(0)).max() < 4 / np.sqrt(n)
        assert np.abs(away.var(0) - 1).max() < 4 * np.sqrt(2 / n)
        assert abs(float(np.corrcoef(away.T)[0, 1])) < 4 / np.sqrt(n)
        assert (np.abs(np.bincount(label, minlength=modes) - n / modes) < 4.5 * np.sqrt(n / modes)).all()


def test_the_rows_are_kept_in_single_precision() -> None:
    assert read("ring8:n=200").parts["train"].take(torch.arange(3))["x"].dtype == torch.float32


def test_a_class_is_named_by_its_place_and_numbered_as_its_centre() -> None:
    grid, ring = read("grid25:n=100"), read("ring8:n=100,modes=12")
    assert grid.spec.classes == tuple(f"({x:g}, {y:g})" for x, y in known(grid).centres)
    assert grid.spec.classes[:6] == ("(-4, -4)", "(-4, -2)", "(-4, 0)", "(-4, 2)", "(-4, 4)", "(-2, -4)")
    assert ring.spec.classes[:3] == ("0 degrees", "30 degrees", "60 degrees") and len(ring.spec.classes) == 12
    assert len(set(read("ring8:modes=1000,n=100").spec.classes)) == 1000, "also those that no row has"


def test_options_say_how_many_and_how_wide() -> None:
    data = read("grid25:side=3, sd=0.2, n=5000")
    assert len(data.parts["train"]) == 5000 and len(data.parts["test"]) == 500
    assert known(data).sd == 0.2 and len(known(data).centres) == 9
    x, label = rows(data, "train")
    assert (x - known(data).centres[label]).std() == pytest.approx(0.2, rel=0.03)


def test_the_set_is_the_same_each_time_and_for_every_seed_of_the_split() -> None:
    once, again, other = read("ring8:n=1000"), read("ring8:n=1000", seed=7), read("ring8:n=1000,sd=0.02")
    assert once.fingerprint == again.fingerprint != other.fingerprint
    np.testing.assert_array_equal(rows(once, "train")[0], rows(again, "train")[0])
    assert read("grid25:n=1000").fingerprint.startswith("80d5195f"), "the published set of this name has changed"


def test_other_seeds_draw_other_points() -> None:
    mixture = Mixture(ring_centres(8), 0.01)
    a, b = (draw_mixture(mixture, 50, seed)[0] for seed in (0, 1))
    assert not np.isin(a, b).any()


def test_new_rows_of_a_run_know_their_mixture_and_their_classes() -> None:
    data = read("ring8:n=300")
    like = read_like("ring8:n=200", data.to_json(), data.transform)
    np.testing.assert_array_equal(known(like).centres, known(data).centres)
    x, label = rows(like, "all")
    assert np.abs(x - known(data).centres[label]).max() < 0.06
    json.dumps(data.to_json())


def test_some_of_the_columns_are_no_longer_that_mixture() -> None:
    assert read("ring8:n=200", Reading(columns=("x",))).mixture is None
    assert read("ring8:n=200", Reading(columns=("y", "x"))).mixture is None
    assert read("ring8:n=200", Reading(columns=("x", "y"))).mixture is not None


def test_data_of_which_nothing_is_known_have_no_mixture(tmp_path) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(40, 2)))
    data = read(str(tmp_path / "x.npy"))
    assert data.mixture is None and "mixture" not in data.to_json() and not data.channelwise


def test_the_mixture_is_no_part_of_the_fingerprint() -> None:
    from elboroom.data.columns import assemble
    from elboroom.data.fingerprint import fingerprint
    from elboroom.data.mixtures import read_ring

    content = assemble(read_ring("n=200", None))
    assert content.mixture is not None
    assert fingerprint(content) == fingerprint(dataclasses.replace(content, mixture=None))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ring8:mode=3", "did you mean 'modes'"),
        ("grid25:modes=3", "no option 'modes'"),
        ("ring8:modes=0", "whole number from 1 to 1,000"),
        ("ring8:modes=2.5", "whole number"),
        ("grid25:side=31", "from 1 to 30"),
        ("ring8:n=99", "from 100 to 1,000,000"),
        ("ring8:sd=0", "above 0"),
        ("ring8:sd=-1", "above 0"),
        ("ring8:sd=wide", "give a number"),
        ("ring8:sd=inf", "finite"),
    ],
)
def test_an_option_that_cannot_be_is_refused(name: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read(name)


def test_a_size_in_pixels_means_nothing_here() -> None:
    with pytest.raises(InputError, match="--size means nothing for table"):
        read("ring8:n=200", Reading(size=(8, 8)))


def test_the_verb_says_how_many_modes_there_are(capsys) -> None:
    assert main(["data", "ring8:n=200"]) == 0
    assert "8 Gaussians of standard deviation 0.01, centres known" in " ".join(capsys.readouterr().out.split())
    assert main(["data", "grid25:n=200,side=2", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["mixture"] == {"centres": [[-1, -1], [-1, 1], [1, -1], [1, 1]], "sd": 0.05}
