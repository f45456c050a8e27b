import numpy as np
import pytest

from hallulab.errors import RefusedInputError
from hallulab.theory.multiple_tests import holm


def test_by_hand():
    # sorted: 0.01 · 4, 0.02 · 3, 0.03 · 2 = 0.06 (not less than the one before), 0.5 · 1
    assert holm([0.03, 0.01, 0.5, 0.02]) == pytest.approx([0.06, 0.04, 0.5, 0.06])


def test_one_test_needs_no_correction_and_none_is_above_1():
    assert holm([0.2]) == pytest.approx([0.2])
    assert holm([0.6, 0.7]) == pytest.approx([1.0, 1.0])
    assert holm([]).shape == (0,)


def test_any_false_rejection_is_rare():
    rng = np.random.default_rng(0)
    any_rejected = [holm(rng.random(10)).min() < 0.05 for _ in range(2_000)]
    assert np.mean(any_rejected) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 2_000)
    uncorrected = [rng.random(10).min() < 0.05 for _ in range(2_000)]
    assert np.mean(uncorrected) > 0.3


def test_refusals():
    with pytest.raises(RefusedInputError, match="p-values from 0 to 1"):
        holm([0.5, 1.1])
    with pytest.raises(RefusedInputError, match="p-values from 0 to 1"):
        holm([np.nan])


def test_tests_that_are_not_at_hand_count_as_well():
    # the two smallest of three: times 3, times 2, whatever the third may be
    assert holm([0.01, 0.02], n_tests=3) == pytest.approx([0.03, 0.04])
    assert holm([0.01, 0.02, 0.7])[:2] == pytest.approx([0.03, 0.04])
    with pytest.raises(RefusedInputError, match="at least as many tests made"):
        holm([0.1, 0.2], n_tests=1)
