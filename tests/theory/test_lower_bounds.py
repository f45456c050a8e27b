import math

import numpy as np
import pytest
from scipy import stats

from hallulab.errors import RefusedInputError
from hallulab.theory.hallucination_rate import enclose_probability, measure_rate
from hallulab.theory.lower_bounds import (
    MeanSetting,
    conditional_bound,
    moment_bound,
    paper_bound,
    region_radius,
    two_state_probability,
    union_bound,
)
from hallulab.theory.mean_laws import LAWS, GaussianMean, Moments, mean_law


def equal(law: str, n: int, radius: float, n_dimensions: int = 1) -> MeanSetting:
    return MeanSetting((mean_law(law, 1.0),) * n, (1 / n,) * n, radius, n_dimensions)


def paper(setting: MeanSetting):
    return paper_bound(setting.moments, setting.weights, setting.radius)


def test_the_papers_factors_are_the_largest_on_a_fine_grid():
    setting = MeanSetting((GaussianMean(1.0), GaussianMean(2.5), GaussianMean(0.9)), (0.3, 0.3, 0.4), 0.04)
    bound = paper(setting)
    d = math.sqrt(0.3**2 + 0.3**2 * 2.5 + 0.4**2 * 0.9)
    by_hand = 1.0
    for state, sigma in zip(bound.states, (1.0, 2.5, 0.9), strict=True):
        alpha = np.linspace(1, (math.sqrt(sigma) - 0.04) / d, 200_001)
        values = (1 - 1 / alpha**2) * (1 - (alpha * d + 0.04) ** 2 / sigma) ** 2
        assert state.factor == pytest.approx(values.max(), rel=1e-8)
        assert state.factor >= values.max() * (1 - 1e-12)
        assert state.alpha == pytest.approx(alpha[values.argmax()], abs=1e-4)
        by_hand *= values.max() / 3  # K of a Gaussian: 1/3
    assert bound.value == pytest.approx(by_hand, rel=1e-8)


def test_two_unit_gaussians_as_in_the_notes_on_the_paper():
    # r → 0, u = α²: (1 − 1/u)(1 − u/2)² is largest at u = (1 + √17)/4, and K = 1/3 twice
    u = (1 + math.sqrt(17)) / 4
    expected = ((1 - 1 / u) * (1 - u / 2) ** 2 / 3) ** 2
    assert paper(equal("gaussian", 2, 0.0)).value == pytest.approx(expected, rel=1e-9)
    assert expected == pytest.approx(8.8e-5, rel=0.02)


@pytest.mark.parametrize("radius", [0.3, 0.9, 5])
def test_the_theorem_is_silent_in_words(radius):
    # √σ = 1 and d = 1/√2: silent from r = 1 − 0.7071 on
    bound = paper(equal("gaussian", 2, radius))
    assert bound.value is None
    assert bound.log_value is None
    assert "the theorem is silent here: no α > 1 has θ_i(α) <= 1" in bound.reason
    assert paper(equal("gaussian", 2, 0.29)).value > 0


def test_one_noisy_state_silences_the_others():
    setting = MeanSetting((GaussianMean(1.0), GaussianMean(100.0), GaussianMean(1.0)), (1 / 3,) * 3, 0.1)
    assert "for 2 states, the first of them state 1" in paper(setting).reason


def test_one_state_is_silent_and_never_hallucinates():
    setting = equal("gaussian", 1, 0.0)
    assert "silent" in paper(setting).reason
    assert union_bound(setting).value is None
    interval = enclose_probability(setting)
    assert (interval.low, interval.high) == (0, 0)


@pytest.mark.parametrize("n_dimensions", [1, 2, 512])
@pytest.mark.parametrize("n", [2, 10, 50])
def test_gaussian_marginals_are_exact(n, n_dimensions):
    weights = np.arange(1, n + 1) / (n * (n + 1) / 2)
    radius = 0.002 * math.sqrt(n_dimensions)
    setting = MeanSetting(
        tuple(GaussianMean(1 + i % 3) for i in range(n)), tuple(weights), radius, n_dimensions
    )
    variance = np.array([1 + i % 3 for i in range(n)])
    near = 0.0
    for i in range(n):
        coefficients = weights - np.eye(n)[i]
        near += stats.chi2.cdf(radius**2 / (coefficients**2 @ variance), n_dimensions)
    assert union_bound(setting).value == pytest.approx(1 - near, abs=1e-12)


@pytest.mark.parametrize("n_dimensions", [1, 2, 7])
def test_two_gaussian_states_exactly(n_dimensions):
    setting = MeanSetting((GaussianMean(1.0), GaussianMean(2.0)), (0.3, 0.7), 0.5, n_dimensions)
    rate = measure_rate(setting, 200_000, rng=np.random.default_rng(0), confidence=0.9999)
    assert rate.interval.low <= two_state_probability(setting) <= rate.interval.high


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("n", [2, 6])
@pytest.mark.parametrize("radius", [0.03, 0.2, 0.6])
@pytest.mark.parametrize("shape", ["equal", "rising"])
def test_no_proved_bound_exceeds_the_truth(law, n, radius, shape):
    weights = np.ones(n) if shape == "equal" else np.arange(1, n + 1) ** 2
    variances = np.ones(n) if shape == "equal" else np.linspace(0.5, 2, n)
    setting = MeanSetting(
        tuple(mean_law(law, v) for v in variances.tolist()), tuple(weights / weights.sum()), radius
    )
    truth = measure_rate(setting, 20_000, rng=np.random.default_rng(3), confidence=0.99999).interval.high
    moments = setting.moments
    for bound in (
        union_bound(setting),
        conditional_bound(setting),
        moment_bound(moments, setting.weights, radius),
    ):
        assert (bound.value is None) == (bound.reason is not None)
        assert bound.value is None or 0 < bound.value <= truth, bound
    assert enclose_probability(setting).low <= truth


def test_the_repaired_bound_beats_the_papers_and_speaks_where_it_is_silent():
    for n, radius in ((2, 0.1), (10, 0.1), (30, 0.3)):
        setting = equal("gaussian", n, radius)
        assert conditional_bound(setting).value > 10 * paper(setting).value
    setting = equal("gaussian", 2, 0.5)
    assert paper(setting).value is None
    assert conditional_bound(setting).value > 0


def test_the_repaired_bound_by_hand():
    # two points: every mean is 1 away from μ_0, so at any t < 1 − r: q = 1, V = 1/N, and the best t is 1 − r
    bound = conditional_bound(equal("two_point", 16, 0.2))
    assert bound.value == pytest.approx(1 - 1 / (16 * 0.8**2), rel=1e-3)
    assert bound.value <= 1 - 1 / (16 * 0.8**2)


def test_the_moment_bound_by_hand():
    # K = 1, σ = 1, d = 1/4, r = 0: (1 − a²)^32 (1 − 16⁻¹ a⁻² (1 − a²)⁻²) with a = α/4, largest on a grid
    a = np.linspace(0.25, 1, 100_001)[:-1]
    with np.errstate(divide="ignore"):
        values = (1 - a**2) ** 32 * (1 - 1 / (16 * a**2 * (1 - a**2) ** 2))
    bound = moment_bound([Moments(1.0, 1.0)] * 16, (1 / 16,) * 16, 0.0)
    assert bound.value == pytest.approx(values.max(), rel=1e-6)


def test_several_dimensions_need_gaussian_means_for_exact_tails():
    setting = equal("laplace", 3, 0.1, n_dimensions=2)
    assert "Gaussian means alone" in union_bound(setting).reason
    assert "Gaussian means alone" in conditional_bound(setting).reason
    assert paper(setting).value > 0
    assert conditional_bound(equal("gaussian", 50, 0.1, n_dimensions=512)).value > 0.9


def test_small_products_keep_their_logarithm():
    bound = paper(equal("student_t", 50, 0.85))
    assert bound.log_value < -700
    assert math.isfinite(bound.log_value)


def test_radius_of_a_region_is_where_the_density_is_delta():
    covariance = np.array([[2.0, 0.6], [0.6, 0.5]])
    r = region_radius(0.01, covariance)
    vectors = np.linalg.eigh(covariance).eigenvectors
    density = stats.multivariate_normal(np.zeros(2), covariance)
    assert density.pdf(r * vectors[:, -1]) == pytest.approx(0.01, rel=1e-12)
    around = r * np.column_stack([np.cos(a := np.linspace(0, 2 * np.pi, 500)), np.sin(a)])
    assert (density.pdf(1.0000001 * around) <= 0.01).all()  # nothing of the region is outside the ball
    assert region_radius(5.0, 1.0) == 0  # the peak of N(0, 1) is 0.3989
    assert region_radius(1e-300, np.eye(512)) > 0


@pytest.mark.parametrize(
    ("delta", "covariance", "words"),
    [
        (0, 1.0, "expected δ above 0, got 0"),
        (-1, 1.0, "expected δ above 0, got -1"),
        (0.1, [[1, 2], [2, 1]], "positive definite covariance, got one with the eigenvalue -1"),
        (0.1, [[1, 0.5], [0, 1]], "symmetric covariance"),
        (0.1, [[1, 0, 0], [0, 1, 0]], r"shape \(n, n\), got shape \(2, 3\)"),
        (0.1, float("nan"), "finite covariance"),
    ],
)
def test_regions_that_do_not_exist_are_refused(delta, covariance, words):
    with pytest.raises(RefusedInputError, match=words):
        region_radius(delta, covariance)


@pytest.mark.parametrize(
    ("weights", "radius", "words"),
    [
        ((0.5, 0.6), 0.1, "weights that sum to 1, got a sum of 1.1"),
        ((0.0, 1.0), 0.1, "weights above 0"),
        ((1.0,), 0.1, "expected 2 weights, one per state"),
        ((0.5, 0.5), -0.1, "radius r of 0 or more, got -0.1"),
        ((0.5, 0.5), math.inf, "radius r of 0 or more, got inf"),
    ],
)
def test_settings_that_make_no_sense_are_refused(weights, radius, words):
    with pytest.raises(RefusedInputError, match=words):
        MeanSetting((GaussianMean(1.0),) * 2, weights, radius)
    with pytest.raises(RefusedInputError, match=words):
        paper_bound([Moments(1.0, 0.5)] * 2, weights, radius)


def test_no_state_and_no_dimension_are_refused():
    with pytest.raises(RefusedInputError, match="at least one state"):
        MeanSetting((), (), 0.1)
    with pytest.raises(RefusedInputError, match="at least one dimension, got 0"):
        MeanSetting((GaussianMean(1.0),), (1.0,), 0.1, 0)


def test_the_papers_claim_for_two_states_over_random_settings():
    """docs/bounds.md, 4: proved, so no setting may break it, whatever the laws."""
    rng = np.random.default_rng(5)
    n_spoke = 0
    for _ in range(3000):
        values = rng.normal(size=(2, 3))
        chances = rng.dirichlet([0.5, 0.5, 0.5], size=2)
        values -= (chances * values).sum(axis=1, keepdims=True)
        p = rng.uniform(0.02, 0.98)
        sigma = (chances * values**2).sum(axis=1)
        ratio = sigma**2 / (chances * values**4).sum(axis=1)
        room = math.sqrt(sigma.min()) - math.sqrt(p**2 * sigma[0] + (1 - p) ** 2 * sigma[1])
        radius = max(room, 0.01) * rng.uniform()
        bound = paper_bound(
            [Moments(s, min(k, 1.0)) for s, k in zip(sigma, ratio, strict=True)], (p, 1 - p), radius
        )
        if bound.value is not None:
            n_spoke += 1
            apart = np.abs(values[0][:, None] - values[1])
            truth = (np.outer(*chances) * (apart > radius / min(p, 1 - p))).sum()
            assert bound.value <= truth
    assert n_spoke > 500


def test_a_product_too_small_for_a_float_is_not_0():
    bound = paper_bound([Moments(1.0, 0.1)] * 50, (0.02,) * 50, 0.858)
    assert bound.log_value < math.log(math.ulp(0.0))
    assert bound.value > 0
