"""`studio`: a local page for the runs of a folder."""

from __future__ import annotations

import argparse
import importlib.util
import secrets
from pathlib import Path

from elboroom.cli import console
from elboroom.cli.parser import Parser, whole
from elboroom.cli.verbs import Answer, Verb
from elboroom.core.errors import InputError

__all__ = ["Studio"]


class Studio(Verb):
    """A page that lists, starts, watches and compares runs; for this machine only, until it is stopped."""

    def flags(self, parser: Parser, words: list[str]) -> None:
        parser.add_argument("DIR", nargs="?", type=Path, default=Path("runs"), help="a folder of runs (default runs)")
        parser.add_argument("--port", type=whole(0), default=8377, metavar="P", help="default 8377; 0 takes a free one")
        parser.add_argument("--no-browser", action="store_true", help="do not open a browser, only print the address")

    def run(self, args: argparse.Namespace) -> Answer:
        if missing := [name for name in ("starlette", "uvicorn") if importlib.util.find_spec(name) is None]:
            raise InputError(f'the studio needs {" and ".join(missing)}: pip install "elboroom[studio]"')
        from elboroom.artifacts import files
        from elboroom.studio.app import ENTER, Studio
        from elboroom.web import running

        if args.DIR.exists() and not args.DIR.is_dir():
            raise InputError(f"{args.DIR}: is a file; name a folder of runs")
        sock = running.listening(args.port)
        files.make_folder(args.DIR.absolute())
        port, token = sock.getsockname()[1], secrets.token_urlsafe(32)
        studio = Studio(args.DIR)
        address = f"http://127.0.0.1:{port}{ENTER}?token={token}"

        def started() -> None:
            console.say(f"the studio of {args.DIR} is at {address}")
            console.say("open this address in a browser; Ctrl-C ends the studio, trainings go on")
            if not args.no_browser:
                import webbrowser

                webbrowser.open(address)

        def stopping() -> None:
            studio.closing = True

        running.run(studio.app(port, token), sock, started, stopping)
        return Answer(document={"folder": str(args.DIR), "port": port}, text="the studio has ended")
