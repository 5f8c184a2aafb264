"""elboroom: train, measure and use generative and sequence models on your own data.

Names are loaded when first used, so that importing the package takes milliseconds and does not import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from elboroom import models
    from elboroom.api import compare, datasets, detect, diagnose_imbalance, fit, measure, sweep
    from elboroom.attention import attend
    from elboroom.core.errors import ElboroomError, InputError, Stopped, Unable
    from elboroom.estimator import Estimator
    from elboroom.run import Run, load

_HOMES = {
    "fit": "elboroom.api",
    "datasets": "elboroom.api",
    "compare": "elboroom.api",
    "detect": "elboroom.api",
    "diagnose_imbalance": "elboroom.api",
    "measure": "elboroom.api",
    "sweep": "elboroom.api",
    "attend": "elboroom.attention",
    "load": "elboroom.run",
    "Run": "elboroom.run",
    "Estimator": "elboroom.estimator",
    "ElboroomError": "elboroom.core.errors",
    "InputError": "elboroom.core.errors",
    "Stopped": "elboroom.core.errors",
    "Unable": "elboroom.core.errors",
}

__all__ = [
    "ElboroomError",
    "Estimator",
    "InputError",
    "Run",
    "Stopped",
    "Unable",
    "attend",
    "compare",
    "datasets",
    "detect",
    "diagnose_imbalance",
    "fit",
    "load",
    "measure",
    "models",
    "sweep",
]


def __getattr__(name: str) -> Any:
    if name == "models":  # a package that can be called; once imported it is found without coming here
        return importlib.import_module("elboroom.models")
    if name not in _HOMES:
        raise AttributeError(f"module 'elboroom' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
