"""The files of the page: small, self-contained, without a way to turn text into markup."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from elboroom.studio.pages import POLICY, STATIC, assets, tokens_css


def loaded(name: str, held: frozenset[str] = frozenset()) -> frozenset[str]:
    """A module and what it imports before anything is asked for; with `held`, what is there already as well."""
    if name in held:
        return held
    held |= {name}
    for other in re.findall(r"from '\./([\w-]+\.js)'", assets()[name][0].decode()):
        held = loaded(other, held)
    return held


PAGES = sorted(set(re.findall(r"import\('\./([\w-]+\.js)'\)", assets()["app.js"][0].decode())))
PLAYS = sorted(name for name in assets() if name.startswith("play-"))


@pytest.mark.parametrize("names", [*([page] for page in PAGES), *(["run.js", "play.js", play] for play in PLAYS)])
def test_what_a_page_loads_stays_under_200_kB(names: list[str]) -> None:
    """Pages are loaded when they are opened; none needs another's script."""
    held = loaded("app.js")
    for name in names:
        held = loaded(name, held)
    style = [name for name in assets() if name.endswith((".css", ".html"))]
    assert sum(len(assets()[name][0]) for name in [*held, *style]) < 200_000


def test_no_file_turns_text_into_markup_or_reaches_elsewhere() -> None:
    forbidden = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|https?://(?!www\.w3\.org/2000/svg)"
    )
    found = {p.name: forbidden.findall(p.read_text(encoding="utf-8")) for p in STATIC.iterdir() if p.is_file()}
    assert {name: hits for name, hits in found.items() if hits} == {}


def test_every_module_that_is_imported_is_there() -> None:
    for path in STATIC.glob("*.js"):
        for name in re.findall(r"(?:from|import\()\s*'\./([\w-]+\.js)'", path.read_text(encoding="utf-8")):
            assert name in assets(), f"{path.name} imports {name}"


def test_the_policy_allows_no_inline_script_and_no_other_origin() -> None:
    assert "unsafe" not in POLICY and "http" not in POLICY and "default-src 'none'" in POLICY


def test_both_themes_have_the_colours_of_the_reports() -> None:
    css = tokens_css()
    assert (
        "--paper:#fbfbf9" in css and "--paper:#121417" in css and "--c1:" in css and "prefers-color-scheme:dark" in css
    )


def test_the_studio_never_imports_torch() -> None:
    code = "import elboroom.studio.app, sys; assert 'torch' not in sys.modules, 'torch'"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
