"""Seeds for one purpose each, derived from the run's seed: what draws, splits and orders are functions of."""

from __future__ import annotations

import hashlib

__all__ = ["mix"]

MASK = (1 << 64) - 1


def mix(seed: int, *parts: int | str) -> int:
    """A 63-bit seed for one purpose: equal arguments give equal seeds, others unrelated ones.

    splitmix64's finaliser (Steele, Lea & Flood 2014, fig. 17) over the parts; a text enters by its SHA-256.
    """
    value = _scatter(seed)
    for part in parts:
        if isinstance(part, str):
            part = int.from_bytes(hashlib.sha256(part.encode()).digest()[:8], "little")
        value = _scatter(value + part)
    return value >> 1


def _scatter(value: int) -> int:
    value = (value + 0x9E3779B97F4A7C15) & MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & MASK
    return value ^ (value >> 31)
