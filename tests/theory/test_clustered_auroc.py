"""AUROC over clusters: against sklearn, a hand calculation, and a slow bootstrap."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from hallulab.errors import RefusedInputError
from hallulab.theory.clustered_auroc import clustered_auroc, grouped_auroc


def drawn_clusters(n_clusters: int = 12):
    rng = np.random.default_rng(0)
    shifts = rng.normal(size=n_clusters)
    upper = [np.round(s + rng.normal(1, 1, rng.integers(0, 9)), 1) for s in shifts]
    lower = [np.round(s + rng.normal(0, 1, rng.integers(1, 9)), 1) for s in shifts]
    return upper, lower


def test_every_pair_counts_and_a_tie_counts_half():
    # pairs of {3, 1} with {2, 1}: 3 > 2, 3 > 1, 1 < 2, 1 = 1
    auroc = clustered_auroc([[3.0], [1.0]], [[2.0, 1.0], []], rng=np.random.default_rng(0))
    assert auroc.value == 2.5 / 4
    assert (auroc.n_upper, auroc.n_lower, auroc.n_clusters) == (2, 2, 2)


def test_the_value_is_sklearn_s_over_all_scores():
    upper, lower = drawn_clusters()
    scores = np.concatenate([*upper, *lower])
    labels = np.repeat([1, 0], [sum(map(len, upper)), sum(map(len, lower))])
    auroc = clustered_auroc(upper, lower, rng=np.random.default_rng(0))
    assert auroc.value == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


def test_the_interval_is_that_of_a_slow_bootstrap_over_clusters():
    upper, lower = drawn_clusters()
    auroc = clustered_auroc(upper, lower, rng=np.random.default_rng(1), n_resamples=4_000)
    rng, slow = np.random.default_rng(2), []
    for _ in range(2_000):
        places = rng.integers(len(upper), size=len(upper))
        high, low = np.concatenate([upper[p] for p in places]), np.concatenate([lower[p] for p in places])
        slow.append((np.sign(high[:, None] - low[None]) / 2 + 0.5).mean())
    # two bootstraps of thousands of resamples agree to a few thousandths
    np.testing.assert_allclose(
        [auroc.interval.low, auroc.interval.high], np.quantile(slow, [0.025, 0.975]), atol=0.015
    )


def test_scores_alike_within_clusters_are_less_certain_than_independent_ones():
    rng = np.random.default_rng(3)
    shifts = rng.normal(size=(20, 1))
    alike = clustered_auroc(shifts + np.ones((20, 30)), shifts + np.zeros((20, 30)), rng=rng)
    apart = clustered_auroc(rng.normal(1, 1, (20, 30)), rng.normal(0, 1, (20, 30)), rng=rng)
    assert alike.interval.high - alike.interval.low > 2 * (apart.interval.high - apart.interval.low)


def test_infinite_margins_are_compared_too():
    assert clustered_auroc([[np.inf]], [[-np.inf, 3.0]], rng=np.random.default_rng(0)).value == 1


def test_an_empty_group_has_no_auroc():
    assert clustered_auroc([[], []], [[1.0], [2.0]], rng=np.random.default_rng(0)) is None
    assert clustered_auroc([], [], rng=np.random.default_rng(0)) is None


@pytest.mark.parametrize(
    ("upper", "lower", "words"),
    [
        ([[1.0]], [[1.0], [2.0]], "expected the same clusters, got 1 and 2"),
        ([[np.nan]], [[1.0]], "without NaN"),
        ([[[1.0]]], [[1.0]], "got shape \\(1, 1\\)"),
    ],
)
def test_what_cannot_be_compared_is_refused(upper, lower, words: str):
    with pytest.raises(RefusedInputError, match=words):
        clustered_auroc(upper, lower, rng=np.random.default_rng(0))


def test_a_confidence_of_one_is_refused():
    with pytest.raises(RefusedInputError, match="expected a confidence between 0 and 1, got 1"):
        clustered_auroc([[1.0]], [[0.0]], rng=np.random.default_rng(0), confidence=1)


def test_groups_of_independent_scores_give_the_interval_of_single_ones():
    rng = np.random.default_rng(5)
    upper, lower = rng.normal(1, 1, 900), rng.normal(0, 1, 700)
    grouped = grouped_auroc(upper, lower, rng=rng)
    single = clustered_auroc(
        [*([one] for one in upper), *([] for _ in lower)],
        [*([] for _ in upper), *([one] for one in lower)],
        rng=rng,
    )
    assert grouped.value == pytest.approx(single.value)
    assert (grouped.n_upper, grouped.n_lower, grouped.n_clusters) == (900, 700, 100)
    assert grouped.interval.low == pytest.approx(single.interval.low, abs=0.006)
    assert grouped.interval.high == pytest.approx(single.interval.high, abs=0.006)
