"""The least that a step of P1's autoencoder can be: its five matrix products and nothing else, in fp32.

x W1, h W2, G W2^T, G^T h and d^T x on preloaded batches with preallocated results. No batch is picked, no loss is
computed, nothing is updated. A contestant cannot be quicker than this without quicker products.
"""

from __future__ import annotations

import time

import torch
from wire import column_normalised, connect  # type: ignore[import-not-found]

CODE = 32


def main() -> None:
    wire = connect(onednn="off")
    args = wire.args
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    if args.onednn == "on":
        torch.backends.mkldnn.matmul.fp32_precision = "bf16"  # routes products to oneDNN; exact where there is no AMX
    train = torch.from_numpy(column_normalised(wire.train)).float().reshape(len(wire.train), -1)
    pixels = train.shape[1]
    w1, w2 = torch.randn(CODE, pixels), torch.randn(pixels, CODE)
    h, g, d = torch.randn(args.batch, CODE), torch.randn(args.batch, pixels), torch.randn(args.batch, CODE)
    batches = train[: len(train) // args.batch * args.batch].split(args.batch)
    out = [torch.empty(args.batch, CODE), torch.empty(args.batch, pixels), torch.empty(args.batch, CODE)]
    out += [torch.empty(pixels, CODE), torch.empty(CODE, pixels)]
    wire.ready(versions={"torch": torch.__version__}, parameters=w1.numel() + w2.numel())
    for _ in wire.turns():
        began = time.perf_counter()
        for _ in range(args.turn_epochs):
            for x in batches:
                torch.mm(x, w1.T, out=out[0])
                torch.mm(h, w2.T, out=out[1])
                torch.mm(g, w2, out=out[2])
                torch.mm(g.T, h, out=out[3])
                torch.mm(d.T, x, out=out[4])
        wire.took(time.perf_counter() - began, len(batches) * args.batch * args.turn_epochs)
    wire.finish()


if __name__ == "__main__":
    main()
