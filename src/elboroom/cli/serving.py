"""`serve`: HTTP for one run."""

from __future__ import annotations

import argparse
import os
import re
import secrets
from pathlib import Path

from elboroom.cli import console
from elboroom.cli.parser import Parser, whole
from elboroom.cli.verbs import Answer, Verb
from elboroom.core.errors import InputError

__all__ = ["Serve"]

TOKEN = "ELBOROOM_TOKEN"


class Serve(Verb):
    """HTTP for one run on this machine: OpenAI's completions, the verbs of the command line, streams to be watched."""

    def flags(self, parser: Parser, words: list[str]) -> None:
        parser.add_argument("RUN", type=Path, help="a run folder")
        add = parser.add_argument
        add("--port", type=whole(0), default=8000, metavar="P", help="on 127.0.0.1; 0: one that is free (default 8000)")
        add("--token", metavar="T", help=f"what clients must send (default: ${TOKEN}, else a fresh one, printed)")
        add("--slots", type=whole(1), default=8, metavar="N", help="texts that are written at once (default 8)")
        add("--queue", type=whole(0), metavar="N", help="texts that may wait (default: as many as there are slots)")
        add("--streams", type=whole(1), default=64, metavar="N", help="series that are watched at once (default 64)")

    def run(self, args: argparse.Namespace) -> Answer:
        try:
            from elboroom.serve.app import Serving
            from elboroom.web.running import listening, run
        except ModuleNotFoundError as error:
            missing = (error.name or "").partition(".")[0]
            if missing not in ("starlette", "uvicorn"):
                raise
            raise InputError(f'serve needs {missing}: pip install "elboroom[studio]"') from error
        token = _token(args.token)
        with listening(args.port) as taken:
            from elboroom.run import load

            url = f"http://127.0.0.1:{taken.getsockname()[1]}"
            queue = args.slots if args.queue is None else args.queue
            serving = Serving(load(args.RUN), slots=args.slots, queue=queue, streams=args.streams)

            def ready() -> None:
                begun = {"run": str(args.RUN), "url": url, "token": token, "pid": os.getpid()}
                text = f"{args.RUN} is served at {url}\ntoken: {token}\nend with Ctrl-C"
                console.print_answer(console.document(begun) if args.json else text)

            run(serving.app(taken.getsockname()[1], token), taken, ready, serving.worker.stop)
        return Answer(document=None)


def _token(given: str | None) -> str:
    token = os.environ.get(TOKEN, "") if given is None else given
    if given is None and not token:
        return secrets.token_urlsafe(32)
    if not re.fullmatch(r"[!-~]{1,512}", token):
        raise InputError(f"--token or ${TOKEN}: a token is 1 to 512 visible ASCII characters without blanks")
    return token
