"""The child that checks a form: one JSON line in, one out, by the very validators of the command line.

It is a process of its own because a model's Config is checked by importing the model, and that brings torch, which the
studio never imports. In: {"model", "options": {name: text}} or {"command": "elboroom fit ..."}. Out: {"ok", "errors":
{option or "": sentence}, "settings": {...}, "options", "model", "data"}.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
from typing import Any

from elboroom.core import registry
from elboroom.core.errors import ElboroomError, InputError

__all__ = ["as_words", "check", "read_options", "sentence", "taken_apart"]

PATHS = ("config", "from", "models", "run", "force", "or-resume", "debug", "json", "help")
"""Flags of `fit` that a page does not set: those that name places on this machine, and those that it decides itself."""


def as_words(options: dict[str, str]) -> list[str]:
    """Options as flags; a switch is "on" or "off"."""
    words = []
    for name, text in options.items():
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,60}", name) or name in PATHS:
            raise InputError(f"{name!r} is no option of a form; give it on the command line")
        if name in ("tokenizer", "observed") and "/" in text:
            raise InputError(f"{name}: a page names no files; give it on the command line")
        words.append(f"--{name}={text}")
    return words


def check(model: str, options: dict[str, str]) -> dict[str, Any]:
    """What `fit` would say of these options, of each by itself and then of all together."""
    errors: dict[str, str] = {}
    for name, text in options.items():
        try:
            _checked(model, {name: text})
        except ElboroomError as error:
            errors[name] = sentence(str(error))
    settings: dict[str, Any] = {}
    if not errors:
        try:
            settings = _checked(model, options)
        except ElboroomError as error:
            errors[""] = sentence(str(error))
    return {"ok": not errors, "errors": errors, "settings": settings}


def _checked(model: str, options: dict[str, str]) -> dict[str, Any]:
    from elboroom.cli import flags
    from elboroom.settings import checked

    entry = registry.entry(model)
    given = read_options(entry, options)
    presets = {**entry.presets, "": {}}
    if (preset := given.get("preset") or "") not in presets:
        raise InputError(f"{model} has no preset {preset!r}; it has {', '.join(entry.presets) or 'none'}")
    return checked(entry, flags.settings(given))


def read_options(entry: registry.Entry, options: dict[str, str]) -> dict[str, Any]:
    """The options as the parser of `fit` reads them."""
    return _read([entry.name, "data", *_switched(entry, options)])


def _switched(entry: registry.Entry, options: dict[str, str]) -> list[str]:
    """As words, with a boolean setting as --name or --no-name."""
    from elboroom.cli.flags import kind_of

    switches = {f.name.replace("_", "-") for f in entry.fields if kind_of(f) == "bool"} | {"strict"}
    words = []
    for word in as_words(options):
        name, _, text = word[2:].partition("=")
        if name not in switches:
            words.append(word)
        elif text not in ("on", "off"):
            raise InputError(f"{name}: {text!r} is neither on nor off")
        elif text == "on" or name != "strict":
            words.append(f"--{name}" if text == "on" else f"--no-{name}")
    return words


def _read(words: list[str]) -> dict[str, Any]:
    from elboroom.cli.parser import Parser
    from elboroom.cli.training import Fit
    from elboroom.cli.verbs import VERBS

    parser = Parser("fit", VERBS["fit"].usage, VERBS["fit"].summary)
    Fit().flags(parser, words)
    return vars(parser.read(words))


def taken_apart(command: str) -> dict[str, Any]:
    """A pasted command as model, data and options, checked by the parser of `fit`."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise InputError(f"this cannot be read as a command: {error}") from error
    while words and (words[0] in ("elboroom", "elbo", "python", "python3", "-m", "fit", "$")):
        words = words[1:]
    _read(words)
    options, plain, i = {}, [], 0
    while i < len(words):
        word = words[i]
        if not word.startswith("--"):
            plain.append(word)
        elif "=" in word:
            name, _, text = word[2:].partition("=")
            options[name] = text
        elif i + 1 < len(words) and not words[i + 1].startswith("--") and not _is_switch(words, word):
            options[word[2:]] = words[i + 1]
            i += 1
        elif word.startswith("--no-"):
            options[word[5:]] = "off"
        else:
            options[word[2:]] = "on"
        i += 1
    kept = {name: text for name, text in options.items() if name not in PATHS}
    left = [name for name in options if name in PATHS]
    return {"model": plain[0], "data": plain[1], "options": kept, "left_out": left}


def _is_switch(words: list[str], flag: str) -> bool:
    from elboroom.cli.parser import Parser
    from elboroom.cli.training import Fit

    parser = Parser("fit", "", "")
    Fit().flags(parser, words)
    action = parser.options().get(flag)
    return action is not None and action.nargs == 0


def sentence(text: str) -> str:
    """Without the verb and the model in front: the page knows where it stands."""
    text = re.sub(r"^[\w-]+: setting \w+ = ", "", text)
    text = re.sub(r"^fit: (argument )?(--[\w-]+: )?", "", text)
    return re.sub(r"; `elboroom fit --help` lists what it takes$", "", text)


def main() -> None:
    """Answer lines until the other end closes."""
    for line in sys.stdin:
        try:
            asked = json.loads(line)
            if "command" in asked:
                answer = {**taken_apart(str(asked["command"])), "ok": True, "errors": {}}
            else:
                answer = check(str(asked["model"]), {str(k): str(v) for k, v in asked["options"].items()})
        except ElboroomError as error:
            answer = {"ok": False, "errors": {"": sentence(str(error))}, "settings": {}}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
