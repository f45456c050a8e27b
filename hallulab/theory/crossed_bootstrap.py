"""Mean of measurements that cross two samples, such as questions and trainings, with both drawn again.

The pigeonhole bootstrap of Owen (*Annals of Applied Statistics* 1, 2007): rows and columns are resampled independently
and a cell counts as often as its row and its column together. Of each sample one fewer is drawn than there are (Rao and
Wu, *JASA* 83, 1988), or a few columns would look more alike than they are.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hallulab.errors import RefusedInputError
from hallulab.theory.intervals import Interval

N_RESAMPLES = 10_000


@dataclass(frozen=True)
class CrossedMean:
    """A mean over cells, about other rows and other columns of their kind."""

    mean: float
    interval: Interval
    """percentile interval at the confidence asked for"""
    one_sided: Interval
    """the interval of two one-sided tests at the same level: 90 % for 95 %"""
    p_value: float
    """two-sided, of a mean of 0: twice the smaller share of resampled means beyond it, at most 1"""
    n_rows: int
    n_columns: int
    """with fewer than two only the rows are drawn again: nothing is known about other columns"""

    @property
    def bound(self) -> float:
        """The smallest bound b for which two one-sided tests together say that the mean is between −b and b."""
        return max(abs(self.one_sided.low), abs(self.one_sided.high))


def crossed_mean(
    cells: ArrayLike,
    *,
    rng: np.random.Generator,
    confidence: float = 0.95,
    n_resamples: int = N_RESAMPLES,
) -> CrossedMean | None:
    """Mean over cells with intervals from both samples drawn again.

    Args:
        cells: measurement of every row in every column, shape (n_rows, n_columns); NaN where it is missing.
        rng: source of the resamples.
        confidence: of the interval, in (0, 1).
        n_resamples: times both samples are drawn.

    Returns: None without a cell, or with fewer than two rows.
    Raises RefusedInputError for another shape, infinite values or settings out of range.
    """
    table = np.asarray(cells, dtype=float)
    if table.ndim != 2 or np.isinf(table).any():
        raise RefusedInputError(
            f"expected finite cells of shape (n_rows, n_columns), got shape {table.shape}"
        )
    if not 0 < confidence < 1 or n_resamples < 1:
        raise RefusedInputError(
            f"expected a confidence between 0 and 1 and at least one resample, got {confidence} and {n_resamples}"
        )
    is_there = np.isfinite(table)
    table, is_there = table[is_there.any(axis=1)], is_there[is_there.any(axis=1)]
    table, is_there = table[:, is_there.any(axis=0)], is_there[:, is_there.any(axis=0)]
    n_rows, n_columns = table.shape
    if n_rows < 2:
        return None
    filled = np.where(is_there, table, 0.0)
    rows, columns = _draws(n_rows, n_resamples, rng), _draws(n_columns, n_resamples, rng)
    counts = ((rows @ is_there) * columns).sum(axis=1)
    sums = ((rows @ filled) * columns).sum(axis=1)
    means = sums[counts > 0] / counts[counts > 0]
    tail = (1 - confidence) / 2
    beyond = 1 + min(int((means <= 0).sum()), int((means >= 0).sum()))
    return CrossedMean(
        mean=float(filled.sum() / is_there.sum()),
        interval=_between(means, tail),
        one_sided=_between(means, 2 * tail),
        p_value=min(1.0, 2 * beyond / (1 + len(means))),
        n_rows=n_rows,
        n_columns=n_columns,
    )


def _draws(n: int, n_resamples: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """How often each of n is drawn, shape (n_resamples, n); a single one is always there."""
    if n < 2:
        return np.ones((n_resamples, n))
    return rng.multinomial(n - 1, np.full(n, 1 / n), size=n_resamples).astype(float)


def _between(means: NDArray[np.float64], tail: float) -> Interval:
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(float(low), float(high))
