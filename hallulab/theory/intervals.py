"""Intervals for a rate (Wilson; Clopper and Pearson) and for a mean (Student)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from hallulab.errors import RefusedInputError


@dataclass(frozen=True)
class Interval:
    """A confidence interval, in the unit of what it is about: fractions for a rate."""

    low: float
    high: float


def wilson_interval(n_success: int, n: int, *, confidence: float = 0.95) -> Interval:
    """Wilson score interval of a rate: close to nominal coverage on average, never outside [0, 1].

    Raises RefusedInputError unless 0 <= n_success <= n, n >= 1 and confidence is in (0, 1).
    """
    return _binomial_interval(n_success, n, confidence, "wilson")


def clopper_pearson_interval(n_success: int, n: int, *, confidence: float = 0.95) -> Interval:
    """Exact interval of a rate: covers at least `confidence` for every true rate, so it is wider.

    Raises RefusedInputError unless 0 <= n_success <= n, n >= 1 and confidence is in (0, 1).
    """
    return _binomial_interval(n_success, n, confidence, "exact")


def mean_interval(values: ArrayLike, *, confidence: float = 0.95) -> Interval | None:
    """Student's t interval of a mean; for a paired comparison, give it the differences.

    Args:
        values: independent measurements, shape (n,).
        confidence: share of such intervals that hold the true mean when the values are normal.

    Returns: None for fewer than two values, which say nothing about their spread.
    Raises RefusedInputError for values that are not finite or a confidence outside (0, 1).
    """
    sample = np.asarray(values, dtype=float)
    if sample.ndim != 1 or not np.isfinite(sample).all():
        raise RefusedInputError(f"expected finite values of shape (n,), got {values}: leave missing ones out")
    check_confidence(confidence)
    if len(sample) < 2:
        return None
    standard_error = sample.std(ddof=1) / np.sqrt(len(sample))
    half_width = stats.t.ppf((1 + confidence) / 2, len(sample) - 1) * standard_error
    return Interval(float(sample.mean() - half_width), float(sample.mean() + half_width))


def _binomial_interval(n_success: int, n: int, confidence: float, method: str) -> Interval:
    if n < 1 or not 0 <= n_success <= n:
        raise RefusedInputError(f"expected 0 <= n_success <= n and n >= 1, got n_success={n_success}, n={n}")
    check_confidence(confidence)
    found = stats.binomtest(int(n_success), int(n)).proportion_ci(confidence, method=method)
    return Interval(float(found.low), float(found.high))


def check_confidence(confidence: float) -> None:
    """Refuse a confidence that is not between 0 and 1."""
    if not 0 < confidence < 1:
        raise RefusedInputError(f"expected a confidence between 0 and 1, got {confidence}")
