"""Rank correlation: whether two quantities rise together, whatever the shape of the rise."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from hallulab.errors import RefusedInputError
from hallulab.theory.intervals import Interval, mean_interval

MIN_CORRELATIONS = 3
"""fewer say too little of how far correlations spread"""


@dataclass(frozen=True)
class MeanCorrelation:
    """Correlations of several samples, averaged on Fisher's scale."""

    mean: float
    """back on the scale from −1 to 1"""
    interval: Interval | None
    """of the given confidence, never outside −1 to 1; None for fewer than three correlations or equal ones"""
    n: int
    """correlations"""


def spearman(x: ArrayLike, y: ArrayLike) -> float | None:
    """Spearman's rank correlation; equal values share their mean rank.

    Args:
        x, y: paired measurements, shape (n,) each.

    Returns: from −1 to 1; None where it is undefined: fewer than two pairs, or one side constant.
    Raises RefusedInputError for unequal lengths or NaN.
    """
    first, second = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if first.ndim != 1 or first.shape != second.shape:
        raise RefusedInputError(f"expected pairs, got shapes {first.shape} and {second.shape}")
    if np.isnan(first).any() or np.isnan(second).any():
        raise RefusedInputError("expected pairs without NaN: leave a missing pair out and count it")
    if len(first) < 2 or (first == first[0]).all() or (second == second[0]).all():
        return None
    ranks = stats.rankdata(first), stats.rankdata(second)
    # rounding can leave a perfect correlation a hair outside
    return float(np.clip(np.corrcoef(*ranks)[0, 1], -1, 1))


def mean_correlation(
    correlations: ArrayLike, *, n_pairs: Sequence[int], confidence: float = 0.95
) -> MeanCorrelation | None:
    """The mean of correlations by Fisher's z = artanh r, with Student's interval of the mean z.

    A rank correlation of ±1 has no finite z: it counts as half of its smallest step nearer to 0.

    Args:
        correlations: of independent samples, shape (n,), from −1 to 1.
        n_pairs: how many pairs each is of, at least two.
        confidence: of the interval.

    Returns: None without a correlation.
    Raises RefusedInputError for numbers outside −1 to 1, or another number of `n_pairs`.
    """
    r, pairs = np.asarray(correlations, dtype=float), np.asarray(n_pairs, dtype=float)
    if r.ndim != 1 or not (np.abs(r) <= 1).all() or pairs.shape != r.shape or (pairs < 2).any():
        raise RefusedInputError(
            f"expected correlations from −1 to 1, each of two pairs or more, got {correlations} of {n_pairs}"
        )
    if not len(r):
        return None
    largest = 1 - 6 / (pairs * (pairs**2 - 1))
    z = np.arctanh(np.clip(r, -largest, largest))
    is_spread = len(z) >= MIN_CORRELATIONS and np.ptp(z) > 0
    found = mean_interval(z, confidence=confidence) if is_spread else None
    interval = Interval(float(np.tanh(found.low)), float(np.tanh(found.high))) if found else None
    return MeanCorrelation(float(np.tanh(z.mean())), interval, len(r))
