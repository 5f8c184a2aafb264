"""E3: how soon the studio's pages answer, in a browser without a window on this machine.

Studio, worker, browser and client share the machine's processors, as they do for a user. The nets are hardly trained:
what is timed is the same for any weights.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.recipe import Options, fit, round_off
from benchmarks.record import Result

__all__ = ["run"]

NAME = "e3_pages"
PROTOCOL = (
    "headless Chromium, 1,344 x 896; each gesture repeated in the page and timed there, from the event to the frame "
    "that shows its effect, or from the question to its answer; the value is the 95th percentile; first page: three "
    "new profiles, the slowest"
)
ROWS = "document.querySelectorAll('tr[data-id]').length"
UNTIL = """(async (act, done, times) => { const out = []
    for (let i = 0; i < times; i++) {
        const at = performance.now(); act(i)
        while (!done(i)) { await new Promise(requestAnimationFrame)
            if (performance.now() - at > 20000) throw Error(`never: ${done}`) }
        out.push(performance.now() - at); await new Promise((f) => setTimeout(f, 50)) }
    return out })"""
"""Times from an act to the frame in which something is true."""
ASKED = """(async (name, given, times, lines) => { const out = [], headers = {'content-type': 'application/json'}
    for (let i = 0; i < times; i++) {
        const at = performance.now(), body = JSON.stringify(given(i))
        const reader = (await fetch(name, {method: 'POST', headers, body})).body.getReader()
        for (let n = 0, piece; n < lines && !(piece = await reader.read()).done;)
            n += new TextDecoder().decode(piece.value).split('\\n').length - 1
        out.push(performance.now() - at); await reader.cancel() }
    return out })"""
"""Times from a question to that many lines of its answer."""
FRAMES = """(async () => { const box = document.querySelector('.map canvas, canvas'), b = box.getBoundingClientRect()
    const send = (kind, x) => box.dispatchEvent(new PointerEvent(kind, {pointerId: 1, button: 0, buttons: 1,
        clientX: b.x + b.width / 2 + x, clientY: b.y + b.height / 2, bubbles: true, pointerType: 'mouse'}))
    let n = 0; const at = performance.now(); send('pointerdown', 0)
    while (performance.now() - at < 3000) { send('pointermove', 60 * Math.sin(n / 9))
        await new Promise(requestAnimationFrame); n++ }
    send('pointerup', 0); return n / 3 })()"""


def run(options: Options) -> Result:
    result = options.begin(NAME, __doc__.splitlines()[0], PROTOCOL, "digits, 2,000 points, 50 runs")
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
    from studio_browser import Browser  # type: ignore[import-not-found]
    from studio_server import Server  # type: ignore[import-not-found]

    folder = options.scratch(NAME)
    shutil.rmtree(folder / "runs", ignore_errors=True)
    data = options.images()
    result.data = data.words()
    _made(options, result, folder)
    firsts = []
    for _ in range(3):
        server = Server(folder / "runs")
        try:
            firsts.append(_first(Browser, server))
        finally:
            server.end()
    result.add("first page, cold", round_off(max(firsts)), "s", "<= 1", how="new profile and server, to the first row")
    server = Server(folder / "runs")
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile, Browser(Path(profile)) as page:
            page.open(server.address)
            page.wait(ROWS)
            _lists(result, page, server, 50 if options.short else 1000)
            _images(result, page, server)
            _map(result, page, server)
            _words(result, page, server)
            _series(result, page, server)
    finally:
        server.end()
    return result


def _made(options: Options, result: Result, folder: Path) -> None:
    """Runs of each kind, and many copies of one."""
    few = options.short
    rng = np.random.default_rng(0)
    train = options.images().train
    many = train[rng.integers(0, len(train), 2_000 if few else 100_000)]
    np.savez(folder / "many.npz", x=many)
    calls: list[list[Any]] = [
        ["vae", "digits" if few else "mnist", "--latent", 2, "--steps", 20, "--run", "runs/plane"],
        ["vae", "many.npz", "--latent", 2, "--steps", 20, "--run", "runs/map"],
        ["gpt", "pydocs", "--tokenizer", "char", "--steps", 2 if few else 20, "--run", "runs/writer"],
        ["forecaster", "machine", "--steps", 20, "--run", "runs/pump"],
    ]
    for words in calls:
        result.commands.append(fit(options, folder, [*words, "--force"])[0])


def _late(times: list[float]) -> float:
    return round_off(float(np.percentile(times, 95)))


def _first(browser: Any, server: Any) -> float:
    """Seconds from the address to the first row, in a browser that has never seen it."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile, browser(Path(profile)) as page:
        page.begin(
            "new MutationObserver(() => { if (!window.first && document.querySelector('tr[data-id]')) "
            "window.first = performance.now() }).observe(document, {childList: true, subtree: true})"
        )
        page.open(server.address)
        return float(page.wait("window.first")) / 1000


def _lists(result: Result, page: Any, server: Any, n: int) -> None:
    """Many copies of a run: to list and to filter them, and to change the page; they are gone afterwards."""
    copies = [server.folder / f"copy-{i:04}" for i in range(n)]
    for place in copies:
        place.mkdir()
        for name in ("run.json", "metrics.json", "history.jsonl"):
            shutil.copy(server.folder / "plane" / name, place / name)
    page.run("fetch('/api/runs').then((answer) => answer.text())")  # the summaries are made once
    opened = page.run(
        f"import('/static/app.js').then((m) => {UNTIL}((i) => m.go(i % 2 ? '/' : '/models'), (i) => i % 2 ? {ROWS} : "
        "document.querySelector('main h1')?.textContent === 'Models', 20))"
    )
    result.add(f"list of {n:,} runs", _late(opened[1::2]), "ms", "<= 300", how="from the press to its first rows")
    result.add("another page", _late(opened[0::2]), "ms", "<= 200", how="Models, from the press to its heading")
    typed = page.run(
        f"{UNTIL}((i) => {{ const f = document.querySelector('.find'); window.was = document.querySelector('main')"
        ".innerText.length; f.value = i % 2 ? '' : 'copy-000'; f.dispatchEvent(new Event('input')) }, () => "
        "document.querySelector('main').innerText.length !== window.was, 20)"
    )
    result.add(f"filter over {n:,} runs", _late(typed), "ms", "<= 50")
    for place in copies:
        shutil.rmtree(place)


def _images(result: Result, page: Any, server: Any) -> None:
    id = server.run("plane")["id"]
    page.open(f"{server.root}/runs/{id}/play?what=manifold")
    page.see("Decoded in")
    times = page.run(f"{ASKED}('/api/runs/{id}/play/images/decode', (i) => ({{z: [i / 100, 1]}}), 220, 1)")[20:]
    result.add(
        "drag on the manifold to the exact picture", _late(times), "ms", "<= 60", how="200 places, one at a time"
    )


def _map(result: Result, page: Any, server: Any) -> None:
    id = server.run("map")["id"]
    page.open(f"{server.root}/runs/{id}/play?what=manifold")
    page.see("Decoded in")  # the weights are loaded
    asked = json.dumps(f"/api/runs/{id}/play/codes/map")
    first = page.run(f"{ASKED}({asked}, () => ({{dimensions: 2}}), 1, 2)")[0]
    page.open(f"{server.root}/runs/{id}/play?what=map")
    page.wait("/All [\\d,]+ codes/.test(document.body.innerText)", 120)
    time.sleep(1)
    points = page.run("(document.body.innerText.match(/All ([\\d,]+) codes/) ?? [])[1] ?? ''")
    how = (
        f"{points} points, a drag of three seconds; where a frame is slow, a random part is drawn and the line says so"
    )
    result.add("first points of the code map", round_off(first), "ms", "<= 300", how="one trial, weights loaded")
    result.add("code map under a drag", round_off(page.run(FRAMES)), "frames/s", ">= 30", how=how)


def _words(result: Result, page: Any, server: Any) -> None:
    id = server.run("writer")["id"]
    page.open(f"{server.root}/runs/{id}/play?what=prompt")
    page.wait("document.querySelector('.play')")
    ids = list(range(16)) * 4
    asks = {
        "first token of a prompt": ("generate", {"prompt": "the cat sat on ", "tokens": 30}, "<= 100"),
        "token pointed at, to its attention": ("attention", {"ids": ids, "at": [60]}, "<= 50"),
        "token pointed at, to what could have come": ("law", {"ids": ids}, "<= 50"),
    }
    for what, (verb, given, goal) in asks.items():
        times = page.run(f"{ASKED}('/api/runs/{id}/play/words/{verb}', () => ({json.dumps(given)}), 45, 2)")[5:]
        result.add(what, _late(times), "ms", goal, how="40 times")


def _series(result: Result, page: Any, server: Any) -> None:
    id = server.run("pump")["id"]
    page.open(f"{server.root}/runs/{id}/play?what=series")
    page.wait("document.querySelector('#alarms')", 120)
    moved = (
        f"{UNTIL}((i) => {{ const s = document.querySelector('#alarms'); s.value = i % 2 ? s.min : s.max; "
        "s.dispatchEvent(new Event('input')); document.body.offsetHeight }, () => true, 40)"
    )
    result.add("threshold of events moved", _late(page.run(moved)), "ms", "<= 30", how="10,080 rows of 6 channels")
    zoomed = (
        f"{UNTIL}((i) => {{ document.querySelector('.drawn[tabindex]').dispatchEvent(new KeyboardEvent("
        "'keydown', {key: i % 2 ? '-' : '+', bubbles: true})); document.body.offsetHeight }, () => true, 40)"
    )
    result.add("zoom of a series", _late(page.run(zoomed)), "ms", "<= 80", how="10,080 rows of 6 channels")
    page.open(f"{server.root}/runs/{id}/play?what=gates&from=0&steps=850")
    page.wait("document.querySelector('#step')", 60)
    stepped = (
        f"{UNTIL}((i) => {{ const s = document.querySelector('#step'); s.value = 100 + i; "
        "s.dispatchEvent(new Event('input')); document.body.offsetHeight }, () => true, 40)"
    )
    result.add("step of a cell's gates", _late(page.run(stepped)), "ms", "<= 50", how="a pass of 850 steps")
