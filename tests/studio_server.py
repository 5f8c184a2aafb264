"""A studio as a process of its own, and the ways a test asks it."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


class Server:
    """`elboroom studio FOLDER` and the way to ask it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        words = [sys.executable, "-m", "elboroom", "studio", str(folder), "--port", "0", "--no-browser"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment)
        assert self.process.stderr is not None
        first = self.process.stderr.readline().decode()
        found = re.search(r"(http://127\.0\.0\.1:(\d+))/enter\?token=(\S+)", first)
        assert found, first
        self.address, self.port, self.token = found[0], int(found[2]), found[3]
        self.root = found[1]

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        """(status, document), with the token unless other headers are given."""
        given = {"Authorization": f"Bearer {self.token}"} if headers is None else headers
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        if body is not None and "Content-Type" not in given:
            kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"
            given = {**given, "Content-Type": kind}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=90)
        try:
            connection.request(method, path, content, given)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        kind = answer.getheader("content-type", "")
        return answer.status, json.loads(text) if kind.startswith("application/json") else text

    def get(self, path: str) -> Any:
        status, document = self.ask("GET", path)
        assert status == 200, document
        return document

    def post(self, path: str, body: Any) -> Any:
        status, document = self.ask("POST", path, body)
        assert status == 200, document
        return document

    def run(self, name: str) -> dict[str, Any]:
        """The row of a run in the list."""
        return next(row for row in self.get("/api/runs")["runs"] if row["name"] == name)

    def until(self, name: str, *states: str, wait_s: float = 60) -> dict[str, Any]:
        end = time.monotonic() + wait_s
        while time.monotonic() < end:
            row = self.run(name)
            if row["state"] in states:
                return row
            time.sleep(0.2)
        raise AssertionError(f"{name} is {self.run(name)}")

    def upload(self, name: str, files: dict[str, bytes]) -> str:
        listed = [{"name": n, "size": len(content)} for n, content in files.items()]
        begun = self.post("/api/uploads", {"name": name, "files": listed})
        for number in begun["missing"]:
            status, said = self.ask("PUT", f"/api/uploads/{begun['id']}/{number}", list(files.values())[number])
            assert status == 200, said
        return str(begun["id"])

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.stderr is not None
        self.process.stderr.close()
        assert self.process.wait(20) == 0
