"""`elboroom serve`: what it says, what it refuses, and its life as a process from the first line to an orderly end."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from elboroom.cli.main import main
from elboroom.run import Run
from elboroom.web.running import listening
from served import Client


def refused(*words: str) -> tuple[int, str]:
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        code = main(["serve", *words])
    return code, said.getvalue()


def test_a_port_that_is_taken_is_refused_before_the_run_is_loaded(tmp_path: Path) -> None:
    with listening(0) as taken:
        code, said = refused(str(tmp_path), "--port", str(taken.getsockname()[1]))
    assert code == 2 and "--port 0 takes a free one" in said
    code, said = refused(str(tmp_path), "--port", "70000")
    assert code == 2 and "--port 70000: cannot be used" in said


@pytest.mark.parametrize("token", ["", "two words", "naïve", "a\nb", "x" * 513])
def test_a_token_that_no_header_can_hold_is_refused(tmp_path: Path, token: str) -> None:
    code, said = refused(str(tmp_path), "--port", "0", "--token", token)
    assert code == 2 and "visible ASCII" in said


def test_it_listens_on_no_other_address(tmp_path: Path) -> None:
    code, said = refused(str(tmp_path), "--host", "0.0.0.0")
    assert code == 2 and "no flag '--host'" in said
    with listening(0) as taken:
        assert taken.getsockname()[0] == "127.0.0.1"


@pytest.mark.parametrize("gone", ["starlette", "uvicorn"])
def test_a_missing_extra_is_one_message_with_the_line_that_installs_it(gone: str) -> None:
    code = (
        f"import sys; sys.modules[{gone!r}] = None\n"
        "from elboroom.cli.main import main; sys.exit(main(['serve', 'nowhere', '--port', '0']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == f'elboroom: serve needs {gone}: pip install "elboroom[studio]"\n'


def test_the_server_needs_no_torch_before_it_has_a_run() -> None:
    code = "import elboroom.cli.serving, elboroom.serve.app, elboroom.web.running, sys; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_process_serves_from_its_first_line_until_a_signal_and_ends_with_0(digits_run: Run, stop: int) -> None:
    words = [sys.executable, "-m", "elboroom", "serve", str(digits_run.path), "--port", "0", "--json"]
    environment = {**os.environ, "ELBOROOM_TOKEN": "kept-out-of-the-list-of-processes"}
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True) as process:
        try:
            begun = told(process)
            assert begun["token"] == "kept-out-of-the-list-of-processes" and begun["pid"] == process.pid
            client = Client(int(begun["url"].rpartition(":")[2]), begun["token"])
            assert client.ask("GET", "/health") == (200, {"status": "ok"})
            assert len(client.post("/sample", n=2)["x"]) == 2
            process.send_signal(stop)
            began = time.monotonic()
            out, said = process.communicate(timeout=30)
            assert (process.returncode, out, said) == (0, "", "")
            assert time.monotonic() - began < 5
        finally:
            process.kill()


def told(process: subprocess.Popen[str]) -> Any:
    """The document with which it begins."""
    assert process.stdout is not None
    text = ""
    for line in process.stdout:
        text += line
        if line == "}\n":
            return json.loads(text)
    raise AssertionError(process.communicate()[1])
