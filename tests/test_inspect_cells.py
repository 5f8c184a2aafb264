"""`inspect` on recurrent models: every number that is drawn follows from weights and input alone."""

from __future__ import annotations

import csv
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cells_by_hand import CELLS, by_hand
from elboroom.cli.main import main
from elboroom.core.abilities import Gates
from elboroom.core.batch import Batch
from elboroom.core.errors import InputError, Unable
from elboroom.core.model import Model
from elboroom.core.spec import Column, Spec
from elboroom.engine.runtime import seed_draws
from elboroom.inspect_cells import cell_arrays, of_data
from elboroom.models._sequence import Recurring
from elboroom.models.charnn import CharRNN
from elboroom.models.forecaster import Forecaster
from elboroom.nn.recurrent import Recurrent
from elboroom.report.cell import CellFlow
from elboroom.run import Run, load
from text_toys import few_drawn

Matrix = np.ndarray[Any, Any]
STEPS = 14
SVG = "{http://www.w3.org/2000/svg}"


def shaken(model: Model) -> Model:
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p) * 0.4)
    return model


def of_text(cell: str, layers: int = 2) -> Model:
    seed_draws(0)
    config = CharRNN.Config(cell=cell, hidden=6, layers=layers, embedding=4, dropout=0.5)  # type: ignore[arg-type]
    return shaken(CharRNN(config, Spec(kind="text", shape=(32,), scale="tokens", levels=9)))


def of_series(cell: str) -> Model:
    seed_draws(1)
    config = Forecaster.Config(cell=cell, hidden=5, layers=2, horizon=2)  # type: ignore[arg-type]
    columns = tuple(Column(name=name) for name in ("a", "b"))
    spec = Spec(kind="series", shape=(16, 2), scale="standard", columns=columns, masked=True)
    return shaken(Forecaster(config, spec))


def text_case(cell: str) -> tuple[Model, Batch, Matrix]:
    """A model, a text, and what its first layer reads: the embeddings."""
    model, ids = of_text(cell), np.random.default_rng(2).integers(9, size=STEPS + 1)
    table = model.state_dict()["tokens.weight"].numpy()
    return model, Batch(torch.from_numpy(ids)[None]), table[ids[:-1]]


def series_case(cell: str) -> tuple[Model, Batch, Matrix]:
    """A model, rows with holes, and what its first layer reads: values, 0 where missing, and what is there."""
    rng = np.random.default_rng(3)
    x, there = rng.normal(size=(STEPS, 2)), rng.random((STEPS, 2)) < 0.8
    batch = Batch(torch.tensor(x, dtype=torch.float32)[None], observed=torch.from_numpy(there)[None])
    return of_series(cell), batch, np.concatenate([np.where(there, x, 0), there], 1)


def layers_by_hand(cell: str, model: Model, x: Matrix) -> list[dict[str, Matrix]]:
    weights = {name.removeprefix("net.net."): p.numpy() for name, p in model.state_dict().items()}
    first = by_hand(cell, weights, x, 0)
    return [first, by_hand(cell, weights, first["h"], 1)]


ABOUT = {"steps": np.array([f"s{i}" for i in range(STEPS)]), "said": np.array("Said.")}
CASES = {"text": text_case, "series": series_case}


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("case", CASES)
def test_every_gate_and_state_of_every_layer_follows_from_weights_and_input(cell: str, case: str) -> None:
    model, batch, x = CASES[case](cell)
    assert isinstance(model, Gates)
    for layer, want in enumerate(layers_by_hand(cell, model, x), 1):
        got = cell_arrays(model, batch, ABOUT, layer=layer)
        named = set(got) - {"cell", "layer", "layers", "unit", "step", "x", *ABOUT}
        assert named <= set(want)
        assert {"h", f"x_{'r' if cell == 'gru' else 'h' if cell == 'rnn' else 'o'}"} <= named
        for name in named:
            np.testing.assert_allclose(got[name], want[name], atol=1e-5, err_msg=name)
        assert (str(got["cell"]), int(got["layers"])) == (cell, 2)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("case", CASES)
def test_every_number_in_the_drawing_follows_from_weights_and_input(cell: str, case: str) -> None:
    model, batch, x = CASES[case](cell)
    assert isinstance(model, Gates)
    for layer, want in enumerate(layers_by_hand(cell, model, x), 1):
        flow = CellFlow.of(cell_arrays(model, batch, ABOUT, layer=layer, unit=4, step=9))
        seen: set[str] = set()
        for drawn in (c for c in ET.fromstring(flow.svg()).iter(f"{SVG}g") if c.get("class") == "cell"):
            at = int(str(drawn.get("data-step"))) - 1
            for value in (g for g in drawn.iter(f"{SVG}g") if g.get("class") == "value"):
                name = str(value.get("data-name"))
                assert float(str(value.get("data-value"))) == pytest.approx(want[name][at, 3], abs=1e-5), (name, at)
                seen.add(name)
        assert seen == set(want) - {"pre"}


@pytest.mark.parametrize("cell", CELLS)
def test_looking_leaves_the_model_as_it_was_and_draws_no_dropout(cell: str) -> None:
    model, batch, _ = text_case(cell)
    assert isinstance(model, Gates)
    model.train()
    one, two = cell_arrays(model, batch, ABOUT), cell_arrays(model, batch, ABOUT)
    assert model.training
    np.testing.assert_array_equal(one["h"], two["h"])
    logits = model.eval().read(batch.x[:, :-1])[0]  # type: ignore[operator]
    top = cell_arrays(model, batch, ABOUT, layer=2)["h"]
    want = torch.from_numpy(top) @ model.state_dict()["head.weight"].T
    torch.testing.assert_close(logits[0], want, atol=1e-5, rtol=0)


def test_the_unit_that_varies_most_is_drawn_where_it_changes_most() -> None:
    model, batch, _ = text_case("lstm")
    assert isinstance(model, Gates)
    got = cell_arrays(model, batch, ABOUT)
    unit, step = int(got["unit"]), int(got["step"])
    h = got["h"]
    assert h[:, unit - 1].std() == h.std(0).max()
    jumps = np.abs(np.diff(h[:, unit - 1]))
    assert jumps[step - 2] == jumps[STEPS // 8 :].max()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"layer": 3}, "layers go from 1 to 2"),
        ({"unit": 7}, "units go from 1 to 6"),
        ({"step": 1}, "steps go from 2 to 14"),
        ({"step": 15}, "steps go from 2 to 14"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(asked: dict[str, int], said: str) -> None:
    model, batch, _ = text_case("gru")
    assert isinstance(model, Gates)
    with pytest.raises(InputError, match=said):
        cell_arrays(model, batch, ABOUT, **asked)
    with pytest.raises(InputError, match="give a longer one"):
        cell_arrays(model, Batch(batch.x[:, :2]), {"steps": np.array(["a"])})


@pytest.mark.parametrize("cell", CELLS)
def test_of_two_directions_each_is_shown_as_it_reads_and_the_layer_above_reads_both(cell: str) -> None:
    seed_draws(4)
    net = Recurrent(3, 5, cell=cell, layers=2, bidirectional=True)  # type: ignore[arg-type]
    x = np.random.default_rng(4).normal(size=(STEPS, 3)).astype(np.float32)
    weights = {name: p.detach().numpy() for name, p in net.named_parameters()}
    back = {name.removesuffix("_reverse"): p for name, p in weights.items() if name.endswith("_reverse")}
    first = by_hand(cell, weights, x)
    both = np.concatenate([first["h"], by_hand(cell, back, x[::-1])["h"][::-1]], 1)
    with torch.no_grad():
        got = Recurring(net).gates(torch.from_numpy(x)[None])
    for seen, want in zip(got, (first, by_hand(cell, weights, both, 1)), strict=True):
        for name in set(seen) - {"x"}:
            np.testing.assert_allclose(seen[name][0], want[name], atol=1e-5, err_msg=name)
    np.testing.assert_allclose(got[1]["x"][0], both, atol=1e-5)
    with torch.no_grad():
        got = Recurring(net).gates(torch.from_numpy(x)[None], backward=True)
    for seen, want in zip(got, (by_hand(cell, back, x[::-1]), by_hand(cell, back, both[::-1], 1)), strict=True):
        for name in set(seen) - {"x"}:
            np.testing.assert_allclose(seen[name][0], want[name], atol=1e-5, err_msg=name)
    np.testing.assert_allclose(got[1]["x"][0], both[::-1], atol=1e-5)


def test_a_transformer_says_that_it_has_no_gates() -> None:
    seed_draws(0)
    config = CharRNN.Config(cell="transformer", hidden=32, embedding=4)
    model = CharRNN(config, Spec(kind="text", shape=(32,), scale="tokens", levels=9))
    with pytest.raises(Unable, match="no gates"):
        cell_arrays(model, Batch(torch.zeros(1, 5, dtype=torch.int64)), ABOUT)


# -- through the program -------------------------------------------------------------------------------------------

QUICK = ["--threads", "1", "--compile", "off", "--steps", "2", "--batch-size", "4", "--hidden", "6"]
Inspect = Callable[..., tuple[int, Path, str]]


@pytest.fixture(scope="module")
def text_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("text")
    words = np.random.default_rng(0).choice(["cab", "bad", "ice", "a", "\n", "dead", "fade"], 3000)
    (folder / "words.txt").write_text(" ".join(words), encoding="utf-8")
    sizes = ["--cell", "peephole", "--embedding", "4", "--window", "24", "--tokenizer", "char"]
    with few_drawn():
        assert main(["fit", "charnn", str(folder / "words.txt"), *sizes, *QUICK, "--run", str(folder / "run")]) == 0
    return load(folder / "run")


@pytest.fixture(scope="module")
def series_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("series")
    rng = np.random.default_rng(0)
    rows = ["time,load,heat"]
    for k in range(600):
        load_ = "" if k % 50 == 7 else f"{np.sin(k / 9) + rng.normal() * 0.1:.4f}"
        rows.append(f"2026-01-{1 + k // 24:02d} {k % 24:02d}:00,{load_},{20 + rng.normal():.4f}")
    (folder / "pump.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    sizes = ["--cell", "gru", "--window", "16", "--horizon", "2"]
    assert main(["fit", "forecaster", str(folder / "pump.csv"), *sizes, *QUICK, "--run", str(folder / "run")]) == 0
    return load(folder / "run")


@pytest.fixture
def inspect(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Inspect:
    def call(run: Run, name: str, *words: str) -> tuple[int, Path, str]:
        code = main(["inspect", str(run.path), "--out", str(tmp_path / name), *words])
        return code, tmp_path / name, "".join(capsys.readouterr())

    return call


def test_every_ending_holds_the_same_cell(text_run: Run, inspect: Inspect) -> None:
    want = text_run.inspect(text="a bad cab", unit=3, step=5)
    asked = ("--text", "a bad cab", "--unit", "3", "--step", "5")
    for name, form in (("a.svg", want.svg), ("a.html", want.html)):
        code, place, said = inspect(text_run, name, *asked)
        assert code == 0, said
        assert place.read_text(encoding="utf-8") == form()
    assert "unit 3 of 6, at steps 4 and 5 of 9" in said
    assert inspect(text_run, "a.png", *asked)[1].read_bytes() == want.png()
    np.testing.assert_array_equal(np.load(inspect(text_run, "a.npy", *asked)[1]), want.values["h"].astype(np.float32))
    with np.load(inspect(text_run, "a.npz", *asked)[1]) as held:
        assert CellFlow.of(dict(held), name=want.name).html() == want.html()
        assert "".join(held["steps"]) == "a bad cab"
    with inspect(text_run, "a.csv", *asked)[1].open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 9 * 6
    for row in rows:
        at = int(row["step"]) - 1, int(row["unit"]) - 1
        assert row["input"] == "a bad cab"[at[0]]
        for name in ("f", "c", "h", "c_o"):
            assert float(row[name]) == pytest.approx(want.values[name][at], abs=1e-6)


def test_without_a_text_held_out_text_is_read_and_a_file_from_its_beginning(
    text_run: Run, inspect: Inspect, tmp_path: Path
) -> None:
    code, _, said = inspect(text_run, "own.svg")
    assert code == 0, said
    assert "the beginning of the test part" in said
    (tmp_path / "other.txt").write_text("dead ice fade " * 40, encoding="utf-8")
    code, place, said = inspect(text_run, "other.npz", str(tmp_path / "other.txt"))
    assert code == 0, said
    with np.load(place) as held:
        assert "".join(held["steps"]) == ("dead ice fade " * 40)[:64]
    long = text_run.inspect(text="cab " * 50)
    assert "The text has 200 tokens; the first 64 are read." in long.caption


def test_a_series_is_read_from_its_held_out_stretch_in_the_users_units(series_run: Run, inspect: Inspect) -> None:
    code, place, said = inspect(series_run, "own.npz")
    assert code == 0, said
    dataset = series_run.dataset()
    assert dataset.series is not None
    start, stop = dataset.series.stretches[0]["test"]
    one = dataset.series.series[0]
    with np.load(place) as held:
        np.testing.assert_array_equal(held["input"], one.values[start:stop])
        assert held["channels"].tolist() == ["load", "heat"]
        assert held["steps"][0] == str(one.times[start])[:16].replace("T", " ")
        scaled = (one.values[start:stop] - series_run.transform.center.numpy()) / series_run.transform.spread.numpy()
        want = np.concatenate([np.nan_to_num(scaled), ~np.isnan(scaled)], 1)
        np.testing.assert_allclose(held["x"], want, atol=1e-5)
        weights = {n.removeprefix("net.net."): p.numpy() for n, p in series_run.model.state_dict().items()}
        np.testing.assert_allclose(held["h"], by_hand("gru", weights, want)["h"], atol=1e-5)
        assert np.isnan(held["input"]).any()
    assert f"The {stop - start} rows are from the test part." in said
    drawn = load(series_run.path).inspect()
    assert "missing" not in drawn.caption
    assert inspect(series_run, "own.html", "--layer", "1")[0] == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--text", ""), "--text is empty"),
        (("--text", "a"), "give a longer one"),
        (("--text", "abc", "--step", "4"), "steps go from 2 to 3"),
        (("--text", "abc", "--unit", "9"), "units go from 1 to 6"),
        (("--text", "abc", "--head", "1"), "cannot say where it looks"),
        (("digits", "--text", "abc"), "leave one out"),
    ],
)
def test_what_cannot_be_inspected_is_refused_in_a_sentence(
    text_run: Run, inspect: Inspect, words: tuple[str, ...], said: str
) -> None:
    code, place, message = inspect(text_run, "a.svg", *words)
    assert (code != 0, place.exists()) == (True, False)
    assert said in message
    assert "Traceback" not in message


def test_a_series_takes_no_text_and_other_models_have_no_cells(series_run: Run, digits_run: Run) -> None:
    with pytest.raises(InputError, match="was made with series"):
        series_run.inspect(text="a")
    with pytest.raises(Unable, match=r"cannot show what flows inside a cell; .*can"):
        digits_run.inspect(unit=1)


@pytest.fixture(scope="module")
def sequence_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Sequences of 4 to 9 steps, each with one label; a net of both directions."""
    folder = tmp_path_factory.mktemp("sequences")
    rng = np.random.default_rng(0)
    lengths = rng.integers(4, 10, 40)
    x = np.full((40, 9, 2), np.nan)
    for i, steps in enumerate(lengths):
        x[i, :steps] = rng.normal(size=(steps, 2))
    np.savez(folder / "waves.npz", x=x, y=rng.integers(2, size=40))
    sizes = ["--cell", "lstm", "--layers", "2"]
    assert main(["fit", "classifier", str(folder / "waves.npz"), *sizes, *QUICK, "--run", str(folder / "run")]) == 0
    return load(folder / "run")


@pytest.mark.parametrize("backward", [False, True])
def test_a_sequence_is_read_whole_in_either_direction(sequence_run: Run, inspect: Inspect, backward: bool) -> None:
    words = ("--layer", "2", *(["--backward"] if backward else []))
    code, place, said = inspect(sequence_run, "a.npz", *words)
    assert code == 0, said
    assert "Sequence 1 of the test part, of class" in said
    assert ("Read from the end" in said) == backward
    found = CellFlow.of(np.load(place))
    rows = sequence_run.dataset().parts["test"].take(torch.tensor([0]))
    steps = int(rows["lengths"][0])
    order = slice(None, None, -1 if backward else 1)
    assert found.steps == tuple(f"step {i + 1}" for i in range(steps))[order]
    assert found.given is not None
    np.testing.assert_array_equal(found.given, rows["x"][0, :steps].numpy()[order])
    model = sequence_run.model
    with torch.no_grad():
        h = model.states(sequence_run.transform(rows))[0][0, :steps]  # type: ignore[operator]
    np.testing.assert_allclose(found.values["h"], h.chunk(2, -1)[backward].numpy()[order], atol=1e-5)


def test_of_a_longer_sequence_the_first_steps_that_are_read_are_shown(sequence_run: Run) -> None:
    dataset, model = sequence_run.dataset(), sequence_run.model
    assert isinstance(model, Gates)
    seen = of_data(dataset, sequence_run.transform, number=1)
    whole, cut = (cell_arrays(model, *seen, backward=True, limit=limit) for limit in (None, 3))
    for name in ("h", "x_i", "steps", "input"):
        np.testing.assert_array_equal(cut[name], whole[name][:3])
    assert f"The last 3 of {len(whole['steps'])} steps are shown." in str(cut["said"])
    with pytest.raises(InputError, match="there is no sequence 41; the test part has"):
        of_data(dataset, sequence_run.transform, number=40)


def test_a_labelled_text_is_read_with_its_last_token_too(tmp_path: Path, inspect: Inspect) -> None:
    lines = "\n".join(f'{{"text": "{w} {w}", "label": "{w[0]}"}}' for w in ["cab", "bad", "ice", "ace"] * 8)
    (tmp_path / "words.jsonl").write_text(lines, encoding="utf-8")
    sizes = ["--label", "label", "--tokenizer", "char"]
    assert main(["fit", "classifier", str(tmp_path / "words.jsonl"), *sizes, *QUICK, "--run", str(tmp_path / "r")]) == 0
    code, place, said = inspect(load(tmp_path / "r"), "a.npz", "--text", "bad ice", "--backward")
    assert code == 0, said
    assert CellFlow.of(np.load(place)).steps == tuple("bad ice"[::-1])


def test_one_direction_has_no_other_to_look_at(series_run: Run, inspect: Inspect) -> None:
    code, _, said = inspect(series_run, "a.svg", "--backward")
    assert code != 0
    assert "one direction" in said
