"""Any model that encodes rows of numbers, with scikit-learn's manners: for pipelines, searches and frames.

It follows scikit-learn's protocol without inheriting from it: parameters are the model's own settings, which a class
that reads them off its constructor could not have. A fitted one holds its weights as bytes (safetensors) and its record
(run.json) as plain values, so it can be pickled and copied; no folder of the user's is touched.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from elboroom.core import registry
from elboroom.core.errors import InputError, Unable, nearest

if TYPE_CHECKING:
    from torch import Tensor

    from elboroom.core.batch import Batch
    from elboroom.core.model import Model
    from elboroom.run import Run

__all__ = ["Estimator"]

DRAWS = 8
"""Draws of z behind each row's ELBO in `score`."""
OWN: dict[str, Any] = {
    "epochs": 0,
    "steps": 0,
    "scale": "auto",
    "device": "auto",
    "precision": "auto",
    "compile": "auto",
    "threads": 0,
    "seed": 0,
    "encoder": None,
    "decoder": None,
}
"""The parameters that are not settings of a model, with their defaults."""


class Estimator:
    """`Estimator("vae", latent=8)`; every setting of the model is a parameter.

    `epochs` or `steps` is the budget (both 0: the model's own), `scale` how columns are brought to like size, `seed`
    all that is random, `encoder` and `decoder` networks of your own, or words where the model has settings of these
    names. All rows given to `fit` are trained on. NaN is a missing cell, in `fit` and later; sparse input stays sparse.
    Wrong values raise InputError, a ValueError, in `fit`.
    """

    def __init__(
        self,
        model: str,
        *,
        epochs: int = 0,
        steps: int = 0,
        scale: str = "auto",
        device: str = "auto",
        precision: str = "auto",
        compile: str = "auto",
        threads: int = 0,
        seed: int = 0,
        encoder: Any = None,
        decoder: Any = None,
        **settings: Any,
    ) -> None:
        self.model = model
        self.epochs = epochs
        self.steps = steps
        self.scale = scale
        self.device = device
        self.precision = precision
        self.compile = compile
        self.threads = threads
        self.seed = seed
        self.encoder = encoder
        self.decoder = decoder
        self._settings = settings
        self._sklearn_output_config: dict[str, str] = {}

    # -- parameters ------------------------------------------------------------------------------------------------

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Every parameter: those of this class, then the model's settings, defaults included."""
        own = {name: getattr(self, name) for name in ("model", *OWN)}
        return {**self._defaults(), **self._settings, **own}

    def set_params(self, **params: Any) -> Self:
        """Change parameters; with another `model`, settings left at the old one's defaults take the new one's."""
        if "model" in params and _differ(params["model"], self.model):
            defaults = self._defaults()
            self._settings = {k: v for k, v in self._settings.items() if k not in defaults or _differ(v, defaults[k])}
            self.model = params["model"]
        known = self.get_params()
        for name in params:
            if name not in known and self._defaults():
                raise InputError(f"{self.model} has no setting {name!r}{nearest(name, known)}")
        for name, value in params.items():
            if name == "model" or name in OWN:
                setattr(self, name, value)
            else:
                self._settings[name] = value
        return self

    def _defaults(self) -> dict[str, Any]:
        """The model's settings as its file states them; none where `model` names none, which `fit` then says."""
        try:
            return {field.name: field.default for field in _fields(self.model)}
        except (InputError, TypeError):
            return {}

    def __repr__(self) -> str:
        usual = {**self._defaults(), **OWN, "model": self.model}
        shown = {k: v for k, v in self.get_params().items() if k not in usual or _differ(v, usual[k])}
        return f"Estimator({', '.join([repr(self.model), *(f'{k}={v!r}' for k, v in shown.items())])})"

    # -- fitting ---------------------------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any = None) -> Self:
        """Train on all rows of X (rows, columns); `y` is not used."""
        from safetensors.torch import save

        rows = self._checked(X, first=True)
        self.record_, tensors = self._trained(rows)
        self.weights_ = save({name: x.detach().cpu().contiguous() for name, x in tensors.items()})
        self._run: Run | None = None
        self._run = self._live()
        return self

    def _trained(self, rows: Any) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """run.json's content and the weights, of a training that keeps no folder and so writes nothing."""
        from elboroom.data.reading import Reading
        from elboroom.data.source import read
        from elboroom.request import Request
        from elboroom.training import Stopping, Training, configured

        request = Request.of(
            self.model,
            reading=Reading(kind="table", scale=self.scale, split=(1.0, 0.0, 0.0)),
            settings={**self._settings, **{role: x for role, x in self._own().items() if isinstance(x, str)}},
            epochs=self.epochs,
            steps=self.steps,
            device=self.device,
            precision=self.precision,
            compile=self.compile,
            threads=self.threads,
            seed=self.seed,
            networks=self._networks(),
        )
        data = read(rows, request.reading, seed=self.seed)
        request = request.accepting(data)
        meta = request.describe(data, "")
        training = Training(meta, data, None, networks=request.networks)
        request.plan(training, lambda event: None)
        with configured(meta):
            training.drive(float("inf"), Stopping())
        meta.update(state="done", step=training.done, took_s=training.took_s())
        scaling = {f"data.{name}": x for name, x in data.transform.state_dict().items()}
        return meta, {**training.model.state_dict(), **scaling}

    def fit_transform(self, X: Any, y: Any = None) -> Any:
        """`fit`, then the codes of the same rows."""
        return self.fit(X, y).transform(X)

    def _networks(self) -> dict[str, Any] | None:
        """Copies, so that `fit` leaves the user's networks as they are."""
        import copy

        return {role: copy.deepcopy(x) for role, x in self._own().items() if not isinstance(x, str)} or None

    def _own(self) -> dict[str, Any]:
        """What was given as encoder and decoder: a network, or a word."""
        own = {"encoder": self.encoder, "decoder": self.decoder}
        return {role: x for role, x in own.items() if x is not None}

    def _live(self) -> Run:
        """The model in memory, made from record and weights where it was pickled."""
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(self)
        if self._run is None:
            self._run = _restored(self.record_, self.weights_, self._networks())
        return self._run

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_run": None}

    # -- using -----------------------------------------------------------------------------------------------------

    def transform(self, X: Any) -> Any:
        """The code of each row: the mean of q(z given x), (rows, latent)."""
        run = self._live()
        rows = self._checked(X)
        return self._contained(run.encode(rows).z.astype(_dtype(rows), copy=False), X)

    def inverse_transform(self, X: Any) -> NDArray[Any]:
        """Rows from codes: the mean of p(x given z), in the units that `fit` was given."""
        run = self._live()
        z = np.asarray(X)
        return run.decode(z).astype(_dtype(z), copy=False)

    def score(self, X: Any, y: Any = None) -> float:
        """Mean over rows, higher is better: the ELBO in nats for a model that bounds the likelihood, else minus the
        mean squared error of reconstruction, both in the model's own scaling."""
        import torch

        from elboroom.data.stream import in_order
        from elboroom.engine.runtime import mix, seed_draws, seeded

        run = self._live()
        rows = run.read(self._checked(X)).parts["all"]
        total = 0.0
        with torch.no_grad(), seeded(0):
            for i, raw in enumerate(in_order(rows, 512)):
                seed_draws(mix(self.seed, "score", i))
                total += float(_scores(run.model, run.transform(raw)).double().sum())
        return total / len(rows)

    # -- frames ----------------------------------------------------------------------------------------------------

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """vae0, vae1 ...: the model's name and the number of the latent."""
        from elboroom.core.abilities import Decodes

        model = self._live().model
        if not isinstance(model, Decodes):
            raise Unable(f"{self.model} cannot name columns: it gives no codes")
        width = model.code_size
        return np.array([f"{self.model}{i}" for i in range(width)], dtype=object)

    def set_output(self, *, transform: str | None = None) -> Self:
        """What `transform` gives: "default" (an array), "pandas" or "polars"."""
        if transform not in (None, "default", "pandas", "polars"):
            raise InputError(f"set_output: transform is default, pandas or polars, not {transform!r}")
        if transform is not None:
            self._sklearn_output_config["transform"] = transform
        return self

    def _contained(self, z: NDArray[Any], X: Any) -> Any:
        """Codes in the container that was asked for."""
        from sklearn import get_config

        wanted = self._sklearn_output_config.get("transform") or get_config()["transform_output"]
        names = list(self.get_feature_names_out())
        if wanted == "pandas":
            import pandas

            return pandas.DataFrame(z, columns=names, index=X.index if isinstance(X, pandas.DataFrame) else None)
        if wanted == "polars":
            import polars

            return polars.DataFrame(z, schema=names)
        return z

    # -- scikit-learn's protocol -----------------------------------------------------------------------------------

    def _checked(self, X: Any, *, first: bool = False) -> Any:
        """X as numbers, its width and names compared with those of `fit`."""
        from sklearn.utils.validation import validate_data

        return validate_data(
            self,
            X,
            reset=first,
            accept_sparse="csr",
            dtype=[np.float64, np.float32],
            ensure_all_finite="allow-nan",
            ensure_min_samples=2 if first else 1,
        )

    def __sklearn_is_fitted__(self) -> bool:
        return "weights_" in self.__dict__

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type="transformer",
            target_tags=TargetTags(required=False),
            transformer_tags=TransformerTags(preserves_dtype=["float64", "float32"]),
            input_tags=InputTags(sparse=True, allow_nan=True),
        )


def _restored(record: dict[str, Any], weights: bytes, networks: dict[str, Any] | None) -> Run:
    """A run without a folder."""
    from safetensors.torch import load

    from elboroom.artifacts.run import RunFolder
    from elboroom.core.spec import Spec
    from elboroom.data.transforms import transform_from_json
    from elboroom.engine.runtime import seeded
    from elboroom.run import Run
    from elboroom.settings import build

    kind = registry.load(record["model"])
    config, spec = build(kind.Config, record["settings"], record["model"]), Spec.from_json(record["data"]["spec"])
    with seeded(0):
        model = kind(config, spec, networks=networks) if networks else kind(config, spec)  # type: ignore[call-arg]
    transform = transform_from_json(record["data"]["transform"])
    tensors = load(weights)
    model.load_state_dict({name: x for name, x in tensors.items() if not name.startswith("data.")})
    transform.load_state_dict({k.removeprefix("data."): x for k, x in tensors.items() if k.startswith("data.")})
    return Run(RunFolder(Path(), record), model.eval(), transform)


def _differ(value: Any, other: Any) -> bool:
    """Whether two parameters differ; what is no plain value (an array someone passed) always does."""
    plain = isinstance(value, str | int | float | tuple | list | dict | None)
    return not plain or bool(value != other)


@cache
def _fields(model: str) -> tuple[registry.Field, ...]:
    """The model's settings, its file read once: a search asks for them at every clone."""
    return registry.entry(model).fields


def _dtype(x: Any) -> np.dtype[Any]:
    """What codes come in: the caller's own floating type, else float32."""
    return np.dtype(x.dtype) if x.dtype.kind == "f" else np.dtype(np.float32)


def _scores(model: Model, batch: Batch) -> Tensor:
    """(batch,): what `score` is the mean of."""
    from elboroom.core.abilities import Bounds, Decodes, Encodes

    if isinstance(model, Bounds):
        return model.log_weights(batch, DRAWS).mean(0)
    if not (isinstance(model, Encodes) and isinstance(model, Decodes)):
        raise Unable(f"{type(model).__name__} neither bounds the likelihood nor reconstructs: it has no score")
    square = (model.decode(model.encode(batch).mean).mean - batch.x).square().flatten(1)
    if batch.observed is None:
        return -square.mean(1)
    seen = batch.observed.flatten(1)
    return -(square * seen).sum(1) / seen.sum(1).clamp_min(1)
