"""Base against tuned: two checkpoints answer the same question with the same random numbers, side by side."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from html import escape
from typing import Any

import gradio as gr

from hallulab.records import as_plain
from hallulab.reports.figures import INSIDE, NEUTRAL, OUTSIDE
from hallulab.scoring.words import AnswerToken, AskResult, AskSettings
from hallulab.scoring.words_comparison import Comparison, compare
from hallulab.ui.parts.ask_inputs import AskInputs, asked
from hallulab.ui.parts.ask_words import token_span
from hallulab.ui.parts.controls import UNQUEUED, stop_enabled, wire_stop
from hallulab.ui.parts.errors import shown_to_visitor
from hallulab.ui.parts.progress import idle_card, progress_card
from hallulab.ui.parts.verdict import pill
from hallulab.ui.session import DEVICE, Session

TITLE = "Base against tuned: what did fine-tuning change?"
NOTE = """
<p class="hl-note">Both answer the same question with the same random numbers, and the same frozen scorer judges both.
What differs comes from the weights alone.</p>
"""
BEFORE_FIRST = "The two answers appear here, side by side."


def compare_two(session: Session, first: str, second: str, *values: Any) -> Iterator[tuple[Any, ...]]:
    """Ask both, yielding the panels after every token; closing it stops the work."""
    with shown_to_visitor():
        for step in compare(session.engine, asked(*values), (first, second)):
            if step.result is not None:
                yield (*comparison_panels(step.result), step.result)
            else:
                cards = [_card(result.checkpoint, result.tokens, result) for result in step.done]
                cards.append(_card(step.checkpoint, step.tokens))
                message = f"{step.checkpoint}: {step.message} …"
                yield (
                    progress_card(message, round(100 * step.fraction), 100),
                    _side_by_side(cards),
                    None,
                    None,
                )


def compare_endpoint(session: Session) -> Callable[..., dict[str, Any]]:
    """The function behind `/ask_compare`; gradio reads its interface off the type hints."""

    def endpoint(
        question: str,
        checkpoints: list[str] | None = None,
        states: list[str] | None = None,
        seed: int = AskSettings.seed,
        hdr_mass: float = AskSettings.hdr_mass,
        temperature: float | None = None,
    ) -> dict[str, Any]:
        """Ask several checkpoints, the base and the default one if none are named, with the same seed."""
        settings = AskSettings(
            question=question,
            states=tuple(states or ()),
            seed=seed,
            hdr_mass=hdr_mass,
            temperature=temperature,
        )
        with shown_to_visitor():
            steps = list(compare(session.engine, settings, checkpoints or default_pair(session)))
        assert steps[-1].result is not None  # the last progress always holds the result
        return as_plain(steps[-1].result.to_json())

    return endpoint


def default_pair(session: Session) -> tuple[str, ...]:
    """The base and the checkpoint that answers when nobody chooses one."""
    return session.engine.preset.words.base_name, session.engine.default_checkpoint("words")


def comparison_panels(comparison: Comparison) -> tuple[str, str, dict[str, Any]]:
    """The finding, the answers side by side, and the record."""
    n = comparison.n_shared_tokens
    cards = [_card(result.checkpoint, result.tokens, result, n_shared=n) for result in comparison.results]
    return _finding(comparison), _side_by_side(cards), as_plain(comparison.to_json())


def decide_comparison_again(comparison: Comparison | None, hdr_mass: float) -> tuple[Any, ...]:
    """The panels of the last comparison at another mass, with no model call."""
    if comparison is None:
        return idle_card(BEFORE_FIRST), "", None
    with shown_to_visitor():
        return comparison_panels(comparison.with_mass(hdr_mass))


def build_compare_panel(session: Session, inputs: AskInputs) -> None:
    """Lay the panel out and wire it."""
    names, (base, tuned) = list(session.engine.checkpoint_names("words")), default_pair(session)
    result = gr.State()
    with gr.Accordion(TITLE, open=False):
        gr.HTML(NOTE)
        with gr.Row():
            first = gr.Dropdown(names, value=base, label="First", min_width=240)
            second = gr.Dropdown(names, value=tuned, label="Second", min_width=240)
        with gr.Row():
            start = gr.Button("Compare on the same seed", variant="primary", scale=3)
            stop = gr.Button("Stop comparing", variant="stop", scale=1, interactive=False)
        finding = gr.HTML(idle_card(BEFORE_FIRST))
        cards = gr.HTML()
        with gr.Accordion("Receipt (JSON): everything that repeats this comparison", open=False):
            record = gr.JSON(show_label=False)
    starting = start.click(partial(stop_enabled, True), None, stop, **UNQUEUED)
    comparing = starting.then(
        partial(compare_two, session), [first, second, *inputs.components()], [finding, cards, record, result],
        concurrency_id=DEVICE, concurrency_limit=1, api_visibility="private", show_progress="hidden",
    )  # fmt: skip
    comparing.then(partial(stop_enabled, False), None, stop, **UNQUEUED)
    wire_stop(
        stop, comparing, lambda: (idle_card("Stopped. What was written stays below."), stop_enabled(False)),
        None, [finding, stop],
    )  # fmt: skip
    inputs.hdr_mass.change(
        decide_comparison_again, [result, inputs.hdr_mass], [finding, cards, record],
        trigger_mode="always_last", **UNQUEUED,
    )  # fmt: skip


def _finding(comparison: Comparison) -> str:
    verdicts = [result.verdict for result in comparison.results]
    names = [escape(result.checkpoint) for result in comparison.results]
    if comparison.is_same_answer:
        parted = "Both wrote the same answer."
    else:
        n = comparison.n_shared_tokens
        parted = (
            "They part at the first word."
            if n == 0
            else f"They share their first {n} word{'s' if n > 1 else ''} or pieces of words, then part."
        )
    if any(verdict is None for verdict in verdicts):
        reason = next(result.reason for result in comparison.results if result.reason)
        return _status(NEUTRAL, f"{parted} {escape(reason[:1].upper() + reason[1:].rstrip('.'))}.")
    outside = [
        name for name, verdict in zip(names, verdicts, strict=True) if verdict and verdict.is_hallucination
    ]
    said = (
        "Neither is a hallucination."
        if not outside
        else "Both are hallucinations."
        if len(outside) == len(names)
        else f"Only the answer of <b>{outside[0]}</b> is a hallucination."
    )
    return _status(OUTSIDE if outside else INSIDE, f"{said} {parted}")


def _status(tone: str, sentence: str) -> str:
    return (
        f'<div class="hl-card" role="status" style="--hl-tone:{tone}"><p class="hl-sentence" style="margin:0">'
        f"{sentence}</p></div>"
    )


def _card(
    checkpoint: str, tokens: Sequence[AnswerToken], result: AskResult | None = None, *, n_shared: int = -1
) -> str:
    """One checkpoint's answer; the first word that is not shared is framed."""
    spans = "".join(token_span(token, is_forced=place == n_shared) for place, token in enumerate(tokens))
    judged = ""
    if result is not None:
        verdict = result.verdict
        margin = "" if verdict is None else f' <span class="hl-note">{verdict.margin_nats:+.1f} nats</span>'
        judged = f"<p>{pill(verdict)}{margin}</p>"
    return (
        f'<div class="hl-card hl-quiet"><p class="hl-note"><b>{escape(checkpoint)}</b></p>'
        f'<p class="hl-said">{spans or "…"}</p>{judged}</div>'
    )


def _side_by_side(cards: Sequence[str]) -> str:
    return f'<div class="hl-two">{"".join(cards)}</div>'
