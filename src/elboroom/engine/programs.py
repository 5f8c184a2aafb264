"""The ways to run a phase's step. Each is one small class; a model knows none of them.

Eager runs the live module and the fused optimiser kernel: the reference, and the one to step through in a debugger.
Compiled traces the whole step and hands it to Inductor. Shared splits a batch over processes: each draws the noise of
the whole batch and takes its rows, then one flat all-reduce joins gradients, float buffers and logs, so that N
processes walk the path of one. Further ways (stacked members, sharded parameters, captured CUDA graphs) are further
classes behind the same four methods.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed
from torch import Tensor

from elboroom.core.optim import Slots
from elboroom.core.phase import Phase
from elboroom.engine.inductor import inductor
from elboroom.engine.trace import (
    Graph,
    Losses,
    Names,
    casting,
    lift_draws,
    names_of,
    objective,
    run_after,
    trace,
)

__all__ = ["Compiled", "Eager", "Program", "Shared", "flat_step"]

Raw = dict[str, Tensor]


class Program(ABC):
    """One phase, ready to run in place on the model's own tensors."""

    def __init__(self, losses: Losses, phase: Phase, logs: tuple[str, ...], precision: str = "fp32") -> None:
        self.losses = losses
        self.phase = phase
        self.precision = precision
        self.logs = ("loss_nats", *logs, *(("gradient_norm",) if phase.watched else ()))
        self.params = list(phase.params)
        device = self.params[0].device
        self.slots: Slots = phase.optimizer.init([p.detach() for p in self.params])
        self.totals = torch.zeros(len(self.logs) + 1, dtype=torch.float64, device=device)
        """Sums of the logs since they were last read, then the number of steps in them."""
        self.bad = torch.zeros((), dtype=torch.float32, device=device)
        """1 from the first step on whose loss or gradient is not finite; no update happens from there."""

    @abstractmethod
    def __call__(self, raw: Raw, t: Tensor) -> None:
        """One step on a raw batch, in place."""

    def means(self) -> dict[str, float]:
        """Means of the loss and its terms since the last call; the one place that reads from the device."""
        *sums, count = self.totals.tolist()
        self.totals.zero_()
        return {name: value / count for name, value in zip(self.logs, sums, strict=True)} if count else {}

    def failed(self) -> bool:
        """Whether a loss or gradient was not finite."""
        return bool(self.bad.item())

    def state(self) -> dict[str, Tensor]:
        """Every tensor besides the model's own that must survive a kill."""
        named = {f"{slot}.{i}": x for slot, tensors in self.slots.items() for i, x in enumerate(tensors)}
        return {**named, "totals": self.totals}


class Eager(Program):
    """`autograd.grad` on the live module, one fused optimiser kernel."""

    def __init__(self, losses: Losses, phase: Phase, logs: tuple[str, ...], precision: str = "fp32") -> None:
        super().__init__(losses, phase, logs, precision)
        self._detached = [p.detach() for p in self.params]
        self._one = torch.ones_like(self.bad)
        self._strided: list[int] | None = None

    def __call__(self, raw: Raw, t: Tensor) -> None:
        with casting(self.precision, t.device):
            loss, logs = self.phase.loss(self.losses.transform(raw), t)
        grads = list(torch.autograd.grad(loss, self.params, materialize_grads=True))
        with torch.no_grad():
            if self._strided is None:  # the kernels take memory as it lies; which gradients lie otherwise never changes
                self._strided = [i for i, g in enumerate(grads) if g.stride() != self.params[i].stride()]
            for i in self._strided:
                grads[i] = torch.empty_like(self._detached[i]).copy_(grads[i])
            torch._amp_foreach_non_finite_check_and_unscale_(grads, self.bad, self._one)
            loss = loss.detach()
            ok = torch.isfinite(loss).logical_and_(self.bad == 0)
            torch.logical_not(ok, out=self.bad)
            said = [v.detach() for v in logs.values()] + watched(self.phase, grads)
            self.phase.optimizer.fused_(self._detached, grads, self.slots, t, ok)
            if self.phase.after is not None:
                self.phase.after()
            self.totals.add_(torch.stack([loss, *said, self._one.to(loss.dtype)]))


def flat_step(
    losses: Losses, phase: Phase, names: Names, slots: Slots, raw_keys: tuple[str, ...], precision: str
) -> Callable[..., Any]:
    """The whole step as a function of flat tensors: train, rest, slots, totals, bad, raw, t."""
    shape = [(slot, len(tensors)) for slot, tensors in slots.items()]
    compute = objective(losses, phase, precision)

    def step(*flat: Tensor) -> tuple[Tensor]:
        queue = list(flat)

        def take(count: int) -> list[Tensor]:
            head, queue[:count] = queue[:count], []
            return head

        train = dict(zip(names.train, take(len(names.train)), strict=True))
        rest = dict(zip(names.rest, take(len(names.rest)), strict=True))
        held = {slot: take(count) for slot, count in shape}
        totals, bad = take(2)
        raw = dict(zip(raw_keys, take(len(raw_keys)), strict=True))
        (t,) = queue
        grads, (loss, logs) = torch.func.grad_and_value(lambda *a: _swap(compute(*a)), has_aux=True)(
            train, rest, raw, t
        )
        grads = list(grads.values())
        ok = finite(loss, grads) & (bad == 0)
        bad.copy_(torch.logical_not(ok))
        phase.optimizer.update_(list(train.values()), grads, held, t, ok)
        run_after(losses, phase, {**rest, **train})
        totals.add_(torch.stack([loss, *logs, *watched(phase, grads), torch.ones_like(loss)]))
        return (loss,)

    return step


def _swap(result: tuple[Tensor, tuple[Tensor, list[Tensor]]]) -> tuple[Tensor, list[Tensor]]:
    loss, (_, logs) = result
    return loss, logs


def finite(loss: Tensor, grads: list[Tensor]) -> Tensor:
    """0-dim bool: the loss and every gradient are finite (a sum is not, where a summand is not)."""
    return torch.isfinite(torch.stack([loss, *(g.sum().to(loss.dtype) for g in grads)]).sum())


def watched(phase: Phase, grads: list[Tensor]) -> list[Tensor]:
    """The 2-norm of the whole gradient, where the phase wants it logged."""
    return [torch.stack([(g * g).sum() for g in grads]).sum().sqrt()] if phase.watched else []


class Compiled(Program):
    """The step traced once and compiled; the compiled code updates the model's own tensors."""

    def __init__(
        self, losses: Losses, phase: Phase, logs: tuple[str, ...], precision: str, raw: Raw, t: Tensor
    ) -> None:
        super().__init__(losses, phase, logs, precision)
        names = Names.of(losses, phase)
        tensors = names_of(losses)
        self._keys = tuple(raw)
        self._fixed = [tensors[n].detach() for n in (*names.train, *names.rest)]
        self._fixed += [x for held in self.slots.values() for x in held] + [self.totals, self.bad]
        step = flat_step(losses, phase, names, self.slots, self._keys, precision)
        with torch.no_grad():
            self.graph: Graph = trace(step, [*self._fixed, *raw.values(), t])
            self._run, self.entry = inductor(self.graph)

    def __call__(self, raw: Raw, t: Tensor) -> None:
        with torch.no_grad():
            self._run(*self._fixed, *(raw[k] for k in self._keys), t)


class Shared(Program):
    """One process of several: its rows of the batch, its rows of the noise, one all-reduce a phase."""

    def __init__(
        self, losses: Losses, phase: Phase, logs: tuple[str, ...], precision: str, raw: Raw, t: Tensor
    ) -> None:
        super().__init__(losses, phase, logs, precision)
        self.rank, self.world = torch.distributed.get_rank(), torch.distributed.get_world_size()
        names = Names.of(losses, phase)
        tensors = names_of(losses)
        self._keys = tuple(raw)
        self._rows = next(iter(raw.values())).shape[0]
        self._detached = [p.detach() for p in self.params]
        self._fixed = [tensors[n].detach() for n in (*names.train, *names.rest)]
        self._floats = [tensors[n] for n in names.rest if tensors[n].is_floating_point() and tensors[n].numel()]
        gradient = _flat_gradient(losses, phase, names, self._keys, precision)
        whole = {k: v.repeat(self.world, *([1] * (v.dim() - 1))) for k, v in raw.items()}
        with torch.no_grad():
            graph = trace(gradient, [*self._fixed, *raw.values(), t])
            self._graph, self._draws = lift_draws(graph)
            _, wide = lift_draws(trace(gradient, [*self._fixed, *whole.values(), t]))
        self._split = [a.shape != b.shape for a, b in zip(self._draws, wide, strict=True)]

    def _noise(self, device: torch.device) -> list[Tensor]:
        """The draws of the whole batch, cut to this process's rows where they have a batch axis."""
        out = []
        for draw, split in zip(self._draws, self._split, strict=True):
            if split:  # the first axis holds `per` entries a row: (samples * batch, ...) is not among them
                per = draw.shape[0]
                out.append(draw(per * self.world, device)[self.rank * per : (self.rank + 1) * per])
            else:
                out.append(draw(None, device))
        return out

    def __call__(self, raw: Raw, t: Tensor) -> None:
        with torch.no_grad():
            loss, *results = self._graph(*self._fixed, *(raw[k] for k in self._keys), t, *self._noise(t.device))
            grads, logs = results[: len(self.params)], results[len(self.params) :]
            parts = [*grads, *self._floats, loss, *logs]
            flat = torch.cat([x.reshape(-1).to(loss.dtype) for x in parts])
            torch.distributed.all_reduce(flat)
            flat /= self.world
            pieces = [
                p.view_as(x).to(x.dtype) for p, x in zip(flat.split([x.numel() for x in parts]), parts, strict=True)
            ]
            grads = [g.clone() for g in pieces[: len(grads)]]
            for buffer, mean in zip(self._floats, pieces[len(grads) :], strict=False):
                buffer.detach().copy_(mean)
            loss, *logs = pieces[len(grads) + len(self._floats) :]
            ok = finite(loss, grads) & (self.bad == 0)
            self.bad.copy_(torch.logical_not(ok))
            self.phase.optimizer.fused_(self._detached, grads, self.slots, t, ok)
            if self.phase.after is not None:
                self.phase.after()
            self.totals.add_(torch.stack([loss, *logs, *watched(self.phase, grads), torch.ones_like(loss)]))


def _flat_gradient(
    losses: Losses, phase: Phase, names: Names, raw_keys: tuple[str, ...], precision: str
) -> Callable[..., Any]:
    """Loss, gradients and logs as a function of flat tensors: train, rest, raw, t. Buffers change in place."""
    compute = objective(losses, phase, precision)

    def gradient(*flat: Tensor) -> tuple[Tensor, ...]:
        cut = len(names.train) + len(names.rest)
        train = dict(zip(names.train, flat, strict=False))
        rest = dict(zip(names.rest, flat[len(names.train) : cut], strict=True))
        raw = dict(zip(raw_keys, flat[cut:-1], strict=True))
        grads, (loss, logs) = torch.func.grad_and_value(lambda *a: _swap(compute(*a)), has_aux=True)(
            train, rest, raw, flat[-1]
        )
        return (loss, *grads.values(), *logs)

    return gradient
