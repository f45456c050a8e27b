import numpy as np
import pytest

from hallulab.errors import RefusedInputError
from hallulab.theory.cluster_bootstrap import cluster_draws, estimate, pair_means, ratios


def test_every_row_draws_as_many_clusters_and_the_first_is_the_sample():
    draws = cluster_draws(7, rng=np.random.default_rng(0), n_resamples=50)
    assert draws.shape == (51, 7)
    assert (draws.sum(axis=1) == 7).all()
    assert (draws[0] == 1).all()


def test_ratios_against_the_slow_way():
    rng = np.random.default_rng(1)
    hits, items = rng.integers(0, 3, 9), rng.integers(1, 4, 9)
    draws = cluster_draws(9, rng=rng, n_resamples=20)
    for draw, found in zip(draws, ratios(draws, hits, items), strict=True):
        chosen = [index for index, times in enumerate(draw) for _ in range(int(times))]
        assert found == pytest.approx(sum(hits[chosen]) / sum(items[chosen]))


def test_pair_means_against_all_pairs_written_out():
    """Clusters of two members; copies of a cluster make no pairs with each other."""
    rng = np.random.default_rng(2)
    values = rng.normal(size=(5, 2))
    apart = np.abs(values.ravel()[:, None] - values.ravel())
    sums = apart.reshape(5, 2, 5, 2).sum(axis=(1, 3))
    counts = np.full((5, 5), 4.0) - 2 * np.eye(5)  # no member is paired with itself
    draws = cluster_draws(5, rng=rng, n_resamples=30)
    for draw, found in zip(draws, pair_means(draws, sums, counts), strict=True):
        copies = [(index, copy) for index, times in enumerate(draw) for copy in range(int(times))]
        members = [(index, copy, member) for index, copy in copies for member in range(2)]
        slow = [
            abs(values[a[0], a[2]] - values[b[0], b[2]])
            for a in members
            for b in members
            if a != b and (a[0] != b[0] or a[1] == b[1])
        ]
        assert found == pytest.approx(np.mean(slow))


def test_an_interval_over_clusters_is_wider_than_over_single_images():
    rng = np.random.default_rng(3)
    once = rng.random(60) < 0.4
    draws = cluster_draws(60, rng=rng)
    copied = estimate(ratios(draws, 4 * once, np.full(60, 4)), 60)
    assert copied.value == pytest.approx(once.mean())
    width = copied.interval.high - copied.interval.low
    assert width == pytest.approx(2 * 1.96 * np.sqrt(once.mean() * (1 - once.mean()) / 60), rel=0.1)


def test_what_is_undefined_has_no_number():
    draws = cluster_draws(4, rng=np.random.default_rng(4))
    assert estimate(ratios(draws, [0, 0, 0, 0], [0, 0, 0, 0]), 4) is None
    rare = estimate(ratios(draws, [1, 0, 0, 0], [1, 0, 0, 0]), 4)  # (3/4)^4 of the resamples have no item
    assert (rare.value, rare.interval) == (1, None)
    with pytest.raises(RefusedInputError, match="at least one cluster"):
        cluster_draws(0, rng=np.random.default_rng(0))
