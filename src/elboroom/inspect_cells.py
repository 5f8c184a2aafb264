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
from elboroom.data.sequences_text import TokenTransform
from elboroom.data.text import TextTransform
from elboroom.data.windows import Windows
from elboroom.evaluate import held_out
from elboroom.inspect_text import END

if TYPE_CHECKING:
    from elboroom.data.source import Dataset
    from elboroom.data.tokenizers import Tokenizer
    from elboroom.data.transforms import Transform
    from elboroom.run import Run

__all__ = ["ROWS", "TOKENS", "Arrays", "cell_arrays", "look", "of_data", "of_text", "of_tokens"]

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
    backward: bool = False,
) -> Arrays:
    """The cells of a run on `text`, on the beginning of `source`, or on held-out data of its own; see `cell_arrays`."""
    model, transform = run.model, run.transform
    assert isinstance(model, Gates)
    if text is not None and source is not None:
        raise InputError("inspect looks at DATA or at --text, not at both; leave one out")
    limit = ROWS
    if isinstance(transform, TextTransform):
        seen = of_text(run, transform.tokenizer, text, source)
    elif text is not None and isinstance(transform, TokenTransform):
        seen = of_tokens(transform.tokenizer, text)
    elif text is not None:
        raise InputError(f"--text: {run.path} was made with {run.spec.kind}; name DATA, or leave both out")
    else:
        dataset = run.dataset() if source is None else run.read(source)
        seen = of_data(dataset, transform)
    if isinstance(transform, TokenTransform):
        limit = TOKENS
    return cell_arrays(model, *seen, layer=layer, unit=unit, step=step, backward=backward, limit=limit)


def of_data(
    dataset: Dataset, transform: Transform, *, number: int | None = None, start: int | None = None, limit: int = ROWS
) -> tuple[Batch, Arrays]:
    """`of_sequence` or `of_series`, whichever the data are."""
    if dataset.spec.kind == "sequences":
        return of_sequence(dataset, transform, number=number or 0)
    return of_series(dataset, transform, number=number, start=start, limit=limit)


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
        where = _where(part)
        said = (
            f"The text is from token {start + 1:,} of {where} on."
            if start
            else f"The text is the beginning of {where}."
        )
    ids = ids[:limit]
    tokens = torch.from_numpy(np.append(ids, ids[-1]).astype(np.int64))  # the last is only to be predicted
    return Batch(tokens[None]), {"steps": _names(tokenizer, ids), "said": np.array(said, dtype=np.str_)}


def of_tokens(tokenizer: Tokenizer, text: str) -> tuple[Batch, Arrays]:
    """A whole text, of which no token is to be predicted, and what is known of its steps."""
    ids = np.asarray(tokenizer.encode(text), np.int64)
    if not len(ids):
        raise InputError("--text is empty; give the text that is to be read")
    return Batch(torch.from_numpy(ids)[None]), {"steps": _names(tokenizer, ids), "said": np.array("", dtype=np.str_)}


def of_sequence(dataset: Dataset, transform: Transform, *, number: int) -> tuple[Batch, Arrays]:
    """The whole of held-out sequence `number`, counted from 0, and what is known of its steps."""
    part, spec = held_out(dataset), dataset.spec
    rows = dataset.parts[part]
    if number >= len(rows):
        raise InputError(f"there is no sequence {number + 1:,}; {_where(part)} has {len(rows):,}")
    raw = {name: value.cpu() for name, value in rows.take(torch.tensor([number], device=rows.device)).items()}
    length = int(raw.pop("lengths")[0]) if "lengths" in raw else raw["x"].shape[1]
    label = raw.pop("label", None)
    raw = {name: value[:, :length] for name, value in raw.items()}
    of = "" if label is None or spec.per_step or label[0] < 0 else f", of class {spec.classes[int(label[0])]}"
    about: Arrays = {"said": np.array(f"Sequence {number + 1:,} of {_where(part)}{of}.", dtype=np.str_)}
    if isinstance(transform, TokenTransform):
        about["steps"] = _names(transform.tokenizer, raw["x"][0].numpy())
    else:
        about["steps"] = np.array([f"step {i + 1}" for i in range(length)], dtype=np.str_)
        about["input"] = raw["x"][0].double().numpy()
        about["channels"] = np.array([c.name for c in spec.columns], dtype=np.str_)
    return transform(raw), about


def _where(part: str) -> str:
    return "the data" if part == "all" else f"the {part} part"


def _names(tokenizer: Tokenizer, ids: NDArray[np.int64]) -> NDArray[np.str_]:
    """What is written for each token."""
    words = [tokenizer.token_bytes(int(i)).decode("utf-8", "backslashreplace") for i in ids]
    return np.array([END if int(i) == tokenizer.end else w for i, w in zip(ids, words, strict=True)], dtype=np.str_)


def of_series(
    dataset: Dataset, transform: Transform, *, number: int | None = None, start: int | None = None, limit: int = ROWS
) -> tuple[Batch, Arrays]:
    """At most `limit` rows of a series as a batch of one, in the model's space, and what is known of its steps.

    `number` and `start` say which series and from which row on, both counted from 0; without a start they are the
    first rows of a held-out stretch.
    """
    found = dataset.series
    if found is None:
        raise Unable(f"cells are drawn of texts, sequences and series; {dataset.name} holds none of them")
    part = held_out(dataset)
    if number is None:
        number = next(i for i, parts in enumerate(found.stretches) if part in parts)
    if number >= len(found.series):
        raise InputError(f"there is no series {number + 1:,}; there are {len(found.series):,}")
    one = found.series[number]
    if start is None:
        first, stop = found.stretches[number].get(part, (0, len(one)))
        where = _where(part)
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
    model: Gates,
    batch: Batch,
    about: Arrays,
    *,
    layer: int = 1,
    unit: int | None = None,
    step: int | None = None,
    backward: bool = False,
    limit: int | None = None,
) -> Arrays:
    """The values of `core.abilities.Gates` of one layer, each (steps, units), and `about` beside them.

    With `backward` those of the net that reads from the end, in its order; `limit`: the first steps that are kept of a
    longer sequence. `layer`, `unit` and `step` count from 1. Without a unit it is the one whose output varies most;
    without a step the one at which that unit's output changes most, the first eighth of the sequence left out. A step
    has one before it.
    """
    assert isinstance(model, Model)
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    observed = None if batch.observed is None else batch.observed.to(device)
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            layers = model.gates(Batch(batch.x.to(device), observed=observed), backward=backward)
    finally:
        model.train(was_training)
    _check("layer", layer, 1, len(layers))
    values = {name: value[0].float().cpu().numpy()[:limit] for name, value in layers[layer - 1].items()}
    about = _in_order(about, limit, backward=backward)
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


def _in_order(about: Arrays, limit: int | None, *, backward: bool) -> Arrays:
    """`about` as the steps are read, and a sentence where that is not from the beginning to the end."""
    whole, said = len(about["steps"]), str(about["said"]) if "said" in about else ""
    shown: Arrays = {
        name: about[name][:: -1 if backward else 1][:limit] for name in ("steps", "input") if name in about
    }
    said += " Read from the end: the first step is the last of the sequence." if backward else ""
    if limit is not None and whole > limit:
        said += f" The {'last' if backward else 'first'} {limit:,} of {whole:,} steps are shown."
    return {**about, **shown, "said": np.array(said.strip(), dtype=np.str_)}


def _check(flag: str, given: int, least: int, most: int) -> None:
    if not least <= given <= most:
        raise InputError(f"--{flag} {given}: here {flag}s go from {least} to {most}")
