"""Floor 4: a run as one self-contained HTML page. Reads run folders; needs no torch."""

from __future__ import annotations

from .build import build, compare_html, write

__all__ = ["build", "compare_html", "write"]
