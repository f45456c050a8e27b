"""Bootstrap over clusters: whole clusters are drawn again, as counts, for statistics that are ratios of sums."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hallulab.errors import RefusedInputError
from hallulab.theory.intervals import Interval

N_RESAMPLES = 4_000
MOST_UNDEFINED = 0.05
"""share of resamples in which a statistic may be undefined before it has no interval"""


@dataclass(frozen=True)
class Estimate:
    """A statistic of clustered data."""

    value: float
    interval: Interval | None
    """95 % percentile interval over clusters drawn again; None where too many resamples leave it undefined"""
    n_clusters: int


def cluster_draws(
    n_clusters: int, *, rng: np.random.Generator, n_resamples: int = N_RESAMPLES
) -> NDArray[np.float64]:
    """(1 + n_resamples, n_clusters) how often each cluster is drawn; the first row is the sample itself.

    Statistics of one sample that are to be compared share one array of draws.
    """
    if n_clusters < 1:
        raise RefusedInputError(f"expected at least one cluster, got {n_clusters}")
    drawn = rng.multinomial(n_clusters, np.full(n_clusters, 1 / n_clusters), size=n_resamples).astype(float)
    return np.concatenate([np.ones((1, n_clusters)), drawn])


def ratios(draws: NDArray[np.float64], sums: ArrayLike, counts: ArrayLike) -> NDArray[np.float64]:
    """Per draw, Σ sums / Σ counts of (n_clusters,) arrays; NaN where nothing is counted. Shape (len(draws),)."""
    return _divided(draws @ np.asarray(sums, dtype=float), draws @ np.asarray(counts, dtype=float))


def pair_means(draws: NDArray[np.float64], sums: ArrayLike, counts: ArrayLike) -> NDArray[np.float64]:
    """Per draw, the mean over pairs of members, from (n_clusters, n_clusters) sums and counts of pairs.

    Off the diagonal each pair of clusters, both ways; on it the pairs within a cluster. Two copies of one cluster give
    no new pairs: a member and its copy would be alike.

    Returns: shape (len(draws),); NaN where there is no pair.
    """
    found = []
    for matrix in (np.asarray(sums, dtype=float), np.asarray(counts, dtype=float)):
        within = np.diag(matrix)
        between = matrix - np.diag(within)
        found.append(((draws @ between) * draws).sum(axis=1) + draws @ within)
    return _divided(*found)


def estimate(values: NDArray[np.float64], n_clusters: int, *, confidence: float = 0.95) -> Estimate | None:
    """The statistic and its interval, from its value in every row of `cluster_draws`; None where it is undefined."""
    if np.isnan(values[0]):
        return None
    resampled = values[1:][~np.isnan(values[1:])]
    interval = None
    if n_clusters >= 2 and len(resampled) >= (1 - MOST_UNDEFINED) * len(values[1:]):
        low, high = np.quantile(resampled, [(1 - confidence) / 2, (1 + confidence) / 2])
        interval = Interval(float(low), float(high))
    return Estimate(float(values[0]), interval, n_clusters)


def _divided(sums: NDArray[np.float64], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
