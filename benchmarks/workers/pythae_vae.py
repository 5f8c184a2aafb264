"""Peer of P2: the VAE 784-512-16 of pythae 0.1.2, its default networks, trained by its `BaseTrainer`.

Timed is `BaseTrainer.train_step`, the pass over the training data alone: no evaluation, no copy of the best model, no
files. The first call of the loader, the optimiser and the callbacks are set up before, by `prepare_training`.
"""

from __future__ import annotations

import logging
import tempfile
import time
from typing import Any

import numpy as np
import torch
from pythae.data.datasets import BaseDataset  # type: ignore[import-not-found]
from pythae.models import VAE, VAEConfig  # type: ignore[import-not-found]
from pythae.trainers import BaseTrainer, BaseTrainerConfig  # type: ignore[import-not-found]
from wire import connect  # type: ignore[import-not-found]


def dataset(images: np.ndarray[Any, Any]) -> Any:
    x = torch.from_numpy(images).float().div_(255).unsqueeze(1)
    return BaseDataset(x, torch.ones(len(x)))


def elbo_nats(model: Any, data: Any, draws: int) -> float:
    """The mean ELBO over the held-out part with `draws` draws of z an example."""
    model.eval()
    with torch.no_grad():
        return -sum(float(model({"data": data.data}).loss) for _ in range(draws)) / draws


def main() -> None:
    wire = connect()
    args = wire.args
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    logging.disable(logging.INFO)
    train, test = dataset(wire.train), dataset(wire.test)
    model = VAE(VAEConfig(input_dim=tuple(train.data.shape[1:]), latent_dim=16, reconstruction_loss="bce"))
    with tempfile.TemporaryDirectory() as folder:
        config = BaseTrainerConfig(
            output_dir=folder,
            per_device_train_batch_size=args.batch,
            num_epochs=args.turns * args.turn_epochs,
            learning_rate=1e-3,
            optimizer_cls="Adam",
            seed=args.seed,
            no_cuda=args.device == "cpu",
        )
        trainer = BaseTrainer(model=model, train_dataset=train, training_config=config)
        trainer.prepare_training()
        parameters = sum(p.numel() for p in model.parameters())
        wire.ready(versions={"pythae": "0.1.2", "torch": torch.__version__}, parameters=parameters)
        for turn in wire.turns():
            began = time.perf_counter()
            for epoch in range(args.turn_epochs):
                trainer.train_step(turn * args.turn_epochs + epoch + 1)
            wire.took(time.perf_counter() - began, len(train) * args.turn_epochs)
    model.to("cpu")
    wire.finish(validation_nats=-elbo_nats(model, test, draws=10))


if __name__ == "__main__":
    main()
