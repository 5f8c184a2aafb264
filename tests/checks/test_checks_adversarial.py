"""Rules for two players, over curves made by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from elboroom.checks.adversarial import (
    RULES,
    discriminator_too_strong,
    discriminator_too_weak,
    exploding_gradients,
    mode_collapse,
    overfitting,
    stalled,
    vanishing_gradients,
)
from elboroom.checks.record import Finding, Record
from elboroom.diagnose import findings
from records_by_hand import FALLING, curve, reach, record

LOOKS = 20
GOOD = {
    "valid/frechet_distance": FALLING,
    "valid/coverage": [0.95] * LOOKS,
    "valid/density": [1.0] * LOOKS,
    "valid/spread": [0.98] * LOOKS,
    "valid/doubles": [0.01] * LOOKS,
    "train/critic.ranked": [0.7] * LOOKS,
    "train/critic.score_real": [1.0] * LOOKS,
    "train/critic.score_made": [-1.0] * LOOKS,
    "valid/critic.ranked": [0.7] * LOOKS,
    "valid/critic.score_real": [0.9] * LOOKS,
    "valid/critic.score_made": [-1.0] * LOOKS,
    "train/critic.gradient_norm": [1.0] * LOOKS,
    "train/generator.gradient_norm": [0.5] * LOOKS,
}


def played(details: Any = None, metrics: Any = None, meta: Any = None, **changed: Any) -> Record:
    """A good game of 20 looks, 10 steps apart, but for what is changed: a number, or a list, by the end of its name.

    "__" stands for "/" and for the dot of a player.
    """
    curves = dict(GOOD)
    for name, values in changed.items():
        part, _, rest = name.partition("__")
        key = f"{part}/{rest.replace('__', '.')}"
        curves[key] = list(values) if isinstance(values, list | tuple) else [values] * LOOKS
    rows = [{"step": 10 * (i + 1), **{key: values[i] for key, values in curves.items()}} for i in range(LOOKS)]
    return record(rows, details, metrics, **(meta or {}))


def after(step: int, before: float, then: float) -> list[float]:
    """One value up to that step and another from it on."""
    return [before if 10 * (i + 1) < step else then for i in range(LOOKS)]


def found(rule: Any, of: Record) -> Finding:
    finding = rule(of)
    assert finding is not None
    assert bool(finding.try_) is (finding.level != "ok")
    json.dumps(finding.to_json(), allow_nan=False)
    return finding  # type: ignore[no-any-return]


def test_a_good_game_has_no_fault_and_every_rule_says_what_it_saw() -> None:
    all_found = [found(rule, played()) for rule in RULES]
    assert [f.level for f in all_found] == ["ok"] * len(RULES)
    assert all(f.why and f.since_step is None for f in all_found)


def test_a_run_without_two_players_is_not_spoken_of() -> None:
    for other in (record(curve(FALLING, FALLING)), record(), record(details=reach())):
        assert [rule(other) for rule in RULES] == [None] * len(RULES)
    few = Record({}, played().history[:3], {}, {})
    assert [rule(few) for rule in RULES] == [None] * len(RULES)


# -- collapse ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", [{"valid__spread": after(120, 0.9, 0.2)}, {"valid__doubles": after(120, 0.01, 0.6)}])
def test_samples_that_leave_much_out_and_are_alike_or_twins_have_collapsed(sign: dict[str, Any]) -> None:
    finding = found(mode_collapse, played(valid__coverage=after(100, 0.9, 0.1), **sign))
    assert (finding.level, finding.since_step) == ("alarm", 120)
    assert "10 % of the held-out data" in finding.why
    assert "--pack" in finding.try_


@pytest.mark.parametrize(
    "sign", [{"valid__coverage": 0.1, "valid__density": 0.1}, {"valid__spread": 0.2}, {"valid__doubles": 0.6}]
)
def test_one_sign_alone_is_a_warning(sign: dict[str, Any]) -> None:
    finding = found(mode_collapse, played(**sign))
    assert finding.level == "warn"
    assert "no other sign" in finding.why


def test_samples_among_the_data_that_leave_most_of_it_out_have_collapsed_and_poor_ones_have_not() -> None:
    dropped = found(mode_collapse, played(valid__coverage=after(110, 0.9, 0.3), valid__density=1.0))
    assert (dropped.level, dropped.since_step) == ("alarm", 110)
    assert "density 1" in dropped.why
    assert found(mode_collapse, played(valid__coverage=0.3, valid__density=0.3)).level == "warn"


def test_known_modes_that_are_missing_are_a_sign_of_their_own() -> None:
    lacking = {"quality": {"modes": {"found": 4, "known": 8, "kl": 0.69}}}
    whole = {"quality": {"modes": {"found": 8, "known": 8, "kl": 0.02}}}
    assert found(mode_collapse, played(lacking)).level == "warn"
    finding = found(mode_collapse, played(lacking, valid__coverage=0.3, valid__density=0.2))
    assert finding.level == "alarm"
    assert "4 of 8 modes" in finding.why
    assert found(mode_collapse, played(whole, valid__coverage=0.3, valid__density=0.2)).level == "warn"
    poor = {"quality": {"modes": {"found": 2, "known": 8, "kl": 1.4, "high_quality_share": {"value": 0.002}}}}
    assert found(mode_collapse, played(poor, valid__coverage=0.3, valid__density=0.2)).level == "warn"
    uneven = {"quality": {"modes": {"found": 8, "known": 8, "kl": 1.2}}}
    assert found(mode_collapse, played(uneven, valid__spread=0.3)).level == "alarm"


def test_classes_that_are_never_made_are_such_a_sign_too() -> None:
    names = [str(i) for i in range(10)]
    some = {"quality": {"classes": {"names": names, "absent": names[:4], "kl": {"value": 0.8}}, "modes": None}}
    finding = found(mode_collapse, played(some, valid__doubles=0.5))
    assert finding.level == "alarm"
    assert "6 of 10 classes" in finding.why


def test_without_looks_the_measures_of_the_end_are_judged() -> None:
    details = {"quality": {"modes": {"found": 2, "known": 25, "kl": 2.5}}}
    finding = found(mode_collapse, record(metrics={"recall": {"value": 0.05}}, details=details))
    assert (finding.level, finding.since_step) == ("alarm", None)
    assert "critic" not in finding.try_ and "--latent" in finding.try_  # nothing was logged of a critic: there is none


def test_weights_kept_from_before_the_collapse_are_named() -> None:
    collapsed = {"valid__coverage": after(100, 0.9, 0.1), "valid__spread": after(100, 0.9, 0.1)}
    assert "kept are those of step 90" in found(mode_collapse, played(meta={"kept": {"step": 90}}, **collapsed)).why
    assert "kept" not in found(mode_collapse, played(meta={"kept": {"step": 150}}, **collapsed)).why


def test_a_young_game_is_warned_of_and_no_more() -> None:
    collapsed = {"valid__coverage": 0.05, "valid__spread": 0.1}
    young = found(mode_collapse, played(meta={"budget": {"steps": 2000}}, **collapsed))
    assert young.level == "warn"
    assert "10 % of the training" in young.why
    assert found(mode_collapse, played(meta={"budget": {"steps": 400}}, **collapsed)).level == "alarm"


def test_a_collapse_that_was_overcome_is_no_fault() -> None:
    over = {"valid__coverage": after(100, 0.1, 0.9), "valid__spread": after(100, 0.1, 0.9)}
    assert found(mode_collapse, played(**over)).level == "ok"


# -- balance -----------------------------------------------------------------------------------------------------------

LOST = {"valid__coverage": 0.05, "valid__frechet_distance": 50.0}
"""Samples far from the data that get no nearer."""


def test_a_critic_that_always_knows_is_too_strong_where_what_it_says_fades_and_samples_get_no_nearer() -> None:
    fading = {"train__critic__ranked": after(60, 0.8, 1.0), "train__generator__gradient_norm": after(90, 1.0, 0.01)}
    finding = found(discriminator_too_strong, played(**LOST, **fading))
    assert (finding.level, finding.value, finding.since_step) == ("alarm", 1.0, 60)
    assert "1 % of its early norm" in finding.why
    slope = {"train__critic__ranked": 1.0, "train__critic__slope_made": after(90, 1.0, 0.01)}
    assert "slope" in found(discriminator_too_strong, played(**LOST, **slope)).why
    assert found(discriminator_too_strong, played(**LOST, train__critic__ranked=1.0)).level == "warn"


def test_a_critic_that_ranks_all_rightly_is_no_fault_while_samples_get_nearer_or_are_near() -> None:
    assert found(discriminator_too_strong, played(train__critic__ranked=1.0, valid__coverage=0.1)).level == "ok"
    still = found(discriminator_too_strong, played(train__critic__ranked=1.0, valid__frechet_distance=1.0))
    assert still.level == "ok"
    assert "of use" in still.why


def test_a_critic_that_cannot_tell_samples_that_are_far_is_too_weak() -> None:
    finding = found(discriminator_too_weak, played(**LOST, train__critic__ranked=after(80, 0.7, 0.5)))
    assert (finding.level, finding.since_step) == ("alarm", 80)
    assert found(discriminator_too_weak, played(train__critic__ranked=0.5)).level == "ok"
    falling = played(train__critic__ranked=0.5, valid__coverage=0.05)
    assert found(discriminator_too_weak, falling).level == "ok"


def quality(model: float, ceiling: float) -> dict[str, Any]:
    rows = [("model", model), ("ceiling", ceiling), ("floor", 900.0), ("floor", 800.0)]
    return {"quality": {"extractors": [{"rows": [{"kind": k, "frechet_distance": {"value": v}} for k, v in rows]}]}}


def test_how_far_is_far_is_told_by_the_distance_of_real_from_real_where_it_is_known() -> None:
    weak = {"train__critic__ranked": 0.5, "valid__frechet_distance": 50.0}
    assert found(discriminator_too_weak, played(quality(100.0, 2.0), **weak)).level == "alarm"
    near = found(discriminator_too_weak, played(quality(4.0, 2.0), **weak, valid__coverage=0.05))
    assert near.level == "ok"
    assert "2 times as far" in near.why


# -- gradients ---------------------------------------------------------------------------------------------------------


def test_a_gradient_that_fades_is_a_fault_where_samples_stay_far_and_none_where_the_game_has_settled() -> None:
    faded = {"train__generator__gradient_norm": after(80, 1.0, 0.001)}
    finding = found(vanishing_gradients, played(**LOST, **faded))
    assert (finding.level, finding.since_step) == ("alarm", 80)
    assert "generator" in finding.why
    assert found(vanishing_gradients, played(**LOST, train__critic__gradient_norm=after(80, 1.0, 0.02))).level == "warn"
    settled = found(vanishing_gradients, played(**faded))
    assert settled.level == "ok"
    assert "settled" in settled.why


@pytest.mark.parametrize(("times", "level"), [(5.0, "ok"), (50.0, "warn"), (1000.0, "alarm")])
def test_a_gradient_that_grows_is_told_by_its_factor(times: float, level: str) -> None:
    finding = found(exploding_gradients, played(train__critic__gradient_norm=after(120, 2.0, 2 * times)))
    assert (finding.level, finding.value) == (level, times)
    assert finding.since_step == (None if level == "ok" else 120)


def test_a_gradient_that_is_no_number_is_dated() -> None:
    norms: list[Any] = [1.0] * 15 + [None] * 5
    finding = found(exploding_gradients, played(train__generator__gradient_norm=norms))
    assert (finding.level, finding.since_step) == ("alarm", 160)


def test_a_name_is_found_once_and_the_worse_of_two_stays() -> None:
    ended = {"state": "failed", "why": "step 12: the gradient of critic.last.weight is not finite", "step": 11}
    listed = [f for f in findings(played(meta=ended)) if f.name == "exploding_gradients"]
    assert [(f.level, f.since_step) for f in listed] == [("alarm", 11)]
    names = [f.name for f in findings(played(details=reach()))]
    assert len(names) == len(set(names))
    assert {"vanishing_gradients", "exploding_gradients"} <= set(names)


# -- learning ----------------------------------------------------------------------------------------------------------


def test_samples_that_never_got_nearer_have_stalled_whatever_the_losses_do() -> None:
    jitter = [50 + (-1) ** i for i in range(LOOKS)]
    finding = found(stalled, played(valid__frechet_distance=jitter, valid__coverage=0.05, train__critic__loss_nats=1.0))
    assert (finding.level, finding.since_step) == ("alarm", 10)
    assert found(stalled, played(valid__frechet_distance=jitter)).level == "ok"
    assert found(stalled, played(valid__coverage=0.05)).level == "ok"


@pytest.mark.parametrize(("held_out", "level"), [(0.9, "ok"), (0.2, "warn"), (-0.8, "alarm")])
def test_a_critic_whose_scores_fall_on_held_out_rows_remembers_the_training_rows(held_out: float, level: str) -> None:
    real = after(90, 0.9, held_out)
    finding = found(
        overfitting, played(valid__critic__score_real=real, valid__critic__ranked=0.55, train__critic__ranked=0.9)
    )
    assert (finding.level, finding.value) == (level, pytest.approx((1 - held_out) / 2))
    assert finding.since_step == (None if level == "ok" else 90)


def test_a_drift_of_all_scores_is_no_memory_and_a_critic_without_an_advantage_has_none_to_lose() -> None:
    drift = played(valid__critic__score_real=-9.0, valid__critic__score_made=-11.0)
    assert found(overfitting, drift).value == pytest.approx(0.0)
    assert overfitting(played(train__critic__ranked=0.52, valid__critic__score_real=-1.0)) is None


def test_a_lead_that_shrinks_while_held_out_rows_are_ranked_as_well_is_no_memory() -> None:
    same = played(valid__critic__score_real=-0.5, valid__critic__ranked=0.7)
    assert found(overfitting, same).level == "ok"
