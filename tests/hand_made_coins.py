"""Coin runs written by hand, so that reports can be checked without training."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hallulab.data.coins import all_draws, mean_heads
from hallulab.experiments.coin_events import CoinMoment, HeldOutScores
from hallulab.experiments.coin_objectives import OBJECTIVES
from hallulab.experiments.coin_points import CoinPoint
from hallulab.experiments.coin_records import CoinRecords, records_path
from hallulab.experiments.coin_result import CoinResult, coin_result
from hallulab.experiments.coin_settings import CoinSettings
from hallulab.scoring.coin_exact import exact_scores


def point(seed: int, epoch: float, **changed: Any) -> CoinPoint:
    """A point whose numbers are all different; the untrained network has no training loss."""
    values: dict[str, Any] = {
        "answer": "prediction", "train_loss": 0.4 if epoch else None, "validation_loss": 0.5,
        "expected_loss": 0.35, "conditional_probability": 0.2, "conditional_probability_data_law": 0.6,
        "hallucination_rate": 0.1, "squared_error": 0.45, "impossible_share": 1.0, "far_share": 0.8,
        "n_draws": 6, "n_draws_missing": 0, "conditional_probability_interval": None,
        "hallucination_interval": None, "squared_error_interval": None,
        "held_out_conditional_probability": 0.21, "held_out_conditional_probability_data_law": 0.61,
        "held_out_hallucination_rate": 0.11, "held_out_hallucination_interval": (0.05, 0.2),
        "held_out_squared_error": 0.46, "n": 100, "n_missing": 0,
    }  # fmt: skip
    return CoinPoint(seed=seed, epoch=epoch, **(values | changed))


def run(points: Iterable[CoinPoint] = (), **changed: Any) -> CoinResult:
    """These points with the exact truth of N = 2, or as `changed` says."""
    settings = CoinSettings(**({"flips": 20, "epochs": 4, "rounds": 2} | changed))
    return CoinResult(settings, tuple(points), exact_scores(settings.coins_per_draw, settings.rule))


def finished(n_rounds: int = 2, **changed: Any) -> CoinResult:
    """Every epoch of every round, with every answer of the objective; rounds differ a little."""
    result = run(rounds=n_rounds, **changed)
    settings = result.settings
    return CoinResult(
        settings,
        tuple(
            point(
                seed, epoch, answer=answer, train_loss=0.3 + 0.1 / epoch + 0.01 * seed if epoch else None,
                conditional_probability_data_law=0.6 - 0.02 * seed,
            )
            for seed in settings.seeds
            for epoch in range(settings.epochs + 1)
            for answer in OBJECTIVES[settings.objective].answers
        ),
        result.exact,
    )  # fmt: skip


def moment(
    seed: int, epoch: float, outputs: ArrayLike, answers: Sequence[str] = ("prediction",)
) -> CoinMoment:
    """A network that gives these outputs, draw by draw, with the same held-out scores as every other."""
    held_out = tuple(HeldOutScores(answer, 0.2, 0.6, 0.1, 0.5, 10, 0) for answer in answers)
    given = np.asarray(outputs, dtype="<f4")
    return CoinMoment(seed, epoch, 0.4 if epoch else None, 0.5, given.tobytes(), held_out)


def near_means(coins_per_draw: int, off: ArrayLike = 0.0) -> np.ndarray:
    """What a network gives that has learned every average, but for what it is off."""
    return mean_heads(all_draws(coins_per_draw), coins_per_draw) + np.asarray(off)


def measured(n_rounds: int = 3, **changed: Any) -> CoinResult:
    """A run with outputs: rounds that come nearer to the averages of all draws epoch by epoch, or to flat logits."""
    settings = CoinSettings(**({"flips": 20, "epochs": 4, "rounds": n_rounds} | changed))
    objective = OBJECTIVES[settings.objective]
    n, n_outputs = settings.coins_per_draw, objective.n_outputs(settings.coins_per_draw)
    moments = [
        moment(
            seed,
            epoch,
            near_means(n, off=(1.5 + 0.1 * seed) / 4**epoch)[:, None] * (np.arange(n_outputs) == 0),
            objective.answers,
        )
        for seed in settings.seeds
        for epoch in range(settings.epochs + 1)
    ]
    return coin_result(settings, moments)


def record(folder: Path, *results: CoinResult) -> None:
    """The runs as `coins --out` leaves them."""
    for result in results:
        records = CoinRecords(records_path(folder, result.settings))
        records.begin(result.settings)
        for each in result.moments:
            records.append(each)
