import numpy as np
import pytest

from hallulab.errors import RefusedInputError
from hallulab.theory.clustered_rate import clustered_rate
from hallulab.theory.intervals import wilson_interval


def test_by_hand():
    """Clusters of two: 2, 0, 1, 1 of them. p = 1/2, Σ(y − pm)² = 2, variance 4/3 · 2/64 = 1/24 against 1/32."""
    found = clustered_rate([2, 0, 1, 1], [2, 2, 2, 2])
    assert (found.value, found.n_success, found.n, found.n_clusters) == (0.5, 4, 8, 4)
    assert found.design_effect == pytest.approx(4 / 3)
    # 6 effective images, Student's quantile for 3 degrees of freedom
    t = 3.182446
    assert found.interval.low == pytest.approx(0.5 - t / (1 + t**2 / 6) * np.sqrt(0.25 / 6 + t**2 / 144))


def test_many_clusters_of_one_are_wilsons_interval():
    hits = np.arange(5000) % 10 < 3
    found = clustered_rate(hits, np.ones(5000))
    expected = wilson_interval(1500, 5000)
    assert found.design_effect == pytest.approx(1, abs=1e-3)
    assert found.interval.low == pytest.approx(expected.low, abs=2e-5)
    assert found.interval.high == pytest.approx(expected.high, abs=2e-5)


def test_clusters_that_agree_count_as_one_each():
    """Three copies of every image say no more than one."""
    once = np.array([1, 0, 0, 1, 0] * 8)
    alone, copied = clustered_rate(once, np.ones(40)), clustered_rate(3 * once, np.full(40, 3))
    assert copied.interval.low == pytest.approx(alone.interval.low, abs=2e-3)
    assert copied.interval.high == pytest.approx(alone.interval.high, abs=2e-3)
    all_outside = clustered_rate(np.full(64, 3), np.full(64, 3))
    assert all_outside.design_effect is None
    assert all_outside.interval.low == pytest.approx(wilson_interval(64, 64).low, abs=5e-3)
    assert all_outside.interval.high == 1


@pytest.mark.parametrize("rate", [0.05, 0.4])
def test_it_covers_where_wilsons_interval_does_not(rate):
    """64 clusters of three, alike: beta-binomial with correlation 1/3."""
    rng = np.random.default_rng(0)
    covered = {"clustered": 0, "pooled": 0}
    for _ in range(1000):
        shares = rng.beta(2 * rate, 2 * (1 - rate), size=64)
        hits = rng.binomial(3, shares)
        intervals = {
            "clustered": clustered_rate(hits, np.full(64, 3)).interval,
            "pooled": wilson_interval(int(hits.sum()), 192),
        }
        for name, interval in intervals.items():
            covered[name] += interval.low <= rate <= interval.high
    assert covered["clustered"] / 1000 > 0.93
    assert covered["pooled"] / 1000 < 0.9


def test_missing_is_not_zero():
    assert clustered_rate([], []) is None
    assert clustered_rate([0, 0], [0, 0]) is None
    assert clustered_rate([2], [3]).interval is None
    assert clustered_rate([1, 0, 0], [1, 1, 0]).n_clusters == 2
    with pytest.raises(RefusedInputError, match="more successes than items"):
        clustered_rate([2], [1])
    with pytest.raises(RefusedInputError, match="confidence between 0 and 1"):
        clustered_rate([1], [1], confidence=1)
