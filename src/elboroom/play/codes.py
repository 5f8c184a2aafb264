"""Play with codes: a map of all items, one of them with its neighbours, and drawings that the model has never seen.

The map shows the codes themselves where they are as wide as it is, else their principal axes. Positions come piece by
piece in random order, so that the first pieces are a fair part of the whole; a trustworthiness of the axes (Venna &
Kaski 2001) says how far neighbours on the map are neighbours in the code.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import numpy as np
import torch
from annotated_types import Ge, Le, Len, MaxLen
from numpy.typing import NDArray
from torch import Tensor

from elboroom.core.abilities import Decodes, Encodes
from elboroom.core.batch import Batch
from elboroom.core.errors import InputError, Unable, nearest
from elboroom.core.spec import Spec
from elboroom.engine.runtime import mix, seed_draws
from elboroom.metrics.interval import mean_interval
from elboroom.metrics.latent import trust
from elboroom.run import require
from elboroom.web.answers import Form

from .answers import Handler, Json, Player, checked, packed
from .items import Items, pictures, squared_error
from .pens import fitted

__all__ = ["ASKS"]

FINE = 2**16 - 1
TRUSTED, NEIGHBOURS = 1000, 12
"""Items and neighbours of a trustworthiness."""
FITTED = 2048
"""Items that principal axes are of: the first piece, so that they are the same each time."""
NAMES = 300
"""Columns that a page can choose from; others are asked for by name."""
CELLS = 60
"""Cells of a row that are shown."""
Floats = NDArray[np.float32]
Item = Annotated[int, Ge(0), Le(2**53)]


class Nothing(Form):
    """An empty object."""


class Map(Form):
    """A map."""

    dimensions: Literal[2, 3] = 2
    """2 or 3"""


class Colour(Form):
    """What the points of the map are coloured by."""

    by: Annotated[str, Len(1, 200)]
    """error, rate, code K (K from 1), or the name of a column"""


class One(Form):
    """One item."""

    item: Item
    """its number, from 0"""
    neighbours: Annotated[int, Ge(1), Le(64)] = 8
    """how many nearest items to tell of"""


class Look(Form):
    """Items as pictures."""

    items: Annotated[list[Item], Len(1, 400)]
    """their numbers"""


class Drawing(Form):
    """A picture of the data's size."""

    pixels: Annotated[str, MaxLen(1 << 22)]
    """its bytes in base64, row after row, one a grey pixel or three a coloured one; 0 is black"""
    neighbours: Annotated[int, Ge(1), Le(64)] = 8
    """how many nearest items to tell of"""


class Given(Form):
    """A picture of another size."""

    pixels: Annotated[str, MaxLen(1 << 20)]
    """its bytes in base64, row after row, three a pixel"""
    height: Annotated[int, Ge(1), Le(512)]
    """in pixels"""
    width: Annotated[int, Ge(1), Le(512)]
    """in pixels"""


# -- the map -----------------------------------------------------------------------------------------------------------


def whole_map(player: Player, given: Json) -> Iterator[Json]:
    """First what the map is, then points piece by piece, then how far it can be trusted."""
    form = checked(Map, given)
    return _parts(player, Items.begun(player), form.dimensions)


def _parts(player: Player, items: Items, dimensions: int) -> Iterator[Json]:
    spec = player.run.spec
    axes = _Axes(items, min(dimensions, items.width))
    yield {
        "start": {
            "n": items.n,
            "of": items.of,
            "width": items.width,
            "dimensions": axes.dimensions,
            "method": axes.method,
            "explained": axes.explained,
            "fitted": axes.fitted,
            "parts": items.parts,
            "classes": _classes(items, spec),
            "kind": spec.kind,
            "shape": list(spec.shape),
            "colours": _colours(items, spec),
        }
    }
    done = 0
    while True:
        if items.read > done:
            yield {"points": _points(items, axes, done, items.read)}
            done = items.read
        if not items.piece():
            break
    yield {"end": axes.trusted(items)}
    _warmed(items)  # while the map is looked at


def _warmed(items: Items) -> None:
    """What the first item or drawing needs, kept."""
    items.spacing()
    if isinstance(items.run.model, Decodes):
        items.place(0.0)


class _Axes:
    """From codes to positions."""

    def __init__(self, items: Items, dimensions: int) -> None:
        self.dimensions = max(2, dimensions)
        self.method = "codes" if items.width <= self.dimensions else "pca"
        self.explained: list[float] = []
        self.fitted = 0
        self.centre, self.axes = np.zeros(items.width), np.eye(items.width)
        if self.method == "pca":
            held = items.z[:FITTED].astype(np.float64)[: items.read]
            self.fitted, self.centre = len(held), held.mean(0)
            self.axes, self.explained = _principal(held - self.centre, self.dimensions)

    def of(self, z: Floats, number: NDArray[Any]) -> NDArray[np.float64]:
        """(m, d) to (m, dimensions); a code of one number stands at a height that means nothing."""
        found: NDArray[np.float64] = (z - self.centre) @ self.axes
        if found.shape[1] < self.dimensions:
            beside = (number.astype(np.uint64) * np.uint64(2654435761) % np.uint64(2**32)).astype(np.float64) / 2**32
            found = np.column_stack([found, beside])
        return found

    def trusted(self, items: Items) -> Json:
        """{"trust": {"value", "low", "high", "n", "neighbours"}}; empty where the map is the codes themselves."""
        n = min(TRUSTED, items.n)
        if self.method == "codes" or n <= 2 * NEIGHBOURS:
            return {}
        z = items.z[:n]
        found = mean_interval(trust(z, self.of(z, items.number[:n]), neighbours=NEIGHBOURS)).within(0, 1)
        told = {"value": found.value, "low": found.low, "high": found.high}
        return {"trust": {**told, "n": n, "neighbours": NEIGHBOURS}}


def _principal(x: NDArray[np.float64], k: int) -> tuple[NDArray[np.float64], list[float]]:
    """The k directions (d, k) of largest variance of centred rows (n, d), and their shares of it.

    Of the two matrices of products the smaller is taken apart. Of each direction the largest number is positive.
    """
    from scipy.linalg import eigh

    wide = x.shape[1] > len(x)
    products = x @ x.T if wide else x.T @ x
    last = len(products) - 1
    values, found = eigh(products, subset_by_index=[max(0, last - k + 1), last])
    axes = (x.T @ found if wide else found)[:, ::-1]
    axes = axes / np.maximum(np.linalg.norm(axes, axis=0), 1e-300)
    axes = axes * np.where(axes[np.abs(axes).argmax(0), np.arange(axes.shape[1])] < 0, -1.0, 1.0)
    whole = max(float(np.trace(products)), 1e-300)
    return np.pad(axes, ((0, 0), (0, k - axes.shape[1]))), [float(max(v, 0.0) / whole) for v in values[::-1]]


def _points(items: Items, axes: _Axes, start: int, stop: int) -> Json:
    """A piece: positions as 16-bit numbers between "low" and "high" of each axis."""
    number = items.number[start:stop]
    at = axes.of(items.z[start:stop], number)
    low, high = at.min(0), at.max(0)
    room = np.where(high > low, high - low, 1.0)
    found: Json = {
        "low": low.tolist(),
        "high": (low + room).tolist(),
        "positions": packed(np.rint((at - low) / room * FINE).astype(np.uint16)),
        "part": packed(items.part[start:stop]),
        "item": packed(number.astype(np.uint32)),
    }
    if items.label is not None:
        found["label"] = packed(_small(items.label[start:stop]))
    return found


def _small(label: NDArray[Any]) -> NDArray[np.uint8]:
    """Labels as bytes; 255 stands for none, and for the 255th class and those after it."""
    return np.where((label < 0) | (label > 254), 255, label).astype(np.uint8)


def _classes(items: Items, spec: Spec) -> list[str]:
    if items.label is None or not len(items.label):
        return []
    return list(spec.classes) or [str(i) for i in range(int(items.label.max()) + 1)]


def _colours(items: Items, spec: Spec) -> list[str]:
    """What points can be coloured by."""
    own = ["label"] if items.label is not None else []
    error = ["error"] if isinstance(items.run.model, Decodes) else []
    rate = ["rate"] if items.rates() is not None else []
    codes = [f"code {i + 1}" for i in range(min(items.width, 64))]
    return [*own, "split", *error, *rate, *(c.name for c in spec.columns[:NAMES]), *codes]


def colour(player: Player, given: Json) -> Json:
    """Of each item in the map's order a byte, 0 at "low" to 255 at "high": of numbers the 1st and 99th percent.

    Of a column of categories the byte is the category, named in "names"; 255 stands for what is missing.
    """
    form, items, spec = checked(Colour, given), Items.whole(player), player.run.spec
    if form.by == "error":
        return {"unit": "squared error a value", **_levels(items.all_errors())}
    if form.by == "rate":
        rates = items.rates()
        if rates is None:
            raise Unable(f"{player.run.name} puts no bound on its codes, so they have no rate")
        return {"unit": "nats", **_levels(rates)}
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


# -- one item ----------------------------------------------------------------------------------------------------------


def item(player: Player, given: Json) -> Json:
    """An item beside what its code decodes to, its code, its error and rate, and its neighbours."""
    form, items = checked(One, given), Items.whole(player)
    at = items.at(form.item)
    _, batch = next(items.batches(np.array([at]), "look"))
    found = {**items.told(at), **_decoded(player, items, batch, items.z[at])}
    rates = items.rates()
    found["rate"] = None if rates is None else float(rates[at])
    found["sd"] = packed(items.sd[at])
    return {**found, **_neighbours(items, items.z[at], form.neighbours, but=at)}


def look(player: Player, given: Json) -> Json:
    """Items as pictures."""
    form, items = checked(Look, given), Items.of_player(player)
    if player.run.spec.kind != "images":
        raise Unable(f"items of a {player.run.spec.kind} are no pictures")
    asked = list(dict.fromkeys(form.items))
    return {"pictures": items.look(np.array([items.at(one) for one in asked])), "items": asked}


def ready(player: Player, given: Json) -> Json:
    """Every code is read: how many items there are, and their classes."""
    checked(Nothing, given)
    items = Items.whole(player)
    _warmed(items)
    return {"n": items.n, "of": items.of, "classes": _classes(items, player.run.spec), "width": items.width}


@torch.no_grad()
def _decoded(player: Player, items: Items, batch: Batch, code: Floats) -> Json:
    """x, what the code decodes to, and how far the two are apart."""
    run = player.run
    found: Json = {"code": packed(code), "x": _shown(batch.x, batch, items)}
    if isinstance(run.model, Decodes):
        made = run.model.decode(torch.from_numpy(code[None]).to(items.device)).mean
        error = float(squared_error(batch, made)[0])
        found |= {"decoded": _shown(made, None, items), "error": error, "place": items.place(error)}
    return found


def _shown(x: Tensor, batch: Batch | None, items: Items) -> Json:
    """One example: a picture, or the first cells of a row in the user's units."""
    spec = items.run.spec
    if spec.kind == "images":
        return packed(pictures(x, items.run)[0])
    values = items.run.transform.undo(x)[0].double().cpu().numpy()
    seen = np.ones(len(values), bool) if batch is None or batch.observed is None else batch.observed[0].cpu().numpy()
    cells = []
    for column, value, there in list(zip(spec.columns, values, seen, strict=True))[:CELLS]:
        name = (
            column.categories[round(value)] if column.categories and 0 <= round(value) < len(column.categories) else ""
        )
        cells.append({"name": column.name, "value": float(value) if there else None, "category": name})
    return {"cells": cells, "of": len(values)}


def _neighbours(items: Items, code: Floats, k: int, but: int = -1) -> Json:
    near = items.nearest(code, k, but)
    listed = [{**items.told(int(a)), "distance": float(d)} for a, d in zip(near.at, near.distance, strict=True)]
    return {"near": listed, "pictures": items.look(near.at), "spacing": items.spacing()}


# -- drawings ----------------------------------------------------------------------------------------------------------


@torch.no_grad()
def drawn(player: Player, given: Json) -> Json:
    """A drawing as an item: what its code decodes to, its error among those of held-out items, its neighbours."""
    form, run = checked(Drawing, given), player.run
    require(run.model, Encodes, "encode", run.name)
    require(run.model, Decodes, "decode", run.name)
    if run.spec.kind != "images":
        raise Unable(f"this run is of a {run.spec.kind}; pictures can be drawn for a run of images")
    channels, height, width = run.spec.shape
    items = Items.whole(player)
    pixels = _bytes(form.pixels, (height, width, channels))
    seed_draws(mix(run.meta["runtime"]["seed"], "play", "drawn"))
    white = float(run.transform.to_json()["white"])
    raw = torch.from_numpy(np.moveaxis(pixels, -1, 0)[None].astype(np.float32) * np.float32(white / 255))
    batch = run.transform({"x": raw.to(items.device)})
    assert isinstance(run.model, Encodes)
    q = run.model.encode(batch)
    code, sd = (x.float().flatten(1)[0].cpu().numpy() for x in (q.mean, q.stddev))
    found = {**_decoded(player, items, batch, code), "sd": packed(sd)}
    return {**found, "classes": _classes(items, run.spec), **_neighbours(items, code, form.neighbours)}


def as_data(player: Player, given: Json) -> Json:
    """A picture scaled and centred as the data are: its pixels, and what was done."""
    form, run = checked(Given, given), player.run
    if run.spec.kind != "images":
        raise Unable(f"this run is of a {run.spec.kind}; pictures are for a run of images")
    pixels = _bytes(form.pixels, (form.height, form.width, 3))
    items = Items.begun(player)
    some = np.arange(min(500, items.read))
    known = np.concatenate([pictures(batch.x, run) for _, batch in items.batches(some, "look")])
    made, said = fitted(pixels, known)
    return {"pixels": packed(made), "said": said}


def _bytes(text: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    try:
        content = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise InputError("pixels: is not base64") from None
    if len(content) != np.prod(shape):
        wanted = " x ".join(map(str, shape))
        raise InputError(f"pixels: {len(content):,} bytes came; {wanted} (height, width, channels) are needed")
    return np.frombuffer(content, dtype=np.uint8).reshape(shape)


ASKS: dict[str, Handler] = {
    "codes/ready": ready,
    "codes/map": whole_map,
    "codes/colour": colour,
    "codes/item": item,
    "codes/look": look,
    "codes/drawn": drawn,
    "codes/fitted": as_data,
}
