"""Sample quality of any two sets, without a run: real data, and what somebody's model made of them.

The real set is read and split as for training: its training part gives the features, the ceiling and the rows that
samples may have copied; what is held out of it is what samples are compared with.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from elboroom.core.errors import InputError, Unable
from elboroom.data.conform import WrongShape
from elboroom.data.reading import Reading
from elboroom.data.source import Dataset, read, read_like
from elboroom.engine.runtime import deterministic, mix, seeded
from elboroom.evaluate_samples import AT_ONCE, FEWEST, MOST, Maker, Real, assess

if TYPE_CHECKING:
    from elboroom.data.rows import Rows

__all__ = ["measure_sets"]


def measure_sets(
    real: Any, fake: Any, *, extractor: str = "auto", n: int = 0, seed: int = 0, reading: Reading | None = None
) -> dict[str, Any]:
    """What details.json of a run holds under "quality", with the names of both sets and "metrics" as in metrics.json.

    `n`: examples of each, 2,000 by default, fewer where a set has fewer; `seed` draws those of `fake`. Raises
    InputError where the sets do not fit or are too small, Unable for other data than images and tables.
    """
    known = read(real, reading)
    _fit_for_it(known)
    theirs = _like(fake, known)
    parts = [name for name in ("valid", "test") if name in known.parts]
    held, made = sum(len(known.parts[name]) for name in parts), theirs.parts["all"]
    for rows, name, how in ((held, known.name, "are held out of"), (len(made), theirs.name, "are in")):
        if rows < FEWEST:
            raise InputError(
                f"{rows} examples {how} {name}, and fewer than {FEWEST} say nothing of quality; give more"
                + (", or hold more out with --split, as in .5,0,.5" if how.startswith("are held") else "")
            )
    with torch.no_grad(), deterministic(), seeded(0):
        side = Real(known, parts, most=n or MOST, extractor=extractor)
        found = assess(side, _Given(made, side, seed), seed=seed)
    if not found.details:
        raise InputError(f"{theirs.name}: some values are not finite; leave such rows out")
    metrics = {key: measure.to_json() for key, measure in found.measures.items()}
    return {"real": known.name, "fake": theirs.name, **found.details, "metrics": metrics}


class _Given(Maker):
    """Rows of a set, in random order."""

    how = "given"

    def __init__(self, rows: Rows, real: Real, seed: int) -> None:
        self.rows, self.real, self.most = rows, real, len(rows)
        self.order = torch.from_numpy(np.random.default_rng(mix(seed, "quality", "given")).permutation(len(rows)))

    def parts(self, n: int) -> Iterator[Tensor]:
        for places in self.order[:n].split(AT_ONCE):
            yield self.real.units(self.rows, places)


def _fit_for_it(known: Dataset) -> None:
    spec = known.spec
    if spec.kind not in ("images", "table"):
        raise Unable(f"{known.name} holds {spec.kind}; sample quality is measured of images and tables")
    named = [column.name for column in spec.columns if column.kind == "categorical"]
    if named:
        raise Unable(f"{known.name}: column {named[0]!r} holds names; sample quality is measured of numbers: --columns")
    if spec.masked:
        raise Unable(f"{known.name} has missing cells; sample quality is measured of whole rows")
    if not known.transform.undoable:
        raise InputError(f"--scale {spec.scale}: its pixels cannot be brought back; leave the flag out")


def _like(fake: Any, known: Dataset) -> Dataset:
    """The made set, brought to the columns or pixel range of the real one; labels of its own are left out."""
    saved = known.to_json()
    saved["spec"]["classes"] = []
    try:
        made = read_like(fake, saved, known.transform)
    except WrongShape as error:
        named = fake if isinstance(fake, str | Path) else "the made examples"
        channels, height, width = known.spec.shape
        raise InputError(
            f"{named}: its images do not have the shape of those of {known.name}, {channels} x {height} x {width} "
            f"(channels, height, width); bring both to one with --size and --channels, as in --size {height}x{width}"
        ) from error
    if made.parts["all"].masked:
        raise Unable(f"{made.name} has missing cells; sample quality is measured of whole rows")
    return made
