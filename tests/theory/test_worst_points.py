import math

import numpy as np
import pytest
from scipy import optimize

from hallulab.errors import RefusedInputError
from hallulab.theory.gaussians import GaussianMixture
from hallulab.theory.worst_points import is_ball_hallucination, worst_log_densities, worst_points


def one_state(mean, covariance):
    return GaussianMixture([1.0], [mean], [covariance])


def random_state(n_dimensions, spread, rng):
    """One Gaussian whose variances span `spread` powers of ten, on random axes."""
    axes = np.linalg.qr(rng.normal(size=(n_dimensions, n_dimensions)))[0]
    covariance = axes * 10 ** rng.uniform(-spread / 2, spread / 2, n_dimensions) @ axes.T
    return one_state(5 * rng.normal(size=n_dimensions), (covariance + covariance.T) / 2)


def test_nearest_point_for_equal_variances_by_hand():
    # the mean is 5 away along (3, 4); a ball of radius 1 leaves 4: log f = −ln 2π − ln 4 − 4²/(2·4)
    worst = worst_points(one_state([3, 4], 4 * np.eye(2)), [0, 0], 1)
    assert worst.points[0] == pytest.approx([0.6, 0.8], abs=1e-12)
    assert worst.log_densities[0] == pytest.approx(-math.log(2 * math.pi) - math.log(4) - 2, abs=1e-12)


def test_mean_inside_the_ball_is_the_worst_point():
    mixture = random_state(3, 2, np.random.default_rng(0))
    worst = worst_points(mixture, mixture.means[0] + [0.1, 0, 0], 0.1 + 1e-12)
    assert (worst.points == mixture.means).all()
    assert worst.log_densities == pytest.approx(mixture.log_peaks)


def test_no_radius_is_the_centre():
    mixture = random_state(3, 2, np.random.default_rng(1))
    for radius in (0.0, 1e-300):
        assert worst_log_densities(mixture, np.zeros(3), radius) == pytest.approx(
            mixture.log_densities(np.zeros((1, 3)))[0], rel=1e-12
        )


@pytest.mark.parametrize("spread", [1, 4, 8])
@pytest.mark.parametrize("n_dimensions", [1, 2, 5, 40])
def test_secular_equation_is_solved_to_a_billionth(n_dimensions, spread):
    """The optimality conditions of the trust-region problem: on the sphere, with the gradient along the radius."""
    rng = np.random.default_rng(100 * n_dimensions + spread)
    for share in (1e-9, 1e-3, 0.3, 0.9, 1 - 1e-9):
        mixture = random_state(n_dimensions, spread, rng)
        radius = share * np.linalg.norm(mixture.means[0])
        worst = worst_points(mixture, np.zeros(n_dimensions), radius)
        point = worst.points[0]
        assert np.linalg.norm(point) == pytest.approx(radius, rel=1e-9)
        # Σ⁻¹(μ − a) = λ a with λ >= 0, multiplied by Σ: μ − a = λ Σ a
        pull, radial = mixture.means[0] - point, mixture.covariances[0] @ point
        multiplier = pull @ radial / (radial @ radial)
        assert multiplier >= 0
        assert pull == pytest.approx(multiplier * radial, abs=1e-7 * np.linalg.norm(mixture.means[0]))
        # the reference solves with Σ, and loses as many digits as its condition number has
        tolerance = max(1e-9, 1e-15 * 10**spread)
        assert worst.log_densities == pytest.approx(
            mixture.log_densities([point])[0], rel=tolerance, abs=1e-6
        )


@pytest.mark.parametrize("seed", range(6))
def test_worst_point_is_the_one_that_a_general_optimiser_finds(seed):
    mixture = random_state(2, 3, np.random.default_rng(seed))
    radius = 0.6 * np.linalg.norm(mixture.means[0])

    def on_the_circle(angle):
        return -mixture.log_densities(radius * np.column_stack([np.cos(angle), np.sin(angle)]))[:, 0]

    grid = np.linspace(0, 2 * np.pi, 20_001)
    start = grid[on_the_circle(grid).argmin()]
    found = optimize.minimize_scalar(
        lambda angle: on_the_circle(np.array([angle]))[0],
        bounds=(start - 0.001, start + 0.001),
        method="bounded",
        options={"xatol": 1e-12},
    )
    assert worst_log_densities(mixture, [0, 0], radius)[0] == pytest.approx(-found.fun, rel=1e-9)


@pytest.mark.parametrize(("n_states", "n_dimensions"), [(3, 2), (50, 4), (2, 64)])
def test_no_point_of_the_ball_is_likelier(n_states, n_dimensions):
    rng = np.random.default_rng(n_states)
    factors = rng.normal(size=(n_states, n_dimensions, n_dimensions))
    covariances = factors @ factors.transpose(0, 2, 1) + 0.1 * np.eye(n_dimensions)
    means = 3 * rng.normal(size=(n_states, n_dimensions))
    mixture = GaussianMixture(np.full(n_states, 1 / n_states), means, covariances)
    centre, radius = mixture.optimal_estimator, 1.5
    steps = rng.normal(size=(4000, n_dimensions))
    lengths = radius * rng.random(4000) ** (1 / n_dimensions)
    tried = centre + steps * (lengths / np.linalg.norm(steps, axis=1))[:, None]
    worst = worst_points(mixture, centre, radius)
    assert (mixture.log_densities(tried) <= worst.log_densities + 1e-9).all()
    assert (np.linalg.norm(worst.points - centre, axis=1) <= radius * (1 + 1e-9)).all()
    assert np.diagonal(mixture.log_densities(worst.points)) == pytest.approx(worst.log_densities, rel=1e-9)


def test_one_radius_per_state():
    mixture = GaussianMixture([0.5, 0.5], [[-3.0], [3.0]], [[[1.0]], [[1.0]]])
    worst = worst_points(mixture, [0.0], [1.0, 2.0])
    assert worst.points.tolist() == [[-1], [2]]


def test_the_whole_ball_hallucinates_exactly_as_long_as_theorem_5_2_says():
    # unit variances at ±m: every point within ε is outside while m − ε >= sqrt(−2 ln(δ √2π))
    delta = 0.01
    reach = math.sqrt(-2 * math.log(delta * math.sqrt(2 * math.pi)))
    mixture = GaussianMixture([0.5, 0.5], [[-4.0], [4.0]], [[[1.0]], [[1.0]]])
    assert is_ball_hallucination(mixture, [0.0], 4 - reach - 1e-9, math.log(delta))
    assert not is_ball_hallucination(mixture, [0.0], 4 - reach + 1e-9, math.log(delta))
    # one state that allows a point of the ball is enough
    assert not is_ball_hallucination(mixture, [1.0], 4 - reach - 0.5, math.log(delta))
    assert is_ball_hallucination(mixture, [1.0], 4 - reach - 0.5, [math.log(delta), 0.0])


def test_512_dimensions():
    mixture = random_state(512, 2, np.random.default_rng(3))
    radius = 0.5 * np.linalg.norm(mixture.means[0])
    worst = worst_points(mixture, np.zeros(512), radius)
    assert np.linalg.norm(worst.points[0]) == pytest.approx(radius, rel=1e-9)
    pull, radial = mixture.means[0] - worst.points[0], mixture.covariances[0] @ worst.points[0]
    assert pull @ radial == pytest.approx(np.linalg.norm(pull) * np.linalg.norm(radial), rel=1e-9)


def test_refusals():
    mixture = random_state(2, 1, np.random.default_rng(0))
    for centre, radius, words in [
        ([0, 0, 0], 1, r"points of shape \(n, 2\), got \(1, 3\)"),
        ([[0, 0], [1, 1]], 1, "expected one centre, got 2"),
        ([0, 0], -1, "radius ε of 0 or more, got -1"),
        ([0, 0], math.nan, "finite radius"),
        ([0, 0], [1, 1], r"one radius or 1, one per state, got shape \(2,\)"),
    ]:
        with pytest.raises(RefusedInputError, match=words):
            worst_points(mixture, centre, radius)
