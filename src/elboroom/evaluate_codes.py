"""Codes of held-out examples beside the law they shall follow: numbers, and the draws that a picture is made of.

A model that assumes a law is measured against it; one that does not, against N(0, I): nothing asked for that, and how
far off its codes are says why draws of N(0, I) do not decode to examples. One draw of q(z given x) for each example.
All draws follow (seed, "evaluate", "matching").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elboroom.core.abilities import Assumes, Encodes, Quantizes
from elboroom.core.model import Model
from elboroom.engine.runtime import mix, seed_draws
from elboroom.metrics.matching import matching, noise_shares

if TYPE_CHECKING:
    from elboroom.evaluate import Reader

__all__ = ["STANDARD", "evaluate_codes"]

STANDARD = "N(0, I)"
MOST, FEWEST = 1000, 50
"""Examples: pairs of all draws are compared."""


def evaluate_codes(model: Model, reader: Reader, seed: int) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """details["matching"] and, of codes of two numbers, draws of both laws; empty where there is nothing to compare.

    Whole numbers have a law of their own kind, which `prior_bits_per_code` measures.
    """
    if not isinstance(model, Encodes) or isinstance(model, Quantizes) or len(reader.rows) < FEWEST:
        return {}, {}
    drawn, mean, sd = list[Tensor](), list[Tensor](), list[Tensor]()
    for batch in reader.batches("matching", 500, reader.choose(MOST, "matching")):
        code = model.encode(batch)
        for kept, values in ((drawn, code.rsample()), (mean, code.mean), (sd, code.stddev)):
            kept.append(values.reshape(len(batch), -1).double().cpu())
    z = torch.cat(drawn)
    seed_draws(mix(seed, "evaluate", "matching", "prior"))
    own = isinstance(model, Assumes)
    law = model.prior(len(z)).double().cpu() if isinstance(model, Assumes) else torch.randn_like(z)
    if law.shape != z.shape or not bool(torch.isfinite(z).all()):
        return {}, {}
    found = matching(z.numpy(), law.numpy(), seed=mix(seed, "evaluate", "matching", "exchanges"))
    details: dict[str, Any] = {"law": model.law if isinstance(model, Assumes) else STANDARD, "asked": own}
    details |= found.to_json()
    spread = torch.cat(sd)
    if bool((spread > 0).any()):
        centre = torch.cat(mean)
        within, whole = spread.square().mean(0).sum(), spread.square().mean(0).sum() + centre.var(0, correction=0).sum()
        shares = noise_shares(centre.numpy(), spread.numpy())
        details["noise"] = {"share": float(within / whole), "axes": [float(share) for share in shares]}
    pictured = {"drawn": z.float().numpy(), "prior": law.float().numpy()} if z.shape[1] == 2 else {}
    return details, {name: np.ascontiguousarray(points) for name, points in pictured.items()}
