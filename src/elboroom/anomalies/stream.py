"""A detector that reads a series row by row, in memory that does not grow, and says the same as over the whole series.

It holds what the forecaster carries, its last forecasts, the sums of the moving means and the open alarm. Rows are told
with their time: what came in between and is missing is read as missing rows, and a gap begins a new segment, as it does
in a series that is read at once. `state` and `restore` carry it over an end of the process, to the bit.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from elboroom.core.abilities import Forecasts
from elboroom.core.batch import Batch
from elboroom.core.errors import InputError

from .detector import Detector
from .events import GAP, Alarm, Event
from .expected import scaled
from .residuals import multi_step, shares
from .smoothing import CausalMean

__all__ = ["Stream", "Verdict"]


@dataclass(frozen=True)
class Verdict:
    """On one row."""

    row: int
    """Rows since the first, missing ones counted."""
    score: float
    """NaN where there is none."""
    alarm: bool
    """Whether an event is open."""
    reason: str
    """ok, warm-up or missing."""
    shares: tuple[float, ...] = ()
    """Each channel's part of the score."""
    ended: Event | None = None
    """An event that is over, as soon as that is known."""


class Stream:
    """Made by `run.stream()`."""

    def __init__(self, model: Forecasts, transform: nn.Module, detector: Detector, step: int, gap: int = GAP) -> None:
        """`step`: nanoseconds from row to row, 0 where rows have no times."""
        if detector.smoothing != "causal" or detector.tail is None:
            raise InputError("a stream needs a threshold and the causal mean: the centred one looks at rows to come")
        self.model, self.transform, self.detector, self.step, self.gap = model, transform, detector, step, gap
        self.unit = np.asarray(detector.unit)
        self.row, self.last_time = -1, 0
        self.alarm = Alarm(detector.tail.threshold, merge=detector.merge)
        self._begin()

    def _begin(self) -> None:
        """A new segment: nothing is remembered."""
        self.memory: Any = None
        self.since = 0
        self.ahead: list[np.ndarray[Any, Any]] = []
        self.means = [CausalMean(self.detector.width) for _ in range(self.unit.shape[1])]

    def update(self, t: Any, x: ArrayLike) -> Verdict:
        """Judge the row x (C,), NaN where missing, of time `t` (a number of nanoseconds, numpy or ISO time; None)."""
        row = np.asarray(x, dtype=np.float64).reshape(-1)
        if row.shape != (self.unit.shape[1],):
            raise InputError(f"a row has {len(row)} values and the series {self.unit.shape[1]} channels")
        if np.isinf(row).any():
            raise InputError("a row holds an infinite value; give NaN where one is missing")
        missed = self._missed(t)
        if missed > self.gap:
            self._begin()
            self.row += missed
        else:
            for _ in range(missed):
                self._read(np.full(len(row), np.nan))
        return self._read(row)

    def _missed(self, t: Any) -> int:
        """Rows between the last one and the time `t`."""
        if not self.step:
            return 0
        if t is None:
            raise InputError("the rows of this series have times; give one with each row")
        now = int(t) if isinstance(t, int | np.integer) else int(np.datetime64(t, "ns").astype(np.int64))
        steps = 1 if self.row < 0 else round((now - self.last_time) / self.step)
        if steps < 1:
            raise InputError(f"{t} is not after the row before; rows of a stream come in the order of time")
        self.last_time = now
        return steps - 1

    def _read(self, row: np.ndarray[Any, Any]) -> Verdict:
        self.row += 1
        x = scaled(self.transform, row[None])
        errors = np.full(self.unit.shape, np.nan)
        for h, mean in enumerate(self.ahead):
            errors[h] = x[0].double().numpy() - mean[h]
        with torch.inference_mode():
            there = ~torch.isnan(x[None])
            batch = Batch(x=torch.where(there, x[None], 0), observed=there)
            said, _, self.memory = self.model.expect(batch, self.memory)
        self.ahead = [said[0, 0].double().numpy(), *self.ahead][: len(self.unit)]
        channels = self._channels(errors)
        self.since += 1
        score = float(np.nanmean(channels)) if np.isfinite(channels).any() else math.nan
        parts = tuple(shares(channels[None])[0].tolist()) if math.isfinite(score) else ()
        ended = self.alarm.update(self.row, score, parts or None)
        reason = "ok" if math.isfinite(score) else "missing" if np.isnan(row).all() else "warm-up"
        return Verdict(self.row, score, self.alarm.open is not None, reason, parts, ended)

    def _channels(self, errors: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """(C,): the smoothed score of each channel, NaN where it has none."""
        raw = multi_step((errors / self.unit)[None])[0]
        if self.since < self.detector.warm_up:
            raw[:] = np.nan
        smooth = np.array([mean.update(float(value)) for mean, value in zip(self.means, raw, strict=True)])
        return np.where(np.isnan(raw), np.nan, smooth)

    def finish(self) -> Event | None:
        """The event that is still open, ended here."""
        return self.alarm.finish()

    # -- over an end of the process ------------------------------------------------------------------------------------

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors, and plain JSON types, from which `restore` goes on."""
        tensors: dict[str, Tensor] = {}
        form = _packed(self.memory, "memory", tensors)
        ahead = [mean.tolist() for mean in self.ahead]
        plain = {
            "row": self.row,
            "last_time": self.last_time,
            "since": self.since,
            "ahead": ahead,
            "means": [mean.to_json() for mean in self.means],
            "alarm": self.alarm.to_json(),
            "memory": form,
        }
        return tensors, plain

    def restore(self, tensors: dict[str, Tensor], plain: dict[str, Any], like: Any) -> None:
        """`like`: a memory of the same model, whose form is filled; see `Run.stream`."""
        self.row, self.last_time, self.since = plain["row"], plain["last_time"], plain["since"]
        self.ahead = [np.asarray(mean) for mean in plain["ahead"]]
        self.means = [CausalMean.from_json(saved) for saved in plain["means"]]
        self.alarm = Alarm.from_json(plain["alarm"])
        self.memory = None if plain["memory"] is None else _unpacked(like, "memory", tensors, plain["memory"])


def _packed(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """The plain part of a memory; its tensors go into `tensors` by name."""
    if isinstance(value, Tensor):
        tensors[name] = value
        return {"tensor": name}
    if isinstance(value, list | tuple):
        return [_packed(one, f"{name}.{i}", tensors) for i, one in enumerate(value)]
    if dataclasses.is_dataclass(value) or hasattr(value, "__dict__"):
        return {key: _packed(one, f"{name}.{key}", tensors) for key, one in vars(value).items()}
    return value


def _unpacked(like: Any, name: str, tensors: dict[str, Tensor], form: Any) -> Any:
    """A memory of the form of `like` with what was packed."""
    if isinstance(like, Tensor):
        return tensors[form["tensor"]]
    if isinstance(like, list | tuple):
        if len(like) != len(form):
            return list(form) if not any(isinstance(one, dict) for one in form) else _listed(like, name, tensors, form)
        return [_unpacked(a, f"{name}.{i}", tensors, b) for i, (a, b) in enumerate(zip(like, form, strict=True))]
    if dataclasses.is_dataclass(like) or hasattr(like, "__dict__"):
        out = object.__new__(type(like))
        for key, one in vars(like).items():
            object.__setattr__(out, key, _unpacked(one, f"{name}.{key}", tensors, form[key]))
        return out
    return form


def _listed(like: Sequence[Any], name: str, tensors: dict[str, Tensor], form: Sequence[Any]) -> list[Any]:
    return [_unpacked(like[0], f"{name}.{i}", tensors, one) for i, one in enumerate(form)]
