"""The functions of `import elboroom as elbo`: settings as plain keywords, as on the command line.

run = elbo.fit("vae", "digits", latent=8, epochs=20)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from elboroom.core import registry
from elboroom.core.errors import InputError, nearest
from elboroom.data.reading import Reading
from elboroom.run import Run, load

__all__ = ["compare", "datasets", "detect", "diagnose_imbalance", "fit", "measure", "sweep"]

BUDGET = ("epochs", "steps", "minutes", "samples")
RUNTIME = ("device", "precision", "compile", "threads", "seed", "save_every")
RUN = ("run", "preset", "force", "or_resume", "from_run", "progress")
NETWORKS = ("encoder", "decoder")


def fit(model: str, data: Any, **given: Any) -> Run:
    """Train `model` on `data`: a named set, a path, or numpy, torch, pandas, polars, AnnData, a torch Dataset, (X, y).

    Keywords are the model's settings, the reading (scale=, split=, label=, ...), the budget (epochs=, steps= or
    minutes=), the runtime (device=, precision=, compile=, threads=, seed=), run= (the folder to keep), preset=, and
    encoder=, decoder= for networks of your own. Without run= the run lives in a temporary folder until `run.save(DIR)`.
    Raises InputError, Unable or Stopped.
    """
    from elboroom import fitting

    fields = {f.name for f in registry.entry(model).fields}
    reading = {f.name for f in dataclasses.fields(Reading)}
    networks = {n: given.pop(n) for n in NETWORKS if isinstance(given.get(n), torch.nn.Module)}
    known = {*fields, *reading, *BUDGET, *RUNTIME, *RUN}
    for name in given:
        if name not in known:
            raise InputError(f"{model} has no setting {name!r}{nearest(name, known)}; elbo.models() lists settings")
    read: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items() if k in reading}
    return fitting.fit(
        model,
        data,
        reading=Reading(**read),
        settings={k: v for k, v in given.items() if k in fields},
        networks=networks or None,
        command=_said(model, data, {**given, **networks}),
        **{k: v for k, v in given.items() if k in {*BUDGET, *RUNTIME, *RUN}},
    )


def _said(model: str, data: Any, given: dict[str, Any], verb: str = "fit") -> str:
    """The call, as it can be typed again; what has no short text is named by its type."""
    short = (str, int, float, bool, tuple, list, dict, type(None))
    shown = [f"{k}={v!r}" if isinstance(v, short) else f"{k}={type(v).__name__}" for k, v in given.items()]
    what = repr(str(data)) if isinstance(data, str | Path) else type(data).__name__
    return f"elbo.{verb}({', '.join([repr(model), what, *shown])})"


def sweep(
    model: str,
    data: Any,
    *,
    over: Mapping[str, Sequence[Any]] | None = None,
    seeds: int = 1,
    stop_hopeless: bool = False,
    **given: Any,
) -> Any:
    """Every combination of the values in `over`, each with `seeds` seeds: elboroom.sweeping.Sweep with runs and table.

    Other keywords are those of `fit`, but for minutes= and networks of your own. Members that fail are named in the
    answer. Raises InputError, Unable, or Stopped after a signal.
    """
    from elboroom.sweeping import sweep as carry_out

    fields = {f.name for f in registry.entry(model).fields}
    reading = {f.name for f in dataclasses.fields(Reading)}
    own = {"run", "preset", "force", "or_resume", "progress"}
    known = {*fields, *reading, *BUDGET, *RUNTIME, *own, "over", "seeds", "stop_hopeless"}
    for name in given:
        if name not in known:
            raise InputError(f"{model} has no setting {name!r}{nearest(name, known)}; elbo.models() lists settings")
    read: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items() if k in reading}
    alone = {k: v for k, v in given.items() if k not in own or k == "preset"}
    return carry_out(
        model,
        data,
        over=over,
        seeds=seeds,
        stop_hopeless=stop_hopeless,
        reading=Reading(**read),
        settings={k: v for k, v in given.items() if k in fields},
        repeats=lambda member: _said(model, data, {**alone, **member.over, "seed": member.seed}),
        command=_said(model, data, {"over": dict(over or {}), "seeds": seeds, **given}, "sweep"),
        **{k: v for k, v in given.items() if k in {*BUDGET, *RUNTIME, *own}},
    )


def compare(runs: Sequence[Run | str | Path], data: Any = None) -> Any:
    """Runs on the same held-out data: one table with intervals on paired differences."""
    from elboroom.comparison import compare as table

    return table([run if isinstance(run, Run) else load(run) for run in runs], data)


def detect(data: Any, **given: Any) -> Any:
    """What is unusual in a series, by a forecaster made on the spot: elboroom.detecting.Found.

    Keywords are alarms_per_day= and smoothing= ("centred" or "causal"), the reading (label=, time=, train_until=, ...),
    the model's settings, minutes=, model=, threads=, device=, seed=. With a run you have: `run.detect(data)`.
    """
    from elboroom.detecting import asked_for
    from elboroom.detecting import detect as look

    name = given.pop("model", "") or next(iter(registry.able("Forecasts")), "")
    fields = {f.name for f in registry.entry(name).fields}
    reading = {f.name for f in dataclasses.fields(Reading)}
    ways, runtime = {"alarms_per_day", "smoothing", "seed"}, {"threads", "device", "precision", "compile"}
    known = {*fields, *reading, *ways, *runtime, "minutes"}
    for word in given:
        if word not in known:
            raise InputError(f"detect knows no {word!r}{nearest(word, known)}")
    read: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items() if k in reading}
    return look(
        data,
        model=name,
        reading=Reading(**read),
        settings={k: v for k, v in given.items() if k in fields},
        asked=asked_for(**{k: v for k, v in given.items() if k in ways}),
        minutes=given.get("minutes", 0.0),
        **{k: v for k, v in given.items() if k in runtime},
    )


def measure(
    real: Any, fake: Any, extractor: str = "auto", seed: int = 0, *, n: int = 0, **reading: Any
) -> dict[str, Any]:
    """Sample quality of `fake` beside `real`: names, paths or arrays; the same dict as `elboroom measure --json`.

    Keywords are those of the reading (scale=, size=, split=, label=, ...); `n` examples of each are compared.
    """
    from elboroom.measuring import measure_sets

    fields = {f.name for f in dataclasses.fields(Reading)}
    for name in reading:
        if name not in fields:
            raise InputError(f"measure knows no {name!r}{nearest(name, fields)}")
    given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in reading.items()}
    return measure_sets(real, fake, extractor=extractor, n=n, seed=seed, reading=Reading(**given))


def diagnose_imbalance(data: Any, *, seed: int = 0, seeds: int = 3, count_labels: bool = False, **reading: Any) -> Any:
    """How unequal the groups of unlabelled data are: elboroom.imbalance.found.Imbalance, whose `document` is that of
    `elboroom diagnose imbalance --json`; it may hold no answer, and `why`.

    `data`: a name, a path, an object or a run. `seeds` models are trained; `count_labels` puts the labels' own count
    beside the answer. Other keywords are those of the reading.
    """
    from elboroom.imbalance.found import find_imbalance

    fields = {f.name for f in dataclasses.fields(Reading)}
    for name in reading:
        if name not in fields:
            raise InputError(f"diagnose_imbalance knows no {name!r}{nearest(name, fields)}")
    given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in reading.items()}
    return find_imbalance(data, reading=Reading(**given), seed=seed, seeds=seeds, count_labels=count_labels)


def datasets() -> list[Any]:
    """The named data sets: what they hold, where they may lie, their licences."""
    from elboroom.data import catalog

    return [found[0] for name in catalog.names() if (found := catalog.find(name)) is not None]
