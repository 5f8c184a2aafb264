"""Every measure a model's abilities allow, on data it was not trained on, with something simpler beside it.

One pass over the held-out part gives per-example sums (ELBO, rate, errors); a second one the importance-weighted
bounds. All draws follow (seed, "evaluate", pass, batch): repeatable, and no training bit depends on them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from elboroom.baselines.pca import PCA, rows_for_pca
from elboroom.baselines.pixels import Independent
from elboroom.core.abilities import (
    Bounds,
    Classifies,
    Continues,
    Decodes,
    Denoises,
    Encodes,
    Forecasts,
    Imputes,
    Quantizes,
)
from elboroom.core.batch import Batch
from elboroom.core.errors import InputError
from elboroom.core.model import Model
from elboroom.core.spec import Spec
from elboroom.data.stream import in_order
from elboroom.engine.runtime import mix, seed_draws, seeded
from elboroom.evaluate_codes import evaluate_codes
from elboroom.evaluate_samples import evaluate_samples
from elboroom.metrics import reconstruction
from elboroom.metrics.likelihood import gaussian_rate, importance_bounds, sample_grid
from elboroom.metrics.summary import Found, summarise
from elboroom.metrics.table import ColumnSums, numeric_columns
from elboroom.nn.likelihood import HEADS, head_for

if TYPE_CHECKING:
    from elboroom.data.rows import Rows
    from elboroom.data.source import Dataset
    from elboroom.data.transforms import Transform
    from elboroom.evaluate_imputation import Filled

__all__ = ["Evaluation", "Reader", "evaluate", "held_out"]

SAMPLES = 100  # draws of the importance-weighted bound where the user names none,
EXAMPLES = 1000  # and then on at most this many examples,
WORK = 1 << 29  # or as many as keep the decoder's widest layer under this many numbers, so that fit ends soon
ITEMS = 2000  # neighbour measures compare every pair of these
CODES = 10_000  # codes kept for the map of the report
FLOATS_AT_ONCE = {"cpu": 1 << 20, "cuda": 1 << 28}  # of one layer's output: 4 MiB stay in cache; 1 GiB fills a card


@dataclass
class Evaluation:
    """What was found. `metrics` is metrics.json; `details` feeds the report; `per_example` feeds compare."""

    metrics: dict[str, dict[str, Any]]
    details: dict[str, Any]
    per_example: dict[str, NDArray[Any]]
    codes: dict[str, NDArray[Any]] = field(default_factory=dict)
    samples: dict[str, NDArray[Any]] = field(default_factory=dict)
    """Of a model that samples: what pictures are made of; see evaluate_samples."""
    matched: dict[str, NDArray[Any]] = field(default_factory=dict)
    """Of codes of two numbers: draws of q(z) and of the law they shall follow."""
    block: int = 1
    """So many neighbouring rows of `per_example` err together, and are one of the sample only together."""

    @property
    def baselines(self) -> dict[str, list[dict[str, Any]]]:
        """The references of every measure that has some."""
        return {name: measure["references"] for name, measure in self.metrics.items() if "references" in measure}


def held_out(dataset: Dataset, part: str = "test") -> str:
    """The part to measure on: the one asked for, else validation, else whatever there is, under its own name."""
    order = [part, "test", "valid", "all", "train"]
    for name in order:
        if name in dataset.parts and len(dataset.parts[name]):
            return name
    raise InputError(f"{dataset.name} has no rows to measure on; give data, or keep a test part with --split")


def evaluate(
    model: Model,
    transform: Transform,
    spec: Spec,
    dataset: Dataset,
    *,
    part: str = "test",
    train: Rows | None = None,
    samples: int = 0,
    seed: int = 0,
    batch_size: int = 512,
    compared: int = 0,
    baselines: bool = True,
) -> Evaluation:
    """Measure `model` on a part of `dataset`.

    `train` are the rows baselines are fitted on (default: the dataset's own training part; without one, or with
    `baselines=False`, there are fewer). `samples`: K of the importance-weighted bound, on every example; 0 stands for
    100 draws on at most 1,000 examples (fewer for costly decoders). `compared`: examples that samples are compared
    with; 0 leaves it to the model's other measures.
    """
    if samples < 0:
        raise InputError(f"--samples {samples}: the number of draws is 1 or more")
    if isinstance(model, Continues | Classifies | Forecasts):
        return _in_order(model, transform, spec, dataset, part, train, seed, baselines)
    name = held_out(dataset, part)
    reader = Reader(dataset.parts[name], transform, model, seed)
    train = (dataset.parts.get("train") if train is None else train) if baselines else None
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad(), seeded(seed):
            simple = _fit_simple(model, spec, transform, train, reader, seed)
            found = _first_pass(model, spec, transform, reader, simple, batch_size)
            if isinstance(model, Bounds):
                _second_pass(model, reader, found, samples)
            matched, draws = evaluate_codes(model, reader, seed)
            made = evaluate_samples(model, dataset, part=name, seed=seed, most=compared, references=baselines)
            told = _told(model, transform, spec, dataset, name, train, seed)
            cleaned = _cleaned(model, spec, dataset, name, reader, simple.pca, seed)
    finally:
        model.train(was_training)
    found.split, found.factor_names = name, tuple(factor for factor, _ in dataset.factors)
    measures, details = summarise(found, seed=seed)
    return Evaluation(
        metrics={
            key: measure.to_json()
            for key, measure in (measures | made.measures | told.measures | cleaned.measures).items()
        },
        details=details
        | ({"matching": matched} if matched else {})
        | ({"quality": made.details} if made.details else {})
        | told.details
        | cleaned.details,
        per_example=found.per_example() | told.per_example,
        codes=_codes(found, reader, seed),
        samples=made.arrays,
        matched=draws,
    )


def _in_order(
    model: Continues | Classifies | Forecasts, transform: Transform, spec: Spec, dataset: Dataset, part: str,
    train: Rows | None, seed: int, baselines: bool,
) -> Evaluation:  # fmt: skip
    """Texts, sequences and series have measures of their own."""
    assert isinstance(model, Model)
    if isinstance(model, Continues):
        from elboroom.evaluate_text import evaluate_text

        return evaluate_text(model, transform, spec, dataset, part=part, train=train, seed=seed, baselines=baselines)
    if isinstance(model, Classifies):
        from elboroom.evaluate_sequences import evaluate_sequences

        return evaluate_sequences(
            model, transform, spec, dataset, part=part, train=train, seed=seed, baselines=baselines
        )
    from elboroom.evaluate_series import evaluate_series

    return evaluate_series(model, transform, dataset, part=part, seed=seed, baselines=baselines)


def _told(
    model: Model, transform: Transform, spec: Spec, dataset: Dataset, part: str, train: Rows | None, seed: int
) -> Filled:
    """What is found of missing cells. A model with a code is asked only where columns are named as always known: else
    r2 and mae are those of its reconstruction."""
    from elboroom.evaluate_imputation import Filled, evaluate_imputation

    if not isinstance(model, Imputes) or (isinstance(model, Encodes) and not spec.observed):
        return Filled()
    return evaluate_imputation(model, transform, spec, dataset, part=part, train=train, seed=seed)


def _cleaned(
    model: Model, spec: Spec, dataset: Dataset, part: str, reader: Reader, pca: PCA | None, seed: int
) -> Filled:
    """What is found of noise that is put on held-out rows."""
    from elboroom.evaluate_imputation import Filled

    if not isinstance(model, Denoises):
        return Filled()
    from elboroom.evaluate_denoising import evaluate_denoising

    return evaluate_denoising(model, spec, reader, part, dataset.parts.get("valid"), pca, seed)


class Reader:
    """Batches of some rows, transformed on the model's device, each drawn from a seed of its own."""

    def __init__(self, rows: Rows, transform: Transform, model: Model, seed: int) -> None:
        self.rows = rows
        self.transform = transform
        self.seed = seed
        self.device = next((p.device for p in model.parameters()), torch.device("cpu"))

    def batches(self, purpose: str, size: int, which: Tensor | None = None) -> Iterator[Batch]:
        """All rows in order, or those numbered in `which`, at most `size` at a time."""
        return (batch for _, batch in self.pairs(purpose, size, which))

    def pairs(self, purpose: str, size: int, which: Tensor | None = None) -> Iterator[tuple[dict[str, Tensor], Batch]]:
        """The same with each batch's raw rows before it."""
        if which is None:
            raws: Iterator[dict[str, Tensor]] = iter(in_order(self.rows, size))
        else:
            raws = (self.rows.take(chunk.to(self.rows.device)) for chunk in torch.split(which, size))
        for number, raw in enumerate(raws):
            seed_draws(mix(self.seed, "evaluate", purpose, number))
            here = {key: value.to(self.device) for key, value in raw.items()}
            yield here, self.transform(here)

    def choose(self, most: int, purpose: str) -> Tensor:
        """Row numbers of at most `most` rows, drawn without return, ascending."""
        n = len(self.rows)
        if n <= most:
            return torch.arange(n)
        rng = np.random.default_rng(mix(self.seed, "evaluate", purpose))
        return torch.from_numpy(np.sort(rng.choice(n, size=most, replace=False)))


@dataclass
class _Simple:
    """The baselines that stand beside this model."""

    discrete: bool
    independent: Independent | None = None
    pca: PCA | None = None


def _fit_simple(model: Model, spec: Spec, transform: Transform, train: Rows | None, held: Reader, seed: int) -> _Simple:
    named = getattr(model.config, "likelihood", "auto")
    likelihood = named if named in HEADS else "auto"
    simple = _Simple(head_for(likelihood, spec).discrete)
    if train is None or not len(train):
        return simple
    reader = Reader(train, transform, model, seed)
    simple.independent = Independent(spec, likelihood).fit(reader.batches("marginals", 1024))
    if isinstance(model, Encodes) and isinstance(model, Decodes):
        probe = next(held.batches("probe", 1))
        width = model.encode(probe).mean[0].numel()
        if width >= spec.size:  # nothing is left out, so that PCA would be a copy
            return simple
        which = reader.choose(rows_for_pca(spec.size), "pca")
        simple.pca = PCA(width, seed=seed).fit(reader.batches("pca", 1024, which))
    return simple


def _first_pass(
    model: Model, spec: Spec, transform: Transform, reader: Reader, simple: _Simple, batch_size: int
) -> Found:
    found = Found(spec=spec, n=len(reader.rows), index=np.asarray(reader.rows.index))
    if isinstance(model, Bounds):  # few examples get more draws each, as far as the decoder's cost allows
        found.widest = _widest(model, spec, reader)
        found.draws = max(1, min(20, math.ceil(2000 / found.n), WORK // (8 * found.n * found.widest)))
    found.discrete = simple.discrete
    found.family = simple.independent.family if simple.independent else ""
    found.train_rows = simple.independent.rows if simple.independent else 0
    found.pca_width, found.pca_rows = (simple.pca.width, simple.pca.rows) if simple.pca else (0, 0)
    if spec.kind == "table" and spec.columns:
        found.columns = ColumnSums(spec.columns)
    items = reader.choose(min(ITEMS, max(2, (1 << 26) // spec.size)), "items")
    found.items = items.numpy()
    if "factors" in reader.rows.beside:
        found.add("item_factors", reader.rows.beside["factors"][items])
    kept = torch.zeros(found.n, dtype=torch.bool)
    kept[items] = True
    start = 0
    for raw, batch in reader.pairs("first", batch_size):
        found.add("cells", reconstruction.cells(batch.x, batch.observed))
        if batch.label is not None:
            found.add("label", batch.label)
        if isinstance(model, Bounds):
            draws = [model.log_weights(batch, 1)[0].double() for _ in range(found.draws)]
            found.add("elbo", torch.stack(draws).mean(0))
            if simple.independent:
                found.add("independent_nats", simple.independent.log_prob(batch))
        if isinstance(model, Encodes):
            decoded = _encoded(model, transform, batch, found, simple, kept[start : start + len(batch)])
            if decoded is not None and spec.kind == "images" and transform.undoable:
                found.add("pixel_square", _pixel_square(raw["x"], decoded, transform, spec))
        start += len(batch)
    return found


def _encoded(
    model: Encodes, transform: Transform, batch: Batch, found: Found, simple: _Simple, kept: Tensor
) -> Tensor | None:
    """What codes give for one batch; the decoded means, where the model decodes."""
    code = model.encode(batch)
    mean = code.mean
    found.add("code", mean.reshape(len(batch), -1).float())
    if isinstance(model, Quantizes):
        numbers, found.codes = model.numbers(batch), model.codes
        found.add("numbers", numbers)
        found.add("rate", model.number_nats(numbers).float())
    elif isinstance(model, Bounds):
        found.add("rate", gaussian_rate(mean, code.stddev).reshape(len(batch), -1).float())
    here = kept.to(batch.x.device)
    if bool(kept.any()):
        found.add("item_x", batch.x[here].reshape(int(kept.sum()), -1).float())
        if simple.pca:
            found.add("item_pca", simple.pca.encode(batch.x[here]))
    if not isinstance(model, Decodes):
        return None
    decoded = model.decode(mean).mean
    guesses = {"": decoded}
    if simple.pca:
        guesses["pca_"] = simple.pca.reconstruct(batch.x)
    if simple.independent:
        guesses["mean_"] = simple.independent.guess.to(batch.x).expand_as(batch.x)
    _compared(batch, guesses, found, transform)
    return decoded


def _pixel_square(raw: Tensor, decoded: Tensor, transform: Transform, spec: Spec) -> Tensor:
    """(batch,): squared error against the pixels as read, put on [0, 1]: the same question for every scale."""
    ends = transform.undo(torch.tensor([spec.low, spec.high], device=decoded.device))
    width = (ends[1] - ends[0]).clamp_min(1e-12)
    return reconstruction.squared_error(raw.to(decoded.dtype) / width, transform.undo(decoded) / width)


def _compared(batch: Batch, guesses: dict[str, Tensor], found: Found, transform: Transform) -> None:
    """Errors of the model and of what stands beside it, on the same cells."""
    x, seen = batch.x, batch.observed
    found.note_range(guesses[""])
    if found.in_unit_range():
        found.add("floor", reconstruction.binary_entropy(x, seen))
    subtract = seen
    if found.columns is not None:  # names of categories cannot be subtracted
        numeric = numeric_columns(found.spec.columns).to(x.device).expand_as(x)
        subtract = numeric if seen is None else numeric & seen
        found.add("numeric_cells", reconstruction.cells(x, subtract))
    for name, guess in guesses.items():
        found.add(f"{name}square", reconstruction.squared_error(x, guess, subtract))
        if found.columns is not None:
            found.add(f"{name}absolute", reconstruction.absolute_error(x, guess, subtract))
        if found.in_unit_range() and name != "pca_":
            found.add(f"{name}bce", reconstruction.binary_cross_entropy(x, guess, seen))
    if found.columns is not None:
        units = {name.rstrip("_") or "model": transform.undo(guess) for name, guess in guesses.items()}
        found.columns.add(transform.undo(x), units, seen)


def _second_pass(model: Bounds, reader: Reader, found: Found, samples: int) -> None:
    """Importance-weighted bounds: K draws an example in chunks that fit, each k of the curve from the same pass."""
    found.samples = samples or SAMPLES
    at_once = max(1, FLOATS_AT_ONCE.get(reader.device.type, 1 << 20) // found.widest)
    few = max(50, min(EXAMPLES, WORK // (SAMPLES * found.widest)))
    which = reader.choose(len(reader.rows) if samples else few, "bounds")
    found.bound_items = which.numpy()
    # many draws of few examples: the encoder, run once a chunk, then costs little beside the decoder
    size = max(1, min(256, at_once // min(found.samples, 64)))
    for batch in reader.batches("bounds", size, which):
        bounds = importance_bounds(
            lambda k, batch=batch: model.log_weights(batch, k),  # type: ignore[misc]
            found.samples,
            chunk=max(1, at_once // len(batch)),
        )
        for k in sample_grid(found.samples):
            found.add(f"bound_{k}", bounds.by_samples[k])
            found.add(f"ess_{k}", bounds.ess_by_samples[k])
            found.add(f"error_{k}", bounds.error_by_samples[k])
        found.add("bound_elbo", bounds.elbo)


def _widest(model: Bounds, spec: Spec, reader: Reader) -> int:
    """Numbers in the widest layer's output for one draw of one example, seen once; never decided by a clock."""
    widest = spec.size * max(1, spec.levels)

    def look(module: nn.Module, args: Any, out: Any) -> None:
        nonlocal widest
        if isinstance(out, Tensor):
            widest = max(widest, out.numel() // 2)

    hooks = []
    if isinstance(model, nn.Module):
        hooks = [module.register_forward_hook(look) for module in model.modules()]
    try:
        model.log_weights(next(reader.batches("probe", 1)), 2)
    finally:
        for hook in hooks:
            hook.remove()
    return widest


def _codes(found: Found, reader: Reader, seed: int) -> dict[str, NDArray[Any]]:
    """Mean codes for the map: all, or a random 10,000."""
    if "code" not in found.values:
        return {}
    which = reader.choose(CODES, "codes").numpy()
    out: dict[str, NDArray[Any]] = {"z": found.array("code")[which], "index": np.asarray(reader.rows.index)[which]}
    if "label" in found.values:
        out["label"] = found.array("label")[which]
    return out
