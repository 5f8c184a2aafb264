"""How the program starts: quickly, without torch, as two names; and how it ends: with the codes of the contract."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from elboroom.cli import console
from elboroom.cli.faults import explain
from elboroom.cli.main import main
from elboroom.cli.verbs import VERBS
from elboroom.core.errors import InputError, Stopped, Unable

QUICK = [
    "--help",
    "models",
    "models vae",
    "data --help",
    "fit vae --help",
    "--version",
    "models --json",
    "sample --help",
]
HEAVY = ("torch", "numpy", "pydantic", "scipy", "sklearn", "PIL", "pandas")


def _started(words: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "elboroom", *words], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("call", QUICK)
def test_what_only_lists_imports_nothing_heavy(call: str) -> None:
    code = (
        f"import sys\nfrom elboroom.cli.main import main\ncode = main({call.split()!r})\n"
        f"heavy = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "assert not heavy, heavy\nsys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout and not done.stderr


@pytest.mark.parametrize("call", ["--help", "models"])
def test_help_and_models_answer_in_half_a_second(call: str) -> None:
    _started([call])  # compiles the source once
    took_s = []
    for _ in range(3):  # processor time, so that other work on the machine does not count
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert _started([call]).returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took_s.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(took_s) < 0.5


def test_importing_the_package_does_not_import_torch_and_is_quick() -> None:
    code = (
        "import time, sys; t = time.perf_counter(); import elboroom; print(time.perf_counter() - t)\n"
        "assert 'torch' not in sys.modules"
    )
    took_s = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        for _ in range(3)
    ]
    assert min(took_s) < 0.2


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--help"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"usage: elboroom {verb} ") and err == ""
    assert "--json" in out and "--debug" in out


def test_without_a_verb_there_is_the_list_of_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    out = capsys.readouterr().out
    assert all(f"  {verb} " in out for verb in VERBS)


def test_models_with_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {"autoencoder", "vae", "beta_vae"} <= {model["name"] for model in listed}
    assert main(["models", "vae", "--json"]) == 0
    settings = json.loads(capsys.readouterr().out)["settings"]
    assert next(s for s in settings if s["name"] == "latent")["flag"] == "--latent"


def test_every_setting_of_every_model_is_a_flag_with_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    from elboroom.core import registry

    for entry in registry.entries():
        assert main(["fit", entry.name, "--help"]) == 0
        out = " ".join(capsys.readouterr().out.split())
        for field in entry.fields:
            assert f"--{field.name.replace('_', '-')}" in out
            assert " ".join(field.doc.split()[:3]) in out


def test_the_setting_of_a_new_model_file_is_a_flag_without_another_edit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = (Path(__file__).parents[2] / "src" / "elboroom" / "models" / "beta_vae.py").read_text(encoding="utf-8")
    (tmp_path / "further.py").write_text(source, encoding="utf-8")
    done = _started(["fit", "further", "--help", "--models", str(tmp_path)])
    assert done.returncode == 0, done.stderr
    assert "settings of further" in done.stdout and "--beta" in done.stdout


def test_a_reader_that_leaves_early_is_no_error() -> None:
    done = subprocess.run(
        f"{sys.executable} -m elboroom models vae | head -1; exit ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and done.stderr == ""


def test_a_closed_stdout_is_no_traceback() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "elboroom", "models"], stdout=write, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(write)
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("x"), 2),
        (Unable("x"), 3),
        (Stopped("x"), 4),
        (KeyboardInterrupt(), 130),
        (MemoryError(), 4),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), 4),
        (OSError(28, "No space left on device", "x"), 4),
        (PermissionError(13, "Permission denied", "x"), 2),
        (ModuleNotFoundError("No module named 'anndata'", name="anndata"), 3),
        (ModuleNotFoundError("No module named 'elboroom.x'", name="elboroom.x"), 1),
        (ZeroDivisionError("division by zero"), 1),
    ],
)
def test_an_exception_has_its_exit_code(
    error: BaseException, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    fault = explain(error, ["fit"])
    assert fault.code == code
    assert len(list(tmp_path.iterdir())) == (1 if code == 1 else 0)


def test_a_fault_of_ours_names_a_log_with_the_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    try:
        raise ZeroDivisionError("division by zero")
    except ZeroDivisionError as error:
        fault = explain(error, ["fit", "vae", "my data.csv"])
    log = next(tmp_path.iterdir())
    assert str(log) in fault.message and "\n" not in fault.message
    text = log.read_text(encoding="utf-8")
    assert "Traceback" in text and "fit vae 'my data.csv'" in text


def test_numbers_that_are_not_finite_are_null_in_json() -> None:
    assert json.loads(console.document({"a": float("nan"), "b": [float("inf"), 1.5], "c": Path("x")})) == {
        "a": None,
        "b": [None, 1.5],
        "c": "x",
    }
