"""Whether right answers stand still while the loss goes on falling: the part of a report with figures and a table."""

from collections.abc import Iterator, Sequence

from hallulab.experiments.coin_claim import (
    CHANGE_MARGIN,
    CORRELATION_MARGIN,
    NEAR_FLOOR,
    RoundCorrelations,
    coin_claim,
    least_loss,
    most_right,
)
from hallulab.experiments.coin_points import CoinPoint
from hallulab.experiments.coin_result import CoinResult
from hallulab.reports.charts import Chart, Series, page_figure
from hallulab.reports.coin_claim_words import change_words
from hallulab.reports.coin_numbers import mean_words, with_spread
from hallulab.reports.coin_words import objective_title, run_title
from hallulab.reports.figures import NEUTRAL, state_colour
from hallulab.reports.numbers import MISSING, decimal
from hallulab.reports.page import PageSection, PageTable
from hallulab.theory.multiple_tests import holm

SMALLEST_EXCESS = 1e-5
"""a loss nearer to the least possible than this is drawn here: a logarithm has no zero"""
VERDICTS = {
    "within": "stands still",
    "beyond": "moves by more than the margin",
    "undecided": "these rounds cannot say",
}
WHAT_IT_ASKS = (
    "The paper's claim: the loss falls, and the answers become right no more often. Here both are exact: the expected "
    "loss above the least that any output can have, and P(right) below the most that any answer can have. The margins "
    f"were stated before any run: a loss within {100 * NEAR_FLOOR:g} % of the least possible is near it; a change of "
    f"P(right) within ±{100 * CHANGE_MARGIN:g} percentage point is as good as none, which is tested by two one-sided "
    "tests "
    f"at 5 % (Schuirmann 1987); a rank correlation within ±{CORRELATION_MARGIN:g} is weak."
)


def claim_section(results: Sequence[CoinResult]) -> Iterator[PageSection]:
    """Only where a run has a finished epoch."""
    finished = [result for result in results if result.last_epoch]
    if finished:
        yield PageSection(
            "Does being right stand still while the loss falls?",
            (WHAT_IT_ASKS,),
            [page_figure(claim_chart(result)) for result in finished],
            [_claim_table(finished)],
        )


def claim_chart(result: CoinResult) -> Chart:
    """Every scored moment of every round: how far the loss is from its floor, and P(right) from its ceiling."""
    floor, ceiling = least_loss(result), most_right(result)
    points = [point for seed in result.compared_seeds for point in result.round_points(seed)]
    groups = {
        "untrained": ([point for point in points if point.epoch == 0], NEUTRAL),
        "while it trains": ([p for p in points if 0 < p.epoch < (result.last_epoch or 0)], state_colour(0)),
        "at the last epoch": ([p for p in points if p.epoch == result.last_epoch], state_colour(1)),
    }
    unit = " (nats)" if result.settings.objective == "cross_entropy" else ""
    return Chart(
        run_title(result.settings),
        f"Every scored moment of {len(result.compared_seeds)} rounds, without any noise of flips. Training goes from "
        "right "
        f"to left. The ceiling of P(right) is {ceiling:.3f}: at 0 points no answer can be right more often.",
        [
            Series(name, *_excess_and_shortfall(group, floor, ceiling), colour, mark="point")
            for name, (group, colour) in groups.items()
            if group
        ],
        f"{objective_title(result.settings.objective)} above the least possible{unit}, logarithmic",
        "P(right) below the most possible, points",
        (-2.0, 100 * ceiling + 2),
        is_log_x=True,
        marked_x=NEAR_FLOOR * floor,
        marked_name=f"within {100 * NEAR_FLOOR:g} %",
    )


def _excess_and_shortfall(
    points: Sequence[CoinPoint], floor: float, ceiling: float
) -> tuple[list[float], list[float | None]]:
    known = [
        p for p in points if p.expected_loss is not None and p.conditional_probability_data_law is not None
    ]
    excess = [max(SMALLEST_EXCESS, (point.expected_loss or 0.0) - floor) for point in known]
    return excess, [100 * (ceiling - (point.conditional_probability_data_law or 0.0)) for point in known]


def _claim_table(results: Sequence[CoinResult]) -> PageTable:
    claims = [coin_claim(result) for result in results]
    tested = [
        claim.right_change.p_value
        for claim in claims
        if claim.right_change and claim.right_change.p_value is not None
    ]
    corrected = iter(holm(tested).tolist())
    rows = []
    for result, claim in zip(results, claims, strict=True):
        change = claim.right_change
        has_p = change is not None and change.p_value is not None
        rows.append(
            (
                run_title(result.settings),
                str(len(result.compared_seeds)),
                _correlation(claim.whole),
                f"{claim.n_near}, epoch {mean_words(claim.near_epoch, digits=1)}",
                with_spread(claim.loss_change, digits=4, signed=True),
                change_words(change),
                decimal(next(corrected)) if has_p else MISSING,
                MISSING if change is None else VERDICTS[change.verdict],
                _correlation(claim.after),
            )
        )
    return PageTable(
        "The claim, run by run",
        (
            "run", "rounds", "correlation, whole training", "rounds near the floor, since", "loss since then",
            "P(right) since then", "p", "P(right)", "correlation since then",
        ),
        rows,
        "Correlation: Spearman's, of expected loss and P(right) over the scored moments of a round; mean by Fisher's z "
        "with 95 % interval over rounds; −1 where less loss always went with more right answers. In brackets for "
        "P(right): "
        f"90 % interval. p: of P(right) moving by the margin or more, corrected by Holm for {len(tested)} "
        f"{'test' if len(tested) == 1 else 'tests'}; none where every round moved alike.",
    )  # fmt: skip


def _correlation(found: RoundCorrelations) -> str:
    undefined = f"; {found.n_undefined} undefined" if found.n_undefined else ""
    if found.over_rounds is None:
        return f"{MISSING}{undefined}"
    interval = found.over_rounds.interval
    ends = f" [{decimal(interval.low, 2)} to {decimal(interval.high, 2)}]" if interval else ""
    return f"{decimal(found.over_rounds.mean, 2)}{ends}, {found.over_rounds.n} rounds{undefined}"
