"""Masses and volumes of density regions by seeded draws, each with an interval that is exact for every sample size.

Every quantity is arranged to be an exact part plus a known multiple of one probability, and the probability is counted:
its Clopper–Pearson interval then carries over. Draws fall only where the answer is open, so the intervals are narrow.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from hallulab.errors import RefusedInputError
from hallulab.theory.gaussians import GaussianMixture
from hallulab.theory.intervals import Interval, clopper_pearson_interval
from hallulab.theory.regions import inside_regions, percentile_threshold

CONFIDENCE = 0.99
MAX_LOG_FLOAT = math.log(np.finfo(float).max)
MIN_STATE_DRAWS = 1_000
"""for the mass under one state, however many states share the draws"""

Holds = Callable[[NDArray[np.float64]], NDArray[np.bool_]]
"""whether a region holds each point: log f_i of the points, shape (n, n_states) → (n,)"""


@dataclass(frozen=True)
class Measure:
    """A number that is exact, or estimated from draws with its 99 % interval."""

    value: float
    interval: Interval | None = None
    """99 %; None where the value is exact up to rounding"""
    n_draws: int = 0
    """behind the value; 0 where it is exact"""


@dataclass(frozen=True)
class Ellipsoids:
    """The regions U_i = {f_i > δ_i} of Gaussian states: squared Mahalanobis distance below a radius."""

    mixture: GaussianMixture
    squared_radii: NDArray[np.float64]
    """2 (log f_i(μ_i) − log δ_i), shape (n_states,); 0 where U_i is empty"""

    @property
    def outside_shares(self) -> NDArray[np.float64]:
        """P(A(X; Z_i) outside U_i), shape (n_states,), exact: an upper tail of χ²."""
        return special.gammaincc(self.mixture.n_dimensions / 2, self.squared_radii / 2)

    @property
    def log_volumes(self) -> NDArray[np.float64]:
        """ln of the volume of each U_i, shape (n_states,), exact; −inf where it is empty."""
        half = self.mixture.n_dimensions / 2
        with np.errstate(divide="ignore"):
            log_balls = half * (math.log(math.pi) + np.log(self.squared_radii))
        return log_balls - special.gammaln(half + 1) + self.mixture.log_determinants / 2

    def exact_volume(self, state: int) -> Measure | None:
        """Volume of one U_i; None where it exceeds what a float holds."""
        log_volume = float(self.log_volumes[state])
        return None if log_volume > MAX_LOG_FLOAT else Measure(math.exp(log_volume))

    def draw_outside(self, states: NDArray[np.intp], *, rng: np.random.Generator) -> NDArray[np.float64]:
        """One draw of A(X; Z_i) outside U_i for each entry i of `states`, shape (n, n_dimensions)."""
        tails = rng.random(len(states)) * self.outside_shares[states]
        squares = 2 * special.gammainccinv(self.mixture.n_dimensions / 2, tails)
        return self._placed(states, np.sqrt(squares), rng)

    def draw_inside(self, states: NDArray[np.intp], *, rng: np.random.Generator) -> NDArray[np.float64]:
        """One point, uniform in U_i, for each entry i of `states`, shape (n, n_dimensions)."""
        shares = rng.random(len(states)) ** (1 / self.mixture.n_dimensions)
        return self._placed(states, shares * np.sqrt(self.squared_radii[states]), rng)

    def _placed(
        self, states: NDArray[np.intp], distances: NDArray[np.float64], rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """Points at given Mahalanobis distances from their state's mean, in directions uniform over the sphere."""
        points = rng.standard_normal((len(states), self.mixture.n_dimensions))
        points *= (distances / np.linalg.norm(points, axis=1))[:, None]
        for state in np.unique(states):
            rows = states == state
            points[rows] = self.mixture.means[state] + points[rows] @ self.mixture.cholesky_factors[state].T
        return points


def ellipsoids_of(mixture: GaussianMixture, log_deltas: NDArray[np.float64]) -> Ellipsoids:
    """U_i of every state at its log δ_i, shape (n_states,), nats."""
    return Ellipsoids(mixture, 2 * np.maximum(mixture.log_peaks - log_deltas, 0))


def measured_log_delta(
    mixture: GaussianMixture, mass: float, *, n_draws: int, rng: np.random.Generator
) -> Measure:
    """Hyndman's density quantile of the marginal, nats; the interval is one of order statistics.

    Where too few draws lie below the quantile to bound it, the interval's low end is −inf.
    """
    points, _ = mixture.sample(n_draws, rng=rng)
    ordered = np.sort(mixture.log_marginal(points))
    tail = (1 - CONFIDENCE) / 2
    low_rank, high_rank = (int(stats.binom.ppf(share, n_draws, 1 - mass)) for share in (tail, 1 - tail))
    # P(low_rank <= draws below the quantile <= high_rank) >= 99 %: ranks count from 1
    low = float(ordered[low_rank - 1]) if low_rank else -math.inf
    high = float(ordered[high_rank]) if high_rank < n_draws else _marginal_bound(mixture)
    # next to a mass of 0 or 1 the interpolated quantile can fall a hair outside the ranks
    value = float(np.clip(percentile_threshold(ordered, mass), low, high))
    return Measure(value, Interval(low, high), n_draws)


def measured_masses(
    known: Ellipsoids, holds: Holds, *, n_draws: int, rng: np.random.Generator
) -> tuple[Measure, tuple[Measure, ...]]:
    """Mass of a region under the marginal, and under every state.

    A state's mass is its exact share of its own ellipsoid, plus the rest times the chance that the region holds
    a draw from that rest.

    Args:
        known: U_i that the region is known to hold, empty ones where nothing is known; only what lies outside is drawn.
        holds: whether the region holds a point.
    """
    mixture, outside = known.mixture, known.outside_shares
    n_states = mixture.n_states
    n_each = max(n_draws // n_states, min(n_draws, MIN_STATE_DRAWS))

    def held(states: NDArray[np.intp]) -> NDArray[np.bool_]:
        return holds(mixture.log_densities(known.draw_outside(states, rng=rng)))

    open_shares = mixture.weights * outside
    rest = float(open_shares.sum())
    exact = float(mixture.weights @ (1 - outside))
    if rest:
        n_held = held(rng.choice(n_states, size=n_draws, p=open_shares / rest)).sum()
        mass = scaled_rate(int(n_held), n_draws, rest, offset=exact)
    else:
        mass = Measure(exact)
    n_held_each = held(np.repeat(np.arange(n_states), n_each)).reshape(n_states, n_each).sum(axis=1)
    state_masses = tuple(
        scaled_rate(int(n_held), n_each, float(share), offset=float(1 - share)) if share else Measure(1.0)
        for n_held, share in zip(n_held_each, outside, strict=True)
    )
    return mass, state_masses


def measured_volume(
    ellipsoids: Ellipsoids, log_deltas: NDArray[np.float64], holds: Holds | None, *, n_draws: int,
    rng: np.random.Generator,
) -> Measure | None:  # fmt: skip
    """Volume of a union of ellipsoids, or of what a region holds of it (Karp, Luby and Madras 1989).

    A point drawn uniformly from an ellipsoid, itself drawn in proportion to its volume, counts when no ellipsoid of a
    lower number holds it: the chance of that is the union's volume over the sum of all volumes.

    Args:
        log_deltas: of the ellipsoids, shape (n_states,), nats.
        holds: whether the region holds a point; None for the union itself.

    Returns: None where the volume exceeds what a float holds.
    """
    log_volumes = ellipsoids.log_volumes
    if not np.isfinite(log_volumes).any():
        return Measure(0.0)
    log_total = float(special.logsumexp(log_volumes))
    if log_total > MAX_LOG_FLOAT:
        return None
    shares = np.exp(log_volumes - log_total)
    if holds is None and np.isfinite(log_volumes).sum() == 1:
        return ellipsoids.exact_volume(int(shares.argmax()))
    states = rng.choice(len(shares), size=n_draws, p=shares / shares.sum())
    log_densities = ellipsoids.mixture.log_densities(ellipsoids.draw_inside(states, rng=rng))
    held_by = inside_regions(log_densities, log_deltas)
    held_by[np.arange(n_draws), states] = True  # rounding must not lose a point its own ellipsoid
    counts = held_by.argmax(axis=1) == states
    if holds is not None:
        counts &= holds(log_densities)
    return scaled_rate(int(counts.sum()), n_draws, math.exp(log_total))


def scaled_rate(n_success: int, n: int, scale: float, *, offset: float = 0.0) -> Measure:
    """offset + scale × rate, with the rate's Clopper–Pearson interval at 99 %."""
    rate = clopper_pearson_interval(n_success, n, confidence=CONFIDENCE)
    interval = Interval(offset + scale * rate.low, offset + scale * rate.high)
    return Measure(offset + scale * n_success / n, interval, n)


def checked_draws(n_draws: int, rng: np.random.Generator | None) -> np.random.Generator:
    """The generator, if there is one and at least one draw to make.

    Raises RefusedInputError otherwise.
    """
    if n_draws < 1:
        raise RefusedInputError(f"expected at least one draw, got {n_draws}")
    if rng is None:
        raise RefusedInputError(
            "expected a random generator: regions in 2 or more dimensions are measured by draws"
        )
    return rng


def _marginal_bound(mixture: GaussianMixture) -> float:
    """A value that log Σ p_i f_i never exceeds, nats."""
    return float(mixture.marginal_of(mixture.log_peaks[None])[0])
