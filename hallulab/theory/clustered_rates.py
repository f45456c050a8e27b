"""Intervals of a rate and of mean points where several answers share a question, and that have width at 0 and 1 too.

A rate has Wilson's interval at its effective number of answers (Kish, *Survey Sampling*, 1965; Dean and Pagano,
J. Surv. Stat. Methodol. 3, 2015): the number of independent answers that would vary as much. Points, right − cost ×
wrong, join the intervals of both rates (MOVER: Zou and Donner, Stat. Med. 27, 2008). Neither resamples, so neither has
a seed, and answers that are all alike get an interval as wide as their number of questions deserves.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from hallulab.errors import RefusedInputError
from hallulab.theory.intervals import Interval, check_confidence


@dataclass(frozen=True)
class ClusteredMean:
    """A mean over answers with its interval."""

    mean: float
    interval: Interval
    n: int
    """answers"""
    n_clusters: int
    """questions"""


@dataclass(frozen=True, eq=False)
class _Rate:
    value: float
    n_effective: float
    residuals: NDArray[np.float64]
    """per cluster, of its answers from the rate, summed"""

    def interval(self, confidence: float) -> Interval:
        return effective_wilson_interval(self.value, self.n_effective, confidence=confidence)


def effective_wilson_interval(rate: float, n_effective: float, *, confidence: float = 0.95) -> Interval:
    """Wilson's score interval (1927) of a rate, for a number of answers that need not be whole.

    Raises RefusedInputError unless 0 <= rate <= 1, n_effective > 0 and confidence is in (0, 1).
    """
    check_confidence(confidence)
    if not (0 <= rate <= 1 and n_effective > 0):
        raise RefusedInputError(
            f"expected a rate from 0 to 1 of more than 0 answers, got {rate} of {n_effective}"
        )
    z2 = float(ndtri((1 + confidence) / 2)) ** 2
    centre = rate + z2 / (2 * n_effective)
    half = math.sqrt(z2 * (rate * (1 - rate) / n_effective + z2 / (4 * n_effective**2)))
    scale = 1 + z2 / n_effective
    # rounding must not push an end past the rate itself, as at 0 and 1
    return Interval(
        max(0.0, min(rate, (centre - half) / scale)), min(1.0, max(rate, (centre + half) / scale))
    )


def clustered_rate(
    is_case: ArrayLike, clusters: ArrayLike, *, confidence: float = 0.95
) -> ClusteredMean | None:
    """A share of answers, with questions as the independent things.

    Args:
        is_case: whether each answer is one of the cases, shape (n,).
        clusters: which question each is about, as whole numbers, shape (n,).
        confidence: of the interval, in (0, 1).

    Returns: None without an answer. With one answer a question it is Wilson's own interval.
    Raises RefusedInputError for shapes that differ and a confidence out of range.
    """
    check_confidence(confidence)
    cases, places = _checked(is_case, clusters)
    if not len(cases):
        return None
    found = _rate(cases, places)
    return ClusteredMean(found.value, found.interval(confidence), len(cases), len(found.residuals))


def clustered_points(
    is_right: ArrayLike, is_wrong: ArrayLike, cost: float, clusters: ArrayLike, *, confidence: float = 0.95
) -> ClusteredMean | None:
    """Mean points of answers that earn 1 when right and cost something when wrong.

    Args:
        is_right, is_wrong: shape (n,), never both.
        cost: points that a wrong answer takes, at least 0.
        clusters: as in `clustered_rate`.
        confidence: of the interval, in (0, 1).

    Returns: None without an answer. At cost 0 it is `clustered_rate` of the right ones.
    """
    check_confidence(confidence)
    right_cases, places = _checked(is_right, clusters)
    wrong_cases, _ = _checked(is_wrong, clusters)
    if not len(right_cases):
        return None
    right, wrong = _rate(right_cases, places), _rate(wrong_cases, places)
    mean = right.value - cost * wrong.value
    up, down = right.interval(confidence), wrong.interval(confidence)
    correlation = _correlation(right, wrong)

    def reach(of_right: float, of_wrong: float) -> float:
        return math.sqrt(max(0.0, of_right**2 - 2 * correlation * of_right * of_wrong + of_wrong**2))

    low = mean - reach(right.value - up.low, cost * (down.high - wrong.value))
    high = mean + reach(up.high - right.value, cost * (wrong.value - down.low))
    return ClusteredMean(
        mean, Interval(max(-cost, low), min(1.0, high)), len(right_cases), len(right.residuals)
    )


def _rate(cases: NDArray[np.bool_], places: NDArray[np.int64]) -> _Rate:
    n = len(cases)
    value = float(cases.mean())
    residuals = np.bincount(places, weights=cases - value).astype(float)
    variance = float((residuals**2).sum()) / n**2
    # all alike: count every question once, as if its answers only repeated each other
    all_alike = n**2 / float((np.bincount(places) ** 2).sum())
    n_effective = min(float(n), value * (1 - value) / variance) if variance > 0 else all_alike
    return _Rate(value, n_effective, residuals)


def _correlation(right: _Rate, wrong: _Rate) -> float:
    """Of the two rates over questions; −1, the widest interval, where one of them never varies."""
    lengths = math.sqrt(float((right.residuals**2).sum()) * float((wrong.residuals**2).sum()))
    return float(right.residuals @ wrong.residuals) / lengths if lengths > 0 else -1.0


def _checked(cases: ArrayLike, clusters: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    found, ids = np.asarray(cases, bool), np.asarray(clusters, int)
    if found.ndim != 1 or found.shape != ids.shape:
        raise RefusedInputError(f"expected one question per answer, got shapes {found.shape} and {ids.shape}")
    return found, np.unique(ids, return_inverse=True)[1]
