"""What minimises an expected loss when a count of heads follows a known pmf: the best any network can learn."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

MODAL_BANDWIDTH = 0.5
"""h of the modal loss, in heads. Half the distance of two counts is the narrowest kernel under which two equally
likely neighbours share one minimum; a wider one moves the minimum towards the mean"""
MODAL_PULL = 1e-3
"""weight of the half squared error in the modal loss: without it a prediction far from every count feels nothing"""
TIE_TOLERANCE = 1e-12
GRID_STEPS_PER_HEAD = 20
N_BISECTIONS = 28
"""of a bracket of a tenth of a head: down to a billionth"""
N_DECIMALS = 8


def median_count(pmf: ArrayLike) -> NDArray[np.float64]:
    """The least minimiser of E|a − heads|; where P(heads <= k) is exactly ½, all of [k, k + 1] minimises it.

    Args:
        pmf: shape (n, N + 1).

    Returns: whole numbers, shape (n,).
    """
    return _first(np.cumsum(pmf, axis=1) >= 0.5 - TIE_TOLERANCE)


def likeliest_count(pmf: ArrayLike) -> NDArray[np.float64]:
    """The mode, of equally likely counts the least: no answer is right more often.

    Args and returns: as `median_count`.
    """
    rows = np.asarray(pmf, dtype=float)
    return _first(rows >= rows.max(axis=1, keepdims=True) - TIE_TOLERANCE)


def modal_prediction(pmf: ArrayLike) -> NDArray[np.float64]:
    """The least minimiser of the expected modal loss, to eight decimals.

    The loss is 1 − exp(−(a − heads)²/2h²), the modal regression of Feng, Fan and Suykens (JMLR 21(2), 2020), with
    the weak pull of `MODAL_PULL`. A whole or half number comes out as one.

    Args:
        pmf: shape (n, N + 1).

    Returns: shape (n,), mostly between two counts.
    """
    rows = np.asarray(pmf, dtype=float)
    heads = np.arange(rows.shape[1])
    grid = np.linspace(0, heads[-1], GRID_STEPS_PER_HEAD * heads[-1] + 1)
    risk = np.pad(rows @ _modal_loss(grid - heads[:, None]), ((0, 0), (1, 1)), constant_values=np.inf)
    # a pmf may leave several valleys: find the bottom of each, then the deepest
    row, column = np.nonzero((risk[:, 1:-1] <= risk[:, :-2]) & (risk[:, 1:-1] <= risk[:, 2:]))
    bottoms = _bottoms(rows[row], grid[column])
    depths = modal_risk(rows[row], bottoms)
    order = np.lexsort((bottoms, np.round(depths, 12), row))
    return bottoms[order[np.unique(row[order], return_index=True)[1]]]


def modal_risk(pmf: ArrayLike, predictions: ArrayLike) -> NDArray[np.float64]:
    """The expected modal loss of one prediction per pmf.

    Args:
        pmf: shape (n, N + 1).
        predictions: shape (n,).

    Returns: shape (n,).
    """
    rows = np.asarray(pmf, dtype=float)
    distances = np.asarray(predictions, dtype=float)[:, None] - np.arange(rows.shape[1])
    return (rows * _modal_loss(distances)).sum(axis=1)


def _bottoms(pmf: NDArray[np.float64], near: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where the expected modal loss stops falling within one grid step of `near`, shape (n,)."""
    low, high = near - 1 / GRID_STEPS_PER_HEAD, near + 1 / GRID_STEPS_PER_HEAD
    for _ in range(N_BISECTIONS):
        middle = (low + high) / 2
        falls = (pmf * _modal_slope(middle[:, None] - np.arange(pmf.shape[1]))).sum(axis=1) < 0
        low, high = np.where(falls, middle, low), np.where(falls, high, middle)
    return np.round((low + high) / 2, N_DECIMALS) + 0.0  # + 0.0 turns −0.0 into 0.0


def _modal_loss(difference: NDArray[np.float64]) -> NDArray[np.float64]:
    squares = difference**2
    return 1 - np.exp(-squares / (2 * MODAL_BANDWIDTH**2)) + MODAL_PULL * squares / 2


def _modal_slope(difference: NDArray[np.float64]) -> NDArray[np.float64]:
    kernel = np.exp(-(difference**2) / (2 * MODAL_BANDWIDTH**2))
    return difference * (kernel / MODAL_BANDWIDTH**2 + MODAL_PULL)


def _first(is_it: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Column of the first True in each row, as a number of heads."""
    return is_it.argmax(axis=1).astype(float)
