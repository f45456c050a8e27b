import numpy as np
import pytest
from scipy import stats

from hallulab.errors import RefusedInputError
from hallulab.theory.intervals import clopper_pearson_interval, wilson_interval


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
