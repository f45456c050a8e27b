"""Answers graded once by their words, ready to be scored at any confidence target, as a whole or by who answered."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hallulab.scoring.answer_file import GivenAnswer
from hallulab.scoring.grades import Grade, Graded, grade_answer
from hallulab.theory.confidence_targets import points, target_text

Policy = Literal["as_given", "by_confidence"]
"""every answer counts; or one whose confidence is at most t counts as an abstention"""
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Answerer:
    """Who answered, under which prompt: what a verdict may be about."""

    model: str | None
    """None where the file names none"""
    stated_target: float | None
    """that the prompt stated; None where it stated none"""

    @property
    def name(self) -> str:
        """As tables show it."""
        told = "" if self.stated_target is None else f", told t = {target_text(self.stated_target)}"
        return ("(no name)" if self.model is None else self.model) + told


@dataclass(frozen=True)
class GradedAnswer:
    """An answer and what the rules make of its words."""

    given: GivenAnswer
    graded: Graded

    @property
    def grade(self) -> Grade:
        """Of its words, whatever the target."""
        return self.graded.grade

    @property
    def answerer(self) -> Answerer:
        """Who gave it."""
        return Answerer(self.given.model, self.given.stated_target)


@dataclass(frozen=True, eq=False)
class GradedAnswers:
    """Answers graded by their words."""

    answers: tuple[GradedAnswer, ...]
    others_are_wrong: bool = False
    """whether answers that say no reference were graded as wrong"""

    @cached_property
    def is_right(self) -> Mask:
        """Shape (n,), as the others."""
        return self._has_grade("correct")

    @cached_property
    def is_wrong(self) -> Mask:
        """Whether it is a wrong answer."""
        return self._has_grade("wrong")

    @cached_property
    def is_ungradable(self) -> Mask:
        """Whether the rules could not decide."""
        return self._has_grade("ungradable")

    @property
    def is_gradable(self) -> Mask:
        """Whether the rules could decide."""
        return ~self.is_ungradable

    @property
    def is_offered(self) -> Mask:
        """Whether it is an answer, right or wrong."""
        return self.is_right | self.is_wrong

    @cached_property
    def can_be_wrong(self) -> Mask:
        """Whether its question lists a wrong answer or any other is wrong; else the rules call nothing wrong."""
        found = [self.others_are_wrong or bool(one.given.incorrect_answers) for one in self.answers]
        return np.array(found, dtype=bool)

    @cached_property
    def confidence(self) -> NDArray[np.float64]:
        """As given; NaN where none was."""
        given = [one.given.confidence for one in self.answers]
        return np.array([np.nan if value is None else value for value in given], dtype=float)

    @property
    def has_confidence(self) -> Mask:
        """Whether the policy by confidence is known: where nothing was offered nothing can be withheld."""
        return ~np.isnan(self.confidence) | ~(self.is_offered | self.is_ungradable)

    @property
    def knows_confidence(self) -> bool:
        """Whether any offered answer has one."""
        return bool((self.is_offered & ~np.isnan(self.confidence)).any())

    @cached_property
    def questions(self) -> NDArray[np.int64]:
        """Which question each is about, numbered by first appearance; what is resampled or counted as independent."""
        place: dict[str, int] = {}
        return np.array([place.setdefault(one.given.id, len(place)) for one in self.answers], dtype=int)

    def is_withheld(self, target: float) -> Mask:
        """Offered answers whose confidence is at most t."""
        return self.is_offered & (self.confidence <= target)

    def scores(self, target: float, policy: Policy = "as_given") -> NDArray[np.float64]:
        """Points; NaN where ungradable, and by confidence where there is none."""
        scores = points(self.is_right, self.is_wrong, target)
        scores[self.is_ungradable] = np.nan
        if policy == "by_confidence":
            scores[self.is_withheld(target)] = 0.0
            scores[~self.has_confidence] = np.nan
        return scores

    @cached_property
    def answerers(self) -> tuple[Answerer, ...]:
        """Who answered under which prompt, in the order of first appearance."""
        return tuple(dict.fromkeys(one.answerer for one in self.answers))

    def of(self, answerer: Answerer) -> "GradedAnswers":
        """The answers of one of them."""
        return replace(self, answers=tuple(one for one in self.answers if one.answerer == answerer))

    def where(self, chosen: Mask) -> "GradedAnswers":
        """Some of the answers."""
        kept = tuple(one for one, is_kept in zip(self.answers, chosen, strict=True) if is_kept)
        return replace(self, answers=kept)

    def _has_grade(self, grade: Grade) -> Mask:
        return np.array([one.grade == grade for one in self.answers], dtype=bool)


def grade_all(answers: Sequence[GivenAnswer], *, others_are_wrong: bool = False) -> GradedAnswers:
    """Every answer graded by the words of `scoring.grades`, once.

    Args:
        answers: to be graded.
        others_are_wrong: as in `grade_answer`.
    """
    return GradedAnswers(
        tuple(
            GradedAnswer(
                one,
                grade_answer(
                    one.answer, one.correct_answers, one.incorrect_answers, others_are_wrong=others_are_wrong
                ),
            )
            for one in answers
        ),
        others_are_wrong,
    )
