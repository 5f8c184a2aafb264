"""`generate`: a run of a language model goes on writing."""

from __future__ import annotations

import argparse
import re
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

from elboroom.cli import flags
from elboroom.cli.parser import Parser, number, whole
from elboroom.cli.verbs import Answer, Verb
from elboroom.core.errors import InputError

if TYPE_CHECKING:
    from elboroom.generation import Asked, Generation, Piece

__all__ = ["Generate"]

TOP = 5
"""Likeliest tokens that --logprobs reports at each place."""


class Generate(Verb):
    """Go on writing a text. With --stream it is shown as it comes; with --json it comes as one document at the end."""

    def flags(self, parser: Parser, words: list[str]) -> None:
        parser.add_argument("RUN", type=Path, help="a run folder")
        begin = parser.add_mutually_exclusive_group().add_argument
        begin("--prompt", nargs="+", action="extend", metavar="TEXT", help='one text or more (default: "", a new text)')
        begin("--prompt-file", type=Path, metavar="F", help="prompts in a file, one a line; empty lines are left out")
        add = parser.add_argument
        add("--tokens", type=whole(1), default=100, metavar="N", help="at most so many for each text (default 100)")
        add("--temperature", type=number(0), default=1.0, metavar="T", help="0 is greedy (default 1)")
        add("--top-k", type=whole(1), default=0, metavar="K", help="draw from the K likeliest tokens only")
        add("--top-p", type=number(0, above=True), default=1.0, metavar="P", help="from the fewest that reach mass P")
        add(
            "--min-p",
            type=number(0),
            default=0.0,
            metavar="P",
            help="from those at least P times as likely as the first",
        )
        add(
            "--repetition-penalty",
            type=number(0, above=True),
            default=1.0,
            metavar="R",
            help="divides the positive logits of tokens already there (default 1: none)",
        )
        add("--greedy", action="store_true", help="always the likeliest token")
        add(
            "--stop",
            nargs="+",
            action="extend",
            default=[],
            metavar="S",
            help=r"texts that end a text; \n, \t and \\ are a line break, a tab and a backslash",
        )
        add("--seed", type=flags.SEED, default=0, metavar="S", help="of the draws (default 0)")
        add("-n", type=whole(1), default=1, metavar="N", help="texts for each prompt (default 1)")
        add("--logprobs", action="store_true", help=f"with --json: log-probabilities and the {TOP} likeliest tokens")
        add("--stream", action="store_true", help="show the text as it comes")

    def run(self, args: argparse.Namespace) -> Answer:
        prompts = [""] if args.prompt is None else args.prompt
        if args.prompt_file is not None:
            prompts = _lines(args.prompt_file)
        asked = _asked(args)
        from elboroom.generation import model_and_tokenizer, stream
        from elboroom.run import load

        pieces = stream(*model_and_tokenizer(load(args.RUN)), prompts, asked)
        labels = [
            f"{i + 1}.{j + 1}" if asked.n > 1 else f"{i + 1}" for i in range(len(prompts)) for j in range(asked.n)
        ]
        if args.stream:
            out = sys.stderr if args.json else sys.stdout  # the document has stdout for itself
            if len(labels) == 1:
                pieces = _typed(pieces, prompts[0], out)
            else:
                pieces = _typed_in_lines(pieces, [prompt for prompt in prompts for _ in range(asked.n)], labels, out)
        found = {piece.row: piece.done for piece in pieces if piece.done is not None}
        texts = [found[row] for row in range(len(labels))]
        text = "" if args.stream else _printed(texts, labels)
        return Answer(document=[made.to_json() for made in texts], text=text)


def _asked(args: argparse.Namespace) -> Asked:
    from elboroom.generation import Asked
    from elboroom.nn.sampling import Sampling

    sampling = Sampling(
        temperature=0.0 if args.greedy else args.temperature,
        top_k=args.top_k,
        top_p=args.top_p,
        min_p=args.min_p,
        repetition_penalty=args.repetition_penalty,
    )
    return Asked(
        tokens=args.tokens,
        sampling=sampling,
        stop=tuple(_unescaped(stop) for stop in args.stop),
        seed=args.seed,
        n=args.n,
        logprobs=TOP if args.logprobs else 0,
    )


def _unescaped(text: str) -> str:
    r"""What stands for a character that is hard to type: \n, \t and \\ ; another backslash is one."""
    return re.sub(r"\\([nt\\])", lambda found: {"n": "\n", "t": "\t", "\\": "\\"}[found[1]], text)


def _lines(path: Path) -> list[str]:
    """The prompts of a file."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"--prompt-file {path}: byte {error.start + 1} is no UTF-8; save the file as UTF-8") from error
    prompts = [line for line in text.split("\n") if line.strip()]
    if not prompts:
        raise InputError(f"--prompt-file {path}: holds no prompt; write one a line")
    return prompts


# ---- on the screen ----------------------------------------------------------------------------------------------


def _printed(texts: list[Generation], labels: list[str]) -> str:
    """Prompt and text; several under a line each that names them."""
    if len(texts) == 1:
        return _shown(str(texts[0]))
    heads = [f"--- {label}, seed {text.seed}, {text.finish_reason}" for label, text in zip(labels, texts, strict=True)]
    return "\n".join(f"{head}\n{_shown(str(text))}" for head, text in zip(heads, texts, strict=True))


def _typed(pieces: Iterator[Piece], prompt: str, out: IO[str]) -> Iterator[Piece]:
    """One text, written as it comes after its prompt."""
    _put(out, _shown(prompt))
    for piece in pieces:
        _put(out, _shown(piece.text))
        yield piece
    _put(out, "\n")


def _typed_in_lines(pieces: Iterator[Piece], prompts: list[str], labels: list[str], out: IO[str]) -> Iterator[Piece]:
    """Several texts at once: each line when it is whole, behind the label of its text."""
    begun = dict(enumerate(prompts))
    for piece in pieces:
        *whole, rest = (begun[piece.row] + piece.text).split("\n")
        if piece.done is not None:
            whole.append(rest)
        begun[piece.row] = rest
        _put(out, "".join(f"{labels[piece.row]}| {_shown(line)}\n" for line in whole))
        yield piece


def _shown(text: str) -> str:
    """A text for a terminal: control characters, which could command it, as escapes."""
    return "".join(
        c if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs") else c.encode("unicode_escape").decode()
        for c in text
    )


def _put(out: IO[str], text: str) -> None:
    encoding = getattr(out, "encoding", None) or "utf-8"
    out.write(text.encode(encoding, "backslashreplace").decode(encoding))
    out.flush()
