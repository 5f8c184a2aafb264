"""The report of a text run: is its loss good, what does it write and copy; true to its files, safe from its text."""

from __future__ import annotations

import base64
import csv
import io
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import elboroom.report as report
from elboroom.report.contents import read_run
from elboroom.report.verdict import compared, title, verdict
from pages import EVIL, Page, assert_loads_nothing

Rewrite = Callable[..., None]


def plain(path: Path) -> str:
    return " ".join(Page(report.build(path)).text.split())


def with_bits(value: float) -> Callable[[Any], None]:
    return lambda m: m["bits_per_byte"].update(value=value, low=value - 0.02, high=value + 0.02)


def test_the_page_of_a_text_run_is_whole_and_loads_nothing(text_run: Path) -> None:
    text = report.build(text_run)
    assert_loads_nothing(Page(text))
    headings = re.findall(r"<h2>([^<]+)</h2>", text)
    wanted = ["Training", "Is the loss good?", "Text", "Context and copying", "All measures", "Checks"]
    assert [h for h in headings if h in wanted] == wanted
    assert len(text.encode()) < 400_000


def test_the_title_says_how_large_the_model_is(text_run: Path, rewrite: Rewrite) -> None:
    assert title(read_run(text_run)) == "A GPT with 0.8 million parameters on tinyshakespeare.txt"
    rewrite(text_run, "run.json", lambda m: m.update(parameters=124_439_808))
    assert "124.44 million parameters" in title(read_run(text_run))
    rewrite(text_run, "run.json", lambda m: m.update(parameters=3_210))
    assert "3,210 parameters" in title(read_run(text_run))


def test_the_verdict_compares_with_the_two_cheapest_ways_and_says_whether_it_copies(text_run: Path) -> None:
    assert verdict(read_run(text_run)) == (
        "It needs 2.28 ± 0.02 bits for each byte of text it has not seen: 6\u202f% less than counting 5-grams (2.42) "
        "and 9\u202f% less than xz (2.52). It does not copy: its longest run found in the training text is 31 "
        "characters; real unseen text has 40."
    )


@pytest.mark.parametrize(
    ("bits", "words"),
    [
        (2.71, "counting 5-grams does better with 2.42, xz too with 2.52."),
        (2.48, "counting 5-grams"),
        (2.45, "which cannot be told apart from counting 5-grams (2.42)"),
        (3.8, "counting 5-grams does better with 2.42"),
    ],
)
def test_what_does_better_is_named_first_and_what_cannot_be_told_apart_is_called_so(
    text_run: Path, rewrite: Rewrite, bits: float, words: str
) -> None:
    rewrite(text_run, "metrics.json", with_bits(bits))
    said = verdict(read_run(text_run))
    assert words in said and "less than" not in said


def test_a_model_that_copies_is_told_so_in_the_verdict_and_in_its_section(text_run: Path, rewrite: Rewrite) -> None:
    warning = "A sample repeats 180 characters of the training text word for word; unseen text repeats 52 at most."
    rewrite(text_run, "details.json", lambda d: d["memorisation"].update(copied=True, warning=warning))
    rewrite(text_run, "metrics.json", lambda m: m["longest_copy_characters"].update(value=180.0))
    text = plain(text_run)
    assert "It copies: its longest run found in the training text is 180 characters" in text
    assert f"Warning: {warning}" in text


def test_overfitting_stands_in_the_verdict(text_run: Path, rewrite: Rewrite) -> None:
    assert "overfits" not in verdict(read_run(text_run))
    rewrite(text_run, "details.json", lambda d: d["checks"][0].update(level="alarm", since_step=1500))
    assert "It overfits from step 1,500 on." in verdict(read_run(text_run))


def test_unseen_text_is_a_yardstick_and_no_rival() -> None:
    found = {"value": 31.0, "low": None, "high": None, "references": [{"name": "unseen text", "value": 20.0}]}
    assert compared("longest_copy_characters", found) is None


def test_the_loss_is_drawn_in_bits_per_byte_over_steps_with_the_grey_lines_of_the_measure(text_run: Path) -> None:
    page = Page(report.build(text_run))
    figure = next(f for f in page.all("figure") if "data-reading" in f)
    reading = json.loads(figure["data-reading"])
    assert reading["name"] == "step"
    rows = [json.loads(line) for line in (text_run / "history.jsonl").read_text().splitlines()]
    logged = {row["step"]: row["valid/loss_nats"] / math.log(2) for row in rows if "valid/loss_nats" in row}
    drawn = dict(zip(reading["x"], next(s["y"] for s in reading["series"] if s["name"] == "validation"), strict=True))
    assert {k: v for k, v in drawn.items() if v is not None} == pytest.approx(logged)
    link = next(a for a in page.all("a") if a.get("download") == "bits_per_byte.csv")
    saved = list(csv.DictReader(io.StringIO(base64.b64decode(link["href"].split(",")[1]).decode())))
    assert float(saved[-1]["step"]) == 5000
    assert "uniform 6.02" in page.text and "kept: step 4,750" in page.text and "epoch" not in figure["data-reading"]


def test_a_run_that_was_not_measured_shows_nats_a_token(text_run: Path) -> None:
    (text_run / "details.json").unlink()
    (text_run / "metrics.json").unlink()
    text = plain(text_run)
    assert "Loss a token, nats" in text and "Nothing was measured on held-out data." in text


def test_the_table_of_what_needs_no_network_is_sorted_and_holds_the_run(text_run: Path) -> None:
    text = report.build(text_run)
    table = text[text.index('class="standing"') : text.index("</table>", text.index('class="standing"'))]
    names = re.findall(r"<bdi translate=\"no\">([^<]+)</bdi>", table)
    assert names == ["uniform", "byte frequencies", "gzip", "xz alone", "xz", "5-gram", "this run"]
    assert "62\u202f% less" in table and "6\u202f% less" in table
    assert "Yes: nothing here that needs no network stores these bytes in fewer bits." in plain(text_run)


def test_what_needs_fewer_bits_is_listed_best_first(text_run: Path, rewrite: Rewrite) -> None:
    rewrite(text_run, "metrics.json", with_bits(2.71))
    assert "Not yet: 5-gram and xz need fewer bits, and no network." in plain(text_run)


def test_speeds_stand_beside_what_the_memory_allows(text_run: Path, rewrite: Rewrite) -> None:
    text = plain(text_run)
    assert "Training. 91,000 tokens a second" in text
    assert "612 tokens a second, one text alone." in text and "would allow 8,400: 7.3 % of that" in text
    rewrite(text_run, "run.json", lambda m: m.update(speed="fast"))
    assert "one text alone" not in plain(text_run)


def test_the_sample_is_whole_and_shaded_by_its_bits(text_run: Path) -> None:
    details = json.loads((text_run / "details.json").read_text())["sample"]
    text = report.build(text_run)
    block = re.search(r"<pre translate=\"no\">(.*?)</pre>", text, re.DOTALL)
    assert block is not None
    shown = Page(block.group(0)).text
    assert shown.strip("\n") == details["prompt"] + "".join(piece for piece, _ in details["pieces"])
    shades = re.findall(r'<span class="(given|s\d)">', block.group(1))
    assert shades[0] == "given" and {"s0", "s1", "s2"} <= set(shades)


def test_texts_over_training_are_the_first_a_middle_and_the_last(text_run: Path) -> None:
    text = plain(text_run)
    for step in ("0", "500", "5,000"):
        assert f"step {step}, greedy" in text and f"step {step}, temperature 1" in text
    assert "3 texts in media/samples" in text


def test_a_text_that_begins_with_a_new_line_keeps_it(text_run: Path, rewrite: Rewrite) -> None:
    rewrite(text_run, "details.json", lambda d: d["sample"].update(prompt="\n\nA"))
    assert '<pre translate="no"><span class="given">\n\nA</span>' in report.build(text_run)


@pytest.mark.parametrize("content", [b"", b"cut off", b"\xff\xfe\x00"])
def test_a_damaged_sample_is_named_and_the_others_are_shown(text_run: Path, content: bytes) -> None:
    (text_run / "media/samples/step-0000500.txt").write_bytes(content)
    text = plain(text_run)
    assert "The text of step 500 cannot be shown: media/samples/step-0000500.txt is damaged" in text
    assert "step 5,000, greedy" in text


def test_a_run_without_samples_or_details_says_so(text_run: Path) -> None:
    for path in (text_run / "media/samples").glob("*"):
        path.unlink()
    (text_run / "details.json").unlink()
    text = plain(text_run)
    assert "There are no texts over training: there is no media/samples in the run folder." in text
    assert "Context and copying" not in text and "Is the loss good?" not in text


def test_the_copying_table_and_the_longest_copy_are_those_of_the_run(text_run: Path) -> None:
    text = report.build(text_run)
    shown = " ".join(Page(text).text.split())
    assert "Longest copy, characters3140 (28 to 52)" in shown
    assert "Pieces of 50 characters copied0 %, at most 4.6 %0.1 %, at most 0.6 %" in shown
    assert '<span class="copy">I will not speak a word.\n\nKING </span>' in text


def test_what_the_last_half_of_the_window_brings_is_said_by_rule(text_run: Path, rewrite: Rewrite) -> None:
    assert "Beyond 128 tokens the context brings nothing that can be told" in plain(text_run)
    rewrite(text_run, "details.json", lambda d: d["by_context"][-1].update(value=2.1, low=2.05, high=2.15))
    assert re.search(
        r"Beyond 128 tokens the context brings 0\.1\d bits a byte: a longer one may help\.", plain(text_run)
    )


WRONG = [None, [], "text", 7, {"a": []}, [[1, 2]], [{"value": "x"}]]


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
@pytest.mark.parametrize("name", ["text", "baselines", "by_context", "memorisation", "sample"])
def test_parts_of_details_of_another_kind_never_stop_the_report(
    text_run: Path, rewrite: Rewrite, name: str, wrong: Any
) -> None:
    rewrite(text_run, "details.json", lambda d: d.update({name: wrong}))
    assert_loads_nothing(Page(report.build(text_run)))


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
def test_parts_of_the_memorisation_of_another_kind_never_stop_the_report(
    text_run: Path, rewrite: Rewrite, wrong: Any
) -> None:
    names = ("longest", "unseen_longest", "curve", "share", "warning", "copied", "samples")
    rewrite(text_run, "details.json", lambda d: d["memorisation"].update(dict.fromkeys(names, wrong)))
    assert_loads_nothing(Page(report.build(text_run)))


@pytest.mark.parametrize("evil", EVIL)
def test_nothing_from_a_text_becomes_markup(text_run: Path, rewrite: Rewrite, evil: str) -> None:
    def poison(d: dict[str, Any]) -> None:
        d["sample"].update(prompt=evil, pieces=[[evil, 1.0], ["\x1b[31m", 9.0]])
        d["memorisation"].update(warning=evil, rule=evil, samples=evil, copied=True)
        d["memorisation"]["longest"].update(before=evil, span=evil, after=evil)
        for baseline in d["baselines"]:
            baseline.update(name=evil, how=evil)
        d["text"].update(tokenizer=evil)

    rewrite(text_run, "details.json", poison)
    for path in (text_run / "media/samples").glob("*.txt"):
        text = f"Step 1.\n\n[prompt, {len(evil)} characters]\n{evil}\n\n[greedy, {len(evil)} characters]\n{evil}\n"
        path.write_bytes(text.encode())
    page = Page(report.build(text_run))
    assert_loads_nothing(page)
    assert len(page.all("script")) == len(page.all("style")) == 1
    assert not {"\x00", "\u202e", "\x1b"} & set(report.build(text_run))
