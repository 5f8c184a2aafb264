"""Groups of flags that several verbs share, and the way from parsed flags to the library's own types.

Settings are not listed here: they are made from the fields of the model's Config, so a new field is a new flag.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elboroom.cli.parser import Parser, comma_list, number, one_of, size, split_shares, whole
from elboroom.core import registry
from elboroom.core.errors import InputError

if TYPE_CHECKING:
    from elboroom.data.reading import Reading

__all__ = [
    "BUDGET",
    "SEED",
    "add_budget",
    "add_force",
    "add_out",
    "add_reading",
    "add_runtime",
    "add_settings",
    "kind_of",
    "names_or_file",
    "reading",
    "runtime",
    "setting_flag",
    "settings",
    "shown",
]

SEED = whole(0)
BUDGET = ("epochs", "steps", "minutes")
_SETTING = "setting:"
_READING = ("kind", "scale", "size", "channels", "label", "time", "columns", "observed", "group_by", "train_until",
    "split", "strict", "tokenizer", "window", "period")  # fmt: skip
_RUNTIME = ("device", "precision", "compile", "threads", "seed", "save_every")
_SCALES = ("auto", "unit", "symmetric", "column", "levels:K", "binary", "dynamic", "standard", "robust", "log1p",
    "counts", "none")  # fmt: skip


def add_reading(parser: Parser) -> None:
    """How the data are read; CONTRACT "Reading"."""
    add = parser.add_argument_group("reading").add_argument
    kinds = ("auto", "images", "table", "series", "sequences", "text", "documents")
    add("--kind", type=one_of(*kinds), metavar="KIND", help="|".join(kinds[1:]) + " (default: seen from the data)")
    add(
        "--scale",
        type=_scale,
        metavar="SCALE",
        help="images: unit|symmetric|column|levels:K|binary|dynamic (default unit); "
        "tables: standard|robust|log1p|counts|none (default standard)",
    )
    add("--size", type=size, metavar="HxW", help="resize images, in pixels")
    add("--channels", type=_channels, metavar="1|3", help="grey or colour")
    add("--label", metavar="COLUMN", help="the column that holds classes")
    add("--time", metavar="COLUMN", help="the column that holds times")
    add("--columns", type=comma_list, metavar="A,B", help="only these columns; text: the one that holds it")
    add("--observed", type=names_or_file, metavar="FILE|A,B", help="columns that are measured")
    add("--group-by", metavar="COLUMN", help="rows of one group stay in one part")
    add("--train-until", metavar="TIME|ROW|FRACTION", help="train on what lies before")
    add("--split", type=split_shares, metavar="TRAIN,VALID,TEST", help="shares or counts (default .8,.1,.1)")
    add("--strict", action="store_true", help="refuse missing cells and duplicate times")
    add("--tokenizer", metavar="NAME", help="char|byte|bpe:V|PATH, where PATH is a tokenizer.json or its folder")
    add("--window", type=whole(1), metavar="W", help="tokens (text) or rows in one example")
    add("--period", type=whole(1), metavar="P", help="rows in one season")


def reading(given: Mapping[str, Any]) -> Reading:
    """The flags that were given as a Reading; the others keep its defaults."""
    from elboroom.data.reading import Reading

    return Reading(**{k: given[k] for k in _READING if given.get(k) is not None})


def add_budget(parser: Parser) -> None:
    """How long training goes on; the three exclude each other."""
    group = parser.add_argument_group("budget (default: the model's own epochs)")
    add = group.add_mutually_exclusive_group().add_argument
    add("--epochs", type=whole(1), metavar="N", help="passes over the training data")
    add("--steps", type=whole(1), metavar="N", help="steps of one batch each")
    add("--minutes", type=number(0, above=True), metavar="M", help="becomes a number of steps by a measured trial")


def add_runtime(parser: Parser) -> None:
    """Where and how it runs; nothing here changes what is asked of the model."""
    add = parser.add_argument_group("runtime").add_argument
    add("--device", type=_device, metavar="DEVICE", help="auto|cpu|cuda[:i]")
    add("--precision", type=one_of("auto", "fp32", "bf16"), metavar="P", help="auto|fp32|bf16")
    add("--compile", type=one_of("auto", "on", "off"), metavar="C", help="auto|on|off")
    add("--threads", type=whole(0), metavar="N", help="0 lets the machine decide")
    add("--seed", type=SEED, metavar="S", help="of everything that is drawn (default 0)")
    add("--save-every", type=number(0, above=True), metavar="SECONDS", help="between checkpoints (default 60)")


def runtime(given: Mapping[str, Any]) -> dict[str, Any]:
    """The runtime flags that were given, as keywords of `fit`."""
    return {k: given[k] for k in _RUNTIME if given.get(k) is not None}


def add_settings(parser: Parser, entry: registry.Entry) -> None:
    """One flag for each field of the model's Config."""
    group = parser.add_argument_group(f"settings of {entry.name}")
    for field in entry.fields:
        flag = setting_flag(field)
        if flag in parser.options():
            raise InputError(f"{entry.path}: the setting {field.name!r} has the name of a flag of fit; rename it")
        text = f"{field.doc} [{kind_of(field)}; default {shown(field.default)}]".replace("%", "%%")
        dest = _SETTING + field.name
        if kind_of(field) == "bool":
            group.add_argument(flag, action=argparse.BooleanOptionalAction, dest=dest, help=text)
        else:
            group.add_argument(flag, metavar=field.name.rsplit("_", 1)[-1].upper(), dest=dest, help=text)


def settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that were given, as written; the library converts and checks them."""
    return {k.removeprefix(_SETTING): v for k, v in given.items() if k.startswith(_SETTING) and v is not None}


def setting_flag(field: registry.Field) -> str:
    """`batch_size` is --batch-size."""
    return "--" + field.name.replace("_", "-")


def kind_of(field: registry.Field) -> str:
    """The type in short: choices, or the first word of the annotation and its range; of a tuple, that of its items."""
    if field.choices:
        return "|".join(field.choices)
    items = re.fullmatch(r"tuple\[(.*), \.\.\.\]", field.annotation)
    found = re.fullmatch(r"Annotated\[(\w+), (.*)\]", items[1] if items else field.annotation)
    base, rest = (found[1], found[2]) if found else (items[1] if items else field.annotation, "")
    bounds = {"Gt": ">", "Ge": ">=", "Lt": "<", "Le": "<="}
    limits = [f"{bounds[name]} {value}" for name, value in re.findall(r"\b(Gt|Ge|Lt|Le)\(([^)]*)\)", rest)]
    text = " ".join([base, " and ".join(limits)]).strip()
    return f"list of {text}, as in 512,256" if items else text


def shown(value: Any) -> str:
    """A default as one would type it."""
    if isinstance(value, tuple | list):
        return ",".join(str(v) for v in value) or "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value) if value != "" else "none"


def add_out(parser: Parser, what: str, *, required: bool = True) -> None:
    """--out FILE, whose ending decides the form, and --force."""
    parser.add_argument("--out", required=required, metavar="FILE", type=Path, help=what)
    add_force(parser)


def add_force(parser: Parser) -> None:
    """--force: the only way to overwrite."""
    parser.add_argument("--force", action="store_true", help="overwrite what is there")


def _scale(text: str) -> str:
    found = re.fullmatch(r"levels:(\d{1,5})", text)
    if found is not None and 2 <= int(found[1]) <= 65536:
        return text
    if text.startswith("levels"):
        raise argparse.ArgumentTypeError(f"{text!r} is no levels:K with K from 2 to 65536, as in levels:16")
    return str(one_of(*_SCALES)(text))


def _channels(text: str) -> int:
    return int(one_of("1", "3")(text))


def _device(text: str) -> str:
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not one of auto, cpu, cuda, cuda:0, cuda:1, ...")
    return text


def names_or_file(text: str) -> tuple[str, ...]:
    path = Path(text)
    if not path.is_file():
        return comma_list(text)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise argparse.ArgumentTypeError(f"{text}: cannot be read as a list of names, one a line") from error
    names = tuple(line.strip() for line in lines if line.strip())
    if not names:
        raise argparse.ArgumentTypeError(f"{text}: holds no names; write one a line")
    return names
