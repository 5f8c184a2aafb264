"""Data larger than memory: read where they lie, the same batches, a small process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from elboroom.core.errors import InputError
from elboroom.data import Mapped, Reading, Resident, Stream, read, storage


@pytest.fixture
def small_memory(monkeypatch):
    """As if only 4 kB were kept in memory."""
    monkeypatch.setattr(storage, "RESIDENT_BYTES", 4096)


def batches(data):
    stream = Stream(data.parts["train"], 7, seed=3)
    return [data.transform(stream.rows(step)) for step in (0, 1, 30)]


def sources(folder: Path):
    rng = np.random.default_rng(0)
    np.save(folder / "images.npy", rng.integers(0, 256, (60, 8, 8, 3), dtype=np.uint8))
    table = rng.normal(size=(300, 9)).astype(np.float32)
    np.save(folder / "plain.npy", table)
    table[rng.random(table.shape) < 0.1] = np.nan
    np.save(folder / "holes.npy", table)
    np.save(folder / "big-endian.npy", np.load(folder / "plain.npy").astype(">f4"))
    return ["images.npy", "plain.npy", "holes.npy", "big-endian.npy"]


def test_mapped_data_give_the_batches_of_resident_data(tmp_path, monkeypatch):
    names = sources(tmp_path)
    known = {name: read(tmp_path / name) for name in names}
    monkeypatch.setattr(storage, "RESIDENT_BYTES", 4096)
    for name in names:
        data = read(tmp_path / name)
        assert isinstance(data.parts["train"], Mapped)
        assert isinstance(known[name].parts["train"], Resident)
        assert data.spec == known[name].spec
        assert data.fingerprint == known[name].fingerprint
        for one, other in zip(batches(data), batches(known[name]), strict=True):
            assert torch.equal(one.x, other.x)
            assert (one.observed is None) == (other.observed is None)
            assert one.observed is None or torch.equal(one.observed, other.observed)


def test_large_parquet_goes_through_a_scratch_file_that_has_no_name(tmp_path, monkeypatch):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    x = np.random.default_rng(0).normal(size=(400, 5)).astype(np.float32)
    shards = tmp_path / "shards"
    shards.mkdir()
    for i in range(4):
        part = x[i * 100 : i * 100 + 100]
        parquet.write_table(arrow.table({f"c{j}": part[:, j] for j in range(5)}), shards / f"{i}.parquet")
    known = batches(read(shards))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    monkeypatch.setattr(storage, "RESIDENT_BYTES", 4096)
    data = read(shards)
    assert isinstance(data.parts["train"], Mapped)
    assert not list(scratch.iterdir())
    assert all(torch.equal(a.x, b.x) for a, b in zip(batches(data), known, strict=True))


def test_generated_shapes_that_do_not_fit_are_mapped(small_memory):
    data = read("shapes:2x2x2x3x3", Reading(size=(16, 16)))
    assert isinstance(data.parts["train"], Mapped)
    assert batches(data)[0].x.shape == (7, 1, 16, 16)


def test_no_room_for_scratch_is_told_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000})())
    with pytest.raises(InputError, match="set TMPDIR"):
        storage.allocate((2**20, 2**12), np.uint8, "x.npz")


TRAIN = """
import resource, sys
import torch
from elboroom.data import Stream, read
data = read(sys.argv[1])
stream = Stream(data.parts["train"], 256, seed=0)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for step in range(2400):
    data.transform(stream.rows(step))
print(before * 1024, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


@pytest.mark.slow
def test_three_gigabytes_of_bytes_are_read_in_less_than_one(tmp_path):
    path = tmp_path / "large.npy"
    x = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(737_280, 64, 64))
    x[::1000] = 255
    x.flush()
    del x
    done = subprocess.run([sys.executable, "-c", TRAIN, str(path)], capture_output=True, text=True, check=True)
    read_bytes, trained_bytes = map(int, done.stdout.split())
    assert read_bytes < 1e9
    assert trained_bytes < 1.5e9
