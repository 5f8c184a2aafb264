from __future__ import annotations

import errno
import itertools
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from elboroom.artifacts import files
from elboroom.artifacts.run import RunFolder
from elboroom.core.errors import InputError, Stopped

Exit = Callable[[Callable[[], Any]], int]


def made(path: Path, **meta: Any) -> RunFolder:
    """A run as `fit` leaves it, its lock free."""
    folder = RunFolder.create(path)
    with folder.lock():
        folder.write_meta({"name": path.name, "state": "done", **meta})
        folder.checkpoints.save(0, {"x": torch.zeros(3)}, {"history_bytes": 0})
        folder.append({"step": 1, "train/loss_nats": 0.1})
        files.write_bytes(folder.weights, b"weights")
        files.write_json(folder.metrics, {})
        with files.output(folder.media("samples/epoch-0000.png")) as place:
            place.write_bytes(b"png")
        folder.log("done")
    return folder


def tree(path: Path) -> dict[str, bytes]:
    return {str(p.relative_to(path)): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()}


def test_a_run_is_found_again_as_it_was_left(tmp_path: Path) -> None:
    made(tmp_path / "deep" / "run", took_s=0.1 + 0.2)
    folder = RunFolder.open(tmp_path / "deep" / "run")
    assert folder.meta["format"] == "elboroom-run" and folder.meta["schema_version"] == 1
    assert folder.meta["created_by"].startswith("elboroom ") and folder.meta["took_s"] == 0.1 + 0.2
    assert folder.rows() == [{"step": 1, "train/loss_nats": 0.1}] and folder.checkpoints.newest()[0] == 0
    assert list(json.loads((folder.path / "run.json").read_text()))[:4] == [
        "format",
        "schema_version",
        "created_by",
        "id",
    ]


def test_run_json_keeps_its_identity_when_it_is_written_again(tmp_path: Path) -> None:
    identity = made(tmp_path / "run").meta["id"]
    folder = RunFolder.open(tmp_path / "run")
    folder.write_meta({"state": "running", "created_by": "elboroom 0.0.1", "schema_version": 99})
    assert (folder.meta["id"], folder.meta["created_by"], folder.meta["schema_version"]) == (
        identity,
        "elboroom 0.0.1",
        1,
    )
    assert RunFolder.open(tmp_path / "run").meta == folder.meta


@pytest.mark.parametrize("name", ["with space", "émoji 🙂", "-dash", "new\nline", "e\u0301", "x" * 255])
def test_a_run_may_have_an_odd_name_be_a_link_and_outlive_a_change_of_folder(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "runs").symlink_to("real")
    monkeypatch.chdir(tmp_path)
    folder = RunFolder.create(Path("runs") / name)
    monkeypatch.chdir("/")
    with folder.lock():
        folder.write_meta({"state": "done"})
        folder.append({})
    assert set(os.listdir(tmp_path / "real" / name)) == {"run.json", "history.jsonl", "lock"}


# ---- create ------------------------------------------------------------------------------------------------------


def test_an_empty_folder_and_what_a_killed_start_left_may_become_a_run(tmp_path: Path) -> None:
    started = RunFolder.create(tmp_path)
    started.checkpoints.save(0, {"x": torch.zeros(3)}, {})
    with started.lock():
        pass
    (tmp_path / "media").mkdir()
    (tmp_path / ".tmp-0123456789abcdef").write_text("")
    (tmp_path / "checkpoints" / ".tmp-0123456789abcdef").mkdir()
    folder = RunFolder.create(tmp_path)
    assert tree(folder.path).keys() == {"lock"}


def test_states_beyond_the_first_step_are_not_replaced_though_run_json_is_lost(tmp_path: Path) -> None:
    folder = made(tmp_path / "run")
    folder.checkpoints.save(40, {"x": torch.zeros(3)}, {})
    for path in (tmp_path / "run").iterdir():
        if path.name not in ("checkpoints", "lock"):
            files.remove_tree(path)
    for force in (False, True):
        with pytest.raises(InputError, match="holds files and is no run"):
            RunFolder.create(tmp_path / "run", force=force)


def test_a_run_is_not_replaced_without_force(tmp_path: Path) -> None:
    made(tmp_path / "run")
    before = tree(tmp_path)
    with pytest.raises(InputError, match=r"holds a run already; `elboroom resume .*--force"):
        RunFolder.create(tmp_path / "run")
    assert tree(tmp_path) == before


def test_force_replaces_what_a_run_owns_and_nothing_else(tmp_path: Path) -> None:
    made(tmp_path / "run")
    mine = ["notes.txt", "checkpoints/mine", "weights.safetensors.bak"]
    for name in mine:
        (tmp_path / "run" / name).write_text("mine")
    old = json.loads((tmp_path / "run" / "run.json").read_text())["id"]
    folder = RunFolder.create(tmp_path / "run", force=True)
    assert set(tree(tmp_path / "run")) == {"lock", *mine}
    assert folder.meta["id"] != old


def test_force_through_a_link_does_not_empty_what_it_points_to(tmp_path: Path) -> None:
    made(tmp_path / "run")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").write_text("mine")
    files.remove_tree(tmp_path / "run" / "media")
    (tmp_path / "run" / "media").symlink_to(tmp_path / "elsewhere")
    RunFolder.create(tmp_path / "run", force=True)
    assert tree(tmp_path / "elsewhere") == {"file": b"mine"}


@pytest.mark.parametrize("content", [b'{"format": "other"}', b"[]", b"{", b"null"])
def test_force_does_not_touch_a_folder_that_is_not_a_run(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "photo.png").write_bytes(b"photo")
    for _ in range(2):
        before = tree(tmp_path)
        with pytest.raises(InputError):
            RunFolder.create(tmp_path, force=True)
        assert tree(tmp_path) == before
        (tmp_path / "run.json").write_bytes(content)


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES])
def test_a_folder_that_cannot_be_written_is_refused_before_any_work(tmp_path: Path, code: int) -> None:
    def deny(operation: files.Operation) -> None:
        if operation.action == "open":
            raise OSError(code, os.strerror(code))

    with files.watched(deny), pytest.raises(InputError, match=r"run: cannot be written: .*name a place"):
        RunFolder.create(tmp_path / "run")
    assert tree(tmp_path) == {}


def test_a_folder_of_another_user_is_refused_in_words(tmp_path: Path, exit_code: Exit) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can act as another user")

    def child() -> None:
        os.setuid(65534)
        with pytest.raises(InputError, match="cannot be written: Permission denied; name a place that user 65534 may"):
            RunFolder.create(tmp_path / "closed" / "run")

    for above in tmp_path.parents:
        if above != Path("/") and above.stat().st_uid == 0 and above.name.startswith(("pytest", "popen")):
            above.chmod(0o755)
    tmp_path.chmod(0o755)
    (tmp_path / "closed").mkdir(mode=0o755)
    assert exit_code(child) == 0


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file; name a folder"):
        RunFolder.create(tmp_path / "file")
    with pytest.raises(InputError, match="cannot be written"):
        RunFolder.create(tmp_path / "file" / "run")


def test_a_kill_at_every_operation_of_a_forced_replacing_can_be_repeated(scratch: Path, exit_code: Exit) -> None:
    for k in itertools.count():
        path = scratch / f"{k}"
        made(path)
        count = itertools.count()

        def kill(operation: files.Operation, k: int = k, count: Any = count) -> None:
            if next(count) == k:
                os._exit(137)

        def child(path: Path = path, kill: Any = kill) -> None:
            with files.watched(kill):
                RunFolder.create(path, force=True)

        code = exit_code(child)
        assert set(tree(RunFolder.create(path, force=True).path)) == {"lock"}
        if code == 0:
            break
    assert k > 15


# ---- open --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "is no run folder: it holds no run.json"),
        (b"", "is damaged: not JSON"),
        (b"\0" * 100, "is damaged: not JSON"),
        (b'{"format": "elboroom-run"', "is damaged: not JSON"),
        (b"[]", "is not the run.json of a run"),
        (b'{"format": "other", "schema_version": 1}', "is not the run.json of a run"),
        (b'{"format": "elboroom-run"}', "schema_version is None"),
        (b'{"format": "elboroom-run", "schema_version": true}', "schema_version is True"),
        (b'{"format": "elboroom-run", "schema_version": 2, "created_by": "elboroom 9.1"}', "made by elboroom 9.1"),
    ],
)
def test_a_folder_without_a_run_or_with_a_damaged_one_is_refused_in_words(
    tmp_path: Path, content: bytes | None, says: str
) -> None:
    if content is not None:
        (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(InputError, match=says):
        RunFolder.open(tmp_path)
    with pytest.raises(InputError, match="there is no such run folder"):
        RunFolder.open(tmp_path / "absent")


def test_a_state_of_another_run_is_not_taken_for_ours(tmp_path: Path) -> None:
    one, two = made(tmp_path / "one"), made(tmp_path / "two")
    two.checkpoints.save(7, {"x": torch.ones(3)}, {})
    (two.path / "checkpoints" / "step-0000000007").rename(one.path / "checkpoints" / "step-0000000007")
    assert one.checkpoints.newest()[0] == 0 and "says run" in one.checkpoints.warnings[0]


# ---- lock --------------------------------------------------------------------------------------------------------


def test_a_second_process_is_refused_and_told_who_writes(tmp_path: Path, exit_code: Exit) -> None:
    folder = made(tmp_path / "run")

    def child() -> None:
        for attempt in (lambda: RunFolder.open(tmp_path / "run").lock(), lambda: _locking(tmp_path / "run")):
            with pytest.raises(InputError, match=rf"run: is in use by process {parent} on host .* since 20"), attempt():
                pytest.fail("two hold the lock")

    parent = os.getpid()
    with folder.lock():
        before = tree(tmp_path)
        assert exit_code(child) == 0
        assert tree(tmp_path) == before
    with RunFolder.open(tmp_path / "run").lock():
        pass


def _locking(path: Path) -> Any:
    return RunFolder.create(path, force=True).lock()


def test_a_created_run_is_locked_before_anything_is_written_to_it(tmp_path: Path, exit_code: Exit) -> None:
    folder = RunFolder.create(tmp_path / "run")

    def child() -> None:
        with pytest.raises(InputError, match="is in use by process"):
            RunFolder.create(tmp_path / "run")

    assert exit_code(child) == 0
    with folder.lock():
        pass
    RunFolder.create(tmp_path / "run")


def test_the_death_of_the_holder_frees_the_lock(tmp_path: Path, exit_code: Exit) -> None:
    made(tmp_path / "run")

    def child() -> None:
        with RunFolder.open(tmp_path / "run").lock():
            os._exit(137)

    assert exit_code(child) == 137
    assert "process" in (tmp_path / "run" / "lock").read_text()
    with RunFolder.open(tmp_path / "run").lock():
        pass


@pytest.mark.slow
def test_of_fifty_processes_at_once_exactly_one_gets_the_lock(tmp_path: Path) -> None:
    made(tmp_path / "run")
    start_read, start_write = os.pipe()
    end_read, end_write = os.pipe()
    children = []
    for _ in range(50):
        child = os.fork()
        if child == 0:
            code = 99
            try:
                os.close(start_write)
                os.close(end_write)
                os.read(start_read, 1)  # returns when the parent lets go: all start together
                with RunFolder.open(tmp_path / "run").lock():
                    os.read(end_read, 1)
                    code = 0
            except InputError:
                code = 2
            finally:
                os._exit(code)
        children.append(child)
    os.close(start_write)
    codes = []
    for _ in range(49):
        ended, status = os.wait()
        children.remove(ended)
        codes.append(os.waitstatus_to_exitcode(status))
    os.close(end_write)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]))
    os.close(start_read)
    os.close(end_read)
    assert sorted(codes) == [0] + [2] * 49


def test_locking_removes_what_a_killed_process_left_and_nothing_else(tmp_path: Path) -> None:
    folder = made(tmp_path / "run")
    (folder.path / "lock").unlink()
    before = tree(folder.path)
    for name in (
        ".tmp-0123456789abcdef",
        "media/samples/.tmp-0123456789abcdef.png",
        "checkpoints/.trash-0123456789abcdef",
    ):
        (folder.path / name).write_text("litter")
    (folder.path / "media" / ".tmp-mine").write_text("mine")
    with folder.lock():
        pass
    (folder.path / "lock").unlink()
    assert tree(folder.path) == {**before, "media/.tmp-mine": b"mine"}


# ---- history -----------------------------------------------------------------------------------------------------


def test_history_goes_back_to_the_length_a_checkpoint_noted(tmp_path: Path) -> None:
    folder = made(tmp_path / "run")
    noted = folder.offset()
    rows = folder.rows()
    folder.append({"step": 2, "x": float("nan"), "y": 1 / 3})
    assert folder.rows()[-1] == {"step": 2, "x": None, "y": 1 / 3}
    with folder.history.open("a") as file:
        file.write('{"step": 3, "x')  # a kill in the middle of a line
    assert len(folder.rows()) == 2
    folder.truncate(noted)
    assert folder.rows() == rows and folder.offset() == noted
    with pytest.raises(InputError, match="it was cut or replaced"):
        folder.truncate(noted + 1)


def test_a_damaged_line_of_history_is_named_by_its_number(tmp_path: Path) -> None:
    folder = made(tmp_path / "run")
    for line in ("{", "[]", "[" * 100_000):
        folder.truncate(folder.offset())
        folder.history.write_text('{"step": 1}\n' + line + "\n")
        with pytest.raises(InputError, match=r"history\.jsonl: line 2 is damaged"):
            folder.rows()


def test_a_full_disk_stops_the_run_and_keeps_what_was_there(tmp_path: Path) -> None:
    folder = made(tmp_path / "run")
    before = tree(folder.path)

    def full(operation: files.Operation) -> None:
        if operation.action in ("write", "append"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    acts: list[Callable[[], Any]] = [
        lambda: folder.write_meta({"state": "failed"}),
        lambda: folder.append({"step": 2}),
        lambda: folder.log("text"),
        lambda: folder.checkpoints.save(9, {"x": torch.ones(3)}, {}),
        lambda: files.write_bytes(folder.weights, b"new"),
    ]
    with files.watched(full):
        for act in acts:
            with pytest.raises(Stopped, match="No space left on device"):
                act()
    assert tree(folder.path) == before and RunFolder.open(folder.path).meta["state"] == "done"


def test_run_folders_are_read_without_torch(tmp_path: Path) -> None:
    made(tmp_path / "run")
    code = f"""
        import sys
        from elboroom.artifacts.run import RunFolder
        folder = RunFolder.open({str(tmp_path / "run")!r})
        folder.rows(), folder.checkpoints.steps()
        assert "torch" not in sys.modules, "torch was imported"
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)
