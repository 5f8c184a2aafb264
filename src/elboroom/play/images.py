"""Play with what a model makes: what a code decodes to and what lies near it, ways between two items, new draws.

The sheet has a picture at equal shares of the law of z, as the manifold of `elboroom inspect`: of N(0, I) where the
codes shall follow it, else of the codes of the data. Pictures travel as bytes of a pixel, rows of a table as numbers in
the user's units.
Letters: n examples, d width of a code.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch
from annotated_types import Ge, Gt, Le, Len
from numpy.typing import NDArray
from torch import Tensor

from elboroom.artifacts.files import read_json
from elboroom.core.abilities import Decodes, Draws, Encodes, Outcome, Samples
from elboroom.core.errors import InputError, Unable
from elboroom.drawing import ROWS, samples
from elboroom.engine.runtime import mix, seeded
from elboroom.inspect import is_normal
from elboroom.nn.truncated import truncated_normal
from elboroom.run import Run, require
from elboroom.sample_sheets import device_of, spherical
from elboroom.web.answers import Form

from .answers import Handler, Json, Player, checked, packed
from .items import LAW, Items, pictures
from .sketch import Pixels, sketched

__all__ = ["ASKS"]

FINE = 400
"""Shares between which a page interpolates z."""
SEEN = 0.9998
"""The share of the law at the two ends of an axis together."""
STANDING = 16
"""Truncations whose batch statistics are kept."""
READ_S = 0.02
"""Seconds of encoding after a rest: a drag that goes on meanwhile waits no longer for its picture."""
LARGEST = 1 << 24
"""Values of one sheet."""
Seed = Annotated[int, Ge(0), Le(2**53 - 1)]
Code = Annotated[list[float], Len(1, 100_000)]
Way = Literal["straight", "sphere"]
Steps = Annotated[int, Ge(2), Le(64)]


class Nothing(Form):
    """An empty object."""


class Grid(Form):
    """A sheet of decoded means."""

    z: Code
    """a code; its numbers off the axes are kept"""
    axes: Annotated[list[Annotated[int, Ge(0)]], Len(1, 2)]
    """one or two dimensions, from 0: that from left to right, that upwards"""
    n: Annotated[int, Ge(2), Le(32)] = 20
    """points along each"""


class Place(Form):
    """One code."""

    z: Code
    """its numbers"""
    drawn: bool = False
    """whether a draw of x comes, too"""
    seed: Seed = 0
    """of the draw"""


class Near(Form):
    """What is near a code."""

    z: Code
    """its numbers"""
    k: Annotated[int, Ge(1), Le(24)] = 6
    """how many items"""


class Path(Form):
    """A way between two codes."""

    a: Code
    """its beginning"""
    b: Code
    """its end"""
    steps: Steps = 13
    """points on it, its ends included, 2 to 64"""
    way: Way = "straight"
    """straight or sphere"""


class Between(Form):
    """A way between two items, or between two draws of a model that encodes none."""

    a: Annotated[int, Ge(0), Le(2**53 - 1)]
    """number of an item, or of a draw of the seed, from 0"""
    b: Annotated[int, Ge(0), Le(2**53 - 1)]
    """number of the other one"""
    steps: Steps = 13
    """points on it, its ends included, 2 to 64"""
    way: Way = "straight"
    """straight or sphere"""
    seed: Seed = 0
    """of the draws"""
    label: Annotated[int, Ge(0)] | None = None
    """class of the draws, by number"""
    picture_a: Pixels = ""
    """a picture of the data's size in place of item a, its bytes in base64"""
    picture_b: Pixels = ""
    """the same in place of item b"""


class Sample(Form):
    """New draws."""

    n: Annotated[int, Ge(1), Le(256)] = 64
    """how many, 1 to 256"""
    seed: Seed = 0
    """a whole number from 0"""
    mean: bool = False
    """the decoder's mean in place of a draw of x"""
    temperature: Annotated[float, Ge(0), Le(1000)] = 1.0
    """of the prior, from 0"""
    truncation: Annotated[float, Gt(0), Le(1000)] | None = None
    """the largest number in the noise"""
    label: Annotated[int, Ge(0)] | None = None
    """a class by number (default: as they come)"""


# -- what there is ----------------------------------------------------------------------------------------------------


def about(player: Player, given: Json) -> Json:
    """What the model's codes are, and what can be asked of its draws."""
    checked(Nothing, given)
    run, model = player.run, player.run.model
    columns = [{"name": c.name, "kind": c.kind, "categories": list(c.categories)} for c in run.spec.columns]
    told: Json = {
        "kind": run.spec.kind,
        "shape": list(run.spec.shape),
        "columns": columns,
        "classes": list(run.spec.classes),
        "encodes": isinstance(model, Encodes),
        "draws": isinstance(model, Draws),
        "asked": model.classes if isinstance(model, Draws) else 0,
        "truncations": _details(run).get("quality", {}).get("truncation") or [],
    }
    if isinstance(model, Decodes):
        told |= {"width": model.code_size, "normal": is_normal(model), **_dimensions(player, model)}
    return told


def _details(run: Run) -> Json:
    path = run.path / "details.json"
    found: Json = read_json(path) if path.is_file() else {}
    return found


def _dimensions(player: Player, model: Decodes) -> Json:
    """{"order": dimensions, the busiest first, "sizes", "by": what is said of each}: one entry a dimension."""
    rates = _details(player.run).get("rate_by_dimension") or []
    values, by = np.zeros(model.code_size), "none"
    if len(rates) == model.code_size:
        values, by = np.array([float(rate["value"] or 0) for rate in rates]), "rate_nats"
    elif model.code_size > 2:
        try:
            items = Items.begun(player, LAW)
            values, by = items.z[: items.read].std(0), "spread"
        except InputError:  # without the data the order is that of the code
            pass
    order = np.argsort(-values, kind="stable")
    return {"order": order.tolist(), "sizes": values.tolist(), "by": by}


# -- codes ------------------------------------------------------------------------------------------------------------


def _decoder(player: Player) -> Decodes:
    require(player.run.model, Decodes, "decode", player.run.name)
    assert isinstance(player.run.model, Decodes)
    return player.run.model


def _code(model: Decodes, given: list[float], name: str = "z") -> Tensor:
    """(1, d)."""
    if len(given) != model.code_size:
        raise InputError(f"{name}: a code of this run has {model.code_size} numbers, this one has {len(given)}")
    code = torch.tensor([given], dtype=torch.float32, device=device_of(model))
    if not bool(torch.isfinite(code).all()):
        raise InputError(f"{name}: a number is too large")
    return code


@torch.no_grad()
def grid(player: Player, given: Json) -> Json:
    """Decoded means (n x n, row by row from the top), z at their places and at fine shares of each axis."""
    form, model = checked(Grid, given), _decoder(player)
    z = _code(model, form.z)
    if len(set(form.axes)) != len(form.axes) or max(form.axes) >= model.code_size:
        raise InputError(f"axes: they are different dimensions from 0 to {model.code_size - 1}")
    size = math.prod(player.run.spec.shape)
    if form.n ** len(form.axes) * size > LARGEST:
        raise InputError(f"n: {form.n} x {form.n} examples of {size:,} values are more than a page can show; ask less")
    tables = [_quantiles(player, axis) for axis in form.axes]
    shares = (np.arange(form.n) + 0.5) / form.n
    centres = [np.interp(shares, np.linspace(0, 1, FINE + 1), table) for table in tables]
    if is_normal(player.run.model):
        centres = [_normal(shares)] * len(form.axes)
    up = centres[1][::-1] if len(centres) > 1 else np.zeros(1)
    codes = z.repeat(len(up) * form.n, 1)
    codes[:, form.axes[0]] = torch.from_numpy(np.tile(centres[0], len(up)).astype(np.float32)).to(z.device)
    if len(centres) > 1:
        codes[:, form.axes[1]] = torch.from_numpy(np.repeat(up, form.n).astype(np.float32)).to(z.device)
    made = torch.cat([model.decode(part).mean for part in codes.split(ROWS)])
    return {
        "x": _shown(made, player.run),
        "rows": len(up),
        "centres": [c.tolist() for c in centres],
        "shares": [t.tolist() for t in tables],
    }


def _quantiles(player: Player, axis: int) -> NDArray[np.float64]:
    """(FINE + 1,): z at shares from 0 to 1 of its law, the ends a little inside."""
    shares = np.linspace((1 - SEEN) / 2, (1 + SEEN) / 2, FINE + 1)
    if is_normal(player.run.model):
        return _normal(shares)
    items = Items.begun(player, LAW)
    found: NDArray[np.float64] = np.quantile(items.z[: items.read, axis].astype(np.float64), shares)
    rising = np.arange(FINE + 1) * 1e-9 * max(1.0, float(np.abs(found).max()))  # so that it can be turned round
    return found + rising


def _normal(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.special import ndtri

    found: NDArray[np.float64] = ndtri(shares)
    return found


@torch.no_grad()
def decode(player: Player, given: Json) -> Json:
    """The decoded mean, its standard deviation value by value, perhaps a draw; and how far out the code is."""
    form, model = checked(Place, given), _decoder(player)
    started = time.perf_counter()
    z = _code(model, form.z)
    p = model.decode(z)
    told = {"x": _shown(p.mean, player.run), **_doubt(p, player.run)}
    if form.drawn:
        with seeded(mix(form.seed, "play", "draw")):
            told["drawn"] = _shown(p.sample(), player.run)
    return {**told, **_nearer(player, z), "took_s": time.perf_counter() - started}


def _doubt(p: Outcome, run: Run) -> Json:
    """{"sd"}: of a picture bytes with their largest as "most", in shares of white; of a row in the user's units."""
    sd = p.sd.float()
    if run.spec.kind != "images":
        units = run.transform.undo(p.mean + p.sd) - run.transform.undo(p.mean)
        return {"sd": packed(units[0].abs().float().cpu().numpy())}
    values = sd[0].mean(0).cpu().numpy()
    most = float(values.max())
    span = run.spec.high - run.spec.low if not run.spec.levels else run.spec.levels - 1
    bytes_ = np.rint(255 * values / max(most, 1e-12)).astype(np.uint8)
    return {"sd": packed(bytes_), "most": most / span if 0 < span < math.inf else most}


def _nearer(player: Player, z: Tensor) -> Json:
    """{"nearer", "of"}: the share of N(0, I), or of the codes of the data, that is nearer to the middle than z."""
    code = z[0].double().cpu().numpy()
    if is_normal(player.run.model):
        from scipy.special import gammainc

        return {"nearer": float(gammainc(len(code) / 2, float(code @ code) / 2)), "of": "the prior"}
    try:
        items = Items.begun(player, LAW)
    except InputError:
        return {"nearer": None, "of": ""}
    known = items.z[: items.read].astype(np.float64)
    middle, spread = known.mean(0), np.maximum(known.std(0), 1e-9)
    distance = np.square((known - middle) / spread).sum(1)
    share = float((distance < np.square((code - middle) / spread).sum()).mean())
    return {"nearer": share, "of": "the codes of the data"}


def near(player: Player, given: Json) -> Json:
    """Items whose codes are nearest. Each ask reads some more of them, until all are read: "read" of "n"."""
    form, model = checked(Near, given), _decoder(player)
    code = _code(model, form.z)[0].cpu().numpy()
    items = Items.of_player(player)
    items.piece(READ_S)
    squared = np.square(items.z[: items.read].astype(np.float64) - code).sum(1)
    at = np.argsort(squared, kind="stable")[: form.k] if form.k < items.read else np.argsort(squared)
    listed = [{**items.told(int(i)), "distance": float(np.sqrt(squared[i]))} for i in at]
    return {"near": listed, "pictures": items.look(at) or None, "read": items.read, "n": items.n, "of": items.of}


# -- ways -------------------------------------------------------------------------------------------------------------


def _way(a: Tensor, b: Tensor, steps: int, way: Way) -> Tensor:
    """(steps, d) from a to b, both (1, d)."""
    if way == "sphere" and bool(a.any()) and bool(b.any()):
        return spherical(a, b, steps)[0]
    return torch.lerp(a, b, torch.linspace(0, 1, steps, device=a.device)[:, None])


@torch.no_grad()
def path(player: Player, given: Json) -> Json:
    """Decoded means on a way between two codes."""
    form, model = checked(Path, given), _decoder(player)
    z = _way(_code(model, form.a, "a"), _code(model, form.b, "b"), form.steps, form.way)
    return {"x": _shown(model.decode(z).mean, player.run), "z": z.cpu().tolist()}


@torch.no_grad()
def between(player: Player, given: Json) -> Json:
    """Decoded means between two items, beside the plain cross-fade of the items themselves."""
    form, run = checked(Between, given), player.run
    if not isinstance(run.model, Encodes):
        return _between_draws(run, form)
    model, items = _decoder(player), Items.begun(player)
    ends = [_end(items, *given) for given in ((form.a, form.picture_a), (form.b, form.picture_b))]
    z = _way(ends[0].z, ends[1].z, form.steps, form.way)
    strips = _strips(model.decode(z).mean, ends[0].x, ends[1].x, run)
    return {**strips, "z": z.cpu().tolist(), "ends": [end.told for end in ends], "of": items.of}


@dataclass(frozen=True)
class _End:
    """x and z of one example, both (1, ...)."""

    x: Tensor
    z: Tensor
    told: Json


def _end(items: Items, number: int, picture: str) -> _End:
    if picture:
        sketch = sketched(items.run, items.device, picture)
        return _End(sketch.batch.x, sketch.mean, {"picture": True})
    at = items.at(number)
    _, batch = next(items.batches(np.array([at]), "between"))
    assert isinstance(items.run.model, Encodes)
    return _End(batch.x, items.run.model.encode(batch).mean.float().flatten(1), items.told(at))


def _between_draws(run: Run, form: Between) -> Json:
    """Between draws a and b of `elboroom sample --seed`, of one class where classes can be asked for."""
    require(run.model, Draws, "make an example of given noise", run.name)
    model = run.model
    if form.picture_a or form.picture_b:
        raise Unable(f"{run.name} encodes no picture; it goes from draw to draw")
    assert isinstance(model, Draws)
    if max(form.a, form.b) >= ROWS:
        raise InputError(f"a, b: the draws of a seed are numbered from 0 to {ROWS - 1} here")
    with seeded(mix(form.seed, "sample", 0)):
        noise = truncated_normal(ROWS, model.noise, math.inf, device=device_of(model))
    z = _way(noise[form.a][None], noise[form.b][None], form.steps, form.way)
    label = torch.full((form.steps,), _class(model, form.label or 0), device=z.device) if model.classes else None
    x = model.draw(z, label)
    return {**_strips(x, x[:1], x[-1:], run), "z": None, "ends": [{"draw": form.a}, {"draw": form.b}], "of": ROWS}


def _strips(made: Tensor, a: Tensor, b: Tensor, run: Run) -> Json:
    """{"x", "fade", "ends"}: what was made; the values of both ends in shares that go from one to the other."""
    share = torch.linspace(0, 1, len(made), device=made.device).reshape(-1, *[1] * (made.ndim - 1))
    fade = torch.lerp(a.to(made.dtype), b.to(made.dtype), share.to(made.dtype))
    return {"x": _shown(made, run), "fade": _shown(fade, run)}


# -- draws ------------------------------------------------------------------------------------------------------------


def _class(model: Draws, label: int) -> int:
    if label >= model.classes:
        raise InputError(f"label: the classes are numbered from 0 to {model.classes - 1}")
    return label


@torch.no_grad()
def sample(player: Player, given: Json) -> Json:
    """New examples, those of `elboroom sample`: one seed gives one z for every truncation and class."""
    form, run = checked(Sample, given), player.run
    require(run.model, Samples, "sample", run.name)
    started = time.perf_counter()
    held: dict[float, Draws] = player.held.setdefault("images/standing", {})
    if len(held) >= STANDING:
        del held[next(iter(held))]
    asked = form.model_dump()
    drawn = samples(run, asked.pop("n"), **asked, held=held)
    label = None if drawn.label is None else drawn.label.tolist()
    return {"x": _shown(torch.cat(drawn.x), run), "label": label, "took_s": time.perf_counter() - started}


def _shown(x: Tensor, run: Run) -> Json:
    """Pictures as bytes; rows of a table (n, columns) in the user's units."""
    if run.spec.kind == "images":
        return packed(pictures(x, run))
    return packed(run.transform.undo(x).float().cpu().numpy())


ASKS: dict[str, Handler] = {
    "images/about": about,
    "images/grid": grid,
    "images/decode": decode,
    "images/near": near,
    "images/path": path,
    "images/between": between,
    "images/sample": sample,
}
