"""A rate of images (or answers) that come in clusters, such as images painted from one seed.

Wilson's interval with the effective number of images: n over the design effect (Kish 1965), Student's quantile for the
number of clusters (Korn and Graubard 1998 do so for the exact interval; Franco et al. 2019 for Wilson's).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from hallulab.errors import RefusedInputError
from hallulab.theory.intervals import Interval


@dataclass(frozen=True)
class ClusteredRate:
    """A share with an interval that takes clusters, not single images, as independent."""

    value: float
    interval: Interval | None
    """None with fewer than two clusters, which do not show how they differ"""
    n_success: int
    n: int
    n_clusters: int
    design_effect: float | None
    """variance over that of as many independent images, at least 1; None where all or none are successes"""


def clustered_rate(
    n_success: ArrayLike, n_items: ArrayLike, *, confidence: float = 0.95
) -> ClusteredRate | None:
    """The share of successes over all clusters.

    Args:
        n_success: successes of each cluster, shape (n_clusters,).
        n_items: items of each cluster; clusters without an item are left out.
        confidence: of the interval, in (0, 1).

    Returns: None without an item. Where all or none are successes nothing shows how alike the items of a cluster are:
    each cluster then counts as one.
    Raises RefusedInputError for counts that do not fit together.
    """
    y, m = np.asarray(n_success, dtype=float), np.asarray(n_items, dtype=float)
    if y.ndim != 1 or y.shape != m.shape or (y < 0).any() or (y > m).any():
        raise RefusedInputError(
            f"expected successes and items of the same clusters, got shapes {y.shape} and {m.shape}, or more "
            "successes than items"
        )
    if not 0 < confidence < 1:
        raise RefusedInputError(f"expected a confidence between 0 and 1, got {confidence}")
    y, m = y[m > 0], m[m > 0]
    n, n_clusters = float(m.sum()), len(m)
    if not n:
        return None
    value = float(y.sum() / n)
    effect = _design_effect(y, m, value)
    interval = None
    if n_clusters >= 2:
        n_effective = n_clusters if effect is None else n / effect
        quantile = float(stats.t.ppf((1 + confidence) / 2, n_clusters - 1))
        interval = _wilson(value, n_effective, quantile)
    return ClusteredRate(value, interval, int(y.sum()), int(n), n_clusters, effect)


def _design_effect(y: np.ndarray, m: np.ndarray, value: float) -> float | None:
    """Variance of the share over value (1 − value) / n, at least 1: clusters that balance are not counted on."""
    n_clusters, n = len(m), m.sum()
    if value in (0.0, 1.0) or n_clusters < 2:
        return None
    variance = n_clusters / (n_clusters - 1) * ((y - value * m) ** 2).sum() / n**2
    return float(max(1.0, variance / (value * (1 - value) / n)))


def _wilson(value: float, n: float, quantile: float) -> Interval:
    """Wilson's score interval for a number of items that need not be whole."""
    square = quantile**2
    centre = (value + square / (2 * n)) / (1 + square / n)
    half = quantile / (1 + square / n) * np.sqrt(value * (1 - value) / n + square / (4 * n**2))
    return Interval(float(max(0.0, centre - half)), float(min(1.0, centre + half)))
