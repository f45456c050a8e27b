import numpy as np
import pytest

from hallulab.errors import RefusedInputError
from hallulab.theory.diversity import cosine_diversity


def slow_diversity(vectors):
    distances = [
        1 - float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
        for i, a in enumerate(vectors)
        for j, b in enumerate(vectors)
        if i != j
    ]
    return sum(distances) / len(distances)


def test_it_is_the_mean_over_pairs():
    vectors = np.random.default_rng(0).normal(size=(7, 5))
    found = cosine_diversity(vectors)
    assert found.value == pytest.approx(slow_diversity(vectors))
    assert found.n == 7


def test_the_interval_is_that_of_values_without_one_member():
    vectors = np.random.default_rng(1).normal(size=(6, 3))
    without = np.array([slow_diversity(np.delete(vectors, k, axis=0)) for k in range(6)])
    standard_error = np.sqrt(5 / 6 * ((without - without.mean()) ** 2).sum())
    found = cosine_diversity(vectors)
    assert found.interval.high - found.value == pytest.approx(2.570582 * standard_error)  # t, 5 degrees


def test_by_hand():
    # two equal, one at a right angle, one opposite: distances 0, 1, 1, 2, 2, 1 over six pairs
    found = cosine_diversity([[1, 0], [3, 0], [0, 1], [-2, 0]])
    assert found.value == pytest.approx(7 / 6)


def test_the_value_does_not_depend_on_how_many_there_are():
    rng = np.random.default_rng(2)
    few = np.mean([cosine_diversity(rng.normal(1, 1, size=(4, 8))).value for _ in range(2000)])
    many = np.mean([cosine_diversity(rng.normal(1, 1, size=(64, 8))).value for _ in range(200)])
    assert few == pytest.approx(many, abs=0.01)


def test_the_interval_covers():
    rng = np.random.default_rng(3)
    truth = cosine_diversity(rng.normal(1, 1, size=(4000, 8))).value
    n_inside = 0
    for _ in range(400):
        interval = cosine_diversity(rng.normal(1, 1, size=(24, 8))).interval
        n_inside += interval.low <= truth <= interval.high
    assert 0.91 <= n_inside / 400 <= 0.99


def test_one_member_has_no_diversity_and_three_no_interval():
    assert cosine_diversity([[1.0, 2.0]]) is None
    assert cosine_diversity([[1.0, 2.0], [0.0, 1.0], [1.0, 1.0]]).interval is None


@pytest.mark.parametrize("vectors", [[1.0, 2.0], [[0.0, 0.0], [1.0, 0.0]], [[np.nan, 1.0], [1.0, 0.0]]])
def test_vectors_without_direction_are_refused(vectors):
    with pytest.raises(RefusedInputError, match="finite vectors of shape"):
        cosine_diversity(vectors)
