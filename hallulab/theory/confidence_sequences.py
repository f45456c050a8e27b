"""Intervals for a rate that hold at every look, so that sampling may stop as soon as something is decided.

A 95 % interval of fixed size misses more often than 5 % when one looks after every sample and stops at a convenient
one. These do not: the chance that any of them, at any number of samples, misses the rate is at most 1 − confidence.
Method of mixtures with a uniform prior (Robbins, Ann. Math. Stat. 41, 1970; Howard et al., Ann. Statist. 49, 2021).
"""

import math

from scipy.optimize import root_scalar
from scipy.special import betaln, xlog1py, xlogy

from hallulab.errors import RefusedInputError
from hallulab.theory.intervals import Interval


def anytime_interval(n_success: int, n: int, *, confidence: float = 0.95) -> Interval:
    """The rates that the samples so far do not speak against, at any look.

    Args:
        n_success: how many samples were successes.
        n: how many samples there are so far; 0 says nothing, the interval is then [0, 1].
        confidence: chance that the true rate is inside at every n together, at least.

    Raises RefusedInputError unless 0 <= n_success <= n and confidence is in (0, 1).
    """
    if not 0 <= n_success <= n:
        raise RefusedInputError(f"expected 0 <= n_success <= n, got n_success={n_success}, n={n}")
    if not 0 < confidence < 1:
        raise RefusedInputError(f"expected a confidence between 0 and 1, got {confidence}")
    limit = -math.log(1 - confidence)

    def excess(rate: float) -> float:
        return log_evidence_against(rate, n_success, n) - limit

    estimate = n_success / n if n else 0.5

    def end(outer: float) -> float:
        crosses = excess(outer) > 0
        return root_scalar(excess, bracket=(estimate, outer), method="bisect").root if crosses else outer

    return Interval(end(0.0), end(1.0))


def log_evidence_against(rate: float, n_success: int, n: int) -> float:
    """Log of the likelihood of the samples under an unknown rate, uniform on [0, 1], over that under `rate`.

    Under `rate` its exponential is a martingale that starts at 1, so it ever reaches 1/α with chance at most α.
    """
    n_failure = n - n_success
    own = float(xlogy(n_success, rate) + xlog1py(n_failure, -rate))
    return math.inf if own == -math.inf else float(betaln(n_success + 1, n_failure + 1)) - own
