"""Runs side by side, measured anew on the same held-out items, with intervals of their paired differences.

What two models share (hard items, noisy ones) cancels in the difference item by item, so much smaller differences can
be told than two intervals side by side would show. Where 0 is inside, the answer is "no difference".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elboroom.core.abilities import ABILITIES
from elboroom.core.errors import InputError
from elboroom.data.rows import Rows
from elboroom.data.windows import Windows
from elboroom.evaluate import Evaluation, evaluate, held_out
from elboroom.metrics.interval import Interval, difference_interval, finite, mean_interval, ratio_interval

if TYPE_CHECKING:
    from elboroom.data.source import Dataset
    from elboroom.run import Run

__all__ = ["Picked", "compare", "table"]

# key: (+1 more is better, -1 less, 0 neither; whether it is a mean over cells; whether it depends on how x is scaled)
MEASURES: dict[str, tuple[int, bool, bool]] = {
    "bits_per_dim": (-1, True, True),
    "bits_per_byte": (-1, True, False),
    "elbo_nats": (1, False, True),
    "log_likelihood_nats": (1, False, True),
    "rate_nats": (0, False, True),
    "distortion_nats": (0, False, True),
    "reconstruction_bce": (-1, True, True),
    "reconstruction_mse": (-1, True, True),
    "psnr_db": (1, False, True),
    "mae": (-1, True, True),
    "trustworthiness": (1, False, False),
    "neighbour_accuracy": (1, False, False),
}
SEED = 0  # one seed for all runs: the same random subsets of items


class Picked(Rows):
    """Some rows of others, by place."""

    def __init__(self, rows: Rows, places: NDArray[np.int64]) -> None:
        where = torch.from_numpy(places).to(rows.device)
        label = None if rows.label is None else rows.label.index_select(0, where)
        super().__init__(np.asarray(rows.index)[places], label, masked=rows.masked)
        self.rows = rows
        self.where = where
        self.resident = rows.resident

    @property
    def device(self) -> torch.device:
        return self.rows.device

    def x(self, where: Tensor) -> Tensor:
        return self.rows.x(self.where.index_select(0, where))

    def to(self, device: torch.device | str) -> Picked:
        return Picked(self.rows.to(device), self.where.cpu().numpy())


@dataclass
class _Side:
    """One run in the comparison."""

    name: str
    run: Run
    dataset: Dataset
    rows: Rows
    found: Evaluation | None = None

    @property
    def scale(self) -> str:
        return self.run.spec.scale

    def space(self) -> tuple[Any, ...]:
        """What must agree for two models' numbers of x to mean the same: shape, scale, fitted numbers."""
        numbers = tuple(b.detach().cpu().numpy().tobytes() for b in self.run.transform.buffers())
        return (self.run.spec.shape, self.scale, numbers)


def compare(runs: Sequence[Run], data: Any = None, *, samples: int = 0) -> dict[str, Any]:
    """Measure every run on `data`, or on the held-out rows that they share, and set the differences side by side.

    Plain JSON types: data, runs, measures (cells, references, differences, what can be said), costs, settings, notes.
    Raises InputError where the runs have no held-out row in common.
    """
    if len(runs) < 2:
        raise InputError("compare needs two runs or more; usage: elboroom compare RUN RUN ...")
    sides, about = _sides(runs, data)
    seen: list[tuple[Any, ...]] = []
    for side in sides:
        parts = {about["split"]: side.rows, "train": side.dataset.parts.get("train")}
        side.dataset.parts = {key: rows for key, rows in parts.items() if rows is not None}
        side.found = evaluate(
            side.run.model,
            side.run.transform,
            side.run.spec,
            side.dataset,
            part=about["split"],
            samples=samples,
            seed=SEED,
            baselines=side.space() not in seen,
        )
        seen.append(side.space())
    measures = [_measure(key, sides) for key in MEASURES if any(key in _values(side) for side in sides)]
    return {
        "data": about,
        "runs": [_about(side) for side in sides],
        "measures": measures,
        "costs": _costs(sides),
        "settings": _settings(sides),
        "notes": _notes(sides, about),
    }


def _sides(runs: Sequence[Run], data: Any) -> tuple[list[_Side], dict[str, Any]]:
    names = _names(runs)
    if data is not None:
        sides = []
        for name, run in zip(names, runs, strict=True):
            dataset = run.read(data)
            sides.append(_Side(name, run, dataset, dataset.parts["all"]))
        first = sides[0].dataset
        about = {"name": first.name, "fingerprint": first.fingerprint, "split": "all", "n": len(sides[0].rows)}
        return sides, about
    datasets = [run.dataset() for run in runs]
    prints = {dataset.fingerprint for dataset in datasets}
    if len(prints) > 1:
        told = ", ".join(f"{name}: {dataset.name}" for name, dataset in zip(names, datasets, strict=True))
        raise InputError(f"these runs were made from different data ({told}); give data for all of them with --data")
    parts = [held_out(dataset) for dataset in datasets]
    if "train" in parts:
        name = names[parts.index("train")]
        raise InputError(f"{name} kept no rows from training; give data that no run was trained on with --data")
    held = [dataset.parts[part] for dataset, part in zip(datasets, parts, strict=True)]
    texts = [rows for rows in held if isinstance(rows, Windows)]
    shared = held[0].index if texts else _shared([np.asarray(rows.index) for rows in held], datasets)
    if not len(shared) or len({(rows.start, len(rows.tokens)) for rows in texts}) > 1:
        what = "stretch of the text" if texts else "row"
        raise InputError(f"no {what} is held out in all of these runs (their splits differ); give data with --data")
    sides = []
    for name, run, dataset, rows in zip(names, runs, datasets, held, strict=True):
        if len(shared) < len(rows) and not texts:  # a text is cut into windows of any width, and held out as a whole
            order = {int(row): place for place, row in enumerate(rows.index)}
            rows = Picked(rows, np.array([order[int(row)] for row in shared], dtype=np.int64))
        sides.append(_Side(name, run, dataset, rows))
    about = {
        "name": datasets[0].name,
        "fingerprint": datasets[0].fingerprint,
        "split": parts[0] if len(set(parts)) == 1 else "test",
        "n": len(shared),
    }
    return sides, about


def _shared(held: list[NDArray[np.int64]], datasets: list[Dataset]) -> NDArray[np.int64]:
    """Input rows held out in every run, in the first run's order, and in no run's training part."""
    common = held[0]
    for other in held[1:]:
        common = common[np.isin(common, other)]
    for dataset in datasets:
        if "train" in dataset.parts:
            common = common[~np.isin(common, dataset.parts["train"].index)]
    return common


def _names(runs: Sequence[Run]) -> list[str]:
    """Folder names, numbered where two are alike."""
    names: list[str] = []
    for run in runs:
        name = run.path.name
        twin = sum(known == name or known.startswith(f"{name} (") for known in names)
        names.append(f"{name} ({twin + 1})" if twin else name)
    return names


def _values(side: _Side) -> dict[str, NDArray[Any]]:
    return side.found.per_example if side.found else {}


def _measure(key: str, sides: list[_Side]) -> dict[str, Any]:
    """One row of the comparison."""
    better, per_cell, of_x = MEASURES[key]
    able = [side for side in sides if key in _values(side)]
    source, scaled = key, of_x
    if key == "reconstruction_mse" and len({s.space() for s in able}) > 1 and _all_pixels(able):
        source, scaled = "pixel_square", False  # different scales: the error against the pixels as read
    spaces = [side.space() for side in able]
    reference = max(spaces, key=spaces.count)
    like = [side for side in able if not scaled or side.space() == reference]
    measured = [side.found.metrics[key] for side in like if side.found]
    weights = "" if not per_cell else "numeric_cells" if key in ("reconstruction_mse", "mae") else "cells"
    cells = [_cell(side, source, like, weights) if side in able else _absent(side) for side in sides]
    for cell, side in zip(cells, sides, strict=True):
        if side in able and side not in like:
            cell.update(why=f"read with scale {side.scale}: its numbers are of another x")
    differences = [_difference(a, b, source, weights, better) for a, b in combinations(like, 2)]
    best = _best(like, differences, better)
    unit = measured[0]["unit"]
    return {
        "key": key,
        "unit": f"{unit}, pixels as read in [0, 1]" if source == "pixel_square" else unit,
        "better": {1: "more", -1: "less", 0: ""}[better],
        "cells": cells,
        "references": _references(measured) if source == key else [],
        "differences": differences,
        "best": best,
        "said": _said(like, sides, differences, best, better),
    }


def _references(measured: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What stands beside the runs and is none of them."""
    listed: list[dict[str, Any]] = next((measure["references"] for measure in measured if "references" in measure), [])
    return [reference for reference in listed if reference["name"] != "ELBO"]


def _all_pixels(sides: list[_Side]) -> bool:
    return all("pixel_square" in _values(side) for side in sides)


def _interval(side: _Side, values: NDArray[Any], weights: str) -> Interval:
    known = np.isfinite(values)
    if weights:
        cells = _values(side)[weights]
        return ratio_interval((values * cells)[known], cells[known], seed=SEED)
    return mean_interval(values[known], seed=SEED)


def _cell(side: _Side, source: str, like: list[_Side], weights: str) -> dict[str, Any]:
    if side not in like:
        return {"run": side.name, "value": None, "low": None, "high": None, "n": 0, "why": ""}
    values = _values(side)[source]
    interval = _interval(side, values, weights)
    return {
        "run": side.name,
        "value": finite(interval.value),
        "low": finite(interval.low),
        "high": finite(interval.high),
        "n": int(np.isfinite(values).sum()),
        "why": "",
    }


def _absent(side: _Side) -> dict[str, Any]:
    kind = side.run.name
    return {
        "run": side.name,
        "value": None,
        "low": None,
        "high": None,
        "n": 0,
        "why": f"{kind} has no such measure here",
    }


def _difference(a: _Side, b: _Side, source: str, weights: str, better: int) -> dict[str, Any]:
    """Of a minus b over the same items."""
    x, y = _values(a)[source], _values(b)[source]
    known = np.isfinite(x) & np.isfinite(y)
    if weights:
        cells = _values(a)[weights][known]
        interval = ratio_interval((x[known] - y[known]) * cells, cells, seed=SEED)
    else:
        interval = difference_interval(x[known], y[known], seed=SEED)
    verdict = "no difference"
    if interval.clear_of_zero:
        up = interval.value > 0
        if better:
            verdict = f"{(a if up == (better > 0) else b).name} is better"
        else:
            verdict = f"{(a if up else b).name} is higher"
    return {
        "a": a.name,
        "b": b.name,
        "value": finite(interval.value),
        "low": finite(interval.low),
        "high": finite(interval.high),
        "n": int(known.sum()),
        "verdict": verdict,
    }


def _best(like: list[_Side], differences: list[dict[str, Any]], better: int) -> str | None:
    """The run that is better than every other with the difference clear of zero."""
    if not better or len(like) < 2:
        return None
    for side in like:
        mine = [d for d in differences if side.name in (d["a"], d["b"])]
        if all(d["verdict"] == f"{side.name} is better" for d in mine):
            return side.name
    return None


def _said(
    like: list[_Side], sides: list[_Side], differences: list[dict[str, Any]], best: str | None, better: int
) -> str:
    """What can be said, in words."""
    if len(like) == 1:
        return f"only {like[0].name} can answer" if len(sides) > 1 else ""
    equal = [d for d in differences if d["verdict"] == "no difference"]
    if len(equal) == len(differences):
        return "no difference" if len(like) == 2 else "none can be told apart"
    if len(like) == 2:
        d = differences[0]
        reach = max(d["high"] - d["value"], d["value"] - d["low"])
        return f"{d['verdict']} by {abs(d['value']):.3g} ± {reach:.2g}"
    word = "better" if better else "higher"
    won = {side.name: [d for d in differences if d["verdict"] == f"{side.name} is {word}"] for side in like}
    if not better:
        return f"highest first: {', '.join(sorted(won, key=lambda name: -len(won[name])))}"
    beaten = {d["b"] if d["a"] == name else d["a"] for name, wins in won.items() for d in wins}
    lead = [name for name in won if name not in beaten]
    parts = [f"{best} is better than every other"] if best else [f"{_and(lead)} cannot be told apart"]
    parts += [f"{_and(beaten)} {'is' if len(beaten) == 1 else 'are'} worse than one of them"] if not best else []
    parts += [f"{d['a']} and {d['b']} cannot be told apart" for d in equal if not {d["a"], d["b"]} <= set(lead)]
    return "; ".join(parts)


def _and(names: Iterable[str]) -> str:
    *some, last = sorted(names)
    return f"{', '.join(some)} and {last}" if some else last


def _about(side: _Side) -> dict[str, Any]:
    meta = side.run.meta
    return {
        "name": side.name,
        "path": str(side.run.path),
        "model": side.run.name,
        "scale": side.scale,
        "abilities": [ability.__name__ for ability in ABILITIES if isinstance(side.run.model, ability)],
        "state": meta["state"],
        "seed": meta["runtime"]["seed"],
        "command": meta["command"],
    }


def _costs(sides: list[_Side]) -> list[dict[str, Any]]:
    rows = (("took_s", "s", "training time"), ("parameters", "numbers", "parameters"), ("step", "steps", "steps taken"))
    return [
        {
            "key": key,
            "unit": unit,
            "label": label,
            "cells": [{"run": side.name, "value": side.run.meta[key], "why": "one run, no interval"} for side in sides],
        }
        for key, unit, label in rows
    ]


def _settings(sides: list[_Side]) -> list[dict[str, Any]]:
    """Settings, budget and reading, those that differ first."""
    flat: list[dict[str, Any]] = []
    for side in sides:
        meta = side.run.meta
        reading = {f"reading.{k}": v for k, v in meta["data"]["reading"].items()}
        flat.append(
            {"model": meta["model"], **meta["settings"], **meta["budget"], "seed": meta["runtime"]["seed"], **reading}
        )
    names = list(dict.fromkeys(name for values in flat for name in values))
    rows = []
    for name in names:
        values = [settings.get(name) for settings in flat]
        rows.append({"name": name, "values": values, "differs": any(value != values[0] for value in values)})
    return sorted(rows, key=lambda row: not row["differs"])


def _notes(sides: list[_Side], about: dict[str, Any]) -> list[str]:
    notes = [f"All measured anew on the same {about['n']:,} rows of {about['name']}; intervals are 95 %."]
    trained = [
        s.name for s in sides if about["split"] == "all" and s.run.meta["data"]["fingerprint"] == about["fingerprint"]
    ]
    if trained:
        notes.append(f"{', '.join(trained)}: these data hold the rows the run was trained on, so it is favoured.")
    unfinished = [f"{s.name} ({s.run.meta['state']})" for s in sides if s.run.meta["state"] != "done"]
    if unfinished:
        notes.append(f"Not finished: {', '.join(unfinished)}.")
    return notes


def table(comparison: dict[str, Any]) -> str:
    """The comparison as text: one row a measure, one column a run, then what can be said."""
    names = [run["name"] for run in comparison["runs"]]
    rows = [["measure", *names, "what can be said"]]
    for measure in comparison["measures"]:
        cells = [_written(cell) + (" *" if cell["run"] == measure["best"] else "") for cell in measure["cells"]]
        arrow = {"more": " (more is better)", "less": " (less is better)", "": ""}[measure["better"]]
        rows.append([measure["key"] + arrow, *cells, measure["said"]])
    for cost in comparison["costs"]:
        rows.append([cost["label"], *[f"{cell['value']:,.6g} {cost['unit']}" for cell in cost["cells"]], ""])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*comparison["notes"], "", *lines])


def _written(cell: dict[str, Any]) -> str:
    if cell["value"] is None:
        return "none"
    if cell["low"] is None:
        return f"{cell['value']:.5g}"
    reach = max(cell["high"] - cell["value"], cell["value"] - cell["low"])
    return f"{cell['value']:.5g} ± {reach:.2g}"
