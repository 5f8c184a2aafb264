"""Gene expression files, made here and real."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from elboroom.core.errors import InputError
from elboroom.data import Reading, Sparse, read

h5py = pytest.importorskip("h5py")
sparse = pytest.importorskip("scipy.sparse")

ALL = Reading(split=(1, 0, 0))


def counts(n=30, width=8):
    rng = np.random.default_rng(0)
    return ((rng.random((n, width)) < 0.3) * rng.poisson(5, (n, width))).astype(np.int64)


def all_x(data):
    rows = data.parts["train"]
    return rows.take(torch.arange(len(rows)))["x"].numpy()


@pytest.mark.parametrize("form", ["csr", "csc"])
def test_sparse_npz_is_kept_sparse_in_either_order(tmp_path, form):
    x = counts()
    table = getattr(sparse, f"{form}_array")(x)
    parts = {"data": table.data, "indices": table.indices, "indptr": table.indptr, "shape": table.shape}
    np.savez(tmp_path / "a.npz", **parts, genes=np.array([f"g{i}" for i in range(8)]), y=np.arange(30) % 2)
    data = read(tmp_path / "a.npz", ALL)
    assert isinstance(data.parts["train"], Sparse)
    assert all_x(data).tolist() == x.tolist()
    assert data.spec.scale == "counts"
    assert data.spec.columns[3].name == "g3"
    assert data.spec.classes == ("0", "1")
    sparse.save_npz(tmp_path / "b.npz", table)
    assert all_x(read(tmp_path / "b.npz", ALL)).tolist() == x.tolist()


def test_stored_zeros_and_repeated_cells_do_not_change_the_fingerprint(tmp_path):
    x = counts()
    clean = sparse.csr_array(x)
    rows, columns = np.nonzero(x >= 0)
    untidy = sparse.coo_array((x[rows, columns], (rows, columns)), shape=x.shape).tocsr()
    assert read(untidy).fingerprint == read(clean).fingerprint


@pytest.mark.parametrize(
    "broken",
    [
        {"indices": np.array([0, 99], np.int32)},
        {"indptr": np.array([0, 5, 2], np.int32)},
        {"shape": np.array([2, 3, 4])},
        {"data": np.array([1.0, np.nan])},
        {"shape": np.array([2, 10**9])},
        {"indices": np.array([-1, 0], np.int32)},
    ],
)
def test_a_broken_sparse_table_is_refused(tmp_path, broken):
    good = {
        "data": np.array([1.0, 2.0]),
        "indices": np.array([0, 1], np.int32),
        "indptr": np.array([0, 1, 2], np.int32),
        "shape": np.array([2, 3]),
    }
    np.savez(tmp_path / "a.npz", **{**good, **broken})
    with pytest.raises(InputError, match=r"a\.npz"):
        read(tmp_path / "a.npz", ALL)


def annotated(path: Path, x):
    anndata = pytest.importorskip("anndata")
    pandas = pytest.importorskip("pandas")
    obs = pandas.DataFrame(
        {"kind": pandas.Categorical(["b", "a", None] * 10), "batch": np.arange(30) % 4},
        index=[f"cell{i}" for i in range(30)],
    )
    var = pandas.DataFrame(index=[f"g{i}" for i in range(8)])
    data = anndata.AnnData(x, obs=obs, var=var)
    data.write_h5ad(path)
    return data


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("make", [np.asarray, lambda x: sparse.csr_matrix(x), lambda x: sparse.csc_matrix(x)])
def test_h5ad_gives_names_labels_and_the_same_data_as_the_object(tmp_path, make):
    x = counts().astype(np.float32)
    given = annotated(tmp_path / "a.h5ad", make(x))
    data = read(tmp_path / "a.h5ad", Reading(label="batch", split=(1, 0, 0)))
    assert all_x(data).tolist() == x.tolist()
    assert [c.name for c in data.spec.columns] == [f"g{i}" for i in range(8)]
    assert list(data.identifiers["obs"][:2]) == ["cell0", "cell1"]
    assert data.spec.classes == ("0", "1", "2", "3")
    assert read(given, Reading(label="batch", split=(1, 0, 0))).fingerprint == data.fingerprint
    with pytest.raises(InputError, match="10 rows have no label"):
        read(tmp_path / "a.h5ad", Reading(label="kind"))
    with pytest.raises(InputError, match="did you mean 'batch'"):
        read(tmp_path / "a.h5ad", Reading(label="bach"))


def test_h5_with_x_and_y_is_read(tmp_path):
    x = counts()
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["X"] = x
        file["Y"] = np.arange(30) % 3 + 1.0
    data = read(tmp_path / "a.h5", ALL)
    assert all_x(data).tolist() == x.tolist()
    assert data.spec.classes == ("1", "2", "3")


def test_h5_that_points_elsewhere_is_refused_and_nothing_else_is_opened(tmp_path):
    secret = tmp_path / "secret.bin"
    secret.write_bytes(np.arange(12, dtype=np.float64).tobytes())
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["X"] = np.ones((3, 4))
    makers = {
        "external": lambda f: f.create_dataset("X", (3, 4), "f8", external=[(str(secret), 0, 96)]),
        "link": lambda f: f.__setitem__("X", h5py.ExternalLink(str(tmp_path / "other.h5"), "X")),
        "soft": lambda f: (f.__setitem__("Z", np.ones((3, 4))), f.__setitem__("X", h5py.SoftLink("/Z"))),
        "virtual": lambda f: f.create_virtual_dataset("X", virtual(tmp_path)),
    }
    for name, make in makers.items():
        path = tmp_path / f"{name}.h5"
        with h5py.File(path, "w") as file:
            make(file)
        with pytest.raises(InputError, match=r"link|another file"):
            read(path)


def virtual(folder: Path):
    layout = h5py.VirtualLayout(shape=(3, 4), dtype="f8")
    layout[:] = h5py.VirtualSource(str(folder / "other.h5"), "X", shape=(3, 4))
    return layout


def test_an_h5_that_declares_more_than_it_holds_is_refused(tmp_path):
    with h5py.File(tmp_path / "bomb.h5", "w") as file:
        file.create_dataset("X", shape=(2**20, 2**13), dtype="f8", chunks=(1, 2**13), compression="gzip")
    with pytest.raises(InputError, match="more than 1000 to 1"):
        read(tmp_path / "bomb.h5")


def test_a_damaged_h5_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["X"] = counts()
    whole = (tmp_path / "a.h5").read_bytes()
    (tmp_path / "a.h5").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="damaged or cut short"):
        read(tmp_path / "a.h5")
    (tmp_path / "b.h5").write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match=r"b\.h5"):
        read(tmp_path / "b.h5")


GCT = "#1.3\n2\t3\t1\t2\nid\tsymbol\ts1\ts2\ts3\ndose\tna\t1\t2\t1\ndrug\tna\tA\tB\t-666\n{}"


def test_gct_is_turned_so_that_samples_are_rows(tmp_path):
    path = tmp_path / "a.gct"
    path.write_text(GCT.format("g1\tTP53\t1.5\t2.5\tna\ng2\tMYC\t4\t5\t6\n"))
    data = read(path, Reading(label="dose", split=(1, 0, 0)))
    assert [c.name for c in data.spec.columns] == ["g1", "g2"]
    assert data.identifiers["id"].tolist() == ["s1", "s2", "s3"]
    assert data.spec.classes == ("1", "2")
    assert np.nan_to_num(all_x(data), nan=-1).tolist() == [[1.5, 4], [2.5, 5], [-1, 6]]
    path.write_text("#1.2\n2\t2\nName\tDescription\ta\tb\ng1\tx\t1.5\t2\ng2\ty\t3\t4\n")
    assert all_x(read(path, ALL)).tolist() == [[1.5, 3], [2, 4]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id\ta\tb\n", "begins with #1.2 or #1.3"),
        ("#1.3\n2\t3\n", "line 2 must give"),
        ("#1.3\n99999\t99999\t1\t2\n", "cannot hold"),
        (GCT.format("g1\tTP53\t1.5\t2.5\t3\n"), "ends before line 7"),
        (GCT.format("g1\tTP53\t1.5\t2.5\n"), "line 6 has 4 cells, expected 5"),
        (GCT.format("g1\tTP53\t1.5\tx\t3\ng2\tM\t1\t2\t3\n"), "line 6, column 's2': 'x' is no number"),
    ],
)
def test_a_broken_gct_is_refused_with_its_line(tmp_path, text, said):
    (tmp_path / "a.gct").write_text(text)
    with pytest.raises(InputError, match=said):
        read(tmp_path / "a.gct")


def test_the_real_expression_sets_are_read_as_they_are(real_data):
    genes = real_data / "genes"
    blood = read(genes / "pbmc68k_reduced.h5ad", Reading(label="bulk_labels"))
    assert (blood.spec.shape, blood.spec.scale, len(blood.spec.classes)) == ((765,), "standard", 10)
    neurons = read(genes / "10x-10k-subset.npz")
    assert (neurons.spec.shape, neurons.spec.scale) == ((1000,), "counts")
    assert isinstance(neurons.parts["train"], Sparse)
    assert len(neurons.parts["train"].data) / (8000 * 1000) == pytest.approx(0.069, abs=0.002)
    assert neurons.spec.columns[0].name == "Xkr4"
    golub = read(genes / "golub.npz")
    assert (golub.spec.shape, golub.spec.classes) == ((7129,), ("ALL", "AML"))
    plate = read(genes / "l1000_test.gct", Reading(group_by="pert_iname"))
    assert (plate.spec.shape, sum(len(r) for r in plate.parts.values())) == ((978,), 377)


def test_real_counts_of_an_h5_are_read_as_counts(real_data):
    data = read(real_data / "genes" / "mouse_bladder.h5")
    assert data.spec.shape == (20670,)
    assert {c.kind for c in data.spec.columns} == {"count"}
    assert len(data.spec.classes) == 16
    assert data.parts["train"].data.dtype == torch.int16
