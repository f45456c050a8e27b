import math

import numpy as np
import pytest
from scipy import stats

from hallulab.errors import RefusedInputError
from hallulab.theory.regions import (
    conformal_threshold,
    inside_regions,
    percentile_threshold,
    pmf_hdr_threshold,
)


def test_percentile_threshold_is_the_papers_percentile():
    scores = np.random.default_rng(0).normal(size=501)
    assert percentile_threshold(scores, 0.9) == pytest.approx(np.percentile(scores, 10), abs=1e-12)


def test_percentile_threshold_meets_the_gaussian_closed_form():
    # 90 % of N(0, 1) has |a| < 1.6449, so log δ = −1.6449²/2 − ln √(2π) = −2.2717
    draws = np.random.default_rng(1).normal(size=400_000)
    closed_form = stats.norm.logpdf(stats.norm.ppf(0.95))
    assert closed_form == pytest.approx(-2.2717, abs=1e-4)
    assert percentile_threshold(stats.norm.logpdf(draws), 0.9) == pytest.approx(closed_form, abs=0.01)


@pytest.mark.parametrize(
    ("n", "mass", "rank"),
    [(9, 0.9, 1), (19, 0.9, 2), (18, 0.9, 1), (100, 0.9, 10), (99, 0.95, 5), (39, 0.8, 8)],
)
def test_conformal_threshold_takes_the_kth_smallest(n, mass, rank):
    scores = np.random.default_rng(n).permutation(np.arange(1.0, n + 1))
    assert conformal_threshold(scores, mass) == rank


def test_conformal_threshold_without_enough_samples_excludes_nothing():
    assert conformal_threshold(np.arange(8.0), 0.9) == -math.inf


@pytest.mark.parametrize("n", [12, 29, 100])
def test_conformal_never_under_covers_and_the_percentile_does(n):
    rng = np.random.default_rng(n)
    held_out, fresh = rng.normal(size=(4000, n)), rng.normal(size=(4000, 50))

    def coverage(rule):
        return np.mean([(new >= rule(old, 0.9)).mean() for old, new in zip(held_out, fresh, strict=True)])

    standard_error = 0.005
    assert coverage(conformal_threshold) >= 0.9 - standard_error
    if n == 12:
        assert coverage(percentile_threshold) < 0.9 - 2 * standard_error


def test_pmf_region_is_the_smallest_that_holds_the_mass():
    # three coins with p = 0.1, 0.5, 0.9: pmf of heads 0.045, 0.455, 0.455, 0.045
    pmf = [0.045, 0.455, 0.455, 0.045]
    for mass, expected in [(0.3, [1, 2]), (0.9, [1, 2]), (0.92, [0, 1, 2, 3])]:
        threshold = math.exp(pmf_hdr_threshold(pmf, mass))
        assert [a for a, p in enumerate(pmf) if p > threshold] == expected


def test_pmf_region_against_a_greedy_twin():
    rng = np.random.default_rng(5)
    for _ in range(200):
        pmf = rng.dirichlet(np.ones(6))
        mass = rng.uniform(0.05, 0.99)
        greedy, held = set(), 0.0
        for value in np.argsort(-pmf):
            if held >= mass:
                break
            greedy.add(int(value))
            held += pmf[value]
        assert set(np.flatnonzero(np.log(pmf) > pmf_hdr_threshold(pmf, mass)).tolist()) == greedy


def test_many_pmfs_get_the_thresholds_that_each_gets_alone():
    pmfs = np.random.default_rng(6).dirichlet(np.ones(5), size=(3, 4))
    alone = [[pmf_hdr_threshold(pmf, 0.8) for pmf in row] for row in pmfs]
    np.testing.assert_array_equal(pmf_hdr_threshold(pmfs, 0.8), alone)


def test_pmf_region_never_takes_in_the_impossible():
    assert inside_regions([[math.log(0.5), -math.inf]], pmf_hdr_threshold([0.5, 0.5, 0.0], 0.9)).tolist() == [
        [True, False]
    ]


def test_refusals():
    for rule in (percentile_threshold, conformal_threshold):
        with pytest.raises(RefusedInputError, match="mass between 0 and 1, such as 0.9, got 90"):
            rule([0.0], 90)
        with pytest.raises(RefusedInputError, match=r"n >= 1, got \(0,\)"):
            rule([], 0.9)
        with pytest.raises(RefusedInputError, match="without NaN"):
            rule([np.nan], 0.9)
    with pytest.raises(RefusedInputError, match="sum of 0.9"):
        pmf_hdr_threshold([0.4, 0.5], 0.9)
    with pytest.raises(RefusedInputError, match="sum of 0.7"):
        pmf_hdr_threshold([[0.5, 0.5], [0.4, 0.3]], 0.9)
    with pytest.raises(RefusedInputError, match="probabilities of 0 or more"):
        pmf_hdr_threshold([1.5, -0.5], 0.9)
    with pytest.raises(RefusedInputError, match="mass between 0 and 1"):
        pmf_hdr_threshold([0.5, 0.5], 1.0)
