"""Pictures of a code space: what draws of N(0, I) decode to, and what lies between two examples."""

from __future__ import annotations

import torch
from torch import Tensor

from elboroom.core.abilities import Decodes, Encodes, Quantizes
from elboroom.core.model import Model
from elboroom.core.spec import Spec
from elboroom.data.rows import Rows
from elboroom.data.transforms import Transform
from elboroom.engine.runtime import mix, seed_draws, seeded
from elboroom.sample_sheets import device_of, sheet
from elboroom.sheets import Sheet, first_of_each

__all__ = ["code_sheets"]

ACROSS, DRAWS, STEPS = 8, 64, 10


def code_sheets(
    model: Model, transform: Transform, spec: Spec, rows: Rows, *, seed: int, split: str
) -> dict[str, Sheet]:
    """By file name under media/; none where the model or the data give no pictures."""
    if spec.kind != "images" or not isinstance(model, Encodes) or not isinstance(model, Decodes) or len(rows) < 2:
        return {}
    with torch.no_grad(), seeded(seed):
        ends, chosen = _ends(model, transform, rows, seed)
        found = {"walks.png": _walks(model, ends, spec, f"{split}, {chosen}")}
        if not isinstance(model, Quantizes):  # whole numbers have no N(0, I)
            seed_draws(mix(seed, "normal"))
            p = model.decode(torch.randn(DRAWS, ends[0].numel(), device=ends.device))
            caption = f"Decoded means of the first {DRAWS} draws of N(0, I), seed {seed}, the same for every model"
            found["normal.png"] = sheet(p.mean, spec, ACROSS, caption)
    return found


def _ends(model: Encodes, transform: Transform, rows: Rows, seed: int) -> tuple[Tensor, str]:
    """Mean codes (n, width) of an even number of examples, and how these were chosen."""
    which, chosen = first_of_each(rows)
    which = which[: len(which) // 2 * 2]
    seed_draws(mix(seed, "walks"))
    raw = rows.take(which.to(rows.device))
    batch = transform({key: value.to(device_of(model)) for key, value in raw.items()})
    return model.encode(batch).mean.flatten(1), chosen


def _walks(model: Decodes, ends: Tensor, spec: Spec, chosen: str) -> Sheet:
    share = torch.linspace(0, 1, STEPS, device=ends.device)[:, None]
    lines = [torch.lerp(a, b, share.to(a.dtype)) for a, b in ends.reshape(-1, 2, ends.shape[1])]
    x = model.decode(torch.cat(lines)).mean
    return sheet(x, spec, STEPS, f"Each row: decoded means on the straight line between the codes of two ({chosen})")
