"""Play with codes: a map of all items, one of them with its neighbours, and drawings that the model has never seen.

Positions come piece by piece in random order, so that the first pieces are a fair part of the whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np
import torch
from annotated_types import Ge, Le, Len, MaxLen
from numpy.typing import NDArray
from torch import Tensor

from elboroom.core.abilities import Decodes, Encodes
from elboroom.core.batch import Batch
from elboroom.core.errors import Unable
from elboroom.run import require
from elboroom.web.answers import Form

from .answers import Handler, Json, Player, checked, packed
from .colours import colour, colours, columns, names_of_classes
from .items import Items, pictures, squared_error
from .pens import fitted
from .positions import Method, Positions, embedded
from .sketch import Pixels, ground, known, of_images, pixels_of, sketched

__all__ = ["ASKS"]

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
    position: Method = "auto"
    """auto, codes, pca or tsne; auto is the codes where they are as wide as the map, else pca"""


class Embed(Form):
    """A t-SNE of the codes."""

    dimensions: Literal[2, 3] = 2
    """2 or 3"""
    stop: bool = False
    """whether it shall end"""


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

    pixels: Pixels
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
    return _parts(player, Items.begun(player), form)


def _parts(player: Player, items: Items, form: Map) -> Iterator[Json]:
    spec = player.run.spec
    positions = Positions(player, items, form.dimensions, form.position)
    yield {
        "start": {
            "n": items.n,
            "of": items.of,
            "width": items.width,
            "parts": items.parts,
            "classes": names_of_classes(items, spec),
            "kind": spec.kind,
            "shape": list(spec.shape),
            **positions.told(),
            **colours(items, spec),
        }
    }
    done = 0
    while True:
        if items.read > done:
            yield {"points": positions.piece(done, items.read)}
            done = items.read
        if not items.piece():
            break
    yield {"end": positions.trusted()}
    _warmed(items)  # while the map is looked at


def _warmed(items: Items) -> None:
    """What the first item or drawing needs, kept."""
    items.spacing()
    if isinstance(items.run.model, Decodes):
        items.place(0.0)


def embed(player: Player, given: Json) -> Json:
    """How far t-SNE is; it is begun at the first ask. A map that asks for it before its end is one of PCA."""
    form = checked(Embed, given)
    return embedded(player, form.dimensions, stop=form.stop)


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
    return {"n": items.n, "of": items.of, "classes": names_of_classes(items, player.run.spec), "width": items.width}


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
    of_images(run)
    items = Items.whole(player)
    sketch = sketched(run, items.device, form.pixels)
    code, sd = (x[0].cpu().numpy() for x in (sketch.mean, sketch.sd))
    found = {**_decoded(player, items, sketch.batch, code), "sd": packed(sd)}
    return {**found, "classes": names_of_classes(items, run.spec), **_neighbours(items, code, form.neighbours)}


def paper(player: Player, given: Json) -> Json:
    """{"ground"}: what a drawing is drawn on, one level a channel."""
    checked(Nothing, given)
    of_images(player.run)
    return {"ground": ground(Items.of_player(player))}


def as_data(player: Player, given: Json) -> Json:
    """A picture scaled and centred as the data are: its pixels, and what was done."""
    form = checked(Given, given)
    of_images(player.run)
    pixels = pixels_of(form.pixels, (form.height, form.width, 3))
    made, said = fitted(pixels, known(Items.of_player(player)))
    return {"pixels": packed(made), "said": said}


ASKS: dict[str, Handler] = {
    "codes/ready": ready,
    "codes/map": whole_map,
    "codes/embed": embed,
    "codes/colour": colour,
    "codes/columns": columns,
    "codes/item": item,
    "codes/look": look,
    "codes/paper": paper,
    "codes/drawn": drawn,
    "codes/fitted": as_data,
}
