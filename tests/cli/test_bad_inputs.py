"""Bad data, places that cannot be written, damaged and busy runs: the exit code, one line, and nothing half-written.

Root ignores mode bits, so a file where a folder should be stands for a folder that cannot be written.
"""

from __future__ import annotations

import fcntl
import gzip
import json
import os
import resource
import shutil
import signal
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

Call = Callable[..., tuple[int, str, str]]
SMALL = ["--steps", "1", "--hidden", "4", "--threads", "1"]


def _refused(answered: tuple[int, str, str], code: int = 2) -> str:
    got, out, err = answered
    assert got == code, err
    assert err.startswith("elboroom: ") and err.count("\n") == 1 and "Traceback" not in err
    assert out == ""
    return err


def _png(size: tuple[int, int] = (8, 8)) -> bytes:
    import io

    from PIL import Image

    held = io.BytesIO()
    Image.fromarray(np.arange(size[0] * size[1], dtype=np.uint8).reshape(size)).save(held, format="PNG")
    return held.getvalue()


def _idx(shape: tuple[int, ...], held: bytes) -> bytes:
    return struct.pack(">HBB", 0, 8, len(shape)) + b"".join(struct.pack(">I", n) for n in shape) + held


def _bad_data(folder: Path) -> dict[str, tuple[Path, list[str], str]]:
    """name -> (path, further flags, a part of the message)."""
    cases: dict[str, tuple[Path, list[str], str]] = {}

    def add(name: str, content: bytes | str | None, said: str, *words: str) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is not None:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        cases[f"{name} {' '.join(words)}".strip()] = (path, list(words), said)

    rows = "a,b,c\n" + "".join(f"{i},{i * 2},{'xy'[i % 2]}\n" for i in range(40))
    add("missing.csv", None, "missing.csv")
    add("empty.csv", "", "empty.csv")
    add("head_only.csv", "a,b\n", "head_only.csv")
    add("one_row.csv", "a,b\n1,2\n", "1 row")
    add("ragged.csv", rows + "1,2\n", "ragged.csv")
    add("open_quote.csv", rows + '1,"2,3\n', "open_quote.csv")
    add("nul.csv", rows.encode() + b"1,\x00\x00,x\n", "nul.csv")
    add("all_missing.csv", "a,b\n" + ",\n" * 30, "all_missing.csv")
    add("gap.csv", rows + ",1,x\n", "gap.csv", "--strict")
    add("table.csv", rows, "no such column", "--label", "colour")
    add("table2.csv", rows, "no such column", "--columns", "a,zz")
    add("table3.csv", rows, "images", "--kind", "images")
    add("table4.csv", rows, "binary", "--scale", "binary")
    add("table5.csv", rows, "split", "--split", "100,10,10")
    add("table6.csv", "a,b\n" + "-1,2\n" * 30, "counts", "--scale", "counts")
    add("cut.npz", b"PK\x03\x04 cut", "cut.npz")
    add("cut.npy", b"\x93NUMPY\x01\x00", "cut.npy")
    add("words.npy", "words", "words.npy")
    add("cut.parquet", b"PAR1 cut", "cut.parquet")
    add("cut.h5ad", b"\x89HDF cut", "cut.h5ad")
    add("cut.gct", "#1.2\n", "cut.gct")
    add("odd.xyz", "1", "odd.xyz")
    add("t-images-idx3-ubyte", _idx((9, 8, 8), b"\x01" * 100), "t-images-idx3-ubyte")
    add("u-images-idx3-ubyte.gz", gzip.compress(_idx((9, 8, 8), bytes(576)))[:-20], "u-images-idx3-ubyte.gz")
    add("cut.zip", b"PK\x03\x04", "cut.zip")
    add("folder/a/broken.png", _png()[:40], "folder")
    cases["folder/a/broken.png"] = (folder / "folder", [], "folder")
    (folder / "nothing").mkdir()
    cases["nothing"] = (folder / "nothing", [], "nothing")
    np.save(folder / "objects.npy", np.array([{"a": 1}] * 30, dtype=object), allow_pickle=True)
    np.save(folder / "one.npy", np.zeros((1, 8, 8), np.uint8))
    np.save(folder / "nan.npy", np.full((30, 4), np.nan))
    np.save(folder / "infinite.npy", np.where(np.eye(30, 4) > 0, np.inf, 1.0))
    np.save(folder / "none.npy", np.zeros((0, 4)))
    np.save(folder / "number.npy", np.float64(3.0))
    np.savez(folder / "labels.npz", x=np.zeros((30, 8, 8), np.uint8), y=np.zeros(29, np.int64))
    cases["one.npy"] = (folder / "one.npy", [], "1 row")
    for name in ("objects", "nan", "infinite", "none", "number"):
        cases[f"{name}.npy"] = (folder / f"{name}.npy", [], f"{name}.npy")
    cases["labels.npz"] = (folder / "labels.npz", [], "29")
    with zipfile.ZipFile(folder / "escape.zip", "w") as held:
        held.writestr("../../a/x.png", _png())
    cases["escape.zip"] = (folder / "escape.zip", [], "escape.zip")
    return cases


CASES = """missing.csv|empty.csv|head_only.csv|one_row.csv|ragged.csv|open_quote.csv|nul.csv|all_missing.csv
gap.csv --strict|table.csv --label colour|table2.csv --columns a,zz|table3.csv --kind images|table4.csv --scale binary
table5.csv --split 100,10,10|table6.csv --scale counts|cut.npz|cut.npy|words.npy|cut.parquet|cut.h5ad|cut.gct|odd.xyz
t-images-idx3-ubyte|u-images-idx3-ubyte.gz|cut.zip|folder/a/broken.png|nothing|objects.npy|one.npy|nan.npy|infinite.npy
none.npy|number.npy|labels.npz|escape.zip""".replace("\n", "|").split("|")


@pytest.mark.parametrize("name", CASES)
def test_bad_data_are_refused_in_one_line_and_leave_no_run(name: str, call: Call, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    path, words, said = _bad_data(tmp_path / "data")[name]
    err = _refused(call("fit", "vae", path, *words, *SMALL, "--run", tmp_path / "run"))
    assert said in err
    assert not (tmp_path / "run").exists()


def test_the_list_of_bad_data_is_whole(tmp_path: Path) -> None:
    assert sorted(_bad_data(tmp_path)) == sorted(CASES)


def test_constant_columns_train_and_are_told(call: Call, tmp_path: Path) -> None:
    (tmp_path / "same.csv").write_text("a,b\n" + "1,2\n" * 40)
    code, _, err = call("fit", "vae", tmp_path / "same.csv", *SMALL, "--run", tmp_path / "run")
    assert code == 0, err
    meta = json.loads((tmp_path / "run" / "run.json").read_text())
    assert meta["state"] == "done"
    assert any("'a'" in problem for problem in meta["data"]["problems"])


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--latent", "0"], 2, "latent"),
        (["--latent", "two"], 2, "latent"),
        (["--lr", "-1"], 2, "lr"),
        (["--lr", "nan"], 2, "lr"),
        (["--dropout", "1"], 2, "dropout"),
        (["--hidden", "8,x"], 2, "hidden"),
        (["--backbone", "mpl"], 2, "backbone"),
        (["--likelihood", "poisson"], 2, "poisson"),
        (["--preset", "course"], 2, "preset"),
        (["--label", "colour"], 2, "label"),
        (["--device", "cuda:7"], 2, "cuda"),
        (["--scale", "standard"], 2, "standard"),
        (["--from", "nowhere"], 2, "nowhere"),
    ],
)
def test_a_setting_that_does_not_fit_is_named(
    words: list[str], code: int, said: str, call: Call, tmp_path: Path
) -> None:
    err = _refused(call("fit", "vae", "digits", "--steps", 1, *words, "--run", tmp_path / "run"), code)
    assert said in err
    assert not (tmp_path / "run" / "run.json").exists()


# ---- places ---------------------------------------------------------------------------------------------------------


def test_an_existing_run_is_kept_unless_forced(call: Call, pictures_run: Path) -> None:
    before = (pictures_run / "run.json").read_bytes()
    err = _refused(call("fit", "vae", "digits", *SMALL, "--run", pictures_run))
    assert "--force" in err
    assert (pictures_run / "run.json").read_bytes() == before


def test_a_file_in_place_of_the_run_folder_is_refused(call: Call, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    _refused(call("fit", "vae", "digits", *SMALL, "--run", tmp_path / "file"))
    _refused(call("fit", "vae", "digits", *SMALL, "--run", tmp_path / "file" / "run"))
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs a folder that nobody can write")
def test_a_folder_that_cannot_be_written_is_refused(call: Call, pictures_run: Path) -> None:
    _refused(call("fit", "vae", "digits", *SMALL, "--run", "/proc/run"))
    _refused(call("sample", pictures_run, "-n", 1, "--out", "/proc/x.npy"))


@pytest.mark.parametrize("out", ["missing/x.npy", "file/x.npy", "x.npy/", "/dev/null"])
def test_an_answer_that_has_no_place_is_refused(out: str, call: Call, pictures_run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    place = out if out.startswith("/") else f"{tmp_path}/{out}"
    if out.endswith("/"):
        (tmp_path / "x.npy").mkdir()
    _refused(call("sample", pictures_run, "-n", 1, "--out", place, "--force"))
    assert (tmp_path / "file").read_text() == "mine"


def test_an_existing_answer_is_kept_unless_forced(call: Call, pictures_run: Path, tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_text("mine")
    err = _refused(call("sample", pictures_run, "-n", 1, "--out", tmp_path / "x.npy"))
    assert "--force" in err and (tmp_path / "x.npy").read_text() == "mine"


@contextmanager
def _disk_of(size: int) -> Iterator[None]:
    """Files cannot grow beyond `size` bytes: what a full disk looks like to a program."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


def test_a_full_disk_leaves_no_half_of_an_answer(call: Call, pictures_run: Path, tmp_path: Path) -> None:
    with _disk_of(2000):
        answered = call("sample", pictures_run, "-n", 200, "--out", tmp_path / "x.npy")
    _refused(answered, 4)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_stops_a_fit_in_one_line(call: Call, tmp_path: Path) -> None:
    with _disk_of(20_000):
        code, out, err = call("fit", "vae", "digits", *SMALL, "--hidden", 200, "--run", tmp_path / "run", "--json")
    assert code == 4
    assert err.splitlines()[-1].startswith("elboroom: ") and "Traceback" not in err
    json.loads(out)
    assert not (tmp_path / "run" / "weights.safetensors").exists()


# ---- runs -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def copied(pictures_run: Path, tmp_path: Path) -> Path:
    """A copy that may be damaged."""
    shutil.copytree(pictures_run, tmp_path / "copy")
    return tmp_path / "copy"


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _flip(path: Path) -> None:
    held = bytearray(path.read_bytes())
    held[8] ^= 1
    path.write_bytes(held)


def _newer(path: Path) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema_version": 99}))


DAMAGE: list[tuple[str, Callable[[Path], None]]] = [
    ("run.json", _cut),
    ("run.json", Path.unlink),
    ("run.json", lambda path: path.write_text("[]") and None),
    ("run.json", lambda path: path.write_text("{}") and None),
    ("run.json", _newer),
    ("weights.safetensors", _cut),
    ("weights.safetensors", _flip),
    ("weights.safetensors", Path.unlink),
    ("weights.safetensors", lambda path: path.write_bytes(b"\xff" * 100) and None),
]


@pytest.mark.parametrize(("name", "damage"), DAMAGE, ids=[f"{i} {n}" for i, (n, _) in enumerate(DAMAGE)])
def test_a_damaged_run_is_refused(
    name: str, damage: Callable[[Path], None], call: Call, copied: Path, tmp_path: Path
) -> None:
    damage(copied / name)
    err = _refused(call("sample", copied, "-n", 1, "--out", tmp_path / "x.npy"))
    assert str(copied) in err
    assert not (tmp_path / "x.npy").exists()


@pytest.mark.parametrize("verb", ["resume", "evaluate", "diagnose", "report"])
def test_every_verb_refuses_a_run_whose_record_is_cut(verb: str, call: Call, copied: Path) -> None:
    _cut(copied / "run.json")
    assert "run.json" in _refused(call(verb, copied))


def test_resume_without_any_whole_checkpoint_never_starts_anew(call: Call, copied: Path) -> None:
    for path in (copied / "checkpoints").rglob("*.safetensors"):
        _cut(path)
    weights = (copied / "weights.safetensors").read_bytes()
    code, out, err = call("resume", copied, "--steps", "+1")
    assert (code, out) == (2, "") and "Traceback" not in err
    assert err.splitlines()[-1].startswith("elboroom: ")
    assert (copied / "weights.safetensors").read_bytes() == weights


def test_a_second_process_on_one_run_is_refused(call: Call, copied: Path) -> None:
    with (copied / "lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        _refused(call("resume", copied, "--steps", "+1"))
        _refused(call("fit", "vae", "digits", *SMALL, "--run", copied, "--force"))


def test_a_run_whose_data_are_gone_or_changed_says_so(call: Call, table: Path, tmp_path: Path) -> None:
    shutil.copy(table, tmp_path / "t.csv")
    assert call("fit", "vae", tmp_path / "t.csv", *SMALL, "--run", tmp_path / "run")[0] == 0
    with (tmp_path / "t.csv").open("a") as file:
        file.write("row60,171.0,2.0,red,a\n")
    assert "fingerprint" in _refused(call("evaluate", tmp_path / "run"))
    (tmp_path / "t.csv").unlink()
    assert "t.csv" in _refused(call("evaluate", tmp_path / "run"))


def test_data_of_another_shape_are_refused_with_both_shapes(
    call: Call, pictures_run: Path, table_run: Path, table: Path, tmp_path: Path
) -> None:
    _refused(call("encode", pictures_run, table, "--out", tmp_path / "z.npy"))
    (tmp_path / "other.csv").write_text("weight,depth\n1,2\n3,4\n")
    assert "height" in _refused(call("encode", table_run, tmp_path / "other.csv", "--out", tmp_path / "z.npy"))
    np.save(tmp_path / "z5.npy", np.zeros((2, 5), np.float32))
    assert "(n, 2)" in _refused(call("decode", pictures_run, tmp_path / "z5.npy", "--out", tmp_path / "x.npy"))
    assert not (tmp_path / "z.npy").exists() and not (tmp_path / "x.npy").exists()


@pytest.mark.parametrize("out", ["x.png", "x.svg", "x"])
def test_a_table_has_no_pictures(out: str, call: Call, table_run: Path, tmp_path: Path) -> None:
    assert "no pictures" in _refused(call("sample", table_run, "-n", 2, "--out", tmp_path / out))
    assert list(tmp_path.iterdir()) == []


# ---- real processes -------------------------------------------------------------------------------------------------


def _process(*words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", "elboroom", *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environment,
    )


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["fit", "vae", "digits", "--latnt", "3"], 2),
        (["fit", "vae", "nowhere.csv"], 2),
        (["fit", "charnn", "digits"], 3),
    ],
)
def test_a_process_ends_with_the_code_and_one_line(words: list[str], code: int) -> None:
    done = _process(*words)
    assert done.returncode == code
    assert done.stdout == "" and done.stderr.count("\n") == 1 and done.stderr.startswith("elboroom: ")


@pytest.mark.slow
def test_without_a_terminal_a_fit_prints_no_control_characters(tmp_path: Path) -> None:
    done = _process("fit", "vae", "digits", *SMALL, "--run", str(tmp_path / "run"), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["state"] == "done"
    assert all(c.isprintable() or c == "\n" for c in done.stderr)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--likelihood", "poisson"], "likelihood poisson does not fit these data"),
        (["--latent", "5", "--from", "{run}"], "weights do not fit this model at"),
    ],
)
def test_a_refused_call_with_force_leaves_the_run_that_was_to_be_replaced(
    call: Call, pictures_run: Path, tmp_path: Path, words: list[str], said: str
) -> None:
    run = tmp_path / "run"
    shutil.copytree(pictures_run, run)
    asked = [word.format(run=pictures_run) for word in words]
    assert said in _refused(call("fit", "vae", "digits", *SMALL, *asked, "--run", run, "--force"))
    assert (run / "weights.safetensors").read_bytes() == (pictures_run / "weights.safetensors").read_bytes()
    assert said in _refused(call("fit", "vae", "digits", *SMALL, *asked, "--run", tmp_path / "new"))
    assert not (tmp_path / "new").exists()


def test_a_signal_stops_a_fit_with_its_state_saved(tmp_path: Path) -> None:
    import time

    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    words = [
        "fit",
        "vae",
        "digits",
        "--steps",
        "1000000",
        "--hidden",
        "8",
        "--threads",
        "1",
        "--compile",
        "off",
        "--json",
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "elboroom", *words, "--run", str(tmp_path / "run")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    deadline = time.monotonic() + 100
    while not (tmp_path / "run" / "history.jsonl").is_file() and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=100)
    assert process.returncode == 4, err
    assert json.loads(out)["state"] == "stopped"
    assert err.splitlines()[-1].startswith("elboroom: stopped by a signal") and "Traceback" not in err
    assert err.rstrip().endswith(f"go on with: elboroom resume {tmp_path / 'run'}")  # as it can be typed from anywhere
    assert json.loads((tmp_path / "run" / "run.json").read_text())["state"] == "stopped"
