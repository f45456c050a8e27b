import numpy as np
import pytest
from scipy import stats

from hallulab.errors import RefusedInputError
from hallulab.theory.correlation import mean_correlation, spearman


def test_spearman_by_hand():
    # rank differences 0, −1, 1, 0: 1 − 6 · 2 / (4 · 15) = 0.8
    assert spearman([1, 5, 9, 20], [0.1, 0.3, 0.2, 7]) == pytest.approx(0.8)


def test_only_the_order_counts():
    x = np.array([3.0, 1.0, 4.0, 2.0])
    assert spearman(x, np.exp(x)) == 1
    assert spearman(x, -(x**3)) == -1


def test_spearman_is_scipys_with_and_without_ties():
    rng = np.random.default_rng(0)
    for x, y in [rng.random((2, 20)), rng.integers(0, 4, (2, 30))]:
        assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic)


@pytest.mark.parametrize(("x", "y"), [([], []), ([1], [2]), ([1, 2, 3], [5, 5, 5]), ([0, 0], [1, 2])])
def test_undefined_is_missing(x, y):
    assert spearman(x, y) is None


def test_refuses_what_is_not_paired():
    with pytest.raises(RefusedInputError, match=r"expected pairs, got shapes \(2,\) and \(3,\)"):
        spearman([1, 2], [1, 2, 3])
    with pytest.raises(RefusedInputError, match="expected pairs without NaN"):
        spearman([1, 2, np.nan], [1, 2, 3])


def test_the_mean_of_correlations_is_taken_on_fishers_scale():
    found = mean_correlation([0.0, 0.5, 0.9], n_pairs=[20] * 3)
    z = np.arctanh([0.0, 0.5, 0.9])
    assert found.mean == pytest.approx(np.tanh(z.mean()))
    half = 4.3027 * z.std(ddof=1) / np.sqrt(3)
    assert (found.interval.low, found.interval.high) == pytest.approx(
        (np.tanh(z.mean() - half), np.tanh(z.mean() + half)), abs=1e-5
    )


def test_a_mean_correlation_never_leaves_its_range():
    found = mean_correlation([1.0, 0.9, -1.0], n_pairs=[3, 40, 5])
    assert -1 < found.interval.low < found.mean < found.interval.high < 1
    # ±1 of three pairs has no finite z: half a step of its ranks nearer to 0 it is 1 − 6 / (3 · 8) = 0.75
    assert mean_correlation([1.0], n_pairs=[3]).mean == pytest.approx(0.75)


@pytest.mark.parametrize("correlations", [[0.3], [0.3, 0.4], [-0.38, -0.38, -0.38]])
def test_few_or_equal_correlations_have_no_interval(correlations):
    assert mean_correlation(correlations, n_pairs=[20] * len(correlations)).interval is None
    assert mean_correlation([], n_pairs=[]) is None


def test_refuses_what_is_no_correlation():
    for wrong, pairs in (([1.1], [5]), ([np.nan], [5]), ([0.5], [1]), ([0.5], [5, 5])):
        with pytest.raises(RefusedInputError, match="expected correlations from −1 to 1"):
            mean_correlation(wrong, n_pairs=pairs)
