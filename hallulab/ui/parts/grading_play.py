"""What the Grading tab does when t moves, answers arrive or the view changes: plain functions on what is shown."""

from typing import Any

import plotly.graph_objects as go

from hallulab.data.target_prompts import target_sentence
from hallulab.errors import RefusedInputError
from hallulab.reports.figures import styled
from hallulab.reports.grading_figures import risk_coverage_figure, score_curve_figure
from hallulab.scoring.grading import READINGS, regrade
from hallulab.ui.parts.controls import shown_plot
from hallulab.ui.parts.errors import shown_to_visitor
from hallulab.ui.parts.grading_cards import (
    FILTERS,
    answers_table,
    bad_lines_note,
    marks_html,
    rank_table,
    verdict_card,
)
from hallulab.ui.parts.grading_inputs import GradedSource, example_source, pasted_source
from hallulab.ui.parts.grading_rank import rank_answerers

FIGURE_HEIGHT_PX = 380


def show_grades(source: GradedSource | None, target: float | None, shown: str) -> tuple[Any, ...]:
    """As `grading_panels`, the risk–coverage figure hidden where no answer says how sure it is."""
    *panels, risk, table, ranking, reading = grading_panels(source, target, shown)
    return *panels, shown_plot(risk), table, ranking, reading


def grading_panels(
    source: GradedSource | None, target: float | None, shown: str
) -> tuple[str, str, str, go.Figure, go.Figure | None, str, str, float | None]:
    """Everything that follows from the answers and t.

    Args:
        source: the answers; the shipped ones when None.
        target: t.
        shown: which answers are in the table, of `FILTERS`.

    Returns: verdict, marks, sentence for the prompt, curve, risk–coverage, table, ranking, named target.
    """
    answers = (source or example_source()).graded
    with shown_to_visitor():
        t = checked_target(target)
        if shown not in FILTERS:
            raise RefusedInputError(f"expected one of {', '.join(FILTERS)}, got {shown!r}")
        found = regrade(answers, t)
    return (
        verdict_card(found, answers),
        marks_html(found),
        target_sentence(t),
        _framed(score_curve_figure(answers, target=t)),
        _framed(risk_coverage_figure(answers, target=t)).update_yaxes(title_text="share of these wrong")
        if answers.knows_confidence
        else None,
        answers_table(found, shown),
        rank_table(rank_answerers(answers, t), t),
        t if t in READINGS else None,
    )


def filter_answers(source: GradedSource | None, target: float | None, shown: str) -> str:
    """The table alone, for another kind of answers."""
    with shown_to_visitor():
        return answers_table(regrade((source or example_source()).graded, checked_target(target)), shown)


def choose_examples() -> tuple[GradedSource, str]:
    """The shipped answers, and what was read."""
    source = example_source()
    return source, bad_lines_note(source.bad_lines, len(source.graded.answers), source.name)


def read_pasted(text: str | None) -> tuple[GradedSource, str]:
    """A visitor's answers, and which lines were left out; refused where there is none."""
    with shown_to_visitor():
        source = pasted_source(text)
    return source, bad_lines_note(source.bad_lines, len(source.graded.answers), source.name)


def checked_target(target: float | None) -> float:
    """t as a number; `regrade` refuses what is out of range."""
    if target is None:
        raise RefusedInputError("expected a confidence target t with 0 <= t < 1, got nothing")
    return float(target)


def _framed(figure: go.Figure) -> go.Figure:
    return (
        styled(figure, height_px=FIGURE_HEIGHT_PX)
        .update_xaxes(range=[-0.02, 1.04])
        .update_layout(
            margin={"l": 56, "r": 12, "t": 14, "b": 126},
            legend={"orientation": "h", "y": -0.3, "yanchor": "top", "x": 0},
        )
    )
