"""Sample quality: known answers by hand-made samplers, what stands beside a run's numbers, and what training keeps."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from elboroom.artifacts.files import read_json
from elboroom.comparison import compare
from elboroom.comparison_quality import square_and_add
from elboroom.core.abilities import Draws, Judges, Samples
from elboroom.core.batch import Batch
from elboroom.core.model import Model
from elboroom.core.phase import Phase
from elboroom.data.reading import Reading
from elboroom.data.source import Dataset, read
from elboroom.evaluate_samples import Real, can_be_compared, evaluate_samples
from elboroom.extractors.choosing import choose
from elboroom.fitting import fit, resume
from elboroom.metrics.interval import Interval
from elboroom.quality import MEASURES, compare_samples
from elboroom.quality_watch import watch_for
from elboroom.sample_sheets import class_sheet, draw, interpolation_sheet, spherical, truncation_sheet


class Replay(Model, Samples):
    """A sampler that gives rows of the training part: all, those of some classes, or one again and again."""

    def __init__(self, dataset: Dataset, which: Tensor | None = None, noise: float = 0.0) -> None:
        super().__init__(None, dataset.spec)
        rows = dataset.parts["train"]
        places = torch.arange(len(rows)) if which is None else which
        self.x = dataset.transform(rows.take(places)).x
        self.noise_sd = noise

    def phases(self) -> list[Phase]:
        return []

    def sample(self, n: int, *, temperature: float = 1.0, mean: bool = False) -> Tensor:
        x = self.x[torch.randint(0, len(self.x), (n,))]
        return x + self.noise_sd * torch.randn_like(x)


class Classy(Replay, Draws, Judges):
    """The same with a label that can be asked for: z picks one of the rows of that class."""

    def __init__(self, dataset: Dataset) -> None:
        super().__init__(dataset)
        self.noise, self.classes = 2, len(dataset.spec.classes)
        self.label = dataset.parts["train"].label

    def draw(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        assert label is not None and self.label is not None
        share = 0.5 * (1 + torch.erf(z[:, 0] / math.sqrt(2)))
        out = []
        for place, k in zip(share, label, strict=True):
            rows = torch.nonzero(self.label == k).flatten()
            out.append(self.x[rows[int(place * (len(rows) - 1))]])
        return torch.stack(out)

    def judge(self, batch: Batch) -> Tensor:
        return batch.x.flatten(1).sum(1)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return read("digits", seed=0)


@pytest.fixture(scope="module")
def ring() -> Dataset:
    return read("ring8:n=1000", Reading(scale="none"), seed=0)


@pytest.fixture(scope="module")
def gan_run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    place = tmp_path_factory.mktemp("quality") / "gan"
    return fit("gan", "ring8:n=1000", run=place, epochs=3, threads=1, settings={"hidden": [32], "critic_hidden": [32]})


def quality(model: Model, dataset: Dataset, seed: int = 0) -> Any:
    with torch.no_grad():
        return evaluate_samples(model, dataset, part="test", seed=seed)


def test_rows_stand_in_the_order_that_every_measure_must_give_them(ring: Dataset) -> None:
    rows = ring.parts["train"].x(torch.arange(800))
    real, made, train = rows[:200], rows[200:400], rows[400:]
    found = compare_samples(real, made, choose("pca", ring), train=train, seed=0)
    by_name = {row.name: row for row in found.rows}
    assert [row.kind for row in found.rows] == ["model", "ceiling", "floor", "floor", "floor"]
    ceiling, noise = by_name["real against real"].values, by_name["noise"].values
    one, copied = by_name["one example repeated"].values, by_name["training set copied"].values
    for key, sign in (("frechet_distance", 1), ("kernel_distance", 1), ("recall", -1), ("coverage", -1)):
        assert sign * (one[key].value - ceiling[key].value) > 0
        assert one[key].low > ceiling[key].high or one[key].high < ceiling[key].low
    assert noise["precision"].high < ceiling["precision"].low and one["recall"].value < 0.1
    for key in MEASURES:  # a perfect model, and copies, cannot be told from real examples
        for each in (found.model.values[key], copied[key]):
            assert each.low <= ceiling[key].high and each.high >= ceiling[key].low, key


def test_unequal_numbers_of_real_and_made_are_refused(ring: Dataset) -> None:
    rows = ring.parts["train"].x(torch.arange(300))
    with pytest.raises(ValueError, match="unequal"):
        compare_samples(rows[:100], rows[100:250], choose("pca", ring), train=rows, seed=0)


def test_copies_of_the_training_part_are_named_and_other_rows_are_not(ring: Dataset) -> None:
    copied = quality(Replay(ring), ring).measures["memorised_share"]
    assert copied.value > 0.9
    honest = replace(ring, parts={**ring.parts, "train": ring.parts["valid"]})
    fresh = quality(Replay(honest), ring).measures["memorised_share"]
    assert fresh.value < 0.1


def test_a_mixture_is_counted_by_its_centres_in_raw_units() -> None:
    ring = read("ring8:n=1000", Reading(scale="standard"), seed=0)
    label = ring.parts["train"].label
    assert label is not None
    whole = quality(Replay(ring), ring)
    some = quality(Replay(ring, torch.nonzero(label < 3).flatten()), ring)
    assert whole.measures["modes_found"].value == 8 and some.measures["modes_found"].value == 3
    assert whole.measures["high_quality_share"].value > 0.97
    assert some.measures["mode_kl"].value == pytest.approx(math.log(8 / 3), abs=0.02)
    assert sum(c > 0 for c in some.details["modes"]["counts"]) == 3
    assert some.arrays["real"].shape[1] == 2 and np.abs(np.linalg.norm(some.arrays["real"], axis=1) - 1).max() < 0.1


def test_absent_classes_are_named_and_asked_classes_are_checked(digits: Dataset) -> None:
    label = digits.parts["train"].label
    assert label is not None
    some = quality(Replay(digits, torch.nonzero(label < 6).flatten()), digits)
    assert {"7", "9"} <= set(some.details["classes"]["absent"])
    assert some.measures["modes_found"].value < 10 and some.measures["mode_kl"].low > 0
    model = Classy(digits)
    asked = quality(model, digits)
    assert asked.measures["class_accuracy"].value > 0.95
    assert [r.name for r in asked.measures["class_accuracy"].references] == ["held-out rows", "any class"]
    curve = asked.details["truncation"]
    assert [point["truncation"] for point in curve] == [0.25, 0.5, 0.75, 1.0, 1.5, 2.0, None]
    assert curve[0]["recall"]["value"] < curve[-1]["recall"]["value"]  # a narrow z makes fewer different rows
    assert all(point["class_accuracy"]["value"] > 0.9 for point in curve)


def test_every_measure_says_its_features_its_number_and_what_bounds_it(digits: Dataset) -> None:
    found = quality(Replay(digits, noise=0.1), digits)
    main, second = found.details["extractors"]
    assert (main["name"], second["name"]) == ("classifier", "pca") and main["accuracy"]["value"] > 0.9
    for key in MEASURES:
        measure = found.measures[key]
        assert f"classifier {main['hash']}" in measure.how and "180 real and 180" in measure.how
        assert [r.name for r in measure.references] == [row["name"] for row in main["rows"][1:]]
        assert measure.value == main["rows"][0][key]["value"]
    json.dumps(found.details, allow_nan=False)


def test_the_same_seed_gives_the_same_numbers_and_no_draw_is_left_behind(ring: Dataset) -> None:
    state = torch.get_rng_state()
    one, two = (quality(Replay(ring), ring, seed=3) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert one.details == two.details and one.measures == two.measures
    assert quality(Replay(ring), ring, seed=4).details["extractors"] != one.details["extractors"]


def test_what_cannot_be_compared_is_left_out(digits: Dataset, ring: Dataset) -> None:
    model = Replay(digits)
    assert can_be_compared(model, digits, "test")
    alone = replace(digits, parts={"all": digits.parts["test"]})
    assert not can_be_compared(model, alone, "all")
    few = read("digits", Reading(split=(0.9, 0.08, 0.02)), seed=0)
    assert not can_be_compared(Replay(few), few, "test")
    column = read("digits", Reading(scale="column"), seed=0)
    assert not can_be_compared(Replay(column), column, "test")
    counts = read(np.random.default_rng(0).poisson(3.0, (600, 3)), Reading(scale="counts"), seed=0)
    assert not can_be_compared(Replay(counts), counts, "test")
    broken = Replay(ring)
    broken.x = broken.x * math.nan
    assert not quality(broken, ring).measures and not quality(broken, ring).details


@pytest.mark.parametrize("scale", ["symmetric", "levels:4", "dynamic", "binary"])
def test_pixels_are_compared_on_0_to_1_whatever_the_scale(scale: str) -> None:
    dataset = read("digits", Reading(scale=scale), seed=0)
    real = Real(dataset, ["valid", "test"], most=100, extractor="pca")
    grey = read("digits", seed=0)
    same = Real(grey, ["valid", "test"], most=100, extractor="pca")
    assert real.held.shape == (100, 1, 8, 8) and float(real.held.min()) >= 0 and float(real.held.max()) == 1
    assert torch.equal(real.label, same.label)
    assert torch.corrcoef(torch.stack([real.held.flatten(), same.held.flatten()]))[0, 1] > 0.9
    if scale in ("symmetric", "dynamic"):
        torch.testing.assert_close(real.held, same.held)


# -- while training ----------------------------------------------------------------------------------------------------


def test_the_watch_orders_samplers_as_they_are_good(digits: Dataset) -> None:
    classy = Classy(digits)
    watch = watch_for(classy, digits.transform, digits.parts["train"], digits.parts["valid"], seed=1)
    assert watch is not None
    label = digits.parts["train"].label
    good = watch.look(Replay(digits))
    half = watch.look(Replay(digits, torch.nonzero(label < 5).flatten()))
    noisy = watch.look(Replay(digits, noise=0.5))
    one = watch.look(Replay(digits, torch.tensor([7]), noise=1e-4))
    assert good["frechet_distance"] < half["frechet_distance"] < one["frechet_distance"]
    assert good["frechet_distance"] < noisy["frechet_distance"]
    assert good["coverage"] > half["coverage"] > one["coverage"]
    assert good["spread"] == pytest.approx(1, abs=0.15) and one["spread"] < 0.05
    assert one["doubles"] == 1.0 and noisy["doubles"] < 0.05
    assert watch.look(Replay(digits)) == good


def test_equal_means_and_covariances_do_not_hide_missing_modes_of_a_table(ring: Dataset) -> None:
    label = ring.parts["train"].label
    assert label is not None
    watch = watch_for(_Player(ring), ring.transform, ring.parts["train"], ring.parts["valid"], seed=1)
    assert watch is not None
    other = watch.look(Replay(ring, torch.nonzero(label % 2 == 0).flatten()))  # four of eight, set evenly
    assert other["frechet_distance"] > 5 * watch.look(Replay(ring))["frechet_distance"]


class _Player(Classy):
    def __init__(self, dataset: Dataset) -> None:
        super().__init__(dataset)
        self.classes = 0


def test_models_that_do_not_play_are_not_watched(digits: Dataset) -> None:
    assert watch_for(Replay(digits), digits.transform, digits.parts["train"], digits.parts["valid"], seed=0) is None


def history(run: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run.path / "history.jsonl").read_text().splitlines()]


def test_a_run_of_two_players_keeps_the_weights_of_its_best_samples(gan_run: Any) -> None:
    looks = [row for row in history(gan_run) if "valid/frechet_distance" in row]
    assert len(looks) == 3
    for name in ("coverage", "density", "spread", "doubles"):
        assert all(math.isfinite(row[f"valid/{name}"]) for row in looks)
    best = min(looks, key=lambda row: row["valid/frechet_distance"])
    kept = gan_run.meta["kept"]
    assert (kept["measure"], kept["step"]) == ("valid/frechet_distance", best["step"])
    assert kept["value"] == best["valid/frechet_distance"]


def test_a_run_that_was_cut_keeps_the_same_samples(gan_run: Any, tmp_path: Path) -> None:
    settings = {"hidden": [32], "critic_hidden": [32]}
    one = fit("gan", "ring8:n=1000", run=tmp_path / "r", epochs=2, threads=1, settings=settings)
    whole = fit("gan", "ring8:n=1000", run=tmp_path / "w", epochs=2, threads=1, settings=settings)
    assert (one.path / "weights.safetensors").read_bytes() == (whole.path / "weights.safetensors").read_bytes()
    more = resume(one.path, steps=20)
    assert more.meta["kept"]["step"] in {row["step"] for row in history(more)}
    assert [row["step"] for row in history(more)][: len(history(whole))] == [row["step"] for row in history(whole)]


# -- what a run leaves -------------------------------------------------------------------------------------------------


def test_a_run_leaves_measures_details_and_points(gan_run: Any) -> None:
    metrics, found = gan_run.metrics, read_json(gan_run.path / "details.json")["quality"]
    assert {*MEASURES, "modes_found", "high_quality_share", "memorised_share"} <= set(metrics)
    assert found["n_real"] == found["n_made"] == metrics["precision"]["n"] and found["split"] == "test"
    assert found["modes"]["known"] == 8 and found["classes"] is None and len(found["truncation"]) == 7
    held = np.load(gan_run.path / "media" / "points.npz")
    assert held["real"].shape[1] == held["made"].shape[1] == 2
    assert gan_run.evaluate().metrics["frechet_distance"] == metrics["frechet_distance"]


def test_a_model_with_a_likelihood_is_measured_too(digits_run: Any) -> None:
    assert digits_run.metrics["frechet_distance"]["n"] == 180
    assert read_json(digits_run.path / "details.json")["quality"]["truncation"] is None
    assert (digits_run.path / "media" / "neighbours.png").is_file()


def test_a_model_with_a_likelihood_and_one_without_stand_in_one_comparison(gan_run: Any, tmp_path: Path) -> None:
    settings = {"hidden": [16], "latent": 2}
    vae = fit("vae", "ring8:n=1000", run=tmp_path / "vae", steps=30, threads=1, settings=settings)
    rows = {row["key"]: row for row in compare([gan_run, vae])["measures"]}
    assert rows["elbo_nats"]["said"] == "only vae can answer"
    for key in (*MEASURES, "modes_found", "memorised_share"):
        assert all(cell["value"] is not None for cell in rows[key]["cells"]), key
        assert len(rows[key]["differences"]) == 1 and rows[key]["references"]
    same = {row["key"]: row for row in compare([vae, vae])["measures"]}
    assert same["recall"]["said"] == "no difference" and same["recall"]["differences"][0]["value"] == 0


def test_the_interval_of_a_difference_is_that_of_independent_estimates() -> None:
    found = square_and_add(Interval(3.0, 2.0, 5.0), Interval(1.0, 0.0, 1.5))
    assert found.value == 2.0
    assert found.low == pytest.approx(2 - math.hypot(1, 0.5)) and found.high == pytest.approx(2 + math.hypot(2, 1))


# -- pictures ----------------------------------------------------------------------------------------------------------


def test_a_walk_on_the_sphere_keeps_its_ends_and_its_lengths() -> None:
    a, b = torch.randn(2, 5, 64, generator=torch.Generator().manual_seed(0)).unbind(0)
    walk = spherical(a, b, 9)
    torch.testing.assert_close(walk[:, 0], a)
    torch.testing.assert_close(walk[:, -1], b)
    lengths, share = walk.norm(dim=-1), torch.linspace(0, 1, 9)
    torch.testing.assert_close(lengths, a.norm(dim=-1)[:, None] * (1 - share) + b.norm(dim=-1)[:, None] * share)
    angles = torch.acos(torch.nn.functional.cosine_similarity(walk[:, 1:], walk[:, :-1], dim=-1))
    torch.testing.assert_close(angles, angles.mean(1, keepdim=True).expand_as(angles), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(spherical(a, a, 3), a[:, None].expand(-1, 3, -1))


def test_sheets_have_a_row_for_each_class_truncation_and_walk(digits: Dataset) -> None:
    model = Classy(digits)
    sheets = [sheet(model, digits.spec, seed=1) for sheet in (class_sheet, truncation_sheet, interpolation_sheet)]
    for made, rows in zip(sheets, (10, 7, 6), strict=True):
        assert made is not None
        height, width = made.pixels.shape[:2]
        assert width == 10 * 8 * 7 and height == rows * 56 + (rows - 1) * 4
        assert made.png()[:8] == b"\x89PNG\r\n\x1a\n"
    assert class_sheet(_Player(digits), digits.spec, seed=1) is None
    again, other = (class_sheet(model, digits.spec, seed=seed) for seed in (1, 2))
    assert again is not None and other is not None and sheets[0] is not None
    assert again.png() == sheets[0].png() != other.png()


def test_drawn_samples_follow_their_seed_in_parts_of_any_size(digits: Dataset) -> None:
    model = Classy(digits)
    assert torch.equal(draw(model, 7, seed=3), draw(model, 30, seed=3)[:7])
    asked = torch.tensor([4, 4, 2])
    assert draw(model, 3, seed=3, label=asked).shape == (3, 1, 8, 8)
