"""What coin runs say as numbers: means over rounds with intervals, exact values beside them, paired differences."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from hallulab.experiments.coin_claim import CoinClaim, coin_claim, least_loss
from hallulab.experiments.coin_over_rounds import OverRounds, over_rounds, paired_difference, range_of
from hallulab.experiments.coin_points import CoinPoint
from hallulab.experiments.coin_result import CoinResult
from hallulab.scoring.coin_exact import exact_estimator, unrounded_estimator
from hallulab.theory.intervals import wilson_interval

REFERENCE_OBJECTIVE, REFERENCE_VARIANT = "squared_error", "fixed"
"""an objective is held against squared error in the same variant, and a variant against `fixed`"""


@dataclass(frozen=True)
class SummaryRow:
    """One way to train and answer, over the compared rounds at the last epoch that they share. Numbers that are not
    called held-out are expectations over the true law and all scored draws."""

    coins_per_draw: int
    flips: int
    variant: str
    objective: str
    answer: str
    epoch: int | None
    n_rounds: int
    left_out_seeds: tuple[int, ...]
    """rounds that began and did not finish, while others did"""
    n_draws: int
    """scored in each round"""
    n_draws_missing: int
    """draws of all rounds whose answer was NaN"""
    expected_loss: OverRounds
    """in the objective's own loss; exact: the least possible"""
    conditional_probability: OverRounds
    """of exactly the answered number of heads, under the variant's law"""
    conditional_probability_data_law: OverRounds
    """the same answers under the law that made the flips"""
    best_conditional_probability: float
    """what no answer exceeds under the law that made the flips"""
    hallucination_rate: OverRounds
    squared_error: OverRounds
    """of the answer as given"""
    impossible_share: OverRounds
    """draws whose output, before any rounding, cannot come up"""
    far_share: OverRounds
    """draws whose output, before any rounding, is further than `FAR_HEADS` from every possible count"""
    n_flips_scored: int
    """held-out flips of all rounds"""
    n_missing: int
    """held-out flips whose answer was NaN"""
    held_out_loss: OverRounds
    held_out_conditional_probability: OverRounds
    """under the variant's law: what the public code reports"""
    held_out_conditional_probability_data_law: OverRounds
    held_out_hallucination_rate: OverRounds
    held_out_hallucination_interval: tuple[float, float] | None
    """95 % Wilson interval of the rate, the held-out flips of all rounds pooled: these networks on new flips, where an
    interval over rounds is about new networks"""
    held_out_squared_error: OverRounds
    claim: CoinClaim
    reference: str | None
    """what the differences are to: "squared_error" or "fixed"; None without such a run on the same flips"""
    conditional_probability_difference: OverRounds | None
    """under the law that made the flips, paired by seed"""
    hallucination_rate_difference: OverRounds | None
    squared_error_difference: OverRounds | None


def summary_table(results: Sequence[CoinResult]) -> tuple[SummaryRow, ...]:
    """One row per run and answer; each run is also paired, seed by seed, with what it is held against."""
    return tuple(
        _summary_row(result, answer, reference_of(result, results))
        for result in results
        for answer in result.answers
    )


def run_json(result: CoinResult) -> dict[str, Any]:
    """The contract of `coins --json` for one run."""
    return result.to_json() | {"table": [asdict(row) for row in summary_table([result])]}


def reference_of(result: CoinResult, results: Sequence[CoinResult]) -> CoinResult | None:
    """The run on the same flips, trained as long, that differs in one thing alone: an objective is held against squared
    error, and squared error in another variant against `fixed`. A variant brings its own batches and learning rate."""
    settings = result.settings
    if settings.objective != REFERENCE_OBJECTIVE:
        wanted = replace(settings, objective=REFERENCE_OBJECTIVE, rounds=1)
        found = (other for other in results if replace(other.settings, rounds=1) == wanted)
    elif settings.variant != REFERENCE_VARIANT:
        same = {"variant": REFERENCE_VARIANT, "rounds": 1, "batch_size": 1, "learning_rate": 1.0}
        wanted = replace(settings, **same)
        found = (
            other
            for other in results
            if other.settings.variant == REFERENCE_VARIANT and replace(other.settings, **same) == wanted
        )
    else:
        return None
    return next(found, None)


def reference_name(result: CoinResult) -> str:
    """What a run is held against, in the words of its settings."""
    is_objective = result.settings.objective != REFERENCE_OBJECTIVE
    return REFERENCE_OBJECTIVE if is_objective else REFERENCE_VARIANT


def _summary_row(result: CoinResult, answer: str, reference: CoinResult | None) -> SummaryRow:
    settings, points = result.settings, result.last_points(answer)
    exact = result.exact[exact_estimator(settings.objective, answer, settings.choices.rounding)]
    unrounded = unrounded_estimator(settings.objective, answer)
    by_variant = "" if settings.choices.law == "data" else "_shifted_law"

    def over(field: str, exact_value: float | None = None, interval: str | None = None) -> OverRounds:
        return over_rounds(
            [getattr(point, field) for point in points],
            within=range_of(field),
            exact=exact_value,
            draws_intervals=[getattr(point, interval) for point in points] if interval else (),
        )

    def difference(field: str) -> OverRounds | None:
        return None if reference is None else paired_difference(points, reference.last_points(), field)

    return SummaryRow(
        coins_per_draw=settings.coins_per_draw,
        flips=settings.flips,
        variant=settings.variant,
        objective=settings.objective,
        answer=answer,
        epoch=result.last_epoch,
        n_rounds=len(points),
        left_out_seeds=result.left_out_seeds,
        n_draws=max((point.n_draws + point.n_draws_missing for point in points), default=0),
        n_draws_missing=sum(point.n_draws_missing for point in points),
        expected_loss=over("expected_loss", least_loss(result)),
        conditional_probability=over(
            "conditional_probability", exact[f"conditional_probability{by_variant}"]
        ),
        conditional_probability_data_law=over(
            "conditional_probability_data_law",
            exact["conditional_probability"],
            "conditional_probability_interval",
        ),
        best_conditional_probability=result.exact["mode"]["conditional_probability"],
        hallucination_rate=over("hallucination_rate", exact["hallucination_rate"], "hallucination_interval"),
        squared_error=over("squared_error", exact["squared_error"], "squared_error_interval"),
        impossible_share=over(
            "impossible_share", result.exact[unrounded]["impossible_share"] if unrounded else None
        ),
        far_share=over("far_share", result.exact[unrounded]["far_share"] if unrounded else None),
        n_flips_scored=sum(point.n for point in points),
        n_missing=sum(point.n_missing for point in points),
        held_out_loss=over("validation_loss"),
        held_out_conditional_probability=over("held_out_conditional_probability"),
        held_out_conditional_probability_data_law=over("held_out_conditional_probability_data_law"),
        held_out_hallucination_rate=over("held_out_hallucination_rate"),
        held_out_hallucination_interval=_pooled_interval(points),
        held_out_squared_error=over("held_out_squared_error"),
        claim=coin_claim(result, answer),
        reference=None if reference is None else reference_name(result),
        conditional_probability_difference=difference("conditional_probability_data_law"),
        hallucination_rate_difference=difference("hallucination_rate"),
        squared_error_difference=difference("squared_error"),
    )


def _pooled_interval(points: Sequence[CoinPoint]) -> tuple[float, float] | None:
    scored = [
        (point.held_out_hallucination_rate, point.n)
        for point in points
        if point.held_out_hallucination_rate is not None
    ]
    if not scored:
        return None
    interval = wilson_interval(round(sum(rate * n for rate, n in scored)), sum(n for _, n in scored))
    return interval.low, interval.high
