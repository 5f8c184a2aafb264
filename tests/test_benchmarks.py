"""The recipes of benchmarks/ run, and what they write can be trusted: goals, ratios, floors, the README's table."""

from __future__ import annotations

import itertools
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import __main__ as command  # noqa: E402
from benchmarks import environments, floors, images, record, rounds  # noqa: E402

QUICK = {"p17_start"}  # the others go the same way, most with workers in processes of their own


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in QUICK else pytest.mark.slow) for n in command.RECIPES]
)
def test_each_recipe_runs_shortened_on_digits_and_judges_nothing(name: str, tmp_path: Path) -> None:
    words = [name, "--short", "--cache", str(tmp_path / "cache"), "--out", str(tmp_path), "--threads", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert [p.name for p in tmp_path.glob("*.json")] == [f"{name}.short.json"]
    text = (tmp_path / f"{name}.short.json").read_text(encoding="utf-8")
    result = json.loads(text)
    assert result["shortened"]
    assert result["shortened"] in done.stdout
    assert all(row["met"] is None for row in result["rows"])
    assert any(row["value"] is not None and math.isfinite(row["value"]) for row in result["rows"])
    assert result["commands"]
    assert result["machine"]["threads"] == 1
    assert str(tmp_path) not in text


@pytest.mark.parametrize(
    ("value", "goal", "met"),
    [
        (0.20, "<= 0.20", True),
        (0.201, "<= 0.20", False),
        (1.9, "< 2.0", True),
        (-0.05, ">= -0.1", True),
        (-0.11, ">= -0.1", False),
        (0.1175, "0.1170 +- 0.0006", True),
        (0.1163, "0.1170 +- 0.0006", False),
        (-0.09, "0.0 +- 0.1", True),
    ],
)
def test_a_goal_means_what_it_says(value: float, goal: str, met: bool) -> None:
    assert record.holds(value, goal) is met


def test_a_ratio_is_taken_of_neighbouring_turns_before_the_median() -> None:
    # a neighbour on the machine made the second turn of both three times slower
    middle, low, high = record.median_of_ratios([1.0, 3.0, 1.1], [2.0, 6.0, 2.0])
    assert (middle, low, high) == pytest.approx((0.5, 0.5, 0.525))


def test_the_entropy_floor_is_the_loss_of_a_predictor_that_knows_the_target() -> None:
    target = np.array([[0.0, 1.0, 0.5, 0.25]])
    known = -(0.5 * math.log(0.5) * 2 + 0.25 * math.log(0.25) + 0.75 * math.log(0.75)) / 4
    assert images.entropy_floor(target) == pytest.approx(known)
    rows = np.random.default_rng(0).random((50, 4))
    guess = np.full_like(rows, 0.4)
    loss = -(rows * np.log(guess) + (1 - rows) * np.log1p(-guess)).mean()
    assert images.entropy_floor(rows) < loss


def test_the_entropy_floors_of_mnist_are_those_of_the_exercise(real_data: Path) -> None:
    test = images.mnist().test
    assert images.entropy_floor(images.column_normalised(test)) == pytest.approx(0.1012, abs=5e-5)
    assert images.entropy_floor(test / 255) == pytest.approx(0.0581, abs=5e-5)


def test_a_column_normalised_image_has_columns_of_length_one_or_nought() -> None:
    lengths = np.linalg.norm(images.column_normalised(images.digits().test), axis=1)
    assert np.all(np.isclose(lengths, 1, atol=1e-5) | (lengths == 0))


def test_the_floor_counts_the_products_of_a_dense_net() -> None:
    # forward 2*(6+15), weights the same, inputs' gradient of the second layer only
    work = floors.Work.of_mlp([(2, 3), (3, 5)], examples=10, batch=5)
    assert work.operations == 10 * (2 * 21 + 2 * 21 + 2 * 15)
    assert work.bytes == 10 * 2 + 2 * (2 * 3 + 3 + 3 * 5 + 5) * 24
    rates = floors.Rates(fp32_gflops=1e-9, bf16_gflops=2e-9, copy_gb_s=1e-6)
    assert work.floor(rates, "bf16")["floor_s"] == max(work.operations / 2, work.bytes / 1e3)


def test_contestants_train_one_after_the_other_and_each_is_scaled_to_the_same_examples(tmp_path: Path) -> None:
    script = tmp_path / "clock.py"
    script.write_text(
        f"import sys, time\nsys.path.insert(0, {str(ROOT / 'benchmarks' / 'workers')!r})\n"
        "from wire import connect\n"
        "wire = connect()\n"
        "wire.ready()\n"
        "for turn in wire.turns():\n"
        "    began = time.monotonic()\n"
        "    print('noise on standard output')\n"
        "    time.sleep(0.02)\n"
        "    ended = time.monotonic()\n"
        "    open('turns.txt', 'a').write(f'{began} {ended}\\n')\n"
        "    wire.took(3.0, 30)\n"
        "wire.finish(validation_bce=0.5)\n".replace("'turns.txt'", repr(str(tmp_path / "turns.txt"))),
        encoding="utf-8",
    )
    data = images.digits().save(tmp_path / "data")
    pair = [rounds.Contestant(name, Path(sys.executable), str(script)) for name in ("a", "b")]
    pace = rounds.Pace(sessions=2, turns=2, threads=1, pinned=False)
    tracks = rounds.race(pair, data, pace, tmp_path / "logs", per=60)
    assert tracks["a"].seconds == tracks["b"].seconds == [6.0] * 4
    assert tracks["a"].warm_up == [6.0] * 2
    assert tracks["b"].finished == [{"validation_bce": 0.5}] * 2
    spans = [tuple(map(float, line.split())) for line in (tmp_path / "turns.txt").read_text().splitlines()]
    assert len(spans) == 2 * 3 * 2
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))


def test_a_worker_that_dies_is_named_with_its_last_words(tmp_path: Path) -> None:
    script = tmp_path / "dies.py"
    script.write_text("raise SystemExit('no such module')", encoding="utf-8")
    who = rounds.Contestant("peer", Path(sys.executable), str(script))
    with pytest.raises(RuntimeError, match=r"(?s)peer ended before its answer.*no such module"):
        rounds.race([who], tmp_path, rounds.Pace(), tmp_path / "logs", per=1)


def test_every_package_of_a_peer_is_pinned_and_its_folder_follows_the_pins(tmp_path: Path) -> None:
    for path in environments.FOLDER.glob("*.txt"):
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
        assert lines
        assert all("==" in line and "+" not in line for line in lines), path
    assert environments.find("keras", tmp_path) is None
    assert {path.name.split(".")[0] for path in environments.FOLDER.glob("*.txt")} == set(environments.PEERS)


def test_every_recipe_has_a_file_and_stands_in_the_readme() -> None:
    page = command.README.read_text(encoding="utf-8")
    for name in command.RECIPES:
        assert (ROOT / "benchmarks" / f"{name}.py").is_file()
        assert f"`{name}`" in page


def test_the_table_in_the_readme_is_that_of_the_results() -> None:
    page = command.README.read_text(encoding="utf-8")
    held = page.split(command.MARKS[0])[1].split(command.MARKS[1])[0]
    results = record.load_all()
    assert held == (record.table(results) if results else "")
    for result in results:
        assert not result["shortened"]
        for row in result["rows"]:
            judged = row["value"] is not None and row["goal"]
            assert row["met"] is (record.holds(row["value"], row["goal"]) if judged else None)
