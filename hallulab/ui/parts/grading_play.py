"""What the Grading tab does when t moves, answers arrive or the view changes: plain functions on what is shown."""

from typing import Any

import gradio as gr
import plotly.graph_objects as go

from hallulab.data.target_prompts import target_sentence
from hallulab.errors import RefusedInputError
from hallulab.reports.figures import styled
from hallulab.reports.grading_figures import risk_coverage_figure, score_curve_figure
from hallulab.scoring.grading import READINGS, regrade
from hallulab.scoring.grading_rank import QUICK, rank_ways, usual_ways
from hallulab.ui.parts.controls import shown_plot
from hallulab.ui.parts.errors import shown_to_visitor
from hallulab.ui.parts.grading_cards import (
    FILTERS,
    answers_table,
    bad_lines_note,
    marks_html,
    rank_table,
    stated_table,
    verdict_card,
)
from hallulab.ui.parts.grading_inputs import GradedSource, example_source, pasted_source

FIGURE_HEIGHT_PX = 380


def show_grades(
    source: GradedSource | None, target: float | None, shown: str, whose: int | None = None
) -> tuple[Any, ...]:
    """As `grading_panels`, the risk–coverage figure hidden where no answer says how sure it is."""
    *panels, risk, table, ranking, reading = grading_panels(source, target, shown, whose)
    return *panels, shown_plot(risk), table, ranking, reading


def grading_panels(
    source: GradedSource | None, target: float | None, shown: str, whose: int | None = None
) -> tuple[str, str, str, go.Figure, go.Figure | None, str, str, float | None]:
    """Everything that follows from the answers and t.

    Args:
        source: the answers; the shipped ones when None.
        target: t.
        shown: which answers are in the table, of `FILTERS`.
        whose: the place of who answered, among several; all but the ranking is about one alone.

    Returns: verdict, marks, sentence for the prompt, curve, risk–coverage, table, ranking, named target.
    """
    chosen = source or example_source()
    answers = chosen.of(whose)
    with shown_to_visitor():
        t = checked_target(target)
        if shown not in FILTERS:
            raise RefusedInputError(f"expected one of {', '.join(FILTERS)}, got {shown!r}")
        found = regrade(answers, t)
    ranking = rank_ways(chosen.graded, usual_ways(chosen.graded, t), t, effort=QUICK)
    return (
        verdict_card(found, answers),
        marks_html(found),
        target_sentence(t),
        _framed(score_curve_figure(answers, target=t)),
        _framed(risk_coverage_figure(answers, target=t)) if answers.knows_confidence else None,
        answers_table(found, shown),
        rank_table(ranking) + stated_table(chosen.graded),
        t if t in READINGS else None,
    )


def filter_answers(
    source: GradedSource | None, target: float | None, shown: str, whose: int | None = None
) -> str:
    """The table alone, for another kind of answers."""
    with shown_to_visitor():
        answers = (source or example_source()).of(whose)
        return answers_table(regrade(answers, checked_target(target)), shown)


def choose_examples() -> tuple[GradedSource, str, gr.Dropdown]:
    """The shipped answers, what was read, and whose answers there are."""
    return _read(example_source())


def read_pasted(text: str | None, others_are_wrong: bool = False) -> tuple[GradedSource, str, gr.Dropdown]:
    """A visitor's answers, which lines were left out, and whose answers there are; refused where there is none."""
    with shown_to_visitor():
        source = pasted_source(text, others_are_wrong=bool(others_are_wrong))
    return _read(source)


def whose_choices(source: GradedSource) -> list[tuple[str, int]]:
    """Everybody who answered, by name and place."""
    return [(who.name, place) for place, who in enumerate(source.graded.answerers)]


def _read(source: GradedSource) -> tuple[GradedSource, str, gr.Dropdown]:
    choices = whose_choices(source)
    note = bad_lines_note(source.bad_lines, len(source.graded.answers), source.name)
    return source, note, gr.Dropdown(choices=choices, value=0, visible=len(choices) > 1)


def checked_target(target: Any) -> float:
    """t as a number; `regrade` refuses what is out of range."""
    if target is None:
        raise RefusedInputError("expected a confidence target t with 0 <= t < 1, got nothing")
    if isinstance(target, bool) or not isinstance(target, int | float):
        raise RefusedInputError(f"expected a confidence target t with 0 <= t < 1, got {target!r}")
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
