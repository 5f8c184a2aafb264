"""The page of play for texts: what a person does with a prompt, and what the page then knows of every token."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from elboroom.data.reading import Reading
from elboroom.fitting import fit
from elboroom.run import load
from studio_browser import Browser
from studio_server import Server
from text_toys import TRAIN, few_drawn

SHOTS = os.environ.get("ELBOROOM_SHOTS", "")
"""A folder that keeps the pictures of these tests, to be looked at."""
DONE = """document.querySelector('#generate') &&
    document.querySelector('.foot').innerText.includes('as many as asked for')"""
TEXT = "[...document.querySelectorAll('.spans [data-i]')].map((n) => n.textContent.replace('↵', '')).join('')"


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A studio over a transformer that sees 32 letters and a recurrent net on bytes."""
    folder = tmp_path_factory.mktemp("words") / "runs"
    folder.mkdir()
    (folder.parent / "prose.txt").write_text(TRAIN, encoding="utf-8")
    source = str(folder.parent / "prose.txt")
    with few_drawn():
        fit("gpt", source, run=folder / "tale", reading=Reading(window=32), steps=4, threads=1,
            settings={"layers": 2, "heads": 3, "width": 24})  # fmt: skip
        fit("charnn", source, run=folder / "bytes", reading=Reading(window=32, tokenizer="byte"), steps=4, threads=1,
            settings={"hidden": 16})  # fmt: skip
    server = Server(folder)
    yield server
    server.end()


@pytest.fixture
def page(chromium: Browser, words: Server) -> Iterator[Browser]:
    """A browser that has entered; at the end no script may have failed."""
    chromium.size(1344, 1000)
    chromium.prefer(prefers_color_scheme="light")
    chromium.faults.clear()
    chromium.open(words.address)
    chromium.wait("document.querySelector('tr[data-id]')")
    chromium.run("sessionStorage.clear(), localStorage.clear()")
    yield chromium
    assert chromium.faults == []


def play(page: Browser, words: Server, name: str, query: str = "") -> str:
    id = str(words.run(name)["id"])
    page.open(f"{words.root}/runs/{id}/play?what=prompt{query}")
    page.wait("document.querySelector('#prompt')")
    return id


def generate(page: Browser, prompt: str) -> None:
    page.fill("#prompt", prompt)
    page.click("#generate")
    page.wait(DONE)


def shot(page: Browser, name: str, tmp_path: Path) -> None:
    time.sleep(0.5)
    page.shot((Path(SHOTS) if SHOTS else tmp_path) / f"prompt-{name}.png", whole=True)


def rows(page: Browser) -> list[list[str]]:
    """The table of what could have come."""
    found: list[list[str]] = page.run("""[...[...document.querySelectorAll('.prompt table')].find((one) => one.tHead)
        .tBodies[0].rows].map((row) => [...row.cells].map((cell) => cell.innerText.trim()))""")
    return found


def test_a_prompt_goes_on_as_on_the_command_line_and_from_another_token(
    page: Browser, words: Server, tmp_path: Path
) -> None:
    play(page, words, "tale", "&tokens=60&seed=3&top_k=12")
    shot(page, "begin", tmp_path)
    generate(page, "the cat")
    expected = load(words.folder / "tale").generate("the cat", tokens=60, seed=3, top_k=12)
    assert page.run(TEXT) == "the cat" + expected.text
    page.see("elboroom generate runs/tale --prompt 'the cat' --top-k 12 --tokens 60 --seed 3")
    page.see("looked at")
    for _ in range(3):
        page.press("ArrowRight")
    page.see("Token 11: what could have come")
    drawn = rows(page)
    assert [row[0] for row in drawn[-2:]] == ["3 others kept", "7 cut by top-k"]
    share = [float(row[-1].removesuffix("%").replace("\u202f", "")) for row in drawn]
    assert sum(share) == pytest.approx(100, abs=1)
    shot(page, "text", tmp_path)
    other = drawn[1][0].replace("␣", " ").replace("↵", "\n")
    page.press("ArrowDown")
    page.wait("document.activeElement.id === 'could-1'")
    page.press("Enter")
    page.see("token 11 exchanged")
    page.wait(DONE)
    assert page.run(TEXT)[:11] == "the cat" + expected.text[:3] + other
    page.click(".spans [data-i='60']")
    page.see("the model no longer sees what is before this line")
    page.click("#text-0")
    page.wait(f"({TEXT}) === {json.dumps('the cat' + expected.text)}")
    page.press("ArrowRight")
    at = page.run("[...document.querySelectorAll('.spans [data-i]')].findIndex((n) => n.classList.contains('at'))")
    page.run("document.querySelector('.set input[type=range]').focus()")
    page.press("ArrowLeft")
    page.wait("document.querySelector('#set-temperature').value === '0.95'")
    page.run("document.activeElement.blur()")
    assert page.run("document.querySelector('.spans .at').dataset.i") == str(at)
    for _ in range(2):
        page.press("ArrowRight", shift=True)
    page.see("to choose 3 tokens, averaged")
    page.press("ArrowLeft", shift=True)
    page.see("to choose 2 tokens, averaged")
    page.click(".foot button", "Edit prompt")
    page.fill("#prompt", "a dog")
    page.click("#generate")
    page.wait(f"{DONE} && ({TEXT}).startsWith('a dog')")
    page.click("#text-0")
    page.wait(f"({TEXT}) === {json.dumps('the cat' + expected.text)}")
    page.click(".foot button", "Edit prompt")
    assert page.run("document.querySelector('#prompt').value") == "the cat"
    page.press("Escape")
    assert page.run("document.activeElement === document.body && location.pathname.endsWith('/play')")


@pytest.mark.slow
def test_a_reload_brings_the_text_and_the_view_back(page: Browser, words: Server) -> None:
    play(page, words, "tale")
    page.fill("#set-temperature", "0.5")
    page.press("Tab")
    page.fill("#set-tokens", "30")
    page.press("Tab")
    generate(page, "a dog")
    page.click("#shade-none")
    text = page.run(TEXT)
    assert len(text) == len("a dog") + 30
    page.reload()
    page.wait(DONE)
    assert page.run(TEXT) == text
    assert page.run("document.querySelector('#shade-none').getAttribute('aria-pressed')") == "true"
    assert page.run("document.querySelector('#set-temperature').value") == "0.5"
    assert "temperature=0.5" in page.run("location.search") and "dog" not in page.run("location.search")


@pytest.mark.slow
def test_esc_stops_a_text_and_it_can_go_on(page: Browser, words: Server) -> None:
    play(page, words, "tale", "&tokens=5000")
    page.fill("#prompt", "the ")
    page.click("#generate")
    page.wait("document.querySelectorAll('.spans [data-i]').length > 20")
    pressed = time.monotonic()
    page.press("Escape")
    page.wait("document.querySelector('.foot').innerText.includes('stopped')")
    page.press("Escape")
    page.press("Escape")
    print(f"stopped after {1e3 * (time.monotonic() - pressed):.0f} ms")
    count = page.run("document.querySelectorAll('.spans [data-i]').length")
    assert 20 < count < 5000
    page.fill("#set-tokens", "5")
    page.press("Tab")
    page.click(".foot button", "Go on from here")
    page.wait(DONE)
    assert page.run("document.querySelectorAll('.spans [data-i]').length") == count + 5


@pytest.mark.slow
def test_a_token_is_looked_at_while_the_text_is_written_and_a_text_that_is_given_up_says_so(
    page: Browser, words: Server, tmp_path: Path
) -> None:
    id = play(page, words, "tale", "&tokens=9000")
    page.fill("#prompt", "the cat ")
    page.click("#generate")
    page.wait("document.querySelectorAll('.spans [data-i]').length > 30")
    page.click(".spans [data-i='20']")
    page.see("Token 21: what could have come")
    page.see("to choose token 21")
    other = f"{SPEED}('/api/runs/{id}/play/words/attention', {json.dumps({'ids': [*range(16)] * 2, 'at': [30]})})"
    print(f"attention while a text is written: {sorted(page.run(other) for _ in range(9))[4]:.0f} ms")
    waits = page.run(f"""fetch('/api/runs/{id}/play/words/generate', {{method: 'POST', body: '{{"tokens":1}}',
        headers: {{'content-type': 'application/json'}}}}).then((answer) => answer.body.getReader()).then((reader) =>
        reader.read().then(({{value}}) => reader.cancel().then(() => new TextDecoder().decode(value))))""")
    assert json.loads(waits) == {"part": {"waits": "words/generate"}}
    assert page.run("!!document.querySelector('#stop-writing')"), "the text is still being written"
    page.fill("#set-tokens", "20")
    page.press("Tab")
    page.click("#could-1")
    page.see("given up")
    page.wait(DONE)
    page.click("#text-0")
    page.see("given up for another text")
    shot(page, "given-up", tmp_path)


@pytest.mark.slow
def test_a_head_is_chosen_and_its_attention_shades_the_text(page: Browser, words: Server, tmp_path: Path) -> None:
    play(page, words, "tale", "&tokens=40")
    generate(page, "the cat sat")
    page.wait("document.querySelectorAll('.maps canvas').length === 6")
    page.click("#shade-attention")
    page.click("#head-2-3")
    page.see("Layer 2, head 3 looked at")
    page.wait("document.querySelectorAll('.spans [class*=s9]').length > 0")
    shares = page.run("[...document.querySelectorAll('.looked td:last-child')].map((n) => parseFloat(n.innerText))")
    assert shares == sorted(shares, reverse=True) and 0 < sum(shares) <= 101
    assert "layer=2" in page.run("location.search") and "head=3" in page.run("location.search")
    shot(page, "attention", tmp_path)
    page.prefer(prefers_color_scheme="dark")
    shot(page, "dark", tmp_path)
    page.click("#head-2-3")
    page.see("Mean of all 6 heads looked at")


@pytest.mark.slow
def test_a_recurrent_net_is_played_without_attention(page: Browser, words: Server, tmp_path: Path) -> None:
    play(page, words, "bytes", "&tokens=80")
    page.see("charnn cannot show attention")
    generate(page, "né")
    assert page.run("document.querySelector('#shade-attention')") is None
    parts = page.run(
        "[...document.querySelectorAll('.spans [data-i]')].slice(0, 3).map((n) => [n.textContent, n.title])"
    )
    assert parts == [["n", ""], ["·", "\\xc3, part of a character"], ["é", ""]]
    shot(page, "bytes", tmp_path)


@pytest.mark.slow
def test_a_wrong_setting_is_said_and_the_prompt_stays(page: Browser, words: Server) -> None:
    play(page, words, "tale")
    bad = "document.querySelector('#bad-temperature').innerText"
    for wrong, said in (("-1", "must be at least 0"), ("0,8", "decimals stand after a point"), ("", "is missing")):
        page.fill("#set-temperature", wrong or " ")
        page.press("Tab")
        page.wait(f"{bad}.includes('{said}')")
    page.fill("#prompt", "the cat")
    page.click("#generate")
    page.wait("document.activeElement.id === 'set-temperature'")
    assert page.run("document.querySelector('.spans').hidden && !location.search.includes('temperature')")
    page.fill("#set-temperature", "0.5")
    page.wait("document.querySelector('#bad-temperature').hidden && location.search.includes('temperature=0.5')")
    page.fill("#prompt", "日本")
    page.click("#generate")
    page.see("日")
    page.wait("document.querySelector('.foot .bad')")
    assert page.run("document.querySelector('#prompt').value") == "日本"


@pytest.mark.slow
def test_a_process_that_dies_leaves_the_text_so_far(page: Browser, words: Server) -> None:
    play(page, words, "tale", "&tokens=9000")
    page.fill("#prompt", "the ")
    page.click("#generate")
    page.wait("document.querySelectorAll('.spans [data-i]').length > 20")
    ours = [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit() and of_studio(p, words)]
    assert ours
    for pid in ours:
        os.kill(pid, signal.SIGKILL)
    page.see("the process that held this run has ended")
    page.see("the text broke off here")
    count = page.run("document.querySelectorAll('.spans [data-i]').length")
    page.fill("#set-tokens", "4")
    page.press("Tab")
    page.click(".foot button", "Go on from here")
    page.wait(DONE)
    assert page.run("document.querySelectorAll('.spans [data-i]').length") == count + 4


def of_studio(process: Path, words: Server) -> bool:
    """Whether a process is one that holds a run for this studio."""
    try:
        parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
        return int(parent) == words.process.pid and b"elboroom.play.worker" in (process / "cmdline").read_bytes()
    except (OSError, IndexError):
        return False


@pytest.mark.slow
def test_a_phone_shows_the_page_whole(page: Browser, words: Server, tmp_path: Path) -> None:
    page.size(390, 844)
    play(page, words, "tale", "&tokens=60")
    generate(page, "the cat")
    page.wait("document.querySelectorAll('.maps canvas').length === 6")
    shot(page, "phone", tmp_path)
    assert page.run("document.documentElement.scrollWidth") <= 390
    tap = (
        "(n) => { n.dispatchEvent(new PointerEvent('pointerdown', {bubbles: true, pointerType: 'touch'})); n.click() }"
    )
    page.run(f"({tap})(document.querySelector('.spans [data-i=\"2\"]'))")
    page.see("Token 3: what could have come")
    assert page.run("document.querySelector('#prompt').hidden")
    small = page.run("""[...document.querySelectorAll('.prompt button')].filter((n) => n.offsetParent &&
        n.getBoundingClientRect().height < 43.5).map((n) => n.textContent + n.id)""")
    assert small == []


# Milliseconds from an ask to its second line, or to its end where it has one.
SPEED = """(async (name, given) => {
    const begun = performance.now(), body = JSON.stringify(given), headers = {'content-type': 'application/json'}
    const reader = (await fetch(name, {method: 'POST', headers, body})).body.getReader()
    for (let lines = 0, piece; lines < 2 && !(piece = await reader.read()).done;)
        lines += new TextDecoder().decode(piece.value).split('\\n').length - 1
    const took = performance.now() - begun
    await reader.cancel()
    return took
})"""


@pytest.mark.slow
def test_the_first_token_and_the_panel_come_soon(page: Browser, words: Server) -> None:
    """Medians, with room for a machine that does other things as well."""
    id = play(page, words, "tale", "&tokens=20")
    generate(page, "the cat")
    asks = {
        "generate": ({"prompt": "the cat", "tokens": 30}, 100),
        "attention": ({"ids": [*range(16)] * 2, "at": [30]}, 50),
        "law": ({"ids": [*range(16)] * 2}, 50),
    }
    for verb, (given, budget_ms) in asks.items():
        call = f"{SPEED}('/api/runs/{id}/play/words/{verb}', {json.dumps(given)})"
        found = sorted(page.run(call) for _ in range(15))
        print(f"words/{verb}: {found[7]:.0f} ms, at most {found[-1]:.0f} ms; budget {budget_ms} ms")
        assert found[7] < 4 * budget_ms
