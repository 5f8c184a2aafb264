"""Data for extractors, small; and a cache of their own, so that no test reads or fills the user's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from elboroom.data.reading import Reading
from elboroom.data.source import Dataset, read


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "elboroom" / "extractors"


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Learned extractors go through 1,280 examples only: for tests of all but how well they learn."""
    from elboroom.extractors import labels, selfsup

    for module in (labels, selfsup):
        monkeypatch.setattr(module, "seen", lambda dataset: 1280)


@pytest.fixture(scope="session")
def digits() -> Dataset:
    return read("digits")


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """600 rows, 5 columns of very different scale, one far from 0, cells missing; three classes 4 sd apart."""
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 3, 600)
    x = rng.normal(size=(600, 5)) + 4 * np.eye(3)[kind] @ rng.normal(size=(3, 5))
    x = x * [1, 1e-3, 1e4, 1, 1] + [0, 0, 1e9, 0, 0]
    rows = [",".join(["a", "b", "c", "d", "e", "kind"])]
    for values, k in zip(x, kind, strict=True):
        cells = ["" if rng.random() < 0.02 else repr(float(v)) for v in values]
        rows.append(",".join([*cells, "xyz"[k]]))
    path = tmp_path_factory.mktemp("extractors") / "table.csv"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return read(path, Reading(label="kind"))
