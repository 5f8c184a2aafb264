"""An Inception network that lies on disk as TorchScript, for distances that the literature calls FID. Never downloaded.

Made for the file that StyleGAN's authors published (Karras et al. 2020): it takes pixels 0 .. 255 of three channels,
resizes them itself and, asked for features, gives 2,048 numbers. A value is comparable with a published one only where
the file, the number of samples and the reference set are the same.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from elboroom.core.errors import InputError, Unable
from elboroom.data.source import Dataset

from .extractor import HEX, Network
from .inputs import examples, training_rows

__all__ = ["VARIABLE", "inception"]

VARIABLE = "ELBOROOM_INCEPTION"


class Scripted(nn.Module):
    """Images in [0, 1] to the whole pixels that the network takes; grey ones in three equal channels."""

    def __init__(self, script: nn.Module, keywords: dict[str, bool]) -> None:
        super().__init__()
        self.script = script
        self.keywords = keywords

    def forward(self, x: Tensor) -> Tensor:
        pixels = (x * 255).round().clamp(0, 255).to(torch.uint8)
        found: Tensor = self.script(pixels.expand(-1, 3, -1, -1), **self.keywords)
        return found


def inception(dataset: Dataset, named: str) -> Network:
    """The network in the file `named`, or in the one that $ELBOROOM_INCEPTION names."""
    training_rows(dataset)
    if dataset.spec.kind != "images" or dataset.spec.shape[0] not in (1, 3):
        raise Unable(f"{dataset.name}: inception takes images of 1 or 3 channels; choose auto")
    path = Path(named or os.environ.get(VARIABLE, "")).expanduser()
    if not path.is_file():
        said = f"{path}: there is no such file" if path.name else "inception needs its weights on disk"
        raise InputError(
            f"{said}; put the TorchScript file inception-2015-12-05.pt there and name it as inception:FILE.pt or in "
            f"${VARIABLE}, or choose auto"
        )
    content = hashlib.sha256(path.read_bytes()).hexdigest()
    try:
        with warnings.catch_warnings():  # torch advises other formats; the published file has this one
            warnings.simplefilter("ignore", DeprecationWarning)
            script = torch.jit.load(path, map_location="cpu")
        asked = {argument.name for argument in script.forward.schema.arguments}
        network = Scripted(script, {"return_features": True} if "return_features" in asked else {}).eval()
        with torch.no_grad():
            width = network(next(examples(dataset, "train", batch=2, most=2)))[0].numel()
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"{path}: is no TorchScript network of images: {str(error).strip().splitlines()[0][:200]}; a file of "
            "weights alone will not do"
        ) from error
    return Network(
        "inception",
        network,
        dataset.spec.shape,
        width=width,
        how=f"the TorchScript network {path.name}, SHA-256 {content}",
        hash=content[:HEX],
    )
