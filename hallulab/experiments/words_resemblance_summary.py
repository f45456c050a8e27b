"""A resemblance run in numbers: means with intervals, paired against the base, and by length (7.2 of [LHZSL])."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hallulab.experiments.words_resemblance_run import LengthAlone, ResemblanceResult, ScoredAnswer
from hallulab.experiments.words_resemblance_twins import LengthTwins
from hallulab.scoring.grades import GRADES, Grade
from hallulab.theory.bootstrap import BootstrapMean, PairedDifference, bootstrap_interval, paired_difference
from hallulab.theory.intervals import Interval, wilson_interval

QUANTITIES = {
    "incorrect": "resemblance to the question's incorrect answers, 0 to 1: the paper's score",
    "correct": "resemblance to its correct answers, 0 to 1",
    "margin": "incorrect − correct: above 0 means more like a wrong answer than like a right one",
    "null_incorrect": "resemblance of the same text to incorrect answers of other questions",
    "null_correct": "resemblance of the same text to correct answers of other questions",
    "excess": "incorrect − null_incorrect: what the paper's score says about this question",
    "length_alone": "what a text of the same length that knows nothing of the question gets",
    "over_length": "incorrect − length_alone: what the paper's score says beyond the length of the text",
    "n_characters": "characters of the scored text",
    "n_tokens": "tokens of the answer",
}
"""Name → meaning, in the order of the table."""
COMPARED = ("incorrect", "correct", "margin", "excess", "length_alone", "over_length", "n_characters")
"""Quantities of a checkpoint that are compared with the base's."""
CONTROLS = {"answer_only": "excess", "paper_code": "over_length"}
"""Variant → the quantity that is left of the paper's score under control. Where the question is part of the scored
text it resembles its own references and not those of others, whatever is answered: there only a text as long that
begins with the same question is a fair comparison."""
N_LENGTH_BINS = 8


@dataclass(frozen=True)
class GradeShare:
    """How often one grade was given."""

    n: int
    n_answers: int
    interval: Interval | None
    """95 % Wilson interval of the share, as if answers to one question were independent; None without answers"""

    @property
    def share(self) -> float | None:
        """None without answers."""
        return self.n / self.n_answers if self.n_answers else None


@dataclass(frozen=True)
class CheckpointSummary:
    """All there is to say of one checkpoint."""

    checkpoint: str
    is_base: bool
    n_questions: int
    """questions with an answer, empty ones included"""
    n_answers: int
    n_unscored: int
    """answers whose scored text is empty: they have a grade and a length of 0, but no resemblance"""
    n_cut: int
    """answers at their longest before they ended"""
    means: dict[str, BootstrapMean | None]
    """quantity → mean over questions with a 95 % bootstrap interval; None where nothing was measured"""
    against_base: dict[str, PairedDifference | None]
    """quantity → checkpoint − base on the same questions and seeds; empty for the base and without one"""
    grades: dict[Grade, GradeShare]


@dataclass(frozen=True)
class LengthBin:
    """Answers of one checkpoint whose scored texts are about as long."""

    checkpoint: str
    low: float
    """characters, in"""
    high: float
    """characters, out; in for the last bin"""
    mean_characters: float
    incorrect: BootstrapMean
    null_incorrect: BootstrapMean
    length_alone: float | None
    """mean of what texts of these lengths that know nothing of their question get; None where it is not known"""


@dataclass(frozen=True)
class ResemblanceSummary:
    """A run, ready for tables and figures."""

    checkpoints: tuple[CheckpointSummary, ...]
    by_length: tuple[LengthBin, ...]
    length_alone: tuple[LengthAlone, ...]
    n_compared: int
    """paired tests made: of as many, one in twenty falls below 0.05 by chance"""


def summarise_resemblance(result: ResemblanceResult) -> ResemblanceSummary:
    """Sum up a run, finished or not.

    Questions are the units: answers of one question with several seeds are averaged first, and the bootstrap draws
    questions. The seed is the run's.
    """
    tables = {model.checkpoint: _table(result, model.checkpoint) for model in result.models}
    base = tables.get(result.base.checkpoint) if result.base else None
    checkpoints = tuple(
        _checkpoint(result, model.checkpoint, model.is_base, tables[model.checkpoint], base)
        for model in result.models
    )
    return ResemblanceSummary(
        checkpoints=checkpoints,
        by_length=_by_length(result),
        length_alone=result.length_alone,
        n_compared=sum(one is not None for summary in checkpoints for one in summary.against_base.values()),
    )


def _checkpoint(
    result: ResemblanceResult,
    checkpoint: str,
    is_base: bool,
    table: "_Table",
    base: "_Table | None",
) -> CheckpointSummary:
    answers = result.answers_of(checkpoint)
    seed = result.settings.seed
    against = {} if base is None or is_base else {name: _paired(table, base, name, seed) for name in COMPARED}
    return CheckpointSummary(
        checkpoint=checkpoint,
        is_base=is_base,
        n_questions=len({answer.question_id for answer in answers}),
        n_answers=len(answers),
        n_unscored=sum(answer.resemblance is None for answer in answers),
        n_cut=sum(not answer.is_complete for answer in answers),
        means={name: _bootstrap(_per_question(table[name]), seed) for name in QUANTITIES},
        against_base=against,
        grades={grade: _grade_share(answers, grade) for grade in GRADES},
    )


_Table = dict[str, NDArray[np.float64]]
"""Quantity → (n_questions, n_seeds), NaN where it was not measured; the same rows for every checkpoint."""


def _table(result: ResemblanceResult, checkpoint: str) -> _Table:
    rows = {key: row for row, key in enumerate(sorted({answer.question_id for answer in result.answers}))}
    columns = {seed: column for column, seed in enumerate(result.settings.seeds)}
    twins = LengthTwins(result.settings, result.asked) if result.asked else None
    table = {name: np.full((len(rows), len(columns)), np.nan) for name in QUANTITIES}
    for answer in result.answers_of(checkpoint):
        place = rows[answer.question_id], columns[answer.seed]
        for name, value in _values(answer, result.length_alone, twins).items():
            table[name][place] = value
    return table


def _values(
    answer: ScoredAnswer, curve: Sequence[LengthAlone], twins: LengthTwins | None
) -> dict[str, float]:
    """What was measured of one answer; no resemblances of an empty one."""
    lengths = {"n_characters": float(answer.n_characters), "n_tokens": float(answer.n_tokens)}
    found = answer.resemblance
    if found is None:
        return lengths
    ratios = {name: getattr(found, name) for name in QUANTITIES if hasattr(found, name)}
    alone = _alone(answer, curve, twins)
    if alone is None:
        return lengths | ratios
    return lengths | ratios | {"length_alone": alone, "over_length": found.incorrect - alone}


def _alone(answer: ScoredAnswer, curve: Sequence[LengthAlone], twins: LengthTwins | None) -> float | None:
    """What the answer's length alone gets; where the questions were not kept, the mean over them at that length."""
    if twins is not None:
        return twins.score(answer)
    return _at_length(answer.n_characters, curve) if curve else None


def _at_length(n_characters: float, curve: Sequence[LengthAlone]) -> float:
    """The curve of texts without information, straight between its points and flat beyond them."""
    return float(np.interp(n_characters, [p.n_characters for p in curve], [p.incorrect for p in curve]))


def _per_question(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over seeds of the questions where something was measured."""
    n_there = np.isfinite(values).sum(axis=1)
    return np.nansum(values, axis=1)[n_there > 0] / n_there[n_there > 0]


def _bootstrap(values: NDArray[np.float64], seed: int) -> BootstrapMean | None:
    return bootstrap_interval(values, rng=np.random.default_rng(seed))


def _paired(table: _Table, base: _Table, name: str, seed: int) -> PairedDifference | None:
    """Over the answers that both have, averaged within questions."""
    difference = _per_question(table[name] - base[name])
    return paired_difference(difference, np.zeros_like(difference), rng=np.random.default_rng(seed))


def _grade_share(answers: Sequence[ScoredAnswer], grade: Grade) -> GradeShare:
    n = sum(answer.grade == grade for answer in answers)
    return GradeShare(n, len(answers), wilson_interval(n, len(answers)) if answers else None)


def _by_length(result: ResemblanceResult) -> tuple[LengthBin, ...]:
    """Answers of every checkpoint in bins of length that hold as many answers of all checkpoints together."""
    compared = sorted(
        (answer for answer in result.answers if answer.resemblance is not None),
        key=lambda answer: (answer.question_id, answer.seed),
    )
    if not compared:
        return ()
    twins = LengthTwins(result.settings, result.asked) if result.asked else None
    alone = {answer: _alone(answer, result.length_alone, twins) for answer in compared}
    lengths = [answer.n_characters for answer in compared]
    edges = np.unique(np.quantile(lengths, np.linspace(0, 1, N_LENGTH_BINS + 1), method="nearest"))
    if len(edges) == 1:
        edges = np.append(edges, edges[0] + 1)
    bins = []
    for model in result.models:
        for low, high in pairwise(edges):
            is_last = high == edges[-1]
            inside = [
                answer
                for answer in compared
                if answer.checkpoint == model.checkpoint
                and low <= answer.n_characters
                and (answer.n_characters < high or is_last)
            ]
            if inside:
                known = [value for answer in inside if (value := alone[answer]) is not None]
                bins.append(
                    replace(
                        _length_bin(model.checkpoint, float(low), float(high), inside, result.settings.seed),
                        length_alone=float(np.mean(known)) if known else None,
                    )
                )
    return tuple(bins)


def _length_bin(
    checkpoint: str, low: float, high: float, inside: Sequence[ScoredAnswer], seed: int
) -> LengthBin:
    found = [answer.resemblance for answer in inside if answer.resemblance is not None]
    incorrect = _bootstrap(np.array([one.incorrect for one in found]), seed)
    null = _bootstrap(np.array([one.null_incorrect for one in found]), seed)
    assert incorrect is not None  # a bin is made of at least one answer
    assert null is not None
    mean_characters = float(np.mean([answer.n_characters for answer in inside]))
    return LengthBin(checkpoint, low, high, mean_characters, incorrect, null, None)
