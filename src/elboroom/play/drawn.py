"""A drawing of the reports as plain lists, so that a page builds it element by element and reads no markup."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

__all__ = ["tree"]


def tree(markup: str) -> list[Any]:
    """SVG of our own drawings as [tag, attributes, child, ...]; text stands among the children as strings."""
    return _taken(ElementTree.fromstring(str(markup)))


def _taken(node: ElementTree.Element) -> list[Any]:
    inner: list[Any] = [node.text] if node.text else []
    for child in node:
        inner += [_taken(child), *([child.tail] if child.tail else [])]
    return [node.tag, dict(node.attrib), *inner]
