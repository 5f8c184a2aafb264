"""The section on how good samples are: the model between ceiling and floors by each extractor, the bias over N.

Made from what details.json holds under "quality". No value stands without its extractor, the number of examples and
the rows that bound it (real against real above, noise and copies below).
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

from markupsafe import Markup

from .contents import Contents, entries
from .figures import Dot
from .layout import Cell, Figure, Note, Section, Table, csv_uri, data_table, measured
from .names import shown_name
from .numbers import column, number, parts, written
from .quality_charts import Rung, by_truncation, key_shape, ladder, over_n, trade
from .words import measure

__all__ = [
    "QUALITY",
    "dot",
    "extractor_phrase",
    "measured_on",
    "others_that_tell",
    "quality_tables",
    "sample_quality",
    "sides_of_main",
    "truncation_curves",
]

WIDE, NARROW, PANEL = 680.0, 358.0, 332.0
QUALITY = ("frechet_distance", "kernel_distance", "precision", "recall", "density", "coverage")
MOST_SAID = 6
"""Sentences about extractors that differ; the tables hold the rest."""
RULES = ".quality .num .second{white-space:nowrap}.quality tbody th{min-width:128px}"
FLOORS = {
    "noise": "values drawn one by one",
    "one example repeated": "no variety at all",
    "training set copied": "nothing new at all",
}
"""What the usual rows stand for; others are named as they are."""


def dot(found: Any) -> Dot | None:
    """A value with its 95 % interval, where the file holds one; a bare number is a value without."""
    table = found if isinstance(found, dict) else {"value": found}
    value, low, high = (number(table.get(k)) for k in ("value", "low", "high"))
    if not math.isfinite(value):
        return None
    return Dot(value, low, high) if math.isfinite(low) and math.isfinite(high) else Dot(value)


def _extractors(contents: Contents) -> list[dict[str, Any]]:
    """Those with a row that holds a measure; the first is the main one."""
    listed = [e for e in entries(contents.detail("quality").get("extractors")) if isinstance(e, dict)]
    return [e for e in listed if any(_known(row) for row in _rows(e))]


def _rows(extractor: dict[str, Any]) -> list[dict[str, Any]]:
    """The model first, then the ceiling, then the floors."""
    order = {"model": 0, "ceiling": 1, "floor": 2}
    listed = [row for row in entries(extractor.get("rows")) if isinstance(row, dict) and row.get("kind") in order]
    return sorted(listed, key=lambda row: order[row["kind"]])


def _known(row: dict[str, Any]) -> list[str]:
    return [key for key in QUALITY if dot(row.get(key)) is not None]


def _count(contents: Contents, key: str) -> int:
    found = contents.detail("quality").get(key)
    return found if isinstance(found, int) and not isinstance(found, bool) and found > 0 else 0


def measured_on(contents: Contents) -> str:
    """ "2,000 real and 2,000 made, test, seed 0"; empty where it is not known."""
    quality, counts = contents.detail("quality"), [_count(contents, key) for key in ("n_real", "n_made")]
    said = f"{counts[0]:,} real and {counts[1]:,} made" if all(counts) else ""
    seed = f"seed {quality['seed']}" if isinstance(quality.get("seed"), int) else ""
    return ", ".join(part for part in (said, str(quality.get("split") or ""), seed) if part)


def extractor_phrase(contents: Contents, *, short: bool = False) -> str:
    """ "features: classifier, 2,000 real and 2,000 made": what stands beside a distance that is named alone."""
    found = _extractors(contents)
    counts = [_count(contents, key) for key in ("n_real", "n_made")]
    name = f"features: {shown_name(found[0].get('name'))}" if found else ""
    said = f"{counts[0]:,} real and {counts[1]:,} made" if all(counts) else ""
    if short and all(counts) and counts[0] == counts[1]:
        said = f"{counts[0]:,} of each"
    return ", ".join(part for part in (name, said) if part)


def sample_quality(contents: Contents) -> Section | None:
    """None where no quality was measured."""
    extractors = _extractors(contents)
    if not extractors:
        return None
    section = Section("quality", "Sample quality")
    main = extractors[0]
    figures = [_ladder_figure(contents, main), _over_n_figure(main)]
    section.figures = [figure for figure in figures if figure is not None]
    section.sentences += _order_sentences(extractors)
    section.notes = [
        Note("Ceiling.", "Real against real: other real examples, measured as if a model had made them."),
        Note("Read it as.", "A distance means nothing alone: it depends on the extractor and on N. See where it lies."),
        Note("Precision, recall.", "Samples that look real; real examples it can make. Density and coverage say "
            "the same and mind outliers less."),
    ]  # fmt: skip
    return section


def quality_tables(contents: Contents) -> Section | None:
    """Every number by row and measure, one table an extractor; None where no quality was measured."""
    tables = [_table(contents, extractor) for extractor in _extractors(contents)]
    return Section("extractors", "Quality by extractor", tables=tables, full=True, rules=RULES) if tables else None


# -- the table ---------------------------------------------------------------------------------------------------------


def _table(contents: Contents, extractor: dict[str, Any]) -> Table:
    rows = _rows(extractor)
    keys = [key for key in QUALITY if any(dot(row.get(key)) is not None for row in rows)]
    name = shown_name(extractor.get("name") or "extractor")
    head = [Cell(f"By {name}"), *(Cell(measure(key).label, "num") for key in keys)]
    body = []
    for row in rows:
        called = shown_name(row.get("name"))
        said = Cell(called, "name strong" if row["kind"] == "model" else "name", second=FLOORS.get(called, ""))
        body.append([said, *(_cell(f"{name}/{called}/{key}", row.get(key)) for key in keys)])
    return Table(f"Sample quality by {name}", head, body, "quality", _about(contents, extractor))


def _cell(key: str, found: Any) -> Cell:
    known = dot(found)
    if known is None:
        return Cell("none", "num muted")
    shown = parts(known.value, known.low, known.high)
    values = {"value": known.value, "low": known.low, "high": known.high}
    unit = f" {shown.unit}" if shown.unit else ""
    return Cell(shown.value + unit, "num", repr(known.value), second=shown.interval, data=measured(key, values))


def _about(contents: Contents, extractor: dict[str, Any]) -> str:
    """Extractor, hash, width, how it was made, accuracy, N, split and seed in one line."""
    said = [shown_name(extractor.get("name") or "extractor")]
    if extractor.get("hash"):
        said.append(f"hash {shown_name(extractor['hash'])[:16]}")
    if isinstance(extractor.get("width"), int):
        said.append(f"{extractor['width']:,} wide")
    accuracy = dot(extractor.get("accuracy"))
    if accuracy is not None:
        right = written(accuracy.value, accuracy.low, accuracy.high)
        said.append(f"names {right} of held-out examples rightly")
    how = str(extractor.get("how") or "").rstrip(".")
    over = measured_on(contents)
    how = how[:1].upper() + how[1:]
    texts = ["; ".join(said), how, f"Measured on {over}" if over else "", "± and to: 95 % intervals"]
    return ". ".join(text for text in texts if text) + "."


# -- the model between its bounds --------------------------------------------------------------------------------------


def _ladder_figure(contents: Contents, extractor: dict[str, Any]) -> Figure | None:
    rows = _rows(extractor)
    model = next((row for row in rows if row["kind"] == "model"), None)
    if model is None:
        return None
    bounds = _placed(rows)
    rungs = []
    for key in _known(model):
        mine = dot(model[key])
        others = [(place, found) for place, row in bounds if (found := dot(row.get(key))) is not None]
        if mine is not None:
            rungs.append(Rung(measure(key).label, measure(key).better, mine, others))
    if not rungs:
        return None
    said = [f"{rung.title} {written(rung.model.value, rung.model.low, rung.model.high)}" for rung in rungs]
    summary = "The model: " + "; ".join(said) + "."
    signs = [(-1, "model, band: 95 % interval"), *((place, shown_name(row.get("name"))) for place, row in bounds)]
    key = Markup(" ").join(
        Markup('<span class="key-word">{} {}</span>').format(key_shape(place), name) for place, name in signs
    )
    head = ["row", "kind", "measure", "value", "low", "high"]
    saved = [
        [str(row.get("name")), row["kind"], name, found.value, *(math.nan if v is None else v for v in ends)]
        for row in rows
        for name in QUALITY
        if (found := dot(row.get(name))) is not None
        for ends in ((found.low, found.high),)
    ]
    phrase = extractor_phrase(contents)
    return Figure(
        f"The model between ceiling and floors, each measure on its own axis{f' ({phrase})' if phrase else ''}.",
        summary=summary,
        wide=[ladder(rungs, WIDE, summary)],
        narrow=[ladder(rungs, NARROW, summary)],
        key=key,
        csv=csv_uri(head, saved),
        csv_name="quality.csv",
    )


def _placed(rows: list[dict[str, Any]]) -> list[tuple[int, dict[str, Any]]]:
    """(sign, row) of the rows that bound the model: 0 for the first ceiling, then 1, 2, ..."""
    bounds = [row for row in rows if row["kind"] != "model"]
    first = 0 if bounds and bounds[0]["kind"] == "ceiling" else 1
    return list(enumerate(bounds, first))


def _over_n_figure(extractor: dict[str, Any]) -> Figure | None:
    found = extractor.get("frechet_over_n")
    curve = found if isinstance(found, dict) else {}
    points = []
    for pair in entries(curve.get("points")):
        n, value = (number(v) for v in pair) if isinstance(pair, list) and len(pair) == 2 else (math.nan, math.nan)
        if n >= 1 and math.isfinite(n) and math.isfinite(value):
            points.append((n, value))
    limit, error = number(curve.get("limit")), number(curve.get("error"))
    if len({n for n, _ in points}) < 2 or not math.isfinite(limit):
        return None
    points.sort()
    (few, at_few), (most, at_most) = points[0], points[-1]
    known = math.isfinite(error) and error > 0
    ends = (limit - error, limit + error) if known else (None, None)
    said = f"{written(limit, *ends)}{' (standard error of the line)' if known else ''}"
    summary = (
        f"With {written(few, form='count')} samples it is {written(at_few)}, with {written(most, form='count')} "
        f"{written(at_most)}; the straight line in 1/N ends at {said}."
    )
    rows = [[n, value] for n, value in points]
    texts = [list(t) for t in zip([written(n, form="count") for n, _ in points], column([v for _, v in points]),
        strict=True)]  # fmt: skip
    head = ["samples N", "frechet distance"]
    return Figure(
        f"Fréchet distance over the number of samples: its bias. {summary} Ring: where the line ends.",
        summary=summary,
        wide=[over_n(points, limit, error, WIDE, summary)],
        narrow=[over_n(points, limit, error, NARROW, summary)],
        table=data_table("Fréchet distance by number of samples", head, rows, texts),
        csv=csv_uri(head, rows),
        csv_name="frechet-over-n.csv",
    )


# -- do the extractors agree? ------------------------------------------------------------------------------------------


def _order_sentences(extractors: list[dict[str, Any]]) -> list[str]:
    """Where two extractors put the model on different sides of a ceiling or floor; that they do not, where so."""
    said, compared = [], 0
    for one, other in pairwise(extractors):
        first, second = _sides(one), _sides(other)
        shared = [pair for pair in first if pair in second]
        compared += len(shared)
        names = [shown_name(e.get("name")) for e in (one, other)]
        for row, key in shared:
            a, b = first[row, key], second[row, key]
            label = measure(key).label
            label = label if key == "frechet_distance" else label.lower()  # a person's name stays as it is
            if {a, b} == {"better", "worse"}:
                said.append(
                    f"The extractors differ: by {label}, {names[0]} puts the model on the {a} side of {row}, "
                    f"{names[1]} on the {b} side."
                )
            elif a != b and "same" in (a, b):
                sees = names[1] if a == "same" else names[0]
                side = b if a == "same" else a
                said.append(f"Only {sees} tells the model from {row} by {label} ({side}).")
    if compared and not said:
        said.append("Both extractors put the model on the same side of every ceiling and floor.")
    return sorted(said, key=lambda text: not text.startswith("The extractors differ"))[:MOST_SAID]


def _sides(extractor: dict[str, Any]) -> dict[tuple[str, str], str]:
    """For each bounding row and measure whether the model is "better", "worse", or the "same" within the intervals."""
    rows = _rows(extractor)
    model = next((row for row in rows if row["kind"] == "model"), {})
    found = {}
    for row in rows:
        if row["kind"] == "model":
            continue
        for key in QUALITY:
            mine, theirs = dot(model.get(key)), dot(row.get(key))
            if mine is not None and theirs is not None:
                found[shown_name(row.get("name")), key] = _side(mine, theirs, measure(key).better == "less")
    return found


def sides_of_main(contents: Contents) -> dict[tuple[str, str], str]:
    """(row, measure) to "better", "worse" or "same", by the main extractor; empty where there is none."""
    found = _extractors(contents)
    return _sides(found[0]) if found else {}


def others_that_tell(contents: Contents) -> list[str]:
    """Names of the other extractors by which the model is worse than real data in some measure."""
    found = _extractors(contents)[1:]
    tell = [e for e in found if any(s == "worse" and r == "real against real" for (r, _), s in _sides(e).items())]
    return [shown_name(e.get("name")) for e in tell]


def _side(mine: Dot, theirs: Dot, less: bool) -> str:
    low, high = _or(mine.low, mine.value), _or(mine.high, mine.value)
    other_low, other_high = _or(theirs.low, theirs.value), _or(theirs.high, theirs.value)
    if low <= other_high and other_low <= high:
        return "same"
    return "better" if (high < other_low) == less else "worse"


def _or(value: float | None, other: float) -> float:
    return other if value is None else value


# -- truncation --------------------------------------------------------------------------------------------------------


def truncation_curves(contents: Contents) -> Figure | None:
    """Fidelity against variety over the truncation of z, and what it does to distance and class accuracy."""
    listed = [t for t in entries(contents.detail("quality").get("truncation")) if isinstance(t, dict)]
    order = sorted(listed, key=lambda t: _or_inf(t.get("truncation")))
    names = [_truncation_name(t) for t in order]
    if len(order) < 2:
        return None
    wide, said = [], []
    for across, upright in (("recall", "precision"), ("coverage", "density")):
        pairs = [(name, dot(t.get(across)), dot(t.get(upright))) for name, t in zip(names, order, strict=True)]
        points = [(name, x, y) for name, x, y in pairs if x is not None and y is not None]
        if len(points) > 1:
            labels = (measure(across).label, measure(upright).label)
            text = (
                f"{labels[1]} goes from {written(points[0][2].value, decimals=2)} at {points[0][0]} to "
                f"{written(points[-1][2].value, decimals=2)} at {points[-1][0]}, {labels[0].lower()} from "
                f"{written(points[0][1].value, decimals=2)} to {written(points[-1][1].value, decimals=2)}."
            )
            wide.append(trade(points, labels, PANEL, text))
            said.append(text)
    for key in ("frechet_distance", "class_accuracy"):
        dots = [dot(t.get(key)) for t in order]
        if sum(d is not None for d in dots) > 1:
            word = measure(key)
            wide.append(by_truncation(names, dots, word.label, word.better or "more", PANEL))
    if not wide:
        return None
    keys = [*QUALITY, "class_accuracy"]
    rows = [[name, *(_value(t.get(key)) for key in keys)] for name, t in zip(names, order, strict=True)]
    summary = " ".join(said)
    return Figure(
        f"What truncation trades: a small one draws z near 0, where examples are usual and alike. {summary}",
        summary=summary or "Measures by truncation.",
        wide=wide,
        csv=csv_uri(["truncation", *keys], rows),
        csv_name="truncation.csv",
    )


def _value(found: Any) -> float:
    known = dot(found)
    return math.nan if known is None else known.value


def _or_inf(value: Any) -> float:
    found = number(value)
    return found if math.isfinite(found) else math.inf


def _truncation_name(entry: dict[str, Any]) -> str:
    value = number(entry.get("truncation"))
    return written(value) if math.isfinite(value) else "whole prior"
