from itertools import product

import numpy as np
import pytest
from scipy import stats

from hallulab.errors import RefusedInputError
from hallulab.theory import bootstrap
from hallulab.theory.bootstrap import bootstrap_interval, paired_difference


def rng(seed=0):
    return np.random.default_rng(seed)


def test_the_interval_is_scipys_percentile_bootstrap():
    values = rng(1).gamma(2.0, 1.0, 60)
    ours = bootstrap_interval(values, rng=rng(2), n_resamples=20_000)
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=rng(3)
    ).confidence_interval
    assert ours is not None
    assert (ours.mean, ours.n) == (pytest.approx(values.mean()), 60)
    # of 20,000 resamples the 2.5th percentile has a standard error of about 0.02 standard errors of the mean
    width = values.std() / np.sqrt(60)
    assert ours.interval.low == pytest.approx(theirs.low, abs=0.08 * width)
    assert ours.interval.high == pytest.approx(theirs.high, abs=0.08 * width)


def test_it_covers_the_true_mean_about_as_often_as_it_says():
    samples = rng(4).exponential(1.0, (400, 80))
    found = [bootstrap_interval(sample, rng=rng(5), n_resamples=400) for sample in samples]
    covered = np.mean([m.interval.low <= 1.0 <= m.interval.high for m in found if m])
    # a skewed law of 80 values: a little below 95 %; the share itself has a standard error of 1.1 points
    assert 0.90 <= covered <= 0.98


def test_same_seed_same_interval_in_any_chunks(monkeypatch):
    values = rng(6).normal(size=50)
    whole = bootstrap_interval(values, rng=rng(7))
    monkeypatch.setattr(bootstrap, "DRAWS_AT_ONCE", 137)
    chunked = bootstrap_interval(values, rng=rng(7))
    assert chunked == whole
    assert bootstrap_interval(values, rng=rng(8)) != chunked


def test_no_value_no_interval_and_one_value_no_width():
    assert bootstrap_interval([], rng=rng()) is None
    assert paired_difference([], [], rng=rng()) is None
    one = bootstrap_interval([0.25], rng=rng())
    assert one is not None
    assert (one.mean, one.interval.low, one.interval.high, one.n) == (0.25, 0.25, 0.25, 1)


def test_few_pairs_are_tested_exactly():
    # differences 1, 2, 3: of the 8 sign patterns only + + + and − − − are as far from 0 as 6
    found = paired_difference([1, 2, 3], [0, 0, 0], rng=rng())
    assert found is not None
    assert (found.mean, found.p_value, found.n, found.n_flips) == (2.0, 0.25, 3, 8)


def test_the_exact_test_is_the_enumeration():
    first, second = rng(1).normal(0.4, 1, 9), rng(2).normal(0, 1, 9)
    difference = first - second
    means = [np.mean(difference * signs) for signs in product((1, -1), repeat=9)]
    slow = np.mean([abs(mean) >= abs(difference.mean()) - 1e-12 for mean in means])
    found = paired_difference(first, second, rng=rng())
    assert found is not None
    assert found.p_value == pytest.approx(slow)
    assert found.n_flips == 512


def test_many_pairs_agree_with_the_paired_t_test():
    first = rng(3).normal(0.2, 1, 200)
    second = rng(4).normal(0, 1, 200)
    found = paired_difference(first, second, rng=rng(5))
    t_test = stats.ttest_rel(first, second)
    assert found is not None
    assert found.p_value == pytest.approx(t_test.pvalue, abs=0.02)
    assert (found.interval.low, found.interval.high) == pytest.approx(t_test.confidence_interval(), abs=0.03)
    assert found.n_flips == 10_001


def test_p_values_under_no_difference_are_uniform_and_never_0():
    pairs = rng(6).normal(size=(300, 2, 30))
    p_values = [
        found.p_value
        for a, b in pairs
        if (found := paired_difference(a, b, rng=rng(7), n_resamples=1, n_flips=300))
    ]
    assert len(p_values) == 300
    # standard error of a share of 300 at 5 %: 1.3 points
    assert np.mean(np.array(p_values) <= 0.05) <= 0.09
    assert stats.kstest(p_values, "uniform").pvalue > 0.001
    far = paired_difference(np.ones(100), np.zeros(100), rng=rng(), n_flips=99)
    assert far is not None
    assert far.p_value == 0.01  # 1 of 99 + 1


def test_equal_measurements_show_no_difference():
    values = rng(8).random(40)
    found = paired_difference(values, values, rng=rng())
    assert found is not None
    assert (found.mean, found.p_value, found.interval.low, found.interval.high) == (0, 1, 0, 0)


def test_refusals():
    with pytest.raises(RefusedInputError, match=r"shape \(2,\) with 1 not finite: leave missing ones out"):
        bootstrap_interval([1.0, np.nan], rng=rng())
    with pytest.raises(
        RefusedInputError, match=r"expected finite values of shape \(n,\), got shape \(1, 2\)"
    ):
        bootstrap_interval([[1.0, 2.0]], rng=rng())
    with pytest.raises(RefusedInputError, match="got 2 and 3 values"):
        paired_difference([1, 2], [1, 2, 3], rng=rng())
    with pytest.raises(RefusedInputError, match="confidence between 0 and 1, got 95"):
        bootstrap_interval([1, 2], rng=rng(), confidence=95)
    with pytest.raises(RefusedInputError, match="at least one resample, got 0"):
        bootstrap_interval([1, 2], rng=rng(), n_resamples=0)
    with pytest.raises(RefusedInputError, match="at least one sign flip, got 0"):
        paired_difference([1, 2], [1, 2], rng=rng(), n_flips=0)
