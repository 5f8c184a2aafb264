"""A sweep: members as whole runs, stacks and what cannot be stacked, kills, failures, and what is refused."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

import elboroom as elbo
from elboroom.artifacts.files import read_json
from elboroom.artifacts.run import RunFolder, alone_in
from elboroom.core.errors import InputError, Stopped
from elboroom.engine.probe import Cost
from elboroom.plan import Runtime, chosen
from elboroom.report.sweep import sweep_html
from elboroom.sweeping import Sweep, open_sweep
from elboroom.sweeping_members import grouped, planned
from elboroom.sweeping_stack import UPDATE_SECONDS, Together
from elboroom.sweeping_table import settings_table

QUICK: dict[str, Any] = {
    "latent": 2,
    "device": "cpu",
    "threads": 1,
    "compile": "off",
    "precision": "fp32",
    "batch_size": 16,
}


@pytest.fixture(scope="module")
def x() -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(120, 2)) @ rng.normal(size=(2, 5)) + 0.1 * rng.normal(size=(120, 5))


@pytest.fixture(scope="module")
def made(x: np.ndarray[Any, Any], tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """Two step sizes and two seeds of an autoencoder."""
    place = tmp_path_factory.mktemp("sweeps") / "made"
    return elbo.sweep("autoencoder", x, over={"lr": [1e-3, 1e-2]}, seeds=2, run=place, steps=20, **QUICK)


def weights(path: Path) -> dict[str, Any]:
    return load_file(path / "weights.safetensors")


def without_time(folder: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k != "time_s"} for row in rows]


def test_each_member_is_the_run_that_fit_makes_alone(made: Sweep, x: np.ndarray[Any, Any], tmp_path: Path) -> None:
    assert [m["name"] for m in made.members] == [f"lr-{lr}_seed-{s}" for lr in ("0.001", "0.01") for s in (0, 1)]
    assert made.meta["stacks"] == [[m["name"] for m in made.members]]
    lone = elbo.fit("autoencoder", x, lr=1e-2, seed=1, run=tmp_path / "lone", steps=20, **QUICK)
    member = made.path / "lr-0.01_seed-1"
    mine, theirs = weights(member), weights(lone.path)
    assert mine.keys() == theirs.keys()
    assert max(float(np.abs(mine[k] - theirs[k]).max()) for k in mine) < 1e-5
    assert {p.name for p in member.iterdir()} == {p.name for p in lone.path.iterdir()}
    one, other = read_json(member / "metrics.json"), read_json(lone.path / "metrics.json")
    assert one.keys() == other.keys()
    assert all(math.isclose(one[k]["value"], other[k]["value"], rel_tol=1e-3, abs_tol=1e-4) for k in one)
    meta = read_json(member / "run.json")
    assert (meta["state"], meta["step"], meta["runtime"]["seed"], meta["settings"]["lr"]) == ("done", 20, 1, 0.01)
    assert "one pass trains 4 members" in meta["choices"]["stack"]
    assert "lr=0.01, seed=1" in meta["command"]
    assert elbo.load(member).reconstruct(x).x.shape == x.shape


def test_the_table_has_means_over_seeds_with_students_interval(made: Sweep) -> None:
    rows = made.table
    assert [row["over"] for row in rows] == [{"lr": 0.001}, {"lr": 0.01}]
    found = rows[1]["measures"]["reconstruction_mse"]
    values = [m["metrics"]["reconstruction_mse"]["value"] for m in made.members if m["over"] == {"lr": 0.01}]
    assert found["values"] == values
    half = 12.706204736 * abs(values[0] - values[1]) / 2  # t of one degree of freedom; s / sqrt(2) = |a - b| / 2
    assert math.isclose(found["value"], sum(values) / 2)
    assert math.isclose(found["high"] - found["value"], half, rel_tol=1e-6)


def test_one_seed_has_no_interval() -> None:
    member = {
        "over": {"beta": 1.0},
        "seed": 0,
        "state": "done",
        "metrics": {"mse": {"value": 2.0, "low": 1, "high": 3}},
    }
    found = settings_table([member])[0]["measures"]["mse"]
    assert (found["value"], found["low"], found["high"], found["n"]) == (2.0, None, None, 1)


def test_a_sweep_gives_its_runs_by_their_values(made: Sweep) -> None:
    assert len(made) == len(made.runs) == 4
    assert made.run(lr=0.01, seed=0).path.name == "lr-0.01_seed-0"
    with pytest.raises(InputError, match="2 finished members"):
        made.run(lr=0.01)
    assert "4 of 4" in repr(open_sweep(made.path))


def test_the_page_shows_every_measure_over_the_setting_and_links_to_members(made: Sweep) -> None:
    page = sweep_html(made.path)
    assert page == (made.path / "report.html").read_text(encoding="utf-8")
    assert all(f'href="{m["name"]}/report.html"' in page for m in made.members)
    assert "Over lr" in page
    assert "Rate and distortion" not in page  # an autoencoder has no rate
    numbers = [float(v) for v in re.findall(r'data-key="reconstruction_mse" data-value="([^"]+)"', page)]
    assert {m["metrics"]["reconstruction_mse"]["value"] for m in made.members} <= set(numbers)


def test_the_page_of_a_bound_draws_rate_and_distortion(tmp_path: Path, made: Sweep) -> None:
    meta = read_json(made.path / "sweep.json")
    for i, member in enumerate(meta["members"]):
        for key, value in (("rate_nats", 3.0 - i), ("distortion_nats", 20.0 + i)):
            member["metrics"][key] = {"value": value, "low": value - 1, "high": value + 1, "unit": "nats"}
    (tmp_path / "sweep.json").write_text(json.dumps(meta))
    page = sweep_html(tmp_path)
    assert page.index("Rate and distortion") < page.index("Over lr")
    assert "lr 0.001: rate 2.5, distortion 20.5" in page


@pytest.mark.slow
def test_members_of_other_shapes_form_stacks_of_their_own(x: np.ndarray[Any, Any]) -> None:
    given = {**QUICK, "hidden": [4], "latent": 2}
    given.pop("latent")
    found = elbo.sweep("autoencoder", x, over={"latent": [1, 2]}, seeds=2, steps=4, **given)
    assert [len(names) for names in found.meta["stacks"]] == [2, 2]
    assert {run.model.code_size for run in found.runs} == {1, 2}


def test_groups_hold_what_differs_in_fractions_and_seeds_only() -> None:
    members = planned("beta_vae", {"beta": [0, 0.5, 4], "latent": [2, 3]}, {}, seeds=2, seed=7)
    groups = [[m.name for m in group] for group in grouped(members)]
    assert len(members) == 12
    assert {m.seed for m in members} == {7, 8}
    assert sorted(map(len, groups)) == [2, 2, 4, 4]
    assert ["beta-0_latent-2_seed-7", "beta-0_latent-2_seed-8"] in groups


# -- kills and failures ------------------------------------------------------------------------------------------------


def killed_at(step: int) -> Any:
    def progress(event: dict[str, Any]) -> None:
        if event["kind"] == "tick" and event["step"] >= step:
            raise KeyboardInterrupt

    return progress


def test_a_killed_sweep_goes_on_with_the_same_bits(x: np.ndarray[Any, Any], made: Sweep, tmp_path: Path) -> None:
    asked = {"over": {"lr": [1e-3, 1e-2]}, "seeds": 2, "steps": 20, "run": tmp_path / "cut", "save_every": 0.0, **QUICK}
    with pytest.raises(KeyboardInterrupt):
        elbo.sweep("autoencoder", x, **asked, progress=killed_at(12))
    ahead = RunFolder.open(tmp_path / "cut" / "lr-0.001_seed-0").checkpoints
    assert ahead.steps() == [6, 12]
    # as if the kill had come before the last member's state was written
    RunFolder.open(tmp_path / "cut" / "lr-0.01_seed-1").checkpoints.forget_after(6)
    found = elbo.sweep("autoencoder", x, **asked, or_resume=True)
    assert [m["state"] for m in found.members] == ["done"] * 4
    for member in made.members:
        one, other = made.path / member["name"], found.path / member["name"]
        assert (one / "weights.safetensors").read_bytes() == (other / "weights.safetensors").read_bytes()
        assert (one / "metrics.json").read_bytes() == (other / "metrics.json").read_bytes()
        assert without_time(one) == without_time(other)


def test_a_finished_sweep_is_left_as_it_is_and_another_one_is_refused(x: np.ndarray[Any, Any], made: Sweep) -> None:
    before = {p: p.stat().st_mtime_ns for p in made.path.rglob("weights.safetensors")}
    asked = {"over": {"lr": [1e-3, 1e-2]}, "seeds": 2, "run": made.path, **QUICK}
    elbo.sweep("autoencoder", x, steps=20, or_resume=True, **asked)
    assert before == {p: p.stat().st_mtime_ns for p in made.path.rglob("weights.safetensors")}
    with pytest.raises(InputError, match="another sweep, its asked differ"):
        elbo.sweep("autoencoder", x, steps=30, or_resume=True, **asked)
    with pytest.raises(InputError, match="holds a sweep already"):
        elbo.sweep("autoencoder", x, steps=20, **asked)


def test_a_member_that_fails_is_named_and_the_others_are_finished(x: np.ndarray[Any, Any], tmp_path: Path) -> None:
    asked = {"over": {"lr": [1e-3, 1e38]}, "steps": 8, "run": tmp_path / "sweep", **QUICK}
    found = elbo.sweep("autoencoder", x, **asked)
    good, bad = found.members
    assert (good["state"], bad["state"]) == ("done", "failed")
    assert "no update was made with it" in bad["why"]
    assert found.table[1]["measures"] == {}
    assert [run.path.name for run in found.runs] == ["lr-0.001"]
    again = elbo.sweep("autoencoder", x, **asked, force=True)
    assert again.members[0]["metrics"] == good["metrics"]


def test_hopeless_settings_are_stopped_and_stay_stopped(x: np.ndarray[Any, Any], tmp_path: Path) -> None:
    asked = {
        "over": {"lr": [1e-6, 1e-5, 3e-3, 1e-2]},
        "steps": 40,
        "run": tmp_path / "s",
        "stop_hopeless": True,
        **QUICK,
    }
    found = elbo.sweep("autoencoder", x, **asked)
    assert [(m["state"], m["step"]) for m in found.members] == [
        ("stopped", 10),
        ("stopped", 10),
        ("stopped", 20),
        ("done", 40),
    ]
    assert "worse half" in found.members[0]["why"]
    assert elbo.sweep("autoencoder", x, **asked, or_resume=True).members == found.members


READS_THE_HOST = '''
"""Its loss reads a number from the device, so no graph can be made of it."""

from dataclasses import dataclass

from torch import Tensor, nn

from elboroom.core.batch import Batch
from elboroom.core.model import Model
from elboroom.core.optim import Adam
from elboroom.core.phase import Logs, Phase

__all__ = ["Reader"]


class Reader(Model):
    """One linear map."""

    kinds = ("table",)

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """One setting."""

        lr: float = 1e-3
        """Step size."""

    def __init__(self, config, spec) -> None:
        super().__init__(config, spec)
        self.net = nn.Linear(spec.shape[0], spec.shape[0])

    def loss(self, batch: Batch, t: Tensor) -> tuple[Tensor, Logs]:
        loss = (self.net(batch.x) - batch.x).square().mean()
        return (loss * 2 if float(loss.detach()) > 1e9 else loss), {}

    def phases(self) -> list[Phase]:
        return [Phase("loss", self.loss, self.parameters(), Adam(lr=self.config.lr))]
'''


def test_what_cannot_be_stacked_trains_one_after_another(
    x: np.ndarray[Any, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "reader.py").write_text(READS_THE_HOST)
    monkeypatch.setenv("ELBOROOM_MODELS", str(tmp_path))
    said: list[str] = []
    found = elbo.sweep(
        "reader", x, over={"lr": [1e-3, 1e-2]}, steps=5, compile="off", device="cpu",
        progress=lambda event: said.append(str(event.get("message", ""))),
    )  # fmt: skip
    assert any("2 members train one after another" in text for text in said)
    assert found.meta["stacks"] == []
    assert [m["state"] for m in found.members] == ["done", "done"]


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"over": {"latnt": [1, 2]}}, "has no setting 'latnt'; did you mean 'latent'"),
        ({"over": {"lr": [1e-3]}}, "one value is no sweep"),
        ({"over": {"lr": "123"}}, "one value is no sweep"),
        ({"over": {"lr": [1e-3, 0.001]}}, "the value 0.001 stands there twice"),
        ({"over": {"lr": [1e-3, -1]}}, "setting lr = -1 does not fit"),
        ({"over": {"lr": [1e-3, 1e-2]}, "lr": 1e-3}, "given twice"),
        ({"over": {"seed": [0, 1]}}, "seeds are swept with --seeds"),
        ({"over": {}}, "two members or more"),
        ({"over": {"lr": [i / 100 for i in range(1, 100)]}, "seeds": 3}, "297 members, the most is 256"),
        ({"over": {"lr": [1e-3, 1e-2]}, "seeds": 0}, "at least 1"),
        ({"over": {"lr": [1e-3, 1e-2]}, "minutes": 1}, "--epochs or --steps"),
        ({"over": {"lr": [1e-3, 1e-2]}, "letent": 1}, "did you mean 'latent'"),
    ],
)
def test_what_is_no_sweep_is_refused_before_anything_is_written(
    given: dict[str, Any], said: str, x: np.ndarray[Any, Any], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        elbo.sweep("autoencoder", x, run=tmp_path / "none", **given)
    assert not (tmp_path / "none").exists()


def test_a_folder_with_files_of_others_is_left_alone(x: np.ndarray[Any, Any], tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(InputError, match="is no sweep"):
        elbo.sweep("autoencoder", x, over={"lr": [1e-3, 1e-2]}, run=tmp_path, force=True)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_a_stack_is_compiled_where_its_members_alone_would_not_be() -> None:
    """Uncompiled, its optimiser is many passes over all weights; alone it is one operation."""
    asked, costs = Runtime(device="cpu", compile="auto", threads=1), [Cost(100, 10**8, 10**7, ())]
    alone, _ = chosen(asked, costs, 1000, "fp32")
    stacked, why = chosen(asked, costs, 1000, "fp32", beside=UPDATE_SECONDS * 4 * 10**6)
    assert (alone.compile, stacked.compile) == ("off", "on")
    assert "about 121.2 s for 1,000 steps" in why["compile"]


def genes(tmp_path: Path) -> Path:
    """A table of eight columns that follow three."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(150, 3)) @ rng.normal(size=(3, 8)) + 0.1 * rng.normal(size=(150, 8))
    place = tmp_path / "genes.csv"
    np.savetxt(place, rows, delimiter=",", header=",".join(f"g{i}" for i in range(8)), comments="")
    return place


def test_each_member_has_the_landmarks_that_it_has_alone(tmp_path: Path) -> None:
    over = {"landmarks": [0, 2, 3], "lr": [1e-3, 1e-2]}
    swept = elbo.sweep("imputer", genes(tmp_path), over=over, run=tmp_path / "s", steps=10, compile="off", threads=1)
    for count in over["landmarks"]:
        lone = elbo.fit(
            "imputer", genes(tmp_path), landmarks=count, lr=1e-2, run=tmp_path / f"{count}", steps=10, compile="off"
        )
        member = swept.run(landmarks=count, lr=1e-2)
        assert member.meta["data"]["reading"]["observed"] == lone.meta["data"]["reading"]["observed"]
        assert len(member.meta["data"]["spec"]["observed"]) == count
        mine, theirs = weights(member.path), weights(lone.path)
        assert max(float(np.abs(mine[k] - theirs[k]).max()) for k in mine) < 1e-5


def test_a_value_that_the_data_refuse_ends_the_sweep_before_anything_is_made(tmp_path: Path) -> None:
    over = {"likelihood": ["bernoulli", "poisson"]}
    with pytest.raises(InputError, match="poisson"):
        elbo.sweep("vae", "digits", over=over, run=tmp_path / "s", steps=5, **QUICK)
    assert not (tmp_path / "s").exists()


def test_a_stack_trains_with_the_threads_that_its_runs_name(
    x: np.ndarray[Any, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, bool]] = []
    ticked = Together._tick

    def noting(self: Together, tick: Any, save_every: float) -> None:
        seen.append((torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()))
        ticked(self, tick, save_every)

    monkeypatch.setattr(Together, "_tick", noting)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        elbo.sweep("autoencoder", x, over={"lr": [1e-3, 1e-2]}, run=tmp_path / "s", steps=5, **QUICK)
    finally:
        torch.set_num_threads(before)
    assert set(seen) == {(1, True)}


def test_a_sweep_that_is_running_is_left_alone(x: np.ndarray[Any, Any], made: Sweep, tmp_path: Path) -> None:
    words: dict[str, Any] = {"over": {"lr": [1e-3, 1e-2]}, "seeds": 2, "run": made.path, "steps": 20, **QUICK}
    with alone_in(made.path), pytest.raises(InputError, match="is in use by process"):
        elbo.sweep("autoencoder", x, or_resume=True, **words)
    with (
        RunFolder.open(made.path / made.members[0]["name"]).lock(),
        pytest.raises(InputError, match="is in use by process"),
    ):
        elbo.sweep("autoencoder", x, force=True, **words)
    assert all((made.path / m["name"] / "weights.safetensors").is_file() for m in made.members)


def test_going_on_takes_a_tuple_for_the_list_it_was_and_refuses_another_reading(
    x: np.ndarray[Any, Any], tmp_path: Path
) -> None:
    words: dict[str, Any] = {"over": {"lr": [1e-3, 1e-2]}, "run": tmp_path / "s", "steps": 5, **QUICK}
    first = elbo.sweep("autoencoder", x, hidden=(8,), **words)
    again = elbo.sweep("autoencoder", x, hidden=(8,), or_resume=True, **words)
    assert len(first) == len(again) == 2
    assert again.run(lr=1e-2, seed=0).path.name == "lr-0.01"
    with pytest.raises(InputError, match="its reading differ"):
        elbo.sweep("autoencoder", x, hidden=(8,), or_resume=True, scale="robust", **words)


def test_after_a_full_disk_a_sweep_goes_on(
    x: np.ndarray[Any, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words: dict[str, Any] = {"over": {"lr": [1e-3, 1e-2]}, "run": tmp_path / "s", "steps": 5, **QUICK}

    def full(self: Together, tick: Any, save_every: float) -> None:
        raise Stopped("no space left on the disk", "failed")

    with monkeypatch.context() as broken:
        broken.setattr(Together, "_tick", full)
        with pytest.raises(Stopped, match="no space"):
            elbo.sweep("autoencoder", x, **words)
    assert read_json(tmp_path / "s" / "sweep.json")["state"] == "stopped"
    swept = elbo.sweep("autoencoder", x, or_resume=True, **words)
    assert [m["state"] for m in swept.members] == ["done", "done"]


def test_a_value_that_is_not_finite_is_refused() -> None:
    with pytest.raises(InputError, match="inf is no number"):
        planned("autoencoder", {"lr": [1e-3, math.inf]}, {}, seeds=1, seed=0)
