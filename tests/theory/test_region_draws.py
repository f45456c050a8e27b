"""Regions whose true size is known in closed form, against what 500 seeded repeats say about them."""

import math

import numpy as np
import pytest
from scipy import optimize, stats

from hallulab.errors import RefusedInputError
from hallulab.theory.gaussians import GaussianMixture
from hallulab.theory.mixture_regions import hcdr_log_delta, hcdr_region, hdr_log_delta, hdr_region

N_REPEATS = 500
N_DRAWS = 1000
LEAST_SHARE = 0.98


def concentric(weights=(0.6, 0.4), deviations=(1.0, 2.5)):
    """Round states around one centre in the plane: every region is a disc, its masses are exponentials."""
    covariances = [deviation**2 * np.eye(2) for deviation in deviations]
    return GaussianMixture(weights, np.ones((len(weights), 2)), covariances)


def disc_masses(radius, deviations=(1.0, 2.5)):
    return [-math.expm1(-(radius**2) / (2 * deviation**2)) for deviation in deviations]


def true_hdr_radius(mass):
    return optimize.brentq(
        lambda radius: np.dot([0.6, 0.4], disc_masses(radius)) - mass, 1e-6, 50, xtol=1e-13
    )


def side_by_side(distance):
    """Two round states of deviation 1 in the plane, equally likely."""
    return GaussianMixture([0.5, 0.5], [[0, 0], [distance, 0]], [np.eye(2), np.eye(2)])


def share_of_intervals_that_hold(truth, measures):
    return np.mean([one.interval.low <= truth <= one.interval.high for one in measures])


def repeats(measure):
    return [measure(np.random.default_rng(seed)) for seed in range(N_REPEATS)]


def test_hdr_threshold_lies_in_its_interval():
    mixture, mass = concentric(), 0.8
    truth = mixture.log_marginal([[1 + true_hdr_radius(mass), 1]])[0]
    measures = repeats(lambda rng: hdr_log_delta(mixture, mass, n_draws=N_DRAWS, rng=rng))
    assert share_of_intervals_that_hold(truth, measures) >= LEAST_SHARE
    assert np.mean([one.value for one in measures]) == pytest.approx(truth, abs=0.01)


def test_hdr_masses_and_area_lie_in_their_intervals():
    mixture = concentric()
    radius = true_hdr_radius(0.8)
    log_delta = mixture.log_marginal([[1 + radius, 1]])[0]
    regions = repeats(lambda rng: hdr_region(mixture, log_delta, n_draws=N_DRAWS, rng=rng))
    assert share_of_intervals_that_hold(0.8, [region.mass for region in regions]) >= LEAST_SHARE
    for state, truth in enumerate(disc_masses(radius)):
        measures = [region.state_masses[state] for region in regions]
        assert share_of_intervals_that_hold(truth, measures) >= LEAST_SHARE
    assert (
        share_of_intervals_that_hold(math.pi * radius**2, [region.volume for region in regions])
        >= LEAST_SHARE
    )


def test_hcdr_masses_and_area_lie_in_their_intervals():
    # two discs of radius 1.5 whose centres are 2 apart overlap in a lens
    radius, distance = 1.5, 2.0
    mixture = side_by_side(distance)
    log_delta = mixture.log_peaks[0] - radius**2 / 2
    lens = 2 * radius**2 * math.acos(distance / (2 * radius)) - distance / 2 * math.sqrt(
        4 * radius**2 - distance**2
    )
    area = 2 * math.pi * radius**2 - lens
    # under state 1: its own disc, and the part of the other beyond it, strip by strip
    strips = np.linspace(distance - radius, distance + radius, 200_001)
    middles, width = (strips[1:] + strips[:-1]) / 2, strips[1] - strips[0]
    heights = np.sqrt(radius**2 - (middles - distance) ** 2)
    own = np.sqrt(np.maximum(radius**2 - middles**2, 0))
    beyond = 2 * (stats.norm.sf(own) - stats.norm.sf(np.maximum(heights, own)))
    mass = disc_masses(radius)[0] + float((stats.norm.pdf(middles) * beyond).sum() * width)

    regions = repeats(lambda rng: hcdr_region(mixture, log_delta, n_draws=N_DRAWS, rng=rng))
    assert share_of_intervals_that_hold(area, [region.volume for region in regions]) >= LEAST_SHARE
    # equal weights and a mirror image: the marginal holds what each state holds
    for measures in ([one.mass for one in regions], [one.state_masses[0] for one in regions]):
        assert share_of_intervals_that_hold(mass, measures) >= LEAST_SHARE
        assert np.mean([one.value for one in measures]) == pytest.approx(mass, abs=2e-3)


def test_only_what_is_open_is_drawn():
    """Discs far apart: of each state's mass, 90 % is exact, and a tenth of the rest's interval is left."""
    mixture = side_by_side(100)
    region = hcdr_region(mixture, hcdr_log_delta(mixture, 0.9), n_draws=2000, rng=np.random.default_rng(0))
    assert region.mass.value == pytest.approx(0.9, abs=1e-12)
    assert region.mass.interval.high - region.mass.interval.low == pytest.approx(
        0.1 * (1 - 0.005 ** (1 / 2000))
    )
    assert region.volume.value == pytest.approx(2 * math.pi * stats.chi2.ppf(0.9, 2), rel=1e-12)


def test_an_ellipse_alone_is_exact_in_every_dimension():
    for n_dimensions in (2, 3, 10):
        covariance = np.diag(np.arange(1.0, n_dimensions + 1))
        mixture = GaussianMixture([1.0], [np.zeros(n_dimensions)], [covariance])
        for region in (
            hcdr_region(mixture, hcdr_log_delta(mixture, 0.7)),
            hdr_region(mixture, hcdr_log_delta(mixture, 0.7)[0]),
        ):
            half = n_dimensions / 2
            ball = math.pi**half / math.gamma(half + 1) * stats.chi2.ppf(0.7, n_dimensions) ** half
            assert region.volume.value == pytest.approx(
                ball * math.sqrt(math.factorial(n_dimensions)), rel=1e-9
            )
            assert region.volume.interval is None
            assert region.mass.value == pytest.approx(0.7, abs=1e-12)
            assert region.mass.n_draws == 0


def test_state_with_an_empty_region_is_still_measured():
    # the wide state never exceeds δ: its own region is empty, the narrow one's holds a share of it
    mixture = concentric()
    log_delta = mixture.log_peaks[1] + 0.1
    radius = math.sqrt(2 * (mixture.log_peaks[0] - log_delta))
    region = hcdr_region(mixture, log_delta, n_draws=50_000, rng=np.random.default_rng(0))
    assert region.volume.value == pytest.approx(math.pi * radius**2, rel=1e-12)
    narrow, wide = disc_masses(radius)
    assert region.state_masses[0].value == pytest.approx(narrow, abs=1e-12)
    assert region.state_masses[1].interval.low <= wide <= region.state_masses[1].interval.high


def test_nothing_exceeds_a_threshold_above_every_peak():
    mixture = concentric()
    for region in (
        hdr_region(mixture, 5.0, n_draws=100, rng=np.random.default_rng(0)),
        hcdr_region(mixture, 5.0, n_draws=100, rng=np.random.default_rng(0)),
    ):
        for measure in (region.volume, region.mass, *region.state_masses):
            assert (measure.value, measure.interval) == (0, None)


def test_the_seed_repeats_every_number():
    mixture = side_by_side(3)
    first, second = (hdr_region(mixture, -4, n_draws=500, rng=np.random.default_rng(3)) for _ in range(2))
    assert (first.mass, first.state_masses, first.volume) == (second.mass, second.state_masses, second.volume)


def test_too_few_draws_leave_the_threshold_open_below():
    measure = hdr_log_delta(side_by_side(3), 0.99, n_draws=50, rng=np.random.default_rng(0))
    assert measure.interval.low == -math.inf
    measure = hdr_log_delta(side_by_side(3), 0.01, n_draws=50, rng=np.random.default_rng(0))
    # of N(0, I) and N(3, I) the marginal peaks at about half of 1/2π, and never exceeds 1/2π
    assert measure.interval.high == pytest.approx(-math.log(2 * math.pi))


@pytest.mark.parametrize("mass", [1e-9, 1e-6, 0.5, 1 - 1e-6, 1 - 1e-9])
def test_a_threshold_lies_in_its_own_interval(mass):
    measure = hdr_log_delta(side_by_side(3), mass, n_draws=100, rng=np.random.default_rng(0))
    assert measure.interval.low <= measure.value <= measure.interval.high


def test_refusals():
    with pytest.raises(RefusedInputError, match="expected a random generator"):
        hdr_log_delta(side_by_side(3), 0.9)
    with pytest.raises(RefusedInputError, match="at least one draw, got 0"):
        hcdr_region(side_by_side(3), -4, n_draws=0, rng=np.random.default_rng(0))
