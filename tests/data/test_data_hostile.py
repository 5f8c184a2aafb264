"""Damaged and malicious files: one InputError each, nothing run, nothing large allocated."""

from __future__ import annotations

import gzip
import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from elboroom.core.errors import ElboroomError, InputError
from elboroom.data import Reading, read

ALL = Reading(split=(1, 0, 0))


class Trap:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_nothing_is_ever_unpickled(tmp_path):
    mark = tmp_path / "ran"
    np.save(tmp_path / "a.npy", np.array([[Trap(mark)] * 2] * 2, dtype=object), allow_pickle=True)
    np.savez(tmp_path / "b.npz", x=np.array([[Trap(mark)] * 2] * 2, dtype=object))
    for name in ("c.pkl", "c.pt", "c.joblib"):
        (tmp_path / name).write_bytes(pickle.dumps(Trap(mark)))
    (tmp_path / "d.npy").write_bytes(pickle.dumps(Trap(mark)))
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(InputError) as caught:
            read(path, ALL)
        assert path.name in str(caught.value)
    assert not mark.exists()


def test_a_pickled_member_beside_a_plain_array_is_left_out_and_told(tmp_path):
    mark = tmp_path / "ran"
    np.savez(tmp_path / "b.npz", x=np.ones((5, 4, 4), np.uint8), meta=np.array(Trap(mark), dtype=object))
    data = read(tmp_path / "b.npz", ALL)
    assert any("'meta' was left out" in p and "can run code" in p for p in data.problems)
    assert not mark.exists()


def test_an_array_that_declares_terabytes_is_refused_from_its_header(tmp_path):
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "<f8", "fortran_order": False, "shape": (2**20, 2**20)})
    (tmp_path / "a.npy").write_bytes(head.getvalue() + bytes(64))
    with pytest.raises(InputError, match="declares 8,796,093,022,208 bytes but holds"):
        read(tmp_path / "a.npy")
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("x.npy", head.getvalue() + bytes(64))
    with pytest.raises(InputError, match="declares 8,796,093,022,208 bytes"):
        read(tmp_path / "b.npz")


def test_a_zip_bomb_is_refused_from_its_directory(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.png", bytes(100 * 2**20))
    with pytest.raises(InputError, match="more than 100 to 1"):
        read(tmp_path / "a.zip")


def seeds(folder: Path) -> dict[str, bytes]:
    """One small good file of each format."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 200, (6, 5, 4), dtype=np.uint8)
    np.save(folder / "a.npy", x)
    np.savez_compressed(folder / "a.npz", x=x, y=np.arange(6) % 2)
    (folder / "train-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03\0\0\0\6\0\0\0\5\0\0\0\4" + x.tobytes())
    (folder / "a.csv").write_text("a,b,c\n" + "".join(f"{i},{i / 3},{'xy'[i % 2]}\n" for i in range(20)))
    (folder / "a.csv.gz").write_bytes(gzip.compress((folder / "a.csv").read_bytes()))
    (folder / "a.gct").write_text("#1.2\n2\t3\nName\tDescription\ta\tb\tc\ng1\tx\t1.5\t2\t3\ng2\ty\t3\t4\t5\n")
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        for i in range(3):
            out = io.BytesIO()
            Image.fromarray(x[i]).save(out, ["PNG", "JPEG", "BMP"][i])
            archive.writestr(f"k/{i}.png", out.getvalue())
    try:
        import pyarrow as arrow
        import pyarrow.parquet as parquet

        parquet.write_table(arrow.table({"a": [1.5, 2.5, 3.5], "b": ["x", "y", None]}), folder / "a.parquet")
    except ImportError:
        pass
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    out = bytearray(data)
    match int(rng.integers(4)):
        case 0:
            del out[int(rng.integers(len(out))) :]
        case 1:
            for _ in range(int(rng.integers(1, 8))):
                out[int(rng.integers(len(out)))] = int(rng.integers(256))
        case 2:
            at = int(rng.integers(min(len(out), 64)))
            out[at : at + 4] = rng.bytes(4)
        case _:
            at = int(rng.integers(len(out)))
            out[at:at] = rng.bytes(int(rng.integers(1, 50)))
    return bytes(out)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("count", [40, pytest.param(1500, marks=pytest.mark.slow)])
def test_a_mutated_file_is_read_or_refused_and_nothing_else(tmp_path, count):
    good = tmp_path / "good"
    good.mkdir()
    rng = np.random.default_rng(count)
    for name, data in seeds(good).items():
        place = tmp_path / "bad"
        place.mkdir(exist_ok=True)
        for _ in range(count):
            broken = mutated(data, rng)
            (place / name).write_bytes(broken)
            said = ""
            try:
                read(place / name, ALL)
            except ElboroomError as error:
                said = str(error)
            except Exception as error:
                (tmp_path / f"seed-{name}").write_bytes(broken)
                raise AssertionError(f"{name}: {type(error).__name__}: {error}; kept as {tmp_path}") from error
            assert "\n" not in said
