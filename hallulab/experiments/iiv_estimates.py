"""Numbers with bootstrap intervals over questions, for Is-It-Valid runs."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hallulab.theory.bootstrap import N_RESAMPLES
from hallulab.theory.intervals import Interval

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A number with its bootstrap interval over questions."""

    value: float | None
    """None where it is not defined"""
    low: float | None
    """of the 95 % percentile interval; None where a resample has no value, or with fewer than two questions"""
    high: float | None


def question_counts(n: int, seed: int) -> Values:
    """How often each resample holds each question, shape (n_resamples, n); the same for all checkpoints: paired."""
    return np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=N_RESAMPLES).astype(float)


def estimate(value: float | None, resampled: Values, n: int) -> Estimate:
    """A value with the percentile interval of its resamples.

    Args:
        value: over all questions; None where it is not defined.
        resampled: the same over every resample of the questions.
        n: questions.
    """
    if value is None or n < 2 or not np.isfinite(resampled).all():
        return Estimate(value, None, None)
    interval = Interval(*np.quantile(resampled, [0.025, 0.975]).tolist())
    return Estimate(value, interval.low, interval.high)
