"""A drawing of boxes, words, lines and heat tables, put down once and given out as SVG or as PNG.

A page takes the SVG with classes and its own style sheet; a file of its own carries its colours with it. Nothing here
knows what is drawn. Sizes are screen pixels; paints are names of `heat`.
"""

from __future__ import annotations

import io
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
from markupsafe import Markup, escape
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

from .heat import color, file_rules, on
from .names import printable
from .pen import DENSE, Pen
from .plots import _n

__all__ = ["Box", "Cells", "Drawing", "Group", "Mark", "Path", "Steps", "Words", "advance"]

Steps = np.ndarray[tuple[int, ...], np.dtype[np.int64]]
SANS = "-apple-system,BlinkMacSystemFont,Segoe UI,Roboto,Noto Sans,Helvetica Neue,DejaVu Sans,sans-serif"
MONO = "ui-monospace,SF Mono,Menlo,Consolas,DejaVu Sans Mono,monospace"
MARGIN = 24
"""About a drawing that is a file of its own."""
MONO_ADVANCE = 0.605
"""Width of a monospaced character over its size."""


def advance(text: str, size: float = 11) -> float:
    """Pixels a text takes in the monospaced face."""
    wide = sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
    return wide * size * MONO_ADVANCE


class Mark(ABC):
    """Something that is drawn."""

    @abstractmethod
    def svg(self, alone: bool) -> str:
        """As SVG; `alone` with the light colours as attributes."""

    @abstractmethod
    def put(self, pen: Pen) -> None:
        """As pixels."""


@dataclass(frozen=True)
class Box(Mark):
    """A rectangle; an empty paint leaves it out."""

    x: float
    y: float
    width: float
    height: float
    fill: str = ""
    stroke: str = ""
    radius: float = 0
    css: str = ""

    def svg(self, alone: bool) -> str:
        round_ = f' rx="{_n(self.radius)}"' if self.radius else ""
        place = f'x="{_n(self.x)}" y="{_n(self.y)}" width="{_n(self.width)}" height="{_n(self.height)}"{round_}'
        return f"<rect {place}{_painted(self.fill, self.stroke, alone, self.css)}/>"

    def put(self, pen: Pen) -> None:
        pen.box(self.x, self.y, self.width, self.height, self.fill, self.stroke, self.radius)


@dataclass(frozen=True)
class Words(Mark):
    """Text on its baseline; `anchor` start, middle or end; `face` sans, bold or mono."""

    x: float
    y: float
    text: str
    paint: str = "ink"
    size: int = 12
    anchor: str = "start"
    face: str = "sans"
    title: str = ""
    css: str = ""
    """"through" lets the pointer through to what lies under it."""
    ground: str = ""
    """The step of a ramp it stands on: black or white then, whichever can be read."""

    def svg(self, alone: bool) -> str:
        end = "" if self.anchor == "start" else f' text-anchor="{self.anchor}"'
        css = f"{'on-' + self.ground if self.ground else 'f-' + self.paint} z{self.size} {self.face}"
        css += f" {self.css}" if self.css else ""
        own = ""
        if alone:
            face = {"sans": "", "bold": ' font-weight="600"', "mono": f' font-family="{MONO}"'}[self.face]
            own = f' font-size="{self.size}" fill="{on(self.ground) if self.ground else color(self.paint)}"{face}'
        said = f"<title>{escape(printable(self.title))}</title>" if self.title else ""
        own += ' pointer-events="none"' if self.css == "through" else ""
        place = f'x="{_n(self.x)}" y="{_n(self.y)}"{end}{own}'
        return f'<text class="{css}" {place}>{said}{escape(printable(self.text))}</text>'

    def put(self, pen: Pen) -> None:
        ink = on(self.ground) if self.ground else color(self.paint)
        pen.words(self.x, self.y, printable(self.text), ink, self.size, self.anchor, self.face)


@dataclass(frozen=True)
class Path(Mark):
    """A line through points, with a head at its end where it is an arrow."""

    points: tuple[tuple[float, float], ...]
    stroke: str = "ink-2"
    arrow: bool = False
    width: float = 1.0

    def svg(self, alone: bool) -> str:
        d = "M" + "L".join(f"{_n(x)} {_n(y)}" for x, y in self.points)
        css = f' class="s-{self.stroke}"' + (f' stroke="{color(self.stroke)}"' if alone else "")
        line = f'<path{css} d="{d}" fill="none" stroke-width="{_n(self.width)}"/>'
        if not self.arrow:
            return line
        head = "M" + "L".join(f"{_n(x)} {_n(y)}" for x, y in self._head()) + "Z"
        return line + f'<path{_painted(self.stroke, "", alone)} d="{head}"/>'

    def _head(self) -> list[tuple[float, float]]:
        (x0, y0), (x, y) = self.points[-2:]
        length = ((x - x0) ** 2 + (y - y0) ** 2) ** 0.5 or 1.0
        dx, dy = (x - x0) / length, (y - y0) / length
        return [(x, y), (x - 7 * dx - 3.5 * dy, y - 7 * dy + 3.5 * dx), (x - 7 * dx + 3.5 * dy, y - 7 * dy - 3.5 * dx)]

    def put(self, pen: Pen) -> None:
        pen.line(self.points, self.stroke, self.width)
        if self.arrow:
            pen.polygon(self._head(), self.stroke)


@dataclass(frozen=True)
class Cells(Mark):
    """A heat table: one step of a ramp a cell, -1 for none; each cell may have a title and its value as data."""

    x: float
    y: float
    wide: float
    tall: float
    steps: Steps
    letter: str = "q"
    said: Callable[[int, int], tuple[str, str]] | None = None
    """(title, data) of a cell; without it equal neighbours are joined."""

    def svg(self, alone: bool) -> str:
        found: dict[int, list[str]] = {}
        for i, row in enumerate(self.steps.tolist()):
            at = 0
            for step, same in groupby(row):
                many = len(list(same))
                if step >= 0 and self.said is None:
                    found.setdefault(step, []).append(f"M{at} {i}h{many}v1h-{many}z")
                elif step >= 0:
                    found.setdefault(step, []).extend(self._rect(i, at + k) for k in range(many))
                at += many
        crisp = 'shape-rendering="crispEdges"'
        if self.said is None:  # in units of cells, neighbours of a row as one
            size = f"translate({_n(self.x)} {_n(self.y)}) scale({self.wide:.6g} {self.tall:.6g})"
            paths = [
                f'<path{_painted(f"{self.letter}{s}", "", alone)} d="{"".join(found[s])}"/>' for s in sorted(found)
            ]
            return f'<g class="cells" transform="{size}" {crisp}>{"".join(paths)}</g>'
        groups = [f"<g{_painted(f'{self.letter}{s}', '', alone)}>{''.join(found[s])}</g>" for s in sorted(found)]
        return f'<g class="cells" {crisp}>{"".join(groups)}</g>'

    def _rect(self, i: int, j: int) -> str:
        assert self.said is not None
        title, value = self.said(i, j)
        place = f'x="{_n(self.x + j * self.wide)}" y="{_n(self.y + i * self.tall)}"'
        size = f'width="{_n(self.wide)}" height="{_n(self.tall)}"'
        return f'<rect {place} {size} data-cell="{i} {j} {value}"><title>{escape(printable(title))}</title></rect>'

    def put(self, pen: Pen) -> None:
        for i, j in np.argwhere(self.steps >= 0).tolist():
            paint = f"{self.letter}{int(self.steps[i, j])}"
            pen.box(self.x + j * self.wide, self.y + i * self.tall, self.wide, self.tall, paint, "", 0)


@dataclass(frozen=True)
class Group(Mark):
    """Marks moved together; `data` becomes data-* attributes."""

    x: float
    y: float
    marks: Sequence[Mark]
    css: str = ""
    data: dict[str, str] = field(default_factory=dict)

    def svg(self, alone: bool) -> str:
        extra = "".join(f' data-{name}="{escape(printable(value))}"' for name, value in self.data.items())
        css = f' class="{self.css}"' if self.css else ""
        moved = f' transform="translate({_n(self.x)} {_n(self.y)})"' if self.x or self.y else ""
        return f"<g{css}{moved}{extra}>{''.join(m.svg(alone) for m in self.marks)}</g>"

    def put(self, pen: Pen) -> None:
        moved = pen.moved(self.x, self.y)
        for mark in self.marks:
            mark.put(moved)


@dataclass
class Drawing:
    """A sheet of marks."""

    width: float
    height: float
    marks: list[Mark] = field(default_factory=list)

    def add(self, *marks: Mark) -> None:
        self.marks += marks

    def inline(self, summary: str, css: str = "panel", data: dict[str, str] | None = None) -> Markup:
        """For a page that has the paints as classes; `summary` is what a screen reader says of it."""
        extra = "".join(f' data-{name}="{escape(printable(value))}"' for name, value in (data or {}).items())
        said = escape(printable(summary))
        inner = "".join(mark.svg(alone=False) for mark in self.marks)
        return Markup(f'<svg class="{css}" {self._size()} role="img" aria-label="{said}"{extra}>{inner}</svg>')

    def file(self, title: str) -> str:
        """An SVG file: light on its own paper, dark where the viewer asks for it."""
        inner = "".join(mark.svg(alone=True) for mark in self.marks)
        paper = (
            f'<rect class="f-paper" x="-{MARGIN}" y="-{MARGIN}" width="100%" height="100%" fill="{color("paper")}"/>'
        )
        margin = f'viewBox="-{MARGIN} -{MARGIN} {_n(self.width + 2 * MARGIN)} {_n(self.height + 2 * MARGIN)}"'
        size = f'width="{_n(self.width + 2 * MARGIN)}" height="{_n(self.height + 2 * MARGIN)}" {margin}'
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="{SANS}"><style>{file_rules()}</style>'
            f"<title>{escape(printable(title))}</title>{paper}{inner}</svg>\n"
        )

    def _size(self) -> str:
        return f'width="{_n(self.width)}" height="{_n(self.height)}" viewBox="0 0 {_n(self.width)} {_n(self.height)}"'

    def png(self, title: str) -> bytes:
        """The same as pixels, two to one, in light colours; the title stands in a text chunk."""
        size = (round((self.width + 2 * MARGIN) * DENSE), round((self.height + 2 * MARGIN) * DENSE))
        picture = Image.new("RGB", size, color("paper"))
        pen = Pen(ImageDraw.Draw(picture), MARGIN, MARGIN)
        for mark in self.marks:
            mark.put(pen)
        about = PngInfo()
        about.add_itxt("Description", printable(title))
        out = io.BytesIO()
        picture.save(out, "PNG", pnginfo=about)
        return out.getvalue()


def _painted(fill: str, stroke: str, alone: bool, css: str = "") -> str:
    classes = [css] if css else []
    classes += [f"f-{fill}"] if fill else []
    classes += [f"s-{stroke}"] if stroke else []
    own = ""
    if alone or not fill:
        own += f' fill="{color(fill) if fill else "none"}"' + (f' stroke="{color(stroke)}"' if stroke else "")
    return f' class="{" ".join(classes)}"{own}'
