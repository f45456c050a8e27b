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
from hallulab.scoring.grades import says_nothing


@dataclass(frozen=True)
class Resemblance:
    """How like its references one answer is, each the largest ratio to any of a list, 0 to 1."""

    incorrect: float
    """to the question's incorrect answers: the paper's score"""
    correct: float
    """to its correct answers"""
    null_incorrect: float
    """to the incorrect answers of other questions, mean over lists about as long (`Strangers`)"""
    null_correct: float
    """to the correct answers of others, likewise"""

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
    """The largest Gestalt ratio to any reference; None for a text that says nothing, or without references.

    A text without a letter and a digit says nothing, here as in the grades: a lone full stop is like no answer.
    """
    ratios = [gestalt_ratio(text, reference) for reference in references]
    return max(ratios) if ratios and not says_nothing(text) else None


@dataclass(frozen=True)
class Strangers:
    """Questions whose lists are the null of one question: about as long as its own, as a longer list is likelier to
    hold something alike."""

    incorrect: tuple[ReferencedQuestion, ...]
    """lend their incorrect answers"""
    correct: tuple[ReferencedQuestion, ...]
    """lend their correct answers"""


def strangers_of(
    questions: Sequence[ReferencedQuestion], n_draws: int, *, rng: np.random.Generator
) -> list[Strangers]:
    """For every question the others that lend it their lists, `n_draws` of each kind, by `matched_others`."""
    incorrect = matched_others([len(q.incorrect_answers) for q in questions], n_draws, rng=rng)
    correct = matched_others([len(q.correct_answers) for q in questions], n_draws, rng=rng)
    return [
        Strangers(tuple(questions[place] for place in wrong), tuple(questions[place] for place in right))
        for wrong, right in zip(incorrect.tolist(), correct.tolist(), strict=True)
    ]


def matched_others(sizes: Sequence[int], n_draws: int, *, rng: np.random.Generator) -> NDArray[np.int64]:
    """For every list some others about as long, in a fair exchange: each is lent as often as any.

    Lists of one length change among themselves; lengths with too few lists are put together with the next longer.

    Args:
        sizes: length of each list, at least 2 lists.
        n_draws: others per list, fewer than there are lists.
        rng: source of the order.

    Returns: shape (n_lists, n_draws); a row holds neither its own place nor a place twice.
    Raises RefusedInputError for too few lists or draws.
    """
    n = len(sizes)
    if not 1 <= n_draws < n:
        least = max(2, n_draws + 1)
        raise RefusedInputError(
            f"expected at least {least} questions and 1 other for each, as what answers are held against, got {n} and "
            f"{n_draws}: ask more questions"
        )
    shuffled = rng.permutation(n)
    order = shuffled[np.argsort(np.asarray(sizes)[shuffled], kind="stable")]
    others = np.empty((n, n_draws), dtype=np.int64)
    for group in _groups(order, np.asarray(sizes), n_draws + 1):
        steps = np.arange(len(group))[:, None] + np.arange(1, n_draws + 1)
        others[group] = group[steps % len(group)]
    return others


def _groups(order: NDArray[np.int64], sizes: NDArray[np.int64], least: int) -> list[NDArray[np.int64]]:
    """Places of one length together, in groups of at least `least`."""
    starts = [0]
    for place in range(1, len(order)):
        is_longer = sizes[order[place]] != sizes[order[place - 1]]
        if is_longer and place - starts[-1] >= least and len(order) - place >= least:
            starts.append(place)
    return np.split(order, starts[1:])


def resemblance(text: str, question: ReferencedQuestion, strangers: Strangers) -> Resemblance | None:
    """One answer against its own references and those of other questions; None for a text that says nothing.

    Args:
        text: what is scored.
        question: what was asked, with at least one reference of each kind.
        strangers: the questions of the null, at least one of each kind.
    """
    if says_nothing(text):
        return None
    lists = [
        [question.incorrect_answers],
        [question.correct_answers],
        [other.incorrect_answers for other in strangers.incorrect],
        [other.correct_answers for other in strangers.correct],
    ]
    means = (np.mean([closest_ratio(text, one) for one in kind], dtype=float) for kind in lists)  # type: ignore[arg-type]
    return Resemblance(*map(float, means))
