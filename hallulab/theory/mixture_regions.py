"""HDR and HCDR of Gaussian mixtures: thresholds, masses and volumes (Def. 6.2 and A.1 of [LHZSL]; Hyndman 1996).

The HDR is {Σ p_i f_i > δ}, one threshold on the marginal; the HCDR is ∪_i {f_i > δ_i}, one threshold per state. With
one absolute δ for all, the HDR lies inside the HCDR, because a mean never exceeds the largest of what it averages. With
one *mass* for all, either can hold points that the other leaves out.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from hallulab.errors import RefusedInputError
from hallulab.theory.delta import log_delta_of
from hallulab.theory.gaussians import GaussianMixture
from hallulab.theory.level_sets import MarginalCurve, gaussian_masses
from hallulab.theory.region_draws import (
    Ellipsoids,
    Measure,
    checked_draws,
    ellipsoids_of,
    measured_log_delta,
    measured_masses,
    measured_volume,
)
from hallulab.theory.regions import check_mass, inside_regions
from hallulab.theory.worst_points import worst_log_densities

N_DRAWS = 20_000
"""per measured number, in 2 or more dimensions: a drag in the explorer waits for all of them"""


@dataclass(frozen=True, eq=False)
class Region:
    """A region of targets and its size: exact in one dimension, elsewhere measured where no formula is known."""

    log_deltas: NDArray[np.float64]
    """log δ of the HDR, shape (1,), or log δ_i of the HCDR, shape (n_states,), nats"""
    mass: Measure
    """share of the marginal inside"""
    state_masses: tuple[Measure, ...]
    """share of each latent state inside"""
    volume: Measure | None
    """length, area or volume, in the target's unit; None where it exceeds what a float holds"""
    intervals: NDArray[np.float64] | None
    """rising disjoint rows (low, high), shape (k, 2), in one dimension; None elsewhere"""


@dataclass(frozen=True, eq=False)
class MixtureRegions:
    """The HDR and the HCDR of one mixture, by one mass or one absolute δ."""

    mixture: GaussianMixture
    hdr: Region
    hcdr: Region
    hdr_log_delta: Measure
    """the HDR's log δ, nats, with the interval of its true value where it had to be measured"""

    def in_hdr(self, points: ArrayLike) -> NDArray[np.bool_]:
        """Whether the HDR holds each point: (n, n_dimensions) → (n,). Errors: as `GaussianMixture.log_densities`."""
        return np.greater(self.mixture.log_marginal(points), self.hdr.log_deltas[0])

    def in_states(self, points: ArrayLike) -> NDArray[np.bool_]:
        """Whether U_i holds each point: (n, n_dimensions) → (n, n_states). Errors: as `in_hdr`."""
        return inside_regions(self.mixture.log_densities(points), self.hcdr.log_deltas)

    def in_hcdr(self, points: ArrayLike) -> NDArray[np.bool_]:
        """Whether any U_i holds each point: (n, n_dimensions) → (n,). A point outside δ-hallucinates."""
        return np.logical_or.reduce(self.in_states(points), axis=1)

    def ball_margin_nats(self, centre: ArrayLike, radius: float) -> float:
        """max_i (log f_i − log δ_i) over a ball, nats: at 0 or below, every point of the ball δ-hallucinates.

        Args and errors: as `hallulab.theory.worst_points.worst_points`.
        """
        return float((worst_log_densities(self.mixture, centre, radius) - self.hcdr.log_deltas).max())


def mixture_regions(
    mixture: GaussianMixture,
    *,
    mass: float | None = None,
    delta: float | None = None,
    n_draws: int = N_DRAWS,
    rng: np.random.Generator | None = None,
) -> MixtureRegions:
    """HDR and HCDR of a mixture, either by mass or by an absolute δ.

    Args:
        mass: of the HDR under the marginal, and of every U_i under its own state.
        delta: one threshold for the marginal and for every state.
        n_draws: per number that has to be measured.
        rng: needed in 2 or more dimensions; the same seed makes a moving mixture's numbers move smoothly.

    Raises RefusedInputError unless exactly one of mass, in (0, 1), and delta, above 0, is given; without a generator
    where one is needed; without a draw.
    """
    if mass is not None and delta is None:
        threshold = hdr_log_delta(mixture, mass, n_draws=n_draws, rng=rng)
        log_deltas = hcdr_log_delta(mixture, mass)
    elif delta is not None and mass is None:
        threshold = Measure(log_delta_of(delta))
        log_deltas = np.full(mixture.n_states, threshold.value)
    else:
        raise RefusedInputError(f"expected either a mass or a δ, got mass={mass} and δ={delta}")
    hdr = hdr_region(mixture, threshold.value, n_draws=n_draws, rng=rng)
    hcdr = hcdr_region(mixture, log_deltas, n_draws=n_draws, rng=rng)
    return MixtureRegions(mixture, hdr, hcdr, threshold)


def hcdr_log_delta(mixture: GaussianMixture, mass: float) -> NDArray[np.float64]:
    """log δ_i at which U_i holds a share `mass` of its own state, exact: U_i is an ellipsoid, its mass a χ² share.

    Returns: shape (n_states,), nats.
    Raises RefusedInputError for a mass outside (0, 1).
    """
    # the inverse of χ²'s distribution function with n_dimensions degrees of freedom
    squared_radius = 2 * special.gammaincinv(mixture.n_dimensions / 2, check_mass(mass))
    return mixture.log_peaks - squared_radius / 2


def hdr_log_delta(
    mixture: GaussianMixture,
    mass: float,
    *,
    n_draws: int = N_DRAWS,
    rng: np.random.Generator | None = None,
) -> Measure:
    """log δ at which {Σ p_i f_i > δ} holds a share `mass` of the marginal, nats.

    Exact in one dimension, and where a single state is ever drawn; elsewhere the density quantile of `n_draws` draws.

    Raises RefusedInputError for a mass outside (0, 1), and as `mixture_regions` does for draws and generator.
    """
    drawn = np.flatnonzero(mixture.weights)
    if len(drawn) == 1:
        return Measure(float(hcdr_log_delta(mixture, mass)[drawn[0]]))
    if mixture.n_dimensions == 1:
        return Measure(MarginalCurve(mixture).log_delta_of(mass))
    return measured_log_delta(mixture, check_mass(mass), n_draws=n_draws, rng=checked_draws(n_draws, rng))


def hdr_region(
    mixture: GaussianMixture,
    log_delta: float,
    *,
    n_draws: int = N_DRAWS,
    rng: np.random.Generator | None = None,
) -> Region:
    """{Σ p_i f_i > δ}, one threshold on the marginal (Hyndman 1996).

    Args:
        log_delta: nats.

    Raises RefusedInputError as `mixture_regions` does for draws and generator, and for a log δ that is not finite.
    """
    threshold = _checked_log_deltas(mixture, log_delta)
    if mixture.n_dimensions == 1:
        return _region_on_a_line(mixture, threshold[:1], MarginalCurve(mixture).intervals_above(threshold[0]))
    if mixture.n_states == 1:
        return hcdr_region(mixture, log_delta, n_draws=n_draws, rng=rng)
    generator = checked_draws(n_draws, rng)

    def holds(log_densities: NDArray[np.float64]) -> NDArray[np.bool_]:
        return np.greater(mixture.marginal_of(log_densities), threshold[0])

    # where the mean of the f_i exceeds δ, so does one of them: the HDR lies inside these ellipsoids
    around = ellipsoids_of(mixture, threshold)
    if not around.squared_radii.any():
        return _empty_region(mixture, threshold[:1])
    nothing = Ellipsoids(mixture, np.zeros(mixture.n_states))
    mass, state_masses = measured_masses(nothing, holds, n_draws=n_draws, rng=generator)
    volume = measured_volume(around, threshold, holds, n_draws=n_draws, rng=generator)
    return Region(threshold[:1], mass, state_masses, volume, None)


def hcdr_region(
    mixture: GaussianMixture,
    log_delta: ArrayLike,
    *,
    n_draws: int = N_DRAWS,
    rng: np.random.Generator | None = None,
) -> Region:
    """∪_i {f_i > δ_i} (Def. 6.2 and A.1 of [LHZSL]): the union of one ellipsoid per state.

    Args:
        log_delta: one log δ, or one per state, nats.

    Raises RefusedInputError as `hdr_region`.
    """
    log_deltas = _checked_log_deltas(mixture, log_delta)
    ellipsoids = ellipsoids_of(mixture, log_deltas)
    if mixture.n_dimensions == 1:
        reach = np.sqrt(ellipsoids.squared_radii * mixture.covariances[:, 0, 0])
        ends = np.column_stack([mixture.means[:, 0] - reach, mixture.means[:, 0] + reach])
        return _region_on_a_line(mixture, log_deltas, _merged(ends[reach > 0]))
    if mixture.n_states == 1:
        mass = Measure(float(1 - ellipsoids.outside_shares[0]))
        return Region(log_deltas, mass, (mass,), ellipsoids.exact_volume(0), None)
    generator = checked_draws(n_draws, rng)
    if not ellipsoids.squared_radii.any():
        return _empty_region(mixture, log_deltas)

    def holds(log_densities: NDArray[np.float64]) -> NDArray[np.bool_]:
        return np.logical_or.reduce(inside_regions(log_densities, log_deltas), axis=1)

    mass, state_masses = measured_masses(ellipsoids, holds, n_draws=n_draws, rng=generator)
    volume = measured_volume(ellipsoids, log_deltas, None, n_draws=n_draws, rng=generator)
    return Region(log_deltas, mass, state_masses, volume, None)


def _region_on_a_line(
    mixture: GaussianMixture, log_deltas: NDArray[np.float64], intervals: NDArray[np.float64]
) -> Region:
    deviations = np.sqrt(mixture.covariances[:, 0, 0])
    masses = gaussian_masses(mixture.means[:, 0], deviations, intervals)
    length = float((intervals[:, 1] - intervals[:, 0]).sum())
    return Region(
        log_deltas,
        Measure(float(mixture.weights @ masses)),
        tuple(Measure(float(mass)) for mass in masses),
        Measure(length),
        intervals,
    )


def _empty_region(mixture: GaussianMixture, log_deltas: NDArray[np.float64]) -> Region:
    nothing = Measure(0.0)
    return Region(log_deltas, nothing, (nothing,) * mixture.n_states, nothing, None)


def _merged(intervals: NDArray[np.float64]) -> NDArray[np.float64]:
    """The union of intervals as rising disjoint rows."""
    merged: list[list[float]] = []
    for low, high in intervals[np.argsort(intervals[:, 0])].tolist():
        if merged and low <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], high)
        else:
            merged.append([low, high])
    return np.array(merged).reshape(-1, 2)


def _checked_log_deltas(mixture: GaussianMixture, log_delta: ArrayLike) -> NDArray[np.float64]:
    log_deltas = np.asarray(log_delta, dtype=float)
    if log_deltas.shape not in ((), (mixture.n_states,)):
        raise RefusedInputError(
            f"expected one log δ or {mixture.n_states}, one per state, got shape {log_deltas.shape}"
        )
    if not np.isfinite(log_deltas).all():
        raise RefusedInputError(f"expected a finite log δ in nats, got {log_delta}")
    return np.broadcast_to(log_deltas, mixture.n_states).copy()
