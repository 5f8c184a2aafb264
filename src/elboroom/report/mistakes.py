"""A few sequences that a model named wrong, each with what was named: as lines, a strip of many channels, text."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from markupsafe import Markup

from .confusion import short
from .contents import Contents, entries
from .drawing import Cells, Steps
from .heat import diverging
from .layout import Figure, Run, Writing
from .numbers import number, written
from .plots import Array, Axis, Canvas, text_width, tick_texts

__all__ = ["mistakes_figure"]

HEIGHT, TOP, BOTTOM = 158.0, 40.0, 34.0
LINES, COLUMNS = 4, 150
"""Channels that are drawn as lines; more are a strip of shades, a row a channel, of so many columns at most."""


def mistakes_figure(contents: Contents, widths: tuple[float, float]) -> Figure | None:
    """Two cards in a row on a wide page, one on a phone."""
    found = [one for one in entries(contents.details.get("mistakes")) if isinstance(one, dict)]
    if not found:
        return None
    names = [str(c.get("name")) for c in entries(contents.spec.get("columns")) if isinstance(c, dict)]
    texts = [one for one in found if isinstance(one.get("text"), str)]
    caption = f"The {len(found)} worst mistakes among held-out sequences, the worst first."
    if texts:
        return Figure(caption, texts=[_writing(one) for one in texts], side_by_side=False)
    drawn = [(one, _values(one)) for one in found]
    cards = [(one, x) for one, x in drawn if x is not None]
    if not cards:
        return None
    strip = len(cards[0][1]) > LINES
    told = (
        "a row a channel, darker further from its middle" if strip else f"lines: {_channels(names, len(cards[0][1]))}"
    )
    if "wrong" in cards[0][0]:
        told += "; ticks under a sequence: steps named wrong"
    figure = Figure(f"{caption} {told[:1].upper()}{told[1:]}.", summary=_said(cards[0][0])[0])
    figure.wide = [_card(one, x, (widths[0] - 12) / 2) for one, x in cards]
    figure.narrow = [_card(one, x, widths[1]) for one, x in cards]
    return figure


def _channels(names: list[str], many: int) -> str:
    shown = names[:many] or ["the values"]
    return ", ".join(short(name, 20) for name in shown)


def _values(one: dict[str, Any]) -> Array | None:
    """(channels, steps), nan where missing; None where the file holds something else."""
    try:
        x = np.array(one.get("values"), dtype=np.float64)
    except (TypeError, ValueError):
        return None
    return x if x.ndim == 2 and x.size and np.isfinite(x).any() else None


def _said(one: dict[str, Any]) -> tuple[str, str]:
    """Title and the line under it."""
    place = f"sequence {one.get('index')}"
    if "wrong" in one:
        wrong, labelled = len(entries(one.get("wrong"))), number(one.get("labelled"))
        of = f" of {int(labelled):,}" if math.isfinite(labelled) else ""
        return f"{place}: {wrong:,}{of} steps named wrong", ""
    true, named = short(one.get("true"), 14), short(one.get("named"), 14)
    shares = [written(number(one.get(k)), decimals=3) for k in ("p_true", "p_named")]
    return f"{place}: {true} taken for {named}", f"given {shares[0]} to {true}, {shares[1]} to {named}"


def _writing(one: dict[str, Any]) -> Writing:
    title, note = _said(one)
    cut = number(one.get("cut"))
    more = f" … {int(cut):,} more characters" if math.isfinite(cut) and cut > 0 else ""
    return Writing(f"{title}; {note}" if note else title, [Run(str(one["text"])), Run(more, "around")])


def _card(one: dict[str, Any], x: Array, width: float) -> Markup:
    title, note = _said(one)
    canvas = Canvas(width, HEIGHT)
    canvas.text(0, 12, title, "chart-title")
    canvas.text(0, 28, note, "chart-note")
    every = number(one.get("every"))
    every = every if math.isfinite(every) and every >= 1 else 1.0
    base = HEIGHT - BOTTOM
    left = 30.0
    if len(x) <= LINES:
        left = _lines(canvas, x, width, every)
    x_axis = Axis(0, max(1.0, (x.shape[1] - 1) * every), left, width - 4)
    if len(x) > LINES:
        _strip(canvas, x, x_axis, base)
    canvas.line(left, base, width - 4, base, "axis")
    ticks = [t for t in x_axis.ticks(5) if t == round(t)]
    for tick, text in zip(ticks, tick_texts(ticks), strict=True):
        canvas.line(x_axis(tick), base, x_axis(tick), base + 4, "axis")
        canvas.text(x_axis(tick), base + 17, text, "tick", "middle")
    canvas.text(width - 4, base + 31, "step", "tick", "end")
    for step in map(number, entries(one.get("wrong"))):
        if x_axis.holds(step):
            canvas.line(x_axis(step), base - 6, x_axis(step), base - 1, "line mean c2")
    return canvas.svg(f"{title}; {note}" if note else title, "panel")


def _lines(canvas: Canvas, x: Array, width: float, every: float) -> float:
    """Draw the channels; the left end of the x axis."""
    good = x[np.isfinite(x)]
    room = float(good.max() - good.min()) * 0.05 or 0.5
    y_axis = Axis(float(good.min()) - room, float(good.max()) + room, HEIGHT - BOTTOM - 8, TOP)
    ticks = [t for t in y_axis.ticks(4) if y_axis.holds(t)]
    texts = tick_texts(ticks)
    left = max([text_width(t, 11) for t in texts], default=20.0) + 8
    for tick, text in zip(ticks, texts, strict=True):
        canvas.line(left, y_axis(tick), width - 4, y_axis(tick), "grid")
        canvas.text(left - 6, y_axis(tick) + 4, text, "tick", "end")
    x_axis = Axis(0, max(1.0, (x.shape[1] - 1) * every), left, width - 4)
    at = x_axis.place(np.arange(x.shape[1], dtype=np.float64) * every)
    for i, channel in enumerate(x):
        canvas.curve(at, y_axis.place(channel), f"line mean c{i + 1}")
    return left


def _strip(canvas: Canvas, x: Array, x_axis: Axis, base: float) -> None:
    """A row a channel, each less its own median and over its own largest distance from it."""
    every = -(-x.shape[1] // COLUMNS)
    steps = np.stack([_shades(channel) for channel in x[:, ::every]])
    tall, wide = (base - 4 - TOP) / len(x), (x_axis.end - x_axis.start) / steps.shape[1]
    canvas.parts.append(Cells(x_axis.start, TOP, wide, tall, steps, "d").svg(alone=False))
    canvas.text(x_axis.start - 6, TOP + 9, "1", "tick", "end")
    canvas.text(x_axis.start - 6, base - 5, str(len(x)), "tick", "end")


def _shades(channel: Array) -> Steps:
    """Steps of the diverging ramp; -1 where the value is missing."""
    there = np.isfinite(channel)
    if not there.any():
        return np.full(len(channel), -1)
    return np.where(there, diverging(channel - np.median(channel[there])), -1)
