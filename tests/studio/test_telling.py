"""What the server tells of runs that change: one headline, a list without gaps, events for what no page can know."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from elboroom.core.errors import InputError
from elboroom.sheets import png
from elboroom.studio import events, looking, summary
from elboroom.studio.jobs import Jobs
from elboroom.studio.shelf import Found, Shelf, identity
from elboroom.studio.summary import Summaries
from studio_server import Server
from studio_training import SAVED, trained

Json = dict[str, Any]


def run(folder: Path, rows: list[Json], name: str = "one") -> Found:
    """A run folder that trains, as far as its files say."""
    place = folder / name
    place.mkdir(parents=True, exist_ok=True)
    (place / "run.json").write_text(json.dumps({"state": "running", "model": "vae", "budget": {"planned_steps": 1000}}))
    (place / "history.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Found(identity(name), name, place)


def trains(steps: int, valid_every: int = 10) -> list[Json]:
    rows: list[Json] = [{"step": i, "time_s": i / 2, "train/loss_nats": 2.0 + 1 / i} for i in range(1, steps + 1)]
    for row in rows[valid_every - 1 :: valid_every]:
        row["valid/loss_nats"] = 3.0 + 1 / row["step"]
    return rows


def test_the_headline_of_a_running_run_is_its_validation_through_all_rows(tmp_path: Path) -> None:
    summaries = Summaries()
    for steps in range(20, 31):
        found = summaries.of(run(tmp_path, trains(steps)))
        assert found["curve_name"] == found["headline"]["key"] == "valid/loss_nats"
        assert found["headline"]["unit"] == "validation, so far"
        assert found["headline"]["value"] == 3.0 + 1 / (steps // 10 * 10)
    first = summaries.of(run(tmp_path, trains(5)))["headline"]
    assert (first["key"], first["unit"]) == ("train/loss_nats", "train, so far")


def test_a_column_that_pieces_of_a_long_history_miss_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    summaries = Summaries()
    assert summaries.of(run(tmp_path, trains(10)))["curve_name"] == "valid/loss_nats"
    monkeypatch.setattr(summary, "WHOLE", 1000)
    monkeypatch.setattr(summary, "PIECE", 200)
    monkeypatch.setattr(summary, "PIECES", 3)
    assert summaries.of(run(tmp_path, trains(999, valid_every=1000)))["curve_name"] == "valid/loss_nats"
    assert Summaries().of(run(tmp_path, trains(998, valid_every=1000)))["curve_name"] == "train/loss_nats"


def test_the_pace_is_that_of_the_last_minute(tmp_path: Path) -> None:
    slow = [{"step": i, "time_s": 10.0 * i} for i in range(1, 11)]
    fast = [{"step": 10 + i, "time_s": 100.0 + i} for i in range(1, 71)]
    assert Summaries().of(run(tmp_path, slow + fast))["pace"] == pytest.approx(1.0)
    assert Summaries().of(run(tmp_path, slow))["pace"] == pytest.approx(0.1)
    assert Summaries().of(run(tmp_path, slow[:1]))["pace"] is None


# ---- events ---------------------------------------------------------------------------------------------------------


def heard(folder: Path, seconds: float, change: Any = None, **asked: Any) -> list[tuple[str, Json]]:
    """The events of some seconds, (kind, content); `change` is made after half of them."""
    summaries, shelf, out = Summaries(), Shelf(folder), []
    end = time.monotonic() + seconds
    half = [end - seconds / 2]

    async def listen() -> None:
        given = {"run": "", "offset": 0, "with_list": False, **asked}
        told = events.stream(
            shelf, lambda: [summaries.of(found) for found in shelf.runs()], summaries.of,
            closing=lambda: time.monotonic() > end, **given,
        )  # fmt: skip
        async for text in told:
            if change and half and time.monotonic() > half.pop():
                change()
            lines = dict(line.split(": ", 1) for line in text.decode().splitlines() if ": " in line)
            if "data" in lines:
                out.append((lines["event"], json.loads(lines["data"])))

    asyncio.run(listen())
    return out


def test_a_list_that_changed_while_nobody_listened_is_told_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "LOOK_S", 0.05)
    run(tmp_path, trains(3))
    summaries, shelf = Summaries(), Shelf(tmp_path)
    held = events.stamp_of([summaries.of(found) for found in shelf.runs()])
    beats = heard(tmp_path, 0.3, with_list=True, stamp=held)
    assert [kind for kind, _ in beats] == ["beat"] and beats[0][1]["stamp"] == held
    run(tmp_path, trains(4))
    kind, told = heard(tmp_path, 0.3, with_list=True, stamp=held)[0]
    assert kind == "runs" and [row["step"] for row in told["changed"]] == [4] and told["stamp"] != held
    assert [kind for kind, _ in heard(tmp_path, 0.3, with_list=True)] == ["beat"], "a page without a list has no gap"


def test_rows_alone_tell_nothing_else_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "LOOK_S", 0.05)
    with kept(tmp_path) as found:
        told = [kind for kind, _ in heard(tmp_path, 1.5, run=found.id)]
    assert told.count("run") == 1 and told.count("rows") > 3


@contextmanager
def kept(folder: Path, saves_s: float = 0.0) -> Iterator[Found]:
    """A run that a process of its own keeps."""
    made = run(folder.parent / f"{folder.name} finished", trains(3))
    with trained(made.path, folder / "live", saves_s=saves_s) as place:
        yield Found(identity("live"), "live", place)


def test_a_second_page_does_not_end_a_run_that_is_saving(tmp_path: Path) -> None:
    with kept(tmp_path, saves_s=60.0) as found:
        jobs = Jobs(Shelf(tmp_path))
        assert jobs.stopping(found.path) == 0
        for _ in range(2):
            jobs.stop(found.path, first=True)
            time.sleep(0.2)
            assert jobs.stopping(found.path) == 1
        (found.path / SAVED).touch()
        end = time.monotonic() + 20
        while json.loads((found.path / "run.json").read_text())["state"] == "running":
            assert time.monotonic() < end, "it was ended without its state"
            time.sleep(0.05)
        while jobs.stopping(found.path):
            assert time.monotonic() < end
            time.sleep(0.05)
        with pytest.raises(InputError, match="nothing to stop"):
            jobs.stop(found.path)


# ---- pictures -------------------------------------------------------------------------------------------------------


@pytest.fixture
def drawn(tmp_path: Path) -> Found:
    """A run with three sheets, of which the first by name is the newest."""
    import numpy as np

    found = run(tmp_path, trains(3))
    (found.path / "media" / "samples").mkdir(parents=True)
    for number, name in enumerate(("epoch-0009", "epoch-0002", "epoch-0001")):
        sheet = found.path / "media" / "samples" / f"{name}.png"
        sheet.write_bytes(
            png(np.zeros((8, 8, 3), dtype=np.uint8), f"First 64 draws, seed 7; each pixel {number + 1}x.")
        )
        os.utime(sheet, (1000.0 - number, 1000.0 - number))
    return found


def test_of_too_many_sheets_the_newest_stay(drawn: Found, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "MOST_MEDIA", 2)
    assert [one["at"] for one in looking.media(drawn)] == [2, 9]


def test_a_sheet_says_how_it_was_drawn(drawn: Found) -> None:
    id = next(one["id"] for one in looking.media(drawn) if one["at"] == 9)
    said = looking.media_said(drawn, id)
    assert said == {"said": "First 64 draws, seed 7; each pixel 1x.", "width": 8, "height": 8}
    (drawn.path / "media" / "samples" / "epoch-0009.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match="damaged"):
        looking.media_said(drawn, id)


def test_every_row_that_was_logged_can_be_asked_for(studio: Server) -> None:
    id = studio.run("vae-digits-1")["id"]
    found = studio.get(f"/api/runs/{id}/history?width=1000000&name=valid/loss_nats&name=train/loss_nats")
    assert set(found["series"]) == {"valid/loss_nats", "train/loss_nats"}
    assert all(series["exact"] for series in found["series"].values())
