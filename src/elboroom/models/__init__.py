"""Floor 2: one file per model; its name is its registration. Shared abstract parts start with an underscore.

`elboroom.models` is this package and, called, the list of all models: `elbo.models()`.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from elboroom.core.registry import Entry


class _Models(ModuleType):
    def __call__(self) -> list[Entry]:
        """Every model with its summary, abilities and settings, read from the source."""
        from elboroom.core import registry

        return registry.entries()


sys.modules[__name__].__class__ = _Models
