"""What follows training: weights, measures, pictures, card, report, and the word "done".

Each part is a function of the saved state alone, so it can be made again after a kill, with the same bytes.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from elboroom import card, diagnose
from elboroom.artifacts import files
from elboroom.artifacts.run import RunFolder
from elboroom.artifacts.tensors import save_tensors
from elboroom.evaluate import Evaluation, evaluate, held_out
from elboroom.inspect import manifold
from elboroom.sheets import Sheet, reconstruction_sheet, sample_sheet

if TYPE_CHECKING:
    from elboroom.training import Event, Training

__all__ = ["finish", "pages", "preview", "write_evaluation"]


def finish(training: Training, progress: Callable[[Event], None]) -> None:
    """Turn the end of a training into a finished run folder."""
    folder, meta, model = training.folder, training.meta, training.model
    if folder is None:
        return
    if training.kept:
        model.load_state_dict(training.kept)
    spec, transform = training.dataset.spec, training.dataset.transform
    progress({"kind": "phase", "message": "writing weights, measuring on held-out data"})
    meta["weights_sha256"] = write_weights(folder, model, transform)
    found = evaluate(model, transform, spec, training.dataset, samples=meta["budget"]["samples"], seed=training.seed)
    write_evaluation(folder, found)
    part = held_out(training.dataset)
    rows = training.dataset.parts[part]
    _picture(
        folder,
        "reconstructions.png",
        reconstruction_sheet(model, transform, spec, rows, seed=training.seed, split=part),
    )
    z = found.codes.get("z")
    if z is not None and z.shape[1] == 2 and spec.kind == "images":
        _picture(folder, "manifold.png", manifold(model, spec, codes=z).sheet())
    meta.update(state="done", why="", step=training.done, took_s=round(training.took_s(), 3))
    for page in (folder.card, folder.report):  # of an earlier end: a kill from here on leaves them to be made again
        if page.is_file():
            files.unlink(page)
    folder.write_meta(meta)
    pages(folder, progress)
    progress({"kind": "done", "message": str(folder.path), "logs": found.metrics})


def pages(folder: RunFolder, progress: Callable[[Event], None] = lambda event: None) -> None:
    """Card and report, the last files of a run: where one is missing, `resume` makes them again."""
    from elboroom.report.build import write

    details = files.read_json(folder.details) if folder.details.is_file() else {}
    files.write_json(folder.details, {**details, "checks": diagnose.diagnose(folder.path)})
    progress({"kind": "phase", "message": "writing card and report"})
    card.write(folder.path)
    write(folder.path)


def preview(training: Training, epoch: int) -> None:
    """Keep the sheet of samples of one epoch; the same draws of z at every epoch."""
    spec = training.dataset.spec
    if training.folder is not None:
        sheet = sample_sheet(training.model, spec, seed=training.seed, epoch=epoch, discrete=spec.levels > 0)
        _picture(training.folder, f"samples/epoch-{epoch:04d}.png", sheet)


def write_weights(folder: RunFolder, model: torch.nn.Module, transform: torch.nn.Module) -> str:
    """weights.safetensors: the model's tensors by name, the numbers of the scaling under `data.`. Gives its SHA-256."""
    tensors = {**model.state_dict(), **{f"data.{name}": x for name, x in transform.state_dict().items()}}
    return save_tensors(folder.weights, {name: x.detach().cpu().contiguous() for name, x in tensors.items()}).sha256


def write_evaluation(folder: RunFolder, found: Evaluation) -> None:
    """metrics.json, details.json, per_example.npz, codes and the table of columns."""
    files.write_json(folder.metrics, found.metrics)
    checks = files.read_json(folder.details).get("checks", []) if folder.details.is_file() else []
    files.write_json(folder.details, {**found.details, "checks": checks})
    files.write_bytes(folder.path / "per_example.npz", _npz(found.per_example))
    if found.codes:
        files.write_bytes(folder.media("codes.npz"), _npz(found.codes))
    columns = found.details.get("columns")
    if columns:
        files.write_text(folder.media("reconstruction.json"), json.dumps(columns))


def _picture(folder: RunFolder, name: str, sheet: Sheet | None) -> None:
    if sheet is not None:
        files.write_bytes(folder.media(name), sheet.png())


def _npz(arrays: dict[str, Any]) -> bytes:
    held = io.BytesIO()
    np.savez_compressed(held, **arrays)
    return held.getvalue()
