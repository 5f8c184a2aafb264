"""Columns of a history: nothing is lost that a pixel could show."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np

from elboroom.studio.history import Histories, whole_lines


def written(path: Path, values: list[float | None]) -> Path:
    rows = [{"step": i, "epoch": i / 10, "time_s": i / 5, "train/loss": v} for i, v in enumerate(values)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_single_spike_among_many_rows_is_kept(tmp_path: Path) -> None:
    values: list[float | None] = [1.0] * 20_000
    values[12_345] = 50.0
    values[7] = -3.0
    found = Histories().columns(written(tmp_path / "h", values), width=300)["series"]["train/loss"]
    assert len(found["value"]) <= 2 * 300 + 2 and not found["exact"]
    kept = dict(zip(found["step"], found["value"], strict=True))
    assert kept[12_345] == 50.0 and kept[7] == -3.0 and {0, 19_999} <= set(kept)


def test_zoomed_in_far_enough_every_row_is_there(tmp_path: Path) -> None:
    values: list[float | None] = [math.sin(i) for i in range(20_000)]
    found = Histories().columns(written(tmp_path / "h", values), width=300, low=100, high=400)["series"]["train/loss"]
    assert found["exact"] and found["value"] == values[100:401]


def test_the_mean_is_centred_and_shortened_at_the_ends(tmp_path: Path) -> None:
    values: list[float | None] = [float(i * i) for i in range(41)]
    found = Histories().columns(written(tmp_path / "h", values), width=300, smooth=0.1)["series"]["train/loss"]
    half, numbers = 2, np.arange(41.0) ** 2
    for i in (0, 1, 20, 40):
        reach = min(half, i, 40 - i)
        assert math.isclose(found["mean"][i], numbers[i - reach : i + reach + 1].mean())
    short = Histories().columns(written(tmp_path / "s", values[:19]), width=300, smooth=0.1)["series"]["train/loss"]
    assert short["mean"] is None


def test_what_is_not_finite_stays_a_gap(tmp_path: Path) -> None:
    found = Histories().columns(written(tmp_path / "h", [1.0, None, 3.0]), width=50)["series"]["train/loss"]
    assert found["value"] == [1.0, None, 3.0]


def test_a_growing_file_is_read_on_and_a_shorter_one_anew(tmp_path: Path) -> None:
    path, histories = written(tmp_path / "h", [1.0, 2.0]), Histories()
    assert histories.columns(path, width=50)["rows"] == 2
    with path.open("a") as file:
        file.write('{"step": 2, "train/loss": 3.0}\n{"step": 3, "train/lo')
    found = histories.columns(path, width=50)
    assert found["rows"] == 3 and found["series"]["train/loss"]["value"] == [1.0, 2.0, 3.0]
    written(path, [9.0])
    assert histories.columns(path, width=50)["series"]["train/loss"]["value"] == [9.0]


def test_a_line_that_is_still_being_written_waits(tmp_path: Path) -> None:
    path = tmp_path / "h"
    path.write_text('{"step": 1}\n{"step": 2')
    rows, offset = whole_lines(path, 0)
    assert (rows, offset) == ([{"step": 1}], 12)
    assert whole_lines(path, 99) == ([], -1)
