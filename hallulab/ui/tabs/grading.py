"""The Grading tab: the same answers graded as if a mistake cost nothing, a little, or a lot."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from hallulab.data.coins import check_whole
from hallulab.experiments.grading import GradingResult, GradingSettings
from hallulab.records import as_plain, library_versions
from hallulab.reports.grading_figures import expected_points_figure
from hallulab.scoring.answer_file import FIELDS
from hallulab.scoring.grading import DEFAULT_TARGET, MIN_JUDGED, READINGS
from hallulab.ui.parts.controls import UNQUEUED
from hallulab.ui.parts.endpoints import serve_endpoint
from hallulab.ui.parts.errors import shown_to_visitor
from hallulab.ui.parts.grading_cards import ALL, FILTERS, SCALE
from hallulab.ui.parts.grading_inputs import MAX_GRADED, OPEN_FILE_SCRIPT, example_source, pasted_source
from hallulab.ui.parts.grading_look import CURVE_ID, PROMPT_ID, RISK_ID, VERDICT_ID
from hallulab.ui.parts.grading_play import (
    checked_target,
    choose_examples,
    filter_answers,
    grading_panels,
    read_pasted,
    show_grades,
    whose_choices,
)
from hallulab.ui.parts.grading_rules import build_observation_panel, build_rules_panel
from hallulab.ui.parts.grading_training import build_policies_panel
from hallulab.ui.session import Session

MAX_TARGET = 0.99

INTRO = """
<p class="hl-note">Most exams give 1 point for a right answer and 0 for everything else, so guessing always pays, and
models learn to guess. A <b>confidence target t</b> changes that: a wrong answer costs t/(1−t) points, so answering pays
only for who is more than t sure. <b>Move t</b>, and the same answers are graded anew.</p>
"""
EXAMPLE_LINE = (
    '{"id": "1", "question": "What is the capital of France?", "answer": "Paris", "confidence": 0.98, '
    '"correct_answers": ["Paris"], "incorrect_answers": ["Lyon"]}'
)
OWN_NOTE = f"""
<p class="hl-note">One JSON object a line with {", ".join(FIELDS)}; if known also confidence (0 to 1), model and
stated_target. Up to {MAX_GRADED:,} answers. A file is read in your browser; nothing is stored.</p>
"""
HOW_TO_READ = f"""
- **Grades** come from written rules on the words, with no judge model: correct, wrong, abstained (“I do not know”),
  empty, ungradable (the rules cannot tell). Hover over a grade for its rule. Ungradable answers get no points and are
  left out of every mean; the card says what they could change.
- **As given:** every answer counts. **Withheld below t:** an answer with confidence of at most t counts as “I do not
  know”. Whoever knows how sure it is does not lose points as t rises.
- **What t suits:** {SCALE}.
- **Intervals** are 95 %, over questions. A verdict needs {MIN_JUDGED} questions, and must hold whatever the ungradable
  answers are.
- **Keeps its word:** of what is answered above t, at least the share t is right, interval included. Otherwise the
  confidence is too high, and a target does not help.
- **Risk–coverage:** to the left it answers less. A curve that falls to the left has a confidence that tells right
  answers from wrong ones.
- **Who wins?** Everybody is scored on the same questions, and compared pair by pair.
"""


@dataclass(frozen=True)
class GradingTab:
    """What other parts of the page may listen to."""

    target: gr.Slider


def grade(
    answers: str | None = None,
    target: float = DEFAULT_TARGET,
    skip_bad_lines: bool = False,
    seed: int = 0,
    others_are_wrong: bool = False,
) -> dict[str, Any]:
    """Grade answers at a confidence target: the JSON of `hallulab grade`.

    `answers` are JSON lines as in a file for that command; the shipped examples when nothing is given.
    """
    with shown_to_visitor():
        t, whole_seed = checked_target(target), check_whole("seed", seed, 0, 2**31)
        settings = GradingSettings(t, bool(skip_bad_lines), whole_seed, bool(others_are_wrong))
        source = (
            example_source()
            if answers is None
            else pasted_source(
                answers, skip_bad_lines=settings.skip_bad_lines, others_are_wrong=settings.others_are_wrong
            )
        )
        result = GradingResult(
            settings, source.name, source.sha256, source.graded, source.bad_lines, library_versions()
        )
        return as_plain(result.to_json())


def build_grading_tab(session: Session) -> GradingTab:
    """Lay the tab out and wire it."""
    card, marks_first, prompt_first, curve_first, risk_first, table_first, ranks_first, named_first = (
        grading_panels(None, DEFAULT_TARGET, ALL)
    )
    _, read_first, _ = choose_examples()
    source = gr.State(time_to_live=3600)
    gr.HTML(INTRO)
    whose = gr.Dropdown(
        whose_choices(example_source()),
        value=0,
        label="Whose answers? Verdicts are about one alone.",
        visible=False,
    )
    with gr.Row():
        with gr.Column(scale=7, min_width=320):
            verdict = gr.HTML(card, elem_id=VERDICT_ID)
            marks = gr.HTML(marks_first)
        with gr.Column(scale=4, min_width=320):
            target = gr.Slider(
                0, MAX_TARGET, DEFAULT_TARGET, step=0.01, label="t: confidence target",
                info="A wrong answer costs t/(1−t) points; 0 is binary grading.",
            )  # fmt: skip
            named = gr.Radio(
                [(f"{value:g} {name}", value) for value, name in READINGS.items()],
                value=named_first, label="What is at stake?",
            )  # fmt: skip
            prompt = gr.Textbox(
                prompt_first, label="The sentence for the prompt that states t", lines=3, interactive=False,
                buttons=["copy"], elem_id=PROMPT_ID,
            )  # fmt: skip
    with gr.Accordion("Grade your own answers", open=False):
        gr.HTML(OWN_NOTE)
        pasted = gr.Textbox(
            label="Answers as JSON lines",
            lines=4,
            max_lines=10,
            placeholder=EXAMPLE_LINE,
        )
        others = gr.Checkbox(False, label="Any other answer is wrong: all correct answers are listed")
        with gr.Row():
            read = gr.Button("Grade these answers", variant="primary", scale=2, min_width=160)
            open_file = gr.Button("Open a file …", scale=1, min_width=120)
            examples = gr.Button("Back to the examples", scale=1, min_width=150)
    was_read = gr.HTML(read_first)
    with gr.Row():
        curve = gr.Plot(curve_first, show_label=False, elem_id=CURVE_ID, min_width=320)
        risk = gr.Plot(risk_first, show_label=False, elem_id=RISK_ID, min_width=320)
    gr.HTML("<h3>Who wins? The same answers under both gradings</h3>")
    ranking = gr.HTML(ranks_first)
    gr.HTML("<h3>Every answer, graded</h3>")
    shown = gr.Radio(list(FILTERS), value=ALL, label="Show")
    table = gr.HTML(table_first)
    with gr.Accordion("When does answering pay? The rule behind t", open=False):
        gr.Plot(expected_points_figure(), show_label=False)
    build_observation_panel()
    build_rules_panel()
    build_policies_panel(session)
    with gr.Accordion("How to read this", open=False):
        gr.Markdown(HOW_TO_READ)

    inputs = [source, target, shown, whose]
    panels = [verdict, marks, prompt, curve, risk, table, ranking, named]
    live: dict[str, Any] = {"trigger_mode": "always_last", **UNQUEUED}
    target.input(show_grades, inputs, panels, **live)
    named.input(lambda value: value, named, target, **UNQUEUED).success(
        show_grades, inputs, panels, **UNQUEUED
    )
    whose.input(show_grades, inputs, panels, **UNQUEUED)
    shown.input(filter_answers, inputs, table, **live)
    reading = read.click(read_pasted, [pasted, others], [source, was_read, whose], **UNQUEUED)
    reading.success(show_grades, inputs, panels, **UNQUEUED)
    opening = open_file.click(None, None, pasted, js=OPEN_FILE_SCRIPT, **UNQUEUED)
    opened = opening.success(read_pasted, [pasted, others], [source, was_read, whose], **UNQUEUED)
    opened.success(show_grades, inputs, panels, **UNQUEUED)
    back = examples.click(choose_examples, None, [source, was_read, whose], **UNQUEUED)
    back.success(show_grades, inputs, panels, **UNQUEUED)
    serve_endpoint(grade, "grade")
    return GradingTab(target)
