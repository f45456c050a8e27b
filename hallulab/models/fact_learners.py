"""Learners of arbitrary facts whose p̂(r|c) is known exactly, from memoriser to n-gram (§3.3 of [KNVZ])."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from hallulab.data.facts_world import ABSTAINED, RIGHT, WRONG, FactsWorld, TrainingCounts
from hallulab.models.ngram import count_ngrams
from hallulab.theory.is_it_valid import AnswerWorld


@dataclass(frozen=True, eq=False)
class Learned:
    """What a learner says to every prompt, beside the truth, in the columns that suffice for it."""

    facts: FactsWorld
    truth: AnswerWorld
    """`facts.grouped` or `facts.dense`"""
    probability: NDArray[np.float64]
    """p̂(r|c) of one member of each column, shape (n_prompts, n_columns)"""

    def distribution(self, prompt: int) -> NDArray[np.float64]:
        """p̂ of every answer to one prompt, IDK last, shape (n_answers + 1,)."""
        row = self.probability[prompt]
        if self.truth is not self.facts.grouped:
            return row.copy()
        found = np.zeros(self.facts.settings.n_answers + 1)
        found[: self.facts.n_answers[prompt]] = row[WRONG]
        found[self.facts.right_answer[prompt]], found[self.facts.idk] = row[RIGHT], row[ABSTAINED]
        return found

    @property
    def abstention(self) -> NDArray[np.float64]:
        """p̂(IDK|c), shape (n_prompts,)."""
        return self.probability[:, ABSTAINED if self.truth is self.facts.grouped else self.facts.idk]

    @property
    def abstention_rate(self) -> float:
        """How often the learner says IDK."""
        return float(self.abstention @ self.facts.prompt_weights)


def memoriser(facts: FactsWorld, counts: TrainingCounts) -> Learned:
    """The paper's calibrated learner (proof of Theorem 2): p itself where an answer was seen, else a guess.

    It must be told every α_c: it guesses evenly on R_c as often as the data would have answered.
    """
    rate, unseen = facts.answer_rate, counts.n_answered == 0
    guess = rate / facts.n_answers
    return _grouped(facts, np.where(unseen, guess, rate), np.where(unseen, guess, 0.0), 1 - rate)


def counter(facts: FactsWorld, counts: TrainingCounts) -> Learned:
    """The memoriser that is told nothing: shares as counted for a prompt that was seen; the average α elsewhere."""
    seen, average = counts.n_seen, counts.n_answered.sum() / counts.n_samples
    rate = np.where(seen > 0, counts.n_answered / np.maximum(seen, 1), average)
    guess = np.where(seen > 0, 0.0, rate / facts.n_answers)
    return _grouped(facts, np.where(seen > 0, rate, guess), guess, 1 - rate)


def abstainer(facts: FactsWorld, counts: TrainingCounts) -> Learned:
    """p itself where an answer was seen, IDK elsewhere: it never errs, and pays in δ."""
    rate = np.where(counts.n_answered > 0, facts.answer_rate, 0.0)
    return _grouped(facts, rate, np.zeros_like(rate), 1 - rate)


def name_ngram(facts: FactsWorld, counts: TrainingCounts, *, order: int) -> Learned:
    """An n-gram over first name, last name, answer; what it never saw it takes from the next shorter one.

    n = 3 knows whom it is asked about, n = 2 the last name alone, n = 1 nothing.
    Raises RefusedInputError for a world too large to keep every answer's probability.
    """
    truth = facts.dense
    model = count_ngrams(
        np.tile(facts.name_tokens, (2, 1)),
        np.concatenate([facts.right_answer, np.full(facts.n_prompts, facts.idk)]),
        order,
        n_tokens=facts.idk + 1,
        counts=np.concatenate([counts.n_answered, counts.n_idk]),
    )
    # what is no plausible answer to this prompt is mass that the model loses
    return Learned(facts, truth, model.predict(facts.name_tokens) * (truth.n_members > 0))


EXACT_LEARNERS: Mapping[str, Callable[[FactsWorld, TrainingCounts], Learned]] = {
    "memoriser": memoriser,
    "counter": counter,
    "abstainer": abstainer,
    "trigram": partial(name_ngram, order=3),
    "bigram": partial(name_ngram, order=2),
    "unigram": partial(name_ngram, order=1),
}
"""by the name in settings and records"""
GROUPED_LEARNERS = ("memoriser", "counter", "abstainer")
"""those that treat errors alike, and so work in worlds of any size"""


def _grouped(
    facts: FactsWorld, right: NDArray[np.float64], wrong: NDArray[np.float64], idk: NDArray[np.float64]
) -> Learned:
    probability = np.empty((facts.n_prompts, 3))
    probability[:, RIGHT], probability[:, WRONG], probability[:, ABSTAINED] = right, wrong, idk
    return Learned(facts, facts.grouped, probability)
