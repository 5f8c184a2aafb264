"""A studio over two small runs, and a browser that enters with the printed address."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from elboroom.cli.main import main
from studio_browser import BROWSER, Browser
from studio_server import Server

QUICK = ["--threads", "1", "--device", "cpu", "--compile", "off", "--precision", "fp32"]


def fitted(folder: Path, name: str, *words: str) -> None:
    assert main(["fit", "vae", "digits", "--hidden", "16", "--run", str(folder / name), *QUICK, *words]) == 0


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two small finished runs and a damaged folder."""
    folder = tmp_path_factory.mktemp("studio") / "runs"
    folder.mkdir()
    fitted(folder, "vae-digits-1", "--epochs", "4", "--latent", "2")
    fitted(folder, "vae-digits-2", "--epochs", "4", "--latent", "4")
    (folder / "broken").mkdir()
    (folder / "broken" / "run.json").write_text('{\n"format":\n')
    server = Server(folder)
    yield server
    server.end()


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if BROWSER is None:
        pytest.skip("no Chromium on this machine")
    with Browser(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def page(chromium: Browser, studio: Server) -> Iterator[Browser]:
    """The run list in a browser, entered with the token; at the end no script may have failed."""
    chromium.size(1344, 896)
    chromium.prefer(prefers_color_scheme="light")
    chromium.faults.clear()
    chromium.requests.clear()
    chromium.open(studio.address)
    chromium.wait("document.querySelector('tr[data-id]')")
    chromium.run("sessionStorage.clear(), localStorage.clear()")
    yield chromium
    assert chromium.faults == []
    foreign = [
        address for address in chromium.requests if not address.startswith((studio.root, "data:", "blob:", "about:"))
    ]
    assert foreign == [], "nothing is loaded from elsewhere"


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two classes of small pictures."""
    folder = tmp_path_factory.mktemp("dropped") / "marks"
    for name, row in (("low", 6), ("high", 1)):
        (folder / name).mkdir(parents=True)
        for i in range(40):
            image = Image.new("L", (8, 8))
            image.putpixel((i % 8, row), 255)
            image.putpixel((i // 8, row), 200)
            image.save(folder / name / f"{i:02}.png")
    return folder


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV of 120 rows with a missing cell."""
    path = tmp_path_factory.mktemp("dropped") / "pumps.csv"
    rows = [
        f"{i % 7 + i / 100:.2f},{(i * 3) % 11},{'' if i == 5 else i % 5},{'north' if i % 2 else 'south'}"
        for i in range(120)
    ]
    path.write_text("\n".join(["flow,load,stage,ward", *rows]) + "\n")
    return path
