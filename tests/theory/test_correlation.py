import numpy as np
import pytest
from scipy import stats

from hallulab.errors import RefusedInputError
from hallulab.theory.correlation import spearman


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
