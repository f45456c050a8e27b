"""A network's answers at scored moments, judged in closed form on all draws, by any line: no model, no flip."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from hallulab.experiments.coin_events import CoinMoment, HeldOutScores
from hallulab.experiments.coin_objectives import OBJECTIVES
from hallulab.experiments.coin_settings import CoinSettings
from hallulab.scoring.coin_rule import CoinRule
from hallulab.scoring.coin_table import AnswerScores, CoinTable, draws_interval, score_answers, scored_table
from hallulab.theory.intervals import wilson_interval

VALUES_AT_ONCE = 1 << 20
"""answers judged together, at most; bounds the memory of a long run"""


@dataclass(frozen=True)
class CoinPoint:
    """One way to answer at one moment of a network's training. All but the held-out numbers are expectations over the
    true law and all draws (a fixed sample of draws beyond N = 8); the draws without an answer are left out."""

    seed: int
    """of the round"""
    epoch: float
    """epochs behind this point; 0 is the untrained network"""
    answer: str
    """how the network's output became an answer: one of the objective's `answers`"""
    train_loss: float | None
    """the epoch's batches so far, in the objective's own loss; None before the first"""
    validation_loss: float | None
    """the held-out flips, in the objective's own loss"""
    expected_loss: float | None
    """what `validation_loss` estimates"""
    conditional_probability: float | None
    """of exactly the answered number of heads, under the variant's law"""
    conditional_probability_data_law: float | None
    """the same answers under the law that made the flips"""
    hallucination_rate: float | None
    """share of the draws whose answer δ-hallucinates"""
    squared_error: float | None
    """E(answer − heads)², of the answer as given"""
    impossible_share: float | None
    """share of the draws whose output, before any rounding, is a number that cannot come up"""
    far_share: float | None
    """share of the draws whose output, before any rounding, is further than 0.1 heads from every possible count"""
    n_draws: int
    """draws scored"""
    n_draws_missing: int
    """draws whose answer was NaN"""
    conditional_probability_interval: tuple[float, float] | None
    """95 %, under the law that made the flips, for what a sample of draws leaves open; None where all were scored"""
    hallucination_interval: tuple[float, float] | None
    squared_error_interval: tuple[float, float] | None
    held_out_conditional_probability: float | None
    """over the flips kept from training, as the paper scores, under the variant's law"""
    held_out_conditional_probability_data_law: float | None
    held_out_hallucination_rate: float | None
    """None where the line has changed since these flips were scored"""
    held_out_hallucination_interval: tuple[float, float] | None
    """95 % Wilson interval of that share"""
    held_out_squared_error: float | None
    n: int
    """held-out flips scored"""
    n_missing: int
    """held-out flips whose answer was NaN"""

    @property
    def ends_epoch(self) -> bool:
        """Whether a whole epoch ends here: these are the points of the JSON contract."""
        return self.epoch > 0 and self.epoch == int(self.epoch)


def judged_points(
    settings: CoinSettings, moments: Sequence[CoinMoment], *, measured_by: CoinRule
) -> tuple[CoinPoint, ...]:
    """Every moment in every way to answer, by the line of `settings`.

    Args:
        settings: the run.
        moments: of its networks.
        measured_by: the rule by which the held-out flips were scored.
    """
    table = scored_table(settings.coins_per_draw)
    n_outputs = OBJECTIVES[settings.objective].n_outputs(settings.coins_per_draw)
    at_once = max(1, VALUES_AT_ONCE // (len(table.labels) * (settings.coins_per_draw + 1)))
    points: list[CoinPoint] = []
    for start in range(0, len(moments), at_once):
        part = moments[start : start + at_once]
        outputs = np.stack([moment.output_table(n_outputs) for moment in part])
        points += _judged(settings, part, outputs, table, keeps_held_out=settings.rule == measured_by)
    return tuple(points)


def answer_scores(
    settings: CoinSettings, outputs: NDArray[np.floating], answer: str, *, rounded: bool = True
) -> AnswerScores:
    """Answers to every draw of `scored_table`, draw by draw.

    Args:
        settings: the run; its rule decides.
        outputs: of networks, shape (..., n_draws, n_outputs).
        answer: a way to answer that the objective has.
        rounded: as the variant rounds, or as it comes out of the network.
    """
    rounding = settings.choices.rounding if rounded else None
    answers = OBJECTIVES[settings.objective].answers_of(outputs, answer, rounding=rounding)
    return score_answers(scored_table(settings.coins_per_draw), answers, settings.rule)


def _judged(
    settings: CoinSettings,
    moments: Sequence[CoinMoment],
    outputs: NDArray[np.float32],
    table: CoinTable,
    *,
    keeps_held_out: bool,
) -> list[CoinPoint]:
    """All points of these moments, moment by moment."""
    losses = _expected_losses(settings, outputs, table)
    by_answer = [
        list(_points_of(settings, moments, outputs, losses, table, index, keeps_held_out))
        for index in range(len(OBJECTIVES[settings.objective].answers))
    ]
    return [point for ways in zip(*by_answer, strict=True) for point in ways]


def _points_of(
    settings: CoinSettings,
    moments: Sequence[CoinMoment],
    outputs: NDArray[np.float32],
    losses: NDArray[np.float64],
    table: CoinTable,
    index: int,
    keeps_held_out: bool,
) -> Iterator[CoinPoint]:
    """One way to answer at each of these moments."""
    answer = OBJECTIVES[settings.objective].answers[index]
    scores = answer_scores(settings, outputs, answer)
    unrounded = answer_scores(settings, outputs, answer, rounded=False)
    shifted = settings.choices.law == "shifted"
    by_variant = scores.conditional_probability_shifted_law if shifted else scores.conditional_probability
    for row, moment in enumerate(moments):
        is_scored = ~np.isnan(scores.conditional_probability[row])
        held_out = moment.held_out[index]
        rate = held_out.hallucination_rate if keeps_held_out else None
        yield CoinPoint(
            seed=moment.seed,
            epoch=moment.epoch,
            answer=answer,
            train_loss=moment.train_loss,
            validation_loss=moment.validation_loss,
            expected_loss=_or_missing(losses[row]),
            conditional_probability=_mean(by_variant[row]),
            conditional_probability_data_law=_mean(scores.conditional_probability[row]),
            hallucination_rate=_mean(scores.hallucination_rate[row]),
            squared_error=_mean(scores.squared_error[row]),
            impossible_share=_mean(unrounded.impossible_share[row]),
            far_share=_mean(unrounded.far_share[row]),
            n_draws=int(is_scored.sum()),
            n_draws_missing=int((~is_scored).sum()),
            conditional_probability_interval=_interval(table, scores.conditional_probability[row]),
            hallucination_interval=_interval(table, scores.hallucination_rate[row]),
            squared_error_interval=_interval(table, scores.squared_error[row]),
            held_out_conditional_probability=held_out.conditional_probability,
            held_out_conditional_probability_data_law=held_out.conditional_probability_data_law,
            held_out_hallucination_rate=rate,
            held_out_hallucination_interval=_wilson(rate, held_out),
            held_out_squared_error=held_out.squared_error,
            n=held_out.n,
            n_missing=held_out.n_missing,
        )


def _expected_losses(
    settings: CoinSettings, outputs: NDArray[np.float32], table: CoinTable
) -> NDArray[np.float64]:
    """The objective's own loss, expected over the true law and averaged over the draws, shape (n_moments,)."""
    losses = OBJECTIVES[settings.objective].losses(
        torch.from_numpy(outputs).double(), settings.coins_per_draw
    )
    with np.errstate(invalid="ignore", over="ignore"):
        # what cannot come up costs nothing, even where its loss is infinite
        return np.where(table.pmf > 0, table.pmf * losses.numpy(), 0.0).sum(axis=-1).mean(axis=-1)


def _mean(scores: NDArray[np.float64]) -> float | None:
    """Over the draws that have an answer."""
    kept = scores[~np.isnan(scores)]
    return _or_missing(float(kept.mean())) if len(kept) else None


def _interval(table: CoinTable, scores: NDArray[np.float64]) -> tuple[float, float] | None:
    interval = draws_interval(table, scores)
    return (interval.low, interval.high) if interval else None


def _wilson(rate: float | None, held_out: HeldOutScores) -> tuple[float, float] | None:
    if rate is None or not held_out.n:
        return None
    interval = wilson_interval(round(rate * held_out.n), held_out.n)
    return interval.low, interval.high


def _or_missing(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
