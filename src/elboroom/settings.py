"""Settings at the door: text or values in, a checked Config out, one message where they do not fit.

The same check serves the command line, Python and files; ranges are those written beside each field.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from elboroom.core import registry
from elboroom.core.errors import InputError, nearest

__all__ = ["build", "checked", "from_file"]


def checked(entry: registry.Entry, given: dict[str, Any]) -> dict[str, Any]:
    """Every setting of the model as plain JSON types: `given` over the defaults; wrong ones raise InputError."""
    fields = {f.name: f for f in entry.fields}
    for name in given:
        if name not in fields:
            raise InputError(
                f"{entry.name} has no setting {name!r}{nearest(name, fields)}; "
                f"`elboroom models {entry.name}` lists them"
            )
    values = {f.name: f.default for f in entry.fields}
    for name, value in given.items():
        values[name] = _listed(fields[name], value)
    config = build(registry.load(entry.name).Config, values, entry.name)
    return {f.name: _plain(getattr(config, f.name)) for f in dataclasses.fields(config)}


def build(config: type[Any], values: dict[str, Any], model: str) -> Any:
    """The Config with its ranges checked."""
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(config).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "settings"
        shown = first.get("input")
        raise InputError(
            f"{model}: setting {name} = {shown!r} does not fit: {_lower(first['msg'])}; "
            f"its default is {_shown(config, name)}"
        ) from error


def from_file(path: Path) -> dict[str, Any]:
    """Settings from a TOML or JSON file: one flat table."""
    if not path.is_file():
        raise InputError(f"--config {path}: there is no such file")
    text = path.read_text(encoding="utf-8")
    try:
        if path.suffix == ".toml":
            import tomllib

            loaded: Any = tomllib.loads(text)
        elif path.suffix == ".json":
            loaded = json.loads(text)
        else:
            raise InputError(f"--config {path}: the file must end in .toml or .json")
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"--config {path}: cannot be read: {error}") from error
    if not isinstance(loaded, dict):
        raise InputError(f"--config {path}: expected a table of settings, found {type(loaded).__name__}")
    return loaded


def _listed(field: registry.Field, value: Any) -> Any:
    """A text "512,256" for a tuple field becomes its parts; "" and "none" an empty one."""
    if isinstance(value, str) and "tuple[" in field.annotation:
        return tuple(part.strip() for part in value.split(",") if part.strip() and part.strip() != "none")
    return value


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _shown(config: type[Any], name: str) -> str:
    for field in dataclasses.fields(config):
        if field.name == name:
            return repr(field.default)
    return "unknown"
