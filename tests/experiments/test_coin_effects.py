import numpy as np
import pytest

from hallulab.experiments.coin_effects import (
    DELTAS,
    delta_curve,
    delta_effect,
    lowest_place,
    stretches,
    way_effects,
)
from hallulab.experiments.coin_result import coin_result
from hallulab.experiments.coin_settings import CoinSettings
from hallulab.scoring.coin_exact import estimates
from hallulab.scoring.coin_table import exact_table, one_answer, sampled_answers
from hallulab.scoring.coins import answer_probability
from tests.hand_made_coins import moment, near_means

TABLE = exact_table(3)


def result(outputs, *, objective="squared_error", n=3, answers=("prediction",)):
    """One finished round per table of outputs."""
    settings = CoinSettings(coins_per_draw=n, epochs=1, rounds=len(outputs), objective=objective)
    return coin_result(settings, [moment(seed, 1, each, answers) for seed, each in enumerate(outputs)])


def test_a_curve_is_the_rate_at_every_delta():
    """Slow twin: one δ at a time."""
    said = np.rint(TABLE.mean)
    probabilities = answer_probability(TABLE.pmf, said)
    expected = [(probabilities <= delta + 1e-12).mean() for delta in DELTAS]
    np.testing.assert_allclose(delta_curve(TABLE, one_answer(said)), expected)
    sample = [(TABLE.pmf * (TABLE.pmf <= delta + 1e-12)).sum(axis=1).mean() for delta in DELTAS]
    np.testing.assert_allclose(delta_curve(TABLE, sampled_answers(TABLE.pmf)), sample)


def test_parts_of_a_curve_add_up():
    answers = one_answer(np.ceil(TABLE.mean))
    parts = [delta_curve(TABLE, answers, among) for among in (TABLE.is_tie, ~TABLE.is_tie)]
    np.testing.assert_allclose(sum(parts), delta_curve(TABLE, answers))


def test_a_missing_answer_leaves_no_curve():
    assert np.isnan(delta_curve(TABLE, one_answer(np.full(20, np.nan)))).all()


def test_what_comes_from_ties_alone_is_told_apart():
    """N = 3: the median says the likelier count of a tie, and nothing else than the rounded mean elsewhere."""
    median = estimates(TABLE)["median"].values[:, 0]
    rounded_down = [near_means(3, -1e-4)] * 6  # of a tie the lower count, which is sometimes the less likely
    effect = delta_effect(
        result([median] * 6, objective="absolute_error"), "prediction", result(rounded_down)
    )
    at_04 = int(np.flatnonzero(np.isclose(DELTAS, 0.4))[0])
    # of four ties three matter at 0.4: {2,3,4} hallucinates either way, {1,2,6} when rounded up, {4,5,6} when down
    assert effect.total.mean[at_04] == pytest.approx(-1 / 20)
    assert (effect.off_ties.mean == 0).all()
    assert (effect.exact_off_ties == 0).all()
    # the exact mean falls to either side of a tie: 3 of 20 draws, half of the time
    assert effect.exact_total[at_04] == pytest.approx(1 / 20 - 1 / 10)
    assert effect.total.half_width == pytest.approx(0, abs=1e-12)


def test_off_ties_an_objective_can_gain_at_a_price():
    """N = 4: the mode gains up to 2.9 points on draws that are no ties, for more squared error."""
    table = exact_table(4)
    mode = estimates(table)["mode"].values
    logits = np.where(np.arange(5) == mode, 9.0, 0.0)
    answers = ("mode", "mean", "sample")
    runs = [
        result([near_means(4, 1e-4)] * 5, n=4),
        result([logits] * 5, objective="cross_entropy", n=4, answers=answers),
    ]
    by_mode, by_mean, by_sample = way_effects(runs)
    assert [effect.answer for effect in (by_mode, by_mean, by_sample)] == list(answers)
    assert lowest_place(by_mode.over_delta.off_ties.mean)[1] == pytest.approx(-2 / 70)
    assert lowest_place(by_mode.over_delta.exact_off_ties)[1] == pytest.approx(-2 / 70)
    assert by_mode.exact_squared_error == pytest.approx(0.5 / 70)
    assert (by_mode.cost, by_mode.n_ways) == ("higher", 3)
    assert by_sample.cost == "higher"
    assert len(by_mode.to_json()["deltas"]) == len(DELTAS)


def test_runs_without_squared_error_beside_them_have_no_effect():
    assert way_effects([result([near_means(3)], objective="modal")]) == ()
    assert way_effects([result([near_means(3)])]) == ()


def test_few_rounds_have_no_band_and_an_unknown_cost():
    runs = [
        result([near_means(3, 0.01 * k) for k in (1, 2)], objective=o) for o in ("squared_error", "modal")
    ]
    (effect,) = way_effects(runs)
    assert effect.over_delta.total.half_width is None
    assert effect.cost == "unknown"


def test_rounds_without_an_answer_to_every_draw_have_no_curve():
    broken = near_means(3)
    broken[0] = np.nan
    (effect,) = way_effects([result([near_means(3)]), result([broken], objective="modal")])
    assert effect.over_delta is None


def test_stretches_of_delta():
    holds = np.zeros(len(DELTAS), dtype=bool)
    holds[[0, 1, 2, 9]] = True
    assert stretches(holds) == [(0.005, 0.015), (0.05, 0.05)]
    assert stretches(np.zeros(len(DELTAS), dtype=bool)) == []
