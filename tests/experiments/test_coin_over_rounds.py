import numpy as np
import pytest

from hallulab.experiments.coin_over_rounds import epoch_band, over_rounds, paired_difference, range_of
from tests.hand_made_coins import point, run

T_THREE = 4.3027
"""97.5 % quantile of Student's t with two degrees of freedom; the mean of 0.1, 0.2 and 0.3 has standard error
0.1 / √3 = 0.057735"""


def test_three_rounds_have_students_interval():
    over = over_rounds([0.1, 0.2, 0.3], exact=0.15)
    assert (over.mean, over.gap) == (pytest.approx(0.2), pytest.approx(0.05))
    assert (over.low, over.high) == pytest.approx(
        (0.2 - T_THREE * 0.057735, 0.2 + T_THREE * 0.057735), abs=1e-4
    )
    assert (over.n_rounds, over.n_missing, over.is_constant) == (3, 0, False)


def test_intervals_stop_where_no_value_can_lie():
    over = over_rounds([0.1, 0.2, 0.3], within=(0, 0.4))
    assert (over.low, over.high) == (0, 0.4)


@pytest.mark.parametrize("values", [[0.4], [0.4, 0.5], [-0.38, -0.38], [0.0] * 5, [0.5, 0.5 + 1e-15, 0.5]])
def test_too_few_or_equal_rounds_have_no_interval(values):
    """An interval of no width would claim to know all other rounds."""
    over = over_rounds(values)
    assert (over.low, over.high) == (None, None)
    assert (over.lowest, over.highest) == (min(values), max(values))
    assert over.is_constant == (len(values) > 1 and max(values) - min(values) < 1e-9)


def test_missing_rounds_are_counted_and_left_out():
    over = over_rounds([0.1, None, float("nan"), 0.3])
    assert (over.mean, over.n_rounds, over.n_missing) == (pytest.approx(0.2), 2, 2)
    nothing = over_rounds([None], exact=0.5)
    assert (nothing.mean, nothing.gap, nothing.lowest) == (None, None, None)


def test_a_sample_of_draws_leaves_what_each_round_leaves_on_average():
    over = over_rounds([0.1, 0.3], draws_intervals=[(0.0, 0.2), (0.2, 0.4)])
    assert (over.draws_low, over.draws_high) == pytest.approx((0.1, 0.3))
    assert over_rounds([0.1, 0.3], draws_intervals=[None, None]).draws_low is None


def rounds(curves, field="conditional_probability"):
    """One round per curve; a curve is one value per epoch from 1."""
    return [
        point(seed, epoch, **{field: value})
        for seed, curve in enumerate(curves)
        for epoch, value in enumerate(curve, start=1)
    ]


def test_a_band_has_the_mean_and_the_interval_up_to_where_all_rounds_have_come():
    points = rounds([[0.1, 0.5, 0.5], [0.2, 0.5, 0.5], [0.3, 0.5]])
    band = epoch_band(run(points), "conditional_probability")
    np.testing.assert_allclose(band.epochs, [1, 2])
    np.testing.assert_allclose(band.mean, [0.2, 0.5])
    # 0.2 ± 0.2484 is cut at 0; rounds that agree have a band of no width
    np.testing.assert_allclose(band.low, [0, 0.5], atol=1e-4)
    np.testing.assert_allclose(band.high, [0.4484, 0.5], atol=1e-4)
    assert band.n_rounds.tolist() == [3, 3]


def test_finished_rounds_do_not_wait_for_those_that_were_given_up():
    points = rounds([[0.1, 0.2, 0.3, 0.4], [0.5]])
    band = epoch_band(run(points), "conditional_probability")
    np.testing.assert_allclose(band.mean, [0.1, 0.2, 0.3, 0.4])


def test_a_band_without_values_is_nan():
    band = epoch_band(run([point(0, 0, train_loss=None)]), "train_loss")
    assert (np.isnan(band.mean).all(), band.n_rounds.tolist()) == (True, [0])
    assert epoch_band(run([]), "train_loss").epochs.shape == (0,)


def test_differences_are_paired_by_seed():
    ours = [point(seed, 4, squared_error=value) for seed, value in ((0, 0.5), (1, 0.7), (2, 0.9))]
    theirs = [point(seed, 4, squared_error=value) for seed, value in ((1, 0.6), (0, 0.2))]
    difference = paired_difference(ours, theirs, "squared_error")
    assert (difference.mean, difference.n_rounds, difference.n_missing) == (pytest.approx(0.2), 2, 1)


def test_shares_lie_between_0_and_1_and_losses_above():
    for field in (
        "hallucination_rate",
        "impossible_share",
        "conditional_probability",
        "conditional_probability_data_law",
    ):
        assert range_of(field) == (0, 1)
    assert range_of("squared_error") == (0, np.inf)
