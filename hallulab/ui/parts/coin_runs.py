"""The trainings of one visit, side by side."""

import gradio as gr
import plotly.graph_objects as go

from hallulab.experiments.coin_summary import CoinResult, OverRounds, SummaryRow, summary_table
from hallulab.reports.coin_figures import comparison_figure
from hallulab.reports.coin_words import VARIANT_TITLES, way_title
from hallulab.reports.numbers import MISSING
from hallulab.ui.parts.coin_tables import gap, measured, number, table_html
from hallulab.ui.parts.controls import shown_plot

Runs = tuple[CoinResult, ...]
MAX_RUNS = 12
"""trainings kept; the oldest goes first"""
NO_RUNS = """
<p class="hl-note">Every training of this visit is kept here. Train the variants, or two objectives, and see whether
any of them hallucinates less without losing accuracy.</p>
"""
RUNS_NOTE = """
<p class="hl-note">Mean over rounds at the last epoch that all rounds finished; under it, what a perfectly trained
network has. <b>Change</b>: against fixed + squared error, rounds paired by seed, once that was trained with the same
settings.</p>
"""


def remembered(runs: Runs, result: CoinResult) -> Runs:
    """The runs with this one last; training the same again takes the place of the earlier one."""
    others = tuple(run for run in runs or () if run.settings != result.settings)
    return (*others, result)[-MAX_RUNS:]


def shown_runs(runs: Runs) -> tuple[str, gr.Plot, gr.Button]:
    """The table of the runs, their picture once two can be compared, and the button that clears them."""
    return runs_table(runs), shown_plot(runs_figure(runs)), gr.Button(visible=bool(runs))


def runs_figure(runs: Runs) -> go.Figure | None:
    """Hallucinations and accuracy of the runs with the last one's N; of two alike the later."""
    finished = [run for run in runs if run.last_epoch]
    rows = {
        (row.variant, row.objective, row.answer): row
        for row in summary_table(finished)
        if row.coins_per_draw == finished[-1].settings.coins_per_draw
    }
    n_trainings = len({(variant, objective) for variant, objective, _ in rows})
    return comparison_figure(tuple(rows.values())) if n_trainings > 1 else None


def runs_table(runs: Runs) -> str:
    """A row for every run and way to answer, each number beside its exact counterpart."""
    finished = [run for run in runs or () if run.last_epoch]
    if not finished:
        return NO_RUNS
    rows = [_row(row) for row in summary_table(finished)]
    header = ("training", "right", "hallucinates", "squared error", "change in hallucinations")
    return table_html(header, rows) + RUNS_NOTE


def _row(row: SummaryRow) -> list[str]:
    missing = f", {row.n_missing:,} missing" if row.n_missing else ""
    difference = row.hallucination_rate_difference
    return [
        f"<b>N = {row.coins_per_draw}, {VARIANT_TITLES[row.variant]}</b><br>"
        f"{way_title(row.objective, row.answer)}"
        f"<small>{_rounds(row.n_rounds)} of {row.flips:,} flips, epoch {row.epoch}{missing}</small>",
        _beside_exact(row.conditional_probability_data_law, as_percent=True),
        _beside_exact(row.hallucination_rate, as_percent=True),
        _beside_exact(row.squared_error, as_percent=False),
        MISSING if difference is None else _difference(difference),
    ]


def _beside_exact(over: OverRounds, *, as_percent: bool) -> str:
    return (
        f"{measured(over, as_percent=as_percent)}<small>perfect: "
        f"{number(over.exact, as_percent=as_percent)}</small>"
    )


def _difference(over: OverRounds) -> str:
    if over.low is None or over.high is None:
        return gap(over.mean, as_percent=True)
    low, high = gap(over.low, as_percent=True), gap(over.high, as_percent=True)
    return f"<b>{gap(over.mean, as_percent=True)}</b><small>{low} to {high}</small>"


def _rounds(n: int) -> str:
    return "1 round" if n == 1 else f"{n} rounds"
