"""Rules for two players: samples that repeat themselves, a critic that wins or sleeps, gradients that fade or burst.

No torch. They read two kinds of lines of the history. Of each step logged: the critic's mean scores, the share of pairs
(real, made) that it ranks rightly (0.5: it cannot tell, 1: always) and the norms of both players' gradients. Of each
look at the samples, against held-out data in one fixed feature space: Fréchet distance, density and coverage (Naeem et
al. 2020, 2002.09797), spread (mean distance of two made examples over that of two real ones) and doubles (share of made
examples nearer to another made one than 99 % of the real ones are to another real one).

No single number tells a collapse: poor samples have a low coverage as well. So an alarm needs two signs that agree.
What is judged is the last quarter of a curve, by its median, for two players never stand still.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from .record import Finding, Record, Row, Rule, is_number, median, percent, step_of

__all__ = [
    "RULES",
    "discriminator_too_strong",
    "discriminator_too_weak",
    "exploding_gradients",
    "mode_collapse",
    "overfitting",
    "stalled",
    "vanishing_gradients",
]

FEWEST = 4
"""Looks or logged steps below which nothing is said."""
COVERED = 0.6
"""Share of the held-out examples with a made one near: below it the samples leave out a large part of the data."""
SPREAD = 0.8
"""Mean distance of two made examples over that of two real ones, below which samples are alike."""
DOUBLES = 0.15
"""Share of made examples that have a twin; 0.01 is right."""
DENSE = 0.6
"""Density from which the samples lie among the data, so that a low coverage is no matter of their quality."""
NARROW = 0.6
"""Coverage over density, below which samples that lie among the data keep to a part of it."""
FOUND = 0.6
"""Share of the data's modes or classes, as many as are made evenly, below which some are missing."""
GENUINE = 0.1
"""Share of the samples near a known mode below which their modes say nothing: poor samples miss all of them."""
RANKED = (0.98, 0.55)
"""Share of pairs ranked rightly: above the first the critic always knows, below the second it cannot tell."""
YOUNG = 0.2
"""Share of the training asked for before which two signs only warn: at first every generator makes one thing."""
TOLD = 0.65
"""Share of pairs ranked rightly from which the critic's advantage is large enough to be compared."""
FELL = 0.9
"""A distance that ends above this times what it was at half of the training does not fall."""
NOISE = 3.0
"""A fall counts from so many times the typical change from one look to the next."""
FAR = 5.0
"""Times the distance of real from real above which samples are far from the data."""
FADED = (0.05, 0.005)
"""What is left of a gradient's early norm: warn, alarm."""
GROWN = (20.0, 200.0)
"""Times a gradient's early norm: warn, alarm."""
REMEMBERED = (0.3, 0.6)
"""What the critic's advantage on training rows loses on held-out ones: warn, alarm."""
MISPLACED = 0.05
"""Share of the pairs that must be ranked worse on held-out rows."""

UNSURE = "longer training, or a look at the samples: `elboroom sample`, `elboroom report`"
VARIED = (
    "a smaller --lr; --pack 2 to 4, which shows the critic several samples at once; a critic whose slope is held, by a "
    "gradient penalty or by a model that pairs real and made examples and penalises both"
)
FULLER = "longer training, a larger --latent or --hidden, less weight on the rate where the model has one"
WEAKER = (
    "a smaller critic, fewer --critic-steps, a smaller --lr, a loss of the generator that does not flatten out, or a "
    "gradient penalty, which keeps the critic's slope"
)
STRONGER = "a larger critic, more --critic-steps, another --lr; batch norms out of the critic"
FLOWING = "a loss of the generator that does not flatten out, a gradient penalty on the critic, a smaller --lr"
BOUNDED = "a smaller --lr; a gradient penalty on real and on made examples (or a larger weight of it)"
MOVING = "another --lr, ten times larger or smaller; longer training; a model with a gradient penalty"
FRESH = "--augment, more data, a smaller critic, a larger weight of its penalty, or fewer steps (--steps)"

Curve = list[tuple[int, float]]
"""(step, value), finite values only."""
PLAYERS = ("critic", "generator")


# -- curves ------------------------------------------------------------------------------------------------------------


def curve(history: list[Row], key: str) -> Curve:
    """The finite values of a key, by step."""
    return [(step_of(row), float(row[key])) for row in history if is_number(row.get(key))]


def late(points: Curve) -> float:
    """The median of the last quarter."""
    return median([value for _, value in points[-max(1, len(points) // 4) :]])


def early(points: Curve) -> float:
    """The median of the first quarter."""
    return median([value for _, value in points[: max(1, len(points) // 4)]])


def since(points: Curve, bad: Callable[[float], bool]) -> int | None:
    """The step of the first bad value from which on at least three of four are bad; None where there is none."""
    found, count = None, 0
    for at, (step, value) in enumerate(reversed(points), 1):
        count += bad(value)
        if bad(value) and 4 * count >= 3 * at:
            found = step
    return found


def looks(record: Record, name: str) -> Curve:
    """What the looks at the samples found: all of them, or none where there are too few to judge."""
    points = curve(record.history, f"valid/{name}")
    return points if len(points) >= FEWEST else []


def game(record: Record, player: str, name: str) -> Curve:
    """What was logged of one player's steps, likewise."""
    points = curve(record.history, f"train/{player}.{name}")
    return points if len(points) >= FEWEST else []


# -- collapse ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sign:
    """One of the ways in which samples show to be fewer than the data."""

    shown: bool
    said: str
    value: float
    bar: float
    since: int | None = None


def mode_collapse(record: Record) -> Finding | None:
    """Samples that leave out a large part of the data, and are alike or lack what is known to be there."""
    signs = [sign for sign in (_left_out(record), _alike(record), _missing(record)) if sign is not None]
    if not signs:
        return None
    shown, hidden = [s for s in signs if s.shown], [s for s in signs if not s.shown]
    first, why = (shown or signs)[0], "; ".join(sign.said for sign in shown or signs)
    if not shown:
        return Finding("mode_collapse", "ok", first.value, first.bar, None, why, "")
    if len(shown) == 1:
        why += "; no other sign of a collapse" + "".join(f"; {sign.said}" for sign in hidden)
        return Finding("mode_collapse", "warn", first.value, first.bar, first.since, why, UNSURE)
    done = _share_done(record)
    if done < YOUNG:
        why += f"; {percent(done)} of the training is done, and a young generator has yet to learn to vary"
        return Finding("mode_collapse", "warn", first.value, first.bar, first.since, why, UNSURE)
    dated = [sign.since for sign in shown if sign.since is not None]
    begun, kept = max(dated, default=None), (record.meta.get("kept") or {}).get("step")
    if begun is not None and is_number(kept) and kept < begun:
        why += f"; the weights kept are those of step {int(kept):,}, before it"
    advice = VARIED if curve(record.history, "train/critic.ranked") else FULLER  # the latter: no critic sees samples
    return Finding("mode_collapse", "alarm", first.value, first.bar, begun, why, advice)


def _share_done(record: Record) -> float:
    """Of the steps asked for, where they are known."""
    steps = (record.meta.get("budget") or {}).get("steps")
    return step_of(record.history[-1]) / steps if record.history and is_number(steps) and steps > 0 else 1.0


def _left_out(record: Record) -> Sign | None:
    """Held-out examples with no made one near."""
    points = looks(record, "coverage")
    if points:
        value, where, begun = late(points), "has a sample near", since(points, lambda v: v < COVERED)
    else:
        measured = [record.metrics.get(name) or {} for name in ("coverage", "recall")]
        values = [float(entry["value"]) for entry in measured if is_number(entry.get("value"))]
        if not values:
            return None
        value, where, begun = values[0], "has a sample near (as measured at the end)", None
    said = f"{percent(value)} of the held-out data {where}"
    return Sign(value < COVERED, said, value, COVERED, begun)


def _alike(record: Record) -> Sign | None:
    """Samples nearer to each other than data are, twins, or samples as dense as data that yet leave much out."""
    spread, doubles = looks(record, "spread"), looks(record, "doubles")
    if not (spread and doubles):
        return None
    apart, twins = late(spread), late(doubles)
    said = f"samples are {apart:.2g} times as far apart as data, and {percent(twins)} have a twin"
    if apart < SPREAD:
        return Sign(True, said, apart, SPREAD, since(spread, lambda v: v < SPREAD))
    if twins > DOUBLES:
        return Sign(True, said, twins, DOUBLES, since(doubles, lambda v: v > DOUBLES))
    density, coverage = looks(record, "density"), dict(looks(record, "coverage"))
    rest = [(step, coverage[step] / value) for step, value in density if value > DENSE and step in coverage]
    if rest and rest[-1][0] == density[-1][0] and late(rest) < NARROW:
        said += f", they lie among the data (density {late(density):.2g}) but in {percent(late(rest))} of it"
        return Sign(True, said, late(rest), NARROW, since(rest, lambda v: v < NARROW))
    return Sign(False, said, apart, SPREAD)


def _missing(record: Record) -> Sign | None:
    """Known modes, or classes of a label classifier, that are made too seldom: evenly made ones of all there are."""
    quality = record.details.get("quality") or {}
    modes, classes = quality.get("modes") or {}, quality.get("classes") or {}
    near = (modes.get("high_quality_share") or {}).get("value")
    if is_number(near) and near < GENUINE:
        modes = {}
    measured, known = record.metrics.get("modes_found") or {}, len(classes.get("names") or ())
    for what, found, of, kl in (
        ("modes", modes.get("found", measured.get("value")), modes.get("known"), modes.get("kl")),
        ("classes", known - len(classes.get("absent") or ()), known, classes.get("kl")),
    ):
        distance = kl.get("value") if isinstance(kl, dict) else kl
        if is_number(found) and is_number(of) and of:
            # exp(-KL to the data's own shares): 1 where made as in the data, m / M where m of M are made evenly
            even = math.exp(-float(distance)) if is_number(distance) else found / of
            said = f"{found:g} of {of:g} {what} are made, as unevenly as {even * of:.3g} of them alone would be"
            return Sign(min(even, found / of) < FOUND, said, min(even, found / of), FOUND)
    return None


# -- balance -----------------------------------------------------------------------------------------------------------


def discriminator_too_strong(record: Record) -> Finding | None:
    """A critic that ranks every pair rightly, while the samples get no nearer and what it tells the generator fades.

    A critic that estimates a distance (Arjovsky et al. 2017) ranks nearly all pairs rightly as it should: that alone is
    no fault.
    """
    points = game(record, "critic", "ranked")
    if not points:
        return None
    value, bar = late(points), RANKED[0]
    said = f"the critic ranks {percent(value)} of the pairs rightly"
    if value < bar:
        return Finding("discriminator_too_strong", "ok", value, bar, None, said, "")
    begun, (stuck, moved), (faded, left) = since(points, lambda v: v >= bar), _stuck(record), _faded_signal(record)
    why = "; ".join(part for part in (said, moved, left) if part)
    if not stuck:
        why += "; the samples still get nearer, or lie near: what it says is of use"
        return Finding("discriminator_too_strong", "ok", value, bar, None, why, "")
    level = "alarm" if faded else "warn"
    return Finding("discriminator_too_strong", level, value, bar, begun, why, WEAKER)


def discriminator_too_weak(record: Record) -> Finding | None:
    """A critic that cannot tell samples that are far from the data and get no nearer."""
    points = game(record, "critic", "ranked")
    if not points:
        return None
    value, bar = late(points), RANKED[1]
    said = f"the critic ranks {percent(value)} of the pairs rightly, where 50 % is chance"
    if value > bar:
        return Finding("discriminator_too_weak", "ok", value, bar, None, said, "")
    stuck, moved = _stuck(record)
    why = f"{said}; {moved}" if moved else said
    if not stuck:
        return Finding("discriminator_too_weak", "ok", value, bar, None, why, "")
    return Finding("discriminator_too_weak", "alarm", value, bar, since(points, lambda v: v <= bar), why, STRONGER)


def _stuck(record: Record) -> tuple[bool, str]:
    """Whether samples are far from the data and get no nearer, and that in words."""
    distance, (far, said) = looks(record, "frechet_distance"), _far(record)
    if not distance:
        return False, said
    moved = f"their distance went from {late(_half(distance)):.3g} at half of the training to {late(distance):.3g}"
    return far and not _nearer(record), f"{said}; {moved}" if said else moved


def _nearer(record: Record) -> bool:
    """Whether the samples' distance from the data fell since half of what was trained so far."""
    distance = looks(record, "frechet_distance")
    return bool(distance) and late(distance) <= FELL * late(_half(distance))


def _half(points: Curve) -> Curve:
    return points[: max(1, len(points) // 2)]


def _far(record: Record) -> tuple[bool, str]:
    """Whether samples are far from the data: by the distance of real from real where it is known, else by coverage."""
    for entry in (record.details.get("quality") or {}).get("extractors") or []:
        rows = {row.get("kind"): (row.get("frechet_distance") or {}).get("value") for row in reversed(entry["rows"])}
        model, ceiling = rows.get("model"), rows.get("ceiling")
        if is_number(model) and is_number(ceiling) and ceiling > 0:
            said = f"samples are {model / ceiling:.3g} times as far from the data as data are from each other"
            return model > FAR * ceiling, said
    points = looks(record, "coverage")
    if not points:
        return False, ""
    return late(points) < COVERED, f"{percent(late(points))} of the held-out data has a sample near"


def _faded_signal(record: Record) -> tuple[bool, str]:
    """Whether the gradient that the generator learns from has faded: its own norm, or the slope of the scores."""
    for name, player, what in (
        ("gradient_norm", "generator", "the generator's gradient"),
        ("slope_made", "critic", "the slope of the scores at samples"),
    ):
        points = game(record, player, name)
        if points and early(points) > 0 and late(points) < FADED[0] * early(points):
            return True, f"{what} has {percent(late(points) / early(points))} of its early norm"
    return False, ""


# -- gradients ---------------------------------------------------------------------------------------------------------


def vanishing_gradients(record: Record) -> Finding | None:
    """The gradient of one of the players is a small part of what it was, and the samples are no good for it."""
    told = [_change(record, player) for player in PLAYERS]
    found = [one for one in told if one is not None]
    if not found:
        return None
    player, left, points = min(found, key=lambda one: one[1])
    said = f"the {player}'s gradient ends at {percent(left)} of its early norm"
    bar = FADED[0]
    if left >= bar or not _stuck(record)[0]:
        settled = "" if left >= bar else "; the samples lie near the data or get nearer: it has settled"
        return Finding("vanishing_gradients", "ok", left, bar, None, said + settled, "")
    level, bar = ("alarm", FADED[1]) if left < FADED[1] else ("warn", bar)
    start = early(points)
    begun = since(points, lambda v: v < bar * start)
    return Finding("vanishing_gradients", level, left, bar, begun, f"{said}; {_stuck(record)[1]}", FLOWING)


def exploding_gradients(record: Record) -> Finding | None:
    """The gradient of one of the players is many times what it was, or no number any more."""
    for row in record.history:
        for player in PLAYERS:
            key = f"train/{player}.gradient_norm"
            if key in row and not is_number(row[key]):
                why = f"the {player}'s gradient is not finite from step {step_of(row):,} on"
                return Finding("exploding_gradients", "alarm", None, None, step_of(row), why, BOUNDED)
    told = [_change(record, player) for player in PLAYERS]
    found = [one for one in told if one is not None]
    if not found:
        return None
    player, times, points = max(found, key=lambda one: one[1])
    why = f"the {player}'s gradient ends at {times:.3g} times its early norm"
    if times <= GROWN[0]:
        return Finding("exploding_gradients", "ok", times, GROWN[0], None, why, "")
    level, bar = ("alarm", GROWN[1]) if times > GROWN[1] else ("warn", GROWN[0])
    start = early(points)
    begun = since(points, lambda v: v > bar * start)
    return Finding("exploding_gradients", level, times, bar, begun, why, BOUNDED)


def _change(record: Record, player: str) -> tuple[str, float, Curve] | None:
    """A player, its late gradient norm over its early one, and the curve."""
    points = game(record, player, "gradient_norm")
    if not points or early(points) <= 0:
        return None
    return player, late(points) / early(points), points


# -- learning ----------------------------------------------------------------------------------------------------------


def stalled(record: Record) -> Finding | None:
    """Samples that never got nearer to the data. Losses do not say it: one player's gain is the other's loss."""
    points, (far, said) = looks(record, "frechet_distance"), _far(record)
    if not points:
        return None
    values = [value for _, value in points]
    fall, noise = values[0] - late(points), median([abs(b - a) for a, b in pairwise(values)])
    moved = f"the distance of the samples from the data went from {values[0]:.3g} to {late(points):.3g}"
    if fall > min(NOISE * noise, (1 - FELL) * values[0]) or not far:
        why = moved if far or not said else f"{moved}; {said}"
        return Finding("stalled", "ok", fall, NOISE * noise, None, why, "")
    why = f"{moved}, no more than its noise ({NOISE * noise:.2g}); {said}"
    return Finding("stalled", "alarm", fall, NOISE * noise, points[0][0], why, MOVING)


def overfitting(record: Record) -> Finding | None:
    """The critic knows its training rows by heart: its scores fall on real rows that it has not seen.

    1 - (D_valid - D_made) / (D_train - D_made), Karras et al. 2020 (2006.06676), equation 1: 0 where held-out rows
    score as training rows do, 1 where they score as samples do. Each difference is of one look, for scores drift.
    """
    gaps: dict[str, dict[int, float]] = {}
    for part in ("train", "valid"):
        made = dict(curve(record.history, f"{part}/critic.score_made"))
        real = curve(record.history, f"{part}/critic.score_real")
        gaps[part] = {step: value - made[step] for step, value in real if step in made}
    ranked = curve(record.history, "train/critic.ranked")
    points = [
        (step, 1 - gaps["valid"][step] / gaps["train"][step])
        for step, share in ranked
        if share >= TOLD and step in gaps["valid"] and gaps["train"].get(step, 0.0) > 0
    ]
    if len(points) < FEWEST:
        return None
    value = late(points)
    said = f"on held-out rows the critic loses {percent(max(value, 0.0))} of its advantage over samples"
    unseen = curve(record.history, "valid/critic.ranked")
    if unseen:  # a lead may shrink and every row keep its place above the samples
        said += f", and ranks {percent(late(unseen))} of the pairs rightly, not {percent(late(ranked))}"
    if value < REMEMBERED[0] or (unseen and late(ranked) - late(unseen) < MISPLACED):
        return Finding("overfitting", "ok", value, REMEMBERED[0], None, said, "")
    level, bar = ("alarm", REMEMBERED[1]) if value >= REMEMBERED[1] else ("warn", REMEMBERED[0])
    begun = since(points, lambda v: v >= bar)
    why = f"{said}: it remembers the training rows"
    return Finding("overfitting", level, value, bar, begun, why, FRESH)


RULES: tuple[Rule, ...] = (
    mode_collapse,
    discriminator_too_strong,
    discriminator_too_weak,
    vanishing_gradients,
    exploding_gradients,
    stalled,
    overfitting,
)
