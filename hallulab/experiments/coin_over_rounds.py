"""One quantity of a coin run averaged over its rounds, with an interval where rounds can give one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hallulab.experiments.coin_points import CoinPoint
from hallulab.experiments.coin_result import CoinResult
from hallulab.theory.intervals import mean_interval

MIN_ROUNDS = 3
"""fewer say too little of how far others would be from them"""
SAME = 1e-9
"""values this near are one value, summed in another order"""
SHARE, POSITIVE, ANYWHERE = (0.0, 1.0), (0.0, np.inf), (-np.inf, np.inf)


@dataclass(frozen=True)
class OverRounds:
    """One quantity, averaged over the rounds of a run."""

    mean: float | None
    """None when no round has a value"""
    low: float | None
    """of the Student-t interval of the mean, cut where no value can lie; None with fewer than three rounds, and where
    all rounds have the same value, as Student's interval needs a spread"""
    high: float | None
    lowest: float | None
    """of the rounds"""
    highest: float | None
    n_rounds: int
    """rounds that have a value"""
    n_missing: int
    """rounds that have none: left out of the mean"""
    exact: float | None = None
    """the same quantity without training: what the objective's exact minimiser has, over all draws"""
    gap: float | None = None
    """mean − exact"""
    draws_low: float | None = None
    """of the 95 % interval for having scored a sample of the draws, the rounds' own intervals averaged; None where all
    draws were scored"""
    draws_high: float | None = None

    @property
    def is_constant(self) -> bool:
        """Whether several rounds have one and the same value."""
        if self.n_rounds < 2 or self.lowest is None or self.highest is None:
            return False
        return self.highest - self.lowest <= SAME


@dataclass(frozen=True)
class EpochBand:
    """One quantity over the rounds at every scored moment; NaN where there is none."""

    epochs: NDArray[np.float64]
    """ascending, shape (n,)"""
    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    """of the 95 % Student-t interval of the mean, cut where no value can lie; NaN with fewer than three rounds; the
    mean itself where all rounds agree"""
    high: NDArray[np.float64]
    n_rounds: NDArray[np.int64]
    """rounds that have a value"""


def over_rounds(
    values: Sequence[float | None],
    *,
    within: tuple[float, float] = ANYWHERE,
    exact: float | None = None,
    draws_intervals: Sequence[tuple[float, float] | None] = (),
    confidence: float = 0.95,
) -> OverRounds:
    """The mean of one value per round.

    Args:
        values: one per round, None or not finite where it is missing.
        within: where a value can lie.
        exact: what to hold it against.
        draws_intervals: each round's own interval for having scored a sample of the draws.
        confidence: of the interval.
    """
    found = [value for value in values if value is not None and np.isfinite(value)]
    mean = float(np.mean(found)) if found else None
    is_spread = len(found) >= MIN_ROUNDS and max(found) - min(found) > SAME
    interval = mean_interval(found, confidence=confidence) if is_spread else None
    sampled = [ends for ends in draws_intervals if ends is not None]
    draws_low, draws_high = np.mean(sampled, axis=0).tolist() if sampled else (None, None)
    return OverRounds(
        mean=mean,
        low=max(interval.low, within[0]) if interval else None,
        high=min(interval.high, within[1]) if interval else None,
        lowest=min(found, default=None),
        highest=max(found, default=None),
        n_rounds=len(found),
        n_missing=len(values) - len(found),
        exact=exact,
        gap=None if mean is None or exact is None else mean - exact,
        draws_low=draws_low,
        draws_high=draws_high,
    )


def epoch_band(result: CoinResult, field: str, answer: str | None = None) -> EpochBand:
    """A field of the points over the compared rounds, at each scored moment up to where all of them have come.

    Args:
        result: the run.
        field: a numeric field of `CoinPoint`.
        answer: the objective's first answer unless another is named.
    """
    by_epoch: dict[float, list[float | None]] = {}
    reached = result.reached_epoch
    for seed in result.compared_seeds:
        for point in result.round_points(seed, answer):
            if point.epoch <= reached:
                by_epoch.setdefault(point.epoch, []).append(getattr(point, field))
    epochs = sorted(by_epoch)
    found = [over_rounds(by_epoch[epoch], within=range_of(field)) for epoch in epochs]
    ends = [(over.mean, over.mean) if over.is_constant else (over.low, over.high) for over in found]
    return EpochBand(
        epochs=np.array(epochs, dtype=float),
        mean=np.array([over.mean for over in found], dtype=float),
        low=np.array([low for low, _ in ends], dtype=float),
        high=np.array([high for _, high in ends], dtype=float),
        n_rounds=np.array([over.n_rounds for over in found], dtype=np.int64),
    )


def paired_difference(
    points: Sequence[CoinPoint],
    reference_points: Sequence[CoinPoint],
    field: str,
    *,
    confidence: float = 0.95,
) -> OverRounds:
    """A field of one run minus that of another, seed by seed, so on the same flips.

    Args:
        points, reference_points: at most one per seed.
        field: a numeric field of `CoinPoint`.
        confidence: of the interval.
    """
    reference = {point.seed: getattr(point, field) for point in reference_points}
    pairs = [(getattr(point, field), reference.get(point.seed)) for point in points]
    return over_rounds([None if a is None or b is None else a - b for a, b in pairs], confidence=confidence)


def range_of(field: str) -> tuple[float, float]:
    """Where a field of a point can lie: shares in [0, 1], losses from 0."""
    return SHARE if field.endswith(("_rate", "_share", "probability", "_data_law")) else POSITIVE
