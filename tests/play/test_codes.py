"""Play with codes: a map of every item, items beside their neighbours, drawings judged as held-out items are."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from elboroom.core.errors import InputError, Unable
from elboroom.fitting import fit
from elboroom.metrics.likelihood import gaussian_rate
from elboroom.play import colours, positions
from elboroom.play.answers import Player
from elboroom.play.codes import ASKS
from elboroom.play.pens import commonest, fitted
from elboroom.run import Run

QUICK: dict[str, Any] = {"steps": 60, "threads": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("codes")


@pytest.fixture(scope="module")
def flat(folder: Path) -> Player:
    """A code of two numbers."""
    return Player(fit("vae", "digits", run=folder / "flat", settings={"hidden": (16,), "latent": 2}, **QUICK))


@pytest.fixture(scope="module")
def wide(folder: Path) -> Player:
    """A code of six numbers."""
    return Player(fit("vae", "digits", run=folder / "wide", settings={"hidden": (16,), "latent": 6}, **QUICK))


@pytest.fixture(scope="module")
def table(folder: Path) -> Player:
    """A table with a column of categories and a missing cell."""
    rows = [f"{i % 7 + i / 100:.2f},{(i * 3) % 11},{'' if i == 5 else 'xyz'[i % 3]}" for i in range(120)]
    path = folder / "pumps.csv"
    path.write_text("\n".join(["flow,load,stage", *rows]) + "\n")
    return Player(fit("vae", str(path), run=folder / "table", settings={"hidden": (8,), "latent": 2}, **QUICK))


def asked(player: Player, name: str, **given: Any) -> Any:
    found = ASKS[f"codes/{name}"](player, given)
    return found if isinstance(found, dict) else list(found)


def array(packed: dict[str, Any]) -> NDArray[Any]:
    content = base64.b64decode(packed["bytes"])
    return np.frombuffer(content, dtype=packed["dtype"]).reshape(packed["shape"])


def text(pixels: NDArray[Any]) -> str:
    return base64.b64encode(pixels.astype(np.uint8).tobytes()).decode()


def mapped(player: Player, dimensions: int = 2, position: str = "auto") -> tuple[Any, NDArray[Any], NDArray[Any], Any]:
    """The start, positions in units of the code, item numbers, the end."""
    start, *pieces, end = asked(player, "map", dimensions=dimensions, position=position)
    at = [
        np.array(p["low"]) + array(p["positions"]) / 65535 * (np.array(p["high"]) - np.array(p["low"]))
        for p in (one["points"] for one in pieces)
    ]
    return start["start"], np.concatenate(at), np.concatenate([array(p["points"]["item"]) for p in pieces]), end["end"]


def test_a_map_of_a_code_of_two_numbers_is_the_code_and_leaves_no_item_out(flat: Player) -> None:
    start, at, item, end = mapped(flat)
    codes = flat.run.encode(flat.run.meta["data"]["source"])
    assert (start["n"], start["of"], start["method"], end) == (1797, 1797, "codes", {})
    assert sorted(item.tolist()) == list(range(1797))
    expected = codes.z[item]
    np.testing.assert_allclose(at, expected, atol=2 * float(np.ptp(expected)) / 65535)
    order = np.corrcoef(item, np.arange(1797))[0, 1]
    assert abs(order) < 0.1, "the first pieces are a fair part of the whole"


def test_a_map_of_a_wider_code_is_its_principal_axes_and_says_what_they_explain(wide: Player) -> None:
    start, at, item, end = mapped(wide, 3)
    z = wide.run.encode(wide.run.meta["data"]["source"]).z.astype(np.float64)[item[: start["fitted"]]]
    values = np.linalg.svd(z - z.mean(0), compute_uv=False) ** 2
    assert (start["method"], start["dimensions"], start["fitted"]) == ("pca", 3, 1024)
    np.testing.assert_allclose(start["explained"], values[:3] / values.sum(), rtol=1e-3)
    assert np.abs(np.corrcoef(at[:1024].T) - np.eye(3)).max() < 0.02
    trust = end["trust"]
    assert 0.5 < trust["low"] <= trust["value"] <= trust["high"] <= 1 and trust["n"] == 1000
    assert mapped(wide, 2)[3]["trust"]["value"] < trust["value"], "a third axis can only help on such codes"


def test_a_wide_code_can_be_shown_by_its_two_widest_numbers(wide: Player) -> None:
    start, at, item, end = mapped(wide, position="codes")
    z = wide.run.encode(wide.run.meta["data"]["source"]).z[item]
    widest = sorted(np.argsort(-z[:1024].std(0))[:2].tolist())
    assert (start["method"], start["axes"], start["methods"]) == ("codes", widest, ["codes", "pca", "tsne"])
    np.testing.assert_allclose(at, z[:, widest], atol=2 * float(np.ptp(z)) / 65535)
    assert end["beside"]["method"] == "pca" and 0.5 < end["trust"]["value"] < 1


def test_t_sne_is_fitted_beside_the_other_asks_kept_and_trusted_beside_pca(
    wide: Player, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(positions, "EMBEDDED", 200)
    asked(wide, "ready")
    assert asked(wide, "embed")["state"] == "running" and mapped(wide, position="tsne")[0]["method"] == "pca"
    wide.held["codes/tsne/2"].wait()
    told = asked(wide, "embed")
    assert (told["state"], told["step"], told["n"]) == ("done", told["of"], 200)
    start, at, item, end = mapped(wide, position="tsne")
    assert (start["method"], start["fitted"], start["around"], start["narrow"]) == ("tsne", 200, 5, 6)
    assert 0.9 < end["trust"]["value"] < 1 and end["beside"] == {"method": "pca", **mapped(wide)[3]["trust"]}
    assert mapped(wide)[3]["beside"] == {"method": "tsne", **end["trust"]}
    z = wide.run.encode(wide.run.meta["data"]["source"]).z.astype(np.float64)[item]
    near = np.argsort(np.square(z[:200] - z[1500]).sum(1))[:5]
    np.testing.assert_allclose(at[1500], at[near].mean(0), atol=np.ptp(at) / 20000)


def test_a_t_sne_that_is_given_up_is_gone_and_a_narrow_code_needs_none(wide: Player, flat: Player) -> None:
    asked(wide, "embed", dimensions=3)
    process = wide.held["codes/tsne/3"]._child
    assert asked(wide, "embed", dimensions=3, stop=True) == {"state": "none"}
    assert process.returncode == -9 and "codes/tsne/3" not in wide.held
    with pytest.raises(Unable, match="codes of 2 numbers are drawn as they are"):
        asked(flat, "embed")


def test_clusters_are_those_of_k_means_the_largest_first(wide: Player) -> None:
    from sklearn.cluster import KMeans

    found = asked(wide, "colour", by="cluster", clusters=4)
    values, item = array(found["values"]), mapped(wide)[2]
    z = wide.run.encode(wide.run.meta["data"]["source"]).z[item]
    assert found["names"] == [f"cluster {i}" for i in (1, 2, 3, 4)] and found["fitted"] == 1797
    assert (np.diff(np.bincount(values)) <= 0).all()
    spread = sum(np.square(z[values == k] - z[values == k].mean(0)).sum() for k in range(4))
    assert spread == pytest.approx(KMeans(4, n_init=4, random_state=0).fit(z).inertia_, rel=0.02)


def test_columns_beyond_those_listed_are_found_by_what_is_in_their_names(
    table: Player, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert asked(table, "columns", like="LO") == {"names": ["flow", "load"], "n": 2}
    assert mapped(table)[0]["columns"] == 0
    monkeypatch.setattr(colours, "NAMES", 1)
    start = mapped(table)[0]
    assert start["columns"] == 3 and "flow" in start["colours"] and "load" not in start["colours"]


def test_a_map_without_labels_opens_with_the_colours_of_a_few_categories(
    flat: Player, table: Player, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert mapped(flat)[0]["colours"][:2] == ["label", "split"]
    named = mapped(table)[0]["colours"]
    assert named[:2] == ["stage", "split"] and named.count("stage") == 1
    monkeypatch.setattr(colours, "FEW", 2)
    assert mapped(table)[0]["colours"][0] == "split", "three names are then too many"


def test_colours_are_bytes_between_two_quantiles_and_categories_keep_their_names(flat: Player, table: Player) -> None:
    item = mapped(flat)[2]
    codes = flat.run.encode(flat.run.meta["data"]["source"])
    rate = gaussian_rate(torch.from_numpy(codes.z), torch.from_numpy(codes.z_sd)).sum(1).numpy()[item]
    found = asked(flat, "colour", by="rate")
    values = found["low"] + array(found["values"]) / 255 * (found["high"] - found["low"])
    inside = (rate > found["low"]) & (rate < found["high"])
    assert 0.95 < inside.mean() < 1
    np.testing.assert_allclose(values[inside], rate[inside], atol=(found["high"] - found["low"]) / 255)
    stages = asked(table, "colour", by="stage")
    place = mapped(table)[2].tolist()
    kept = array(stages["values"])
    assert all(stages["names"][kept[place.index(i)]] == "xyz"[i % 3] for i in range(120) if i != 5)
    with pytest.raises(InputError, match="no column 'flo'; did you mean 'flow'"):
        asked(table, "colour", by="flo")


def test_an_item_stands_beside_its_decoded_mean_and_its_true_neighbours(flat: Player) -> None:
    z = flat.run.encode(flat.run.meta["data"]["source"]).z.astype(np.float64)
    found = asked(flat, "item", item=140, neighbours=5)
    distance = np.linalg.norm(z - z[140], axis=1)
    distance[140] = np.inf
    assert [one["distance"] for one in found["near"]] == pytest.approx(np.sort(distance)[:5].tolist(), abs=1e-5)
    assert array(found["x"]).shape == (8, 8) and array(found["pictures"]).shape == (5, 8, 8)
    assert found["label"] == 0 and 0 <= found["place"]["share"] <= 1
    look = asked(flat, "look", items=[3, 140, 3])
    assert look["items"] == [3, 140] and (array(look["pictures"])[1] == array(found["x"])).all()
    with pytest.raises(InputError, match="no item 1,797"):
        asked(flat, "item", item=1797)


def test_a_row_of_a_table_is_told_in_its_own_units(table: Player) -> None:
    found = asked(table, "item", item=8)
    cells = {cell["name"]: cell for cell in found["x"]["cells"]}
    assert cells["flow"]["value"] == pytest.approx(1.08, abs=1e-4) and cells["stage"]["category"] == "z"
    missing = {cell["name"]: cell["value"] for cell in asked(table, "item", item=5)["x"]["cells"]}
    assert missing["stage"] is None and found["pictures"] == {}
    with pytest.raises(Unable, match="run of images"):
        asked(table, "drawn", pixels="")


def test_a_drawing_equal_to_an_item_is_that_item_and_noise_is_unlike_the_data(flat: Player) -> None:
    item = asked(flat, "item", item=140)
    same = asked(flat, "drawn", pixels=text(array(item["x"])))
    assert same["near"][0]["item"] == 140 and same["near"][0]["distance"] == pytest.approx(0, abs=1e-2)
    assert same["error"] == pytest.approx(item["error"], rel=0.05)
    noise = np.random.default_rng(0).integers(0, 2, (8, 8)) * 255
    assert asked(flat, "drawn", pixels=text(noise))["place"]["share"] > 0.97
    for pixels, said in (("%%", "base64"), (text(np.zeros(63)), "63 bytes came; 8 x 8 x 1")):
        with pytest.raises(InputError, match=said):
            asked(flat, "drawn", pixels=pixels)


def test_the_ground_of_a_drawing_is_the_commonest_colour_of_the_edges(flat: Player) -> None:
    assert asked(flat, "paper") == {"ground": [0]}
    known = np.full((3, 4, 4, 3), (240, 250, 230), np.uint8)
    known[:, 1:3, 1:3], known[0, 0] = 0, (9, 9, 9)
    assert commonest(known).tolist() == [240, 250, 230] and commonest(known[..., 0]).tolist() == [240]


def test_a_foreign_picture_is_turned_round_scaled_and_centred_as_the_data_are() -> None:
    rng = np.random.default_rng(0)
    known = np.zeros((50, 28, 28), np.uint8)
    for one in known:
        one[4:24, 10:18] = rng.integers(150, 256, (20, 8))
    paper = np.full((200, 300, 3), 240, np.uint8)
    paper[20:120, 250:290] = 15
    made, said = fitted(paper, known)
    rows, columns = np.flatnonzero(made.max(1) > 60), np.flatnonzero(made.max(0) > 60)
    assert "exchanged" in said and (rows[0], rows[-1], columns[0], columns[-1]) == (4, 23, 10, 17)
    assert made.max() == 255 and made[0, 0] == 0
    photos = rng.integers(0, 256, (50, 8, 8, 3)).astype(np.uint8)
    covering, told = fitted(paper, photos)
    assert covering.shape == (8, 8, 3) and "fill their frame" in told
    assert fitted(np.full((9, 9, 3), 7, np.uint8), known)[0].max() == 0


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("map", {"dimensions": 4}, "dimensions"),
        ("item", {"item": -1}, "item"),
        ("item", {"item": 1.5}, "item"),
        ("colour", {"by": ""}, "by"),
        ("look", {"items": []}, "items"),
        ("fitted", {"pixels": "", "height": 9, "width": 9}, "9 x 9 x 3"),
        ("ready", {"now": 1}, "now"),
    ],
)
def test_wrong_asks_are_one_sentence(flat: Player, name: str, given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        asked(flat, name, **given)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_run_that_cannot_encode_says_which_can(folder: Path) -> None:
    run: Run = fit("gan", "digits", run=folder / "gan", settings={"hidden": (8,)}, steps=2, threads=1)
    with pytest.raises(Unable, match="cannot encode"):
        asked(Player(run), "ready")


@pytest.mark.slow
def test_the_run_s_own_process_tells_the_map_in_parts(flat: Player) -> None:
    words = [sys.executable, "-m", "elboroom.play.worker", str(flat.run.path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdin is not None and worker.stdout is not None
        assert "ready" in json.loads(worker.stdout.readline())
        worker.stdin.write(json.dumps({"id": 1, "ask": "codes/map", "with": {}}) + "\n")
        worker.stdin.flush()
        told = [json.loads(worker.stdout.readline()) for _ in range(5)]
        worker.stdin.close()
    assert [next(iter(line["part"])) for line in told[:4]] == ["start", "points", "points", "end"]
    assert told[4]["end"]
