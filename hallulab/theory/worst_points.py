"""The point of an ε-ball that a Gaussian state likes best: when it δ-hallucinates, the whole ball does (Theorem 5.2).

Where state i's mean is in the ball, that point is the mean. Elsewhere it lies on the sphere and solves
a trust-region problem, whose multiplier is the root of a secular equation (Moré and Sorensen, "Computing a trust region
step", SIAM J. Sci. Stat. Comput. 4(3), 1983); with Σ_i = cI the root is known and the point is the one nearest to μ_i.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hallulab.errors import RefusedInputError
from hallulab.theory.gaussians import GaussianMixture
from hallulab.theory.regions import inside_regions

MAX_NEWTON_STEPS = 200
ROOT_TOLERANCE = 1e-14
"""of the distance to the centre, as a share of the radius"""
NEGLIGIBLE_RADIUS = 1e-100
"""as a share of the distance to the mean; below, squares of the ball's points underflow"""


@dataclass(frozen=True)
class WorstPoints:
    """Per state, the largest log f_i over a ball, and where it is reached."""

    points: NDArray[np.float64]
    """shape (n_states, n_dimensions)"""
    log_densities: NDArray[np.float64]
    """max log f_i over the ball, shape (n_states,), nats"""


def worst_points(mixture: GaussianMixture, centre: ArrayLike, radius: ArrayLike) -> WorstPoints:
    """Where in the ball around `centre` each state's density is largest.

    Args:
        centre: shape (n_dimensions,).
        radius: ε >= 0, one for all states or one per state, in the unit of the target.

    Raises RefusedInputError for a centre of another shape, and for a radius that is negative or not finite.
    """
    middle = mixture.checked_points(np.atleast_2d(np.asarray(centre, dtype=float)))
    if len(middle) != 1:
        raise RefusedInputError(f"expected one centre, got {len(middle)}")
    radii = _checked_radii(mixture, radius)
    to_means = mixture.means - middle[0]
    distances = np.linalg.norm(to_means, axis=1)
    points, log_densities = mixture.means.copy(), mixture.log_peaks.copy()
    for state in np.flatnonzero(distances > radii):
        variances, axes = _principal_axes(mixture.covariances[state])
        share, left = _nearest(
            to_means[state] @ axes / distances[state], variances, radii[state] / distances[state]
        )
        points[state] = middle[0] + axes @ share * distances[state]
        # what is left of the way to the mean, not a difference of far points: nothing cancels
        log_densities[state] -= ((left * distances[state]) ** 2 / variances).sum() / 2
    return WorstPoints(points, log_densities)


def worst_log_densities(
    mixture: GaussianMixture, centre: ArrayLike, radius: ArrayLike
) -> NDArray[np.float64]:
    """max log f_i over the ball around `centre`, shape (n_states,), nats. Args and errors: as `worst_points`."""
    return worst_points(mixture, centre, radius).log_densities


def is_ball_hallucination(
    mixture: GaussianMixture, centre: ArrayLike, radius: ArrayLike, log_delta: ArrayLike
) -> bool:
    """Whether every point within ε of `centre` δ-hallucinates: f_i <= δ_i on the whole ball, for every state i.

    Args:
        log_delta: one log δ, or one per state, nats.

    Raises RefusedInputError as `worst_points` and `hallulab.theory.regions.inside_regions` do.
    """
    worst = worst_log_densities(mixture, centre, radius)
    return not inside_regions(worst[None], log_delta).any()


def _checked_radii(mixture: GaussianMixture, radius: ArrayLike) -> NDArray[np.float64]:
    radii = np.asarray(radius, dtype=float)
    if radii.shape not in ((), (mixture.n_states,)):
        raise RefusedInputError(
            f"expected one radius or {mixture.n_states}, one per state, got shape {radii.shape}"
        )
    if not ((radii >= 0) & np.isfinite(radii)).all():
        raise RefusedInputError(f"expected a finite radius ε of 0 or more, got {radius}")
    return np.broadcast_to(radii, mixture.n_states)


def _principal_axes(covariance: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Variances, shape (d,), and the axes that they belong to, columns of shape (d, d)."""
    variances = np.diagonal(covariance)
    if np.count_nonzero(covariance) == len(variances):
        return variances, np.eye(len(variances))
    found = np.linalg.eigh(covariance)
    return found.eigenvalues, found.eigenvectors


def _nearest(
    target: NDArray, variances: NDArray, radius: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The point s of a ball around 0 that is likeliest under N(target, diag(variances)), |target| = 1, radius < 1.

    Returns: s and target − s, shape (d,) each.
    """
    if radius < NEGLIGIBLE_RADIUS:
        return np.zeros_like(target), target
    if (variances == variances[0]).all():
        return radius * target, (1 - radius) * target
    pull = _multiplier(target, variances / variances.max(), radius) * variances / variances.max()
    return target / (1 + pull), target * pull / (1 + pull)


def _multiplier(target: NDArray, variances: NDArray, radius: float) -> float:
    """λ >= 0 at which s = target / (1 + λ v) has the length of the radius.

    1/|s| is concave in λ, so Newton's method climbs to the root from λ = 0 and never passes it.
    """
    multiplier = 0.0
    for _ in range(MAX_NEWTON_STEPS):
        shrink = 1 + multiplier * variances
        point = target / shrink
        length = np.linalg.norm(point)
        if length <= radius * (1 + ROOT_TOLERANCE):
            break
        multiplier += (length / radius - 1) * length**2 / (point**2 * variances / shrink).sum()
    return float(multiplier)
