"""Questions with their plausible answers, valid or not, and how often the data gives each: ready for Is-It-Valid."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from hallulab.data.birthday_questions import frequency_label
from hallulab.data.birthdays import ANSWER_FORMS, DATES, UNKNOWN_FORMS, Person, people
from hallulab.data.open_ended import OpenEndedQuestion, known_questions, normalised, open_ended_questions
from hallulab.data.question_sets import QUESTION_SETS, ReferencedQuestion, load_question_set
from hallulab.errors import RefusedInputError

Item = TypeVar("Item")

N_BORROWED = 10
"""answers to other questions that stand as the errors of an open-ended one"""
CANDIDATE_SETS = {
    "truthfulqa": "TruthfulQA: listed correct answers, alike, against listed incorrect ones",
    "misconceptions": "misconceptions: listed correct answers, alike, against listed incorrect ones",
    "open_ended": "open-ended: the acceptable answers against answers to other questions",
    "known_answers": (
        "known answers: to open-ended questions of the small model's training, every wording as often as the training "
        "data gives it, against wordings that name one answer and give the reason of the other"
    ),
    "birthdays": "birthdays of invented people: the right date and “I do not know” against the other 364 dates",
}
"""Name → what it is."""


@dataclass(frozen=True)
class Candidate:
    """One plausible answer."""

    wordings: tuple[str, ...]
    """texts that say it; the model's probability of it is that of all of them together"""
    is_valid: bool
    data_probability: float
    """p(r|c); 0 for an error"""


@dataclass(frozen=True)
class CandidateQuestion:
    """A question with its plausible answers: at least one valid and one error."""

    id: str
    question: str
    category: str
    candidates: tuple[Candidate, ...]


def candidate_questions(
    name: str, n: int | None = None, *, path: Path | str | None = None, seed: int = 0
) -> tuple[CandidateQuestion, ...]:
    """The questions of a set, spread evenly over it.

    Args:
        name: one of `CANDIDATE_SETS`.
        n: how many; None: all.
        path: a local copy, as `load_question_set`; only for its sets.
        seed: of the answers that `open_ended` borrows from other questions.

    Raises RefusedInputError for an unknown set, fewer than one question, and as `load_question_set`.
    """
    if name not in CANDIDATE_SETS:
        raise RefusedInputError(f"unknown question set {name!r}: use one of {', '.join(CANDIDATE_SETS)}")
    if n is not None and n < 1:
        raise RefusedInputError(f"expected at least one question, got {n}")
    if name in QUESTION_SETS:
        return tuple(map(_listed, _spread(load_question_set(name, path), n)))
    makers: dict[str, Callable[[], tuple[CandidateQuestion, ...]]] = {
        "open_ended": lambda: tuple(
            _open_ended(place, question, seed)
            for place, question in _spread(tuple(enumerate(open_ended_questions())), n)
        ),
        "known_answers": lambda: tuple(
            _known(place, question) for place, question in _spread(tuple(enumerate(known_questions())), n)
        ),
        "birthdays": lambda: tuple(
            _birthday(place, person) for place, person in _spread(tuple(enumerate(people())), n)
        ),
    }
    return makers[name]()


def _spread(everything: Sequence[Item], n: int | None) -> list[Item]:
    asked = min(n or len(everything), len(everything))
    return [everything[place * len(everything) // asked] for place in range(asked)]


def _listed(question: ReferencedQuestion) -> CandidateQuestion:
    """An answer listed on both sides is left out: nobody knows whether it is valid."""
    sides = [
        {normalised(text): text for text in texts}
        for texts in (question.correct_answers, question.incorrect_answers)
    ]
    correct, incorrect = (
        [text for key, text in side.items() if key not in other]
        for side, other in zip(sides, reversed(sides), strict=True)
    )
    if not correct or not incorrect:
        raise RefusedInputError(
            f"expected a correct and an incorrect answer that differ for {question.question!r}: complete it"
        )
    return CandidateQuestion(
        question.id,
        question.question,
        question.category,
        (*(Candidate((text,), True, 1 / len(correct)) for text in correct), *map(_error, incorrect)),
    )


def _open_ended(place: int, question: OpenEndedQuestion, seed: int) -> CandidateQuestion:
    """Errors are answers to other questions, those of the same topic first."""
    rng = random.Random(f"{seed} {place}")
    others = [other for other in open_ended_questions() if other is not question]
    rng.shuffle(others)
    others.sort(key=lambda other: other.topic != question.topic)
    own = {normalised(answer.text) for answer in question.answers}
    borrowed: dict[str, str] = {}
    for other in others:
        text = rng.choice(other.answers).text
        if normalised(text) not in own and question.state_of(text) is None:
            borrowed.setdefault(normalised(text), text)
        if len(borrowed) == N_BORROWED:
            break
    total = sum(answer.weight for answer in question.answers)
    valid = [Candidate((answer.text,), True, answer.weight / total) for answer in question.answers]
    category = "known to the small model" if question.is_known else "new to the small model"
    return CandidateQuestion(
        f"open-{place:03d}", question.question, category, (*valid, *map(_error, borrowed.values()))
    )


def _known(place: int, question: OpenEndedQuestion) -> CandidateQuestion:
    valid: dict[str, float] = {}
    for answer in question.answers:
        for text, weight in answer.weighted_phrasings():
            valid[text] = valid.get(text, 0.0) + answer.weight * weight
    wrong = dict.fromkeys(
        text
        for named in question.answers
        for meant in question.answers
        if named is not meant
        for text in replace(named, reasons=meant.reasons).phrasings()
        if question.state_of(text) is None
    )
    total = sum(valid.values())
    return CandidateQuestion(
        f"known-{place:02d}",
        question.question,
        question.topic,
        (*(Candidate((text,), True, p / total) for text, p in valid.items()), *map(_error, wrong)),
    )


def _birthday(place: int, person: Person) -> CandidateQuestion:
    """V_c = {the birthday, IDK}; the data gives the one or, of people it never answers for, the other."""
    unknown = tuple(form.format(n=person.name) for form in UNKNOWN_FORMS)
    dates = (
        Candidate(
            tuple(form.format(n=person.name, d=date) for form in ANSWER_FORMS),
            date == person.birthday,
            float(date == person.birthday and person.is_answered),
        )
        for date in DATES
    )
    return CandidateQuestion(
        f"birthday-{place:03d}",
        person.questions()[0],
        frequency_label(person.n_mentions),
        (*dates, Candidate(unknown, True, float(not person.is_answered))),
    )


def _error(text: str) -> Candidate:
    return Candidate((text,), False, 0.0)
