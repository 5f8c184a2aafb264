"""Play with the gates of a recurrent cell: one pass over a sequence, every gate and state of a layer at every step.

A page fetches a pass once and then steps through it alone: gates and states of all units come as 16-bit numbers, the
drawing of two adjacent steps once with its places, and of the one unit that is drawn every number in single precision.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, MaxLen
from numpy.typing import NDArray

from elboroom.core.abilities import Gates
from elboroom.core.errors import InputError
from elboroom.data.sequences_text import TokenTransform
from elboroom.data.text import TextTransform
from elboroom.data.windows import Windows
from elboroom.evaluate import held_out
from elboroom.inspect_cells import cell_arrays, of_data, of_text, of_tokens
from elboroom.report.attention_block import token_label
from elboroom.report.cell import CellFlow
from elboroom.report.cell_numbers import BOUNDS, GATES, TRACED, meanings
from elboroom.run import require
from elboroom.web.answers import Form

from .answers import Handler, Json, Player, checked, packed
from .drawn import tree

__all__ = ["ASKS"]

MOST = 2000
"""Steps of a pass."""
FINE = 2**16 - 1


@dataclass
class Held:
    """The pass that is looked at."""

    asked: tuple[Any, ...]
    flow: CellFlow


class Pass(Form):
    """Which sequence to read, and which layer to look at."""

    layer: Annotated[int, Ge(1)] = 1
    """counted from 1"""
    backward: bool = False
    """of two directions, the net that reads from the end"""
    text: Annotated[str, MaxLen(100_000)] = ""
    """what is read by a run of texts; empty: its held-out data"""
    path: Annotated[str, MaxLen(4096)] = ""
    """a file that was dropped; empty: the run's own data"""
    series: Annotated[int, Ge(0)] | None = None
    """which series, or which held-out sequence, counted from 0; left out: the first that was held out"""
    start: Annotated[int, Ge(0)] | None = None
    """the row or token that is read first, from an empty state; left out: the first that was held out"""
    steps: Annotated[int, Ge(1)] = 256
    """steps that are read, or shown of a sequence that is read whole; at most 2,000"""


class Unit(Pass):
    """One unit of such a pass."""

    unit: Annotated[int, Ge(1)]
    """counted from 1"""


def whole(player: Player, given: Json) -> Json:
    """A pass: what its steps are, the input (T, channels), each gate and state (T, units) as 16-bit numbers between its
    "low" and "high", and the drawing of two adjacent steps of the unit that varies most."""
    form = checked(Pass, given)
    flow = _flow(player, form)
    text = flow.given is None
    found: Json = {
        "cell": flow.cell,
        "name": flow.full_name,
        "equations": flow.equations,
        "said": flow.said,
        "layer": flow.layer,
        "layers": flow.layers,
        "directions": player.run.model.directions,
        "units": flow.values["h"].shape[1],
        "unit": flow.unit,
        "step": flow.step,
        "text": text,
        "steps": [token_label(s) if text else s for s in flow.steps],
        "channels": list(flow.channels),
        "input": None if flow.given is None else packed(flow.given.astype(np.float32)),
        "gates": list(GATES[flow.cell]),
        "values": {name: _coarse(name, flow.values[name]) for name in TRACED[flow.cell]},
        **_place(player, form),
    }
    found["drawing"] = {
        name: [tree(one.inline("two adjacent steps of one unit", "cells-drawn")) for one in flow.cells(narrow=narrow)]
        for name, narrow in (("wide", False), ("narrow", True))
    }
    found["lines"] = [flow.lines(step) for step in range(1, len(flow.steps) + 1)]
    return found


def unit(player: Player, given: Json) -> Json:
    """Of one unit every number that the drawing says, (numbers, T) float32, and what each of them is."""
    form = checked(Unit, given)
    flow = _flow(player, form)
    units = flow.values["h"].shape[1]
    if form.unit > units:
        raise InputError(f"there is no unit {form.unit:,}; the layer has {units:,}")
    flow = replace(flow, unit=form.unit)
    numbers = [flow.numbers(step) for step in range(1, len(flow.steps) + 1)]
    names = list(numbers[0].values)
    values = np.array([[one.values[name] for one in numbers] for name in names], dtype=np.float32)
    return {"unit": form.unit, "names": names, "values": packed(values), "said": meanings(numbers[0])}


def _flow(player: Player, form: Pass) -> CellFlow:
    """The pass asked for; the last one is kept."""
    if form.steps > MOST:
        raise InputError(
            f"a pass has at most {MOST:,} steps, and {form.steps:,} were asked for; choose a stretch: where it begins, "
            "and how many steps"
        )
    asked = (form.layer, form.backward, form.text, form.path, form.series, form.start, form.steps)
    held = player.held.get("gates/pass")
    if held is None or held.asked != asked:
        held = player.held["gates/pass"] = Held(asked, _read(player, form))
    return held.flow


def _read(player: Player, form: Pass) -> CellFlow:
    run = player.run
    require(run.model, Gates, "show what flows inside a cell", run.name)
    assert isinstance(run.model, Gates)
    source, limit = form.path or None, None
    if isinstance(run.transform, TokenTransform) and form.text:
        batch, about = of_tokens(run.transform.tokenizer, form.text)
        limit = form.steps
    elif isinstance(run.transform, TextTransform):
        batch, about = of_text(
            run, run.transform.tokenizer, form.text or None, source, start=form.start or 0, limit=form.steps
        )
    elif form.text:
        raise InputError(f"this run was made with {run.spec.kind}; a text cannot be read by it")
    else:
        dataset = _data(player, form)
        batch, about = of_data(dataset, run.transform, number=form.series, start=form.start, limit=form.steps)
        limit = form.steps
    found = cell_arrays(run.model, batch, about, layer=form.layer, backward=form.backward, limit=limit)
    return CellFlow.of(found, name=run.path.name)


def _data(player: Player, form: Pass) -> Any:
    """The data that are read; those of the run, and the last file, are kept."""
    held = player.held.get("gates/data")
    if held is None or held[0] != form.path:
        held = (form.path, player.run.read(form.path) if form.path else player.run.dataset())
        player.held["gates/data"] = held
    return held[1]


def _place(player: Player, form: Pass) -> Json:
    """Where the steps lie in the data, and what else there is to read."""
    if form.text:
        return {"start": 0, "of": 0, "series": []}
    data = _data(player, form)
    if data.spec.kind == "sequences":
        return {"start": 0, "of": 0, "number": form.series or 0, "items": len(data.parts[held_out(data)]), "series": []}
    if data.series is None:
        rows = data.parts[held_out(data)]
        assert isinstance(rows, Windows)
        return {"start": form.start or 0, "of": len(rows.tokens), "series": []}
    found, part = data.series, held_out(data)
    number = form.series
    if number is None:
        number = next(i for i, parts in enumerate(found.stretches) if part in parts)
    first = form.start if form.start is not None else found.stretches[number].get(part, (0, 0))[0]
    names = [one.name or f"series {i + 1}" for i, one in enumerate(found.series)]
    return {"start": first, "of": len(found.series[number]), "number": number, "series": names}


def _coarse(name: str, values: NDArray[np.float64]) -> Json:
    """(T, units) as whole numbers from 0, at "low", to 65,535, at "high"."""
    low, high = BOUNDS.get(name, (float(values.min()), float(values.max())))
    if name not in BOUNDS:  # 0 in the middle, as a diverging map wants it
        high = max(abs(low), abs(high), 1e-9)
        low = -high
    scaled = np.rint((values - low) / (high - low) * FINE).clip(0, FINE)
    return {"low": low, "high": high, "values": packed(scaled.astype(np.uint16))}


ASKS: dict[str, Handler] = {"gates/pass": whole, "gates/unit": unit}
