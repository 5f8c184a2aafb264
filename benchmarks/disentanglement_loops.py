"""Disentanglement scores as the loops of the published protocol compute them: a peer written from its description.

Locatello et al. 2019 (arXiv 1811.12359), appendix B and C, and the settings of their study: codes come in small
batches that are stacked one after another, a vote encodes a group of its own, each factor is boosted with
scikit-learn's defaults, each pair of code and factor gets a LinearSVC. disentanglement_lib itself needs TensorFlow
1.14, which no Python that is still served runs. Encoding is a look-up in ready codes here, which it is not there.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Loops"]

Array = NDArray[Any]


class Loops:
    """Ready codes (n, d) of every combination of factors of these sizes, the first varying slowest."""

    def __init__(self, codes: Array, sizes: tuple[int, ...], seed: int = 0) -> None:
        self.codes, self.sizes, self.rng = codes, sizes, np.random.RandomState(seed)
        self.strides = np.array([math.prod(sizes[j + 1 :]) for j in range(len(sizes))])

    def factors(self, count: int) -> Array:
        """(count, factors), each drawn evenly."""
        out = np.zeros((count, len(self.sizes)), dtype=np.int64)
        for j, size in enumerate(self.sizes):
            out[:, j] = self.rng.randint(size, size=count)
        return out

    def encode(self, factors: Array) -> Array:
        return self.codes[factors @ self.strides]

    def stacked(self, count: int, batch: int = 16) -> tuple[Array, Array]:
        """(d, count) codes and (factors, count) values, batch by batch."""
        codes, values = None, None
        done = 0
        while done < count:
            many = min(count - done, batch)
            drawn = self.factors(many)
            if codes is None or values is None:
                codes, values = self.encode(drawn), drawn
            else:
                codes, values = np.vstack((codes, self.encode(drawn))), np.vstack((values, drawn))
            done += many
        assert codes is not None
        assert values is not None
        return codes.T, values.T

    def mig(self, points: int = 10_000, bins: int = 20) -> float:
        from sklearn.metrics import mutual_info_score

        codes, values = self.stacked(points)
        binned = np.stack([np.digitize(row, np.histogram(row, bins)[1][:-1]) for row in codes])
        known = np.array([[mutual_info_score(v, z) for v in values] for z in binned])
        entropy = np.array([mutual_info_score(v, v) for v in values])
        ranked = np.sort(known, axis=0)[::-1]
        return float(np.mean((ranked[0] - ranked[1]) / entropy))

    def dci(self, train: int = 10_000, test: int = 5_000) -> float:
        """Disentanglement alone is given back; what else the protocol computes is computed."""
        from scipy.stats import entropy
        from sklearn.ensemble import GradientBoostingClassifier

        codes, values = self.stacked(train)
        held_codes, held_values = self.stacked(test)
        importance = np.zeros((codes.shape[0], len(values)))
        for j in range(len(values)):
            model = GradientBoostingClassifier()
            model.fit(codes.T, values[j])
            importance[:, j] = np.abs(model.feature_importances_)
            np.mean(model.predict(codes.T) == values[j])
            np.mean(model.predict(held_codes.T) == held_values[j])
        each = 1 - entropy(importance.T + 1e-11, base=importance.shape[1])
        return float(np.sum(each * importance.sum(1) / importance.sum()))

    def sap(self, train: int = 10_000, test: int = 5_000) -> float:
        from sklearn.svm import LinearSVC

        codes, values = self.stacked(train)
        held_codes, held_values = self.stacked(test)
        score = np.zeros((len(codes), len(values)))
        for i in range(len(codes)):
            for j in range(len(values)):
                model = LinearSVC(C=0.01, class_weight="balanced")
                model.fit(codes[i][:, None], values[j])
                score[i, j] = np.mean(model.predict(held_codes[i][:, None]) == held_values[j])
        ranked = np.sort(score, axis=0)
        return float(np.mean(ranked[-1] - ranked[-2]))

    def factor_vae_score(self, train: int = 10_000, test: int = 5_000, batch: int = 64, prune: float = 0.05) -> float:
        spread = np.var(self.encode(self.factors(10_000)), axis=0, ddof=1)
        live = np.sqrt(spread) >= prune

        def votes(count: int) -> Array:
            out = np.zeros((len(self.sizes), len(spread)), dtype=np.int64)
            for _ in range(count):
                k = self.rng.randint(len(self.sizes))
                drawn = self.factors(batch)
                drawn[:, k] = drawn[0, k]
                local = np.var(self.encode(drawn), axis=0, ddof=1)
                out[k, np.argmin(local[live] / spread[live])] += 1
            return out

        names = np.argmax(votes(train), axis=0)
        judged = votes(test)
        return float(sum(judged[names[i], i] for i in range(len(spread))) / judged.sum())

    def beta_vae_score(self, train: int = 10_000, test: int = 5_000, batch: int = 64) -> float:
        from sklearn.linear_model import LogisticRegression

        def points(count: int) -> tuple[Array, Array]:
            features, labels = np.zeros((count, self.codes.shape[1])), np.zeros(count, dtype=np.int64)
            for at in range(count):
                k = self.rng.randint(len(self.sizes))
                first, second = self.factors(batch), self.factors(batch)
                second[:, k] = first[:, k]
                features[at] = np.mean(np.abs(self.encode(first) - self.encode(second)), axis=0)
                labels[at] = k
            return features, labels

        model = LogisticRegression().fit(*points(train))
        return float(model.score(*points(test)))
