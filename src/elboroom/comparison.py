"""Runs side by side, measured anew on the same held-out items, with intervals of their paired differences.

What two models share (hard items, noisy ones) cancels in the difference item by item, so much smaller differences can
be told than two intervals side by side would show. Where 0 is inside, the answer is "no difference".
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elboroom.comparison_codes import compared_codes, objectives
from elboroom.comparison_measures import MEASURES, SEED, Side, measured
from elboroom.comparison_quality import compared_quality
from elboroom.comparison_words import table
from elboroom.core.errors import ElboroomError, InputError
from elboroom.data.rows import Rows
from elboroom.data.text import TextTransform
from elboroom.data.windows import Windows
from elboroom.evaluate import evaluate, held_out
from elboroom.metrics.text import bytes_of

if TYPE_CHECKING:
    from elboroom.data.source import Dataset
    from elboroom.run import Run

__all__ = ["Picked", "compare", "table"]

COMPARED = 1000
"""Samples of each run, of all alike: measures of different numbers of examples do not compare."""
TOGETHER = ("took_s", "step_s", "peak_bytes")
"""Costs that runs trained in one pass have in common."""
CHUNK = 1 << 20
"""Tokens of a text whose bytes are looked at together."""


class Picked(Rows):
    """Some rows of others, by place: what their `take` gives, lengths and labels of steps included."""

    def __init__(self, rows: Rows, places: NDArray[np.int64]) -> None:
        super().__init__(np.asarray(rows.index)[places], None, masked=rows.masked)
        self.rows = rows
        self.where = torch.from_numpy(places).to(rows.device)
        self.resident = rows.resident

    @property
    def fields(self) -> tuple[str, ...]:
        return self.rows.fields

    @property
    def device(self) -> torch.device:
        return self.rows.device

    def x(self, where: Tensor) -> Tensor:
        return self.rows.x(self.where.index_select(0, where))

    def take(self, where: Tensor) -> dict[str, Tensor]:
        return self.rows.take(self.where.index_select(0, where))

    def to(self, device: torch.device | str) -> Picked:
        return Picked(self.rows.to(device), self.where.cpu().numpy())


def _silent(message: str) -> None:
    """Nobody listens."""


def compare(
    runs: Sequence[Run], data: Any = None, *, samples: int = 0, progress: Callable[[str], None] = _silent
) -> dict[str, Any]:
    """Measure every run on `data`, or on the held-out items that they share, and set the differences side by side.

    Plain JSON types: data, runs, measures (cells, references, differences, what can be said), objectives, costs,
    settings, notes. `progress` is told in words what is being done.
    Raises InputError where the runs have no held-out item in common, or where one's data cannot be read: it then
    begins with the folder of that run.
    """
    if len(runs) < 2:
        raise InputError("compare needs two runs or more; usage: elboroom compare RUN RUN ...")
    progress(f"reading the data of {len(runs)} runs")
    sides, about = _sides(runs, data)
    seen: list[tuple[Any, ...]] = []
    for number, side in enumerate(sides, 1):
        progress(f"{number} of {len(sides)}: measuring {side.name} on {about['n']:,} {about['unit']}")
        parts = {about["split"]: side.rows, "train": side.dataset.parts.get("train")}
        side.dataset = replace(side.dataset, parts={key: rows for key, rows in parts.items() if rows is not None})
        side.found = evaluate(
            side.run.model,
            side.run.transform,
            side.run.spec,
            side.dataset,
            part=about["split"],
            samples=samples,
            seed=SEED,
            compared=COMPARED,
            baselines=side.space() not in seen,
        )
        seen.append(side.space())
    progress("setting the runs side by side")
    return {
        "data": about,
        "runs": [_about(side) for side in sides],
        "measures": [found for key in MEASURES if (found := measured(key, sides)) is not None]
        + compared_quality(sides)
        + compared_codes(sides),
        "objectives": objectives(sides),
        "costs": _costs(sides),
        "settings": _settings(sides),
        "notes": _notes(sides, about),
        "foot": _foot(sides),
    }


# -- what they are measured on -----------------------------------------------------------------------------------------


def _sides(runs: Sequence[Run], data: Any) -> tuple[list[Side], dict[str, Any]]:
    names = _names(runs)
    if data is not None:
        sides = []
        for name, run in zip(names, runs, strict=True):
            dataset = _of(run, lambda run: run.read(data))
            sides.append(Side(name, run, dataset, dataset.parts["all"], favoured=_is_seen(dataset, run)))
        first = sides[0].dataset
        return sides, {"name": first.name, "fingerprint": first.fingerprint, "split": "all", **_counted(sides[0])}
    datasets = [_of(run, lambda run: run.dataset()) for run in runs]
    if len({_identity(dataset) for dataset in datasets}) > 1:
        raise InputError(f"{_unlike(names, datasets)}; give data for all of them with --data")
    parts = [held_out(dataset) for dataset in datasets]
    if "train" in parts:
        path = runs[parts.index("train")].path
        raise InputError(f"{path}: kept no rows from training; give data that no run was trained on with --data")
    part = parts[0] if len(set(parts)) == 1 else "test"
    held = _held(datasets, parts)
    datasets = _narrowed(datasets, parts, part)
    sides = [Side(*four) for four in zip(names, runs, datasets, held, strict=True)]
    first = datasets[0]
    return sides, {"name": first.name, "fingerprint": first.fingerprint, "split": part, **_counted(sides[0])}


def _of(run: Run, reading: Callable[[Run], Dataset]) -> Dataset:
    """What is read for one run; a refusal begins with its folder."""
    try:
        return reading(run)
    except ElboroomError as error:
        raise type(error)(f"{run.path}: {error}") from error


def _is_seen(dataset: Dataset, run: Run) -> bool:
    """Whether these are the data that the run was trained on."""
    saved = run.meta["data"]
    if dataset.spec.kind == "text":
        return bool(dataset.text["bytes"] == (saved.get("text") or {}).get("bytes"))
    return bool(dataset.fingerprint == saved["fingerprint"])


def _identity(dataset: Dataset) -> Any:
    """What is the same in datasets of the same data; a text's fingerprint holds its tokenizer, its bytes do not."""
    return ("text", dataset.text["bytes"]) if dataset.spec.kind == "text" else dataset.fingerprint


def _unlike(names: list[str], datasets: list[Dataset]) -> str:
    """By what the data of these runs differ: their names, or, where these are one, how they were read."""
    told = ", ".join(f"{name}: {dataset.name}" for name, dataset in zip(names, datasets, strict=True))
    readings = [dataset.reading.to_json() for dataset in datasets]
    ways = [key for key in readings[0] if key != "split" and any(one[key] != readings[0][key] for one in readings)]
    if not ways or len({dataset.name for dataset in datasets}) > 1:
        return f"these runs were made from different data ({told})"
    how = "; ".join(
        f"{way}: {', '.join(f'{name} {_as_flag(one[way])}' for name, one in zip(names, readings, strict=True))}"
        for way in ways
    )
    return f"these runs read {datasets[0].name} differently ({how})"


def _as_flag(value: Any) -> str:
    return ",".join(map(str, value)) or "none" if isinstance(value, list) else str(value or "none")


def _held(datasets: list[Dataset], parts: list[str]) -> list[Rows]:
    """The rows that are held out in all; a series is cut by its stretches instead, see `_narrowed`."""
    held = [dataset.parts[name] for dataset, name in zip(datasets, parts, strict=True)]
    kind = datasets[0].spec.kind
    if kind == "text":
        if len({_digest(dataset, rows) for dataset, rows in zip(datasets, held, strict=True)}) > 1:
            raise InputError(_none("stretch of the text"))
        return held
    if kind == "series":
        return held
    shared = _shared([np.asarray(rows.index) for rows in held], datasets)
    if not len(shared):
        raise InputError(_none("row"))
    return [rows if len(shared) == len(rows) else _picked(rows, shared) for rows in held]


def _none(what: str) -> str:
    return f"no {what} is held out in all of these runs (their splits differ); give data with --data"


def _picked(rows: Rows, index: NDArray[np.int64]) -> Picked:
    order = {int(row): place for place, row in enumerate(rows.index)}
    return Picked(rows, np.array([order[int(row)] for row in index], dtype=np.int64))


def _shared(held: list[NDArray[np.int64]], datasets: list[Dataset]) -> NDArray[np.int64]:
    """Input rows held out in every run, in the first run's order, and in no run's training part."""
    common = held[0]
    for other in held[1:]:
        common = common[np.isin(common, other)]
    for dataset in datasets:
        if "train" in dataset.parts:
            common = common[~np.isin(common, dataset.parts["train"].index)]
    return common


def _digest(dataset: Dataset, rows: Rows) -> str:
    """SHA-256 of the bytes of a text, whatever its tokens are and wherever it is cut into windows."""
    assert isinstance(rows, Windows) and isinstance(dataset.transform, TextTransform)
    tokenizer = dataset.transform.tokenizer
    pieces, out = [tokenizer.token_bytes(i) for i in range(tokenizer.size)], hashlib.sha256()
    for chunk in rows.tokens.split(CHUNK):
        out.update(bytes_of(chunk.cpu().numpy(), pieces).tobytes())
    return out.hexdigest()


def _narrowed(datasets: list[Dataset], parts: list[str], part: str) -> list[Dataset]:
    """With `part` the rows of each series that are held out in all: windows may be cut anywhere, rows may not."""
    sets = [dataset.series for dataset in datasets if dataset.series is not None]
    if not sets:
        return datasets
    if len({tuple(len(one) for one in found.series) for found in sets}) > 1:
        raise InputError(f"{datasets[0].name}: these runs read other series from it; give data with --data")
    common = []
    for stretches in zip(*(found.stretches for found in sets), strict=True):
        ends = [one.get(name, (0, 0)) for one, name in zip(stretches, parts, strict=True)]
        common.append((max(a for a, _ in ends), min(b for _, b in ends)))
    if not any(a < b for a, b in common):
        raise InputError(_none("row"))
    left = [{part: (a, b)} if a < b else {} for a, b in common]
    return [replace(d, series=replace(s, stretches=left)) for d, s in zip(datasets, sets, strict=True)]


def _counted(side: Side) -> dict[str, Any]:
    """How many things are measured, and what they are."""
    dataset, rows = side.dataset, side.rows
    if isinstance(rows, Windows) and isinstance(dataset.transform, TextTransform):
        lengths = dataset.transform.tokenizer.byte_lengths
        n = sum(int(lengths[chunk.cpu().numpy()].sum()) for chunk in rows.tokens.split(CHUNK))
        return {"n": n, "unit": "bytes"}
    if dataset.series is not None:
        ends = [next(iter(one.values())) for one in dataset.series.stretches if len(one) == 1]
        return {"n": sum(b - a for a, b in ends) if ends else dataset.series.rows, "unit": "rows"}
    return {"n": len(rows), "unit": "sequences" if dataset.spec.kind == "sequences" else "rows"}


def _names(runs: Sequence[Run]) -> list[str]:
    """Folder names, numbered where two are alike."""
    names: list[str] = []
    for run in runs:
        name = run.path.name
        twin = sum(known == name or known.startswith(f"{name} (") for known in names)
        names.append(f"{name} ({twin + 1})" if twin else name)
    return names


# -- beside the measures -----------------------------------------------------------------------------------------------


def _about(side: Side) -> dict[str, Any]:
    meta = side.run.meta
    return {
        "name": side.name,
        "path": str(side.run.path),
        "model": side.run.name,
        "scale": side.scale,
        "abilities": side.abilities,
        "favoured": side.favoured,
        "state": meta["state"],
        "seed": meta["runtime"]["seed"],
        "command": meta["command"],
    }


def _costs(sides: list[Side]) -> list[dict[str, Any]]:
    """What each run took; None where it says nothing of it."""
    rows = (("took_s", "s", "training time"), ("step_s", "s", "a step"), ("peak_bytes", "bytes", "peak memory"),
            ("parameters", "numbers", "parameters"), ("step", "steps", "steps taken"))  # fmt: skip
    return [
        {
            "key": key,
            "unit": unit,
            "label": label,
            "cells": [_cost(side, key) for side in sides],
        }
        for key, unit, label in rows
    ]


def _cost(side: Side, key: str) -> dict[str, Any]:
    meta = side.run.meta
    value: float | None = meta.get(key)
    if key in ("took_s", "step_s"):
        seconds, steps = _trained(side)
        value = seconds if key == "took_s" or seconds is None else seconds / max(1, steps)
    cell = {"run": side.name, "value": value, "why": "was not recorded" if value is None else "one run, no interval"}
    stack = re.search(r"one pass trains (\d+) members", str((meta.get("choices") or {}).get("stack", "")))
    if stack is None or value is None or key not in TOGETHER:
        return cell
    return cell | {"why": f"of one pass that trained {stack[1]} runs at once", "together": int(stack[1])}


def _trained(side: Side) -> tuple[float | None, int]:
    """Seconds of training alone, none of measuring and pages, and of how many steps; without a history, as noted."""
    meta, file = side.run.meta, side.run.path / "history.jsonl"
    rows = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    last = json.loads(rows[-1]) if rows else {"time_s": meta.get("trained_s"), "step": meta.get("step")}
    return last.get("time_s"), last.get("step") or 0


def _settings(sides: list[Side]) -> list[dict[str, Any]]:
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


def _notes(sides: list[Side], about: dict[str, Any]) -> list[str]:
    notes = [f"All measured anew on the same {about['n']:,} {about['unit']} of {about['name']}; intervals are 95 %."]
    partly = [s.name for s in sides if s.found and not s.found.details.get("text", {}).get("whole", True)]
    if partly:
        notes.append(f"{', '.join(partly)}: of each block of the text a piece that its size left time for.")
    trained = [side.name for side in sides if side.favoured]
    if trained:
        who = ", ".join(trained)
        notes.append(f"{who}: these data hold the rows the run was trained on, so it is favoured and never bold.")
    unfinished = [f"{s.name} ({s.run.meta['state']})" for s in sides if s.run.meta["state"] != "done"]
    if unfinished:
        notes.append(f"Not finished: {', '.join(unfinished)}.")
    return notes


def _foot(sides: list[Side]) -> list[str]:
    """What stands under the table."""
    return ["Verdicts hold for these weights: of each run one training is measured, and another seed may differ."]
