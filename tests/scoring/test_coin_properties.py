import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hallulab.scoring.coin_rule import CoinRule
from hallulab.scoring.coin_table import exact_table, one_answer, score_answers
from hallulab.scoring.coins import (
    answer_probability,
    poisson_binomial_pmf,
    round_predictions,
)
from hallulab.theory.minimisers import likeliest_count, median_count, modal_prediction
from hallulab.theory.regions import pmf_hdr_threshold

STEADY = settings(derandomize=True, deadline=None, max_examples=200)
coins = st.lists(st.floats(0, 1), min_size=1, max_size=64)
certain_coins = st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=64)
any_float = st.floats(allow_nan=True, allow_infinity=True)
"""NaN, infinities, subnormals and −0.0 too"""


@STEADY
@given(coins)
def test_pmf_sums_to_1_and_has_the_mean_and_variance_of_the_coins(probabilities):
    p, pmf = np.array(probabilities), poisson_binomial_pmf(probabilities)
    heads = np.arange(len(p) + 1)
    assert pmf.shape == heads.shape
    assert (pmf >= 0).all()
    assert math.isclose(pmf.sum(), 1, abs_tol=1e-12)
    mean = pmf @ heads
    assert math.isclose(mean, p.sum(), abs_tol=1e-10)
    assert math.isclose(pmf @ (heads - mean) ** 2, (p * (1 - p)).sum(), abs_tol=1e-8)


@STEADY
@given(coins, st.randoms(use_true_random=False))
def test_pmf_does_not_know_the_order_of_the_coins(probabilities, random):
    shuffled = random.sample(probabilities, len(probabilities))
    np.testing.assert_allclose(
        poisson_binomial_pmf(shuffled), poisson_binomial_pmf(probabilities), rtol=0, atol=1e-12
    )


@STEADY
@given(certain_coins)
def test_pmf_of_certain_coins_is_certain(probabilities):
    expected = np.zeros(len(probabilities) + 1)
    expected[int(sum(probabilities))] = 1
    np.testing.assert_array_equal(poisson_binomial_pmf(probabilities), expected)


@STEADY
@given(coins, certain_coins)
def test_certain_coins_only_shift_the_pmf(probabilities, certain):
    n_heads = int(sum(certain))
    pmf = poisson_binomial_pmf(probabilities)
    found = poisson_binomial_pmf([*certain, *probabilities])
    np.testing.assert_allclose(found[n_heads : n_heads + len(pmf)], pmf, rtol=0, atol=1e-12)


@STEADY
@given(coins)
def test_turning_every_coin_over_turns_the_pmf_over(probabilities):
    over = poisson_binomial_pmf([1 - p for p in probabilities])
    np.testing.assert_allclose(over, poisson_binomial_pmf(probabilities)[::-1], rtol=0, atol=1e-12)


@STEADY
@given(coins, any_float)
def test_any_float_as_an_answer_has_a_probability_or_is_missing(probabilities, answer):
    pmf = poisson_binomial_pmf(probabilities)
    found = answer_probability(pmf[None], [answer])[0]
    if math.isnan(answer):
        assert math.isnan(found)
    else:
        assert found == (pmf[int(answer)] if answer in range(len(pmf)) else 0)


@STEADY
@given(any_float)
def test_any_float_can_be_rounded(prediction):
    nearest, up = (float(round_predictions([prediction], r)[0]) for r in ("nearest", "ceil"))
    if math.isnan(prediction):
        assert math.isnan(nearest)
        assert math.isnan(up)
    elif math.isinf(prediction):
        assert nearest == up == prediction
    else:
        assert (nearest, up) == (round(prediction), math.ceil(prediction))


@STEADY
@given(st.lists(any_float, min_size=6, max_size=6))
def test_every_answer_is_scored_or_missing_and_every_share_is_one(answers):
    scores = score_answers(exact_table(2), one_answer(round_predictions(answers, "ceil")), CoinRule())
    is_missing = np.isnan(answers).tolist()
    for name in ("conditional_probability", "hallucination_rate", "impossible_share", "far_share"):
        values = getattr(scores, name)
        assert np.isnan(values).tolist() == is_missing
        assert all(0 <= value <= 1 for value in values[~np.isnan(values)])


@STEADY
@given(coins, st.floats(0.01, 0.99))
def test_the_region_of_a_mass_holds_it_and_none_of_it_could_be_left_out(probabilities, mass):
    pmf = poisson_binomial_pmf(probabilities)
    inside = pmf > np.exp(pmf_hdr_threshold(pmf, mass))
    assert pmf[inside].sum() >= mass - 1e-9
    # without its least likely values, which tie, it would hold too little
    assert pmf[pmf > pmf[inside].min() + 1e-9].sum() < mass + 1e-9


@STEADY
@given(coins)
def test_exact_minimisers_stay_within_the_counts(probabilities):
    pmf = poisson_binomial_pmf(probabilities)[None]
    mean = sum(probabilities)
    mode, median, modal = (found(pmf)[0] for found in (likeliest_count, median_count, modal_prediction))
    assert all(0 <= value <= len(probabilities) for value in (mode, median, modal))
    # a Poisson-binomial mode and median lie within one of the mean (Darroch 1964; Jogdeo and Samuels 1968)
    assert abs(mode - mean) <= 1 + 1e-9
    assert abs(median - mean) <= 1 + 1e-9
