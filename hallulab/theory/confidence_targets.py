"""Confidence targets: right +1, "I do not know" 0, wrong −t/(1−t) (§4 of [KNVZ]).

Answering pays for whoever is right more often than t. At t = 0 a mistake costs nothing: binary grading.
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hallulab.errors import RefusedInputError

MAX_RESPONSES = 12
"""responses whose graders are all enumerated: 2^12 of them"""
N_RESAMPLES = 500
"""bootstrap samples behind the bands of a curve"""

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


def binary_graders(n_responses: int, n_abstentions: int = 1) -> NDArray[np.bool_]:
    """Every binary grader: each marks some responses as right, at least one, and never an abstention (§4.1 of [KNVZ]).

    Args:
        n_responses: plausible responses, abstentions included; these come last.
        n_abstentions: how many of them abstain.

    Returns: shape (2^(n_responses − n_abstentions) − 1, n_responses).
    Raises RefusedInputError without an answer or an abstention, or with more than `MAX_RESPONSES` responses.
    """
    n_answers = n_responses - n_abstentions
    if n_abstentions < 1 or n_answers < 1 or n_responses > MAX_RESPONSES:
        raise RefusedInputError(
            f"expected at least one answer and one abstention among at most {MAX_RESPONSES} responses, got "
            f"{n_responses} responses with {n_abstentions} abstentions"
        )
    marks = np.array(list(itertools.product((False, True), repeat=n_answers))[1:], dtype=bool)
    return np.concatenate([marks, np.zeros((len(marks), n_abstentions), dtype=bool)], axis=1)


def believed_points(
    graders: NDArray[np.bool_], belief: ArrayLike, target: float = 0.0, n_abstentions: int = 1
) -> Values:
    """Points to be expected of every response under a belief over graders.

    Args:
        graders: as `binary_graders`.
        belief: probability of each grader, shape (..., n_graders).
        target: t; at 0 these are the points of Observation 1 of [KNVZ].
        n_abstentions: the last responses, which get 0 at every target.

    Returns: shape (..., n_responses).
    Raises RefusedInputError for a belief that is no distribution over the graders; errors as `penalty`.
    """
    weights = np.asarray(belief, float)
    is_distribution = (
        weights.shape[-1:] == graders.shape[:1]
        and (weights >= 0).all()
        and np.allclose(weights.sum(axis=-1), 1)
    )
    if not is_distribution:
        raise RefusedInputError(f"expected a probability for each of {len(graders)} graders, got {belief}")
    expected = expected_points(np.clip(weights @ graders, 0.0, 1.0), target)
    expected[..., -n_abstentions:] = 0.0
    return expected


def abstaining_is_optimal(expected: ArrayLike, n_abstentions: int = 1) -> NDArray[np.bool_]:
    """Whether no answer is expected to get more points than abstaining.

    Args:
        expected: as `believed_points`, shape (..., n_responses).
        n_abstentions: the last responses.
    """
    points_of = np.asarray(expected, float)
    return points_of[..., :-n_abstentions].max(axis=-1) <= points_of[..., -n_abstentions:].max(axis=-1)


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


def mean_bands(
    values: ArrayLike, *, rng: np.random.Generator, confidence: float = 0.95
) -> tuple[Values, Values, Values]:
    """Means of many measurements of the same items with percentile bootstrap bands, items drawn together.

    Args:
        values: shape (n_measurements, n_items), finite, at least one item.
        rng: source of the resamples.
        confidence: of each band, not of all together.

    Returns: mean, low, high, shape (n_measurements,) each.
    """
    rows = np.asarray(values, float)
    n = rows.shape[1]
    if not n or not np.isfinite(rows).all():
        raise RefusedInputError(f"expected finite values of at least one item, got shape {rows.shape}")
    multiplicity = rng.multinomial(n, np.full(n, 1 / n), size=N_RESAMPLES)  # (n_resamples, n_items)
    means = multiplicity @ rows.T / n
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    return rows.mean(axis=1), low, high


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
