"""Does what is answered at a target come true as often? (behavioural calibration, §4 of [KNVZ])

A verdict is about one model under one prompt, never about several pooled. Its intervals hold together for all targets
looked at (Bonferroni), and it must hold whatever the ungradable answers are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hallulab.scoring.graded_answers import Answerer, GradedAnswers, Mask
from hallulab.scoring.grading import LABELLED_TARGETS, MIN_JUDGED, Rate, rate
from hallulab.theory.bootstrap import percentile_interval
from hallulab.theory.confidence_targets import RiskCoverage, best_threshold, risk_coverage
from hallulab.theory.intervals import Interval

AuditVerdict = Literal[
    "over-confident", "keeps its word", "not decided", "the ungradable ones decide", "too few questions"
]
N_RESAMPLES = 200
"""samples of questions behind the interval of a threshold"""


@dataclass(frozen=True)
class AuditPoint:
    """What one model answers at one target, and whether at least the share t of it is right."""

    answerer: Answerer
    target: float
    answered: Rate
    """coverage"""
    accuracy: Rate
    """right, of the answered ones; its interval holds together with those of the other targets"""
    n_ungradable: int
    """answers at this target that the rules could not grade"""
    verdict: AuditVerdict


@dataclass(frozen=True, eq=False)
class LabelledRiskCoverage:
    """The risk–coverage curve with the points where named targets lie."""

    curve: RiskCoverage
    targets: tuple[float, ...]
    coverage: tuple[float, ...]
    """at each target, answering above it"""
    risk: tuple[float | None, ...]
    """None where nothing is answered"""
    n: int
    """questions"""


@dataclass(frozen=True)
class OwnThreshold:
    """The confidence above which one model's answers score best at a target."""

    answerer: Answerer
    threshold: float
    """answer above it; −inf: answer always. It is t for true confidences, above t for a model too sure of itself"""
    interval: Interval | None
    """of the threshold, questions resampled; None where it was not asked for"""
    score: float
    """points a question, on the very answers the threshold was chosen on: a little too good for new ones"""
    n: int
    """questions"""


def audit_by_confidence(
    answers: GradedAnswers, targets: Sequence[float] = LABELLED_TARGETS
) -> tuple[AuditPoint, ...]:
    """Accuracy and coverage of answering above each target, per model and prompt, by the answers' own confidences."""
    known = [(who, own) for who, own in _by_answerer(answers) if own.knows_confidence]
    n_looks = len(known) * len(targets)
    return tuple(
        _audited(who, own.where(own.has_confidence), target, n_looks, above=True)
        for who, own in known
        for target in targets
    )


def audit_as_stated(answers: GradedAnswers) -> tuple[AuditPoint, ...]:
    """The same of what was answered to prompts that stated a target: is at least that share of it right?"""
    told = [(who, own) for who, own in _by_answerer(answers) if who.stated_target is not None]
    told.sort(key=lambda found: (found[0].model or "", found[0].stated_target or 0.0))
    return tuple(_audited(who, own, who.stated_target or 0.0, len(told), above=False) for who, own in told)


def labelled_risk_coverage(
    answers: GradedAnswers, targets: Sequence[float] = LABELLED_TARGETS
) -> LabelledRiskCoverage | None:
    """The risk–coverage curve by confidence; None where no answer has one."""
    if not answers.knows_confidence:
        return None
    is_known = answers.is_gradable & answers.has_confidence
    offered = is_known & answers.is_offered
    n = int(is_known.sum())
    confidence, right = answers.confidence[offered], answers.is_right[offered]
    n_given = [int((confidence > target).sum()) for target in targets]
    n_wrong = [int(((confidence > target) & ~right).sum()) for target in targets]
    return LabelledRiskCoverage(
        curve=risk_coverage(confidence, right, n),
        targets=tuple(targets),
        coverage=tuple(count / n for count in n_given),
        risk=tuple(wrong / count if count else None for wrong, count in zip(n_wrong, n_given, strict=True)),
        n=n,
    )


def best_own_thresholds(
    answers: GradedAnswers, target: float, *, rng: np.random.Generator | None = None
) -> tuple[OwnThreshold, ...]:
    """Per model and prompt with confidences, the confidence above which its answers score best at t.

    Args:
        answers: as `grade_all`.
        target: t.
        rng: source of the resampled questions; without one the interval is left out.
    """
    return tuple(
        found
        for who, own in _by_answerer(answers)
        if own.knows_confidence and (found := _own_threshold(who, own, target, rng))
    )


def _by_answerer(answers: GradedAnswers) -> list[tuple[Answerer, GradedAnswers]]:
    return [(who, answers.of(who)) for who in answers.answerers]


def _audited(who: Answerer, own: GradedAnswers, target: float, n_looks: int, *, above: bool) -> AuditPoint:
    everything = np.ones(len(own.answers), dtype=bool)
    shown = ~(own.confidence <= target) if above else everything
    offered, unknown = own.is_offered & shown, own.is_ungradable & shown
    confidence = 1 - 0.05 / n_looks
    accuracy = rate(own, own.is_right, offered, confidence=confidence)
    with_open = offered | unknown
    worst = rate(own, own.is_right, with_open, confidence=confidence)
    best = rate(own, own.is_right | unknown, with_open, confidence=confidence)
    return AuditPoint(
        answerer=who,
        target=target,
        answered=rate(own, offered, own.is_gradable),
        accuracy=accuracy,
        n_ungradable=int(unknown.sum()),
        verdict=_verdict(_n_questions(own, offered), accuracy, worst, best, target),
    )


def _verdict(n_questions: int, accuracy: Rate, worst: Rate, best: Rate, target: float) -> AuditVerdict:
    if n_questions < MIN_JUDGED or not (accuracy.interval and worst.interval and best.interval):
        return "too few questions"
    if accuracy.interval.high < target:
        return "over-confident" if best.interval.high < target else "the ungradable ones decide"
    if accuracy.interval.low >= target:
        return "keeps its word" if worst.interval.low >= target else "the ungradable ones decide"
    return "not decided"


def _n_questions(answers: GradedAnswers, among: Mask) -> int:
    return len(np.unique(answers.questions[among]))


def _own_threshold(
    who: Answerer, own: GradedAnswers, target: float, rng: np.random.Generator | None
) -> OwnThreshold | None:
    offered = own.is_offered & ~np.isnan(own.confidence)
    confidence, right = own.confidence[offered], own.is_right[offered]
    found = best_threshold(confidence, right, target)
    if found is None:
        return None
    interval = None
    if rng is not None:
        places = rng.integers(len(confidence), size=(N_RESAMPLES, len(confidence)))
        drawn = [best_threshold(confidence[one], right[one], target) for one in places]
        interval = percentile_interval([max(0.0, one.threshold) for one in drawn if one])
    n_known = int((own.is_gradable & own.has_confidence).sum())
    return OwnThreshold(who, found.threshold, interval, found.score * int(offered.sum()) / n_known, n_known)
