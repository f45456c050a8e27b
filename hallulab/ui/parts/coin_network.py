"""What trained networks say about the coins that a visitor has chosen."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hallulab.experiments.coin_events import CoinMoment
from hallulab.experiments.coin_objectives import OBJECTIVES
from hallulab.experiments.coin_result import CoinResult
from hallulab.experiments.coin_settings import CoinSettings
from hallulab.scoring.coin_rule import CoinRule
from hallulab.scoring.coin_table import scored_table
from hallulab.scoring.coins import EstimatorVerdict, coin_pmf, judge_answers

Results = tuple[CoinResult, ...]
"""of one training: one run, or several side by side"""


@dataclass(frozen=True)
class NetworkAnswers:
    """The latest answers to one draw."""

    unrounded: tuple[float, ...]
    """as they come out of the networks, one per round"""
    judged: tuple[EstimatorVerdict, ...]
    """the first round's, before and after rounding; NaN is not judged"""


NOBODY = NetworkAnswers((), ())


def network_answers(
    results: Results, coins_per_draw: int, labels: Sequence[int], rule: CoinRule
) -> NetworkAnswers:
    """What the networks of the latest moment say; nothing where none was trained for draws like this.

    Args:
        results: of the training on the page.
        coins_per_draw: N.
        labels: the chosen coins, ascending; a network answers draws of exactly N coins.
        rule: what counts as a hallucination.
    """
    trained = [result for result in results or () if result.settings.coins_per_draw == coins_per_draw]
    if not trained or not trained[-1].moments or len(labels) != coins_per_draw:
        return NOBODY
    result = trained[-1]
    rows = np.flatnonzero((scored_table(coins_per_draw).labels == np.array(labels)).all(axis=1))
    if not len(rows):
        return NOBODY
    latest = {moment.seed: moment for moment in result.moments}  # by seed and epoch, so the last one stays
    said = [_said(result.settings, moment, int(rows[0])) for moment in latest.values()]
    before, after = said[0]
    pmf = coin_pmf(np.array(labels), coins_per_draw)
    names = {"network_unrounded": before, "network_rounded": after}
    judged = tuple(
        EstimatorVerdict(name, answer, float(np.exp(verdict.max_log_density)), verdict)
        for name, answer in names.items()
        if np.isfinite(answer)
        for verdict in judge_answers(pmf, [answer], rule)
    )
    return NetworkAnswers(tuple(unrounded for unrounded, _ in said), judged)


def _said(settings: CoinSettings, moment: CoinMoment, row: int) -> tuple[float, float]:
    """One network's answer to one draw, before and after rounding; of its ways to answer the first."""
    objective = OBJECTIVES[settings.objective]
    outputs = moment.output_table(objective.n_outputs(settings.coins_per_draw))[row : row + 1]
    before, after = (
        objective.answers_of(outputs, objective.answers[0], rounding=rounding).values
        for rounding in (None, settings.choices.rounding)
    )
    return float(before[0, 0]), float(after[0, 0])
