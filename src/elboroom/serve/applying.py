"""The run put to use on rows that a request brings: its verbs, with JSON in place of files.

Everything here runs in the worker's thread. Rows are read as the command line reads an array or a table of the same
numbers, and come back in the user's units: a table as lists of cells under the names of its columns.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from elboroom.core.errors import InputError
from elboroom.web.answers import Refusal

from .forms import ClassifyBody, CodesBody, DataBody, DetectBody, ImputeBody, SampleBody
from .worker import full

if TYPE_CHECKING:
    import numpy as np

    from elboroom.anomalies.stream import Stream, Verdict
    from elboroom.run import Run

__all__ = ["Streams", "classify", "decode", "encode", "impute", "reconstruct", "sample"]

NUMBERS = 4_000_000
"""Most numbers in an answer."""
IDLE_S = 3600.0
"""A stream that was not asked for so long gives up its place to another."""


def encode(run: Run, form: DataBody) -> dict[str, Any]:
    codes = run.encode(_rows(run, form))
    return {"z": codes.z.tolist(), "z_sd": codes.z_sd.tolist()}


def decode(run: Run, form: CodesBody) -> dict[str, Any]:
    import numpy as np

    try:
        z = np.asarray(form.z, dtype=np.float64)
    except (ValueError, OverflowError) as error:
        raise InputError("z: the codes are not all of one width") from error
    return _examples(run, run.decode(z))


def reconstruct(run: Run, form: DataBody) -> dict[str, Any]:
    made = run.reconstruct(_rows(run, form))
    return {**_examples(run, made.x), "original": _cells(run, made.original)}


def sample(run: Run, form: SampleBody) -> dict[str, Any]:
    from elboroom.drawing import samples

    most = max(1, NUMBERS // max(1, math.prod(run.spec.shape)))
    if form.n > most:
        raise InputError(f"n {form.n}: of this run at most {most} examples fit into one answer; ask for fewer")
    drawn = samples(run, **form.model_dump())
    found = _examples(run, run.in_units(drawn.x))
    names = run.spec.classes
    return found if drawn.label is None else {**found, "label": [names[i] for i in drawn.label.tolist()]}


def impute(run: Run, form: ImputeBody) -> dict[str, Any]:
    made = run.impute(_rows(run, form), observed=tuple(form.observed))
    return {**_examples(run, made.x), "sd": made.sd.tolist()}


def classify(run: Run, form: ClassifyBody) -> dict[str, Any]:
    from elboroom.core.abilities import Classifies
    from elboroom.run import require

    require(run.model, Classifies, "classify", run.name)  # before the rows are looked at
    texts = all(isinstance(row, str) for row in form.x)
    found = run.classify(form.x if texts else [_array(row) for row in form.x])
    return {
        "label": found.named.tolist(),
        "p": found.p.tolist(),
        "classes": list(found.classes),
        "index": found.index.tolist(),
        "step": None if found.step is None else found.step.tolist(),
    }


# -- rows in, cells out --------------------------------------------------------------------------------------------


def _rows(run: Run, form: DataBody) -> Any:
    """What the run reads: an array, or for a table with names its rows by name."""
    objects = all(isinstance(row, dict) for row in form.x)
    if run.spec.kind != "table" or not (objects or form.columns or run.meta["data"]["named"]):
        return _array(form.x)
    if objects:
        return form.x
    names = form.columns or [column.name for column in run.spec.columns]
    for i, row in enumerate(form.x):
        if not isinstance(row, list) or len(row) != len(names):
            raise InputError(f"x: row {i} has not a cell for each of the {len(names)} columns; name them in `columns`")
    return [dict(zip(names, row, strict=True)) for row in form.x]


def _array(rows: Any) -> np.ndarray:
    """Numbers, null as NaN."""
    import numpy as np

    try:
        found = np.asarray(rows)
        return found if found.dtype.kind in "biuf" else np.asarray(rows, dtype=np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError("x: the rows are not all numbers in lists of one shape") from error


def _examples(run: Run, x: np.ndarray) -> dict[str, Any]:
    names = [column.name for column in run.spec.columns] if run.spec.kind == "table" else None
    return {"x": _cells(run, x), **({} if names is None else {"columns": names})}


def _cells(run: Run, x: np.ndarray) -> list[Any]:
    """Nested lists; the cells of a table with categories by their names."""
    if run.spec.kind != "table" or not any(column.categories for column in run.spec.columns):
        return list(x.tolist())
    from elboroom.outputs import Result, frame

    columns = frame(Result(name="x", values=x, columns=run.spec.columns)).values()
    plain = [column.tolist() if hasattr(column, "tolist") else list(column) for column in columns]
    return [list(row) for row in zip(*plain, strict=True)]


# -- streams -------------------------------------------------------------------------------------------------------


class Streams:
    """Series that are read row by row, each under its own name, at most `limit` at once."""

    def __init__(self, run: Run, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.run, self.limit, self.clock = run, limit, clock
        self._first: Stream | None = None
        self._open: dict[str, Stream] = {}
        self._seen: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._open)

    def detect(self, form: DetectBody) -> dict[str, Any]:
        """Judge further rows of a stream, which begins with its first."""
        import numpy as np

        stream = self._open.get(form.stream) or self._begun()
        rows = [[math.nan if value is None else value for value in row] for row in form.rows]
        try:
            x = np.asarray(rows, dtype=np.float64)
            verdicts = stream.update_many(form.times, x)
        except (ValueError, OverflowError) as error:
            said = str(error) if isinstance(error, InputError) else "these are no rows of one width, with their times"
            raise InputError(f"rows: {said}") from error
        self._open[form.stream], self._seen[form.stream] = stream, self.clock()
        return {
            "stream": form.stream,
            "threshold": stream.threshold,
            "verdicts": [_verdict(one) for one in verdicts],
        }

    def end(self, name: str) -> dict[str, Any]:
        """Forget a stream; the event that is still open ends with it."""
        stream = self._open.pop(name, None)
        self._seen.pop(name, None)
        if stream is None:
            raise Refusal(404, f"there is no stream {name!r}", code="not_found")
        ended = stream.finish()
        return {"stream": name, "ended": None if ended is None else dataclasses.asdict(ended)}

    def _begun(self) -> Stream:
        """A stream from an empty memory; the threshold is computed for the first one only."""
        from elboroom.anomalies.stream import Stream

        self._make_room()
        first = self._first = self._first or self.run.stream()
        rare = copy.deepcopy(first.likelihood)
        return Stream(first.model, first.transform, first.detector, first.step, first.gap, likelihood=rare)

    def _make_room(self) -> None:
        idle: Sequence[str] = [name for name, seen in self._seen.items() if self.clock() - seen > IDLE_S]
        if len(self._open) < self.limit:
            return
        if not idle:
            raise full(f"{self.limit} streams are open; end one with DELETE /detect/NAME")
        for name in idle:
            del self._open[name], self._seen[name]


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {**dataclasses.asdict(verdict), "shares": list(verdict.shares)}
