"""The paper's resemblance of an answer to known wrong answers, and what it must be held against (7.2 of [LHZSL]).

The Gestalt ratio is 2M/T, M matching characters of T in both texts: it depends on length as well as on content. So the
same answer is also compared with the correct answers, and with the references of other questions, of which it can know
nothing: what is left above that is about the question.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from cydifflib import SequenceMatcher  # pyright: ignore[reportAttributeAccessIssue]
from numpy.typing import NDArray

from hallulab.data.question_sets import ReferencedQuestion
from hallulab.errors import RefusedInputError


@dataclass(frozen=True)
class Resemblance:
    """How like its references one answer is, each the largest ratio to any of a list, 0 to 1."""

    incorrect: float
    """to the question's incorrect answers: the paper's score"""
    correct: float
    """to its correct answers"""
    null_incorrect: float
    """to the incorrect answers of other questions, mean over `other_questions`"""
    null_correct: float
    """to their correct answers, likewise"""

    @property
    def margin(self) -> float:
        """How much more like an incorrect than like a correct answer it is; positive is worse."""
        return self.incorrect - self.correct

    @property
    def excess(self) -> float:
        """What is left of the paper's score once the same text's resemblance to strangers is taken off."""
        return self.incorrect - self.null_incorrect


@lru_cache(maxsize=2**15)  # models give many answers twice, and references are lent to several questions
def gestalt_ratio(text: str, reference: str) -> float:
    """`difflib.SequenceMatcher(None, text, reference).ratio()` of the lower-cased texts, to the last bit.

    The order matters: difflib breaks ties by the first text, and leaves very frequent characters of a reference of 200
    and more out.
    """
    return SequenceMatcher(None, text.lower(), reference.lower()).ratio()


def closest_ratio(text: str, references: Iterable[str]) -> float | None:
    """The largest Gestalt ratio to any reference; None for an empty text or without references: nothing to compare."""
    ratios = [gestalt_ratio(text, reference) for reference in references]
    return max(ratios) if ratios and text.strip() else None


def other_questions(n_questions: int, n_draws: int, *, rng: np.random.Generator) -> NDArray[np.int64]:
    """For every question some others, in a fair exchange: each question's references are lent as often as any.

    Args:
        n_questions: at least 2.
        n_draws: others per question, less than n_questions.
        rng: source of the order.

    Returns: shape (n_questions, n_draws); a row holds neither its own place nor a place twice.
    Raises RefusedInputError for too few questions or draws.
    """
    if not 1 <= n_draws < n_questions:
        raise RefusedInputError(
            f"expected 1 to {n_questions - 1} other questions for each of {n_questions}, got {n_draws}: a shuffled "
            "null needs at least two questions"
        )
    order = rng.permutation(n_questions)
    place = np.empty_like(order)
    place[order] = np.arange(n_questions)
    return order[(place[:, None] + np.arange(1, n_draws + 1)) % n_questions]


def resemblance(
    text: str, question: ReferencedQuestion, others: Sequence[ReferencedQuestion]
) -> Resemblance | None:
    """One answer against its own references and those of other questions; None for an empty answer.

    Args:
        text: what is scored.
        question: what was asked, with at least one reference of each kind.
        others: the questions of the null, at least one.
    """
    if not text.strip():
        return None
    pairs = [(q.incorrect_answers, q.correct_answers) for q in (question, *others)]
    ratios = np.array(
        [[closest_ratio(text, references) for references in pair] for pair in pairs], dtype=float
    )
    null = ratios[1:].mean(axis=0)
    return Resemblance(float(ratios[0, 0]), float(ratios[0, 1]), float(null[0]), float(null[1]))
