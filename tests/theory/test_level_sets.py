import math

import numpy as np
import pytest
from scipy import integrate, stats

from hallulab.errors import RefusedInputError
from hallulab.theory.gaussians import GaussianMixture
from hallulab.theory.level_sets import MarginalCurve, gaussian_masses


def on_a_line(weights, means, deviations):
    return GaussianMixture(weights, np.array(means)[:, None], np.array(deviations)[:, None, None] ** 2)


def random_line(n_states, seed):
    rng = np.random.default_rng(seed)
    return on_a_line(
        rng.dirichlet(np.ones(n_states)), 4 * rng.normal(size=n_states), rng.uniform(0.3, 2, n_states)
    )


def density(mixture, x):
    deviations = np.sqrt(mixture.covariances[:, 0, 0])
    parts = zip(mixture.weights, mixture.means[:, 0], deviations, strict=True)
    return sum(weight * stats.norm.pdf(x, mean, deviation) for weight, mean, deviation in parts)


def dense_log_delta(mixture, mass, n=400_001):
    """Hyndman's rule by brute force: pour the density from the top until it holds the mass."""
    reach = 9 * math.sqrt(mixture.covariances.max())
    x = np.linspace(mixture.means.min() - reach, mixture.means.max() + reach, n)
    falling = np.sort(density(mixture, x))[::-1]
    held = np.cumsum(falling) * (x[1] - x[0])
    return math.log(np.interp(mass, held, falling))


@pytest.mark.parametrize("mass", [1e-6, 0.1, 0.5, 0.9, 0.99, 0.999999])
@pytest.mark.parametrize("deviation", [1e-3, 1.0, 250.0])
def test_gaussian_written_as_a_mixture_meets_the_closed_form(mass, deviation):
    # the mass of N(μ, σ²) within zσ, z = Φ⁻¹((1 + mass)/2): log δ = log φ(z) − log σ
    reach = stats.norm.ppf((1 + mass) / 2)
    closed_form = stats.norm.logpdf(reach) - math.log(deviation)
    curve = MarginalCurve(on_a_line([0.25, 0.75], [7, 7], [deviation, deviation]))
    assert curve.log_delta_of(mass) == pytest.approx(closed_form, abs=1e-6)
    ends = [7 - reach * deviation, 7 + reach * deviation]
    assert curve.intervals_above(closed_form)[0] == pytest.approx(ends, abs=1e-6 * deviation)


@pytest.mark.parametrize("mass", [0.3, 0.8, 0.95])
@pytest.mark.parametrize(("n_states", "seed"), [(2, 0), (2, 1), (3, 2), (5, 3), (10, 4), (50, 5)])
def test_thresholds_of_mixtures_match_dense_quadrature(n_states, seed, mass):
    mixture = random_line(n_states, seed)
    assert MarginalCurve(mixture).log_delta_of(mass) == pytest.approx(
        dense_log_delta(mixture, mass), abs=1e-4
    )


def test_threshold_that_mclust_publishes_for_its_example():
    # hdrlevels of R's mclust: 0.7 N(0, 1) + 0.3 N(4, 1) at 75 %, from 1000 draws: 0.09291
    curve = MarginalCurve(on_a_line([0.7, 0.3], [0, 4], [1, 1]))
    assert math.exp(curve.log_delta_of(0.75)) == pytest.approx(0.09291, abs=0.006)


@pytest.mark.parametrize("seed", range(8))
def test_level_sets_hold_their_mass_and_no_less_density_than_the_rest(seed):
    mixture = random_line(seed % 4 + 2, seed)
    curve = MarginalCurve(mixture)
    log_delta = curve.log_delta_of(0.7)
    intervals = curve.intervals_above(log_delta)
    held = [integrate.quad(lambda x: float(density(mixture, x)), *row, epsabs=1e-11)[0] for row in intervals]
    assert sum(held) == pytest.approx(0.7, abs=1e-9)
    x = np.linspace(-20, 20, 20_001)
    inside = ((x[:, None] > intervals[:, 0]) & (x[:, None] < intervals[:, 1])).any(axis=1)
    assert (inside == (mixture.log_marginal(x[:, None]) > log_delta)).all()


@pytest.mark.parametrize(("distance", "n_turns"), [(1.99, 1), (2.01, 3), (6, 3), (5000, 3)])
def test_two_equal_normals_have_two_modes_exactly_beyond_two_deviations(distance, n_turns):
    turns = MarginalCurve(on_a_line([0.5, 0.5], [0, distance], [1, 1])).turning_points
    assert len(turns) == n_turns
    if n_turns == 3:
        assert turns[1] == pytest.approx(distance / 2, abs=1e-6)


def test_modes_of_very_different_widths_are_all_found():
    # a needle on each shoulder of a wide state
    curve = MarginalCurve(on_a_line([0.98, 0.01, 0.01], [0, -300, 200], [100, 1e-3, 1e-3]))
    assert len(curve.turning_points) == 5
    # the needles are inside: the wide state holds the other 0.88 of its 0.98
    reach = stats.norm.ppf((1 + 0.88 / 0.98) / 2)
    expected = math.log(0.98) + stats.norm.logpdf(reach) - math.log(100)
    assert curve.log_delta_of(0.9) == pytest.approx(expected, abs=1e-4)
    assert len(curve.intervals_above(expected)) == 3


def test_no_interval_at_the_peak_and_wide_ones_far_below():
    curve = MarginalCurve(random_line(3, 0))
    assert curve.intervals_above(curve.log_peak).shape == (0, 2)
    # N(0, 1) exceeds 1e-300 within sqrt(2·(300 ln 10 − ln √2π)) = 37.1
    ends = MarginalCurve(on_a_line([1.0], [0.0], [1.0])).intervals_above(-300 * math.log(10))
    assert ends[0] == pytest.approx([-37.144, 37.144], abs=1e-3)


def test_masses_keep_their_digits_in_both_tails():
    intervals = np.array([[-12.0, -11.0], [11.0, 12.0]])
    expected = 2 * (stats.norm.sf(11) - stats.norm.sf(12))
    assert gaussian_masses(np.zeros(1), np.ones(1), intervals)[0] == pytest.approx(expected, rel=1e-12)


def test_a_state_that_is_never_drawn_changes_nothing():
    with_it = MarginalCurve(on_a_line([0.6, 0.4, 0.0], [0, 3, 50], [1, 1, 9]))
    without = MarginalCurve(on_a_line([0.6, 0.4], [0, 3], [1, 1]))
    assert with_it.log_delta_of(0.9) == without.log_delta_of(0.9)


def test_refusals():
    with pytest.raises(RefusedInputError, match="mixture in 1 dimension, got 2"):
        MarginalCurve(GaussianMixture([1.0], [[0, 0]], [np.eye(2)]))
    curve = MarginalCurve(random_line(2, 0))
    for mass in (0.0, 1.0, -0.5, math.nan):
        with pytest.raises(RefusedInputError, match="HDR mass between 0 and 1"):
            curve.log_delta_of(mass)
    with pytest.raises(RefusedInputError, match="HDR mass of at most 1 - 1e-12"):
        curve.log_delta_of(1 - 1e-14)
