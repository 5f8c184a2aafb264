"""What flows inside a recurrent cell: every gate and state of one layer on one sequence, read from its start.

Gives plain arrays; `elboroom.report.cell` draws them. A sequence that is longer than a picture is read up to its limit:
what a cell does at a step depends on nothing later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from elboroom.core.abilities import Gates
from elboroom.core.batch import Batch
from elboroom.core.errors import InputError, Unable
from elboroom.core.model import Model
from elboroom.data.text import TextTransform
from elboroom.data.windows import Windows
from elboroom.evaluate import held_out
from elboroom.inspect_text import END

if TYPE_CHECKING:
    from elboroom.data.source import Dataset
    from elboroom.data.tokenizers import Tokenizer
    from elboroom.data.transforms import Transform
    from elboroom.run import Run

__all__ = ["ROWS", "TOKENS", "Arrays", "cell_arrays", "look", "of_series", "of_text"]

ROWS = 256
"""Rows of a series that are looked at."""
TOKENS = 64
"""Tokens of a text."""

Arrays = dict[str, NDArray[Any]]


def look(
    run: Run,
    text: str | None = None,
    source: Any = None,
    *,
    layer: int = 1,
    unit: int | None = None,
    step: int | None = None,
) -> Arrays:
    """The cells of a run on `text`, on the beginning of `source`, or on held-out data of its own; see `cell_arrays`."""
    model, transform = run.model, run.transform
    assert isinstance(model, Gates)
    if text is not None and source is not None:
        raise InputError("inspect looks at DATA or at --text, not at both; leave one out")
    if isinstance(transform, TextTransform):
        return cell_arrays(model, *of_text(run, transform.tokenizer, text, source), layer=layer, unit=unit, step=step)
    if text is not None:
        raise InputError(f"--text: {run.path} was made with {run.spec.kind}; name DATA, or leave both out")
    dataset = run.dataset() if source is None else run.read(source)
    return cell_arrays(model, *of_series(dataset, transform), layer=layer, unit=unit, step=step)


def of_text(
    run: Run, tokenizer: Tokenizer, text: str | None, source: Any, *, start: int = 0, limit: int = TOKENS
) -> tuple[Batch, Arrays]:
    """`limit` tokens of a text from `start` on as a batch of one row, and what is known of its steps."""
    if text is not None:
        ids = tokenizer.encode(text)
        if not len(ids):
            raise InputError("--text is empty; give the text that is to be read")
        said = f"The text has {len(ids):,} tokens; the first {limit} are read." if len(ids) > limit else ""
    else:
        dataset = run.dataset() if source is None else run.read(source)
        part = held_out(dataset)
        rows = dataset.parts[part]
        assert isinstance(rows, Windows)
        if start >= len(rows.tokens):
            raise InputError(f"there is no token {start + 1:,}; the {part} part has {len(rows.tokens):,}")
        ids = rows.tokens[start : start + limit].cpu().numpy().astype(np.int64)
        where = "the data" if part == "all" else f"the {part} part"
        said = (
            f"The text is from token {start + 1:,} of {where} on."
            if start
            else f"The text is the beginning of {where}."
        )
    ids = ids[:limit]
    names = [tokenizer.token_bytes(int(i)).decode("utf-8", "backslashreplace") for i in ids]
    names = [END if int(i) == tokenizer.end else name for i, name in zip(ids, names, strict=True)]
    tokens = torch.from_numpy(np.append(ids, ids[-1]).astype(np.int64))  # the last is only to be predicted
    return Batch(tokens[None]), {"steps": np.array(names, dtype=np.str_), "said": np.array(said, dtype=np.str_)}


def of_series(
    dataset: Dataset, transform: Transform, *, number: int | None = None, start: int | None = None, limit: int = ROWS
) -> tuple[Batch, Arrays]:
    """At most `limit` rows of a series as a batch of one, in the model's space, and what is known of its steps.

    `number` and `start` say which series and from which row on, both counted from 0; without a start they are the
    first rows of a held-out stretch.
    """
    found = dataset.series
    if found is None:
        raise Unable(f"cells are drawn of texts and of series; {dataset.name} holds neither")
    part = held_out(dataset)
    if number is None:
        number = next(i for i, parts in enumerate(found.stretches) if part in parts)
    if number >= len(found.series):
        raise InputError(f"there is no series {number + 1:,}; there are {len(found.series):,}")
    one = found.series[number]
    if start is None:
        first, stop = found.stretches[number].get(part, (0, len(one)))
        where = "the data" if part == "all" else f"the {part} part"
        start, end = max(
            ((max(a, first), min(b, stop)) for a, b in one.segments), key=lambda run: min(limit, run[1] - run[0])
        )
    else:
        if start >= len(one):
            raise InputError(f"there is no row {start:,}; the series has {len(one):,}, counted from 0")
        end, where = next(b for a, b in one.segments if a <= start < b), f"row {start:,} on"
    end = min(end, start + limit)
    values = np.asarray(one.values[start:end], dtype=np.float64)
    x = torch.from_numpy(values)[None]
    said = f"The {end - start:,} rows are from {where}" + (f", series {one.name}." if one.name else ".")
    if one.times is None:
        steps = [f"row {i}" for i in range(start, end)]
    else:
        steps = [_time(t) for t in np.datetime_as_string(one.times[start:end], unit="s").tolist()]
    about: Arrays = {
        "steps": np.array(steps, dtype=np.str_),
        "input": values,
        "channels": np.array(found.channels, dtype=np.str_),
        "said": np.array(said, dtype=np.str_),
    }
    return transform({"x": x, "observed": ~torch.isnan(x)}), about


def _time(text: str) -> str:
    return text.replace("T", " ").removesuffix(":00")


def cell_arrays(
    model: Gates, batch: Batch, about: Arrays, *, layer: int = 1, unit: int | None = None, step: int | None = None
) -> Arrays:
    """The values of `core.abilities.Gates` of one layer, each (steps, units), and `about` beside them.

    `layer`, `unit` and `step` count from 1. Without a unit it is the one whose output varies most; without a step the
    one at which that unit's output changes most, the first eighth of the sequence left out. A step has one before it.
    """
    assert isinstance(model, Model)
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    observed = None if batch.observed is None else batch.observed.to(device)
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            layers = model.gates(Batch(batch.x.to(device), observed=observed))
    finally:
        model.train(was_training)
    _check("layer", layer, 1, len(layers))
    values = {name: value[0].float().cpu().numpy() for name, value in layers[layer - 1].items()}
    h = values["h"]
    steps, units = h.shape
    if steps < 2:
        raise InputError("a cell is drawn at two steps, and this sequence has one; give a longer one")
    unit = int(h.std(axis=0).argmax()) + 1 if unit is None else unit
    _check("unit", unit, 1, units)
    begin = steps // 8  # the start from an empty state is left out
    step = begin + int(np.abs(np.diff(h[begin:, unit - 1])).argmax()) + 2 if step is None else step
    _check("step", step, 2, steps)
    kind = "rnn" if "pre" in values else "gru" if "r" in values else "peephole" if "c_i" in values else "lstm"
    places = {"layer": layer, "layers": len(layers), "unit": unit, "step": step}
    return {
        "cell": np.array(kind, dtype=np.str_),
        **{name: np.array(place) for name, place in places.items()},
        **about,
        **values,
    }


def _check(flag: str, given: int, least: int, most: int) -> None:
    if not least <= given <= most:
        raise InputError(f"--{flag} {given}: here {flag}s go from {least} to {most}")
