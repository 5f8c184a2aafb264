"""Cells as drawings and as a page: arrows end on boxes, nothing overlaps, numbers are the arrays', nothing escapes."""

from __future__ import annotations

import html
import io
import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFont

from cells_by_hand import CELLS, by_hand, random_weights
from elboroom.core.errors import InputError
from elboroom.report.attention_block import three
from elboroom.report.cell import CellFlow
from elboroom.report.cell_numbers import numbers_at, wanted
from elboroom.report.drawing import Drawing
from elboroom.report.heat import color, diverging, sequential
from pages import EVIL, Page, assert_loads_nothing

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SVG = "{http://www.w3.org/2000/svg}"
TEXT = "Nay, but hear"
Matrix = np.ndarray[Any, Any]
Box = tuple[float, float, float, float]


def arrays(cell: str, *, size: float = 1.0, seed: int = 0, units: int = 7, steps: str = TEXT) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(len(steps), 3))
    found = by_hand(cell, random_weights(cell, 3, units, size, seed), x)
    about = {
        "cell": cell,
        "steps": np.array(list(steps)),
        "layer": 1,
        "layers": 1,
        "unit": 3,
        "step": 6,
        "said": "Cut.",
    }
    return {**about, "x": x, **{name: found[name] for name in wanted(cell)}}


def flow(cell: str, /, **changed: Any) -> CellFlow:
    return CellFlow.of({**arrays(cell), **changed}, name="run-1")


def of_series(cell: str = "gru") -> CellFlow:
    given = np.random.default_rng(1).normal(size=(len(TEXT), 5))
    given[2, 0] = given[4, 1] = np.nan
    times = np.array([f"2026-01-01 {h:02d}:00" for h in range(len(TEXT))])
    return flow(cell, input=given, channels=np.array(["load", "x" * 40, "c", "d", "e"]), steps=times)


def groups(root: ET.Element, css: str) -> list[ET.Element]:
    return [g for g in root.iter(f"{SVG}g") if g.get("class") == css]


def pair(found: CellFlow) -> list[ET.Element]:
    """The two cells of a drawing."""
    return groups(ET.fromstring(found.cells()[0].file("")), "cell")


def numbers(element: ET.Element, *names: str) -> list[float]:
    return [float(str(element.get(name))) for name in names]


def rect(group: ET.Element) -> Box:
    (found,) = group.iter(f"{SVG}rect")
    x, y, wide, tall = numbers(found, "x", "y", "width", "height")
    return x, y, x + wide, y + tall


def points(path: ET.Element) -> list[tuple[float, float]]:
    return [(float(a), float(b)) for a, b in re.findall(r"(-?[\d.]+) (-?[\d.]+)", str(path.get("d")))]


# -- the drawing ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", CELLS)
def test_each_arrow_ends_on_the_border_of_its_box(cell: str) -> None:
    for drawn, last in zip(pair(flow(cell)), (False, True), strict=True):
        nodes = {str(g.get("data-name")): rect(g) for g in groups(drawn, "node")}
        ends: dict[str, int] = {}
        for arrow in groups(drawn, "arrow"):
            line, head = arrow.iter(f"{SVG}path")
            x, y = points(line)[-1]
            assert points(head)[0] == (x, y), "the head is at the end"
            to = str(arrow.get("data-to"))
            ends[to] = ends.get(to, 0) + 1
            if to == "out":
                assert last and x == 487
                continue
            if to == "up":
                continue
            left, top, right, bottom = nodes[to]
            beside = x in (left, right) and top < y < bottom
            above = y in (top, bottom) and left < x < right
            assert beside or above, (to, x, y, nodes[to])
        into = {"×": 2, "+": 2, "1−": 1}
        for group in groups(drawn, "node"):
            (sign,) = (str(t.text) for t in group.iter(f"{SVG}text"))
            name = str(group.get("data-name"))
            peephole = cell == "peephole" and name in ("i", "f", "o")
            assert ends[name] == (2 if peephole or (name, cell) == ("n", "gru") else into.get(sign, 1)), name


def test_peepholes_come_from_the_line_of_the_cell_state_before_and_after_it_is_written() -> None:
    for drawn in pair(flow("peephole")):
        nodes = {str(g.get("data-name")): rect(g) for g in groups(drawn, "node")}
        state = (nodes["plus"][1] + nodes["plus"][3]) / 2
        starts = {}
        for arrow in groups(drawn, "arrow"):
            first = points(next(arrow.iter(f"{SVG}path")))[0]
            if first[1] < 200 and arrow.get("data-to") in ("i", "f", "o"):
                starts[str(arrow.get("data-to"))] = first
        assert starts["f"][1] == starts["o"][1] == state
        assert starts["f"][0] == starts["i"][0] < nodes["kept"][0], "i and f look at c[t-1]"
        assert starts["o"][0] > nodes["plus"][2], "o looks at c[t]"
    assert not any(g.get("data-name") in ("c_i", "c_f", "c_o") for d in pair(flow("lstm")) for g in groups(d, "value"))


def text_boxes(root: ET.Element, x: float = 0.0, y: float = 0.0) -> Iterator[tuple[str, Box]]:
    """All texts and the room they take, in a wide face."""
    for child in root:
        moved = re.fullmatch(r"translate\((-?[\d.]+) (-?[\d.]+)\)", str(child.get("transform")))
        dx, dy = (float(moved[1]), float(moved[2])) if moved else (0.0, 0.0)
        if child.tag == f"{SVG}text":
            said = "".join(t for t in (child.text or "", *(c.tail or "" for c in child)))
            size = float(str(child.get("font-size")))
            wide = width(said, size)
            left = float(str(child.get("x"))) - {"middle": wide / 2, "end": wide}.get(str(child.get("text-anchor")), 0)
            low = float(str(child.get("y")))
            yield said, (x + left, y + low - 0.72 * size, x + left + wide, y + low + 0.1 * size)
        else:
            yield from text_boxes(child, x + dx, y + dy)


def width(text: str, size: float) -> float:
    try:
        return float(ImageFont.truetype("DejaVuSans.ttf", 100).getlength(text)) * size / 100
    except OSError:
        return len(text) * size * 0.62


def meet(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def segments(drawn: ET.Element) -> Iterator[Box]:
    for path in drawn.iter(f"{SVG}path"):
        if path.get("class") == "s-ink-2":
            for (x0, y0), (x1, y1) in pairwise(points(path)):
                yield min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


def widest(cell: str, value: float) -> CellFlow:
    """All numbers as wide as three digits can be; no sigmoid is below 0."""
    signed = {name: abs(value) if name in ("f", "i", "o", "r", "z") else value for name in wanted(cell)}
    return flow(cell, **{name: np.full((len(TEXT), 7), v) for name, v in signed.items()})


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("kind", ["small", "usual", "large", "series", "tiny", "almost one"])
def test_no_text_lies_on_another_on_a_box_or_on_a_line(cell: str, kind: str) -> None:
    sizes = {"small": 0.08, "usual": 0.5, "large": 4.0}
    found = CellFlow.of(arrays(cell, size=sizes.get(kind, 1.0), seed=1))
    found = of_series(cell) if kind == "series" else found
    found = widest(cell, -1.2345e-4) if kind == "tiny" else widest(cell, 0.99987655) if kind == "almost one" else found
    for drawing in (*found.cells(), *found.cells(narrow=True)):
        root = ET.fromstring(drawing.file(""))
        texts = [(said, box) for said, box in text_boxes(root) if said]
        for (one, a), (two, b) in combinations(texts, 2):
            assert not meet(a, b), (one, two, a, b)
        for said, box in texts:
            assert box[0] >= 0 and box[2] <= drawing.width and box[3] <= drawing.height, (said, box)
        for drawn in groups(root, "cell"):
            nodes = [rect(g) for g in groups(drawn, "node")]
            own = [t for g in groups(drawn, "node") for t in g.iter(f"{SVG}text")]
            for group in (*groups(drawn, "value"), *groups(drawn, "label")):
                assert not set(group.iter(f"{SVG}text")) & set(own)
                ((said, box),) = text_boxes(group)
                for other in (*nodes, *segments(drawn)):
                    assert not meet(box, other), (said, box, other)


def test_a_sign_stands_within_its_box() -> None:
    for cell in CELLS:
        for drawn in pair(flow(cell)):
            for group in groups(drawn, "node"):
                left, top, right, bottom = rect(group)
                ((said, box),) = text_boxes(group)
                assert left < box[0] and box[2] < right and top < box[1] and box[3] < bottom, said


def drawn_names(cell: str, last: bool) -> set[str]:
    """Of a cell; what goes out of one that is not the last is drawn as what comes into the next."""
    names = set(flow(cell).numbers(5).values) - {"pre"}
    return names if last or cell == "rnn" else names - {"c", "h"}


@pytest.mark.parametrize("cell", CELLS)
def test_each_number_is_printed_with_three_digits_beside_its_name_and_says_all_of_them(cell: str) -> None:
    found = flow(cell)
    for drawn, last in zip(pair(found), (False, True), strict=True):
        step = int(str(drawn.get("data-step")))
        want = numbers_at(cell, found.values, step, 3).values
        assert {str(g.get("data-name")) for g in groups(drawn, "value")} == drawn_names(cell, last)
        for group in groups(drawn, "value"):
            name = str(group.get("data-name"))
            (text,) = group.iter(f"{SVG}text")
            title = text.findtext(f"{SVG}title")
            assert title is not None
            assert title.endswith(f" = {want[name]!r}")
            assert "[t" not in title
            printed = str(next(iter(text)).tail)
            assert printed == f"{group.get('data-before')} {three(want[name])}".strip()


@pytest.mark.parametrize("cell", CELLS)
def test_what_goes_out_of_the_first_cell_comes_into_the_second(cell: str) -> None:
    first, second = (
        {str(g.get("data-name")): str(g.get("data-value")) for g in groups(d, "value")} for d in pair(flow(cell))
    )
    for state in ("c", "h") if "c_before" in second else ("h",):
        want = flow(cell).values[state][4, 2]
        assert float(second[f"{state}_before"]) == want
    assert float(first["h_before"]) == flow(cell).values["h"][3, 2]
    start = flow(cell, step=2).numbers(1)
    assert start.values["h_before"] == 0


def test_the_gru_says_its_form_and_names_that_of_2014() -> None:
    for text in (flow("gru").equations, " ".join(t for t, _ in text_boxes(ET.fromstring(flow("gru").svg())))):
        assert "after the recurrent product" in text
        assert "arXiv 1406.1078" in text
    assert "1406.1078" not in flow("lstm").svg()


# -- all units and all steps ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", CELLS)
def test_each_cell_of_a_strip_has_the_colour_and_the_number_of_its_unit(cell: str) -> None:
    found = flow(cell)
    root = ET.fromstring(found.strips().file(""))
    cells = [r for r in root.iter(f"{SVG}rect") if r.get("data-cell")]
    names = [n for n in ("f", "i", "g", "o", "r", "z", "n", "c", "h") if n in found.values]
    assert len(cells) == 2 * len(names) * 7
    shade = {r: str(g.get("class")) for g in root.iter(f"{SVG}g") for r in g if r.tag == f"{SVG}rect"}
    for cell_ in cells:
        title = str(cell_.findtext(f"{SVG}title"))
        name, step, unit = re.match(r"(\w)\[(\d+)\] of unit (\d+): ", title).groups()  # type: ignore[union-attr]
        value = found.values[name][int(step) - 1, int(unit) - 1]
        assert float(title.split(": ")[1]) == value
        if name in "fiorz":
            want = f"q{int(sequential(np.array(value)))}"
        else:
            end = np.abs(found.values["c"][4:6]).max() if name == "c" else 1.0
            want = f"d{int(diverging(np.array([value, end]))[0])}"
        assert shade[cell_] == f"f-{want}"


def test_many_units_are_drawn_without_a_title_each() -> None:
    many = CellFlow.of(arrays("lstm", units=300))
    assert "data-cell" not in many.svg()
    assert len(many.svg()) < 400_000


@pytest.mark.parametrize("cell", CELLS)
def test_traces_hold_mean_and_spread_of_all_units_and_the_values_of_one(cell: str) -> None:
    found = flow(cell)
    root = ET.fromstring(found.svg())
    names = [str(g.get("data-name")) for g in groups(root, "trace")]
    assert names == {"rnn": ["pre", "h"], "gru": ["r", "z", "n", "h"]}.get(cell, ["f", "i", "g", "o", "c", "h"])
    for group in groups(root, "trace"):
        values = found.values[str(group.get("data-name"))]
        mean, spread, one = (np.array(str(group.get(f"data-{k}")).split(), float) for k in ("mean", "spread", "one"))
        np.testing.assert_allclose(mean, [sum(row) / 7 for row in values], atol=1e-6)
        np.testing.assert_allclose(spread**2, [((row - row.mean()) ** 2).mean() for row in values], atol=1e-6)
        np.testing.assert_allclose(one, values[:, 2], atol=1e-6)
        line = list(group.iter(f"{SVG}path"))[-1]
        ys, want = np.array([y for _, y in points(line)]), -values[:, 2]
        np.testing.assert_allclose(ys - ys[0], (want - want[0]) * np.ptp(ys) / np.ptp(want), atol=0.25)


def test_each_step_of_a_text_has_its_character_and_the_two_steps_are_marked() -> None:
    found = flow("lstm")
    root = ET.fromstring(found.traces().file(""))
    letters = [(said, box) for said, box in text_boxes(root) if box[3] < 30 and said != "input"]
    assert "".join(said for said, _ in letters) == TEXT.replace(" ", "␣")
    (mark,) = (r for r in root.iter(f"{SVG}rect") if "mark" in str(r.get("class")))
    x, wide = numbers(mark, "x", "width")
    inside = [said for said, box in letters if x < (box[0] + box[2]) / 2 < x + wide]
    assert inside == list(TEXT[4:6].replace(" ", "␣"))


def test_an_input_with_holes_is_drawn_in_pieces_and_channels_without_room_are_counted() -> None:
    found = of_series()
    svg = found.traces().file("")
    assert "and 1 more channel, not drawn" in svg
    for said, box in text_boxes(ET.fromstring(svg)):
        assert box[0] >= 0 and box[2] <= 1032, said
    assert found.lines(3)[0] == "x[3], 2026-01-01 02:00"
    assert "load missing" in found.lines(3)[1]
    assert found.lines(3)[1].endswith("and 2 more")
    above = flow("gru", layer=2, layers=2, steps=np.array(["="] * len(TEXT)))
    assert above.lines(4) == ["x[4]: h of layer 1 after ="]
    texts = [(s, b) for s, b in text_boxes(ET.fromstring(svg)) if s]
    for (one, a), (two, b) in combinations(texts, 2):
        assert not meet(a, b), (one, two)


# -- files ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", CELLS)
def test_the_arrays_of_a_file_give_the_same_picture_again(cell: str) -> None:
    held = io.BytesIO()
    np.savez(held, **flow(cell).arrays())
    held.seek(0)
    with np.load(held, allow_pickle=False) as file:
        once = CellFlow.of(dict(file), name="run-1")
    assert CellFlow.of(once.arrays(), name="run-1").svg() == once.svg()
    np.testing.assert_allclose(once.values["h"], flow(cell).values["h"], atol=1e-6)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"cell": "mgu"}, "no drawing of a cell 'mgu'"),
        ({"h": np.zeros((3, 7))}, "does not fit 13 steps"),
        ({"h": np.zeros((13, 8))}, "one shape"),
        ({"h": np.full((13, 7), np.nan)}, "not finite"),
        ({"x_f": "a"}, "no array 'x_f'"),
        ({"unit": 8}, "no unit 8"),
        ({"step": 1}, "no step 1"),
        ({"layer": 2}, "no layer 2"),
        ({"step": np.zeros(2)}, "step is no whole number"),
        ({"input": np.zeros((13, 2)), "channels": np.array(["a"])}, "does not fit 1 channel"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        flow("lstm", **changed)
    with pytest.raises(InputError, match=r"no form for \.h5ad"):
        flow("lstm").result(".h5ad")


def test_the_picture_has_the_gates_in_their_colours() -> None:
    found = flow("lstm")
    drawing = Drawing(found.cells()[0].width, found.cells()[0].height, found.cells()[0].marks)
    pixels = np.asarray(Image.open(io.BytesIO(drawing.png(""))).convert("RGB"))
    (first, _) = pair(found)
    dx, dy = (float(v) for v in re.findall(r"-?[\d.]+", str(first.get("transform"))))
    for group in groups(first, "node"):
        if group.get("data-name") in ("f", "i", "g", "o"):
            left, top, *_ = rect(group)
            at = pixels[round((24 + dy + top + 5) * 2), round((24 + dx + left + 5) * 2)]
            paint = {"f": "wash-c5", "i": "wash-c4", "g": "wash-c7", "o": "wash-c3"}[str(group.get("data-name"))]
            assert "#" + "".join(f"{v:02x}" for v in at) == color(paint)


@pytest.mark.parametrize("cell", CELLS)
def test_the_page_loads_nothing_and_nothing_in_it_becomes_markup(cell: str) -> None:
    hostile = (EVIL * 4)[: len(TEXT)]
    given = np.ones((len(TEXT), 4))
    for found in (flow(cell, steps=np.array(hostile)), flow(cell, input=given, channels=np.array(EVIL))):
        text = found.html()
        page = Page(text)
        assert_loads_nothing(page)
        assert len(page.all("script")) == 1
        assert not page.all("img")
        (policy,) = (m["content"] for m in page.all("meta") if "default-src" in m.get("content", ""))
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert not re.search(r"url\(|@import|fetch\(|XMLHttp", text)
        assert "\u202e" not in text + found.svg()
        ET.fromstring(found.svg())


ACT = """<pre id="found"></pre><script>
const out = [];
const svg = document.querySelector("svg.traces");
const [left, each] = svg.dataset.across.split(" ").map(Number);
const at = (k) => {
  const box = svg.getBoundingClientRect();
  const scale = box.width / svg.viewBox.baseVal.width;
  return { clientX: box.left + (left + (k - 0.5) * each) * scale, clientY: box.top + 60 };
};
const held = () => [...document.querySelectorAll(".wide-only .cell")].map((cell) => ({
  step: cell.dataset.step,
  values: Object.fromEntries([...cell.querySelectorAll(".value")].map(
    (g) => [g.dataset.name, g.querySelector("text").lastChild.textContent])),
  words: [...cell.querySelectorAll(".label, .input")].map((g) => g.textContent),
}));
svg.dispatchEvent(new PointerEvent("pointermove", at(9)));
out.push(document.querySelector(".tip").textContent);
svg.dispatchEvent(new MouseEvent("click", at(9)));
out.push(held());
svg.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowLeft" }));
out.push(held(), document.querySelector("title").textContent, document.querySelector(".value title").textContent);
document.getElementById("found").textContent = JSON.stringify(out);
</script></body>"""


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
def test_pointing_reads_a_step_and_a_click_sets_the_drawing_to_it(tmp_path: Path) -> None:
    found = CellFlow.of(arrays("peephole", size=0.05), name="run-1")
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", found.html()).replace("</body>", ACT)
    place = tmp_path / "page.html"
    place.write_text(text, encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom"]
    done = subprocess.run(
        [str(BROWSER), *flags, place.as_uri()], capture_output=True, text=True, check=True, timeout=120
    )
    (held,) = re.findall(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    tip, clicked, stepped, title, said = json.loads(html.unescape(held))
    one, mean = found.values["f"][8, 2], found.values["f"][8].mean()
    assert tip.startswith(f"step 9: {TEXT[8]}\nf: unit 3 {three(one)}, all {three(mean)} ± ")
    for shown, last in ((clicked, 9), (stepped, 8)):
        assert [c["step"] for c in shown] == [str(last - 1), str(last)]
        for drawn, step in zip(shown, (last - 1, last), strict=True):
            want = found.numbers(step).values
            assert set(drawn["values"]) == drawn_names("peephole", step == last)
            for name, printed in drawn["values"].items():
                assert printed.split(" ")[-1] == three(want[name]), name
            assert {
                f"step {step}",
                f"c[{step - 1}]",
                f"h[{step}]",
                f"x[{step}] = {TEXT[step - 1].replace(' ', '␣')}",
            } <= {*drawn["words"]}
    assert title == "run-1: Inside a cell: LSTM with peepholes"
    assert "[6]" in said or "[7]" in said
