"""Pixels of a drawing: boxes, lines and words in the light colours of the house, for files that end in .png.

Words are set in a face of the machine that has their letters; where there is none, Pillow's own writes ASCII.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from PIL import ImageDraw, ImageFont

from .heat import color

__all__ = ["DENSE", "Pen"]

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
FACES = {
    "sans": ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "Arial.ttf"),
    "bold": ("DejaVuSans-Bold.ttf", "NotoSans-Bold.ttf", "Arial Bold.ttf", "arialbd.ttf"),
    "mono": ("DejaVuSansMono.ttf", "NotoSansMono-Regular.ttf", "Menlo.ttc", "consola.ttf"),
}
PLAIN = str.maketrans({"␣": "_", "↵": "|", "⇥": ">", "−": "-", "×": "x", "√": "sqrt ", "ᵀ": "'", "∞": "inf", "…": "."})
"""For a machine without a font of its own: Pillow's knows ASCII only."""
DENSE = 2
"""Pixels of a PNG to one of the drawing."""


class Pen:
    """Draws pixels; knows where the group it draws begins."""

    def __init__(self, draw: ImageDraw.ImageDraw, x: float, y: float) -> None:
        self.draw, self.x, self.y = draw, x, y

    def moved(self, x: float, y: float) -> Pen:
        return Pen(self.draw, self.x + x, self.y + y)

    def at(self, x: float, y: float) -> tuple[float, float]:
        return (self.x + x) * DENSE, (self.y + y) * DENSE

    def box(self, x: float, y: float, width: float, height: float, fill: str, stroke: str, radius: float) -> None:
        left, top = (round(v) for v in self.at(x, y))
        right, bottom = (round(v) - 1 for v in self.at(x + width, y + height))
        place = (left, top, max(left, right), max(top, bottom))
        inside, outline = color(fill) if fill else None, color(stroke) if stroke else None
        if radius:
            self.draw.rounded_rectangle(place, radius * DENSE, inside, outline, DENSE)
        else:
            self.draw.rectangle(place, inside, outline, DENSE)

    def words(self, x: float, y: float, text: str, ink: str, size: int, anchor: str, face: str) -> None:
        font, shown = _font(text, face, size * DENSE)
        self.draw.text(
            self.at(x, y), shown, fill=ink, font=font, anchor={"start": "l", "middle": "m"}.get(anchor, "r") + "s"
        )

    def line(self, points: Sequence[tuple[float, float]], stroke: str, width: float) -> None:
        self.draw.line([self.at(*p) for p in points], fill=color(stroke), width=round(width * DENSE), joint="curve")

    def polygon(self, points: Sequence[tuple[float, float]], fill: str) -> None:
        self.draw.polygon([self.at(*p) for p in points], fill=color(fill))


@cache
def _fonts(face: str, size: int) -> tuple[ImageFont.FreeTypeFont, ...]:
    """The faces of this machine that hold all letters one could want, best first."""
    found = []
    for name in FACES[face]:
        try:
            found.append(ImageFont.truetype(name, size))
        except OSError:
            continue
    return tuple(found)


def _font(text: str, face: str, size: int) -> tuple[Font, str]:
    """A face that can write the text, and the text as that face can write it."""
    known = _fonts(face, size)
    for font in known:
        if not any(_lacks(font, c) for c in set(text)):
            return font, text
    if known:
        return known[0], text
    return ImageFont.load_default(size), text.translate(PLAIN).encode("ascii", "replace").decode()


def _lacks(font: ImageFont.FreeTypeFont, character: str) -> bool:
    if character.isspace():
        return False
    unknown, own = font.getmask("\uffff"), font.getmask(character)
    return own.size == unknown.size and bytes(own) == bytes(unknown)
