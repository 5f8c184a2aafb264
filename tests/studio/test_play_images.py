"""The pages Manifold, Interpolate and Sample, and the way from a page to the process that holds a run."""

from __future__ import annotations

import http.client
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from elboroom.fitting import fit
from elboroom.studio.playing import KINDS, kinds
from studio_browser import Browser
from studio_server import Server

SHOTS = os.environ.get("ELBOROOM_SHOTS", "")
"""A folder that keeps the pictures of these tests, to be looked at."""
EXACT = "document.querySelector('.manifold')?.innerText.includes('Decoded in')"
GAN = {"latent": 6, "width": 4, "critic_width": 4, "conditional": True}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A studio over a code of two dimensions, and a net that makes digits of noise and class."""
    folder = tmp_path_factory.mktemp("made") / "runs"
    folder.mkdir()
    fit("vae", "digits", run=folder / "plane", settings={"hidden": (16,), "latent": 2}, steps=40, threads=1)
    rows = [f"{i % 7 + i / 100:.2f},{(i * 3) % 11},{('barolo', 'grignolino', 'barbera')[i % 3]}" for i in range(120)]
    (folder.parent / "wine.csv").write_text("\n".join(["alcohol,hue,cultivar", *rows]) + "\n", encoding="utf-8")
    fit("vae", str(folder.parent / "wine.csv"), run=folder / "rows", settings={"hidden": (8,), "latent": 3}, steps=4,
        threads=1)  # fmt: skip
    fit("dcgan", "digits", run=folder / "noise", settings=GAN, steps=4, threads=1)
    server = Server(folder)
    yield server
    server.end()


@pytest.fixture
def page(chromium: Browser, made: Server) -> Iterator[Browser]:
    """A browser that has entered; at the end no script may have failed."""
    chromium.size(1344, 1000)
    chromium.prefer(prefers_color_scheme="light")
    chromium.faults.clear()
    chromium.open(made.address)
    chromium.wait("document.querySelector('tr[data-id]')")
    yield chromium
    assert chromium.faults == []


def play(page: Browser, made: Server, name: str, query: str) -> None:
    page.open(f"{made.root}/runs/{made.run(name)['id']}/play?what={query}")


def shot(page: Browser, name: str, tmp_path: Path) -> None:
    time.sleep(0.4)
    page.shot((Path(SHOTS) if SHOTS else tmp_path) / f"{name}.png", whole=True)


def address(page: Browser) -> dict[str, str]:
    found: dict[str, str] = page.run("Object.fromEntries(new URLSearchParams(location.search))")
    return found


# ---- addresses ----------------------------------------------------------------------------------------------------


def test_a_run_says_which_pages_it_has_and_why_not_the_others(made: Server) -> None:
    plane = made.get(f"/api/runs/{made.run('plane')['id']}/play")
    assert plane["kinds"] == ["manifold", "map", "draw", "interpolate", "samples", "file"]
    assert set(plane["kinds"]) | set(plane["why"]) == set(KINDS) and plane["shape"] == [1, 8, 8]
    assert "these data are images" in plane["why"]["prompt"] and "/" not in json.dumps(plane["why"])
    noise = made.get(f"/api/runs/{made.run('noise')['id']}/play")
    assert noise["kinds"] == ["interpolate", "samples", "file"]
    assert noise["why"]["manifold"].startswith("dcgan cannot decode; aae,")


def test_a_run_without_weights_or_with_networks_of_ones_own_has_none() -> None:
    meta: dict[str, Any] = {"model": "vae", "networks": "", "data": {"spec": {"kind": "images"}}}
    assert kinds(meta, has_weights=True)[0]
    for changed, weights, word in (
        ({}, False, "no weights"),
        ({"networks": "own"}, True, "networks of your own"),
        ({"model": "vea"}, True, "no model 'vea'"),
        ({"data": None}, True, "cannot be read"),
    ):
        able, why = kinds({**meta, **changed}, has_weights=weights)
        assert able == [] and set(why) == set(KINDS) and all(word in reason for reason in why.values())


def test_gates_are_there_for_a_run_whose_cell_has_some() -> None:
    meta: dict[str, Any] = {"model": "forecaster", "networks": "", "data": {"spec": {"kind": "series"}}}
    for cell in ("rnn", "lstm", "peephole", "gru"):
        assert "gates" in kinds({**meta, "settings": {"cell": cell}}, has_weights=True)[0]
    able, why = kinds({**meta, "settings": {"cell": "transformer"}}, has_weights=True)
    assert able == ["series", "file"]
    assert "no gates" in why["gates"]


def test_a_page_asks_by_name_and_names_no_path(made: Server) -> None:
    base = f"/api/runs/{made.run('plane')['id']}/play"
    found = made.post(f"{base}/images/decode", {"z": [0, 0]})
    assert found["x"]["shape"] == [1, 8, 8]
    assert made.get(base)["worker"] == "ready" and made.get(base)["ready"]["seconds"] > 0
    for verb, body, status, word in (
        ("images/decode", {"z": [0]}, 400, "2 numbers"),
        ("images/decode", [], 400, "JSON object"),
        ("images/decode", {"z": [0, 0], "path": "/etc/passwd"}, 400, "upload"),
        ("images/decode", {"z": [0, 0], "upload": "0" * 16}, 404, "nothing of that id"),
        ("images/decode", {"z": [0, 0], "upload": "../../etc"}, 404, "nothing of that id"),
        ("os/system", {}, 400, "nothing to ask"),
        ("images/%2e%2e", {}, 404, "nothing to ask"),
        ("words/about", {}, 409, "vae cannot"),
    ):
        code, said = made.ask("POST", f"{base}/{verb}", body)
        assert (code, word in said["error"]["message"]) == (status, True), said
    assert made.ask("POST", "/api/runs/0123456789abcdef/play/images/about", {})[0] == 404


def test_parts_come_as_lines_and_a_client_that_leaves_ends_them(made: Server) -> None:
    base = f"/api/runs/{made.run('plane')['id']}/play"
    headers = {"Authorization": f"Bearer {made.token}", "Content-Type": "application/json"}
    connection = http.client.HTTPConnection("127.0.0.1", made.port, timeout=60)
    connection.request("POST", f"{base}/codes/map", b"{}", headers)
    answer = connection.getresponse()
    assert answer.getheader("content-type") == "application/x-ndjson"
    assert "part" in json.loads(answer.readline())
    connection.close()
    status, text = made.ask("POST", f"{base}/codes/map", {})
    lines = [json.loads(line) for line in text.splitlines()]
    assert status == 200 and lines[-1] == {"end": True} and all("part" in line for line in lines[:-1])


# ---- pages --------------------------------------------------------------------------------------------------------


def test_a_place_on_the_sheet_is_decoded_as_the_pointer_moves_and_kept_in_the_address(
    page: Browser, made: Server, tmp_path: Path
) -> None:
    play(page, made, "plane", "manifold")
    page.wait(EXACT)
    box = page.run(
        "(({x, y, width, height}) => [x, y, width, height])(document.querySelector('.over').getBoundingClientRect())"
    )
    for i, kind in enumerate(("mousePressed", "mouseMoved", "mouseReleased")):
        at = {"x": box[0] + 44 + (box[2] - 48) * (0.5 + 0.1 * i), "y": box[1] + (box[3] - 36) * 0.25}
        page._call("Input.dispatchMouseEvent", type=kind, button="left", buttons=1, clickCount=1, **at)
    z = [float(v) for v in page.run("[0, 1].map((d) => document.querySelector(`#z-${d}`).value)")]
    assert z == pytest.approx([0.253, 0.674], abs=0.03)  # shares 0.6 and 0.75 of N(0, 1)
    page.wait("document.querySelector('.manifold').innerText.includes('all 1,797 items')")
    page.run("document.querySelector('.over').focus()")
    page.press("ArrowRight")
    page.press("ArrowUp")
    moved = [round(z[0] + 0.05, 3), round(z[1] + 0.05, 3)]
    page.wait(f"location.search.includes('z={moved[0]}%2C{moved[1]}')")
    page.press("a")
    page.fill("#z-0", "-4.5")
    page.press("Tab")
    page.run("document.querySelector('#z-0').dispatchEvent(new Event('change'))")
    page.see("Outside the prior’s 99.9 %")
    page.see("z₁ = −4.50 lies outside the sheet: the mark stands at its edge")
    page.press("Tab")
    page.run("document.activeElement.blur()")
    page.press("b")
    page.wait("document.querySelector('.over polyline')")
    shot(page, "manifold", tmp_path)
    page.press(" ")
    page.wait("document.querySelector('#z-0').value !== '-4.5'")
    page.wait("document.querySelector('#z-0').value === '-4.5'")
    page.wait("location.search.includes('z=-4.5')")
    kept = address(page)
    assert kept["a"] == f"{moved[0]},{moved[1]}" and kept["b"] == kept["z"]
    page.reload()
    page.wait(f"{EXACT} && document.querySelector('.over polyline')")
    assert address(page) == kept and page.run("document.querySelector('#z-0').value") == "-4.5"


def test_without_an_answer_the_last_exact_picture_comes_back_and_the_ask_is_sent_again(
    page: Browser, made: Server
) -> None:
    play(page, made, "plane", "manifold&z=0.5,0.5")
    page.wait(EXACT)
    page.run("""(() => { const fetch = window.fetch
        window.whole = () => { window.fetch = fetch }
        window.fetch = (path, ...more) => /decode/.test(path) ? Promise.reject(new TypeError()) : fetch(path, ...more)
        const at = document.querySelector('.over').getBoundingClientRect()
        document.querySelector('.over').dispatchEvent(new PointerEvent('pointerdown', {pointerId: 1, clientX: at.x + 90,
            clientY: at.y + 30, bubbles: true})) })()""")
    page.see("no answer, trying again in 1 s")
    page.see("What is shown is z = 0.5,0.5.")
    assert page.run("document.querySelector('.big canvas').getAttribute('aria-label')") == "decoded mean of z"
    page.run("whole()")
    page.click("button", "now")
    page.wait("!document.body.innerText.includes('no answer')")
    page.run(f"""import('/static/app.js').then((m) => {{ document.querySelector('#mode-doubt').click()
        m.go('/runs/{made.run("plane")["id"]}/play?what=samples') }})""")
    page.see("decoded means of draws of z")
    time.sleep(0.2)
    assert "mode" not in address(page), "what waits to be kept is not written to the next page's address"


@pytest.mark.slow
def test_the_manifold_in_the_dark_on_a_phone_and_with_a_draw(page: Browser, made: Server, tmp_path: Path) -> None:
    page.prefer(prefers_color_scheme="dark")
    page.size(390, 844)
    play(page, made, "plane", "manifold&mode=draw&seed=3&z=0.5,0.5")
    page.wait(f"{EXACT} && document.body.innerText.includes('draw of seed 3')")
    assert page.run("document.documentElement.scrollWidth") <= 390
    page.click("button", "Draw it again")
    page.see("draw of seed 4")
    page.click("#mode-doubt")
    page.wait("document.querySelector('.big canvas')?.getAttribute('aria-label')?.includes('standard deviation')")
    shot(page, "manifold-phone-dark", tmp_path)


def test_between_two_items_stand_the_decoded_row_and_the_cross_fade(
    page: Browser, made: Server, tmp_path: Path
) -> None:
    play(page, made, "plane", "interpolate&a=3&b=100")
    page.see("From item 3, 3")
    assert page.run("document.querySelectorAll('.play .scroll canvas').length") == 2
    page.press("ArrowRight")
    page.see("58\u202f% of the way")
    page.fill("#b", "99999")
    page.run("document.querySelector('#b').dispatchEvent(new Event('change'))")
    page.see("there is no item 99,999")
    shot(page, "interpolate", tmp_path)
    page.fill("#b", "7")
    page.run("document.querySelector('#b').dispatchEvent(new Event('change'))")
    page.see("to item 7, 7")
    assert address(page)["b"] == "7" and not page.run("document.querySelector('[role=alert]')?.checkVisibility()")


def test_between_two_rows_no_category_is_made_that_neither_has(page: Browser, made: Server, tmp_path: Path) -> None:
    """Of three names in their order the one in the middle is no mixture of the first and the last."""
    cell = "document.querySelector('.pair-of tbody tr:last-child').cells[2].innerText"
    for at, name in ((0, "barbera"), (6, "barbera"), (7, "grignolino"), (12, "grignolino")):
        play(page, made, "rows", f"interpolate&a=2&b=1&at={at}")
        page.see("of a category the mixture has the nearer end")
        assert page.run(cell) == name
    play(page, made, "rows", "interpolate&a=0&b=1&at=6")
    page.see("of a category the mixture has the nearer end")
    assert page.run(cell) == "barolo"
    assert page.run("[...document.querySelectorAll('figcaption')].map((n) => n.innerText)") == ["alcohol", "hue"]
    text = page.run("document.querySelector('.play').innerText")
    assert "ixture of the two rows" in text and "cross-fade" not in text.lower() and "pixels" not in text
    shot(page, "interpolate-rows", tmp_path)


def test_a_table_s_manifold_is_no_wider_than_the_page(page: Browser, made: Server, tmp_path: Path) -> None:
    for wide in (1344, 1024, 390):
        page.size(wide, 1000)
        play(page, made, "rows", "manifold")
        page.wait(EXACT, 60)
        assert page.run("document.documentElement.scrollWidth") <= wide
    page.see('run = elboroom.load("runs/rows")')
    page.size(1344, 1000)
    play(page, made, "rows", "samples")
    page.see("elboroom sample runs/rows -n 256")


def test_a_pasted_picture_is_an_end_that_the_tab_keeps(page: Browser, made: Server, tmp_path: Path) -> None:
    play(page, made, "plane", "interpolate&a=3&b=100")
    page.see("From item 3, 3")
    page.run("""(async () => { const canvas = new OffscreenCanvas(60, 60), ink = canvas.getContext('2d')
        ink.fillStyle = '#fff'
        ink.fillRect(0, 0, 60, 60)
        ink.fillStyle = '#000'
        ink.fillRect(27, 10, 6, 40)
        const clipboardData = new DataTransfer()
        clipboardData.items.add(new File([await canvas.convertToBlob()], 'one.png', {type: 'image/png'}))
        dispatchEvent(new ClipboardEvent('paste', {clipboardData})) })()""")
    page.see("From a picture of your own")
    page.see("light and dark exchanged")
    shot(page, "interpolate-picture", tmp_path)
    assert address(page)["a"] == "own"
    page.reload()
    page.see("From a picture of your own")
    page.click("button", "Turn round")
    page.see("From item 100, ")
    assert (address(page)["a"], address(page)["b"]) == ("100", "own")
    page.fill("#b", "7")
    page.run("document.querySelector('#b').dispatchEvent(new Event('change'))")
    page.see("to item 7, 7")


def test_sliders_draw_the_same_noise_anew(page: Browser, made: Server, tmp_path: Path) -> None:
    play(page, made, "noise", "samples&seed=5")
    page.see("64 draws, seed 5")
    pixels = "document.querySelector('.play canvas').toDataURL()"
    whole = page.run(pixels)
    page.run("(n => { n.value = '0.5'; n.dispatchEvent(new Event('input')) })(document.querySelector('#truncation'))")
    page.wait(f"{pixels} !== {json.dumps(whole)}")
    page.see("Measured at |z| up to 0.5")
    page.run("(n => { n.value = '3'; n.dispatchEvent(new Event('input')) })(document.querySelector('#truncation'))")
    page.wait(f"{pixels} === {json.dumps(whole)}")
    page.run("(n => { n.value = '2'; n.dispatchEvent(new Event('input')) })(document.querySelector('#label'))")
    page.wait(f"{pixels} !== {json.dumps(whole)}")
    assert address(page)["label"] == "2" and "--label 2" in page.text()
    shot(page, "samples", tmp_path)
    page.press("r")
    page.see("64 draws, seed 6")


@pytest.mark.slow
def test_an_exact_picture_of_784_pixels_is_there_within_60_ms(
    chromium: Browser, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from sklearn.datasets import load_digits

    x = np.pad(np.kron(load_digits().images[:600], np.ones((3, 3))), ((0, 0), (2, 2), (2, 2))).astype(np.uint8) * 15
    np.savez(tmp_path / "large.npz", x=x)
    (tmp_path / "runs").mkdir()
    settings = {"hidden": (512, 256), "latent": 2}
    fit("vae", str(tmp_path / "large.npz"), run=tmp_path / "runs" / "large", settings=settings, steps=5, threads=1)
    server = Server(tmp_path / "runs")
    try:
        chromium.open(server.address)
        chromium.wait("document.querySelector('tr[data-id]')")
        id = server.run("large")["id"]
        script = f"""(async () => {{ const took = []
            for (let i = 0; i < 220; i++) {{ const at = performance.now()
                const body = JSON.stringify({{z: [i / 100, 1]}}), headers = {{'content-type': 'application/json'}}
                await (await fetch('/api/runs/{id}/play/images/decode', {{method: 'POST', headers, body}})).json()
                took.push(performance.now() - at) }}
            return took.slice(20) }})()"""
        rounds = [np.percentile(chromium.run(script), [50, 95]) for _ in range(3)]
        median, late = min(rounds, key=lambda found: found[1])
        with capsys.disabled():
            print(f"\nexact picture of 784 pixels: median {median:.1f} ms, 95 of 100 within {late:.1f} ms")
        assert late < 60
    finally:
        server.end()
