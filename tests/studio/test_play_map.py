"""The code map and the drawing page in a browser, over two small runs: what hands, keys and the address do."""

from __future__ import annotations

import base64
import io
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from elboroom.cli.main import main
from studio_browser import Browser
from studio_server import Server

SHOTS = os.environ.get("ELBOROOM_SHOTS", "")
QUICK = ["--threads", "1", "--device", "cpu", "--compile", "off", "--precision", "fp32"]
MAP = "document.querySelector('.map')"
WHOLE = "document.body.innerText.includes('none left out')"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, table: Path) -> Iterator[Server]:
    """Digits with codes of two and of five numbers, 120 rows of a table, coloured pictures on light ground."""
    folder = tmp_path_factory.mktemp("played") / "runs"
    for name, latent in (("flat", "2"), ("wide", "5")):
        words = ["--hidden", "16", "--latent", latent, "--epochs", "4", "--run", str(folder / name)]
        assert main(["fit", "vae", "digits", *words, *QUICK]) == 0
    assert (
        main(["fit", "vae", str(table), "--latent", "3", "--epochs", "2", "--run", str(folder / "rows"), *QUICK]) == 0
    )
    light = np.full((60, 8, 8, 3), (240, 250, 230), np.uint8)
    light[np.arange(60), np.arange(60) % 6 + 1, 3] = (200, 20, 20)
    np.savez(folder.parent / "light.npz", x=light)
    words = ["fit", "vae", str(folder.parent / "light.npz"), "--latent", "2", "--epochs", "1", "--hidden", "8"]
    assert main([*words, "--run", str(folder / "light"), *QUICK]) == 0
    server = Server(folder)
    server.post(f"/api/runs/{server.run('flat')['id']}/play/codes/ready", {})
    yield server
    server.end()


@pytest.fixture
def entered(chromium: Browser, server: Server) -> Iterator[Browser]:
    chromium.size(1344, 896)
    chromium.prefer(prefers_color_scheme="light")
    chromium.faults.clear()
    chromium.open(server.address)
    chromium.wait("document.querySelector('tr[data-id]')")
    chromium.run("sessionStorage.clear(), localStorage.clear()")
    yield chromium
    assert chromium.faults == []


def address(server: Server, name: str, what: str, more: str = "") -> str:
    return f"{server.root}/runs/{server.run(name)['id']}/play?what={what}{more}"


def shot(page: Browser, name: str) -> None:
    if SHOTS:
        time.sleep(0.4)
        page.shot(Path(SHOTS) / f"{name}.png")


def choose(page: Browser, selector: str, value: str) -> None:
    field = f"document.querySelector('{selector}')"
    page.wait(f"[...({field}?.options ?? [])].some((o) => o.value === '{value}')")
    page.run(f"{field}.value = '{value}', {field}.dispatchEvent(new Event('change'))")


def hand(page: Browser, kind: str, x: float, y: float, *, shift: bool = False) -> None:
    """A mouse event at a share of the map's width and height."""
    box = "(({x, y, width, height}) => [x, y, width, height])"
    left, top, width, height = page.run(f"{box}({MAP}.getBoundingClientRect())")
    page._call("Input.dispatchMouseEvent", type=kind, x=left + x * width, y=top + y * height, button="left",
               buttons=1 if kind != "mouseReleased" else 0, clickCount=1, modifiers=8 if shift else 0)  # fmt: skip


def test_an_item_is_found_held_and_walked_from_and_a_lasso_counts_its_items(entered: Browser, server: Server) -> None:
    entered.open(address(server, "flat", "map", "&item=140"))
    entered.wait(WHOLE)
    entered.see("Item 140")
    entered.see("8 nearest in code space")
    assert entered.run("document.querySelectorAll('.legend button').length") == 10
    shot(entered, "map")
    entered.press("]")
    entered.wait("!document.querySelector('.map-side h2').textContent.includes('Item 140')")
    assert entered.run("new URLSearchParams(location.search).get('item')") != "140"
    entered.press("[")
    entered.see("Item 140")
    corners = [(0.02, 0.02), (0.98, 0.02), (0.98, 0.98), (0.02, 0.98), (0.02, 0.5)]
    hand(entered, "mousePressed", *corners[0], shift=True)
    for corner in corners[1:]:
        hand(entered, "mouseMoved", *corner, shift=True)
    hand(entered, "mouseReleased", *corners[-1], shift=True)
    entered.see("Lasso, 1,797 items")
    assert entered.run("document.querySelectorAll('.share').length") == 8
    dimmed = "[...document.querySelectorAll('.legend button[aria-pressed=false]')].map((n) => n.id).join()"
    entered.run("document.querySelector('#class-3').click()")
    entered.wait("new URLSearchParams(location.search).get('only') === '3'")
    assert entered.run(dimmed) == ",".join(f"class-{k}" for k in range(10) if k != 3)
    entered.run("document.querySelector('#class-5').dispatchEvent(new MouseEvent('click', {shiftKey: true}))")
    assert entered.run(dimmed) == ",".join(f"class-{k}" for k in (0, 1, 2, 4, 6, 7, 8, 9))
    entered.run("document.querySelector('#class-3').click(), document.querySelector('#class-3').click()")
    assert entered.run(dimmed) == ""
    for text, item in (("#5", "Item 5"), ("5", "label 5")):
        entered.fill("#find-item", text)
        entered.press("Enter")
        entered.wait(f"document.querySelector('.map-side h2').textContent.includes('{item}')")
    entered.run("document.activeElement.blur()")


@pytest.mark.slow
def test_the_address_holds_the_view_the_lasso_and_the_item(entered: Browser, server: Server) -> None:
    entered.open(address(server, "flat", "map", "&by=rate&view=0.1,0.2,900&item=7&lasso=-2,-2;2,-2;2,2;-2,2"))
    entered.wait(WHOLE)
    entered.see("Lasso, 1,797 items")
    entered.see("Item 7")
    entered.see("nats")
    entered.reload()
    entered.wait(WHOLE)
    entered.see("Item 7")
    entered.press("+")
    entered.wait("Number(new URLSearchParams(location.search).get('view').split(',')[2]) > 900")
    entered.press("0")
    entered.wait("!new URLSearchParams(location.search).has('view')")


@pytest.mark.slow
def test_a_wide_code_says_its_method_and_turns_in_depth(entered: Browser, server: Server) -> None:
    entered.open(address(server, "wide", "map"))
    entered.wait(WHOLE)
    entered.see("the first 2 principal axes of 5 numbers")
    entered.see("Trustworthiness 0.")
    choose(entered, "#by", "cluster")
    entered.see("10 clusters of k-means in the code, fitted on all 1,797 items")
    entered.fill("#clusters", "4")
    entered.press("Enter")
    entered.wait("document.querySelectorAll('.legend button').length === 4")
    shot(entered, "map-clusters")
    choose(entered, "#pos", "codes")
    entered.see("of the code’s 5, those that vary most")
    choose(entered, "#pos", "tsne")
    entered.see("meanwhile the map is that of PCA")
    entered.click("#give-up")
    entered.wait("!new URLSearchParams(location.search).has('pos')")
    entered.click(".seg button", "3-D, turn")
    entered.see("the first 3 principal axes")
    hand(entered, "mousePressed", 0.4, 0.5)
    hand(entered, "mouseMoved", 0.6, 0.6)
    hand(entered, "mouseReleased", 0.6, 0.6)
    entered.wait("new URLSearchParams(location.search).has('turn')")
    shot(entered, "map-deep")
    for _ in range(40):
        entered.press("ArrowUp")
    entered.wait("new URLSearchParams(location.search).get('turn').split(',')[1] === '1.57'")
    entered.click("#choose")
    for axis in "xyz":
        entered.fill(f"#{axis}-from", "-99")
        entered.fill(f"#{axis}-to", "99")
    entered.click("#choose-these")
    entered.see("Box, 1,797 items")
    shot(entered, "map-box")


@pytest.mark.slow
def test_t_sne_comes_in_the_place_of_pca_and_stays(entered: Browser, server: Server) -> None:
    entered.open(address(server, "rows", "map", "&pos=tsne"))
    entered.see("t-SNE of 3 numbers (perplexity 30), fitted on 120 items")
    entered.see("distances between far clusters mean nothing")
    entered.wait("/Trustworthiness 0.*, PCA 0/.test(document.body.innerText)")
    shot(entered, "map-tsne")
    entered.reload()
    entered.see("t-SNE of 3 numbers")
    assert "meanwhile" not in entered.text()


@pytest.mark.slow
def test_two_items_become_the_ends_of_an_interpolation(entered: Browser, server: Server) -> None:
    entered.open(address(server, "flat", "map", "&item=140"))
    entered.click("#from-here")
    entered.see("the other end is not chosen")
    entered.fill("#find-item", "#12")
    entered.press("Enter")
    entered.see("Item 12")
    entered.click("#to-here")
    shot(entered, "map-ends")
    entered.click("#between")
    entered.see("From item 140")
    assert entered.run("location.search").startswith("?what=interpolate&a=140&b=12")


@pytest.mark.slow
def test_without_webgl_the_map_is_drawn_plainly_and_says_so(entered: Browser, server: Server) -> None:
    entered.run("""(() => { const get = HTMLCanvasElement.prototype.getContext
        HTMLCanvasElement.prototype.getContext = function (kind, ...more) {
            return kind === 'webgl' ? null : get.call(this, kind, ...more) } })()""")
    entered.run(f"import('/static/app.js').then((m) => m.go('{address(server, 'flat', 'map')[len(server.root) :]}'))")
    entered.see("this browser has no WebGL")
    entered.wait("""(() => { const c = document.querySelector('canvas.points')
        return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((v) => v) })()""")
    shot(entered, "map-plain")
    entered.open(address(server, "flat", "map"))
    entered.wait(WHOLE)
    entered.run("document.querySelector('canvas.points').getContext('webgl').getExtension('WEBGL_lose_context')"
                ".loseContext()")  # fmt: skip
    entered.see("WebGL was lost")
    entered.wait("""(() => { const c = document.querySelector('canvas.points')
        return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((v) => v) })()""")


def test_a_drawing_by_keys_is_answered_undone_and_kept(entered: Browser, server: Server) -> None:
    entered.open(address(server, "flat", "draw"))
    entered.see("Compared with 1,797 items")
    entered.run("document.querySelector('canvas.paper').focus()")
    for key in (" ", "ArrowUp", " ", "ArrowUp", " "):
        entered.press(key)
    entered.see("What the model makes of it")
    entered.see("held-out items")
    pixels = "[...atob(sessionStorage.getItem(Object.keys(sessionStorage).find((k) => k.startsWith('draw:'))))]"
    lit = f"{pixels}.map((c, i) => c.charCodeAt(0) ? i : -1).filter((i) => i >= 0).join()"
    assert entered.run(lit) == "20,28,36"
    shot(entered, "draw")
    entered.press("u")
    assert entered.run(lit) == "28,36"
    entered.reload()
    entered.see("What the model makes of it")
    assert entered.run(lit) == "28,36"


@pytest.mark.slow
def test_on_light_ground_in_colour_the_pen_has_a_colour_and_clear_gives_the_ground(
    entered: Browser, server: Server
) -> None:
    entered.open(address(server, "light", "draw"))
    entered.see("Draw something")
    kept = "atob(Object.entries(sessionStorage).find(([k]) => k.startsWith('draw:'))[1])"
    cells = f"Array.from({kept}, (c) => c.charCodeAt(0))"
    entered.run(
        """(n => { n.value = '#c81414'; n.dispatchEvent(new Event('input')) })(document.querySelector('#colour'))"""
    )
    entered.run("document.querySelector('canvas.paper').focus()")
    entered.press(" ")
    entered.see("What the model makes of it")
    drawn = np.array(entered.run(cells)).reshape(8, 8, 3)
    assert drawn[4, 4].tolist() == [200, 20, 20]
    drawn[4, 4] = drawn[0, 0]
    assert (drawn == (240, 250, 230)).all()
    shot(entered, "draw-light")
    entered.click("#clear")
    entered.see("Draw something")
    assert (np.array(entered.run(cells)).reshape(8, 8, 3) == (240, 250, 230)).all()


@pytest.mark.slow
def test_a_pen_draws_two_pixels_wide_and_a_pasted_picture_is_fitted(entered: Browser, server: Server) -> None:
    entered.open(address(server, "flat", "draw"))
    entered.see("Compared with")
    box = "(({x, y, width}) => [x, y, width])"
    left, top, width = entered.run(f"{box}(document.querySelector('canvas.paper').getBoundingClientRect())")
    for kind, y in (("mousePressed", 0.2), ("mouseMoved", 0.5), ("mouseMoved", 0.8), ("mouseReleased", 0.8)):
        entered._call("Input.dispatchMouseEvent", type=kind, x=left + width / 2, y=top + width * y, button="left",
                      buttons=1 if kind != "mouseReleased" else 0, clickCount=1)  # fmt: skip
    entered.see("What the model makes of it")
    kept = "Object.entries(sessionStorage).find(([k]) => k.startsWith('draw:'))[1]"
    drawn = np.frombuffer(base64.b64decode(entered.run(kept)), np.uint8).reshape(8, 8)
    assert (drawn[3:5, 3:5] == 255).all() and not drawn[:, :2].any() and not drawn[:, 6:].any()
    paper = np.full((90, 60), 250, np.uint8)
    paper[20:70, 25:33] = 10
    file = io.BytesIO()
    Image.fromarray(paper).save(file, "PNG")
    content = base64.b64encode(file.getvalue()).decode()
    entered.run(f"""(() => {{ const bytes = Uint8Array.from(atob('{content}'), (c) => c.charCodeAt(0))
        const clipboardData = new DataTransfer()
        clipboardData.items.add(new File([bytes], 'one.png', {{type: 'image/png'}}))
        dispatchEvent(new ClipboardEvent('paste', {{clipboardData}})) }})()""")
    entered.see("light and dark exchanged")
    fitted = np.frombuffer(base64.b64decode(entered.run(kept)), np.uint8).reshape(8, 8)
    assert fitted.max() == 255 and fitted[:, 0].max() == 0 and (fitted.max(1) > 100).sum() >= 7
    shot(entered, "draw-pasted")


@pytest.mark.slow
def test_on_a_phone_nothing_is_cut_off_and_targets_are_large(entered: Browser, server: Server) -> None:
    entered.size(390, 844)
    for what in ("map", "draw"):
        entered.open(address(server, "flat", what, "&item=3"))
        entered.wait(WHOLE if what == "map" else "document.body.innerText.includes('Compared with')")
        time.sleep(0.5)
        assert entered.run("document.documentElement.scrollWidth") <= 390
        small = entered.run("""[...document.querySelectorAll('.play button, .play select')].filter((n) => n.offsetParent
            && n.getBoundingClientRect().height < 43.5).map((n) => n.textContent)""")
        assert small == [], what
