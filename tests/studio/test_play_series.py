"""The pages of play for series and for gates: what a person does, and what is then on the page."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from elboroom.anomalies.events import find_events
from elboroom.data.reading import Reading
from elboroom.fitting import fit
from series_toys import pump_run, write_pump
from studio_browser import Browser
from studio_server import Server
from text_toys import TRAIN, few_drawn

SHOTS = os.environ.get("ELBOROOM_SHOTS", "")
"""A folder that keeps the pictures of these tests, to be looked at."""
JUDGED = "document.querySelector('.play-series:not([hidden]) .drawn svg') && document.querySelector('#alarms')"
READ = "document.querySelector('.play-gates:not([hidden]) .cells svg')"
LOADED_S = 120
"""The first ask loads the run, at a lower priority than everything else."""


@pytest.fixture(scope="module")
def pumps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A studio over a forecaster and a recurrent net on letters; new.csv and other.csv lie beside its folder."""
    above = tmp_path_factory.mktemp("pumps")
    (above / "runs").mkdir()
    pump_run(above / "runs", "pump")
    write_pump(above / "new.csv", 600, [(200, 2), (420, 0)], seed=1)
    write_pump(above / "other.csv", 300, names=("flow", "pressure", "heat"))
    (above / "prose.txt").write_text(TRAIN[:3000], encoding="utf-8")
    settings = {"cell": "peephole", "hidden": 8, "layers": 2}
    with few_drawn():
        fit("charnn", str(above / "prose.txt"), run=above / "runs" / "tale", reading=Reading(window=32), steps=4,
            settings=settings, threads=1)  # fmt: skip
    server = Server(above / "runs")
    yield server
    server.end()


@pytest.fixture
def page(chromium: Browser, pumps: Server) -> Iterator[Browser]:
    """A browser that has entered; at the end no script may have failed."""
    chromium.size(1344, 1000)
    chromium.prefer(prefers_color_scheme="light")
    chromium.faults.clear()
    chromium.open(pumps.address)
    chromium.wait("document.querySelector('tr[data-id]')")
    chromium.run("sessionStorage.clear(), localStorage.clear()")
    yield chromium
    assert chromium.faults == []


def play(page: Browser, pumps: Server, name: str, what: str, query: str = "") -> str:
    id = str(pumps.run(name)["id"])
    page.open(f"{pumps.root}/runs/{id}/play?what={what}{query}")
    page.wait(JUDGED if what == "series" else READ, LOADED_S)
    return id


def shot(page: Browser, name: str, tmp_path: Path) -> None:
    page.shot((Path(SHOTS) if SHOTS else tmp_path) / f"{name}.png", whole=True)


def search(page: Browser) -> dict[str, str]:
    found: dict[str, str] = page.run("Object.fromEntries(new URLSearchParams(location.search))")
    return found


def slide(page: Browser, place: str) -> str:
    """Move the rate; gives what the heading then says."""
    page.run(f"document.querySelector('#alarms').value = {place}")
    page.run("document.querySelector('#alarms').dispatchEvent(new Event('input'))")
    return str(page.run("document.querySelector('.play-series>h2').innerText"))


def test_a_dropped_file_has_its_events_and_one_can_be_marked(page: Browser, pumps: Server, tmp_path: Path) -> None:
    id = play(page, pumps, "pump", "series")
    page.see("learnt from")
    page.choose("#series-file", pumps.folder.parent / "new.csv")
    page.wait(f"{JUDGED} && document.querySelector('.play-series>h2').innerText.includes('in new')")
    page.wait("document.querySelectorAll('.events tbody tr').length >= 2")
    page.wait("document.querySelectorAll('.drawn .badge').length >= 2")
    least, most = (int(slide(page, place).split()[0]) for place in ("document.querySelector('#alarms').max", "0"))
    assert most >= least >= 2
    page.wait("!!new URLSearchParams(location.search).get('alarms')")
    page.press("j")
    page.press("k")
    first = page.wait("new URLSearchParams(location.search).get('event')")
    page.wait("document.body.innerText.includes('was expected')")
    page.click(".events button", "Not an event")
    page.see("1 marked as none")
    assert "not an event" in pumps.ask("GET", f"/api/runs/{id}/labels.csv")[1].decode()
    page.reload()
    page.wait(JUDGED, LOADED_S)
    page.see("1 marked as none")
    assert search(page)["event"] == first
    page.click(".events button", "An event after all")
    page.wait("!document.body.innerText.includes('marked as none')")
    assert pumps.get(f"/api/runs/{id}/labels") == {"marks": []}
    shot(page, "series", tmp_path)


@pytest.mark.slow
def test_zoom_is_kept_in_the_address_and_values_are_read_by_keys(page: Browser, pumps: Server) -> None:
    play(page, pumps, "pump", "series", "&rows=640-760")
    page.see("From 2026-01-05 10:40 to 2026-01-06 06:30")
    page.run("document.querySelector('.play-series .chart>.drawn').focus()")
    page.press("ArrowRight")
    page.wait("/flow [0-9.]+, expected [0-9.]+/.test(document.querySelector('.chart .read').innerText)")
    page.press("0")
    page.wait("!location.search.includes('rows')")
    page.see("From 2026-01-01 00:00")


def test_the_page_finds_the_events_that_python_finds(page: Browser) -> None:
    rng = np.random.default_rng(3)
    cases: list[dict[str, Any]] = []
    for _ in range(200):
        score = rng.gamma(2.0, 1.0, int(rng.integers(1, 120)))
        score[rng.random(len(score)) < rng.choice([0.0, 0.1, 0.6])] = np.nan
        given = {"merge": int(rng.integers(1, 9)), "gap": int(rng.integers(1, 12)), "first": int(rng.integers(0, 30))}
        threshold = float(rng.uniform(0.5, 5))
        usable = np.arange(len(score)) >= given["first"]
        found = find_events(score, threshold, usable=usable, merge=given["merge"], gap=given["gap"])
        values = [None if np.isnan(s) else float(s) for s in score]
        events = [[e.start, e.stop, e.peak] for e in found]
        cases.append({"score": values, "threshold": threshold, "given": given, "events": events})
    assert sum(len(case["events"]) for case in cases) > 500
    asked = json.dumps([{key: case[key] for key in ("score", "threshold", "given")} for case in cases])
    of_one = "m.findEvents(c.score.map((s) => s ?? NaN), c.threshold, c.given).map((e) => [e.start, e.stop, e.peak])"
    made = page.run(f"import('/static/play-series.js').then((m) => {asked}.map((c) => {of_one}))")
    assert made == [case["events"] for case in cases]


@pytest.mark.slow
def test_columns_that_differ_stand_side_by_side(page: Browser, pumps: Server, tmp_path: Path) -> None:
    play(page, pumps, "pump", "series")
    page.choose("#series-file", pumps.folder.parent / "other.csv")
    page.see("1 of the run's 3 channels are not here: 'load'")
    rows = page.run("[...document.querySelectorAll('tbody tr')].map((r) => [...r.cells].map((c) => c.innerText))")
    assert rows[:2] == [["load", "not there"], ["not there", "pressure"]]
    assert ["flow", "flow"] in rows
    shot(page, "series-differs", tmp_path)
    page.click("button", "The run’s own data")
    page.wait(JUDGED)


def test_the_drawing_follows_the_step_and_the_unit(page: Browser, pumps: Server, tmp_path: Path) -> None:
    play(page, pumps, "tale", "gates", "&layer=2&unit=3&t=20")
    steps = "[...document.querySelectorAll('.cell')].map((c) => c.querySelector('.label text').textContent)"
    assert page.run(steps) == ["step 19", "step 20"]
    value = "document.querySelectorAll('.cell')[1].querySelector('.value[data-name=kept] text').textContent"
    before = page.run(value)
    page.press("ArrowRight")
    page.wait(f"{steps}[1] === 'step 21'")
    assert page.run(value) != before
    assert "c[20], what is kept = " in page.run(value)
    page.wait("new URLSearchParams(location.search).get('t') === '21'")
    page.press("c")
    page.wait("new URLSearchParams(location.search).get('t') !== '21'")
    page.fill("#unit", "5")
    page.press("Enter")
    page.see("unit 5 of 8")
    assert page.run("document.querySelectorAll('.tokens .on').length") == 2
    shades = """(() => { const c = document.querySelector('.heat canvas'), d = c.getContext('2d').getImageData(0, 0,
        c.width, c.height).data; return new Set(Array.from({length: d.length / 4}, (_, i) => d[4 * i])).size })()"""
    assert page.run(shades) > 4
    shot(page, "gates", tmp_path)
    page.fill("#steps", "2500")
    page.press("Enter")
    page.see("a pass has at most 2,000 steps, and 2,500 were asked for")


@pytest.mark.slow
def test_stepping_and_moving_the_threshold_keep_their_budgets(page: Browser, pumps: Server) -> None:
    play(page, pumps, "pump", "gates", "&from=0&steps=850")
    timed = """(() => {{ const s = document.querySelector('{what}'), out = []
        for (let i = 0; i < 40; i++) {{ s.value = {value}; const t = performance.now()
        s.dispatchEvent(new Event('input')); document.body.offsetHeight; out.push(performance.now() - t) }}
        out.sort((a, b) => a - b); return [out[19], out[37]] }})()"""
    step_ms = page.run(timed.format(what="#step", value="100 + i"))
    play(page, pumps, "pump", "series")
    move_ms = page.run(timed.format(what="#alarms", value="i % 2 ? 0 : s.max"))
    said = "{} {:.0f} ms, 95 of 100 times within {:.0f} ms"
    print(said.format("a step of the cell", *step_ms), said.format("a move of the threshold", *move_ms), sep="\n")
    assert step_ms[0] < 50
    assert move_ms[0] < 30


@pytest.mark.slow
@pytest.mark.parametrize(("name", "what"), [("pump", "series"), ("pump", "gates"), ("tale", "gates")])
def test_a_phone_and_the_dark_show_the_same(page: Browser, pumps: Server, tmp_path: Path, name: str, what: str) -> None:
    page.prefer(prefers_color_scheme="dark")
    play(page, pumps, name, what)
    time.sleep(0.5)
    shot(page, f"{what}-{name}-dark", tmp_path)
    page.prefer(prefers_color_scheme="light")
    page.size(390, 844)
    play(page, pumps, name, what)
    time.sleep(0.5)
    shot(page, f"{what}-{name}-phone", tmp_path)
    assert page.run("document.documentElement.scrollWidth") <= 390
    small = page.run("""[...document.querySelectorAll('main button, main select')].filter((n) => n.offsetParent &&
        n.getBoundingClientRect().height < 43.5 && !n.closest('th')).map((n) => n.textContent)""")
    assert small == []
