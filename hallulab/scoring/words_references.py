"""One answer to a question with known right and wrong answers: its grade, and which of them it is like.

Letters alone make any two texts somewhat alike, and a longer list is likelier to hold something alike. So the same
answer is held against the references of other questions with about as many of them, of which it can know nothing.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from hallulab.data.question_sets import ReferencedQuestion
from hallulab.engine.core import Engine
from hallulab.engine.words import AnswerBuilder, stream_answers
from hallulab.errors import RefusedInputError
from hallulab.scoring.grades import Graded, grade_answer
from hallulab.scoring.job_progress import taking_turns
from hallulab.scoring.resemblance import closest_ratio, gestalt_ratio
from hallulab.scoring.words import AnswerToken, AskSettings, answer_tokens, begun_ids

UNUSUAL = 0.05
"""An answer is like its references when at most this share of other questions' references is as like it."""
LEAST_NULL = 100
"""Other questions in a null, as far as there are so many: those with as many references, then the nearest in number."""

Side = Literal["incorrect_answers", "correct_answers"]
SIDES: tuple[Side, ...] = get_args(Side)


@dataclass(frozen=True)
class Likeness:
    """How like a list of references an answer is."""

    ratio: float
    """Gestalt ratio to the nearest one, 0 to 1 (7.2 of [LHZSL])."""
    nearest: str
    """That reference."""
    null: NDArray[np.float64]
    """(n_others,) the same ratio to the lists of other questions, about as long."""

    @property
    def null_mean(self) -> float:
        """What letters alone come to."""
        return float(self.null.mean())

    @property
    def n_as_alike(self) -> int:
        """Other questions whose list is at least as like the answer."""
        return int((self.null >= self.ratio).sum())

    @property
    def p_value(self) -> float:
        """Chance of as much likeness if the question did not matter (a permutation test, so never 0)."""
        return (1 + self.n_as_alike) / (1 + len(self.null))

    def to_json(self) -> dict[str, Any]:
        """The numbers without the null's single values."""
        return {
            "ratio": self.ratio,
            "nearest": self.nearest,
            "null_mean": self.null_mean,
            "n_null": len(self.null),
            "n_as_alike": self.n_as_alike,
            "p_value": self.p_value,
        }


@dataclass(frozen=True)
class ReferencedAnswer:
    """An answer, its grade, and its likeness to both lists of its question."""

    question: ReferencedQuestion
    settings: AskSettings
    checkpoint: str
    model: str
    answer: str
    tokens: tuple[AnswerToken, ...]
    """None for a given text."""
    graded: Graded
    incorrect: Likeness | None
    """None for an empty answer, which is like nothing."""
    correct: Likeness | None
    either: Likeness | None
    """To both lists as one: what the finding rests on, as it looks at the nearer of two."""

    @property
    def finding(self) -> Literal["incorrect", "correct", "chance", "empty"]:
        """Which list the answer is like, if it is more like either than chance explains."""
        if self.incorrect is None or self.correct is None or self.either is None:
            return "empty"
        if self.either.p_value > UNUSUAL:
            return "chance"
        return "incorrect" if self.incorrect.ratio >= self.correct.ratio else "correct"

    def to_json(self) -> dict[str, Any]:
        """What the command line and the endpoint give."""
        return {
            "question_id": self.question.id,
            "question": self.question.question,
            "category": self.question.category,
            "source": self.question.source,
            "answer": self.answer,
            "model": self.model,
            "checkpoint": self.checkpoint,
            "seed": self.settings.seed,
            "grade": self.graded.grade,
            "grade_rule": self.graded.rule,
            "grade_reference": self.graded.reference,
            "finding": self.finding,
            "incorrect": None if self.incorrect is None else self.incorrect.to_json(),
            "correct": None if self.correct is None else self.correct.to_json(),
            "either": None if self.either is None else self.either.to_json(),
        }


@dataclass(frozen=True)
class ReferencedProgress:
    """How far the answer is."""

    message: str
    fraction: float
    """Share of the work done, 0 to 1."""
    tokens: tuple[AnswerToken, ...] = ()
    """The answer so far."""
    result: ReferencedAnswer | None = None
    """The end: set once, in the last progress."""


def answer_referenced(
    engine: Engine, settings: AskSettings, questions: Sequence[ReferencedQuestion], question_id: str
) -> Generator[ReferencedProgress, None, None]:
    """Answer one question of a set, or take the answer given, and compare it; the last progress holds the result.

    Args:
        engine: with the models.
        settings: how the answer is drawn; their question is replaced by that of the set.
        questions: the whole set, whose other questions make the null.
        question_id: which one is asked.

    Raises RefusedInputError for an unknown id, a set of one question, and settings that cannot be used.
    """
    question = question_of(questions, question_id)
    settings = with_question(settings, question).checked()
    generation = settings.generation(engine)
    checkpoint = settings.checkpoint or engine.default_checkpoint("words")
    engine.checkpoint_place("words", checkpoint)
    answer, tokens, writer = settings.answer or "", (), "given text"
    if settings.answer is None:
        with engine.enter("references") as ticket:
            for step in taking_turns(ticket):
                yield ReferencedProgress(step.message, step.fraction)
            qwen, builder = engine.qwen(checkpoint), AnswerBuilder()
            begun = begun_ids(qwen, settings, generation)
            for (token,) in stream_answers(
                qwen, [question.question], [settings.seed], generation, begun=begun
            ):
                builder.add(token)
                answer, tokens = builder.answer().text, answer_tokens(builder.answer())
                yield ReferencedProgress("answering", 0.9 * len(tokens) / generation.max_new_tokens, tokens)
            writer = qwen.name
    yield ReferencedProgress("comparing", 0.9, tokens)
    result = ReferencedAnswer(
        question=question,
        settings=settings,
        checkpoint=checkpoint,
        model=writer,
        answer=answer,
        tokens=tokens,
        graded=grade_answer(answer, question.correct_answers, question.incorrect_answers),
        incorrect=likeness(answer, question, questions, ("incorrect_answers",)),
        correct=likeness(answer, question, questions, ("correct_answers",)),
        either=likeness(answer, question, questions, SIDES),
    )
    yield ReferencedProgress("compared", 1.0, tokens, result)


def likeness(
    answer: str,
    question: ReferencedQuestion,
    questions: Sequence[ReferencedQuestion],
    sides: Sequence[Side],
) -> Likeness | None:
    """How like a question's references an answer is, and how like those of others; None for one that says nothing.

    Args:
        answer: the text.
        question: whose references they are.
        questions: the set, whose other questions make the null.
        sides: which of its lists, taken as one.
    """
    own = _references(question, sides)
    ratio = closest_ratio(answer, own)
    if ratio is None:
        return None
    others = null_questions(question, questions, sides)
    null = [closest_ratio(answer, _references(other, sides)) for other in others]
    nearest = max(own, key=lambda reference: gestalt_ratio(answer, reference))
    return Likeness(ratio, nearest, np.array(null, dtype=float))


def null_questions(
    question: ReferencedQuestion, questions: Sequence[ReferencedQuestion], sides: Sequence[Side]
) -> list[ReferencedQuestion]:
    """The other questions whose number of references is nearest to this one's: `LEAST_NULL` and all as near."""
    others = [other for other in questions if other.id != question.id]
    n_own = len(_references(question, sides))
    apart = [abs(len(_references(other, sides)) - n_own) for other in others]
    reach = sorted(apart)[:LEAST_NULL][-1]
    return [other for other, distance in zip(others, apart, strict=True) if distance <= reach]


def _references(question: ReferencedQuestion, sides: Sequence[Side]) -> tuple[str, ...]:
    return tuple(reference for side in sides for reference in getattr(question, side))


def question_of(questions: Sequence[ReferencedQuestion], question_id: str) -> ReferencedQuestion:
    """The question of this id; RefusedInputError when there is none, or no other to compare with."""
    found = [question for question in questions if question.id == question_id]
    if not found:
        raise RefusedInputError(
            f"unknown question id {question_id!r}: the ids run from {questions[0].id} to {questions[-1].id}"
        )
    if len(questions) < 2:
        raise RefusedInputError("expected at least two questions, got one: the others make the null")
    return found[0]


def with_question(settings: AskSettings, question: ReferencedQuestion) -> AskSettings:
    """The settings for a question of the set; hints belong to another question."""
    return replace(settings, question=question.question, states=())
