"""Sums of independent scaled variables on a lattice, with the rounding accounted for (docs/bounds.md, 5)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hallulab.errors import RefusedInputError
from hallulab.theory.intervals import Interval
from hallulab.theory.mean_laws import MeanLaw

TAIL_BUDGET = 1e-7
"""probability that some term lies beyond the lattice"""
ROUNDING = 1e-9
"""slack for floating point, taken from a lower end and added to an upper one; an absolute probability"""
EDGE_SLACK = 1e-12
"""relative widening of every distance, so that an atom on an edge counts against us"""


@dataclass(frozen=True)
class LatticeSum:
    """Σ_j c_j X_j with every term rounded to a multiple of the same step."""

    terms: tuple[tuple[MeanLaw, float, int], ...]
    """(law of X_j, |c_j| > 0, how often this term occurs)"""
    n_points: int
    step: float
    """between neighbours, units of the answer"""
    lost: float
    """at most this probability lies beyond the lattice, or was wrapped around into it"""

    @classmethod
    def of(cls, laws: tuple[MeanLaw, ...], scales: ArrayLike, n_points: int) -> "LatticeSum":
        """A lattice about as wide as the sum; what it loses is known.

        Args:
            laws: of each X_j, symmetric, shape (N,).
            scales: c_j, shape (N,); at least one is not 0.
            n_points: even; more is finer.

        Raises RefusedInputError for too few points to hold the rounding of all terms.
        """
        moving = [
            (law, abs(scale)) for law, scale in zip(laws, np.asarray(scales).tolist(), strict=True) if scale
        ]
        if n_points % 2 or n_points < 4 * len(moving) + 8:
            raise RefusedInputError(
                f"expected an even number of lattice points, at least {4 * len(moving) + 8} for {len(moving)} terms, "
                f"got {n_points}"
            )
        terms = tuple((*term, moving.count(term)) for term in dict.fromkeys(moving))
        furthest = sum(law.reach(TAIL_BUDGET / len(moving)) * scale for law, scale in moving)
        usable = n_points - 2 * len(moving) - 4  # rounding must not wrap around either
        return cls(terms, n_points, 2 * furthest / usable, TAIL_BUDGET)._narrowed(2 / usable)

    @property
    def rounding(self) -> float:
        """Furthest that rounding its terms can move the sum."""
        return sum(count for _, _, count in self.terms) * self.step / 2

    @property
    def values(self) -> NDArray[np.float64]:
        """The value of the sum at each index of `masses`, shape (n_points,)."""
        # every term starts at −n/2 steps, so the sum starts at as many times that, modulo n
        shift = sum(count for _, _, count in self.terms) * (self.n_points // 2)
        index = (np.arange(self.n_points) - shift) % self.n_points
        return self.step * np.where(index < self.n_points // 2, index, index - self.n_points)

    def masses(self, low: ArrayLike | None = None, high: ArrayLike | None = None) -> NDArray[np.float64]:
        """Probability of each value of the sum, every X_j kept outside [low, high] when these are given.

        Args:
            low, high: ends of the forbidden intervals, shape (n,).

        Returns: shape (n_points,), or (n, n_points) for n forbidden intervals; up to rounding of the FFT.
        """
        edges = (np.arange(self.n_points + 1) - self.n_points // 2 - 0.5) * self.step
        product: NDArray[np.complex128] | None = None
        for law, scale, count in self.terms:
            below = law.cdf(edges / scale)
            if low is not None and high is not None:
                below_low, below_high = (law.cdf(end)[:, None] for end in (np.asarray(low), np.asarray(high)))
                below = np.minimum(below, below_low) + np.maximum(below, below_high) - below_high
            spectrum = np.fft.rfft(np.diff(below))
            power = spectrum if count == 1 else spectrum**count
            product = power if product is None else product * power
        assert product is not None  # `of` refuses an empty sum
        return np.fft.irfft(product, self.n_points)

    def _narrowed(self, step_per_reach: float) -> "LatticeSum":
        """The same sum on a finer lattice: as wide as the sum nearly always is, not as its terms could make it."""
        distance = np.abs(self.values)
        order = np.argsort(distance)
        within = np.cumsum(self.masses()[order])
        last = min(int(np.searchsorted(within, 1 - TAIL_BUDGET - 2 * ROUNDING)), len(order) - 1)
        reach = float(distance[order[last]]) + self.rounding + EDGE_SLACK * self.step * self.n_points
        beyond = max(1 - float(within[last]) + ROUNDING, 0.0)
        cut = sum(count * law.tail_probability(reach / scale) for law, scale, count in self.terms)
        return LatticeSum(self.terms, self.n_points, reach * step_per_reach, beyond + cut)

    def near_zero(self, radius: float) -> Interval:
        """P(|Σ c_j X_j| <= radius), between two numbers."""
        distance, masses = np.abs(self.values), self.masses()
        slack = self.rounding + EDGE_SLACK * (self.step * self.n_points + radius)
        low = masses[distance <= radius - slack].sum() - ROUNDING - self.lost
        high = masses[distance <= radius + slack].sum() + ROUNDING + self.lost
        return Interval(*map(float, np.clip((low, high), 0, 1)))


def near_probabilities(
    laws: tuple[MeanLaw, ...], weights: ArrayLike, radius: float, *, n_points: int = 1 << 14
) -> tuple[Interval, ...]:
    """P(|A* − μ_i| <= r) of each state in one dimension, each between two numbers (docs/bounds.md, 1).

    Args:
        laws: of μ_i − μ_0, shape (N,).
        weights: p_i, above 0, summing to 1, shape (N,).
        radius: r, 0 or more.
        n_points: of the lattice.
    """
    p = np.asarray(weights, dtype=float)
    if len(laws) == 1:  # A* is the only mean
        return (Interval(1.0, 1.0),)
    found: dict[tuple[MeanLaw, float], Interval] = {}
    for index, state in enumerate(zip(laws, p.tolist(), strict=True)):
        if state not in found:  # A* − μ_i = Σ_j (p_j − [i = j]) X_j
            scales = p - np.eye(len(p))[index]
            found[state] = LatticeSum.of(laws, scales, n_points).near_zero(radius)
    return tuple(found[state] for state in zip(laws, p.tolist(), strict=True))
