"""Coin runs written by hand, so that reports can be checked without training."""

from collections.abc import Iterable
from typing import Any

from hallulab.experiments.coin_objectives import OBJECTIVES
from hallulab.experiments.coin_run import CoinPoint, CoinSettings
from hallulab.experiments.coin_summary import CoinResult
from hallulab.experiments.coins import coin_result


def point(seed: int, epoch: float, **changed: Any) -> CoinPoint:
    """A point whose numbers are all different; the untrained network has no training loss."""
    values: dict[str, Any] = {
        "answer": "prediction", "train_loss": 0.4 if epoch else None, "validation_loss": 0.5,
        "squared_error": 0.45, "conditional_probability": 0.2, "conditional_probability_data_law": 0.6,
        "hallucination_rate": 0.1, "hallucination_interval": (0.05, 0.2), "best_conditional_probability": 0.61,
        "bayes_mean_squared_error": 0.3, "n": 100, "n_missing": 0,
    }  # fmt: skip
    return CoinPoint(seed=seed, epoch=epoch, **(values | changed))


def run(points: Iterable[CoinPoint] = (), **changed: Any) -> CoinResult:
    """These points with the exact truth of N = 2, or as `changed` says."""
    return coin_result(CoinSettings(**({"flips": 20, "epochs": 4, "rounds": 2} | changed)), points)


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
