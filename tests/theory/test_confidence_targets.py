import math

import numpy as np
import pytest

from hallulab.errors import RefusedInputError
from hallulab.theory.confidence_targets import (
    best_threshold,
    expected_points,
    penalty,
    percent_text,
    points,
    risk_coverage,
    target_text,
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


def test_a_target_below_1_is_never_written_as_1():
    assert [target_text(t) for t in (0, 0.75, 1 / 3)] == ["0", "0.75", "0.333333"]
    assert target_text(0.9999999999999999) == "0.9999999999999999"
    assert percent_text(0.57) == "57"
    assert percent_text(0.9999999999999999) == "99.99999999999999"
