import numpy as np
import pytest

from hallulab.errors import RefusedInputError
from hallulab.experiments.bounds_search import DiscreteSetting, search_counterexample


def random_setting(n: int, seed: int) -> DiscreteSetting:
    rng = np.random.default_rng(seed)
    chances = rng.dirichlet(np.ones(3), size=n)
    values = rng.normal(size=(n, 3))
    values -= (chances * values).sum(axis=1, keepdims=True)
    return DiscreteSetting(values, chances, rng.dirichlet(np.ones(n)), 0.2)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_probabilities_are_sums_over_all_combinations(n):
    setting = random_setting(n, seed=n)
    rng = np.random.default_rng(0)
    drawn = np.column_stack(
        [rng.choice(setting.values[i], size=40_000, p=setting.probabilities[i]) for i in range(n)]
    )
    far = (np.abs(drawn - (drawn @ setting.weights)[:, None]) > 0.2).all(axis=1)
    # four standard errors of a share of 40,000 draws: 0.01
    assert setting.probability() == pytest.approx(far.mean(), abs=0.01)


def test_moments_by_hand():
    # values −1, 0, 1 with chances ¼, ½, ¼: variance ½, fourth moment ½, K = ¼ / ½
    setting = DiscreteSetting(np.array([[-1.0, 0.0, 1.0]]), np.array([[0.25, 0.5, 0.25]]), np.ones(1), 0.1)
    moments = setting.moments[0]
    assert (moments.variance, moments.fourth_ratio) == (0.5, 0.5)


def test_the_search_repeats_and_its_find_can_be_checked():
    found = search_counterexample(3, n_tried=300, seed=2)
    again = search_counterexample(3, n_tried=300, seed=2)
    assert found.to_json() == again.to_json()
    assert found.n_silent < found.n_tried == 300
    assert found.product == pytest.approx(found.setting.paper().value)
    assert found.probability == pytest.approx(found.setting.probability())
    assert found.ratio == pytest.approx(found.product / found.probability)
    assert (found.n_exceeding > 0) == (found.ratio > 1)


def test_searching_longer_comes_closer():
    short, long = (search_counterexample(2, n_tried=n, seed=0) for n in (60, 900))
    assert long.ratio > short.ratio
    assert long.n_exceeding == 0  # a theorem for two states: docs/bounds.md, 4


def test_refusals():
    for n in (1, 8):
        with pytest.raises(RefusedInputError, match=f"expected 2 to 7 states .* got {n} and"):
            search_counterexample(n)
