import json
from dataclasses import replace

import numpy as np
import pytest

from hallulab.experiments.coin_run import CoinPoint, CoinSettings
from hallulab.experiments.coin_summary import CoinResult, epoch_band, summary_table
from hallulab.records import as_plain

SETTINGS = CoinSettings(epochs=3, rounds=2)


def scores(probability, shifted, hallucinations, squared_error):
    return {
        "conditional_probability": probability, "conditional_probability_shifted_law": shifted,
        "hallucination_rate": hallucinations, "squared_error": squared_error,
    }  # fmt: skip


EXACT = {
    "bayes_mean_rounded": scores(0.6, 0.3, 0.05, 0.4),
    "bayes_mean_ceil": scores(0.5, 0.24, 0.2, 0.6),
    "mode": scores(0.62, 0.5, 0.0, 0.45),
    "modal": scores(0.61, 0.4, 0.0, 0.45),
    "pmf_sample": scores(0.4, 0.3, 0.3, 0.8),
}
T_TWO = 12.7062
"""97.5 % quantile of Student's t with one degree of freedom: of two values, the interval of the mean is
mean ± T_TWO · |a − b| / 2"""


def point(seed, epoch, **changed):
    values = {
        "answer": "prediction", "train_loss": 1.0, "validation_loss": 1.0, "squared_error": 0.5,
        "conditional_probability": 0.5, "conditional_probability_data_law": 0.5, "hallucination_rate": 0.1,
        "hallucination_interval": (0.05, 0.2), "best_conditional_probability": 0.61,
        "bayes_mean_squared_error": 0.3, "n": 100, "n_missing": 0,
    }  # fmt: skip
    return CoinPoint(seed=seed, epoch=epoch, **(values | changed))


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
    assert (row.epoch, row.n_rounds, row.n_flips_scored) == (3, 2, 200)
    assert (probability.mean, probability.exact) == (pytest.approx(0.54), 0.6)
    assert probability.gap == pytest.approx(-0.06)
    # 0.54 ± 12.7062 · 0.02
    assert (probability.low, probability.high) == pytest.approx((0.54 - T_TWO * 0.02, 0.54 + T_TWO * 0.02))
    assert row.squared_error.exact == 0.4
    assert row.hallucination_rate.gap == pytest.approx(0.1 - 0.05)
    assert (row.best_conditional_probability.mean, row.best_conditional_probability.exact) == (0.61, 0.62)


def test_intervals_stop_where_no_value_can_lie():
    row = row_of(result(rounds([[0.1], [0.9]], "hallucination_rate"), epochs=1))
    assert (row.hallucination_rate.low, row.hallucination_rate.high) == (0, 1)
    # 0.5 ± 12.7062 · 0.4 is cut at 0 alone
    row = row_of(result(rounds([[0.1], [0.9]], "squared_error"), epochs=1))
    assert (row.squared_error.low, row.squared_error.high) == (0, pytest.approx(0.5 + T_TWO * 0.4))


def test_the_public_code_is_held_against_its_own_law_and_against_the_flips():
    points = rounds([[0.25], [0.23]], conditional_probability_data_law=0.48)
    row = row_of(result(points, epochs=1, variant="paper_code"))
    assert (row.conditional_probability.mean, row.conditional_probability.exact) == (0.24, 0.24)
    assert row.conditional_probability_data_law.exact == 0.5
    assert row.conditional_probability_data_law.gap == pytest.approx(-0.02)


def test_one_round_has_no_interval():
    row = row_of(result(rounds([[0.5, 0.6, 0.7]]), rounds=1))
    assert row.conditional_probability.mean == 0.7
    assert (row.conditional_probability.low, row.conditional_probability.high) == (None, None)


def test_rounds_are_compared_after_equal_training():
    stopped = result(rounds([[0.1, 0.2, 0.3], [0.5, 0.6]]))
    assert stopped.last_epoch == 2
    assert row_of(stopped).conditional_probability.mean == pytest.approx(0.4)
    untrained = result([point(0, 0), point(0, 0.5)])
    assert (untrained.last_epoch, untrained.last_points()) == (None, ())
    row = row_of(untrained)
    assert (row.epoch, row.n_rounds, row.conditional_probability.mean) == (None, 0, None)
    assert row.hallucination_interval is None


def test_the_papers_claim_is_a_rank_correlation_per_round():
    # the loss falls: a probability that always rises has −1; 0.5, 0.7, 0.6 has ranks 1, 3, 2 against 3, 2, 1
    # of the loss: 1 − 6 (4 + 1 + 1) / (3 · 8) = −0.5
    row = row_of(result(rounds([[0.5, 0.6, 0.7], [0.5, 0.7, 0.6]])))
    assert row.spearman.mean == pytest.approx(-0.75)
    assert (row.spearman.low, row.spearman.high) == (-1, 1)
    assert (row.spearman.n_rounds, row.spearman.n_missing) == (2, 0)


def test_only_the_ends_of_epochs_enter_the_correlation():
    points = rounds([[0.5, 0.6, 0.7]])
    others = (point(0, 0, train_loss=None, conditional_probability=0.9), point(0, 0.5, train_loss=0.01))
    assert row_of(result(points + others)).spearman.mean == pytest.approx(-1)


def test_a_curve_that_stands_still_has_no_correlation_and_is_counted():
    row = row_of(result(rounds([[0.5, 0.5, 0.5], [0.5, 0.6, 0.7]])))
    assert (row.spearman.mean, row.spearman.n_rounds, row.spearman.n_missing) == (pytest.approx(-1), 1, 1)
    assert row.spearman.low is None


def test_missing_answers_are_counted_and_left_out():
    broken = point(1, 1, conditional_probability=None, hallucination_rate=None, n=0, n_missing=100)
    row = row_of(result([point(0, 1, hallucination_rate=0.3), broken], epochs=1))
    assert (row.n_flips_scored, row.n_missing) == (100, 100)
    assert (row.hallucination_rate.mean, row.hallucination_rate.n_missing) == (0.3, 1)
    # Wilson's interval of 30 of 100
    assert row.hallucination_interval == pytest.approx((0.2189, 0.3958), abs=5e-5)


def test_the_flips_of_all_rounds_are_pooled_for_the_rates_own_interval():
    row = row_of(result([point(0, 1, hallucination_rate=0.1), point(1, 1, hallucination_rate=0.5)], epochs=1))
    # Wilson's interval of 60 of 200
    assert row.hallucination_interval == pytest.approx((0.2407, 0.3668), abs=5e-5)


def test_an_objective_is_paired_with_squared_error_seed_by_seed():
    reference = result(rounds([[0.1], [0.3]], "hallucination_rate"), epochs=1)
    other = result(rounds([[0.04], [0.2]], "hallucination_rate"), epochs=1, objective="modal")
    first, second = summary_table([reference, other])
    assert first.hallucination_rate_difference is None
    # −0.06 and −0.10
    difference = second.hallucination_rate_difference
    assert difference.mean == pytest.approx(-0.08)
    assert (difference.low, difference.high) == pytest.approx((-0.08 - T_TWO * 0.02, -0.08 + T_TWO * 0.02))
    assert second.squared_error_difference.mean == 0


def test_rounds_without_a_partner_are_counted_as_missing():
    reference = result(rounds([[0.1]], "hallucination_rate"), epochs=1, rounds=1)
    other = result(rounds([[0.3], [0.5]], "hallucination_rate"), epochs=1, variant="paper_code")
    difference = summary_table([reference, other])[1].hallucination_rate_difference
    assert (difference.mean, difference.n_rounds, difference.n_missing) == (pytest.approx(0.2), 1, 1)


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


def test_a_band_has_the_mean_and_the_interval_at_every_scored_moment():
    points = (point(0, 0), *rounds([[0.4, 0.5], [0.6]]))
    band = epoch_band(result(points), "conditional_probability")
    np.testing.assert_allclose(band.epochs, [0, 1, 2])
    np.testing.assert_allclose(band.mean, [0.5, 0.5, 0.5])
    # 0.5 ± 12.7062 · 0.1 is cut at 0 and 1; one round alone has no interval
    np.testing.assert_allclose(band.low, [np.nan, 0, np.nan])
    np.testing.assert_allclose(band.high, [np.nan, 1, np.nan])
    assert band.n_rounds.tolist() == [1, 2, 1]


def test_a_band_without_values_is_nan():
    band = epoch_band(result([point(0, 0, train_loss=None)]), "train_loss")
    assert (np.isnan(band.mean).all(), band.n_rounds.tolist()) == (True, [0])
    assert epoch_band(result([]), "train_loss").epochs.shape == (0,)


def test_json_holds_the_rounds_the_other_answers_and_the_table():
    points = [point(7, epoch, answer=a) for epoch in (0, 0.5, 1) for a in ("mode", "mean", "sample")]
    found = json.loads(
        json.dumps(as_plain(result(points, objective="cross_entropy").to_json()), allow_nan=False)
    )
    (only,) = found["rounds"]
    assert (only["seed"], [epoch["epoch"] for epoch in only["epochs"]]) == (7, [1])
    assert only["epochs"][0]["answer"] == "mode"
    assert [epoch["answer"] for epoch in only["other_answers"]["sample"]] == ["sample"]
    assert [row["answer"] for row in found["table"]] == ["mode", "mean", "sample"]
    assert (found["objective"], found["n_rounds_asked"], found["settings"]["rounds"]) == (
        "cross_entropy", 2, 2,
    )  # fmt: skip
