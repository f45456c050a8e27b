"""The Ask tab: a question, the answer as it is written, and its verdict among genuine answers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from html import escape
from typing import Any

import gradio as gr
import plotly.graph_objects as go

from hallulab.data.open_ended import known_states
from hallulab.records import as_plain
from hallulab.reports.figures import Candidate, density_histograms
from hallulab.scoring.words import AskResult, AskSettings, ask
from hallulab.scoring.words_choices import choose_words
from hallulab.ui.parts.ask_compare import build_compare_panel, compare_endpoint
from hallulab.ui.parts.ask_experiment import build_experiment_panel
from hallulab.ui.parts.ask_first_look import NOTE as FIRST_NOTE
from hallulab.ui.parts.ask_first_look import first_answer
from hallulab.ui.parts.ask_inputs import AskInputs, asked
from hallulab.ui.parts.ask_rate import build_rate_panel, rate_endpoint
from hallulab.ui.parts.ask_references import build_references_panel, references_endpoint
from hallulab.ui.parts.ask_states import BUTTON as FIND_STATES
from hallulab.ui.parts.ask_states import propose_endpoint, wire_proposals
from hallulab.ui.parts.ask_words import (
    WORDS_SCRIPT,
    Branching,
    answer_card,
    branched,
    open_choices,
    with_place,
)
from hallulab.ui.parts.controls import (
    UNQUEUED,
    example_buttons,
    mass_slider,
    random_seed,
    shown_plot,
    stop_enabled,
    wire_stop,
)
from hallulab.ui.parts.endpoints import serve_endpoint
from hallulab.ui.parts.errors import shown_to_visitor
from hallulab.ui.parts.progress import idle_card, progress_card
from hallulab.ui.parts.verdict import ANSWERS, state_table, verdict_card
from hallulab.ui.session import DEVICE, Session

BEFORE_FIRST = "The verdict appears here: hallucination, not a hallucination, or no verdict."
INTRO = """
<p class="hl-note">One frozen model scores the answer under each <b>hint</b>, whichever checkpoint wrote it.
If no hint makes it likely, it is a hallucination.</p>
"""
LOOK_CLOSER = """
<h3>Look closer</h3>
<p class="hl-note">Three more ways to see what a model does with a question, and the whole experiment over all
checkpoints, each one click away.</p>
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


def ask_question(session: Session, own_answer: str | None, *values: Any) -> Iterator[tuple[Any, ...]]:
    """Stream the answer, then judge it, yielding the panels after every token; closing it stops the work."""
    with shown_to_visitor():
        yield from _answering(session, asked(*values, answer=(own_answer or "").strip() or None))


def write_on(
    session: Session, branching: Branching | None, hdr_mass: float, place: int | None
) -> Iterator[tuple[Any, ...]]:
    """Go on from the clicked choice, yielding as `ask_question`; closing it stops the work."""
    with shown_to_visitor():
        settings = branched(branching, place, hdr_mass)
        if settings is not None:
            yield from _answering(session, settings)


def go_back(branching: Branching | None, hdr_mass: float) -> tuple[Any, ...]:
    """The answer as it was before the first word was changed: answer, panels, result; the choices are closed."""
    assert branching is not None  # the button shows only then
    with shown_to_visitor():
        result = branching.original.with_mass(hdr_mass)
    return (answer_card(result), *panels(result), result, *closed_choices())


def closed_choices() -> tuple[Any, ...]:
    """No choices, no branch, no way back."""
    return gr.HTML("", visible=False), None, gr.Button(visible=False)


def _answering(session: Session, settings: AskSettings) -> Iterator[tuple[Any, ...]]:
    for progress in ask(session.engine, settings):
        if progress.result is not None:
            yield (answer_card(progress.result), *panels(progress.result), progress.result)
        else:
            card = progress_card(progress.message.capitalize() + " …", round(100 * progress.fraction), 100)
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
        begin: str = "",
    ) -> dict[str, Any]:
        """Answer a question, or take the answer given, and judge it: the JSON of `hallulab ask`.

        `begin` is how the answer must begin; the rest is the model's own.
        """
        settings = AskSettings(
            question=question, states=tuple(states or ()), checkpoint=checkpoint, seed=seed,
            n_samples=samples, hdr_mass=hdr_mass, temperature=temperature, answer=answer, begun=begin,
        )  # fmt: skip
        with shown_to_visitor():
            result = [progress.result for progress in ask(session.engine, settings)][-1]
        assert result is not None  # the last progress always holds the result
        return as_plain(result.to_json())

    return endpoint


def choices_endpoint(session: Session) -> Callable[..., dict[str, Any]]:
    """The function behind `/token_choices`; gradio reads its interface off the type hints."""

    def endpoint(
        question: str,
        begin: str = "",
        checkpoint: str | None = None,
        choices: int = 8,
        temperature: float | None = None,
    ) -> dict[str, Any]:
        """What the model could write next after `begin`, likeliest first."""
        settings = AskSettings(question, checkpoint=checkpoint, begun=begin, temperature=temperature)
        with shown_to_visitor():
            found = [s.result for s in choose_words(session.engine, settings, n_choices=choices)][-1]
        assert found is not None  # the last progress always holds the result
        return as_plain(found.to_json())

    return endpoint


def decide_again(result: AskResult | None, hdr_mass: float) -> tuple[Any, ...]:
    """The panels of the last result at another mass, with no model call."""
    if result is None:
        return idle_card(BEFORE_FIRST), shown_plot(None), "", None
    with shown_to_visitor():
        return panels(result.with_mass(hdr_mass))


def panels(result: AskResult) -> tuple[str, gr.Plot, str, dict[str, Any]]:
    """Verdict card, histogram, table and record of a result."""
    card, figure, table, record = _judged(result)
    return card, shown_plot(figure), table, record


def first_panels(result: AskResult | None) -> tuple[str, str, go.Figure | None, str, dict[str, Any] | None]:
    """Answer, verdict, figure, table and record before anything is asked: an example, or what will appear where."""
    if result is None:
        return (
            idle_card("The answer appears here, unlikely words marked."),
            idle_card(BEFORE_FIRST),
            None,
            "",
            None,
        )
    card, figure, table, record = _judged(result)
    return answer_card(result) + FIRST_NOTE, card, figure, table, record


def _judged(result: AskResult) -> tuple[str, go.Figure | None, str, dict[str, Any]]:
    verdict, record = result.verdict, as_plain(result.to_json())
    card = verdict_card(verdict, ANSWERS, hdr_mass=result.hdr_mass, reason=result.reason or "")
    if verdict is None or result.hcdr is None:
        return card, None, unhinted_note(result), record
    figure = density_histograms(result.hcdr, [Candidate("this answer", verdict)], what="answers")
    return card, figure, state_table(verdict, ANSWERS) + unhinted_note(result), record


def unhinted_note(result: AskResult) -> str:
    """log p(answer | question) without a hint, and who wrote and scored the answer."""
    unhinted = result.log_density_unhinted
    without = "" if unhinted is None else f"Without any hint its log-likelihood is {unhinted:.2f} nats. "
    own = result.settings.answer is not None
    writer = "Your own answer" if own else f"Written by {escape(result.model)}, seed {result.settings.seed}"
    return f'<p class="hl-note">{without}{writer}, scored by {escape(result.scorer)} (frozen).</p>'


def build_ask_tab(session: Session) -> AskTab:
    """Lay the tab out and wire it."""
    words = session.engine.preset.words
    first = first_answer(session.engine.preset)
    result, prefilled, branching = gr.State(first), gr.State(""), gr.State()
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
            find_states = gr.Button(FIND_STATES, size="sm")
            states_note = gr.HTML()
            with gr.Row():
                start = gr.Button("Ask", variant="primary", scale=3)
                stop = gr.Button("Stop", variant="stop", scale=1, interactive=False)
            example_buttons(words.example_questions, question, label="Questions to try", per_page=12)
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
            said, judged, figure, densities, receipt = first_panels(first)
            answer = gr.HTML(said, js_on_load=WORDS_SCRIPT)
            choices = gr.HTML(visible=False, js_on_load=WORDS_SCRIPT)
            back = gr.Button("Back to the first answer", size="sm", visible=False)
            verdict = gr.HTML(judged)
            histogram = gr.Plot(figure, show_label=False, visible=figure is not None)
            hdr_mass = mass_slider(ANSWERS)
            table = gr.HTML(densities)
            with gr.Accordion("How to read this", open=False):
                gr.Markdown(HOW_TO_READ)
            with gr.Accordion("Receipt (JSON): everything that repeats this result", open=False):
                record = gr.JSON(receipt, show_label=False)

    inputs = AskInputs(question, states, checkpoint, temperature, top_p, max_new_tokens, seed, hdr_mass)
    gr.HTML(LOOK_CLOSER)
    build_rate_panel(session, inputs)
    build_compare_panel(session, inputs)
    build_references_panel(session, inputs)
    build_experiment_panel(session)

    shown = [verdict, histogram, table, record]
    on_device: dict[str, Any] = {
        "concurrency_id": DEVICE, "concurrency_limit": 1, "api_visibility": "private",
        "show_progress": "minimal", "show_progress_on": verdict,
    }  # fmt: skip
    looking_up: dict[str, Any] = {**on_device, "show_progress": "hidden"}
    question.change(
        prefill_states, [question, states, prefilled], [states, prefilled],
        trigger_mode="always_last", **UNQUEUED,
    )  # fmt: skip
    wire_proposals(session, find_states, question, states, prefilled, states_note)
    starting = gr.on(
        [start.click, question.submit], lambda: (stop_enabled(True), *closed_choices()),
        None, [stop, choices, branching, back], **UNQUEUED,
    )  # fmt: skip
    answering = starting.then(
        partial(ask_question, session),
        [own_answer, *inputs.components()],
        [answer, *shown, result],
        **on_device,
    )
    answering.then(partial(stop_enabled, False), None, stop, **UNQUEUED)
    wire_stop(stop, answering, stopped, [result, hdr_mass], [*shown, stop])

    answer.click(
        with_place(partial(open_choices, session)), [result, branching], [choices, branching],
        **looking_up,
    )  # fmt: skip
    branch = choices.click(
        with_place(partial(write_on, session)), [branching, hdr_mass], [answer, *shown, result], **on_device
    )
    branch.success(
        lambda: (gr.HTML(visible=False), gr.Button(visible=True)), None, [choices, back], **UNQUEUED
    )
    back.click(go_back, [branching, hdr_mass], [answer, *shown, result, choices, branching, back], **UNQUEUED)

    hdr_mass.change(decide_again, [result, hdr_mass], shown, trigger_mode="always_last", **UNQUEUED)
    new_seed.click(random_seed, None, seed, **UNQUEUED)
    for name, endpoint in (
        ("ask", ask_endpoint), ("ask_rate", rate_endpoint), ("ask_compare", compare_endpoint),
        ("token_choices", choices_endpoint), ("propose_states", propose_endpoint),
        ("resemblance", references_endpoint),
    ):  # fmt: skip
        serve_endpoint(endpoint(session), name, on_device=True)
    return AskTab(question, result)


def stopped(result: AskResult | None, hdr_mass: float) -> tuple[Any, ...]:
    """After Stop: what exists stays, and the tab can be used again."""
    card, *others = decide_again(result, hdr_mass)
    return (idle_card("Stopped.") if result is None else card, *others, stop_enabled(False))
