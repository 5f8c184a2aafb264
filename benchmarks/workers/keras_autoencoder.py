"""Peer of P1: the 784-32-784 autoencoder in Keras 3 on TensorFlow, trained by `fit` as its documentation shows.

Images are normalised per column beforehand, as float32 in memory; `fit` shuffles, cuts batches and keeps the last
short one. A callback at the beginning of each epoch waits for this worker's turn, so one call of `fit` makes all
epochs and its start and its tracing of the step lie in the first, unmeasured turn.
"""

from __future__ import annotations

import os
import time
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras  # type: ignore[import-not-found]
import tensorflow as tf  # type: ignore[import-not-found]
from wire import Wire, column_normalised, connect  # type: ignore[import-not-found]


class Turns(keras.callbacks.Callback):  # type: ignore[misc]
    """Lets an epoch begin when it is this worker's turn, and times it."""

    def __init__(self, wire: Wire, examples: int) -> None:
        super().__init__()
        self.wire = wire
        self.examples = examples
        self.began = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if epoch % self.wire.args.turn_epochs == 0:
            self.wire.wait()
            self.began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if (epoch + 1) % self.wire.args.turn_epochs == 0:
            self.wire.took(time.perf_counter() - self.began, self.examples * self.wire.args.turn_epochs)


def main() -> None:
    wire = connect(jit="auto")
    args = wire.args
    tf.config.threading.set_intra_op_parallelism_threads(args.threads)
    tf.config.threading.set_inter_op_parallelism_threads(args.threads)
    keras.utils.set_random_seed(args.seed)
    train, test = (column_normalised(x).reshape(len(x), -1) for x in (wire.train, wire.test))
    pixels = train.shape[1]
    model = keras.Sequential(
        [
            keras.Input((pixels,)),
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(pixels, activation="sigmoid"),
        ]
    )
    jit = {"auto": "auto", "on": True, "off": False}[args.jit]
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="binary_crossentropy", jit_compile=jit)
    wire.ready(
        versions={"keras": keras.__version__, "tensorflow": tf.__version__},
        parameters=int(model.count_params()),
        compiled=bool(model.jit_compile),
    )
    epochs = args.turns * args.turn_epochs
    model.fit(train, train, batch_size=args.batch, epochs=epochs, verbose=0, callbacks=[Turns(wire, len(train))])
    wire.wait()
    wire.finish(validation_bce=float(model.evaluate(test, test, batch_size=1000, verbose=0)))


if __name__ == "__main__":
    main()
