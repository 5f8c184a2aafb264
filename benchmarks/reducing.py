"""What A2 and A3 share: Grimm's tales as labelled paragraphs, and examples in the space where errors are stated."""

from __future__ import annotations

import json
import math
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import elboroom as elbo
from elboroom.data.documents import paragraphs, words

__all__ = ["Array", "Held", "by_paragraph", "made_tales", "rows_of", "stated", "tales", "told"]

Array = np.ndarray[Any, Any]
FEWEST_WORDS = 20
MOST_COUNT = 30
"""From here on a count's logarithm is that of the mean, or of this."""
TITLE = re.compile(r"[A-Z][A-Z ,'’\-]+")
FIRST, LAST = "THE GOLDEN BIRD", "*****"


@dataclass
class Held:
    """Rows of one part: x as errors are stated, the code, its reconstruction, the label."""

    x: Array
    z: Array
    made: Array
    label: Array


def tales(text: str) -> list[dict[str, str]]:
    """Paragraphs of 20 words or more with the title of the tale they stand in."""
    body = text[text.index(FIRST, text.index("THE BROTHERS GRIMM FAIRY TALES")) :].split(LAST)[0]
    out, title = list[dict[str, str]](), ""
    for part in paragraphs(body):
        if TITLE.fullmatch(part.strip()):
            title = part.strip().title()
        elif title and len(words(part)) >= FEWEST_WORDS:
            out.append({"text": part, "tale": title})
    return out


def made_tales() -> list[dict[str, str]]:
    """As many short documents of two kinds as a shortened run needs."""
    rng = np.random.default_rng(0)
    kinds = {"sea": "ship sea gull rope tide sail", "wood": "tree wolf moss path deer fern"}
    return [{"text": " ".join(rng.choice(kinds[tale].split(), 25)), "tale": tale} for tale in kinds for _ in range(60)]


def by_paragraph(folder: Path, *, short: bool) -> Path | None:
    """A .jsonl of the tales in `folder`; None where $ELBOROOM_DATA does not hold them."""
    source = Path(os.environ.get("ELBOROOM_DATA", "")) / "text" / "grimm.txt"
    if not short and not source.is_file():
        return None
    found = made_tales() if short else tales(source.read_text(encoding="utf-8-sig"))
    path = folder / "tales.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in found), encoding="utf-8")
    return path


def stated(opened: elbo.Run, x: torch.Tensor) -> Array:
    """(n, values): x as errors are stated; counts as log(1 + x), where a common word weighs no more than it should."""
    flat = x.flatten(1).double()
    found: Array = (flat.clamp_min(0).log1p() if opened.spec.scale == "counts" else flat).numpy()
    return found


def told(opened: elbo.Run, outcome: Any) -> Array:
    """(n, values): what the law p(x given z) expects of x as errors are stated; of counts E[log(1 + x)], term by term.

    log(1 + E[x]) would lie above it, and lose to a code that was fitted to the logarithms themselves.
    """
    if opened.spec.scale != "counts":
        return stated(opened, outcome.mean)
    mean = outcome.mean.flatten(1).double()
    total, left = torch.zeros_like(mean), torch.ones_like(mean)
    for count in range(MOST_COUNT):
        share = (-outcome.surprisal(torch.full_like(outcome.mean, count).flatten(1))).double().exp()
        total, left = total + share * math.log1p(count), left - share
    found: Array = (total + left.clamp_min(0) * mean.clamp_min(MOST_COUNT).log1p()).numpy()
    return found


def rows_of(opened: elbo.Run, part: str, most: int) -> Held:
    """At most `most` rows of a part of the run's own data, the same ones for every run on these data."""
    rows = opened.dataset().parts[part]
    which = np.sort(np.random.default_rng(0).permutation(len(rows))[:most])
    held: dict[str, list[Array]] = {"x": [], "z": [], "made": [], "label": []}
    with torch.no_grad():
        for chunk in torch.from_numpy(which).split(500):
            batch = opened.transform(rows.take(chunk))
            z = opened.model.encode(batch).mean
            held["x"].append(stated(opened, batch.x))
            held["z"].append(z.double().numpy())
            held["made"].append(told(opened, opened.model.decode(z)))
            held["label"].append(batch.label.numpy())
    return Held(**{name: np.concatenate(parts) for name, parts in held.items()})
