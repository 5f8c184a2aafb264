"""Codes and draws as a page asks for them: the numbers of the command line and of the models themselves."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from elboroom.core.errors import InputError, Unable
from elboroom.drawing import samples
from elboroom.fitting import fit
from elboroom.inspect import manifold
from elboroom.play.answers import Json, Player
from elboroom.play.images import ASKS
from elboroom.sheets import shown


def fitted(folder: Path, model: str, source: Any, **settings: Any) -> Player:
    return Player(fit(model, source, run=folder / model, settings=settings, steps=12, threads=1))


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Player:
    """A vae of two dimensions on 8 x 8 digits."""
    return fitted(tmp_path_factory.mktemp("plane"), "vae", "digits", hidden=(16,), latent=2)


@pytest.fixture(scope="module")
def lawless(tmp_path_factory: pytest.TempPathFactory) -> Player:
    """An autoencoder, whose codes follow no law."""
    return fitted(tmp_path_factory.mktemp("lawless"), "autoencoder", "digits", hidden=(16,), latent=4)


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Player:
    """A net that makes a digit of a class out of noise."""
    small = {"latent": 6, "width": 4, "critic_width": 4}
    return fitted(tmp_path_factory.mktemp("noise"), "dcgan", "digits", **small, conditional=True)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Player:
    """A vae on a table with a column of words."""
    folder = tmp_path_factory.mktemp("rows")
    lines = [f"{10 + i % 7},{1000 * (i % 3)},{'north' if i % 2 else 'south'}" for i in range(200)]
    (folder / "pumps.csv").write_text("\n".join(["flow,load,ward", *lines]) + "\n")
    return fitted(folder, "vae", str(folder / "pumps.csv"), hidden=(16,), latent=2)


def ask(player: Player, verb: str, **given: Any) -> Json:
    found = ASKS[f"images/{verb}"](player, given)
    assert isinstance(found, dict)
    return found


def array(packed: Json) -> np.ndarray:
    return np.frombuffer(base64.b64decode(packed["bytes"]), packed["dtype"]).reshape(packed["shape"])


def decoded(player: Player, z: np.ndarray) -> np.ndarray:
    """Bytes (n, 8, 8) of the decoded means, by the model itself."""
    with torch.no_grad():
        mean = player.run.model.decode(torch.from_numpy(z.astype(np.float32))).mean
    return shown(mean, player.run.spec)[:, 0]


# ---- codes ----------------------------------------------------------------------------------------------------------


def test_the_sheet_is_the_manifold_of_inspect(plane: Player) -> None:
    found = ask(plane, "grid", z=[0.0, 0.0], axes=[0, 1])
    known = manifold(plane.run.model, plane.run.spec)
    assert np.array_equal(array(found["x"]), shown(known.x.reshape(-1, 1, 8, 8), plane.run.spec)[:, 0])
    assert np.allclose(found["centres"][0], known.z[0, :, 0]) and np.allclose(
        found["centres"][1][::-1], known.z[:, 0, 1]
    )
    # the finer numbers, by which a page goes from a place to z, meet the centres of the pictures
    inside = np.interp((np.arange(20) + 0.5) / 20, np.linspace(0, 1, 401), found["shares"][0])
    assert np.abs(inside - found["centres"][0]).max() < 2e-3
    turned = ask(plane, "grid", z=[0.0, 0.0], axes=[1, 0])
    as_before = array(turned["x"]).reshape(20, 20, 8, 8)[::-1, ::-1].transpose(1, 0, 2, 3)
    assert np.array_equal(as_before.reshape(-1, 8, 8)[0], array(found["x"])[0])


def test_a_line_of_the_sheet_keeps_the_other_numbers(lawless: Player) -> None:
    z = [0.5, -1.0, 2.0, 0.25]
    found = ask(lawless, "grid", z=z, axes=[2], n=5)
    codes = np.tile(np.array(z), (5, 1))
    codes[:, 2] = found["centres"][0]
    assert found["rows"] == 1 and np.array_equal(array(found["x"]), decoded(lawless, codes))
    # without a law the places are quantiles of the codes of the data
    known = np.quantile(lawless.held["codes/items"].z[:, 2], (np.arange(5) + 0.5) / 5)
    assert np.allclose(found["centres"][0], known, atol=0.02 * np.ptp(known))


def test_a_code_decodes_to_its_mean_with_its_doubt_and_the_draw_of_a_seed(plane: Player) -> None:
    found = ask(plane, "decode", z=[0.4, -0.6], drawn=True, seed=3)
    assert np.array_equal(array(found["x"]), decoded(plane, np.array([[0.4, -0.6]])))
    mean = plane.run.model.decode(torch.tensor([[0.4, -0.6]])).mean.detach().numpy()
    sd = np.sqrt(mean * (1 - mean))[0, 0]  # of a Bernoulli law
    assert found["most"] == pytest.approx(sd.max(), rel=1e-5)
    assert np.abs(array(found["sd"]) / 255 * found["most"] - sd).max() < found["most"] / 255
    assert set(np.unique(array(found["drawn"]))) <= {0, 255}
    again = ask(plane, "decode", z=[0.4, -0.6], drawn=True, seed=3)
    other = ask(plane, "decode", z=[0.4, -0.6], drawn=True, seed=4)
    assert again["drawn"] == found["drawn"] != other["drawn"]


def test_how_far_out_a_code_is(plane: Player, lawless: Player) -> None:
    for radius in (0.0, 1.0, 4.0):
        found = ask(plane, "decode", z=[0.0, radius])
        assert found["nearer"] == pytest.approx(1 - np.exp(-(radius**2) / 2)) and found["of"] == "the prior"
    middle = lawless.held["codes/items"].z.mean(0).tolist()
    assert ask(lawless, "decode", z=middle)["nearer"] < 0.01
    assert ask(lawless, "decode", z=[1e4, 0.0, 0.0, 0.0])["nearer"] == 1.0


def test_the_nearest_items_are_those_of_all_codes_read(plane: Player) -> None:
    codes = plane.run.encode("digits")
    z = codes.z[17].tolist()
    found = ask(plane, "near", z=z, k=4)
    while found["read"] < found["n"]:
        found = ask(plane, "near", z=z, k=4)
    distance = np.sqrt(np.square(codes.z.astype(np.float64) - np.array(z)).sum(1))
    assert [one["distance"] for one in found["near"]] == pytest.approx(np.sort(distance)[:4].tolist(), abs=1e-5)
    assert found["near"][0]["item"] == 17 and found["of"] == len(codes)
    assert array(found["pictures"]).shape == (4, 8, 8)


def test_dimensions_come_in_the_order_of_what_they_carry(lawless: Player, plane: Player) -> None:
    about = ask(lawless, "about")
    spread = lawless.held["codes/items"].z.std(0)
    assert about["by"] == "spread" and about["order"] == np.argsort(-spread).tolist() and not about["normal"]
    assert ask(plane, "about")["normal"] and ask(plane, "about")["width"] == 2


def test_a_path_goes_straight_or_on_the_sphere(plane: Player) -> None:
    straight = ask(plane, "path", a=[2.0, 0.0], b=[0.0, 1.0], steps=5)
    assert np.allclose(straight["z"], np.linspace([2.0, 0.0], [0.0, 1.0], 5))
    assert np.array_equal(array(straight["x"]), decoded(plane, np.array(straight["z"])))
    sphere = np.array(ask(plane, "path", a=[2.0, 0.0], b=[0.0, 1.0], steps=5, way="sphere")["z"])
    assert np.allclose(np.linalg.norm(sphere, axis=1), np.linspace(2, 1, 5), atol=1e-5)
    assert np.allclose(np.arctan2(sphere[:, 1], sphere[:, 0]), np.linspace(0, np.pi / 2, 5), atol=1e-5)


def test_between_two_items_stands_the_mixture_of_their_pixels(plane: Player) -> None:
    found = ask(plane, "between", a=3, b=100, steps=3)
    codes = plane.run.encode("digits").z
    assert np.allclose(found["z"], [codes[3], (codes[3] + codes[100]) / 2, codes[100]], atol=1e-5)
    fade = array(found["fade"]).astype(float)
    real = plane.run.reconstruct("digits").original[[3, 100], 0] * (255 / 16)
    assert np.abs(fade[[0, 2]] - real).max() <= 1 and np.abs(fade[1] - real.mean(0)).max() <= 1
    assert [end["item"] for end in found["ends"]] == [3, 100]
    same = ask(plane, "between", a=3, b=3, steps=2)
    assert np.allclose(same["z"][0], same["z"][1])
    with pytest.raises(InputError, match="no item 99,999"):
        ask(plane, "between", a=3, b=99_999)


def test_a_picture_is_an_end_as_the_item_is_whose_pixels_it_has(plane: Player, noise: Player) -> None:
    known = ask(plane, "between", a=3, b=100, steps=3)
    pixels = base64.b64encode(array(known["fade"])[0].tobytes()).decode()
    found = ask(plane, "between", a=5, b=100, steps=3, picture_a=pixels)
    assert np.allclose(found["z"], known["z"], atol=0.02) and found["ends"][0] == {"picture": True}
    assert np.abs(array(found["fade"]).astype(int) - array(known["fade"]).astype(int)).max() <= 1
    with pytest.raises(InputError, match="3 bytes came; 8 x 8 x 1"):
        ask(plane, "between", a=5, b=100, picture_b="AAAA")
    with pytest.raises(Unable, match="encodes no picture"):
        ask(noise, "between", a=5, b=6, picture_b=pixels)


# ---- draws ----------------------------------------------------------------------------------------------------------


def test_draws_are_those_of_sample(noise: Player, plane: Player) -> None:
    for given in ({"seed": 5}, {"seed": 5, "truncation": 0.5}, {"seed": 5, "label": 3}):
        known = torch.cat(samples(noise.run, 9, **given).x)  # type: ignore[arg-type]
        for _ in range(2):  # batch statistics of a truncation are kept from the first time on
            assert np.array_equal(array(ask(noise, "sample", n=9, **given)["x"]), shown(known, noise.run.spec)[:, 0])
    assert ask(noise, "sample", n=4, label=3)["label"] == [3] * 4
    cold = ask(plane, "sample", n=6, temperature=0, mean=True)
    assert np.array_equal(array(cold["x"]), decoded(plane, np.zeros((6, 2))))


def test_a_way_between_draws_begins_and_ends_at_draws_of_the_seed(noise: Player) -> None:
    found = ask(noise, "between", a=2, b=7, seed=4, label=1, way="sphere", steps=4)
    known = array(ask(noise, "sample", n=8, seed=4, label=1)["x"])
    ends = array(found["x"])[[0, -1]]
    assert np.abs(ends.astype(int) - known[[2, 7]].astype(int)).max() <= 1
    with pytest.raises(InputError, match="numbered from 0 to 63"):
        ask(noise, "between", a=2, b=64)
    with pytest.raises(InputError, match="classes are numbered from 0 to 9"):
        ask(noise, "between", a=2, b=3, label=10)


# ---- tables, and what cannot be -------------------------------------------------------------------------------------


def test_rows_of_a_table_come_in_its_own_units(rows: Player) -> None:
    z = np.array([[0.3, -0.2]])
    found = ask(rows, "decode", z=z[0].tolist())
    assert np.allclose(array(found["x"]), rows.run.decode(z), rtol=1e-5)
    assert array(found["sd"]).shape == (3,) and (array(found["sd"])[:2] > 0).all()
    assert ask(rows, "about")["columns"][2]["categories"] == ["north", "south"]
    assert array(ask(rows, "grid", z=[0.0, 0.0], axes=[0, 1], n=4)["x"]).shape == (16, 3)
    near = ask(rows, "near", z=z[0].tolist())
    assert near["pictures"] is None and len(near["near"]) == 6
    assert array(ask(rows, "between", a=0, b=1, steps=4)["fade"])[0].tolist()[:2] == pytest.approx(
        [10.0, 0.0], abs=1e-3
    )


def test_what_a_run_cannot_do_and_what_is_no_code_is_said(noise: Player, plane: Player) -> None:
    with pytest.raises(Unable, match="dcgan cannot decode"):
        ask(noise, "decode", z=[0.0])
    for given in ({"z": [0.0]}, {"z": [0.0, 1e39]}, {"z": [0.0, "1"]}, {"z": [0.0, float("nan")]}, {"z": []}):
        with pytest.raises(InputError, match=r"^z: "):
            ask(plane, "decode", **given)
    for given in ({"axes": [0, 0]}, {"axes": [0, 2]}, {"axes": [0, 1], "n": 33}, {"axes": []}):
        with pytest.raises(InputError, match=r"^(axes|n): "):
            ask(plane, "grid", z=[0.0, 0.0], **given)
    with pytest.raises(Unable, match="truncate"):
        ask(plane, "sample", truncation=0.5)


def test_without_the_data_a_code_is_still_decoded(tmp_path: Path) -> None:
    path = tmp_path / "pumps.csv"
    path.write_text("\n".join(["flow,load", *(f"{i % 7},{i % 5}" for i in range(60))]) + "\n")
    player = fitted(tmp_path, "vae", str(path), hidden=(8,), latent=3)
    path.unlink()
    assert ask(player, "about")["width"] == 3 and len(array(ask(player, "decode", z=[0.0] * 3)["x"])) == 1
    with pytest.raises(InputError, match=r"pumps\.csv"):
        ask(player, "near", z=[0.0] * 3)
