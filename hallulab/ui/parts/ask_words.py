"""The answer, word by word: each can be clicked to see what else could stand there, and to go on from it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from hallulab.engine.word_choices import TokenChoice
from hallulab.errors import RefusedInputError
from hallulab.scoring.words import AnswerToken, AskProgress, AskResult, AskSettings
from hallulab.scoring.words_choices import WordChoices, choose_words
from hallulab.ui.parts.errors import shown_to_visitor
from hallulab.ui.parts.progress import progress_card
from hallulab.ui.session import Session

WORDS_SCRIPT = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
UNLIKELY = 0.2
"""a token is coloured when the model gave it less than this probability"""
N_CHOICES = 6
END_MARK = "∎"


@dataclass(frozen=True)
class Branching:
    """A word that was clicked, and what could stand there."""

    original: AskResult
    """of the answer as it was before the first word was changed"""
    place: int
    """of the clicked word in the shown answer, from 0"""
    choices: WordChoices


def with_place(handler: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    """A listener that ends the handler's arguments with the place that the script sent.

    Gradio gives its event to plain functions alone, found by the type hint.
    """

    def listener(first: Any, second: Any, event: gr.EventData) -> Iterator[Any]:
        place = getattr(event, "place", None)  # from a browser, so it may be anything
        yield from handler(first, second, place if type(place) is int and place >= 0 else None)

    return listener


def answer_card(progress: AskProgress | AskResult) -> str:
    """The answer token by token, unlikely ones marked; a visitor's text never becomes markup.

    The words of a finished answer can be clicked.
    """
    result = progress if isinstance(progress, AskResult) else progress.result
    n_forced = len(result.settings.begun) if result is not None else 0
    forced = n_forced - 1 if result is not None and isinstance(result.settings.begun, tuple) else -1
    spans = "".join(
        token_span(token, place=None if result is None else place, is_forced=place == forced)
        for place, token in enumerate(progress.tokens)
    )
    if result is not None and result.is_complete and result.tokens:
        spans += _span(END_MARK, "the answer ends here", place=len(result.tokens), css="hl-end")
    note = "" if result is None or not result.tokens else f'<p class="hl-note">{_words_note(forced)}</p>'
    return (
        '<div class="hl-card hl-quiet"><p class="hl-answer">'
        f"{spans or escape(progress.answer) or '…'}</p>{note}</div>"
    )


def token_span(token: AnswerToken, *, place: int | None = None, is_forced: bool = False) -> str:
    """One token, marked when it is unlikely; with a place it can be clicked."""
    tag = "mark" if token.probability < UNLIKELY else "span"
    title = f"probability {token.probability:.2f}"
    return _span(token.text, title, place=place, tag=tag, css="hl-forced" if is_forced else "")


def choices_card(branching: Branching) -> str:
    """What could stand at the clicked place, likeliest first; each can be clicked to go on from it."""
    choices = branching.choices
    written = next((c for c in choices.choices if c.token_id == choices.written), None)
    is_first = branching.place == 0
    what = "ending there" if written is None or written.is_end else _quoted(written, is_first=is_first)
    rows = "".join(
        _choice_row(
            place, choice, _quoted(choice, is_first=is_first), is_written=choice.token_id == choices.written
        )
        for place, choice in enumerate(choices.choices)
    )
    return (
        f'<div class="hl-card hl-quiet hl-choices"><p class="hl-sentence">Instead of {what}, {escape(choices.model)} '
        "could have written one of these. <b>Click one</b> to continue the answer from there.</p>"
        '<div class="hl-choice hl-choice-head" aria-hidden="true"><span></span><span></span><span>likely</span>'
        f"<span>drawn</span></div>{rows}"
        '<p class="hl-note"><b>Likely</b>: the model’s own probability. <b>Drawn</b>: how often sampling takes it, at '
        "this temperature and top-p.</p></div>"
    )


def open_choices(
    session: Session, result: AskResult | None, branching: Branching | None, place: int | None
) -> Iterator[tuple[Any, Any]]:
    """Look up what could stand at the clicked word; closing it stops the work."""
    if result is None or place is None or place > len(result.tokens):
        yield gr.skip(), gr.skip()
        return
    settings = settings_before(session, result, place)
    written = result.tokens[place].token_id if place < len(result.tokens) else None
    with shown_to_visitor():
        for step in choose_words(session.engine, settings, written=written, n_choices=N_CHOICES):
            if step.result is None:
                yield gr.HTML(progress_card(step.message.capitalize() + " …"), visible=True), gr.skip()
            else:
                kept = branching.original if branching is not None else result
                found = Branching(kept, place, step.result)
                yield gr.HTML(choices_card(found), visible=True), found


def settings_before(session: Session, result: AskResult, place: int) -> AskSettings:
    """The settings of an answer that begins as this one does before a place; a pasted one goes on with the base."""
    pasted = result.settings.answer is not None
    return replace(
        result.settings,
        answer=None,
        checkpoint=session.engine.preset.words.base_name if pasted else result.checkpoint,
        begun=tuple(token.token_id for token in result.tokens[:place]),
    )


def branched(branching: Branching | None, place: int | None, hdr_mass: float) -> AskSettings | None:
    """The settings of the answer that goes on from the clicked choice; None when there is nothing to go on from."""
    if branching is None or place is None or place >= len(branching.choices.choices):
        return None
    settings = branching.choices.settings
    if not isinstance(settings.begun, tuple):
        raise RefusedInputError("expected the tokens of an answer to go on from, got a text")
    chosen = branching.choices.choices[place].token_id
    return replace(settings, begun=(*settings.begun, chosen), hdr_mass=hdr_mass)


def _words_note(forced: int) -> str:
    if forced >= 0:
        return (
            "You chose the framed word; what follows it is the model’s own, drawn with the same random numbers. Click "
            "any word to go on from there."
        )
    return "Click a word to see what else could stand there. Marked words were unlikely."


def _choice_row(place: int, choice: TokenChoice, quoted: str, *, is_written: bool) -> str:
    drawn = f"{choice.drawn_probability:.0%}" if choice.drawn_probability else "never"
    label = quoted + (" (written)" if is_written else "")
    said = f"{label}: likely {choice.probability:.1%}, drawn {drawn}"
    return (
        f'<div class="hl-choice" role="button" data-place="{place}" tabindex="{0 if place == 0 else -1}" '
        f'aria-label="{said}" style="--p:{choice.probability:.4f}"><span class="hl-word">{label}</span>'
        f'<span class="hl-bar"></span><span>{_share(choice.probability)}</span><span>{drawn}</span></div>'
    )


def _share(probability: float) -> str:
    return f"{probability:.0%}" if probability >= 0.01 else "&lt; 1%"


def _quoted(choice: TokenChoice, *, is_first: bool) -> str:
    """A token as a person reads it: a piece that goes on with the word before it begins with dots."""
    if choice.is_end:
        return "ending here"
    text = choice.text.replace("\n", "↵")
    if not text.strip():
        return "a blank"
    return f"“{'…' if text[0].isalnum() and not is_first else ''}{escape(text.strip())}”"


def _span(text: str, title: str, *, place: int | None, tag: str = "span", css: str = "") -> str:
    press = (
        "" if place is None else f' role="button" data-place="{place}" tabindex="{0 if place == 0 else -1}"'
    )
    classes = f' class="{css}"' if css else ""
    return f'<{tag}{classes} title="{title}"{press}>{escape(text)}</{tag}>'
