"""A9: VQ-VAE with its learnt prior on photographs of clothes at 256 levels a value, bits a value beside a VAE's."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks import a9_vqvae
from benchmarks.recipe import Options
from benchmarks.record import Result

__all__ = ["run"]

NAME, EPOCHS = "a9_clothing64", 20
FILE = "clothing64/clothing64_train.zip"
PROTOCOL = a9_vqvae.PROTOCOL.replace("mnist", "clothing64_train.zip").replace("its own test part", "split .8, .1, .1")


def run(options: Options) -> Result:
    protocol = PROTOCOL.format(epochs=EPOCHS)
    result = options.begin(NAME, __doc__.splitlines()[0], protocol, "digits at 16 levels, 2 epochs, small nets")
    photographs = Path(os.environ.get("ELBOROOM_DATA", "")) / FILE
    if not options.short and not photographs.is_file():
        result.add("clothing64, VQ-VAE: codes used", None, "", how=f"{FILE} is not in $ELBOROOM_DATA")
        return result
    a9_vqvae.measured(options, result, NAME, str(photographs), EPOCHS)
    result.data = {"name": FILE, "levels": 256}
    return result
