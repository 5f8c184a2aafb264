"""New examples of a run: any, those of a class, or those whose noise is truncated.

Models that make an example of given noise (`Draws`) are given z and labels here, ROWS at a time whatever is asked for:
so that the first examples of a seed are the same ones, to the bit, however many follow. One seed gives one z for every
truncation, nearer to 0 the smaller that is.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elboroom.core import registry
from elboroom.core.abilities import Draws, Samples
from elboroom.core.errors import InputError, Unable, nearest
from elboroom.core.model import Model
from elboroom.engine.runtime import mix, seed_draws, seeded
from elboroom.nn.conditional import labels_by
from elboroom.nn.standing import standing_
from elboroom.nn.truncated import truncated_normal

if TYPE_CHECKING:
    from elboroom.run import Run

__all__ = ["ALL", "Drawn", "Label", "samples", "standing"]

ROWS = 64
ALL = "all"
"""Asks for every class in turn."""
PASSES = 32
"""Batches of ROWS over which batch statistics are taken anew."""
LISTED = 20

Label = int | str | Sequence[int | str] | NDArray[Any] | None


@dataclass(frozen=True)
class Drawn:
    """Examples in the model's space, and the class of each where the model knows classes."""

    x: list[Tensor]
    """Batches (rows, *shape)."""
    label: NDArray[np.int64] | None = None


def samples(
    run: Run,
    n: int,
    *,
    seed: int = 0,
    mean: bool = False,
    temperature: float = 1.0,
    label: Label = None,
    truncation: float | None = None,
    held: dict[float, Draws] | None = None,
) -> Drawn:
    """`n` new examples; a label is a class's name or number, one for each example, or `all`.

    `held`: the models with standing batch statistics by truncation, where they are kept between calls.
    """
    from elboroom.run import ROWS as MANY
    from elboroom.run import require

    model = run.model
    require(model, Samples, "sample", run.name)
    assert isinstance(model, Samples)
    if n < 1:
        raise InputError(f"-n {n}: at least one sample can be drawn")
    if not 0 <= temperature < math.inf:
        raise InputError(f"--temperature {temperature}: expected a finite number from 0")
    if truncation is not None:
        require(model, Draws, "truncate its noise", run.name)
        if not 0 < truncation < math.inf:
            raise InputError(f"--truncation {truncation}: expected a finite number above 0, such as 0.5")
    asked = None if label is None else _asked(run, label, n)
    if isinstance(model, Draws):
        drawing: Draws = model
        if truncation is not None:
            kept = {} if held is None else held
            if truncation not in kept:
                kept[truncation] = standing(model, truncation)
            drawing = kept[truncation]
        return _drawn(drawing, n, seed=seed, temperature=temperature, asked=asked, truncation=truncation)
    parts = []
    with torch.no_grad(), seeded(0):
        for i, start in enumerate(range(0, n, MANY)):
            seed_draws(mix(seed, "sample", i))
            parts.append(model.sample(MANY, temperature=temperature, mean=mean)[: min(MANY, n - start)])
    return Drawn(parts)


def standing(model: Draws, truncation: float) -> Draws:
    """The model with batch statistics of z within `truncation`, where it has batch norms; itself where it has none.

    Classes come in their shares in the data. The same for every seed of samples.
    """
    assert isinstance(model, Model)
    own = copy.deepcopy(model)
    with torch.no_grad(), seeded(mix(0, "standing")):
        standing_(own, lambda: own.draw(*_noise(own, 1.0, truncation)), PASSES)
    return own


def _noise(model: Draws, temperature: float, truncation: float) -> tuple[Tensor, Tensor | None]:
    """ROWS draws of z, and of labels where there are classes."""
    assert isinstance(model, torch.nn.Module)
    device = next((x.device for x in (*model.parameters(), *model.buffers())), torch.device("cpu"))
    z = temperature * truncated_normal(ROWS, model.noise, truncation, device=device)
    return z, labels_by(model.class_shares, ROWS) if model.classes else None


def _drawn(
    model: Draws, n: int, *, seed: int, temperature: float, asked: Tensor | None, truncation: float | None
) -> Drawn:
    parts, labels = [], []
    with torch.no_grad(), seeded(0):
        for i, start in enumerate(range(0, n, ROWS)):
            seed_draws(mix(seed, "sample", i))
            count = min(ROWS, n - start)
            z, label = _noise(model, temperature, math.inf if truncation is None else truncation)
            if label is not None and asked is not None:
                label[:count] = asked[start : start + count].to(label.device)
            parts.append(model.draw(z, label)[:count])
            labels += [] if label is None else [label[:count].cpu()]
    return Drawn(parts, torch.cat(labels).numpy() if labels else None)


# -- labels --------------------------------------------------------------------------------------------------------


def _asked(run: Run, label: Label, n: int) -> Tensor:
    """(n,) int64: the class that is asked for, for each example."""
    model = run.model
    if not isinstance(model, Draws) or not model.classes:
        able = [e.name for e in registry.entries() if any(f.name == "conditional" for f in e.fields)]
        if run.name in able:
            raise Unable(
                f"this {run.name} was told no classes, so --label has no meaning for it; fit it on data with labels, "
                "with the setting conditional"
            )
        raise Unable(
            f"{run.name} knows no classes, so --label has no meaning for it; {', '.join(able) or 'no model'} can"
        )
    names = run.spec.classes
    if isinstance(label, str | int | np.integer):
        if label == ALL and ALL not in names:
            return torch.arange(n) % model.classes
        return torch.full((n,), _index(label, names))
    if label is None or len(label) != n:
        raise InputError(f"{0 if label is None else len(label)} labels for {n} examples; give one, or one for each")
    return torch.tensor([_index(one, names) for one in label])


def _index(label: Any, names: tuple[str, ...]) -> int:
    """A class by its name, or by its number where no class has that name."""
    if isinstance(label, str) and label in names:
        return names.index(label)
    number = int(label) if not isinstance(label, str) or label.isdecimal() else -1
    if 0 <= number < len(names):
        return number
    listed = ", ".join(names[:LISTED]) + (f" and {len(names) - LISTED} more" if len(names) > LISTED else "")
    raise InputError(f"--label {label}: there is no such class{nearest(str(label), names)}; classes: {listed}")
