import math
from fractions import Fraction
from itertools import combinations, product
from typing import get_args

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from hallulab.data.coins import all_draws, mean_heads
from hallulab.errors import RefusedInputError
from hallulab.experiments.coin_objectives import OBJECTIVES
from hallulab.scoring import coin_exact
from hallulab.scoring.coin_exact import exact_estimator, exact_scores
from hallulab.scoring.coins import CoinRule, Rounding, coin_pmf, score_answers
from hallulab.theory.minimisers import MODAL_BANDWIDTH, MODAL_PULL, median_count, modal_prediction

MEASURES = (
    "conditional_probability", "conditional_probability_shifted_law", "hallucination_rate", "squared_error",
)  # fmt: skip


def enumerated_pmf(probabilities):
    """Every outcome of every coin, in fractions."""
    pmf = [Fraction(0)] * (len(probabilities) + 1)
    for flips in product((0, 1), repeat=len(probabilities)):
        pmf[sum(flips)] += math.prod(
            p if flip else 1 - p for p, flip in zip(probabilities, flips, strict=True)
        )
    return pmf


def modal_by_search(pmf):
    """A walk over [0, N] in hundredths of a head, then a search around the lowest."""

    def risk(a):
        return sum(
            float(p)
            * (1 - math.exp(-((a - k) ** 2) / (2 * MODAL_BANDWIDTH**2)) + MODAL_PULL * (a - k) ** 2 / 2)
            for k, p in enumerate(pmf)
        )

    walk = [i / 100 for i in range(100 * (len(pmf) - 1) + 1)]
    best = min(walk, key=lambda a: (round(risk(a), 12), a))
    found = minimize_scalar(
        risk, bounds=(best - 0.01, best + 0.01), method="bounded", options={"xatol": 1e-9}
    )
    return round(found.x, 6)


def answers_by_hand(pmf, mean):
    """Estimator → the answers it may give, with their probabilities."""
    counts = range(len(pmf))
    modal = modal_by_search(pmf)
    certain = {
        "bayes_mean": mean,
        "bayes_mean_rounded": round(mean),
        "bayes_mean_ceil": math.ceil(mean),
        "mode": max(counts, key=lambda k: (pmf[k], -k)),
        "median": next(k for k in counts if sum(pmf[: k + 1]) >= Fraction(1, 2)),
        "modal": round(modal),
        "modal_ceil": math.ceil(modal),
    }
    return {name: {answer: Fraction(1)} for name, answer in certain.items()} | {
        "pmf_sample": {k: pmf[k] for k in counts}
    }


def scores_by_hand(coins_per_draw, delta):
    """Slow twin of `exact_scores`: over all draws, all their flips and all answers, one at a time."""
    draws = list(combinations(range(2 * coins_per_draw), coins_per_draw))
    totals = {}
    for draw in draws:
        probabilities = [Fraction(label + 1, 2 * coins_per_draw) for label in draw]
        pmf = enumerated_pmf(probabilities)
        shifted = enumerated_pmf([Fraction(label, 2 * coins_per_draw) for label in draw])
        for name, answers in answers_by_hand(pmf, sum(probabilities)).items():
            total = totals.setdefault(name, [Fraction(0)] * 4)
            for answer, weight in answers.items():
                possible = answer in range(coins_per_draw + 1)
                right = pmf[int(answer)] if possible else Fraction(0)
                total[0] += weight * right
                total[1] += weight * (shifted[int(answer)] if possible else 0)
                total[2] += weight * (right <= delta)
                total[3] += weight * sum(p * (answer - heads) ** 2 for heads, p in enumerate(pmf))
    return {name: [float(value / len(draws)) for value in total] for name, total in totals.items()}


@pytest.mark.parametrize("coins_per_draw", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("delta", [Fraction(3, 10), Fraction(3, 8)])
def test_every_exact_score_is_the_sum_over_all_draws_flips_and_answers(coins_per_draw, delta):
    expected = scores_by_hand(coins_per_draw, delta)
    exact = exact_scores(coins_per_draw, CoinRule(delta=float(delta)))
    assert {name for name, value in exact.items() if isinstance(value, dict)} == expected.keys()
    for name, values in expected.items():
        assert [exact[name][measure] for measure in MEASURES] == pytest.approx(values, abs=1e-12), name
    assert exact["least_squared_error"] == pytest.approx(expected["bayes_mean"][3])


EXACT = {  # coins per draw: ceil, rounding, mode
    2: (0.5000, 0.6042, 0.6042),
    3: (0.4535, 0.4993, 0.5160),
    5: (0.3704, 0.4108, 0.4114),
}


@pytest.mark.parametrize("coins_per_draw", EXACT)
def test_exact_conditional_probabilities(coins_per_draw):
    exact = exact_scores(coins_per_draw, CoinRule())
    found = [
        exact[name]["conditional_probability"] for name in ("bayes_mean_ceil", "bayes_mean_rounded", "mode")
    ]
    np.testing.assert_allclose(found, EXACT[coins_per_draw], atol=5e-5)
    assert exact["all_draws"]
    assert exact["n_draws"] == math.comb(2 * coins_per_draw, coins_per_draw)


@pytest.mark.parametrize(("coins_per_draw", "reported"), [(2, 0.2396), (3, 0.2701), (5, 0.2584)])
def test_the_public_codes_law_reports_other_numbers_for_the_same_answers(coins_per_draw, reported):
    ceil = exact_scores(coins_per_draw, CoinRule())["bayes_mean_ceil"]
    assert ceil["conditional_probability_shifted_law"] == pytest.approx(reported, abs=5e-5)


def test_no_estimator_beats_the_mode_and_none_has_less_squared_error_than_the_mean():
    exact = exact_scores(4, CoinRule())
    estimators = [value for value in exact.values() if isinstance(value, dict)]
    best = exact["mode"]["conditional_probability"]
    assert max(e["conditional_probability"] for e in estimators) == pytest.approx(best, abs=1e-12)
    assert min(e["squared_error"] for e in estimators) == exact["bayes_mean"]["squared_error"]
    assert exact["bayes_mean"]["squared_error"] == pytest.approx(exact["least_squared_error"])


@pytest.mark.parametrize("coins_per_draw", [2, 3, 5])
def test_the_mode_hallucinates_least_at_any_delta(coins_per_draw):
    """It has the highest probability of every draw's pmf, so whatever it cannot lift above δ nothing can."""
    for delta in np.linspace(0.02, 0.98, 49):
        exact = exact_scores(coins_per_draw, CoinRule(delta=float(delta)))
        rates = {
            name: value["hallucination_rate"] for name, value in exact.items() if isinstance(value, dict)
        }
        assert min(rates.values()) >= rates["mode"] - 1e-12


def test_the_median_can_hallucinate_less_than_the_rounded_mean_at_the_same_squared_error():
    # N = 3, δ = 0.4: where the mean falls between two counts, the median takes the likelier one
    exact = exact_scores(3, CoinRule(delta=0.4))
    assert exact["bayes_mean_rounded"]["hallucination_rate"] == pytest.approx(3 / 20)
    assert exact["median"]["hallucination_rate"] == pytest.approx(1 / 20)
    assert exact["median"]["squared_error"] == pytest.approx(exact["bayes_mean_rounded"]["squared_error"])


def test_many_coins_are_scored_on_the_draws_that_occurred():
    draws = np.sort(np.random.default_rng(0).permuted(np.tile(np.arange(40), (5, 1)), axis=1)[:, :20])
    exact = exact_scores(20, CoinRule(), draws=draws)
    assert (exact["n_draws"], exact["all_draws"]) == (5, False)


def test_draws_are_scored_in_chunks_that_do_not_show(monkeypatch):
    whole = exact_scores(4, CoinRule())
    monkeypatch.setattr(coin_exact, "DRAWS_PER_CHUNK", 9)
    for name, value in exact_scores(4, CoinRule()).items():
        assert value == pytest.approx(whole[name], abs=1e-12)


def test_refuses_to_enumerate_what_cannot_be_enumerated():
    words = "expected at most 9 coins per draw to enumerate all draws, got 10: give the draws that occurred"
    with pytest.raises(RefusedInputError, match=words):
        exact_scores(10, CoinRule())
    with pytest.raises(
        RefusedInputError, match="expected coins per draw as a whole number from 1 to 64, got 0"
    ):
        exact_scores(0, CoinRule())


def test_every_objective_answer_and_rounding_has_an_exact_counterpart():
    exact = exact_scores(2, CoinRule())
    for name, objective in OBJECTIVES.items():
        for answer in objective.answers:
            for rounding in get_args(Rounding):
                assert "squared_error" in exact[exact_estimator(name, answer, rounding)]


def test_a_counterpart_that_does_not_exist_is_refused():
    with pytest.raises(RefusedInputError, match="got cross_entropy/prediction/nearest"):
        exact_estimator("cross_entropy", "prediction", "nearest")


@pytest.mark.parametrize("rounding", get_args(Rounding))
@pytest.mark.parametrize("coins_per_draw", [2, 3])
def test_a_network_that_knew_the_truth_would_score_as_its_exact_counterpart(coins_per_draw, rounding):
    """The objectives' own answers, from perfect outputs, against the exact scores."""
    rule, draws = CoinRule(), all_draws(coins_per_draw)
    exact, pmf = exact_scores(coins_per_draw, rule), coin_pmf(draws, coins_per_draw)
    with np.errstate(divide="ignore"):
        logits = np.log(pmf)
    perfect = {
        "squared_error": mean_heads(draws, coins_per_draw)[:, None],
        "absolute_error": median_count(pmf)[:, None],
        "cross_entropy": logits,
        "modal": modal_prediction(pmf)[:, None],
    }
    counts = np.full(len(draws), 20_000)
    for name, objective in OBJECTIVES.items():
        for answer in objective.answers:
            found = objective.answers_of(
                perfect[name], counts, answer, rounding=rounding, rng=np.random.default_rng(0)
            )
            scores = score_answers(
                pmf[found.rows], rule.log_delta(pmf[found.rows]), found.answers, found.counts
            )
            expected = exact[exact_estimator(name, answer, rounding)]
            # sampled answers: standard deviation below 0.5 / sqrt(6 · 20,000) = 0.0015
            tolerance = 0.006 if answer == "sample" else 1e-9
            assert scores.conditional_probability == pytest.approx(
                expected["conditional_probability"], abs=tolerance
            )
            assert scores.hallucination_rate == pytest.approx(expected["hallucination_rate"], abs=tolerance)
