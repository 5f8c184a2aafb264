"""What must survive a kill: the tensors of model and programs, and a step number. Nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from elboroom.core.errors import InputError
from elboroom.engine.programs import Program
from elboroom.engine.trace import Losses, names_of

__all__ = ["first_non_finite", "restore_", "state"]


def state(losses: Losses, programs: Sequence[Program]) -> dict[str, Tensor]:
    """Live tensors by name: `model.*`, `transform.*`, `phase.NAME.*`. Clone or write them before the next step."""
    out = {name: tensor.detach() for name, tensor in names_of(losses).items()}
    for program in programs:
        out.update({f"phase.{program.phase.name}.{key}": x for key, x in program.state().items()})
    return out


def restore_(losses: Losses, programs: Sequence[Program], saved: dict[str, Tensor]) -> None:
    """Copy saved tensors into the live ones, in place, so that compiled steps keep their addresses."""
    live = state(losses, programs)
    missing = sorted(set(live) - set(saved))
    if missing:
        raise InputError(f"the saved state lacks {missing[0]} and {len(missing) - 1} more; it is of another model")
    with torch.no_grad():
        for name, tensor in live.items():
            if tensor.shape != saved[name].shape or tensor.dtype != saved[name].dtype:
                raise InputError(
                    f"the saved {name} is {saved[name].dtype} {tuple(saved[name].shape)}, "
                    f"this model has {tensor.dtype} {tuple(tensor.shape)}"
                )
            tensor.copy_(saved[name])


def first_non_finite(tensors: dict[str, Tensor]) -> str:
    """The name of the first tensor that holds a NaN or an infinity, else ""."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            return name
    return ""
