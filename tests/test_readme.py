"""The README's promises: one screen, and every command on it works as it stands."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from elboroom.cli.main import main

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def commands(program: str) -> list[str]:
    lines = [line for language, code in BLOCKS if language == "sh" for line in code.splitlines()]
    return [line for line in lines if line.split()[0] == program]


def test_the_readme_is_one_screen() -> None:
    assert len(TEXT.splitlines()) <= 60


def test_every_line_of_shell_is_a_call_that_some_test_runs() -> None:
    lines = [line for language, code in BLOCKS if language == "sh" for line in code.splitlines() if line.strip()]
    assert set(lines) == set(commands("make") + commands("elboroom"))


def test_the_calls_of_elboroom_work_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After ten steps each, and without those on a text, as docs/generate-text.md has them; the next test runs all."""
    monkeypatch.chdir(tmp_path)
    for line in commands("elboroom"):
        if "runs/words" in line:
            continue
        words = shlex.split(re.sub(r"(--steps \+?)\d+", r"\g<1>10", line), comments=True)[1:]
        if words[0] == "fit" and "--steps" not in words:
            words += ["--steps", "10"]
        assert main(words) == 0, line
    left_is_what_they_say(tmp_path)


@pytest.mark.slow
def test_the_calls_of_elboroom_work_as_processes(tmp_path: Path) -> None:
    scripts = sysconfig.get_path("scripts")
    environment = {**os.environ, "PATH": scripts + os.pathsep + os.environ.get("PATH", "")}
    script = "set -eu\n" + "\n".join(commands("elboroom"))
    call = ["bash", "-c", script]
    done = subprocess.run(call, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    left_is_what_they_say(tmp_path)


def left_is_what_they_say(folder: Path) -> None:
    assert (folder / "runs" / "first" / "report.html").is_file()
    assert {p.name for p in folder.iterdir()} == {"runs", "samples.png", "pairs.png", "codes.csv", "first.onnx"}


def test_the_python_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for code in (code for language, code in BLOCKS if language == "python"):
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(code, "README.md", "exec", dont_inherit=True), {"__name__": "__main__"})
    assert not list(tmp_path.iterdir()), "a run without a folder left something behind"


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make on this machine")
def test_make_knows_every_target_that_the_readme_and_the_contract_name() -> None:
    named = {line.split("#")[0].split()[1] for line in commands("make")}
    for target in sorted(named | {"demo", "test", "test-slow", "check", "bench", "docs"}):
        done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_ci_runs_the_readmes_test_command() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert "README.md" in script
    assert [line.split("#")[0].strip() for line in commands("make")][-1] == "make test"
