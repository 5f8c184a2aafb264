"""The report of a run: whole without network or scripts, true to metrics.json, safe from its data, never silent."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import math
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import elboroom.report as report
from elboroom.core.errors import InputError
from elboroom.report import assembly
from elboroom.report.contents import read_run
from elboroom.report.verdict import compared, verdict
from pages import EVIL, Page, assert_loads_nothing

Rewrite = Callable[[Path, str, Callable[[Any], Any]], None]


def test_the_page_is_one_file_that_loads_nothing(vae_run: Path) -> None:
    page = Page(report.build(vae_run))
    assert_loads_nothing(page)
    assert page.all("html")[0]["lang"] == "en"
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    for link in page.all("a"):
        if link["href"].startswith("#"):
            assert link["href"][1:] in ids


def test_the_policy_allows_exactly_the_style_and_the_script_of_the_page(vae_run: Path) -> None:
    text = report.build(vae_run)
    policy = next(m["content"] for m in Page(text).all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; img-src data:;")
    for tag in ("style", "script"):
        bodies = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert len(bodies) == 1
        digest = base64.b64encode(hashlib.sha256(bodies[0].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy


def test_every_full_value_in_the_page_parses_back_to_metrics_json(vae_run: Path) -> None:
    metrics = json.loads((vae_run / "metrics.json").read_text())
    page = Page(report.build(vae_run))
    tables = [a for a in page.all("td") if "data-key" in a]
    headlines = [a for a in page.all("data") if "data-key" in a]
    assert {a["data-key"] for a in tables} == metrics.keys()
    assert len(headlines) == 4
    for attributes in tables + headlines:
        found = metrics[attributes["data-key"]]
        for name in ("value", "low", "high"):
            if found[name] is None:
                assert f"data-{name}" not in attributes
            else:
                assert float(attributes[f"data-{name}"]) == found[name]


def test_the_csv_of_the_curves_parses_back_to_the_history(vae_run: Path) -> None:
    page = Page(report.build(vae_run))
    link = next(a for a in page.all("a") if a.get("download") == "bits_per_dim.csv")
    content = base64.b64decode(link["href"].removeprefix("data:text/csv;base64,")).decode()
    rows = {float(row["epoch"]): row for row in csv.DictReader(io.StringIO(content))}
    logged = [json.loads(line) for line in (vae_run / "history.jsonl").read_text().splitlines()]
    assert len(rows) == len(logged)
    for row in logged:
        for column, key in (("train", "train/bits_per_dim"), ("validation", "valid/bits_per_dim")):
            shown = rows[row["epoch"]][column]
            assert (float(shown) if shown else None) == row.get(key)


def test_every_figure_has_a_caption_its_number_a_summary_and_its_values(vae_run: Path) -> None:
    text = report.build(vae_run)
    figures = re.findall(r"<figure.*?</figure>", text, re.DOTALL)
    assert len(figures) == 6
    for number, figure in enumerate(figures, 1):
        assert f"<b>Figure {number}.</b>" in figure
        if "<svg" in figure and "<img" not in figure:
            assert re.search(r'role="img" aria-label="[^"]{20,}"', figure)
            assert 'download="' in figure
        for image in Page(figure).all("img"):
            assert image["alt"]


def test_captions_name_shapes_and_never_colors(vae_run: Path) -> None:
    captions = " ".join(re.findall(r"<figcaption>.*?</figcaption>", report.build(vae_run), re.DOTALL)).lower()
    assert not re.findall(r"\b(blue|red|vermilion|orange|green|brown|plum)\b", captions)


def test_the_page_builds_in_a_second_and_stays_under_two_megabytes(vae_run: Path) -> None:
    report.build(vae_run)
    began = time.process_time()  # of this process alone: a busy machine does not count
    text = report.build(vae_run)
    assert time.process_time() - began < 1
    assert len(text.encode()) < 2_000_000


def test_the_same_run_gives_the_same_bytes(vae_run: Path) -> None:
    assert report.build(vae_run) == report.build(vae_run)


def test_write_puts_the_page_into_the_run_folder_or_where_it_is_told(vae_run: Path, tmp_path: Path) -> None:
    assert report.write(vae_run) == vae_run / "report.html"
    other = report.write(vae_run, tmp_path / "other.html")
    assert other.read_text() == (vae_run / "report.html").read_text() == report.build(vae_run)


def test_a_report_is_made_without_torch(vae_run: Path) -> None:
    code = f"import sys, elboroom.report as r; r.build({str(vae_run)!r}); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


# -- words -------------------------------------------------------------------------------------------------------------


def test_the_verdict_compares_with_what_is_simpler_in_at_most_fifty_words(vae_run: Path) -> None:
    said = verdict(read_run(vae_run))
    assert "0.523 ± 0.002 bits per pixel" in said
    assert "46\N{NARROW NO-BREAK SPACE}% less than the best model that treats every pixel alone" in said
    assert "17 of its 20 latent dimensions carry information; the other 3 can be dropped." in said
    assert len(said.split()) <= 50


def test_a_simpler_thing_that_wins_is_said_before_what_is_good(vae_run: Path, rewrite: Rewrite) -> None:
    better = {"name": "PCA, 20 dimensions", "value": 0.004, "low": 0.0039, "high": 0.0041}
    rewrite(vae_run, "metrics.json", lambda m: m["reconstruction_mse"].update(references=[better]))
    said = verdict(read_run(vae_run))
    assert "PCA with 20 dimensions does better in squared error a pixel: 0.00400 against 0.01081." in said
    assert len(said.split()) <= 50


def test_a_baseline_that_wins_the_main_measure_is_in_its_sentence(vae_run: Path, rewrite: Rewrite) -> None:
    alone = {"name": "independent pixels", "value": 0.4, "low": 0.39, "high": 0.41}
    rewrite(vae_run, "metrics.json", lambda m: m["bits_per_dim"].update(references=[alone]))
    assert "; the best model that treats every pixel alone does better with 0.400." in verdict(read_run(vae_run))


def test_what_intervals_cannot_separate_is_called_so(vae_run: Path, rewrite: Rewrite) -> None:
    alone = {"name": "independent pixels", "value": 0.524, "low": 0.522, "high": 0.526}
    rewrite(vae_run, "metrics.json", lambda m: m["bits_per_dim"].update(references=[alone]))
    assert "cannot be told apart from the best model" in verdict(read_run(vae_run))


def test_a_floor_is_no_rival() -> None:
    found = {"value": 0.12, "low": 0.11, "high": 0.13, "references": [{"name": "entropy floor", "value": 0.1}]}
    assert compared("reconstruction_bce", found) is None


@pytest.mark.parametrize("used", [0, 1, 19, 20])
def test_every_count_of_used_dimensions_makes_a_sentence(vae_run: Path, rewrite: Rewrite, used: int) -> None:
    rewrite(vae_run, "metrics.json", lambda m: m["active_units"].update(value=used))
    wanted = {0: "collapsed", 1: "1 of its 20", 19: "the other one", 20: "All 20 latent dimensions carry"}[used]
    assert wanted in verdict(read_run(vae_run))


# -- states and what is missing ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["stopped", "failed"])
def test_a_run_that_did_not_end_says_so_why_and_what_to_do(vae_run: Path, rewrite: Rewrite, state: str) -> None:
    why = "step 4,121: the loss of phase 'elbo' is nan; no update was made with it"
    rewrite(vae_run, "run.json", lambda meta: meta.update(state=state, why=why, step=4120))
    for name in ("metrics.json", "details.json"):
        (vae_run / name).unlink()
    (vae_run / "checkpoints" / "step-0000004120").mkdir(parents=True)
    page = Page(report.build(vae_run))
    assert why[1:] in page.text
    assert f"{state.capitalize()} at step" in page.text
    assert "The state of step 4,120" in page.text
    assert "elboroom resume vae-mnist-7" in page.text
    assert "Nothing was measured" in page.text
    assert page.all("svg"), "curves up to the end stay visible"


def test_a_run_whose_process_is_gone_is_shown_as_stopped(vae_run: Path, rewrite: Rewrite) -> None:
    rewrite(vae_run, "run.json", lambda meta: meta.update(state="running", step=100))
    (vae_run / "lock").write_text("process 1 on host somewhere\n")
    text = Page(report.build(vae_run)).text
    assert "stopped" in text and "Its process is gone." in text


def test_a_run_whose_lock_is_held_is_shown_as_running(vae_run: Path, rewrite: Rewrite) -> None:
    import fcntl

    rewrite(vae_run, "run.json", lambda meta: meta.update(state="running", step=100))
    with (vae_run / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        text = Page(report.build(vae_run)).text
    assert "This run is not at its end" in text and "resume" not in text


PARTS = {
    "history.jsonl": "There are no curves",
    "metrics.json": "Nothing was measured yet",
    "details.json": "Nothing was checked yet",
    "media/codes.npz": "There is no code map",
    "media/reconstructions.png": "There is no sheet of reconstructions",
    "media/samples": "There is no sheet of samples",
}


@pytest.mark.parametrize("name", PARTS)
def test_a_missing_part_is_replaced_by_one_sentence_with_the_reason(vae_run: Path, name: str) -> None:
    place = vae_run / name
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    text = " ".join(Page(report.build(vae_run)).text.split())
    assert PARTS[name] in text
    assert "in the run folder" in text[text.index(PARTS[name]) :][:200]


@pytest.mark.parametrize("damage", ["empty", "cut", "noise"])
def test_damaged_parts_never_stop_the_report(vae_run: Path, damage: str) -> None:
    for name in [n for n in PARTS if n != "media/samples"] + ["media/samples/epoch-0080.png"]:
        whole = (vae_run / name).read_bytes()
        noise = np.random.default_rng(0).bytes(500)
        (vae_run / name).write_bytes({"empty": b"", "cut": whole[: len(whole) // 2], "noise": noise}[damage])
    page = Page(report.build(vae_run))
    assert_loads_nothing(page)
    assert "A VAE with" in page.text
    for part in ("metrics.json", "details.json", "media/codes.npz", "media/reconstructions.png"):
        assert f"{part} is damaged" in page.text


def test_values_that_are_not_finite_are_marked_and_never_written_as_nan(vae_run: Path, rewrite: Rewrite) -> None:
    rewrite(vae_run, "metrics.json", lambda m: m["rate_nats"].update(value=None, low=None, high=None))
    lines = (vae_run / "history.jsonl").read_text().splitlines()
    lines[100] = re.sub(r'"train/bits_per_dim": [^,}]+', '"train/bits_per_dim": null', lines[100])
    (vae_run / "history.jsonl").write_text("\n".join(lines) + "\n")
    text = report.build(vae_run)
    assert "1 value not finite, marked at the upper edge" in text
    assert not re.search(r"(?<![\w-])(nan|NaN|null|inf)(?![\w-])", Page(text).text)


def test_a_folder_that_is_no_run_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no run folder"):
        report.build(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(InputError, match="damaged"):
        report.build(tmp_path)


def test_a_run_json_of_nothing_still_gives_a_page(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"state": "done"}')
    assert_loads_nothing(Page(report.build(tmp_path)))


@pytest.mark.parametrize("wrong", [None, [], "text", 7, {"a": []}], ids=repr)
def test_parts_of_run_json_of_another_kind_never_stop_the_report(vae_run: Path, rewrite: Rewrite, wrong: Any) -> None:
    names = ["settings", "budget", "runtime", "kept", "choices", "versions", "took_s", "started", "step", "parameters"]
    rewrite(vae_run, "run.json", lambda meta: meta.update(dict.fromkeys(names, wrong)))
    Page(report.build(vae_run))
    rewrite(
        vae_run, "run.json", lambda meta: meta["data"].update(dict.fromkeys(["reading", "split", "problems"], wrong))
    )
    Page(report.build(vae_run))
    rewrite(vae_run, "run.json", lambda meta: meta["data"].update(spec=wrong))
    Page(report.build(vae_run))


# -- tables, pictures, codes -------------------------------------------------------------------------------------------


def test_a_table_run_shows_each_column_against_what_is_simpler_and_no_sheets(table_run: Path) -> None:
    page = Page(report.build(table_run))
    assert not page.all("img")
    assert "Reconstruction by column" in page.text
    assert re.search(r"Its error is smaller than that of PCA of the same width in \d of 5 columns\.", page.text)
    assert "14 of 6,000 cells are missing and were masked (columns age, income)" in page.text
    link = next(a for a in page.all("a") if a.get("download") == "columns.csv")
    rows = list(csv.DictReader(io.StringIO(base64.b64decode(link["href"].split(",")[1]).decode())))
    saved = json.loads((table_run / "media/reconstruction.json").read_text())
    assert [float(r["mae_model"]) for r in rows if r["mae_model"]] == [
        c["mae_model"] for c in saved if "mae_model" in c
    ]


def test_codes_of_two_dimensions_are_shown_as_they_are_and_wider_ones_on_their_principal_axes(vae_run: Path) -> None:
    assert "The first two principal axes of the 20-dimensional codes" in report.build(vae_run)
    rng = np.random.default_rng(0)
    np.savez(vae_run / "media/codes.npz", z=rng.normal(size=(300, 2)), label=rng.integers(0, 3, 300))
    text = report.build(vae_run)
    assert "The code has two dimensions and is shown as it is" in text
    assert "Dashed circle: 95 % of the prior" in text


def test_more_classes_than_colors_are_named_nine_and_the_rest_is_grey(vae_run: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(vae_run / "media/codes.npz", z=rng.normal(size=(3000, 3)), label=rng.integers(0, 40, 3000))
    text = report.build(vae_run)
    assert "Names of the 9 largest of 40 classes" in text
    assert text.count('class="class-name halo"') == 2 * 9, "once for a wide page and once for a phone"


def test_large_color_sheets_are_cut_to_whole_pictures_and_the_page_stays_small(vae_run: Path, rewrite: Rewrite) -> None:
    from PIL import Image

    rng = np.random.default_rng(0)
    for path in (vae_run / "media/samples").glob("*.png"):
        Image.fromarray(rng.integers(0, 256, (8 * 66 - 2, 8 * 66 - 2, 3), dtype=np.uint8)).save(path)
    Image.fromarray(rng.integers(0, 256, (3 * 64 + 8, 10 * 66 - 2, 3), dtype=np.uint8)).save(
        vae_run / "media/reconstructions.png"
    )
    rewrite(vae_run, "run.json", lambda meta: meta["data"]["spec"].update(shape=[3, 64, 64]))
    text = report.build(vae_run)
    assert len(text.encode()) < 2_000_000
    assert "Shown: the first 3 columns" in text
    for image in Page(text).all("img"):
        assert (int(image["width"]) + 1) % 65 == 0, "whole pictures at a whole factor"


# -- data as enemy -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("evil", EVIL)
def test_nothing_from_data_becomes_markup(table_run: Path, rewrite: Rewrite, evil: str) -> None:
    def poison(meta: dict[str, Any]) -> None:
        meta.update(name=evil, model=evil, command=evil, why=evil, state="failed", preset=evil, created_by=evil)
        meta["data"].update(name=evil, source=evil, problems=[evil], fingerprint=evil)
        meta["data"]["spec"].update(classes=[evil, evil])
        for column in meta["data"]["spec"]["columns"]:
            column.update(name=evil, categories=[evil])
        meta["settings"][evil] = evil
        meta["choices"][evil] = evil
        meta["versions"][evil] = evil

    rewrite(table_run, "run.json", poison)
    rewrite(table_run, "media/reconstruction.json", lambda cs: [c.update(name=evil) for c in cs])
    finding = {"name": evil, "level": evil, "why": evil, "try": evil, "since_step": 3}
    rewrite(table_run, "details.json", lambda d: d.update(checks=[finding]))
    reference = {"name": evil, "value": -200.0, "low": None, "high": None}
    extra = {"value": 1.0, "low": 0.9, "high": 1.1, "unit": evil, "n": 3, "split": evil, "how": evil}
    rewrite(
        table_run, "metrics.json", lambda m: m.update({evil: extra}) or m["elbo_nats"].update(references=[reference])
    )
    label = np.array([0, 1] * 50)
    np.savez(table_run / "media/codes.npz", z=np.random.default_rng(0).normal(size=(100, 2)), label=label)
    with (table_run / "history.jsonl").open("a") as file:
        file.write(json.dumps({"step": 10**6, "epoch": 81.0, f"train/{evil}": 1.0, f"valid/{evil}": 2.0}) + "\n")
    text = report.build(table_run)
    page = Page(text)
    assert_loads_nothing(page)
    assert len(page.all("script")) == len(page.all("style")) == 1
    assert "49{% for" not in text and not set("\x00\u202e") & set(text)
    policy = next(m["content"] for m in page.all("meta") if m.get("http-equiv"))
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert style is not None
    assert base64.b64encode(hashlib.sha256(style.group(1).encode()).digest()).decode() in policy


def test_a_class_name_from_data_is_text_in_the_code_map(vae_run: Path, rewrite: Rewrite) -> None:
    rewrite(vae_run, "run.json", lambda m: m["data"]["spec"].update(classes=["<b>0</b>", *map(str, range(1, 10))]))
    assert "&lt;b&gt;0&lt;/b&gt;</text>" in report.build(vae_run)


def test_a_cell_that_a_spreadsheet_would_run_is_saved_as_text(table_run: Path, rewrite: Rewrite) -> None:
    rewrite(table_run, "media/reconstruction.json", lambda cs: cs[0].update(name="=HYPERLINK(1)"))
    page = Page(report.build(table_run))
    link = next(a for a in page.all("a") if a.get("download") == "columns.csv")
    assert "'=HYPERLINK(1)" in base64.b64decode(link["href"].split(",")[1]).decode()


def test_long_names_are_cut_with_the_whole_at_hand(table_run: Path, rewrite: Rewrite) -> None:
    rewrite(table_run, "media/reconstruction.json", lambda cs: cs[0].update(name="long" * 100))
    text = report.build(table_run)
    assert f'title="{"long" * 100}"' in text
    assert "long" * 14 + "lon…" in text


def test_numbers_from_a_history_with_one_row_or_two_make_a_page(vae_run: Path) -> None:
    lines = (vae_run / "history.jsonl").read_text().splitlines()
    for count in (1, 2, 7):
        (vae_run / "history.jsonl").write_text("\n".join(lines[:count]) + "\n")
        Page(report.build(vae_run))
    constant = [{"step": i, "epoch": float(i), "train/loss_nats": 3.0, "valid/loss_nats": 3.0} for i in range(1, 30)]
    (vae_run / "history.jsonl").write_text("\n".join(map(json.dumps, constant)) + "\n")
    Page(report.build(vae_run))
    assert math.isclose(read_run(vae_run).history.values["train/loss_nats"].mean(), 3.0)


def test_a_part_that_cannot_be_drawn_is_one_sentence_and_the_report_is_whole(
    vae_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def all_measures(contents: object) -> None:
        raise ZeroDivisionError("no <b>examples</b>")

    monkeypatch.setattr(assembly, "SECTIONS", [*assembly.SECTIONS[:-1], all_measures])
    with pytest.warns(UserWarning, match="All measures: ZeroDivisionError"):
        html = assembly.report_html(vae_run)
    assert "This part could not be drawn: ZeroDivisionError: no &lt;b&gt;examples&lt;/b&gt;." in html
    assert 'id="training"' in html and 'id="repeat"' in html
