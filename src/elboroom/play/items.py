"""The items of a run's data with their codes: read once, in an order drawn at random, and asked for by their number.

An item's number is its row in the input, as `elboroom encode` counts them, from 0. Where there are more items than can
be held, a random part of them stands for all.
Letters: n items, d width of a code.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elboroom.core.abilities import Bounds, Decodes, Encodes
from elboroom.core.batch import Batch
from elboroom.core.errors import InputError
from elboroom.data.source import Dataset
from elboroom.engine.runtime import mix, seed_draws
from elboroom.evaluate import held_out
from elboroom.metrics import reconstruction
from elboroom.metrics.likelihood import gaussian_rate
from elboroom.run import Run, require
from elboroom.sample_sheets import device_of
from elboroom.sheets import colours, shown

from .answers import Json, Player, packed

__all__ = ["LAW", "Items", "Near", "pictures", "squared_error"]

MOST, FLOATS = 250_000, 1 << 25
"""Items, and numbers of their codes, that are held at most."""
FIRST, ROWS = 1024, 4096
"""Items of a piece, up to LAW and after: of the first one the principal axes are those of the map."""
LEAST = 64
"""Items of a piece that shall take little time."""
LAW = 2048
"""Items whose codes stand for the law of all; as many are held however wide their codes are."""
JUDGED = 2000
"""Held-out items whose errors give an error its place."""
SPARE = 16
"""Further items whose distances are taken exactly when the nearest are looked for."""
SPACED = 200
"""Items whose distance to their nearest other one says what is near."""
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Near:
    """Items nearest to a code, the nearest first, and their distances in code space."""

    at: NDArray[np.int64]
    distance: NDArray[np.float64]


class Items:
    """All items, or a random part of them, in random order; `at` is a place in that order."""

    def __init__(self, run: Run) -> None:
        require(run.model, Encodes, "encode", run.name)
        self.run, self.device = run, device_of(run.model)
        self.data: Dataset = run.dataset()
        self.parts = [name for name in self.data.parts if len(self.data.parts[name])]
        rows = [self.data.parts[name] for name in self.parts]
        self._starts = np.cumsum([0, *(len(part) for part in rows)])
        self.of = int(self._starts[-1])
        with torch.no_grad():
            self.width = int(self._encoded(self._batch(0, torch.zeros(1, dtype=torch.int64), "width"))[0].shape[1])
        self.n = min(self.of, MOST, max(LAW, FLOATS // self.width))
        rng = np.random.default_rng(mix(run.meta["runtime"]["seed"], "play", "items"))
        self._rows = rng.permutation(self.of)[: self.n]
        self.part = np.searchsorted(self._starts, self._rows, side="right").astype(np.uint8) - 1
        self.number = np.concatenate([part.index for part in rows])[self._rows]
        labels = [part.label for part in rows]
        self.label = None
        if all(label is not None and label.ndim == 1 for label in labels):
            self.label = torch.cat([x.cpu() for x in labels if x is not None]).numpy()[self._rows]
        self.z = np.zeros((self.n, self.width), dtype=np.float32)
        self.sd = np.zeros((self.n, self.width), dtype=np.float32)
        self.read = 0
        """Items whose codes are there."""
        self._pace = 0.0
        """Items encoded a second, of the last piece."""
        self._kept: dict[str, Any] = {}
        self._at: dict[int, int] = {}

    @classmethod
    def of_player(cls, player: Player) -> Items:
        """Those of a player's run, perhaps not read to their end."""
        if "codes/items" not in player.held:
            player.held["codes/items"] = cls(player.run)
        held: Items = player.held["codes/items"]
        return held

    @classmethod
    def begun(cls, player: Player, least: int = FIRST) -> Items:
        """The same with at least so many codes read: those of a first piece, where nothing is said."""
        items = cls.of_player(player)
        while items.read < min(least, items.n):
            items.piece()
        return items

    @classmethod
    def whole(cls, player: Player) -> Items:
        """The same with every code read."""
        items = cls.of_player(player)
        while items.piece():
            pass
        return items

    # -- reading -----------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def piece(self, seconds: float = 0.0) -> bool:
        """Encode the next items, where `seconds` is named about as many as take so long; False where none is left."""
        if self.read >= self.n:
            return False
        most = FIRST if self.read < LAW else ROWS
        rows = min(most, max(LEAST, int(seconds * self._pace))) if seconds else most
        stop, began = min(self.n, self.read + rows), time.perf_counter()
        for at, batch in self.batches(np.arange(self.read, stop), "codes"):
            self.z[at], self.sd[at] = (x.cpu().numpy() for x in self._encoded(batch))
        self._pace = (stop - self.read) / max(time.perf_counter() - began, 1e-6)
        self.read = stop
        return True

    def batches(self, at: NDArray[np.int64], purpose: str) -> Iterator[tuple[NDArray[np.int64], Batch]]:
        """Items at these places, some at a time: the places of a batch, and the batch."""
        for number in range(len(self.parts)):
            mine = at[self.part[at] == number]
            for start in range(0, len(mine), 512):
                here = mine[start : start + 512]
                where = torch.from_numpy(self._rows[here] - self._starts[number])
                yield here, self._batch(number, where, f"{purpose}/{start}")

    def _batch(self, part: int, where: Tensor, purpose: str) -> Batch:
        rows = self.data.parts[self.parts[part]]
        seed_draws(mix(self.run.meta["runtime"]["seed"], "play", purpose, part))
        raw = rows.take(where.to(rows.device))
        batch: Batch = self.run.transform({key: value.to(self.device) for key, value in raw.items()})
        return batch

    def _encoded(self, batch: Batch) -> tuple[Tensor, Tensor]:
        assert isinstance(self.run.model, Encodes)
        code = self.run.model.encode(batch)
        return code.mean.float().flatten(1), code.stddev.float().flatten(1)

    # -- what is known of them -----------------------------------------------------------------------------------------

    def at(self, number: int) -> int:
        """The place of an item. Raises InputError where there is none of that number."""
        if not self._at:
            self._at = {int(n): i for i, n in enumerate(self.number)}
        if number not in self._at:
            some = "" if self.n == self.of else f" among the {self.n:,} of {self.of:,} that are held"
            raise InputError(f"there is no item {number:,}{some}; they are numbered from 0, as rows of the input")
        return self._at[number]

    def rates(self) -> NDArray[np.float32] | None:
        """Nats that each code carries that is read; None where codes have no bound on them."""
        if not isinstance(self.run.model, Bounds) or not self.sd[: self.read].all():
            return None
        if "rates" not in self._kept or self.read > self._kept["rates"][0]:
            found = gaussian_rate(torch.from_numpy(self.z[: self.read]), torch.from_numpy(self.sd[: self.read])).sum(1)
            self._kept["rates"] = (self.read, found.float().numpy())
        rates: NDArray[np.float32] = self._kept["rates"][1]
        return rates

    @torch.no_grad()
    def errors(self, at: NDArray[np.int64]) -> NDArray[np.float32]:
        """Squared error a value of the decoded mean of each of these items, in the model's space."""
        require(self.run.model, Decodes, "decode", self.run.name)
        assert isinstance(self.run.model, Decodes)
        found = np.zeros(self.n, dtype=np.float32)
        for here, batch in self.batches(at, "errors"):
            made = self.run.model.decode(torch.from_numpy(self.z[here]).to(self.device)).mean
            found[here] = squared_error(batch, made).cpu().numpy()
        return found[at]

    def all_errors(self) -> NDArray[np.float32]:
        """Those of all items, kept."""
        if "all" not in self._kept:
            self._kept["all"] = self.errors(np.arange(self.n))
        found: NDArray[np.float32] = self._kept["all"]
        return found

    def place(self, error: float) -> Json:
        """How much of the held-out data has a smaller error: {"share", "n", "part"}."""
        part = held_out(self.data)
        if "held" not in self._kept:
            at = np.flatnonzero(self.part == self.parts.index(part))[:JUDGED] if part in self.parts else np.arange(0)
            self._kept["held"] = np.sort(self.errors(at))
        held = self._kept["held"]
        share = float(np.searchsorted(held, error) / max(1, len(held)))
        return {"share": share, "n": len(held), "part": part}

    def nearest(self, code: Floats, k: int, but: int = -1) -> Near:
        """The k items whose codes are nearest to `code` (d,); `but` is a place that is left out."""
        squared = self._squared(code)
        if but >= 0:
            squared[but] = np.inf
        k, some = min(k, self.n - (but >= 0)), min(k + SPARE, self.n)
        near = np.argpartition(squared, some - 1)[:some] if some < self.n else np.arange(self.n)
        near = near[near != but]
        exact = np.sqrt(np.square(self.z[near].astype(np.float64) - code).sum(1))
        order = np.argsort(exact, kind="stable")[:k]
        return Near(near[order], exact[order])

    def _squared(self, code: Floats) -> Floats:
        """(n,) squared distances as |z|^2 - 2 z c + |c|^2, whose rounding `nearest` makes good."""
        if "long" not in self._kept:
            self._kept["long"] = np.square(self.z).sum(1)
        found: Floats = self._kept["long"] - 2 * (self.z @ code) + float(code @ code)
        return found

    def spacing(self) -> Json:
        """{"median", "n"}: the distance from an item to its nearest other one."""
        if "spacing" not in self._kept:
            n = min(SPACED, self.n)
            found = [float(self.nearest(self.z[i], 1, but=i).distance[0]) for i in range(n)] if self.n > 1 else [0.0]
            self._kept["spacing"] = {"median": float(np.median(found)), "n": n}
        spacing: Json = self._kept["spacing"]
        return spacing

    def told(self, at: int) -> Json:
        """What an item is: number, label, part."""
        label = -1 if self.label is None else int(self.label[at])
        return {"item": int(self.number[at]), "label": label if label >= 0 else None, "part": self.parts[self.part[at]]}

    def look(self, at: NDArray[np.int64]) -> Json:
        """Items at these places as pictures, in their order; empty for data that are none."""
        if self.run.spec.kind != "images" or not len(at):
            return {}
        place = {int(a): i for i, a in enumerate(at)}
        made: list[Any] = [None] * len(at)
        for here, batch in self.batches(at, "look"):
            for one, a in zip(pictures(batch.x, self.run), here, strict=True):
                made[place[int(a)]] = one
        return packed(np.stack(made))


def squared_error(batch: Batch, made: Tensor) -> Tensor:
    """(n,): mean squared difference over the values that are there."""
    total = reconstruction.squared_error(batch.x.float(), made.float(), batch.observed)
    return total / reconstruction.cells(batch.x, batch.observed).clamp_min(1)


def pictures(x: Tensor, run: Run) -> NDArray[np.uint8]:
    """(n, height, width) grey or (n, height, width, 3) bytes of examples in the model's space."""
    found = colours(shown(x, run.spec))
    return found[..., 0] if run.spec.shape[0] == 1 else found
