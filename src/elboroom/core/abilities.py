"""What a model can do, as one-method abstract classes listed in its header.

Verbs, measures, report sections and tests ask `isinstance(model, Encodes)`; nothing outside `models/` knows a name.
All draws come from torch's default generator, which the caller seeds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

if TYPE_CHECKING:
    from .batch import Batch
    from .spec import Spec

__all__ = [
    "ABILITIES",
    "Assumes",
    "Attends",
    "Bounds",
    "Calibrates",
    "Classifies",
    "Code",
    "Continues",
    "Decodes",
    "Denoises",
    "Draws",
    "Encodes",
    "Follower",
    "Follows",
    "Forecasts",
    "Gates",
    "Imputes",
    "Judges",
    "Looks",
    "Memory",
    "Outcome",
    "Quantizes",
    "Samples",
    "Sizes",
]


class Code(Protocol):
    """What an encoder returns: q(z given x), or a single point."""

    @property
    def mean(self) -> Tensor: ...
    @property
    def stddev(self) -> Tensor: ...
    def rsample(self) -> Tensor: ...


class Outcome(Protocol):
    """What a decoder returns: p(x given z), one distribution for each example."""

    @property
    def mean(self) -> Tensor:
        """(batch, *shape): the expected x."""
        ...

    @property
    def sd(self) -> Tensor:
        """(batch, *shape): the standard deviation of each value of x; of a category the probability of another one."""
        ...

    def sample(self) -> Tensor:
        """(batch, *shape): a draw of x."""
        ...

    def log_prob(self, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """(batch,): log-probability in nats, summed over the observed values."""
        ...


class Memory(Protocol):
    """What a model has read of several texts, one row a text; rows may have different lengths."""

    @property
    def lengths(self) -> Tensor:
        """(rows,) int64: tokens read so far."""
        ...

    def pick(self, rows: Tensor) -> Self:
        """The given rows, in the given order; a row may come more than once, and each goes its own way after."""
        ...

    def join(self, others: Sequence[Self]) -> Self:
        """One memory of these rows, then those of the others."""
        ...


class Follower(Protocol):
    """Goes on through one series; arrays, not tensors. What it says and carries is that of `expect` up to rounding."""

    def read(self, row: NDArray[np.float64]) -> NDArray[np.float64]:
        """Means (horizon, channels) after the next row (channels,), NaN where missing, in the model's space."""

    def begin(self, memory: Any) -> None:
        """Go on from a memory that `expect` gave; None: from none."""

    def memory(self) -> Any:
        """What `expect` would give after the rows read."""


class Samples(ABC):
    """Draws new examples."""

    @abstractmethod
    def sample(self, n: int, *, temperature: float = 1.0, mean: bool = False) -> Tensor:
        """(n, *shape) in the model's space; `mean` gives the decoder's mean in place of a draw of x."""


class Draws(ABC):
    """Makes an example of every point z of a space of its own, where N(0, I) is the law of z."""

    noise: int
    """Width of z."""
    classes: int
    """Classes that can be asked for; 0 where none can."""
    class_shares: Tensor
    """(classes,): their shares in the data."""

    @abstractmethod
    def draw(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """(n, *shape) in the model's space for z (n, noise) and, where there are classes, label (n,) int64."""


class Judges(ABC):
    """Tells examples of the data from made ones."""

    @abstractmethod
    def judge(self, batch: Batch) -> Tensor:
        """(batch,): a score in float32, the higher the more an example is taken for one of the data."""


class Encodes(ABC):
    """Gives each example a code."""

    @abstractmethod
    def encode(self, batch: Batch) -> Code:
        """q(z given x); mean and stddev of shape (batch, latent)."""


class Decodes(ABC):
    """Turns codes into distributions over examples."""

    code_size: int
    """Numbers in a code."""

    @abstractmethod
    def decode(self, z: Tensor) -> Outcome:
        """p(x given z) for z of shape (batch, latent)."""


class Denoises(ABC):
    """Tells clean examples from noisy ones."""

    noise: str
    """The kind it was trained on, as a reader knows it."""
    level: float
    """How strong that was."""

    @abstractmethod
    def corrupt(self, batch: Batch, level: float) -> Batch:
        """The same examples under fresh noise of its kind, each of strength `level`."""

    @abstractmethod
    def denoise(self, batch: Batch) -> Outcome:
        """p(clean x given noisy x)."""


class Assumes(ABC):
    """Says of what law the codes of all examples together shall be."""

    law: str
    """Its name, as a reader knows it; N(0, I) is always written so."""

    @abstractmethod
    def prior(self, n: int) -> Tensor:
        """(n, latent): draws of p(z)."""


class Bounds(ABC):
    """Bounds the log-likelihood of an example."""

    @abstractmethod
    def log_weights(self, batch: Batch, samples: int) -> Tensor:
        """(samples, batch): log p(x, z) - log q(z given x) in nats for independent draws z of q(z given x)."""


class Imputes(ABC):
    """Fills in the cells of a row that were not measured, from those that were."""

    @abstractmethod
    def impute(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of every cell, (batch, *shape) each, in the model's space.

        A cell that `batch.observed` says was measured keeps its value, with standard deviation 0.
        """


class Calibrates(ABC):
    """States standard deviations that held-out rows can set right."""

    @abstractmethod
    def calibrate(self, factors: Tensor) -> None:
        """From here on the standard deviation of each column is `factors` (columns,) times what was learnt."""


class Quantizes(ABC):
    """Gives each example a row of whole numbers, and knows their law."""

    codes: int
    """How many different numbers there are."""

    @abstractmethod
    def numbers(self, batch: Batch) -> Tensor:
        """(batch, places) int64, each from 0 to codes - 1."""

    @abstractmethod
    def number_nats(self, numbers: Tensor) -> Tensor:
        """(batch, places): -log p of each number given those before it, in nats."""


class Continues(ABC):
    """Reads a text and gives the law of what comes next."""

    @abstractmethod
    def read(self, tokens: Tensor, memory: Memory | None = None) -> tuple[Tensor, Memory]:
        """Read further tokens (rows, n), int64, after what `memory` holds.

        Logits (rows, n, vocabulary), where [:, i] is the law of the token after tokens[:, i], in float32, and the
        memory after them. What lies further back than the model's context is forgotten; the caller need not care.
        """


class Forecasts(ABC):
    """Reads a series and says what it expects next."""

    horizon: int
    """Steps ahead that it speaks of."""

    @abstractmethod
    def expect(self, batch: Batch, memory: Any = None) -> tuple[Tensor, Tensor, Any]:
        """Read further rows x (series, rows, channels) after what `memory` holds.

        Mean and standard deviation (series, rows, horizon, channels), where [:, i, h] is the law of row i + 1 + h given
        all up to row i, in the model's space; and the memory after them, which has `pick(rows)` as that of a text.
        Equal at once, in pieces and row by row.
        """


class Follows(ABC):
    """Reads one series row by row in a fraction of the time that `Forecasts.expect` takes for one row."""

    @abstractmethod
    def follower(self) -> Follower | None:
        """One that has read nothing, with the weights as they are now; None where the network has no such form."""


class Classifies(ABC):
    """Says to which class a sequence, or each of its steps, belongs."""

    @abstractmethod
    def classify(self, batch: Batch) -> Tensor:
        """Logits in float32: (batch, classes), or (batch, steps, classes) where each step has a label of its own."""


class Attends(ABC):
    """Says where it looks."""

    @abstractmethod
    def attention(self, tokens: Tensor) -> Tensor:
        """(layers, heads, n, n): the weights with which each of the n tokens of one text looks at each."""


class Looks(ABC):
    """Says where the pixels of what it makes look."""

    @abstractmethod
    def look(self, z: Tensor, label: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Examples (n, *shape), as `Draws.draw` makes them, and (n, height, width, keys down, keys across).

        The last two axes are the weights, summing to 1, with which a pixel of a layer (it may be coarser than the
        image) looks at the pixels of a grid over the same image.
        """


class Gates(ABC):
    """Says what flows inside its recurrent cells."""

    directions: int = 1
    """2 where another net reads every sequence from its end."""

    @abstractmethod
    def gates(self, x: Batch, *, backward: bool = False) -> list[dict[str, Tensor]]:
        """Of each layer, the lowest first, every number of every step, for sequences read from their start.

        "x" (batch, steps, inputs) is what the layer reads; all others are (batch, steps, units): gates and states
        (rnn: pre, h; lstm and peephole: i, f, g, o, c, h; gru: r, z, n, h), and what each gate is made of: from the
        input x_i = W x + b, from the output before h_i = U h + b', through peepholes c_i = p c; likewise x_f ... Of two
        directions, the forward one, or with `backward` the other, its steps in the order in which it reads. Of texts
        whose tokens are predicted the last of a row has no step.
        """


class Sizes(ABC):
    """Chooses its own size for a budget."""

    @classmethod
    @abstractmethod
    def sized(cls, spec: Spec, examples: int, operations: float) -> dict[str, Any]:
        """Settings for about `operations` floating-point operations of training on `examples` rows (or windows)."""


ABILITIES: tuple[type[ABC], ...] = (
    Samples,
    Draws,
    Judges,
    Encodes,
    Decodes,
    Denoises,
    Assumes,
    Bounds,
    Imputes,
    Calibrates,
    Quantizes,
    Continues,
    Forecasts,
    Follows,
    Classifies,
    Attends,
    Looks,
    Gates,
    Sizes,
)
