"""The page of `detect`: what was found in a series, when and in which channels, and how far that can be trusted.

`detection_html` takes one dictionary of plain values and numpy arrays. Its keys:

- `name`, `command`, `date`, `versions`, `seed`, `model`, `settings`, `steps`, `took_s`: what was done;
- `headline`, `headline_more`, `problems`: sentences;
- `threshold`, `rate` (false alarms a row asked for), `per_day`, `how`, `smoothing` ("centred" or "causal"), `width`
  (rows of the moving mean), `width_words`, `tail` ("initial", "shape", "scale", "peaks", "rows"), `calibration` (N,),
  `merge` (rows of rest that part two alarms; `width` where it is missing);
- `channels` (C names) and `series`, each with `name`, `times` (T,) or None, `values`, `expected`, `sd` (T, C), `score`
  (T,), `train`, `stretches`, `labels` (T,) or None, `segments`, `events` ("number", "start", "stop", "peak", "score",
  "channels": [(name, share)]), and, where they are known, `shares` (T, C) of the blame;
- `ours`, `beside`, `left_out`: what is simpler. A `difference` is this run's VUS-PR less the other's;
- `injected`: faults put in on purpose, and how many were found.

NaN is a value that does not exist. Rows are start <= row < stop.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from markupsafe import Markup

from .assembly import on_paper, page
from .detection_plots import close_up, overview
from .detection_series import Judged, judged
from .detection_tables import (
    beside_table,
    events_file,
    events_table,
    full,
    injected_table,
    listed,
    series_table,
    wilson,
)
from .detection_threshold import threshold_figure
from .figures import Dot, mark
from .heat import page_rules
from .layout import Cell, Note, Section, Table, measured, named
from .measures import Headline
from .names import shown_name, shown_text
from .numbers import number, written
from .plots import Axis
from .record import value_text
from .words import plural

__all__ = ["detection_html"]

CLOSE = 8
"""Events drawn close up."""
DRAWN = 12
"""Series drawn whole."""
WITH_CHANNELS = 2
"""Up to so many series are drawn with their channels."""
FIRST = 15
"""Events of the first table."""
MARK_WIDTH = 200.0
DAY = 86_400.0


def detection_html(found: dict[str, Any]) -> str:
    """The page made of one dictionary, as the head of this file lists it."""
    channels = [str(c) for c in found.get("channels") or []]
    series = [judged(entry, channels) for entry in found.get("series") or []]
    events = listed(series)
    counted = plural(len(events), "event") if events else "No event"
    name = shown_name(found.get("name") or "the series")
    several = len(series) > 1
    made = [
        _events(found, series),
        _score(found, series),
        _close(found, series),
        _threshold(found),
        _beside(found, series),
        _injected(found),
        _data(found, series),
    ]
    sections = [s for s in made if s is not None]
    for i, figure in enumerate((f for s in sections for f in s.figures if f.caption), 1):
        figure.number = i
    every = f"All {len(events):,} events in their order"
    style = (Path(__file__).parent / "detection.css").read_text(encoding="utf-8")
    return page(
        "detection.html",
        page_rules() + style + on_paper(name, "detect"),
        title=f"{counted} in {name}",
        counted=f"{counted} in {len(series)} series of" if several else f"{counted} in",
        name=name,
        when=_when(found),
        verdict=shown_text(found.get("headline") or ""),
        more=[shown_text(text) for text in found.get("headline_more") or []],
        headlines=_headlines(found, series),
        sections=sections,
        all_events=events_table(events, number(found.get("threshold")), every, several=several)
        if len(events) > FIRST
        else None,
        command=shown_text(found.get("command") or ""),
        versions=[f"{shown_name(k)} {shown_name(v)}" for k, v in (found.get("versions") or {}).items()],
        settings=_settings(found),
    )


def _when(found: dict[str, Any]) -> list[str]:
    took, said = number(found.get("took_s")), [shown_name(found.get("date") or "")]
    if took > 0:
        said.append(f"trained in {written(took, form='time')}")
    if found.get("seed") is not None:
        said.append(f"seed {shown_name(found['seed'])}")
    return [text for text in said if text]


def _headlines(found: dict[str, Any], series: list[Judged]) -> list[Headline]:
    """How many, how high, where the threshold lies, and the one figure that says how good it is."""
    threshold, rate = number(found.get("threshold")), number(found.get("rate"))
    count, rows = sum(len(one.events) for one in series), sum(one.judged_rows for one in series)
    chance = f"; about {written(rows * rate, decimals=1)} to be expected by chance" if rate > 0 and rows else ""
    out = [
        _plain(
            "Events", f"{count:,}", f"in {rows:,} judged rows", f"scores above the threshold{chance}", "events", count
        ),
        _plain("Threshold", written(threshold), "", _stands_for(found), "threshold", threshold),
    ]
    best = max((e for one in series for e in one.events), key=lambda e: e.height, default=None)
    if best is not None:
        factor = f"{written(best.score / threshold, decimals=1)} × threshold" if threshold > 0 else ""
        out.append(
            _plain("Highest score", written(best.score), "", f"event {best.number}; {factor}", "score", best.score)
        )
    ours, injected = number((found.get("ours") or {}).get("vus_pr")), found.get("injected")
    if math.isfinite(ours):
        note = "1 is perfect; no interval for one detector alone, see its differences"
        axis = Axis(0, 1, 4, MARK_WIDTH - 4)
        others = [number(e.get("vus_pr")) for e in found.get("beside") or []]
        drawn = mark([Dot(ours)], [v for v in others if math.isfinite(v)], axis, MARK_WIDTH)
        note = f"grey ticks: what is simpler; {note}" if others else note
        out.append(_plain("VUS-PR (TSB)", written(ours, decimals=3), "", note, "vus_pr", ours, drawn))
    elif injected and injected.get("of"):
        got, of = int(injected["found"]), int(injected["of"])
        low, high = wilson(got, of)
        drawn = mark([Dot(got / of, low, high)], [], Axis(0, 1, 4, MARK_WIDTH - 4), MARK_WIDTH)
        ends = f"{written(low, form='share', decimals=0)} to {written(high, form='share', decimals=0)}"
        out.append(_plain("Injected faults found", f"{got}", f"of {of} ({ends})", "not the same as finding real ones",
                          "injected", got / of, drawn))  # fmt: skip
    return out


def _plain(
    label: str, big: str, small: str, note: str, key: str, value: float, drawn: Markup | None = None
) -> Headline:
    data = {"value": "", **measured(key, {"value": value})}
    return Headline(label, big, small, drawn or Markup(""), note, data, full(value))


def _stands_for(found: dict[str, Any]) -> str:
    """The rate of false alarms in words."""
    rate, per_day = number(found.get("rate")), number(found.get("per_day"))
    said = []
    if rate > 0:
        said.append(f"one false alarm in {written(round(1 / rate), form='count')} rows asked for")
    if per_day > 0:
        often = f"{written(per_day)} a day" if per_day >= 1 else f"one in {written(DAY / per_day, form='time')}"
        said.append(f"that is {often}")
    return ", ".join(said) or "no rate was asked for"


def _events(found: dict[str, Any], series: list[Judged]) -> Section:
    section, events = Section("events", "Events", full=True), listed(series)
    threshold = number(found.get("threshold"))
    if not events:
        section.sentences.append(f"No judged row has a score above the threshold of {written(threshold)}.")
        return section
    chosen = events
    if len(events) > FIRST:
        chosen = sorted(events, key=lambda p: -p[0].events[p[1]].height)[:FIRST]
    section.tables.append(events_table(chosen, threshold, "Events", several=len(series) > 1))
    if len(events) > FIRST:
        section.tables[0].note = f"The {FIRST} highest of {len(events):,} events, in the order of their scores."
    blame = (
        "Blame is the share of an event's score that a channel adds, the mean over its rows; the shares of all "
        "channels make 100 %. "
    )
    ends = "An event ends where the score has rested below the threshold."
    section.sentences.append(f"{blame if any(len(one.channels) > 1 for one in series) else ''}{ends}")
    section.figures.append(events_file(series, threshold))
    return section


def _score(found: dict[str, Any], series: list[Judged]) -> Section | None:
    section = Section("score", "The whole series" if len(series) == 1 else "The series", full=True)
    shown = [one for one in series if len(one)]
    if not shown:
        return None
    if len(shown) > DRAWN:
        highest = sorted(shown, key=lambda one: -max((e.height for e in one.events), default=-math.inf))[:DRAWN]
        shown = [one for one in shown if any(one is h for h in highest)]
        left = sum(len(one.events) for one in series) - sum(len(one.events) for one in shown)
        section.sentences.append(
            f"The {DRAWN} of {len(series):,} series with the highest scores; the others hold {plural(left, 'event')}, "
            "which the tables list."
        )
    few = len(series) <= WITH_CHANNELS
    section.figures = [overview(one, number(found.get("threshold")), with_channels=few) for one in shown]
    return section


def _close(found: dict[str, Any], series: list[Judged]) -> Section | None:
    events = sorted(listed(series), key=lambda p: -p[0].events[p[1]].height)
    if not events:
        return None
    section = Section("close", "Events close up")
    threshold, width = number(found.get("threshold")), int(found.get("width") or 1)
    section.figures = [close_up(one, one.events[i], threshold, width) for one, i in events[:CLOSE]]
    if len(events) > CLOSE:
        section.sentences.append(f"The {CLOSE} highest of {len(events):,} events; the table above has all.")
    section.notes = [
        Note("Expected.", "What the model expected of each row from the rows before it; the band is two standard "
             "deviations about it, which holds 95 % of the rows where errors are normal."),
        _about_score(found),
    ]  # fmt: skip
    if len(found.get("channels") or []) > 1:
        shares = any(one.shares is not None for one in series)
        text = ("Stronger: a larger part of the score lies with the channel." if shares else
                "Stronger: farther from what was expected, in standard deviations.")  # fmt: skip
        section.notes.append(Note("Blame by channel.", text))
    return section


def _about_score(found: dict[str, Any]) -> Note:
    """What the score is, and which rows it uses."""
    rows = int(found.get("width") or 1)
    words = str(found.get("width_words") or "")
    span = (
        f"{shown_name(words)}, {plural(rows, 'row')}" if words and not words.endswith("rows") else plural(rows, "row")
    )
    text = f"The mean of the squared errors of all channels and steps ahead, in units of those of training, over {span}"
    if found.get("smoothing") == "centred":
        return Note(
            "Score.", f"{text}, centred: rows after the one it judges count too, so it is not to be had as rows arrive."
        )
    return Note("Score.", f"{text}, up to the row it judges: it can be had while rows arrive.")


def _threshold(found: dict[str, Any]) -> Section:
    section = Section("threshold", "The threshold")
    figure = threshold_figure(found)
    if figure is None:
        section.sentences.append("There are no calibration scores to draw.")
    else:
        section.figures.append(figure)
    stands = _stands_for(found)
    section.notes.append(Note("It stands for", f"{stands}, if what comes is like the calibration stretch."))
    how = shown_text(found.get("how") or "")
    if how:
        section.notes.append(Note("How it was set.", f"{how[:1].upper()}{how[1:].rstrip('.')}."))
    section.notes.append(Note("No label", "was used to set it."))
    return section


def _beside(found: dict[str, Any], series: list[Judged]) -> Section | None:
    entries, left_out = found.get("beside") or [], found.get("left_out") or {}
    if not entries and not left_out:
        return None
    section = Section("beside", "What is simpler, beside it", full=True)
    labelled = any(one.labels is not None for one in series) and math.isfinite(
        number((found.get("ours") or {}).get("vus_pr"))
    )
    if entries:
        section.tables.append(beside_table(found, labelled=labelled))
    given = any(one.labels is not None for one in series)
    if labelled:
        section.sentences.append(
            "VUS-PR: volume under the precision-recall surface, as TSB-AD computes it; more is better. Bold: better "
            "than every other, with the interval of each difference clear of 0."
        )
    else:
        why = "The labels gave no VUS-PR" if given else "No labels were given"
        section.sentences.append(
            f"{why}, so nothing here says which detector is right, and none can be named the winner. "
            "Agreement: the share of this run's events whose rows are among the highest scores of the other."
        )
    for name, why in left_out.items():
        title = shown_name(name)
        section.sentences.append(f"{title[:1].upper()}{title[1:]} was left out: {shown_text(why).rstrip('.')}.")
    return section


def _injected(found: dict[str, Any]) -> Section | None:
    injected = found.get("injected")
    if not injected or not injected.get("of"):
        return None
    section = Section("injected", "Faults put in on purpose")
    section.tables.append(injected_table(injected))
    section.notes.append(Note(
        "What it says.", "Faults of known kinds were put into the calibration stretch, and this many were found. Real "
        "faults may be of other kinds and sizes. Intervals: 95 %, Wilson's.",
    ))  # fmt: skip
    return section


def _data(found: dict[str, Any], series: list[Judged]) -> Section:
    section = Section("data", "Data", full=True)
    section.tables.append(series_table(series))
    problems = [shown_text(text) for text in found.get("problems") or []]
    problems = [f"{text[:1].upper()}{text[1:].rstrip('.')}." for text in problems if text]
    section.sentences += problems or ["Nothing in the data had to be repaired."]
    return section


def _settings(found: dict[str, Any]) -> Table | None:
    """What the model was made with."""
    rows = [("model", found.get("model")), ("steps", found.get("steps")), ("smoothing", found.get("smoothing")),
            ("width", found.get("width")), *(found.get("settings") or {}).items()]  # fmt: skip
    cells = [[named(k, "code"), Cell(value_text(v), "num", is_name=True)] for k, v in rows if v is not None]
    return Table("All settings", [Cell("Setting"), Cell("Value", "num")], cells, "plain") if cells else None
