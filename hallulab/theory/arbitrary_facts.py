"""Facts without a pattern: unseen ones must be guessed, and the singleton rate says how many (Theorem 2 of [KNVZ]).

A prompt c ~ μ has one right answer, uniform on R_c; the data gives it with probability α_c and else says IDK, "I do
not know". So a sample holds the fact c with probability q_c = μ(c) α_c. `docs/facts.md` holds the proofs.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from hallulab.errors import RefusedInputError
from hallulab.theory.intervals import Interval

PAPER_FAILURE = 0.01
"""Theorem 2 holds with probability at least 1 − this"""
N_SIZES = 160
"""training sizes tried, evenly spaced in logarithms, for the one from which a bound says something"""
LARGEST_SIZE = 10**12

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Singletons:
    """How often facts were seen in N training samples: what Good–Turing estimates need."""

    n_samples: int
    """N, IDK included"""
    n_once: int
    """facts answered exactly once"""
    n_twice: int
    """facts answered exactly twice"""

    @property
    def rate(self) -> float:
        """sr, the share of the samples that are singletons; also Good and Turing's estimate of the missing mass."""
        return self.n_once / self.n_samples


@dataclass(frozen=True)
class MissingMassEstimate:
    """What the training data alone says about the mass of the facts that it never answers."""

    estimate: float
    """sr"""
    interval: Interval
    """Esty's normal interval: nominal coverage as N grows"""
    proved_interval: Interval
    """covers with at least the confidence in every world, for every N"""
    confidence: float


@dataclass(frozen=True)
class FactsBound:
    """A bound on err from the training data, and what makes it weak."""

    value: float
    is_lower: bool
    concentration: float
    """what chance may have done; falls like 1/√N, but for logarithms"""
    size_term: float
    """what guesses that happen to be right may have done, or errors as rare as valid answers"""
    delta: float = 0.0
    """δ as subtracted; 0 in an upper bound, whose learner is calibrated"""

    @property
    def says_something(self) -> bool:
        """Whether it excludes any error rate at all."""
        return self.value > 0 if self.is_lower else self.value < 1


@dataclass(frozen=True)
class FirstSize:
    """From how many training samples a bound says something."""

    in_some_world: int | None
    """the least N with which it could, were every sample a singleton (lower) or none (upper); None: never"""
    in_this_world: int | None
    """the least N with which it does here, at the singleton rate to be expected; None: with none"""
    until: int | None
    """the last such N here: facts seen again are no singletons; None where it does not end or never began"""


def count_singletons(n_answered: ArrayLike, n_samples: int) -> Singletons:
    """Singletons among facts that were answered so often, shape (n_prompts,), in N samples.

    Raises RefusedInputError for counts below 0, or more answers than samples.
    """
    counts = np.asarray(n_answered)
    if n_samples < 1 or (counts < 0).any() or counts.sum() > n_samples:
        raise RefusedInputError(
            f"expected counts of 0 or more that sum to at most N >= 1, got {counts.sum()} of N = {n_samples}"
        )
    return Singletons(int(n_samples), int((counts == 1).sum()), int((counts == 2).sum()))


def missing_mass(fact_probability: ArrayLike, n_answered: ArrayLike) -> float:
    """The truth that sr estimates: Σ q_c over the facts that were never answered.

    Args:
        fact_probability: q_c = μ(c) α_c, shape (n_prompts,).
        n_answered: how often the training data answered c, same shape.
    """
    return float(np.asarray(fact_probability, float)[np.asarray(n_answered) == 0].sum())


def estimate_missing_mass(seen: Singletons, *, confidence: float = 0.95) -> MissingMassEstimate:
    """Good and Turing's estimate with Esty's interval (1983) and a proved one (docs/facts.md, 3).

    Raises RefusedInputError for a confidence outside (0, 1).
    """
    if not 0 < confidence < 1:
        raise RefusedInputError(f"expected a confidence between 0 and 1, got {confidence}")
    n, rate = seen.n_samples, seen.rate
    variance = max(rate * (1 - rate) + 2 * seen.n_twice / n, 0.0) / n
    width = float(stats.norm.ppf((1 + confidence) / 2)) * math.sqrt(variance)
    tail = (1 - confidence) / 2
    proved = Interval(
        max(0.0, rate - 1 / n - missing_mass_shortfall(n, tail)),
        min(1.0, rate + missing_mass_excess(n, tail)),
    )
    return MissingMassEstimate(
        rate, Interval(max(0.0, rate - width), min(1.0, rate + width)), proved, confidence
    )


def missing_mass_shortfall(n_samples: int, failure: float) -> float:
    """ε such that missing mass >= sr − 1/N − ε with probability >= 1 − failure, in every world (docs/facts.md, 3)."""
    return (math.sqrt(2) + math.sqrt(2 / math.e)) * math.sqrt(math.log(2 / failure) / n_samples)


def missing_mass_excess(n_samples: int, failure: float) -> float:
    """ε such that missing mass <= sr + ε with probability >= 1 − failure, in every world (docs/facts.md, 3).

    Its upper tail of the missing mass is McAllester and Ortiz's (JMLR 2003), exp(−N ε²).
    """
    return (math.sqrt(2) + 1) * math.sqrt(math.log(2 / failure) / n_samples)


def paper_lower_bound(rate: float, n_samples: int, fewest_errors: int, delta: float = 0.0) -> FactsBound:
    """err >= sr − 2/min|E_c| − (35 + 6 ln N)/√N − δ with probability >= 99 %, any learner (Theorem 2 of [KNVZ]).

    Args:
        rate: sr.
        n_samples: N.
        fewest_errors: min_c |E_c|.
        delta: δ of the learner, as `is_it_valid.Reduction.delta`.

    Raises RefusedInputError unless 0 <= sr <= 1, N >= 1, min|E_c| >= 1.
    """
    _check(rate, n_samples, fewest_errors)
    concentration = (35 + 6 * math.log(n_samples)) / math.sqrt(n_samples)
    size_term = 2 / fewest_errors
    return FactsBound(rate - size_term - concentration - delta, True, concentration, size_term, delta)


def paper_upper_bound(rate: float, n_samples: int, most_errors: int) -> FactsBound:
    """err <= sr − sr/(max|E_c| + 1) + 13/√N with probability >= 99 %, the memoriser (Theorem 2 of [KNVZ]).

    Args and errors: as `paper_lower_bound`, with max_c |E_c|.
    """
    _check(rate, n_samples, most_errors)
    concentration, size_term = 13 / math.sqrt(n_samples), rate / (most_errors + 1)
    return FactsBound(rate - size_term + concentration, False, concentration, size_term)


def sharp_lower_bound(
    rate: float, n_samples: int, fewest_errors: int, overshoot: float = 0.0, *, failure: float = PAPER_FAILURE
) -> FactsBound:
    """The paper's lower bound with constants that are nearly what the argument needs (docs/facts.md, 4).

    err >= m − κ√m − 2/min|E_c| − overshoot with probability >= 1 − failure, for any learner;
    m = sr − 1/N − (√2 + √(2/e)) √(L/N), κ = (1 + 1/min|E_c|) √(L ln(4N/failure) / 2N), L = ln(4/failure).

    Args and errors: as `paper_lower_bound`; `overshoot` is p̂(A) − p(A) at the threshold 1/min|E_c|, or δ. It is
    silent, with what the other terms cost as its value, where m is not above κ².
    """
    _check(rate, n_samples, fewest_errors)
    mass = rate - 1 / n_samples - missing_mass_shortfall(n_samples, failure / 2)
    level = math.log(4 / failure)
    spread = (1 + 1 / fewest_errors) * math.sqrt(level * math.log(4 * n_samples / failure) / (2 * n_samples))
    # below κ² the difference m − κ√m is negative and no longer grows with m: err_iiv >= 0 says more
    guessed = mass - spread * math.sqrt(mass) if mass > spread**2 else 0.0
    size_term = 2 / fewest_errors
    return FactsBound(guessed - size_term - overshoot, True, rate - guessed, size_term, overshoot)


def sharp_upper_bound(
    rate: float, n_samples: int, most_errors: int, *, failure: float = PAPER_FAILURE
) -> FactsBound:
    """err <= (1 − 1/(max|E_c| + 1)) (sr + (1 + √2) √(ln(2/failure)/N)) for the memoriser (docs/facts.md, 4).

    Args and errors: as `paper_upper_bound`; holds with probability >= 1 − failure.
    """
    _check(rate, n_samples, most_errors)
    right = 1 / (most_errors + 1)
    concentration = (1 - right) * missing_mass_excess(n_samples, failure)
    return FactsBound(rate - rate * right + concentration, False, concentration, rate * right)


def expected_singleton_rate(fact_probability: ArrayLike, n_samples: int) -> float:
    """E[sr] = Σ q_c (1 − q_c)^(N − 1).

    Args:
        fact_probability: q_c, shape (n_prompts,).
        n_samples: N.
    """
    q = np.asarray(fact_probability, float)
    if n_samples == 1:
        return min(1.0, float(q.sum()))  # many q may sum to a hair more in floats
    with np.errstate(divide="ignore"):  # a fact in every sample is never seen once: its logarithm is −inf
        return min(1.0, float(q @ np.exp((n_samples - 1) * np.log1p(-q))))


def first_size(bound: Callable[[float, int], FactsBound], expected_rate: Callable[[int], float]) -> FirstSize:
    """From how many samples a calibrated learner's bound says something, in some world and in this one.

    Args:
        bound: (sr, N) → the bound, such as `paper_lower_bound` with its |E| filled in.
        expected_rate: N → E[sr] in this world; `expected_singleton_rate`, best remembered between bounds.

    The sizes tried are spaced evenly in logarithms, and the ends then found exactly between them.
    """

    def says_here(n: int) -> bool:
        return bound(expected_rate(n), n).says_something

    best_rate = 1.0 if bound(0.0, 1).is_lower else 0.0
    in_some_world = _least(lambda n: bound(best_rate, n).says_something, 1, LARGEST_SIZE)
    sizes = [int(n) for n in np.unique(np.geomspace(1, LARGEST_SIZE, N_SIZES).round())]
    says = [says_here(n) for n in sizes]
    if not any(says):
        return FirstSize(in_some_world, None, None)
    first, last = says.index(True), len(says) - 1 - says[::-1].index(True)
    start = _least(says_here, sizes[first - 1], sizes[first]) if first else sizes[0]
    if last + 1 == len(sizes):
        return FirstSize(in_some_world, start, None)
    silent_again = _least(lambda n: not says_here(n), sizes[last], sizes[last + 1])
    return FirstSize(in_some_world, start, None if silent_again is None else silent_again - 1)


def _least(holds: Callable[[int], bool], low: int, high: int) -> int | None:
    """The least N in [low, high] that holds, by halving; None if `high` does not."""
    if holds(low):
        return low
    if not holds(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _check(rate: float, n_samples: int, n_errors: int) -> None:
    if not 0 <= rate <= 1 or n_samples < 1 or n_errors < 1:
        raise RefusedInputError(
            "expected a singleton rate in [0, 1], N >= 1 and at least one plausible error, got "
            f"{rate}, {n_samples}, {n_errors}"
        )
