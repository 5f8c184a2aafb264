"""Run folders to report on, written with numpy and Pillow alone, as a VAE on digits and on a table would leave them."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

CELL = 28
EPOCHS, PER_EPOCH = 80, 6


def digit(value: int, rng: np.random.Generator, sharp: float) -> np.ndarray[Any, Any]:
    """One picture of a number, grey on black."""
    small = Image.new("L", (10, 11))
    ImageDraw.Draw(small).text((2, 0), str(value), fill=255)
    big = np.asarray(small.resize((20, 22), Image.Resampling.BICUBIC), dtype=np.float64)
    out = np.zeros((CELL, CELL))
    top, left = rng.integers(2, 5), rng.integers(3, 6)
    out[top : top + 22, left : left + 20] = big
    noise = rng.random((CELL, CELL)) * 255
    return np.clip(out * sharp + noise * (1 - sharp), 0, 255).astype(np.uint8)


def write_png(path: Path, pixels: np.ndarray[Any, Any], said: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    about = PngInfo()
    about.add_itxt("Description", said)
    Image.fromarray(np.ascontiguousarray(pixels)).save(path, pnginfo=about)


def grid(pictures: list[np.ndarray[Any, Any]], columns: int, factor: int = 2) -> np.ndarray[Any, Any]:
    big = [p.repeat(factor, 0).repeat(factor, 1) for p in pictures]
    return np.concatenate([np.concatenate(big[i : i + columns], 1) for i in range(0, len(big), columns)], 0)


def write_media(folder: Path, rng: np.random.Generator) -> None:
    for epoch, sharp in ((0, 0.0), (1, 0.5), (10, 0.85), (40, 0.95), (80, 1.0)):
        sheet = grid([digit(int(rng.integers(10)), rng, sharp) for _ in range(64)], 8)
        said = f"First 64 draws of x, epoch {epoch}, seed 7, the same z at every epoch; each pixel 2x."
        write_png(folder / f"media/samples/epoch-{epoch:04d}.png", sheet, said)
    originals = [digit(k, rng, 1.0) for k in range(10)]
    decoded = [np.roll(p, 1, 1) // 2 + p // 2 for p in originals]
    rows = [grid(originals, 10), grid(decoded, 10)]
    difference = (np.asarray(rows[1], float) - rows[0])[..., None] / 255
    warm, cold, paper = (np.array(c, float) for c in ((160, 68, 19), (22, 60, 137), (246, 245, 241)))
    mapped = paper + np.clip(difference, 0, 1) * (warm - paper) + np.clip(-difference, 0, 1) * (cold - paper)
    coloured = [np.repeat(r[..., None], 3, -1) for r in rows] + [mapped.astype(np.uint8)]
    space = np.full((4, coloured[0].shape[1], 3), 251, np.uint8)
    sheet = np.concatenate([coloured[0], space, coloured[1], space, coloured[2]], 0)
    said = "Top: originals (test, the first of each class). Middle: decoded mean of their codes. Each pixel 2x."
    write_png(folder / "media/reconstructions.png", sheet, said)
    label = rng.integers(0, 10, 3000)
    centres = rng.normal(size=(10, 20)) * np.linspace(2, 0.1, 20)
    z = centres[label] + rng.normal(size=(3000, 20)) * np.linspace(0.6, 0.05, 20)
    np.savez_compressed(folder / "media/codes.npz", z=z.astype(np.float32), label=label, index=np.arange(3000))


def write_history(folder: Path, rng: np.random.Generator) -> None:
    size = 28 * 28 * math.log(2)
    with (folder / "history.jsonl").open("w") as file:
        for i in range(1, EPOCHS * PER_EPOCH + 1):
            epoch = i / PER_EPOCH
            bits = 0.505 + 0.09 * math.exp(-epoch / 14) + 3.4 * math.exp(-epoch * 2.2) + rng.normal() * 0.008
            row: dict[str, Any] = {"step": i * 70, "epoch": round(epoch, 6), "time_s": i * 5.125}
            parts = {"train": bits}
            if i % PER_EPOCH == 0:
                held = 0.522 + 0.075 * math.exp(-epoch / 12) + 3 * math.exp(-epoch * 2) + rng.normal() * 0.002
                parts |= {"valid": held, "test": held + 0.001}
            for part, value in parts.items():
                row[f"{part}/loss_nats"] = value * size
                row[f"{part}/elbo_nats"] = -value * size
                row[f"{part}/bits_per_dim"] = value
                rate = 31 - 20 * math.exp(-epoch / 3)
                row[f"{part}/rate_nats"] = rate
                row[f"{part}/distortion_nats"] = value * size - rate
            file.write(json.dumps(row) + "\n")


def measure(value: float, half: float, unit: str, how: str, **more: Any) -> dict[str, Any]:
    found = {"value": value, "low": value - half, "high": value + half, "unit": unit, "n": 10000, "split": "test"}
    return {**found, "how": how, **more}


def metrics() -> dict[str, Any]:
    alone = {"name": "independent pixels", "value": 0.97531, "low": 0.9731, "high": 0.9775}
    return {
        "bits_per_dim": measure(
            0.5231842918273,
            0.00197,
            "bits/dim",
            "ELBO, 1 draw of z an example; normal interval",
            references=[alone, {"name": "uniform", "value": 4.0, "low": None, "high": None}],
        ),
        "elbo_nats": measure(
            -284.31,
            0.41,
            "nats",
            "ELBO, 1 draw of z an example",
            references=[{"name": "independent pixels", "value": -530.01, "low": -531.2, "high": -528.8}],
        ),
        "log_likelihood_nats": measure(
            -280.62,
            0.39,
            "nats",
            "importance-weighted, K = 100, effective samples 31 (median)",
            references=[{"name": "ELBO", "value": -284.31, "low": -284.7, "high": -283.9}],
        ),
        "posterior_gap_nats": measure(3.69, 0.11, "nats", "log-likelihood less ELBO over the same examples"),
        "rate_nats": measure(31.04, 0.11, "nats", "KL to N(0, I), closed form"),
        "distortion_nats": measure(253.27, 0.88, "nats", "−log p(x given z), 1 draw"),
        "reconstruction_mse": measure(
            0.010812,
            0.00009,
            "mean over pixels",
            "decoded mean of the mean code",
            references=[{"name": "PCA, 20 axes", "value": 0.0257, "low": 0.0255, "high": 0.0259}],
        ),
        "active_units": {
            "value": 17,
            "low": None,
            "high": None,
            "unit": "dimensions",
            "n": 10000,
            "split": "test",
            "how": "mean rate above 0.01 nats",
        },
        "neighbour_accuracy": {
            "value": 0.961,
            "low": 0.952,
            "high": 0.9682,
            "unit": "share",
            "n": 2000,
            "split": "test",
            "how": "5 nearest codes, leave one out",
            "references": [{"name": "PCA, 20 axes", "value": 0.955, "low": 0.945, "high": 0.963}],
        },
    }


def details(rng: np.random.Generator) -> dict[str, Any]:
    rates = [max(0.0, 3.1 - 0.16 * i) if i < 17 else 0.002 for i in range(20)]
    order = rng.permutation(20)
    bound = [
        {
            "k": k,
            "value": -280.62 - 3.69 / k**0.55,
            "low": -281.02 - 3.69 / k**0.55,
            "high": -280.2 - 3.69 / k**0.55,
            "ess": 1 + k * 0.31,
        }
        for k in (1, 2, 5, 10, 50, 100)
    ]
    return {
        "rate_by_dimension": [{"value": rates[i], "low": rates[i] * 0.97, "high": rates[i] * 1.03} for i in order],
        "bound_by_samples": bound,
        "checks": [
            {
                "name": "posterior_collapse",
                "level": "warn",
                "value": 0.15,
                "threshold": 0.0,
                "since_step": 1680,
                "why": "3 of 20 latent dimensions carry less than 0.01 nats (z3, z9, z12)",
                "try": "--latent 17 loses nothing; or a beta below 1 to use more of them",
            },
            {
                "name": "nonfinite",
                "level": "ok",
                "value": 0.0,
                "threshold": 0.0,
                "since_step": None,
                "why": "all 3,520 logged values are finite",
                "try": "",
            },
            {
                "name": "overfitting",
                "level": "ok",
                "value": 0.001,
                "threshold": 0.02,
                "since_step": None,
                "why": "valid/loss_nats ends 0.1 % of its gain above its best",
                "try": "",
            },
        ],
    }


def meta(name: str) -> dict[str, Any]:
    return {
        "format": "elboroom-run",
        "schema_version": 1,
        "created_by": "elboroom 0.1.0",
        "name": name,
        "model": "vae",
        "settings": {
            "backbone": "conv",
            "latent": 20,
            "hidden": [],
            "activation": "gelu",
            "dropout": 0.0,
            "likelihood": "auto",
            "batch_size": 128,
            "lr": 0.001,
        },
        "preset": "course-conv",
        "networks": "built-in",
        "data": {
            "name": "mnist",
            "source": "mnist",
            "spec": {
                "kind": "images",
                "shape": [1, 28, 28],
                "scale": "levels:16",
                "levels": 16,
                "low": 0.0,
                "high": 15.0,
                "columns": [],
                "classes": [str(k) for k in range(10)],
                "masked": False,
            },
            "reading": {
                "kind": "images",
                "scale": "levels:16",
                "size": None,
                "channels": 1,
                "label": "",
                "strict": False,
            },
            "fingerprint": "8d3f09b4c1aa7e",
            "problems": [],
            "split": {
                "how": "the set's own test part; 10 % of train to validation",
                "counts": {"train": 54000, "valid": 6000, "test": 10000},
                "seed": 7,
            },
            "transform": {"scale": "levels:16"},
        },
        "budget": {"epochs": 80, "steps": 33600, "planned_steps": 33600, "steps_per_epoch": 420, "batch_size": 128},
        "runtime": {
            "device": "cpu",
            "precision": "fp32",
            "compile": "off",
            "threads": 2,
            "seed": 7,
            "matmul": "default",
        },
        "choices": {
            "precision": "this processor has no bf16 products",
            "threads": "a step has 2.1e+09 operations; below 2e+07 one thread is quicker",
        },
        "versions": {"elboroom": "0.1.0", "torch": "2.13.0", "numpy": "2.4.6", "python": "3.11.7"},
        "command": "elboroom fit vae mnist --preset course-conv --threads 2 --seed 7 --run runs/" + name,
        "started": "2026-11-20T13:21:08+00:00",
        "took_s": 2461.3,
        "state": "done",
        "why": "",
        "step": 33600,
        "parameters": 270616,
        "kept": {"step": 30240, "epoch": 72.0, "measure": "valid/loss_nats", "value": 283.6},
    }


def write_run(folder: Path) -> Path:
    """A finished VAE on digits."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(meta(folder.name)))
    (folder / "metrics.json").write_text(json.dumps(metrics()))
    (folder / "details.json").write_text(json.dumps(details(rng)))
    write_history(folder, rng)
    write_media(folder, rng)
    return folder


def write_table_run(folder: Path) -> Path:
    """The same model on a table with missing cells and categories: no pictures, one error a column."""
    rng = np.random.default_rng(1)
    folder.mkdir(parents=True)
    about = meta(folder.name)
    names = ["age", "income", "height", "visits", "smoker", "region"]
    kinds = ["real", "real", "real", "count", "binary", "categorical"]
    columns = [
        {"name": n, "kind": k, "categories": ["north", "south"] if k == "categorical" else []}
        for n, k in zip(names, kinds, strict=True)
    ]
    about["data"]["name"], about["data"]["source"] = "people.csv", "people.csv"
    about["data"]["spec"] |= {
        "kind": "table",
        "shape": [6],
        "scale": "standard",
        "levels": 0,
        "low": None,
        "high": None,
        "columns": columns,
        "classes": [],
        "masked": True,
    }
    about["data"]["problems"] = ["people.csv: 14 of 6,000 cells are missing and were masked (columns age, income)"]
    about["data"]["split"] = {"how": "by seed", "counts": {"train": 800, "valid": 100, "test": 100}, "seed": 0}
    about["settings"]["latent"] = 4
    (folder / "run.json").write_text(json.dumps(about))
    some = {k: {**v, "n": 100} for k, v in metrics().items() if k in ("elbo_nats", "rate_nats", "reconstruction_mse")}
    some["elbo_nats"]["references"] = [{"name": "independent columns", "value": -250.0, "low": -255.0, "high": -245.0}]
    (folder / "metrics.json").write_text(json.dumps(some))
    entries = []
    for column in columns:
        entry = {"name": column["name"], "kind": column["kind"], "n": int(rng.integers(90, 100))}
        if column["kind"] == "categorical":
            entry |= {"accuracy_model": 0.81, "accuracy_mean": 0.61}
        else:
            entry |= {
                "mae_model": rng.random() + 1,
                "mae_pca": rng.random() + 1,
                "mae_mean": 2.5,
                "r2_model": 0.7,
                "r2_pca": 0.8,
                "r2_mean": 0.0,
            }
        entries.append(entry)
    (folder / "details.json").write_text(json.dumps({"columns": entries}))
    (folder / "media").mkdir()
    (folder / "media/reconstruction.json").write_text(json.dumps(entries))
    np.savez_compressed(
        folder / "media/codes.npz", z=rng.normal(size=(100, 4)).astype(np.float32), index=np.arange(100)
    )
    write_history(folder, rng)
    return folder


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both runs, written once; each test gets a copy."""
    folder = tmp_path_factory.mktemp("runs")
    write_run(folder / "vae-mnist-7")
    write_table_run(folder / "vae-people-1")
    return folder


@pytest.fixture
def vae_run(runs: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(runs / "vae-mnist-7", tmp_path / "vae-mnist-7"))


@pytest.fixture
def table_run(runs: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(runs / "vae-people-1", tmp_path / "vae-people-1"))


@pytest.fixture
def rewrite() -> Callable[..., None]:
    """Change one JSON file of a run: `rewrite(run, "run.json", lambda meta: meta.update(state="failed"))`."""

    def change(run: Path, name: str, edit: Callable[[Any], Any]) -> None:
        held = json.loads((run / name).read_text())
        edit(held)
        (run / name).write_text(json.dumps(held))

    return change


# -- a text run --------------------------------------------------------------------------------------------------------

PROMPT = "First Citizen:\nBefore we proceed any"
FOLLOWS = """ further, hear me speak.

All:
Speak, speak.

GLOUCESTER:
Now, fair hope he is.
Thanks, benever will I see this ring it for it is: the other died,
To lie clouds that arguments to do it keep me from his face."""


def sample_file(step: int, prompt: str, **texts: str) -> str:
    """A file of samples as a run leaves it."""
    parts = {"prompt": prompt, **{name.replace("_", " "): text for name, text in texts.items()}}
    heads = [f"[{name}, {len(text)} characters]\n{text}" for name, text in parts.items()]
    return "\n\n".join([f"Step {step:,}, seed 7.", *heads]) + "\n"


def text_metrics() -> dict[str, Any]:
    beside = (("uniform", 6.022, 0.0), ("byte frequencies", 4.829, 0.03), ("gzip", 3.096, None), ("xz", 2.518, None),
              ("5-gram", 2.421, 0.055))  # fmt: skip
    references = [
        {"name": n, "value": v, "low": None if h is None else v - h, "high": None if h is None else v + h, "how": "so"}
        for n, v, h in beside
    ]
    nats = [{k: v * math.log(2) if isinstance(v, float) else v for k, v in r.items()} for r in references]
    unseen = {"name": "unseen text", "value": 40.0, "low": 28.0, "high": 52.0, "how": "8 sets"}
    how = "every token but the first, windows of 256 tokens, each token after 128 or more; 64 blocks of 1,743 bytes"
    text = {"n": 111539, "split": "test"}
    found = {
        "loss_nats_per_token": measure(1.583, 0.014, "nats per token", how, references=nats, **text),
        "bits_per_byte": measure(2.2838, 0.02, "bits per byte", how, references=references, **text),
        "perplexity": measure(4.87, 0.07, "tokens", "exp of the loss a token", **text),
        "token_accuracy": measure(0.527, 0.004, "share", "the likeliest token came", **text),
        "nano_loss_nats_per_token": measure(1.611, 0.012, "nats per token", "mean of 20 × 12 random windows", **text),
        "memorised_share": {**measure(0.0, 0.0, "share", "pieces of 50 characters"), "high": 0.046, "n": 80},
        "longest_copy_characters": {**measure(31.0, 0.0, "characters", "longest run"), "low": None, "high": None,
                                    "references": [unseen], "split": "samples"},
    }  # fmt: skip
    share = {"name": "unseen text", "value": 0.0012, "low": 0.0, "high": 0.006}
    found["memorised_share"].update(references=[share], split="samples")
    return found


def text_details() -> dict[str, Any]:
    baselines = [dict(r) for r in text_metrics()["bits_per_byte"]["references"]]
    baselines += [{"name": "xz alone", "value": 2.947, "low": None, "high": None, "how": "the held-out text by itself"}]
    rng = np.random.default_rng(3)
    contexts = [(1, 1), (2, 2), (3, 4), (5, 8), (9, 16), (17, 32), (33, 64), (65, 128), (129, 256)]
    by_context = [
        {"first": a, "last": b, "value": v, "low": v - 0.03, "high": v + 0.03}
        for a, b in contexts
        for v in (2.24 + 1.6 / b**0.75,)
    ]
    lengths = (8, 10, 12, 14, 16, 20, 24, 28, 32)
    curve = [
        {
            "characters": n,
            "samples": 0.9 * math.exp(-(n - 6) / 4) if n < 32 else 0.0,
            "unseen": [0.9 * math.exp(-(n - 6) / (4 + d / 5)) if n < 28 else 0.0 for d in range(8)],
        }
        for n in lengths
    ]
    pieces = [(c, round(float(rng.exponential(2.2)) * (1.8 if c.isupper() else 1), 3)) for c in FOLLOWS]
    return {
        "text": {"tokenizer": "char", "window": 256, "tokens": 111539, "bytes": 111539, "bytes_per_token": 1.0,
                 "whole": True},
        "baselines": baselines,
        "by_context": by_context,
        "memorisation": {
            "copied": False,
            "warning": "",
            "rule": "said where the longest copy has 50 characters or more and is over half as long again as any in "
            "unseen text",
            "longest": {"characters": 31, "before": "GLOUCESTER:\nNay, but ",
                        "span": "I will not speak a word.\n\nKING ", "after": "EDWARD:\nThen thou"},
            "unseen_longest": [31, 40, 28, 52, 44, 36, 39, 41],
            "curve": curve,
            "samples": "16 samples of 256 tokens, temperature 1, after 16 tokens of held-out text each",
            "training_bytes": 1003854,
        },
        "sample": {"prompt": PROMPT, "pieces": pieces, "temperature": 1.0, "seed": 8123},
        "checks": [{"name": "overfitting", "level": "ok", "value": 0.0, "threshold": 0.02, "since_step": None,
                    "why": "valid/loss_nats ends 0 % of its gain above its best", "try": ""}],
    }  # fmt: skip


def write_text_history(folder: Path, rng: np.random.Generator, steps: int = 5000) -> None:
    with (folder / "history.jsonl").open("w") as file:
        for step in range(50, steps + 1, 50):
            loss = 1.48 + 0.35 * math.exp(-step / 1800) + 2.2 * math.exp(-step / 180)
            row = {"step": step, "epoch": round(step / 61, 6), "time_s": round(step * 0.18, 3)}
            row["train/loss_nats"] = loss + rng.normal() * 0.03
            if step % 250 == 0:
                held = 1.575 + 0.3 * math.exp(-step / 1500) + 2.1 * math.exp(-step / 180)
                row |= {"valid/loss_nats": held + rng.normal() * 0.006, "test/loss_nats": held + 0.01}
            file.write(json.dumps(row) + "\n")


def write_text_run(folder: Path) -> Path:
    """A finished model of characters."""
    rng = np.random.default_rng(2)
    folder.mkdir(parents=True)
    about = meta(folder.name)
    about["model"], about["preset"], about["parameters"], about["step"] = "gpt", "", 803_328, 5000
    about["settings"] = {"layers": 4, "heads": 4, "width": 128, "batch_size": 64, "lr": 0.001}
    about["data"] |= {"name": "tinyshakespeare.txt", "source": "tinyshakespeare.txt"}
    about["data"]["spec"] |= {"kind": "text", "shape": [256], "scale": "tokens", "levels": 65, "low": None,
                              "high": None, "classes": []}  # fmt: skip
    about["data"]["split"] = {"how": "by held-out spans", "counts": {"train": 3921, "test": 435}, "seed": 7}
    about["budget"] = {"steps": 5000, "planned_steps": 5000, "steps_per_epoch": 61, "batch_size": 64}
    about["kept"] = {"step": 4750, "epoch": 77.9, "measure": "valid/loss_nats", "value": 1.579}
    about["command"] = "elboroom fit gpt tinyshakespeare.txt --window 256 --seed 7 --run runs/" + folder.name
    about["speed"] = {"generation_tokens_per_s": 612.0, "bound_tokens_per_s": 8402.0, "weight_bytes": 3213312,
                      "copy_bytes_per_s": 2.7e10, "threads": 2, "device": "cpu", "tokens": 245}  # fmt: skip
    (folder / "run.json").write_text(json.dumps(about))
    (folder / "metrics.json").write_text(json.dumps(text_metrics()))
    (folder / "details.json").write_text(json.dumps(text_details()))
    (folder / "media/samples").mkdir(parents=True)
    early = "".join(rng.choice(list("abcdefgh ,\n"), 200))
    for step, greedy, drawn in ((0, "e" * 200, early), (500, " the the" * 20, early), (5000, FOLLOWS, FOLLOWS[::-1])):
        text = sample_file(step, PROMPT, greedy=greedy, temperature_1=drawn)
        (folder / f"media/samples/step-{step:07d}.txt").write_text(text)
    write_text_history(folder, rng)
    return folder


@pytest.fixture
def text_run(tmp_path: Path) -> Path:
    return write_text_run(tmp_path / "gpt-tinyshakespeare-1")
