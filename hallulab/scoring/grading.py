"""Graded answers at a confidence target: points, coverage, accuracy, hallucination rate (§4 of [KNVZ]).

Two readings of the same answers stand side by side: *as given*, where every answer counts, and *by confidence*, where
an answer with confidence of at most t is withheld, as if the model had said that it does not know. All intervals take
questions as the independent things, however many models answered each.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hallulab.scoring.graded_answers import GradedAnswers, Mask, Policy
from hallulab.scoring.grades import GRADES, Grade
from hallulab.theory.clustered_rates import ClusteredMean, clustered_points, clustered_rate
from hallulab.theory.confidence_targets import penalty
from hallulab.theory.intervals import Interval

DEFAULT_TARGET = 0.75
READINGS: Mapping[float, str] = {0.5: "drafting", 0.75: "assistive", 0.9: "self-serve", 0.95: "high stakes"}
"""confidence target → the use of a model that it suits; what the project's labels say"""
LABELLED_TARGETS = (0.0, *READINGS)
TARGET_GRID = tuple(round(0.01 * n, 2) for n in range(100))
"""targets of a curve"""
MIN_JUDGED = 10
"""questions that a verdict must rest on before it says anything"""

Worth = Literal[
    "better than saying nothing",
    "worse than saying nothing",
    "not told from saying nothing",
    "the ungradable ones decide",
    "too few questions",
    "nothing to grade",
]


@dataclass(frozen=True)
class RegradedAnswer:
    """One row of the table at one target."""

    id: str
    question: str
    answer: str
    model: str | None
    stated_target: float | None
    confidence: float | None
    grade: Grade
    """of its words"""
    rule: str
    """which of `grades.RULES` gave that grade"""
    reference: str | None
    """that decided"""
    is_withheld: bool
    """its confidence is at most t, so that by confidence it counts as abstained"""
    score_as_given: float | None
    """points; None: ungradable, left out of every mean"""
    score_by_confidence: float | None
    """points; None: ungradable, or no confidence was given"""


@dataclass(frozen=True)
class Rate:
    """A share with its interval, `theory.clustered_rates` over questions; without a case it is None."""

    value: float | None
    interval: Interval | None
    n: int
    """cases that it is a share of"""


@dataclass(frozen=True)
class UngradableRange:
    """What the numbers would be if every ungradable answer were wrong, an abstention, or right."""

    n: int
    """ungradable answers; by confidence those above t alone, since the others would be withheld"""
    score_if_wrong: ClusteredMean
    score_if_abstained: ClusteredMean
    score_if_right: ClusteredMean
    hallucination_rate_if_wrong: float
    hallucination_rate_otherwise: float


@dataclass(frozen=True)
class GradeSummary:
    """A set of answers under one policy at one target."""

    policy: Policy
    target: float
    n_by_grade: Mapping[Grade, int]
    """withheld answers are among the abstained ones"""
    n_questions: int
    """that these answers are about"""
    n_missing: int
    """answers left out because they have no confidence; 0 as given"""
    n_never_wrong: int
    """answers to questions that list no wrong answer, so that the rules cannot call them wrong"""
    score: ClusteredMean | None
    """points a question, ungradable ones left out"""
    answered: Rate
    """correct or wrong, of all that have a score: coverage"""
    accuracy: Rate
    """correct, of the answered ones"""
    hallucination_rate: Rate
    """wrong, of all that have a score"""
    ungradable: UngradableRange | None
    """None without an ungradable answer"""

    @property
    def worth(self) -> Worth:
        """Whether these answers earn more than always saying "I do not know", whatever the ungradable ones are.

        Decided where the interval leaves out 0, and still does with every ungradable answer counted against it.
        """
        if self.score is None:
            return "nothing to grade"
        if self.score.n_clusters < MIN_JUDGED:
            return "too few questions"
        side = _side(self.score)
        if side == 0:
            return "not told from saying nothing"
        against = self.ungradable and (
            self.ungradable.score_if_wrong if side > 0 else self.ungradable.score_if_right
        )
        if against and _side(against) != side:
            return "the ungradable ones decide"
        return "better than saying nothing" if side > 0 else "worse than saying nothing"


@dataclass(frozen=True)
class Withholding:
    """What withholding at t changes, on the answers for which both policies are known."""

    as_given: GradeSummary
    """of these answers"""
    by_confidence: GradeSummary
    """of the same answers"""
    gain: ClusteredMean
    """points a question, by confidence minus as given"""
    n_withheld: int


@dataclass(frozen=True)
class Regraded:
    """A set of answers at one target: the table, and the summary of each policy."""

    target: float
    penalty: float
    reading: str
    """what a target like this suits, in words"""
    rows: tuple[RegradedAnswer, ...]
    as_given: GradeSummary
    by_confidence: GradeSummary | None
    """None where no answer has a confidence"""
    withholding: Withholding | None
    """the two policies on the same answers; None where no answer has a confidence"""


@dataclass(frozen=True, eq=False)
class ScoreCurve:
    """Points a question at every target, with 95 % bands, each by itself."""

    targets: NDArray[np.float64]
    """shape (n,), as all others"""
    as_given: NDArray[np.float64]
    as_given_low: NDArray[np.float64]
    as_given_high: NDArray[np.float64]
    by_confidence: NDArray[np.float64] | None
    """None where no answer has a confidence; then the bands are None too"""
    by_confidence_low: NDArray[np.float64] | None
    by_confidence_high: NDArray[np.float64] | None
    best_possible: float
    """of whoever gives the same right answers and withholds every wrong one"""
    break_even: float | None
    """their accuracy: at targets above it always abstaining scores better than they do, as given; None: no answers"""
    n: int
    """answers behind `as_given`"""
    n_with_confidence: int
    """answers behind `by_confidence`"""
    n_ungradable: int
    """left out"""


def regrade(answers: GradedAnswers, target: float) -> Regraded:
    """Score graded answers at a target: quick enough for a slider.

    Args:
        answers: as `grade_all`.
        target: t with 0 <= t < 1.

    Raises RefusedInputError for another target.
    """
    cost = penalty(target)
    given, selective = answers.scores(target), answers.scores(target, "by_confidence")
    withheld = answers.is_withheld(target)
    rows = tuple(
        RegradedAnswer(
            id=one.given.id,
            question=one.given.question,
            answer=one.given.answer,
            model=one.given.model,
            stated_target=one.given.stated_target,
            confidence=one.given.confidence,
            grade=one.grade,
            rule=one.graded.rule,
            reference=one.graded.reference,
            is_withheld=bool(withheld[place]),
            score_as_given=_or_none(given[place]),
            score_by_confidence=_or_none(selective[place]),
        )
        for place, one in enumerate(answers.answers)
    )
    return Regraded(
        target=target,
        penalty=cost,
        reading=reading(target),
        rows=rows,
        as_given=summarise(answers, target),
        by_confidence=summarise(answers, target, "by_confidence") if answers.knows_confidence else None,
        withholding=_withholding(answers, target) if answers.knows_confidence else None,
    )


def summarise(answers: GradedAnswers, target: float, policy: Policy = "as_given") -> GradeSummary:
    """Counts, points, coverage, accuracy and hallucination rate of one policy at one target."""
    kept = answers if policy == "as_given" else answers.where(answers.has_confidence)
    withheld = kept.is_withheld(target) if policy == "by_confidence" else np.zeros(len(kept.answers), bool)
    right, wrong = kept.is_right & ~withheld, kept.is_wrong & ~withheld
    n_by_grade: dict[Grade, int] = dict.fromkeys(GRADES, 0)
    for one, hidden in zip(kept.answers, withheld, strict=True):
        n_by_grade["abstained" if hidden else one.grade] += 1
    scored, offered = kept.is_gradable, right | wrong
    return GradeSummary(
        policy=policy,
        target=target,
        n_by_grade=n_by_grade,
        n_questions=len(np.unique(kept.questions)),
        n_missing=len(answers.answers) - len(kept.answers),
        n_never_wrong=int((~kept.can_be_wrong).sum()),
        score=_points(kept, right, wrong, target, scored),
        answered=rate(kept, offered, scored),
        accuracy=rate(kept, right, offered),
        hallucination_rate=rate(kept, wrong, scored),
        ungradable=_range(kept, right, wrong, target, policy),
    )


def score_curve(answers: GradedAnswers, targets: Sequence[float] = TARGET_GRID) -> ScoreCurve | None:
    """Points a question at every target, under both policies; None without a gradable answer."""
    if not answers.is_gradable.any():
        return None
    mean, low, high = _curve(answers, targets, "as_given")
    bands: tuple[NDArray | None, NDArray | None, NDArray | None] = (None, None, None)
    if answers.knows_confidence:
        bands = _curve(answers, targets, "by_confidence")
    n_offered = int(answers.is_offered.sum())
    n_known = int((answers.is_gradable & answers.has_confidence).sum())
    return ScoreCurve(
        targets=np.array(targets, float),
        as_given=mean,
        as_given_low=low,
        as_given_high=high,
        by_confidence=bands[0],
        by_confidence_low=bands[1],
        by_confidence_high=bands[2],
        best_possible=float(answers.is_right.sum() / answers.is_gradable.sum()),
        break_even=float(answers.is_right.sum() / n_offered) if n_offered else None,
        n=int(answers.is_gradable.sum()),
        n_with_confidence=n_known if answers.knows_confidence else 0,
        n_ungradable=int(answers.is_ungradable.sum()),
    )


def reading(target: float) -> str:
    """What a confidence target suits: the reading of the highest named target that it reaches."""
    penalty(target)
    reached = [name for named, name in READINGS.items() if target >= named]
    if reached:
        return reached[-1]
    return "binary grading: a mistake costs nothing" if target == 0 else "brainstorming: mistakes are cheap"


def rate(answers: GradedAnswers, is_case: Mask, among: Mask, *, confidence: float = 0.95) -> Rate:
    """The share of cases among some of the answers, or none.

    Args:
        answers: that the masks are about.
        is_case, among: shape (n_answers,).
        confidence: of the interval.
    """
    found = clustered_rate(is_case[among], answers.questions[among], confidence=confidence)
    return Rate(None, None, 0) if found is None else Rate(found.mean, found.interval, found.n)


def _points(
    answers: GradedAnswers, right: Mask, wrong: Mask, target: float, among: Mask
) -> ClusteredMean | None:
    return clustered_points(right[among], wrong[among], penalty(target), answers.questions[among])


def _range(
    kept: GradedAnswers, right: Mask, wrong: Mask, target: float, policy: Policy
) -> UngradableRange | None:
    open_ones = kept.is_ungradable
    if not open_ones.any():
        return None
    counted = open_ones & ~(kept.confidence <= target) if policy == "by_confidence" else open_ones
    everything = np.ones(len(open_ones), dtype=bool)

    def scored(more_right: Mask, more_wrong: Mask) -> ClusteredMean:
        found = _points(kept, right | more_right, wrong | more_wrong, target, everything)
        assert found is not None  # there is an ungradable answer
        return found

    nothing = np.zeros(len(open_ones), dtype=bool)
    return UngradableRange(
        n=int(counted.sum()),
        score_if_wrong=scored(nothing, counted),
        score_if_abstained=scored(nothing, nothing),
        score_if_right=scored(counted, nothing),
        hallucination_rate_if_wrong=float((wrong | counted).mean()),
        hallucination_rate_otherwise=float(wrong.mean()),
    )


def _withholding(answers: GradedAnswers, target: float) -> Withholding | None:
    both = answers.where(answers.has_confidence & answers.is_gradable)
    withheld = both.is_withheld(target)
    lost = clustered_points(
        both.is_right & withheld, both.is_wrong & withheld, penalty(target), both.questions
    )
    if lost is None:
        return None
    # 0.0 + : no minus before nothing
    gain = ClusteredMean(
        0.0 - lost.mean,
        Interval(0.0 - lost.interval.high, 0.0 - lost.interval.low),
        lost.n,
        lost.n_clusters,
    )
    return Withholding(
        summarise(both, target), summarise(both, target, "by_confidence"), gain, int(withheld.sum())
    )


def _curve(
    answers: GradedAnswers, targets: Sequence[float], policy: Policy
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Mean, low and high at every target."""
    among = answers.is_gradable & (answers.has_confidence if policy == "by_confidence" else True)
    found = []
    for target in targets:
        shown = ~answers.is_withheld(target) if policy == "by_confidence" else np.ones(len(among), dtype=bool)
        one = _points(answers, answers.is_right & shown, answers.is_wrong & shown, target, among)
        assert one is not None  # there is a gradable answer
        found.append((one.mean, one.interval.low, one.interval.high))
    mean, low, high = np.array(found, dtype=float).T
    return mean, low, high


def _side(score: ClusteredMean) -> int:
    """1: above 0 beyond doubt, −1: below it, 0: not told."""
    return int(score.interval.low > 0) - int(score.interval.high < 0)


def _or_none(score: float) -> float | None:
    return None if np.isnan(score) else float(score)
