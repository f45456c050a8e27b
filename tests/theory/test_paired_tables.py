"""Comparisons made together against those made one by one, and sign flips by hand."""

from itertools import product

import numpy as np
import pytest

from hallulab.errors import RefusedInputError
from hallulab.theory.bootstrap import paired_difference
from hallulab.theory.multiple_tests import holm
from hallulab.theory.paired_tables import FLIPS_PER_TEST, paired_differences, sign_flip_p_values


def test_each_column_is_what_it_is_alone():
    rng = np.random.default_rng(0)
    table = rng.normal(0.1, 1.0, size=(60, 3))
    table[5:20, 1] = np.nan
    for column, found in enumerate(paired_differences(table, rng=np.random.default_rng(1))):
        kept = table[np.isfinite(table[:, column]), column]
        alone = paired_difference(kept, np.zeros_like(kept), rng=np.random.default_rng(2))
        assert found is not None
        assert alone is not None
        assert (found.mean, found.n) == (pytest.approx(alone.mean), alone.n)
        assert found.p_value == pytest.approx(alone.p_value, abs=0.02)
        ends = (found.interval.low, found.interval.high)
        assert ends == pytest.approx((alone.interval.low, alone.interval.high), abs=0.03)


def test_few_items_are_flipped_in_every_way():
    table = np.array([[1.0, 0.5], [2.0, -0.5], [4.0, np.nan]])
    found = paired_differences(table, rng=np.random.default_rng(0))
    for column, one in enumerate(found):
        assert one is not None
        kept = table[np.isfinite(table[:, column]), column]
        sums = [abs(np.dot(signs, kept)) for signs in product((-1, 1), repeat=len(kept))]
        assert one.p_value == np.mean(np.array(sums) >= abs(kept.sum()) - 1e-12)
        assert one.n_flips == 8
    assert [one and one.p_value for one in found] == [0.25, 1.0]


def test_a_column_without_a_pair_is_missing_and_the_others_are_not():
    first, missing = paired_differences([[1.0, np.nan], [2.0, np.nan]], rng=np.random.default_rng(0))
    assert first is not None
    assert (first.mean, first.n, missing) == (1.5, 2, None)
    assert paired_differences(np.zeros((0, 2)), rng=np.random.default_rng(0)) == [None, None]


def test_many_tests_leave_room_for_their_correction():
    table = np.tile(np.linspace(0.5, 1.5, 80)[:, None], 400)
    found = paired_differences(table, rng=np.random.default_rng(0), n_resamples=10)
    p_values = [one.p_value for one in found if one]
    assert found[0] is not None
    assert found[0].n_flips == 400 * FLIPS_PER_TEST + 1
    assert holm(p_values).max() < 0.05


def test_a_test_of_nothing_rejects_as_often_as_it_may():
    rng = np.random.default_rng(0)
    p_values = sign_flip_p_values(rng.normal(size=(100, 1_000)), rng=rng, n_flips=999)
    assert abs((p_values < 0.05).mean() - 0.05) < 3 * np.sqrt(0.05 * 0.95 / 1_000)


@pytest.mark.parametrize(
    ("table", "settings", "words"),
    [
        ([1.0, 2.0], {}, r"shape \(n_items, n_tests\), got shape \(2,\)"),
        ([[np.inf]], {}, "finite differences"),
        ([[1.0]], {"confidence": 1.0}, "confidence between 0 and 1"),
        ([[1.0]], {"n_flips": 0}, "one sign flip, got 0.95, 2000 and 0"),
    ],
)
def test_refusals(table, settings, words):
    with pytest.raises(RefusedInputError, match=words):
        paired_differences(table, rng=np.random.default_rng(0), **settings)
