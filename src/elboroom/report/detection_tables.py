"""The tables of the page of `detect`: events with their blame, what is simpler beside them, faults injected, data."""

from __future__ import annotations

import math
from typing import Any

from markupsafe import Markup

from .detection_series import Judged, short
from .figures import Dot, mark, mark_axis
from .layout import Cell, Figure, Table, csv_uri, measured, named
from .names import printable, shown_name, shown_text
from .numbers import column, number, written
from .plots import Axis, Canvas
from .words import plural

__all__ = ["beside_table", "events_file", "events_table", "full", "injected_table", "listed", "series_table", "wilson"]

BAR, BLAMED = 84.0, 3
"""Width of a bar of blame, and how many channels have one."""
MOST = 1000
"""Rows of the longest table; the CSV has all."""
MARK_WIDTH = 144.0


def listed(series: list[Judged]) -> list[tuple[Judged, int]]:
    """(series, place among its events) of all events, in the order of their numbers."""
    found = [(one, i) for one in series for i in range(len(one.events))]
    return sorted(found, key=lambda pair: pair[0].events[pair[1]].number)


def events_table(chosen: list[tuple[Judged, int]], threshold: float, caption: str, *, several: bool) -> Table:
    """A row an event."""
    labelled = any(one.labels is not None for one, _ in chosen)
    blamed = any(len(one.channels) > 1 for one, _ in chosen)  # of one channel there is nothing to say
    heads = [("No.", ""), *([("Series", "")] if several else []), ("From", ""), ("To", ""), ("Lasted", ""),
             ("Highest score", "num"), *([("Channels to blame", "")] if blamed else [])]  # fmt: skip
    if labelled:
        heads.append(("Labels", ""))
    rows = []
    scores = column([one.events[i].score for one, i in chosen[:MOST]])
    for (one, i), score in zip(chosen[:MOST], scores, strict=True):
        event = one.events[i]
        cells = [Cell(markup=_badge(event.number), css="number")]
        cells += [named(one.name)] if several else []
        times = threshold > 0 and math.isfinite(event.score)
        cells += [
            Cell(one.clock.said(event.start), "when"),
            Cell(one.clock.said(event.stop - 1), "when"),
            Cell(one.clock.lasted(event.start, event.stop)),
            Cell(score, "num", full(event.score), data=measured("score", {"value": event.score}),
                 second=f"{written(event.score / threshold, decimals=1)} × threshold" if times else ""),
            *([Cell(markup=_blame(one, i), css="blame-cell")] if blamed else []),
        ]  # fmt: skip
        if labelled:
            cells.append(Cell(_label(one, i), "muted"))
        rows.append(cells)
    note = f"The first {MOST:,} of {len(chosen):,} events; the csv has all." if len(chosen) > MOST else ""
    return Table(caption, [Cell(*head) for head in heads], rows, "events", note)


def _badge(number_: int) -> Markup:
    return Markup('<span class="badge-cell">{}</span>').format(number_)


def _blame(one: Judged, i: int) -> Markup:
    """The channels with the largest shares, each with a bar."""
    shares = one.events[i].channels
    lines = []
    for name, share in shares[:BLAMED]:
        part = min(max(share, 0.0), 1.0) if math.isfinite(share) else 0.0
        canvas = Canvas(BAR, 8)
        canvas.rect(0, 1, BAR, 6, "bar-room")
        canvas.rect(0, 1, BAR * part, 6, "c1 fill")
        text = written(share, form="share", decimals=0)
        line = '<span class="blamed"><bdi translate="no" title="{}">{}</bdi>{}<span class="num">{}</span></span>'
        lines.append(Markup(line).format(printable(name), short(name, 32), canvas.svg("", "bar"), text))
    rest = len(one.channels) - BLAMED
    if rest > 0 and len(shares) > BLAMED:
        left = sum(share for _, share in shares[BLAMED:] if math.isfinite(share))
        text = f"{plural(rest, 'other')}: {written(left, form='share', decimals=0)}"
        lines.append(Markup('<span class="second">{}</span>').format(text))
    return Markup("").join(lines) or Markup("none")


def _label(one: Judged, i: int) -> str:
    if one.labels is None:
        return "none given"
    return "overlaps" if one.labels[one.events[i].start : one.events[i].stop].any() else "elsewhere"


def events_file(series: list[Judged], threshold: float) -> Figure:
    """All events as a link."""
    head = ["number", "series", "from", "to", "start_row", "stop_row", "score", "threshold", "blame"]
    rows = []
    for one, i in listed(series):
        e = one.events[i]
        blame = "; ".join(f"{name} {share:.4f}" for name, share in e.channels)
        ends = one.clock.said(e.start), one.clock.said(e.stop - 1)
        rows.append([e.number, one.name, *ends, e.start, e.stop, e.score, threshold, blame])
    return Figure(caption="", csv=csv_uri(head, rows), csv_name="events.csv")


def full(value: float) -> str:
    """Full precision for a tooltip; nothing where there is no value."""
    return repr(value) if math.isfinite(value) else ""


# -- what is simpler ---------------------------------------------------------------------------------------------------


def beside_table(found: dict[str, Any], *, labelled: bool) -> Table:
    """This run first, then each baseline with what it may look at, and how they differ or agree."""
    listed_ = found.get("beside") or []
    axis = _difference_axis(listed_)
    heads = [Cell("Detector"), Cell("Protocol")]
    if labelled:
        heads += [Cell("VUS-PR", "num"), Cell("This run less it, 95 % interval", "num"), Cell("", "mark-cell"),
                  Cell("What can be said")]  # fmt: skip
    else:
        heads.append(Cell("Events it agrees on", "num"))
    ours = found.get("ours") or {}
    alarms = plural(int(ours.get("alarms") or 0), "alarm")
    future = found.get("smoothing") == "centred"
    own = [Cell(shown_name(ours.get("title") or found.get("model") or "this run"), second=f"this run, {alarms}"),
           Cell("uses rows after" if future else "rows before only", "muted")]  # fmt: skip
    own += [_vus(ours, _wins(listed_)), Cell(), Cell(css="mark-cell"), Cell()] if labelled else [Cell("", "num")]
    rows = [own]
    for entry in listed_:
        row = [Cell(shown_name(entry.get("title") or ""), second=shown_text(entry.get("how") or "")),
               Cell(protocol(entry), "muted")]  # fmt: skip
        rows.append(row + (_compared(entry, number(ours.get("vus_pr")), axis) if labelled else [_agreement(entry)]))
    return Table("What is simpler, beside this run", heads, rows, "beside")


def protocol(entry: dict[str, Any]) -> str:
    """What a baseline may look at, in words."""
    said = [] if entry.get("causal") else ["uses rows after"]
    said += ["fitted on the rows it scores"] if entry.get("transductive") else []
    return "; ".join(said) or "rows before only"


def _difference(entry: dict[str, Any]) -> tuple[float, float, float] | None:
    """Value, low and high of this run's measure less the baseline's."""
    given = entry.get("difference") or {}
    ends = tuple(number(given.get(name)) for name in ("value", "low", "high"))
    return (ends[0], ends[1], ends[2]) if math.isfinite(ends[0]) else None


def _wins(entries: list[dict[str, Any]]) -> bool:
    """Whether this run beats every baseline with the interval clear of 0."""
    known = [_difference(e) for e in entries]
    return bool(known) and all(d is not None and d[1] > 0 for d in known)


def _vus(entry: dict[str, Any], best: bool) -> Cell:
    value = number(entry.get("vus_pr"))
    css = "num best" if best else "num"
    return Cell(written(value, decimals=3), css, full(value), data=measured("vus_pr", {"value": value}))


def _difference_axis(entries: list[dict[str, Any]]) -> Axis | None:
    values = [v for d in map(_difference, entries) if d is not None for v in d]
    widest = max((d[2] - d[1] for d in map(_difference, entries) if d and math.isfinite(d[2] - d[1])), default=0.0)
    return mark_axis([*values, 0.0], MARK_WIDTH, widest) if values else None


def _compared(entry: dict[str, Any], ours: float, axis: Axis | None) -> list[Cell]:
    """Measure, difference with its interval and mark, and what can be said of them."""
    difference = _difference(entry)
    cells = [_vus(entry, False)]
    if difference is None:
        apart = ours - number(entry.get("vus_pr"))
        text = f"{written(apart, decimals=3)}, no interval" if math.isfinite(apart) else "none"
        return [*cells, Cell(text, "num muted"), Cell(css="mark-cell"), Cell("no interval was worked out", "muted")]
    value, low, high = difference
    if math.isfinite(low) and math.isfinite(high):
        dot, text = Dot(value, low, high), written(value, low, high)
        said = "this run is better" if low > 0 else "it is better than this run" if high < 0 else "cannot be told apart"
    else:
        dot, text, said = Dot(value), f"{written(value, decimals=3)}, no interval", "too few events to tell"
    data = measured("difference", {"value": value, "low": low, "high": high})
    drawn = mark([dot], [0.0], axis, MARK_WIDTH)
    return [*cells, Cell(text, "num", full(value), data=data), Cell(css="mark-cell", markup=drawn), Cell(said)]


def _agreement(entry: dict[str, Any]) -> Cell:
    value = number(entry.get("agreement"))
    text = written(value, form="share", decimals=0)
    return Cell(text, "num", full(value), data=measured("agreement", {"value": value}))


# -- faults injected, data ---------------------------------------------------------------------------------------------


def wilson(found: int, of: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927, JASA 22)."""
    if of <= 0:
        return 0.0, 1.0
    z, share = 1.959963984540054, found / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    return max(0.0, middle - half), min(1.0, middle + half)


def injected_table(injected: dict[str, Any]) -> Table:
    """Of each kind of fault how many were found."""
    axis = Axis(0.0, 1.0, 4, MARK_WIDTH - 4)
    kinds = [(str(name), int(a), int(b)) for name, (a, b) in (injected.get("kinds") or {}).items()]
    total = ("all kinds", int(injected.get("found") or 0), int(injected.get("of") or 0))
    rows = []
    for name, got, of in [total, *kinds]:
        low, high = wilson(got, of)
        share = got / of if of else math.nan
        rows.append([
            Cell(name) if name == total[0] else named(name.replace("_", " ")),
            Cell(f"{got:,} of {of:,}", "num", data=measured("found", {"value": share, "low": low, "high": high})),
            Cell(f"{written(low, form='share', decimals=0)} to {written(high, form='share', decimals=0)}", "num muted"),
            Cell(css="mark-cell", markup=mark([Dot(share, low, high)], [], axis, MARK_WIDTH)),
        ])  # fmt: skip
    heads = [Cell("Kind of fault"), Cell("Found", "num"), Cell("95 % interval", "num"), Cell("0 to 100 %", "mark-cell")]
    return Table("Faults put in on purpose", heads, rows, "injected")


def series_table(series: list[Judged]) -> Table:
    """What was read, a row a series."""
    heads = [("Series", ""), ("Rows", "num"), ("From", ""), ("To", ""), ("Judged", "num"), ("Values missing", "num"),
             ("Gaps", "num"), ("Events", "num")]  # fmt: skip
    rows = []
    for one in series[:MOST]:
        missing = float((one.values != one.values).mean()) if one.values.size else 0.0
        ends = [one.clock.said(0), one.clock.said(len(one) - 1)] if len(one) else ["none", "none"]
        rows.append([
            named(one.name or "the series"), Cell(written(len(one), form="count"), "num"),
            *(Cell(text, "when") for text in ends), Cell(written(one.judged_rows, form="count"), "num"),
            Cell(written(missing, form="share", decimals=1), "num"), Cell(f"{max(0, len(one.segments) - 1):,}", "num"),
            Cell(f"{len(one.events):,}", "num"),
        ])  # fmt: skip
    note = f"The first {MOST:,} of {len(series):,} series." if len(series) > MOST else ""
    return Table("What was read", [Cell(*head) for head in heads], rows, "read", note)
