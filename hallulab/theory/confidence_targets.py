"""Confidence targets: right +1, "I do not know" 0, wrong −t/(1−t) (§4 of [KNVZ]).

Answering pays for whoever is right more often than t. At t = 0 a mistake costs nothing: binary grading.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hallulab.errors import RefusedInputError

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RiskCoverage:
    """What answering only above a threshold gives, for every threshold that matters; the first withholds nothing."""

    threshold: Values
    """answers with more confidence than this are given, rising; the first is −inf, shape (n_thresholds,)"""
    coverage: Values
    """share of all questions that are answered, same shape"""
    risk: Values
    """share of the given answers that are wrong; NaN where none is given, same shape"""
    n_answered: NDArray[np.int64]
    """answers given, same shape"""

    @property
    def area(self) -> float:
        """Mean risk over the coverages that are reached, as steps: 0 is best; NaN without an answer."""
        width = -np.diff(np.append(self.coverage, 0.0))
        is_given = self.n_answered > 0
        return float(width[is_given] @ self.risk[is_given] / width.sum()) if width.sum() else math.nan


@dataclass(frozen=True)
class BestThreshold:
    """The confidence above which to answer that scores best on given answers."""

    threshold: float
    """answer above it; −inf: answer always"""
    score: float
    """points a question, on the very answers the threshold was chosen on: a little too good for new ones"""


def penalty(target: float) -> float:
    """t/(1−t): points that a wrong answer costs at confidence target t.

    Raises RefusedInputError unless 0 <= t < 1.
    """
    if not 0 <= target < 1:  # NaN is refused as well
        raise RefusedInputError(
            f"expected a confidence target t with 0 <= t < 1, got {target}: the penalty t/(1−t) has no end at t = 1"
        )
    cost = target / (1 - target)
    # 1 − 0.9 is not 0.1 in binary: without this 0.9 would cost 9.000000000000002
    return float(round(cost)) if abs(cost - round(cost)) < 1e-9 * max(1.0, cost) else float(cost)


def target_text(target: float) -> str:
    """A target in few digits, but in all of them where it would read as 1."""
    short = f"{target:g}"
    return repr(float(target)) if short == "1" else short


def percent_text(target: float) -> str:
    """The same in percent."""
    short = f"{100 * target:g}"
    return repr(100 * float(target)) if short == "100" else short


def points(is_right: ArrayLike, is_wrong: ArrayLike, target: float) -> Values:
    """Points of answers at a target; what is neither right nor wrong gets 0.

    Args:
        is_right, is_wrong: of one shape, never both.
        target: t.

    Errors as `penalty`, and for shapes that differ or an answer that is both.
    """
    right, wrong = np.asarray(is_right, bool), np.asarray(is_wrong, bool)
    if right.shape != wrong.shape or (right & wrong).any():
        raise RefusedInputError(
            f"expected right and wrong of one shape, never both, got {right.shape} and {wrong.shape}"
        )
    return np.asarray(right - penalty(target) * wrong, dtype=np.float64)


def expected_points(confidence: ArrayLike, target: float) -> Values:
    """Points to be expected of an answer that is right with this probability: p − (1 − p) t/(1−t), above 0 iff p > t.

    Args:
        confidence: p in [0, 1], any shape.
        target: t.

    Errors as `penalty`, and for a p outside [0, 1].
    """
    p = _checked_confidence(confidence)
    return p - (1 - p) * penalty(target)


def risk_coverage(confidence: ArrayLike, is_right: ArrayLike, n_questions: int | None = None) -> RiskCoverage:
    """Risk and coverage of answering only above a threshold, for every distinct confidence.

    Args:
        confidence: of each answer, in [0, 1], shape (n,).
        is_right: same shape.
        n_questions: what coverage is a share of; n when None, more when some questions were not answered at all.

    Raises RefusedInputError for a confidence outside [0, 1], shapes that differ, or fewer questions than answers.
    """
    p, right = _checked_pairs(confidence, is_right)
    total = len(p) if n_questions is None else n_questions
    if total < len(p):
        raise RefusedInputError(f"expected at least as many questions as answers, got {total} for {len(p)}")
    threshold, _ = _thresholds(p)
    order = np.sort(p)
    n_answered = len(p) - np.searchsorted(order, threshold, side="right")
    wrong = np.sort(p[~right])
    n_wrong = len(wrong) - np.searchsorted(wrong, threshold, side="right")
    risk = np.divide(n_wrong, n_answered, out=np.full(len(threshold), np.nan), where=n_answered > 0)
    return RiskCoverage(threshold, n_answered / max(total, 1), risk, n_answered)


def best_threshold(confidence: ArrayLike, is_right: ArrayLike, target: float) -> BestThreshold | None:
    """The confidence above which to answer so that these answers get most points at target t.

    A model with true confidences has it at t; above t it is too sure of itself. Of thresholds that score alike, the
    one that lies nearest to t.

    Args and errors: as `risk_coverage`, and as `penalty`. Returns None without an answer.
    """
    p, right = _checked_pairs(confidence, is_right)
    cost = penalty(target)
    if not len(p):
        return None
    threshold, first = _thresholds(p)
    each = np.where(right, 1.0, -cost)[np.argsort(p, kind="stable")]
    from_here = np.append(np.cumsum(each[::-1])[::-1], 0.0)[first] / len(p)
    # every threshold from one confidence up to the next answers the same: take the one nearest to t
    nearest = np.clip(target, threshold, np.append(np.nextafter(threshold[1:], -np.inf), 1.0))
    is_best = from_here >= from_here.max() - 1e-12
    chosen = min(np.flatnonzero(is_best), key=lambda place: abs(nearest[place] - target))
    return BestThreshold(float(nearest[chosen]), float(from_here[chosen]))


def _thresholds(p: Values) -> tuple[Values, NDArray[np.int64]]:
    """−inf and every distinct confidence, rising, and how many answers, sorted, lie at or below each."""
    distinct = np.unique(p)
    threshold = np.append(-np.inf, distinct)
    return threshold, np.searchsorted(np.sort(p), threshold, side="right")


def _checked_pairs(confidence: ArrayLike, is_right: ArrayLike) -> tuple[Values, NDArray[np.bool_]]:
    p, right = _checked_confidence(confidence), np.asarray(is_right, bool)
    if p.ndim != 1 or p.shape != right.shape:
        raise RefusedInputError(
            f"expected one confidence and one right-or-wrong per answer, got shapes {p.shape} and {right.shape}"
        )
    return p, right


def _checked_confidence(confidence: ArrayLike) -> Values:
    p = np.asarray(confidence, float)
    if not ((p >= 0) & (p <= 1)).all():
        raise RefusedInputError(f"expected confidences from 0 to 1, got {confidence}")
    return p
