"""The tables of a coin report."""

from collections.abc import Mapping, Sequence
from typing import Any

from hallulab.experiments.coin_over_rounds import OverRounds
from hallulab.experiments.coin_result import CoinResult
from hallulab.experiments.coin_summary import SummaryRow
from hallulab.reports.coin_numbers import value_words, with_spread
from hallulab.reports.coin_words import VARIANT_TITLES, estimator_title, rule_title, short_way_title
from hallulab.reports.numbers import MISSING, between, decimal, percent
from hallulab.reports.page import PageTable
from hallulab.scoring.coin_table import FAR_HEADS

MEANS_NOTE = (
    "Mean over rounds; in brackets the 95 % Student-t interval of that mean, or that all rounds agree, as that "
    "interval "
    "needs a spread."
)
GAP_NOTE = (
    f"{MEANS_NOTE} Exact: what the objective's exact minimiser reaches, answered alike; where rounding jumps, a "
    "network "
    "falls to either side, and so does its exact counterpart. Gap: network − exact."
)


def right_table(rows: Sequence[SummaryRow]) -> PageTable:
    """How often answers are right."""
    return PageTable(
        "Right answers, at the last epoch that all rounds reached",
        ("run", "rounds", "epoch", "P(right)", "exact", "gap", "best possible"),
        [
            (
                row_title(row),
                str(row.n_rounds),
                MISSING if row.epoch is None else str(row.epoch),
                *_beside_exact(row.conditional_probability_data_law, as_percent=True),
                percent(row.best_conditional_probability),
            )
            for row in rows
        ],
        f"{GAP_NOTE} Computed on all draws in closed form, with no flip (beyond N = 8 on a fixed sample of draws).",
    )


def wrong_table(rows: Sequence[SummaryRow]) -> PageTable:
    """How often answers hallucinate, and what they cost."""
    return PageTable(
        "Hallucinations and squared error, at the same epoch",
        ("run", "hallucination rate", "exact", "gap", "squared error", "exact", "gap"),
        [
            (
                row_title(row),
                *_beside_exact(row.hallucination_rate, as_percent=True),
                *_beside_exact(row.squared_error, as_percent=False),
            )
            for row in rows
        ],
        f"{GAP_NOTE} Squared error: of the answer as given.",
    )


def unrounded_table(rows: Sequence[SummaryRow]) -> PageTable:
    """The output as it comes out of the network: the A* of Def. 4.2."""
    return PageTable(
        "Before any rounding",
        ("run", "cannot happen", "exact minimiser", f"further than {FAR_HEADS:g} heads", "exact minimiser"),
        [
            (
                row_title(row),
                with_spread(row.impossible_share, as_percent=True),
                percent(row.impossible_share.exact),
                with_spread(row.far_share, as_percent=True),
                percent(row.far_share.exact),
            )
            for row in rows
            if row.impossible_share.exact is not None
        ],
        f"{MEANS_NOTE} Cannot happen: the share of draws whose output has probability 0, which is a hallucination at "
        "every δ. A network hits a whole number by accident only, so the second share, of outputs further than a "
        "twentieth of a head from every count that can come up, says how much of it is more than a last digit.",
    )


def held_out_table(rows: Sequence[SummaryRow]) -> PageTable:
    """The paper's way to score: flips kept from training."""
    return PageTable(
        "The same networks on flips kept from training, as the paper scores them",
        (
            "run", "flips", "missing", "P(right)", "as the variant scores it", "hallucination rate", "pooled",
            "squared error",
        ),
        [
            (
                row_title(row),
                f"{row.n_flips_scored:,}",
                f"{row.n_missing:,}",
                with_spread(row.held_out_conditional_probability_data_law, as_percent=True),
                with_spread(row.held_out_conditional_probability, as_percent=True),
                with_spread(row.held_out_hallucination_rate, as_percent=True),
                between(*(row.held_out_hallucination_interval or (None, None)), as_percent=True),
                with_spread(row.held_out_squared_error),
            )
            for row in rows
        ],
        f"{MEANS_NOTE} Pooled: 95 % Wilson interval of the rate, the flips of all rounds together. These numbers "
        "have the "
        "noise of their flips; all others on this page have none. The rate is missing where the line was changed after "
        "training, as these flips are not kept.",
    )  # fmt: skip


def rounds_table(results: Sequence[CoinResult]) -> PageTable:
    """Every round by itself."""
    return PageTable(
        "Every round at its last scored epoch",
        (
            "run", "seed", "epoch", "training loss", "expected loss", "held-out loss", "P(right)",
            "hallucination rate", "squared error", "cannot happen",
        ),
        [
            (
                f"N = {settings.coins_per_draw} · {short_way_title(settings.objective, answer, settings.variant)}",
                str(seed) + (" (left out)" if seed in result.left_out_seeds else ""),
                f"{last.epoch:.3g}",
                decimal(last.train_loss, 4),
                decimal(last.expected_loss, 4),
                decimal(last.validation_loss, 4),
                percent(last.conditional_probability_data_law),
                percent(last.hallucination_rate),
                decimal(last.squared_error, 4),
                percent(last.impossible_share),
            )
            for result in results
            for settings in [result.settings]
            for seed in result.started_seeds
            for answer in result.answers
            for last in result.round_points(seed, answer)[-1:]
        ],
        "Losses are in each objective's own unit. A round that did not finish while others did is left out of every "
        "mean.",
    )  # fmt: skip


def variants_table(rows: Sequence[SummaryRow]) -> PageTable | None:
    """Both variants side by side, where both were trained for one N on one objective."""
    pairs = [
        row
        for row in rows
        if {other.variant for other in rows if _same_but_variant(row, other)} == set(VARIANT_TITLES)
    ]
    if not pairs:
        return None
    return PageTable(
        "Variants",
        (
            "run",
            "P(right)",
            "as the variant scores it",
            "hallucination rate",
            "squared error",
            "P(right) − fixed",
        ),
        [
            (
                row_title(row),
                with_spread(row.conditional_probability_data_law, as_percent=True),
                with_spread(row.conditional_probability, as_percent=True),
                with_spread(row.hallucination_rate, as_percent=True),
                with_spread(row.squared_error),
                with_spread(row.conditional_probability_difference, as_percent=True, signed=True)
                if row.reference == "fixed"
                else MISSING,
            )
            for row in sorted(pairs, key=lambda row: (row.coins_per_draw, row.objective, row.answer))
        ],
        f"{MEANS_NOTE} A variant brings its own batches and learning rate unless others were chosen; the last column "
        "is "
        "paired by seed, so on the same flips.",
    )


def exact_tables(results: Sequence[CoinResult]) -> list[PageTable]:
    """One per N and rule: exact values depend on nothing else."""
    kinds = {(result.settings.coins_per_draw, result.settings.rule): result for result in results}
    return [_exact_table(result) for result in kinds.values()]


def row_title(row: SummaryRow) -> str:
    """N and the way to train and answer."""
    return f"N = {row.coins_per_draw} · {short_way_title(row.objective, row.answer, row.variant)}"


def _exact_table(result: CoinResult) -> PageTable:
    estimators = {
        name: value
        for name, value in result.exact.items()
        if isinstance(value, Mapping) and "conditional_probability" in value
    }
    n, n_draws, is_all = result.settings.coins_per_draw, result.exact["n_draws"], result.exact["all_draws"]
    over = (
        f"Over all {n_draws:,} draws, with no chance in it."
        if is_all
        else f"Estimated from {n_draws:,} draws made at random, with 95 % intervals: there are too many to go through."
    )
    return PageTable(
        f"{'Exact' if is_all else 'Estimated'} values, N = {n}, {rule_title(result.settings)}",
        (
            "answering with", "P(right)", "by the public code's law", "hallucination rate", "squared error",
            "cannot happen",
        ),
        [
            (
                estimator_title(name),
                *(
                    _exact_cell(value, measure)
                    for measure in (
                        "conditional_probability", "conditional_probability_shifted_law", "hallucination_rate",
                        "squared_error", "impossible_share",
                    )
                ),
            )
            for name, value in estimators.items()
        ],
        f"{over} The most likely count is right as often as any answer can be, and so, by definition, hallucinates "
        "least; "
        "the average has the least squared error. Halves: averages exactly between two counts.",
    )  # fmt: skip


def _exact_cell(value: Mapping[str, Any], measure: str) -> str:
    low, high = value.get(f"{measure}_interval", (None, None))
    return decimal(value[measure], 4) + ("" if low is None else f" [{decimal(low, 4)} to {decimal(high, 4)}]")


def _same_but_variant(row: SummaryRow, other: SummaryRow) -> bool:
    return all(
        getattr(row, name) == getattr(other, name)
        for name in ("coins_per_draw", "objective", "answer", "flips")
    )


def _beside_exact(over: OverRounds, *, as_percent: bool) -> tuple[str, str, str]:
    """Mean with what it leaves open, exact value, gap."""
    return (
        with_spread(over, as_percent=as_percent),
        value_words(over.exact, as_percent=as_percent),
        value_words(over.gap, as_percent=as_percent, signed=True),
    )
