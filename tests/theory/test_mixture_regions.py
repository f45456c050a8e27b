import math

import numpy as np
import pytest
from scipy import stats

from hallulab.errors import RefusedInputError
from hallulab.theory.gaussians import GaussianMixture
from hallulab.theory.mixture_regions import (
    hcdr_log_delta,
    hcdr_region,
    hdr_log_delta,
    hdr_region,
    mixture_regions,
)


def random_mixture(n_states, n_dimensions, seed=0):
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(n_states, n_dimensions, n_dimensions))
    covariances = factors @ factors.transpose(0, 2, 1) + 0.5 * np.eye(n_dimensions)
    means = 3 * rng.normal(size=(n_states, n_dimensions))
    return GaussianMixture(rng.dirichlet(np.ones(n_states)), means, covariances)


@pytest.mark.parametrize("mass", [0.01, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("n_dimensions", [1, 2, 3, 64, 512])
def test_state_thresholds_are_chi_squared_quantiles(n_dimensions, mass):
    mixture = GaussianMixture([1.0], [np.zeros(n_dimensions)], [9 * np.eye(n_dimensions)])
    peak = -n_dimensions * (math.log(2 * math.pi) / 2 + math.log(3))
    expected = peak - stats.chi2.ppf(mass, n_dimensions) / 2
    assert hcdr_log_delta(mixture, mass) == pytest.approx([expected], abs=1e-6)
    assert hdr_log_delta(mixture, mass).value == pytest.approx(expected, abs=1e-6)


def test_each_state_holds_the_mass_it_was_given():
    mixture = random_mixture(4, 3)
    rng = np.random.default_rng(1)
    thresholds = hcdr_log_delta(mixture, 0.8)
    for state in range(4):
        draws = rng.multivariate_normal(mixture.means[state], mixture.covariances[state], 20_000)
        share = (mixture.log_densities(draws)[:, state] > thresholds[state]).mean()
        assert share == pytest.approx(0.8, abs=4 * math.sqrt(0.8 * 0.2 / 20_000))


def test_regions_on_a_line_by_hand():
    # ±3, deviation 1, mass 0.9: each U_i reaches 1.644854 around its mean
    mixture = GaussianMixture([0.5, 0.5], [[-3], [3]], [[[1]], [[1]]])
    hcdr = mixture_regions(mixture, mass=0.9).hcdr
    reach = 1.6448536269514722
    assert hcdr.intervals == pytest.approx(
        np.array([[-3 - reach, -3 + reach], [3 - reach, 3 + reach]]), abs=1e-9
    )
    assert hcdr.volume.value == pytest.approx(4 * reach, abs=1e-9)
    # under state 1, U_2 holds what lies from 6 − 1.645 to 6 + 1.645 deviations away
    other = stats.norm.sf(6 - reach) - stats.norm.sf(6 + reach)
    assert [one.value for one in hcdr.state_masses] == pytest.approx([0.9 + other] * 2, abs=1e-12)
    assert hcdr.mass.value == pytest.approx(0.9 + other, abs=1e-12)
    assert hcdr.mass.interval is None


def test_overlapping_and_nested_intervals_merge():
    mixture = GaussianMixture([0.2, 0.3, 0.5], [[0], [0.5], [10]], [[[4]], [[0.1]], [[1]]])
    region = hcdr_region(mixture, hcdr_log_delta(mixture, 0.9))
    assert len(region.intervals) == 2
    reach = 1.6448536269514722
    assert region.intervals == pytest.approx(
        np.array([[-2 * reach, 2 * reach], [10 - reach, 10 + reach]]), abs=1e-9
    )


@pytest.mark.parametrize("n_dimensions", [1, 2])
def test_one_absolute_delta_puts_the_hdr_inside_the_hcdr(n_dimensions):
    for seed in range(5):
        mixture = random_mixture(3, n_dimensions, seed)
        rng = np.random.default_rng(seed)
        regions = mixture_regions(mixture, delta=0.02, n_draws=2000, rng=rng)
        points = mixture.sample(5000, rng=rng)[0]
        assert not (regions.in_hdr(points) & ~regions.in_hcdr(points)).any()
        assert regions.in_hcdr(points).sum() > regions.in_hdr(points).sum()
        assert regions.hcdr.log_deltas.tolist() == [math.log(0.02)] * 3


@pytest.mark.parametrize(("n_states", "n_dimensions"), [(1, 1), (1, 2), (50, 1), (50, 2), (3, 5), (2, 512)])
def test_sizes_agree_with_plain_counting(n_states, n_dimensions):
    mixture = random_mixture(n_states, n_dimensions)
    n_draws = 500 if n_dimensions == 512 else 4000
    regions = mixture_regions(mixture, mass=0.9, n_draws=n_draws, rng=np.random.default_rng(0))
    points, states = mixture.sample(n_draws, rng=np.random.default_rng(1))
    for region, inside in [
        (regions.hdr, regions.in_hdr(points)),
        (regions.hcdr, regions.in_hcdr(points)),
    ]:
        noise = 5 * math.sqrt(0.9 * 0.1 / n_draws) * math.sqrt(2)
        assert region.mass.value == pytest.approx(inside.mean(), abs=noise)
        likeliest = np.bincount(states).argmax()
        n = (states == likeliest).sum()
        counted = inside[states == likeliest].mean()
        tolerance = 5 * math.sqrt(0.25 / n) + 5 * math.sqrt(0.25 / n_draws * min(n_states, 4))
        assert region.state_masses[likeliest].value == pytest.approx(counted, abs=tolerance)
    if n_dimensions == 2:
        low, high = points.min(axis=0) - 2, points.max(axis=0) + 2
        box = np.random.default_rng(2).uniform(low, high, (40_000, 2))
        for region, inside in [(regions.hdr, regions.in_hdr(box)), (regions.hcdr, regions.in_hcdr(box))]:
            counted = inside.mean() * np.prod(high - low)
            assert region.volume.value == pytest.approx(counted, rel=0.12)


def test_volume_beyond_floats_is_missing():
    mixture = GaussianMixture([0.5, 0.5], np.zeros((2, 512)), np.tile(1e4 * np.eye(512), (2, 1, 1)))
    region = hcdr_region(mixture, hcdr_log_delta(mixture, 0.9), n_draws=100, rng=np.random.default_rng(0))
    assert region.volume is None
    assert region.state_masses[0].value >= 0.9


def test_margin_of_a_ball_has_the_sign_of_its_verdict():
    mixture = GaussianMixture([0.5, 0.5], [[-3], [3]], [[[1]], [[1]]])
    regions = mixture_regions(mixture, mass=0.9)
    gap = 3 - 1.6448536269514722
    assert regions.ball_margin_nats([0.0], gap - 1e-6) < 0 < regions.ball_margin_nats([0.0], gap + 1e-6)
    assert regions.ball_margin_nats([0.0], 0.0) == pytest.approx(
        (mixture.log_densities([[0.0]]) - regions.hcdr.log_deltas).max()
    )


def test_weight_zero_keeps_its_region():
    mixture = GaussianMixture([1.0, 0.0], [[0], [9]], [[[1]], [[1]]])
    regions = mixture_regions(mixture, mass=0.9)
    assert regions.in_hcdr([[9.0]]).tolist() == [True]
    assert regions.in_hdr([[9.0]]).tolist() == [False]
    assert regions.hdr.state_masses[1].value == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "either a mass or a δ, got mass=None and δ=None"),
        ({"mass": 0.9, "delta": 0.1}, "either a mass or a δ, got mass=0.9 and δ=0.1"),
        ({"mass": 0.0}, "HDR mass between 0 and 1, such as 0.9, got 0.0"),
        ({"mass": 1.0}, "HDR mass between 0 and 1"),
        ({"delta": 0.0}, "δ above 0, got 0.0"),
        ({"delta": -1.0}, "δ above 0, got -1.0"),
        ({"delta": math.nan}, "δ above 0, got nan"),
    ],
)
@pytest.mark.parametrize("n_dimensions", [1, 2])
def test_refuses_settings_that_set_no_threshold(n_dimensions, settings, words):
    with pytest.raises(RefusedInputError, match=words):
        mixture_regions(random_mixture(2, n_dimensions), rng=np.random.default_rng(0), **settings)


def test_refuses_thresholds_that_fit_no_state():
    mixture = random_mixture(2, 1)
    with pytest.raises(RefusedInputError, match=r"one log δ or 2, one per state, got shape \(3,\)"):
        hcdr_region(mixture, [0, 0, 0])
    with pytest.raises(RefusedInputError, match="finite log δ"):
        hdr_region(mixture, -math.inf)
    with pytest.raises(RefusedInputError, match=r"points of shape \(n, 1\)"):
        mixture_regions(mixture, mass=0.9).in_hdr([[0, 0]])
