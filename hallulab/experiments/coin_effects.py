"""What another way to train or answer changes in hallucination: over every δ, and split into ties and the rest.

A mean that lies exactly between two counts has to be rounded to one of them, and neither costs more squared error.
So whatever a way gains on those draws, the rounded mean could gain by breaking its ties towards the likelier count.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hallulab.experiments.coin_events import CoinMoment
from hallulab.experiments.coin_objectives import OBJECTIVES
from hallulab.experiments.coin_over_rounds import MIN_ROUNDS, SAME, OverRounds, paired_difference
from hallulab.experiments.coin_result import CoinResult
from hallulab.experiments.coin_settings import CoinSettings
from hallulab.experiments.coin_summary import reference_of
from hallulab.scoring.coin_exact import estimates, exact_estimator
from hallulab.scoring.coin_rule import TIE_TOLERANCE_NATS
from hallulab.scoring.coin_table import Answers, CoinTable, answer_probabilities, scored_table
from hallulab.theory.simultaneous_bands import CurveBand, simultaneous_band

DELTAS = np.arange(1, 200) / 200
"""where the curves are computed"""
SEED = 0
"""of the bands' resamples"""


@dataclass(frozen=True)
class DeltaEffect:
    """One way against another, over δ: differences of the hallucination rate, as shares of all draws."""

    total: CurveBand
    """networks paired by seed, at `DELTAS`"""
    off_ties: CurveBand
    """what of it comes from draws whose mean does not lie exactly between two counts"""
    exact_total: NDArray[np.float64]
    """the two exact counterparts, at `DELTAS`"""
    exact_off_ties: NDArray[np.float64]
    confidence: float
    """of each band"""


@dataclass(frozen=True)
class WayEffect:
    """One way to train and answer against the networks that minimise squared error, on the same flips."""

    settings: CoinSettings
    answer: str
    over_delta: DeltaEffect | None
    """None where no seed has an answer to every draw in both"""
    squared_error: OverRounds
    """paired difference; its interval has the confidence of the bands"""
    conditional_probability: OverRounds
    """of P(right), likewise"""
    exact_squared_error: float
    """difference of the exact counterparts"""
    n_ways: int
    """ways that are compared here: every band and interval has confidence 1 − 5 % / n_ways, so that all of them
    together hold with 95 % (Bonferroni)"""

    @property
    def cost(self) -> Literal["higher", "lower", "same", "unknown"]:
        """Which way the squared error of the answers moves; `same` where the interval holds 0."""
        error = self.squared_error
        if error.is_constant and error.n_rounds >= MIN_ROUNDS:
            low = high = error.mean or 0.0
        elif error.low is None or error.high is None:
            return "unknown"
        else:
            low, high = error.low, error.high
        if low > SAME:
            return "higher"
        return "lower" if high < -SAME else "same"

    def to_json(self) -> dict[str, Any]:
        """Every number of it, its curves at `deltas`."""
        over = self.over_delta
        curves: dict[str, Any] = {}
        if over is not None:
            for name, band in (("total", over.total), ("off_ties", over.off_ties)):
                curves[name] = {"mean": band.mean, "half_width": band.half_width, "n_rounds": band.n}
            curves |= {"exact_total": over.exact_total, "exact_off_ties": over.exact_off_ties}
        return {
            "coins_per_draw": self.settings.coins_per_draw,
            "variant": self.settings.variant,
            "objective": self.settings.objective,
            "answer": self.answer,
            "confidence": 1 - 0.05 / self.n_ways,
            "deltas": DELTAS,
            "hallucination_rate_difference": curves,
            "squared_error_difference": asdict(self.squared_error),
            "exact_squared_error_difference": self.exact_squared_error,
            "conditional_probability_difference": asdict(self.conditional_probability),
        }


def way_effects(results: Sequence[CoinResult]) -> tuple[WayEffect, ...]:
    """Every way to train and answer that has a run on squared error beside it, as `reference_of` pairs them."""
    pairs = [(result, reference_of(result, results)) for result in results if result.last_epoch]
    ways = [
        (result, reference, answer)
        for result, reference in pairs
        if reference is not None and result.settings.objective != reference.settings.objective
        for answer in result.answers
    ]
    return tuple(_way_effect(result, answer, reference, len(ways)) for result, reference, answer in ways)


def _way_effect(result: CoinResult, answer: str, reference: CoinResult, n_ways: int) -> WayEffect:
    confidence = 1 - 0.05 / n_ways
    points, theirs = result.last_points(answer), reference.last_points()

    def difference(field: str) -> OverRounds:
        return paired_difference(points, theirs, field, confidence=confidence)

    exact, other = (
        each.exact[exact_estimator(each.settings.objective, way, each.settings.choices.rounding)][
            "squared_error"
        ]
        for each, way in ((result, answer), (reference, reference.answers[0]))
    )
    return WayEffect(
        result.settings,
        answer,
        delta_effect(result, answer, reference, confidence=confidence),
        difference("squared_error"),
        difference("conditional_probability_data_law"),
        exact - other,
        n_ways,
    )


def delta_effect(
    result: CoinResult, answer: str, reference: CoinResult, *, confidence: float = 0.95
) -> DeltaEffect | None:
    """How a run's hallucination rate differs from that of another at every δ.

    Args:
        result: the run.
        answer: one of its ways to answer.
        reference: what it is held against, answered in its first way; the same N.
        confidence: of each band, over all δ together.

    Returns: None where no seed has the last epoch of both with an answer to every draw.
    """
    table = scored_table(result.settings.coins_per_draw)
    theirs = {moment.seed: moment for moment in reference.last_moments()}
    pairs = [(moment, theirs[moment.seed]) for moment in result.last_moments() if moment.seed in theirs]
    split = [
        _split(
            table,
            _given(result.settings, ours, answer),
            _given(reference.settings, other, reference.answers[0]),
        )
        for ours, other in pairs
    ]
    kept = [curves for curves in split if np.isfinite(curves).all()]
    if not kept:
        return None
    total, off_ties = (
        simultaneous_band(
            [curves[part] for curves in kept], rng=np.random.default_rng(SEED), confidence=confidence
        )
        for part in (0, 1)
    )
    exact = estimates(table)
    ours, others = (
        exact[exact_estimator(each.settings.objective, way, each.settings.choices.rounding)]
        for each, way in ((result, answer), (reference, reference.answers[0]))
    )
    exact_total, exact_off_ties = _split(table, ours, others)
    return DeltaEffect(total, off_ties, exact_total, exact_off_ties, confidence)


def delta_curve(
    table: CoinTable, answers: Answers, among: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """The hallucination rate at each of `DELTAS`, or what some of the draws contribute to it.

    Args:
        table: n draws.
        answers: to each of them.
        among: the draws that count, shape (n,); all when None.

    Returns: NaN everywhere when an answer is missing.
    """
    probabilities = answer_probabilities(table, answers)  # (n, k)
    shares = np.broadcast_to(answers.shares, probabilities.shape)
    if np.isnan(probabilities).any() or np.isnan(shares).any():
        return np.full(len(DELTAS), np.nan)
    weights = shares if among is None else shares * among[:, None]
    order = np.argsort(probabilities, axis=None)
    up_to = np.concatenate([[0.0], np.cumsum(weights.ravel()[order])])
    # a probability at δ hallucinates, however it was rounded
    limits = DELTAS * np.exp(TIE_TOLERANCE_NATS)
    return up_to[np.searchsorted(probabilities.ravel()[order], limits, side="right")] / len(table.labels)


def lowest_place(curve: NDArray[np.float64]) -> tuple[float, float]:
    """The δ at which a difference is lowest, and how low it is there."""
    index = int(np.argmin(curve))
    return float(DELTAS[index]), float(curve[index])


def stretches(is_there: Sequence[bool] | NDArray[np.bool_]) -> list[tuple[float, float]]:
    """The first and last δ of every unbroken stretch of `DELTAS` where something holds."""
    padded = np.concatenate([[False], np.asarray(is_there, dtype=bool), [False]]).astype(np.int8)
    edges = np.flatnonzero(np.diff(padded)).reshape(-1, 2)
    return [(float(DELTAS[first]), float(DELTAS[last - 1])) for first, last in edges]


def _split(table: CoinTable, ours: Answers, theirs: Answers) -> NDArray[np.float64]:
    """Difference of two hallucination curves, and its part off the ties, shape (2, n_deltas)."""
    among = (None, ~table.is_tie)
    return np.stack([delta_curve(table, ours, part) - delta_curve(table, theirs, part) for part in among])


def _given(settings: CoinSettings, moment: CoinMoment, answer: str) -> Answers:
    """What a network answered."""
    objective = OBJECTIVES[settings.objective]
    outputs = moment.output_table(objective.n_outputs(settings.coins_per_draw))
    return objective.answers_of(outputs, answer, rounding=settings.choices.rounding)
