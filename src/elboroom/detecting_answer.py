"""The answer of `detect` in words and files: who won, how far the detectors agree, which injected faults were found.

With labels every detector is measured on the rows that are judged, and the difference to the best baseline has a paired
interval; a winner is named only where that is clear of 0. Without labels none is named.
"""

from __future__ import annotations

import datetime
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from elboroom.anomalies.expected import expected
from elboroom.anomalies.faults import KINDS, inject, plan
from elboroom.artifacts import files
from elboroom.core.abilities import Forecasts
from elboroom.data.times import span
from elboroom.detecting import unjudged
from elboroom.engine.runtime import mix
from elboroom.metrics.detection import vus, vus_difference
from elboroom.report.numbers import MINUS
from elboroom.series_files import events_table, scores_table

if TYPE_CHECKING:
    from elboroom.detecting import Found, Judged

__all__ = ["agreement", "headline", "injected", "page", "versus", "write"]

Array = NDArray[np.float64]
EACH = 4
"""Injected faults of every kind."""
DRAWS = 100
DAY_NS = 86_400 * 10**9


def write(found: Found, folder: Path, command: str) -> tuple[str, list[str]]:
    """scores.csv, events.csv and report.html; gives the headline and what follows it."""
    from elboroom.report.detection import detection_html

    said = page(found, command)
    files.write_text(folder / "scores.csv", scores_table(found))
    files.write_text(folder / "events.csv", events_table(found))
    files.write_text(folder / "report.html", detection_html(said))
    return str(said["headline"]), list(said["headline_more"])


# -- who won -----------------------------------------------------------------------------------------------------------


def labelled(found: Found) -> list[Judged]:
    """Series with labels, and with an anomaly and something else among the rows that are judged."""
    return [
        one
        for one in found.judged
        if one.series.labels is not None
        and one.series.labels[one.train :].any()
        and not one.series.labels[one.train :].all()
    ]


def filled(score: Array) -> Array:
    """Scores of every row: where there is none, the lowest there is, so that nothing is claimed."""
    there = ~np.isnan(score)
    return np.where(there, score, score[there].min() if there.any() else 0.0)


def measured(one: Judged, score: Array, width: int) -> float:
    """VUS-PR on the rows that are judged."""
    assert one.series.labels is not None
    return vus(one.series.labels[one.train :], filled(score[one.train :]), width).pr


def versus(found: Found) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Ourselves, and every baseline, best first."""
    known, width = labelled(found), found.detector.width
    ours: dict[str, Any] = {"title": found.run.name, "alarms": found.events, "vus_pr": None}
    if known:
        ours["vus_pr"] = float(np.mean([measured(one, one.score, width) for one in known]))
    beside: list[dict[str, Any]] = []
    for place in range(len(found.judged[0].beside) if found.judged else 0):
        baseline = found.judged[0].beside[place].baseline
        scores = [one.beside[place].score for one in known]
        value = float(np.mean([measured(a, b, width) for a, b in zip(known, scores, strict=True)])) if known else None
        beside.append(
            {
                "name": baseline.name,
                "title": baseline.title,
                "how": baseline.how,
                "causal": baseline.causal,
                "transductive": baseline.transductive,
                "vus_pr": value,
                "difference": None,
                "agreement": agreement(found, place),
            }
        )
    if known and beside:
        beside.sort(key=lambda row: -row["vus_pr"])
        best = max(range(len(beside)), key=lambda i: (not beside[i]["transductive"], beside[i]["vus_pr"]))
        beside[best]["difference"] = _difference(found, known, beside[best]["name"])
    return ours, beside


def _difference(found: Found, known: list[Judged], name: str) -> dict[str, float] | None:
    """Our VUS-PR less that of a baseline, with a paired interval: over series where there are several, else rows."""
    pairs = [(one, next(b.score for b in one.beside if b.baseline.name == name)) for one in known]
    width = found.detector.width
    if len(pairs) == 1:
        one, score = pairs[0]
        assert one.series.labels is not None
        ours, theirs = filled(one.score[one.train :]), filled(score[one.train :])
        got = vus_difference(one.series.labels[one.train :], ours, theirs, width, draws=DRAWS, seed=found.asked.seed)
        return {"value": got.value, "low": got.low, "high": got.high}
    gaps = np.array([measured(one, one.score, width) - measured(one, score, width) for one, score in pairs])
    rng = np.random.default_rng(found.asked.seed)
    means = gaps[rng.integers(0, len(gaps), (1000, len(gaps)))].mean(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return {"value": float(gaps.mean()), "low": float(low), "high": float(high)}


def agreement(found: Found, place: int) -> float | None:
    """Share of our events in which a baseline, too, has one of its highest scores: as many rows as our events have."""
    hits = total = 0
    for one in found.judged:
        score = one.beside[place].score[one.train :]
        rows = sum(event.stop - event.start for event in one.events)
        there = score[~np.isnan(score)]
        if not rows or not len(there):
            continue
        level = np.sort(there)[-min(rows, len(there))]
        for event in one.events:
            total += 1
            inside = one.beside[place].score[event.start : event.stop]
            hits += bool((inside[~np.isnan(inside)] >= level).any() and level > there.min())
    return hits / total if total else None


# -- injected faults ---------------------------------------------------------------------------------------------------


def injected(found: Found) -> dict[str, Any] | None:
    """Of faults put into the calibration stretch, how many raise an alarm that the stretch alone does not."""
    known, detector = found.series, found.detector
    held = [stretches.get("valid", (0, 0)) for stretches in known.stretches]
    # of several series that with the longest calibration stretch
    longest = max(range(len(held)), key=lambda i: held[i][1] - held[i][0], default=-1)
    if longest < 0 or held[longest][0] == held[longest][1] or detector.tail is None:
        return None
    assert isinstance(found.run.model, Forecasts)
    start, stop = held[longest]
    values, width = known.series[longest].values, detector.width
    lead = 2 * found.run.spec.shape[0]
    seed = mix(found.asked.seed, "faults")
    sd = np.nanstd(values[:start], axis=0)

    def score(values: Array) -> Array:
        assert isinstance(found.run.model, Forecasts)
        return detector.scores(expected(found.run.model, found.run.transform, values).errors).score

    before = max(0, start - lead)
    clean = np.concatenate([np.full(before, np.nan), score(values[before:stop])])
    threshold, kinds = detector.tail.threshold, {kind: [0, 0] for kind in KINDS}
    for fault in plan(stop - start, values.shape[1], max(8, width // 4), EACH, seed):
        at, end = start + fault.start, start + fault.stop
        # a fault reaches no score more than a width away, and what lies two windows before that changes nothing there
        near = slice(max(before, at - width), min(stop, end + width))
        first = max(before, near.start - lead)
        moved = replace(fault, start=at - first, stop=end - first)
        changed = np.full(stop, np.nan)
        piece = score(inject(values[first : min(stop, end + 2 * width)], moved, float(sd[fault.channel]), seed))
        changed[first : first + len(piece)] = piece
        raised = np.nan_to_num(changed[near], nan=-np.inf) > threshold
        already = np.nan_to_num(clean[near], nan=-np.inf) > threshold
        kinds[fault.kind][0] += bool((raised & ~already).any())
        kinds[fault.kind][1] += 1
    return {
        "found": sum(a for a, _ in kinds.values()),
        "of": sum(b for _, b in kinds.values()),
        "kinds": {kind: tuple(counts) for kind, counts in kinds.items()},
    }


# -- in words ----------------------------------------------------------------------------------------------------------


def headline(found: Found, ours: dict[str, Any], beside: list[dict[str, Any]], faults: dict[str, Any] | None) -> str:
    """One sentence: who won, or why that cannot be said."""
    rows = sum(int(np.isfinite(one.score[one.train :]).sum()) for one in found.judged)
    events = f"{found.events:,} event{'s' * (found.events != 1)} in {rows:,} judged rows"
    rival = next((row for row in beside if row["difference"] is not None), None)
    if rival is not None and ours["vus_pr"] is not None:
        gap, name = rival["difference"], ours["title"]
        words = f"VUS-PR {ours['vus_pr']:.3f} of {name} against {rival['vus_pr']:.3f} of {rival['title']}"
        signed = [f"{gap[end]:+.3f}".replace("-", MINUS) for end in ("value", "low", "high")]
        between = f"a difference of {signed[0]} ({signed[1]} to {signed[2]})"
        if not np.isfinite([gap["low"], gap["high"]]).all():
            return f"{words}; {events}. One event cannot say who is better."
        if gap["low"] > 0:
            return f"{name} wins: {words}, the best baseline, {between}; {events}."
        if gap["high"] < 0:
            return f"{rival['title']} wins: {words}, {between}; use it here. {events.capitalize()}."
        return f"No winner: {words}, the best baseline, {between}; {events}."
    said = f"{events.capitalize()}. Without labels no winner can be named"
    if ours["vus_pr"] is not None:
        said = f"{events.capitalize()}, VUS-PR {ours['vus_pr']:.3f}; with a run of before nothing simpler stands beside"
    if faults:
        said += f"; of {faults['of']} faults injected into the calibration stretch {faults['found']} were found"
    return said + "."


def overlaps(found: Found) -> list[str]:
    """With labels: how many of the labelled stretches that were judged an event overlaps, and what lies elsewhere."""
    stretches = hit = elsewhere = 0
    for one in found.judged:
        if one.series.labels is None:
            continue
        labels, alarmed = one.series.labels, np.zeros(len(one.series), bool)
        for event in one.events:
            alarmed[event.start : event.stop] = True
            elsewhere += not labels[event.start : event.stop].any()
        turns = np.flatnonzero(np.diff(labels[one.train :].astype(np.int8), prepend=0, append=0)) + one.train
        stretches += len(turns) // 2
        hit += sum(bool(alarmed[a:b].any()) for a, b in zip(turns[::2], turns[1::2], strict=True))
    if not stretches:
        return []
    stretch = f"{stretches:,} labelled stretch{'es' * (stretches != 1)}"
    return [f"Events overlap {hit:,} of {stretch}; {elsewhere:,} of {found.events:,} events lie elsewhere."]


def moved(found: Found) -> list[str]:
    """Which events are shifts of the level."""
    events = [event for one in found.judged for event in one.events]
    numbers = [f"{number:,}" for number, event in enumerate(events, 1) if event.kind == "shift"]
    if not numbers:
        return []
    which = f"Event {numbers[0]} is a shift" if len(numbers) == 1 else f"Events {', '.join(numbers)} are shifts"
    return [f"{which} of the level: what came after is judged by the new one."]


def not_judged(found: Found) -> list[str]:
    """How many measurements have no score because too little had been seen before them."""
    counts = np.array([unjudged(one) for one in found.judged]).reshape(-1, 2).sum(0)
    if not counts[0]:
        return []
    after = "a gap" if any(len(one.series.segments) > 1 for one in found.judged) else "the start"
    return [f"{counts[0]:,} of {counts[1]:,} measurements were not judged: too soon after {after}."]


def page(found: Found, command: str) -> dict[str, Any]:
    """All that the report shows, as plain values."""
    ours, beside = versus(found)
    faults = injected(found)
    detector, meta, step = found.detector, found.run.meta, found.series.step if found.series.time else 0
    assert detector.tail is not None
    per_day = found.rate * DAY_NS / step if step else None
    return {
        "name": meta["data"]["name"],
        "command": command,
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "versions": meta["versions"],
        "seed": found.asked.seed,
        "model": found.run.name,
        "settings": meta["settings"],
        "steps": meta["budget"]["steps"],
        "took_s": meta.get("took_s", 0.0),
        "headline": headline(found, ours, beside, faults),
        "headline_more": [*overlaps(found), *moved(found), *not_judged(found)],
        "problems": found.problems,
        "threshold": found.threshold,
        "rate": found.rate,
        "per_day": per_day,
        "how": detector.tail.how,
        "smoothing": detector.smoothing,
        "width": detector.width,
        "merge": detector.merge,
        "width_words": span(detector.width * step) if step else f"{detector.width} rows",
        "tail": detector.tail.to_json(),
        "calibration": found.calibration,
        "channels": list(found.series.channels),
        "series": _series(found),
        "ours": ours,
        "beside": beside,
        "left_out": found.left_out,
        "injected": faults,
    }


def _series(found: Found) -> list[dict[str, Any]]:
    """Each series with its events, numbered through as in events.csv."""
    known, out, before = found.series, [], 0
    for i, one in enumerate(found.judged):
        events = [
            {
                "number": before + place,
                "start": event.start,
                "stop": event.stop,
                "peak": event.peak,
                "score": event.peak_score,
                "channels": [(known.channels[c], share) for c, share in one.channels(event)],
            }
            for place, event in enumerate(one.events, 1)
        ]
        before += len(events)
        out.append(
            {
                "name": one.series.name,
                "times": one.series.times,
                "values": one.series.values,
                "expected": one.expected,
                "sd": one.sd,
                "score": one.score,
                "shares": one.shares,
                "train": one.train,
                "stretches": known.stretches[i] if known.stretches else {},
                "labels": None if one.series.labels is None or not one.series.labels.any() else one.series.labels,
                "segments": one.series.segments,
                "events": events,
            }
        )
    return out
