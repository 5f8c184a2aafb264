"""What the points of the map are coloured by: errors, rates, numbers of the code, columns of a table, clusters.

Clusters are those of k-means (Lloyd 1982; k-means++ starts) in the whole code, fitted on random items, the largest
first. They cut the codes into parts; whether there are groups they do not say.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Le, Len, MaxLen
from numpy.typing import NDArray

from elboroom.core.abilities import Decodes
from elboroom.core.errors import InputError, Unable, nearest
from elboroom.core.spec import Spec
from elboroom.engine.runtime import mix
from elboroom.web.answers import Form

from .answers import Json, Player, checked, packed
from .items import Items

__all__ = ["colour", "colours", "columns", "names_of_classes"]

NAMES = 300
"""Columns that a page can choose from; others are asked for by name."""
LISTED = 50
"""Names of columns that one ask tells."""
CLUSTERED, NUMBERS = 20_000, 1 << 22
"""Items, and numbers of their codes, that k-means is fitted on at most."""
STARTS = 4
FEW = 20
"""Names that a column of categories may have for a map to open with its colours."""


class Colour(Form):
    """What the points of the map are coloured by."""

    by: Annotated[str, Len(1, 200)]
    """error, rate, cluster, code K (K from 1), or the name of a column"""
    clusters: Annotated[int, Ge(2), Le(100)] = 10
    """of k-means, 2 to 100"""


class Like(Form):
    """Names of columns."""

    like: Annotated[str, MaxLen(200)] = ""
    """what is in them"""


def names_of_classes(items: Items, spec: Spec) -> list[str]:
    """Names of the labels; empty where there are none."""
    if items.label is None or not len(items.label):
        return []
    return list(spec.classes) or [str(i) for i in range(int(items.label.max()) + 1)]


def colours(items: Items, spec: Spec) -> Json:
    """{"colours": what points can be coloured by, "columns": how many there are where not all of them are named}.

    The first is what a map opens with: the label, or else a column of a few categories.
    """
    few = [c.name for c in spec.columns if c.kind == "categorical" and 2 <= len(c.categories) <= FEW]
    own = ["label"] if items.label is not None else few[:1]
    error = ["error"] if isinstance(items.run.model, Decodes) else []
    rate = ["rate"] if items.rates() is not None else []
    codes = [f"code {i + 1}" for i in range(min(items.width, 64))]
    named = [c.name for c in spec.columns[:NAMES] if c.name not in own]
    more = len(spec.columns) if len(spec.columns) > NAMES else 0
    return {"colours": [*own, "split", *error, *rate, "cluster", *named, *codes], "columns": more}


def columns(player: Player, given: Json) -> Json:
    """Names of columns in which a text stands, the first of them."""
    form = checked(Like, given)
    like = form.like.casefold()
    found = [c.name for c in player.run.spec.columns if like in c.name.casefold()]
    return {"names": found[:LISTED], "n": len(found)}


def colour(player: Player, given: Json) -> Json:
    """Of each item in the map's order a byte, 0 at "low" to 255 at "high": of numbers the 1st and 99th percent.

    Of clusters and of a column of categories the byte is one of "names"; 255 stands for what is missing.
    """
    form, items, spec = checked(Colour, given), Items.whole(player), player.run.spec
    if form.by == "error":
        return {"unit": "squared error a value", **_levels(items.all_errors())}
    if form.by == "rate":
        rates = items.rates()
        if rates is None:
            raise Unable(f"{player.run.name} puts no bound on its codes, so they have no rate")
        return {"unit": "nats", **_levels(rates)}
    if form.by == "cluster":
        return _clusters(player, items, form.clusters)
    names = [column.name for column in spec.columns]
    if form.by in names:
        return _column(items, names.index(form.by))
    place = form.by.removeprefix("code ")
    if form.by.startswith("code ") and place.isdecimal() and 1 <= int(place) <= items.width:
        return {"unit": f"dimension {place} of the code", **_levels(items.z[:, int(place) - 1])}
    raise InputError(f"by: there is no column {form.by!r}{nearest(form.by, names)}")


def _levels(values: NDArray[Any]) -> Json:
    seen = values[np.isfinite(values)]
    low, high = (float(v) for v in np.quantile(seen, [0.01, 0.99])) if len(seen) else (0.0, 1.0)
    high = high if high > low else low + 1.0
    scaled = np.rint((np.nan_to_num(values, nan=low) - low) / (high - low) * 255).clip(0, 255).astype(np.uint8)
    return {"values": packed(scaled), "low": low, "high": high}


def _clusters(player: Player, items: Items, k: int) -> Json:
    if k > items.n:
        raise InputError(f"clusters: there are {items.n} items")
    key = f"codes/clusters/{k}"
    if key not in player.held:
        from sklearn.cluster import KMeans

        n = min(items.n, CLUSTERED, max(k, NUMBERS // items.width))
        seed = mix(player.run.meta["runtime"]["seed"], "play", "clusters") % 2**31
        found = KMeans(k, n_init=STARTS, random_state=seed).fit(items.z[:n]).predict(items.z)
        rank = np.argsort(np.argsort(-np.bincount(found, minlength=k), kind="stable"))
        player.held[key] = {"values": packed(rank[found].astype(np.uint8)), "fitted": n}
    return {**player.held[key], "names": [f"cluster {i + 1}" for i in range(k)]}


def _column(items: Items, place: int) -> Json:
    """A column of the table, in the user's units."""
    column, found = items.run.spec.columns[place], np.full(items.n, np.nan)
    for here, batch in items.batches(np.arange(items.n), "column"):
        values = items.run.transform.undo(batch.x)[:, place].double().cpu().numpy()
        if batch.observed is not None:
            values = np.where(batch.observed[:, place].cpu().numpy(), values, np.nan)
        found[here] = values
    if column.kind == "categorical":
        kept = np.where(np.isfinite(found), found, 255).clip(0, 255).astype(np.uint8)
        return {"values": packed(kept), "names": list(column.categories)}
    return {"unit": column.name, **_levels(found)}
