"""A model: an nn.Module built from (Config, Spec) that declares its phases and its abilities."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from torch import nn

from .phase import Phase
from .spec import Kind, Spec

__all__ = ["Model"]


class Model(nn.Module, ABC):
    """Base of every model. A model file holds one final subclass; abstract shared parts live in `models/_*.py`.

    Class attributes: `Config`, a frozen keyword-only dataclass of plain JSON types; `kinds`, the data kinds it takes;
    `epochs`, the budget where the user gives none; `presets`, named overrides of Config, budget and reading;
    `precision`, "fp32" for a model that must not run in bf16, else "auto"; an instance may say so, too.
    """

    Config: ClassVar[type[Any]]
    kinds: ClassVar[tuple[Kind, ...]] = ("images", "table")
    epochs: ClassVar[int] = 50
    presets: ClassVar[dict[str, dict[str, Any]]] = {}
    precision: str = "auto"

    def __init__(self, config: Any, spec: Spec) -> None:
        super().__init__()
        self.config = config
        self.spec = spec

    @abstractmethod
    def phases(self) -> list[Phase]:
        """The list the engine walks at every step, in order."""
