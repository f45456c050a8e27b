import math

import numpy as np
import pytest

from hallulab.errors import RefusedInputError
from hallulab.theory.clustered_rates import clustered_points, clustered_rate, effective_wilson_interval
from hallulab.theory.intervals import wilson_interval


def test_with_one_answer_a_question_it_is_wilson_s_interval():
    for n_cases, n in ((0, 7), (3, 11), (11, 11), (40, 200)):
        cases = np.arange(n) < n_cases
        found, plain = clustered_rate(cases, np.arange(n)), wilson_interval(n_cases, n)
        assert (found.mean, found.n, found.n_clusters) == (n_cases / n, n, n)
        assert found.interval.low == pytest.approx(plain.low)
        assert found.interval.high == pytest.approx(plain.high)
        whole = effective_wilson_interval(n_cases / n, n)
        assert (whole.low, whole.high) == (pytest.approx(plain.low), pytest.approx(plain.high))


def test_the_same_answers_of_25_models_say_no_more_than_those_of_one():
    right = np.arange(40) < 12
    once, often = (
        clustered_rate(right, np.arange(40)),
        clustered_rate(np.tile(right, 25), np.tile(np.arange(40), 25)),
    )
    assert often.n == 1_000
    assert often.n_clusters == 40
    assert (often.interval.low, often.interval.high) == (
        pytest.approx(once.interval.low), pytest.approx(once.interval.high),
    )  # fmt: skip


def test_answers_that_are_independent_within_questions_count_each():
    rng = np.random.default_rng(0)
    right, questions = rng.random(4_000) < 0.3, np.repeat(np.arange(400), 10)
    found, plain = clustered_rate(right, questions), wilson_interval(int(right.sum()), 4_000)
    assert found.interval.high - found.interval.low == pytest.approx(plain.high - plain.low, rel=0.1)


def test_the_width_is_that_of_resampling_questions():
    rng = np.random.default_rng(1)
    level = rng.choice([0.1, 0.5, 0.9], size=150)
    questions = np.repeat(np.arange(150), 6)
    outcome = rng.random(900)
    right, wrong = outcome < level[questions], outcome > 1 - 0.5 * (1 - level[questions])
    found = clustered_points(right, wrong, 3.0, questions)
    per_question = np.array(
        [(right[questions == q] - 3.0 * wrong[questions == q]).mean() for q in range(150)]
    )
    drawn = per_question[rng.integers(150, size=(4_000, 150))].mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert found.mean == pytest.approx(per_question.mean())
    assert found.interval.low == pytest.approx(low, abs=0.15 * (high - low))
    assert found.interval.high == pytest.approx(high, abs=0.15 * (high - low))


def test_answers_all_alike_have_an_interval_as_wide_as_their_number_deserves():
    # one right answer at t = 0.95: it may as well be wrong 79 times in 100
    alone = clustered_points([True], [False], 19.0, [0])
    low = wilson_interval(1, 1).low
    assert alone.interval.low == pytest.approx(1 - (1 - low) - 19 * (1 - low))
    assert alone.interval.high == 1
    many = clustered_points([True] * 200, [False] * 200, 19.0, range(200))
    assert alone.interval.low < many.interval.low < 1
    # of the same question 200 times it is no better than once
    assert clustered_rate([True] * 200, [7] * 200).interval.low == pytest.approx(low)


def test_it_holds_the_truth_where_the_bootstrap_does_not():
    # 10 questions, 95 % right, 2 % wrong at a cost of 3: resampling finds the truth in 4 of 10 sets
    rng, truth, n_sets = np.random.default_rng(2), 0.95 - 3 * 0.02, 400
    held = resampled = 0
    for _ in range(n_sets):
        outcome = rng.random(10)
        right, wrong = outcome < 0.95, outcome >= 0.98
        found = clustered_points(right, wrong, 3.0, range(10)).interval
        held += found.low <= truth <= found.high
        points = right - 3.0 * wrong
        low, high = np.quantile(points[rng.integers(10, size=(200, 10))].mean(axis=1), [0.025, 0.975])
        resampled += low <= truth <= high
    assert held / n_sets > 0.9
    assert resampled / n_sets < 0.6


def test_points_at_no_cost_are_the_rate_of_the_right_ones():
    right = np.arange(30) < 13
    points, rate = clustered_points(right, ~right, 0.0, np.arange(30)), clustered_rate(right, np.arange(30))
    assert points.mean == rate.mean
    assert points.interval.low == pytest.approx(rate.interval.low)
    assert points.interval.high == pytest.approx(rate.interval.high)


def test_intervals_stay_where_points_can_be():
    for n_right, n_wrong in ((0, 3), (3, 0), (1, 2), (0, 0)):
        right, wrong = np.arange(3) < n_right, np.arange(3) >= 3 - n_wrong
        found = clustered_points(right, wrong, 9.0, np.arange(3))
        assert -9 <= found.interval.low <= found.mean <= found.interval.high <= 1


def test_nothing_has_no_interval_and_nonsense_is_refused():
    assert clustered_rate([], []) is None
    assert clustered_points([], [], 1.0, []) is None
    with pytest.raises(RefusedInputError, match="one question per answer"):
        clustered_rate([True], [0, 1])
    with pytest.raises(RefusedInputError, match="confidence between 0 and 1"):
        clustered_rate([True], [0], confidence=1.0)
    with pytest.raises(RefusedInputError, match="more than 0 answers"):
        effective_wilson_interval(0.5, 0.0)
    assert math.isclose(effective_wilson_interval(0.5, 1e9).low, 0.5, abs_tol=1e-3)
