"""A12: an autoencoder and a VAE of the same nets and code on MNIST, by one `elboroom compare`.

Two trainings and a comparison; the table and the pictures of docs/autoencoder-against-vae.md are made of them. Nothing
has a goal: it shows what a law for the codes costs in reconstruction, and what it buys when codes are drawn.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from benchmarks.recipe import Options, elboroom, fit, round_off
from benchmarks.record import Result

__all__ = ["MARKS", "PAGE", "measured", "run"]

NAME = "a12_against_vae"
DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = "autoencoder-against-vae.md"
MARKS = (f"<!-- measured: python -m benchmarks {NAME} -->\n", "<!-- end of measured -->")
EPOCHS = 5
SIDES = {"autoencoder": ("--code", "linear"), "vae": ()}
NETS = ("--backbone", "mlp", "--hidden", "512", "--latent", 2, "--batch-size", 128, "--scale", "unit")
SHEETS = {"normal": "Draws of N(0, I), decoded", "walks": "On the line between the codes of two test images"}
WORDS = {
    "reconstruction_bce": "cross-entropy a pixel, nats",
    "reconstruction_mse": "squared error a pixel",
    "neighbour_accuracy": "label of the nearest code right",
    "trustworthiness": "trustworthiness",
    "code_mmd": "MMD² of the codes from N(0, I)",
    "code_gap": "largest gap of an axis from N(0, 1)",
    "code_auc": "codes told from N(0, I), AUC",
}
PROTOCOL = (
    f"784 - 512 ReLU - 2 - 512 ReLU - 784 sigmoid, Adam 1e-3, batch 128, {EPOCHS} epochs, Bernoulli, one seed; "
    "elboroom compare on the test part: paired intervals where items can be paired"
)


def run(options: Options) -> Result:
    result = options.begin(NAME, __doc__.splitlines()[0], PROTOCOL, "digits, 1 epoch, 32 units; the page is left alone")
    data, epochs = ("digits", 1) if options.short else ("mnist", EPOCHS)
    result.data = {"name": data}
    scratch = options.scratch(NAME)
    nets = [word if word != "512" or not options.short else "32" for word in NETS]
    for model, words in SIDES.items():
        command, _ = fit(
            options, scratch, [model, data, *nets, *words, "--epochs", epochs, "--run", model, "--or-resume"]
        )
        result.commands.append(command)
    command, found = elboroom(options, scratch, ["compare", *SIDES, "--out", "compare.html", "--force"])
    result.commands.append(command)
    for row in found["measures"]:
        if row["key"] in WORDS:
            for cell in row["cells"]:
                if cell["value"] is not None:
                    low, high = (None if cell[end] is None else round_off(cell[end]) for end in ("low", "high"))
                    name = f"{cell['run']}: {row['key']}"
                    result.add(name, round_off(cell["value"]), row["unit"], low=low, high=high, how=row["said"])
    result.details = {"measures": [row for row in found["measures"] if row["key"] in WORDS], "data": found["data"]}
    result.details["objectives"] = found["objectives"]
    if not options.short:
        write(result.details, scratch)
    return result


def write(details: dict[str, Any], scratch: Path) -> None:
    """Copy the sheets into docs/figures and put the table between the page's marks."""
    for name in SHEETS:
        for model in SIDES:
            shutil.copyfile(scratch / model / "media" / f"{name}.png", DOCS / "figures" / f"{model}-{name}.png")
    page = (DOCS / PAGE).read_text(encoding="utf-8")
    before, rest = page.split(MARKS[0])
    whole = before + MARKS[0] + measured(details) + MARKS[1] + rest.split(MARKS[1])[1]
    (DOCS / PAGE).write_text(whole, encoding="utf-8")


def measured(details: dict[str, Any]) -> str:
    """The measured part of the page."""
    about = details["data"]
    lines = [f"On the same {about['n']:,} held-out {about['unit']} of {about['name']}; ± is a 95 % interval.", ""]
    lines += ["| | autoencoder | VAE | |", "|---|---|---|---|"]
    rows = {row["key"]: row for row in details["measures"]}
    for key, words in WORDS.items():
        if key in rows:
            cells = [_cell(cell) for cell in rows[key]["cells"]]
            lines.append(f"| {words} | {' | '.join(cells)} | {rows[key]['said']} |")
    lines += ["", "What each minimises, and its terms on the validation part at the end:", ""]
    for row in details["objectives"]:
        terms = ", ".join(f"{t['name']} {t['value']:.4g}" for t in row["terms"] if t["name"] != "loss_nats")
        lines.append(f"- {row['run']}: `{row['says']}` {terms}")
    for name, words in SHEETS.items():
        lines += ["", f"{words}: autoencoder left, VAE right.", ""]
        lines.append(" ".join(f"![{words}, {model}](figures/{model}-{name}.png)" for model in SIDES))
    return "\n".join(lines) + "\n"


def _cell(cell: dict[str, Any]) -> str:
    if cell["value"] is None:
        return "none"
    if cell["low"] is None:
        return f"{cell['value']:.4g}"
    return f"{cell['value']:.4g} ± {max(cell['high'] - cell['value'], cell['value'] - cell['low']):.2g}"
