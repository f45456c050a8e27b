"""The claim of [LHZSL] 7.1 as a test: while the loss falls, answers become right no more often.

Held against exact numbers, it is two claims. Over a whole training, the untrained network included, loss and P(right)
can only move together: a network that knows nothing is rarely right. The paper's claim is about what follows once the
loss is near the least possible; there it says that something does *not* change, which no interval around zero can show
unless it is said beforehand what is small. Both margins are stated here, before any run.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hallulab.experiments.coin_over_rounds import OverRounds, over_rounds
from hallulab.experiments.coin_points import CoinPoint
from hallulab.experiments.coin_result import CoinResult
from hallulab.scoring.coin_exact import least_scored_losses
from hallulab.scoring.coin_table import scored_table
from hallulab.theory.correlation import MeanCorrelation, mean_correlation, spearman
from hallulab.theory.equivalence import Equivalence, equivalence_test

NEAR_FLOOR = 0.05
"""a loss is near the least possible when it is above it by less than this share of it"""
CHANGE_MARGIN = 0.01
"""a change of P(right) within one percentage point is as good as none"""
CORRELATION_MARGIN = 0.3
"""a rank correlation within this is weak: ranks would share less than a tenth of their variance"""


@dataclass(frozen=True)
class RoundCorrelations:
    """Rank correlation of expected loss and P(right), round by round."""

    over_rounds: MeanCorrelation | None
    """−1 where less loss always came with better answers; None where no round has one"""
    n_undefined: int
    """rounds in which one of the two stood still, or with fewer than two moments"""


@dataclass(frozen=True)
class CoinClaim:
    """How loss and P(right) move together in one run, for one way to answer."""

    whole: RoundCorrelations
    """over all scored moments, the untrained network included"""
    n_near: int
    """compared rounds whose loss came near the least possible"""
    near_epoch: OverRounds
    """epochs until then"""
    right_untrained: OverRounds
    """P(right) of those rounds before training"""
    right_near: OverRounds
    """at the first moment near the least possible loss"""
    right_last: OverRounds
    """at the last epoch"""
    after: RoundCorrelations
    """over the moments since then; where P(right) stood still there is no correlation"""
    loss_change: OverRounds
    """of the expected loss since then, until the last epoch"""
    right_change: Equivalence | None
    """of P(right) since then, against `CHANGE_MARGIN`; rounds where it stood still count as 0"""


def coin_claim(result: CoinResult, answer: str | None = None) -> CoinClaim:
    """Test the claim on exact losses and exact probabilities under the law that made the flips.

    Args:
        result: the run; its compared rounds are used.
        answer: the objective's first answer unless another is named.
    """
    rounds = [_known(result.round_points(seed, answer)) for seed in result.compared_seeds]
    limit = (1 + NEAR_FLOOR) * least_loss(result)
    reached = [(points, first) for points in rounds if (first := _first_below(points, limit)) is not None]
    near = [points[first:] for points, first in reached]
    changes = [_change(points, "conditional_probability_data_law") for points in near]
    return CoinClaim(
        whole=_correlations(rounds),
        n_near=len(near),
        near_epoch=over_rounds([points[0].epoch for points in near], within=(0.0, np.inf)),
        right_untrained=_right([points[0] for points, _ in reached if points[0].epoch == 0]),
        right_near=_right([points[0] for points in near]),
        right_last=_right([points[-1] for points in near]),
        after=_correlations(near),
        loss_change=over_rounds([_change(points, "expected_loss") for points in near]),
        right_change=equivalence_test(changes, margin=CHANGE_MARGIN),
    )


def least_loss(result: CoinResult) -> float:
    """The least expected loss that any output can have, over the draws that the networks are scored on."""
    return least_scored_losses(result.settings.coins_per_draw)[result.settings.objective]


def most_right(result: CoinResult) -> float:
    """The mean P(right) that no answer exceeds, over the draws that the networks are scored on."""
    return float(scored_table(result.settings.coins_per_draw).pmf.max(axis=1).mean())


def _known(points: Sequence[CoinPoint]) -> list[CoinPoint]:
    """Points with both numbers."""
    return [
        point
        for point in points
        if point.expected_loss is not None and point.conditional_probability_data_law is not None
    ]


def _first_below(points: Sequence[CoinPoint], limit: float) -> int | None:
    """Where the loss is below a limit for the first time."""
    below = [
        index
        for index, point in enumerate(points)
        if point.expected_loss is not None and point.expected_loss < limit
    ]
    return below[0] if below else None


def _right(points: Sequence[CoinPoint]) -> OverRounds:
    return over_rounds([point.conditional_probability_data_law for point in points], within=(0.0, 1.0))


def _change(points: Sequence[CoinPoint], field: str) -> float:
    return getattr(points[-1], field) - getattr(points[0], field)


def _correlations(rounds: Sequence[Sequence[CoinPoint]]) -> RoundCorrelations:
    found = [
        (
            spearman(
                np.array([point.expected_loss for point in points], dtype=float),
                np.array([point.conditional_probability_data_law for point in points], dtype=float),
            ),
            len(points),
        )
        for points in rounds
    ]
    defined = [(value, n) for value, n in found if value is not None]
    return RoundCorrelations(
        mean_correlation([value for value, _ in defined], n_pairs=[n for _, n in defined]),
        n_undefined=len(found) - len(defined),
    )
