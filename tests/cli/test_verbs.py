"""The verbs at work on small runs: every one with --json, every form of --out, and the same answer twice."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Call = Callable[..., tuple[int, str, str]]
Answer = Callable[..., Any]


def _table(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_fit_prints_run_state_and_metrics_and_leaves_a_whole_folder(answer: Answer, tmp_path: Path) -> None:
    words = ["fit", "vae", "digits", "--steps", "2", "--hidden", "8", "--threads", "1"]
    said = answer(*words, "--run", tmp_path / "r", "--seed", "3")
    assert set(said) == {"run", "state", "metrics"}
    assert said["state"] == "done" and Path(said["run"]) == tmp_path / "r"
    assert said["metrics"] == json.loads((tmp_path / "r" / "metrics.json").read_text())
    for name in ("run.json", "weights.safetensors", "history.jsonl", "metrics.json", "card.md", "report.html"):
        assert (tmp_path / "r" / name).is_file(), name
    meta = json.loads((tmp_path / "r" / "run.json").read_text())
    assert meta["runtime"]["seed"] == 3 and meta["settings"]["hidden"] == [8]
    assert meta["command"].startswith("elboroom fit vae digits --steps 2 --hidden 8")


def test_the_log_says_with_times_how_a_run_began_and_ended_and_grows(answer: Answer, tmp_path: Path) -> None:
    answer("fit", "vae", "digits", "--steps", "2", "--hidden", "8", "--threads", "1", "--run", tmp_path / "r")
    lines = (tmp_path / "r" / "log.txt").read_text().splitlines()
    said = [line.split(" ", 1)[1] for line in lines]
    assert said[0].startswith("begun: elboroom fit vae digits --steps 2 --hidden 8")
    assert said[-1] == f"done: {tmp_path / 'r'}" and "phase: writing card and report" in said
    assert all(datetime.fromisoformat(line.split(" ", 1)[0]).tzinfo for line in lines)
    answer("resume", tmp_path / "r", "--steps", "+1")
    later = (tmp_path / "r" / "log.txt").read_text().splitlines()
    assert later[: len(lines)] == lines and later[len(lines)].endswith("phase: going on from step 2")


def test_the_default_folder_counts_up(answer: Answer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["fit", "vae", "digits", "--steps", "1", "--hidden", "4", "--threads", "1"]
    assert [answer(*words)["run"] for _ in range(2)] == ["runs/vae-digits-1", "runs/vae-digits-2"]


def test_or_resume_finds_the_run_that_the_same_call_began(
    answer: Answer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["fit", "vae", "digits", "--hidden", "4", "--threads", "1", "--or-resume", "--steps"]
    assert [answer(*words, n)["run"][-1] for n in (1, 2, 1, 2)] == ["1", "2", "1", "2"]
    assert answer(*words, 1, "--run", "r")["run"] == "r" == answer(*words, 1, "--run", "r")["run"]


def test_or_resume_of_another_call_says_that_the_run_goes_on_as_it_was_begun(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["fit", "vae", "digits", "--hidden", "4", "--threads", "1", "--steps", "1", "--or-resume", "--run", "r"]
    assert "goes on as it was begun" not in call(*words)[2] + call(*words)[2]
    code, _, said = call(*words, "--latent", "3")
    assert code == 0 and "r goes on as it was begun" in said and "elboroom fit vae digits --hidden 4" in said


def test_a_file_of_settings_does_what_the_flags_do_and_the_call_wins(answer: Answer, tmp_path: Path) -> None:
    text = 'latent = 3\nhidden = [6, 5]\nseed = 4\nthreads = 1\nepochs = 9\n[reading]\nscale = "levels:4"\n'
    (tmp_path / "c.toml").write_text(text)
    words = ["fit", "vae", "digits", "--config", tmp_path / "c.toml", "--steps", "1", "--latent", "2"]
    meta = json.loads((Path(answer(*words, "--run", tmp_path / "r")["run"]) / "run.json").read_text())
    assert meta["settings"]["latent"] == 2 and meta["settings"]["hidden"] == [6, 5]
    assert meta["runtime"]["seed"] == 4 and meta["budget"]["steps"] == 1
    assert meta["data"]["reading"]["scale"] == "levels:4"


def test_resume_of_a_finished_run_changes_nothing(answer: Answer, pictures_run: Path) -> None:
    before = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in pictures_run.rglob("*") if p.is_file()}
    assert answer("resume", pictures_run)["state"] == "done"
    after = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in pictures_run.rglob("*") if p.is_file()}
    assert before == after


def test_resume_goes_further_by_the_steps_that_are_added(answer: Answer, tmp_path: Path) -> None:
    words = ["fit", "vae", "digits", "--steps", "2", "--hidden", "8", "--threads", "1"]
    answer(*words, "--run", tmp_path / "r")
    assert answer("resume", tmp_path / "r", "--steps", "+3")["state"] == "done"
    last = json.loads((tmp_path / "r" / "history.jsonl").read_text().splitlines()[-1])
    assert last["step"] == 5


def test_evaluate_writes_the_measures_it_prints(answer: Answer, pictures_run: Path, tmp_path: Path) -> None:
    said = answer("evaluate", pictures_run, "--samples", "5", "--per-example", tmp_path / "p.csv")
    assert said["metrics"] == json.loads((pictures_run / "metrics.json").read_text())
    rows = _table(tmp_path / "p.csv")
    column = rows[0].index("elbo_nats")
    values = np.array([float(row[column]) for row in rows[1:]])
    assert len(values) == said["metrics"]["elbo_nats"]["n"]
    np.testing.assert_allclose(values.mean(), said["metrics"]["elbo_nats"]["value"], rtol=1e-6)


def test_evaluate_of_other_data_leaves_the_run_as_it_is(answer: Answer, pictures_run: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).integers(0, 16, size=(20, 8, 8), dtype=np.uint8))
    before = (pictures_run / "metrics.json").read_bytes()
    said = answer("evaluate", pictures_run, tmp_path / "x.npy")
    assert said["metrics"]["elbo_nats"]["n"] == 20
    assert (pictures_run / "metrics.json").read_bytes() == before


def test_sample_gives_the_same_file_for_the_same_seed_and_another_for_another(
    answer: Answer, pictures_run: Path, tmp_path: Path
) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        said = answer("sample", pictures_run, "-n", 5, "--seed", seed, "--out", tmp_path / f"{name}.npy")
        assert said["rows"] == 5 and said["shape"] == [5, 1, 8, 8]
    a, b, c = ((tmp_path / f"{name}.npy").read_bytes() for name in "abc")
    assert a == b != c


def test_sample_draws_x_and_with_mean_writes_the_mean(answer: Answer, pictures_run: Path, tmp_path: Path) -> None:
    answer("sample", pictures_run, "-n", 20, "--out", tmp_path / "x.npy")
    answer("sample", pictures_run, "-n", 20, "--mean", "--out", tmp_path / "m.npy")
    drawn, mean = np.load(tmp_path / "x.npy"), np.load(tmp_path / "m.npy")
    assert set(np.unique(drawn)) <= {0.0, 16.0}  # Bernoulli pixels, in the units of the input
    assert mean.min() > 0 and mean.max() < 16 and len(np.unique(mean)) > 100


@pytest.mark.parametrize("ending", [".npy", ".npz", ".csv", ".tsv", ".jsonl", ".png", ".svg", "", ".parquet", ".h5ad"])
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
def test_reconstruct_writes_every_form(answer: Answer, pictures_run: Path, tmp_path: Path, ending: str) -> None:
    for module in {".parquet": ["pyarrow"], ".h5ad": ["anndata"]}.get(ending, []):
        pytest.importorskip(module)
    np.save(tmp_path / "x.npy", np.arange(12 * 64, dtype=np.uint8).reshape(12, 8, 8) % 17)
    answer("reconstruct", pictures_run, tmp_path / "x.npy", "--out", tmp_path / f"out{ending}")
    made = tmp_path / f"out{ending}"
    assert made.is_dir() and len(list(made.iterdir())) == 12 if not ending else made.stat().st_size > 0
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["x.npy", made.name])


@pytest.mark.parametrize("ending", [".npy", ".npz", ".csv", ".jsonl"])
def test_decode_of_written_codes_is_the_reconstruction(
    answer: Answer, pictures_run: Path, tmp_path: Path, ending: str
) -> None:
    answer("encode", pictures_run, "digits", "--out", tmp_path / f"z{ending}")
    answer("decode", pictures_run, tmp_path / f"z{ending}", "--out", tmp_path / "x.npy")
    answer("reconstruct", pictures_run, "digits", "--out", tmp_path / "r.npy")
    np.testing.assert_allclose(np.load(tmp_path / "x.npy"), np.load(tmp_path / "r.npy"), rtol=1e-6)


def test_codes_carry_deviations_labels_and_row_numbers(answer: Answer, pictures_run: Path, tmp_path: Path) -> None:
    answer("encode", pictures_run, "digits", "--out", tmp_path / "z.npz")
    with np.load(tmp_path / "z.npz", allow_pickle=False) as held:
        assert held["z"].shape == held["z_sd"].shape == (1797, 2)
        assert (held["z_sd"] > 0).all()
        np.testing.assert_array_equal(held["index"], np.arange(1797))
        assert held["label"].shape == (1797,)


def test_a_reconstructed_table_has_the_columns_rows_and_words_of_the_input(
    answer: Answer, table_run: Path, table: Path, tmp_path: Path
) -> None:
    answer("reconstruct", table_run, table, "--out", tmp_path / "r.csv")
    given, made = _table(table), _table(tmp_path / "r.csv")
    assert len(made) == len(given) == 61
    assert made[0][:1] == ["sample"] and [row[0] for row in made] == [row[0] for row in given]
    assert {"height", "'=width", "colour"} <= set(made[0])
    assert {row[made[0].index("colour")] for row in made[1:]} <= {"red", "green", "blue"}
    heights = np.array([float(row[made[0].index("height")]) for row in made[1:]])
    assert 100 < heights.mean() < 240  # centimetres again, not standard deviations


def test_codes_of_a_table_carry_its_row_names_and_classes(
    answer: Answer, table_run: Path, table: Path, tmp_path: Path
) -> None:
    answer("encode", table_run, table, "--out", tmp_path / "z.csv")
    rows = _table(tmp_path / "z.csv")
    assert [row[rows[0].index("sample")] for row in rows[1:]] == [f"row{i}" for i in range(60)]
    assert [row[rows[0].index("label")] for row in rows[1:]] == ["a", "b"] * 30


def test_columns_are_found_by_name_in_another_order(
    answer: Answer, table_run: Path, table: Path, tmp_path: Path
) -> None:
    rows = _table(table)
    order = [3, 2, 0, 1, 4]
    with (tmp_path / "turned.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([[row[i] for i in order] for row in rows])
    for name, source in (("a", table), ("b", tmp_path / "turned.csv")):
        answer("encode", table_run, source, "--out", tmp_path / f"{name}.npy")
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


def test_inspect_draws_the_manifold(answer: Answer, pictures_run: Path, tmp_path: Path) -> None:
    from PIL import Image

    said = answer("inspect", pictures_run, "--out", tmp_path / "m.png")
    assert said["kind"] == "manifold"
    with Image.open(tmp_path / "m.png") as sheet:
        assert sheet.width % (20 * 8) == 0 and sheet.width == sheet.height


def test_diagnose_lists_findings_in_the_form_of_the_contract(answer: Answer, pictures_run: Path) -> None:
    found = answer("diagnose", pictures_run)["findings"]
    assert {"nonfinite"} <= {f["name"] for f in found}
    for finding in found:
        assert set(finding) == {"name", "level", "value", "threshold", "since_step", "why", "try"}
        assert finding["level"] in ("ok", "warn", "alarm")


def test_report_is_one_page_without_addresses(answer: Answer, pictures_run: Path, tmp_path: Path) -> None:
    answer("report", pictures_run, "--out", tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert text.lstrip().lower().startswith("<!doctype html>")
    assert answer("report", pictures_run)["out"].endswith("report.html")


def test_compare_sets_runs_side_by_side(answer: Answer, pictures_run: Path, points_run: Path, tmp_path: Path) -> None:
    said = answer("compare", pictures_run, points_run, "--out", tmp_path / "c.html")
    assert [run["model"] for run in said["runs"]] == ["vae", "autoencoder"]
    assert (tmp_path / "c.html").is_file()


@pytest.mark.parametrize(("form", "name"), [("torch", "m.pt2"), ("safetensors", "m.safetensors")])
@pytest.mark.filterwarnings("ignore")
def test_export_writes_the_form_that_was_named(
    answer: Answer, pictures_run: Path, tmp_path: Path, form: str, name: str
) -> None:
    answer("export", pictures_run, "--format", form, "--out", tmp_path / name)
    assert (tmp_path / name).stat().st_size > 1000


def test_data_says_what_a_file_would_be_read_as(answer: Answer, table: Path) -> None:
    assert {"digits", "mnist", "shapes"} <= {entry["name"] for entry in answer("data")}
    said = answer("data", table, "--label", "kind")
    assert said["spec"]["kind"] == "table" and sum(said["counts"].values()) == 60
    assert said["spec"]["classes"] == ["a", "b"]


@pytest.mark.parametrize("verb", ["models", "data", "diagnose", "evaluate"])
def test_without_json_there_is_text_for_people(call: Call, pictures_run: Path, verb: str) -> None:
    code, out, _ = call(verb, *([pictures_run] if verb in ("diagnose", "evaluate") else []))
    assert code == 0 and out.strip()
    with pytest.raises(json.JSONDecodeError):
        json.loads(out)
    assert all(c.isprintable() or c == "\n" for c in out)


def test_what_a_model_lacks_is_refused_with_those_that_can(call: Call, points_run: Path, tmp_path: Path) -> None:
    code, out, err = call("sample", points_run, "-n", 2, "--out", tmp_path / "x.npy")
    assert (code, out) == (3, "")
    assert "autoencoder cannot sample; " in err and "vae" in err
    assert list(tmp_path.iterdir()) == []
