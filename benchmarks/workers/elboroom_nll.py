"""Our side of P4: `run.evaluate(images, samples=K)` of a fitted VAE, the whole of it: every other measure, too.

`train.npy` holds the images, of which a turn takes the first `--images`; `run` beside it is the run folder.
"""

from __future__ import annotations

import time

import torch
from wire import connect  # type: ignore[import-not-found]

import elboroom as elbo


def main() -> None:
    wire = connect(samples="5000", images="1000", judged="100")
    args = wire.args
    torch.set_num_threads(args.threads)
    run, samples = elbo.load(args.data / "run"), int(args.samples)
    images = wire.train[: int(args.images)]
    wire.ready(versions={"torch": torch.__version__})
    for _ in wire.turns():
        began = time.perf_counter()
        run.evaluate(images, samples=samples)
        wire.took(time.perf_counter() - began, len(images))
    found = run.evaluate(wire.train[: int(args.judged)], samples=samples)
    wire.finish(log_likelihood_nats=found.metrics["log_likelihood_nats"]["value"])


if __name__ == "__main__":
    main()
