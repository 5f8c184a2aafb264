"""The studio's pages in a browser: what a person does with them, and what they look like at the end."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import elboroom.report
from studio_browser import Browser
from studio_server import Server

SHOTS = os.environ.get("ELBOROOM_SHOTS", "")
"""A folder that keeps the pictures of these tests, to be looked at."""


def shot(page: Browser, name: str, tmp_path: Path, *, whole: bool = False) -> np.ndarray:
    path = (Path(SHOTS) if SHOTS else tmp_path) / f"{name}.png"
    page.shot(path, whole=whole)
    return np.asarray(Image.open(path).convert("RGB"))


def open_run(page: Browser, name: str) -> None:
    page.click("a.name", name)
    page.wait("document.querySelector('.tabs a')")


def test_the_list_and_a_run_are_shown_with_a_sentence_and_curves(page: Browser, tmp_path: Path) -> None:
    page.see("3 in this folder")
    page.see("cannot be read: run.json, line")
    shot(page, "runs", tmp_path)
    open_run(page, "vae-digits-1")
    page.see("validation")
    page.see("Log-likelihood")
    page.wait("document.querySelectorAll('.chart path').length >= 2")
    page.wait("document.querySelector('img.sheet')?.naturalWidth > 0")
    label = page.run("document.querySelector('.chart svg').getAttribute('aria-label')")
    assert "falls from" in label and "over 4 epoch" in label
    shot(page, "run", tmp_path, whole=True)


def test_numbers_are_written_as_the_reports_write_them(page: Browser) -> None:
    cases = json.loads((Path(elboroom.report.__file__).parent / "numbers.json").read_text())["cases"]
    options = "{form: c.form, unit: c.unit, decimals: c.decimals ?? null}"
    write = f"(m) => {json.dumps(cases)}.map((c) => m.written(c.value, c.low ?? null, c.high ?? null, {options}))"
    script = f"import('/static/numbers.js').then({write})"
    made = [text.replace("\u202f", " ") for text in page.run(script)]
    assert [(c["written"], m) for c, m in zip(cases, made, strict=True) if c["written"] != m] == []


def test_names_from_data_never_become_markup(page: Browser, studio: Server) -> None:
    hostile = "<img src=x onerror=window.hit=1><script>window.hit=1</script>"
    id = studio.upload(f"{hostile}.csv", {"x.csv": f"{hostile},b\n1,2\n".encode()})
    page.open(f"{studio.root}/new?upload={id}")
    page.see("onerror")
    page.open(f"{studio.root}/data")
    page.see("onerror")
    assert page.run("window.hit") is None
    assert page.run("document.querySelectorAll('main img').length") == 0
    page.faults.clear()


def test_keys_alone_open_a_run_read_its_curve_and_come_back(page: Browser) -> None:
    page.press("ArrowDown")
    page.press("x")
    page.see("1 run ticked")
    page.press("x")
    page.press("/")
    page.type("digits-2")
    page.see("1 shown")
    page.press("Enter")
    page.press("Enter")
    page.wait("location.pathname.startsWith('/runs/') && document.querySelector('.chart path')")
    page.run("document.querySelector('.chart svg').focus()")
    page.press("ArrowLeft")
    page.wait("document.querySelector('.read').innerText.includes('epoch')")
    page.press("2")
    page.wait("location.pathname.endsWith('/samples') && document.querySelector('.epochs button')")
    time.sleep(0.3)
    page.press("ArrowLeft")
    page.wait("location.search.includes('at=')")
    page.press("?")
    page.wait("document.querySelector('dialog[open]')")
    page.press("Escape")
    page.wait("!document.querySelector('dialog')")
    page.press("Escape")
    page.wait("location.pathname === '/'")


@pytest.mark.slow
def test_a_phone_shows_nothing_past_its_edge_and_has_large_targets(
    page: Browser, studio: Server, tmp_path: Path
) -> None:
    page.size(390, 844)
    id = studio.run("vae-digits-1")["id"]
    own = {"run": "", "samples": "/samples", "settings": "/settings", "report": "/report"}
    shown = {name: f"/runs/{id}{tab}" for name, tab in own.items()}
    for path in ("/", "/new", "/compare", "/data", "/models"):
        shown[path.strip("/") or "list"] = path
    for name, path in shown.items():
        page.open(studio.root + path)
        page.wait("document.querySelector('main h1')")
        time.sleep(0.5)
        wide = page.run("document.documentElement.scrollWidth")
        shot(page, f"phone-{name}", tmp_path, whole=True)
        assert wide <= 390, f"{path} is {wide} wide"
        small = page.run("""[...document.querySelectorAll('main button, main select, main a.button')].filter((n) =>
            n.offsetParent && n.getBoundingClientRect().height < 43.5 && !n.closest('th')).map((n) => n.textContent)""")
        assert small == [], f"{path}: {small}"


def test_dark_and_light_have_the_paper_of_their_theme(page: Browser, tmp_path: Path) -> None:
    assert tuple(shot(page, "light", tmp_path)[700, 600]) == (0xFB, 0xFB, 0xF9)
    page.prefer(prefers_color_scheme="dark")
    open_run(page, "vae-digits-1")
    page.see("Measures")
    time.sleep(0.5)
    assert tuple(shot(page, "dark", tmp_path)[60, 3]) == (0x12, 0x14, 0x17)


@pytest.mark.slow
def test_two_ticked_runs_are_compared(page: Browser, studio: Server, tmp_path: Path) -> None:
    for name in ("vae-digits-1", "vae-digits-2"):
        page.click(f"input[aria-label='tick {name}']")
    page.see("same data")
    page.click(".foot button", "Compare")
    page.wait("document.querySelector('iframe.page')", 300)
    page.see("elboroom compare runs/vae-digits-1 runs/vae-digits-2")
    page.see("Curves on one x")
    time.sleep(2)
    shot(page, "compare", tmp_path)
    html = page.run("fetch(document.querySelector('a[download]').href).then((r) => r.text())")
    assert "vae-digits-1" in html and "vae-digits-2" in html
    source, here, wide, high = page.run("""(() => { const f = document.querySelector('iframe')
        return [f.src, location.href, f.clientWidth, f.clientHeight] })()""")
    name = "document.querySelector('button[data-open]').getBoundingClientRect()"
    page.size(wide, high)
    page.open(source)  # alone it is laid out as in the frame
    page.wait("document.readyState === 'complete' && document.querySelector('button[data-open]')")
    x, y = page.run(f"(r => [r.x + r.width / 2, r.y + r.height / 2])({name})")
    page.size(1344, 896)
    page.open(here)
    page.wait("document.querySelector('iframe.page')")
    left, top = page.run("""(() => { const f = document.querySelector('iframe'); f.scrollIntoView()
        return [f.getBoundingClientRect().x + 1, f.getBoundingClientRect().y + 1] })()""")
    for _ in range(30):  # until the frame is there
        time.sleep(1)
        for kind in ("mousePressed", "mouseReleased"):
            page._call("Input.dispatchMouseEvent", type=kind, x=left + x, y=top + y, button="left", clickCount=1)
        if page.run("location.pathname") != "/compare":
            break
    page.wait(f"location.pathname === '/runs/{studio.run('vae-digits-1')['id']}'")


@pytest.mark.slow
def test_a_dropped_folder_of_pictures_becomes_a_finished_run(
    page: Browser, studio: Server, pictures: Path, tmp_path: Path
) -> None:
    page.press("n")
    page.wait("document.querySelector('input[webkitdirectory]')")
    page.choose("input[webkitdirectory]", pictures)
    page.see("is read as pictures: 8 × 8 pixels, grey")
    page.see("2 classes: high, low")
    assert page.run("document.querySelectorAll('.thumbs img').length") == 12
    page.click("#model-vae")
    page.wait("document.querySelector('#set-latent')")
    page.click("#settings")
    page.wait("document.querySelector('#set-latent').checkVisibility()")
    page.fill("#set-latent", "0")
    page.see("needs a change before this can start")
    assert "does not fit" in page.wait("document.querySelector('#set-latent-said').textContent")
    shot(page, "new-error", tmp_path)
    page.fill("#set-latent", "3")
    page.fill("#budget", "3")
    page.wait("!document.querySelector('#start').disabled")
    assert "--latent 3 --epochs 3" in page.run("document.querySelector('.command textarea').value")
    shot(page, "new", tmp_path)
    page.run("(() => { const b = document.querySelector('#start'); b.click(); b.click() })()")
    page.wait("location.pathname.startsWith('/runs/')")
    page.see("done")
    page.see("Measures")
    shot(page, "dropped-pictures", tmp_path)
    rows = [row for row in studio.get("/api/runs")["runs"] if "marks" in row["name"]]
    assert len(rows) == 1, "a double press is one start"
    page.click(".tabs a", "Report")
    page.wait("document.querySelector('iframe.page')")


@pytest.mark.slow
def test_a_dropped_table_becomes_a_finished_run(page: Browser, studio: Server, table: Path, tmp_path: Path) -> None:
    page.click("a.button", "New run")
    page.wait("document.querySelector('input[type=file]')")
    page.choose("input[type=file]", table)
    page.see("is read as a table")
    page.see("1 cell")
    page.click("#model-vae")
    page.wait("document.querySelector('#set-latent')")
    role = "select[aria-label='ward is used as']"
    out = "s.value = 'out'; s.dispatchEvent(new Event('change'))"
    page.run(f'(() => {{ const s = document.querySelector("{role}"); {out} }})()')
    page.wait("document.querySelector('.command textarea').value.includes('--columns')")
    page.wait(f"document.querySelector(\"{role}\")?.value === 'out'")
    page.see("parameters", 60)
    assert page.wait("/steps?, .*of memory/.test(document.querySelector('#foretold').textContent)")
    shot(page, "new-table", tmp_path)
    line = page.run("document.querySelector('.command textarea').value").replace("fit vae", "fit autoencoder")
    page.run("(() => { const t = document.querySelector('.command textarea'); t.focus(); t.select() })()")
    page.type(f"{line} --latent 1 --epochs 3")
    page.run("document.querySelector('.command textarea').dispatchEvent(new Event('paste'))")
    page.wait("document.querySelector('#set-latent')?.value === '1'")
    assert page.run("document.querySelector('#budget').value") == "3"
    page.wait("!document.querySelector('#start').disabled")
    page.click("#start")
    page.wait("location.pathname.startsWith('/runs/')")
    page.see("done")
    page.see("Variance explained")
    assert "autoencoder" in page.run("document.querySelector('h1').textContent"), "what was pasted is what starts"
    shot(page, "dropped-table", tmp_path)


@pytest.mark.slow
def test_a_reload_in_mid_training_keeps_the_view_and_stop_and_resume_work(
    page: Browser, studio: Server, tmp_path: Path
) -> None:
    page.open(f"{studio.root}/new?set=digits&model=vae&epochs=4000")
    page.wait("document.querySelector('#start') && !document.querySelector('#start').disabled")
    page.click("#start")
    page.wait("location.pathname.startsWith('/runs/')")
    page.see("live, last step")
    page.wait("document.querySelectorAll('.chart path').length >= 2")
    page.wait("parseFloat(document.querySelector('.facts b').textContent) > 2")
    page.run("history.replaceState(null, '', location.pathname + '?x=step&zoom=10,200')")
    page.reload()
    page.see("live, last step")
    page.wait("document.querySelector('.chart path')")
    assert page.run("location.search") == "?x=step&zoom=10,200"
    assert page.run("[...document.querySelectorAll('.controls select')].some((s) => s.value === 'step')")
    name = page.run("document.querySelector('h1').textContent")
    shot(page, "live", tmp_path, whole=True)
    page.press("s")
    page.wait("document.querySelector('dialog[open]')")
    page.press("Enter")
    page.see("Resume")
    page.see("Stopped at step")
    assert studio.run(name)["state"] == "stopped"
    shot(page, "stopped", tmp_path)
    page.click("#resume")
    page.see("live, last step")
    studio.post(f"/api/runs/{studio.run(name)['id']}/stop", {})
    studio.until(name, "stopped")
    assert len([r for r in studio.get("/api/runs")["runs"] if r["name"] == name]) == 1


@pytest.mark.slow
def test_a_failing_run_and_a_failing_start_are_shown_with_their_message(
    page: Browser, studio: Server, tmp_path: Path
) -> None:
    page.open(f"{studio.root}/new?set=digits&model=vae&epochs=30")
    page.wait("document.querySelector('#set-lr')")
    page.click("#settings")
    page.wait("document.querySelector('#set-lr').checkVisibility()")
    page.fill("#set-lr", "1e30")
    page.wait("!document.querySelector('#start').disabled")
    page.click("#start")
    page.wait("document.querySelector('.failure[role=alert]')")
    page.see("finite")
    shot(page, "failed", tmp_path)
    key = "failing-start-1"
    studio.post("/api/start", {"key": key, "model": "gpt", "data": {"set": "digits"}, "options": {"dropout": "0.3"}})
    page.open(studio.root)
    page.see("gpt-digits-1")
    page.click("a.name", "gpt-digits-1")
    page.see("What is kept")
    page.click("a", "Change and start again")
    page.wait("document.querySelector('[id^=model-][aria-pressed=true]') || document.querySelector('#command')")
    page.wait("JSON.parse(sessionStorage.getItem('new run') ?? '{}').data?.set === 'digits'")
    assert page.run("JSON.parse(sessionStorage.getItem('new run')).options") == {"dropout": "0.3"}
    page.run("history.back()")
    page.see("What is kept")
    page.click("button", "Take it off the list")
    page.wait("location.pathname === '/'")
    page.wait("!document.querySelector('main').innerText.includes('gpt-digits-1')")


@pytest.mark.slow
def test_a_page_without_its_studio_says_so_and_keeps_what_it_showed(
    page: Browser, studio: Server, tmp_path: Path
) -> None:
    studio.process.send_signal(signal.SIGSTOP)
    try:
        page.wait("!document.getElementById('stale').hidden", 40)
        page.see("trying again")
        assert page.run("document.querySelectorAll('tr[data-id]').length") >= 3
        shot(page, "stale", tmp_path)
    finally:
        studio.process.send_signal(signal.SIGCONT)
    page.wait("document.getElementById('stale').hidden", 30)
