import math

import numpy as np
import pytest
from scipy import stats

from hallulab.errors import RefusedInputError
from hallulab.theory.delta import is_delta_hallucination, log_delta_of


def test_definition_4_2_on_a_mean_between_two_modes():
    # p = ½ each, N(−3, 1) and N(3, 1): A* = 0, f_i(0) = exp(−9/2)/√(2π) = 0.00443 under both
    log_density = stats.norm.logpdf([[0.0, 0.0], [3.0, 3.0]], [-3.0, 3.0], 1.0)
    assert math.exp(log_density[0, 0]) == pytest.approx(0.0044318, abs=1e-7)
    assert is_delta_hallucination(log_density, log_delta_of(0.01)).tolist() == [True, False]
    assert is_delta_hallucination(log_density, log_delta_of(0.004)).tolist() == [False, False]


def test_at_most_delta_includes_delta_itself():
    assert is_delta_hallucination([[math.log(0.25)]], math.log(0.25)).tolist() == [True]


def test_one_state_that_allows_it_is_enough():
    rows = [[-5.0, -5.0, -5.0], [-5.0, -0.5, -5.0], [-np.inf, -np.inf, -np.inf]]
    assert is_delta_hallucination(rows, -1.0).tolist() == [True, False, True]
    # per-state thresholds (Def. A.1): the same density is inside one region and outside another
    assert is_delta_hallucination(rows, [-6.0, 0.0, 0.0]).tolist() == [False, False, True]


def test_agrees_with_the_definition_written_as_loops():
    rng = np.random.default_rng(0)
    densities, deltas = rng.normal(size=(200, 4)), rng.normal(size=4)
    slow = [all(row[i] <= deltas[i] for i in range(4)) for row in densities]
    assert is_delta_hallucination(densities, deltas).tolist() == slow


@pytest.mark.parametrize(
    ("rows", "log_delta", "words"),
    [
        (np.empty((2, 0)), 0.0, r"need at least one state.*\(2, 0\)"),
        ([1.0, 2.0], 0.0, r"need at least one state.*\(2,\)"),
        ([[np.nan]], 0.0, "without NaN"),
        ([[0.0, 0.0]], [0.0, 0.0, 0.0], r"expected one log δ or 2.*\(3,\)"),
    ],
)
def test_refusals(rows, log_delta, words):
    with pytest.raises(RefusedInputError, match=words):
        is_delta_hallucination(rows, log_delta)


def test_delta_of_densities_and_of_pmfs():
    assert log_delta_of(2.5) == pytest.approx(math.log(2.5))
    assert log_delta_of(1.0, is_pmf=True) == 0
    for delta, is_pmf in [(0.0, False), (-1.0, False), (math.nan, False), (math.inf, False), (1.5, True)]:
        with pytest.raises(RefusedInputError, match="expected δ"):
            log_delta_of(delta, is_pmf=is_pmf)
