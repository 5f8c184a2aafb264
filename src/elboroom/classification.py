"""A run that names classes, put to use on new sequences: `run.classify(X)` and `elboroom classify`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from elboroom.core.abilities import Classifies
from elboroom.core.spec import Column
from elboroom.data.stream import in_order
from elboroom.outputs import Result

if TYPE_CHECKING:
    from elboroom.run import Run

__all__ = ["Classes", "classify"]

ROWS = 256


@dataclass
class Classes:
    """What `classify` gives, in input order: one row a sequence, or one a step where each step has a class."""

    p: NDArray[np.float32]
    """(rows, classes): probabilities."""
    label: NDArray[np.int64]
    """(rows,): the likeliest class."""
    index: NDArray[np.int64]
    """(rows,): the sequence's number in the input."""
    step: NDArray[np.int64] | None
    """(rows,): the step within the sequence; None where the whole sequence has a class."""
    classes: tuple[str, ...]
    """Names of the classes."""
    names: dict[str, Any] = field(default_factory=dict)
    """Names of the sequences, where the input has them."""

    @property
    def named(self) -> NDArray[np.str_]:
        """(rows,): the likeliest class by its name."""
        return np.array(self.classes)[self.label]

    def __len__(self) -> int:
        return len(self.p)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self.label, dtype=dtype)

    def result(self, ending: str) -> Result:
        """As a verb writes it: index, step, label and `p:CLASS` in a table, arrays p, label, index, step in a .npz."""
        beside = {"index": self.index, **({} if self.step is None else {"step": self.step}), "label": self.label}
        if ending in (".npy", ".npz"):
            return Result(name="p", values=self.p, beside=beside, classes=self.classes, names=self.names)
        front: dict[str, Any] = {**self.names, "index": self.index.tolist()}
        if self.step is not None:
            front["step"] = self.step.tolist()
        front["label"] = self.named.tolist()
        columns = tuple(Column(name=f"p:{name}") for name in self.classes)
        return Result(name="p", values=self.p, columns=columns, classes=self.classes, names=front)


def classify(run: Run, source: Any) -> Classes:
    """Classes of every sequence of `source`, or of its steps; labels in it are not looked at."""
    from elboroom.run import require

    model = run.model
    require(model, Classifies, "classify", run.name)
    assert isinstance(model, Classifies)
    data = run.read(source)
    rows, found, index, step = data.parts["all"], [], [], []
    start = 0
    with torch.no_grad():
        for raw in in_order(rows, ROWS):
            batch = run.transform(raw)
            p = model.classify(batch).softmax(-1)
            p = p if run.spec.per_step else p[:, None]
            inside = torch.ones(p.shape[:2], dtype=torch.bool)
            if run.spec.per_step and batch.lengths is not None:
                inside = torch.arange(p.shape[1]) < batch.lengths[:, None]
            owner, place = torch.nonzero(inside, as_tuple=True)
            found.append(p[owner, place])
            index.append(np.asarray(rows.index)[start + owner.numpy()])
            step.append(place.numpy())
            start += len(batch)
    probabilities = torch.cat(found).float().numpy()
    names = {name: np.asarray(values)[np.concatenate(index)].tolist() for name, values in data.identifiers.items()}
    return Classes(
        p=probabilities,
        label=probabilities.argmax(1),
        index=np.concatenate(index),
        step=np.concatenate(step) if run.spec.per_step else None,
        classes=run.spec.classes,
        names=names,
    )
