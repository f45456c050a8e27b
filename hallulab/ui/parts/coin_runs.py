"""The trainings of one visit, side by side."""

from dataclasses import replace

import gradio as gr
import plotly.graph_objects as go

from hallulab.experiments.coin_result import CoinResult
from hallulab.experiments.coin_summary import SummaryRow, summary_table
from hallulab.reports.coin_figures import comparison_figure
from hallulab.reports.coin_words import SHORT_OBJECTIVE_TITLES, VARIANT_TITLES, way_title
from hallulab.reports.numbers import MISSING
from hallulab.scoring.coin_rule import CoinRule
from hallulab.ui.parts.coin_network import Results
from hallulab.ui.parts.coin_tables import beside_perfect, measured, table_html
from hallulab.ui.parts.controls import shown_plot

Runs = tuple[CoinResult, ...]
MAX_RUNS = 12
"""trainings kept; the oldest goes first"""
NO_RUNS = """
<p class="hl-note">Every training of this visit is kept here. Train the variants, or two objectives, and see whether
any of them hallucinates less without losing accuracy.</p>
"""
RUNS_NOTE = """
<p class="hl-note">Over all draws, at the last epoch that all rounds finished, decided by the line that is set above.
<b>Change</b>: another objective against squared error, another variant against fixed; rounds paired by seed, once both
were trained on the same flips for as long.</p>
"""


def remembered(runs: Runs, results: Results) -> Runs:
    """The runs with these last; training the same again takes the place of the earlier one."""
    kept = tuple(runs or ())
    for result in results:
        if result.points:
            others = tuple(
                run for run in kept if run.settings.judged_by(result.settings.rule) != result.settings
            )
            kept = (*others, _at_its_end(result))
    return kept[-MAX_RUNS:]


def shown_runs(runs: Runs, rule: CoinRule) -> tuple[str, gr.Plot, gr.Button]:
    """By this line: the table of the runs, their picture once two can be compared, and the button that clears them."""
    judged = tuple(run.judged_by(rule) for run in runs or ())
    return runs_table(judged), shown_plot(runs_figure(judged)), gr.Button(visible=bool(judged))


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


def _at_its_end(result: CoinResult) -> CoinResult:
    """The run with its last epoch alone, which any line can judge: what a visitor's twelve runs hold stays small."""
    moments, epoch = result.last_moments(), result.last_epoch
    if epoch is None:
        return replace(result, moments=(), points=result.points[:1])
    return replace(result, moments=moments, points=tuple(p for p in result.points if p.epoch == epoch))


def _row(row: SummaryRow) -> list[str]:
    missing = f", {row.n_draws_missing:,} draws without an answer" if row.n_draws_missing else ""
    difference = row.hallucination_rate_difference
    to = SHORT_OBJECTIVE_TITLES.get(row.reference or "", row.reference)
    return [
        f"<b>N = {row.coins_per_draw}, {VARIANT_TITLES[row.variant]}</b><br>"
        f"{way_title(row.objective, row.answer)}"
        f"<small>{_rounds(row.n_rounds)} of {row.flips:,} flips, epoch {row.epoch}{missing}</small>",
        beside_perfect(row.conditional_probability_data_law, as_percent=True),
        beside_perfect(row.hallucination_rate, as_percent=True),
        beside_perfect(row.squared_error, as_percent=False),
        MISSING
        if difference is None
        else f"{measured(difference, as_percent=True, signed=True)}<small>against {to}</small>",
    ]


def _rounds(n: int) -> str:
    return "1 round" if n == 1 else f"{n} rounds"
