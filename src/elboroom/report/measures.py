"""Headline figures, the table of all measures, and the columns of a table against their baselines."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from .contents import Contents, entries
from .figures import Dot, mark, mark_axis
from .layout import Cell, Figure, Section, Table, csv_uri, measured, named
from .names import shown_name
from .numbers import beside, decimals_for, parts, written
from .plots import Axis
from .quality import QUALITY, extractor_phrase
from .words import HEADLINES, MEASURES, Word, measure, plural

__all__ = ["Headline", "all_measures", "by_column", "headlines", "latent_width", "value_text"]

HEADLINE_WIDTH = 200.0
TABLE_WIDTH = 128.0
MOST_COLUMNS = 200
STEMS = {"mae": "Error", "r2": "R²", "correlation": "Correlation", "accuracy": "Right"}
BESIDE = {"model": "this run", "pca": "PCA", "ridge": "ridge", "nearest": "nearest rows", "mean": "mean"}
SHARES = ("precision", "recall", "density", "coverage", "class_accuracy", "high_quality_share")


@dataclass
class Headline:
    """One figure on top of the page."""

    label: str
    big: str
    small: str
    mark: Markup
    note: str
    data: dict[str, str] = field(default_factory=dict)
    title: str = ""


def latent_width(contents: Contents) -> int:
    """Dimensions of the code; 0 where there is none."""
    rates = entries(contents.details.get("rate_by_dimension"))
    if rates:
        return len(rates)
    if "z" in contents.codes:
        return int(contents.codes["z"].shape[1])
    latent = contents.part("settings").get("latent")
    return latent if isinstance(latent, int) else 0


def _total(contents: Contents, key: str) -> int:
    """What a count is out of; 0 where that is not known."""
    if key == "active_units":
        return latent_width(contents)
    if key != "modes_found":
        return 0
    quality = contents.detail("quality")
    known = quality["modes"].get("known") if isinstance(quality.get("modes"), dict) else None
    classes = quality["classes"].get("real") if isinstance(quality.get("classes"), dict) else None
    if isinstance(known, int) and not isinstance(known, bool):
        return known
    return sum(_number(share) not in (None, 0.0) for share in entries(classes))


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _references(found: dict[str, Any]) -> list[tuple[str, float]]:
    listed = [r for r in entries(found.get("references")) if isinstance(r, dict)]
    pairs = [(str(r.get("name")), _number(r.get("value"))) for r in listed]
    return [(name, value) for name, value in pairs if value is not None]


def headlines(contents: Contents) -> list[Headline]:
    """Four at most, by the order of words.HEADLINES."""
    chosen: list[str] = []
    for line in HEADLINES:
        for key in line:
            if _number(contents.metrics.get(key, {}).get("value")) is not None:
                if key not in chosen:
                    chosen.append(key)
                break
    return [_headline(contents, key, contents.metrics[key]) for key in chosen[:4]]


def _headline(contents: Contents, key: str, found: dict[str, Any]) -> Headline:
    word = measure(key)
    value, low, high = (_number(found.get(n)) for n in ("value", "low", "high"))
    if value is None:
        raise ValueError(f"{key} has no value")
    references = _references(found)
    if key in QUALITY:  # a headline has room for one bound on each side
        references = [r for r in references if r[0] in ("real against real", "noise")] or references
    split = str(found.get("split") or "")
    total = _total(contents, key)
    unit = str(found.get("unit") or "")
    if word.of:
        big, small = written(value, form="count"), f"of {total:,}" if total else ""
        if low is not None and high is not None and low < high:
            small += f" ({written(low, form='count')} to {written(high, form='count')})"
        axis: Axis | None = Axis(0, (total or max(value, 1)) * 1.02, 4, HEADLINE_WIDTH - 4)
        ends = (value, value) if low is None or high is None else (low, high)
        drawn = mark([Dot(value, *ends)], [float(total)] if total else [], axis, HEADLINE_WIDTH)
        told = str(found.get("how") or word.meaning).split(", of ")[0]
        idle = "carry nothing" if key == "active_units" else "missed"
        note = told + (f"; {total - int(value):,} {idle}" if total > int(value) else "")
    else:
        shown = parts(value, low, high)
        big = shown.value
        small = " ".join(p for p in (shown.interval, _short_unit(key, unit)) if p)
        values = [v for v in (value, low, high) if v is not None] + [v for _, v in references]
        values += [0.0] if key in SHARES else []  # shares are read from 0
        axis = mark_axis(values, HEADLINE_WIDTH, _width(low, high))
        drawn = mark([Dot(value, low, high)], [v for _, v in references], axis, HEADLINE_WIDTH)
        note = _ticks_note(references, decimals_for(value, low, high), bool(axis and axis.log)) or word.meaning
        if low is None or high is None:
            note = f"no interval; {note}"
        beside_it = extractor_phrase(contents) if key in QUALITY else ""
        note = f"{beside_it}; {note}" if beside_it else note
    label = word.label if split in ("", "all") else f"{word.label}, {split}"
    return Headline(label, big, small, drawn, note, measured(key, found), repr(found.get("value")))


def _width(low: float | None, high: float | None) -> float:
    return high - low if low is not None and high is not None else 0.0


def _short_unit(key: str, unit: str) -> str:
    """The unit beside a headline, left out where the label says it or the line has no room."""
    short = "nats" if unit.startswith("nats") and key.endswith("_nats") else _table_unit(unit)
    return "" if key in ("bits_per_dim", "bits_per_byte") or len(short) > 10 else short


def _ticks_note(references: list[tuple[str, float]], decimals: int | None, log: bool) -> str:
    if not references:
        return ""
    listed = ", ".join(f"{name} {beside(value, decimals)}" for name, value in references)
    return f"grey tick{'' if len(references) == 1 else 's'}: {listed}{'; log axis' if log else ''}"


def value_text(key: str, found: dict[str, Any], total: int = 0) -> str:
    """Value and interval of one measure as the tables write them, without the unit."""
    value, low, high = (_number(found.get(n)) for n in ("value", "low", "high"))
    if value is None:
        return "none"
    if measure(key).of:
        ends = (
            f" ({written(low, form='count')} to {written(high, form='count')})"
            if low != high and low is not None
            else ""
        )
        return written(value, form="count") + ends + (f" of {total:,}" if total else "")
    text = written(value, low, high)
    return text if low is not None and high is not None else f"{text}, no interval"


def all_measures(contents: Contents) -> Section:
    """One row a measure: value, unit, mark, split, N, how."""
    section = Section("measures", "All measures", full=True)
    if not contents.metrics:
        reason = contents.missing.get("metrics", "metrics.json holds none")
        section.sentences.append(f"Nothing was measured yet: {reason}.")
        return section
    order = {key: i for i, key in enumerate(MEASURES)}
    keys = sorted(contents.metrics, key=lambda k: order.get(k, len(order)))
    axes = _axes(contents, keys)
    rows = [_row(contents, key, axes[_group(contents, key)]) for key in keys]
    head = [
        Cell("Measure"),
        Cell("Value, 95 % interval", "num"),
        Cell("Unit"),
        Cell("Interval and reference points", "mark-cell"),
        Cell("Split"),
        Cell("N", "num"),
        Cell("How"),
    ]
    note = (
        "Marks of one unit, where the same way is better, share an axis; grey ticks: the reference points of the row."
    )
    section.tables.append(Table("All measures of this run", head, rows, "measures", note))
    return section


def _group(contents: Contents, key: str) -> tuple[str, str]:
    unit = str(contents.metrics[key].get("unit") or key)
    return (key, "") if measure(key).of else (unit, measure(key).better)


def _axes(contents: Contents, keys: list[str]) -> dict[tuple[str, str], Axis | None]:
    values: dict[tuple[str, str], list[float]] = {}
    widest: dict[tuple[str, str], float] = {}
    for key in keys:
        found, group = contents.metrics[key], _group(contents, key)
        numbers = [_number(found.get(n)) for n in ("value", "low", "high")]
        widest[group] = max(widest.get(group, 0.0), _width(numbers[1], numbers[2]))
        values.setdefault(group, []).extend(v for v in numbers if v is not None)
        values[group].extend(v for _, v in _references(found))
        if measure(key).of and _total(contents, key):
            values[group].extend([0.0, float(_total(contents, key))])
    return {group: mark_axis(found, TABLE_WIDTH, widest[group]) for group, found in values.items()}


def _row(contents: Contents, key: str, axis: Axis | None) -> list[Cell]:
    found, word = contents.metrics[key], measure(key)
    value, low, high = (_number(found.get(n)) for n in ("value", "low", "high"))
    total = _total(contents, key)
    references = _references(found)
    ticks = [v for _, v in references] or ([float(total)] if word.of and total else [])
    if word.of:
        low, high = (value, value) if low is None else (low, high)
    drawn = mark([Dot(value, low, high)], ticks, axis, TABLE_WIDTH) if value is not None else None
    decimals = decimals_for(value, low, high) if value is not None else None
    texts = [written(v, form="count") if word.of else beside(v, decimals) for _, v in references]
    named_references = "; ".join(f"{name} {text}" for (name, _), text in zip(references, texts, strict=True))
    how = str(found.get("how") or "")
    count = found.get("n")
    return [
        Cell(word.label, "name", second=_meaning(word)),
        Cell(value_text(key, found, total), "num", title=repr(found.get("value")), data=measured(key, found)),
        Cell(_table_unit(str(found.get("unit") or "")), "muted", title=str(found.get("unit") or "")),
        Cell("", "mark-cell", markup=drawn),
        Cell(str(found.get("split") or ""), "muted split"),
        Cell(written(count, form="count") if isinstance(count, int | float) else "", "num muted"),
        Cell(how, "how", second=f"beside it: {named_references}" if named_references else ""),
    ]


def _table_unit(unit: str) -> str:
    """ "nats/example" for "nats per example"; what has a comma stays as it is."""
    return unit if "," in unit else unit.replace(" per ", "/")


def _meaning(word: Word) -> str:
    better = f"{word.better} is better" if word.better else ""
    return "; ".join(p for p in (word.meaning, better) if p)


# -- columns of a table ------------------------------------------------------------------------------------------------


def by_column(contents: Contents) -> Section | None:
    """Each column's error beside what is simpler, rebuilt from a code or told from others; None without columns."""
    if not contents.columns:
        return None
    asked = contents.detail("imputation")
    heading = "Missing cells by column" if asked else "Reconstruction by column"
    section = Section("columns", heading, full=True)
    if asked:
        section.sentences += _asked(asked)
    predictors = _predictors(contents.columns)
    told_of = [(stem, who) for stem, who in predictors if stem in ("mae", "accuracy") or who == "model"]
    head = [Cell("Column"), Cell("Kind"), Cell("N", "num")]
    head += [Cell(text, "num") for text in _column_heads(told_of)]
    listed = sorted(contents.columns, key=_worst, reverse=True)[:MOST_COLUMNS]
    rows = [_column_row(column, told_of) for column in listed]
    names = {
        "mae": "Error: absolute, in the column's own unit, less is better",
        "r2": "R²: share of variance explained, 0 by the mean of a column",
        "correlation": "Correlation of told and measured",
        "accuracy": "Right: share of names right",
    }
    told = [v for k, v in names.items() if any(stem == k for stem, _ in predictors)]
    note = "; ".join([*told, "means over the held-out rows, no intervals"])
    note += ". Those least known stand first; the CSV has all numbers."
    section.sentences += _column_verdict(contents.columns)
    if len(contents.columns) > len(listed):
        note += f" The {len(listed)} worst of {len(contents.columns):,} columns; the CSV has all."
    section.tables.append(Table(heading, head, rows, "by-column", note))
    keys = ["name", "kind", "n", *(f"{stem}_{who}" for stem, who in predictors)]
    saved = csv_uri(keys, ([c.get(k, "") if c.get(k) is not None else "" for k in keys] for c in contents.columns))
    section.figures.append(Figure(caption="", csv=saved, csv_name="columns.csv"))
    return section


def _predictors(columns: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """(measure, who) of every number the entries hold, as "mae", "model"."""
    found: dict[tuple[str, str], None] = {}
    for column in columns:
        for key, value in column.items():
            stem, _, who = key.partition("_")
            if stem in STEMS and who and isinstance(value, int | float):
                found[(stem, who)] = None
    found.pop(("r2", "mean"), None)  # 0 by its definition
    order = list(BESIDE)
    return sorted(found, key=lambda p: (list(STEMS).index(p[0]), order.index(p[1]) if p[1] in order else 9))


def _column_heads(predictors: list[tuple[str, str]]) -> list[str]:
    return [f"{STEMS[stem]}, {BESIDE.get(name, name)}" for stem, name in predictors]


def _asked(asked: dict[str, Any]) -> list[str]:
    """What was hidden, and which columns are always known."""
    names = [str(name) for name in entries(asked.get("landmarks"))]
    said = [f"On held-out rows: {asked.get('question')}."]
    if names:
        listed = ", ".join(shown_name(name) for name in names[:12]) + (" …" if len(names) > 12 else "")
        said.append(f"Always known: {listed}.")
    return said


def _worst(column: dict[str, Any]) -> float:
    """Large for columns the model knows least about."""
    for key in ("r2_model", "accuracy_model"):
        value = _number(column.get(key))
        if value is not None:
            return 1 - value
    return -1.0


def _column_row(column: dict[str, Any], predictors: list[tuple[str, str]]) -> list[Cell]:
    cells = [named(column.get("name", ""), "name"), Cell(str(column.get("kind", "")), "muted")]
    cells.append(Cell(written(_number(column.get("n")), form="count"), "num muted"))
    for stem, who in predictors:
        value = _number(column.get(f"{stem}_{who}"))
        cells.append(Cell(_column_text(stem, value), "num", title="" if value is None else repr(value)))
    return cells


def _column_text(stem: str, value: float | None) -> str:
    if value is None:
        return ""
    if stem == "accuracy":
        return written(value, form="share", decimals=1)
    return written(value, decimals=3) if stem in ("r2", "correlation") else written(value)


def _column_verdict(columns: list[dict[str, Any]]) -> list[str]:
    """Of how many columns this run has the smaller error, against each simpler thing."""
    said = []
    others = {"pca": "PCA of the same width", "ridge": "ridge regression", "nearest": "the nearest training rows"}
    for who, name in (others | {"mean": "the mean (or commonest name) of each column"}).items():
        pairs = [(_number(c.get("mae_model")), _number(c.get(f"mae_{who}"))) for c in columns]
        pairs += [(_miss(c.get("accuracy_model")), _miss(c.get(f"accuracy_{who}"))) for c in columns]
        known = [(mine, theirs) for mine, theirs in pairs if mine is not None and theirs is not None]
        if known:
            better = sum(mine < theirs for mine, theirs in known)
            said.append(f"Its error is smaller than that of {name} in {better:,} of {plural(len(known), 'column')}.")
    return said


def _miss(right: Any) -> float | None:
    share = _number(right)
    return None if share is None else 1 - share
