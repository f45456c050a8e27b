import math
from itertools import product

import numpy as np
import pytest
from scipy import stats

from hallulab.data.coins import all_draws
from hallulab.errors import RefusedInputError
from hallulab.scoring.coin_rule import CoinRule
from hallulab.scoring.coins import (
    answer_probability,
    coin_pmf,
    judge_answers,
    judge_estimators,
    poisson_binomial_pmf,
    round_predictions,
)


def pmf_by_enumeration(probabilities):
    """Slow twin: every outcome of every coin."""
    pmf = [0.0] * (len(probabilities) + 1)
    for flips in product((0, 1), repeat=len(probabilities)):
        pmf[sum(flips)] += math.prod(
            p if flip else 1 - p for p, flip in zip(probabilities, flips, strict=True)
        )
    return pmf


@pytest.mark.parametrize("coins_per_draw", [1, 2, 3, 4, 5])
def test_pmf_is_the_enumeration_of_all_flips(coins_per_draw):
    draws = all_draws(coins_per_draw)
    expected = [pmf_by_enumeration([(label + 1) / (2 * coins_per_draw) for label in draw]) for draw in draws]
    np.testing.assert_allclose(coin_pmf(draws, coins_per_draw), expected, atol=1e-14)


@pytest.mark.parametrize("n_coins", range(1, 65))
def test_pmf_matches_scipy_in_a_batch(n_coins):
    p = np.random.default_rng(n_coins).random((3, n_coins))
    expected = [stats.poisson_binom.pmf(np.arange(n_coins + 1), row) for row in p]
    found = poisson_binomial_pmf(p)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    np.testing.assert_allclose(found @ np.arange(n_coins + 1), p.sum(axis=1))


@pytest.mark.parametrize("coins_per_draw", [2, 9, 31, 64])
def test_pmf_of_drawn_coins_matches_scipy(coins_per_draw):
    labels = np.random.default_rng(coins_per_draw).permutation(2 * coins_per_draw)[:coins_per_draw]
    probabilities = [(label + 1) / (2 * coins_per_draw) for label in labels.tolist()]
    expected = stats.poisson_binom.pmf(np.arange(coins_per_draw + 1), probabilities)
    np.testing.assert_allclose(coin_pmf(labels, coins_per_draw), expected, atol=1e-12)


def test_pmf_of_certain_coins():
    np.testing.assert_array_equal(poisson_binomial_pmf([0, 1, 1]), [0, 0, 1, 0])
    np.testing.assert_array_equal(poisson_binomial_pmf([1.0]), [0, 1])


@pytest.mark.parametrize("bad", [[0.5, 1.1], [-0.1], [math.nan]])
def test_pmf_refuses_what_is_no_probability(bad):
    with pytest.raises(RefusedInputError, match="expected head probabilities between 0 and 1"):
        poisson_binomial_pmf(bad)


def test_answers_that_cannot_come_up_have_probability_0_and_nan_is_missing():
    pmf = np.tile([0.25, 0.5, 0.25], (8, 1))
    answers = [-1, 3, 0.5, math.inf, -math.inf, 1e300, 2, math.nan]
    expected = [0, 0, 0, 0, 0, 0, 0.25, math.nan]
    np.testing.assert_array_equal(answer_probability(pmf, answers), expected)


def test_rounding():
    np.testing.assert_array_equal(
        round_predictions([0.5, 1.5, 2.2, math.nan], "nearest"), [0, 2, 2, math.nan]
    )
    np.testing.assert_array_equal(round_predictions([1.0, 1.01, -0.5], "ceil"), [1, 2, 0])
    with pytest.raises(RefusedInputError, match="expected rounding nearest or ceil, got 'floor'"):
        round_predictions([1.0], "floor")  # type: ignore[arg-type]


def test_the_bayes_mean_of_a_quarter_and_a_sure_coin_never_comes_up():
    # p = 1/4 and 1: one head with 3/4, two with 1/4; the mean 1.25 is neither
    by_name = {e.name: e for e in judge_estimators([0, 3], 2, CoinRule(delta=0.3))}
    assert [(e.answer, e.conditional_probability) for e in by_name.values()] == [
        (1.25, 0.0), (1.0, pytest.approx(0.75)), (2.0, pytest.approx(0.25)), (1.0, pytest.approx(0.75)),
    ]  # fmt: skip
    assert [e.verdict.is_hallucination for e in by_name.values()] == [True, False, True, False]
    assert by_name["bayes_mean"].verdict.max_log_density == -math.inf


def test_verdicts_by_delta_call_a_tie_a_hallucination():
    pmf = poisson_binomial_pmf([0.5, 0.5])  # 1/4, 1/2, 1/4
    verdicts = judge_answers(pmf, [0, 1, 2, 7], CoinRule(delta=0.25))
    assert [v.is_hallucination for v in verdicts] == [True, False, True, True]
    assert verdicts[1].margin_nats == pytest.approx(math.log(2))
    assert verdicts[0].states[0].n_genuine == 0


def test_verdicts_by_mass_hold_at_least_that_mass():
    pmf = poisson_binomial_pmf([0.5] * 4)  # 1, 4, 6, 4, 1 sixteenths: the middle three hold 14/16 = 0.875
    inside = [
        not v.is_hallucination for v in judge_answers(pmf, range(5), CoinRule(hdr_mass=0.87, delta=None))
    ]
    assert inside == [False, True, True, True, False]
    assert not any(
        v.is_hallucination for v in judge_answers(pmf, range(5), CoinRule(hdr_mass=0.9, delta=None))
    )


def test_verdict_names_what_decided():
    one, other = ([judge_answers(coin_pmf(labels, 2), [1], CoinRule())[0]] for labels in ([0, 1], [0, 2]))
    assert one[0].frame_hash != other[0].frame_hash
