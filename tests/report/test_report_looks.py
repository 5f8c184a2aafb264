"""The sheets that a run of two players keeps at its end: of the kept model, and where its pixels look."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from elboroom.fitting import fit
from elboroom.inspect_looks import HEAT, STRENGTH, look
from elboroom.report.pictures import opened, taken_apart
from elboroom.run import Run
from elboroom.sample_sheets import class_sheet
from elboroom.sheets import colours, shown

SMALL = {"latent": 8, "width": 4, "batch_size": 32}


def some_digits() -> tuple[np.ndarray, list[str]]:
    """120 real ones of 8 x 8: too few for sample quality to be measured, which keeps the runs short."""
    found = load_digits()
    return (found.images[:120] * 15).astype(np.uint8), [str(k) for k in found.target[:120]]


@pytest.fixture(scope="module")
def looking(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("on") / "run"
    return fit("sagan", some_digits(), run=folder, settings=SMALL, steps=3, threads=1, seed=4)


def test_a_run_keeps_the_sheet_and_every_cell_is_its_sample_under_its_own_map(looking: Run) -> None:
    found = look(looking, seed=4)
    sheet, reason = opened(looking.path / "media" / "looks.png")
    assert sheet is not None, reason
    cells = taken_apart(sheet, (8, 8))
    assert cells.shape[:2] == (6, 6)
    pictures = colours(shown(found.x, found.spec))
    for row in range(6):
        for place in range(5):
            weights = np.kron(found.maps[row, place], np.ones(tuple(8 // n for n in found.maps.shape[2:])))
            share = STRENGTH * weights / weights.max()
            under = pictures[row] * (1 - share[..., None]) + np.array(HEAT) * share[..., None]
            marked = np.zeros((8, 8), dtype=bool)
            top, left = 2 * found.query[place]
            marked[top : top + 2, left : left + 2] = True
            assert np.abs(cells[row, 1 + place] - under)[~marked].max() <= 1
            assert (cells[row, 1 + place][marked] == cells[row, 1 + place][marked][0]).all()


def test_the_sheet_of_classes_is_of_the_model_that_is_kept(looking: Run) -> None:
    kept = class_sheet(looking.model, looking.spec, seed=4)
    with Image.open(looking.path / "media" / "classes.png") as sheet:
        assert kept is not None and np.array_equal(np.asarray(sheet.convert("RGB")), kept.pixels)


def test_the_report_shows_it_with_a_class_beside_each_row(looking: Run) -> None:
    page = looking.report().read_text(encoding="utf-8")
    section = page.split('id="looks"')[1].split("</section>")[0]
    assert "Where pixels look" in section
    assert "marked in blue" in section and "data:image/" in section
    with Image.open(looking.path / "media" / "looks.png") as sheet:
        assert "4 x 4 pixels" in sheet.info["Description"]


def test_a_run_without_attention_keeps_no_such_sheet_and_its_report_no_such_section(tmp_path: Path) -> None:
    off = {**SMALL, "attention": "off"}
    run = fit("sagan", some_digits(), run=tmp_path / "run", settings=off, steps=1, threads=1)
    assert not (run.path / "media" / "looks.png").exists()
    assert 'id="looks"' not in run.report().read_text(encoding="utf-8")
