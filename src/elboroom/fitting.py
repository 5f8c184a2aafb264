"""`fit` and `resume`: from a name and the user's data to a finished run folder.

Order of a fit: settings are checked, data read, the model built, every "auto" decided and written to run.json, step 0
saved, then training, evaluation, pictures, card and report. Each part after training can be done again from the saved
state, so a kill anywhere is mended by `resume`.
"""

from __future__ import annotations

import tempfile
import traceback
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from elboroom.artifacts.run import RunFolder
from elboroom.core.errors import ElboroomError, InputError, Stopped
from elboroom.data.reading import Reading
from elboroom.data.source import Dataset, read, saved_tokenizer
from elboroom.finish import finish, pages
from elboroom.plan import Runtime
from elboroom.processes import joined, world
from elboroom.request import Request
from elboroom.run import Run, load
from elboroom.training import Event, Training, configured, stop_signals

__all__ = ["SPLIT_SEED", "ended", "fit", "noting", "resume", "same_data"]

SPLIT_SEED = 0
"""Splits do not follow the run's seed: runs over several seeds are measured on the same held-out rows."""


def fit(
    model: str,
    source: Any,
    *,
    run: str | Path | None = None,
    reading: Reading | None = None,
    settings: dict[str, Any] | None = None,
    preset: str = "",
    epochs: int = 0,
    steps: int = 0,
    minutes: float = 0.0,
    device: str = "auto",
    precision: str = "auto",
    compile: str = "auto",
    threads: int = 0,
    seed: int = 0,
    save_every: float = 60.0,
    samples: int = 0,
    force: bool = False,
    or_resume: bool = False,
    from_run: str | Path | None = None,
    networks: dict[str, torch.nn.Module] | None = None,
    command: str = "",
    progress: Callable[[Event], None] = lambda event: None,
    since: float = 0.0,
) -> Run:
    """Train `model` on `source` and give the finished run.

    `run`: the folder (None: a temporary one). `epochs`, `steps` and `minutes` exclude each other, 0 means not given;
    minutes count from `since` (time.monotonic; 0: now). `save_every` is in seconds, 0 saves at every tick; `samples` is
    the K of the bound. Raises InputError, Unable, or Stopped with the last good state saved.
    """
    if or_resume and run is not None and (Path(run) / "run.json").is_file():
        return _go_on(Path(run), command, save_every, progress)
    earlier = None if from_run is None else RunFolder.open(from_run).meta
    request = Request.of(
        model, reading=reading, settings=settings, preset=preset, epochs=epochs, steps=steps, minutes=minutes,
        device=device, precision=precision, compile=compile, threads=threads, seed=seed, world=world(),
        networks=networks, command=command, earlier=earlier, since=since,
    )  # fmt: skip
    with joined(request.runtime.world) as rank:
        known = saved_tokenizer(earlier["data"]) if earlier else None
        dataset = read(source, request.reading, seed=SPLIT_SEED, tokenizer=known)
        request = request.accepting(dataset)
        meta = request.describe(dataset, "")
        meta["budget"]["save_every"] = save_every
        training = Training(meta, dataset, None, networks=networks, rank=rank)
        first = _weights_for(training, from_run)
        folder, temporary = (None, None) if rank else _folder(run, model, dataset, force)  # removes what force replaces
        progress = _silent if rank else noting(folder, progress)
        training.folder, training.progress = folder, progress
        with folder.lock() if folder is not None else nullcontext():
            meta["name"] = "" if folder is None else folder.path.name
            request.plan(training, progress)
            with configured(meta):
                _begin(training, first)
                _carry_through(training, save_every, samples, progress)
        if folder is None:
            raise SystemExit
    return load(folder.path, source=source, networks=networks, temporary=temporary, dataset=dataset)


def _go_on(run: Path, command: str, save_every: float, progress: Callable[[Event], None]) -> Run:
    """A run that exists goes on with its own settings; where this is another call than began it, say so."""
    begun = RunFolder.open(run).meta["command"]
    if command and begun and command != begun:
        message = f"{run} goes on as it was begun, whatever this call says otherwise: {begun}"
        progress({"kind": "warning", "message": message})
    return resume(run, save_every=save_every, progress=progress)


def resume(
    run: str | Path,
    *,
    source: Any = None,
    steps: int = 0,
    save_every: float = -1.0,
    networks: dict[str, torch.nn.Module] | None = None,
    progress: Callable[[Event], None] = lambda event: None,
) -> Run:
    """Go on from the last good checkpoint to the end that `fit` was asked for, or `steps` further; the same bits.

    A finished run is left as it is, unless `steps` asks for more. `save_every` in seconds; below 0 it is that of the
    fit. Raises InputError where the data are not those of the run or no checkpoint is whole.
    """
    folder = RunFolder.open(run)
    meta = folder.meta
    if meta["state"] == "done" and not steps:
        if not (folder.card.is_file() and folder.report.is_file()):
            with folder.lock():
                pages(folder, noting(folder, progress))
        return load(folder.path, source=source, networks=networks)
    runtime = Runtime(**meta["runtime"])
    if runtime.world != world():
        raise InputError(
            f"{run} was begun by {runtime.world} processes and {world()} would go on; "
            f"start it with torchrun --nproc-per-node {runtime.world}"
        )
    with joined(runtime.world) as rank:
        dataset = same_data(meta, source)
        progress = _silent if rank else noting(folder, progress)
        with nullcontext() if rank else folder.lock():
            if steps:
                meta["budget"]["steps"] += steps
            training = Training(
                meta, dataset, folder if rank == 0 else None, networks=networks, rank=rank, progress=progress
            )
            with configured(meta):
                training.assemble(training.costs())
                if rank == 0:
                    training.restore()
                    meta["state"], meta["why"] = "running", ""
                    meta.pop("weights_sha256", None)
                    folder.write_meta(meta)
                    progress({"kind": "phase", "message": f"going on from step {training.done:,}"})
                training.share()
                every = meta["budget"]["save_every"] if save_every < 0 else save_every
                _carry_through(training, every, 0, progress)
        if rank:
            raise SystemExit(0)
    return load(folder.path, source=source, networks=networks)


def _carry_through(training: Training, save_every: float, samples: int, progress: Callable[[Event], None]) -> None:
    """Train to the end and finish; whatever ends it early is written into run.json."""
    meta, folder = training.meta, training.folder
    if samples:
        meta["budget"]["samples"] = samples
    try:
        with stop_signals() as stopping:
            if training.done == 0:
                training.preview(0, False)
            training.drive(save_every, stopping)
            stopping.at_once = True
            if stopping.asked:
                stopping.stop()
            if folder is not None:
                finish(training, progress)
    except Stopped as stopped:
        ended(training, stopped.state, str(stopped))
        raise
    except (MemoryError, torch.OutOfMemoryError) as error:
        batch = meta["budget"]["batch_size"]
        message = f"out of memory at step {training.done:,} with batches of {batch}; try a smaller --batch-size"
        ended(training, "failed", message)
        raise Stopped(message) from error
    except OSError as error:
        where, what = error.filename or meta["name"], error.strerror or error
        message = f"{where}: {what}; free space or mend it, then: elboroom resume {training.place}"
        ended(training, "failed", message)
        raise Stopped(message) from error
    except (ElboroomError, KeyboardInterrupt):
        raise
    except Exception as error:
        ended(training, "failed", f"{type(error).__name__}: {error}", traceback.format_exc())
        raise


def ended(training: Training, how: str, why: str, trace: str = "") -> None:
    """Write how a run ended early, if the disk still takes it; `trace`, of a fault of ours, goes into log.txt alone."""
    meta, folder = training.meta, training.folder
    if folder is None:
        return
    meta["state"], meta["why"], meta["step"], meta["took_s"] = how, why, training.done, training.took_s()
    try:
        folder.write_meta(meta)
        folder.log(f"{how} at step {training.done:,}: {why}\n{trace}".rstrip())
    except (OSError, ElboroomError) as error:
        training.progress({"kind": "phase", "message": f"run.json could not be written: {error}"})


def _weights_for(training: Training, other: str | Path | None) -> dict[str, Tensor]:
    """The weights of another run of the same model and shapes, to begin with; none where no run is named."""
    if other is None:
        return {}
    weights = load(Path(other)).model.state_dict()
    for name, tensor in training.model.state_dict().items():
        if name not in weights or weights[name].shape != tensor.shape:
            raise InputError(
                f"--from {other}: its weights do not fit this model at {name}; use the same model and settings"
            )
    return weights


def _begin(training: Training, weights: dict[str, Tensor]) -> None:
    """Put the run's first state on disk, with these weights where there are any: from here on its folder is a run."""
    live = training.model.state_dict()
    with torch.no_grad():
        for name in live if weights else ():
            live[name].copy_(weights[name])
    training.save()
    if training.folder is not None:
        training.folder.write_meta(training.meta)
        training.folder.log(f"begun: {training.meta['command'] or training.meta['model']}")


def same_data(meta: dict[str, Any], source: Any) -> Dataset:
    saved = meta["data"]
    if source is None and not saved["source"]:
        raise InputError(
            f"{meta['name']} holds no path of its data, which were given from memory, or its weights were imported; "
            "name data: elboroom evaluate RUN DATA, or run.resume(source=X) with the same data"
        )
    reading, seed = Reading.from_json(saved["reading"]), saved["split"]["seed"]
    tokenizer = saved_tokenizer(saved)  # not learnt anew, nor read from a file that may be gone
    dataset = read(saved["source"] if source is None else source, reading, seed=seed, tokenizer=tokenizer)
    if dataset.fingerprint != saved["fingerprint"]:
        raise InputError(
            f"the data are not those of the run: fingerprint {dataset.fingerprint[:12]} now, "
            f"{saved['fingerprint'][:12]} then; put the old data back, or begin a new run with --from"
        )
    return dataset


def _folder(run: str | Path | None, model: str, dataset: Dataset, force: bool) -> tuple[RunFolder, Path | None]:
    """The run's folder and, where the user named none, the temporary one that must be kept alive."""
    if run is None:
        temporary = Path(tempfile.mkdtemp(prefix="elboroom-"))
        return RunFolder.create(temporary / f"{model}-{dataset.name}"), temporary
    return RunFolder.create(Path(run), force=force), None


def noting(folder: RunFolder | None, progress: Callable[[Event], None]) -> Callable[[Event], None]:
    """`progress`, with what is said, but not the numbers of each step, kept in log.txt once the folder is a run."""

    def said(event: Event) -> None:
        if folder is not None and event.get("message") and "state" in folder.meta:
            with suppress(OSError, ElboroomError):  # a full disk stops the run where a state is to be saved
                folder.log(f"{event['kind']}: {event['message']}")
        progress(event)

    return said


def _silent(event: Event) -> None:
    """Of several processes one speaks."""
