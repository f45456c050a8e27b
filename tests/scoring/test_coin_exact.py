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
from hallulab.scoring.coin_exact import (
    MEASURES,
    exact_answers,
    exact_estimator,
    exact_scores,
    least_losses,
    least_scored_losses,
    unrounded_estimator,
)
from hallulab.scoring.coin_rule import CoinRule
from hallulab.scoring.coin_table import exact_table, score_answers
from hallulab.scoring.coins import Rounding, coin_pmf
from hallulab.theory.minimisers import MODAL_BANDWIDTH, MODAL_PULL, median_count, modal_prediction


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
    median = next(k for k in counts if sum(pmf[: k + 1]) >= Fraction(1, 2))
    low, high = math.floor(mean), math.ceil(mean)
    likelier = high if high <= counts[-1] and pmf[high] > pmf[low] else low
    is_tie = mean - low == Fraction(1, 2)
    certain = {
        "bayes_mean": mean,
        "bayes_mean_rounded": round(mean),
        "bayes_mean_ties_likelier": likelier if is_tie else round(mean),
        "bayes_mean_ceil": high,
        "mode": max(counts, key=lambda k: (pmf[k], -k)),
        "median": median,
        "modal_unrounded": modal,
    }
    hair = Fraction(1, 10**4)
    either = {
        "bayes_mean_rounded_either": (round, mean),
        "bayes_mean_ceil_either": (math.ceil, mean),
        "median_ceil_either": (math.ceil, median),
        "modal": (round, Fraction(modal).limit_denominator(10**6)),
        "modal_ceil_either": (math.ceil, Fraction(modal).limit_denominator(10**6)),
    }
    found = {name: {answer: Fraction(1)} for name, answer in certain.items()}
    for name, (rounding, prediction) in either.items():
        found[name] = {}
        for side in (-hair, hair):
            answer = rounding(prediction + side)
            found[name][answer] = found[name].get(answer, 0) + Fraction(1, 2)
    return found | {"pmf_sample": {k: pmf[k] for k in counts}}


def scores_by_hand(coins_per_draw, delta):
    """Slow twin of `exact_scores`: over all draws, all their flips and all answers, one at a time."""
    draws = list(combinations(range(2 * coins_per_draw), coins_per_draw))
    totals = {}
    for draw in draws:
        probabilities = [Fraction(label + 1, 2 * coins_per_draw) for label in draw]
        pmf = enumerated_pmf(probabilities)
        shifted = enumerated_pmf([Fraction(label, 2 * coins_per_draw) for label in draw])
        for name, answers in answers_by_hand(pmf, sum(probabilities)).items():
            total = totals.setdefault(name, [Fraction(0)] * 6)
            for answer, weight in answers.items():
                possible = answer in range(coins_per_draw + 1)
                right = pmf[int(answer)] if possible else Fraction(0)
                total[0] += weight * right
                total[1] += weight * (shifted[int(answer)] if possible else 0)
                total[2] += weight * (right <= delta)
                total[3] += weight * sum(p * (answer - heads) ** 2 for heads, p in enumerate(pmf))
                total[4] += weight * (right == 0)
                reachable = [abs(answer - heads) for heads, p in enumerate(pmf) if p]
                total[5] += weight * (min(reachable) > Fraction(1, 20))
    return {name: [float(value / len(draws)) for value in total] for name, total in totals.items()}


@pytest.mark.parametrize("coins_per_draw", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("delta", [Fraction(3, 10), Fraction(3, 8)])
def test_every_exact_score_is_the_sum_over_all_draws_flips_and_answers(coins_per_draw, delta):
    expected = scores_by_hand(coins_per_draw, delta)
    exact = exact_scores(coins_per_draw, CoinRule(delta=float(delta)))
    assert exact.keys() - {"n_draws", "all_draws", "least_losses"} == expected.keys()
    for name, values in expected.items():
        # the twin's search for the modal prediction stops at six decimals
        tolerance = 1e-6 if name == "modal_unrounded" else 1e-12
        assert [exact[name][measure] for measure in MEASURES] == pytest.approx(values, abs=tolerance), name
    assert exact["least_losses"]["squared_error"] == pytest.approx(expected["bayes_mean"][3])


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
    estimators = [exact[name] for name in exact_answers(4)]
    best = exact["mode"]["conditional_probability"]
    assert max(e["conditional_probability"] for e in estimators) == pytest.approx(best, abs=1e-12)
    assert min(e["squared_error"] for e in estimators) == exact["bayes_mean"]["squared_error"]
    assert exact["bayes_mean"]["squared_error"] == pytest.approx(exact["least_losses"]["squared_error"])


@pytest.mark.parametrize("coins_per_draw", range(2, 9))
def test_the_medians_gain_is_all_tie_breaking(coins_per_draw):
    """At every δ the median hallucinates as often as the rounded mean that says the likelier count of a tie."""
    table, answers = exact_table(coins_per_draw), exact_answers(coins_per_draw)
    deltas = np.linspace(0.02, 0.98, 49)
    rates = {
        name: [
            score_answers(table, answers[name], CoinRule(delta=d)).hallucination_rate.mean() for d in deltas
        ]
        for name in ("median", "bayes_mean_ties_likelier", "bayes_mean_rounded")
    }
    # at N = 8 a few ties have two counts that the median and the likelier count tell apart
    np.testing.assert_allclose(rates["median"], rates["bayes_mean_ties_likelier"], atol=3e-4)
    assert (np.array(rates["median"]) <= rates["bayes_mean_rounded"]).all()
    if coins_per_draw == 3:
        at_04 = int(np.argmin(np.abs(deltas - 0.4)))
        assert [rates[name][at_04] for name in rates] == pytest.approx([1 / 20, 1 / 20, 3 / 20])


def test_ties_cost_the_same_squared_error_to_either_side():
    exact = exact_scores(3, CoinRule(delta=0.4))
    errors = [
        exact[f"bayes_mean_{name}"]["squared_error"]
        for name in ("rounded", "ties_likelier", "rounded_either")
    ]
    assert errors == pytest.approx([errors[0]] * 3)


def test_least_losses_are_those_of_a_search():
    """Slow twin: every draw's best output by a search over the loss itself."""
    table = exact_table(3)
    heads = np.arange(4)
    losses = {
        "squared_error": lambda a, pmf: pmf @ (a - heads) ** 2,
        "absolute_error": lambda a, pmf: pmf @ np.abs(a - heads),
        "modal": lambda a, pmf: (
            pmf
            @ (1 - np.exp(-((a - heads) ** 2) / (2 * MODAL_BANDWIDTH**2)) + MODAL_PULL * (a - heads) ** 2 / 2)
        ),
    }
    found = least_losses(table)
    for name, loss in losses.items():
        best = [min(loss(a, pmf) for a in np.linspace(0, 3, 3_001)) for pmf in table.pmf]
        assert found[name] == pytest.approx(np.mean(best), abs=1e-6)
    own = [-sum(p * math.log(p) for p in pmf if p) for pmf in table.pmf]
    assert found["cross_entropy"] == pytest.approx(np.mean(own))
    assert least_scored_losses(3) == found


def test_with_ten_coins_every_draw_still_counts_and_beyond_a_sample_says_so():
    assert (len(exact_table(10).labels), exact_table(10).is_all) == (184_756, True)
    assert "hallucination_rate_interval" not in exact_scores(5, CoinRule())["mode"]
    eleven = exact_scores(11, CoinRule(delta=0.28))
    assert (eleven["n_draws"], eleven["all_draws"]) == (16_384, False)
    for estimator in exact_answers(11):
        for measure in MEASURES:
            low, high = eleven[estimator][f"{measure}_interval"]
            assert low <= eleven[estimator][measure] <= high
    # E[Σp(1 − p)] = N · (mean of p(1 − p) over the 22 coins) is known for every N
    p = np.arange(1, 23) / 22
    low, high = eleven["bayes_mean"]["squared_error_interval"]
    assert low < 11 * (p * (1 - p)).mean() < high


def test_the_sample_does_not_depend_on_who_asks():
    """What a run happened to flip must not decide what is called its truth."""
    exact_table.cache_clear()
    exact_answers.cache_clear()
    first = exact_scores(12, CoinRule())
    exact_table.cache_clear()
    exact_answers.cache_clear()
    assert exact_scores(12, CoinRule()) == first


def test_refuses_an_n_that_no_run_can_have():
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


def test_only_an_output_between_counts_has_an_unrounded_counterpart():
    found = {(n, a): unrounded_estimator(n, a) for n, o in OBJECTIVES.items() for a in o.answers}
    assert found == {
        ("squared_error", "prediction"): "bayes_mean", ("absolute_error", "prediction"): "median",
        ("cross_entropy", "mode"): None, ("cross_entropy", "mean"): "bayes_mean",
        ("cross_entropy", "sample"): None, ("modal", "prediction"): "modal_unrounded",
    }  # fmt: skip


@pytest.mark.parametrize("rounding", get_args(Rounding))
@pytest.mark.parametrize("coins_per_draw", [2, 3])
def test_a_network_a_hair_from_the_truth_scores_as_its_exact_counterpart(coins_per_draw, rounding):
    """The objectives' own answers, from outputs a hair below and above the minimisers, against the exact scores."""
    rule, table = CoinRule(delta=0.4), exact_table(coins_per_draw)
    exact = exact_scores(coins_per_draw, rule)
    with np.errstate(divide="ignore"):
        logits = np.log(coin_pmf(all_draws(coins_per_draw), coins_per_draw))
    perfect = {
        "squared_error": mean_heads(table.labels, coins_per_draw)[:, None],
        "absolute_error": median_count(table.pmf)[:, None],
        "modal": modal_prediction(table.pmf)[:, None],
    }
    for name, objective in OBJECTIVES.items():
        for answer in objective.answers:
            hair = 1e-7 * np.arange(coins_per_draw + 1) if name == "cross_entropy" else 1e-7
            sides = [perfect.get(name, logits) + sign * hair for sign in (-1, 1)]
            scores = [
                score_answers(table, objective.answers_of(outputs, answer, rounding=rounding), rule)
                for outputs in sides
            ]
            expected = exact[exact_estimator(name, answer, rounding)]
            for measure in ("conditional_probability", "squared_error") if answer == "mode" else MEASURES:
                found = np.mean([getattr(side, measure) for side in scores])
                assert found == pytest.approx(expected[measure], abs=1e-6), (name, answer, measure)
