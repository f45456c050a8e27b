"""How unlike the members of a set are: the mean distance of two of them (Rao's quadratic entropy, 1982)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from hallulab.errors import RefusedInputError
from hallulab.theory.intervals import Interval


@dataclass(frozen=True)
class Diversity:
    """Mean cosine distance of two different members of a set."""

    value: float
    """from 0, all in one direction, to at most 2"""
    interval: Interval | None
    """95 %, delete-one jackknife (Arvesen 1969); None for fewer than four members"""
    n: int
    """members"""


def cosine_diversity(vectors: ArrayLike) -> Diversity | None:
    """Mean of 1 − cos over all pairs of different members: the same in expectation however many there are.

    Args:
        vectors: (n, d), none of them 0.

    Returns: None for fewer than two members, which have no pair.
    Raises RefusedInputError for another shape or a vector of no length.
    """
    rows = np.asarray(vectors, dtype=np.float64)
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    if rows.ndim != 2 or not np.isfinite(rows).all() or (lengths == 0).any():
        raise RefusedInputError(
            f"expected finite vectors of shape (n, d), none of them 0, got shape {rows.shape}"
        )
    n = len(rows)
    if n < 2:
        return None
    unit = rows / lengths
    to_others = n - unit @ unit.sum(axis=0)  # summed distances of each member; its own is 0
    value = float(to_others.sum() / (n * (n - 1)))
    return Diversity(value, _jackknife(to_others, value) if n >= 4 else None, n)


def _jackknife(to_others: np.ndarray, value: float) -> Interval:
    """From the values without each member in turn."""
    n = len(to_others)
    without = (to_others.sum() - 2 * to_others) / ((n - 1) * (n - 2))
    standard_error = np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum())
    half_width = float(stats.t.ppf(0.975, n - 1) * standard_error)
    return Interval(max(0.0, value - half_width), value + half_width)
