"""A run: a folder on disk and the model in it, ready to use.

Everything goes in and comes out in the user's units; the model's own space stays inside.
"""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elboroom.artifacts.files import read_json
from elboroom.artifacts.run import RunFolder
from elboroom.artifacts.tensors import load_tensors
from elboroom.core import registry
from elboroom.core.abilities import ABILITIES, Attends, Decodes, Encodes, Gates, Looks
from elboroom.core.errors import InputError, Unable
from elboroom.core.model import Model
from elboroom.core.spec import Spec
from elboroom.data.source import Dataset, read_like
from elboroom.data.stream import in_order
from elboroom.data.transforms import Transform, transform_from_json
from elboroom.engine.runtime import mix, seed_draws, seeded
from elboroom.settings import build

if TYPE_CHECKING:
    from elboroom.classification import Classes
    from elboroom.drawing import Label
    from elboroom.generation import Generation
    from elboroom.imputation import Imputed

__all__ = ["Codes", "Reconstruction", "Run", "load", "require"]

ROWS = 512


@dataclass
class Codes:
    """What `encode` gives: one row an example, in input order."""

    z: NDArray[np.float32]
    """(n, latent): means of q(z given x)."""
    z_sd: NDArray[np.float32]
    """(n, latent): its standard deviations; 0 where the code is a point."""
    label: NDArray[np.int64] | None
    index: NDArray[np.int64]
    """Row numbers in the input."""
    classes: tuple[str, ...] = ()
    names: dict[str, Any] = field(default_factory=dict)
    """Row names, where the input has them."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, latent)."""
        return self.z.shape

    def __len__(self) -> int:
        return len(self.z)

    def __getitem__(self, key: Any) -> Any:
        """Rows or cells of the means."""
        return self.z[key]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self.z, dtype=dtype)


@dataclass
class Reconstruction:
    """What `reconstruct` gives, in the user's units where the scaling can be undone."""

    x: NDArray[Any]
    original: NDArray[Any]
    index: NDArray[np.int64]
    names: dict[str, Any] = field(default_factory=dict)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self.x, dtype=dtype)


def require(model: Model, ability: type, verb: str, name: str) -> None:
    """Refuse what the model lacks, naming the models that can."""
    if not isinstance(model, ability):
        able = registry.able(ability.__name__)
        raise Unable(f"{name} cannot {verb}; {', '.join(able) or 'no model'} can")


class Run:
    """A finished (or stopped) run. `folder` is where it lies, `model` an nn.Module in evaluation mode."""

    def __init__(
        self,
        folder: RunFolder,
        model: Model,
        transform: Transform,
        *,
        source: Any = None,
        temporary: Path | None = None,
        dataset: Dataset | None = None,
    ) -> None:
        self.folder = folder
        self.model = model
        self.transform = transform
        self.spec: Spec = model.spec
        self.name: str = folder.meta["model"]
        self._source = source
        # a series is judged next, every row; what else was trained on need not stay in memory
        self._dataset = dataset if dataset is not None and dataset.series is not None else None
        if temporary is not None:  # goes with this object
            weakref.finalize(self, shutil.rmtree, temporary, ignore_errors=True)

    def __repr__(self) -> str:
        abilities = ", ".join(a.__name__ for a in ABILITIES if isinstance(self.model, a))
        return f"Run({self.folder.path}: {self.name}, {self.folder.meta['state']}; {abilities})"

    @property
    def path(self) -> Path:
        """The run folder."""
        return self.folder.path

    @property
    def meta(self) -> dict[str, Any]:
        """run.json."""
        return self.folder.meta

    @property
    def metrics(self) -> dict[str, dict[str, Any]]:
        """metrics.json, empty before the first evaluation."""
        return read_json(self.folder.metrics) if self.folder.metrics.is_file() else {}

    def save(self, path: str | Path, *, force: bool = False) -> Run:
        """Copy the whole run to `path` and give the run there."""
        from elboroom.artifacts.files import make_folder, output

        make_folder(Path(path).expanduser().absolute().parent)
        with output(Path(path), force=force) as target:
            shutil.copytree(self.path, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("lock"))
        return load(path, source=self._source)

    def dataset(self) -> Dataset:
        """The run's own data: those it was just trained on where it holds them, else read again; refused where they
        changed."""
        if self._dataset is not None:
            return self._dataset
        from elboroom.fitting import same_data

        return same_data(self.meta, self._source)

    def read(self, source: Any) -> Dataset:
        """New data, read as the run's own were; one part "all" in input order."""
        return read_like(source, self.meta["data"], self.transform)

    # -- abilities -------------------------------------------------------------------------------------------------

    def encode(self, source: Any) -> Codes:
        """Codes of every row of `source`."""
        require(self.model, Encodes, "encode", self.name)
        data = self.read(source)
        means, sds, labels = [], [], []
        with torch.no_grad():
            for raw in in_order(data.parts["all"], ROWS):
                code = self._encode(raw)
                means.append(code[0])
                sds.append(code[1])
                labels.append(raw.get("label"))
        label = None if any(x is None for x in labels) else torch.cat(labels).numpy()  # type: ignore[arg-type]
        return Codes(
            z=torch.cat(means).numpy(),
            z_sd=torch.cat(sds).numpy(),
            label=label,
            index=data.parts["all"].index,
            classes=data.spec.classes,
            names=data.identifiers,
        )

    def decode(self, z: Any) -> NDArray[Any]:
        """The mean of p(x given z) for codes (n, latent), in the user's units."""
        require(self.model, Decodes, "decode", self.name)
        codes = torch.as_tensor(np.asarray(z), dtype=torch.float32)
        assert isinstance(self.model, Decodes)
        width = self.model.code_size
        if codes.ndim != 2 or codes.shape[1] != width:
            raise InputError(f"codes of this run have shape (n, {width}), these have {tuple(codes.shape)}")
        if not bool(torch.isfinite(codes).all()):
            raise InputError("the codes hold values that are not finite")
        with torch.no_grad():
            parts = [self.transform.undo(self._decode(chunk)) for chunk in codes.split(ROWS)]
        return _joined(parts, self.transform, self.spec)

    def reconstruct(self, source: Any) -> Reconstruction:
        """`encode` then `decode` of every row of `source`."""
        require(self.model, Encodes, "reconstruct", self.name)
        require(self.model, Decodes, "reconstruct", self.name)
        data = self.read(source)
        made, given = [], []
        with torch.no_grad():
            for i, raw in enumerate(in_order(data.parts["all"], ROWS)):
                seed_draws(mix(self.meta["runtime"]["seed"], "reconstruct", i))
                batch = self.transform(raw)
                mean, _ = self._encode(raw)
                made.append(self.transform.undo(self._decode(mean)))
                given.append(self.transform.undo(batch.x))
        return Reconstruction(
            x=_joined(made, self.transform, self.spec),
            original=_joined(given, self.transform, self.spec),
            index=data.parts["all"].index,
            names=data.identifiers,
        )

    def classify(self, source: Any) -> Classes:
        """The class of every sequence of `source`, or of each of its steps, with the probability of every class."""
        from elboroom.classification import classify

        return classify(self, source)

    def impute(self, source: Any, *, observed: Sequence[str] = ()) -> Imputed:
        """Missing cells of `source` filled in, with standard deviations; `observed`: only these columns are given."""
        from elboroom.imputation import impute

        return impute(self, source, observed)

    def sample(
        self,
        n: int,
        *,
        seed: int = 0,
        mean: bool = False,
        temperature: float = 1.0,
        label: Label = None,
        truncation: float | None = None,
    ) -> NDArray[Any]:
        """`n` new examples in the user's units; the same seed gives the same examples.

        `label`, for models that know classes: a name or number, one for each example, or "all" for each in turn.
        `truncation`, for models that make an example of noise: the largest number in it.
        """
        from elboroom.drawing import samples

        drawn = samples(self, n, seed=seed, mean=mean, temperature=temperature, label=label, truncation=truncation)
        return self.in_units(drawn.x)

    def in_units(self, parts: list[Tensor]) -> NDArray[Any]:
        """Batches of the model's space as one array in the user's units."""
        return _joined([self.transform.undo(x) for x in parts], self.transform, self.spec)

    def generate(
        self,
        prompt: str | Sequence[str] = "",
        *,
        tokens: int = 100,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        min_p: float = 0.0,
        repetition_penalty: float = 1.0,
        greedy: bool = False,
        stop: str | Sequence[str] = (),
        seed: int = 0,
        n: int = 1,
        logprobs: int = 0,
    ) -> Generation | list[Generation]:
        """Go on writing: one text for one prompt, a list for a list of them or for n > 1; see elboroom.generation."""
        from elboroom.generation import generate, model_and_tokenizer

        texts = generate(
            *model_and_tokenizer(self),
            prompt,
            tokens=tokens,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            min_p=min_p,
            repetition_penalty=repetition_penalty,
            greedy=greedy,
            stop=stop,
            seed=seed,
            n=n,
            logprobs=logprobs,
        )
        return texts[0] if isinstance(prompt, str) and n == 1 else texts

    def forecast(self, source: Any, *, horizon: int, level: float = 0.9, seed: int = 0) -> Any:
        """What comes after the end of each series of `source`: elboroom.forecasting.Forecast, one or a list."""
        from elboroom.forecasting import forecast

        found = forecast(self, source, horizon, level=level, seed=seed)
        return found[0] if len(found) == 1 else found

    def detect(self, source: Any, *, alarms_per_day: float = 0.0, smoothing: str = "centred") -> Any:
        """What is unusual in `source`: elboroom.detecting.Found."""
        from elboroom.detecting import asked_for, judge

        return judge(self, source, asked_for(alarms_per_day=alarms_per_day, smoothing=smoothing))

    def stream(self, *, alarms_per_day: float = 0.0, follow_shifts: bool = True) -> Any:
        """A detector that reads row by row: `.update(t, x)` gives a verdict; see elboroom.anomalies.stream."""
        from elboroom.detecting import stream

        return stream(self, alarms_per_day=alarms_per_day, follow_shifts=follow_shifts)

    def evaluate(self, source: Any = None, *, samples: int = 0, ais: int = 0, write: bool = False) -> Any:
        """Every measure the model's abilities allow: on the run's own held-out part, or on all rows of `source`.

        `ais`: examples on which the likelihood is audited; see elboroom.evaluate_audit.
        """
        from elboroom.evaluate_run import evaluate_run

        return evaluate_run(self, source, samples=samples, ais=ais, write=write)

    def inspect(
        self,
        source: Any = None,
        *,
        text: str | None = None,
        layer: int | None = None,
        head: int | None = None,
        unit: int | None = None,
        step: int | None = None,
        backward: bool = False,
    ) -> Any:
        """Pictures of what the model holds: its code, where it looks in a text, or what flows inside its cells."""
        if head is not None:
            require(self.model, Attends, "say where it looks in a text", self.name)
        if unit is not None or step is not None or backward:
            require(self.model, Gates, "show what flows inside a cell", self.name)
        if isinstance(self.model, Gates):
            from elboroom.inspect_cells import look as look_inside
            from elboroom.report.cell import CellFlow

            places: dict[str, Any] = {"layer": layer or 1, "unit": unit, "step": step, "backward": backward}
            return CellFlow.of(look_inside(self, text, source, **places), name=self.path.name)
        if isinstance(self.model, Attends):
            from elboroom.inspect_text import look
            from elboroom.report.attention import Attention

            found = look(self, text, source, layer=1 if layer is None else layer, head=1 if head is None else head)
            return Attention.of(found, name=self.path.name)
        if isinstance(self.model, Looks) and (source, text, layer) == (None, None, None):
            from elboroom.inspect_looks import look as look_at_samples

            return look_at_samples(self)
        from elboroom.inspect import inspect

        if text is not None or layer is not None:
            require(self.model, Attends, "say where it looks in a text", self.name)
        return inspect(self, source)

    def diagnose(self) -> list[dict[str, Any]]:
        """Findings with their numbers, as `elboroom diagnose` prints them."""
        from elboroom.diagnose import diagnose

        return diagnose(self.path)

    def report(self, out: str | Path | None = None) -> Path:
        """Write report.html (or `out`) and give its path."""
        from elboroom.report.build import write

        return write(self.path, None if out is None else Path(out))

    def export(self, form: str, file: str | Path) -> Path:
        """Write the model for other programs: onnx, torch or safetensors."""
        from elboroom.export import export

        return export(self, form, Path(file))

    def resume(self, *, source: Any = None, steps: int = 0, progress: Callable[..., None] = lambda event: None) -> Run:
        """Go on to the end asked for, or `steps` further."""
        from elboroom.fitting import resume

        return resume(self.path, source=self._source if source is None else source, steps=steps, progress=progress)

    # -- in the model's own space ------------------------------------------------------------------------------------

    def _encode(self, raw: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        assert isinstance(self.model, Encodes)
        code = self.model.encode(self.transform(raw))
        return code.mean, code.stddev

    def _decode(self, z: Tensor) -> Tensor:
        assert isinstance(self.model, Decodes)
        return self.model.decode(z).mean


def _joined(parts: list[Tensor], transform: Transform, spec: Spec) -> NDArray[Any]:
    return torch.cat(parts).numpy()


def load(
    path: str | Path,
    *,
    source: Any = None,
    networks: dict[str, torch.nn.Module] | None = None,
    temporary: Path | None = None,
    dataset: Dataset | None = None,
) -> Run:
    """Open a run folder and load its weights. `networks` are the user's own, where the run was made with such;
    `dataset` the data it was just trained on, so that they need not be read again."""
    folder = RunFolder.open(path)
    meta = folder.meta
    if not folder.weights.is_file():
        raise InputError(
            f"{path}: the run has no weights yet (state: {meta['state']}); go on with: elboroom resume {path}"
        )
    if meta["networks"] == "own" and networks is None:
        raise InputError(f"{path} was made with networks of your own; pass them: load(path, networks={{...}})")
    kind = registry.load(meta["model"])
    spec = Spec.from_json(meta["data"]["spec"])
    config = build(kind.Config, meta["settings"], meta["model"])
    with seeded(0):
        model = kind(config, spec, networks=networks) if networks else kind(config, spec)  # type: ignore[call-arg]
    tensors = {
        name: torch.as_tensor(x)
        for name, x in load_tensors(folder.weights, sha256=meta.get("weights_sha256", "")).items()
    }
    transform = transform_from_json(meta["data"]["transform"])
    _load_into(model, {k: v for k, v in tensors.items() if not k.startswith("data.")}, path)
    _load_into(transform, {k.removeprefix("data."): v for k, v in tensors.items() if k.startswith("data.")}, path)
    model.eval()
    return Run(folder, model, transform, source=source, temporary=temporary, dataset=dataset)


def _load_into(module: torch.nn.Module, tensors: dict[str, Tensor], path: str | Path) -> None:
    try:
        module.load_state_dict(tensors)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise InputError(f"{path}: weights.safetensors does not fit run.json: {reason}") from error
