"""A9: VQ-VAE with its learnt prior on MNIST at 256 grey levels, total bits a value beside a VAE's.

Both models read the same 8-bit pixels with the same discretised-logistic head, so their bits can be compared: a VAE's
are its ELBO, a VQ-VAE's are the prior's bits of the codes and the decoder's bits of the pixels. The prior's bits a code
stand beside those of codes by their shares alone and of uniform codes. The yard-stick of 8-bit MNIST, 0.808 bits a
value, is of an autoregressive model over pixels, which has no code. `a9_clothing64` is the same on photographs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.recipe import Options, fit, round_off
from benchmarks.record import Result

__all__ = ["measured", "run"]

NAME, EPOCHS = "a9_vqvae", 6
MODELS: dict[str, tuple[str, list[Any]]] = {
    "VQ-VAE": ("vqvae", ["--codes", 256]),
    "scalars": ("vqvae", ["--quantizer", "scalars", "--levels", "8,6,5"]),
    "VAE": ("vae", ["--backbone", "conv", "--latent", 32, "--likelihood", "logistic"]),
}
SHOWN = {
    "bits_per_dim": "bits a value, in all",
    "prior_bits_per_code": "prior, bits a code",
    "codebook_usage": "codes used",
    "codebook_perplexity": "perplexity",
    "reconstruction_mse": "squared error a value",
    "frechet_distance": "Fréchet distance of samples",
}
GOALS = {("VQ-VAE", "codebook_usage"): ">= 0.9"}
PROTOCOL = (
    "elboroom fit MODEL mnist --scale levels:256, its own test part, {epochs} epochs; VQ-VAE with 256 codes of width "
    "16, or 240 of finite scalars (8, 6, 5 levels), one each 4 x 4 pixels, a transformer of 4 layers for the last "
    "30 % of the steps; VAE: convolutions, 32 numbers, the same head; one seed; test part"
)


def run(options: Options) -> Result:
    protocol = PROTOCOL.format(epochs=EPOCHS)
    result = options.begin(NAME, __doc__.splitlines()[0], protocol, "digits at 16 levels, 2 epochs, small nets")
    measured(options, result, NAME, "mnist", EPOCHS)
    result.data = {"name": "mnist", "levels": 256}
    return result


def measured(options: Options, result: Result, name: str, source: str, epochs: int) -> None:
    """The three models on one set, each a run that goes on where it was broken off."""
    scratch = options.scratch(name)
    if options.short:
        source, epochs = "digits", 2
    title = Path(source).stem.split("_")[0]
    for kind, (model, words) in MODELS.items():
        scale = ["--scale", "levels:16" if options.short else "levels:256"]
        if options.short and model == "vqvae":
            words = [*words, "--width", 8, "--prior-width", 64, "--prior-layers", 1, "--places", 4]
        folder = f"{title}-{kind.lower()}"
        command, document = fit(
            options, scratch, [model, source, *scale, *words, "--epochs", epochs, "--run", folder, "--or-resume"]
        )
        place = f"$ELBOROOM_DATA/.../{Path(source).name}" if "/" in source else source
        result.commands.append(command.replace(source, place))
        add(result, title, kind, document["metrics"])


def add(result: Result, data: str, name: str, metrics: dict[str, Any]) -> None:
    """A row for each measure that the model has; what stands beside it in the report stands in `how`."""
    for key, words in SHOWN.items():
        found = metrics.get(key)
        if found is None or found["value"] is None:
            continue
        low, high = (None if found[end] is None else round_off(found[end]) for end in ("low", "high"))
        beside = "; ".join(f"{one['name']} {one['value']:.4g}" for one in found.get("references") or [])
        result.add(
            f"{data}, {name}: {words}", round_off(found["value"]), found["unit"], GOALS.get((name, key), ""),
            low=low, high=high, how=beside,
        )  # fmt: skip
