"""Runs the command line in forked children, so that a trial costs no import of torch; ends them at a chosen moment.

One request a line on stdin, one answer a line on stdout, both JSON. A request: `words` of the command line, `said` the
file that takes what it prints, and a plan, each part of which may be absent:

    record   file that takes the operations on the disk: [[seconds, action, path, target], ...]
    at       number of the operation before which something happens
    errno    ... there the operation fails with this error, and every later write too
    after_s  ... from there (or from the start, without `at`) the process gets `signals`, that many seconds later
    signals  numbers, a hundredth of a second apart; default SIGKILL
    limit    largest size of a file in bytes, after which the kernel says the disk has no more room
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import select
import signal
import sys
import tempfile
import time
import traceback
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any


def child(request: dict[str, Any], bell: int) -> int:
    """Become the command line, with the plan's trap in the seam of the files."""
    from elboroom.artifacts import files
    from elboroom.cli.main import main

    said = os.open(request["said"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.dup2(said, 1)
    os.dup2(said, 2)
    if "limit" in request:
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["limit"], request["limit"]))
    began, seen = time.monotonic(), []

    def watch(operation: files.Operation) -> None:
        number = len(seen)
        seen.append([time.monotonic() - began, operation.action, str(operation.path), str(operation.target or "")])
        if number == request.get("at", -1) and "errno" not in request:
            if request.get("after_s", 0.0) == 0.0 and request.get("signals", [signal.SIGKILL]) == [signal.SIGKILL]:
                os.kill(os.getpid(), signal.SIGKILL)
            os.write(bell, b"!")
        if "errno" in request and number >= request["at"] and operation.action not in ("unlink", "rmdir", "truncate"):
            raise OSError(request["errno"], os.strerror(request["errno"]))

    with files.watched(watch):
        code = main(request["words"])
    sys.stdout.flush()
    sys.stderr.flush()
    if "modules" in request:
        Path(request["modules"]).write_text(json.dumps(sorted(sys.modules)))
    if "record" in request:
        Path(request["record"]).write_text(json.dumps(seen))
    return code


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Fork, wait for the moment, send the signals, give the exit code."""
    heard, bell = os.pipe()
    began = time.monotonic()
    pid = os.fork()
    if pid == 0:
        code = 98
        try:
            os.close(heard)
            code = child(request, bell)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    os.close(bell)
    signals = list(request.get("signals", [signal.SIGKILL]))
    due = began + request["after_s"] if "after_s" in request and "at" not in request else None
    sent = 0.0
    while True:
        ready, _, _ = select.select([heard], [], [], None if due is None else max(0.0, due - time.monotonic()))
        if ready:
            if not os.read(heard, 1):
                break  # the child has ended
            due = time.monotonic() + request.get("after_s", 0.0)
        elif signals:
            os.kill(pid, signals.pop(0))
            sent = time.monotonic()
            due = sent + 0.01 if signals else None
    os.close(heard)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    ended = time.monotonic()
    return {"call": request["call"], "code": code, "took_s": ended - began, "to_exit_s": ended - sent if sent else 0.0}


def import_what_a_run_imports() -> None:
    """Let one child do a short run, then import what it had imported in the end; nothing is run in this process."""
    with tempfile.TemporaryDirectory() as folder:
        names = Path(folder) / "names"
        words = ["fit", "vae", "digits", "--steps", "2", "--run", f"{folder}/run", "--threads", "1", "--compile", "off"]
        ended = run({"call": 0, "words": words, "said": f"{folder}/said", "modules": str(names)})
        if ended["code"] != 0:
            raise SystemExit((Path(folder) / "said").read_text())
        for name in json.loads(names.read_text()):
            with suppress(Exception):
                importlib.import_module(name)


def serve() -> None:
    """Answer requests until stdin ends."""
    warnings.simplefilter("ignore")
    import torch

    import elboroom.fitting  # noqa: F401

    torch.set_num_threads(1)
    import_what_a_run_imports()
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)


if __name__ == "__main__":
    serve()
