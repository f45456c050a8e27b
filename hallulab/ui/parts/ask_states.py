"""Possible answers found by sampling: what the frozen scorer says without a hint, grouped."""

from collections.abc import Callable, Iterator
from functools import partial
from html import escape
from typing import Any

import gradio as gr

from hallulab.records import as_plain
from hallulab.scoring.words import AskSettings
from hallulab.scoring.words_proposals import ProposedStates, propose
from hallulab.ui.parts.controls import UNQUEUED
from hallulab.ui.parts.errors import shown_to_visitor
from hallulab.ui.session import DEVICE, Session

BUTTON = "Find possible answers by sampling"


def propose_states_for(session: Session, question: str | None) -> Iterator[tuple[Any, ...]]:
    """Sample and group, yielding the states box, what of it was filled in, and a note; closing it stops the work."""
    with shown_to_visitor():
        for step in propose(session.engine, AskSettings(question or "")):
            if step.result is None:
                yield gr.skip(), gr.skip(), _note(f"{step.message.capitalize()}: {step.fraction:.0%} …")
            elif step.result.states:
                states = "\n".join(step.result.states)
                yield states, states, _note(proposal_sentence(step.result))
            else:
                yield gr.skip(), gr.skip(), _note(proposal_sentence(step.result))


def propose_endpoint(session: Session) -> Callable[..., dict[str, Any]]:
    """The function behind `/propose_states`; gradio reads its interface off the type hints."""

    def endpoint(question: str) -> dict[str, Any]:
        """Sample answers without a hint and group them: possible answers, which can serve as states of `/ask`."""
        with shown_to_visitor():
            found = [step.result for step in propose(session.engine, AskSettings(question))][-1]
        assert found is not None  # the last progress always holds the result
        return as_plain(found.to_json())

    return endpoint


def proposal_sentence(found: ProposedStates) -> str:
    """What was found among how many samples; HTML, the model's text escaped."""
    n, kept = found.n_sampled, found.groups[: len(found.states)]
    n_kept = sum(group.n for group in kept)
    if not kept:
        unknown = (
            f"{found.n_abstained} say that they do not know" if found.n_abstained else "none is given often"
        )
        return (
            f"Of {n} answers without a hint, {unknown}: nothing to propose. Write possible answers yourself."
        )
    named = ", ".join(f"{group.n} × “{escape(group.text)}”" for group in kept)
    rest = n - n_kept
    others = f"; the other {rest} {'is' if rest == 1 else 'are'} rarer or abstain" if rest else ""
    return f"Of {n} answers without a hint: {named}{others}."


def wire_proposals(
    session: Session,
    button: gr.Button,
    question: gr.Textbox,
    states: gr.Textbox,
    prefilled: gr.State,
    note: gr.HTML,
) -> None:
    """Fill the states box on a press; another question clears the note."""
    button.click(
        partial(propose_states_for, session), question, [states, prefilled, note],
        concurrency_id=DEVICE, concurrency_limit=1, api_visibility="private", show_progress="hidden",
    )  # fmt: skip
    question.change(lambda: "", None, note, **UNQUEUED)


def _note(sentence: str) -> str:
    return f'<p class="hl-note" role="status">{sentence}</p>'
