from __future__ import annotations

import errno
import itertools
import json
import os
import random
import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from elboroom.artifacts import files
from elboroom.artifacts.manifest import Checkpoints
from elboroom.core.errors import InputError, Stopped

Exit = Callable[[Callable[[], Any]], int]


def tensors_of(step: int, size: int = 300_000) -> dict[str, torch.Tensor]:
    """A state unlike that of any other step; 1.2 MB, so that one file takes more than one write."""
    generator = torch.Generator().manual_seed(step)
    return {"weights": torch.randn(size, generator=generator), "count": torch.tensor(step), "on": torch.tensor([True])}


def info_of(step: int) -> dict[str, Any]:
    return {"history_bytes": step * 17, "took_s": step / 3, "kept": None}


def save(folder: Path, step: int, size: int = 300_000, run: str = "run") -> None:
    Checkpoints(folder, run=run).save(step, tensors_of(step, size), info_of(step))


def newest(folder: Path, run: str = "run") -> int:
    """The step that is read, after checking that its whole content is what was saved at that step."""
    step, tensors, info = Checkpoints(folder, run=run).newest()
    expected = tensors_of(step, len(np.asarray(tensors["weights"])))
    assert set(tensors) == set(expected) and all(
        torch.equal(torch.as_tensor(tensors[n]), expected[n]) for n in expected
    )
    assert info == info_of(step)
    return step


def test_the_newest_state_comes_back_whole_and_the_last_two_are_kept(tmp_path: Path) -> None:
    for step in (0, 40, 80, 100):
        save(tmp_path / "c", step)
        assert newest(tmp_path / "c") == step
    assert sorted(os.listdir(tmp_path / "c")) == ["step-0000000080", "step-0000000100"]
    assert sorted(os.listdir(tmp_path / "c" / "step-0000000100")) == [
        "MANIFEST.json",
        "state.json",
        "state.safetensors",
    ]


def test_numbers_in_info_come_back_exactly_and_what_json_lacks_is_refused(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    info = {"a": 0.1 + 0.2, "b": 5e-324, "c": [1, None, True, "é"], "d": 2**60}
    checkpoints.save(1, {}, info)
    assert checkpoints.newest()[2] == info
    with pytest.raises(ValueError, match="JSON"):
        checkpoints.save(2, {}, {"best": float("inf")})
    assert checkpoints.steps() == [1] and os.listdir(tmp_path) == ["step-0000000001"]


def test_a_state_may_be_saved_again_at_the_same_step(tmp_path: Path) -> None:
    save(tmp_path, 1)
    for value in (1.0, 2.0):
        Checkpoints(tmp_path).save(2, {"x": torch.tensor(value)}, {})
    assert float(Checkpoints(tmp_path).newest()[1]["x"]) == 2.0
    assert sorted(os.listdir(tmp_path)) == ["step-0000000001", "step-0000000002"]


def test_without_any_state_nothing_is_restarted_silently(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(InputError, match="never restarted silently"):
            Checkpoints(folder).newest()


def test_times_of_files_and_copies_change_nothing(tmp_path: Path) -> None:
    save(tmp_path / "c", 1)
    save(tmp_path / "c", 2)
    for path in sorted((tmp_path / "c").rglob("*")):
        os.utime(path, (1e9 - path.stat().st_mtime, 1e9))
    os.utime(tmp_path / "c" / "step-0000000001", (4e9, 4e9))
    shutil.copytree(tmp_path / "c", tmp_path / "copy", copy_function=shutil.copyfile)
    assert newest(tmp_path / "c") == newest(tmp_path / "copy") == 2


def test_names_that_are_not_ours_are_never_touched(tmp_path: Path) -> None:
    foreign = ["step-1", "step-0000000009.bak", "corrupt-me", ".tmp-notes", "notes.txt", "step-0000000001-2", "best"]
    for name in foreign:
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("mine")
    for step in range(4):
        save(tmp_path, step, 10)
    checkpoints = Checkpoints(tmp_path)
    checkpoints.clean()
    checkpoints.remove()
    assert sorted(os.listdir(tmp_path)) == sorted(foreign)
    assert all((tmp_path / name / "file").read_text() == "mine" for name in foreign)


# ---- killed at every operation -----------------------------------------------------------------------------------


def killed_at(k: int) -> Callable[[files.Operation], None]:
    """Ends the process at the k-th operation, as SIGKILL would: nothing of Python's runs."""
    count = itertools.count()

    def watch(operation: files.Operation) -> None:
        if next(count) == k:
            os._exit(137)

    return watch


HISTORIES = {
    "first": ([], 0),
    "second": ([0], 40),
    "third": ([0, 40], 80),
    "again": ([0, 40], 40),
    "only again": ([0], 0),
}


@pytest.mark.parametrize("history", HISTORIES)
def test_a_kill_at_every_operation_of_a_save_leaves_the_old_or_the_new_state(
    scratch: Path, exit_code: Exit, history: str
) -> None:
    before, step = HISTORIES[history]
    (scratch / "base").mkdir()
    for earlier in before:
        save(scratch / "base", earlier)
    seen = set()
    for k in itertools.count():
        folder = scratch / f"{k}"
        shutil.copytree(scratch / "base", folder)

        def child(folder: Path = folder, k: int = k) -> None:
            with files.watched(killed_at(k)):
                save(folder, step)

        code = exit_code(child)
        checkpoints = Checkpoints(folder, run="run")
        checkpoints.clean()
        assert not any(files.is_litter(name) for name in os.listdir(folder))
        if not before and not checkpoints.steps():
            seen.add(None)
        else:
            seen.add(newest(folder))
        save(folder, 100)  # and the run goes on as if nothing had been
        assert newest(folder) == 100 and len(os.listdir(folder)) <= 2
        if code == 0:
            break
        assert code == 137
    assert k >= 14
    assert seen == {max(before, default=None), step}


def test_a_kill_at_every_operation_of_a_clean_up_loses_nothing(scratch: Path, exit_code: Exit) -> None:
    def litter(folder: Path) -> None:
        save(folder, 1)
        save(folder, 2)
        for name in (".tmp-0123456789abcdef", ".trash-0123456789abcdef"):
            shutil.copytree(folder / "step-0000000002", folder / name)

    for k in itertools.count():
        folder = scratch / f"{k}"
        litter(folder)

        def child(folder: Path = folder, k: int = k) -> None:
            with files.watched(killed_at(k)):
                Checkpoints(folder).clean()

        code = exit_code(child)
        Checkpoints(folder).clean()
        assert sorted(os.listdir(folder)) == ["step-0000000001", "step-0000000002"] and newest(folder) == 2
        if code == 0:
            break
    assert k == 8


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EACCES, errno.EROFS])
def test_a_fault_of_the_disk_at_every_operation_of_a_save_leaves_a_good_state(scratch: Path, code: int) -> None:
    save(scratch / "base", 0)
    save(scratch / "base", 40)
    for k in range(100):
        folder = scratch / f"{k}"
        shutil.copytree(scratch / "base", folder)
        count = itertools.count()

        def watch(operation: files.Operation, k: int = k, count: Iterator[int] = count) -> None:
            if next(count) == k:
                raise OSError(code, os.strerror(code))

        try:
            with files.watched(watch):
                save(folder, 80)
        except (Stopped, InputError):
            assert newest(folder) in (40, 80)
            # what is left of a half-written state is gone; only an old one may be half-deleted
            assert not [name for name in os.listdir(folder) if name.startswith(".tmp-")]
            Checkpoints(folder).clean()
            assert len(Checkpoints(folder).steps()) >= 2
        else:
            break
    assert k >= 20


# ---- damage ------------------------------------------------------------------------------------------------------


def damages(folder: Path) -> Iterator[tuple[str, Callable[[Path], None]]]:
    """Every way of damage of the newest state: a name and a function on the folder of checkpoints."""
    state = "step-0000000002"
    for name in sorted(os.listdir(folder / state)):
        size = (folder / state / name).stat().st_size

        def cut(c: Path, name: str = name, size: int = size, part: int = 0) -> None:
            os.truncate(c / state / name, size * part // 16)

        for part in range(16):
            yield f"{name} cut to {part}/16", lambda c, cut=cut, part=part: cut(c, part=part)
        blocks = range(0, size, 4096) if size > 4096 else range(size)
        for begin in blocks:
            at = min(size - 1, begin + begin * 7919 % 4096) if size > 4096 else begin
            yield f"{name} bit {at}", lambda c, name=name, at=at: flip(c / state / name, at)
        yield f"{name} deleted", lambda c, name=name: (c / state / name).unlink()
        yield f"{name} zeroed", lambda c, name=name, size=size: _put(c / state / name, bytes(size))
        yield f"{name} longer", lambda c, name=name, size=size: os.truncate(c / state / name, size + 1)
        yield (
            f"{name} of the step before",
            lambda c, name=name: _put(c / state / name, (c / "step-0000000001" / name).read_bytes()),
        )
        yield f"{name} a folder", lambda c, name=name: ((c / state / name).unlink(), (c / state / name).mkdir())[1]
    for key, value in (
        ("schema_version", 2),
        ("run", "other"),
        ("step", 3),
        ("format", "x"),
        ("files", {}),
        ("files", []),
    ):
        yield (
            f"manifest with {key} {value}",
            lambda c, key=key, value=value: edit(c / state / "MANIFEST.json", key, value),
        )
    yield "manifest a list", lambda c: _put(c / state / "MANIFEST.json", b"[]")
    yield "state emptied", lambda c: [path.unlink() for path in (c / state).iterdir()] and None


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1 << at % 8
    path.write_bytes(content)


def edit(path: Path, key: str, value: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))


def _put(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def test_every_damage_is_seen_said_and_answered_with_the_state_before(scratch: Path) -> None:
    base = scratch / "base"
    save(base, 1, 25_000)
    save(base, 2, 25_000)
    every = list(damages(base))
    for what, damage in every:
        folder = scratch / "damaged"
        shutil.copytree(base, folder)
        damage(folder)
        checkpoints = Checkpoints(folder, run="run")
        step, tensors, _ = checkpoints.newest()
        assert step == 1 and torch.equal(torch.as_tensor(tensors["weights"]), tensors_of(1, 25_000)["weights"]), what
        assert len(checkpoints.warnings) == 1 and "step-0000000002 is damaged" in checkpoints.warnings[0], what
        assert sorted(os.listdir(folder)) == ["corrupt-step-0000000002", "step-0000000001"], what
        shutil.rmtree(folder)
    assert len(every) > 400


def test_with_both_states_damaged_the_message_says_why_and_the_folders_are_kept(scratch: Path) -> None:
    save(scratch, 1)
    save(scratch, 2)
    for step in (1, 2):
        flip(scratch / f"step-000000000{step}" / "state.safetensors", 5000)
    with pytest.raises(InputError, match=r"SHA-256 differs.*SHA-256 differs.*never restarted silently"):
        Checkpoints(scratch).newest()
    assert sorted(os.listdir(scratch)) == ["corrupt-step-0000000001", "corrupt-step-0000000002"]


def test_a_second_damage_of_one_step_is_set_aside_beside_the_first(scratch: Path) -> None:
    for _ in range(3):
        save(scratch, 1, 10)
        save(scratch, 2, 10)
        (scratch / "step-0000000002" / "state.json").unlink()
        assert newest(scratch) == 1
    names = ["corrupt-step-0000000002", "corrupt-step-0000000002-2", "corrupt-step-0000000002-3", "step-0000000001"]
    assert sorted(os.listdir(scratch)) == names


@pytest.mark.parametrize("seed", range(3))
def test_any_history_of_saves_kills_damage_and_copies_leads_to_the_newest_good_state(
    scratch: Path, exit_code: Exit, seed: int
) -> None:
    """A model of the folder beside the folder: after each act, what is read is what the model says may be there."""
    chance = random.Random(seed)
    folder, step = scratch / "c", 0
    save(folder, 0, 10)
    good = [0]  # steps of states on disk that nothing damaged, oldest first; the last two count
    for _ in range(25):
        act = chance.choice(["save", "kill", "kill", "damage", "again", "copy"])
        before, step = good[-1], good[-1] + chance.randrange(1, 50)
        match act:
            case "save":
                save(folder, step, 10)
                good.append(step)
            case "again":
                save(folder, before, 10)
            case "kill":

                def child(step: int = step, k: int = chance.randrange(25)) -> None:
                    with files.watched(killed_at(k)):
                        save(folder, step, 10)

                exit_code(child)
            case "damage" if len(set(good[-2:])) == 2:
                flip(folder / f"step-{before:010d}" / "state.safetensors", 20)
                good.pop()
            case "copy":
                shutil.copytree(folder, scratch / "copy")
                shutil.rmtree(folder)
                (scratch / "copy").rename(folder)
        Checkpoints(folder).clean()
        found = newest(folder)
        assert found == good[-1] or (act == "kill" and found == step), act
        if found != good[-1]:
            good.append(found)
        good = [s for s in good if s in Checkpoints(folder).steps()]


# ---- power loss --------------------------------------------------------------------------------------------------


class File:
    """Bytes as written, and as the disk is sure to hold them."""

    def __init__(self, durable: bytes = b"") -> None:
        self.now, self.durable = durable, durable

    def after_power_loss(self) -> list[bytes]:
        if self.now == self.durable:
            return [self.now]
        return list(dict.fromkeys([self.durable, b"", self.now[: len(self.now) // 2], self.now]))


class Folder:
    """Names as they are, as the disk is sure to hold them, and the changes between, each all or nothing."""

    def __init__(self) -> None:
        self.now: dict[str, File | Folder] = {}
        self.durable: dict[str, File | Folder] = {}
        self.pending: list[list[tuple[str, File | Folder | None]]] = []

    def change(self, *changes: tuple[str, File | Folder | None]) -> None:
        self.pending.append(list(changes))
        apply(self.now, changes)

    def after_power_loss(self) -> Iterator[dict[str, File | Folder]]:
        for chosen in itertools.product([True, False], repeat=len(self.pending)):
            names = dict(self.durable)
            for changes, done in zip(self.pending, chosen, strict=True):
                if done:
                    apply(names, changes)
            yield names


def apply(names: dict[str, File | Folder], changes: Any) -> None:
    for name, node in changes:
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node


class Disk:
    """A model of a disk that keeps for sure only what was fsynced: un-fsynced bytes of a file may be absent, empty,
    half or whole, and each un-fsynced change of a folder may or may not have happened, in any order."""

    def __init__(self, root: Path) -> None:
        self.root, self.top = root, self.scan(root)

    def scan(self, path: Path) -> Folder:
        folder = Folder()
        for entry in path.iterdir():
            folder.now[entry.name] = self.scan(entry) if entry.is_dir() else File(entry.read_bytes())
        folder.durable = dict(folder.now)
        return folder

    def find(self, path: Path) -> Any:
        node: Any = self.top
        for part in path.relative_to(self.root).parts:
            node = node.now[part]
        return node

    def do(self, operation: files.Operation) -> None:
        path, name = operation.path, operation.path.name
        match operation.action:
            case "mkdir":
                self.find(path.parent).change((name, Folder()))
            case "open":
                self.find(path.parent).change((name, File()))
            case "write" | "append":
                self.find(path).now += bytes(operation.data)
            case "truncate":
                self.find(path).now = self.find(path).now[: operation.size]
            case "fsync":
                self.find(path).durable = self.find(path).now
            case "rename":
                assert operation.target is not None and operation.target.parent == path.parent
                self.find(path.parent).change((operation.target.name, self.find(path)), (name, None))
            case "unlink" | "rmdir":
                self.find(path.parent).change((name, None))
            case "fsync_dir":
                folder = self.find(path)
                folder.durable, folder.pending = dict(folder.now), []

    def after_power_loss(self, folder: Folder | None = None) -> Iterator[dict[str, Any]]:
        """Every state the disk can be in, as nested dicts of bytes."""
        for names in (folder or self.top).after_power_loss():
            outcomes = [
                list(self.after_power_loss(node)) if isinstance(node, Folder) else node.after_power_loss()
                for node in names.values()
            ]
            for chosen in itertools.product(*outcomes):
                yield dict(zip(names, chosen, strict=True))


def materialise(tree: dict[str, Any], path: Path) -> None:
    path.mkdir()
    for name, node in tree.items():
        if isinstance(node, dict):
            materialise(node, path / name)
        else:
            (path / name).write_bytes(node)


def power_loss_states(folder: Path, act: Callable[[], Any]) -> Iterator[tuple[bool, dict[str, Any]]]:
    """(whether `act` had ended, state of the disk) for a power cut before each operation of `act` and after it."""
    log: list[files.Operation] = []
    disk = Disk(folder)
    with files.watched(lambda operation: log.append(replace(operation, data=bytes(operation.data)))):
        act()
    for operation in [*log, None]:
        yield from ((operation is None, tree) for tree in disk.after_power_loss())
        if operation is not None:
            disk.do(operation)


@pytest.mark.parametrize("history", ["second", "third", "again", "only again"])
def test_a_power_cut_at_every_operation_leaves_the_old_or_the_new_state(scratch: Path, history: str) -> None:
    before, step = HISTORIES[history]
    folder = scratch / "checkpoints"
    for earlier in before:
        save(folder, earlier, 4)
    states = list(power_loss_states(folder, lambda: save(folder, step, 4)))
    for ended, tree in states:
        materialise(tree, scratch / "after")
        Checkpoints(scratch / "after", run="run").clean()
        assert newest(scratch / "after") in ({step} if ended else {max(before), step})
        shutil.rmtree(scratch / "after")
    assert len(states) >= 60


def test_a_power_cut_after_a_fall_back_leaves_a_state_at_least_as_new(scratch: Path) -> None:
    """The newest is damaged, the one before is used, and two more are saved: all of it as one history."""
    folder = scratch / "checkpoints"
    for step in (1, 2):
        save(folder, step, 4)
    flip(folder / "step-0000000002" / "state.safetensors", 100)

    def act() -> None:
        assert newest(folder) == 1
        save(folder, 2, 4)
        save(folder, 3, 4)
        Checkpoints(folder).clean()

    seen = []
    for _, tree in power_loss_states(folder, act):
        materialise(tree, scratch / "after")
        Checkpoints(scratch / "after", run="run").clean()
        seen.append(newest(scratch / "after"))
        shutil.rmtree(scratch / "after")
    assert set(seen) == {1, 2, 3} and seen[-1] == 3 and len(seen) > 200


def test_the_model_of_power_loss_catches_a_save_without_fsync(scratch: Path) -> None:
    """The protocol without its fsyncs fails the same test: the model is not blind."""
    folder = scratch / "checkpoints"
    save(folder, 0, 4)
    log: list[files.Operation] = []
    disk = Disk(folder)
    with files.watched(lambda operation: log.append(replace(operation, data=bytes(operation.data)))):
        save(folder, 40, 4)
    for operation in log:
        if operation.action != "fsync":
            disk.do(operation)
    bad = 0
    for tree in itertools.islice(disk.after_power_loss(), 500):
        materialise(tree, scratch / "after")
        checkpoints = Checkpoints(scratch / "after", run="run")
        checkpoints.newest()
        bad += bool(checkpoints.warnings)
        shutil.rmtree(scratch / "after")
    assert bad > 0


@pytest.mark.slow
def test_a_checkpoint_of_8_mb_costs_at_most_twice_a_plain_save(tmp_path: Path) -> None:
    """Plain: torch.save and an fsync, which alone is no protection; the best of three blocks of interleaved rounds."""
    state = {f"layer{i}": torch.randn(1 << 18) for i in range(8)}
    checkpoints = Checkpoints(tmp_path / "c")
    ratios = []
    for block in range(3):
        plain, safe = [], []
        for step in range(21):
            began = time.perf_counter()
            with (tmp_path / "plain").open("wb") as file:
                torch.save(state, file)
                file.flush()
                os.fsync(file.fileno())
            between = time.perf_counter()
            checkpoints.save(100 * block + step, state, {})
            plain.append(between - began)
            safe.append(time.perf_counter() - between)
        ratios.append(statistics.median(safe) / statistics.median(plain))
    assert min(ratios) <= 2, ratios
