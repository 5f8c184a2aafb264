"""From codes to positions on the map: the codes themselves, their principal axes, or t-SNE; how far to trust each.

A trustworthiness (Venna & Kaski 2001) says how far neighbours on the map are neighbours in the code. It is taken over
items spread evenly through the random order, so that those that t-SNE has placed afterwards have their part in it.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from elboroom.core.errors import Unable
from elboroom.engine.runtime import mix
from elboroom.metrics.interval import mean_interval
from elboroom.metrics.latent import trust

from .answers import Json, Player, packed
from .embedding import AROUND, EMBEDDED, LEAST, Embedding
from .items import Items

__all__ = ["METHODS", "Method", "Positions", "embedded"]

Method = Literal["auto", "codes", "pca", "tsne"]
METHODS = ("codes", "pca", "tsne")
FINE = 2**16 - 1
TRUSTED, NEIGHBOURS = 1000, 12
"""Items and neighbours of a trustworthiness."""
FITTED = 1024
"""Items that principal axes are of: the first piece, so that they are the same each time."""
NARROW = 50
"""Numbers that t-SNE takes; of wider codes it takes as many principal axes."""
SMALL = 1024
"""Rows of a matrix that is taken apart whole, for which scipy need not be loaded."""
Floats = NDArray[np.float32]


class Positions:
    """The places of items on a map of two or three dimensions."""

    def __init__(self, player: Player, items: Items, dimensions: int, method: Method) -> None:
        self.items, self._player = items, player
        self.dimensions = max(2, min(dimensions, items.width))
        self.methods = METHODS if items.width > self.dimensions else METHODS[:1]
        """Those that can be chosen."""
        wanted = "pca" if method == "auto" or not self._there(method) else method
        self.method = wanted if len(self.methods) > 1 else "codes"
        self.explained: list[float] = []
        self.fitted, self.chosen = 0, list(range(items.width))
        self.centre, self.axes = np.zeros(items.width), np.eye(items.width)
        self.embedding: Embedding | None = None
        if self.method == "pca":
            held = items.z[:FITTED].astype(np.float64)[: items.read]
            self.fitted, self.centre = len(held), held.mean(0)
            self.axes, self.explained = _principal(held - self.centre, self.dimensions)
        elif self.method == "tsne":
            self.embedding = player.held[_place(self.dimensions)]
            self.fitted = len(self.embedding.z)
        elif items.width > self.dimensions:
            spread = items.z[: min(FITTED, items.read)].std(0)
            self.chosen = sorted(np.argsort(-spread, kind="stable")[: self.dimensions].tolist())
            self.axes = self.axes[:, self.chosen]

    def _there(self, method: Method) -> bool:
        held = self._player.held.get(_place(self.dimensions))
        return method != "tsne" or (held is not None and held.state == "done")

    def told(self) -> Json:
        """What the map is."""
        found: Json = {
            "dimensions": self.dimensions,
            "method": self.method,
            "methods": list(self.methods),
            "axes": self.chosen,
            "explained": self.explained,
            "fitted": self.fitted,
        }
        if self.embedding is not None:
            found |= {"around": AROUND, "perplexity": self.embedding.perplexity, "narrow": self.embedding.z.shape[1]}
        return found

    def of(self, at: NDArray[np.int64]) -> NDArray[np.float64]:
        """(m, dimensions) of items at these places; a code of one number stands at a height that means nothing."""
        if self.embedding is not None:
            return self._embedded(at, self.embedding)
        found: NDArray[np.float64] = (self.items.z[at] - self.centre) @ self.axes
        if found.shape[1] < self.dimensions:
            number = self.items.number[at].astype(np.uint64)
            beside = (number * np.uint64(2654435761) % np.uint64(2**32)).astype(np.float64) / 2**32
            found = np.column_stack([found, beside])
        return found

    def _embedded(self, at: NDArray[np.int64], embedding: Embedding) -> NDArray[np.float64]:
        key, n = f"{_place(self.dimensions)}/all", len(embedding.z)
        held = self._player.held
        if key not in held:
            held[key] = np.full((self.items.n, self.dimensions), np.nan, dtype=np.float32)
            held[key][:n] = embedding.at
        places: Floats = held[key]
        new = at[np.isnan(places[at, 0])]
        if len(new):
            places[new] = embedding.placed(_narrowed(self.items, self.items.z[new]))
        return places[at].astype(np.float64)

    def piece(self, start: int, stop: int) -> Json:
        """Items of the random order: positions as 16-bit numbers between "low" and "high" of each axis."""
        items = self.items
        at = self.of(np.arange(start, stop))
        low, high = at.min(0), at.max(0)
        room = np.where(high > low, high - low, 1.0)
        found: Json = {
            "low": low.tolist(),
            "high": (low + room).tolist(),
            "positions": packed(np.rint((at - low) / room * FINE).astype(np.uint16)),
            "part": packed(items.part[start:stop]),
            "item": packed(items.number[start:stop].astype(np.uint32)),
        }
        if items.label is not None:
            found["label"] = packed(_small(items.label[start:stop]))
        return found

    def trusted(self) -> Json:
        """{"trust": {"value", "low", "high", "n", "neighbours"}}, and that of PCA, or of t-SNE, as "beside".

        Empty where the map is the codes themselves.
        """
        n = min(TRUSTED, self.items.n)
        if len(self.methods) == 1 or n <= 2 * NEIGHBOURS:
            return {}
        other: Method = "tsne" if self.method == "pca" else "pca"
        found: Json = {"trust": self._trust(n)}
        if self._there(other):
            beside = Positions(self._player, self.items, self.dimensions, other)
            found["beside"] = {"method": other, **beside._trust(n)}
        return found

    def _trust(self, n: int) -> Json:
        key, held = f"codes/trust/{self.method}/{self.dimensions}", self._player.held
        if key not in held:
            at = np.linspace(0, self.items.n - 1, n).astype(np.int64)
            found = mean_interval(trust(self.items.z[at], self.of(at), neighbours=NEIGHBOURS)).within(0, 1)
            held[key] = {"value": found.value, "low": found.low, "high": found.high, "n": n, "neighbours": NEIGHBOURS}
        kept: Json = held[key]
        return kept


def _place(dimensions: int) -> str:
    return f"codes/tsne/{dimensions}"


def embedded(player: Player, dimensions: int, *, stop: bool = False) -> Json:
    """How far t-SNE of a run's codes is: begun where it is not there, or ended. Raises Unable where it failed."""
    items, key = Items.of_player(player), _place(dimensions)
    held: Embedding | None = player.held.get(key)
    if stop:
        if held is not None and held.state == "running":
            player.held.pop(key).stop()
        return {"state": "none"}
    if held is None:
        if items.width <= dimensions:
            raise Unable(f"codes of {items.width} numbers are drawn as they are, in {dimensions} dimensions")
        if items.n < LEAST:
            raise Unable(f"t-SNE needs {LEAST} items; here are {items.n}")
        items = Items.begun(player, EMBEDDED)
        z = _narrowed(items, items.z[: min(EMBEDDED, items.n)])
        seed = mix(player.run.meta["runtime"]["seed"], "play", "tsne") % 2**31
        held = player.held[key] = Embedding(z, dimensions, seed)
    if held.state == "failed":
        del player.held[key]
        raise Unable(f"t-SNE has failed: {held.why}")
    return held.told()


def _narrowed(items: Items, z: Floats) -> Floats:
    """Codes on at most NARROW principal axes."""
    if items.width <= NARROW:
        return z
    known = items.z[:FITTED].astype(np.float64)[: items.read]
    centre = known.mean(0)
    axes = _principal(known - centre, NARROW)[0]
    found: Floats = ((z - centre) @ axes).astype(np.float32)
    return found


def _principal(x: NDArray[np.float64], k: int) -> tuple[NDArray[np.float64], list[float]]:
    """The k directions (d, k) of largest variance of centred rows (n, d), and their shares of it.

    Of the two matrices of products the smaller is taken apart. Of each direction the largest number is positive.
    """
    wide = x.shape[1] > len(x)
    products = x @ x.T if wide else x.T @ x
    last, k0 = len(products) - 1, min(k, len(products))
    if len(products) <= SMALL:
        values, found = (part[..., -k0:] for part in np.linalg.eigh(products))
    else:
        from scipy.linalg import eigh

        values, found = eigh(products, subset_by_index=[last - k0 + 1, last])
    axes = (x.T @ found if wide else found)[:, ::-1]
    axes = axes / np.maximum(np.linalg.norm(axes, axis=0), 1e-300)
    axes = axes * np.where(axes[np.abs(axes).argmax(0), np.arange(axes.shape[1])] < 0, -1.0, 1.0)
    whole = max(float(np.trace(products)), 1e-300)
    return np.pad(axes, ((0, 0), (0, k - axes.shape[1]))), [float(max(v, 0.0) / whole) for v in values[::-1]]


def _small(label: NDArray[Any]) -> NDArray[np.uint8]:
    """Labels as bytes; 255 stands for none, and for the 255th class and those after it."""
    return np.where((label < 0) | (label > 254), 255, label).astype(np.uint8)
