"""Attention as pictures and as a page: every number drawn is the array's, every step is recomputed, nothing escapes."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

import elboroom.report as report
from elboroom.core.errors import InputError
from elboroom.report.attention import Attention, draw_attention
from elboroom.report.attention_block import three
from elboroom.report.attention_steps import stages
from elboroom.report.colors import contrast, tokens
from elboroom.report.heads import head
from elboroom.report.heat import LEVELS, color, diverging, on, ramp, sequential

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
HOSTILE = (
    "<script>alert(1)</script>",
    "\u202e",
    "a\x00b",
    '"><img src=x onerror=alert(2)>',
    "\n",
    " ",
    "</svg>",
    "日本",
)
WORDS = ("Once", " upon", " a", " time", " there", " was", " a", " king", ",", "\n", "and", " the", " king")
Matrix = np.ndarray[Any, Any]


def arrays(names: tuple[str, ...] = WORDS, layers: int = 2, heads: int = 3, width: int = 4, seed: int = 0) -> Any:
    """Causal attention of every head, with q, k and v of layer 2, head 1."""
    rng = np.random.default_rng(seed)
    n = len(names)
    allowed = np.tril(np.ones((n, n), bool))
    q, k, v = rng.normal(size=(3, layers, heads, n, width)).astype(np.float32)
    weights = np.stack([
        np.stack([stages(q[m, h], k[m, h], v[m, h], allowed).weights for h in range(heads)])
        for m in range(layers)
    ])  # fmt: skip
    found = {"weights": weights.astype(np.float32), "tokens": np.array(names), "layer": layers, "head": 1}
    return {**found, "q": q[-1, 0], "k": k[-1, 0], "v": v[-1, 0], "allowed": allowed, "said": "Cut."}


def drawn(**changed: Any) -> Attention:
    return Attention.of({**arrays(), **changed}, name="run-1")


def elements(svg: str, tag: str) -> list[ET.Element]:
    return list(ET.fromstring(svg).iter(f"{{http://www.w3.org/2000/svg}}{tag}"))


def matrices(svg: str) -> dict[str, Matrix]:
    """The matrices of a block as its drawing carries them."""
    groups = [g for g in elements(svg, "g") if g.get("class") == "matrix"]
    return {
        str(g.get("data-name")): np.array([r.split(" ") for r in str(g.get("data-values")).split(";")], float)
        for g in groups
    }


# -- maps ----------------------------------------------------------------------------------------------------------


def test_each_cell_of_the_large_map_carries_its_exact_weight_and_has_its_colour() -> None:
    found = drawn()
    (large,) = (g for g in elements(found.svg(), "g") if g.get("class") == "map")
    seen = np.zeros_like(found.chosen, dtype=np.float32)
    for group in large.iter("{http://www.w3.org/2000/svg}g"):
        for rect in group.findall("{http://www.w3.org/2000/svg}rect"):
            i, j, weight = str(rect.get("data-cell")).split(" ")
            seen[int(i), int(j)] = np.float32(weight)
            step = max(1, round(np.sqrt(float(weight)) * LEVELS))
            assert group.get("class") == f"f-q{step}"
            title = rect.findtext("{http://www.w3.org/2000/svg}title")
            assert title is not None
            assert title.endswith(f": {weight}")
            assert f"({int(i) + 1}) looks at" in title
    np.testing.assert_array_equal(seen, arrays()["weights"][1, 0])


@pytest.mark.parametrize("form", ["svg", "html"])
def test_each_small_map_carries_its_head_exactly(form: str) -> None:
    found = drawn()
    text = found.svg() if form == "svg" else found.html()
    held = re.findall(r'data-layer="(\d+)" data-head="(\d+)" data-weights="([^"]*)"', text)
    assert len(held) == 6
    for layer, number, packed in held:
        seen = np.zeros_like(found.chosen, dtype=np.float32)
        for i, row in enumerate(packed.split(";")):
            values = [np.float32(v) for v in row.split(" ")]
            seen[i, : len(values)] = values
        np.testing.assert_array_equal(seen, arrays()["weights"][int(layer) - 1, int(number) - 1])


def test_the_picture_has_each_cell_in_the_colour_of_its_weight() -> None:
    found = drawn()
    pixels = np.asarray(Image.open(io.BytesIO(found.png())).convert("RGB"))
    (large,) = (g for g in elements(found.svg(), "g") if g.get("class") == "map")
    moved = re.fullmatch(r"translate\(0 ([\d.]+)\)", str(large.get("transform")))
    assert moved is not None
    up = float(moved.group(1))
    for rect in large.iter("{http://www.w3.org/2000/svg}rect"):
        if rect.get("data-cell"):
            x, y, wide, tall = (float(str(rect.get(name))) for name in ("x", "y", "width", "height"))
            _, _, weight = str(rect.get("data-cell")).split(" ")
            step = int(sequential(np.array(np.float64(np.float32(weight)))))
            at = pixels[round((24 + up + y + tall / 2) * 2), round((24 + x + wide / 2) * 2)]
            assert "#" + "".join(f"{v:02x}" for v in at) == color(f"q{step}")


def test_tokens_stand_beside_the_rows_with_their_white_space_to_be_seen() -> None:
    texts = [t.text or "" for t in elements(drawn().svg(), "text")]
    assert texts.count("␣upon") >= 2
    assert "↵" in texts
    assert not any("\n" in t for t in texts)
    marked = [t.text for t in elements(drawn(tokens=np.array(list("a b\tc\nd e f g"))).svg(), "text")]
    assert {"␣", "⇥", "↵"} <= set(marked)


def test_the_arrays_of_a_file_give_the_same_picture_again() -> None:
    found = drawn()
    held = io.BytesIO()
    np.savez(held, **found.arrays())
    held.seek(0)
    with np.load(held, allow_pickle=False) as file:
        again = Attention.of(dict(file), name="run-1")
    assert again.svg() == found.svg()
    assert again.html() == found.html()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"tokens": np.array(["a"])}, "does not fit 1 tokens"),
        ({"weights": np.zeros((2, 3, 13))}, "does not fit"),
        ({"weights": np.full((2, 3, 13, 13), np.nan)}, "not finite"),
        ({"weights": np.full((2, 3, 13, 13), -0.1)}, "no shares"),
        ({"weights": np.array("x")}, "no array"),
        ({"layer": 3}, "no layer 3"),
        ({"head": 0}, "head 0"),
        ({"q": np.zeros((2, 2))}, "q, k and v"),
        ({"allowed": np.ones((2, 2))}, "mask"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        drawn(**changed)


def test_a_table_has_one_row_for_each_weight_above_zero() -> None:
    found = drawn()
    table = found.result(".csv")
    assert len(table.values) == int((found.weights > 0).sum())
    back = np.zeros(found.weights.shape, np.float32)
    places = tuple(np.array(table.names[name]) - 1 for name in ("layer", "head", "query", "key"))
    back[places] = table.values[:, 0]
    np.testing.assert_array_equal(back, arrays()["weights"])
    with pytest.raises(InputError, match=r"no form for \.h5ad"):
        found.result(".h5ad")


# -- the block -----------------------------------------------------------------------------------------------------


def softmax(x: Matrix) -> Matrix:
    powers = np.exp(x - x.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


@pytest.mark.parametrize("narrow", [False, True])
def test_every_matrix_of_the_block_is_what_numpy_computes_from_the_ones_before(narrow: bool) -> None:
    rng = np.random.default_rng(3)
    q, k, v = (rng.normal(size=(5, width)) for width in (16, 16, 7))
    mask = np.tril(np.ones((5, 5), bool))
    m = matrices(draw_attention(q, k, v, mask, narrow=narrow).file("block"))
    for name, whole in (("q", q), ("k", k), ("v", v)):
        np.testing.assert_array_equal(m[name], whole[: len(m[name])])
    n = len(m["scores"])
    np.testing.assert_allclose(m["scores"], m["q"] @ m["k"].T, atol=1e-5)
    np.testing.assert_allclose(m["scaled"], m["scores"] / 4, atol=1e-5)
    np.testing.assert_array_equal(m["masked"], np.where(mask[:n, :n], m["scaled"], -np.inf))
    np.testing.assert_allclose(m["weights"], softmax(m["masked"]), atol=1e-5)
    np.testing.assert_allclose(m["output"], m["weights"] @ m["v"], atol=1e-5)


def test_the_block_of_a_run_ends_in_the_weights_of_its_map() -> None:
    found = drawn()
    block = found.block()
    assert block is not None
    m = matrices(block.file(""))
    np.testing.assert_allclose(m["weights"], found.chosen[:8, :8], atol=1e-5)
    np.testing.assert_array_equal(m["q"], arrays()["q"][:8])


@pytest.mark.parametrize("kind", ["none", "boolean", "added", "closed row"])
def test_the_steps_equal_those_of_torch(kind: str) -> None:
    rng = np.random.default_rng(4)
    q, k, v = rng.normal(size=(4, 6)), rng.normal(size=(5, 6)), rng.normal(size=(5, 3))
    masks = {"none": None, "added": rng.normal(size=(4, 5))}
    mask = masks.get(kind, rng.random((4, 5)) < 0.6)
    if kind == "closed row":
        mask = np.array(mask)
        mask[2] = False
    elif mask is not None and kind == "boolean":
        mask[:, 0] = True
    want = F.scaled_dot_product_attention(
        *(torch.from_numpy(x) for x in (q, k, v)), attn_mask=None if mask is None else torch.from_numpy(mask)
    )
    got = stages(q, k, v, mask)
    np.testing.assert_allclose(got.output, want, atol=1e-12)
    if kind == "closed row":
        assert not got.weights[2].any()


def test_causal_attention_with_fewer_queries_than_keys_is_the_end_of_the_whole() -> None:
    x = np.random.default_rng(5).normal(size=(6, 3))
    whole, end = stages(x, x, x, causal=True), stages(x[-2:], x, x, causal=True)
    np.testing.assert_allclose(end.weights, whole.weights[-2:], atol=1e-15)
    np.testing.assert_array_equal(whole.weights, np.tril(whole.weights))
    closed = stages(x, x, x, np.eye(6, dtype=bool)[::-1], causal=True)
    assert not closed.weights[:3].any(), "what a mask and causality both close stays closed"


def test_the_exercise_has_both_its_answers() -> None:
    q, k, v = [0.8, 0.5, 0.21], [0.1, 0.62, 0.73], [0.6, 0.2, 0.9]
    three_tokens = matrices(draw_attention(q, k, v).file(""))
    np.testing.assert_allclose(three_tokens["output"][:, 0], [0.573687, 0.570633, 0.568153], atol=1e-6)
    assert "masked" not in three_tokens, "without a mask there is no such step"
    one_token = matrices(draw_attention([q], [k], [v]).file(""))
    np.testing.assert_allclose(one_token["output"], [[0.6, 0.2, 0.9]])


def test_the_boxes_stand_as_in_the_paper_from_the_bottom_up() -> None:
    x = np.eye(3)
    svg = draw_attention(x, x, x, np.ones((3, 3), bool)).file("")
    places = {t.text: float(str(t.get("y"))) for t in elements(svg, "text")}
    order = sorted(("Scale", "Mask", "SoftMax", "Q"), key=lambda name: -places[name])
    assert order == ["Q", "Scale", "Mask", "SoftMax"]
    assert sum(t.text == "MatMul" for t in elements(svg, "text")) == 2


def test_printed_numbers_have_three_digits_and_lie_in_their_cell() -> None:
    x = np.array([[1.23456, -0.000123456], [0.0, 12345.678]])
    texts = {t.text for t in elements(draw_attention(x, x, x).file(""), "text")}
    assert {three(v) for v in (x @ x.T).ravel()} <= texts
    written = [three(v) for v in (0.5, -1.2345, 12.34, 123.4, 1234.0, 0.0012345, 0.00012345, -np.inf, 0, 0.99999)]
    assert written == ["0.500", "−1.23", "12.3", "123", "1230", "0.00123", "1.23e−4", "−∞", "0", "1.00"]


@pytest.mark.parametrize(
    ("q", "k", "v", "mask", "said"),
    [
        (np.zeros((2, 3)), np.zeros((2, 4)), np.zeros((2, 3)), None, "share their width"),
        (np.zeros((2, 3)), np.zeros((4, 3)), np.zeros((2, 3)), None, "k and v their tokens"),
        (np.zeros((1, 2, 3)), np.zeros((2, 3)), np.zeros((2, 3)), None, r"q\[0, 0\]"),
        (np.full((2, 3), np.nan), np.zeros((2, 3)), np.zeros((2, 3)), None, "not finite"),
        (np.zeros((2, 3)), np.zeros((2, 3)), np.zeros((2, 3)), np.ones((3, 3), bool), "mask of"),
    ],
)
def test_what_is_no_single_head_is_refused_with_the_fix(q: Any, k: Any, v: Any, mask: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        draw_attention(q, k, v, mask)


def test_of_a_long_text_the_first_eight_tokens_are_drawn_and_that_is_said() -> None:
    x = np.random.default_rng(0).normal(size=(20, 4))
    svg = draw_attention(x, x, x, np.tril(np.ones((20, 20), bool))).file("")
    assert matrices(svg)["weights"].shape == (8, 8)
    assert any("first 8 of 20 tokens" in (t.text or "") for t in elements(svg, "text"))


# -- colours -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_ramps_pass_through_the_tokens_and_text_on_every_step_can_be_read(theme: str) -> None:
    for name, every in (("seq", 4), ("div", 3.2)):
        stops, found = tokens()[theme][name], ramp(theme, name)
        for i, stop in enumerate(stops):
            if float(i * every).is_integer():
                assert found[int(i * every)] == stop
    for step in [f"{letter}{i}" for letter in "qd" for i in range(LEVELS + 1)]:
        assert contrast(on(step, theme), color(step, theme)) >= 4.5


def test_steps_grow_with_the_weight_and_neutral_is_zero() -> None:
    steps = sequential(np.linspace(0, 1, 1000))
    assert (np.diff(steps) >= 0).all()
    assert (steps[0], steps[1], steps[-1]) == (0, 1, LEVELS)
    assert diverging(np.array([-3.0, 0.0, 1.5, 3.0, -np.inf])).tolist() == [0, 16, 24, 32, 16]
    assert diverging(np.zeros(3)).tolist() == [16, 16, 16]


# -- heads ---------------------------------------------------------------------------------------------------------


def test_heads_are_named_after_what_they_look_at() -> None:
    names = tuple("ab ab ab ab ab ab")
    n = len(names)
    back = np.arange(n)[:, None] - np.arange(n)[None, :]
    even = np.tril(np.ones((n, n))) / np.arange(1, n + 1)[:, None]

    def mostly(where: Matrix) -> Matrix:
        wanted = where & (back >= 0)
        one = wanted / np.maximum(wanted.sum(1, keepdims=True), 1)
        return np.where(wanted.any(1, keepdims=True), 0.9 * one + 0.1 * even, even)

    space = np.array([t == " " for t in names])
    assert head(np.eye(n), names).name == "itself"
    assert head(np.eye(n), names).reach == 0
    assert head(mostly(back == 1), names).name == "the token before"
    assert head(mostly(np.arange(n)[None, :] == 0), names).name == "the start of the text"
    assert head(mostly(space[None, :] & (back > 1)), names).name == "white space"
    equal = np.array([[a == b for b in names] for a in names])
    assert head(mostly(equal & (back > 1) & ~space), names).name == "equal tokens before"
    assert head(even, names).name == "many tokens alike"
    assert head(mostly((back <= 2) & (back >= 0)), names).name == "the last few tokens"
    assert head(np.ones((1, 1)), ("a",)).reach == 0


# -- pages ---------------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """Tags and addresses of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]


def test_nothing_in_a_token_becomes_markup() -> None:
    found = drawn(**arrays(HOSTILE, layers=1, heads=2))
    page = Page(found.html())
    assert page.tags.count("script") == 1
    assert "img" not in page.tags
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert not [value for name, value in page.attributes if name == "style"]
    for text in (found.html(), found.svg()):
        assert "\u202e" not in text
        assert "\x00" not in text
    ET.fromstring(found.svg())
    (names,) = (json.loads(value) for name, value in page.attributes if name == "data-tokens")
    assert names[0] == HOSTILE[0], "it is still there as text"


def test_the_page_asks_for_nothing_and_allows_only_its_own_style_and_script() -> None:
    page = Page(drawn().html())
    (policy,) = (v for k, v in page.attributes if k == "content" and "default-src" in v)
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    addresses = [v for k, v in page.attributes if k in ("src", "href", "srcset")]
    assert all(v.startswith("data:") for v in addresses)
    assert not re.search(r"url\(|@import", drawn().html())


def test_an_attention_of_another_kind_has_maps_and_no_block() -> None:
    held = {name: x for name, x in arrays().items() if name not in ("q", "k", "v", "allowed")}
    found = Attention.of(held)
    assert found.block() is None
    assert "Step by step" not in found.html()
    assert "MatMul" not in found.svg()


# -- the section of a report ---------------------------------------------------------------------------------------


def with_attention(run: Path, content: bytes) -> str:
    place = run / "media" / "attention.npz"
    place.write_bytes(content)
    try:
        return report.build(run)
    finally:
        place.unlink()


def test_a_report_shows_the_attention_that_a_run_kept(vae_run: Path) -> None:
    assert 'id="attention"' not in report.build(vae_run)
    held = io.BytesIO()
    np.savez_compressed(held, **drawn().arrays())
    page = with_attention(vae_run, held.getvalue())
    assert 'id="attention"' in page
    assert len(re.findall('class="head[ "]', page)) == 6
    assert Page(page).tags.count("script") == 1


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", b"\x93NUMPY"])
def test_a_report_says_why_damaged_attention_is_not_shown(vae_run: Path, content: bytes) -> None:
    page = with_attention(vae_run, content)
    assert "The attention of this run cannot be shown: media/attention.npz is damaged" in page


# -- in a browser --------------------------------------------------------------------------------------------------

ACT = """<pre id="found"></pre><script>
const out = [];
const heads = [...document.querySelectorAll("svg.head")];
const at = (svg, i, j) => {
  const box = svg.getBoundingClientRect();
  const [left, top, cell] = svg.dataset.grid ? svg.dataset.grid.split(" ").map(Number) : [0, 0, 1];
  const scale = box.width / svg.viewBox.baseVal.width;
  return { clientX: box.left + (left + (j + 0.5) * cell) * scale, clientY: box.top + (top + (i + 0.5) * cell) * scale };
};
const tip = () => document.querySelector(".tip").textContent;
heads[4].dispatchEvent(new PointerEvent("pointermove", at(heads[4], 5, 2)));
out.push(tip());
heads[2].dispatchEvent(new MouseEvent("click"));
const map = document.querySelector("svg.map[data-grid]");
map.dispatchEvent(new PointerEvent("pointermove", at(map, 12, 3)));
out.push(tip(), document.querySelector(".map-title").textContent, map.querySelector(".cross").getAttribute("d"));
map.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowUp" }));
out.push(tip(), map.querySelectorAll(".cells path").length, document.querySelector(".token.at").textContent);
document.getElementById("found").textContent = JSON.stringify(out);
</script></body>"""


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
def test_pointing_reads_the_weight_and_a_click_draws_that_head_large(tmp_path: Path) -> None:
    found = drawn()
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", found.html()).replace("</body>", ACT)
    page = tmp_path / "page.html"
    page.write_text(text, encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom"]
    done = subprocess.run(
        [str(BROWSER), *flags, page.as_uri()], capture_output=True, text=True, check=True, timeout=120
    )
    (held,) = re.findall(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    first, second, title, cross, third, paths, token = json.loads(held.replace("&amp;", "&"))
    weights = arrays()["weights"]
    assert first == f"␣was (6) looks at ␣a (3), 3 back: {weights[1, 1, 5, 2]!s} · layer 2, head 2"
    assert second == f"␣king (13) looks at ␣time (4), 9 back: {weights[0, 2, 12, 3]!s} · layer 1, head 3"
    assert title == "Layer 1, head 3"
    assert cross.startswith("M")
    assert third == f"␣the (12) looks at ␣time (4), 8 back: {weights[0, 2, 11, 3]!s} · layer 1, head 3"
    assert paths == len(set(sequential(weights[0, 2][weights[0, 2] > 0].astype(float)).tolist()))
    assert token == " the"
