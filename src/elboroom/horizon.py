"""How far back a loss reaches: the gradient of what is said at a step in respect of what was read k steps before it.

d loss_T / d x_(T-k) is a product of k Jacobians; its norm shrinks or grows about geometrically with the lag k
(Hochreiter 1991; Bengio, Simard & Frasconi 1994; Pascanu, Mikolov & Bengio 2013, arXiv 1211.5063). The slope of its
logarithm is below 0 where gradients vanish and above 0 where they explode; the largest lag at which it is still a
hundredth of that at lag 1 is the effective horizon: what lies further back is hardly learnt from.

One net is looked at, the outermost that reads steps in order, whatever the model around it is. The loss that training
lowers says how each row's last step should have come out (its gradient there, made of length 1, so that rows count
alike); one backward pass carries that through the unrolled net. Shapes: B rows, T steps, I inputs, O outputs.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from elboroom.core.phase import Phase
from elboroom.data.stream import in_order
from elboroom.engine.runtime import mix, seed_draws
from elboroom.models._sequence import Reader
from elboroom.nn.recurrent import Recurrent

if TYPE_CHECKING:
    from elboroom.training import Training

__all__ = ["FLOOR", "memory", "norm_by_lag", "reader_of", "summary"]

FLOOR = 0.01
"""Share of the norm at lag 1 above which a lag still counts."""
ROWS = 64
"""Held-out rows that are looked at."""
BATCHES = 4
"""Training batches whose gradient is measured."""
FEWEST = 4
"""Lags below which there is no slope to speak of."""
KEPT = 200
"""Most lags that are kept, evenly spread."""
SMALLEST = 1e-30
"""Norms below are beyond single precision."""
READABLE = 1e-12
"""Share of lag 1 below which the slope is not fitted: rounding."""


def memory(training: Training) -> dict[str, Any] | None:
    """What details.json keeps under "memory"; None for a model that reads no steps in order, or too few of them."""
    net = reader_of(training.model)
    part = next((p for p in ("valid", "test") if p in training.held_out), "")
    rows = training.held_out[part] if part else training.stream.data
    if net is None or not len(rows):
        return None
    raw = next(in_order(rows, ROWS, ROWS))
    planned = training.meta["budget"]["planned_steps"]
    t = training.progress_tensor((planned - 1) / planned)
    was_training = training.model.training
    training.model.eval()
    try:
        seed_draws(mix(training.seed, "memory"))
        batch = training.losses.transform(raw)
        norms = next((n for phase in training.phases if (n := norm_by_lag(phase, net, batch, t)) is not None), None)
        training.model.train()
        sizes = [_gradient(training, phase, step, t) for phase in training.phases[:1] for step in range(BATCHES)]
    finally:
        training.model.train(was_training)
    if norms is None:
        return None
    found = summary(norms)
    if found is None:
        return None
    clip = float(getattr(training.phases[0].optimizer, "clip", 0.0))
    gradient = {"norms": [_plain(size) for size in sizes], "clip": clip}
    return {**found, "part": part or "train", "gradient": gradient}


def reader_of(model: nn.Module) -> nn.Module | None:
    """The outermost net of a model that reads steps in order: of this package's, or one of torch's, batch first."""
    for module in model.modules():
        if isinstance(module, Recurrent | Reader) or (isinstance(module, nn.RNNBase) and module.batch_first):
            return module
    return None


def norm_by_lag(phase: Phase, net: nn.Module, batch: Any, t: Tensor) -> Tensor | None:
    """(B, lags) norms of d loss_T / d x_(T-k), k = 0, 1 ...; nan where a row has no such step.

    T is the last step of a row whose output the loss looks at. None where the phase's loss does not ask the net.
    """
    tap = _Tap()
    hooks = [
        net.register_forward_pre_hook(tap.before, with_kwargs=True),
        net.register_forward_hook(tap.after, with_kwargs=True),
    ]
    try:
        with torch.enable_grad():
            loss, _ = phase.loss(batch, t)
            if tap.x is None or tap.y is None or not loss.requires_grad:
                return None
            (told,) = torch.autograd.grad(loss, tap.y, retain_graph=True, allow_unused=True)
            if told is None or not bool(told.isfinite().all()):
                return None
            asked = (told != 0).any(-1)  # (B, T)
            at = torch.arange(asked.shape[1], device=asked.device)
            if tap.lengths is not None:
                asked = asked & (at < tap.lengths.to(at.device)[:, None])
            last = (asked * at).amax(1)
            told = torch.where((at == last[:, None])[..., None], told, 0)
            told = told / told.flatten(1).norm(dim=1).clamp_min(SMALLEST)[:, None, None]
            (back,) = torch.autograd.grad((tap.y * told).sum(), tap.x)  # torch imports sympy for `grad_outputs`
    finally:
        for hook in hooks:
            hook.remove()
    norm = back.detach().double().norm(dim=-1)  # (B, T)
    lag = torch.arange(int(last.max()) + 1, device=norm.device)
    place = last[:, None] - lag
    found = torch.where(place >= 0, norm.gather(1, place.clamp_min(0)), math.nan)
    return found[asked.any(1)].cpu()


class _Tap:
    """Cuts the graph before a net, once: its input becomes a leaf, its output is kept."""

    def __init__(self) -> None:
        self.x: Tensor | None = None
        self.y: Tensor | None = None
        self.lengths: Tensor | None = None
        """Of the rows, where the net was told them."""

    def before(self, net: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self.x is not None:
            return None
        self.x, self.lengths = args[0].detach().clone().requires_grad_(), kwargs.get("lengths")
        return (self.x, *args[1:]), kwargs

    def after(self, net: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
        if self.y is None:
            self.y = out[0] if isinstance(out, tuple) else out


def summary(norms: Tensor) -> dict[str, Any] | None:
    """Means over rows of log norms (B, lags), in numbers of lag 1; slope, effective horizon.

    Lags that fewer than half of the rows have are left out. "slope" is that of the line with the least squares through
    the logarithms from lag 1 on, nats a step; "norm" is 0 where it is too small for single precision.
    """
    there = ~norms.isnan()
    enough = there.sum(0) * 2 >= max(len(norms), 1)
    norms, there = norms[:, enough], there[:, enough]
    span = norms.shape[1] - 1
    if span < FEWEST:
        return None
    logs = torch.where(there, norms.clamp_min(SMALLEST).log(), 0).sum(0) / there.sum(0)
    if float(logs[1]) <= math.log(SMALLEST):
        return None  # nothing of the step before is left: there is no measure to put the rest in
    share = (logs - logs[1]).exp()
    readable = torch.nonzero((share > READABLE) & (torch.arange(span + 1) > 0)).flatten()
    lag = readable.double()
    off = lag - lag.mean()
    slope = float((off * logs[readable]).sum() / off.square().sum()) if len(lag) > 1 else math.log(READABLE)
    horizon = int(torch.nonzero(share >= FLOOR).max())
    kept = sorted({round(i * span / (min(KEPT, span + 1) - 1)) for i in range(min(KEPT, span + 1))})
    return {
        "lags": kept,
        "norm": [_plain(float(share[k])) for k in kept],
        "floor": FLOOR,
        "horizon": horizon,
        "span": span,
        "slope": _plain(slope),
        "rows": len(norms),
    }


def _gradient(training: Training, phase: Phase, step: int, t: Tensor) -> float:
    """The norm of the gradient of a phase's loss on one training batch, before it is clipped."""
    raw = training.stream.rows(step)
    seed_draws(mix(training.seed, "memory", step))
    loss, _ = phase.loss(training.losses.transform(raw), t)
    grads = torch.autograd.grad(loss, list(phase.params), materialize_grads=True)
    return float(torch.stack([g.detach().double().square().sum() for g in grads]).sum().sqrt())


def _plain(value: float) -> float:
    """Four digits; a value that is no number is written as the largest there is, so that JSON can hold it."""
    return float(f"{value:.4g}") if math.isfinite(value) else 1e308
