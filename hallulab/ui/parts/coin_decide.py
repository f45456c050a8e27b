"""Moving the line decides everything that was trained anew, with no network asked again."""

from typing import Any

import gradio as gr

from hallulab.experiments.coin_summary import run_json
from hallulab.records import as_plain
from hallulab.reports.coin_figures import training_figure
from hallulab.ui.parts.coin_files import exports_enabled
from hallulab.ui.parts.coin_line import line_rule
from hallulab.ui.parts.coin_network import Results
from hallulab.ui.parts.coin_runs import Runs, remembered, shown_runs
from hallulab.ui.parts.coin_summaries import ended_card, summary_html
from hallulab.ui.parts.controls import shown_plot, stop_enabled
from hallulab.ui.parts.errors import shown_to_visitor


def show_training(results: Results, *line: Any) -> tuple[gr.Plot, str]:
    """Curves and summary of what has been trained so far, by the page's line; nothing is trained or asked again.

    Args:
        results: of the training on the page, running or not.
        line: as `line_rule`.
    """
    judged = _judged(results, *line)
    if not any(result.moments for result in judged):
        return shown_plot(None), ""
    return shown_plot(training_figure(judged)), summary_html(judged)


def decide_again(results: Results, runs: Runs, *line: Any) -> tuple[Any, ...]:
    """Everything trained, by the page's line.

    Returns: curves, summary, receipt, table and picture of the runs, their clear button.
    """
    return (*show_training(results, *line), receipt(results, *line), *_shown_runs(runs, *line))


def receipt(results: Results, *line: Any) -> list[dict[str, Any]] | None:
    """The JSON of each run, by the page's line; None before there is one."""
    return [as_plain(run_json(result)) for result in _judged(results, *line)] or None


def settled(results: Results, runs: Runs, *line: Any) -> tuple[Any, ...]:
    """After the last step or a Stop: what was trained stays, and joins the runs of this visit.

    Returns: card, Stop, runs, then as `decide_again`, then the export buttons.
    """
    kept = remembered(runs, results)
    exists = any(result.moments for result in results or ())
    return (
        ended_card(results or (), len(results or ())), stop_enabled(False), kept,
        *decide_again(results, kept, *line), *exports_enabled(exists),
    )  # fmt: skip


def _shown_runs(runs: Runs, *line: Any) -> tuple[Any, ...]:
    with shown_to_visitor():
        return shown_runs(runs, line_rule(*line))


def _judged(results: Results, *line: Any) -> Results:
    with shown_to_visitor():
        rule = line_rule(*line)
    return tuple(
        result if result.settings.rule == rule else result.judged_by(rule) for result in results or ()
    )
