"""Several tests at once: Holm's step-down correction (1979)."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hallulab.errors import RefusedInputError


def holm(p_values: ArrayLike, *, n_tests: int | None = None) -> NDArray[np.float64]:
    """Adjusted p-values: rejecting where they are below a level keeps the chance of any false rejection below it.

    Args:
        p_values: of tests that may depend on each other in any way, shape (n,).
        n_tests: how many were made, where only some are at hand; none then gets less than it would among all.

    Raises RefusedInputError for numbers outside [0, 1], and for fewer tests made than are at hand.
    """
    p = np.asarray(p_values, dtype=float)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise RefusedInputError(f"expected p-values from 0 to 1 of shape (n,), got {p_values}")
    n = len(p) if n_tests is None else n_tests
    if n < len(p):
        raise RefusedInputError(f"expected at least as many tests made as p-values, got {n} for {len(p)}")
    order = np.argsort(p)
    raised = np.maximum.accumulate(p[order] * np.arange(n, n - len(p), -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, raised)
    return adjusted
