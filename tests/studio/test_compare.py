"""Comparisons of a page: what can be compared, one measurement however often it is asked for, giving up, the page."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from elboroom.studio.comparing import Comparisons
from elboroom.studio.shelf import Shelf, identity
from studio_browser import Browser
from studio_server import Server

ONE, TWO = "vae-digits-1", "vae-digits-2"


@pytest.fixture
def halted(studio: Server) -> Iterator[str]:
    """A run that was stopped before it had weights, for one test; its id."""
    place = studio.folder / "halted"
    shutil.copytree(studio.folder / ONE, place, ignore=shutil.ignore_patterns("weights.safetensors", "metrics.json"))
    meta = json.loads((place / "run.json").read_text())
    (place / "run.json").write_text(json.dumps({**meta, "state": "stopped"}))
    yield identity("halted")
    shutil.rmtree(place)


def ids(studio: Server, *names: str) -> list[str]:
    return [str(studio.run(name)["id"]) for name in names]


def children(studio: Server) -> int:
    """Comparisons that this studio measures."""
    found = 0
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_bytes().split(b"\0")
            parent = (place / "stat").read_text().rpartition(")")[2].split()[1]
        except OSError:
            continue
        found += parent == str(studio.process.pid) and b"compare" in words
    return found


def until(studio: Server, id: str, *states: str) -> dict[str, Any]:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        told: dict[str, Any] = studio.get(f"/api/compare/{id}/state")
        if told["state"] in states:
            return told
        time.sleep(0.2)
    raise AssertionError(told)


def test_only_runs_with_weights_can_be_compared_and_the_others_say_why(studio: Server, halted: str) -> None:
    found = studio.get("/api/compare")["runs"]
    assert found[halted]["why"] == "was stopped before its end and has no weights yet; resume it"
    assert found[identity("broken")]["why"] == "cannot be read: run.json, line 3"
    one, two = (found[id] for id in ids(studio, ONE, TWO))
    assert one["why"] == two["why"] == "" and one["data"] == two["data"]


def test_texts_are_the_same_data_under_other_tokenizers(tmp_path: Path) -> None:
    for name, fingerprint, tokens in (("a", "1", "char"), ("b", "2", "bpe"), ("c", "3", "bpe")):
        place = tmp_path / name
        place.mkdir()
        data = {"spec": {"kind": "text"}, "fingerprint": fingerprint, "transform": {"tokenizer": tokens}}
        data["text"] = {"bytes": 7 if name == "c" else 9}
        (place / "run.json").write_text(json.dumps({"state": "done", "data": data}))
        (place / "weights.safetensors").touch()
    found = Comparisons(Shelf(tmp_path), tmp_path).able()["runs"]
    a, b, c = (found[identity(name)] for name in "abc")
    assert a["data"] == b["data"] != c["data"] and a["tokens"] != b["tokens"] == c["tokens"]


@pytest.mark.slow
def test_what_two_pages_ask_for_is_measured_once_and_a_damaged_run_is_left_out(studio: Server) -> None:
    damaged = studio.folder / "damaged"
    shutil.copytree(studio.folder / ONE, damaged)
    (damaged / "weights.safetensors").write_bytes(b"no weights")
    try:
        runs = [*ids(studio, TWO, ONE), identity("damaged")]
        asked = {"runs": runs, "data": {"set": "digits"}}
        assert studio.post("/api/compare", {**asked, "begin": False})["state"] == "none"
        first = studio.post("/api/compare", asked)
        second = studio.post("/api/compare", {**asked, "runs": runs[::-1]})
        assert first["id"] == second["id"] and first["state"] in ("waiting", "running")
        assert {m["key"] for m in first["known"][runs[0]]} > {"elbo_nats", "rate_nats"}
        assert first["command"] == (
            f"elboroom compare {' '.join(f'runs/{name}' for name in (TWO, ONE, 'damaged'))} --data digits"
        )
        until(studio, first["id"], "running")
        time.sleep(1)
        assert children(studio) == 1
        told = until(studio, first["id"], "done", "failed")
        assert told["state"] == "done" and list(told["left_out"]) == [identity("damaged")]
        assert str(studio.folder) not in json.dumps(told)
        again = studio.post("/api/compare", asked)
        assert again["state"] == "done" and again["known"] == {}
    finally:
        shutil.rmtree(damaged)
    view = f"{runs[1]}:7,{runs[0]}:2"
    text = studio.ask("GET", f"/api/compare/{first['id']}?runs={view}")[1].decode()
    head = text.split("<tbody>")[0]
    assert re.findall(r'data-open="(\w+)"', head) == [runs[1], runs[0]]
    assert head.count("trained on these data") == 2 and 'class="c7 fill"' in head and 'class="c2 fill"' in head
    assert 'class="num best"' not in text, "neither is bold that saw the answers"


def test_what_is_given_up_ends_and_is_begun_anew_only_when_asked(studio: Server) -> None:
    runs = ids(studio, ONE, TWO)
    begun = studio.post("/api/compare", {"runs": runs, "data": {"set": "digits"}})
    until(studio, begun["id"], "running")
    studio.post(f"/api/compare/{begun['id']}/end", {})
    told = until(studio, begun["id"], "ended")
    assert told["why"] == "given up"
    end = time.monotonic() + 10
    while children(studio) and time.monotonic() < end:
        time.sleep(0.1)
    assert children(studio) == 0
    assert studio.post("/api/compare", {"runs": runs, "data": {"set": "digits"}, "begin": False})["state"] == "ended"
    assert studio.ask("GET", f"/api/compare/{begun['id']}")[0] == 404
    assert studio.ask("POST", "/api/compare/0000000000000000/end", {})[0] == 404
    assert studio.ask("GET", "/api/compare/0000000000000000/state")[0] == 404


DRAG = """((from, to) => {
    const given = new DataTransfer(), row = (id) => document.querySelector(`tr[data-run="${id}"]`)
    row(from).dispatchEvent(new DragEvent('dragstart', {dataTransfer: given, bubbles: true}))
    row(to).dispatchEvent(new DragEvent('drop', {dataTransfer: given, bubbles: true, cancelable: true}))
})"""
ROWS = "[...document.querySelectorAll('tr[data-run]')].map((r) => r.dataset.run)"


def test_a_chosen_run_keeps_its_slot_and_one_that_cannot_be_compared_says_why(
    page: Browser, studio: Server, halted: str
) -> None:
    one, two = ids(studio, ONE, TWO)
    gone = "0" * 16
    page.open(f"{studio.root}/compare?runs={one},{halted},{gone},{two}")
    page.see("was stopped before its end and has no weights yet")
    page.see("no run of this id is here")
    page.see("Compare 2 runs")
    page.see("differences can be told once all are measured")
    view = "new URLSearchParams(location.search).get('runs')"
    assert page.run(view) == f"{one}:1,{halted},{gone},{two}:2"
    page.click(f"#out-{gone}")
    page.click(f"#up-{two}")
    page.wait(f"{view} === '{one}:1,{two}:2,{halted}'")
    page.run(f"{DRAG}('{two}', '{one}')")
    page.wait(f"{view} === '{two}:2,{one}:1,{halted}'")
    assert page.run(ROWS) == [two, one, halted]
    page.click(f"#out-{one}")
    page.wait(f"{view} === '{two}:2,{halted}'")
    page.click("summary", "Add a run")
    page.click(f"#c-{one}")
    page.wait(f"{view} === '{two}:2,{halted},{one}:1'")
    page.wait("document.querySelector('.chart path')")
    page.click("#measure", "Give up")
    page.see("given up after")
    page.click("#measure", "Compare")
    page.click(".bar a", "Runs")
    page.wait("document.querySelector('tr[data-id]')")
    time.sleep(1)
    assert "runs=" not in page.run("location.search")
