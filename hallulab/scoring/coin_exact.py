"""What every objective's exact minimiser reaches, with no network and no chance: the truth beside the network."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hallulab.data.coins import all_draws, check_coins_per_draw, head_probabilities, mean_heads
from hallulab.errors import RefusedInputError
from hallulab.scoring.coins import CoinRule, answer_probability, coin_pmf, exact_answers, is_outside

MAX_EXACT_COINS_PER_DRAW = 9
"""up to here all C(2N, N) draws are enumerated; beyond, the draws that occurred stand for them"""
DRAWS_PER_CHUNK = 1_024
ESTIMATORS = {
    ("squared_error", "prediction", "nearest"): "bayes_mean_rounded",
    ("squared_error", "prediction", "ceil"): "bayes_mean_ceil",
    # a median is a whole number already
    ("absolute_error", "prediction", "nearest"): "median",
    ("absolute_error", "prediction", "ceil"): "median",
    ("cross_entropy", "mode", "nearest"): "mode",
    ("cross_entropy", "mode", "ceil"): "mode",
    ("cross_entropy", "mean", "nearest"): "bayes_mean_rounded",
    ("cross_entropy", "mean", "ceil"): "bayes_mean_ceil",
    ("cross_entropy", "sample", "nearest"): "pmf_sample",
    ("cross_entropy", "sample", "ceil"): "pmf_sample",
    ("modal", "prediction", "nearest"): "modal",
    ("modal", "prediction", "ceil"): "modal_ceil",
}
"""(objective, answer, rounding) → the key in `exact_scores` of what a perfectly trained network would answer"""
MEASURES = (
    "conditional_probability",
    "conditional_probability_shifted_law",
    "hallucination_rate",
    "squared_error",
)


@dataclass(frozen=True)
class _Draws:
    """What is known exactly about n draws."""

    pmf: NDArray[np.float64]
    """shape (n, N + 1)"""
    shifted_pmf: NDArray[np.float64]
    """the same coins under the law that the public code scores with, shape (n, N + 1)"""
    mean: NDArray[np.float64]
    """of the number of heads, shape (n,)"""
    variance: NDArray[np.float64]
    """of the number of heads, shape (n,)"""
    log_delta: NDArray[np.float64]
    """threshold of each pmf, shape (n,), nats"""


def exact_estimator(objective: str, answer: str, rounding: str) -> str:
    """The key in `exact_scores` of what a network that minimised its objective perfectly would answer.

    Args:
        objective, answer: as in `hallulab.experiments.coin_objectives`.
        rounding: of the variant.

    Raises RefusedInputError for a combination that does not exist.
    """
    found = ESTIMATORS.get((objective, answer, rounding))
    if found is None:
        known = ", ".join("/".join(combination) for combination in ESTIMATORS)
        raise RefusedInputError(
            f"expected objective/answer/rounding as one of {known}, got {objective}/{answer}/{rounding}"
        )
    return found


def exact_scores(coins_per_draw: int, rule: CoinRule, *, draws: ArrayLike | None = None) -> dict[str, Any]:
    """What each estimator reaches on average over all draws: the truth beside the network.

    Args:
        coins_per_draw: N.
        rule: mass or δ.
        draws: distinct draws that stand for all of them when N is too large to enumerate, shape (n, N).

    Returns: per estimator its conditional probability and hallucination rate under the law that made the
    flips, its conditional probability under the public code's shifted law, and the squared error of its answer;
    `n_draws` and whether they are `all_draws`; the least squared error that any estimator can reach.
    Raises RefusedInputError when N is too large to enumerate and no draws are given.
    """
    enumerated = check_coins_per_draw(coins_per_draw) <= MAX_EXACT_COINS_PER_DRAW
    if not enumerated and draws is None:
        raise RefusedInputError(
            f"expected at most {MAX_EXACT_COINS_PER_DRAW} coins per draw to enumerate all draws, got "
            f"{coins_per_draw}: give the draws that occurred"
        )
    labels = all_draws(coins_per_draw) if enumerated else np.asarray(draws)
    sums: defaultdict[str, NDArray[np.float64]] = defaultdict(lambda: np.zeros(len(MEASURES)))
    least_squared_error = 0.0
    # chunks bound the memory of the pmfs and of the modal minimiser's grid
    for start in range(0, len(labels), DRAWS_PER_CHUNK):
        known = _known(labels[start : start + DRAWS_PER_CHUNK], coins_per_draw, rule)
        least_squared_error += known.variance.sum() / len(labels)
        for name, answers in exact_answers(known.pmf, known.mean).items():
            sums[name] += _measured(answers, known).sum(axis=1)
        sums["pmf_sample"] += _measured_sample(known).sum(axis=1)
    exact: dict[str, Any] = {
        name: dict(zip(MEASURES, (total / len(labels)).tolist(), strict=True)) for name, total in sums.items()
    }
    return exact | {
        "n_draws": len(labels), "all_draws": enumerated, "least_squared_error": float(least_squared_error),
    }  # fmt: skip


def _known(labels: NDArray[np.integer], coins_per_draw: int, rule: CoinRule) -> _Draws:
    pmf = coin_pmf(labels, coins_per_draw)
    p = head_probabilities(labels, coins_per_draw)
    return _Draws(
        pmf=pmf,
        shifted_pmf=coin_pmf(labels, coins_per_draw, law="shifted"),
        mean=mean_heads(labels, coins_per_draw),
        variance=(p * (1 - p)).sum(axis=1),
        log_delta=rule.log_delta(pmf),
    )


def _measured(answers: NDArray[np.float64], known: _Draws) -> NDArray[np.float64]:
    """`MEASURES` of one answer per draw, shape (4, n)."""
    probability = answer_probability(known.pmf, answers)
    return np.stack(
        [
            probability,
            answer_probability(known.shifted_pmf, answers),
            is_outside(probability, known.log_delta).astype(float),
            known.variance + (answers - known.mean) ** 2,
        ]
    )


def _measured_sample(known: _Draws) -> NDArray[np.float64]:
    """`MEASURES` of an answer drawn from each draw's own pmf, shape (4, n)."""
    outside = is_outside(known.pmf, known.log_delta[:, None])
    return np.stack(
        [
            (known.pmf**2).sum(axis=1),
            (known.pmf * known.shifted_pmf).sum(axis=1),
            (known.pmf * outside).sum(axis=1),
            2 * known.variance,  # answer and flips are independent and have the same law
        ]
    )
