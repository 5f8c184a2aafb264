from __future__ import annotations

import json
import math
import subprocess
import sys

import pytest

from elboroom.core.errors import InputError
from elboroom.diagnose import diagnose, findings
from records_by_hand import FALLING, META, curve, rates, record


def test_the_worst_finding_comes_first():
    rows = [*curve(FALLING, FALLING), {"step": 300, "train/loss_nats": None}]
    assert [f.level for f in findings(record(rows, details=rates(1.0, 0.0)))] == ["alarm", "warn", "ok", "ok"]


def write(folder, history: str) -> None:
    (folder / "run.json").write_text(json.dumps(META))
    (folder / "history.jsonl").write_text(history)
    (folder / "details.json").write_text(json.dumps(rates(1.0)))


def test_a_folder_gives_the_contracts_form_and_bears_a_cut_line(tmp_path):
    write(tmp_path, "\n".join(json.dumps(row) for row in curve(FALLING, FALLING)) + '\n{"step": 21')
    found = diagnose(tmp_path)
    assert [f["name"] for f in found] == ["nonfinite", "stalled", "overfitting", "posterior_collapse"]
    assert all(set(f) == {"name", "level", "value", "threshold", "since_step", "why", "try"} for f in found)
    json.dumps(found, allow_nan=False)


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"run\.json"):
        diagnose(tmp_path)


def test_a_damaged_run_is_refused_with_the_file(tmp_path):
    write(tmp_path, "")
    (tmp_path / "metrics.json").write_text("{")
    with pytest.raises(InputError, match=r"metrics\.json"):
        diagnose(tmp_path)


def test_diagnosis_needs_no_torch():
    code = "import sys, elboroom.diagnose; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_values_never_are_numbers_json_lacks():
    for valid in ([5.0] * 10, [5.0, *[6.0 + i for i in range(9)]], [math.inf, *FALLING[:9]]):
        found = findings(record(curve(valid, FALLING[:10])))
        json.dumps([f.to_json() for f in found], allow_nan=False)
