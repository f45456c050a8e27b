"""P_H itself, the truth that bounds are held against: enclosed by convolution in one dimension, measured by draws."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hallulab.errors import RefusedInputError
from hallulab.theory.intervals import Interval, clopper_pearson_interval
from hallulab.theory.lower_bounds import MeanSetting, two_state_probability
from hallulab.theory.mean_sums import EDGE_SLACK, ROUNDING, TAIL_BUDGET, LatticeSum

CHUNK_NUMBERS = 1 << 18
"""numbers drawn at once: few enough to stay in a core's cache"""
BLOCKS_AT_ONCE = 16
PAIR_REFINEMENT = 8
"""how much finer the lattice of μ_1 − μ_2 is: it takes one convolution instead of one for each block"""


@dataclass(frozen=True)
class MeasuredRate:
    """How often A* was far from every mean, in draws."""

    rate: float
    n_hits: int
    n_draws: int
    interval: Interval
    """Clopper and Pearson"""
    confidence: float


@dataclass(frozen=True)
class EnclosureSettings:
    """How finely one dimension is cut; finer is tighter and slower."""

    n_points: int = 1 << 13
    """of the lattice"""
    n_blocks: int = 512
    """of values of A*"""


def measure_rate(
    setting: MeanSetting, n_draws: int, *, rng: np.random.Generator, confidence: float = 0.99
) -> MeasuredRate:
    """Share of draws of (μ_1, …, μ_N) in which ‖A* − μ_i‖ > r for every i.

    Args:
        setting: laws, weights, r, dimensions.
        n_draws: independent draws, at least 1.
        rng: source of the draws.
        confidence: of the interval.

    Raises RefusedInputError without a draw.
    """
    if n_draws < 1:
        raise RefusedInputError(f"expected at least one draw, got {n_draws}")
    weights = np.asarray(setting.weights)
    chunk = max(1, CHUNK_NUMBERS // (setting.n_states * setting.n_dimensions))
    n_hits = 0
    for start in range(0, n_draws, chunk):
        means = _draw(setting, min(chunk, n_draws - start), rng)
        n_hits += int(np.count_nonzero(all_far(means, weights, setting.radius)))
    interval = clopper_pearson_interval(n_hits, n_draws, confidence=confidence)
    return MeasuredRate(n_hits / n_draws, n_hits, n_draws, interval, confidence)


def all_far(means: NDArray[np.floating], weights: NDArray[np.float64], radius: float) -> NDArray[np.bool_]:
    """Whether A* = Σ p_i μ_i is further than r from every mean, draw by draw.

    Args:
        means: shape (N, n_draws, n_dimensions), or (N, n_draws) in one dimension.
        weights: p_i, shape (N,).
        radius: r.

    Returns: shape (n_draws,).
    """
    if len(means) == 1:  # A* is the only mean, whatever rounding makes of it
        return np.zeros(means.shape[1], dtype=bool)
    difference = means - np.tensordot(weights, means, axes=1)
    if means.ndim == 2:
        return np.abs(difference).min(axis=0) > radius
    return np.einsum("ndk,ndk->nd", difference, difference).min(axis=0) > radius**2


def enclose_probability(setting: MeanSetting, settings: EnclosureSettings | None = None) -> Interval | None:
    """Two numbers with P_H between them, whatever the laws (docs/bounds.md, 2 and 5).

    Args:
        setting: laws, weights, r, dimensions.
        settings: how finely to cut; `EnclosureSettings()` when None.

    Returns: equal ends for one state and for two Gaussian ones, where P_H is exact; None for anything else in
    several dimensions.
    Raises RefusedInputError for too coarse a lattice.
    """
    if setting.n_states == 1:  # A* is the only mean
        return Interval(0.0, 0.0)
    exact = two_state_probability(setting)
    if exact is not None:
        return Interval(exact, exact)
    if setting.n_dimensions > 1:
        return None
    chosen = settings or EnclosureSettings()
    if setting.n_states == 2:
        near = LatticeSum.of(setting.laws, (1, -1), PAIR_REFINEMENT * chosen.n_points)
        interval = near.near_zero(setting.radius / min(setting.weights))
        return Interval(1 - interval.high, 1 - interval.low)
    return _enclose(setting, chosen)


def _enclose(setting: MeanSetting, settings: EnclosureSettings) -> Interval:
    estimator = LatticeSum.of(setting.laws, setting.weights, settings.n_points)
    blocks, mass_outside = _blocks(estimator, settings.n_blocks)
    low, high = -ROUNDING - estimator.lost, mass_outside + estimator.lost + ROUNDING
    values = estimator.values
    for some in _in_parts(blocks):
        ends = np.array([(values[block[0]], values[block[-1]]) for block in some])
        centres, half_widths = ends.mean(axis=1), np.ptp(ends, axis=1) / 2
        slack = half_widths + estimator.rounding
        slack += EDGE_SLACK * (np.abs(centres) + setting.radius + estimator.step * settings.n_points)
        low += _mass_of(estimator, some, centres, setting.radius + slack)
        high += _mass_of(estimator, some, centres, setting.radius - slack)
    return Interval(*map(float, np.clip((low, high), 0, 1)))


def _mass_of(
    estimator: LatticeSum,
    blocks: list[NDArray[np.int_]],
    centres: NDArray[np.float64],
    distances: NDArray[np.float64],
) -> float:
    """Probability that the rounded A* is in some block, and every mean further than `distances` from its centre."""
    # a negative distance forbids nothing: an empty interval at the centre
    kept = np.maximum(distances, 0)
    masses = estimator.masses(centres - kept, centres + kept)
    unrestricted = distances < 0
    if unrestricted.any():
        masses[unrestricted] = estimator.masses()
    return float(sum(row[block].sum() for row, block in zip(masses, blocks, strict=True)))


def _blocks(estimator: LatticeSum, n_blocks: int) -> tuple[list[NDArray[np.int_]], float]:
    """Indices of neighbouring values of the rounded A*, and the probability of the values that no block holds."""
    order = np.argsort(estimator.values)
    below = np.cumsum(np.clip(estimator.masses(), 0, None)[order])
    first, last = np.searchsorted(below, (TAIL_BUDGET, below[-1] - TAIL_BUDGET))
    kept = order[first : last + 1]
    outside = float(below[first - 1] if first else 0.0) + float(below[-1] - below[last])
    return np.array_split(kept, min(n_blocks, len(kept))), outside


def _in_parts(blocks: list[NDArray[np.int_]]) -> Iterator[list[NDArray[np.int_]]]:
    for start in range(0, len(blocks), BLOCKS_AT_ONCE):
        yield blocks[start : start + BLOCKS_AT_ONCE]


def _draw(setting: MeanSetting, n_draws: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Means minus μ_0, shape (N, n_draws) in one dimension, else (N, n_draws, n_dimensions)."""
    shape = (n_draws,) if setting.n_dimensions == 1 else (n_draws, setting.n_dimensions)
    if len(set(setting.laws)) == 1:
        return setting.laws[0].sample((setting.n_states, *shape), rng=rng)
    return np.stack([law.sample(shape, rng=rng) for law in setting.laws])
