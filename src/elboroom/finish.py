"""What follows training: weights, measures, pictures, card, report, and the word "done".

Each part is a function of the saved state alone, so it can be made again after a kill, with the same bytes.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from elboroom import card, diagnose
from elboroom.artifacts import files
from elboroom.artifacts.run import RunFolder
from elboroom.artifacts.tensors import save_tensors
from elboroom.code_sheets import code_sheets
from elboroom.core.abilities import Attends, Continues, Looks
from elboroom.core.errors import Unable
from elboroom.data.text import TextTransform
from elboroom.engine.memory import peak_bytes
from elboroom.evaluate import Evaluation, evaluate, held_out
from elboroom.horizon import memory
from elboroom.imputation import calibrate
from elboroom.inspect import manifold
from elboroom.inspect_looks import looking
from elboroom.inspect_text import attention_arrays, excerpt
from elboroom.pace import is_round
from elboroom.sample_sheets import sample_media
from elboroom.sheets import Sheet, reconstruction_sheet, sample_sheet
from elboroom.speed import generation_speed
from elboroom.stretches import steadiness
from elboroom.text_samples import text_sample

if TYPE_CHECKING:
    from elboroom.data.source import Dataset
    from elboroom.training import Event, Training

__all__ = ["finish", "pages", "preview", "write_evaluation"]


def finish(training: Training, progress: Callable[[Event], None]) -> None:
    """Turn the end of a training into a finished run folder."""
    folder, meta, model = training.folder, training.meta, training.model
    if folder is None:
        return
    meta["peak_bytes"] = max(meta.get("peak_bytes", 0), peak_bytes(training.device))
    if training.kept:
        model.load_state_dict(training.kept)
    model.eval()  # the pictures, too, are of the model that is kept: its batch norms go by their averages
    spec, transform = training.dataset.spec, training.dataset.transform
    aside = training.dataset.parts.get("valid")
    if aside is not None and len(aside):
        calibrate(model, transform, spec, aside, seed=training.seed)
    progress({"kind": "phase", "message": "writing weights, measuring on held-out data"})
    meta["weights_sha256"] = write_weights(folder, model, transform)
    found = evaluate(model, transform, spec, training.dataset, samples=meta["budget"]["samples"], seed=training.seed)
    found.details.update(_lights(training))
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
    for name, sheet in code_sheets(model, transform, spec, rows, seed=training.seed, split=part).items():
        _picture(folder, name, sheet)
    for name, content in sample_media(model, spec, found.samples, seed=training.seed).items():
        files.write_bytes(folder.media(name), content.png() if isinstance(content, Sheet) else _npz(content))
    if isinstance(model, Continues):
        meta["speed"] = generation_speed(model, training.device)
    if isinstance(model, Attends):
        _attention(folder, model, training.dataset)
    if isinstance(model, Looks):
        with suppress(Unable):  # it was made with its attention off
            _picture(folder, "looks.png", looking(model, transform, spec, seed=training.seed).sheet(factor=1))
    meta.update(state="done", why="", step=training.done, took_s=round(training.took_s(), 3))
    meta["trained_s"] = _trained_s(folder)
    for page in (folder.card, folder.report):  # of an earlier end: a kill from here on leaves them to be made again
        if page.is_file():
            files.unlink(page)
    folder.write_meta(meta)
    pages(folder, progress)
    progress({"kind": "done", "message": str(folder.path), "logs": found.metrics})


def _trained_s(folder: RunFolder) -> float:
    """Seconds of training alone, over all sittings: what history says of its last step."""
    rows = folder.history.read_text(encoding="utf-8").splitlines() if folder.history.is_file() else []
    return float(json.loads(rows[-1]).get("time_s", 0.0)) if rows else 0.0


def pages(folder: RunFolder, progress: Callable[[Event], None] = lambda event: None) -> None:
    """Card and report, the last files of a run: where one is missing, `resume` makes them again."""
    from elboroom.report.build import write

    details = files.read_json(folder.details) if folder.details.is_file() else {}
    files.write_json(folder.details, {**details, "checks": diagnose.diagnose(folder.path)})
    progress({"kind": "phase", "message": "writing card and report"})
    card.write(folder.path)
    write(folder.path)


def preview(training: Training, epoch: int, over: bool) -> None:
    """Keep samples as a sheet at epochs 0, 1, 2, 5, 10, 20, 50 ..., half way and at the end, or texts at such looks.

    Always the same draws.
    """
    model, spec, seed = training.model, training.dataset.spec, training.seed
    budget, step = training.meta["budget"], training.done
    if training.folder is None:
        return
    if isinstance(model, Continues):
        look = step // (budget.get("look_every") or budget["steps_per_epoch"])
        if over or step == 0 or is_round(look):
            text = text_sample(model, training.dataset, seed=seed, step=step)
            files.write_text(training.folder.media(f"samples/step-{step:07d}.txt"), text)
        return
    epochs = -(-budget["steps"] // budget["steps_per_epoch"])
    if over or epoch in {0, epochs // 2} or is_round(epoch):
        sheet = sample_sheet(model, spec, seed=seed, epoch=epoch, discrete=spec.levels > 0)
        _picture(training.folder, f"samples/epoch-{epoch:04d}.png", sheet)


def write_weights(folder: RunFolder, model: torch.nn.Module, transform: torch.nn.Module) -> str:
    """weights.safetensors: the model's tensors by name, the numbers of the scaling under `data.`. Gives its SHA-256."""
    tensors = {**model.state_dict(), **{f"data.{name}": x for name, x in transform.state_dict().items()}}
    return save_tensors(folder.weights, {name: x.detach().cpu().contiguous() for name, x in tensors.items()}).sha256


def write_evaluation(folder: RunFolder, found: Evaluation) -> None:
    """metrics.json, details.json, per_example.npz, codes and the table of columns.

    What only the end of a training can measure stays from there.
    """
    files.write_json(folder.metrics, found.metrics)
    before = files.read_json(folder.details) if folder.details.is_file() else {}
    kept = {name: before[name] for name in ("checks", "memory", "stationarity") if name in before}
    checks = kept.pop("checks", [])
    # in one order, whether these stood here before (a run killed after this point and resumed) or not
    files.write_json(folder.details, {"checks": checks, **found.details, **(kept | found.details)})
    files.write_bytes(folder.path / "per_example.npz", _npz(found.per_example))
    if found.codes:
        files.write_bytes(folder.media("codes.npz"), _npz(found.codes))
    if found.matched:
        files.write_bytes(folder.media("matching.npz"), _npz(found.matched))
    columns = found.details.get("columns")
    if columns:
        files.write_text(folder.media("reconstruction.json"), json.dumps(columns))


def _lights(training: Training) -> dict[str, Any]:
    """What `diagnose` looks at beside the measures: how far back gradients reach, how steady a series is."""
    reach, series = memory(training), training.dataset.series
    found: dict[str, Any] = {} if reach is None else {"memory": reach}
    return found if series is None else {**found, "stationarity": steadiness(series)}


def _attention(folder: RunFolder, model: Attends, dataset: Dataset) -> None:
    """Where the heads look in a short piece of held-out text: a picture, and the arrays the report draws it from."""
    from elboroom.report.attention import Attention

    assert isinstance(dataset.transform, TextTransform)
    ids, said = excerpt(dataset)
    arrays = attention_arrays(model, dataset.transform.tokenizer, ids, said=said)
    files.write_text(folder.media("attention.svg"), Attention.of(arrays).svg())
    files.write_bytes(folder.media("attention.npz"), _npz(arrays))


def _picture(folder: RunFolder, name: str, sheet: Sheet | None) -> None:
    if sheet is not None:
        files.write_bytes(folder.media(name), sheet.png())


def _npz(arrays: dict[str, Any]) -> bytes:
    held = io.BytesIO()
    np.savez_compressed(held, **arrays)
    return held.getvalue()
