import numpy as np
import pytest
from scipy import stats

from hallulab.errors import RefusedInputError
from hallulab.theory.intervals import clopper_pearson_interval, mean_interval, wilson_interval


def test_wilson_by_hand():
    # 8 of 10, z = 1.959964: centre (8 + z²/2)/(10 + z²) = 0.71675, half-width 0.22669
    interval = wilson_interval(8, 10)
    assert (interval.low, interval.high) == pytest.approx((0.49016, 0.94331), abs=1e-5)


def test_clopper_pearson_are_beta_quantiles():
    interval = clopper_pearson_interval(8, 10, confidence=0.99)
    expected = (stats.beta.ppf(0.005, 8, 3), stats.beta.ppf(0.995, 9, 2))
    assert (interval.low, interval.high) == pytest.approx(expected, abs=1e-9)


def test_ends_stay_inside_zero_and_one():
    assert wilson_interval(0, 7).low == pytest.approx(0, abs=1e-12)
    assert wilson_interval(7, 7).high == pytest.approx(1, abs=1e-12)
    assert clopper_pearson_interval(0, 7).high == pytest.approx(1 - 0.025 ** (1 / 7), abs=1e-9)


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.5])
def test_exact_coverage_of_both(rate):
    n = 40
    weights = stats.binom.pmf(np.arange(n + 1), n, rate)

    def coverage(interval_of):
        intervals = [interval_of(k, n) for k in range(n + 1)]
        return sum(w for w, i in zip(weights, intervals, strict=True) if i.low <= rate <= i.high)

    assert coverage(clopper_pearson_interval) >= 0.95
    assert coverage(wilson_interval) >= 0.91


def test_refusals():
    for n_success, n in [(1, 0), (-1, 5), (6, 5)]:
        with pytest.raises(RefusedInputError, match=f"got n_success={n_success}, n={n}"):
            wilson_interval(n_success, n)
    with pytest.raises(RefusedInputError, match="confidence between 0 and 1, got 95"):
        clopper_pearson_interval(1, 2, confidence=95)


def test_mean_interval_by_hand():
    # mean 3, variance (4 + 1 + 0 + 1 + 4)/4 = 2.5, standard error sqrt(0.5), t(0.975, 4) = 2.776445
    interval = mean_interval([1, 2, 3, 4, 5])
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((3 - 1.963243, 3 + 1.963243), abs=1e-6)


@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
def test_mean_interval_is_scipys_one_sample_t(confidence):
    values = np.random.default_rng(0).normal(3, 2, 7)
    interval = mean_interval(values, confidence=confidence)
    expected = stats.ttest_1samp(values, 0).confidence_interval(confidence)
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))


def test_mean_interval_of_differences_is_the_paired_t_test():
    rng = np.random.default_rng(1)
    before, after = rng.random(6), rng.random(6)
    interval = mean_interval(after - before)
    expected = stats.ttest_rel(after, before).confidence_interval()
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))


def test_mean_interval_covers_the_mean_of_normal_samples():
    samples = np.random.default_rng(2).normal(0, 1, (2_000, 5))
    intervals = [mean_interval(sample) for sample in samples]
    covered = np.mean([i.low <= 0 <= i.high for i in intervals if i])
    # standard deviation of the share: sqrt(0.95 · 0.05 / 2000) = 0.005
    assert covered == pytest.approx(0.95, abs=0.02)


def test_one_value_has_no_interval_and_equal_values_have_none_to_speak_of():
    assert mean_interval([]) is None
    assert mean_interval([0.3]) is None
    interval = mean_interval([0.25, 0.25, 0.25])
    assert interval is not None
    assert (interval.low, interval.high) == (0.25, 0.25)


def test_mean_interval_refuses_what_it_cannot_use():
    with pytest.raises(RefusedInputError, match=r"expected finite values of shape \(n,\), got \[1.0, nan\]"):
        mean_interval([1.0, np.nan])
    with pytest.raises(RefusedInputError, match="expected finite values"):
        mean_interval([[1.0, 2.0]])
    with pytest.raises(RefusedInputError, match="confidence between 0 and 1, got 1"):
        mean_interval([1, 2], confidence=1)
