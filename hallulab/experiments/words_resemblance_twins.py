"""Texts that know nothing of a question, as long as an answer to it: the control of length (Section 7.2 of [LHZSL])."""

import random
from collections.abc import Sequence

from hallulab.data.open_ended import open_ended_questions
from hallulab.data.question_sets import ReferencedQuestion
from hallulab.experiments.words_resemblance_run import ScoredAnswer, WordsResemblanceSettings
from hallulab.scoring.resemblance import closest_ratio

N_SENTENCES = 16
"""in a row of unrelated sentences: longer than any answer of the paper's settings"""


class LengthTwins:
    """For every answer the score of a text of its length, beginning with the question where the answer's does.

    The texts are everyday suggestions of this project in random order: for one question the same order at every length,
    whoever answers.
    """

    def __init__(self, settings: WordsResemblanceSettings, asked: Sequence[ReferencedQuestion]):
        sentences = [a.phrasings()[0] for question in open_ended_questions() for a in question.answers]
        self._scores_prompt = settings.choices.scores_prompt
        self._asked = {question.id: question for question in asked}
        self._rows = {
            question.id: " ".join(
                random.Random(f"filler {settings.seed} {place}").sample(sentences, N_SENTENCES)
            )
            for place, question in enumerate(asked)
        }
        self._scores: dict[tuple[str, int], float | None] = {}

    def text(self, question_id: str, n_characters: int) -> str:
        """So many characters of sentences that have nothing to do with the question, behind it where it is scored."""
        row, question = self._rows[question_id], self._asked[question_id].question
        return (question + " " + row[:n_characters] if self._scores_prompt else row[:n_characters]).strip()

    def score(self, answer: ScoredAnswer) -> float | None:
        """Resemblance to incorrect answers of the twin of an answer; None for an empty one.

        Raises KeyError for an answer to a question that was not named.
        """
        question = self._asked[answer.question_id]
        n_own = answer.n_characters - (len(question.question) + 1 if self._scores_prompt else 0)
        key = (answer.question_id, max(0, n_own))
        if key not in self._scores:
            self._scores[key] = closest_ratio(self.text(*key), question.incorrect_answers)
        return self._scores[key]
