"""What answers to many draws are worth, in closed form: no flip is needed where every law is known."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hallulab.data.coins import (
    all_draws,
    check_coins_per_draw,
    head_probabilities,
    mean_heads,
    n_draws,
    random_draws,
)
from hallulab.scoring.coin_rule import CoinRule, is_outside
from hallulab.scoring.coins import Rounding, answer_probability, coin_pmf, round_predictions
from hallulab.theory.intervals import Interval, mean_interval, wilson_interval

MAX_ENUMERATED_COINS = 10
"""up to this N every draw is in the table of the exact estimators; beyond, a sample stands for all"""
N_SAMPLED_DRAWS = 16_384
MAX_SCORED_DRAWS = 13_000
"""at every scored moment a network answers all draws where there are no more (N <= 8), else a sample"""
N_SCORED_SAMPLE = 4_096
SAMPLE_SEED = 0
FAR_HEADS = 0.05
"""a prediction further than this from every count that can come up is more than a last digit off: half of the
smallest step between means of N = 5"""
DISTANCE_TOLERANCE = 1e-9
"""heads; means are sums of fractions, and 3.05 - 3 must not be above 0.05"""


@dataclass(frozen=True)
class CoinTable:
    """Draws of N among 2N coins, with everything that is known about them."""

    coins_per_draw: int
    labels: NDArray[np.uint8]
    """ascending in each draw, shape (n, N)"""
    is_all: bool
    """whether these are all draws, each once; else they are a random sample"""
    pmf: NDArray[np.float64]
    """of the number of heads, shape (n, N + 1)"""
    shifted_pmf: NDArray[np.float64]
    """the same coins under the law that the public code scores with, shape (n, N + 1)"""
    mean: NDArray[np.float64]
    """of the number of heads, shape (n,)"""
    variance: NDArray[np.float64]
    """of the number of heads, shape (n,)"""

    @property
    def is_tie(self) -> NDArray[np.bool_]:
        """Where the mean lies exactly between two counts, shape (n,)."""
        return self.mean - np.floor(self.mean) == 0.5


@dataclass(frozen=True)
class Answers:
    """What is said for each of n draws: one number, or several with their shares."""

    values: NDArray[np.float64]
    """numbers of heads, NaN for no answer, shape (..., n, k) or one that broadcasts to it"""
    shares: NDArray[np.float64]
    """how often each of them is said; sums to 1 over k; the same shape, or one that broadcasts"""


@dataclass(frozen=True)
class AnswerScores:
    """Answers to n draws, scored draw by draw, shape (..., n) each; NaN where an answer is missing."""

    conditional_probability: NDArray[np.float64]
    """of exactly the answered number of heads, under the law that made the flips"""
    conditional_probability_shifted_law: NDArray[np.float64]
    """the same under the law that the public code scores with"""
    hallucination_rate: NDArray[np.float64]
    """share of the draw's answers that δ-hallucinate"""
    squared_error: NDArray[np.float64]
    """E(answer − heads)²: Σp(1 − p) + (answer − Σp)²"""
    impossible_share: NDArray[np.float64]
    """share of the draw's answers with probability 0"""
    far_share: NDArray[np.float64]
    """share of the draw's answers further than `FAR_HEADS` from every count that can come up"""


def coin_table(labels: NDArray[np.uint8], coins_per_draw: int, *, is_all: bool) -> CoinTable:
    """What is known about these draws, labels ascending, shape (n, N)."""
    p = head_probabilities(labels, coins_per_draw)
    return CoinTable(
        coins_per_draw,
        labels,
        is_all,
        pmf=coin_pmf(labels, coins_per_draw),
        shifted_pmf=coin_pmf(labels, coins_per_draw, law="shifted"),
        mean=mean_heads(labels, coins_per_draw),
        variance=(p * (1 - p)).sum(axis=1),
    )


@lru_cache(maxsize=4)
def exact_table(coins_per_draw: int) -> CoinTable:
    """All draws up to N = 10, and a fixed sample beyond: what exact estimators are scored on."""
    if check_coins_per_draw(coins_per_draw) <= MAX_ENUMERATED_COINS:
        return coin_table(all_draws(coins_per_draw), coins_per_draw, is_all=True)
    return _sampled_table(coins_per_draw, N_SAMPLED_DRAWS)


@lru_cache(maxsize=4)
def scored_table(coins_per_draw: int) -> CoinTable:
    """All draws where they are few (N <= 8), and a fixed sample beyond: what networks are scored on."""
    if n_draws(check_coins_per_draw(coins_per_draw)) <= MAX_SCORED_DRAWS:
        return exact_table(coins_per_draw)
    return _sampled_table(coins_per_draw, N_SCORED_SAMPLE)


def one_answer(values: ArrayLike) -> Answers:
    """One number for each draw.

    Args:
        values: shape (..., n).
    """
    alone = np.asarray(values, dtype=float)[..., None]
    return Answers(alone, np.ones((1, 1)))


def sampled_answers(shares: ArrayLike) -> Answers:
    """Every count as often as its share says.

    Args:
        shares: of 0 … N heads, shape (..., n, N + 1); a draw with NaN has no answer.
    """
    kept = np.asarray(shares, dtype=float)
    return Answers(np.arange(kept.shape[-1], dtype=float)[None], kept)


def rounded_either_way(predictions: ArrayLike, rounding: Rounding) -> Answers:
    """What rounding makes of predictions that are a hair off, to either side equally often.

    A network never learns a number to the last digit, so where rounding jumps it falls to either side; elsewhere
    both are the same answer.

    Args:
        predictions: shape (n,).
        rounding: as in `round_predictions`.
    """
    values = np.asarray(predictions, dtype=float)
    sides = [round_predictions(values + hair, rounding) for hair in (-1e-6, 1e-6)]
    return Answers(np.stack(sides, axis=-1), np.full((1, 2), 0.5))


def answer_probabilities(table: CoinTable, answers: Answers) -> NDArray[np.float64]:
    """Probability of each value under the law that made the flips, shape (..., n, k); NaN for a missing one."""
    return _by_draw(table.pmf, answers.values)


def score_answers(table: CoinTable, answers: Answers, rule: CoinRule) -> AnswerScores:
    """The answers draw by draw, exactly: nothing is flipped.

    Args:
        table: n draws.
        answers: to each of them.
        rule: what counts as a hallucination.
    """
    values, shares = answers.values, answers.shares
    missing = np.isnan(values).any(axis=-1) | np.isnan(shares).any(axis=-1)
    right = _by_draw(table.pmf, values)
    log_delta = rule.log_delta(table.pmf)[:, None]
    distance = _distance_to_possible(table.pmf, values)

    def share(measured: NDArray[Any]) -> NDArray[np.float64]:
        return np.where(missing, np.nan, (shares * measured).sum(axis=-1))

    shifted = right if table.shifted_pmf is table.pmf else _by_draw(table.shifted_pmf, values)
    with np.errstate(invalid="ignore", over="ignore"):
        return AnswerScores(
            conditional_probability=share(right),
            conditional_probability_shifted_law=share(shifted),
            hallucination_rate=share(is_outside(right, log_delta)),
            squared_error=table.variance + share((values - table.mean[:, None]) ** 2),
            impossible_share=share(right == 0),
            far_share=share(distance > FAR_HEADS + DISTANCE_TOLERANCE),
        )


def draws_interval(table: CoinTable, scores: NDArray[np.float64]) -> Interval | None:
    """95 % interval of a mean over draws, for what a sample of them leaves open.

    Args:
        table: n draws.
        scores: of them, shape (n,); NaN is left out.

    Returns: None where all draws are in the table, so that nothing is left open; Wilson's interval for what is 0 or
    1, else Student's.
    """
    kept = scores[np.isfinite(scores)]
    if table.is_all or not len(kept):
        return None
    if np.isin(kept, (0, 1)).all():
        return wilson_interval(int(kept.sum()), len(kept))
    return mean_interval(kept)


def _sampled_table(coins_per_draw: int, n: int) -> CoinTable:
    labels = random_draws(coins_per_draw, n, rng=np.random.default_rng(SAMPLE_SEED))
    return coin_table(labels, coins_per_draw, is_all=False)


def _by_draw(pmf: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability of each value under its draw's pmf: values (..., n or 1, k), pmf (n, N + 1)."""
    spread = np.broadcast_to(values, (*values.shape[:-2], len(pmf), values.shape[-1]))
    return np.moveaxis(answer_probability(pmf, np.moveaxis(spread, -1, 0)), 0, -1)


def _distance_to_possible(pmf: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Heads between each value and the nearest count of its draw that can come up; these lie side by side."""
    possible = pmf > 0
    lowest = possible.argmax(axis=1)[:, None]
    highest = pmf.shape[1] - 1 - possible[:, ::-1].argmax(axis=1)[:, None]
    with np.errstate(invalid="ignore"):
        return np.abs(values - np.clip(np.rint(values), lowest, highest))
