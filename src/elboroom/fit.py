"""`fit` and `resume`: from a name and the user's data to a finished run folder.

Order of a fit: settings are checked, data read, the model built, every "auto" decided and written to run.json, step 0
saved, then training, evaluation, pictures, card and report. Each part after training can be done again from the saved
state, so a kill anywhere is mended by `resume`.
"""

from __future__ import annotations

import datetime
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch

from elboroom import __version__
from elboroom.artifacts.run import RunFolder
from elboroom.core import registry
from elboroom.core.errors import ElboroomError, InputError, Stopped, Unable
from elboroom.data.source import Dataset, Reading, read
from elboroom.finish import finish, pages
from elboroom.plan import Runtime, chosen, read_runtime
from elboroom.run import Run, load
from elboroom.settings import checked
from elboroom.training import Event, Training, configured

__all__ = ["fit", "resume", "same_data"]


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
) -> Run:
    """Train `model` on `source` and give the finished run.

    `run` is the folder (None: a temporary one, kept until the Run is gone); `epochs`, `steps` and `minutes` exclude
    each other, 0 means not given; `save_every` is in seconds, 0 saves at every tick; `samples` is the K of the
    log-likelihood bound, 0 for the default. Raises InputError, Unable, or Stopped with the last good state saved.
    """
    if or_resume and run is not None and (Path(run) / "run.json").is_file():
        return resume(run, save_every=save_every, progress=progress)
    entry = registry.entry(model)
    preset_of = _preset(entry, preset)
    values = checked(entry, {**preset_of.get("settings", {}), **(settings or {})})
    budget = _budget(entry, preset_of, epochs, steps, minutes)
    runtime = read_runtime(device, precision, compile, threads, seed, _world())
    with _processes(runtime) as rank:
        dataset = read(source, _with_preset(reading or Reading(), preset_of), seed=seed)
        _accepts(entry, dataset)
        folder, temporary = _folder(run, model, dataset, force, rank)
        with ExitStack() as stack:
            if folder is not None:
                stack.enter_context(folder.lock())
            meta = _meta(entry, preset, values, dataset, budget, runtime, command, networks, folder)
            training = Training(meta, dataset, folder, networks=networks, rank=rank, progress=progress)
            _plan(training, budget, runtime, progress)
            if from_run is not None:
                _start_from(training, from_run)
            if folder is not None:
                folder.write_meta(meta)
            with configured(meta):
                if folder is not None:
                    training.preview(0, False)
                    training.save()
                _carry_through(training, save_every, samples, progress)
        if folder is None:
            raise SystemExit(0)
    return load(folder.path, source=source, networks=networks, temporary=temporary)


def resume(
    run: str | Path,
    *,
    source: Any = None,
    steps: int = 0,
    save_every: float = 60.0,
    networks: dict[str, torch.nn.Module] | None = None,
    progress: Callable[[Event], None] = lambda event: None,
) -> Run:
    """Go on from the last good checkpoint to the end that `fit` was asked for, or `steps` further; the same bits.

    A finished run is left as it is, unless `steps` asks for more. Raises InputError where the data are not those of
    the run or no checkpoint is whole.
    """
    folder = RunFolder.open(run)
    meta = folder.meta
    if meta["state"] == "done" and not steps:
        if not (folder.card.is_file() and folder.report.is_file()):
            with folder.lock():
                pages(folder, progress)
        return load(folder.path, source=source, networks=networks)
    runtime = Runtime(**meta["runtime"])
    if runtime.world != _world():
        raise InputError(
            f"{run} was begun by {runtime.world} processes and {_world()} would go on; "
            f"start it with torchrun --nproc-per-node {runtime.world}"
        )
    with _processes(runtime) as rank:
        dataset = same_data(meta, source)
        with ExitStack() as stack:
            if rank == 0:
                stack.enter_context(folder.lock())
            if steps:
                meta["budget"]["steps"] += steps
            training = Training(meta, dataset, folder if rank == 0 else None, networks=networks, rank=rank, progress=progress)
            with configured(meta):
                training.assemble(training.costs())
                if rank == 0:
                    training.restore()
                    meta["state"], meta["why"] = "running", ""
                    folder.write_meta(meta)
                    progress({"kind": "phase", "message": f"going on from step {training.done:,}"})
                training.share()
                _carry_through(training, save_every, 0, progress)
        if rank:
            raise SystemExit(0)
    return load(folder.path, source=source, networks=networks)


def _carry_through(training: Training, save_every: float, samples: int, progress: Callable[[Event], None]) -> None:
    """Train to the end and finish; whatever ends it early is written into run.json."""
    meta, folder = training.meta, training.folder
    if samples:
        meta["budget"]["samples"] = samples
    try:
        training.drive(save_every)
        if folder is not None:
            finish(training, progress)
    except Stopped as stopped:
        _ended(training, stopped.state, str(stopped))
        raise
    except (MemoryError, torch.OutOfMemoryError) as error:
        message = f"out of memory at step {training.done:,} with batches of {meta['budget']['batch_size']}; try a smaller --batch-size"
        _ended(training, "failed", message)
        raise Stopped(message) from error
    except OSError as error:
        message = f"{error.filename or meta['name']}: {error.strerror or error}; free space or mend it, then elboroom resume {meta['name']}"
        _ended(training, "failed", message)
        raise Stopped(message) from error
    except (ElboroomError, KeyboardInterrupt):
        raise
    except Exception as error:
        _ended(training, "failed", f"{type(error).__name__}: {error}")
        raise


def _ended(training: Training, how: str, why: str) -> None:
    """Write how a run ended early, if the disk still takes it."""
    meta, folder = training.meta, training.folder
    if folder is None:
        return
    meta["state"], meta["why"], meta["step"], meta["took_s"] = how, why, training.done, training.took_s()
    try:
        folder.write_meta(meta)
    except OSError:
        folder.log(f"run.json could not be written: {why}")


# -- what a run is made of ---------------------------------------------------------------------------------------------


def _preset(entry: registry.Entry, preset: str) -> dict[str, Any]:
    if not preset:
        return {}
    if preset not in entry.presets:
        known = ", ".join(entry.presets) or "none"
        raise InputError(f"{entry.name} has no preset {preset!r}; its presets: {known}")
    return entry.presets[preset]


def _with_preset(reading: Reading, preset: dict[str, Any]) -> Reading:
    """The preset's reading where the user said nothing else."""
    given = reading.to_json()
    silent = Reading().to_json()
    wanted = {k: v for k, v in preset.get("reading", {}).items() if given[k] == silent[k]}
    return Reading.from_json({**given, **wanted})


def _budget(entry: registry.Entry, preset: dict[str, Any], epochs: int, steps: int, minutes: float) -> dict[str, Any]:
    if sum(bool(x) for x in (epochs, steps, minutes)) > 1:
        raise InputError("give one of --epochs, --steps and --minutes")
    for name, value in (("epochs", epochs), ("steps", steps), ("minutes", minutes)):
        if not value >= 0:
            raise InputError(f"--{name} {value}: expected a number above 0")
    if not (epochs or steps or minutes):
        epochs = preset.get("epochs", entry.epochs)
    return {"epochs": epochs, "steps": steps, "minutes": minutes}


def _accepts(entry: registry.Entry, dataset: Dataset) -> None:
    kind = dataset.spec.kind
    if kind not in entry.kinds:
        able = [e.name for e in registry.entries() if kind in e.kinds]
        raise Unable(
            f"{entry.name} takes {' and '.join(entry.kinds)}, {dataset.name} was read as {kind}; "
            f"models that take {kind}: {', '.join(able) or 'none yet'}"
        )


def _meta(
    entry: registry.Entry, preset: str, values: dict[str, Any], dataset: Dataset, budget: dict[str, Any],
    runtime: Runtime, command: str, networks: dict[str, torch.nn.Module] | None, folder: RunFolder | None,
) -> dict[str, Any]:  # fmt: skip
    rows = len(dataset.parts["train"])
    batch_size = int(values.get("batch_size", 128))
    return {
        "format": "elboroom-run",
        "schema_version": 1,
        "created_by": f"elboroom {__version__}",
        "name": folder.path.name if folder is not None else "",
        "model": entry.name,
        "settings": values,
        "preset": preset,
        "networks": "own" if networks else "built-in",
        "data": dataset.to_json(),
        "budget": {**budget, "batch_size": min(batch_size, rows), "samples": 0},
        "runtime": runtime.to_json(),
        "choices": {},
        "versions": _versions(),
        "command": command,
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "took_s": 0.0,
        "state": "running",
        "why": "",
        "step": 0,
        "parameters": 0,
        "kept": None,
    }


def _plan(training: Training, asked: dict[str, Any], runtime: Runtime, progress: Callable[[Event], None]) -> None:
    """Decide every "auto", the number of steps, and assemble the programs."""
    meta, per_epoch = training.meta, training.stream.steps_per_epoch
    budget = meta["budget"]
    wanted = int(meta["settings"].get("batch_size", 128))
    if wanted > budget["batch_size"]:
        meta["choices"]["batch_size"] = f"{budget['batch_size']}: the training part has no more rows"
    if budget["batch_size"] % runtime.world:
        raise InputError(f"--batch-size {budget['batch_size']} does not divide by {runtime.world} processes")
    meta["parameters"] = sum(p.numel() for p in training.model.parameters())
    costs = training.costs()
    steps = asked["steps"] or asked["epochs"] * per_epoch
    if asked["minutes"]:
        guess = int(asked["minutes"] * 60 / max(sum(c.operations / 1e11 + 2e-6 * c.calls for c in costs), 1e-6))
        decided, why = chosen(runtime, costs, guess, type(training.model).precision)  # type: ignore[arg-type]
    else:
        decided, why = chosen(runtime, costs, steps, type(training.model).precision)  # type: ignore[arg-type]
    meta["runtime"] = decided.to_json()
    meta["choices"].update(why)
    with configured(meta):
        training.assemble(costs)
        if asked["minutes"]:
            step_s = training.trial()
            steps = max(1, int(asked["minutes"] * 60 * 0.9 / step_s))
            meta["choices"]["steps"] = f"a trial took {step_s * 1e3:.3g} ms a step; a tenth of the time is for evaluation"
    budget.update(steps=steps, planned_steps=steps, steps_per_epoch=per_epoch, log_every=max(1, min(50, per_epoch)))
    for name, reason in meta["choices"].items():
        value = meta["runtime"].get(name, budget.get(name, ""))
        progress({"kind": "choice", "message": f"{name} {value}: {reason}"})


def _start_from(training: Training, other: str | Path) -> None:
    """Begin with the weights of another run of the same model and shapes."""
    weights = load(Path(other)).model.state_dict()
    live = training.model.state_dict()
    for name, tensor in live.items():
        if name not in weights or weights[name].shape != tensor.shape:
            raise InputError(f"--from {other}: its weights do not fit this model at {name}; use the same model and settings")
    with torch.no_grad():
        for name, tensor in live.items():
            tensor.copy_(weights[name])


def same_data(meta: dict[str, Any], source: Any) -> Dataset:
    saved = meta["data"]
    if source is None and not saved["source"]:
        raise InputError("this run was fitted on data in memory; pass the same data: run.resume(source=X)")
    dataset = read(
        saved["source"] if source is None else source, Reading.from_json(saved["reading"]), seed=meta["runtime"]["seed"]
    )
    if dataset.fingerprint != saved["fingerprint"]:
        raise InputError(
            f"the data are not those of the run: fingerprint {dataset.fingerprint[:12]} now, {saved['fingerprint'][:12]} "
            "then; put the old data back, or begin a new run with --from"
        )
    return dataset


def _folder(
    run: str | Path | None, model: str, dataset: Dataset, force: bool, rank: int
) -> tuple[RunFolder | None, tempfile.TemporaryDirectory[str] | None]:
    """The run's folder (None in every process but the first), and the temporary one to keep alive, if it is one."""
    if rank:
        return None, None
    if run is None:
        temporary = tempfile.TemporaryDirectory(prefix="elboroom-")
        return RunFolder.create(Path(temporary.name) / f"{model}-{dataset.name}"), temporary
    return RunFolder.create(Path(run), force=force), None


def _versions() -> dict[str, str]:
    import numpy

    return {
        "elboroom": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "platform": f"{sys.platform} {platform.machine()}",
        "processor": _processor(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor())


# -- several processes -------------------------------------------------------------------------------------------------


def _world() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


@contextmanager
def _processes(runtime: Runtime) -> Iterator[int]:
    """Join the processes torchrun started; gives this one's rank."""
    if runtime.world == 1:
        yield 0
        return
    began = not torch.distributed.is_initialized()
    if began:
        torch.distributed.init_process_group("gloo", timeout=datetime.timedelta(hours=2))
    try:
        yield torch.distributed.get_rank()
    finally:
        if began:
            torch.distributed.destroy_process_group()
