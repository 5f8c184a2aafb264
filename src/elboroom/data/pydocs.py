"""`pydocs`: the documentation inside every Python, as text to train on without a download.

Documents are the topics of `help()` and, one a module, the docstrings of the standard library, each under the name and
the arguments of what it describes. The source is parsed, never imported. What there is depends on the Python version,
and so does the fingerprint; about 1.9 million characters.
"""

from __future__ import annotations

import ast
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from elboroom.core.errors import InputError

from .corpus import Corpus, corpus

__all__ = ["read_pydocs"]

APART = {"distutils", "encodings", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "site-packages", "test", "tests",
    "tkinter", "turtledemo"}  # fmt: skip
"""Parts that some systems ship apart, and tables: without them the set depends on the Python version alone."""


def read_pydocs() -> Corpus:
    """The documents, in the order of their names."""
    version = ".".join(map(str, sys.version_info[:3]))
    documents = list(_topics().values()) + list(_modules())
    return corpus("pydocs", documents, [f"this is the documentation of Python {version}: other versions have another"])


def _topics() -> dict[str, str]:
    try:
        from pydoc_data.topics import topics
    except ImportError as error:
        raise InputError("this Python comes without its documentation (pydoc_data); give a text of your own") from error
    # many topics are sections of a longer one; a section is known by its longest line
    marks = {name: max(text.split("\n"), key=len) for name, text in topics.items()}
    longer = {name: [other for other in topics.values() if len(other) > len(text)] for name, text in topics.items()}
    whole = {name for name in topics if not any(marks[name] in other for other in longer[name])}
    return {name: f"{name}\n\n{topics[name].strip()}\n" for name in sorted(whole)}


@cache
def _modules() -> tuple[str, ...]:
    root = Path(sysconfig.get_paths()["stdlib"])
    found = [_documented(path, ".".join(path.relative_to(root).with_suffix("").parts)) for path in _sources(root)]
    return tuple(document for document in found if document)


def _sources(root: Path) -> list[Path]:
    """Every file of the standard library that is meant to be used."""
    tops = [path for path in root.iterdir() if path.stem in sys.stdlib_module_names and path.stem[0] != "_"]
    files = [file for top in tops for file in (top.rglob("*.py") if top.is_dir() else [top]) if file.suffix == ".py"]
    return sorted(
        file for file in files if not APART & {part.removesuffix(".py") for part in file.parts[len(root.parts) :]}
    )


def _documented(path: Path, name: str) -> str:
    """The docstrings of one file in its order; "" where it has none or cannot be parsed."""
    name = name.removesuffix(".__init__")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # escapes that a later Python will refuse
            module = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return ""
    parts = [f"{title}\n\n{text}" for title, text in _docstrings(module, name)]
    return "\n\n\n".join(parts) + "\n" if parts else ""


def _docstrings(node: ast.Module | ast.ClassDef, name: str) -> Iterator[tuple[str, str]]:
    """(name with arguments, docstring) of a module or class and of what is defined right in it."""
    own = ast.get_docstring(node)
    if own:
        yield name, own
    for part in node.body:
        if isinstance(part, ast.ClassDef):
            yield from _docstrings(part, f"{name}.{part.name}")
        elif isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(part)
            if text:
                yield f"{name}.{part.name}({ast.unparse(part.args)})", text
