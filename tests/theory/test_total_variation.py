from itertools import product

import numpy as np
import pytest

from hallulab.errors import RefusedInputError
from hallulab.theory.total_variation import expected_total_variation, total_variation


def test_distance_by_hand():
    assert total_variation([0.5, 0.5, 0], [0.25, 0.25, 0.5]) == 0.5
    assert total_variation([1, 0], [0, 1]) == 1
    assert total_variation([0.2, 0.8], [0.2, 0.8]) == 0


@pytest.mark.parametrize("pmf", [(0.5, 0.5), (0.1, 0.3, 0.6), (0, 1), (0, 0.25, 0.75), (0.2, 0.2, 0.2, 0.4)])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_expected_distance_matches_every_sequence_of_draws(pmf, n):
    expected = 0.0
    for draws in product(range(len(pmf)), repeat=n):
        shares = np.bincount(draws, minlength=len(pmf)) / n
        expected += float(np.prod([pmf[k] for k in draws])) * total_variation(shares, pmf)
    assert expected_total_variation(pmf, n) == pytest.approx(expected, abs=1e-12)


def test_expected_distance_shrinks_with_the_root_of_n():
    pmf = [0.1, 0.2, 0.3, 0.4]
    ratio = expected_total_variation(pmf, 1_000_000) / expected_total_variation(pmf, 10_000)
    assert ratio == pytest.approx(0.1, rel=1e-3)


def test_no_draw_is_refused():
    with pytest.raises(RefusedInputError, match="at least one draw, got 0"):
        expected_total_variation([0.5, 0.5], 0)
