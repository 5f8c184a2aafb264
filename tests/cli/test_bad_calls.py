"""Wrong calls: the exit code of the contract, one line on stderr, no traceback, nothing half-written.

What a wrong call needs no run for stands here; bad data and damaged runs stand in test_bad_inputs.py.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from elboroom.cli.main import main

# (call, exit code, a part of the message)
CALLS = [
    ("fitt vae digits", 2, "did you mean 'fit'?"),
    ("--epochs 3 fit vae digits", 2, "begins with a verb"),
    ("fit", 2, "fit needs MODEL, DATA"),
    ("fit vae", 2, "fit needs DATA"),
    ("fit vea digits", 2, "did you mean 'vae'?"),
    ("fit ../vae digits", 2, "there is no model '../vae'"),
    ("fit vae digits more", 2, "'more' is one argument too many"),
    ("fit vae digits --latnt 3", 2, "did you mean '--latent'?"),
    ("fit vae digits --batch_size 3", 2, "did you mean '--batch-size'?"),
    ("fit vae digits --beta 3", 2, "no flag '--beta'"),
    ("fit --latnt 3 vae digits", 2, "did you mean '--latent'?"),
    ("fit vae digits --latent", 2, "--latent: needs a value"),
    ("fit vae digits --json=3", 2, "--json: takes no value"),
    ("fit vae digits --epochs 0", 2, "--epochs: '0' is no whole number of at least 1"),
    ("fit vae digits --epochs 1.5", 2, "--epochs: '1.5'"),
    ("fit vae digits --epochs -1", 2, "--epochs: '-1'"),
    ("fit vae digits --steps 1e3", 2, "--steps: '1e3'"),
    ("fit vae digits --steps 99999999999999999999", 2, "--steps"),
    ("fit vae digits --minutes 0", 2, "--minutes: '0' is no number above 0"),
    ("fit vae digits --minutes nan", 2, "--minutes: 'nan'"),
    ("fit vae digits --minutes inf", 2, "--minutes: 'inf'"),
    ("fit vae digits --epochs 1 --steps 2", 2, "cannot stand beside --epochs"),
    ("fit vae digits --kind image", 2, "did you mean 'images'?"),
    ("fit vae digits --scale units", 2, "did you mean 'unit'?"),
    ("fit vae digits --scale levels:1", 2, "levels:16"),
    ("fit vae digits --scale levels:x", 2, "levels:16"),
    ("fit vae digits --size 28", 2, "28x28"),
    ("fit vae digits --size 0x28", 2, "28x28"),
    ("fit vae digits --channels 2", 2, "--channels: '2' is not one of 1, 3"),
    ("fit vae digits --columns a,,b", 2, "empty name"),
    ("fit vae digits --split 1", 2, ".8,.1,.1"),
    ("fit vae digits --split a,b,c", 2, ".8,.1,.1"),
    ("fit vae digits --split 0,1,1", 2, ".8,.1,.1"),
    ("fit vae digits --device gpu", 2, "cuda:0"),
    ("fit vae digits --precision fp8", 2, "--precision: 'fp8'"),
    ("fit vae digits --compile yes", 2, "--compile: 'yes'"),
    ("fit vae digits --threads -2", 2, "--threads: '-2'"),
    ("fit vae digits --seed x", 2, "--seed: 'x'"),
    ("fit vae digits --seed -1", 2, "--seed: '-1'"),
    ("fit vae digits --save-every 0", 2, "--save-every: '0'"),
    ("fit vae digits --models nowhere", 2, "there is no such folder"),
    ("fit vae digits --config nowhere.toml", 2, "there is no such file"),
    ("models vea", 2, "did you mean 'vae'?"),
    ("models vae more", 2, "one argument too many"),
    ("data --kind x", 2, "--kind"),
    ("resume", 2, "resume needs RUN"),
    ("resume nowhere", 2, "no such run folder"),
    ("resume nowhere --steps 0", 2, "+1000"),
    ("evaluate nowhere --samples 0", 2, "--samples: '0'"),
    ("sample nowhere --out x.npy", 2, "sample needs -n"),
    ("sample nowhere -n 0 --out x.npy", 2, "-n: '0'"),
    ("sample nowhere -n 4 --out x.xyz", 2, "there is no form for '.xyz'"),
    ("sample nowhere -n 4 --out x.npy --temperature -1", 2, "--temperature: '-1'"),
    ("sample nowhere -n 4 --out x.npy", 2, "no such run folder"),
    ("encode nowhere x.csv --out z.cvs", 2, "did you mean '.csv'?"),
    ("encode nowhere x.csv --out z.png", 2, "z.png: these are no pictures"),
    ("evaluate nowhere --per-example z.svg", 2, "elboroom: z.svg: these are no pictures"),
    ("decode nowhere z.npy --out x.npy", 2, "there is no such file"),
    ("reconstruct nowhere", 2, "reconstruct needs --out"),
    ("export nowhere --format onx --out m.onnx", 2, "did you mean 'onnx'?"),
    ("export nowhere --format onnx", 2, "export needs --out"),
    ("compare one", 2, "two runs or more"),
    ("inspect nowhere", 2, "inspect needs --out"),
    ("report nowhere --out r.pdf", 2, "ends in .html"),
    ("diagnose imbalance", 2, "diagnose needs DATA"),
    ("diagnose imbalance nowhere", 2, "there is no such file or folder"),
    ("diagnose imbalance digits --out x.pdf", 2, "ends in .html"),
    ("diagnose imbalance digits --weights w.png", 2, "these are no pictures"),
    ("diagnose imbalance pydocs", 3, "images and tables"),
    ("impute nowhere y.csv --out d.csv", 2, "no such run folder"),
    ("generate nowhere --prompt x", 2, "no such run folder"),
    ("generate nowhere --top-k 0", 2, "whole number of at least 1"),
    ("studio --port 99999", 2, "no such port"),
]


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("call", "code", "said"), CALLS, ids=[c[0] for c in CALLS])
def test_a_wrong_call_is_answered_in_one_line(
    call: str, code: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(call.split()) == code
    out, err = capsys.readouterr()
    assert err.startswith("elboroom: ") and err.count("\n") == 1 and err.endswith("\n")
    assert said in err and "Traceback" not in err
    assert out == ""
    assert list(tmp_path.iterdir()) == []


def test_with_json_an_error_is_one_document_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "vae", "--json"]) == 2
    out, err = capsys.readouterr()
    assert json.loads(out)["exit_code"] == 2
    assert json.loads(out)["error"] in err


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("c.toml", "latent = 3\nlatnt = 4\n", "no setting 'latnt'; did you mean 'latent'?"),
        ("c.toml", "latent = [1, {a = 2}]\n", "latent = [1, {'a': 2}]"),
        ("c.toml", "latent = \n", "c.toml"),
        ("c.toml", "epochs = 0\n", "c.toml: fit: --epochs: '0'"),
        ("c.toml", "strict = 'yes'\n", "strict is true or false"),
        ("c.toml", "latent = true\n", "latent takes a value"),
        ("c.json", "[1]", "c.json"),
        ("c.json", '{"config": "c.json"}', "no setting 'config'"),
        ("c.yaml", "latent: 3\n", ".toml or .json"),
        ("c.json", "{", "c.json"),
    ],
)
def test_a_file_of_settings_passes_the_same_checks(
    name: str, text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_text(text)
    assert main(["fit", "vae", "digits", "--config", name]) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_debug_shows_the_traceback_and_the_line_comes_last(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "vea", "digits", "--debug"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("Traceback") and err.splitlines()[-1].startswith("elboroom: there is no model")


def test_control_characters_in_a_call_are_shown_and_not_sent(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "v\x1b[31m\nae"]) == 2
    err = capsys.readouterr().err
    assert "\x1b" not in err and "\\x1b" in err and err.count("\n") == 1
