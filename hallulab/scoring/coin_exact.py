"""What every objective's exact minimiser reaches, with no network and no chance: the truth beside the network."""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr

from hallulab.errors import RefusedInputError
from hallulab.scoring.coin_rule import CoinRule
from hallulab.scoring.coin_table import (
    Answers,
    CoinTable,
    draws_interval,
    exact_table,
    one_answer,
    rounded_either_way,
    sampled_answers,
    score_answers,
    scored_table,
)
from hallulab.scoring.coins import answer_probability, round_predictions
from hallulab.theory.minimisers import likeliest_count, median_count, modal_prediction, modal_risk

DRAWS_PER_CHUNK = 1_024
COUNTERPARTS = {
    ("squared_error", "prediction", "nearest"): "bayes_mean_rounded_either",
    ("squared_error", "prediction", "ceil"): "bayes_mean_ceil_either",
    # a median is a whole number already
    ("absolute_error", "prediction", "nearest"): "median",
    ("absolute_error", "prediction", "ceil"): "median_ceil_either",
    ("cross_entropy", "mode", "nearest"): "mode",
    ("cross_entropy", "mode", "ceil"): "mode",
    ("cross_entropy", "mean", "nearest"): "bayes_mean_rounded_either",
    ("cross_entropy", "mean", "ceil"): "bayes_mean_ceil_either",
    ("cross_entropy", "sample", "nearest"): "pmf_sample",
    ("cross_entropy", "sample", "ceil"): "pmf_sample",
    ("modal", "prediction", "nearest"): "modal",
    ("modal", "prediction", "ceil"): "modal_ceil_either",
}
"""(objective, answer, rounding) → the key in `exact_scores` of what a network would answer that has learned all but
the last digit of what minimises its objective"""
UNROUNDED = {"squared_error": "bayes_mean", "absolute_error": "median", "modal": "modal_unrounded"}
"""objective → the key in `exact_scores` of its minimiser before rounding"""
MEASURES = (
    "conditional_probability",
    "conditional_probability_shifted_law",
    "hallucination_rate",
    "squared_error",
    "impossible_share",
    "far_share",
)


def exact_estimator(objective: str, answer: str, rounding: str) -> str:
    """The key in `exact_scores` of what a network that minimised its objective would answer.

    Args:
        objective, answer: as in `hallulab.experiments.coin_objectives`.
        rounding: of the variant.

    Raises RefusedInputError for a combination that does not exist.
    """
    found = COUNTERPARTS.get((objective, answer, rounding))
    if found is None:
        known = ", ".join("/".join(combination) for combination in COUNTERPARTS)
        raise RefusedInputError(
            f"expected objective/answer/rounding as one of {known}, got {objective}/{answer}/{rounding}"
        )
    return found


def unrounded_estimator(objective: str, answer: str) -> str | None:
    """The key in `exact_scores` of what the network's output is before rounding; None where it is a count already."""
    return "bayes_mean" if answer == "mean" else UNROUNDED.get(objective)


def exact_scores(coins_per_draw: int, rule: CoinRule) -> dict[str, Any]:
    """What each estimator reaches on average over all draws: the truth beside the network.

    Args:
        coins_per_draw: N.
        rule: mass or δ.

    Returns: per estimator the `MEASURES` of its answers. `n_draws`, and whether they are `all_draws`; where they are a
    sample, every measure has its 95 % interval beside it, as `MEASURE_interval`. `least_losses`: per objective, the
    least expected loss that any output can have.
    Raises RefusedInputError for an N outside 1 to 64.
    """
    table = exact_table(coins_per_draw)
    exact: dict[str, Any] = {
        name: _measured(table, answers, rule) for name, answers in exact_answers(coins_per_draw).items()
    }
    return exact | {
        "n_draws": len(table.labels), "all_draws": table.is_all, "least_losses": least_losses(table),
    }  # fmt: skip


@lru_cache(maxsize=4)
def exact_answers(coins_per_draw: int) -> dict[str, Answers]:
    """What each estimator answers to every draw of `exact_table`; none is right more often than the mode."""
    return estimates(exact_table(coins_per_draw))


def estimates(table: CoinTable) -> dict[str, Answers]:
    """What each exact estimator answers to these draws."""
    median, modal = median_count(table.pmf), _modal(table.pmf)
    return {
        "bayes_mean": one_answer(table.mean),
        "bayes_mean_rounded": one_answer(round_predictions(table.mean, "nearest")),
        "bayes_mean_rounded_either": rounded_either_way(table.mean, "nearest"),
        "bayes_mean_ties_likelier": one_answer(_rounded_to_the_likelier(table)),
        "bayes_mean_ceil": one_answer(round_predictions(table.mean, "ceil")),
        "bayes_mean_ceil_either": rounded_either_way(table.mean, "ceil"),
        "mode": one_answer(likeliest_count(table.pmf)),
        "median": one_answer(median),
        "median_ceil_either": rounded_either_way(median, "ceil"),
        "modal_unrounded": one_answer(modal),
        "modal": rounded_either_way(modal, "nearest"),
        "modal_ceil_either": rounded_either_way(modal, "ceil"),
        "pmf_sample": sampled_answers(table.pmf),
    }


def least_losses(table: CoinTable) -> dict[str, float]:
    """Per objective, the least expected loss over these draws, in its own unit."""
    heads = np.arange(table.pmf.shape[1])
    distances = np.abs(heads - median_count(table.pmf)[:, None])
    return {
        "squared_error": float(table.variance.mean()),
        "absolute_error": float((table.pmf * distances).sum(axis=1).mean()),
        "cross_entropy": float(entr(table.pmf).sum(axis=1).mean()),
        "modal": float(modal_risk(table.pmf, _modal(table.pmf)).mean()),
    }


@lru_cache(maxsize=8)
def least_scored_losses(coins_per_draw: int) -> dict[str, float]:
    """`least_losses` over the draws that networks are scored on."""
    return least_losses(scored_table(coins_per_draw))


def _measured(table: CoinTable, answers: Answers, rule: CoinRule) -> dict[str, Any]:
    scores = score_answers(table, answers, rule)
    measured: dict[str, Any] = {name: float(getattr(scores, name).mean()) for name in MEASURES}
    for name in MEASURES:
        interval = draws_interval(table, getattr(scores, name))
        if interval:
            measured[f"{name}_interval"] = (interval.low, interval.high)
    return measured


def _rounded_to_the_likelier(table: CoinTable) -> NDArray[np.float64]:
    """The mean rounded, ties to the likelier of the two counts; where these are equally likely, to the lower."""
    low, high = np.floor(table.mean), np.ceil(table.mean)
    goes_up = answer_probability(table.pmf, high) > answer_probability(table.pmf, low) + 1e-12
    return np.where(table.is_tie, np.where(goes_up, high, low), round_predictions(table.mean, "nearest"))


def _modal(pmf: NDArray[np.float64]) -> NDArray[np.float64]:
    """In chunks, which bound the memory of the search's grid."""
    chunks = [
        modal_prediction(pmf[start : start + DRAWS_PER_CHUNK])
        for start in range(0, len(pmf), DRAWS_PER_CHUNK)
    ]
    return np.concatenate(chunks)
