"""The kill battery: a run killed at any moment and resumed ends with the same bits as one that nothing interrupted.

Trial i is of kind i modulo the number of kinds, its moment drawn from seed i; every failing number is a fixed test.
"""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from elboroom.artifacts.run import RunFolder

if TYPE_CHECKING:
    from conftest import Outcome, Program, Reference  # type: ignore[import-not-found]

TRIALS = 60
KINDS = ("any moment", "any write", "checkpoint", "evaluation", "sampling", "again and again")
Digest = Callable[[Path], dict[str, str]]
KILLED = -signal.SIGKILL
TINY = ("--layers", "2", "--heads", "2", "--width", "16", "--window", "32", "--batch-size", "8")
CELLS = ("--hidden", "16", "--batch-size", "8")
CHARS = ("charnn", "tale.txt", "--steps", "30", "--window", "32", *CELLS)
CLASSES = ("classifier", "waves.npz", "--kind", "sequences", "--steps", "30", *CELLS)
PLAYERS = ("--steps", "24", "--batch-size", "16")
CODES = ("vqvae", "digits", "--scale", "levels:16", "--steps", "30", "--codes", "16", "--width", "8", "--places", "4",
         "--prior-layers", "1", "--prior-width", "64")  # fmt: skip
SERIES = ("forecaster", "pump.csv", "--steps", "30", "--window", "24", "--horizon", "4", *CELLS)


@pytest.fixture
def run(memory: Path) -> Any:
    """The place of one run, emptied before and after."""
    path = memory / "run"
    shutil.rmtree(path, ignore_errors=True)
    yield path
    shutil.rmtree(path, ignore_errors=True)


def moment(kind: str, reference: Reference, chance: random.Random) -> dict[str, Any]:
    """When to kill, as a plan for the fork server."""
    operations = reference.operations
    match kind:
        case "any moment":
            return {"after_s": chance.uniform(0, reference.took_s)}
        case "any write":
            return {"at": chance.randrange(len(operations))}
        case "checkpoint":
            return {"at": chance.choice([n for n, o in enumerate(operations) if "/checkpoints/" in o[2]])}
        case "evaluation" | "sampling":
            name = "metrics.json" if kind == "evaluation" else "/samples/"
            at, lasts_s = chance.choice(reference.before(name))
            return {"at": at, "after_s": chance.uniform(0, lasts_s)}
    raise AssertionError(kind)


def first_state(reference: Reference) -> int:
    """The operation that puts the first checkpoint in its place."""
    return next(n for n, o in enumerate(reference.operations) if o[1] == "rename" and "/step-" in o[3])


def ended(program: Program, reference: Reference, run: Path) -> Outcome:
    """Go on to the end, as a user would: with `resume`, or with the same call where the run had not begun."""
    if (run / "run.json").is_file():
        return program("resume", run)
    return program(*reference.words, "--run", run)


def assert_equal(found: dict[str, str], reference: Reference) -> None:
    different = {
        name for name in found.keys() | reference.digest.keys() if found.get(name) != reference.digest.get(name)
    }
    assert not different, sorted(different)


def test_two_runs_that_nothing_interrupts_are_equal(
    program: Program, reference: Reference, run: Path, digest: Digest
) -> None:
    assert program(*reference.words, "--run", run).code == 0
    assert_equal(digest(run), reference)


@pytest.mark.parametrize(
    "trial",
    [pytest.param(i, id=f"{i}, {KINDS[i % 6]}", marks=pytest.mark.slow if i >= 6 else ()) for i in range(TRIALS)],
)
def test_a_killed_run_ends_with_the_same_bits(
    program: Program, reference: Reference, run: Path, digest: Digest, trial: int
) -> None:
    chance = random.Random(trial)
    kind = KINDS[trial % len(KINDS)]
    if kind == "again and again":
        first = program(*reference.words, "--run", run, **moment(chance.choice(KINDS[:5]), reference, chance))
        for _ in range(4):
            if first.code == KILLED and (run / "run.json").is_file():
                program("resume", run, **moment(chance.choice(KINDS[:2]), reference, chance))
    else:
        first = program(*reference.words, "--run", run, **moment(kind, reference, chance))
    assert first.code in (KILLED, 0), first.said
    last = ended(program, reference, run)
    assert last.code == 0, last.said
    assert_equal(digest(run), reference)
    assert json.loads((run / "run.json").read_text())["state"] == "done"
    left = [p for p in run.rglob("*") if p.name.startswith((".tmp-", ".trash-"))]
    assert not left or first.code == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("autoencoder", "digits", "--epochs", "3"),
        ("beta_vae", "digits", "--epochs", "3", "--dropout", "0.2"),
        ("vae", "digits", "--epochs", "3", "--backbone", "conv"),
        ("vae", "digits", "--epochs", "3", "--scale", "dynamic", "--split", "0.8,0,0.2"),
        ("vae", "digits", "--epochs", "2", "--compile", "on"),
        ("gpt", "pydocs", "--steps", "30", *TINY),
        ("gpt", "pydocs", "--steps", "30", *TINY, "--family", "gpt2", "--optimizer", "adamw", "--dropout", "0.1"),
        ("gpt", "pydocs", "--steps", "20", *TINY, "--attention", "sliding:8+dense", "--tokenizer", "bpe:300"),
        CHARS,
        (*CHARS, "--cell", "peephole", "--layers", "2", "--dropout", "0.1"),
        (*CHARS, "--cell", "gru", "--tokenizer", "bpe:300"),
        (*CHARS, "--cell", "transformer", "--layers", "2"),
        CLASSES,
        (*CLASSES, "--cell", "peephole", "--layers", "2", "--pooling", "last"),
        (*CLASSES, "--cell", "gru", "--no-bidirectional", "--pooling", "attention"),
        (*CLASSES, "--cell", "transformer", "--compile", "on"),
        SERIES,
        (*SERIES, "--cell", "peephole", "--layers", "2", "--dropout", "0.1"),
        (*SERIES, "--cell", "transformer"),
        ("gan", "digits", *PLAYERS, "--pack", "2", "--norm", "batch"),
        ("wgan", "digits", *PLAYERS, "--backbone", "mlp", "--hidden", "32", "--critic-steps", "3"),
        ("wgan", "digits", *PLAYERS, "--backbone", "mlp", "--hidden", "32", "--lipschitz", "clip"),
        ("dcgan", "digits", *PLAYERS, "--width", "4", "--augment", "diff"),
        ("r3gan", "digits", *PLAYERS, "--backbone", "mlp", "--hidden", "32"),
        ("sagan", "digits", *PLAYERS, "--width", "4"),
        ("biggan", "digits", *PLAYERS, "--width", "4", "--shared", "8", "--latent", "16"),
        ("aae", "digits", *PLAYERS, "--hidden", "32", "--encoder", "universal"),
        ("factor_vae", "digits", *PLAYERS, "--hidden", "32"),
        CODES,
        (*CODES, "--quantizer", "scalars", "--compile", "on"),
    ],
    ids=" ".join,
)
def test_every_model_and_way_to_run_survives_kills(
    program: Program, run: Path, memory: Path, drawn: Path, digest: Digest, words: tuple[str, ...]
) -> None:
    plain = {"--threads": "1", "--device": "cpu", "--precision": "fp32", "--compile": "off", "--save-every": "0.0001"}
    given = [str(drawn / word) if (drawn / word).is_file() else word for word in words]
    call = ["fit", *given, *(word for flag, value in plain.items() if flag not in words for word in (flag, value))]
    whole = memory / "-".join(words)
    shutil.rmtree(whole, ignore_errors=True)
    first = program(*call, "--run", whole, record=str(memory / "operations of another"))
    assert first.code == 0, first.said
    operations = json.loads((memory / "operations of another").read_text())
    begun = next(n for n, o in enumerate(operations) if o[1] == "rename" and "/step-" in o[3]) + 2
    rest_s = operations[-1][0] - operations[begun][0]
    for seed in range(4):
        shutil.rmtree(run, ignore_errors=True)
        chance = random.Random(seed)
        if seed < 3:
            killed = program(*call, "--run", run, at=chance.randrange(begun, len(operations)))
            assert killed.code == KILLED
        else:  # at any moment after the first checkpoint, as likely within a step as at a write
            killed = program(*call, "--run", run, at=begun, after_s=chance.uniform(0, rest_s))
            assert killed.code in (KILLED, 0)
        last = program("resume", run)
        assert last.code == 0, last.said
        assert digest(run) == digest(whole)
    shutil.rmtree(whole)


# ---- the battery can fail ----------------------------------------------------------------------------------------


def killed_after(program: Program, reference: Reference, run: Path, checkpoints: int) -> RunFolder:
    """A run killed right after so many checkpoints were in place."""
    saved = [n for n, o in enumerate(reference.operations) if o[1] == "rename" and "/step-" in o[3]]
    outcome = program(*reference.words, "--run", run, at=saved[checkpoints - 1] + 2)
    assert outcome.code == KILLED, outcome.said
    return RunFolder.open(run)


def without_slots(step: int, tensors: dict[str, Any], info: dict[str, Any]) -> int:
    slots = [name for name in tensors if name.startswith("phase.")]
    assert slots
    for name in slots:
        tensors[name].zero_()
    return step


def with_another_step(step: int, tensors: dict[str, Any], info: dict[str, Any]) -> int:
    return step + 1


def without_best_weights(step: int, tensors: dict[str, Any], info: dict[str, Any]) -> int:
    kept = [name for name in tensors if name.startswith("kept.")]
    assert kept and info["kept"]["step"] < step
    for name in kept:
        del tensors[name]
    info["kept"] = None
    return step


def without_the_length_of_the_history(step: int, tensors: dict[str, Any], info: dict[str, Any]) -> int:
    assert info["history_bytes"] > 0
    info["history_bytes"] = 0
    return step


def with_one_weight_changed(step: int, tensors: dict[str, Any], info: dict[str, Any]) -> int:
    name = next(name for name in sorted(tensors) if name.startswith("model.") and tensors[name].numel() > 1)
    tensors[name].numpy().reshape(-1).view(np.uint8)[0] ^= 1
    return step


@pytest.mark.parametrize(
    ("part", "checkpoints"),
    [
        (without_slots, 3),
        (with_another_step, 3),
        (without_best_weights, 7),
        (without_the_length_of_the_history, 3),
        (with_one_weight_changed, 3),
    ],
)
def test_without_one_part_of_the_state_the_bits_differ(
    program: Program,
    reference: Reference,
    run: Path,
    digest: Digest,
    part: Callable[[int, dict[str, Any], dict[str, Any]], int],
    checkpoints: int,
) -> None:
    folder = killed_after(program, reference, run, checkpoints)
    step, tensors, info = folder.checkpoints.newest()
    step = part(step, tensors, info)
    folder.checkpoints.remove()
    folder.checkpoints.save(step, tensors, info)
    last = program("resume", run)
    assert last.code == 0, last.said
    changed = "history.jsonl" if part is without_the_length_of_the_history else "weights.safetensors"
    assert digest(run)[changed] != reference.digest[changed]


# ---- damage ------------------------------------------------------------------------------------------------------


def test_a_flipped_bit_is_said_and_the_state_before_is_used(
    program: Program, reference: Reference, run: Path, digest: Digest
) -> None:
    folder = killed_after(program, reference, run, 4)
    newest = folder.checkpoints.steps()[-1]
    state = run / "checkpoints" / f"step-{newest:010d}" / "state.safetensors"
    content = bytearray(state.read_bytes())
    content[len(content) // 2] ^= 4
    state.write_bytes(content)
    last = program("resume", run)
    assert last.code == 0, last.said
    assert_equal(digest(run), reference)
    assert f"step-{newest:010d} is damaged" in last.said
    assert (run / "checkpoints" / f"corrupt-step-{newest:010d}").is_dir()


def test_without_a_good_state_a_run_is_not_restarted(program: Program, reference: Reference, run: Path) -> None:
    killed_after(program, reference, run, 4)
    for state in (run / "checkpoints").glob("*/state.json"):
        state.write_text("{}")
    history = (run / "history.jsonl").read_bytes()
    last = program("resume", run)
    assert last.code == 2 and "never restarted silently" in last.said and "Traceback" not in last.said
    assert (run / "history.jsonl").read_bytes() == history and not (run / "weights.safetensors").exists()


# ---- signals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (signal.SIGTERM, "any moment"),
        (signal.SIGTERM, "checkpoint"),
        (signal.SIGTERM, "evaluation"),
        (signal.SIGINT, "any moment"),
        *(
            pytest.param(number, kind, marks=pytest.mark.slow)
            for number in (signal.SIGTERM, signal.SIGINT)
            for kind in ("sampling", "checkpoint", "evaluation", "any write")
        ),
    ],
)
def test_a_stopped_run_says_so_exits_with_4_and_resumes_to_the_same_bits(
    program: Program, reference: Reference, run: Path, digest: Digest, kind: str, number: int
) -> None:
    chance = random.Random(f"{kind} {number}")
    plan = moment(kind, reference, chance)
    if kind.startswith("any"):  # between the first checkpoint and the last: in training
        times = [o[0] for o in reference.operations if o[1] == "rename" and "/step-" in o[3]]
        plan = {"at": first_state(reference), "after_s": chance.uniform(0, times[-1] - times[0])}
    first = program(*reference.words, "--run", run, signals=[number], **{"after_s": 0.0, **plan})
    assert first.code in (4, 0), first.said
    assert first.to_exit_s < 5
    if first.code == 4:
        state = json.loads((run / "run.json").read_text())
        assert state["state"] == "stopped" and "resume" in first.said and "Traceback" not in first.said
    last = ended(program, reference, run)
    assert last.code == 0, last.said
    assert_equal(digest(run), reference)


def test_a_second_signal_ends_at_once_and_nothing_is_lost(
    program: Program, reference: Reference, run: Path, digest: Digest
) -> None:
    at = next(n for n, o in enumerate(reference.operations) if o[1] == "append")
    first = program(*reference.words, "--run", run, at=at, after_s=0.0, signals=[signal.SIGTERM, signal.SIGTERM])
    # a second signal that comes after the handlers were put back ends the process itself: 143 to a shell
    assert first.code in (143, -signal.SIGTERM, 4), first.said
    assert program("resume", run).code == 0
    assert_equal(digest(run), reference)


# ---- the disk ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "code", "says"),
    [
        (errno.ENOSPC, 4, "No space left"),
        (errno.EIO, 4, "Input/output error"),
        (errno.EROFS, 2, "Read-only file system"),
        (errno.ENOENT, 2, "No such file or directory"),
    ],
)
def test_a_disk_that_fails_in_the_middle_ends_the_run_in_words_and_once_mended_it_goes_on(
    program: Program, reference: Reference, run: Path, digest: Digest, fault: int, code: int, says: str
) -> None:
    chance = random.Random(fault)
    begun = next(n for n, o in enumerate(reference.operations) if o[1] == "rename" and "/run.json" in o[3]) + 2
    at = chance.randrange(max(begun, first_state(reference) + 2), len(reference.operations))
    first = program(*reference.words, "--run", run, at=at, errno=fault)
    assert first.code == code and says in first.said and "Traceback" not in first.said, first.said
    assert not [p for p in run.rglob("*") if p.name.startswith(".tmp-")]
    last = program("resume", run)
    assert last.code == 0, last.said
    assert_equal(digest(run), reference)


def test_a_limit_of_the_kernel_on_files_stops_the_run_and_says_why(
    program: Program, reference: Reference, run: Path, digest: Digest
) -> None:
    folder = killed_after(program, reference, run, 2)
    limit = (folder.path / "run.json").stat().st_size + 4096  # run.json still fits, a checkpoint does not
    state = program("resume", run, limit=limit)
    assert state.code == 4 and "File too large" in state.said, state.said
    meta = json.loads((run / "run.json").read_text())
    assert meta["state"] == "failed" and "File too large" in meta["why"]
    assert program("resume", run).code == 0
    assert_equal(digest(run), reference)


# ---- one writer --------------------------------------------------------------------------------------------------


def test_a_second_process_on_a_run_is_refused_and_changes_nothing(
    program: Program, reference: Reference, run: Path, digest: Digest
) -> None:
    folder = killed_after(program, reference, run, 2)
    with folder.lock():
        before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}
        for words in (("resume", run), (*reference.words, "--run", run), (*reference.words, "--run", run, "--force")):
            second = program(*words)
            assert second.code == 2 and "Traceback" not in second.said, second.said
        assert f"is in use by process {os.getpid()}" in second.said
        assert {p: p.read_bytes() for p in run.rglob("*") if p.is_file()} == before
    assert program("resume", run).code == 0
    assert_equal(digest(run), reference)


def test_resume_of_a_finished_run_changes_nothing(program: Program, reference: Reference, run: Path) -> None:
    shutil.copytree(reference.path, run)
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in run.rglob("*") if p.is_file()}
    outcome = program("resume", run)
    assert outcome.code == 0, outcome.said
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in run.rglob("*") if p.is_file()} == before
