"""δ-hallucination of a candidate under every latent state (Def. 4.2 of [LHZSL])."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hallulab.errors import RefusedInputError
from hallulab.theory.regions import inside_regions


def log_delta_of(delta: float, *, is_pmf: bool = False) -> float:
    """log δ in nats, once δ is fit for use.

    Args:
        delta: > 0 for densities, in (0, 1] for a pmf.
        is_pmf: whether the candidate is scored by probabilities rather than densities.

    Raises RefusedInputError for a δ that no density or pmf can be compared with.
    """
    upper = 1.0 if is_pmf else math.inf
    if not (0 < delta <= upper and math.isfinite(delta)):
        expected = "in (0, 1] for a pmf" if is_pmf else "above 0"
        raise RefusedInputError(f"expected δ {expected}, got {delta}")
    return math.log(delta)


def is_delta_hallucination(log_density: ArrayLike, log_delta: ArrayLike) -> NDArray[np.bool_]:
    """Whether f_i(A*) <= δ_i for every state i, that is, whether A* lies outside the HCDR (Def. 4.2).

    Args and errors: as `hallulab.theory.regions.inside_regions`.

    Returns: shape (n,).
    """
    return np.logical_not(np.any(inside_regions(log_density, log_delta), axis=1))
