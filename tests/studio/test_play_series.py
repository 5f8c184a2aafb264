"""The pages of play for series and for gates: what a person does, and what is then on the page."""

from __future__ import annotations

import csv
import io
import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from elboroom.anomalies.events import Event, find_events
from elboroom.anomalies.shifts import BACK, Shift, mark
from elboroom.data.reading import Reading
from elboroom.fitting import fit
from elboroom.run import load
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


def saved(page: Browser, name: str) -> list[dict[str, str]]:
    """The rows of a file that the page saves."""
    page.run("""window.made = null; URL.createObjectURL = (blob) => { blob.text().then((t) => { window.made = t })
        return '#' }""")
    page.run("addEventListener('click', (e) => { if (e.target.download) e.preventDefault() }, {capture: true})")
    page.click("button", name)
    return list(csv.DictReader(io.StringIO(page.wait("window.made"))))


def slide(page: Browser, place: str) -> str:
    """Move the rate; gives what the heading then says."""
    page.run(f"document.querySelector('#alarms').value = {place}")
    page.run("document.querySelector('#alarms').dispatchEvent(new Event('input'))")
    return str(page.run("document.querySelector('.play-series>h2').innerText"))


def test_a_dropped_file_has_its_events_and_one_can_be_marked(page: Browser, pumps: Server, tmp_path: Path) -> None:
    id = play(page, pumps, "pump", "series")
    page.see("learnt from")
    assert page.run("document.querySelector('.play-series~details').open") is False
    page.drop(640, 900, pumps.folder.parent / "new.csv")
    page.wait(f"{JUDGED} && document.querySelector('.play-series>h2').innerText.includes('in new')")
    assert page.run("location.pathname").endswith("/play")
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
    page.see("elboroom detect new.csv --run runs/pump --alarms-per-day ")
    rows = saved(page, "events.csv")
    shown = page.run("[...document.querySelectorAll('.events tbody tr')].map((r) => r.cells[1].innerText.trim())")
    assert [row["start"][:16].replace("T", " ") for row in rows] == shown
    judged = load(pumps.folder / "pump").detect(pumps.folder.parent / "new.csv").judged[0]
    scores = np.array([float(row["score"] or "nan") for row in saved(page, "scores.csv")])
    np.testing.assert_allclose(scores, judged.score, rtol=1e-12)


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
    for field, text in (("#from", "2026-01-05 10:35"), ("#to", "2026-01-05")):
        page.wait(f"document.querySelector('{field}').value")
        page.fill(field, text)
        page.press("Enter")
    page.see("From 2026-01-05 10:40 to 2026-01-05 23:50")
    page.wait("location.search.includes('rows=640-720')")
    page.fill("#to", "soon")
    page.press("Enter")
    page.see("a time is written as 2026-01-31 14:05")
    page.run("document.activeElement.blur()")
    page.press("]")
    page.wait("location.search.includes('rows=648-728')")
    page.press("[")
    page.click("#whole")
    page.wait("!location.search.includes('rows')")


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


def test_the_page_calls_an_event_a_shift_where_python_does(page: Browser) -> None:
    rng = np.random.default_rng(5)
    cases, expected = [], []
    for _ in range(300):
        begin, length, rows = int(rng.integers(0, 50)), int(rng.integers(1, 30)), rng.integers(0, 60, (3, 2))
        shifts = [Shift(int(row.min()), int(row.max()), tuple(rng.normal(size=2).tolist())) for row in rows]
        if rng.random() < 0.5:  # it came back, nearly
            shifts[1] = replace(shifts[1], sizes=tuple(-0.9 * size for size in shifts[0].sizes))
        (event,) = mark([Event(begin, begin + length, begin, 1.0)], shifts)
        expected.append(event.kind == "shift")
        told = [{"start": one.start, "row": one.row, "sizes": one.sizes} for one in shifts]
        cases.append([{"start": begin, "stop": begin + length}, told, BACK])
    assert 20 < sum(expected) < 280
    made = page.run(f"import('/static/play-series.js').then((m) => {json.dumps(cases)}.map((c) => m.hasMoved(...c)))")
    assert made == expected


def test_a_table_disarms_names_that_a_spreadsheet_would_run(page: Browser) -> None:
    cells = ["=1+1", "-3", "@now", 'a "b", c', -2.5]
    made = page.run(f"import('/static/play-series.js').then((m) => m.table([{json.dumps(cells)}]))")
    assert made == '\'=1+1,-3,\'@now,"a ""b"", c",-2.5\n'


def test_the_whole_of_its_own_file_can_be_judged(page: Browser, pumps: Server) -> None:
    play(page, pumps, "pump", "series")
    page.see("what came after the rows it learnt from")
    assert page.run("document.querySelector('#unjudged')") is None
    page.click("#judge-whole")
    page.see("The run learnt from 492 of these rows, or its threshold was set on them")
    assert search(page)["whole"] == "1"
    page.reload()
    page.wait(JUDGED, LOADED_S)
    page.see("8 of 900 measurements were not judged: too soon after the start.")
    page.see("elboroom detect pump.csv --run runs/pump")
    assert saved(page, "scores.csv")[0]["value:flow"]
    page.click("#own")
    page.see("what came after the rows it learnt from")
    page.wait(f"{JUDGED} && !document.querySelector('.play-series').innerText.includes('The run learnt from')")
    assert "whole" not in search(page)


def test_where_the_usual_rate_shows_nothing_the_strongest_are_shown(
    page: Browser, pumps: Server, tmp_path: Path
) -> None:
    """A quiet file with a hole and two gaps: the page says what was not judged, and begins where there is an event."""
    lines = write_pump(pumps.folder.parent / "quiet.csv", 600, seed=3).read_text(encoding="utf-8").splitlines()
    torn = pumps.folder.parent / "torn.csv"
    torn.write_text("\n".join([*lines[:51], *lines[52:201], *lines[251:401], *lines[461:]]) + "\n", encoding="utf-8")
    assert load(pumps.folder / "pump").detect(torn).events == 0
    id = play(page, pumps, "pump", "series")
    page.choose("#series-file", torn)
    page.wait(f"{JUDGED} && document.querySelector('.play-series>h2').innerText.includes('in torn')")
    page.see("Too few rows to tell so rare alarms apart; the strongest are shown.")
    page.see("24 of 489 measurements were not judged: too soon after a gap.")
    count = page.run("document.querySelectorAll('.events tbody tr').length")
    assert count >= 1
    place = page.run("Number(document.querySelector('#alarms').value)")
    assert "alarms" not in search(page), "the address keeps only what was chosen"
    assert slide(page, str(place + 1)).startswith("0 events")
    page.see("No judged row has a score above")
    page.wait("location.search.includes('alarms=')")
    assert "strongest" not in page.run("document.querySelector('.play-series').innerText")
    assert page.run("document.querySelectorAll('.play-series path[stroke-dasharray=\"3 3\"]').length") == 2
    upload = search(page)["upload"]
    page.open(f"{pumps.root}/runs/{id}/play?what=series&upload={upload}")
    page.wait(JUDGED, LOADED_S)
    assert page.run("Number(document.querySelector('#alarms').value)") == place
    shot(page, "series-torn", tmp_path)
    page.click("details summary", "How it was set")
    page.see("mpirical quantile")
    row = saved(page, "scores.csv")[250]
    assert (row["row"], row["input_row"], row["value:flow"]) == ("250", "249", f"{float(lines[301].split(',')[1])}")
    assert row["time_given"] == lines[301].split(",")[0]


def test_numbers_of_neighbouring_events_stand_apart(page: Browser) -> None:
    rng = np.random.default_rng(7)
    cases = [sorted(rng.uniform(0, 300, int(rng.integers(1, 14))).tolist()) for _ in range(50)]
    of_one = "m.apart(c, 22, 0, 300)"
    made = page.run(f"import('/static/play-panels.js').then((m) => {json.dumps(cases)}.map((c) => {of_one}))")
    for places, moved in zip(cases, made, strict=True):
        assert all(b - a > 22 - 1e-9 for a, b in pairwise(moved))
        assert moved[0] >= -1e-9
        assert moved[-1] <= 300 + 1e-9
        if all(b - a >= 22 for a, b in pairwise(places)):
            np.testing.assert_allclose(moved, places)


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
    assert "steps" not in search(page), "what could not be read is not in the address"
    page.fill("#steps", "40")
    page.press("Enter")
    page.wait("new URLSearchParams(location.search).get('steps') === '40'")
    page.see("elboroom inspect runs/tale --layer 2 --unit 5 --step ")
    page.open(f"{pumps.root}{page.run('location.pathname')}?what=gates&steps=5000")
    page.see("and 5,000 were asked for")
    assert page.run("document.querySelector('.cells svg')") is None
    page.fill("#steps", "50")
    page.press("Enter")
    page.wait(READ)


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
