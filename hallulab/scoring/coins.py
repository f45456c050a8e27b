"""Exact verdicts on answers to "how many heads?": the Poisson-binomial pmf of the drawn coins."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hallulab.data.coins import head_probabilities, mean_heads, shifted_head_probabilities
from hallulab.densities.hcdr import HcdrFrame, Verdict
from hallulab.errors import RefusedInputError
from hallulab.scoring.coin_rule import CoinRule, log_probability
from hallulab.theory.minimisers import likeliest_count

Rounding = Literal["nearest", "ceil"]
CoinLaw = Literal["data", "shifted"]
STATE = "these coins"
JUDGED_ESTIMATORS = ("bayes_mean", "bayes_mean_rounded", "bayes_mean_ceil", "mode")


@dataclass(frozen=True)
class EstimatorVerdict:
    """One way to answer for one set of coins."""

    name: str
    answer: float
    """the number of heads it says"""
    conditional_probability: float
    """probability of exactly that many heads, given the coins"""
    verdict: Verdict


def poisson_binomial_pmf(probabilities: ArrayLike) -> NDArray[np.float64]:
    """Probability of 0 … N heads when N coins are flipped once each.

    Args:
        probabilities: of heads, shape (..., N).

    Returns: shape (..., N + 1).
    Raises RefusedInputError for a probability outside [0, 1] or NaN.
    """
    p = np.asarray(probabilities, dtype=float)
    if p.ndim == 0 or not ((p >= 0) & (p <= 1)).all():
        raise RefusedInputError(f"expected head probabilities between 0 and 1, shape (..., N), got {p}")
    pmf = np.zeros((*p.shape[:-1], p.shape[-1] + 1))
    pmf[..., 0] = 1
    for coin in range(p.shape[-1]):
        heads = p[..., coin, None]
        one_more = pmf[..., : coin + 1] * heads
        pmf[..., : coin + 1] *= 1 - heads
        pmf[..., 1 : coin + 2] += one_more
    return pmf


def coin_pmf(labels: ArrayLike, coins_per_draw: int, *, law: CoinLaw = "data") -> NDArray[np.float64]:
    """Pmf of the number of heads of each draw.

    Args:
        labels: shape (..., n_coins).
        coins_per_draw: N, which fixes the coins' probabilities.
        law: `data` is the law that made the flips; `shifted` the one that the public code scores with.

    Returns: shape (..., n_coins + 1).
    """
    to_probabilities = head_probabilities if law == "data" else shifted_head_probabilities
    return poisson_binomial_pmf(to_probabilities(labels, coins_per_draw))


def round_predictions(predictions: ArrayLike, rounding: Rounding) -> NDArray[np.float64]:
    """Predicted heads as whole answers; NaN stays NaN, and halves go to the even neighbour.

    Raises RefusedInputError for an unknown rounding.
    """
    if rounding not in get_args(Rounding):
        raise RefusedInputError(f"expected rounding {' or '.join(get_args(Rounding))}, got {rounding!r}")
    values = np.asarray(predictions, dtype=float)
    # + 0.0 turns the −0.0 of a rounded small negative number into 0.0
    return (np.rint(values) if rounding == "nearest" else np.ceil(values)) + 0.0


def answer_probability(pmf: ArrayLike, answers: ArrayLike) -> NDArray[np.float64]:
    """Probability of exactly the answered number of heads.

    An answer that cannot come up (below 0, above N, between two whole numbers) has probability 0; NaN stays
    NaN, a missing measurement.

    Args:
        pmf: shape (n, N + 1).
        answers: shape (..., n).

    Returns: shape (..., n).
    """
    probabilities = np.asarray(pmf, dtype=float)
    values = np.asarray(answers, dtype=float)
    possible = (values >= 0) & (values < probabilities.shape[1]) & (values == np.floor(values))
    columns = np.where(possible, values, 0).astype(np.int64)
    found = probabilities[np.arange(len(probabilities)), columns]
    return np.where(np.isnan(values), np.nan, np.where(possible, found, 0.0))


def coin_frame(pmf: ArrayLike, rule: CoinRule) -> HcdrFrame:
    """The frame that judges answers for one set of coins: exact, so no genuine samples stand behind it.

    Args:
        pmf: shape (N + 1,).
        rule: mass or δ.
    """
    row = np.asarray(pmf, dtype=float)
    return HcdrFrame(
        (STATE,),
        (log_probability(row),),
        hdr_mass=rule.hdr_mass,
        log_delta=float(rule.log_delta(row[None])[0]),
    )


def judge_answers(pmf: ArrayLike, answers: ArrayLike, rule: CoinRule) -> list[Verdict]:
    """One verdict per answer for one set of coins.

    Args:
        pmf: shape (N + 1,).
        answers: shape (n,); not NaN.
        rule: mass or δ.
    """
    row = np.asarray(pmf, dtype=float)
    values = np.asarray(answers, dtype=float)
    probabilities = answer_probability(np.broadcast_to(row, (len(values), len(row))), values)
    return coin_frame(row, rule).decide(log_probability(probabilities)[:, None])


def judge_estimators(labels: ArrayLike, coins_per_draw: int, rule: CoinRule) -> tuple[EstimatorVerdict, ...]:
    """The Bayes mean, its two roundings and the mode for one set of coins, each with its verdict.

    Args:
        labels: the chosen coins, shape (n_coins,).
        coins_per_draw: N, which fixes the coins' probabilities.
        rule: mass or δ.
    """
    pmf = coin_pmf(labels, coins_per_draw)
    mean = mean_heads(labels, coins_per_draw)
    rounded, up = (float(round_predictions(mean, rounding)) for rounding in get_args(Rounding))
    answers = [float(mean), rounded, up, float(likeliest_count(pmf[None])[0])]
    verdicts = judge_answers(pmf, answers, rule)
    return tuple(
        EstimatorVerdict(name, answer, float(np.exp(verdict.max_log_density)), verdict)
        for name, answer, verdict in zip(JUDGED_ESTIMATORS, answers, verdicts, strict=True)
    )
