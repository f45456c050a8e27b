"""How often are the rules of grading right? Every answer graded by hand, graded again by the rules.

Intervals are Wilson's, with answers as the independent things: of one question there are several, in other words each.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hallulab.data.graded_by_hand import PARTS, HandGradedAnswer, Part, hand_graded_answers
from hallulab.scoring.grades import GRADES, Grade, Graded, grade_answer
from hallulab.theory.intervals import Interval, wilson_interval

VERDICTS: tuple[Grade, ...] = ("correct", "wrong")


@dataclass(frozen=True)
class CheckedAnswer:
    """One answer with both grades."""

    given: HandGradedAnswer
    graded: Graded

    @property
    def agrees(self) -> bool:
        """Whether the rules say what the person said."""
        return self.given.grade == self.graded.grade


@dataclass(frozen=True)
class CheckedRate:
    """A share of answers with its Wilson 95 % interval; both None without an answer."""

    value: float | None
    interval: Interval | None
    n: int


@dataclass(frozen=True)
class RulesCheck:
    """The rules against a person on one part of the answers."""

    part: Part
    answers: tuple[CheckedAnswer, ...]

    @property
    def confusion(self) -> Mapping[tuple[str, str], int]:
        """(the person's grade, the rules' grade) → answers; pairs that never happened are 0."""
        return Counter((one.given.grade, one.graded.grade) for one in self.answers)

    @property
    def agreement(self) -> CheckedRate:
        """Share of all answers with the same grade."""
        return _share(self.answers, lambda one: one.agrees)

    def precision(self, *grades: Grade) -> CheckedRate:
        """Of the answers that the rules give one of these grades, the share that the person grades the same."""
        return _share([one for one in self.answers if one.graded.grade in grades], lambda one: one.agrees)

    def recall(self, *grades: Grade) -> CheckedRate:
        """Of the answers that the person gives one of these grades, the share that the rules grade the same."""
        return _share([one for one in self.answers if one.given.grade in grades], lambda one: one.agrees)

    @property
    def n_questions(self) -> int:
        """Questions that the answers are about."""
        return len({one.given.question for one in self.answers})

    def to_json(self) -> dict[str, Any]:
        """Counts, rates with their 95 % intervals, and every answer on which the two differ."""
        return {
            "part": self.part,
            "what": PARTS[self.part],
            "n": len(self.answers),
            "n_questions": self.n_questions,
            "confusion": {
                by_hand: {by_rule: self.confusion[by_hand, by_rule] for by_rule in GRADES}
                for by_hand in GRADES
            },
            "agreement": _json(self.agreement),
            "verdicts_right": _json(self.precision(*VERDICTS)),
            "verdicts_found": _json(self.recall(*VERDICTS)),
            "grades": {
                grade: {"precision": _json(self.precision(grade)), "recall": _json(self.recall(grade))}
                for grade in GRADES
            },
            "misses": [
                asdict(one.given) | {"rules_grade": one.graded.grade, "rule": one.graded.rule}
                for one in self.answers
                if not one.agrees
            ],
        }


def check_rules(part: Part) -> RulesCheck:
    """Grade one part of the answers by the rules."""
    return RulesCheck(
        part,
        tuple(
            CheckedAnswer(one, grade_answer(one.answer, one.correct_answers, one.incorrect_answers))
            for one in hand_graded_answers()
            if one.part == part
        ),
    )


def _share(answers: Sequence[CheckedAnswer], is_case: Callable[[CheckedAnswer], bool]) -> CheckedRate:
    n = len(answers)
    n_cases = sum(map(is_case, answers))
    return CheckedRate(n_cases / n, wilson_interval(n_cases, n), n) if n else CheckedRate(None, None, 0)


def _json(rate: CheckedRate) -> dict[str, Any]:
    low, high = (rate.interval.low, rate.interval.high) if rate.interval else (None, None)
    return {"value": rate.value, "low": low, "high": high, "n": rate.n}
