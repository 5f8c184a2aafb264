"""The tokens against the contrast that LOOK section 4 states, in both themes."""

from __future__ import annotations

import re

import pytest

from elboroom.report.colors import contrast, style_sheet, tokens

# contrast with the page, as the page of the look states it: token, light, dark
STATED = [
    ("edge", 3.5, 4.3), ("ink", 17.1, 15.3), ("ink-2", 9.2, 10.7), ("ink-3", 5.7, 7.1), ("accent", 7.0, 8.7),
    ("good", 7.2, 9.0), ("warn", 6.2, 9.5), ("bad", 6.4, 7.8), ("base", 3.2, 4.4), ("base-text", 5.2, 7.0),
]  # fmt: skip
TEXT = ("ink", "ink-2", "ink-3", "accent", "good", "warn", "bad", "base-text")
MARKS = ("edge", "base")
THEMES = ("light", "dark")


@pytest.mark.parametrize(("name", "light", "dark"), STATED)
def test_contrast_with_the_page_is_what_the_look_states(name: str, light: float, dark: float) -> None:
    for theme, stated in zip(THEMES, (light, dark), strict=True):
        found = contrast(tokens()[theme][name], tokens()[theme]["paper"])
        assert round(found, 1) == stated, theme


@pytest.mark.parametrize("theme", THEMES)
def test_text_passes_four_and_a_half_on_every_ground_it_stands_on(theme: str) -> None:
    known = tokens()[theme]
    for ground in ("paper", "panel", "inset"):
        for name in TEXT:
            assert contrast(known[name], known[ground]) >= 4.5, (name, ground)
    assert contrast(known["on-accent"], known["accent"]) >= 4.5


@pytest.mark.parametrize("theme", THEMES)
def test_marks_pass_three_and_the_first_four_series_may_label_themselves(theme: str) -> None:
    known = tokens()[theme]
    assert all(contrast(known[name], known["paper"]) >= 3 for name in MARKS)
    assert all(contrast(color, known["paper"]) >= 3 for color in known["c"])
    assert all(contrast(color, known["paper"]) >= 4.5 for color in known["c"][:4])


@pytest.mark.parametrize("theme", THEMES)
def test_text_on_a_cell_of_a_heat_map_can_be_read(theme: str) -> None:
    for color in tokens()[theme]["seq"] + tokens()[theme]["div"]:
        assert max(contrast(color, "#000000"), contrast(color, "#ffffff")) >= 4.58


def test_black_on_white_has_the_contrast_of_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_the_style_sheet_names_no_color_that_is_not_a_token() -> None:
    sheet = re.sub(r"--[\w-]+:[^;}]*", "", style_sheet())
    known = {v for v in tokens()["light"].values() if isinstance(v, str)}
    assert set(re.findall(r"#[0-9a-f]{6}\b", sheet)) <= known, "print margins take the value itself"


def test_every_variable_the_style_uses_is_declared_in_both_themes() -> None:
    sheet = style_sheet()
    declared = set(re.findall(r"(--[\w-]+):", sheet))
    assert set(re.findall(r"var\((--[\w-]+)", sheet)) <= declared
    assert tokens()["light"].keys() == tokens()["dark"].keys()


def test_small_text_is_never_under_eleven_pixels() -> None:
    sizes = [float(s) for s in re.findall(r"font(?:-size)?:[^;}]*?(\d+)px", style_sheet())]
    assert sizes and min(sizes) >= 11
