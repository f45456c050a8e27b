"""Rank correlation: whether two quantities rise together, whatever the shape of the rise."""

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from hallulab.errors import RefusedInputError


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
