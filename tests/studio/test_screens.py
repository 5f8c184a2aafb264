"""The pictures in docs/studio.md: pages of a studio over runs that have learnt something, shown as a person finds them.

`make screens` keeps them in docs/figures; without it the same pages are opened and looked at, and what the docs show
must be of the same pages.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_wine

from conftest import NO_DATA, data_folder
from elboroom.cli.main import main
from studio_browser import Browser
from studio_server import Server

pytestmark = [pytest.mark.slow, pytest.mark.real_data, pytest.mark.timeout(900)]
DOCS = Path(__file__).resolve().parents[2] / "docs"
KEPT = os.environ.get("ELBOROOM_SCREENS", "")
"""A folder that keeps the pictures."""
QUICK = ["--threads", "1", "--device", "cpu", "--compile", "off", "--precision", "fp32"]
COLOURS = 128
SIZE = (1200, 860)
FITS = {
    "digits-plane": ("vae", "mnist", "--backbone", "mlp", "--hidden", "512", "--latent", "2", "--epochs", "8"),
    "python-help": ("gpt", "pydocs", "--preset", "nano-cpu", "--steps", "1000"),
    "pump-station": ("forecaster", "machine", "--epochs", "20"),
}
SWEEP = ("beta_vae", "digits", "--over", "beta=0.25,0.5,1,2,4,8", "--seeds", "3", "--latent", "4", "--epochs", "30")
CUT = """(() => { const edge = document.documentElement.clientWidth + 1
    const scrolls = (n) => /auto|scroll/.test(getComputedStyle(n).overflowX)
    const moves = (n) => n && n !== document.body && (scrolls(n) || moves(n.parentElement))
    const past = (n) => n.checkVisibility() && !n.closest('svg *, .hidden') && n.getBoundingClientRect().right > edge
    return [...document.querySelectorAll('main *')].filter((n) => past(n) && !moves(n))
        .map((n) => `${n.tagName} ${n.className} ${n.textContent.slice(0, 40)}`) })()"""
"""What lies past the right edge and cannot be brought into sight."""
PAGES = ("runs", "run", "manifold", "map", "prompt", "series", "gates", "file", "sweep")


def write_wine(path: Path) -> None:
    """scikit-learn's wines, of which every fortieth value is missing."""
    frame = load_wine(as_frame=True).frame.drop(columns="target")
    holes = np.random.default_rng(0).random(frame.shape) < 1 / 40
    frame.mask(holes).sample(frac=1, random_state=0).to_csv(path, index=False)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = data_folder()
    if data is None:
        pytest.skip(NO_DATA)
    folder = tmp_path_factory.mktemp("screens") / "runs"
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ELBOROOM_DATA", str(data))
        assert main(["sweep", *SWEEP, "--run", str(folder / "beta-digits"), *QUICK]) == 0
        for name, words in FITS.items():
            assert main(["fit", *words, "--run", str(folder / name), *QUICK]) == 0
        write_wine(folder.parent / "wine.csv")
        words = ("fit", "vae", str(folder.parent / "wine.csv"), "--latent", "4", "--epochs", "300")
        assert main([*words, "--run", str(folder / "wines"), *QUICK]) == 0
        server = Server(folder)
        yield server
        server.end()


@pytest.fixture
def page(chromium: Browser, shown: Server) -> Iterator[Browser]:
    chromium.size(*SIZE)
    chromium.prefer(prefers_color_scheme="light")
    chromium.faults.clear()
    chromium.open(shown.address)
    chromium.wait("document.querySelector('tr[data-id]')")
    chromium.run("sessionStorage.clear(), localStorage.clear()")
    yield chromium
    assert chromium.faults == []


def runs(page: Browser, shown: Server) -> None:
    page.see("pump-station")


def run(page: Browser, shown: Server) -> None:
    page.open(f"{shown.root}/runs/{shown.run('digits-plane')['id']}")
    page.wait("document.querySelectorAll('.chart path').length >= 2")
    page.wait("document.querySelector('img.sheet')?.naturalWidth > 0")
    page.wait("(({scrollWidth, clientWidth}) => scrollWidth <= clientWidth)(document.querySelector('.live .scroll'))")


def manifold(page: Browser, shown: Server) -> None:
    play(page, shown, "digits-plane", "manifold")
    page.wait("document.querySelector('.manifold')?.innerText.includes('Decoded in')", 120)


def map(page: Browser, shown: Server) -> None:
    play(page, shown, "digits-plane", "map", "&item=140")
    page.wait("document.body.innerText.includes('none left out')", 120)
    page.see("8 nearest in code space")


def prompt(page: Browser, shown: Server) -> None:
    play(page, shown, "python-help", "prompt", "&tokens=160")
    page.fill("#prompt", "The list is")
    page.click("#generate")
    page.wait("document.querySelector('.foot')?.innerText.includes('as many as asked for')", 120)
    page.run("document.querySelectorAll('.spans [data-i]')[60].click()")
    page.see("what could have come")


def series(page: Browser, shown: Server) -> None:
    play(page, shown, "pump-station", "series")
    page.wait(
        "document.querySelector('.play-series:not([hidden]) .drawn svg') && document.querySelector('#alarms')", 120
    )
    page.press("j")
    page.wait("document.body.innerText.includes('was expected')")
    page.run("document.querySelector('.play-series>h2').scrollIntoView()")


def gates(page: Browser, shown: Server) -> None:
    play(page, shown, "pump-station", "gates")
    page.wait("document.querySelector('.play-gates:not([hidden]) .cells svg')", 120)


def file(page: Browser, shown: Server) -> None:
    play(page, shown, "wines", "file")
    page.wait("document.querySelector('#apply')")
    page.choose("#used-file", shown.folder.parent / "wine.csv")
    page.wait("document.querySelector('#apply').disabled === false")
    page.click("#apply")
    page.wait("document.querySelector('#save-made')", 120)


def sweep(page: Browser, shown: Server) -> None:
    page.open(f"{shown.root}/sweeps")
    page.click("main a", "beta-digits")
    page.wait("document.querySelectorAll('.chart svg').length >= 1")
    page.see("Rate")


def play(page: Browser, shown: Server, name: str, what: str, more: str = "") -> None:
    page.open(f"{shown.root}/runs/{shown.run(name)['id']}/play?what={what}{more}")


OPENED: dict[str, Callable[[Browser, Server], None]] = {one.__name__: one for one in (
    runs, run, manifold, map, prompt, series, gates, file, sweep)}  # fmt: skip


@pytest.mark.parametrize("name", PAGES)
def test_a_page_looks_as_the_docs_show_it(page: Browser, shown: Server, tmp_path: Path, name: str) -> None:
    OPENED[name](page, shown)
    time.sleep(1)
    assert page.run(CUT) == []
    page.shot(tmp_path / "page.png")
    picture = Image.open(tmp_path / "page.png").convert("RGB")
    seen = np.asarray(picture).reshape(-1, 3)
    assert len(np.unique(seen, axis=0)) > 50, "an empty page has few colours"
    if KEPT:
        picture.quantize(COLOURS, dither=Image.Dither.NONE).save(Path(KEPT) / f"studio-{name}.png", optimize=True)
    with Image.open(DOCS / "figures" / f"studio-{name}.png") as held:
        assert held.size == picture.size == SIZE
        ours, theirs = (np.asarray(one.convert("L").resize((60, 43))).astype(float) for one in (picture, held))
    assert np.abs(ours - theirs).mean() < 12, "the page has changed: `make screens`, and look at the pictures"
    assert f"figures/studio-{name}.png" in (DOCS / "studio.md").read_text(encoding="utf-8")
