"""The user's own torch module as an extractor, by file and name: `module:FILE.py:NAME`, `module:package.module:NAME`.

NAME is a module, a class of modules without arguments, or a function; it gets what every extractor gets and its
output is flattened. Naming a file runs it: it is the user's own code, asked for by name.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from elboroom.core.errors import InputError
from elboroom.data.source import Dataset
from elboroom.engine.runtime import mix, seeded

from .extractor import Network, digest
from .inputs import examples, training_rows

__all__ = ["own_module"]

TRIED = 4
"""Training examples that the module must take before it is used."""


class Own(nn.Module):
    """The user's module; what it does wrong is said in words."""

    def __init__(self, given: Callable[[Tensor], Any], named: str) -> None:
        super().__init__()
        self.given = given
        self.named = named

    def forward(self, x: Tensor) -> Tensor:
        shape = "x".join(map(str, x.shape))
        try:
            found = self.given(x)
        except Exception as error:
            raise InputError(
                f"{self.named} fails on examples of shape {shape}: {type(error).__name__}: {str(error)[:200]}; "
                "it is called with images in [0, 1] (n, channels, height, width) or raw columns (n, columns)"
            ) from error
        if not isinstance(found, Tensor) or not found.is_floating_point() or found.shape[:1] != x.shape[:1]:
            had = f"{found.dtype} {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
            raise InputError(
                f"{self.named} gave {had} for {len(x)} examples; return floats (n, ...), one row an example"
            )
        if not found.isfinite().all():
            raise InputError(f"{self.named} gave features that are not finite; mend it, or choose another extractor")
        return found.flatten(1)


def own_module(dataset: Dataset, where: str, name: str) -> Network:
    """The module `name` of a file or an importable module, tried on a few training rows."""
    training_rows(dataset)
    home = _home(where)
    named = f"{name} of {where}"
    with seeded(mix(0, "own module")):  # weights that a class draws are the same each time
        given = _found(home, named, name)
    network = Own(given, named).eval()
    x = next(islice(examples(dataset, "train", batch=TRIED, most=TRIED), 1))
    with torch.no_grad():
        first, again = network(x), network(x)
    if not torch.equal(first, again):
        raise InputError(f"{named} gives other features for the same examples; make it repeatable, without dropout")
    source = Path(str(home.__file__)).read_bytes() if getattr(home, "__file__", None) else b""
    recipe = (name, hashlib.sha256(source).hexdigest(), dataset.spec.shape)
    return Network(
        "module",
        network,
        dataset.spec.shape,
        width=first[0].numel(),
        how=f"the module {named}, as its user gave it",
        hash=digest("module", recipe, network.state_dict()),
    )


def _home(where: str) -> ModuleType:
    """The imported file or module."""
    try:
        if not where.endswith(".py"):
            return importlib.import_module(where)
        path = Path(where).expanduser().resolve()
        if not path.is_file():
            raise InputError(f"{where}: there is no such file; name the Python file that holds the extractor")
        name = f"elboroom_extractor_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
        located = importlib.util.spec_from_file_location(name, path)
        assert located is not None and located.loader is not None
        home = importlib.util.module_from_spec(located)
        sys.modules[name] = home
        located.loader.exec_module(home)
        return home
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"{where} cannot be imported: {type(error).__name__}: {error}; mend it and try again"
        ) from error


def _found(home: ModuleType, named: str, name: str) -> Callable[[Tensor], Any]:
    found = getattr(home, name, None)
    if found is None:
        there = [n for n, v in vars(home).items() if callable(v) and getattr(v, "__module__", "") == home.__name__]
        raise InputError(f"{named}: there is no such name; the file defines {', '.join(sorted(there)) or 'nothing'}")
    if inspect.isclass(found):
        try:
            found = found()
        except Exception as error:
            raise InputError(
                f"{named} cannot be made without arguments: {type(error).__name__}: {error}; give a class that needs "
                "none, or a module that is made already"
            ) from error
    if not callable(found):
        raise InputError(f"{named} is {type(found).__name__}; give a torch module, a class of one, or a function")
    return found  # type: ignore[no-any-return]
