"""Common wrong answers: does the model repeat them, or does its answer only look like any other text?"""

from collections.abc import Callable, Iterator
from functools import cache, partial
from html import escape
from typing import Any

import gradio as gr
import plotly.graph_objects as go

from hallulab.data.question_sets import ReferencedQuestion, load_question_set
from hallulab.errors import RefusedInputError
from hallulab.records import as_plain
from hallulab.reports.figures import INSIDE, NEUTRAL, OUTSIDE
from hallulab.reports.resemblance_figure import RatioOnNull, ratios_on_nulls
from hallulab.scoring.grades import RULES
from hallulab.scoring.words import AskSettings
from hallulab.scoring.words_references import Likeness, ReferencedAnswer, answer_referenced, question_of
from hallulab.ui.parts.ask_inputs import AskInputs, asked
from hallulab.ui.parts.ask_words import token_span
from hallulab.ui.parts.controls import UNQUEUED, shown_plot, stop_enabled, wire_stop
from hallulab.ui.parts.errors import shown_to_visitor
from hallulab.ui.parts.progress import idle_card, progress_card
from hallulab.ui.session import DEVICE, Session

OWN_SET, TRUTHFULQA = "misconceptions", "truthfulqa"
TITLE = "Common wrong answers: does the model repeat them?"
NOTE = """
<p class="hl-note">The paper measures hallucination by how like an answer is to listed wrong answers, letter by letter.
But any two texts share letters. So the answer is also compared with lists of <b>other questions</b>, about as long, of
which it can know nothing.</p>
"""
BEFORE_FIRST = "Pick a question. Its answer is compared with the listed right and wrong ones."


@cache
def questions_of_set(name: str, truthfulqa: str | None) -> tuple[ReferencedQuestion, ...]:
    """The questions of a set, read once."""
    return load_question_set(name, truthfulqa if name == TRUTHFULQA else None)


def offer_questions(session: Session, name: str) -> gr.Dropdown:
    """The questions of the chosen set, to pick from."""
    with shown_to_visitor():
        questions = questions_of_set(name, session.truthfulqa)
    return gr.Dropdown([(q.question, q.id) for q in questions], value=questions[0].id)


def show_lists(session: Session, name: str, question_id: str | None) -> str:
    """The listed answers of the picked question."""
    with shown_to_visitor():
        question = question_of(questions_of_set(name, session.truthfulqa), question_id or "")
    lists = (
        ("hl-in", "✓ right", question.correct_answers),
        ("hl-out", "✕ wrong, and common", question.incorrect_answers),
    )
    columns = "".join(
        f'<div><p class="{css}">{title}</p><ul>{"".join(f"<li>{escape(text)}</li>" for text in texts)}</ul></div>'
        for css, title, texts in lists
    )
    return f'<div class="hl-two hl-lists">{columns}</div>'


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
                said = (
                    f'<p class="hl-said">{"".join(map(token_span, step.tokens))}</p>' if step.tokens else ""
                )
                yield card + said, shown_plot(None), "", None


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
            if question_set == TRUTHFULQA and not session.truthfulqa:
                raise RefusedInputError(
                    "TruthfulQA is not set up here: start the app with HALLULAB_TRUTHFULQA=TruthfulQA.csv"
                )
            questions = questions_of_set(question_set, session.truthfulqa)
            steps = list(answer_referenced(session.engine, settings, questions, question_id))
        assert steps[-1].result is not None  # the last progress always holds the result
        return as_plain(steps[-1].result.to_json())

    return endpoint


def reference_panels(result: ReferencedAnswer) -> tuple[str, Any, str, dict[str, Any]]:
    """Card, figure, table of the nearest references, and record."""
    figure = None if result.incorrect is None or result.correct is None else null_figure(result)
    return finding_card(result), shown_plot(figure), nearest_table(result), as_plain(result.to_json())


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
        figure = gr.Plot(show_label=False, visible=False)
        table = gr.HTML()
        with gr.Accordion("Receipt (JSON): everything that repeats this comparison", open=False):
            record = gr.JSON(show_label=False)
    question_set.change(partial(offer_questions, session), question_set, question, **UNQUEUED)
    question.change(partial(show_lists, session), [question_set, question], lists, **UNQUEUED)
    starting = start.click(partial(stop_enabled, True), None, stop, **UNQUEUED)
    comparing = starting.then(
        partial(compare_with_lists, session),
        [question_set, question, own_text, *inputs.components()], [card, figure, table, record],
        concurrency_id=DEVICE, concurrency_limit=1, api_visibility="private", show_progress="hidden",
    )  # fmt: skip
    comparing.then(partial(stop_enabled, False), None, stop, **UNQUEUED)
    wire_stop(stop, comparing, lambda: (idle_card("Stopped."), stop_enabled(False)), None, [card, stop])


def _row(side: str, likeness: Likeness, colour: str) -> RatioOnNull:
    title = f"{side} answers: ◆ here {likeness.ratio:.2f}, grey elsewhere"
    return RatioOnNull(title, likeness.ratio, likeness.null, colour)
