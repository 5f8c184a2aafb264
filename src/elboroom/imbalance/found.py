"""From data or a run to the whole answer: document, weights for resampling, and what the page draws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from elboroom.artifacts.run import RunFolder
from elboroom.core.chance import mix
from elboroom.core.errors import InputError, Unable
from elboroom.core.spec import Column, Spec
from elboroom.data.reading import Reading
from elboroom.data.rows import Rows
from elboroom.data.source import Dataset, read
from elboroom.data.stream import in_order
from elboroom.engine.runtime import configure
from elboroom.run import Run, load
from elboroom.sheets import colours, shown

from .baselines import baselines, counted
from .diagnosis import Diagnosis, diagnose_rows
from .representation import learned, represent, unlabelled

__all__ = ["Imbalance", "find_imbalance"]

SEEDS = 3
MOST_ROWS = 200_000


@dataclass(frozen=True)
class Imbalance:
    """The diagnosis of one set, what stands beside it, and pictures of its groups."""

    name: str
    diagnosis: Diagnosis
    document: dict[str, Any]
    """What `diagnose imbalance --json` prints."""
    index: NDArray[np.int64]
    """Row numbers in the input."""
    spec: Spec
    middles: NDArray[Any]
    """(groups, 8, *shape): rows nearest to the middle of each group, nearest first, in the model's space."""

    def __getitem__(self, key: str) -> Any:
        """An entry of the document."""
        return self.document[key]

    @property
    def weights(self) -> NDArray[np.float64]:
        """(rows,) resampling weights of mean 1, in the order of `index`; raises Unable where nothing was found."""
        if not self.diagnosis.identifiable:
            raise Unable(f"{self.name} has no weights for resampling: {self.diagnosis.why}")
        return self.diagnosis.weights

    def report(self, out: str | Path, *, force: bool = False) -> Path:
        """Write the page."""
        from elboroom import outputs
        from elboroom.report.imbalance import Seen, imbalance_html

        place = Path(out)
        outputs.check_page(place, force=force)
        seen = Seen(
            places=self.diagnosis.places,
            label=self.diagnosis.label,
            pictures=self._pictures(),
            cells=None if self.spec.kind == "images" else self.middles[:, 0] if len(self.middles) else None,
            columns=tuple(column.name for column in self.spec.columns),
        )
        outputs.write_bytes(place, imbalance_html(self.document, seen).encode(), force=force)
        return place

    def write_weights(self, out: str | Path, *, force: bool = False) -> Path:
        """Write (row, weight) as a table, in the order of the input; the ending decides its form."""
        from elboroom import outputs

        place = Path(out)
        table = outputs.Result(
            name="weights",
            values=self.weights[:, None],
            columns=(Column(name="weight"),),
            names={"row": self.index.astype(str).tolist()},
        )
        outputs.write(place, table, force=force)
        return place

    def _pictures(self) -> NDArray[np.uint8] | None:
        """(groups, 8, height, width, channels) of images."""
        if self.spec.kind != "images" or not len(self.middles):
            return None
        found = colours(shown(self.middles.reshape(-1, *self.spec.shape), self.spec))
        if (found == found[..., :1]).all():
            found = found[..., :1]
        return found.reshape(*self.middles.shape[:2], *found.shape[1:])


def find_imbalance(
    source: Any,
    *,
    reading: Reading | None = None,
    seed: int = 0,
    seeds: int = SEEDS,
    count_labels: bool = False,
    progress: Callable[[str], None] = lambda said: None,
) -> Imbalance:
    """Diagnose data (a name, a path, an object) or a run (its folder or a Run), whose one model is then taken.

    `seeds`: models to train; `count_labels` puts the count of the labels beside the answer, which never sees them;
    `progress` hears what is being done. Raises InputError, Unable.
    """
    run = _run(source, reading)
    dataset = read(source, reading) if run is None else run.dataset()
    rows = unlabelled(dataset)
    if len(rows) > MOST_ROWS:
        raise InputError(f"{dataset.name}: {len(rows):,} rows; at most {MOST_ROWS:,} are diagnosed: give a sample")
    with configure(1, "default"):  # the sums, and so the bytes, do not depend on the number of threads
        seen = []
        for i in range(seeds if run is None else 1):
            if run is None:
                progress(f"{len(rows):,} rows: training model {i + 1} of {seeds}")
            model = learned(dataset, rows, mix(seed, i)) if run is None else run.model.cpu()
            seen.append(represent(model, dataset.transform, rows, mix(seed, i)))
        progress("looking for groups, and for the same groups in draws of the rows")
        diagnosis = diagnose_rows(seen, seed)
        progress("simpler recipes beside it")
        flat = np.concatenate([x.reshape(len(x), -1) for x in _values(dataset, rows)])
        beside = baselines(flat, seen[0], mix(seed, "imbalance", "beside"))
    if count_labels:
        beside.append(counted(_labels(dataset)))
    medoids = diagnosis.medoids.reshape(-1)
    return Imbalance(
        name=dataset.name,
        diagnosis=diagnosis,
        document={"data": dataset.name, **diagnosis.to_json(), "baselines": beside},
        index=rows.index,
        spec=dataset.spec,
        middles=flat[medoids].reshape(*diagnosis.medoids.shape, *dataset.spec.shape),
    )


def _run(source: Any, reading: Reading | None) -> Run | None:
    """The run that is meant, if it is one."""
    if isinstance(source, Run):
        run = source
    else:
        if not isinstance(source, str | Path) or not (Path(source) / "run.json").is_file():
            return None
        run = load(RunFolder.open(Path(source)).path)
    if reading is not None and reading != Reading():
        raise InputError("a run has its own reading; leave the flags of the reading out, or name data in its place")
    return run


def _values(dataset: Dataset, rows: Rows) -> list[NDArray[np.float32]]:
    with torch.no_grad():
        return [dataset.transform(raw).x.float().numpy() for raw in in_order(rows, 1024)]


def _labels(dataset: Dataset) -> NDArray[np.int64]:
    parts = [part.label for part in dataset.parts.values()]
    if any(label is None for label in parts):
        raise InputError(f"{dataset.name} has no labels to be counted; leave --count-labels out, or name them: --label")
    return torch.cat([label for label in parts if label is not None]).reshape(-1).cpu().numpy()
