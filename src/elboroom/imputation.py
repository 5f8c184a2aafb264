"""Missing cells filled in by a run: `run.impute(X)`, `elboroom impute`; and the question with which that is measured.

The question hides cells that were measured: all but the landmarks where the data name some, else a fifth of the cells
of each row at random. Where a model can be calibrated, validation rows say by what its standard deviations are off.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elboroom.core.abilities import Calibrates, Imputes
from elboroom.core.batch import Batch
from elboroom.core.errors import InputError, Unable, nearest
from elboroom.core.model import Model
from elboroom.core.spec import Column, Spec
from elboroom.data.source import read_like
from elboroom.data.stream import in_order
from elboroom.engine.runtime import mix, seed_draws, seeded
from elboroom.metrics.imputation import factors_of
from elboroom.outputs import Result

if TYPE_CHECKING:
    from elboroom.data.rows import Rows
    from elboroom.data.transforms import Transform
    from elboroom.run import Run

__all__ = ["Answers", "Imputed", "answers", "calibrate", "impute", "question", "rows_at_most"]

HIDDEN = 0.2
"""Share of the measured cells that are asked for where no columns are landmarks."""
TURNS = 5
"""So many times the question is put to the rows that calibrate, until nearly every cell has been asked for."""
ROWS = 128
CELLS = 1 << 24


@dataclass
class Imputed:
    """What `impute` gives, in the user's units and in input order."""

    x: NDArray[Any]
    """(n, columns): measured cells as they were, the others filled in; of a categorical column the category's place."""
    sd: NDArray[Any]
    """(n, columns): 0 where a cell was measured; of a categorical column the probability that it is another one."""
    index: NDArray[np.int64]
    columns: tuple[Column, ...]
    names: dict[str, Any] = field(default_factory=dict)
    """Row names, where the input has them."""
    filled: int = 0
    """Cells that were filled in."""
    problems: tuple[str, ...] = ()
    """What was odd about the input."""

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self.x, dtype=dtype)

    def result(self) -> Result:
        """As a verb writes it: the input's columns, then NAME_sd for each; arrays x, x_sd, index in a .npz."""
        beside = {"x_sd": self.sd, "index": self.index}
        return Result(name="x", values=self.x, beside=beside, columns=self.columns, names=self.names)


@dataclass
class Answers:
    """A question and what a model said, in its own space: arrays (rows, columns), NaN where there is nothing."""

    measured: NDArray[np.float32]
    """All cells that were measured."""
    shown: NDArray[np.float32]
    asked: NDArray[np.bool_]
    told: NDArray[np.float32]
    """NaN where not asked, as is `sd`."""
    sd: NDArray[np.float32]


def impute(run: Run, source: Any, observed: Sequence[str] = ()) -> Imputed:
    """Every missing cell and column of `source` filled in. `observed`: only these columns count as measured."""
    from elboroom.run import require

    require(run.model, Imputes, "impute", run.name)
    assert isinstance(run.model, Imputes)
    if run.spec.kind != "table":
        raise Unable(f"{run.path.name} was trained on {run.spec.kind}; cells are imputed in tables")
    data = read_like(source, run.meta["data"], run.transform, masking=True)
    hidden = _hidden(run.spec, observed)
    seed, filled = run.meta["runtime"]["seed"], 0
    values, sds = [], []
    with torch.no_grad():
        for number, raw in enumerate(in_order(data.parts["all"], ROWS)):
            seed_draws(mix(seed, "impute", number))
            batch = run.transform(raw)
            seen = _seen(batch) & ~hidden
            mean, sd = run.model.impute(_only(batch, seen))
            low, high = run.transform.undo(mean - sd), run.transform.undo(mean + sd)
            made = run.transform.undo(mean)
            given = raw["x"].to(made.dtype)
            values.append(torch.where(seen, given, made))  # a measured cell comes back as it was read
            sds.append(torch.where(seen, torch.zeros_like(sd), ((high - low) / 2).to(sd.dtype)))
            filled += int((~seen).sum())
    return Imputed(
        x=torch.cat(values).numpy(),
        sd=torch.cat(sds).numpy(),
        index=np.asarray(data.parts["all"].index),
        columns=run.spec.columns,
        names={**data.identifiers, **_labels(run, data.parts["all"])},
        filled=filled,
        problems=tuple(data.problems),
    )


def _labels(run: Run, rows: Rows) -> dict[str, Any]:
    """The input's own label of each row under the name of its column, where both have one."""
    name = run.meta["data"]["reading"].get("label")
    if not name or rows.label is None:
        return {}
    classes = run.spec.classes
    return {name: np.array([classes[i] if 0 <= i < len(classes) else "" for i in rows.label.tolist()], dtype=object)}


def _hidden(spec: Spec, observed: Sequence[str]) -> Tensor:
    """(columns,) bool: those that do not count as measured."""
    places = {column.name: i for i, column in enumerate(spec.columns)}
    for name in observed:
        if name not in places:
            raise InputError(f"--observed {name}: the run knows no such column{nearest(name, places)}")
    hidden = torch.full((len(places),), bool(observed))
    hidden[[places[name] for name in observed]] = False
    return hidden


def question(batch: Batch, observed: Sequence[int]) -> tuple[Batch, Tensor]:
    """The batch with cells hidden, and (batch, columns) bool: those hidden cells whose value is known."""
    seen = _seen(batch)
    if observed:
        hidden = torch.ones_like(seen)
        hidden[:, list(observed)] = False
    else:
        hidden = torch.rand(seen.shape, device=seen.device) < HIDDEN
    return _only(batch, seen & ~hidden), seen & hidden


def answers(model: Imputes, batches: Iterable[Batch], observed: Sequence[int]) -> Answers:
    """The question put to the model, batch by batch."""
    parts: list[list[Tensor]] = [[], [], [], [], []]
    nothing = torch.tensor(torch.nan)
    for batch in batches:
        shown, asked = question(batch, observed)
        mean, sd = model.impute(shown)
        nan = nothing.to(batch.x)
        found = (
            torch.where(_seen(batch), batch.x, nan),
            torch.where(_seen(shown), batch.x, nan),
            asked,
            torch.where(asked, mean.to(batch.x), nan),
            torch.where(asked, sd.to(batch.x), nan),
        )
        for part, values in zip(parts, found, strict=True):
            part.append(values.cpu())
    return Answers(*(torch.cat(part).numpy() for part in parts))


def calibrate(model: Model, transform: Transform, spec: Spec, rows: Rows, *, seed: int) -> None:
    """Set the standard deviations of a model right so that told +- 1.645 sd holds 90 % of the cells of `rows`."""
    from elboroom.evaluate import Reader

    if not isinstance(model, Calibrates) or not isinstance(model, Imputes):
        return
    ones = torch.ones(len(spec.columns), device=next(model.parameters()).device)
    with torch.no_grad(), seeded(seed):
        model.eval()
        model.calibrate(ones)
        reader = Reader(rows, transform, model, seed)
        which = reader.choose(max(50, rows_at_most(spec) // TURNS), "calibration")
        turns = 1 if spec.observed else TURNS
        batches = chain(*(reader.batches(f"calibration {turn}", ROWS, which) for turn in range(turns)))
        found = answers(model, batches, spec.observed)
        factors = torch.from_numpy(factors_of(found.told, found.sd, found.measured)).to(ones)
        numbers = torch.tensor([column.kind in ("real", "count") for column in spec.columns], device=ones.device)
        model.calibrate(torch.where(numbers, factors, ones))


def rows_at_most(spec: Spec) -> int:
    """Rows of which all cells are held in memory at once."""
    return max(50, CELLS // spec.size)


def _seen(batch: Batch) -> Tensor:
    return torch.ones_like(batch.x, dtype=torch.bool) if batch.observed is None else batch.observed


def _only(batch: Batch, seen: Tensor) -> Batch:
    return Batch(torch.where(seen, batch.x, torch.zeros_like(batch.x)), batch.label, seen)
