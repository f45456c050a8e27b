import math

import numpy as np
import pytest

from hallulab.data.coins import all_draws, mean_heads
from hallulab.errors import RefusedInputError
from hallulab.scoring.coin_rule import CoinRule
from hallulab.scoring.coin_table import (
    N_SAMPLED_DRAWS,
    N_SCORED_SAMPLE,
    coin_table,
    draws_interval,
    exact_table,
    one_answer,
    rounded_either_way,
    sampled_answers,
    score_answers,
    scored_table,
)

LAST = coin_table(np.array([[0, 1], [0, 3]], dtype=np.uint8), 2, is_all=False)
"""{1, 2} with pmf 3/8, 1/2, 1/8 and mean 3/4; {1, 4} with pmf 0, 3/4, 1/4 and mean 5/4"""


def scored(values, delta=0.3):
    return score_answers(LAST, one_answer(values), CoinRule(delta=delta))


@pytest.mark.parametrize("coins_per_draw", [1, 2, 5, 8])
def test_all_draws_are_in_the_table_where_they_are_few(coins_per_draw):
    table = scored_table(coins_per_draw)
    np.testing.assert_array_equal(table.labels, all_draws(coins_per_draw))
    assert table.is_all
    np.testing.assert_array_equal(table.pmf, exact_table(coins_per_draw).pmf)
    np.testing.assert_allclose(table.pmf @ np.arange(coins_per_draw + 1), table.mean)


def test_a_sample_stands_for_all_where_they_are_many():
    assert len(scored_table(9).labels) == len(scored_table(64).labels) == N_SCORED_SAMPLE
    assert exact_table(9).is_all
    assert not scored_table(9).is_all
    sampled = exact_table(11)
    assert (len(sampled.labels), sampled.is_all) == (N_SAMPLED_DRAWS, False)
    # every coin is in half of the draws: standard deviation ½ / √16,384 = 0.004
    share = np.bincount(sampled.labels.ravel(), minlength=22) / len(sampled.labels)
    np.testing.assert_allclose(share, 0.5, atol=0.02)


def test_a_table_is_refused_for_an_n_that_no_run_can_have():
    with pytest.raises(RefusedInputError, match="from 1 to 64, got 65"):
        exact_table(65)


def test_ties_are_the_means_exactly_between_two_counts():
    for n in (2, 3, 7):
        table = exact_table(n)
        # the mean is this sum over 2N, so it is a half where the sum is an odd multiple of N
        sums = (table.labels.astype(int) + 1).sum(axis=1)
        np.testing.assert_array_equal(table.is_tie, sums % (2 * n) == n)


def test_an_answer_is_scored_in_closed_form():
    scores = scored([1, 2])
    np.testing.assert_allclose(scores.conditional_probability, [1 / 2, 1 / 4])
    # one coin too low: {1, 2} have p = 0 and 1/4, {1, 4} have 0 and 3/4
    np.testing.assert_allclose(scores.conditional_probability_shifted_law, [1 / 4, 0])
    np.testing.assert_array_equal(scores.hallucination_rate, [0, 1])
    # Σp(1 − p) = 7/16 and 3/16; the answers are 1/4 and 3/4 off the means
    np.testing.assert_allclose(scores.squared_error, [7 / 16 + 1 / 16, 3 / 16 + 9 / 16])
    np.testing.assert_array_equal(scores.impossible_share, [0, 0])


def test_a_number_that_cannot_come_up_is_impossible_and_far_if_it_is_not_near():
    # 0 heads cannot come up where coin 4 is drawn, which always falls heads
    scores = scored([0.75, 0.0])
    np.testing.assert_array_equal(scores.impossible_share, [1, 1])
    np.testing.assert_array_equal(scores.far_share, [1, 1])
    near = scored([0.99, 0.95])
    np.testing.assert_array_equal(near.impossible_share, [1, 1])
    np.testing.assert_array_equal(near.far_share, [0, 0])
    np.testing.assert_array_equal(scored([-0.05, 2.2]).far_share, [0, 1])


def test_a_missing_answer_is_missing_in_every_score_and_leaves_the_others_alone():
    scores = scored([math.nan, 1])
    for name, value in vars(scores).items():
        assert np.isnan(value).tolist() == [True, False], name


def test_a_sampled_answer_is_its_expectation():
    shares = [[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]]
    scores = score_answers(LAST, sampled_answers(shares), CoinRule(delta=0.4))
    np.testing.assert_allclose(scores.conditional_probability, [7 / 16, 1 / 2])
    np.testing.assert_allclose(scores.hallucination_rate, [1 / 2, 1 / 2])
    np.testing.assert_allclose(
        scores.squared_error, [7 / 16 + (9 / 16 + 1 / 16) / 2, 3 / 16 + (1 / 16 + 9 / 16) / 2]
    )


def test_many_tables_of_answers_are_scored_together():
    values = np.array([[1, 2], [2, 1], [0.5, math.nan]])
    together = scored(values)
    for row, each in enumerate(values):
        for name, value in vars(scored(each)).items():
            np.testing.assert_array_equal(getattr(together, name)[row], value)


def test_a_prediction_a_hair_off_falls_to_either_side_where_rounding_jumps():
    nearest = rounded_either_way([0.5, 1.2, 3.0], "nearest")
    np.testing.assert_array_equal(nearest.values, [[0, 1], [1, 1], [3, 3]])
    up = rounded_either_way([0.5, 1.2, 3.0], "ceil")
    np.testing.assert_array_equal(up.values, [[1, 1], [2, 2], [3, 4]])
    assert nearest.shares.tolist() == [[0.5, 0.5]]


def test_a_network_near_the_mean_scores_as_its_counterpart_on_average():
    """Many networks, each a random hair off every average."""
    table, rule = exact_table(3), CoinRule(delta=0.4)
    hairs = np.random.default_rng(0).normal(0, 1e-4, size=(4_000, 20))
    answers = one_answer(np.rint(mean_heads(table.labels, 3) + hairs))
    found = score_answers(table, answers, rule).hallucination_rate.mean()
    expected = score_answers(table, rounded_either_way(table.mean, "nearest"), rule).hallucination_rate.mean()
    # four ties per network, each a fair coin: standard deviation below √4 / 2 / 20 / √4,000 = 0.0008
    assert found == pytest.approx(expected, abs=0.004)


def test_all_draws_leave_nothing_open_and_a_sample_does():
    rates = np.array([0.0, 1.0, 1.0, np.nan])
    assert draws_interval(exact_table(2), rates) is None
    sampled = draws_interval(LAST, rates)
    # Wilson's interval of 2 of 3
    assert (sampled.low, sampled.high) == pytest.approx((0.2077, 0.9385), abs=5e-5)
    means = draws_interval(LAST, np.array([0.1, 0.2, 0.3]))
    assert (means.low, means.high) == pytest.approx(
        (0.2 - 4.3027 * 0.057735, 0.2 + 4.3027 * 0.057735), abs=1e-4
    )
    assert draws_interval(LAST, np.array([np.nan])) is None


def test_the_interval_of_a_sample_covers_what_all_draws_give():
    """N = 9 has 48,620 draws: in how many of 40 samples of 1,000 the interval holds their rate."""
    table, rule = exact_table(9), CoinRule()
    answers = np.rint(table.mean)
    scores = score_answers(table, one_answer(answers), rule).hallucination_rate
    rng, covered = np.random.default_rng(0), 0
    for _ in range(40):
        interval = draws_interval(LAST, scores[rng.integers(len(scores), size=1_000)])
        covered += interval.low <= scores.mean() <= interval.high
    assert covered >= 34  # fewer than 34 of 40 happens once in 400 times at 95 %
