"""Every phase is a pure function of tensors: it traces, in float32 and bfloat16, and equals the eager step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value
from torch.fx.experimental.proxy_tensor import make_fx

from elboroom.core.batch import Batch
from elboroom.core.model import Model
from elboroom.core.phase import Phase
from elboroom.core.spec import Column, Spec
from elboroom.models.autoencoder import Autoencoder
from elboroom.models.beta_vae import BetaVAE
from elboroom.models.vae import VAE

ROWS = 6


def columns(kind: Any, n: int) -> tuple[Column, ...]:
    return tuple(Column(name=f"{kind}{i}", kind=kind, categories=("a", "b", "c")) for i in range(n))


SPECS = {
    "image": Spec(kind="images", shape=(1, 8, 8), scale="unit", low=0, high=1),
    "photo": Spec(kind="images", shape=(3, 16, 17), scale="symmetric", low=-1, high=1),
    "levels": Spec(kind="images", shape=(1, 16, 16), scale="levels:16", levels=16, low=0, high=15),
    "counts": Spec(kind="table", shape=(5,), scale="counts", columns=columns("count", 5)),
    "table": Spec(
        kind="table",
        shape=(8,),
        scale="standard",
        masked=True,
        columns=columns("real", 2) + columns("categorical", 3) + columns("count", 1) + columns("binary", 2),
    ),
}


def batch_of(spec: Spec) -> Batch:
    torch.manual_seed(3)
    shape = (ROWS, *spec.shape)
    if spec.kind == "images":
        x = torch.randint(spec.levels, shape).float() if spec.levels else torch.rand(shape)
        return Batch(x)
    tops = [{"real": 0, "count": 50, "binary": 2, "categorical": 3}[c.kind] for c in spec.columns]
    x = torch.stack([torch.randint(k, (ROWS,)).float() if k else torch.randn(ROWS) for k in tops], 1)
    if not spec.masked:
        return Batch(x)
    observed = torch.rand(shape) < 0.7
    return Batch(torch.where(observed, x, 0.0), observed=observed)


MODELS: dict[str, Callable[[Spec], Model]] = {
    "autoencoder": lambda spec: Autoencoder(Autoencoder.Config(latent=5, hidden=(16,)), spec),
    "vae": lambda spec: VAE(VAE.Config(latent=5, hidden=(16,), dropout=0.2), spec),
    "beta_vae": lambda spec: BetaVAE(BetaVAE.Config(latent=5, hidden=(16,), capacity=3.0, warmup=0.5), spec),
}
CASES = [(model, data, "auto") for model in MODELS for data in SPECS]
CASES += [("vae", "levels", "logistic"), ("vae", "counts", "poisson"), ("vae", "image", "gaussian")]


class Losses(nn.Module):
    """A phase's loss as a forward, which is what functional_call can call."""

    def __init__(self, model: Model, phase: Phase) -> None:
        super().__init__()
        self.model = model
        self.phase = phase

    def forward(self, x: Tensor, observed: Tensor | None, t: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        return self.phase.loss(Batch(x, observed=observed), t)


def prepared(name: str, data: str, likelihood: str) -> tuple[Losses, Batch]:
    torch.manual_seed(1)
    spec = SPECS[data]
    model = MODELS[name](spec)
    if likelihood != "auto":
        model = VAE(VAE.Config(latent=5, hidden=(16,), likelihood=likelihood), spec)
    (phase,) = model.phases()
    return Losses(model, phase), batch_of(spec)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
@pytest.mark.parametrize(("name", "data", "likelihood"), CASES)
def test_a_loss_traces_and_its_graph_gives_the_eager_gradient(
    name: str, data: str, likelihood: str, dtype: torch.dtype
) -> None:
    losses, batch = prepared(name, data, likelihood)
    params, buffers = dict(losses.named_parameters()), dict(losses.named_buffers())

    def objective(params: dict[str, Tensor], buffers: dict[str, Tensor], *rest: Any) -> Any:
        low = {n: v.to(dtype) if v.is_floating_point() else v for n, v in {**params, **buffers}.items()}
        return functional_call(losses, low, rest)

    step = grad_and_value(objective, has_aux=True)
    inputs = (params, buffers, batch.x, batch.observed, torch.tensor(0.25))
    graph = make_fx(step, tracing_mode="fake")(*inputs)
    torch.manual_seed(7)
    gradients, (loss, logs) = graph(*inputs)
    assert loss.dtype == torch.float32
    assert all(term.ndim == 0 and not term.requires_grad for term in logs.values())
    torch.manual_seed(7)
    expected, (value, _) = step(*inputs)
    torch.testing.assert_close(loss, value)
    torch.testing.assert_close(gradients, expected)
    assert all(g.isfinite().all() for g in gradients.values())
    if dtype is torch.float32:
        torch.manual_seed(7)
        live, _ = losses.phase.loss(batch, torch.tensor(0.25))
        names = {id(p): n for n, p in losses.named_parameters()}
        for p, g in zip(losses.phase.params, torch.autograd.grad(live, losses.phase.params), strict=True):
            torch.testing.assert_close(gradients[names[id(p)]], g)


@pytest.mark.parametrize(("name", "data", "likelihood"), CASES)
def test_autocast_keeps_log_probabilities_in_full_precision(name: str, data: str, likelihood: str) -> None:
    losses, batch = prepared(name, data, likelihood)
    losses.eval()
    values = []
    for enabled in (False, True):
        torch.manual_seed(7)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            values.append(losses.phase.loss(batch, torch.tensor(0.25))[0])
    assert values[1].dtype == torch.float32
    torch.testing.assert_close(values[1], values[0], rtol=5e-3, atol=0.02)


@pytest.mark.parametrize("data", ["image", "levels", "table", "counts"])
def test_a_loss_maps_over_members_as_a_sweep_needs(data: str) -> None:
    losses, batch = prepared("autoencoder", data, "auto")
    weights = {n: torch.stack([p, 2 * p]) for n, p in losses.named_parameters()}

    def loss(params: dict[str, Tensor]) -> Tensor:
        return functional_call(losses, params, (batch.x, batch.observed, torch.tensor(0.0)))[0]

    together = torch.func.vmap(torch.func.grad(loss))(weights)
    for k in range(2):
        alone = torch.func.grad(loss)({n: w[k] for n, w in weights.items()})
        torch.testing.assert_close({n: g[k] for n, g in together.items()}, alone, rtol=1e-4, atol=1e-4)
