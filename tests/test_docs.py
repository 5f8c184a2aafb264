"""Documentation that runs: every block of code on every page, the made pages, and the links between pages."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import re
import runpy
import shlex
import types
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from elboroom.cli.main import main

if TYPE_CHECKING:
    from elboroom.run import Run

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)(?:#[^)]*)?\)")

SLOW = {
    "CONTRIBUTING", "biggan", "classify-sequences", "disentanglement", "find-anomalies", "generate-text",
    "imbalance", "long-runs", "look-at-attention", "look-inside-a-cell", "pitfalls-of-recurrent-nets", "sagan",
    "sample-quality", "serve", "sharing", "sweep", "when-peepholes-help",
}  # fmt: skip
"""Pages of 4 s and more; what they call is called by quicker tests of the verbs, the measures and the exports."""


def blocks(page: Path) -> list[tuple[str, str, str]]:
    """(language, rest of the fence's line, code) of each block."""
    return [(m[1], m[2].strip(), m[3]) for m in BLOCK.finditer(page.read_text(encoding="utf-8"))]


def runnable(page: Path) -> bool:
    return any(language in ("python", "sh") for language, _, _ in blocks(page))


def elboroom(line: str) -> None:
    """One line of a shell block, in this process."""
    words = shlex.split(line, comments=True)
    assert words[0] in ("elboroom", "elbo"), f"a block of sh holds calls of elboroom only, not {line!r}"
    said = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
        code = main(words[1:])
    assert code == 0, f"{line}\nexit code {code}\n{said.getvalue()}"


@pytest.mark.parametrize(
    "page",
    [pytest.param(p, id=p.stem, marks=pytest.mark.slow if p.stem in SLOW else []) for p in PAGES if runnable(p)],
)
def test_the_code_on_this_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = types.ModuleType(page.stem).__dict__
    for language, rest, code in blocks(page):
        if rest.startswith("file="):
            place = tmp_path / rest.removeprefix("file=")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(code, encoding="utf-8")
        elif language == "python":
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(code, str(page), "exec", dont_inherit=True), names)
        elif language == "sh":
            for line in code.replace("\\\n", " ").splitlines():
                if line.strip() and not line.startswith("#"):
                    elboroom(line)


def test_the_script_without_elboroom_is_twenty_lines_and_names_no_elboroom() -> None:
    script = next(code for _, rest, code in blocks(ROOT / "docs" / "sharing.md") if rest == "file=decode.py")
    assert "import elboroom" not in script
    assert "from elboroom" not in script
    assert len([line for line in script.splitlines() if line.strip()]) <= 20


def test_the_made_pages_say_what_the_source_says() -> None:
    located = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert located is not None
    assert located.loader is not None
    generate = importlib.util.module_from_spec(located)
    located.loader.exec_module(generate)
    stale = [
        str(path.relative_to(ROOT))
        for path, text in generate.pages().items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    assert not stale, f"run `make docs`: {stale}"
    made = {path for path in generate.pages() if path.parent.name == "models"}
    assert set((ROOT / "docs" / "models").glob("*.md")) == made, "a page of a model that is gone"


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda p: p.stem)
def test_links_lead_somewhere(page: Path) -> None:
    broken = [t for t in LINK.findall(page.read_text(encoding="utf-8")) if not (page.parent / t).exists()]
    assert not broken, f"{page.name}: {broken}"


def test_every_measure_a_run_takes_is_explained(digits_run: Run, table_run: Run) -> None:
    page = (ROOT / "docs" / "measures.md").read_text(encoding="utf-8")
    unexplained = [key for key in {**digits_run.metrics, **table_run.metrics} if f"`{key}`" not in page]
    assert not unexplained, f"docs/measures.md does not say what these are: {unexplained}"


def test_every_page_can_be_reached_from_the_index() -> None:
    reached = set(LINK.findall((ROOT / "docs" / "index.md").read_text(encoding="utf-8")))
    assert {p.name for p in (ROOT / "docs").glob("*.md")} - {"index.md"} <= reached


@pytest.mark.parametrize("script", sorted((ROOT / "examples").glob("*.py")), ids=lambda p: p.stem)
def test_this_example_runs_from_its_first_line_to_its_last(
    script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        runpy.run_path(str(script), run_name="__main__")
    assert said.getvalue()
