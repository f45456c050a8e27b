"""Common wrong answers: does the model repeat them, or does its answer only look like any other text?"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from html import escape
from typing import Any

import gradio as gr
import plotly.graph_objects as go

from hallulab.records import as_plain
from hallulab.reports.figures import INSIDE, NEUTRAL, OUTSIDE
from hallulab.reports.resemblance_figure import RatioOnNull, ratios_on_nulls
from hallulab.scoring.grades import RULES
from hallulab.scoring.words import AnswerToken, AskSettings
from hallulab.scoring.words_references import Likeness, ReferencedAnswer, answer_referenced
from hallulab.ui.parts.ask_inputs import AskInputs, asked
from hallulab.ui.parts.ask_question_sets import (
    OWN_SET,
    TRUTHFULQA,
    offer_questions,
    questions_of_set,
    show_lists,
)
from hallulab.ui.parts.ask_words import token_span
from hallulab.ui.parts.controls import UNQUEUED, shown_plot, stop_enabled, wire_stop
from hallulab.ui.parts.errors import shown_to_visitor
from hallulab.ui.parts.progress import idle_card, progress_card
from hallulab.ui.session import DEVICE, Session

TITLE = "Common wrong answers: does the model repeat them?"
NOTE = """
<p class="hl-note">The paper measures hallucination by how like an answer is to listed wrong answers, letter by letter.
But any two texts share letters. So the answer is also compared with lists of <b>other questions</b>, about as long, of
which it can know nothing.</p>
"""
BEFORE_FIRST = "Pick a question. Its answer is compared with the listed right and wrong ones."


def compare_with_lists(
    session: Session, name: str, question_id: str | None, own_text: str | None, *values: Any
) -> Iterator[tuple[Any, ...]]:
    """Answer the picked question, or take the visitor's text, and compare; closing it stops the work."""
    with shown_to_visitor():
        questions = questions_of_set(name, session.truthfulqa)
        settings = asked(*values, answer=(own_text or "").strip() or None)
        for step in answer_referenced(session.engine, settings, questions, question_id or ""):
            if step.result is not None:
                yield reference_panels(step.result)
            else:
                card = progress_card(step.message.capitalize() + " …", round(100 * step.fraction), 100)
                yield card, said_card(step.tokens), shown_plot(None), "", None


def said_card(tokens: Sequence[AnswerToken]) -> str:
    """The answer so far, which stays when it is stopped."""
    spans = "".join(map(token_span, tokens))
    return f'<div class="hl-card hl-quiet"><p class="hl-said">{spans}</p></div>' if spans else ""


def stopped_answering(said: str | None) -> tuple[str, gr.Button]:
    """After Stop: what was written stays."""
    return idle_card("Stopped. What was written stays below." if said else "Stopped."), stop_enabled(False)


def references_endpoint(session: Session) -> Callable[..., dict[str, Any]]:
    """The function behind `/resemblance`; gradio reads its interface off the type hints."""

    def endpoint(
        question_id: str,
        question_set: str = OWN_SET,
        checkpoint: str | None = None,
        seed: int = AskSettings.seed,
        answer: str | None = None,
        temperature: float | None = None,
    ) -> dict[str, Any]:
        """Compare an answer to a listed question with its right and wrong answers, and with other questions' lists."""
        settings = AskSettings("", checkpoint=checkpoint, seed=seed, answer=answer, temperature=temperature)
        with shown_to_visitor():
            questions = questions_of_set(question_set, session.truthfulqa)
            steps = list(answer_referenced(session.engine, settings, questions, question_id))
        assert steps[-1].result is not None  # the last progress always holds the result
        return as_plain(steps[-1].result.to_json())

    return endpoint


def reference_panels(result: ReferencedAnswer) -> tuple[str, str, Any, str, dict[str, Any]]:
    """Card, nothing left being said, figure, table of the nearest references, and record."""
    figure = None if result.incorrect is None or result.correct is None else null_figure(result)
    return finding_card(result), "", shown_plot(figure), nearest_table(result), as_plain(result.to_json())


def finding_card(result: ReferencedAnswer) -> str:
    """What the answer is like, in one look."""
    text, tone = {
        "incorrect": ("✕ Like a listed wrong answer", OUTSIDE),
        "correct": ("✓ Like a listed right answer", INSIDE),
        "chance": ("? No more alike than by chance", NEUTRAL),
        "empty": ("∅ Empty answer", NEUTRAL),
    }[result.finding]
    said = "".join(map(token_span, result.tokens)) or escape(result.answer) or "(nothing)"
    return (
        f'<div class="hl-card" role="status" style="--hl-tone:{tone}"><p class="hl-said">{said}</p>'
        f'<span class="hl-pill">{text}</span><p class="hl-sentence">{finding_sentence(result)}</p></div>'
    )


def finding_sentence(result: ReferencedAnswer) -> str:
    """The finding with its numbers, and the grade by written rules."""
    graded = result.graded
    rule, _, _ = RULES[graded.rule].rpartition(":")
    grade = f"Graded by written rules: <b>{graded.grade}</b>. {escape(rule)}."
    wrong, right, either = result.incorrect, result.correct, result.either
    if wrong is None or right is None or either is None:
        return grade
    side, nearer = ("wrong", wrong) if wrong.ratio >= right.ratio else ("right", right)
    other = right if nearer is wrong else wrong
    n = len(either.null)
    first = (
        f"It is {nearer.ratio:.2f} like the nearest listed {side} answer ({other.ratio:.2f} like the nearest "
        f"{'right' if side == 'wrong' else 'wrong'} one)."
    )
    second = (
        f"{either.n_as_alike} of {n} other questions list an answer, right or wrong, that is at least as much like it"
        if either.n_as_alike
        else f"None of {n} other questions lists an answer, right or wrong, that is as much like it"
    )
    meaning = ", so this resemblance says nothing about the question." if result.finding == "chance" else "."
    return f"{first} {second}{meaning} {grade}"


def nearest_table(result: ReferencedAnswer) -> str:
    """The nearest reference of each list with its ratio and what chance gives."""
    if result.incorrect is None or result.correct is None:
        return ""
    rows = "".join(
        f'<tr><td class="{css}">{title}</td><td class="hl-wide">{escape(likeness.nearest)}</td>'
        f"<td>{likeness.ratio:.2f}</td><td>{likeness.null_mean:.2f}</td></tr>"
        for css, title, likeness in (
            ("hl-out", "wrong", result.incorrect),
            ("hl-in", "right", result.correct),
        )
    )
    return (
        '<div class="hl-scroll"><table class="hl-table"><thead><tr><th>list</th><th>nearest listed answer</th>'
        "<th>resemblance</th><th>mean of other questions</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></div>"
    )


def null_figure(result: ReferencedAnswer) -> go.Figure:
    """Where the answer stands on what other questions' lists come to."""
    assert result.incorrect is not None
    assert result.correct is not None
    return ratios_on_nulls([
        _row("wrong", result.incorrect, OUTSIDE),
        _row("right", result.correct, INSIDE),
    ])  # fmt: skip


def build_references_panel(session: Session, inputs: AskInputs) -> None:
    """Lay the panel out and wire it."""
    sets = [("Misconceptions (this project’s own)", OWN_SET)]
    if session.truthfulqa:
        sets.append(("TruthfulQA", TRUTHFULQA))
    first = questions_of_set(OWN_SET, None)
    with gr.Accordion(TITLE, open=False):
        gr.HTML(NOTE)
        question_set = gr.Radio(sets, value=OWN_SET, label="Question set", visible=len(sets) > 1)
        if session.truthfulqa_missing:
            gr.HTML(f'<p class="hl-note">{escape(session.truthfulqa_missing)}</p>')
        question = gr.Dropdown(
            [(q.question, q.id) for q in first], value=first[0].id, label="Question with listed answers"
        )
        lists = gr.HTML(show_lists(session, OWN_SET, first[0].id))
        own_text = gr.Textbox(
            label="Your own answer to it (optional)", info="Compared instead of the model’s when not empty."
        )
        with gr.Row():
            start = gr.Button("Answer and compare", variant="primary", scale=3)
            stop = gr.Button("Stop answering", variant="stop", scale=1, interactive=False)
        card = gr.HTML(idle_card(BEFORE_FIRST))
        said = gr.HTML()
        figure = gr.Plot(show_label=False, visible=False)
        table = gr.HTML()
        with gr.Accordion("Receipt (JSON): everything that repeats this comparison", open=False):
            record = gr.JSON(show_label=False)
    question_set.input(partial(offer_questions, session), question_set, [question_set, question], **UNQUEUED)
    question.change(partial(show_lists, session), [question_set, question], lists, **UNQUEUED)
    starting = start.click(partial(stop_enabled, True), None, stop, **UNQUEUED)
    comparing = starting.then(
        partial(compare_with_lists, session),
        [question_set, question, own_text, *inputs.components()], [card, said, figure, table, record],
        concurrency_id=DEVICE, concurrency_limit=1, api_visibility="private", show_progress="hidden",
    )  # fmt: skip
    comparing.then(partial(stop_enabled, False), None, stop, **UNQUEUED)
    wire_stop(stop, comparing, stopped_answering, said, [card, stop])


def _row(side: str, likeness: Likeness, colour: str) -> RatioOnNull:
    title = f"{side} answers: ◆ here {likeness.ratio:.2f}, grey elsewhere"
    return RatioOnNull(title, likeness.ratio, likeness.null, colour)
