"""The page of `detect`, from dictionaries made here: a machine with faults at known rows."""

from __future__ import annotations

import base64
import csv
import io
import math
import re
from html import unescape
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from elboroom.report.detection import detection_html
from elboroom.report.detection_series import binned, judged, runs, short
from elboroom.report.detection_tables import wilson
from elboroom.report.detection_threshold import alarm_rates, tail_rates
from elboroom.report.detection_time import Clock
from elboroom.report.plots import Axis

FAULTS = ((700, 730), (820, 826), (900, 960))
THRESHOLD = 2.2 + 0.42 / 0.05 * (1 - 41**-0.05)
"""What the tail below gives for one alarm in 2,000 rows."""
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


def one_series(
    channels: int = 4,
    rows: int = 1000,
    faults: tuple[tuple[int, int], ...] = FAULTS,
    *,
    first: int = 1,
    name: str = "",
    labels: bool = False,
    times: bool = True,
    minutes: int = 10,
) -> dict[str, Any]:
    """A daily cycle with noise; in a fault the first channel is off by 4, the second by 2."""
    rng = np.random.default_rng(first)
    at = np.arange(rows)
    expected = 20 + np.sin(at[:, None] * 2 * np.pi / 144 + np.arange(channels)) * (1 + np.arange(channels) % 3)
    values = expected + rng.normal(size=(rows, channels)) * 0.3
    score = np.abs(rng.normal(size=rows)) * 0.5 + 0.5
    events = []
    for i, (start, stop) in enumerate(faults):
        values[start:stop, 0] += 4
        values[start:stop, 1 % channels] += 2
        score[start:stop] = 6 + i + np.sin(np.linspace(0, np.pi, stop - start)) * 3
        share = [
            ("channel 0", 0.7),
            ("channel 1", 0.2),
            *((f"channel {c}", 0.1 / (channels - 2)) for c in range(2, channels)),
        ]
        peak = start + int(np.argmax(score[start:stop]))
        events.append({"number": first + i, "start": start, "stop": stop, "peak": peak, "score": float(score[peak]),
                       "channels": share[:channels] if channels > 1 else [("channel 0", 1.0)]})  # fmt: skip
    score[:20] = np.nan
    truth = np.zeros(rows, dtype=bool)
    for start, stop in faults:
        truth[start : stop + 5] = True
    clock = np.datetime64("2026-03-01T08:00", "ns") + np.arange(rows) * np.timedelta64(minutes, "m")
    return {
        "name": name,
        "times": clock if times else None,
        "values": values,
        "expected": expected,
        "sd": np.full((rows, channels), 0.3),
        "score": score,
        "train": rows // 2,
        "stretches": {"train": (0, rows * 2 // 5), "valid": (rows * 2 // 5, rows // 2)},
        "labels": truth if labels else None,
        "segments": [(0, rows)],
        "events": events,
    }


def beside(labels: bool) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = [
        {"title": "Sub-PCA", "how": "Distance of a window from its principal plane.", "causal": True,
         "transductive": False, "vus_pr": 0.30, "difference": {"value": 0.12, "low": 0.04, "high": 0.2},
         "agreement": 0.667},
        {"title": "Matrix profile", "how": "Distance to the nearest other window.", "causal": False,
         "transductive": True, "vus_pr": 0.41, "difference": {"value": 0.01, "low": -0.05, "high": 0.07},
         "agreement": 0.333},
        {"title": "Moving z-score", "how": "Distance from the mean of the hour before.", "causal": True,
         "transductive": False, "vus_pr": 0.9, "difference": {"value": -0.48, "low": -0.6, "high": -0.3},
         "agreement": None},
    ]  # fmt: skip
    return entries if labels else [{**e, "vus_pr": None, "difference": None} for e in entries]


def found(*series: dict[str, Any], labels: bool = False, **changes: Any) -> dict[str, Any]:
    series = series or (one_series(labels=labels),)
    channels = series[0]["values"].shape[1]
    calibration = np.abs(np.random.default_rng(9).normal(size=2000)) + 0.2
    return {
        "name": "pump-07",
        "command": "elboroom detect pump-07.csv --out found",
        "date": "2026-11-26",
        "versions": {"elboroom": "0.4.0", "torch": "2.9.1"},
        "seed": 0,
        "model": "forecaster",
        "settings": {"width": 32, "horizon": 10},
        "steps": 80,
        "took_s": 7.9,
        "headline": "Three stretches of the last 3 days do not look like the days before them.",
        "headline_more": ["The strongest began on Sunday and lasted 10 hours; channel 0 is most to blame."],
        "problems": ["2 rows had no time and were left out."],
        "threshold": THRESHOLD,
        "rate": 0.0005,
        "per_day": 0.072,
        "how": "generalised Pareto tail of 41 alarms in 2,000 rows",
        "smoothing": "centred",
        "width": 12,
        "width_words": "2 h",
        "tail": {"initial": 2.2, "shape": -0.05, "scale": 0.42, "peaks": 41, "rows": 2000},
        "calibration": calibration,
        "channels": [f"channel {c}" for c in range(channels)],
        "series": list(series),
        "ours": {"title": "forecaster", "vus_pr": 0.42 if labels else None, "alarms": 3},
        "beside": beside(labels),
        "left_out": {"discord": "4.0e+08 comparisons of windows would take too long here"},
        "injected": {"found": 17, "of": 20, "kinds": {"spike": (5, 5), "level_shift": (4, 5)}},
        **changes,
    }


class Page(HTMLParser):
    """Reads a page whose tags must close in order; keeps tags, attributes and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, f"left open: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.words.append(data)


def figure(text: str, number: int) -> str:
    return next(f for f in re.findall(r"<figure.*?</figure>", text, re.DOTALL) if f'id="figure-{number}"' in f)


def drawing(text: str, number: int, which: int = 0) -> str:
    return re.findall(r"<svg class=\"panel\".*?</svg>", figure(text, number), re.DOTALL)[which]


def saved(text: str, name: str) -> list[list[str]]:
    link = re.search(rf'href="data:text/csv;base64,([^"]+)" download="{name}"', text)
    assert link is not None
    return list(csv.reader(io.StringIO(base64.b64decode(link.group(1)).decode())))


def last_line(svg: str) -> list[tuple[float, float]]:
    """The points of the lowest observed line: the score."""
    path = re.findall(r'<path class="line observed" d="([^"]*)"', svg)[-1]
    return [(float(x), float(y)) for x, y in re.findall(r"[ML]([\d.-]+) ([\d.-]+)", path)]


def odd(kind: str) -> dict[str, Any]:
    """The dictionaries a page must live with."""
    if kind == "no events":
        return found(one_series(faults=()))
    if kind == "labels":
        return found(labels=True)
    if kind == "no times":
        return found(one_series(times=False))
    if kind == "several":
        return found(*(one_series(2, first=1 + 3 * i, name=f"pump {i}") for i in range(14)))
    if kind == "one channel":
        return found(one_series(1))
    if kind == "many channels":
        return found(one_series(100))
    if kind == "all NaN":
        series = one_series(faults=())
        return found({**series, "score": np.full(1000, np.nan), "expected": np.full((1000, 4), np.nan)})
    if kind == "nothing else":
        bare = {"calibration": np.zeros(0), "tail": {}, "beside": [], "left_out": {}, "injected": None, "per_day": None}
        more = {"versions": {}, "settings": {}, "problems": [], "headline_more": [], "command": "", "how": ""}
        return found(one_series(faults=()), **bare, **more)
    if kind == "short":
        return found({**one_series(2, 2, ()), "train": 1, "stretches": {"train": (0, 1)}})
    assert kind == "constant"
    series = one_series(3, faults=())
    flat = {"values": np.ones((1000, 3)), "expected": np.ones((1000, 3)), "sd": np.zeros((1000, 3))}
    return found({**series, **flat, "score": np.ones(1000)}, calibration=np.ones(50))


ODD = ["no events", "labels", "no times", "several", "one channel", "many channels", "all NaN", "nothing else", "short",
       "constant"]  # fmt: skip


@pytest.mark.parametrize("kind", ODD)
def test_a_page_is_whole_whatever_the_data(kind: str) -> None:
    text = detection_html(odd(kind))
    page = Page(text)
    words = " ".join(page.words)
    assert not re.search(r"\b(nan|None|inf)\b", words)
    drawn = [v for tag, attrs in page.tags if tag in ("path", "rect", "text", "circle") for v in attrs.values()]
    assert not [v for v in drawn if v and re.search(r"nan|inf", v)]
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for t, a in page.tags if t == "a" and (a["href"] or "").startswith("#")} <= set(ids)  # type: ignore[index]
    assert len(text) < 2_000_000
    assert detection_html(odd(kind)) == text, "the same dictionary gives the same page"


def test_a_page_asks_the_network_for_nothing() -> None:
    page = Page(detection_html(found(labels=True)))
    asked = [v for _, attrs in page.tags for k, v in attrs.items() if k in ("href", "src", "xlink:href", "action")]
    assert asked and all(v and v.startswith(("#", "data:")) for v in asked)
    assert not any(tag in ("link", "iframe", "object", "embed", "img") for tag, _ in page.tags)
    assert not re.search(r"url\(|@import|fetch\(|XMLHttp", detection_html(found()))


@pytest.mark.parametrize("evil", ["<script>alert(1)</script>", "\"'><img src=x onerror=alert(1)>"])
def test_names_from_data_stay_names(evil: str) -> None:
    series = one_series(2, name=evil, labels=True)
    for event in series["events"]:
        event["channels"] = [(evil, 0.9), ("channel 1", 0.1)]
    texts = {"name": evil, "headline": evil, "headline_more": [evil], "problems": [evil], "how": evil, "command": evil,
             "date": evil, "model": evil, "settings": {evil: evil}, "versions": {evil: evil}, "width_words": evil,
             "left_out": {evil: evil}, "injected": {"found": 1, "of": 2, "kinds": {evil: (1, 2)}},
             "beside": [{**entry, "title": evil, "how": evil} for entry in beside(True)],
             "ours": {"title": evil, "vus_pr": 0.2, "alarms": 1}}  # fmt: skip
    text = detection_html({**found(series), **texts, "channels": [evil, "channel 1"]})
    assert text.count("<script>") == 1 and "<img" not in text
    assert not [k for _, attrs in Page(text).tags for k in attrs if k.startswith("on")]
    assert unescape(text).count(evil) > 15


def test_every_event_stands_in_the_table_and_in_the_picture() -> None:
    faults = tuple((10_000 + 190 * i, 10_005 + 191 * i) for i in range(50))
    text = detection_html(found(one_series(2, 20_000, faults)))
    whole = next(t for t in re.findall(r"<table.*?</table>", text, re.DOTALL) if "All 50 events in their order" in t)
    assert re.findall(r'class="badge-cell">(\d+)<', whole) == [str(i + 1) for i in range(50)]
    for which in (0, 1):
        assert drawing(text, 1, which).count('class="event"') == 50
    rows = saved(text, "events.csv")
    assert [row[4:6] for row in rows[1:]] == [[str(a), str(b)] for a, b in faults]


def test_numbers_of_events_stand_over_their_shades() -> None:
    svg = drawing(detection_html(found()), 1)
    shades = re.findall(r'class="event" x="([\d.]+)" y="[\d.]+" width="([\d.]+)"', svg)
    badges = re.findall(r'class="badge" cx="([\d.]+)"', svg)
    numbers = re.findall(r'class="badge-text"[^>]*>(\d+)<', svg)
    assert len(badges) == 3
    for place, number in zip(badges, numbers, strict=True):
        x, wide = (float(v) for v in shades[int(number) - 1])
        assert abs(float(place) - (x + wide / 2)) < 0.2


@pytest.mark.parametrize("at", [3, 77_777, 123_456, 199_998])
def test_no_spike_is_lost_where_rows_are_many(at: int) -> None:
    series = one_series(1, 200_000, ())
    series["score"][at], series["score"][at - 2] = 30.0, -5.0
    svg = drawing(detection_html(found(series, calibration=np.arange(9.0))), 1)
    points = last_line(svg)
    assert len(points) < 2_500
    ticks = re.findall(r'<text class="tick" x="[\d.]+" y="([\d.]+)" text-anchor="end">(−?\d+)</text>', svg)
    scale = {float(text.replace("−", "-")): float(y) - 4 for y, text in ticks if float(y) > min(y for _, y in points)}
    (low, low_y), (high, high_y) = min(scale.items()), max(scale.items())

    def pixel(value: float) -> float:
        return low_y + (value - low) / (high - low) * (high_y - low_y)

    assert abs(min(y for _, y in points) - pixel(30.0)) < 0.3
    assert abs(max(y for _, y in points) - pixel(-5.0)) < 0.3
    axis = re.search(r'data-x="\S+ \S+ (\S+) (\S+)"', svg)
    assert axis is not None
    start, end = (float(v) for v in axis.groups())
    assert abs(min(points, key=lambda p: p[1])[0] - (start + (at + 0.5) / 200_000 * (end - start))) < 1.1


def test_gaps_are_gaps() -> None:
    series = {**one_series(1, 1000, ()), "segments": [(0, 400), (400, 1000)]}
    series["times"][400:] += np.timedelta64(3, "D")
    series["score"][600:610] = np.nan
    path = re.findall(r'<path class="line observed" d="([^"]*)"', drawing(detection_html(found(series)), 1))[-1]
    assert path.count("M") == 3, "two gaps, three pieces"
    one = judged(series, ["channel 0"])
    x, y = one.line(one.score, 0, 1000, 5000)
    assert np.isnan(y[np.searchsorted(x, one.clock.x[400])])


def test_a_close_up_says_what_was_measured_and_what_was_expected() -> None:
    given = found()
    series, event = given["series"][0], given["series"][0]["events"][2]
    part = slice(event["start"], event["stop"])
    away = np.abs(series["values"][part, 0] - series["expected"][part, 0])
    row = event["start"] + int(np.argmax(away))
    words = " ".join(Page(figure(detection_html(given), 2)).words)
    time = str(series["times"][row])[:16].replace("T", " ")
    value, middle = f"{series['values'][row, 0]:.2f}", f"{series['expected'][row, 0]:.2f}"
    assert f"At {time} channel 0 was {value} where {middle}" in words
    assert "Event 3: 2026-03-07 14:00, 10 h" in words
    rows = saved(detection_html(given), "event-3.csv")
    line = next(r for r in rows if r[0] == str(row))
    assert float(line[rows[0].index("value, channel 0")]) == series["values"][row, 0]
    assert float(line[rows[0].index("sd, channel 0")]) == 0.3


def test_at_most_eight_events_are_drawn_close_up_the_highest_first() -> None:
    faults = tuple((600 + 30 * i, 606 + 30 * i) for i in range(12))
    text = detection_html(found(one_series(2, faults=faults)))
    drawn = re.findall(r'download="event-(\d+).csv"', text)
    assert drawn == [str(i) for i in range(12, 4, -1)]


def test_without_labels_no_winner_is_named() -> None:
    text = detection_html(found())
    words = " ".join(Page(text).words)
    assert "nothing here says which detector is right" in words and "VUS-PR" not in words
    rows = re.findall(r'data-key="agreement" data-value="([\d.]+)"', text)
    assert rows == ["0.667", "0.333"]


def test_with_labels_differences_have_intervals_and_words() -> None:
    text = detection_html(found(labels=True))
    table = next(t for t in re.findall(r"<table.*?</table>", text, re.DOTALL) if "Matrix profile" in t)
    rows = {name: unescape(r) for r in re.findall(r"<tr.*?</tr>", table, re.DOTALL)
            for name in ("Sub-PCA", "Matrix profile", "Moving z-score") if f">{name}<" in r}  # fmt: skip
    assert "0.12 ± 0.08" in rows["Sub-PCA"] and "this run is better" in rows["Sub-PCA"]
    assert "cannot be told apart" in rows["Matrix profile"]
    assert "uses rows after; fitted on the rows it scores" in rows["Matrix profile"]
    assert "−0.48 (−0.60 to −0.30)" in rows["Moving z-score"] and "it is better than this run" in rows["Moving z-score"]
    assert "num best" not in table
    entries = beside(True)
    entries[1]["difference"] = None
    entries[2]["difference"] = {"value": -0.48, "low": math.nan, "high": math.nan}
    words = " ".join(Page(detection_html(found(labels=True, beside=entries))).words)
    assert "0.010, no interval no interval was worked out" in re.sub(r"\s+", " ", words)
    assert "−0.480, no interval" in words and "too few events to tell" in words
    alone = detection_html(found(labels=True, beside=beside(True)[:1]))
    assert alone.count('class="num best"') == 1


def test_labels_without_a_measure_name_no_winner_either() -> None:
    words = " ".join(Page(detection_html(found(one_series(labels=True)))).words)
    assert "The labels gave no VUS-PR, so nothing here says which detector is right" in words
    assert "No labels were given" not in words


def test_a_tail_that_did_not_give_the_threshold_is_not_drawn() -> None:
    drawn = detection_html(found())
    assert 'class="line fitted"' in drawn and "dashed: the law" in drawn
    other = detection_html(found(threshold=THRESHOLD * 1.2, how="empirical quantile: only 3 alarms"))
    assert 'class="line fitted"' not in other and "dashed: the law" not in other
    assert "Empirical quantile: only 3 alarms." in other


def test_events_are_held_against_the_labels() -> None:
    series = one_series(labels=True)
    series["labels"][820:835] = False
    text = detection_html(found(series))
    assert text.count(">overlaps</td>") == 2 and text.count(">elsewhere</td>") == 1
    assert drawing(text, 1).count('class="labelled-rows"') == 2


def test_one_channel_alone_is_not_blamed_in_the_table_and_training_time_is_called_that() -> None:
    one, several = (detection_html(found(one_series(channels))) for channels in (1, 4))
    assert "Channels to blame" in several
    assert "Blame is the share" in several
    assert "Channels to blame" not in one
    assert "Blame is the share" not in one
    assert "trained in 7.9 s" in several


def test_each_of_several_series_has_its_name_over_its_score() -> None:
    text = detection_html(found(one_series(name="pump-1"), one_series(name="pump-2", first=4)))
    # a wide and a narrow drawing of each
    assert all(text.count(f">Score, {name}<") == 2 for name in ("pump-1", "pump-2"))
    assert ">Score, " not in detection_html(found())


def test_the_rate_the_threshold_stands_for_is_said_in_rows_and_in_time() -> None:
    words = " ".join(Page(detection_html(found(per_day=0.1))).words)
    assert "one false alarm in 2,000 rows asked for, that is one in 10 d" in words
    assert "about 0.2 to be expected by chance" in words  # 500 rows judged
    assert "that is" not in " ".join(Page(detection_html(found(per_day=None))).words)


def test_the_drawn_tail_is_that_of_the_detector() -> None:
    from elboroom.anomalies.tail import alarm_peaks, fit_tail

    rng = np.random.default_rng(0)
    scores = rng.gumbel(size=4000)
    scores[rng.integers(0, 4000, 50)] = np.nan
    fitted = fit_tail(scores, 1e-3, merge=5)
    levels = np.linspace(fitted.initial, float(np.nanmax(scores)) * 2, 50)
    assert np.allclose(tail_rates(fitted.to_json(), levels), fitted.rate_at(levels), rtol=1e-12)
    rate = tail_rates(fitted.to_json(), np.array([fitted.threshold]))
    assert rate[0] == pytest.approx(1e-3)
    counted = [len(alarm_peaks(scores, level, 5)) / fitted.rows for level in levels.tolist()]
    assert alarm_rates(scores, levels, 5).tolist() == counted
    assert np.isnan(tail_rates({"initial": 1.0, "shape": 0.1, "scale": None, "peaks": 0, "rows": 9}, levels)).all()


def test_the_interval_of_a_share_solves_wilsons_equation() -> None:
    for got, of in ((17, 20), (0, 5), (5, 5), (1, 1000)):
        low, high = wilson(got, of)
        assert 0 <= low <= got / of <= high <= 1
        for p in (low, high):
            assert abs(got / of - p) == pytest.approx(1.959963984540054 * math.sqrt(p * (1 - p) / of), abs=1e-9)


def test_bins_hold_the_highest_of_their_rows_and_runs_the_rows_of_a_mask() -> None:
    rng = np.random.default_rng(1)
    x = np.sort(rng.uniform(0, 10, 500))
    values = rng.normal(size=(500, 3))
    values[rng.random((500, 3)) < 0.2] = np.nan
    got = binned(x, values, 0, 10, 37)
    for column in range(37):
        inside = values[np.minimum((x / 10 * 37).astype(int), 36) == column]
        for c in range(3):
            part = inside[np.isfinite(inside[:, c]), c]
            assert got[column, c] == part.max() if len(part) else np.isnan(got[column, c])
    mask = rng.random(200) < 0.5
    assert sorted(i for a, b in runs(mask) for i in range(a, b)) == np.flatnonzero(mask).tolist()
    assert all(a > 0 and not mask[a - 1] for a, _ in runs(mask)[1:])


@pytest.mark.parametrize(
    ("start", "unit", "span", "texts", "second"),
    [
        ("2026-03-01T22:30", "m", 240, ["23:00", "00:00", "01:00", "02:00"], "Mon 2 Mar 2026"),
        ("2026-12-29T12:00", "h", 120, ["Wed 30 Dec", "Thu 31 Dec", "Fri 1 Jan", "Sat 2 Jan", "Sun 3 Jan"], "2027"),
        ("2026-10-15", "D", 150, ["Nov", "Dec", "Jan", "Feb", "Mar"], "2027"),
        ("1999-05-01", "D", 2200, ["2000", "2001", "2002", "2003", "2004", "2005"], ""),
        ("2026-03-01T00:00:57", "s", 20, ["00:01:00", "00:01:05", "00:01:10", "00:01:15"], "Sun 1 Mar 2026"),
    ],
)
def test_ticks_stand_at_whole_units_and_name_what_changes(
    start: str, unit: Any, span: int, texts: list[str], second: str
) -> None:
    times = np.datetime64(start, unit) + np.arange(span + 1) * np.timedelta64(1, unit)
    clock = Clock(times, span + 1)
    ticks = clock.ticks(Axis(float(clock.x[0]), float(clock.x[-1]), 0, 500), 6)
    assert [t.text for t in ticks] == texts
    assert second in [t.second for t in ticks]
    for tick in ticks:
        assert tick.at in clock.x, "a whole unit is a row of such a series"


@pytest.mark.parametrize("hours", [0.0001, 0.01, 0.3, 2, 7, 30, 100, 400, 2000, 9000, 40_000, 400_000, 2_000_000])
def test_ticks_are_few_and_in_order_for_any_span(hours: float) -> None:
    times = np.datetime64("1990-02-03T04:05:06", "ns") + (np.linspace(0, hours * 3.6e12, 5)).astype("timedelta64[ns]")
    clock = Clock(times, 5)
    for most in (3, 5, 14):
        places = [t.at for t in clock.ticks(Axis(float(clock.x[0]), float(clock.x[-1]), 0, 500), most)]
        assert places == sorted(set(places)) and len(places) <= most + 2
        assert len(places) >= 1 or most == 3


def test_times_and_durations_in_words() -> None:
    clock = Clock(np.datetime64("2026-11-20T14:02", "m") + np.arange(300) * np.timedelta64(5, "m"), 300)
    assert clock.said(1) == "2026-11-20 14:07"
    assert clock.lasted(0, 12) == "1 h" and clock.lasted(3, 4) == "5 min"
    assert Clock(np.array(["2026-11-20", "2026-11-21"], "datetime64[D]"), 2).said(1) == "2026-11-21"
    assert Clock(None, 2000).said(1234) == "row 1,234" and Clock(None, 20).lasted(3, 4) == "1 row"


def test_names_are_cut_in_the_middle_where_ends_tell_them_apart() -> None:
    assert short("bearing temperature 1", 12) != short("bearing temperature 2", 12)
    assert len(short("x" * 50, 12)) == 12 and short("flow", 12) == "flow"


def test_blame_given_row_by_row_is_drawn_as_parts_of_the_score() -> None:
    series = one_series(2)
    shares = np.tile([0.75, 0.25], (1000, 1))
    one = judged({**series, "shares": shares}, ["a", "b"])
    good = np.isfinite(series["score"])
    assert np.allclose(one.blame[good].sum(1), series["score"][good])
    assert "part of the score" in detection_html(found({**series, "shares": shares}))
    assert "distance from what was expected" in detection_html(found(series))
