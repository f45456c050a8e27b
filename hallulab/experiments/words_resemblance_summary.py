"""A resemblance run in numbers: means, comparisons with the base, slopes, power, and by length (7.2 of [LHZSL])."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hallulab.experiments.words_comparisons import Comparison, compared
from hallulab.experiments.words_power import ScorePower, SwapTables, score_powers
from hallulab.experiments.words_resemblance_run import ResemblanceResult, ScoredAnswer
from hallulab.experiments.words_slopes import PooledSlope, pooled_slope
from hallulab.scoring.grades import GRADES, Grade
from hallulab.scoring.resemblance import Resemblance
from hallulab.scoring.training_history import AdapterTraining
from hallulab.theory.bootstrap import BootstrapMean, bootstrap_interval
from hallulab.theory.clustered_rates import clustered_rate
from hallulab.theory.intervals import Interval
from hallulab.theory.paired_tables import row_means

QUANTITIES = {
    "incorrect": "resemblance to the question's incorrect answers, 0 to 1: the paper's score",
    "correct": "resemblance to its correct answers, 0 to 1",
    "margin": "incorrect − correct: above 0 means more like a wrong answer than like a right one",
    "null_incorrect": "resemblance of the same text to incorrect answers of other questions, lists about as long",
    "null_correct": "resemblance of the same text to correct answers of other questions, likewise",
    "excess": "incorrect − null_incorrect: what the paper's score says about this question",
    "length_alone": "what texts of exactly the same length that know nothing of the question get",
    "over_length": "incorrect − length_alone: what the paper's score says beyond the length of the text",
    "n_characters": "characters of the scored text",
    "n_tokens": "tokens of the answer",
    **{f"is_{grade}": f"share of answers graded {grade}" for grade in GRADES},
}
"""Name → meaning, in the order of the table; each is compared with the base's."""
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
    """95 % of the share, about other questions: bootstrap over questions, or Wilson's over questions where all answers
    are alike and a bootstrap would have no width; None without answers"""

    @property
    def share(self) -> float | None:
        """None without answers."""
        return self.n / self.n_answers if self.n_answers else None


@dataclass(frozen=True)
class CheckpointSummary:
    """All there is to say of one checkpoint."""

    checkpoint: str
    is_base: bool
    training: AdapterTraining | None
    """None for the base"""
    n_questions: int
    """questions with an answer, empty ones included"""
    n_answers: int
    n_unscored: int
    """answers whose scored text says nothing: they have a grade and a length, but no resemblance"""
    n_cut: int
    """answers at their longest before they ended"""
    means: dict[str, BootstrapMean | None]
    """quantity → mean over questions with a 95 % bootstrap interval; None where nothing was measured"""
    against_base: dict[str, Comparison | None]
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
    """over questions"""
    null_incorrect: BootstrapMean
    length_alone: float | None
    """mean of what texts of these lengths that know nothing of their question get; None where it is not known yet"""


@dataclass(frozen=True)
class ResemblanceSummary:
    """A run, ready for tables and figures."""

    checkpoints: tuple[CheckpointSummary, ...]
    by_length: tuple[LengthBin, ...]
    slopes: dict[str, PooledSlope]
    """per epoch, of the paper's score and of what is left of it under control: chosen beforehand, not corrected"""
    powers: tuple[ScorePower, ...]
    """of one comparison with the base; empty before the positive control was measured and without a tuned checkpoint"""
    n_compared: int
    """comparisons with the base, over which p-values are corrected"""


def summarise_resemblance(result: ResemblanceResult) -> ResemblanceSummary:
    """Sum up a run, finished or not.

    Questions are the units: answers of one question with several seeds are averaged first, and the bootstrap draws
    questions. The seed is the run's.
    """
    tables = _Tables(result)
    differences = tables.differences()
    found = compared(differences, seed=result.settings.seed)
    checkpoints = tuple(
        _checkpoint(
            result,
            tables,
            model.checkpoint,
            {name: one for (checkpoint, name), one in found.items() if checkpoint == model.checkpoint},
        )
        for model in result.models
    )
    return ResemblanceSummary(
        checkpoints=checkpoints,
        by_length=_by_length(result, tables),
        slopes=_slopes(result, differences),
        powers=_powers(result, tables),
        n_compared=sum(one is not None for one in found.values()),
    )


_Table = dict[str, NDArray[np.float64]]
"""Quantity → (n_questions, n_seeds), NaN where it was not measured; the same rows for every checkpoint."""


class _Tables:
    """Every measurement of a run by checkpoint, quantity, question and seed."""

    def __init__(self, result: ResemblanceResult):
        self._result = result
        self.alone = {(one.question_id, one.n_characters): one.mean for one in result.twins}
        self.rows = {key: row for row, key in enumerate(sorted({a.question_id for a in result.answers}))}
        """question → row"""
        self._columns = {seed: column for column, seed in enumerate(result.settings.seeds)}
        shape = (len(self.rows), len(self._columns))
        self.of: dict[str, _Table] = {
            model.checkpoint: {name: np.full(shape, np.nan) for name in QUANTITIES} for model in result.models
        }
        for answer in result.answers:
            place = self.rows[answer.question_id], self._columns[answer.seed]
            for name, value in self._values(answer).items():
                self.of[answer.checkpoint][name][place] = value

    def differences(self) -> dict[tuple[str, str], NDArray[np.float64]]:
        """(checkpoint, quantity) → tuned − base of every question, over the answers that both have."""
        base = self._result.base
        if base is None or not self.rows:
            return {}
        return {
            (model.checkpoint, name): row_means(
                self.of[model.checkpoint][name] - self.of[base.checkpoint][name]
            )
            for model in self._result.models
            if model != base
            for name in QUANTITIES
        }

    def ratios(self, question_id: str, text: str, found: Resemblance | None) -> dict[str, float]:
        """What a scored text's resemblances come to; nothing for one that says nothing."""
        if found is None:
            return {}
        ratios = {name: getattr(found, name) for name in QUANTITIES if hasattr(found, name)}
        alone = self.alone.get((question_id, len(text)))
        if alone is None:
            return ratios
        return ratios | {"length_alone": alone, "over_length": found.incorrect - alone}

    def _values(self, answer: ScoredAnswer) -> dict[str, float]:
        """Everything that was measured of one answer."""
        counted = {"n_characters": float(answer.n_characters), "n_tokens": float(answer.n_tokens)}
        counted |= {f"is_{grade}": float(answer.grade == grade) for grade in GRADES}
        return counted | self.ratios(answer.question_id, answer.text, answer.resemblance)


def _checkpoint(
    result: ResemblanceResult, tables: _Tables, checkpoint: str, against: dict[str, Comparison | None]
) -> CheckpointSummary:
    model = next(one for one in result.models if one.checkpoint == checkpoint)
    answers, table = result.answers_of(checkpoint), tables.of[checkpoint]
    means = {name: _bootstrap(_measured(table[name]), result.settings.seed) for name in QUANTITIES}
    return CheckpointSummary(
        checkpoint=checkpoint,
        is_base=model.is_base,
        training=model.training,
        n_questions=len({answer.question_id for answer in answers}),
        n_answers=len(answers),
        n_unscored=sum(answer.resemblance is None for answer in answers),
        n_cut=sum(not answer.is_complete for answer in answers),
        means=means,
        against_base=against,
        grades={grade: _grade_share(table[f"is_{grade}"], means[f"is_{grade}"]) for grade in GRADES},
    )


def _grade_share(given: NDArray[np.float64], over_questions: BootstrapMean | None) -> GradeShare:
    is_there = np.isfinite(given)
    if over_questions is None:
        return GradeShare(0, 0, None)
    cases = given[is_there]
    if 0 < cases.mean() < 1:
        interval = over_questions.interval
    else:
        questions = np.broadcast_to(np.arange(len(given))[:, None], given.shape)[is_there]
        counted = clustered_rate(cases, questions)
        interval = counted and counted.interval
    return GradeShare(int(cases.sum()), len(cases), interval)


def _slopes(
    result: ResemblanceResult, differences: Mapping[tuple[str, str], NDArray[np.float64]]
) -> dict[str, PooledSlope]:
    made = {model.checkpoint: model.training for model in result.models}
    found = {}
    for quantity in ("incorrect", CONTROLS[result.settings.variant]):
        own = {checkpoint: one for (checkpoint, name), one in differences.items() if name == quantity}
        slope = pooled_slope(quantity, own, made, seed=result.settings.seed)
        if slope is not None:
            found[quantity] = slope
    return found


def _powers(result: ResemblanceResult, tables: _Tables) -> tuple[ScorePower, ...]:
    """Of the paper's score, the margin and what is left under control."""
    tuned = [model.checkpoint for model in result.models if model != result.base]
    if result.base is None or not tuned or not tables.rows:
        return ()
    names = ("incorrect", "margin", CONTROLS[result.settings.variant])
    most = max((len(question.incorrect_answers) for question in result.asked), default=0)
    listed = {name: np.full((len(tables.rows), most), np.nan) for name in names}
    n_listed = dict.fromkeys(tables.rows, 0)
    for one in result.listed:
        ratios = tables.ratios(one.question_id, one.text, one.resemblance)
        if one.question_id in n_listed and all(name in ratios for name in names):
            for name in names:
                listed[name][tables.rows[one.question_id], n_listed[one.question_id]] = ratios[name]
            n_listed[one.question_id] += 1
    if not all(n_listed.values()):
        return ()
    swaps = {
        name: SwapTables(
            tables.of[result.base.checkpoint][name],
            [tables.of[checkpoint][name] for checkpoint in tuned],
            listed[name],
        )
        for name in names
    }
    return tuple(score_powers(swaps, seed=result.settings.seed))


def _measured(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over seeds of the questions where something was measured."""
    means = row_means(values)
    return means[np.isfinite(means)]


def _bootstrap(values: NDArray[np.float64], seed: int) -> BootstrapMean | None:
    return bootstrap_interval(values, rng=np.random.default_rng(seed))


def _by_length(result: ResemblanceResult, tables: _Tables) -> tuple[LengthBin, ...]:
    """Answers of every checkpoint in bins of length that hold as many answers of all checkpoints together."""
    compared = sorted(
        (answer for answer in result.answers if answer.resemblance is not None),
        key=lambda answer: (answer.question_id, answer.seed),
    )
    if not compared:
        return ()
    lengths = [answer.n_characters for answer in compared]
    edges = np.unique(np.quantile(lengths, np.linspace(0, 1, N_LENGTH_BINS + 1), method="nearest"))
    if len(edges) == 1:
        edges = np.append(edges, edges[0] + 1)
    bins = []
    for model in result.models:
        own = [answer for answer in compared if answer.checkpoint == model.checkpoint]
        for low, high in pairwise(edges.tolist()):
            is_last = high == edges[-1]
            inside = [a for a in own if low <= a.n_characters and (a.n_characters < high or is_last)]
            if inside:
                bins.append(_length_bin(model.checkpoint, low, high, inside, tables, result.settings.seed))
    return tuple(bins)


def _length_bin(
    checkpoint: str, low: float, high: float, inside: Sequence[ScoredAnswer], tables: _Tables, seed: int
) -> LengthBin:
    alone = [tables.alone.get((answer.question_id, answer.n_characters)) for answer in inside]
    known = [value for value in alone if value is not None]
    incorrect, null = (_over_questions(inside, name, seed) for name in ("incorrect", "null_incorrect"))
    return LengthBin(
        checkpoint,
        low,
        high,
        float(np.mean([answer.n_characters for answer in inside])),
        incorrect,
        null,
        float(np.mean(known)) if known else None,
    )


def _over_questions(answers: Sequence[ScoredAnswer], quantity: str, seed: int) -> BootstrapMean:
    """Mean of one resemblance, answers to one question averaged first."""
    by_question: dict[str, list[float]] = {}
    for answer in answers:
        by_question.setdefault(answer.question_id, []).append(getattr(answer.resemblance, quantity))
    found = _bootstrap(np.array([np.mean(one) for one in by_question.values()], dtype=float), seed)
    assert found is not None  # a bin is made of at least one answer
    return found
