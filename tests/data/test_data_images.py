"""Image files and arrays of pixels."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from elboroom.core.errors import InputError
from elboroom.data import Reading, read

ALL = Reading(split=(1, 0, 0))


def picture(value=0, size=(12, 10), mode="L"):
    """(width, height) picture with a gradient, so that orientation and order can be seen."""
    x = np.add.outer(np.arange(size[1]) * 3, np.arange(size[0]) * 5) + value
    grey = Image.fromarray((x % 256).astype(np.uint8))
    return grey.convert(mode) if mode != "L" else grey


def folder_of(root: Path, count=12, ending=".png"):
    for i in range(count):
        place = root / ["cat", "dog"][i % 2]
        place.mkdir(parents=True, exist_ok=True)
        picture(i * 7).save(place / f"{i:03d}{ending}")
    return root


def all_x(data):
    rows = data.parts["train"]
    return rows.take(torch.arange(len(rows)))["x"]


def test_sub_folders_are_classes_and_pixels_are_kept(tmp_path):
    data = read(folder_of(tmp_path / "pets"), ALL)
    assert data.spec.shape == (1, 10, 12)
    assert data.spec.classes == ("cat", "dog")
    assert data.parts["train"].label.tolist() == [0] * 6 + [1] * 6
    assert data.identifiers["file"][0] == "cat/000.png"
    assert all_x(data)[1, 0].tolist() == np.asarray(picture(14)).tolist()
    assert data.name == "pets"


def test_a_zip_of_a_folder_equals_the_folder(tmp_path):
    folder_of(tmp_path / "pets")
    packed = tmp_path / "pets.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for file in sorted((tmp_path / "pets").rglob("*.png")):
            archive.write(file, f"top/{file.relative_to(tmp_path / 'pets')}")
    assert read(packed).fingerprint == read(tmp_path / "pets").fingerprint


def test_train_and_test_folders_are_the_sets_own_parts(tmp_path):
    folder_of(tmp_path / "train", 10)
    folder_of(tmp_path / "test", 4)
    data = read(tmp_path)
    assert {k: len(v) for k, v in data.parts.items()} == {"train": 9, "valid": 1, "test": 4}
    assert data.spec.classes == ("cat", "dog")


def test_mixed_sizes_come_to_the_commonest_and_are_told(tmp_path):
    for i in range(5):
        picture(i).save(tmp_path / f"{i}.png")
    picture(0, size=(30, 20)).save(tmp_path / "large.png")
    data = read(tmp_path, ALL)
    assert data.spec.shape == (1, 10, 12)
    assert "1 images of other sizes" in data.problems[0]
    assert read(tmp_path, Reading(size=(8, 6), channels=3, split=(1, 0, 0))).spec.shape == (3, 8, 6)
    for i in range(6):
        picture(0, size=(30 + i, 20)).save(tmp_path / f"odd{i}.png")
    assert read(tmp_path, ALL).spec.shape == (1, 64, 64), "where no size is common"


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P", "CMYK", "1", "I;16"])
def test_every_mode_of_picture_is_read(tmp_path, mode):
    for i in range(3):
        if mode == "I;16":
            x = (np.asarray(picture(i)).astype(np.uint16)) * 256
            Image.fromarray(x).save(tmp_path / f"{i}.png")
        else:
            picture(i, mode=mode).save(tmp_path / f"{i}.{'tif' if mode == 'CMYK' else 'png'}")
    x = all_x(read(tmp_path, ALL))
    assert x.shape == ((3, 1, 10, 12) if mode in ("LA", "1", "I;16") else (3, 3, 10, 12))
    if mode not in ("1", "CMYK"):
        assert x[0, 0].tolist() == np.asarray(picture(0)).tolist()


def test_transparent_pixels_are_put_on_white(tmp_path):
    for i in range(3):
        Image.new("RGBA", (4, 4), (10, 20, 30, 0)).save(tmp_path / f"{i}.png")
    assert bool((all_x(read(tmp_path, ALL)) == 255).all())


def test_an_exif_rotation_is_obeyed(tmp_path):
    for i in range(3):
        exif = Image.Exif()
        exif[0x0112] = 6
        picture(0, size=(12, 10)).save(tmp_path / f"{i}.jpg", exif=exif, quality=100)
    assert read(tmp_path, ALL).spec.shape == (1, 12, 10)


def test_a_few_unreadable_pictures_are_skipped_and_many_are_refused(tmp_path):
    folder_of(tmp_path, 30)
    whole = (tmp_path / "cat" / "000.png").read_bytes()
    (tmp_path / "cat" / "x1.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "cat" / "x2.png").write_bytes(b"")
    (tmp_path / "cat" / "x3.png").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (tmp_path / "notes.txt").write_text("hello")
    data = read(tmp_path, ALL)
    assert len(data.parts["train"]) == 30
    assert any("3 of 33 images were skipped" in p for p in data.problems)
    assert any("1 files are no images by their ending" in p for p in data.problems)
    with pytest.raises(InputError, match="--strict"):
        read(tmp_path, Reading(strict=True))
    for i in range(10):
        (tmp_path / "dog" / f"y{i}.png").write_bytes(b"nothing")
    with pytest.raises(InputError, match="13 of 43 images cannot be read"):
        read(tmp_path, ALL)


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(tmp_path):
    head = struct.pack(">2I5B", 60000, 60000, 1, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head))
    idat = struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + idat)
    with pytest.raises(InputError, match=r"bomb\.png.*(pixels|bomb)"):
        read(tmp_path, ALL)


def test_links_out_of_the_folder_are_not_followed(tmp_path):
    inside = folder_of(tmp_path / "in", 30)
    picture(9).save(tmp_path / "secret.png")
    (inside / "cat" / "zz.png").symlink_to(tmp_path / "secret.png")
    (inside / "loop").symlink_to(inside)
    data = read(inside, ALL)
    assert len(data.parts["train"]) == 30
    assert any("a link to a file outside" in p for p in data.problems)


@pytest.mark.parametrize("name", ["../out.png", "/etc/out.png", "a\\..\\out.png"])
def test_a_zip_that_points_out_of_itself_is_refused(tmp_path, name):
    packed = tmp_path / "z.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(InputError, match="points out of the archive"):
        read(packed)


def idx(x, kind=8):
    return bytes([0, 0, kind, x.ndim]) + struct.pack(f">{x.ndim}I", *x.shape) + x.tobytes()


def write_idx(folder: Path, prefix: str, n: int, packed: bool):
    rng = np.random.default_rng(n)
    x = rng.integers(0, 256, (n, 6, 5)).astype(np.uint8)
    y = (np.arange(n) % 3 + 4).astype(np.uint8)
    for name, values in (("images-idx3", x), ("labels-idx1", y)):
        data = idx(values)
        path = folder / f"{prefix}-{name}-ubyte{'.gz' if packed else ''}"
        path.write_bytes(gzip.compress(data) if packed else data)
    return x, y


def test_idx_is_brought_to_the_size_that_was_asked_for(tmp_path):
    write_idx(tmp_path, "train", 20, False)
    data = read(tmp_path / "train-images-idx3-ubyte", Reading(size=(12, 10)))
    assert data.spec.shape == (1, 12, 10)


@pytest.mark.parametrize("packed", [True, False])
def test_idx_is_read_with_its_labels_and_its_own_test_pair(tmp_path, packed):
    x, y = write_idx(tmp_path, "train", 20, packed)
    write_idx(tmp_path, "t10k", 10, packed)
    ending = ".gz" if packed else ""
    data = read(tmp_path / f"train-images-idx3-ubyte{ending}", Reading(split=(1, 0, 1)))
    assert {k: len(v) for k, v in data.parts.items()} == {"train": 20, "test": 10}
    assert all_x(data)[:, 0].numpy().tolist() == x.tolist()
    assert data.spec.classes == ("4", "5", "6")
    assert data.parts["train"].label.numpy().tolist() == (y - 4).tolist()
    assert read(tmp_path).fingerprint == data.fingerprint, "the folder is the same set"
    only = read(tmp_path / f"t10k-images-idx3-ubyte{ending}", ALL)
    assert len(only.parts["train"]) == 10


def test_a_broken_idx_is_refused(tmp_path):
    path = tmp_path / "train-images-idx3-ubyte"
    good = idx(np.zeros((4, 3, 3), np.uint8))
    for data, said in (
        (good[:-3], "cut short"),
        (b"\x89PNG and more", "no IDX file"),
        (b"\0\0\x08\x03" + struct.pack(">3I", 2**31, 2**31, 255), "cut short"),
        (b"\0\0", "no IDX file"),
        (idx(np.zeros((0, 3, 3), np.uint8)), "declares no values"),
    ):
        path.write_bytes(data)
        with pytest.raises(InputError, match=said):
            read(path)
    path.write_bytes(good)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(3, np.uint8)))
    with pytest.raises(InputError, match="3 labels for the 4 images"):
        read(path)


def test_a_gzip_bomb_is_refused_from_its_header(tmp_path):
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(b"\0\0\x08\x03" + struct.pack(">3I", 60000, 1000, 1000) + bytes(10**6)))
    with pytest.raises(InputError, match="more than 100 to 1"):
        read(path)


@pytest.mark.parametrize(
    ("x", "shape", "white"),
    [
        (np.random.default_rng(0).integers(0, 256, (20, 6, 5), dtype=np.uint8), (1, 6, 5), 255),
        (np.random.default_rng(0).integers(0, 256, (20, 6, 5, 3), dtype=np.uint8), (3, 6, 5), 255),
        (np.random.default_rng(0).integers(0, 256, (20, 3, 6, 5), dtype=np.uint8), (3, 6, 5), 255),
        (np.random.default_rng(0).integers(0, 256, (20, 6, 5)).astype(np.float64), (1, 6, 5), 255),
        (np.random.default_rng(0).integers(0, 256, (20, 6, 5)).astype(np.float32) / 255, (1, 6, 5), 255),
        (np.random.default_rng(0).random((20, 6, 5)), (1, 6, 5), 1),
        (np.random.default_rng(0).integers(0, 17, (20, 6, 5)), (1, 6, 5), 16),
        (np.random.default_rng(0).integers(0, 2, (20, 6, 5)).astype(bool), (1, 6, 5), 1),
        (np.random.default_rng(0).integers(0, 60000, (20, 6, 5), dtype=np.uint16), (1, 6, 5), 65535),
    ],
    ids=["bytes", "last", "first", "float", "255ths", "fractions", "17 levels", "bool", "16 bit"],
)
def test_arrays_of_pixels_are_told_by_axes_and_values(tmp_path, x, shape, white):
    data = read(x, ALL)
    assert data.spec.shape == shape
    assert data.transform.to_json()["white"] == white
    values = data.transform({"x": all_x(data)}).x
    moved = np.moveaxis(x, -1, 1) if x.shape[-1] == 3 else x.reshape(20, *shape)
    unit = moved / (1 if x.dtype.kind == "f" and x.max() <= 1 else white)
    assert values.numpy() == pytest.approx(unit, abs=1e-6)
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "x.npz", x=x)
    assert read(tmp_path / "x.npy").fingerprint == data.fingerprint
    assert read(tmp_path / "x.npz").fingerprint == data.fingerprint


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (np.zeros((5, 4, 4)) - 1, "undo|brings -1..1 to 0..1"),
        (np.full((5, 4, 4), 3.7), "not whole"),
        (np.full((5, 4, 4), 1e6), "0..65535"),
        (np.full((5, 4, 4), np.nan), "image 0 holds nan"),
        (np.zeros((5, 4, 4, 7)), "1 or 3 channels"),
        (np.zeros((0, 4, 4)), "no values"),
        (np.zeros(7), "two axes"),
        (np.zeros((5, 4, 4), complex), "numbers are needed"),
    ],
)
def test_pixels_out_of_range_are_refused_with_the_fix(x, said):
    with pytest.raises(InputError, match=said):
        read(x, ALL)


def test_flat_rows_become_images_by_kind_and_size():
    x = np.random.default_rng(0).integers(0, 256, (10, 30), dtype=np.uint8)
    assert read(x, ALL).spec.kind == "table"
    assert read(x, Reading(kind="images", size=(6, 5), split=(1, 0, 0))).spec.shape == (1, 6, 5)
    with pytest.raises(InputError, match="say --size"):
        read(x, Reading(kind="images"))


def test_arrays_are_resized_and_turned_grey():
    x = np.full((4, 8, 8, 3), (200, 100, 50), np.uint8)
    data = read(x, Reading(size=(4, 4), channels=1, split=(1, 0, 0)))
    assert data.spec.shape == (1, 4, 4)
    assert int(all_x(data)[0, 0, 0, 0]) == round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)


def test_the_keras_file_form_keeps_its_own_test_part(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (30, 4, 4), dtype=np.uint8), np.arange(30) % 2
    np.savez(tmp_path / "k.npz", x_train=x[:20], y_train=y[:20], x_test=x[20:], y_test=y[20:])
    data = read(tmp_path / "k.npz")
    assert {k: len(v) for k, v in data.parts.items()} == {"train": 18, "valid": 2, "test": 10}
    assert data.spec.classes == ("0", "1")


def test_images_all_of_one_value_work_and_are_told():
    data = read(np.full((20, 4, 4), 255, np.uint8))
    assert any("nothing to learn" in p for p in data.problems)
    assert read(np.zeros((20, 4, 4), np.uint8)).transform({"x": torch.zeros(2, 1, 4, 4)}).x.sum() == 0


def test_parquet_pictures_are_read_with_their_labels(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    blobs = []
    for i in range(8):
        out = io.BytesIO()
        picture(i).save(out, "PNG")
        blobs.append(out.getvalue())
    plain = arrow.table({"image": blobs, "label": ["a", "b"] * 4})
    nested = arrow.table({"image": [{"bytes": b, "path": "x"} for b in blobs], "label": [0, 1] * 4})
    for table in (plain, nested):
        parquet.write_table(table, tmp_path / "p.parquet")
        data = read(tmp_path / "p.parquet", ALL)
        assert data.spec.shape == (1, 10, 12)
        assert len(data.spec.classes) == 2
        assert all_x(data)[3, 0].tolist() == np.asarray(picture(3)).tolist()


@pytest.mark.slow
def test_clothing_photographs_are_read_from_their_zip(real_data):
    data = read(real_data / "clothing64" / "clothing64_train.zip")
    assert data.spec.shape == (3, 64, 64)
    assert len(data.spec.classes) == 10
    assert sum(len(rows) for rows in data.parts.values()) == 3068
    assert sorted(np.bincount(np.concatenate([r.label for r in data.parts.values()])))[-1] == 795
