"""Texts that know nothing of a question, exactly as long as an answer to it: the control of length (7.2 of [LHZSL])."""

import random
from collections.abc import Sequence
from itertools import count

from hallulab.data.open_ended import open_ended_questions
from hallulab.data.question_sets import ReferencedQuestion
from hallulab.experiments.words_resemblance_run import LengthTwins, WordsResemblanceSettings
from hallulab.scoring.resemblance import closest_ratio

N_SENTENCES = 16
"""in a row of unrelated sentences; a longer text repeats the row"""


class TwinWriter:
    """Writes the twins of answers: everyday suggestions of this project in random order, cut to a length.

    For one question and draw the order is the same at every length and whoever answers, unless a cut would end in a
    blank: then the next order is tried, so that no twin is shorter than its answer.
    """

    def __init__(self, settings: WordsResemblanceSettings, asked: Sequence[ReferencedQuestion]):
        self._settings = settings
        self._asked = {question.id: question for question in asked}
        self._sentences = [a.phrasings()[0] for question in open_ended_questions() for a in question.answers]
        self._rows: dict[tuple[str, int, int], str] = {}

    def texts(self, question_id: str, n_characters: int) -> list[str]:
        """So many characters each, a text per draw; with `paper_code` they begin with the question, as answers do.

        Raises KeyError for a question that was not named.
        """
        begun = self._asked[question_id].question if self._settings.choices.scores_prompt else ""
        n_left = max(0, n_characters - len(begun))
        if begun and n_left > 1:
            begun, n_left = begun + " ", n_left - 1
        return [begun + self._cut(question_id, draw, n_left) for draw in range(self._settings.n_twins)]

    def twins(self, question_id: str, n_characters: int) -> LengthTwins:
        """What they score: resemblance to the question's incorrect answers."""
        references = self._asked[question_id].incorrect_answers
        ratios = [closest_ratio(text, references) for text in self.texts(question_id, n_characters)]
        return LengthTwins(question_id, n_characters, tuple(ratio for ratio in ratios if ratio is not None))

    def _cut(self, question_id: str, draw: int, n_characters: int) -> str:
        rows = (self._row(question_id, draw, attempt, n_characters) for attempt in count())
        return next(row[:n_characters] for row in rows if not row[:n_characters].endswith(" "))

    def _row(self, question_id: str, draw: int, attempt: int, n_characters: int) -> str:
        key = (question_id, draw, attempt)
        if key not in self._rows:
            rng = random.Random(
                f"twin {self._settings.seed} {draw} {attempt} {self._asked[question_id].question}"
            )
            self._rows[key] = " ".join(rng.sample(self._sentences, N_SENTENCES))
        row = self._rows[key]
        return " ".join([row] * (1 + n_characters // len(row)))
