import numpy as np
import pytest
from scipy import integrate, stats

from hallulab.errors import RefusedInputError
from hallulab.theory.mean_laws import LAWS, GaussianMean, StudentMean, mean_law

DENSITIES = {
    "gaussian": stats.norm(scale=np.sqrt(1.7)),
    "uniform": stats.uniform(-np.sqrt(5.1), 2 * np.sqrt(5.1)),  # half-width √(3 · 1.7)
    "laplace": stats.laplace(scale=np.sqrt(0.85)),
    "student_t": stats.t(5, scale=np.sqrt(1.7 * 3 / 5)),
}


@pytest.mark.parametrize("name", DENSITIES)
@pytest.mark.parametrize("distance", [0.0, 0.4, 1.9, 2.5])
def test_moments_and_tails_are_integrals_of_the_density(name, distance):
    law, reference = mean_law(name, 1.7), DENSITIES[name]

    def integral(power: int, start: float) -> float:
        end = reference.support()[1]
        return 2 * integrate.quad(lambda x: x**power * reference.pdf(x), min(start, end), end, limit=200)[0]

    tail = law.tail(distance)
    assert tail is not None
    assert tail.probability == pytest.approx(integral(0, distance), abs=1e-8)
    assert tail.second_moment == pytest.approx(integral(2, distance), abs=1e-7)
    assert law.variance == pytest.approx(integral(2, 0), rel=1e-6)
    assert law.kurtosis == pytest.approx(integral(4, 0) / 1.7**2, rel=1e-5)
    np.testing.assert_allclose(law.cdf([-0.7, 0, 1.2]), reference.cdf([-0.7, 0, 1.2]), atol=1e-12)


@pytest.mark.parametrize("name", LAWS)
def test_draws_follow_the_distribution_function(name):
    law = mean_law(name, 0.6)
    draws = law.sample((40_000,), rng=np.random.default_rng(1))
    at = np.array([-1.1, -0.3, 0.0, 0.5, 0.9])
    # four standard errors of a share of 40,000 draws: 4 · √(¼ / 40,000) = 0.01
    np.testing.assert_allclose([(draws <= x).mean() for x in at], law.cdf(at), atol=0.01)
    assert (np.abs(draws) > law.reach(1e-3)).mean() <= 2e-3


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("n_dimensions", [1, 3])
def test_moments_of_several_axes(name, n_dimensions):
    law = mean_law(name, 1.3, degrees_of_freedom=12 if name == "student_t" else None)
    squares = (law.sample((200_000, n_dimensions), rng=np.random.default_rng(0)) ** 2).sum(axis=1)
    moments = law.moments(n_dimensions)
    assert moments.variance == pytest.approx(squares.mean(), rel=0.02)
    assert moments.fourth_ratio == pytest.approx(squares.mean() ** 2 / (squares**2).mean(), rel=0.05)


def test_gaussian_tails_in_512_dimensions():
    tail = GaussianMean(1.0).tail(22.0, 512)
    draws = (np.random.default_rng(0).standard_normal((20_000, 512)) ** 2).sum(axis=1)
    far = draws > 22.0**2
    assert tail.probability == pytest.approx(far.mean(), abs=0.01)
    assert tail.second_moment == pytest.approx((draws * far).mean(), rel=0.01)


def test_two_points_are_on_either_side():
    law = mean_law("two_point", 4.0)
    assert set(law.sample((100,), rng=np.random.default_rng(0))) == {-2.0, 2.0}
    assert law.cdf([-2.1, -2.0, 1.9, 2.0]).tolist() == [0, 0.5, 0.5, 1]
    assert law.tail(1.99).probability == 1
    assert law.tail(2.0).probability == 0


def test_laws_that_the_theorem_does_not_cover_are_refused():
    with pytest.raises(
        RefusedInputError, match="more than 4 degrees of freedom, got 4: .* K_i of Theorem 6.1"
    ):
        StudentMean(1.0, 4)
    with pytest.raises(RefusedInputError, match="variance above 0, got 0"):
        mean_law("gaussian", 0)
    with pytest.raises(RefusedInputError, match="variance above 0, got nan"):
        mean_law("uniform", float("nan"))
    with pytest.raises(RefusedInputError, match="a law among gaussian, .*, got 'cauchy'"):
        mean_law("cauchy", 1)
    with pytest.raises(RefusedInputError, match="with student_t alone, got them with laplace"):
        mean_law("laplace", 1, degrees_of_freedom=5)
