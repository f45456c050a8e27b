"""Total variation distance of flips to the law that made them, and what chance alone leaves of it."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binom

from hallulab.errors import RefusedInputError


def total_variation(first: ArrayLike, second: ArrayLike) -> float:
    """½ Σ |p − q|: the largest difference that two laws can make to the probability of any event.

    Args:
        first: pmf, shape (n,).
        second: pmf, shape (n,).
    """
    return float(np.abs(np.asarray(first, dtype=float) - np.asarray(second, dtype=float)).sum() / 2)


def expected_total_variation(pmf: ArrayLike, n: int) -> float:
    """Mean total variation distance between a pmf and the shares of n independent draws from it; exact.

    Each count is binomial, and its mean absolute deviation has De Moivre's closed form (Diaconis and Zabell,
    "Closed form summation for classical distributions", Statistical Science 6(3), 1991).

    Args:
        pmf: shape (n_outcomes,).
        n: draws.

    Raises RefusedInputError without a draw.
    """
    if n < 1:
        raise RefusedInputError(f"expected at least one draw, got {n}")
    p = np.asarray(pmf, dtype=float)
    # E|X − np| = 2 m (1 − p) P(X = m) with m the first whole number above np; np at most n, so a sure outcome gives 0
    m = np.floor(n * p) + 1
    deviation = 2 * m * (1 - p) * binom.pmf(m, n, p)
    return float(deviation.sum() / (2 * n))
