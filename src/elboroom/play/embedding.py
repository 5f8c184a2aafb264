"""t-SNE of codes (van der Maaten & Hinton 2008), fitted in a process of its own, beside the other asks.

It takes at most EMBEDDED random items; `placed` puts any other code at the mean of the nearest of those. The process
reads a line of JSON and the codes, says the step it has come to, and at the end the places. Where nobody reads it any
more, it ends at its next word.
Letters: m items that are embedded, d width of a code, k dimensions of the map.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import threading
import time
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["AROUND", "EMBEDDED", "STEPS", "Embedding"]

EMBEDDED, STEPS = 5000, 1000
"""Items that are embedded at most, and steps of it."""
PERPLEXITY, LEAST = 30.0, 12
"""Of t-SNE, and items that it needs."""
AROUND = 5
"""Embedded items at whose mean another one is placed."""
Floats = NDArray[np.float32]


class Embedding:
    """Begun when it is made; `state` is "running", "done" or "failed"."""

    def __init__(self, z: Floats, dimensions: int, seed: int) -> None:
        self.z, self.dimensions, self.perplexity = z, dimensions, min(PERPLEXITY, (len(z) - 1) / 3)
        self.state, self.step, self.why = "running", 0, ""
        self.at: Floats = np.zeros((len(z), dimensions), dtype=np.float32)
        self._begun, self.took_s = time.monotonic(), 0.0
        self._near: Any = None
        words = [sys.executable, "-m", "elboroom.play.embedding"]
        self._child = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
        head = {"width": z.shape[1], "dimensions": dimensions, "seed": seed, "perplexity": self.perplexity}
        self._thread = threading.Thread(target=self._follow, args=(head,), daemon=True, name="t-SNE")
        self._thread.start()

    def _follow(self, head: dict[str, Any]) -> None:
        assert self._child.stdin is not None and self._child.stdout is not None
        with contextlib.suppress(OSError), self._child.stdin as into:
            into.write(json.dumps(head).encode() + b"\n" + np.ascontiguousarray(self.z, dtype="<f4").tobytes())
        with self._child.stdout as lines:
            for told in map(json.loads, lines):
                if "step" in told:
                    self.step = int(told["step"])
                else:
                    self.at = np.array(told["at"], dtype=np.float32)
        code = self._child.wait()
        self.took_s = time.monotonic() - self._begun
        self.why = f"its process has ended ({code})" if code else ""
        self.state = "failed" if code else "done"

    def told(self) -> dict[str, Any]:
        """How far it is."""
        seconds = self.took_s or time.monotonic() - self._begun
        return {"state": self.state, "step": self.step, "of": STEPS, "seconds": seconds, "n": len(self.z)}

    def stop(self) -> None:
        """End its process; what it has found is lost."""
        self._child.kill()
        self._thread.join()

    def wait(self) -> None:
        """Return when it is done or has failed."""
        self._thread.join()

    def placed(self, z: Floats) -> Floats:
        """(n, d) to (n, k): each at the mean of its AROUND nearest embedded codes."""
        if self._near is None:
            from sklearn.neighbors import NearestNeighbors

            self._near = NearestNeighbors(n_neighbors=min(AROUND, len(self.z))).fit(self.z)
        found: Floats = self.at[self._near.kneighbors(z, return_distance=False)].mean(1)
        return found


# -- the process -------------------------------------------------------------------------------------------------------


class _Steps:
    """A standard output that passes on the steps that scikit-learn prints, and nothing else."""

    def __init__(self, out: IO[str]) -> None:
        self._out = out

    def write(self, text: str) -> int:
        for step in re.findall(r"Iteration (\d+)", text):
            print(json.dumps({"step": int(step)}), file=self._out, flush=True)
        return len(text)

    def flush(self) -> None:
        """Nothing is held back."""


def main() -> int:
    """Embed the codes that stand on the standard input."""
    from sklearn.manifold import TSNE

    head = json.loads(sys.stdin.buffer.readline())
    z = np.frombuffer(sys.stdin.buffer.read(), dtype="<f4").reshape(-1, head["width"])
    out = sys.stdout
    with contextlib.redirect_stdout(_Steps(out)):
        tsne = TSNE(
            head["dimensions"], perplexity=head["perplexity"], max_iter=STEPS, random_state=head["seed"], verbose=2
        )
        found = tsne.fit_transform(z)
    print(json.dumps({"at": found.tolist()}), file=out, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
