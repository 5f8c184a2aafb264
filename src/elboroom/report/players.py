"""The section on training of a run with two players: quality at each look first, then what the players did.

The losses of such a game do not say how good samples are: both may stand still while samples improve. So distances to
held-out data lead, in a cheap feature space of fixed random features, and the losses stand last.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .contents import Contents
from .layout import Figure, Note, Section, csv_uri
from .numbers import number, written
from .panels import LOG_FACTOR, Level, Panel, Series, drawn, fall
from .plots import Array
from .words import plural

__all__ = ["has_players", "two_players"]

WIDTH, HEIGHT = 332.0, 206.0
MEANS = (200.0, 1000.0, 5000.0)
"""Steps that a thick line may be the mean over: the first that holds some logged values."""
OFTEN = 0.375
"""Values closer than this share of a mean's width are worth a mean."""
SAVED = 500
"""Values of a line that the CSV holds."""


@dataclass(frozen=True)
class Line:
    """One line of a panel: the key in the history, its name (none where it is alone) and colour."""

    key: str
    name: str
    css: str


@dataclass(frozen=True)
class Plan:
    """One small panel, drawn where the history has any of its lines."""

    title: str
    lines: tuple[Line, ...]
    better: str = ""
    levels: tuple[tuple[str, float], ...] = ()
    may_log: bool = False


QUALITY = (
    Plan("Fréchet distance, random features", (Line("valid/frechet_distance", "", "c1"),), "less", (), True),
    Plan(
        "Coverage and density",
        (Line("valid/coverage", "coverage", "c1"), Line("valid/density", "density", "c2")),
        "more",
        (("perfect density", 1.0),),
    ),
    Plan("Spread of samples over that of data", (Line("valid/spread", "", "c1"),), "", (("data", 1.0),)),
    Plan(
        "Doubles: share of near copies",
        (Line("valid/doubles", "", "c1"),),
        "less",
        (("perfect model", 0.01),),
        True,
    ),
)
PLAYERS = (
    Plan(
        "Score by the critic",
        (Line("train/critic.score_real", "real", "c1"), Line("train/critic.score_made", "made", "c2")),
    ),
    Plan(
        "Share of pairs ranked rightly",
        (Line("valid/critic.ranked", "validation", "c1"), Line("train/critic.ranked", "train", "c2")),
        "",
        (("cannot tell", 0.5),),
    ),
    Plan(
        "Length of the gradient",
        (Line("train/critic.gradient_norm", "critic", "c1"), Line("train/generator.gradient_norm", "generator", "c2")),
        may_log=True,
    ),
    Plan(
        "Loss of each player, nats",
        (Line("train/critic.loss_nats", "critic", "c1"), Line("train/generator.loss_nats", "generator", "c2")),
    ),
)
PENALTY = (
    Plan(
        "Slope of the score at examples",
        (Line("train/critic.slope_real", "real", "c1"), Line("train/critic.slope_made", "made", "c2")),
        may_log=True,
    ),
    Plan("Penalty in the critic's loss", (Line("train/critic.penalty", "", "c1"),), "", (), True),
)


def has_players(contents: Contents) -> bool:
    """Whether a critic and a generator were trained against each other."""
    logged = contents.history.values
    return any(f"train/critic.{term}" in logged for term in ("loss_nats", "score_real")) and any(
        key.startswith("train/generator.") for key in logged
    )


def two_players(contents: Contents) -> Section:
    """Quality over the steps, the two players, and the slopes where they are held."""
    section = Section("training", "Training")
    kept = contents.part("kept")
    at = number(kept.get("step")) if kept.get("measure") not in ("last", None) else math.nan
    step = at if math.isfinite(at) else None
    quality = _figure(contents, QUALITY, step, "Quality of samples at each look, against held-out data. "
        "Grey lines: what a perfect model would have.", "quality-over-steps.csv")  # fmt: skip
    players = _figure(contents, PLAYERS, None, "The two players.", "players.csv")
    penalty = _figure(contents, PENALTY, None, "What holds the critic's slope.", "slopes.csv")
    section.figures = [figure for figure in (quality, players, penalty) if figure is not None]
    section.notes = _notes(contents, step)
    return section


def _figure(contents: Contents, plans: tuple[Plan, ...], kept: float | None, caption: str, file: str) -> Figure | None:
    """The panels of these plans that have a line."""
    panels, said, rows, means, bare = [], [], [], set(), False
    for plan in plans:
        lines = [series for line in plan.lines if (series := _series(contents, line)) is not None]
        if not lines:
            continue
        panel = _panel(plan, lines, kept)
        told = f"{plan.title}: {'; '.join(fall(s, 'step') for s in lines)}"
        panels.append(drawn(panel, WIDTH, HEIGHT, told))
        said.append(told)
        means |= {s.mean_width for s in lines if s.smoothed}
        bare = bare or not all(s.smoothed for s in lines)
        for line, series in ((line, s) for line in plan.lines for s in lines if s.name == line.name):
            pairs = list(zip(series.x.tolist(), series.y.tolist(), strict=True))
            rows += [[line.key, *pair] for pair in pairs[:: max(1, math.ceil(len(pairs) / SAVED))]]
    if not panels:
        return None
    if means:
        widths = " or ".join(written(width, form="count") for width in sorted(means))
        caption += f" Thin line: every logged value; thick line: its mean over {widths} steps, centred."
        caption += " Without a thin line: each value as it was measured." if bare else ""
    if kept is not None:
        caption += " Dashed upright: the step whose weights were kept."
    return Figure(
        caption, summary=". ".join(said) + ".", wide=panels, csv=csv_uri(["term", "step", "value"], rows), csv_name=file
    )


def _series(contents: Contents, line: Line) -> Series | None:
    history = contents.history
    if line.key not in history.values:
        return None
    x, y = history.steps[line.key], history.values[line.key]
    good = np.isfinite(x)
    x, y = x[good], y[good]
    if not len(x) or not np.isfinite(y).any():
        return None
    return Series(line.name, line.css, x, y, 0.0 if line.key.startswith("valid/") else _mean_width(x))


def _mean_width(x: Array) -> float:
    """Steps the thick line is averaged over; 0 where values are too far apart to need one."""
    if len(x) < 2:
        return 0.0
    apart = float(x[-1] - x[0]) / (len(x) - 1)
    return next((width for width in MEANS if apart < OFTEN * width and width < (x[-1] - x[0]) / 4), 0.0)


def _panel(plan: Plan, lines: list[Series], kept: float | None) -> Panel:
    levels = [Level(name, value) for name, value in plan.levels]
    end = max(float(s.x[-1]) for s in lines)
    panel = Panel(plan.title, "", lines, levels, (min(0.0, min(float(s.x[0]) for s in lines)), end), x_name="step")
    low, high = panel.y_range()
    panel.log = plan.may_log and low > 0 and high / low > LOG_FACTOR
    better = f"{plan.better} is better" if plan.better else ""
    panel.note = ", ".join(part for part in ("log axis" if panel.log else "", better) if part)
    if kept is not None and plan is QUALITY[0]:
        panel.kept = kept
    return panel


def _notes(contents: Contents, kept: float | None) -> list[Note]:
    history, budget = contents.history, contents.part("budget")
    said = []
    if isinstance(budget.get("batch_size"), int):
        done = plural(int(number(contents.meta.get("step")) or 0), "step")
        said.append(f"{budget['batch_size']:,} a batch, {done} done.")
    if kept is not None:
        said.append(f"The weights kept are those of step {written(kept, form='count')}, the best at a look.")
    elif contents.part("kept").get("measure") == "last":
        said.append("The weights kept are the last ones.")
    notes = [Note("How it was trained.", " ".join(said))] if said else []
    distance = history.values.get("valid/frechet_distance")
    if distance is not None and np.isfinite(distance).sum() > 1:
        steps = history.steps["valid/frechet_distance"][np.isfinite(distance)]
        good = distance[np.isfinite(distance)]
        lowest = int(np.argmin(good))
        best, last = written(float(good[lowest])), written(float(good[-1]))
        where = written(float(steps[lowest]), form="count")
        text = f"Lowest at the last look ({last})." if lowest == len(good) - 1 else (
            f"Lowest at step {where} ({best}), {last} at the end.")  # fmt: skip
        notes.append(Note("Fréchet distance.", text + " Its features are cheap ones; compare it within this run only."))
    if any(line.key in history.values for plan in QUALITY[2:] for line in plan.lines):
        notes.append(Note("Collapse", "shows as a spread well below that of the data and as many doubles."))
    ranked = history.values.get("train/critic.ranked")
    if ranked is not None and np.isfinite(ranked).any():
        share = written(float(ranked[np.isfinite(ranked)][-1]), form="share", decimals=0)
        text = "Pairs of a real and a made example that the critic puts in the right order; one half is a guess."
        notes.append(Note(f"Ranked rightly, {share} at the end.", text))
    notes.append(Note("Losses of a game", "need not fall: each player is measured against the other."))
    return notes
