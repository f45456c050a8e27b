"""What a coin run says as numbers: means over rounds with intervals, the exact values beside them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hallulab.experiments.coin_objectives import OBJECTIVES
from hallulab.experiments.coin_run import CoinPoint, CoinSettings
from hallulab.scoring.coin_exact import exact_estimator
from hallulab.theory.correlation import spearman
from hallulab.theory.intervals import mean_interval, wilson_interval

REFERENCE_VARIANT, REFERENCE_OBJECTIVE = "fixed", "squared_error"
"""what every other combination is compared with, on the same flips"""
POSITIVE, SHARE, CORRELATION = (0.0, np.inf), (0.0, 1.0), (-1.0, 1.0)
SHARES = ("conditional_probability", "conditional_probability_data_law", "hallucination_rate")


@dataclass(frozen=True)
class CoinResult:
    """Everything a run measured so far, and the exact truth beside it."""

    settings: CoinSettings
    points: tuple[CoinPoint, ...]
    exact: dict[str, Any]
    """as `hallulab.scoring.coin_exact.exact_scores`"""

    @property
    def answers(self) -> tuple[str, ...]:
        """How the networks' outputs became answers; the first is the one that curves show."""
        return OBJECTIVES[self.settings.objective].answers

    @property
    def started_seeds(self) -> tuple[int, ...]:
        """Seeds of the rounds that have points, ascending."""
        return tuple(sorted({point.seed for point in self.points}))

    @property
    def last_epoch(self) -> int | None:
        """The last epoch that every started round has behind it; None before there is one."""
        ends = [
            max((int(point.epoch) for point in self.round_points(seed) if point.ends_epoch), default=0)
            for seed in self.started_seeds
        ]
        return min(ends, default=0) or None

    @property
    def reached_epoch(self) -> float:
        """Epochs, with fraction, that every started round has behind it."""
        return min((self.round_points(seed)[-1].epoch for seed in self.started_seeds), default=0.0)

    def round_points(self, seed: int, answer: str | None = None) -> tuple[CoinPoint, ...]:
        """The points of one round in order, of the first answer unless another is named."""
        answer = answer or self.answers[0]
        return tuple(point for point in self.points if (point.seed, point.answer) == (seed, answer))

    def last_points(self, answer: str | None = None) -> tuple[CoinPoint, ...]:
        """Every round's point at `last_epoch`: rounds are compared after equal training."""
        epoch = self.last_epoch
        return tuple(
            point
            for seed in self.started_seeds
            for point in self.round_points(seed, answer)
            if point.epoch == epoch
        )

    def to_json(self) -> dict[str, Any]:
        """The contract of `coins --json`."""
        return asdict(self.settings) | {
            "settings": asdict(self.settings),
            "choices": asdict(self.settings.choices),
            "rounds": [self._round_json(seed) for seed in self.started_seeds],
            "n_rounds_asked": self.settings.rounds,
            "exact": self.exact,
            "table": [asdict(row) for row in summary_table([self])],
        }

    def _round_json(self, seed: int) -> dict[str, Any]:
        epochs = {
            answer: [
                asdict(point) | {"epoch": int(point.epoch)}
                for point in self.round_points(seed, answer)
                if point.ends_epoch
            ]
            for answer in self.answers
        }
        first, *others = self.answers
        return {
            "seed": seed,
            "epochs": epochs[first],
            "other_answers": {answer: epochs[answer] for answer in others},
        }


@dataclass(frozen=True)
class EpochBand:
    """One quantity over the rounds at every scored moment; NaN where there is none."""

    epochs: NDArray[np.float64]
    """ascending, shape (n,)"""
    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    """of the 95 % Student-t interval of the mean, cut where no value can lie; NaN with fewer than two rounds"""
    high: NDArray[np.float64]
    n_rounds: NDArray[np.int64]
    """rounds that have a value"""


@dataclass(frozen=True)
class OverRounds:
    """One quantity, averaged over the rounds of a run."""

    mean: float | None
    """None when no round has a value"""
    low: float | None
    """of the 95 % Student-t interval of the mean, cut where no value can lie; None with fewer than two rounds"""
    high: float | None
    n_rounds: int
    """rounds that have a value"""
    n_missing: int
    """rounds that have none: left out of the mean"""
    exact: float | None = None
    """the same quantity without training and sampling: what the objective's exact minimiser has, over all
    draws. A mean may lie a little beyond it, as far as its held-out flips differ from all"""
    gap: float | None = None
    """mean − exact"""


@dataclass(frozen=True)
class SummaryRow:
    """One way to train and answer, over all rounds at the last epoch that they share."""

    coins_per_draw: int
    flips: int
    variant: str
    objective: str
    answer: str
    epoch: int | None
    n_rounds: int
    n_flips_scored: int
    """held-out flips of all rounds"""
    n_missing: int
    """held-out flips whose answer was NaN"""
    conditional_probability: OverRounds
    """of exactly the answered number of heads, under the variant's law"""
    conditional_probability_data_law: OverRounds
    """the same answers under the law that made the flips"""
    best_conditional_probability: OverRounds
    """what no answer exceeds under the law that made the flips: on the same held-out flips, and exactly"""
    hallucination_rate: OverRounds
    hallucination_interval: tuple[float, float] | None
    """95 % Wilson interval of the rate, the held-out flips of all rounds pooled: these networks on new
    flips, where the interval over rounds is about new networks"""
    squared_error: OverRounds
    """of the answer as given"""
    spearman: OverRounds
    """rank correlation of training loss and conditional probability over the epochs of a round: near −1
    where less loss came with better answers; missing where either stood still"""
    hallucination_rate_difference: OverRounds | None
    """to the reference, paired by seed, so on the same flips; None for the reference and without one"""
    squared_error_difference: OverRounds | None


def epoch_band(result: CoinResult, field: str, answer: str | None = None) -> EpochBand:
    """A field of the points over the rounds at each scored moment.

    Args:
        result: the run.
        field: a numeric field of `CoinPoint`.
        answer: the objective's first answer unless another is named.
    """
    by_epoch: dict[float, list[float | None]] = {}
    for seed in result.started_seeds:
        for point in result.round_points(seed, answer):
            by_epoch.setdefault(point.epoch, []).append(getattr(point, field))
    epochs = sorted(by_epoch)
    found = [_over_rounds(by_epoch[epoch], within=_range_of(field)) for epoch in epochs]
    return EpochBand(
        epochs=np.array(epochs, dtype=float),
        mean=np.array([over.mean for over in found], dtype=float),
        low=np.array([over.low for over in found], dtype=float),
        high=np.array([over.high for over in found], dtype=float),
        n_rounds=np.array([over.n_rounds for over in found], dtype=np.int64),
    )


def summary_table(results: Sequence[CoinResult]) -> tuple[SummaryRow, ...]:
    """One row per run and answer; runs that differ in variant or objective alone are also paired by seed."""
    return tuple(
        _summary_row(result, answer, _reference_of(result, results))
        for result in results
        for answer in result.answers
    )


def _summary_row(result: CoinResult, answer: str, reference: CoinResult | None) -> SummaryRow:
    settings, points = result.settings, result.last_points(answer)
    exact = result.exact[exact_estimator(settings.objective, answer, settings.choices.rounding)]
    by_variant = "" if settings.choices.law == "data" else "_shifted_law"

    def over_rounds(field: str, exact_field: str) -> OverRounds:
        values = [getattr(point, field) for point in points]
        return _over_rounds(values, within=_range_of(field), exact=exact[exact_field])

    def difference(field: str) -> OverRounds | None:
        return None if reference is None else _paired_difference(points, reference.last_points(), field)

    return SummaryRow(
        coins_per_draw=settings.coins_per_draw,
        flips=settings.flips,
        variant=settings.variant,
        objective=settings.objective,
        answer=answer,
        epoch=result.last_epoch,
        n_rounds=len(points),
        n_flips_scored=sum(point.n for point in points),
        n_missing=sum(point.n_missing for point in points),
        conditional_probability=over_rounds(
            "conditional_probability", f"conditional_probability{by_variant}"
        ),
        conditional_probability_data_law=over_rounds(
            "conditional_probability_data_law", "conditional_probability"
        ),
        best_conditional_probability=_over_rounds(
            [point.best_conditional_probability for point in points],
            within=SHARE,
            exact=result.exact["mode"]["conditional_probability"],
        ),
        hallucination_rate=over_rounds("hallucination_rate", "hallucination_rate"),
        hallucination_interval=_pooled_interval(points),
        squared_error=over_rounds("squared_error", "squared_error"),
        spearman=_over_rounds(
            [_loss_spearman(result, seed, answer) for seed in result.started_seeds], within=CORRELATION
        ),
        hallucination_rate_difference=difference("hallucination_rate"),
        squared_error_difference=difference("squared_error"),
    )


def _range_of(field: str) -> tuple[float, float]:
    """Where a field of a point can lie: shares in [0, 1], losses from 0."""
    return SHARE if field in SHARES else POSITIVE


def _over_rounds(
    values: Sequence[float | None], *, within: tuple[float, float], exact: float | None = None
) -> OverRounds:
    found = [value for value in values if value is not None and np.isfinite(value)]
    mean = float(np.mean(found)) if found else None
    interval = mean_interval(found)
    return OverRounds(
        mean=mean,
        low=max(interval.low, within[0]) if interval else None,
        high=min(interval.high, within[1]) if interval else None,
        n_rounds=len(found),
        n_missing=len(values) - len(found),
        exact=exact,
        gap=None if mean is None or exact is None else mean - exact,
    )


def _loss_spearman(result: CoinResult, seed: int, answer: str) -> float | None:
    """Of the two curves that the paper compares, over the epochs of one round."""
    pairs = [
        (point.train_loss, point.conditional_probability)
        for point in result.round_points(seed, answer)
        if point.ends_epoch and point.train_loss is not None and point.conditional_probability is not None
    ]
    return spearman([loss for loss, _ in pairs], [probability for _, probability in pairs])


def _pooled_interval(points: Sequence[CoinPoint]) -> tuple[float, float] | None:
    scored = [(point.hallucination_rate, point.n) for point in points if point.hallucination_rate is not None]
    if not scored:
        return None
    interval = wilson_interval(sum(round(rate * n) for rate, n in scored), sum(n for _, n in scored))
    return interval.low, interval.high


def _reference_of(result: CoinResult, results: Sequence[CoinResult]) -> CoinResult | None:
    """The run on the same flips, trained as long, that differs in variant and objective alone."""
    wanted = replace(result.settings, variant=REFERENCE_VARIANT, objective=REFERENCE_OBJECTIVE, rounds=1)
    same = (other for other in results if replace(other.settings, rounds=1) == wanted)
    return next((other for other in same if other is not result), None)


def _paired_difference(
    points: Sequence[CoinPoint], reference_points: Sequence[CoinPoint], field: str
) -> OverRounds:
    reference = {(point.seed, point.epoch): getattr(point, field) for point in reference_points}
    pairs = [(getattr(point, field), reference.get((point.seed, point.epoch))) for point in points]
    _, high = _range_of(field)
    return _over_rounds([None if a is None or b is None else a - b for a, b in pairs], within=(-high, high))
