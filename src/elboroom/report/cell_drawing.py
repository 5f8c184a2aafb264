"""A recurrent cell at two adjacent steps, drawn as in the textbooks, every gate, state and product with its number.

Cell state on top, output below, input from under, gates in a row (the LSTM of Hochreiter & Schmidhuber 1997 and Gers et
al. 2000, peepholes as in Gers & Schmidhuber 2000, the GRU of Cho et al. 2014 in torch's form). All products are
elementwise, so that the drawing is of one unit; what the gates add up stands in a table under them.
"""

from __future__ import annotations

from collections.abc import Sequence

from .attention_block import three
from .cell_numbers import GATES, Numbers
from .drawing import Box, Drawing, Group, Mark, Path, Words
from .numbers import MINUS

__all__ = ["GAP", "WASHES", "WIDTH", "draw_cells"]

WIDTH, GAP = 430.0, 57.0
"""Of a cell, and of the room on either side of it."""
WASHES = {"f": "wash-c5", "i": "wash-c4", "g": "wash-c7", "o": "wash-c3", "r": "wash-c5", "z": "wash-c4"}
WASHES |= {"n": "wash-c7", "h": "wash-c7"}
TOP, FLOOR = 16.0, 286.0
"""The frame."""
STATE, OUTPUT, ROW = 44.0, 258.0, 212.0
"""Heights of the line on top, of the line below and of the middle of the gates."""
TABLE, LINE = 306.0, 16.0
AT = {
    "lstm": {"f": 96.0, "i": 168.0, "g": 234.0, "o": 324.0},
    "gru": {"r": 176.0, "z": 258.0, "n": 350.0},
    "rnn": {"h": 200.0},
}
AT["peephole"] = AT["lstm"]
"""Where the gates stand."""
ROWS = (("x", "W x + b"), ("h", "U h + b′"), ("c", "p c"), ("a", "sum"))
"""What gates add up."""
Point = tuple[float, float]


def draw_cells(steps: Sequence[Numbers], labels: Sequence[Sequence[str]]) -> Drawing:
    """Adjacent steps side by side; `labels` are the lines under x of each: what the step is, and its input."""
    marks: list[Mark] = []
    height = 0.0
    for k, (numbers, lines) in enumerate(zip(steps, labels, strict=True)):
        one = _Cell(numbers, last=k == len(steps) - 1)
        one.draw(lines)
        up = 110.0 if numbers.cell == "rnn" else 0.0
        data = {"step": str(numbers.step), "kind": numbers.cell}
        marks.append(Group(GAP + k * (WIDTH + GAP), 6 - up, one.marks, "cell", data))
        height = max(height, one.height + 6 - up)
    return Drawing(GAP + len(steps) * (WIDTH + GAP), height, marks)


class _Cell:
    """One cell being drawn; its frame begins at 0, what comes in and goes out lies in the gaps beside it."""

    def __init__(self, numbers: Numbers, *, last: bool) -> None:
        self.n, self.last = numbers, last
        self.marks: list[Mark] = []
        self.at = AT[numbers.cell]
        self.height = 0.0

    def draw(self, lines: Sequence[str]) -> None:
        top = TOP + 110 if self.n.cell == "rnn" else TOP
        self.marks.append(Box(0, top, WIDTH, FLOOR - top, "inset", "rule", 12))
        self.label("step {}", Words(10, top - 7, f"step {self.n.step}", "ink", 12, face="bold"))
        if self.n.cell == "gru":
            self._gru()
        elif self.n.cell == "rnn":
            self._rnn()
        else:
            self._lstm()
        self._summands(lines)

    # -- parts -----------------------------------------------------------------------------------------------------

    def node(self, name: str, x: float, y: float, text: str, fill: str = "", wide: float = 0.0) -> None:
        """A box (with a fill) or a circle around (x, y)."""
        tall = 32.0 if fill else 22.0
        wide = wide or (48.0 if fill else 22.0)
        box = Box(x - wide / 2, y - tall / 2, wide, tall, fill or "paper", "ink-3", 4 if fill else 11)
        words = Words(x, y + 4, text, "ink", 13 if fill and len(text) < 5 else 11, "middle", css="through")
        self.marks.append(Group(0, 0, [box, words], "node", {"name": name}))

    def line(self, *points: Point, to: str = "") -> None:
        """A line, with room about it where it crosses others; `to` names where its arrow ends."""
        self.marks.append(Path(self._room(points), "inset", width=7))
        path = Path(points, "ink-2", arrow=bool(to), width=1.25)
        self.marks.append(Group(0, 0, [path], "arrow", {"to": to}) if to else path)

    @staticmethod
    def _room(points: Sequence[Point]) -> tuple[Point, ...]:
        """The same line within the frame, a little shorter at both ends, where it meets others."""

        def shorter(end: Point, next_: Point) -> Point:
            dx, dy = next_[0] - end[0], next_[1] - end[1]
            share = min(4 / (abs(dx) + abs(dy)), 0.5)
            return end[0] + share * dx, end[1] + share * dy

        inside = [(min(max(x, 2.0), WIDTH - 2), min(max(y, TOP + 2), FLOOR - 2)) for x, y in points]
        return (shorter(inside[0], inside[1]), *inside[1:-1], shorter(inside[-1], inside[-2]))

    def label(self, form: str, words: Words) -> None:
        """Words with the number of the step, {}, or of the one before, {-1}, in them."""
        self.marks.append(Group(0, 0, [words], "label", {"form": form}))

    def dot(self, x: float, y: float) -> None:
        """Where a line divides, or two become one."""
        self.marks.append(Box(x - 3, y - 3, 6, 6, "ink-2", "", 3))

    def value(self, name: str, x: float, y: float, anchor: str = "start", before: str = "") -> None:
        """A number of this step on its baseline."""
        number = self.n.values[name]
        said = f"{self.n.said(name)} = {number!r}"
        words = Words(x, y, f"{before} {three(number)}".strip(), "ink", 11, anchor, title=said)
        self.marks.append(Group(0, 0, [words], "value", {"name": name, "before": before, "value": repr(number)}))

    def state(self, letter: str, y: float, low: bool = False) -> None:
        """A state that comes in from the left and, at the last cell, goes out on the right."""
        places = [(-GAP / 2, f"{letter}_before", self.n.step - 1)]
        places += [(WIDTH + GAP / 2, letter, self.n.step)] if self.last else []
        for x, name, step in places:
            form = f"{letter}[{{}}]" if name == letter else f"{letter}[{{-1}}]"
            self.label(form, Words(x, y + (16 if low else -20), f"{letter}[{step}]", "ink-2", 11, "middle"))
            self.value(name, x, y + (30 if low else -6), "middle")

    def out(self, *points: Point) -> None:
        """The line of a state that goes on to the next step, from the last point straight to the right."""
        far = WIDTH + (GAP if self.last else 0)
        self.line(*points, (far, points[-1][1]), to="out" if self.last else "")

    # -- the cells -------------------------------------------------------------------------------------------------

    def _lstm(self) -> None:
        f, i, g, o = (self.at[name] for name in "figo")
        self.line((-GAP, OUTPUT), (o, OUTPUT), (o, ROW + 16), to="o")
        for name in "fig":
            self.line((self.at[name], OUTPUT), (self.at[name], ROW + 16), to=name)
        self.line((-GAP, STATE), (f - 11, STATE), to="kept")
        self.line((f + 11, STATE), (g - 11, STATE), to="plus")
        self.out((g + 11, STATE))
        if self.n.cell == "peephole":
            self._peepholes(f, i, o)
        self.line((f, ROW - 16), (f, STATE + 11), to="kept")
        self.line((i, ROW - 16), (i, 128), (g - 11, 128), to="written")
        self.line((g, ROW - 16), (g, 139), to="written")
        self.line((g, 117), (g, STATE + 11), to="plus")
        self.line((390, STATE), (390, 81), to="squashed")
        self.dot(390, STATE)
        self.line((390, 103), (390, 139), to="h")
        self.line((o, ROW - 16), (o, 150), (379, 150), to="h")
        self._h_out(161)
        for name, text in (("f", "σ"), ("i", "σ"), ("g", "tanh"), ("o", "σ")):
            self.node(name, self.at[name], ROW, text, WASHES[name])
        for name, x, y, sign in (("kept", f, STATE, "×"), ("plus", g, STATE, "+"), ("written", g, 128, "×")):
            self.node(name, x, y, sign)
        self.node("squashed", 390, 92, "tanh", wide=38)
        self.node("h", 390, 150, "×")
        self.value("f", f + 5, 158, before="f")
        self.value("i", i - 10, 122, before="i")
        self.value("g", g + 5, 160, before="g")
        self.value("o", o + 5, 186, before="o")
        self.value("kept", (f + g) / 2, STATE - 6, "middle")
        self.value("written", g + 5, 96)
        self.value("squashed", 385, 126, "end")
        self.state("c", STATE)
        self.state("h", OUTPUT, low=True)

    def _peepholes(self, f: float, i: float, o: float) -> None:
        self.line((12, STATE), (12, ROW), (f - 24, ROW), to="f")
        self.line((12, 172), (i - 14, 172), (i - 14, ROW - 16), to="i")
        self.line((o - 14, STATE), (o - 14, ROW - 16), to="o")
        for x, y in ((12, STATE), (12, 172), (o - 14, STATE)):
            self.dot(x, y)
        self.value("c_i", 20, 167)
        self.value("c_f", 15, ROW - 5)
        self.value("c_o", o - 19, 186, "end")

    def _h_out(self, start: float, x: float = 390.0) -> None:
        """The output goes on to the next step, and up."""
        self.out((x, start), (x, OUTPUT))
        self._up(OUTPUT)

    def _up(self, y: float, x: float = 418.0) -> None:
        top = -4.0 if self.n.cell != "rnn" else 106.0
        self.line((x, y), (x, top), to="up")
        self.dot(x, y)
        self.label("h[{}]", Words(x - 8, top + 10, f"h[{self.n.step}]", "ink-2", 11, "end"))

    def _gru(self) -> None:
        r, z, n = (self.at[name] for name in "rzn")
        row, low, new = 226.0, 262.0, n + 10
        self.line((-GAP, STATE), (z - 11, STATE), to="kept")
        self.line((24, STATE), (24, low), (z, low), (z, row + 16), to="z")
        self.dot(24, STATE)
        self.line((r, low), (r, row + 16), to="r")
        self.line((64, 276), (n, 276), (n, row + 16), to="n")
        self.line((24, 150), (45, 150), to="u")
        self.dot(24, 150)
        self.line((103, 150), (r - 11, 150), to="reset")
        self.line((r, row - 16), (r, 161), to="reset")
        self.line((r + 11, 150), (n - 14, 150), (n - 14, row - 16), to="n")
        self.line((z, row - 16), (z, STATE + 11), to="kept")
        self.line((z, 104), (270, 104), to="open")
        self.dot(z, 104)
        self.line((296, 104), (new - 11, 104), to="written")
        self.line((new, row - 16), (new, 115), to="written")
        self.line((new, 93), (new, STATE + 11), to="h")
        self.line((z + 11, STATE), (new - 11, STATE), to="h")
        self.out((new + 11, STATE))
        self._up(STATE, 420)
        for name, text in (("r", "σ"), ("z", "σ"), ("n", "tanh")):
            self.node(name, self.at[name], row, text, WASHES[name])
        self.node("u", 74, 150, "U h + b′", "paper", 58)
        for name, x, y, sign in (("reset", r, 150, "×"), ("kept", z, STATE, "×"), ("written", new, 104, "×")):
            self.node(name, x, y, sign)
        self.node("h", new, STATE, "+")
        self.node("open", 283, 104, f"1{MINUS}", wide=26)
        self.value("u", 134, 144, "middle")
        self.value("r", r + 5, 188, before="r")
        self.value("reset", (r + z) / 2 + 4, 144, "middle")
        self.value("z", z + 5, 188, before="z")
        self.value("open", 322.5, 98, "middle")
        self.value("n", new + 5, 166, before="n")
        self.value("written", new + 5, 78)
        self.value("kept", (z + new) / 2, STATE - 6, "middle")
        self.state("h", STATE)

    def _rnn(self) -> None:
        x = self.at["h"]
        self.line((-GAP, OUTPUT), (x, OUTPUT), (x, ROW + 16), to="h")
        self.out((x, ROW - 16), (x, 160), (390, 160), (390, OUTPUT))
        self._up(OUTPUT)
        self.node("h", x, ROW, "tanh", WASHES["h"])
        self.value("h", x + 5, 184, before="h")
        self.state("h", OUTPUT, low=True)

    def _summands(self, lines: Sequence[str]) -> None:
        """What the gates add up, in columns under them, and the input that comes from under."""
        x, y = 64.0 if self.n.cell == "gru" else 40.0, TABLE
        for letter, label in ROWS:
            there = [g for g in GATES[self.n.cell] if f"{letter}_{g}" in self.n.values]
            if not there:
                continue
            self.marks.append(Words(2 - GAP, y, label, "ink-3", 11))
            for gate in there:
                self.value(f"{letter}_{gate}", self.at[gate], y, "middle")
            y += LINE
        names = Words(2 - GAP, y, "of gate", "ink-3", 11)
        self.marks += [names, *(Words(self.at[g], y, g, "ink-2", 11, "middle") for g in GATES[self.n.cell])]
        low = 262.0 if self.n.cell == "gru" else OUTPUT
        path = Path(((x, y + 6), (x, low)), "ink-2", width=1.25)
        self.marks += [path]
        self.dot(x, low)
        if self.n.cell == "gru":
            self.dot(x, 276)
        for k, text in enumerate(lines):
            face = "bold" if not k else "sans"
            words = Words(x - 12, y + 20 + LINE * k, text, "ink" if not k else "ink-2", 11, face=face)
            self.marks.append(Group(0, 0, [words], "input", {"line": str(k)}))
        self.height = y + 20 + LINE * len(lines) - 8
