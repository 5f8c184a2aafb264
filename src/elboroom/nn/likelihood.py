"""Which likelihood fits which data: names to heads, and what `auto` takes.

A likelihood that cannot hold of the data (Bernoulli of values outside [0, 1]) is refused with what to do instead.
"""

from __future__ import annotations

from elboroom.core.errors import InputError, nearest
from elboroom.core.spec import Spec

from .counts import NegativeBinomialHead, PoissonHead
from .head import Head
from .mixed import MixedHead
from .pixels import BernoulliHead, CategoricalHead, GaussianHead, LogisticHead

__all__ = ["HEADS", "automatic", "head_for"]

HEADS: dict[str, type[Head]] = {
    "bernoulli": BernoulliHead,
    "categorical": CategoricalHead,
    "logistic": LogisticHead,
    "gaussian": GaussianHead,
    "poisson": PoissonHead,
    "negative_binomial": NegativeBinomialHead,
    "mixed": MixedHead,
}


def automatic(spec: Spec) -> str:
    """The likelihood that `auto` stands for: by grey levels, by the kinds of columns, by the range of x."""
    if spec.levels:
        return "categorical" if spec.levels > 2 else "bernoulli"
    if spec.columns:
        kinds = {c.kind for c in spec.columns}
        alone = {"real": "gaussian", "count": "negative_binomial", "binary": "bernoulli"}
        return alone.get(kinds.pop(), "mixed") if len(kinds) == 1 else "mixed"
    return "bernoulli" if spec.low >= 0 and spec.high <= 1 else "gaussian"


def head_for(likelihood: str, spec: Spec) -> Head:
    """The head of that name for these data; "auto" decides by the Spec."""
    name = automatic(spec) if likelihood == "auto" else likelihood
    if name not in HEADS:
        raise InputError(f"there is no likelihood {name!r}{nearest(name, HEADS)}; likelihoods: {', '.join(HEADS)}")
    why = _misfit(name, spec)
    if why:
        raise InputError(f"likelihood {name} does not fit these data: {why}; auto takes {automatic(spec)}")
    return HEADS[name](spec)


def _misfit(name: str, spec: Spec) -> str:
    """Why a likelihood cannot hold of such data, or ""."""
    kinds = {c.kind for c in spec.columns}
    if name in ("categorical", "logistic"):
        return "" if spec.levels else f"x is not a grey level (scale {spec.scale}); read images with --scale levels:16"
    if name in ("poisson", "negative_binomial"):
        return "" if kinds == {"count"} else "x is not made of counts; read a table of counts with --scale counts"
    if name == "mixed":
        return "" if spec.columns else "it is for the columns of a table"
    if name == "gaussian":
        return "it takes no categories" if "categorical" in kinds else ""
    if spec.columns:
        return "" if kinds == {"binary"} else "not every column is binary"
    in_range = spec.low >= 0 and spec.high <= 1
    return "" if in_range else f"x is not within [0, 1] (scale {spec.scale}); read images with --scale unit"
