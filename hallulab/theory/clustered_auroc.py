"""How well a score tells two groups apart, when the scores come in clusters such as questions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hallulab.errors import RefusedInputError
from hallulab.theory.intervals import Interval


@dataclass(frozen=True)
class ClusteredAuroc:
    """Area under the ROC curve of scores from many clusters, all pairs of scores compared."""

    value: float
    """P(a score of the upper group exceeds one of the lower group), ties counted half."""
    interval: Interval
    """Percentile interval over resampled clusters; where no pair is in the wrong order it has no width."""
    n_upper: int
    n_lower: int
    n_clusters: int


def clustered_auroc(
    upper: Sequence[ArrayLike],
    lower: Sequence[ArrayLike],
    *,
    rng: np.random.Generator,
    n_resamples: int = 2_000,
    confidence: float = 0.95,
) -> ClusteredAuroc | None:
    """AUROC with an interval that respects clusters: whole clusters are drawn again, not single scores.

    Args:
        upper: per cluster, shape (n_i,): scores that should be high.
        lower: per cluster, shape (m_i,): scores that should be low; the same clusters in the same order.
        rng: of the resampling.
        n_resamples: clusters are drawn with replacement this often.
        confidence: of the interval.

    Returns: None when one of the groups is empty.
    Raises RefusedInputError for unequal numbers of clusters, NaN, or a confidence outside (0, 1).
    """
    uppers, lowers = [_checked(part) for part in upper], [_checked(part) for part in lower]
    if len(uppers) != len(lowers):
        raise RefusedInputError(f"expected the same clusters, got {len(uppers)} and {len(lowers)}")
    if not 0 < confidence < 1:
        raise RefusedInputError(f"expected a confidence between 0 and 1, got {confidence}")
    n_upper, n_lower = np.array([len(part) for part in uppers]), np.array([len(part) for part in lowers])
    if not n_upper.sum() or not n_lower.sum():
        return None
    wins = _wins(uppers, lowers)
    drawn = rng.multinomial(len(uppers), np.full(len(uppers), 1 / len(uppers)), size=n_resamples)
    n_pairs = (drawn @ n_upper) * (drawn @ n_lower)
    resampled = (drawn @ wins * drawn).sum(axis=1)[n_pairs > 0] / n_pairs[n_pairs > 0]
    low, high = np.quantile(resampled, [(1 - confidence) / 2, (1 + confidence) / 2])
    value = wins.sum() / (n_upper.sum() * n_lower.sum())
    return ClusteredAuroc(
        float(value), Interval(float(low), float(high)), int(n_upper.sum()), int(n_lower.sum()), len(uppers)
    )


def grouped_auroc(
    upper: ArrayLike, lower: ArrayLike, *, rng: np.random.Generator, n_groups: int = 100
) -> ClusteredAuroc | None:
    """`clustered_auroc` of independent scores, in groups: drawing thousands of single scores again would take long.

    Args:
        upper, lower: shape (n,) and (m,), in an order that says nothing.
        rng: of the resampling.
        n_groups: every n_groups-th score is in one group.
    """
    high, low = np.asarray(upper, dtype=float), np.asarray(lower, dtype=float)
    groups = range(n_groups)
    return clustered_auroc(
        [high[place::n_groups] for place in groups], [low[place::n_groups] for place in groups], rng=rng
    )


def _wins(uppers: list[NDArray[np.float64]], lowers: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Pairs won by cluster i's upper scores against cluster j's lower scores, shape (n, n); ties are half."""
    starts = np.cumsum([0, *map(len, uppers)])
    every_upper = np.concatenate(uppers)
    columns = []
    for scores in map(np.sort, lowers):
        below = (
            np.searchsorted(scores, every_upper, "left") + np.searchsorted(scores, every_upper, "right")
        ) / 2
        sums = np.concatenate([[0.0], np.cumsum(below)])
        columns.append(sums[starts[1:]] - sums[starts[:-1]])
    return np.stack(columns, axis=1)


def _checked(scores: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(scores, dtype=float)
    if values.ndim != 1 or np.isnan(values).any():
        raise RefusedInputError(
            f"expected scores of shape (n,) without NaN, got shape {values.shape}: leave missing ones out"
        )
    return values
