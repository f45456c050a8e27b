import math

import numpy as np
import pytest
from scipy import special, stats

from hallulab.errors import RefusedInputError
from hallulab.theory.gaussians import GaussianMixture


def random_mixture(n_states, n_dimensions, seed=0):
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(n_states, n_dimensions, n_dimensions))
    covariances = factors @ factors.transpose(0, 2, 1) + 0.5 * np.eye(n_dimensions)
    means = 3 * rng.normal(size=(n_states, n_dimensions))
    return GaussianMixture(rng.dirichlet(np.ones(n_states)), means, covariances)


def test_densities_by_hand():
    # p = ½ each, N(−3, 1) and N(3, 4): f(0) = exp(−9/2)/√(2π) and exp(−9/8)/(2√(2π))
    mixture = GaussianMixture([0.5, 0.5], [[-3], [3]], [[[1]], [[4]]])
    log_densities = mixture.log_densities([[0.0]])
    half_log_two_pi = math.log(2 * math.pi) / 2
    expected = [-4.5 - half_log_two_pi, -1.125 - math.log(2) - half_log_two_pi]
    assert log_densities[0] == pytest.approx(expected, abs=1e-12)
    assert mixture.log_marginal([[0.0]])[0] == pytest.approx(np.log(np.exp(expected).mean()), abs=1e-12)
    assert mixture.log_peaks == pytest.approx([-half_log_two_pi, -math.log(2) - half_log_two_pi], abs=1e-12)


@pytest.mark.parametrize(
    ("n_states", "n_dimensions"), [(1, 1), (1, 5), (2, 1), (3, 2), (50, 1), (50, 3), (4, 64)]
)
def test_densities_are_scipys(n_states, n_dimensions):
    mixture = random_mixture(n_states, n_dimensions)
    points, _ = mixture.sample(40, rng=np.random.default_rng(1))
    expected = np.column_stack(
        [
            stats.multivariate_normal(mean, covariance).logpdf(points)
            for mean, covariance in zip(mixture.means, mixture.covariances, strict=True)
        ]
    )
    assert mixture.log_densities(points) == pytest.approx(expected, rel=1e-9)
    marginal = special.logsumexp(expected, axis=1, b=mixture.weights)
    assert mixture.log_marginal(points) == pytest.approx(marginal, rel=1e-9)


def test_fifty_states_in_512_dimensions():
    means = np.random.default_rng(0).normal(size=(50, 512))
    mixture = GaussianMixture(np.full(50, 0.02), means, np.broadcast_to(4 * np.eye(512), (50, 512, 512)))
    points = mixture.sample(3, rng=np.random.default_rng(1))[0]
    expected = stats.norm.logpdf(points[:, None], means, 2).sum(axis=2)
    assert mixture.log_densities(points) == pytest.approx(expected, rel=1e-12)
    assert mixture.optimal_estimator == pytest.approx(means.mean(axis=0), abs=1e-12)


def test_optimal_estimator_is_the_mean_of_the_draws():
    mixture = random_mixture(3, 2)
    points, states = mixture.sample(200_000, rng=np.random.default_rng(2))
    standard_error = points.std(axis=0) / math.sqrt(len(points))
    assert (np.abs(points.mean(axis=0) - mixture.optimal_estimator) < 4 * standard_error).all()
    assert np.bincount(states) / len(states) == pytest.approx(mixture.weights, abs=0.01)
    assert np.cov(points[states == 1].T) == pytest.approx(mixture.covariances[1], rel=0.05, abs=0.05)


def test_draws_repeat_with_the_seed():
    mixture = random_mixture(3, 2)
    first, second = (mixture.sample(50, rng=np.random.default_rng(7))[0] for _ in range(2))
    assert (first == second).all()
    assert mixture.sample(0, rng=np.random.default_rng(7))[0].shape == (0, 2)


def test_a_weight_of_zero_keeps_its_density_and_is_never_drawn():
    mixture = GaussianMixture([0.0, 1.0], [[9.0], [0.0]], [[[1.0]], [[1.0]]])
    assert mixture.log_marginal([[9.0]])[0] == pytest.approx(stats.norm.logpdf(9))
    assert mixture.log_densities([[9.0]])[0, 0] == pytest.approx(stats.norm.logpdf(0))
    assert set(mixture.sample(1000, rng=np.random.default_rng(0))[1]) == {1}


def test_points_too_far_for_a_density_have_none():
    mixture = random_mixture(2, 2)
    assert mixture.log_densities([[1e200, 0]]).tolist() == [[-math.inf, -math.inf]]
    assert mixture.log_marginal([[1e200, 0]]).tolist() == [-math.inf]


def test_arrays_are_copied_and_locked():
    means = np.zeros((1, 2))
    mixture = GaussianMixture([1.0], means, [np.eye(2)])
    means[:] = 5
    assert mixture.means.tolist() == [[0, 0]]
    with pytest.raises(ValueError, match="read-only"):
        mixture.means[0, 0] = 1


@pytest.mark.parametrize(
    ("weights", "means", "covariances", "words"),
    [
        ([], [], [], r"at least one state, got weights of shape \(0,\)"),
        (
            [0.5, 0.5],
            [[0]],
            [[[1]], [[1]]],
            r"means of shape \(2, n_dimensions\), one row per weight, got \(1, 1\)",
        ),
        ([1], [[]], [[[]]], r"means of shape \(1, n_dimensions\).*got \(1, 0\)"),
        ([1], [[0, 0]], [[[1]]], r"covariances of shape \(1, 2, 2\), got \(1, 1, 1\)"),
        ([1], [[0, 0]], [[[1, 0], [0]]], "covariances as numbers in rows of equal length"),
        (["half"], [[0]], [[[1]]], "weights as numbers"),
        ([1], [[math.nan]], [[[1]]], "finite means, got NaN"),
        ([1], [[0]], [[[math.inf]]], "finite covariances, got NaN or infinity"),
        ([1.5, -0.5], [[0], [1]], [[[1]], [[1]]], "weights of 0 or more, got -0.5"),
        ([0.5, 0.4], [[0], [1]], [[[1]], [[1]]], "sum to 1, got a sum of 0.9: divide them by it"),
        ([0.5, 0.5 + 1e-8], [[0], [1]], [[[1]], [[1]]], "sum to 1, got a sum of 1.00000001"),
        ([1], [[0, 0]], [[[1, 0.5], [0, 1]]], "symmetric covariance, got one for state 0 that is not"),
        ([0.5, 0.5], [[0], [0]], [[[1]], [[0]]], "state 1 has the eigenvalue 0"),
        ([1], [[0, 0]], [[[1, 2], [2, 1]]], "state 0 has the eigenvalue -1: give every direction a variance"),
    ],
)
def test_refusals(weights, means, covariances, words):
    with pytest.raises(RefusedInputError, match=words):
        GaussianMixture(weights, means, covariances)


def test_refuses_points_it_cannot_score():
    mixture = random_mixture(2, 3)
    with pytest.raises(RefusedInputError, match=r"points of shape \(n, 3\), got \(2, 2\)"):
        mixture.log_densities([[0, 0], [0, 0]])
    with pytest.raises(RefusedInputError, match="finite points"):
        mixture.log_marginal([[0, 0, math.nan]])
    with pytest.raises(RefusedInputError, match="0 draws or more, got -1"):
        mixture.sample(-1, rng=np.random.default_rng(0))
