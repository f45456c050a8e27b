"""Exact level sets of a one-dimensional Gaussian mixture: where Σ p_i f_i exceeds a threshold."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from hallulab.errors import RefusedInputError
from hallulab.theory.gaussians import LOG_TWO_PI, GaussianMixture
from hallulab.theory.regions import check_mass

NODES_PER_STATE = 121
REACH_IN_DEVIATIONS = 6.0
"""how far around each mean turning points are looked for: a tenth of a standard deviation between nodes"""
N_BISECTIONS = 64
LOG_DELTA_TOLERANCE = 1e-13
MASS_TOLERANCE = 1e-12


@dataclass(frozen=True, eq=False)
class MarginalCurve:
    """The density Σ p_i f_i of a one-dimensional mixture, cut where it turns.

    Raises RefusedInputError in more than one dimension.
    """

    mixture: GaussianMixture

    def __post_init__(self) -> None:
        if self.mixture.n_dimensions != 1:
            raise RefusedInputError(
                f"expected a mixture in 1 dimension, got {self.mixture.n_dimensions}: exact level sets need a line"
            )

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """p_i of the states that are ever drawn, shape (k,)."""
        return self.mixture.weights[self._drawn]

    @cached_property
    def means(self) -> NDArray[np.float64]:
        """Their μ_i, shape (k,)."""
        return self.mixture.means[self._drawn, 0]

    @cached_property
    def deviations(self) -> NDArray[np.float64]:
        """Their standard deviations, shape (k,)."""
        return np.sqrt(self.mixture.covariances[self._drawn, 0, 0])

    @cached_property
    def turning_points(self) -> NDArray[np.float64]:
        """The modes, and the valleys between them, in rising order; all lie between the lowest and highest mean.

        Two that are closer than a tenth of a standard deviation may be missed, with the hair of height between them.
        """
        offsets = np.linspace(-REACH_IN_DEVIATIONS, REACH_IN_DEVIATIONS, NODES_PER_STATE)
        nodes = (self.means[:, None] + self.deviations[:, None] * offsets).ravel()
        lowest, highest = self.means.min(), self.means.max()
        between = np.linspace(lowest, highest, NODES_PER_STATE)
        nodes = np.unique(np.clip(np.concatenate([nodes, between]), lowest, highest))
        rises = self._slope(nodes) > 0
        # left of every mean the density rises, and right of every mean it falls; at a far one rounding sees no slope
        rises[0], rises[-1] = True, False
        turns = np.flatnonzero(rises[1:] != rises[:-1])
        found = _bisected(self._slope, nodes[turns], nodes[turns + 1], falling=rises[turns])
        return found if len(found) else np.array([nodes[self._log_density(nodes).argmax()]])

    @cached_property
    def log_peak(self) -> float:
        """The largest log Σ p_i f_i, nats."""
        return float(self._log_density(self.turning_points).max())

    def intervals_above(self, log_delta: float) -> NDArray[np.float64]:
        """Where log Σ p_i f_i > log δ, as rising rows (low, high), shape (k, 2); none when δ is the peak or more."""
        if log_delta >= self.log_peak:
            return np.empty((0, 2))
        knots = np.concatenate([[self._end(log_delta, -1)], self.turning_points, [self._end(log_delta, 1)]])
        above = self._log_density(knots) > log_delta
        above[[0, -1]] = False  # at an end the density may be δ, and rounding a hair above
        crossed = np.flatnonzero(above[1:] != above[:-1])
        crossings = _bisected(
            lambda x: self._log_density(x) - log_delta,
            knots[crossed],
            knots[crossed + 1],
            falling=above[crossed],
        )
        return crossings.reshape(-1, 2)

    def log_delta_of(self, mass: float) -> float:
        """The threshold whose level set holds a share `mass` of the marginal, nats (Hyndman 1996).

        Raises RefusedInputError for a mass outside (0, 1), or so close to 1 that rounding decides.
        """
        if 1 - check_mass(mass) < MASS_TOLERANCE:
            raise RefusedInputError(f"expected an HDR mass of at most 1 - {MASS_TOLERANCE:g}, got {mass!r}")

        def excess(log_delta: float) -> float:
            return float(self.weights @ self.state_masses(self.intervals_above(log_delta))) - mass

        low = self.log_peak - 1
        while excess(low) < 0:
            low -= 2 * (self.log_peak - low)
        found = optimize.root_scalar(
            excess, bracket=(low, self.log_peak), method="brentq", xtol=LOG_DELTA_TOLERANCE
        )
        return float(found.root)

    def state_masses(self, intervals: NDArray[np.float64]) -> NDArray[np.float64]:
        """Share of every drawn state in disjoint intervals, shape (k,)."""
        return gaussian_masses(self.means, self.deviations, intervals)

    @property
    def _drawn(self) -> NDArray[np.bool_]:
        return self.mixture.weights > 0

    def _end(self, log_delta: float, side: int) -> float:
        """A point beyond which every f_i, and so their mean, is at most δ."""
        log_peaks = -LOG_TWO_PI / 2 - np.log(self.deviations)
        reach = self.deviations * np.sqrt(2 * np.maximum(log_peaks - log_delta, 0))
        return float(side * (side * self.means + reach).max())

    def _log_density(self, x: NDArray) -> NDArray[np.float64]:
        log_joint = self._log_joint(x)
        shift = log_joint.max(axis=1)
        return shift + np.log(np.exp(log_joint - shift[:, None]).sum(axis=1))

    def _slope(self, x: NDArray) -> NDArray[np.float64]:
        """A positive multiple of the density's derivative, far enough from underflow to have a sign everywhere."""
        log_joint = self._log_joint(x)
        shares = np.exp(log_joint - log_joint.max(axis=1, keepdims=True))
        return (shares * (self.means - x[:, None]) / self.deviations**2).sum(axis=1)

    def _log_joint(self, x: NDArray) -> NDArray[np.float64]:
        standard = (x[:, None] - self.means) / self.deviations
        return self._log_scales - standard**2 / 2

    @cached_property
    def _log_scales(self) -> NDArray[np.float64]:
        return np.log(self.weights / self.deviations) - LOG_TWO_PI / 2


def gaussian_masses(
    means: NDArray[np.float64], deviations: NDArray[np.float64], intervals: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Share of every Gaussian in disjoint intervals.

    Args:
        means, deviations: shape (k,).
        intervals: rows (low, high), shape (n, 2).

    Returns: shape (k,).
    """
    low, high = ((intervals[:, [side]] - means) / deviations for side in (0, 1))
    # on the right of the mean, differences of upper tails keep the digits that differences near 1 lose
    flipped = low > 0
    return np.where(
        flipped, special.ndtr(-low) - special.ndtr(-high), special.ndtr(high) - special.ndtr(low)
    ).sum(axis=0)


def _bisected(
    function, low: NDArray[np.float64], high: NDArray[np.float64], *, falling: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Where each function of a bracket changes sign: positive on its left side where `falling`."""
    for _ in range(N_BISECTIONS):
        middle = (low + high) / 2
        is_left = (function(middle) > 0) == falling
        low, high = np.where(is_left, middle, low), np.where(is_left, high, middle)
    return (low + high) / 2
