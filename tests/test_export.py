"""Exports compute what the run computes, in files that know nothing of elboroom."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from elboroom.core.errors import InputError, Unable
from elboroom.core.spec import Spec
from elboroom.data.transforms import image_transform
from elboroom.export import ENDINGS, Encoder, export, graphs

if TYPE_CHECKING:
    from elboroom.run import Run

Arrays = dict[str, np.ndarray]
Caller = Callable[[Arrays], Arrays]
TOLERANCE = 1e-5


@pytest.fixture(scope="session")
def exported(digits_run: Run, table_run: Run, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    """(run, form) -> the folder of all its graphs."""
    found = {}
    for name, run in (("digits", digits_run), ("table", table_run)):
        for form in ("onnx", "torch"):
            found[name, form] = export(run, form, tmp_path_factory.mktemp("export") / f"{name}-{form}")
    return found


def opened(path: Path) -> Caller:
    """A graph by the library that reads such files."""
    if path.suffix == ".onnx":
        onnxruntime = pytest.importorskip("onnxruntime")
        session = onnxruntime.InferenceSession(str(path))
        names = [o.name for o in session.get_outputs()]
        return lambda given: dict(zip(names, session.run(None, given), strict=True))
    program = torch.export.load(path).module()
    names = {"encoder": ["z", "z_sd"], "decoder": ["x"], "reconstruct": ["reconstruction", "z"]}[path.stem]

    def call(given: Arrays) -> Arrays:
        out = program(*(torch.from_numpy(v) for v in given.values()))
        parts = out if isinstance(out, tuple) else (out,)
        return {name: part.detach().numpy() for name, part in zip(names, parts, strict=True)}

    return call


def cells(run: Run, source: Any) -> np.ndarray:
    """The raw rows of `source` as a graph takes them: NaN where a cell is missing."""
    rows = run.read(source).parts["all"]
    raw = rows.take(torch.arange(len(rows)))
    x = raw["x"].to(torch.float64 if raw["x"].dtype == torch.float64 else torch.float32)
    return (x if "observed" not in raw else x.masked_fill(~raw["observed"], torch.nan)).numpy()


def close(got: np.ndarray, want: np.ndarray) -> bool:
    """Agreement to 1e-5 of the largest value of each column or picture."""
    scale = 1 + np.abs(want).max(axis=0, keepdims=True)
    return got.shape == want.shape and bool((np.abs(got - want) / scale).max() <= TOLERANCE)


@pytest.mark.parametrize("form", ["onnx", "torch"])
@pytest.mark.parametrize("name", ["digits", "table"])
def test_every_graph_agrees_with_the_run_to_1e_5(
    name: str, form: str, exported: dict[tuple[str, str], Path], digits_run: Run, table_run: Run
) -> None:
    run = digits_run if name == "digits" else table_run
    source: Any = "digits" if name == "digits" else str(run.path.parent / "table.csv")
    x = cells(run, source)
    graph = {p.stem: opened(p) for p in exported[name, form].iterdir()}
    assert set(graph) == {"encoder", "decoder", "reconstruct"}
    codes = run.encode(source)
    encoded = graph["encoder"]({"x": x})
    assert close(encoded["z"], codes.z)
    assert close(encoded["z_sd"], codes.z_sd)
    assert close(graph["decoder"]({"z": codes.z})["x"], run.decode(codes.z))
    whole = graph["reconstruct"]({"x": x})
    assert close(whole["reconstruction"], run.reconstruct(source).x)
    assert close(whole["z"], codes.z)


@pytest.mark.parametrize("form", ["onnx", "torch"])
def test_a_graph_takes_any_number_of_rows(form: str, exported: dict[tuple[str, str], Path]) -> None:
    decoder = opened(exported["digits", form] / f"decoder{ENDINGS[form]}")
    z = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    whole = decoder({"z": z})["x"]
    for n in (1, 2, 5):
        assert close(decoder({"z": z[:n]})["x"], whole[:n])


def test_an_onnx_file_says_what_its_input_means(exported: dict[tuple[str, str], Path]) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(exported["table", "onnx"] / "reconstruct.onnx")
    onnx.checker.check_model(model)
    about = {p.key: p.value for p in model.metadata_props}
    columns = json.loads(about["elboroom.spec"])["columns"]
    assert [c["name"] for c in columns] == ["age", "visits", "ward"]
    assert sorted(columns[2]["categories"]) == ["east", "north", "south"]


def test_a_file_holds_the_graph_that_does_most(digits_run: Run, tmp_path: Path) -> None:
    path = export(digits_run, "torch", tmp_path / "one.pt2")
    out = torch.export.load(path).module()(torch.zeros(4, 1, 8, 8))
    assert [tuple(o.shape) for o in out] == [(4, 1, 8, 8), (4, 3)]


def test_dynamic_binarisation_is_a_function_of_the_pixel_when_exported() -> None:
    from elboroom.core import registry

    kind = registry.load("vae")
    spec = Spec(kind="images", shape=(1, 8, 8), scale="dynamic", levels=2, low=0, high=1)
    model = kind(kind.Config(latent=2, hidden=(8,)), spec)
    graph = Encoder(model, image_transform("dynamic", 255.0)).eval()
    x = torch.randint(0, 256, (3, 1, 8, 8), dtype=torch.uint8)
    assert graph.example().dtype == torch.uint8
    assert torch.equal(graph(x)[0], graph(x)[0])


def test_the_weights_are_the_runs_own_to_the_byte(digits_run: Run, tmp_path: Path) -> None:
    own = (digits_run.path / "weights.safetensors").read_bytes()
    assert export(digits_run, "safetensors", tmp_path / "w.safetensors").read_bytes() == own
    folder = export(digits_run, "safetensors", tmp_path / "hub")
    assert (folder / "weights.safetensors").read_bytes() == own
    assert (folder / "README.md").read_text(encoding="utf-8") == (digits_run.path / "card.md").read_text(
        encoding="utf-8"
    )
    assert json.loads((folder / "run.json").read_text(encoding="utf-8"))["model"] == "vae"


def test_a_wrong_form_or_ending_is_refused_and_nothing_is_written(digits_run: Run, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="did you mean 'onnx'"):
        export(digits_run, "onx", tmp_path / "a.onnx")
    with pytest.raises(InputError, match=r"ending in \.onnx"):
        export(digits_run, "onnx", tmp_path / "a.pt2")
    assert list(tmp_path.iterdir()) == []


def test_what_exists_is_replaced_only_when_told_to(digits_run: Run, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(b"mine")
    with pytest.raises(InputError, match="exists already"):
        export(digits_run, "safetensors", path)
    assert path.read_bytes() == b"mine"
    export(digits_run, "safetensors", path, force=True)
    assert path.read_bytes() != b"mine"


def test_a_model_without_code_has_no_graph(digits_run: Run, tmp_path: Path) -> None:
    class Bare(torch.nn.Module):
        spec = digits_run.spec

    assert graphs(Bare(), digits_run.transform) == []  # type: ignore[arg-type]
    blind = type(digits_run)(digits_run.folder, Bare(), digits_run.transform)  # type: ignore[arg-type]
    with pytest.raises(Unable, match="no graph"):
        export(blind, "onnx", tmp_path / "a.onnx")
    assert list(tmp_path.iterdir()) == []
