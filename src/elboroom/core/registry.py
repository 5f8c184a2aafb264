"""Which models there are, read from their source: the file name is the registration.

A file in `models/` whose name starts without an underscore is a model. What `models`, `--help` and the flags need
(summary, abilities, kinds, settings with units) is read by `ast`, so nothing is imported before a model is used.
`--models DIR` and `$ELBOROOM_MODELS` add folders; entry points of the group `elboroom.models` are listed and imported
only when named.
"""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import InputError, nearest

if TYPE_CHECKING:
    from .model import Model

__all__ = ["Entry", "Field", "able", "add_folder", "entries", "entry", "find", "load", "names"]

PACKAGE = Path(__file__).parent.parent
_added: list[Path] = []


@dataclass(frozen=True)
class Field:
    """One hyper-parameter as its source states it."""

    name: str
    annotation: str
    """The type as written, with its range: `Annotated[int, Gt(0)]`."""
    default: Any
    doc: str
    """Meaning, unit and source."""
    choices: tuple[str, ...] = ()
    """The values of a Literal, else empty."""


@dataclass(frozen=True)
class Entry:
    """What can be said of a model without importing it."""

    name: str
    path: Path
    summary: str
    doc: str
    class_name: str
    abilities: tuple[str, ...]
    kinds: tuple[str, ...]
    epochs: int
    presets: dict[str, dict[str, Any]]
    fields: tuple[Field, ...]


def add_folder(folder: Path | str) -> None:
    """Add a folder of model files for this process."""
    path = Path(folder).expanduser().resolve()
    if not path.is_dir():
        raise InputError(f"--models {folder}: there is no such folder; name one that holds model files")
    if path not in _added:
        _added.append(path)


def _folders() -> list[Path]:
    listed = [Path(p).expanduser().resolve() for p in os.environ.get("ELBOROOM_MODELS", "").split(os.pathsep) if p]
    for path in listed:
        if not path.is_dir():
            raise InputError(f"ELBOROOM_MODELS names {path}, which is no folder; unset it or name one that exists")
    return [PACKAGE / "models", *listed, *_added]


def names() -> dict[str, Path]:
    """Every model's name and the file that holds it; a name in two places is refused."""
    found: dict[str, Path] = {}
    for folder in _folders():
        for path in sorted(folder.glob("[!_]*.py")):
            if path.stem in found and found[path.stem] != path:
                raise InputError(f"two files are called {path.stem}: {found[path.stem]} and {path}; rename one of them")
            found[path.stem] = path
    for name, path in _installed():
        found.setdefault(name, path)
    return dict(sorted(found.items()))


@functools.cache
def _installed() -> tuple[tuple[str, Path], ...]:
    """Models that other packages brought; looked up once, since reading every package's metadata takes 25 ms."""
    points = importlib.metadata.entry_points(group="elboroom.models")
    located = [(point.name, importlib.util.find_spec(point.module)) for point in points]
    return tuple((name, Path(spec.origin)) for name, spec in located if spec is not None and spec.origin)


def find(name: str) -> Path:
    """The file of one model; an unknown name is refused with the nearest known one."""
    known = names()
    if name not in known:
        raise InputError(f"there is no model {name!r}{nearest(name, known)}; models: {', '.join(known)}")
    return known[name]


def entries() -> list[Entry]:
    """All models, by name."""
    return [_read(name, path) for name, path in names().items()]


def able(ability: str) -> list[str]:
    """Names of the models that have an ability, by its name."""
    return [one.name for one in entries() if ability in one.abilities]


def entry(name: str) -> Entry:
    """One model as its source states it."""
    return _read(name, find(name))


def load(name: str) -> type[Model]:
    """Import one model's file, and nothing else, and give its class."""
    path = find(name)
    described = _read(name, path)
    if path.parent == PACKAGE / "models":
        module = importlib.import_module(f"elboroom.models.{name}")
    else:
        module_name = f"elboroom_models_{name}"
        located = importlib.util.spec_from_file_location(module_name, path)
        if located is None or located.loader is None:
            raise InputError(f"{path}: this file cannot be imported as a model")
        module = importlib.util.module_from_spec(located)
        sys.modules[module_name] = module
        try:
            located.loader.exec_module(module)
        except Exception as error:
            del sys.modules[module_name]
            raise InputError(f"{path}: importing it failed: {type(error).__name__}: {error}") from error
    model: type[Model] = getattr(module, described.class_name)
    return model


def _source(path: Path) -> _Source:
    """A file's parsed text, kept until the file changes: one call asks for most files several times."""
    status = path.stat()
    return _parsed(path, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=256)
def _parsed(path: Path, changed_ns: int, size: int) -> _Source:
    return _Source(path)


class _Source:
    """One parsed file: its classes and where its imported names come from."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entry: tuple[list[_Source], Entry] | None = None
        """What the file states of its model, and the files that it was read from."""
        try:
            self.tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: cannot be read as a model: {error}") from error
        self.classes = {n.name: n for n in self.tree.body if isinstance(n, ast.ClassDef)}
        self.imports: dict[str, Path] = {}
        for node in self.tree.body:
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("elboroom."):
                origin = PACKAGE.joinpath(*node.module.split(".")[1:]).with_suffix(".py")
                self.imports.update({alias.asname or alias.name: origin for alias in node.names})

    def lineage(self, name: str) -> list[tuple[_Source, ast.ClassDef]]:
        """The class and its bases that can be followed, nearest first."""
        if name not in self.classes:
            origin = self.imports.get(name)
            return _source(origin).lineage(name) if origin is not None and origin.is_file() else []
        node = self.classes[name]
        out = [(self, node)]
        for base in _base_names(node.bases):
            out += self.lineage(base)
        return out


def _base_names(bases: Iterable[ast.expr]) -> list[str]:
    return [b.id if isinstance(b, ast.Name) else b.attr for b in bases if isinstance(b, ast.Name | ast.Attribute)]


def _read(name: str, path: Path) -> Entry:
    """The entry, read anew where one of its files has changed."""
    source = _source(path)
    if source.entry is None or source.entry[1].name != name or any(_source(s.path) is not s for s in source.entry[0]):
        abilities = _source(PACKAGE / "core" / "abilities.py")
        lineage = source.lineage(_public_class(source))
        files = list(dict.fromkeys([abilities, *(origin for origin, _ in lineage)]))
        source.entry = files, _entry(name, path, source, lineage, list(abilities.classes))
    return source.entry[1]


def _entry(
    name: str, path: Path, source: _Source, lineage: list[tuple[_Source, ast.ClassDef]], known: list[str]
) -> Entry:
    bases = {b for _, node in lineage for b in _base_names(node.bases)}
    doc = ast.get_docstring(source.tree) or ""
    return Entry(
        name=name,
        path=path,
        summary=doc.split("\n", 1)[0].strip(),
        doc=doc,
        class_name=lineage[0][1].name,
        abilities=tuple(a for a in known if a in bases),
        kinds=tuple(_constant(lineage, "kinds", ("images", "table"))),
        epochs=int(_constant(lineage, "epochs", 50)),
        presets=dict(_constant(lineage, "presets", {})),
        fields=_config_fields(lineage),
    )


def _public_class(source: _Source) -> str:
    for node in source.tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            listed = [n for n in ast.literal_eval(node.value) if n in source.classes]
            if len(listed) == 1:
                return str(listed[0])
    raise InputError(f"{source.path}: a model file names exactly one class in __all__, its model")


def _constant(lineage: list[tuple[_Source, ast.ClassDef]], name: str, default: Any) -> Any:
    for source, node in lineage:
        for item in node.body:
            target = item.targets[0] if isinstance(item, ast.Assign) else getattr(item, "target", None)
            if isinstance(target, ast.Name) and target.id == name and getattr(item, "value", None) is not None:
                try:
                    return ast.literal_eval(item.value)  # type: ignore[attr-defined]
                except ValueError as error:
                    raise InputError(f"{source.path}: {node.name}.{name} must be written as a literal") from error
    return default


def _config_fields(lineage: list[tuple[_Source, ast.ClassDef]]) -> tuple[Field, ...]:
    for source, node in lineage:
        for item in node.body:
            if isinstance(item, ast.ClassDef) and item.name == "Config":
                return tuple(_fields_of(source, item).values())
            if (
                isinstance(item, ast.Assign | ast.AnnAssign)
                and _names_config(item)
                and isinstance(item.value, ast.Name)
            ):
                owner = source.lineage(item.value.id)
                return tuple(_fields_of(*owner[0]).values()) if owner else ()
    return ()


def _names_config(item: ast.Assign | ast.AnnAssign) -> bool:
    target = item.targets[0] if isinstance(item, ast.Assign) else item.target
    return isinstance(target, ast.Name) and target.id == "Config"


def _fields_of(source: _Source, node: ast.ClassDef) -> dict[str, Field]:
    fields: dict[str, Field] = {}
    for base in _base_names(node.bases):
        for owner, parent in source.lineage(base)[:1]:
            fields.update(_fields_of(owner, parent))
    for item, following in zip(node.body, [*node.body[1:], None], strict=True):
        if not isinstance(item, ast.AnnAssign) or not isinstance(item.target, ast.Name) or item.value is None:
            continue
        doc = following.value.value if _is_text(following) else ""  # type: ignore[union-attr]
        fields[item.target.id] = Field(
            name=item.target.id,
            annotation=ast.unparse(item.annotation),
            default=ast.literal_eval(item.value),
            doc=" ".join(str(doc).split()),
            choices=_choices(item.annotation),
        )
    return fields


def _is_text(node: ast.stmt | None) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _choices(annotation: ast.expr) -> tuple[str, ...]:
    for node in ast.walk(annotation):
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "Literal":
            value = ast.literal_eval(node.slice)
            return tuple(str(v) for v in value) if isinstance(value, tuple) else (str(value),)
    return ()
