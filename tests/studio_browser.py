"""Chromium without a window, driven over a pipe by its own DevTools protocol: what a person does, in few words.

The protocol is JSON messages that end with a zero byte, on file descriptors 3 (in) and 4 (out).
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
KEYS = {"Enter": 13, "Escape": 27, "Tab": 9, "ArrowDown": 40, "ArrowUp": 38, "ArrowLeft": 37, "ArrowRight": 39, " ": 32}
WAIT_S = 40.0


class Browser:
    """One page of one browser; use as a context."""

    def __init__(self, profile: Path) -> None:
        assert BROWSER is not None
        to_read, self._in = os.pipe()
        self._out, to_write = os.pipe()
        flags = (
            "headless=new no-sandbox disable-gpu hide-scrollbars remote-debugging-pipe no-first-run "
            "disable-dev-shm-usage disable-background-networking"
        )
        words = [BROWSER, *(f"--{flag}" for flag in flags.split()), f"--user-data-dir={profile}"]
        script = f'exec "$0" "$@" 3<&{to_read} 4>&{to_write}'
        self._process = subprocess.Popen(
            ["bash", "-c", script, *words], pass_fds=(to_read, to_write), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(to_read)
        os.close(to_write)
        self._held, self._number = b"", 0
        self.faults: list[str] = []
        """Errors of scripts, and what the page's policy refused."""
        self.requests: list[str] = []
        target = self._call("Target.createTarget", url="about:blank", session=False)["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True, session=False)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "DOM"):
            self._call(f"{domain}.enable")
        self.size(1344, 896)

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._in)
        os.close(self._out)

    # ---- the protocol -----------------------------------------------------------------------------------------------

    def _call(self, method: str, session: bool = True, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        number = self._number
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = self._session
        os.write(self._in, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + WAIT_S
        while True:
            answer = self._next(end - time.monotonic())
            if answer.get("id") == number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result

    def _next(self, wait_s: float) -> dict[str, Any]:
        end = time.monotonic() + wait_s
        while b"\0" not in self._held:
            ready, _, _ = select.select([self._out], [], [], max(0.0, end - time.monotonic()))
            assert ready, "the browser does not answer"
            piece = os.read(self._out, 1 << 20)
            assert piece, "the browser has ended"
            self._held += piece
        text, _, self._held = self._held.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        self._note(message)
        return message

    def _note(self, message: dict[str, Any]) -> None:
        given = message.get("params", {})
        if message.get("method") == "Runtime.exceptionThrown":
            found = given["exceptionDetails"]
            self.faults.append(str(found.get("exception", {}).get("description") or found["text"]))
        elif message.get("method") == "Log.entryAdded" and given["entry"]["source"] in ("security", "violation"):
            self.faults.append(given["entry"]["text"])
        elif message.get("method") == "Network.requestWillBeSent":
            self.requests.append(given["request"]["url"])

    # ---- what a person does -----------------------------------------------------------------------------------------

    def open(self, address: str) -> None:
        self._call("Page.navigate", url=address)

    def begin(self, script: str) -> None:
        """Run this in every page that is opened from now on, before its own scripts."""
        self._call("Page.addScriptToEvaluateOnNewDocument", source=script)

    def reload(self) -> None:
        self._call("Page.reload")

    def run(self, script: str) -> Any:
        """The value of an expression in the page; a promise is waited for."""
        found = self._call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait(self, condition: str, wait_s: float = WAIT_S) -> Any:
        """Until an expression is true; else the page's text is shown."""
        end = time.monotonic() + wait_s
        while time.monotonic() < end:
            caught = "catch { return null }"
            script = f"(() => {{ try {{ const v = {condition}; return v instanceof Node ? true : v }} {caught} }})()"
            if value := self.run(script):
                return value
            time.sleep(0.1)
        raise AssertionError(f"never true: {condition}\n{self.text()[:3000]}\n{self.faults}")

    def see(self, text: str, wait_s: float = WAIT_S) -> None:
        self.wait(f"document.body.innerText.includes({json.dumps(text)})", wait_s)

    def text(self) -> str:
        return str(self.run("document.body.innerText"))

    def click(self, selector: str, text: str = "") -> None:
        """Click the first thing in sight that fits, with a mouse's events."""
        found = self.wait(f"""(() => {{ const one = [...document.querySelectorAll({json.dumps(selector)})].find((n) =>
            n.offsetParent !== null && !n.disabled && n.textContent.includes({json.dumps(text)}))
            if (!one) return null
            one.scrollIntoView({{block: 'center'}}); const b = one.getBoundingClientRect()
            return b.width ? [b.x + b.width / 2, b.y + b.height / 2] : null }})()""")
        for kind in ("mousePressed", "mouseReleased"):
            self._call("Input.dispatchMouseEvent", type=kind, x=found[0], y=found[1], button="left", clickCount=1)

    def press(self, key: str, *, shift: bool = False) -> None:
        named = key in KEYS
        given: dict[str, Any] = {"key": key, "windowsVirtualKeyCode": KEYS.get(key, ord(key[0].upper()))}
        given |= {"code": key if named and key != " " else "Space" if key == " " else f"Key{key.upper()}"}
        given |= {"modifiers": 8} if shift else {}
        text = {"Enter": "\r"}.get(key, "" if named and key != " " else key)
        self._call("Input.dispatchKeyEvent", type="keyDown", **given, **({"text": text} if text else {}))
        self._call("Input.dispatchKeyEvent", type="keyUp", **given)

    def type(self, text: str) -> None:
        self._call("Input.insertText", text=text)

    def fill(self, selector: str, text: str) -> None:
        self.wait(f"document.querySelector({json.dumps(selector)})")
        self.run(f"document.querySelector({json.dumps(selector)}).focus()")
        self.run("document.activeElement.select?.()")
        self.type(text)

    def choose(self, selector: str, *paths: Path) -> None:
        """Give files or a folder to a file field."""
        root = self._call("DOM.getDocument")["root"]["nodeId"]
        node = self._call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self._call("DOM.setFileInputFiles", nodeId=node, files=[str(p) for p in paths])

    def drop(self, x: int, y: int, *paths: Path) -> None:
        """Let go of files over a place of the page."""
        data = {"items": [], "files": [str(p) for p in paths], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self._call("Input.dispatchDragEvent", type=kind, x=x, y=y, data=data)

    def size(self, width: int, height: int) -> None:
        self._call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )

    def prefer(self, **features: str) -> None:
        """prefers_color_scheme="dark" and the like."""
        listed = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self._call("Emulation.setEmulatedMedia", features=listed)

    def shot(self, path: Path, *, whole: bool = False) -> None:
        path.write_bytes(base64.b64decode(self._call("Page.captureScreenshot", captureBeyondViewport=whole)["data"]))
