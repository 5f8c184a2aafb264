"""The sizes an image goes through when it is halved again and again: those of convolutional players."""

from __future__ import annotations

__all__ = ["halvings"]

SMALLEST = 4


def halvings(height: int, width: int) -> list[tuple[int, int]]:
    """From its own size to the smallest: halved, rounded up, until the shorter side is at most 4, at least twice."""
    sizes = [(height, width)]
    while min(sizes[-1]) > SMALLEST or len(sizes) < 3:
        sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
    return sizes
