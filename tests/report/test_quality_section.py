"""The sections on sample quality: true to the run's files, whole on every page, calm about what is damaged."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import elboroom.card as card
import elboroom.report as report
from elboroom.report.contents import Contents, read_run
from elboroom.report.curves import training
from elboroom.report.galleries import samples
from elboroom.report.layout import Figure
from elboroom.report.measures import headlines
from elboroom.report.modes import modes
from elboroom.report.quality import QUALITY, dot, quality_tables, sample_quality, truncation_curves
from elboroom.report.sample_figures import neighbours, truncation, varied
from elboroom.report.verdict import compared, verdict
from elboroom.report.words import measure
from pages import EVIL, Page, assert_loads_nothing
from quality_runs import quality, write_digits, write_ring, write_thousand

Rewrite = Callable[..., None]


@pytest.fixture(scope="module")
def made(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs, written once; each test gets a copy of one."""
    place, base = tmp_path_factory.mktemp("games"), runs / "vae-mnist-7"
    write_digits(place / "digits", base)
    write_ring(place / "ring", base)
    write_thousand(place / "thousand", base)
    return place


@pytest.fixture
def digits(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made / "digits", tmp_path / "digits"))


@pytest.fixture
def ring(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made / "ring", tmp_path / "ring"))


def saved(figure: Figure) -> list[dict[str, str]]:
    """The rows of a figure's CSV."""
    return list(csv.DictReader(io.StringIO(b64decode(figure.csv.partition(",")[2]).decode())))


def shown(section: Any) -> str:
    assert section is not None
    return " ".join([*section.sentences, *(f.caption for f in section.figures), *(n.text for n in section.notes)])


def details(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "details.json").read_text())["quality"]
    return found


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("digits", ["Training", "Sample quality", "Classes made", "Samples", "Classes and walks", "Truncation"]),
        (
            "ring",
            [
                "Training",
                "Sample quality",
                "Quality by extractor",
                "Modes",
                "Nearest training examples",
                "All measures",
            ],
        ),
        ("thousand", ["Training", "Sample quality", "Classes made", "Nearest training examples", "All measures"]),
    ],
)
def test_the_page_of_a_game_has_its_sections_and_loads_nothing(made: Path, name: str, wanted: list[str]) -> None:
    text = report.build(made / name)
    page = Page(text)
    assert_loads_nothing(page)
    headings = re.findall(r"<h2>([^<]+)</h2>", text)
    assert [h for h in headings if h in wanted] == wanted
    assert not {"Reconstruction", "Latent code"} & set(headings), "what the model cannot do has no section"
    assert "nan" not in re.findall(r"\w+", page.text.lower())
    assert len(text.encode()) < 1_000_000


# -- the table and its chart -------------------------------------------------------------------------------------------


def test_every_value_of_the_tables_parses_back_to_the_file(digits: Path) -> None:
    cells = {a["data-key"]: a for a in Page(report.build(digits)).all("td") if "/" in a.get("data-key", "")}
    wanted = 0
    for extractor in details(digits)["extractors"]:
        for row in extractor["rows"]:
            for key in QUALITY:
                found = cells[f"{extractor['name']}/{row['name']}/{key}"]
                assert {n: float(found[f"data-{n}"]) for n in ("value", "low", "high")} == row[key]
                wanted += 1
    assert len(cells) == wanted == 2 * 5 * 6


def test_extractor_hash_numbers_split_and_seed_stand_under_each_table(digits: Path) -> None:
    section, found = quality_tables(read_run(digits)), details(digits)
    assert section is not None and section.full
    for table, extractor in zip(section.tables, found["extractors"], strict=True):
        for part in (extractor["name"], extractor["hash"], "64 wide", "2,000 real and 2,000 made", "test", "seed 7"):
            assert part in table.note
    assert "names 0.971 ± 0.008 of held-out examples rightly" in section.tables[0].note
    assert "rightly" not in section.tables[1].note
    assert [row[0].text for row in section.tables[0].rows][:2] == ["model", "real against real"]


def test_the_model_stands_between_its_bounds_on_the_chart_as_in_the_file(digits: Path) -> None:
    section = sample_quality(read_run(digits))
    assert section is not None
    figure = section.figures[0]
    kept = {(r["row"], r["measure"]): float(r["value"]) for r in saved(figure)}
    rows = {row["name"]: row for row in details(digits)["extractors"][0]["rows"]}
    assert kept == {(name, key): row[key]["value"] for name, row in rows.items() for key in QUALITY}
    drawn = str(figure.wide[0])
    places = [float(x) for x in re.findall(r'<circle class="c1 fill" cx="([\d.]+)"', drawn)]
    ceilings = [float(x) for x in re.findall(r'<path class="ref" d="M([\d.]+)', drawn)]
    assert len(places) == len(ceilings) == len(QUALITY)
    for key, mine, ceiling in zip(QUALITY, places, ceilings, strict=True):
        further = rows["model"][key]["value"] > rows["real against real"][key]["value"]
        assert (mine > ceiling) == further, key


def test_distances_at_and_below_zero_keep_their_order_on_an_asinh_axis(digits: Path, rewrite: Rewrite) -> None:
    values = {"real against real": -2.0, "training set copied": 0.0, "model": 18.0, "noise": 60.0}

    def edit(held: dict[str, Any]) -> None:
        for row in held["quality"]["extractors"][0]["rows"]:
            value = values.get(row["name"], 370.0)
            row["kernel_distance"] = {"value": value, "low": value - 1, "high": value + 1}

    rewrite(digits, "details.json", edit)
    section = sample_quality(read_run(digits))
    assert section is not None
    drawn = str(section.figures[0].wide[0])
    assert "less is better, asinh axis" in drawn
    model = [float(x) for x in re.findall(r'<circle class="c1 fill" cx="([\d.]+)"', drawn)][1]
    ceiling = [float(x) for x in re.findall(r'<path class="ref" d="M([\d.]+)', drawn)][1]
    noise = [float(x) + 4 for x in re.findall(r'<path class="base-line ring" d="M([\d.]+) [\d.]+h8v8', drawn)][1]
    assert 0 < ceiling < model < noise < 680
    assert model - ceiling > 100, "18 and -2 are far apart though 370 is on the axis"


def test_the_first_line_says_where_noise_or_real_data_cannot_be_told_apart(digits: Path, rewrite: Rewrite) -> None:
    def put(row: int, value: float) -> str:
        found = {"value": value, "low": value - 1, "high": value + 1}
        rewrite(
            digits, "details.json", lambda d: d["quality"]["extractors"][0]["rows"][row].update(frechet_distance=found)
        )
        return verdict(read_run(digits))

    assert "told apart" not in verdict(read_run(digits)) and "does better" not in verdict(read_run(digits))
    told = " This distance does not tell them from real data; "
    assert f"{told}kernel distance, precision, recall, density and coverage do." in put(1, 12.0)
    assert " Noise cannot be told apart from them." in put(2, 12.5)
    assert " Noise does better." in put(2, 5.0)


def test_samples_are_like_real_data_only_where_no_measure_of_any_extractor_tells_them_apart(
    digits: Path, rewrite: Rewrite
) -> None:
    def level(which: slice) -> str:
        def edit(held: dict[str, Any]) -> None:
            for extractor in held["quality"]["extractors"][which]:
                model, ceiling = extractor["rows"][:2]
                ceiling.update({key: model[key] for key in QUALITY})

        rewrite(digits, "details.json", edit)
        return verdict(read_run(digits))

    assert " This distance does not tell them from real data; the same by random does." in level(slice(0, 1))
    assert " They cannot be told apart from real data." in level(slice(0, 2))


def test_extractors_that_put_the_model_on_different_sides_are_said_to_differ(digits: Path, rewrite: Rewrite) -> None:
    assert "same side of every ceiling and floor" in shown(sample_quality(read_run(digits)))

    def turn(held: dict[str, Any]) -> None:
        held["quality"]["extractors"][1]["rows"][2]["frechet_distance"] = {"value": 0.01, "low": 0.009, "high": 0.011}
        held["quality"]["extractors"][1]["rows"][1]["recall"] = {"value": 0.53, "low": 0.5, "high": 0.56}

    rewrite(digits, "details.json", turn)
    section = sample_quality(read_run(digits))
    assert section is not None
    assert section.sentences == [
        (
            "The extractors differ: by Fréchet distance, classifier puts the model on the better side of noise, "
            "random on the worse side."
        ),
        "Only classifier tells the model from real against real by recall (worse).",
    ]


def test_the_line_over_n_ends_at_the_limit_of_the_file(digits: Path) -> None:
    section, curve = sample_quality(read_run(digits)), details(digits)["extractors"][0]["frechet_over_n"]
    assert section is not None
    figure = section.figures[1]
    assert [[float(v) for v in row.values()] for row in saved(figure)] == curve["points"]
    assert "12.1 ± 0.3" in figure.caption and "bias" in figure.caption
    drawn = str(figure.wide[0])
    start, end = re.findall(r'<path class="line thin c1" d="M([\d.]+ [\d.]+)L([\d.]+ [\d.]+)"', drawn)[0]
    ring = re.findall(r'<circle class="c1 ring" cx="([\d.]+)" cy="([\d.]+)"', drawn)[0]
    assert " ".join(ring) == start, "the line begins at the ring"
    dots = re.findall(r'<circle class="c1 fill" cx="([\d.]+)" cy="([\d.]+)"', drawn)
    (x0, y0), (x1, y1) = (map(float, p.split()) for p in (start, end))
    for x, y in dots:  # the points of the file lie on the line 12.1 + 600 / N
        assert float(y) == pytest.approx(y0 + (y1 - y0) * (float(x) - x0) / (x1 - x0), abs=0.3)


# -- modes and classes -------------------------------------------------------------------------------------------------


def test_counts_by_mode_and_modes_found_are_those_of_the_file(ring: Path) -> None:
    section, found = modes(read_run(ring)), details(ring)["modes"]
    assert section is not None
    scatter, bars = section.figures
    assert [int(row["samples"]) for row in ({k: float(v) for k, v in r.items()} for r in saved(bars))] == found[
        "counts"
    ]
    assert "7 of 8 modes found; 80.8 ± 1.7\u202f% of the samples near a mode" in bars.caption
    assert str(bars.wide[0]).count('class="c1 fill"') == 7 and str(bars.wide[0]).count('class="unused"') == 1
    assert "ringed: 1 mode without a sample" in scatter.caption


def test_points_on_the_map_are_those_of_the_file_and_at_most_2500(ring: Path) -> None:
    section = modes(read_run(ring))
    assert section is not None
    scatter = section.figures[0]
    with np.load(ring / "media/points.npz") as file:
        known = {name: {tuple(row) for row in file[name].tolist()} for name in ("real", "made")}
    rows = saved(scatter)
    assert 2000 < len(rows) <= 2500
    assert all((float(row["x1"]), float(row["x2"])) in known[row["part"]] for row in rows)
    drawn = str(scatter.wide[0])
    real, made = (re.findall(rf'<path class="points {css}" d="([^"]+)"', drawn)[0].count("M") for css in ("c10", "c1"))
    assert real == 1000
    outside = re.search(r"(\d+) made points? outside the frame", scatter.caption)
    assert outside is not None and made == 1500 - int(outside.group(1)), "what is not drawn is counted"


def test_shares_of_classes_are_those_of_the_file_and_absent_ones_are_named(digits: Path) -> None:
    section, found = modes(read_run(digits)), details(digits)["classes"]
    assert section is not None
    (figure,) = section.figures
    rows = saved(figure)
    assert [float(row["share of samples"]) for row in rows] == found["made"]
    assert [float(row["share of data"]) for row in rows] == found["real"]
    for row in rows:  # Wilson's interval of 2,000 samples
        assert float(row["low"]) <= float(row["share of samples"]) <= float(row["high"])
    assert float(rows[4]["low"]) == 0 and 0 < float(rows[4]["high"]) < 0.003
    assert figure.caption.startswith("Classes of samples. 1 of 10 classes absent: 4.")
    assert "class 1, 21.0\u202f% of samples against 10.0\u202f%" in figure.caption


def test_a_thousand_classes_are_shown_by_the_number_of_samples_they_got(made: Path) -> None:
    contents, found = read_run(made / "thousand"), details(made / "thousand")["classes"]
    section = modes(contents)
    assert section is not None
    (figure,) = section.figures
    assert f"{len(found['absent'])} of 1,000 classes absent: 000, 001" in figure.caption
    assert f"and {len(found['absent']) - 12} more" in figure.caption
    assert len(saved(figure)) == 1000 and len(str(figure.wide[0])) < 20_000
    first = next(h for h in headlines(contents) if h.data["key"] == "modes_found")
    assert first.big == str(1000 - len(found["absent"])) and first.small == "of 1,000"


# -- over the steps ----------------------------------------------------------------------------------------------------


def test_curves_of_both_players_hold_the_values_of_the_history(digits: Path) -> None:
    section = training(read_run(digits))
    logged = [json.loads(line) for line in (digits / "history.jsonl").read_text().splitlines()]
    assert len(section.figures) == 3 and [len(f.wide) for f in section.figures] == [4, 4, 2]
    seen = set()
    for figure in section.figures:
        for row in saved(figure):
            assert {r["step"]: r.get(row["term"]) for r in logged}[float(row["step"])] == float(row["value"])
            seen.add(row["term"])
    assert {"valid/frechet_distance", "train/critic.ranked", "train/generator.gradient_norm"} <= seen
    assert "train/critic.slope_made" in seen and "valid/doubles" in seen


def test_a_run_without_a_penalty_has_no_slopes_and_one_without_looks_no_quality(ring: Path) -> None:
    assert len(training(read_run(ring)).figures) == 2
    lines = [json.loads(line) for line in (ring / "history.jsonl").read_text().splitlines()]
    kept = [{k: v for k, v in row.items() if not k.startswith("valid/")} for row in lines]
    (ring / "history.jsonl").write_text("".join(json.dumps(row) + "\n" for row in kept))
    (players,) = training(read_run(ring)).figures
    assert players.caption.startswith("The two players.") and "nan" not in players.summary


def test_the_kept_step_is_marked_and_the_lowest_distance_is_said(digits: Path) -> None:
    section = training(read_run(digits))
    assert "kept: step 3,900" in str(section.figures[0].wide[0])
    logged = [json.loads(line) for line in (digits / "history.jsonl").read_text().splitlines()]
    looks = [(row["valid/frechet_distance"], row["step"]) for row in logged if "valid/frechet_distance" in row]
    assert f"step {min(looks)[1]:,}" in shown(section)


def test_a_run_of_one_player_keeps_its_own_curves(vae_run: Path) -> None:
    assert training(read_run(vae_run)).figures[0].caption.startswith("Bits per dimension over training.")


# -- sheets ------------------------------------------------------------------------------------------------------------


def test_sheets_stand_with_their_captions_and_the_names_of_their_rows(digits: Path) -> None:
    contents = read_run(digits)
    classes, walks = varied(contents).figures  # type: ignore[union-attr]
    assert classes.row_labels == [str(k) for k in range(10)] and classes.caption.startswith("A row a class: 0 to 9;")
    assert walks.row_labels == [] and walks.caption.startswith("Each row goes from one z to another")
    sheet, curves = truncation(contents).figures  # type: ignore[union-attr]
    assert sheet.row_labels == [f"|z| ≤ {v}" for v in ("0.25", "0.5", "0.75", "1", "1.5", "2")] + ["whole prior"]
    assert len(curves.wide) == 4
    near = neighbours(contents)
    assert near is not None and near.figures[0].row_labels == ["sample", "nearest", "second"]
    assert "1.2 (0.9 to 1.8)\u202f%" in near.sentences[0]
    for figure in (classes, walks, sheet, near.figures[0]):
        assert figure.pictures[0].width in (280, 280 + 9) and "Each pixel 2x" not in figure.caption


def test_truncation_curves_hold_the_values_of_the_file(digits: Path) -> None:
    figure = truncation_curves(read_run(digits))
    assert figure is not None
    for row, entry in zip(saved(figure), details(digits)["truncation"], strict=True):
        assert row["truncation"] == ("whole prior" if entry["truncation"] is None else f"{entry['truncation']:g}")
        for key in ("frechet_distance", "precision", "recall", "density", "coverage", "class_accuracy"):
            assert float(row[key]) == entry[key]


def test_samples_of_a_game_are_shown_at_six_epochs_the_first_and_the_last_among_them(digits: Path) -> None:
    section = samples(read_run(digits))
    assert section is not None
    labels = [p.label for p in section.figures[0].pictures]
    assert len(labels) == 6 and labels[0] == "epoch 0" and labels[-1] == "epoch 20"
    assert section.figures[0].caption.startswith("The same 64 draws of z at 6 epochs, none selected.")


# -- first lines and card ----------------------------------------------------------------------------------------------


def test_the_first_line_names_distance_extractor_numbers_and_bounds(digits: Path, ring: Path) -> None:
    said = verdict(read_run(digits))
    assert said.startswith(
        "Its samples are at Fréchet distance 12.4 ± 0.5 from held-out data (features: classifier, 2,000 of "
        "each); real against real 3.1, noise 214.0. 1 of 10 classes is never made."
    )
    assert "84\u202f% of samples are named as the class asked for" in said and len(said.split()) <= 50
    assert "7 of 8 modes found, 81\u202f% of samples near one." in verdict(read_run(ring))


def test_headlines_of_a_game_are_distance_modes_and_class_accuracy(digits: Path, ring: Path) -> None:
    keys = [h.data["key"] for h in headlines(read_run(digits))]
    assert keys == ["frechet_distance", "class_accuracy", "coverage", "precision"]
    first = headlines(read_run(digits))[0]
    assert first.note.startswith("features: classifier, 2,000 real and 2,000 made; grey ticks: real against real 3.1")
    found = {h.data["key"]: h for h in headlines(read_run(ring))}
    assert list(found) == ["frechet_distance", "modes_found", "high_quality_share", "coverage"]
    assert found["modes_found"].small == "of 8" and "1 missed" in found["modes_found"].note


def test_bounds_of_a_measure_are_no_rivals(digits: Path) -> None:
    for key, found in read_run(digits).metrics.items():
        assert compared(key, found) is None, key


def test_the_card_names_extractor_and_numbers_beside_the_quality(digits: Path, vae_run: Path) -> None:
    text = card.build(digits)
    assert "Fréchet distance (`frechet_distance`) | 12.4 ± 0.5" in text
    assert "features of classifier (hash 3f9a2c5510bd), 2,000 real and 2,000 made" in text
    assert "features of" not in card.build(vae_run)


def test_every_measure_of_sample_quality_has_a_label_a_direction_and_a_meaning() -> None:
    for key in (*QUALITY, "modes_found", "mode_kl", "high_quality_share", "class_accuracy", "memorised_share"):
        word = measure(key)
        assert word.better == ("less" if key.endswith(("distance", "kl", "memorised_share")) else "more")
        assert word.meaning and word.label != key


# -- damage ------------------------------------------------------------------------------------------------------------

DAMAGE: list[Any] = [
    3,
    [],
    {"extractors": [4, {"rows": 3}, {"rows": [5, {"kind": "model"}]}], "classes": 1, "modes": 2, "truncation": "x"},
    {"extractors": [{"rows": [{"kind": "model", "name": EVIL[0], "recall": {"value": None}, "density": 0.5}]}]},
    {"extractors": [{"name": EVIL[1], "rows": [{"kind": "floor", "precision": 0.1}], "frechet_over_n": [1]}]},
    {"classes": {"names": ["a"], "real": [0.5, 0.5], "made": [1.0], "absent": 3, "kl": "x"}, "n_made": "many"},
    {"classes": {"names": EVIL[:2], "real": [0.5, 0.5], "made": [1.0, 0.0], "absent": EVIL[1:2], "kl": None}},
    {"classes": {"names": ["a", "b"], "real": [0.0, 0.0], "made": [0.0, 0.0]}, "n_made": 10},
    {"modes": {"counts": [0, 0, 0]}},
    {"modes": {"counts": [[1, 2]], "found": "x", "known": None, "centres": [["a", 1]]}},
    {"modes": {"counts": [3] * 200, "found": 200, "known": 200, "high_quality_share": 0.9}},
    {"truncation": [{"truncation": 1.0}, {"truncation": None, "recall": 0.5, "precision": 0.5}, 7]},
    {"truncation": [{"truncation": t, "recall": 0.5, "precision": 0.5} for t in (1.0, 1.0)]},
    {"memorised": {"share": None, "how": 3}},
]


@pytest.mark.parametrize("number", range(len(DAMAGE)))
def test_damaged_details_leave_out_what_they_spoil_and_never_stop_the_page(
    ring: Path, rewrite: Rewrite, number: int
) -> None:
    damage = DAMAGE[number]
    whole = quality()
    held = {**whole, **damage} if isinstance(damage, dict) else damage
    rewrite(ring, "details.json", lambda d: d.update(quality=held))
    page = Page(report.build(ring))
    assert_loads_nothing(page)
    assert "nan" not in re.findall(r"\w+", page.text.lower())


@pytest.mark.parametrize(
    "curve",
    [
        {"points": [[100, 1.0]], "limit": 1.0},
        {"points": [[100, 1.0], [100, 2.0]], "limit": 1.0},
        {"points": [[0, 1.0], ["x", 2.0], [5]], "limit": 1.0},
        {"points": [[100, 1.0], [200, 0.9]], "limit": None},
    ],
)
def test_a_curve_over_n_that_is_none_is_left_out(digits: Path, rewrite: Rewrite, curve: Any) -> None:
    def edit(held: dict[str, Any]) -> None:
        held["quality"]["extractors"][0]["frechet_over_n"] = curve

    rewrite(digits, "details.json", edit)
    section = sample_quality(read_run(digits))
    assert section is not None and len(section.figures) == 1


def test_damaged_sheets_are_said_and_damaged_points_left_out(digits: Path, ring: Path) -> None:
    (digits / "media/classes.png").write_bytes(b"no picture")
    section = varied(read_run(digits))
    assert section is not None and len(section.figures) == 1
    assert section.sentences[0].startswith("A sheet cannot be shown: media/classes.png is damaged")
    assert section.heading == "Walks between samples"
    (ring / "media/points.npz").write_bytes(b"no points")
    section = modes(read_run(ring))
    assert section is not None and len(section.figures) == 1
    np.savez_compressed(ring / "media/points.npz", real=np.zeros((5, 2)), made=np.zeros((0, 2)))
    assert_loads_nothing(Page(report.build(ring)))


def test_a_run_without_any_quality_has_none_of_the_sections(vae_run: Path) -> None:
    contents: Contents = read_run(vae_run)
    assert [f(contents) for f in (sample_quality, modes, varied, truncation, neighbours)] == [None] * 5


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (0.5, (0.5, None)),
        ({"value": 1, "low": 0, "high": 2}, (1, 0)),
        ({"value": None}, None),
        ("x", None),
        (True, None),
    ],
)
def test_a_value_is_read_with_or_without_its_interval(found: Any, wanted: tuple[float, float | None] | None) -> None:
    one = dot(found)
    assert (None if one is None else (one.value, one.low)) == wanted


def test_no_drawing_is_wider_than_its_page(made: Path) -> None:
    for name in ("digits", "ring", "thousand"):
        contents = read_run(made / name)
        for section in (training(contents), sample_quality(contents), modes(contents), truncation(contents)):
            for figure in section.figures if section is not None else []:
                for drawn, width in [(d, 680) for d in figure.wide] + [(d, 358) for d in figure.narrow]:
                    place = re.search(r'width="([\d.]+)"', str(drawn))
                    assert place is not None and float(place.group(1)) <= width
