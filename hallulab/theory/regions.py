"""Thresholds of highest (conditional) density regions by mass (Def. 6.2 and A.1 of [LHZSL]; Hyndman 1996)."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hallulab.errors import RefusedInputError


def inside_regions(log_density: ArrayLike, log_delta: ArrayLike) -> NDArray[np.bool_]:
    """Whether each candidate lies in U_i^δ = {a : f_i(a) > δ_i}, state by state (Def. 6.2 of [LHZSL]).

    The HCDR is the union of the U_i^δ: a candidate outside every one of them δ-hallucinates.

    Args:
        log_density: shape (n, n_states), nats; −inf where a state rules the candidate out.
        log_delta: one log δ, or one per state, nats.

    Returns: shape (n, n_states).
    Raises RefusedInputError without states, with NaN, or with a δ_i for another number of states.
    """
    densities = np.asarray(log_density, dtype=float)
    if densities.ndim != 2 or densities.shape[1] == 0:
        raise RefusedInputError(
            f"need at least one state, as log_density of shape (n, n_states), got {densities.shape}"
        )
    if np.isnan(densities).any():
        raise RefusedInputError(
            "expected log_density without NaN: leave a missing candidate out and count it"
        )
    thresholds = np.asarray(log_delta, dtype=float)
    if thresholds.ndim > 1 or (thresholds.ndim == 1 and len(thresholds) != densities.shape[1]):
        raise RefusedInputError(
            f"expected one log δ or {densities.shape[1]}, one per state, got shape {thresholds.shape}"
        )
    return densities > thresholds


def check_mass(mass: float) -> float:
    """`mass`, if it is a share strictly between 0 and 1.

    Raises RefusedInputError otherwise.
    """
    if not 0 < mass < 1:
        raise RefusedInputError(f"expected an HDR mass between 0 and 1, such as 0.9, got {mass}")
    return float(mass)


def percentile_threshold(log_density: ArrayLike, mass: float) -> float:
    """The paper's threshold: the (1 − mass)-quantile of held-out log-densities, linearly interpolated.

    Hyndman's density-quantile rule as [LHZSL] 7.3 applies it; it promises nothing for a finite sample.

    Args:
        log_density: held-out genuine log-densities of one state, shape (n,), nats.
        mass: share of genuine samples that belong inside.

    Raises RefusedInputError for an empty sample, NaN, or a mass outside (0, 1).
    """
    scores = _checked_sample(log_density)
    return float(np.quantile(scores, 1 - check_mass(mass)))


def conformal_threshold(log_density: ArrayLike, mass: float) -> float:
    """The split-conformal threshold: the k-th smallest held-out log-density, k = ⌊(1 − mass)(n + 1)⌋.

    A new genuine sample reaches it with probability at least `mass`, for every n. −inf when k = 0.

    Args and errors: as `percentile_threshold`.
    """
    scores = _checked_sample(log_density)
    # the product of decimals may fall a hair below the whole number it stands for: 0.1 * 10 in floats
    rank = math.floor((1 - check_mass(mass)) * (len(scores) + 1) + 1e-9)
    return float(np.partition(scores, rank - 1)[rank - 1]) if rank else -math.inf


def pmf_hdr_threshold(pmf: ArrayLike, mass: float) -> NDArray[np.float64]:
    """log δ of the smallest set {a : p(a) > δ} that holds at least `mass` of a pmf.

    Ties enter together, so the set can hold more. δ lies halfway, in logs, between the least likely value
    inside and the most likely one outside, so that rounding moves neither.

    Args:
        pmf: probabilities, shape (..., n_values), each pmf summing to 1.
        mass: share of the probability that belongs inside.

    Returns: shape (...), nats.
    Raises RefusedInputError for what is not a pmf or a mass outside (0, 1).
    """
    falling = -np.sort(-_checked_pmf(pmf), axis=-1)
    levels = np.round(falling, 12)
    below = np.concatenate([levels[..., 1:], np.zeros_like(levels[..., :1])], axis=-1)
    holds = (np.cumsum(falling, axis=-1) >= check_mass(mass) - 1e-12) & (levels > below)
    last_inside = holds.argmax(axis=-1)[..., None]
    inside = np.take_along_axis(levels, last_inside, axis=-1)[..., 0]
    outside = np.take_along_axis(below, last_inside, axis=-1)[..., 0]
    return (np.log(inside) + np.log(np.where(outside > 0, outside, inside / 4))) / 2


def _checked_pmf(pmf: ArrayLike) -> NDArray[np.float64]:
    probabilities = np.asarray(pmf, dtype=float)
    if probabilities.ndim == 0 or not (probabilities >= 0).all():
        raise RefusedInputError(f"expected probabilities of 0 or more, shape (..., n_values), got {pmf}")
    sums = np.atleast_1d(probabilities.sum(axis=-1))
    furthest = np.abs(sums - 1).argmax()
    if not math.isclose(sums.flat[furthest], 1, abs_tol=1e-6):
        raise RefusedInputError(f"expected probabilities that sum to 1, got a sum of {sums.flat[furthest]}")
    return probabilities


def _checked_sample(log_density: ArrayLike) -> NDArray[np.float64]:
    scores = np.asarray(log_density, dtype=float)
    if scores.ndim != 1 or not len(scores):
        raise RefusedInputError(f"expected held-out log-densities of shape (n,), n >= 1, got {scores.shape}")
    if np.isnan(scores).any():
        raise RefusedInputError("expected held-out log-densities without NaN: leave missing samples out")
    return scores
