"""Which questions with listed answers the page offers: this project's own, and TruthfulQA where it is at hand."""

from functools import cache
from html import escape

import gradio as gr

from hallulab.data.question_sets import (
    FROM_HUB,
    TRUTHFULQA_VARIABLE,
    ReferencedQuestion,
    cached_truthfulqa,
    load_question_set,
)
from hallulab.errors import HallulabError, RefusedInputError
from hallulab.scoring.words_references import question_of
from hallulab.ui.parts.errors import shown_to_visitor
from hallulab.ui.session import Session

OWN_SET, TRUTHFULQA = "misconceptions", "truthfulqa"
HOW_TO_OFFER = (
    f"TruthfulQA’s 817 questions are offered as well when the app is started with {TRUTHFULQA_VARIABLE}=TruthfulQA.csv "
    f"or {TRUTHFULQA_VARIABLE}={FROM_HUB}."
)


def find_truthfulqa(given: str | None) -> tuple[str | None, str]:
    """Where TruthfulQA is read from, and why it is not offered if that is nowhere; no network is used.

    Args:
        given: path of its CSV; `FROM_HUB`, to be fetched when a visitor first asks for it; None: offered if an earlier
            fetch left it on this machine.
    """
    if not given:
        cached = cached_truthfulqa()
        return (None, HOW_TO_OFFER) if cached is None else (str(cached), "")
    if given != FROM_HUB:
        try:
            load_question_set(TRUTHFULQA, given)
        except RefusedInputError as error:
            return None, f"TruthfulQA is not offered: {error}."
    return given, ""


@cache
def questions_of_set(name: str, truthfulqa: str | None) -> tuple[ReferencedQuestion, ...]:
    """The questions of a set, read once.

    Raises RefusedInputError for TruthfulQA where it is not offered, and as `load_question_set`.
    """
    if name == TRUTHFULQA and truthfulqa is None:
        raise RefusedInputError(f"TruthfulQA is not set up here: {HOW_TO_OFFER}")
    return load_question_set(name, truthfulqa if name == TRUTHFULQA else None)


def offer_questions(session: Session, name: str) -> tuple[gr.Radio, gr.Dropdown]:
    """The questions of the chosen set, to pick from; the own set and a warning where it cannot be had."""
    try:
        questions = questions_of_set(name, session.truthfulqa)
    except HallulabError as error:
        gr.Warning(escape(str(error), quote=False), duration=12)
        name, questions = OWN_SET, questions_of_set(OWN_SET, None)
    return gr.Radio(value=name), gr.Dropdown([(q.question, q.id) for q in questions], value=questions[0].id)


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
