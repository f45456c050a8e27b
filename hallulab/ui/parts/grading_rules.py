"""Two closed panels of the Grading tab: Observation 1 by enumeration, and how often the written rules are right."""

from html import escape

import gradio as gr

from hallulab.data.graded_by_hand import PARTS
from hallulab.experiments.grade_rules import RulesCheck, check_rules
from hallulab.reports.grading_figures import observation_1_chart, observation_1_figure
from hallulab.reports.grading_rules_words import RULES_HEADER, rules_note, rules_rows
from hallulab.ui.parts.coin_tables import table_html
from hallulab.ui.parts.controls import UNQUEUED, shown_plot

OBSERVATION_TITLE = "Why guessing always pays in the usual exam (Observation 1)"
OBSERVATION_NOTE = """
<p class="hl-note">Suppose you do not know how an exam will be graded, only that each answer gets 1 or 0 and “I do not
know” gets 0. <b>Whatever you believe about the grader, some guess is worth more than nothing.</b> Press the button to
try every grader, and beliefs of every kind. With a target t above 0, “I do not know” can be best.</p>
"""
RULES_TITLE = "How often are the written rules right?"
RULES_NOTE = """
<p class="hl-note">A person graded these answers by hand; the rules graded them again. Rows: the person. Columns: the
rules. The rules would rather say “ungradable” than be wrong.</p>
"""


def show_observation() -> tuple[gr.Plot, str]:
    """Enumerate: the figure and what it shows."""
    return shown_plot(
        observation_1_figure()
    ), f'<p class="hl-note">{escape(observation_1_chart().caption)}</p>'


def build_observation_panel() -> None:
    """Lay the panel out and wire it."""
    with gr.Accordion(OBSERVATION_TITLE, open=False):
        gr.HTML(OBSERVATION_NOTE)
        start = gr.Button("Try every grader", size="sm")
        figure = gr.Plot(show_label=False, visible=False)
        caption = gr.HTML()
    start.click(show_observation, None, [figure, caption], **UNQUEUED)


def rules_table(check: RulesCheck) -> str:
    """The confusion matrix of one part; HTML."""
    rows = [[escape(cell) for cell in row] for row in rules_rows(check)]
    return (
        f"<h4>{check.part.replace('_', ' ')}: {PARTS[check.part]}</h4>"
        f'{table_html(RULES_HEADER, rows)}<p class="hl-note">{escape(rules_note(check))}</p>'
    )


def build_rules_panel() -> None:
    """Lay the panel out: it holds what was measured when the page started."""
    with gr.Accordion(RULES_TITLE, open=False):
        gr.HTML(RULES_NOTE + "".join(rules_table(check_rules(part)) for part in PARTS))
