from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from elboroom.artifacts import files
from elboroom.core.errors import InputError, Stopped


class Failing:
    """Raises `code` at the k-th operation, counting those of one kind where a kind is named."""

    def __init__(self, code: int, at: int = 0, action: str = "") -> None:
        self.code, self.at, self.action, self.seen = code, at, action, 0

    def __call__(self, operation: files.Operation) -> None:
        if self.action in ("", operation.action):
            self.seen += 1
            if self.seen == self.at + 1:
                raise OSError(self.code, os.strerror(self.code))


def listed(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


def test_a_written_file_holds_the_bytes_and_nothing_else_is_left(tmp_path: Path) -> None:
    data = np.random.default_rng(0).bytes(3_000_001)
    written = files.write_bytes(tmp_path / "x", data)
    assert (tmp_path / "x").read_bytes() == data and listed(tmp_path) == ["x"]
    assert written == files.Written(len(data), hashlib.sha256(data).hexdigest())


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_file_modes_follow_the_umask(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        files.write_bytes(tmp_path / "file", b"x")
        files.append_line(tmp_path / "lines", {})
        files.make_folder(tmp_path / "a" / "b")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o666 & ~mask
    assert (tmp_path / "lines").stat().st_mode & 0o777 == 0o666 & ~mask
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o777 & ~mask


@pytest.mark.parametrize(
    "name", ["x" * 255, "with space", "-dash", "new\nline", "émoji 🙂", "é e\u0301", ".tmp-mine", "*"]
)
def test_odd_names_are_written_and_replaced(tmp_path: Path, name: str) -> None:
    for content in ("one", "two"):
        files.write_text(tmp_path / name, content)
        assert (tmp_path / name).read_text() == content
        with files.output(tmp_path / name, force=True) as place:
            place.write_text(content * 2)
        assert (tmp_path / name).read_text() == content * 2
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO])
def test_a_disk_that_fails_at_any_operation_leaves_the_old_file_whole_and_no_litter(tmp_path: Path, code: int) -> None:
    path = tmp_path / "x"
    files.write_bytes(path, b"old")
    new = bytes(files.CHUNK + 1)
    for k in range(20):
        failing = Failing(code, k)
        try:
            with files.watched(failing):
                files.write_bytes(path, new)
        except Stopped as stopped:
            said, state = str(stopped), stopped.state
        else:
            assert k == failing.seen == 6  # open, two writes, fsync, rename, fsync of the folder
            return
        assert state == "failed" and said.startswith(str(tmp_path)) and "bytes are free" in said
        assert path.read_bytes() in (b"old", new) and listed(tmp_path) == ["x"]
    pytest.fail("the writing never ended")


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.ENOENT, errno.EPERM])
def test_a_place_that_cannot_be_written_is_bad_input_and_names_path_and_user(tmp_path: Path, code: int) -> None:
    with (
        files.watched(Failing(code)),
        pytest.raises(InputError, match=r"cannot be written: .*; name a place that user"),
    ):
        files.write_bytes(tmp_path / "x", b"")
    assert listed(tmp_path) == []


def test_a_vanished_folder_and_a_file_in_its_place_are_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="gone"):
        files.write_bytes(tmp_path / "gone" / "x", b"")
    (tmp_path / "file").write_text("")
    for act in (
        lambda: files.write_bytes(tmp_path / "file" / "x", b""),
        lambda: files.make_folder(tmp_path / "file" / "x"),
    ):
        with pytest.raises(InputError, match="cannot be written"):
            act()


def test_a_real_limit_on_file_size_ends_in_stopped_and_leaves_nothing(
    tmp_path: Path, exit_code: Callable[[Callable[[], object]], int]
) -> None:
    files.write_bytes(tmp_path / "x", b"old")

    def child() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        with pytest.raises(Stopped, match="too large"):
            files.write_bytes(tmp_path / "x", bytes(3 << 20))
        line = {"x": "y" * (1 << 19)}
        files.append_line(tmp_path / "lines", line)
        with pytest.raises(Stopped):
            files.append_line(tmp_path / "lines", line)
        assert json.loads((tmp_path / "lines").read_bytes()) == line

    assert exit_code(child) == 0
    assert listed(tmp_path) == ["lines", "x"] and (tmp_path / "x").read_bytes() == b"old"


def test_json_is_exact_ordered_and_strict(tmp_path: Path) -> None:
    value = {
        "z": 0.1 + 0.2, "a": [np.float32(0.1), np.int64(3), np.bool_(True), np.arange(2)], "path": Path("p"),
        "nan": math.nan, "inf": [-math.inf, np.float64("nan")], "é": (1, None), "broken name": os.fsdecode(b"\xff"),
    }  # fmt: skip
    files.write_json(tmp_path / "x.json", value)
    read = files.read_json(tmp_path / "x.json")
    assert list(read) == ["z", "a", "path", "nan", "inf", "é", "broken name"]
    assert read["z"] == 0.1 + 0.2 and read["a"] == [float(np.float32(0.1)), 3, True, [0, 1]]
    assert read["path"] == "p" and read["nan"] is None and read["inf"] == [None, None] and read["é"] == [1, None]
    assert os.fsencode(read["broken name"]) == b"\xff"
    with pytest.raises(ValueError, match="JSON"):
        files.json_text({"x": math.inf}, exact=True)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 200_000, b'{"a": 1} x'])
def test_damaged_json_is_bad_input(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(InputError, match=r"x\.json: is damaged: not JSON .*; restore it from a copy"):
        files.read_json(tmp_path / "x.json")
    with pytest.raises(InputError, match="no such file"):
        files.read_json(tmp_path / "absent.json")


def test_a_line_that_the_disk_refuses_leaves_the_lines_before_it(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    files.append_line(path, {"a": 1})
    with files.watched(Failing(errno.ENOSPC)), pytest.raises(Stopped):
        files.append_line(path, {"a": 2})
    files.append_line(path, {"a": 3})
    assert path.read_text() == '{"a": 1}\n{"a": 3}\n'


# ---- outputs a user named ----------------------------------------------------------------------------------------


def test_an_output_appears_whole_with_the_ending_its_writer_saw(tmp_path: Path) -> None:
    with files.output(tmp_path / "x.npy") as place:
        assert place.suffix == ".npy" and place.parent == tmp_path and not place.exists()
        np.save(place, np.arange(3))
        assert not (tmp_path / "x.npy").exists()
    assert np.load(tmp_path / "x.npy").tolist() == [0, 1, 2] and listed(tmp_path) == ["x.npy"]


def test_an_output_whose_writer_fails_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("old")

    def write_half(name: str, error: type[BaseException], folder: bool) -> None:
        with files.output(tmp_path / name, force=True) as place:
            if folder:
                place.mkdir()
            (place / "half" if folder else place).write_text("half")
            raise error

    for name in ("new", "old"):
        for error in (ZeroDivisionError, KeyboardInterrupt):
            for folder in (True, False):
                with pytest.raises(error):
                    write_half(name, error, folder)
    assert listed(tmp_path) == ["old"] and (tmp_path / "old").read_text() == "old"


def test_a_writer_that_fills_the_disk_ends_in_stopped_and_its_other_errors_pass(tmp_path: Path) -> None:
    with pytest.raises(Stopped, match="No space left"), files.output(tmp_path / "x"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(FileNotFoundError), files.output(tmp_path / "x"):
        raise FileNotFoundError(errno.ENOENT, "the writer's own input")
    assert listed(tmp_path) == []


def test_an_existing_output_is_refused_before_the_work_unless_forced(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("old")
    with pytest.raises(InputError, match="exists already; --force replaces it"), files.output(tmp_path / "x"):
        pytest.fail("the body ran")
    with files.output(tmp_path / "x", force=True) as place:
        place.write_text("new")
    assert (tmp_path / "x").read_text() == "new" and listed(tmp_path) == ["x"]


def test_an_output_into_no_folder_or_a_device_is_refused_before_the_work(tmp_path: Path) -> None:
    for path, says in ((tmp_path / "no" / "x", "there is no folder"), (Path(os.devnull), "is a device")):
        with pytest.raises(InputError, match=says), files.output(path, force=True):
            pytest.fail("the body ran")
    assert Path(os.devnull).is_char_device()


def test_an_output_through_a_link_replaces_what_the_link_names(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    with files.output(tmp_path / "link", force=True) as place:
        place.write_text("new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_text() == "new"


def test_a_folder_is_put_whole_and_replaced_only_where_nothing_else_is_lost(tmp_path: Path) -> None:
    def put(names: str, force: bool) -> None:
        with files.output(tmp_path / "out", force=force) as place:
            place.mkdir()
            for name in names:
                (place / name).write_text(names)

    put("ab", force=False)
    put("abc", force=True)
    assert (tmp_path / "out" / "a").read_text() == "abc"
    with pytest.raises(InputError, match="holds c, which would be lost"):
        put("ab", force=True)
    with pytest.raises(InputError, match="is a folder"), files.output(tmp_path / "out", force=True) as place:
        place.write_text("a file")
    assert listed(tmp_path) == ["out", "out/a", "out/b", "out/c"] and (tmp_path / "out" / "a").read_text() == "abc"


def test_a_folder_inside_that_the_caller_owns_is_replaced_whole(tmp_path: Path) -> None:
    def put(names: list[str], owned: tuple[str, ...] = ()) -> None:
        with files.output(tmp_path / "out", force=True, owned=owned) as place:
            for name in names:
                (place / name).parent.mkdir(parents=True, exist_ok=True)
                (place / name).write_text("new")

    put(["a", "run/step-7"])
    with pytest.raises(InputError, match="holds run/step-7, which would be lost"):
        put(["a", "run/step-8"])
    put(["a", "run/step-8"], owned=("run",))
    assert listed(tmp_path) == ["out", "out/a", "out/run", "out/run/step-8"]
    with pytest.raises(InputError, match="holds a, which would be lost"):
        put(["run/step-9"], owned=("run",))


def test_removing_a_tree_does_not_follow_links_and_litter_is_known_by_its_whole_name(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_text("")
    (tmp_path / "tree" / "deep").mkdir(parents=True)
    (tmp_path / "tree" / "link").symlink_to(tmp_path / "kept")
    files.remove_tree(tmp_path / "tree")
    assert listed(tmp_path) == ["kept", "kept/file"]
    mine = [files.temporary(tmp_path).name, files.temporary(tmp_path, ".npy").name, ".trash-0123456789abcdef"]
    other = [".tmp-file", ".tmp-0123456789abcdeg", "x.tmp-0123456789abcdef", ".trash", ".tmp-0123456789abcdef.a/b"]
    assert all(map(files.is_litter, mine)) and not any(map(files.is_litter, other))
    for name in (*mine, *other[:4]):
        (tmp_path / name).write_text("")
    files.remove_litter(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted(["kept", *other[:4]])
