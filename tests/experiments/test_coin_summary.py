from dataclasses import replace

import pytest

from hallulab.experiments.coin_result import CoinResult
from hallulab.experiments.coin_settings import CoinSettings, settings_of
from hallulab.experiments.coin_summary import reference_of, summary_table
from tests.hand_made_coins import point

SETTINGS = CoinSettings(epochs=3, rounds=2)


def scores(probability, shifted, hallucinations, squared_error, impossible=0.0):
    return {
        "conditional_probability": probability, "conditional_probability_shifted_law": shifted,
        "hallucination_rate": hallucinations, "squared_error": squared_error, "impossible_share": impossible,
        "far_share": impossible,
    }  # fmt: skip


EXACT = {
    "bayes_mean": scores(0.1, 0.1, 0.8, 0.3, 0.8),
    "bayes_mean_rounded_either": scores(0.6, 0.3, 0.05, 0.4),
    "bayes_mean_ceil_either": scores(0.5, 0.24, 0.2, 0.6),
    "mode": scores(0.62, 0.5, 0.0, 0.45),
    "modal": scores(0.61, 0.4, 0.0, 0.45),
    "modal_unrounded": scores(0.2, 0.1, 0.7, 0.4, 0.7),
    "pmf_sample": scores(0.4, 0.3, 0.3, 0.8),
}


def rounds(curves, field="conditional_probability", **changed):
    """One round per curve; a curve is one value per epoch from 1, and the training loss falls in all."""
    return tuple(
        point(seed, epoch, train_loss=1 / epoch, **{field: value}, **changed)
        for seed, curve in enumerate(curves)
        for epoch, value in enumerate(curve, start=1)
    )


def result(points, **changed):
    return CoinResult(replace(SETTINGS, **changed), tuple(points), EXACT)


def row_of(*results):
    return summary_table(results)[-1]


def test_a_row_has_means_over_rounds_at_the_last_epoch_beside_the_exact_value():
    row = row_of(result(rounds([[0.1, 0.2, 0.52], [0.9, 0.8, 0.56]])))
    probability = row.conditional_probability
    assert (row.epoch, row.n_rounds, row.n_flips_scored, row.n_draws) == (3, 2, 200, 6)
    assert (probability.mean, probability.exact) == (pytest.approx(0.54), 0.6)
    assert probability.gap == pytest.approx(-0.06)
    assert (row.squared_error.exact, row.best_conditional_probability) == (0.4, 0.62)
    assert row.hallucination_rate.gap == pytest.approx(0.1 - 0.05)
    assert (row.impossible_share.mean, row.impossible_share.exact) == (1, 0.8)
    assert row.expected_loss.exact == 0.3125  # E[Σp(1 − p)] at N = 2


def test_the_public_code_is_held_against_its_own_law_and_against_the_flips():
    points = rounds([[0.25], [0.23]], conditional_probability_data_law=0.48)
    row = row_of(result(points, epochs=1, variant="paper_code"))
    assert (row.conditional_probability.mean, row.conditional_probability.exact) == (0.24, 0.24)
    assert row.conditional_probability_data_law.exact == 0.5
    assert row.conditional_probability_data_law.gap == pytest.approx(-0.02)


def test_a_run_without_an_epoch_has_a_row_without_numbers():
    row = row_of(result([point(0, 0), point(0, 0.5)]))
    assert (row.epoch, row.n_rounds, row.conditional_probability.mean) == (None, 0, None)
    assert row.held_out_hallucination_interval is None


def test_unfinished_rounds_are_named_and_left_out():
    row = row_of(result(rounds([[0.1, 0.2, 0.3], [0.5, 0.6]])))
    assert (row.epoch, row.n_rounds, row.left_out_seeds) == (3, 1, (1,))
    assert row.conditional_probability.mean == 0.3


def test_missing_answers_are_counted_and_left_out():
    missing = {"hallucination_rate": None, "held_out_hallucination_rate": None}
    broken = point(1, 1, n_draws=0, n_draws_missing=6, n=0, n_missing=100, **missing)
    row = row_of(result([point(0, 1, held_out_hallucination_rate=0.3), broken], epochs=1))
    assert (row.n_flips_scored, row.n_missing, row.n_draws, row.n_draws_missing) == (100, 100, 6, 6)
    assert (row.hallucination_rate.mean, row.hallucination_rate.n_missing) == (0.1, 1)
    # Wilson's interval of 30 of 100
    assert row.held_out_hallucination_interval == pytest.approx((0.2189, 0.3958), abs=5e-5)


def test_the_held_out_flips_of_all_rounds_are_pooled_for_the_rates_own_interval():
    points = [point(seed, 1, held_out_hallucination_rate=rate) for seed, rate in ((0, 0.1), (1, 0.5))]
    # Wilson's interval of 60 of 200
    assert row_of(result(points, epochs=1)).held_out_hallucination_interval == pytest.approx(
        (0.2407, 0.3668), abs=5e-5
    )


def test_an_objective_is_paired_with_squared_error_seed_by_seed():
    reference = result(rounds([[0.1], [0.3]], "hallucination_rate"), epochs=1)
    other = result(rounds([[0.04], [0.2]], "hallucination_rate"), epochs=1, objective="modal")
    first, second = summary_table([reference, other])
    assert (first.reference, first.hallucination_rate_difference) == (None, None)
    # −0.06 and −0.10
    assert (second.reference, second.hallucination_rate_difference.mean) == (
        "squared_error",
        pytest.approx(-0.08),
    )
    assert second.squared_error_difference.mean == 0


def test_what_a_run_is_held_against_differs_in_one_thing_alone():
    fixed, public, modal, both = (
        CoinResult(settings_of(variant, {"objective": objective}), (), EXACT)
        for variant, objective in (
            ("fixed", "squared_error"), ("paper_code", "squared_error"), ("fixed", "modal"), ("paper_code", "modal"),
        )
    )  # fmt: skip
    everything = (fixed, public, modal, both)
    assert reference_of(fixed, everything) is None
    assert reference_of(public, everything) is fixed  # its batches and learning rate are part of the variant
    assert reference_of(modal, everything) is fixed
    assert reference_of(both, everything) is public
    assert reference_of(both, (fixed, modal, both)) is None


@pytest.mark.parametrize("changed", [{"flips": 30_000}, {"coins_per_draw": 3}, {"delta": 0.2}, {"epochs": 4}])
def test_runs_on_other_flips_are_not_paired(changed):
    reference = result(rounds([[0.1], [0.3]]), **changed)
    other = result(rounds([[0.1], [0.3]]), objective="modal")
    assert summary_table([reference, other])[1].hallucination_rate_difference is None


def test_every_answer_of_cross_entropy_has_a_row():
    points = [
        point(seed, epoch, answer=answer, hallucination_rate=rate)
        for seed in (0, 1)
        for epoch in (1, 2, 3)
        for answer, rate in (("mode", 0.0), ("mean", 0.1), ("sample", 0.4))
    ]
    table = summary_table([result(points, objective="cross_entropy")])
    assert [(row.answer, row.hallucination_rate.mean) for row in table] == [
        ("mode", 0.0), ("mean", pytest.approx(0.1)), ("sample", pytest.approx(0.4)),
    ]  # fmt: skip
    assert [row.conditional_probability.exact for row in table] == [0.62, 0.6, 0.4]
    # only the mean is a number between two counts before it is rounded
    assert [row.impossible_share.exact for row in table] == [None, 0.8, None]
