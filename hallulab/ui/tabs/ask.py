"""The Ask tab: a question, the answer as it is written, and its verdict among genuine answers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from html import escape
from typing import Any

import gradio as gr

from hallulab.data.open_ended import known_states
from hallulab.records import as_plain
from hallulab.reports.figures import Candidate, density_histograms
from hallulab.scoring.words import AskProgress, AskResult, AskSettings, ask
from hallulab.ui.parts.controls import UNQUEUED, mass_slider, random_seed, shown_plot, stop_enabled, wire_stop
from hallulab.ui.parts.errors import shown_to_visitor
from hallulab.ui.parts.progress import idle_card, progress_card
from hallulab.ui.parts.verdict import ANSWERS, state_table, verdict_card
from hallulab.ui.session import DEVICE, Session

UNLIKELY = 0.2
"""a token is coloured when the model gave it less than this probability"""

BEFORE_FIRST = "The verdict appears here: hallucination, not a hallucination, or no verdict."
INTRO = """
<p class="hl-note">One frozen model scores the answer under each <b>hint</b>, whichever checkpoint wrote it.
If no hint makes it likely, it is a hallucination.</p>
"""
HOW_TO_READ = """
- **Hint (latent state):** a cause the answer may have. It is added to the question; answers drawn that way
  are the *genuine* ones.
- **Log-density:** how likely the frozen scorer finds the whole answer under that hint, in nats. Closer to 0
  is likelier.
- **Threshold:** the dashed line. The chosen share of genuine answers lies to its right; the shaded side is
  outside.
- **No verdict:** if the scorer does not follow the hints, there are no genuine answers and no number is
  shown.
"""


@dataclass(frozen=True)
class AskTab:
    """What other parts of the page may listen to."""

    question: gr.Textbox
    result: gr.State


def split_states(text: str | None) -> tuple[str, ...]:
    """One state per line; blank lines do not count. Gradio sends None for an empty box."""
    return tuple(line.strip() for line in (text or "").splitlines() if line.strip())


def prefill_states(question: str | None, states: str | None, prefilled: str) -> tuple[Any, Any]:
    """The known answers of a known question; what the visitor typed stays.

    Returns: the text of the states box, and what of it was filled in rather than typed; both left alone when there
    is nothing to fill in or take away, so that a slow answer never overwrites what was typed meanwhile.
    """
    known = "\n".join(known_states(question or "") or ())
    typed = bool(states and states.strip()) and states != prefilled
    if typed or known == prefilled:
        return gr.skip(), gr.skip()
    return known, known


def ask_question(
    session: Session,
    question: str | None,
    states: str | None,
    checkpoint: str,
    own_answer: str | None,
    temperature: float,
    top_p: float,
    max_new_tokens: float,
    seed: float,
    hdr_mass: float,
) -> Iterator[tuple[Any, ...]]:
    """Stream the answer, then judge it, yielding the panels after every token; closing it stops the work."""
    settings = AskSettings(
        question=question or "",
        states=split_states(states),
        checkpoint=checkpoint,
        seed=int(seed),
        hdr_mass=hdr_mass,
        temperature=temperature,
        top_p=top_p,
        max_new_tokens=int(max_new_tokens),
        answer=(own_answer or "").strip() or None,
    )
    with shown_to_visitor():
        for progress in ask(session.engine, settings):
            if progress.result is not None:
                yield (answer_card(progress.result), *panels(progress.result), progress.result)
            else:
                card = progress_card(
                    progress.message.capitalize() + " …", round(100 * progress.fraction), 100
                )
                yield answer_card(progress), card, shown_plot(None), "", None, None


def ask_endpoint(session: Session) -> Callable[..., dict[str, Any]]:
    """The function behind `/ask`; gradio reads its interface off the type hints."""

    def endpoint(
        question: str,
        states: list[str] | None = None,
        checkpoint: str | None = None,
        seed: int = AskSettings.seed,
        samples: int = AskSettings.n_samples,
        hdr_mass: float = AskSettings.hdr_mass,
        temperature: float | None = None,
        answer: str | None = None,
    ) -> dict[str, Any]:
        """Answer a question, or take the answer given, and judge it: the JSON of `hallulab ask`."""
        settings = AskSettings(
            question=question, states=tuple(states or ()), checkpoint=checkpoint, seed=seed,
            n_samples=samples, hdr_mass=hdr_mass, temperature=temperature, answer=answer,
        )  # fmt: skip
        with shown_to_visitor():
            result = [progress.result for progress in ask(session.engine, settings)][-1]
        assert result is not None  # the last progress always holds the result
        return as_plain(result.to_json())

    return endpoint


def decide_again(result: AskResult | None, hdr_mass: float) -> tuple[Any, ...]:
    """The panels of the last result at another mass, with no model call."""
    if result is None:
        return idle_card(BEFORE_FIRST), shown_plot(None), "", None
    with shown_to_visitor():
        return panels(result.with_mass(hdr_mass))


def panels(result: AskResult) -> tuple[str, gr.Plot, str, dict[str, Any]]:
    """Verdict card, histogram, table and record of a result."""
    verdict, record = result.verdict, as_plain(result.to_json())
    card = verdict_card(verdict, ANSWERS, hdr_mass=result.hdr_mass, reason=result.reason or "")
    if verdict is None or result.hcdr is None:
        return card, shown_plot(None), unhinted_note(result), record
    figure = density_histograms(result.hcdr, [Candidate("this answer", verdict)], what="answers")
    return card, shown_plot(figure), state_table(verdict, ANSWERS) + unhinted_note(result), record


def unhinted_note(result: AskResult) -> str:
    """log p(answer | question) without a hint, and who wrote and scored the answer."""
    unhinted = result.log_density_unhinted
    without = "" if unhinted is None else f"Without any hint its log-likelihood is {unhinted:.2f} nats. "
    own = result.settings.answer is not None
    writer = "Your own answer" if own else f"Written by {escape(result.model)}, seed {result.settings.seed}"
    return f'<p class="hl-note">{without}{writer}, scored by {escape(result.scorer)} (frozen).</p>'


def answer_card(progress: AskProgress | AskResult) -> str:
    """The answer token by token, unlikely ones marked; a visitor's text never becomes markup."""
    spans = "".join(_token_span(token.text, token.probability) for token in progress.tokens)
    return f'<div class="hl-card hl-quiet"><p class="hl-answer">{spans or escape(progress.answer) or "…"}</p></div>'


def build_ask_tab(session: Session) -> AskTab:
    """Lay the tab out and wire it."""
    words = session.engine.preset.words
    result, prefilled = gr.State(), gr.State("")
    gr.HTML(INTRO)
    with gr.Row():
        with gr.Column(scale=4, min_width=320):
            question = gr.Textbox(
                label="Question", lines=2, max_lines=4, placeholder="What is a good pet for a small flat?"
            )
            states = gr.Textbox(
                label="Possible answers (hints), one per line",
                info="Filled in for known questions. Leave empty, and the model proposes them.",
                lines=2, max_lines=8,
            )  # fmt: skip
            with gr.Row():
                start = gr.Button("Ask", variant="primary", scale=3)
                stop = gr.Button("Stop", variant="stop", scale=1, interactive=False)
            gr.Examples(
                [[example] for example in words.example_questions],
                [question], label="Questions to try", examples_per_page=12,
            )  # fmt: skip
            checkpoint = gr.Dropdown(
                list(session.engine.checkpoint_names("words")),
                value=session.engine.default_checkpoint("words"),
                label="Checkpoint",
                info="Who answers: the base model, or the base with a LoRA adapter.",
            )
            with gr.Accordion("Judge my own answer", open=False):
                own_answer = gr.Textbox(
                    label="Answer to judge",
                    info="Used instead of the model’s answer when not empty.",
                    lines=2,
                )
            with gr.Accordion("Sampling", open=False):
                temperature = gr.Slider(0, 2, words.temperature, step=0.05, label="Temperature")
                top_p = gr.Slider(0.05, 1, words.top_p, step=0.05, label="Top-p (nucleus mass)")
                max_new_tokens = gr.Slider(
                    4, 200, words.max_new_tokens, step=1, label="Longest answer (tokens)"
                )
                seed = gr.Number(AskSettings.seed, label="Seed", precision=0, minimum=0)
                new_seed = gr.Button("🎲 Random seed", size="sm")
        with gr.Column(scale=6, min_width=340):
            answer = gr.HTML(idle_card("The answer appears here, unlikely words marked."))
            verdict = gr.HTML(idle_card(BEFORE_FIRST))
            histogram = gr.Plot(show_label=False, visible=False)
            hdr_mass = mass_slider(ANSWERS)
            table = gr.HTML()
            with gr.Accordion("How to read this", open=False):
                gr.Markdown(HOW_TO_READ)
            with gr.Accordion("Receipt (JSON): everything that repeats this result", open=False):
                record = gr.JSON(show_label=False)

    shown = [verdict, histogram, table, record]
    settings = [question, states, checkpoint, own_answer, temperature, top_p, max_new_tokens, seed, hdr_mass]
    question.change(
        prefill_states, [question, states, prefilled], [states, prefilled],
        trigger_mode="always_last", **UNQUEUED,
    )  # fmt: skip
    starting = gr.on([start.click, question.submit], partial(stop_enabled, True), None, stop, **UNQUEUED)
    answering = starting.then(
        partial(ask_question, session), settings, [answer, *shown, result],
        concurrency_id=DEVICE, concurrency_limit=1, api_visibility="private",
        show_progress="minimal", show_progress_on=verdict,
    )  # fmt: skip
    answering.then(partial(stop_enabled, False), None, stop, **UNQUEUED)
    wire_stop(stop, answering, stopped, [result, hdr_mass], [*shown, stop])
    hdr_mass.change(decide_again, [result, hdr_mass], shown, trigger_mode="always_last", **UNQUEUED)
    new_seed.click(random_seed, None, seed, **UNQUEUED)
    gr.api(ask_endpoint(session), api_name="ask", concurrency_id=DEVICE, concurrency_limit=1)
    return AskTab(question, result)


def stopped(result: AskResult | None, hdr_mass: float) -> tuple[Any, ...]:
    """After Stop: what exists stays, and the tab can be used again."""
    card, *others = decide_again(result, hdr_mass)
    return (idle_card("Stopped.") if result is None else card, *others, stop_enabled(False))


def _token_span(text: str, probability: float) -> str:
    title = f'title="probability {probability:.2f}"'
    return (
        f"<mark {title}>{escape(text)}</mark>"
        if probability < UNLIKELY
        else f"<span {title}>{escape(text)}</span>"
    )
