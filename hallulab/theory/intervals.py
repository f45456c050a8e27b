"""Intervals for a rate: Wilson's score interval and the exact one of Clopper and Pearson."""

from dataclasses import dataclass

from scipy import stats

from hallulab.errors import RefusedInputError


@dataclass(frozen=True)
class Interval:
    """A confidence interval of a rate; both ends are fractions."""

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


def _binomial_interval(n_success: int, n: int, confidence: float, method: str) -> Interval:
    if n < 1 or not 0 <= n_success <= n:
        raise RefusedInputError(f"expected 0 <= n_success <= n and n >= 1, got n_success={n_success}, n={n}")
    if not 0 < confidence < 1:
        raise RefusedInputError(f"expected a confidence between 0 and 1, got {confidence}")
    found = stats.binomtest(int(n_success), int(n)).proportion_ci(confidence, method=method)
    return Interval(float(found.low), float(found.high))
