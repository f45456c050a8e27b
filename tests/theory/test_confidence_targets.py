import itertools
import math

import numpy as np
import pytest

from hallulab.errors import RefusedInputError
from hallulab.theory.bootstrap import bootstrap_interval
from hallulab.theory.confidence_targets import (
    abstaining_is_optimal,
    believed_points,
    best_threshold,
    binary_graders,
    expected_points,
    mean_bands,
    penalty,
    points,
    risk_coverage,
)


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize(
    ("target", "cost"), [(0, 0), (0.5, 1), (0.75, 3), (0.9, 9), (0.95, 19), (0.25, 1 / 3)]
)
def test_the_penalty_is_odds_and_whole_where_it_is_meant_to_be(target, cost):
    assert penalty(target) == cost


@pytest.mark.parametrize("target", [1, 1.5, -0.1, -1e-12, math.nan, math.inf, -math.inf])
def test_other_targets_are_refused_in_words(target):
    with pytest.raises(RefusedInputError, match=r"0 <= t < 1, got .*penalty"):
        penalty(target)
    with pytest.raises(RefusedInputError, match="confidence target"):
        expected_points([0.5], target)


def test_points_by_hand():
    # right, wrong, neither at t = 3/4: +1, −3, 0
    assert points([True, False, False], [False, True, False], 0.75).tolist() == [1, -3, 0]
    with pytest.raises(RefusedInputError, match="never both"):
        points([True], [True], 0.5)


def test_answering_pays_exactly_above_the_target():
    p = np.linspace(0, 1, 1001)
    for target in (0.1, 0.5, 0.75, 0.9):
        expected = expected_points(p, target)
        assert (expected[p > target + 1e-9] > 0).all()
        assert (expected[p < target - 1e-9] < 0).all()
    assert (expected_points(p, 0) >= 0).all()
    with pytest.raises(RefusedInputError, match="confidences from 0 to 1"):
        expected_points([1.2], 0.5)


def beliefs(n_graders, steps=4):
    """Every distribution over graders on a grid of quarters."""
    for cuts in itertools.combinations(range(steps + n_graders - 1), n_graders - 1):
        edges = (-1, *cuts, steps + n_graders - 1)
        yield [(b - a - 1) / steps for a, b in itertools.pairwise(edges)]


@pytest.mark.parametrize(("n_answers", "n_abstentions"), [(1, 1), (2, 1), (3, 1), (2, 2), (3, 2)])
def test_observation_1_abstaining_is_never_optimal_under_binary_graders(n_answers, n_abstentions):
    graders = binary_graders(n_answers + n_abstentions, n_abstentions)
    assert len(graders) == 2**n_answers - 1
    assert not graders[:, -n_abstentions:].any()
    assert len(np.unique(graders, axis=0)) == len(graders)
    every = np.array(list(beliefs(len(graders))))
    expected = believed_points(graders, every, 0.0, n_abstentions)
    assert not abstaining_is_optimal(expected, n_abstentions).any()


def test_under_a_target_abstaining_is_optimal_exactly_when_no_answer_is_right_more_often():
    graders = binary_graders(4, 1)
    every = np.array(list(beliefs(len(graders))))
    chance = every @ graders[:, :-1]
    # of three answers one is always right in at least a third: at t = 0.3 abstaining never is
    assert not abstaining_is_optimal(believed_points(graders, every, 0.3)).any()
    for target in (0.5, 0.6, 0.9):
        expected = believed_points(graders, every, target)
        is_optimal = abstaining_is_optimal(expected)
        assert (is_optimal == (chance.max(axis=1) <= target + 1e-12)).all()
        assert 0 < is_optimal.sum() < len(is_optimal)


def test_graders_and_beliefs_that_are_none_are_refused():
    for n_responses, n_abstentions in ((1, 1), (3, 0), (13, 1)):
        with pytest.raises(RefusedInputError, match="at least one answer and one abstention"):
            binary_graders(n_responses, n_abstentions)
    with pytest.raises(RefusedInputError, match="a probability for each of 3 graders"):
        believed_points(binary_graders(3), [0.5, 0.6, 0.1])


def test_risk_and_coverage_by_hand():
    # sorted: 0.2 wrong, 0.5 right, 0.5 wrong, 0.9 right; one question more was not answered
    found = risk_coverage([0.5, 0.9, 0.2, 0.5], [True, True, False, False], 5)
    assert found.threshold.tolist() == [-math.inf, 0.2, 0.5, 0.9]
    assert found.coverage.tolist() == [0.8, 0.6, 0.2, 0.0]
    assert found.risk[:3].tolist() == [0.5, pytest.approx(1 / 3), 0.0]
    assert math.isnan(found.risk[3])
    # widths 0.2, 0.4, 0.2 of 0.8
    assert found.area == pytest.approx((0.2 * 0.5 + 0.4 / 3 + 0.0) / 0.8)
    with pytest.raises(RefusedInputError, match="at least as many questions"):
        risk_coverage([0.5, 0.5], [True, True], 1)


def test_risk_and_coverage_are_those_of_a_plain_loop():
    p, right = rng(1).random(60).round(1), rng(2).random(60) < 0.5
    found = risk_coverage(p, right)
    for place, threshold in enumerate(found.threshold):
        given = [ok for confidence, ok in zip(p, right, strict=True) if confidence > threshold]
        assert found.n_answered[place] == len(given)
        if given:
            assert found.risk[place] == pytest.approx(given.count(False) / len(given))


def test_the_best_threshold_is_that_of_trying_them_all():
    for seed in range(20):
        p, right = rng(seed).random(25).round(1), rng(seed + 100).random(25) < 0.6
        for target in (0.0, 0.4, 0.75):
            found = best_threshold(p, right, target)
            tried = [
                np.where(p > t, points(right, ~right, target), 0).mean() for t in (-1.0, *np.unique(p), 1.0)
            ]
            assert found is not None
            assert found.score == pytest.approx(max(tried))
            own = np.where(p > found.threshold, points(right, ~right, target), 0).mean()
            assert own == pytest.approx(found.score)


def test_true_confidences_have_their_best_threshold_near_the_target():
    p = rng(3).random(40_000)
    found = best_threshold(p, rng(4).random(40_000) < p, 0.75)
    assert found is not None
    assert found.threshold == pytest.approx(0.75, abs=0.03)
    too_sure = best_threshold(np.sqrt(p), rng(4).random(40_000) < p, 0.75)
    assert too_sure is not None
    assert too_sure.threshold == pytest.approx(math.sqrt(0.75), abs=0.03)
    assert best_threshold([], [], 0.5) is None


def test_bands_are_the_bootstrap_intervals_of_each_row():
    rows = rng(5).choice([1.0, 0.0, -3.0], size=(3, 120), p=[0.6, 0.3, 0.1])
    mean, low, high = mean_bands(rows, rng=rng(6))
    for place, row in enumerate(rows):
        plain = bootstrap_interval(row, rng=rng(7), n_resamples=20_000)
        assert plain is not None
        width = row.std() / math.sqrt(120)
        assert mean[place] == pytest.approx(plain.mean)
        assert low[place] == pytest.approx(plain.interval.low, abs=0.25 * width)
        assert high[place] == pytest.approx(plain.interval.high, abs=0.25 * width)
    with pytest.raises(RefusedInputError, match="finite values"):
        mean_bands(np.zeros((2, 0)), rng=rng())
