"""The crossed bootstrap against variances in closed form, by hand, and its coverage on simulated trainings."""

import numpy as np
import pytest

from hallulab.errors import RefusedInputError
from hallulab.theory.crossed_bootstrap import crossed_mean


def crossed(n_rows, n_columns, *, rows=0.0, columns=0.0, cells=0.0, mean=0.0, rng):
    """Cells with independent effects of rows, of columns and of their own."""
    return (
        mean
        + rng.normal(0, rows, (n_rows, 1))
        + rng.normal(0, columns, (1, n_columns))
        + rng.normal(0, cells, (n_rows, n_columns))
    )


def test_the_mean_leaves_missing_cells_out():
    found = crossed_mean([[1.0, 2.0], [np.nan, 3.0], [np.nan, np.nan]], rng=np.random.default_rng(0))
    assert found is not None
    assert (found.mean, found.n_rows, found.n_columns) == (2.0, 2, 2)


def test_with_two_columns_that_differ_the_interval_reaches_from_one_to_the_other():
    # of two columns one is drawn at a time
    found = crossed_mean(np.tile([1.0, 3.0], (50, 1)), rng=np.random.default_rng(0))
    assert found is not None
    assert (found.interval.low, found.mean, found.interval.high) == (1.0, 2.0, 3.0)
    assert found.bound == 3.0


@pytest.mark.parametrize(("rows", "columns"), [(1.0, 0.0), (0.0, 1.0)])
def test_the_spread_is_that_of_the_means_of_either_sample(rows, columns):
    rng = np.random.default_rng(1)
    table = crossed(40, 30, rows=rows, columns=columns, rng=rng)
    found = crossed_mean(table, rng=rng, n_resamples=20_000)
    assert found is not None
    means = table.mean(axis=1) if rows else table.mean(axis=0)
    expected = 2 * 1.96 * means.std(ddof=1) / np.sqrt(len(means))
    assert found.interval.high - found.interval.low == pytest.approx(expected, rel=0.06)
    width = found.one_sided.high - found.one_sided.low
    assert width == pytest.approx(expected * 1.645 / 1.96, rel=0.06)


def test_one_column_says_nothing_of_others():
    rng = np.random.default_rng(2)
    table = crossed(60, 1, rows=1.0, rng=rng)
    found = crossed_mean(table, rng=rng)
    assert found is not None
    assert found.n_columns == 1
    expected = 2 * 1.96 * table.std(ddof=1) / np.sqrt(60)
    assert found.interval.high - found.interval.low == pytest.approx(expected, rel=0.08)


def test_p_and_bound_follow_the_resampled_means():
    far = crossed_mean(
        crossed(200, 6, cells=0.1, mean=1.0, rng=np.random.default_rng(3)), rng=np.random.default_rng(4)
    )
    assert far is not None
    assert far.p_value == pytest.approx(2 / 10_001)
    assert 1.0 < far.bound < 1.05
    none = crossed_mean(np.array([[-1.0, -1.0], [1.0, 1.0]] * 50), rng=np.random.default_rng(5))
    assert none is not None
    assert none.p_value > 0.8


def test_coverage_with_few_trainings_is_near_what_it_says():
    # four trainings that differ as much as 300 questions do: percentiles of four know no Student's t, and say so
    rng = np.random.default_rng(6)
    held = []
    for _ in range(200):
        table = crossed(100, 4, rows=1.0, columns=0.1, cells=1.0, rng=rng)
        found = crossed_mean(table, rng=rng, n_resamples=500)
        assert found is not None
        held.append(found.interval.low <= 0 <= found.interval.high)
    assert 0.85 < np.mean(held) < 0.99


def test_refusals_and_nothing():
    assert crossed_mean(np.full((3, 2), np.nan), rng=np.random.default_rng(0)) is None
    assert crossed_mean([[1.0, 2.0]], rng=np.random.default_rng(0)) is None
    with pytest.raises(RefusedInputError, match=r"shape \(n_rows, n_columns\), got shape \(2,\)"):
        crossed_mean([1.0, 2.0], rng=np.random.default_rng(0))
    with pytest.raises(RefusedInputError, match="confidence between 0 and 1"):
        crossed_mean([[1.0], [2.0]], rng=np.random.default_rng(0), confidence=0.0)
