"""`sweep` on the command line: its answer, the flags of lists and switches, and what it refuses."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from elboroom.artifacts.files import read_json
from elboroom.cli.sweeping import _over
from elboroom.core import registry

Call = Callable[..., tuple[int, str, str]]
Answer = Callable[..., Any]
QUICK = ["--threads", 1, "--device", "cpu", "--compile", "off", "--precision", "fp32"]


def test_the_answer_names_every_member_with_its_measures(
    answer: Answer, call: Call, table: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "sweep"
    words = ["sweep", "vae", table, "--label", "kind", "--over", "lr=1e-3,1e-2", "--seeds", 2, "--steps", 3]
    words += ["--latent", 2, "--hidden", 8, "--run", folder, *QUICK]
    found = answer(*words)
    assert found["run"] == str(folder)
    assert [(m["over"], m["seed"], m["state"]) for m in found["members"]] == [
        ({"lr": lr}, seed, "done") for lr in (1e-3, 1e-2) for seed in (0, 1)
    ]
    assert all(m["metrics"]["elbo_nats"]["value"] < 0 for m in found["members"])
    assert (folder / "report.html").is_file()
    # the command in a member's run.json makes that member again
    command = shlex.split(read_json(folder / "lr-0.01_seed-1" / "run.json")["command"])
    alone = answer(*command[1:], "--run", tmp_path / "alone")
    assert alone["metrics"]["elbo_nats"]["value"] == pytest.approx(found["members"][3]["metrics"]["elbo_nats"]["value"])
    code, out, _ = call(*words, "--or-resume")
    assert code == 0
    assert out.splitlines()[2].split()[:2] == ["lr", "seeds"]
    assert call(*words)[0] == 2


def test_lists_are_set_apart_by_semicolons_and_switches_are_on_and_off() -> None:
    fields = registry.entry("vae"), registry.entry("classifier")
    assert _over(["hidden=64;64,32"], fields[0]) == {"hidden": ["64", "64,32"]}
    assert _over(["hidden=64,32", "batch-size=8,16"], fields[0]) == {"hidden": ["64", "32"], "batch_size": ["8", "16"]}
    assert _over(["bidirectional=on,off"], fields[1]) == {"bidirectional": [True, False]}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--over", "latent"], "expected FIELD=A,B,C"),
        (["--over", "latent=2,"], "empty value"),
        (["--over", "latent=2"], "one value is no sweep"),
        (["--over", "latnt=2,3"], "did you mean 'latent'"),
        (["--over", "latent=2,3", "--over", "latent=4,5"], "given twice"),
        (["--over", "latent=2,three"], "latent"),
        (["--over", "latent=2,3", "--latent", "4"], "given twice"),
        (["--over", "latent=2,3", "--minutes", "1"], "--epochs or --steps"),
        (["--over", "lr=" + ",".join(str(i) for i in range(1, 300))], "the most is 256"),
        ([], "two members or more"),
        (["--ovr", "latent=2,3"], "did you mean '--over'"),
    ],
)
def test_a_wrong_call_is_one_line_and_writes_nothing(words: list[str], said: str, call: Call, tmp_path: Path) -> None:
    code, out, err = call("sweep", "vae", "digits", *words, "--run", tmp_path / "none")
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "none").exists()


def test_a_failed_member_gives_exit_code_4_and_is_named(call: Call, table: Path, tmp_path: Path) -> None:
    code, out, err = call(
        "sweep", "autoencoder", table, "--label", "kind", "--over", "lr=1e-3,1e38", "--latent", 2, "--steps", 6,
        "--run", tmp_path / "sweep", *QUICK,
    )  # fmt: skip
    assert code == 4
    assert "1 of 2 members failed: lr-1e+38" in err
    assert "report.html" in out
