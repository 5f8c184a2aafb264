"""The process of a run: one ask at a time, the newest of a kind, a cancel at the next part; its beginning and end."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from elboroom.core.errors import InputError
from elboroom.data.reading import Reading
from elboroom.fitting import fit
from elboroom.play.answers import Json, Player, checked, packed
from elboroom.play.images import Place
from elboroom.play.worker import MODULES, Worker, asks
from elboroom.studio.players import Players
from elboroom.web.answers import Refusal
from text_toys import TRAIN, few_drawn


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("play") / "vae-digits"
    fit("vae", "digits", run=folder, settings={"hidden": (16,), "latent": 2}, steps=5, threads=1)
    return folder


@pytest.fixture(scope="module")
def player(run: Path) -> Player:
    from elboroom.run import load

    return Player(load(run))


def asked(id: int, name: str, **more: Any) -> str:
    given = more.pop("given", {})
    return json.dumps({"id": id, "ask": name, "with": given, **more})


# ---- one worker, line by line -------------------------------------------------------------------------------------


def test_the_newest_of_a_kind_takes_the_place_of_one_that_has_not_begun(player: Player) -> None:
    told: list[Json] = []
    worker = Worker(player, told.append)
    for id, x in ((1, 0.1), (2, 0.2), (3, 0.3)):
        worker.take(asked(id, "images/decode", given={"z": [x, 0.0]}, latest="here"))
    worker.take(asked(4, "images/about", latest="elsewhere"))
    assert told == [{"id": 1, "dropped": True}, {"id": 2, "dropped": True}]
    worker.work()
    worker.work()
    assert [line["id"] for line in told[2:]] == [3, 4] and all("answer" in line for line in told[2:])


def test_a_cancel_ends_what_is_told_at_its_next_part(player: Player) -> None:
    told: list[Json] = []
    worker: Worker

    def write(line: Json) -> None:
        told.append(line)
        if "part" in line and len(told) == 1:
            worker.take(json.dumps({"id": 1, "cancel": True}))

    worker = Worker(player, write)
    worker.take(asked(1, "codes/map"))
    worker.work()
    assert [sorted(set(line) - {"id"}) for line in told] == [["part"], ["end"]]
    told.clear()
    worker.take(asked(2, "codes/map"))
    worker.take(asked(3, "codes/map"))
    worker.take(json.dumps({"id": 3, "cancel": True}))
    worker.work()
    assert told[0] == {"id": 3, "dropped": True} and sum("part" in line for line in told) > 1


def test_a_wrong_ask_is_told_in_one_sentence_and_the_next_one_is_answered(player: Player) -> None:
    told: list[Json] = []
    worker = Worker(player, told.append)
    wrong = {
        "images/nothing": ("input", "images/nothing"),
        "os/system": ("input", "os/system"),
        "words/about": ("ability", "vae"),
    }
    for name in wrong:
        worker.take(asked(1, name))
    worker.take(asked(1, "images/decode", given={"z": [0.0]}))
    worker.take(asked(1, "images/decode", given={"z": [0.0, 1e400]}))
    worker.take(asked(1, "images/about"))
    for _ in range(6):
        worker.work()
    errors = [line["error"] for line in told[:5]]
    for error, (code, word) in zip(errors, wrong.values(), strict=False):
        assert error["code"] == code and word in error["message"]
    assert "2 numbers" in errors[3]["message"] and errors[4]["code"] == "input" and "answer" in told[5]
    assert not any("\n" in error["message"] for error in errors)


def test_every_ask_of_a_module_begins_with_its_name() -> None:
    for module in MODULES:
        assert asks(module) and all(name.startswith(f"{module}/") for name in asks(module))
    assert asks("os") == {}


def test_fields_are_checked_by_name_and_arrays_come_as_little_endian_bytes() -> None:
    with pytest.raises(InputError, match=r"no field 'zz'.*did you mean|no field 'zz'"):
        checked(Place, {"z": [0.0], "zz": 1})
    with pytest.raises(InputError, match=r"^seed: "):
        checked(Place, {"z": [0.0], "seed": -1})
    assert packed([[1, 2]]) == {"dtype": "int64", "shape": [1, 2], "bytes": "AQAAAAAAAAACAAAAAAAAAA=="}


@pytest.fixture(scope="module")
def teller(tmp_path_factory: pytest.TempPathFactory) -> Player:
    """A transformer on letters that sees 16 of them."""
    path = tmp_path_factory.mktemp("play") / "prose.txt"
    path.write_text(TRAIN, encoding="utf-8")
    settings = {"layers": 1, "heads": 2, "width": 16}
    with few_drawn():
        run = fit("gpt", str(path), run=path.parent / "run", reading=Reading(window=16), settings=settings, steps=2)
    return Player(run)


def test_short_asks_are_answered_between_two_parts_of_a_text_and_change_nothing_of_it(teller: Player) -> None:
    """Laws, attention and maps of other tokens, asked for before every token."""
    alone: list[Json] = []
    worker = Worker(teller, alone.append)
    text = {"prompt": "the cat", "tokens": 40, "seed": 5}
    worker.take(asked(0, "words/generate", given=text))
    worker.work()
    told: list[Json] = []

    def write(line: Json) -> None:
        told.append(line)
        if line["id"] == 0 and "part" in line:
            n = len(told)
            worker.take(asked(n, "words/law", given={"ids": [1, 2, 3] * 9, "taken": 2}, latest="law"))
            worker.take(asked(n + 1, "words/attention", given={"ids": [4, 2, 3] * 9, "at": [20]}))
            worker.take(asked(n + 2, "words/maps", given={"ids": [1, 2, 9], "at": 3}))
            worker.take(asked(n + 3, "words/about", latest="wrong", given={"x": n}))

    worker = Worker(teller, write)
    worker.take(asked(0, "words/generate", given=text))
    worker.work()
    of_text = [line for line in told if line["id"] == 0]
    for line in (alone[-2], of_text[-2]):
        del line["part"]["done"]["seconds"]
    assert of_text == alone
    places = [i for i, line in enumerate(told) if line["id"] == 0]
    for first, then in itertools.pairwise(places[:-1]):  # three answers and one refusal before the next token
        between = told[first + 1 : then]
        assert [next(k for k in ("answer", "error") if k in line) for line in between] == ["answer"] * 3 + ["error"]


def test_a_text_that_waits_for_another_says_so_first_and_can_be_given_up(teller: Player) -> None:
    told: list[Json] = []

    def write(line: Json) -> None:
        told.append(line)
        if len(told) == 3:
            for id in (2, 3):
                worker.take(asked(id, "words/generate", given={"prompt": "a", "tokens": 2}))
            worker.take(json.dumps({"id": 3, "cancel": True}))

    worker = Worker(teller, write)
    worker.take(asked(1, "words/generate", given={"prompt": "the", "tokens": 9}))
    worker.work()
    worker.work()
    assert told[3:6] == [
        {"id": 2, "part": {"waits": "words/generate"}},
        {"id": 3, "part": {"waits": "words/generate"}},
        {"id": 3, "dropped": True},
    ]
    assert [line["id"] for line in told[6:]] == [1] * (12 - 3) + [2] * 5
    assert told[-1] == {"id": 2, "end": True}


# ---- processes ----------------------------------------------------------------------------------------------------


async def answer(players: Players, run: Path, name: str, given: Json) -> Any:
    lines = [line async for line in players.ask(run, name, given)]
    return lines[-1].get("answer", lines)


def processes() -> set[int]:
    """Children of this process that hold a run."""
    found = set()
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().split(b"\0")
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            continue
        if b"elboroom.play.worker" in words and parent == os.getpid():
            found.add(int(path.name))
    return found


def test_a_process_that_died_says_so_once_and_begins_anew(run: Path, tmp_path: Path) -> None:
    async def story() -> None:
        players = Players(tmp_path / "log", tmp_path)
        try:
            assert players.state(run) == "none"
            first = await answer(players, run, "images/decode", {"z": [0.0, 0.0]})
            assert first["x"]["shape"] == [1, 8, 8] and players.state(run) == "ready"
            assert players.ready(run)["seconds"] > 0 and len(processes()) == 1
            going = asyncio.create_task(answer(players, run, "codes/map", {}))
            await asyncio.sleep(0)
            os.kill(processes().pop(), signal.SIGKILL)
            with pytest.raises(Refusal, match=r"killed by signal 9.*ask again"):
                await going
            again = await answer(players, run, "images/decode", {"z": [0.0, 0.0]})
            assert again["x"] == first["x"]
        finally:
            await players.close()

    asyncio.run(story())


@pytest.mark.slow
def test_an_idle_process_ends_and_a_fifth_run_takes_the_place_of_the_one_idle_longest(
    run: Path, tmp_path: Path
) -> None:
    import shutil

    runs = [Path(shutil.copytree(run, tmp_path / f"run-{i}")) for i in range(3)]

    async def story() -> None:
        players = Players(tmp_path / "log", tmp_path, most=2)
        try:
            for one in (runs[0], runs[1], runs[0]):
                await answer(players, one, "images/about", {})
            await answer(players, runs[2], "images/about", {})
            assert [players.state(one) for one in runs] == ["ready", "none", "ready"] and len(processes()) == 2
            maps = [players.ask(one, "codes/map", {}) for one in (runs[0], runs[2])]
            for lines in maps:
                assert "part" in await anext(lines)
            with pytest.raises(Refusal, match="2 runs are at work"):
                await answer(players, runs[1], "images/about", {})
            for lines in maps:
                await lines.aclose()
            assert await answer(players, runs[1], "images/about", {})
        finally:
            await players.close()
        quick = Players(tmp_path / "log", tmp_path, idle_s=0.5)
        try:
            await answer(quick, run, "images/about", {})
            await asyncio.sleep(1.5)
            assert quick.state(run) == "none" and processes() == set()
            assert await answer(quick, run, "images/about", {})
        finally:
            await quick.close()

    asyncio.run(story())


@pytest.mark.slow
def test_a_run_that_was_trained_on_is_loaded_anew(run: Path, tmp_path: Path) -> None:
    async def story() -> None:
        players = Players(tmp_path / "log", tmp_path)
        try:
            await answer(players, run, "images/about", {})
            before = processes()
            os.utime(run / "weights.safetensors")
            await answer(players, run, "images/about", {})
            assert processes() != before
            os.rename(run / "weights.safetensors", run / "away")
            with pytest.raises(Refusal, match="no weights yet"):
                await answer(players, run, "images/about", {})
        finally:
            os.rename(run / "away", run / "weights.safetensors")
            await players.close()

    asyncio.run(story())
