"""The one comparison that was chosen beforehand: how much a score changes with each epoch of training.

Each training gives one slope per question: least squares through the base at epoch 0, Σ e·(score_e − base) / Σ e².
Their mean over all trainings is about other questions and other training seeds, both drawn again. It needs no
correction, as it is one test; for what is left of the score under control, where the claim is that nothing is, it gives
the largest change that two one-sided tests still leave possible.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hallulab.data.paper_table_1 import TABLE_1, paper_scores
from hallulab.scoring.training_history import AdapterTraining
from hallulab.theory.bootstrap import BootstrapMean, bootstrap_interval
from hallulab.theory.crossed_bootstrap import CrossedMean, crossed_mean
from hallulab.theory.paired_tables import row_means


@dataclass(frozen=True)
class TrainingSlope:
    """One training."""

    training: str
    seed: int | None
    learning_rate: float | None
    epochs: tuple[int, ...]
    loss: float | None
    """of its last epoch, nats per answer token"""
    slope: BootstrapMean
    """per epoch, with an interval over questions"""


@dataclass(frozen=True)
class RateSlope:
    """All trainings at one learning rate."""

    learning_rate: float | None
    n_trainings: int
    loss: float | None
    """of the last epochs, mean over trainings"""
    slope: CrossedMean


@dataclass(frozen=True)
class PooledSlope:
    """How much a quantity changes per epoch."""

    quantity: str
    slope: CrossedMean
    """over all trainings, about other questions and other seeds"""
    by_rate: tuple[RateSlope, ...]
    by_training: tuple[TrainingSlope, ...]

    @property
    def n_trainings(self) -> int:
        """Trainings that are pooled."""
        return len(self.by_training)


def pooled_slope(
    quantity: str,
    differences: Mapping[str, NDArray[np.float64]],
    made: Mapping[str, AdapterTraining | None],
    *,
    seed: int,
) -> PooledSlope | None:
    """The slope of a quantity over the epochs of every training.

    Args:
        quantity: its name.
        differences: checkpoint → tuned − base of every question, shape (n_questions,); NaN where a pair is missing.
        made: checkpoint → how it was trained; those whose epoch is not known are left out.
        seed: of the resamples.

    Returns: None without a trained checkpoint, or with fewer than two questions.
    """
    trainings: dict[str, dict[str, AdapterTraining]] = {}
    for name in differences:
        how = made.get(name)
        if how is not None and how.epoch:
            trainings.setdefault(how.training, {})[name] = how
    slopes = {
        training: slope_per_epoch(
            np.array([how.epoch for how in adapters.values()], dtype=float),
            np.stack([differences[name] for name in adapters]),
        )
        for training, adapters in trainings.items()
    }
    by_training = [
        one for name, adapters in trainings.items() if (one := _of_training(adapters, slopes[name], seed))
    ]
    pooled = _pooled(by_training, slopes, seed)
    if pooled is None:
        return None
    rates = list(dict.fromkeys(one.learning_rate for one in by_training))
    by_rate = []
    for rate in sorted(rates, key=lambda value: value or 0.0):
        group = [one for one in by_training if one.learning_rate == rate]
        slope, losses = _pooled(group, slopes, seed), [one.loss for one in group if one.loss is not None]
        if slope:
            by_rate.append(RateSlope(rate, len(group), float(np.mean(losses)) if losses else None, slope))
    return PooledSlope(quantity, pooled, tuple(by_rate), tuple(by_training))


def slope_per_epoch(epochs: NDArray[np.float64], differences: NDArray[np.float64]) -> NDArray[np.float64]:
    """Least-squares slope through 0 at epoch 0, of (n_epochs, …) differences to the base; NaN ones are left out."""
    weights = np.where(np.isfinite(differences), epochs.reshape(-1, *[1] * (differences.ndim - 1)), 0.0)
    squares = (weights**2).sum(axis=0)
    sums = (weights * np.nan_to_num(differences)).sum(axis=0)
    return np.divide(sums, squares, out=np.full(np.shape(sums), np.nan), where=squares > 0)


def paper_slopes() -> dict[tuple[str, int], float]:
    """(model, seed) → slope of the paper's own scores, by the same formula."""
    trainings = dict.fromkeys((one.model, one.seed) for one in TABLE_1 if one.seed is not None)
    found = {}
    for model, seed in trainings:
        scores = paper_scores(model, seed)
        tuned = [epoch for epoch in scores if epoch]
        rises = np.array([scores[epoch] - scores[0] for epoch in tuned])
        found[model, seed] = float(slope_per_epoch(np.array(tuned, dtype=float), rises))
    return found


def _of_training(
    adapters: Mapping[str, AdapterTraining], slopes: NDArray[np.float64], seed: int
) -> TrainingSlope | None:
    last = max(adapters.values(), key=lambda how: how.epoch or 0)
    found = bootstrap_interval(slopes[np.isfinite(slopes)], rng=np.random.default_rng(seed))
    if found is None:
        return None
    epochs = tuple(sorted(how.epoch for how in adapters.values() if how.epoch))
    return TrainingSlope(last.training, last.seed, last.learning_rate, epochs, last.loss, found)


def _pooled(
    trainings: list[TrainingSlope], slopes: Mapping[str, NDArray[np.float64]], seed: int
) -> CrossedMean | None:
    """Mean over trainings, those of one seed together: they share their first weights and the order of the data."""
    columns: dict[int | str, list[NDArray[np.float64]]] = {}
    for one in trainings:
        columns.setdefault(one.training if one.seed is None else one.seed, []).append(slopes[one.training])
    if not columns:
        return None
    cells = np.stack([row_means(np.stack(group, axis=1)) for group in columns.values()], axis=1)
    return crossed_mean(cells, rng=np.random.default_rng(seed))
