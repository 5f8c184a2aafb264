"""Run folders of two players, written with numpy and Pillow alone: on digits, on points in the plane, on 1000 classes.

Each is made beside a finished run of another model, whose run.json and pictures it takes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

STEPS, EVERY, LOOK = 6000, 50, 300
CENTRES = np.array([[np.cos(a), np.sin(a)] for a in np.arange(8) * np.pi / 4]) * 2
CELL = 28


def measure(value: float, half: float, unit: str, how: str, **more: Any) -> dict[str, Any]:
    found = {"value": value, "low": value - half, "high": value + half, "unit": unit, "n": 2000, "split": "test"}
    return {**found, "how": how, **more}


def pictures(base: Path) -> np.ndarray[Any, Any]:
    """(64, 28, 28): the samples of the other run."""
    sheet = np.asarray(Image.open(base / "media/samples/epoch-0080.png"))[::2, ::2]
    return sheet.reshape(8, CELL, 8, CELL).swapaxes(1, 2).reshape(64, CELL, CELL)


def write_sheet(path: Path, cells: np.ndarray[Any, Any], columns: int, said: str, between: int = 0) -> None:
    """Cells (n, 28, 28) in rows of `columns`, each pixel 2x, `between` pixels of paper between the rows."""
    rows = [np.concatenate(list(cells[i : i + columns]), 1) for i in range(0, len(cells), columns)]
    rows = [row.repeat(2, 0).repeat(2, 1) for row in rows]
    space = np.full((between, rows[0].shape[1]), 251, np.uint8)
    pixels = np.concatenate([part for row in rows for part in (row, space)][:-1])
    path.parent.mkdir(parents=True, exist_ok=True)
    about = PngInfo()
    about.add_itxt("Description", said)
    Image.fromarray(np.ascontiguousarray(pixels)).save(path, pnginfo=about)


def interval(value: float, half: float) -> dict[str, float]:
    return {"value": value, "low": value - half, "high": value + half}


def row(name: str, kind: str, values: tuple[float, ...], half: float) -> dict[str, Any]:
    keys = ("frechet_distance", "kernel_distance", "precision", "recall", "density", "coverage")
    found: dict[str, Any] = {"name": name, "kind": kind}
    return found | {key: interval(v, half * (abs(v) + 0.05)) for key, v in zip(keys, values, strict=True)}


def extractor(name: str, scale: float) -> dict[str, Any]:
    rows = [
        row("model", "model", (12.4 * scale, 0.021, 0.71, 0.52, 0.81, 0.74), 0.04),
        row("real against real", "ceiling", (3.13 * scale, 0.0002, 0.78, 0.77, 1.01, 0.968), 0.03),
        row("noise", "floor", (214.0 * scale, 1.3, 0.0, 0.0, 0.0, 0.001), 0.03),
        row("one example repeated", "floor", (160.0 * scale, 0.9, 0.9, 0.0, 1.3, 0.01), 0.03),
        row("training set copied", "floor", (3.4 * scale, 0.0004, 0.79, 0.76, 1.0, 0.966), 0.03),
    ]
    points = [[n, 12.1 * scale + 600 * scale / n] for n in (200, 250, 333, 500, 700, 1000, 1500, 2000)]
    return {
        "name": name,
        "hash": "3f9a2c5510bd",
        "width": 64,
        "how": "convolutions trained on the labels of the training part, last hidden layer",
        "accuracy": interval(0.971, 0.008) if name == "classifier" else None,
        "rows": rows,
        "frechet_over_n": {"points": points, "limit": 12.1 * scale, "error": 0.3 * scale},
    }


def quality() -> dict[str, Any]:
    limits: list[float | None] = [0.25, 0.5, 0.75, 1.0, 1.5, 2.0, None]
    truncation = [
        {
            "truncation": limit,
            "frechet_distance": 12.4 + 30 / (k + 1) ** 2,
            "precision": 0.95 - 0.04 * k,
            "recall": 0.07 + 0.075 * k,
            "density": 1.3 - 0.08 * k,
            "coverage": 0.2 + 0.09 * k,
            "class_accuracy": 0.99 - 0.012 * k,
        }
        for k, limit in enumerate(limits)
    ]
    made = np.array([0.12, 0.21, 0.08, 0.09, 0.0, 0.05, 0.13, 0.17, 0.05, 0.1])
    return {
        "split": "test",
        "n_real": 2000,
        "n_made": 2000,
        "seed": 7,
        "extractors": [extractor("classifier", 1.0), extractor("random", 0.02)],
        "classes": {
            "names": [str(k) for k in range(10)],
            "real": [0.1] * 10,
            "made": made.tolist(),
            "absent": ["4"],
            "kl": 0.113,
        },
        "modes": None,
        "truncation": truncation,
        "memorised": {"share": 0.0125, "low": 0.0086, "high": 0.0181, "how": "samples nearer to a training example "
            "than held-out examples are, at the 1st percentile"},
    }  # fmt: skip


def metrics(found: dict[str, Any]) -> dict[str, Any]:
    rows = found["extractors"][0]["rows"]
    out = {}
    for key in ("frechet_distance", "kernel_distance", "precision", "recall", "density", "coverage"):
        beside = [{"name": r["name"], **r[key]} for r in rows[1:]]
        out[key] = measure(0, 0, "", "classifier features", references=beside) | rows[0][key]
    out["class_accuracy"] = measure(0.84, 0.016, "share", "by the classifier, whose own accuracy is 0.97")
    out["memorised_share"] = measure(0.0125, 0.004, "share", "nearer than held-out examples are")
    return out


def write_history(folder: Path, rng: np.random.Generator, *, penalised: bool = True) -> None:
    with (folder / "history.jsonl").open("w") as file:
        for step in range(EVERY, STEPS + 1, EVERY):
            share = step / STEPS
            found: dict[str, Any] = {"step": step, "epoch": round(step / LOOK, 6), "time_s": step * 0.02}
            ranked = 0.5 + 0.35 * np.exp(-share * 2)
            found |= {
                "train/critic.loss_nats": 1.1 - 0.2 * share + rng.normal() * 0.05,
                "train/generator.loss_nats": 0.9 + 0.3 * share + rng.normal() * 0.08,
                "train/critic.score_real": 1.5 - share + rng.normal() * 0.2,
                "train/critic.score_made": -1.5 + share + rng.normal() * 0.2,
                "train/critic.ranked": ranked + rng.normal() * 0.02,
                "train/critic.gradient_norm": float(np.exp(rng.normal() * 0.3)),
                "train/generator.gradient_norm": float(30 * np.exp(-3 * share + rng.normal() * 0.3)),
            }
            if penalised:
                found |= {
                    "train/critic.slope_real": 1.0 + rng.normal() * 0.1,
                    "train/critic.slope_made": 1.2 - 0.2 * share + rng.normal() * 0.1,
                    "train/critic.penalty": 0.3 * float(np.exp(-4 * share)) + 0.01,
                }
            if step % LOOK == 0:
                found |= {
                    "valid/critic.ranked": ranked + 0.03,
                    "valid/critic.loss_nats": 1.2,
                    "valid/generator.loss_nats": 1.0,
                    "valid/frechet_distance": 1.4 + 60 * float(np.exp(-share * 6)) + 0.4 * share + rng.normal() * 0.05,
                    "valid/coverage": 0.8 - 0.75 * float(np.exp(-share * 5)),
                    "valid/density": 0.9 - 0.8 * float(np.exp(-share * 4)),
                    "valid/spread": 0.95 - 0.6 * float(np.exp(-share * 6)),
                    "valid/doubles": 0.012 + 0.5 * float(np.exp(-share * 8)),
                }
            file.write(json.dumps(found) + "\n")


def about(base: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((base / "run.json").read_text())
    found |= {"name": name, "model": "gan", "step": STEPS, "preset": None}
    found["settings"] = {"latent": 64, "lr": 0.0002, "batch_size": 64}
    found["budget"] |= {"batch_size": 64}
    found["kept"] = {"step": 3900, "epoch": 13.0, "measure": "valid/frechet_distance", "value": 1.7}
    found["data"]["spec"] |= {"scale": "unit", "levels": 0, "low": 0.0, "high": 1.0}
    return found


def write(folder: Path, run: dict[str, Any], details: dict[str, Any], measured: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (("run", run), ("details", {"quality": details}), ("metrics", measured)):
        (folder / f"{name}.json").write_text(json.dumps(content))


def write_digits(folder: Path, base: Path) -> Path:
    """A finished run that can be asked for a class."""
    rng = np.random.default_rng(3)
    found = quality()
    write(folder, about(base, folder.name), found, metrics(found))
    write_history(folder, rng)
    cells = pictures(base)
    for epoch, sharp in zip((0, 1, 2, 5, 8, 10, 15, 18, 20), np.linspace(0, 1, 9), strict=True):
        mixed = (cells * sharp + rng.random(cells.shape) * 255 * (1 - sharp)).astype(np.uint8)
        said = f"First 64 decoded means, epoch {epoch}, seed 7, the same z at every epoch; each pixel 2x."
        write_sheet(folder / f"media/samples/epoch-{epoch:04d}.png", mixed, 8, said)
    for name, rows, said in (
        ("classes", 10, "A row a class: 0 to 9; a column is one z, seed 7"),
        ("truncation", 7, "A row a truncation of z; a column is one draw, seed 7"),
        ("interpolation", 6, "Each row goes from one z to another on the sphere, seed 7"),
    ):
        chosen = cells[np.arange(10 * rows) % 64]
        write_sheet(folder / f"media/{name}.png", chosen, 10, f"{said}. Each pixel 2x.")
    said = "Top: samples. Below: the training rows nearest to each, the nearest first. Each pixel 2x."
    write_sheet(folder / "media/neighbours.png", cells[:30], 10, said, between=4)
    return folder


def write_ring(folder: Path, base: Path) -> Path:
    """A run on eight modes in the plane that misses one of them."""
    rng = np.random.default_rng(4)
    found = about(base, folder.name)
    found["data"] |= {"name": "ring8", "source": "ring8"}
    columns: list[dict[str, Any]] = [{"name": n, "kind": "real", "categories": []} for n in ("x", "y")]
    found["data"]["spec"] |= {"kind": "table", "shape": [2], "columns": columns, "classes": []}
    counts = [251, 160, 310, 0, 240, 205, 260, 190]
    held = quality() | {"extractors": [extractor("pca", 0.01) | {"width": 2}], "classes": None, "truncation": None}
    held["modes"] = {"found": 7, "known": 8, "high_quality_share": interval(0.808, 0.017), "kl": 0.19, "counts": counts}
    modes = measure(7, 0, "modes", "with a sample within 3 standard deviations") | {"low": None, "high": None}
    shares = measure(0.808, 0.017, "share", "within 3 standard deviations of a centre")
    measured = metrics(held) | {"modes_found": modes, "high_quality_share": shares}
    measured.pop("class_accuracy")
    write(folder, found, held, measured)
    write_history(folder, rng, penalised=False)
    (folder / "media").mkdir()
    real = np.repeat(CENTRES, 250, axis=0) + rng.normal(size=(2000, 2)) * 0.02
    made = np.repeat(CENTRES, counts, axis=0) + rng.normal(size=(sum(counts), 2)) * 0.03
    made = np.concatenate([made, rng.normal(size=(380, 2)), [[90.0, 0.0], [np.nan, 1.0]]])
    np.savez_compressed(folder / "media/points.npz", real=real, made=made, centres=CENTRES)
    return folder


def write_thousand(folder: Path, base: Path) -> Path:
    """A run whose data have 1,000 classes, some of which it never makes."""
    rng = np.random.default_rng(5)
    held = quality()
    names = [f"{k:03d}" for k in range(1000)]
    weights = rng.gamma(3, size=1000) * (np.arange(1000) >= 37)
    counts = rng.multinomial(26000, weights / weights.sum())
    held |= {"n_made": 26000, "n_real": 26000, "truncation": None}
    absent = [names[k] for k in np.flatnonzero(counts == 0)]
    made = (counts / 26000).tolist()
    held["classes"] = {"names": names, "real": [0.001] * 1000, "made": made, "absent": absent, "kl": 0.21}
    modes = measure(1000 - len(absent), 0, "modes", "classes made once or more") | {"low": None, "high": None}
    measured = metrics(held) | {"modes_found": modes, "mode_kl": measure(0.21, 0.01, "nats", "KL(made || real)")}
    write(folder, about(base, folder.name), held, measured)
    write_history(folder, rng)
    return folder
