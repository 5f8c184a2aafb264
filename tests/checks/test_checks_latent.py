"""Rules over a latent code: dimensions that carry nothing, encoders whose noise nobody hears."""

from __future__ import annotations

from elboroom.checks.latent import posterior_collapse, unused_noise
from records_by_hand import rates, record


def test_dimensions_that_carry_nothing_are_counted():
    found = posterior_collapse(record(details=rates(2.0, 0.001, 1.0, 0.0)))
    assert found is not None
    assert (found.level, found.value) == ("warn", 0.5)
    assert "z2, z4" in found.why
    assert "--latent 2" in found.try_


def test_a_code_in_full_use_is_fine():
    found = posterior_collapse(record(details=rates(2.0, 0.5)))
    assert found is not None
    assert found.level == "ok"


def test_a_code_that_carries_nothing_is_a_collapse_since_the_rate_fell_for_good():
    rows = [{"step": 10 * i, "valid/rate_nats": r} for i, r in enumerate([3.0, 0.001, 0.5, 0.01, 0.002, 0.001])]
    found = posterior_collapse(record(rows, details=rates(0.001, 0.0, 0.002)))
    assert found is not None
    assert (found.level, found.value, found.threshold, found.since_step) == ("alarm", 1.0, 0.9, 30)


def test_a_model_without_a_rate_has_no_posterior_to_collapse():
    assert posterior_collapse(record(details={"active_by_variance": 3})) is None


def spread(share: float, *axes: float) -> dict[str, object]:
    return {"matching": {"noise": {"share": share, "axes": list(axes)}}}


def test_an_encoder_whose_draws_hardly_differ_is_warned_of():
    found = unused_noise(record(details=spread(0.002, 0.001, 0.02)))
    assert found is not None
    assert (found.level, found.value, found.threshold) == ("warn", 0.002, 0.01)
    assert "0.2 % of the variance" in found.why
    assert "1 of 2 axes" in found.why


def test_an_encoder_whose_draws_differ_is_fine():
    found = unused_noise(record(details=spread(0.05, 0.05, 0.05)))
    assert found is not None
    assert found.level == "ok"


def test_of_points_and_of_posteriors_with_a_rate_noise_is_not_judged():
    assert unused_noise(record(details={"matching": {"law": "N(0, I)"}})) is None
    assert unused_noise(record(details=spread(0.002, 0.002) | rates(2.0, 0.5))) is None
