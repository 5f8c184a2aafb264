"""A run in training and the list that holds it, as a page shows them while they change."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from studio_browser import Browser
from studio_server import Server
from studio_training import SAVED, trained

TAKEN = """(() => { window.kept = []
    URL.createObjectURL = (blob) => { blob.text().then((t) => kept.push(t)); return '#' }
    HTMLAnchorElement.prototype.click = () => {} })()"""
"""What the page would save is kept instead."""


@pytest.fixture
def live(studio: Server) -> Iterator[dict[str, object]]:
    """The row of a run that trains."""
    with trained(studio.folder / "vae-digits-1", studio.folder / "live", saves_s=60.0):
        yield studio.until("live", "running")


def stop(studio: Server, live: dict[str, object]) -> None:
    (studio.folder / "live" / SAVED).touch()
    studio.post(f"/api/runs/{live['id']}/stop", {})
    studio.until("live", "stopped")


def test_the_head_of_a_live_run_changes_its_words_and_not_its_buttons(
    page: Browser, studio: Server, live: dict[str, object]
) -> None:
    page.open(f"{studio.root}/runs/{live['id']}")
    page.see("live, last step")
    page.see("validation, so far")
    page.run("window.held = [document.querySelector('#stop'), document.querySelector('#tab-log')], held[1].focus()")
    before = page.run("document.querySelector('.facts').innerText")
    page.wait(f"document.querySelector('.facts').innerText !== {json.dumps(before)}")
    page.wait("document.querySelector('.facts').innerText.includes('ends about')")
    assert page.run("held[0] === document.querySelector('#stop') && document.activeElement === held[1]")
    assert "images/s" in page.text()
    page.press(".")
    page.wait("location.search.includes('follow=1') && document.querySelector('#follow').ariaPressed === 'true'")
    page.press("0")
    page.wait("!location.search.includes('follow')")
    page.run("history.back()")
    page.press("s")
    page.wait("document.querySelector('dialog[open]')")
    page.press("Enter")
    page.see("Stopping…")
    page.reload()
    page.see("press again to end without saving")
    (studio.folder / "live" / SAVED).touch()
    page.see("Stopped by a signal.")


@pytest.mark.slow
def test_a_resume_that_fails_is_told_and_can_be_tried_again(
    page: Browser, studio: Server, live: dict[str, object]
) -> None:
    stop(studio, live)
    run = json.loads((studio.folder / "live" / "run.json").read_text())
    run["data"] = {**run["data"], "source": "/nowhere/digits.csv", "named": False}
    (studio.folder / "live" / "run.json").write_text(json.dumps(run))
    page.open(f"{studio.root}/runs/{live['id']}")
    page.click("#resume")
    page.see("Resuming…")
    page.see("When it was last resumed", 90)
    assert "/nowhere/digits.csv" in page.run("document.querySelector('.failure').innerText")
    page.reload()
    page.see("When it was last resumed")
    jobs = studio.folder / ".studio" / "jobs"
    before = set(jobs.glob("*/job.json"))
    page.click("#resume")
    page.see("Resuming…")
    end, begun = time.monotonic() + 20, set(before)
    while begun == before or not all("pid" in json.loads(path.read_text()) for path in begun):
        assert time.monotonic() < end, "a press after a failure is a new one"
        time.sleep(0.1)
        begun = set(jobs.glob("*/job.json"))
    for path in begun - before:
        os.kill(json.loads(path.read_text())["pid"], signal.SIGKILL)
    page.see("When it was last resumed")
    studio.post(f"/api/runs/{live['id']}/forget", {})


def test_a_failed_run_without_a_saved_state_offers_no_way_on(page: Browser, studio: Server) -> None:
    shutil.copytree(studio.folder / "vae-digits-1", studio.folder / "lost", ignore=shutil.ignore_patterns("step-*"))
    meta = json.loads((studio.folder / "lost" / "run.json").read_text())
    (studio.folder / "lost" / "run.json").write_text(json.dumps({**meta, "state": "failed", "why": "it broke"}))
    try:
        page.open(f"{studio.root}/runs/{studio.run('lost')['id']}")
        page.see("Start it again with other settings")
        assert page.run("document.querySelector('#resume')") is None
        page.open(f"{studio.root}/runs/{studio.run('broken')['id']}")
        page.see("Cannot be read: run.json, line 3")
        assert "undefined" not in page.text()
    finally:
        shutil.rmtree(studio.folder / "lost")


def test_a_chart_gives_its_rows_its_drawing_and_the_sheet_of_an_epoch(page: Browser, studio: Server) -> None:
    page.open(f"{studio.root}/runs/{studio.run('vae-digits-1')['id']}")
    page.wait("document.querySelectorAll('.chart path').length >= 2")
    page.run(TAKEN)
    page.click(".chart .keep button", "csv")
    table = str(page.wait("kept[0]")).splitlines()
    logged = (studio.folder / "vae-digits-1" / "history.jsonl").read_text().splitlines()
    assert table[0] == "step,epoch,time_s,train/loss_nats,valid/loss_nats" and len(table) == 1 + len(logged)
    assert float(table[-1].split(",")[-1]) == json.loads(logged[-1])["valid/loss_nats"]
    page.click(".chart .keep button", "svg")
    drawing = str(page.wait("kept[1]"))
    assert drawing.startswith("<svg") and "var(" not in drawing and "rgb(" in drawing
    asked = [a for a in page.requests if "/history?" in a]
    assert all("name=" in a for a in asked), "only what is shown is asked for"
    page.run("document.querySelector('.chart svg').focus()")
    page.press("ArrowLeft")
    for _ in range(3):
        page.press("ArrowLeft")
    page.press("Enter")
    page.wait("location.search.includes('at=1') && document.body.innerText.includes('same draws each time, epoch 1')")
    page.run("history.back()")
    page.wait("document.body.innerText.includes('same draws each time, epoch 4')")


def test_samples_say_their_seed_and_their_true_size_and_stand_side_by_side(page: Browser, studio: Server) -> None:
    page.open(f"{studio.root}/runs/{studio.run('vae-digits-1')['id']}/samples")
    page.see("seed 0")
    width = "document.querySelector('.sheets img').getBoundingClientRect().width"
    page.click("#times-2")
    page.see("each pixel 2×")
    page.wait(f"Math.round({width}) === 8 * 8 * 2")
    page.run("document.querySelector('#at-0').dispatchEvent(new MouseEvent('click', {bubbles: true, shiftKey: true}))")
    page.wait("document.querySelectorAll('.sheets img').length === 2 && location.search.includes('beside=0')")
    page.click(".sheets img")
    page.see("each pixel 12×")
    assert page.run("document.querySelector('main canvas').getBoundingClientRect().width") == 8 * 12


def test_the_list_is_left_and_found_again_as_it_was(page: Browser, studio: Server) -> None:
    page.click("input[aria-label='tick vae-digits-1']")
    page.click("input[aria-label='tick vae-digits-2']")
    page.run("history.back()")
    page.wait("document.querySelectorAll('tr.ticked').length === 1")
    page.run("history.forward()")
    page.wait("document.querySelectorAll('tr.ticked').length === 2")
    page.fill("#find", "digits")
    page.see("2 shown")
    page.press("Escape")
    page.press("n")
    page.wait("document.title.startsWith('New run')")
    page.press("Escape")
    page.wait("location.pathname === '/' && document.querySelector('#find')?.value === 'digits'")
    assert page.run("document.querySelectorAll('tr.ticked').length") == 2
    page.run(TAKEN)
    page.click("#export")
    table = str(page.wait("kept[0]")).splitlines()
    rows = [dict(zip(table[0].split(","), line.split(","), strict=True)) for line in table[1:]]
    assert {(row["name"], row["latent"]) for row in rows} == {("vae-digits-1", "2"), ("vae-digits-2", "4")}
    assert all(float(row["elbo_nats_low"]) < float(row["elbo_nats"]) for row in rows)
    page.click("th button", "Headline")
    page.see("↓")
    assert page.run("document.querySelector('#sort-headline').textContent").endswith("↓"), "more is better here"


def test_a_sweep_is_one_row_that_can_be_unfolded(page: Browser, studio: Server) -> None:
    place = studio.folder / "betas"
    for name in ("beta-1", "beta-2"):
        shutil.copytree(studio.folder / "vae-digits-1", place / name, ignore=shutil.ignore_patterns("media", "step-*"))
    members = [{"name": name, "over": {"beta": i}, "seed": 0} for i, name in enumerate(("beta-1", "beta-2", "beta-3"))]
    meta = {"state": "stopped", "model": "vae", "data": "digits", "over": {"beta": [0, 1, 2]}, "members": members}
    (place / "sweep.json").write_text(json.dumps(meta))
    try:
        page.reload()
        page.see("2 of 3 runs")
        assert page.run("document.querySelectorAll('tr.member').length") == 0
        page.see("5 in this folder")
        page.click("button", "show 2 runs")
        page.wait("document.querySelectorAll('tr.member').length === 2 && location.search.includes('open=')")
        page.click("tr[data-to^='/sweeps/'] a.name")
        page.wait("location.pathname.startsWith('/sweeps/')")
    finally:
        shutil.rmtree(place)


def test_a_state_that_changed_while_the_page_was_away_is_shown(
    page: Browser, studio: Server, live: dict[str, object]
) -> None:
    row = f"document.querySelector('tr[data-id=\"{live['id']}\"]')"
    page.wait(f"{row}?.innerText.includes('running')")
    page.run(f"window.held = {row}, held.focus()")
    page.run("dispatchEvent(new Event('pagehide'))")
    stop(studio, live)
    page.wait(f"{row}.innerText.includes('stopped')")
    assert page.run(f"held === {row} && document.activeElement === held"), "a row is filled anew in its place"


def test_text_that_is_dragged_opens_nothing(page: Browser) -> None:
    went = page.run("""(() => { const data = new DataTransfer(); data.setData('text/plain', 'x')
        const event = new DragEvent('drop', {dataTransfer: data, bubbles: true, cancelable: true})
        document.querySelector('#find').dispatchEvent(event); return event.defaultPrevented })()""")
    time.sleep(0.2)
    assert went is False and page.run("location.pathname") == "/"


def test_with_its_studio_gone_a_page_says_so_and_comes_back(chromium: Browser, tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    server = Server(tmp_path / "runs")
    try:
        chromium.open(server.address)
        chromium.see("No runs yet")
    finally:
        server.end()
    chromium.click("nav a", "Data")
    chromium.see("The studio does not answer.")
    assert chromium.run("[...document.querySelectorAll('button')].some((b) => b.textContent === 'Try again')")
    chromium.faults.clear()
