"""A run for programs that know nothing of elboroom: ONNX, torch.export, or the weights alone.

The graphs take what the user has (raw pixels, table cells with NaN where one is missing) and give the user's units
back: the scaling is inside. A graph is a function, so nothing in it is drawn: codes are the means of q(z given x),
results the means of p(x given z).
"""

from __future__ import annotations

import json
import logging
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from elboroom.artifacts.files import output, write_json, write_text
from elboroom.artifacts.tensors import save_tensors
from elboroom.core.abilities import Decodes, Encodes
from elboroom.core.batch import Batch
from elboroom.core.errors import InputError, Unable, nearest
from elboroom.core.model import Model
from elboroom.core.spec import Spec
from elboroom.data.transforms import Transform, image_transform
from elboroom.gpt2_weights import is_gpt2, write_gpt2

if TYPE_CHECKING:
    from elboroom.run import Run

__all__ = ["FORMS", "Decoder", "Encoder", "Graph", "Reconstructor", "export", "graphs"]

ENDINGS = {"onnx": ".onnx", "torch": ".pt2", "safetensors": ".safetensors"}
FORMS = tuple(ENDINGS)


class Graph(nn.Module, ABC):
    """One function of a run: named tensors in, named tensors out; the first axis is free."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @abstractmethod
    def example(self) -> Tensor:
        """Two rows of the one input."""


class _Source(nn.Module):
    """Raw rows to a Batch without draws."""

    def __init__(self, transform: Transform, spec: Spec) -> None:
        super().__init__()
        # dynamic binarisation draws x anew each time; in a function the pixel stands for its own expectation
        drawn = spec.scale == "dynamic"
        self.transform = image_transform("unit", transform.to_json()["white"]) if drawn else transform
        self.masked = spec.masked

    def forward(self, x: Tensor) -> Batch:
        if not self.masked:
            return self.transform({"x": x})  # type: ignore[no-any-return]
        observed = ~torch.isnan(x)
        return self.transform({"x": torch.nan_to_num(x), "observed": observed})  # type: ignore[no-any-return]


class Encoder(Graph):
    """x -> z, z_sd: mean and standard deviation of q(z given x), (batch, latent) each."""

    name, inputs, outputs = "encoder", ("x",), ("z", "z_sd")

    def __init__(self, model: Model, transform: Transform) -> None:
        super().__init__()
        self.model, self.source, self.spec = model, _Source(transform, model.spec), model.spec

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        code = self.model.encode(self.source(x))  # type: ignore[operator]
        return code.mean, code.stddev

    def example(self) -> Tensor:
        return _raw_example(self.source.transform, self.spec)


class Decoder(Graph):
    """z -> x: the mean of p(x given z) in the user's units."""

    name, inputs, outputs = "decoder", ("z",), ("x",)

    def __init__(self, model: Model, transform: Transform) -> None:
        super().__init__()
        assert isinstance(model, Decodes)
        self.model, self.transform, self.size = model, transform, model.code_size

    def forward(self, z: Tensor) -> Tensor:
        return self.transform.undo(self.model.decode(z).mean)

    def example(self) -> Tensor:
        return torch.zeros(2, self.size)


class Reconstructor(Graph):
    """x -> reconstruction, z: through the code and back."""

    name, inputs, outputs = "reconstruct", ("x",), ("reconstruction", "z")

    def __init__(self, model: Model, transform: Transform) -> None:
        super().__init__()
        self.model, self.transform, self.spec = model, transform, model.spec
        self.source = _Source(transform, model.spec)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.model.encode(self.source(x)).mean  # type: ignore[operator]
        return self.transform.undo(self.model.decode(z).mean), z  # type: ignore[operator]

    def example(self) -> Tensor:
        return _raw_example(self.source.transform, self.spec)


def _raw_example(transform: Transform, spec: Spec) -> Tensor:
    """Two rows as a user has them: bytes for images of 256 levels, else numbers."""
    if transform.to_json().get("white") == 255:
        return torch.zeros(2, *spec.shape, dtype=torch.uint8)
    wide = any(b.dtype == torch.float64 for b in transform.buffers())
    return torch.zeros(2, *spec.shape, dtype=torch.float64 if wide else torch.float32)


def graphs(model: Model, transform: Transform) -> list[Graph]:
    """Every function this model can be exported as; the one that does most comes first."""
    found: list[Graph] = []
    if isinstance(model, Encodes) and isinstance(model, Decodes):
        found.append(Reconstructor(model, transform))
    if isinstance(model, Encodes):
        found.append(Encoder(model, transform))
    if isinstance(model, Decodes):
        found.append(Decoder(model, transform))
    return [graph.eval() for graph in found]


def export(run: Run, form: str, path: Path, *, force: bool = False) -> Path:
    """Write `run` to `path`: a file of the form's ending holds its foremost graph, a folder all of them.

    onnx: `.onnx`, for any ONNX runtime. torch: `.pt2`, for `torch.export.load`. safetensors: every weight, with the
    numbers of the scaling under `data.`; a folder also gets run.json and the card. Raises InputError for another form
    or ending, Unable where the model has no such function or the extra is missing.
    """
    if form not in ENDINGS:
        raise InputError(f"there is no form {form!r}{nearest(form, FORMS)}; forms: {', '.join(FORMS)}")
    if path.suffix not in ("", ENDINGS[form]):
        raise InputError(f"{path}: {form} goes into a file ending in {ENDINGS[form]}, or a folder (no ending)")
    with output(path, force=force) as place:
        if not path.suffix:
            place.mkdir()
        if form == "safetensors":
            _write_weights(run, place)
        else:
            _write_graphs(run, form, place)
    return path


def _write_weights(run: Run, place: Path) -> None:
    tensors = {**run.model.state_dict(), **{f"data.{k}": v for k, v in run.transform.state_dict().items()}}
    if place.is_dir():
        if is_gpt2(run):
            write_gpt2(run, place)
        else:
            save_tensors(place / "weights.safetensors", tensors, new=True)
        write_json(place / "run.json", run.meta)
        card = run.path / "card.md"
        if card.is_file():
            write_text(place / "README.md", card.read_text(encoding="utf-8"))
    else:
        save_tensors(place, tensors, new=True)


def _write_graphs(run: Run, form: str, place: Path) -> None:
    found = graphs(run.model, run.transform)
    if not found:
        raise Unable(
            f"{run.name} neither encodes nor decodes, so it has no graph; export its weights: --format safetensors"
        )
    about = {"elboroom.model": run.name, "elboroom.spec": json.dumps(run.spec.to_json())}
    for graph in found if place.is_dir() else found[:1]:
        target = place / f"{graph.name}{ENDINGS[form]}" if place.is_dir() else place
        with _quiet(), torch.no_grad():
            if form == "onnx":
                _write_onnx(graph, target, about)
            else:
                program = torch.export.export(graph, (graph.example(),), dynamic_shapes=_free_axis(graph))
                torch.export.save(program, target)


def _write_onnx(graph: Graph, target: Path, about: dict[str, str]) -> None:
    try:
        import onnxscript  # noqa: F401  torch's exporter needs it and says so only in passing
    except ModuleNotFoundError as error:
        raise Unable('writing ONNX needs an extra: pip install "elboroom[onnx]"') from error
    program = torch.onnx.export(
        graph,
        (graph.example(),),
        input_names=list(graph.inputs),
        output_names=list(graph.outputs),
        dynamic_shapes=_free_axis(graph),
        dynamo=True,
        verbose=False,
    )
    if program is None:
        raise RuntimeError("torch.onnx.export gave no program")
    program.model.metadata_props.update(about)
    program.save(target, external_data=False)


def _free_axis(graph: Graph) -> tuple[dict[int, Any], ...]:
    return tuple({0: torch.export.Dim("batch", min=1)} for _ in graph.inputs)


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporters warn of their own insides, which a user can do nothing about."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
