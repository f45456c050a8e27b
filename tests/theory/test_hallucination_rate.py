import numpy as np
import pytest
from scipy import integrate, stats

from hallulab.errors import RefusedInputError
from hallulab.theory.hallucination_rate import EnclosureSettings, all_far, enclose_probability, measure_rate
from hallulab.theory.lower_bounds import MeanSetting
from hallulab.theory.mean_laws import LAWS, GaussianMean, mean_law
from hallulab.theory.mean_sums import LatticeSum, near_probabilities


def test_far_from_every_mean_by_hand():
    # equal weights, means (−1, 1), (0, 1), (2, 2): A* = 0, ½, 2; the nearest mean is 1, ½, 0 away
    means = np.array([[-1.0, 0.0, 2.0], [1.0, 1.0, 2.0]])
    assert all_far(means, np.array([0.5, 0.5]), 0.7).tolist() == [True, False, False]
    assert all_far(means[:, :, None], np.array([0.5, 0.5]), 0.3).tolist() == [True, True, False]


def test_draws_are_repeatable_and_chunks_do_not_show():
    setting = MeanSetting((GaussianMean(1.0),) * 3, (0.2, 0.3, 0.5), 0.2)
    first, again = (measure_rate(setting, 300_001, rng=np.random.default_rng(7)) for _ in range(2))
    assert first == again
    assert first.n_draws == 300_001
    assert first.rate == first.n_hits / 300_001


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("n", [2, 3, 10])
def test_the_enclosure_holds_the_measured_rate(law, n):
    weights = np.arange(2, n + 2) / np.arange(2, n + 2).sum()
    setting = MeanSetting(tuple(mean_law(law, 1 + i % 2) for i in range(n)), tuple(weights), 0.13)
    enclosed = enclose_probability(setting, EnclosureSettings(n_points=1 << 11, n_blocks=64))
    measured = measure_rate(setting, 30_000, rng=np.random.default_rng(0), confidence=0.99999).interval
    assert 0 <= enclosed.low <= enclosed.high <= 1
    assert enclosed.low <= measured.high
    assert measured.low <= enclosed.high


def test_the_enclosure_shrinks_onto_a_direct_integral():
    # three unit Gaussians, equal weights: integrate over μ_1 − μ_3 = x, μ_2 − μ_3 = y, which decide H
    r = 0.2
    grid = (np.arange(4000) + 0.5) / 4000 * 16 - 8
    x, y = grid[:, None], grid[None, :]
    centre = (x + y) / 3
    far = (np.abs(centre - x) > r) & (np.abs(centre - y) > r) & (np.abs(centre) > r)
    # (x, y) has covariance [[2, 1], [1, 2]]: determinant 3, inverse [[2, −1], [−1, 2]]/3
    density = np.exp(-(x * x - x * y + y * y) / 3) / (2 * np.pi * np.sqrt(3))
    direct = float((density * far).sum() * 0.004**2)
    setting = MeanSetting((GaussianMean(1.0),) * 3, (1 / 3,) * 3, r)
    widths = []
    for n_blocks in (64, 256, 1024):
        enclosed = enclose_probability(setting, EnclosureSettings(n_points=1 << 12, n_blocks=n_blocks))
        assert enclosed.low < direct < enclosed.high
        widths.append(enclosed.high - enclosed.low)
    assert widths[0] > 2 * widths[1] > 4 * widths[2] * 0.9
    assert widths[2] < 0.02


@pytest.mark.parametrize("law", ["uniform", "laplace", "student_t"])
def test_two_states_against_quadrature(law):
    setting = MeanSetting((mean_law(law, 1.0), mean_law(law, 2.0)), (0.4, 0.6), 0.3)
    references = {
        "uniform": [stats.uniform(-np.sqrt(3 * v), 2 * np.sqrt(3 * v)) for v in (1, 2)],
        "laplace": [stats.laplace(scale=np.sqrt(v / 2)) for v in (1, 2)],
        "student_t": [stats.t(5, scale=np.sqrt(0.6 * v)) for v in (1, 2)],
    }[law]
    gap = 0.3 / 0.4
    x = np.linspace(-60, 60, 600_001)
    inside = references[1].cdf(x + gap) - references[1].cdf(x - gap)
    truth = 1 - integrate.trapezoid(references[0].pdf(x) * inside, x)
    enclosed = enclose_probability(setting)
    assert enclosed.low - 1e-5 <= truth <= enclosed.high + 1e-5  # the trapezoids' own error at the jumps
    assert enclosed.high - enclosed.low < 0.005


def test_marginals_on_the_lattice_hold_the_gaussian_ones():
    laws, weights = (GaussianMean(1.0), GaussianMean(2.0), GaussianMean(0.5)), (0.2, 0.3, 0.5)
    for index, interval in enumerate(near_probabilities(laws, weights, 0.25)):
        coefficients = np.array(weights) - np.eye(3)[index]
        spread = np.sqrt(coefficients**2 @ [1.0, 2.0, 0.5])
        exact = 2 * stats.norm.cdf(0.25 / spread) - 1
        assert interval.low <= exact <= interval.high
        assert interval.high - interval.low < 2e-3


def test_masses_of_two_point_means_are_binomial():
    total = LatticeSum.of((mean_law("two_point", 1.0),) * 4, (1, 1, 1, 1), 1 << 10)
    masses, values = total.masses(), total.values
    for heads, expected in enumerate(np.array([1, 4, 6, 4, 1]) / 16):
        near = np.abs(values - (2 * heads - 4)) <= total.rounding + 1e-9
        assert masses[near].sum() == pytest.approx(expected, abs=1e-12)
    assert masses.sum() == pytest.approx(1, abs=1e-12)


def test_no_enclosure_in_several_dimensions_but_for_two_gaussians():
    three = MeanSetting((GaussianMean(1.0),) * 3, (1 / 3,) * 3, 0.1, 2)
    assert enclose_probability(three) is None
    two = MeanSetting((GaussianMean(1.0),) * 2, (0.5, 0.5), 0.1, 2)
    assert enclose_probability(two).low == pytest.approx(stats.chi2.sf(0.04 / 2, 2), rel=1e-12)


def test_refusals():
    setting = MeanSetting((GaussianMean(1.0),) * 3, (1 / 3,) * 3, 0.1)
    with pytest.raises(RefusedInputError, match="at least one draw, got 0"):
        measure_rate(setting, 0, rng=np.random.default_rng(0))
    with pytest.raises(RefusedInputError, match="at least 20 for 3 terms, got 16"):
        enclose_probability(setting, EnclosureSettings(n_points=16))


def test_stated_intervals_cover_the_truth_in_500_repeats():
    setting = MeanSetting((GaussianMean(1.0), GaussianMean(1.0)), (0.5, 0.5), 0.4)
    truth = enclose_probability(setting).low
    covered = 0
    for seed in range(500):
        interval = measure_rate(setting, 2_000, rng=np.random.default_rng(seed)).interval
        covered += interval.low <= truth <= interval.high
    assert covered >= 490  # 98 % of 99 % intervals
