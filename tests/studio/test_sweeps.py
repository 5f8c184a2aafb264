"""The sweep pages: what a sweep left on disk, as a list, as two measures against each other, and as a table."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from elboroom.cli.main import main
from elboroom.core.errors import InputError
from elboroom.studio.shelf import Missing, Shelf, identity
from elboroom.studio.summary import Summaries
from elboroom.studio.sweeps import QUIET_S, Sweeps
from elboroom.sweeping import open_sweep
from studio_browser import Browser
from studio_server import Server

SHOTS = os.environ.get("ELBOROOM_SHOTS", "")
QUICK = ["--threads", "1", "--device", "cpu", "--compile", "off", "--precision", "fp32", "--hidden", "8"]


@pytest.fixture(scope="session")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs with a sweep over beta, of two seeds each."""
    folder = tmp_path_factory.mktemp("swept") / "runs"
    words = ["--over", "beta=0.5,4", "--seeds", "2", "--latent", "2", "--steps", "30", "--run", str(folder / "betas")]
    assert main(["sweep", "beta_vae", "digits", *words, *QUICK]) == 0
    return folder


@pytest.fixture(scope="session")
def failing(swept: Path) -> Path:
    """Beside it a sweep of which half the members fail."""
    words = ["--over", "lr=0.001,1e30", "--latent", "2", "--steps", "8", "--run", str(swept / "rates")]
    assert main(["sweep", "vae", "digits", *words, *QUICK]) == 4
    return swept


@pytest.fixture
def copied(swept: Path, tmp_path: Path) -> Path:
    shutil.copytree(swept / "betas", tmp_path / "runs" / "betas")
    return tmp_path / "runs"


def sweeps(folder: Path) -> Sweeps:
    return Sweeps(Shelf(folder), Summaries())


def changed(folder: Path, **values: Any) -> Any:
    """sweep.json with other values."""
    path = folder / "betas" / "sweep.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
    return sweeps(folder).of(identity("betas"))


def test_a_sweep_is_told_as_the_command_line_tells_it(swept: Path) -> None:
    row = next(row for row in sweeps(swept).listed() if row["name"] == "betas")
    found = sweeps(swept).of(row["id"])
    assert (row["state"], row["total"], row["counts"], row["over"]) == ("done", 4, {"done": 4}, {"beta": [0.5, 4.0]})
    assert found["axes"] == ["rate_nats", "distortion_nats"] and "members" not in row
    keys = [measure["key"] for measure in found["measures"]]
    for told, known in zip(found["table"], open_sweep(swept / "betas").table, strict=True):
        assert told["over"] == known["over"] and told["seeds"] == [0, 1]
        for key, values in zip(keys, told["measures"], strict=True):
            if values is not None:
                expected = [known["measures"][key][name] for name in ("value", "low", "high")]
                assert values == pytest.approx(expected, rel=1e-6)
    one = found["members"][0]
    run = json.loads((swept / "betas" / "beta-0.5_seed-0" / "metrics.json").read_text())
    assert one["run"] == identity("betas/beta-0.5_seed-0")
    assert one["metrics"][keys.index("elbo_nats")] == pytest.approx(run["elbo_nats"]["value"], rel=1e-6)


def test_a_member_is_nothing_but_a_run_that_was_found(copied: Path) -> None:
    members = json.loads((copied / "betas" / "sweep.json").read_text())["members"]
    outside = {**members[0], "name": "../../../etc"}
    found = changed(copied, members=[outside, *members[1:], "text", {"name": 7, "over": 3}])
    assert [m["run"] for m in found["members"]][:2] == ["", identity("betas/beta-0.5_seed-1")]
    assert [m["state"] for m in found["members"]] == ["waiting", "done", "done", "done", "waiting"]


def test_a_sweep_whose_process_is_gone_is_stopped(copied: Path) -> None:
    assert changed(copied, state="running")["state"] == "running"
    path = copied / "betas" / "sweep.json"
    before = time.time() - QUIET_S - 1
    os.utime(path, (before, before))
    found = sweeps(copied).of(identity("betas"))
    assert found["state"] == "stopped" and "process is gone" in found["why"]


@pytest.mark.parametrize("content", ["{", "[]", '{"members": 3}', '{"members": [{"over": [], "metrics": 1}]}'])
def test_a_damaged_sweep_is_a_row_and_the_others_stay(copied: Path, content: str) -> None:
    (copied / "hurt").mkdir()
    (copied / "hurt" / "sweep.json").write_text(content)
    listed = sweeps(copied)
    assert {row["name"] for row in listed.listed()} == {"betas", "hurt"}
    json.dumps(listed.of(identity("hurt")))
    with pytest.raises(Missing):
        listed.of("0" * 16)


def test_a_stopped_sweep_goes_on_by_the_command_it_was_begun_with(copied: Path) -> None:
    id, runs = identity("betas"), copied / "betas"
    shutil.rmtree(runs / "beta-4_seed-1")
    members = [{**m, "state": "waiting"} for m in json.loads((runs / "sweep.json").read_text())["members"]]
    assert changed(copied, state="stopped", members=members)["counts"] == {"done": 3, "waiting": 1}
    name, path, words = sweeps(copied).again(id)
    assert (name, path) == ("betas", runs) and words[:3] == ["sweep", "beta_vae", "digits"]
    assert words[-3:] == ["--run", str(runs), "--or-resume"]
    assert main(words) == 0
    found = sweeps(copied).of(id)
    assert found["state"] == "done" and found["counts"] == {"done": 4}


@pytest.mark.parametrize(
    "command", ["", "elboroom sweep --over 'beta=1'", "elboroom sweep vae a.csv --config c.toml", "'"]
)
def test_a_command_that_a_page_cannot_repeat_is_left_to_a_terminal(copied: Path, command: str) -> None:
    changed(copied, command=command)
    with pytest.raises(InputError, match="in a terminal"):
        sweeps(copied).again(identity("betas"))


def test_a_thousand_members_are_told_in_a_second(copied: Path) -> None:
    members = json.loads((copied / "betas" / "sweep.json").read_text())["members"]
    many = [{**members[i % 4], "over": {"beta": float(i // 2)}, "seed": i % 2} for i in range(1000)]
    changed(copied, members=many)
    listed = sweeps(copied)
    listed.of(identity("betas"))
    start = time.process_time()
    assert len(listed.of(identity("betas"))["table"]) == 500
    assert time.process_time() - start < 1


# -- in a browser ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def server(failing: Path) -> Iterator[Server]:
    server = Server(failing)
    yield server
    server.end()


@pytest.fixture
def entered(chromium: Browser, server: Server) -> Iterator[Browser]:
    chromium.size(1344, 896)
    chromium.prefer(prefers_color_scheme="light")
    chromium.faults.clear()
    chromium.open(server.address)
    chromium.wait("document.querySelector('tr[data-id]')")
    yield chromium
    assert chromium.faults == []


def shot(page: Browser, name: str) -> None:
    if SHOTS:
        page.shot(Path(SHOTS) / f"{name}.png")


def test_a_point_is_read_and_opened_by_keys_and_two_settings_are_picked(entered: Browser, server: Server) -> None:
    entered.open(f"{server.root}/sweeps")
    entered.click("a.name", "betas")
    entered.see("4 of 4 runs")
    front = entered.run("document.querySelector('[data-front]')?.dataset.front")
    points = entered.run("document.querySelectorAll('[data-point]').length")
    assert points == 2 and front in (None, "0,1", "1,0")
    shot(entered, "sweep")
    entered.run("document.querySelector('.chart svg[tabindex]').focus()")
    entered.press("ArrowRight")
    entered.see("Enter: open the 2 runs")
    for key in ("x", "ArrowRight", "x"):
        entered.press(key)
    entered.see("2 settings picked")
    assert entered.run("new URLSearchParams(location.search).get('pick').split(',').sort().join()") == "0,1"
    assert not entered.run("[...document.querySelectorAll('.foot button')].at(-1).disabled")
    entered.press("Enter")
    entered.wait("location.pathname === '/'")
    entered.see("2 shown")


def test_a_front_holds_what_no_other_point_beats_in_both(entered: Browser) -> None:
    script = "import('/static/sweep.js').then((m) => m.pareto({points}, '{x}', '{y}'))"
    points = [[1, 5, 0], [2, 3, 1], [3, 3, 2], [4, 1, 3], [2, 6, 4]]
    assert entered.run(script.format(points=points, x="less", y="less")) == [0, 1, 3]
    assert entered.run(script.format(points=points, x="more", y="more")) == [3, 2, 4]
    assert entered.run(script.format(points=points, x="", y="more")) == []


def test_failed_members_are_crosses_with_their_message(entered: Browser, server: Server) -> None:
    entered.open(f"{server.root}/sweeps/{identity('rates')}")
    entered.see("1 failed, left out of all means")
    assert entered.run("document.querySelector('.square i.failed').textContent") == "×"
    assert "nan" in entered.run("document.querySelector('td.bad').textContent")
    shot(entered, "sweep-failed")
    assert b"1e+30" in server.ask("GET", f"/api/sweeps/{identity('rates')}/report")[1]
    answer = server.post(f"/api/sweeps/{identity('betas')}/resume", {"key": "a-key-of-this-test"})
    assert answer["command"].startswith("elboroom sweep beta_vae digits --over") and "--or-resume" in answer["command"]
    end = time.monotonic() + 60
    while (job := server.get(f"/api/sweeps/{identity('betas')}")["job"])["alive"] and time.monotonic() < end:
        time.sleep(0.3)
    assert not job["alive"] and not any(row["name"] == "betas" for row in server.get("/api/runs")["runs"])
    entered.click(".square i.failed")
    entered.wait("location.pathname.startsWith('/runs/')")


@pytest.mark.slow
def test_on_a_phone_nothing_of_a_sweep_is_cut_off(entered: Browser, server: Server) -> None:
    entered.size(390, 844)
    for path in ("/sweeps", f"/sweeps/{identity('betas')}", f"/sweeps/{identity('rates')}"):
        entered.open(server.root + path)
        entered.wait("document.querySelector('main h1')")
        time.sleep(0.5)
        assert entered.run("document.documentElement.scrollWidth") <= 390
