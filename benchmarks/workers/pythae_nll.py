"""Peer of P4: `get_nll` of pythae 0.1.2 on a VAE 784-512-16 with our weights.

`test.npy` holds the images, `weights.npz` our arrays by name. pythae's two heads of the encoder are the halves of our
last layer, the second doubled: it gives the logarithm of the variance there, of the deviation here. One turn is one
call of `get_nll` on all images; the last turn's estimate is what `finish` tells.
"""

from __future__ import annotations

import time

import numpy as np
import torch
from pythae.models import VAE, VAEConfig  # type: ignore[import-not-found]
from wire import connect  # type: ignore[import-not-found]


def main() -> None:
    wire = connect(samples="5000")
    args = wire.args
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    images = torch.from_numpy(wire.test).float().div_(255).unsqueeze(1)
    ours = {name: torch.from_numpy(array) for name, array in np.load(args.data / "weights.npz").items()}
    width = ours["decoder.hidden.0.weight"].shape[1]
    model = VAE(VAEConfig(input_dim=tuple(images.shape[1:]), latent_dim=width, reconstruction_loss="bce")).eval()
    model.load_state_dict(renamed(ours, width), strict=False)
    wire.ready(versions={"pythae": "0.1.2", "torch": torch.__version__})
    estimate = 0.0
    with torch.no_grad():
        for _ in wire.turns():
            began = time.perf_counter()
            estimate = float(model.get_nll(images, n_samples=int(args.samples), batch_size=100))
            wire.took(time.perf_counter() - began, len(images))
    wire.finish(log_likelihood_nats=estimate)


def renamed(ours: dict[str, torch.Tensor], width: int) -> dict[str, torch.Tensor]:
    """Our arrays under pythae's names."""
    out = {}
    for kind in ("weight", "bias"):
        out[f"encoder.layers.0.0.{kind}"] = ours[f"encoder.hidden.0.{kind}"]
        out[f"encoder.embedding.{kind}"] = ours[f"encoder.last.{kind}"][:width]
        out[f"encoder.log_var.{kind}"] = 2 * ours[f"encoder.last.{kind}"][width:]
        out[f"decoder.layers.0.0.{kind}"] = ours[f"decoder.hidden.0.{kind}"]
        out[f"decoder.layers.1.0.{kind}"] = ours[f"decoder.last.{kind}"]
    return out


if __name__ == "__main__":
    main()
