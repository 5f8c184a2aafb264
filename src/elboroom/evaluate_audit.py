"""An audit of the likelihood on a few examples: what the bound of all examples should be held against.

Four estimates of log p(x) of the same examples, each a lower bound in expectation: the ELBO; the importance-weighted
bound; naive Monte Carlo, log mean p(x given z) over draws of the prior; annealed importance sampling, which uses no
encoder. How far the last can be off is seen on as many examples that the model itself made, where it has an upper
bound beside it. What the ELBO lacks is split into what a diagonal Gaussian cannot do and what the encoder does not.

All draws follow (seed, "evaluate", purpose, batch).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elboroom.core.abilities import Assumes, Bounds, Decodes, Encodes
from elboroom.core.batch import Batch
from elboroom.core.errors import Unable
from elboroom.core.model import Model
from elboroom.engine.runtime import mix, seed_draws
from elboroom.evaluate import Reader
from elboroom.evaluate_codes import STANDARD
from elboroom.evaluate_imputation import Filled
from elboroom.metrics.annealing import Annealing
from elboroom.metrics.interval import Interval, Measure, Reference, difference_interval, finite, mean_interval
from elboroom.metrics.likelihood import importance_bounds
from elboroom.metrics.local import best_gaussian, elbo

__all__ = ["evaluate_audit"]

CHAINS, PILOTS = 10, 4
"""Chains an example that are weighed, and before them those that learn the step sizes."""
TEMPERATURES, LEAPFROG = 500, 10
AT_ONCE, FLOATS = 100, 1 << 23
"""Examples in one batch: as many as keep a chain's x of all of them under so many numbers."""
ELBO_DRAWS = 500
DRAWN_AT_ONCE = 50
Array = NDArray[Any]


def evaluate_audit(
    model: Model, reader: Reader, part: str, *, examples: int, samples: int, seed: int, name: str
) -> Filled:
    """Measures and details["audit"] of at most `examples` rows of `part`; `samples`: K of the bounds beside.

    Raises Unable where the model has no density of x and z that could be annealed.
    """
    if not (isinstance(model, Bounds) and isinstance(model, Decodes) and isinstance(model, Assumes)):
        raise Unable(f"{name} has no p(x given z) with codes of a known density, so its likelihood cannot be audited")
    if model.law != STANDARD:
        raise Unable(f"{name}: the codes follow {model.law}; only the law {STANDARD} can be audited")
    which = reader.choose(examples, "audit")
    size = max(1, min(AT_ONCE, FLOATS // (CHAINS * model.spec.size * max(1, model.spec.levels))))
    real, made = _Collected(), _Collected()
    for number, batch in enumerate(reader.batches("audit", size, which)):
        _estimates(model, batch, samples, mix(seed, "evaluate", "audit noise", number), real)
        seed_draws(mix(seed, "evaluate", "audit made", number))
        _sandwich(model, len(batch), made)
    return _summary(real, made, samples, part, len(reader.rows), seed)


@dataclass
class _Collected:
    """Per-example numbers by name, batch after batch."""

    values: dict[str, list[Tensor]] = field(default_factory=dict)

    def add(self, **named: Tensor) -> None:
        for name, value in named.items():
            self.values.setdefault(name, []).append(value.detach().double().cpu())

    def __getitem__(self, name: str) -> Array:
        return torch.cat(self.values[name]).numpy()

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def error(self, name: str) -> float:
        """Monte Carlo standard error of the mean over examples, whose draws are their own."""
        each = self[name]
        return float(np.sqrt(np.square(each).sum()) / len(each))


def _given(model: Decodes, batch: Batch) -> Callable[[Tensor], Tensor]:
    """log p(x given z) of this batch for z (K, B, D)."""

    def log_p(z: Tensor) -> Tensor:
        return model.decode(z).log_prob(batch.x, batch.observed)

    return log_p


def _estimates(model: Decodes, batch: Batch, samples: int, noise: int, out: _Collected) -> None:
    """Every estimate of one batch; `noise` seeds what both ELBOs share."""
    assert isinstance(model, Bounds)
    log_p, n, width = _given(model, batch), len(batch), model.code_size
    device = batch.x.device

    def from_prior(k: int) -> Tensor:
        return log_p(torch.randn(k, n, width, device=device))

    for name, draw in (("bound", lambda k: model.log_weights(batch, k)), ("prior", from_prior)):
        found = importance_bounds(draw, samples, chunk=DRAWN_AT_ONCE)
        out.add(**{name: found.log_likelihood, f"{name}_ess": found.ess, f"{name}_error": found.error})
    annealing = Annealing(log_p, temperatures=TEMPERATURES, leapfrog=LEAPFROG)
    annealing.tune(torch.randn(PILOTS, n, width, device=device))
    chains = annealing.down(torch.randn(CHAINS, n, width, device=device))
    out.add(ais=chains.estimate, ais_error=chains.error, accepted=chains.accepted)
    if not isinstance(model, Encodes):
        return
    q = model.encode(batch)
    if not bool((q.stddev > 0).all()):
        return
    own = q.mean, q.stddev.log()
    for name, place in (("elbo", own), ("best", best_gaussian(log_p, *own))):
        seed_draws(noise)  # the same for both: only their difference counts
        out.add(**{name: elbo(log_p, *place, ELBO_DRAWS)})


def _sandwich(model: Decodes, count: int, out: _Collected) -> None:
    """Lower and upper bound for `count` examples that the model made: of these a posterior draw is known, their z."""
    assert isinstance(model, Assumes)
    z = model.prior(count)
    log_p = _given(model, Batch(model.decode(z).sample()))
    annealing = Annealing(log_p, temperatures=TEMPERATURES, leapfrog=LEAPFROG)
    annealing.tune(torch.randn(PILOTS, *z.shape, device=z.device))
    below = annealing.down(torch.randn(CHAINS, *z.shape, device=z.device))
    above = annealing.up(z.expand(CHAINS, *z.shape))
    out.add(below=below.estimate, above=-above.estimate)


def _summary(real: _Collected, made: _Collected, samples: int, part: str, whole: int, seed: int) -> Filled:
    n, out = len(real["ais"]), Filled()
    spread = seed & 0x7FFFFFFF

    def mean(name: str) -> Interval:
        return mean_interval(real[name], seed=spread)

    def put(key: str, found: Interval, how: str, beside: list[Reference] | None = None) -> None:
        out.measures[key] = Measure.of(
            found, unit="nats per example", n=n, split=part, how=how, references=tuple(beside or ())
        )

    which = "all examples" if n == whole else f"{n:,} of {whole:,} examples at random"
    told = {"ais": f"annealed importance sampling, {TEMPERATURES} temperatures, {CHAINS} chains"}
    told |= {"bound": f"importance-weighted, K = {samples:,}", "prior": f"draws of the prior, K = {samples:,}"}
    told |= {"elbo": "ELBO"} if "elbo" in real else {}
    beside = [Reference.of(told[name], mean(name), "the same examples") for name in told if name != "ais"]
    how = f"{told['ais']}, Monte Carlo error {real.error('ais_error'):.2g} nats, {which}"
    put("ais_log_likelihood_nats", mean("ais"), how, beside)
    gap = difference_interval(made["above"], made["below"], seed=spread)
    put("ais_gap_nats", gap, f"upper less lower bound of {n:,} examples that the model made: AIS is as far off at most")
    details: dict[str, Any] = {"samples": samples, "temperatures": TEMPERATURES, "chains": CHAINS, "n": n}
    if "best" in real:
        tightest = "ais" if real["ais"].mean() >= real["bound"].mean() else "bound"
        split = {"approximation": (tightest, "best"), "amortization": ("best", "elbo")}
        ideal = "the ELBO of the best diagonal Gaussian of each example"
        words = {"approximation": f"{told[tightest]}, less {ideal}", "amortization": f"{ideal}, less the encoder's"}
        for name, (above, below) in split.items():
            found = difference_interval(real[above], real[below], seed=spread)
            put(f"{name}_gap_nats", found, f"{words[name]}, {which}")
    details["estimates"] = [_row(real, name, told[name], mean(name)) for name in told]
    details["accepted"] = finite(float(real["accepted"].mean()))
    out.details["audit"] = details
    return out


def _row(real: _Collected, name: str, told: str, found: Interval) -> dict[str, Any]:
    """One estimate for details.json."""
    row: dict[str, Any] = {"name": name, "told": told}
    row |= {end: finite(getattr(found, end)) for end in ("value", "low", "high")}
    if f"{name}_error" in real:
        row["error"] = finite(real.error(f"{name}_error"))
    if f"{name}_ess" in real:
        each = real[f"{name}_ess"]
        row["ess"] = {"median": finite(float(np.median(each))), "lowest": finite(float(each.min()))}
    return row
