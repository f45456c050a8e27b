"""The Facts tab: birthdays that follow from nothing, what a learner must get wrong, and what it gets wrong."""

import re
from dataclasses import asdict, dataclass
from typing import Any

import gradio as gr

from hallulab.errors import RefusedInputError
from hallulab.experiments.facts_run import FactsSettings
from hallulab.models.fact_learners import EXACT_LEARNERS
from hallulab.records import as_plain
from hallulab.ui.parts.ask_words import WORDS_SCRIPT
from hallulab.ui.parts.controls import UNQUEUED, random_seed
from hallulab.ui.parts.endpoints import serve_endpoint
from hallulab.ui.parts.errors import shown_to_visitor
from hallulab.ui.parts.facts_cards import learner_choices, world_sentence
from hallulab.ui.parts.facts_compare import build_compare_panels
from hallulab.ui.parts.facts_iiv import build_iiv_panel, iiv_endpoint
from hallulab.ui.parts.facts_look import CURVE_ID, DATES_ID, VERDICT_ID
from hallulab.ui.parts.facts_play import (
    FIRST_PRESET,
    LEAST_PEOPLE,
    LEAST_SAMPLES,
    MOST_PEOPLE,
    MOST_SAMPLES,
    PRESETS,
    FactsChoice,
    Trained,
    choose_preset,
    fact_record,
    facts_panels,
    first_fact,
    lesson_html,
    look,
    show_fact,
    show_facts,
)
from hallulab.ui.parts.facts_poor import build_poor_panel
from hallulab.ui.parts.facts_slider import factor_slider
from hallulab.ui.parts.facts_training import build_network_panel
from hallulab.ui.session import Session

DEFAULTS = FactsSettings()
FIRST_LEARNER = "memoriser"

INTRO = """
<p class="hl-note">Why do language models hallucinate? Here is a world where it can be computed. Invented people have
random <b>birthdays</b>, which follow from nothing. A model reads sentences about them, then is asked for a birthday.
One it never read it can only <b>guess</b>, or say that it does not know.</p>
"""
PEOPLE_INTRO = """
<h3>Whom does it get wrong?</h3>
<p class="hl-note">People by how often training told their birthday. <b>Click a dot</b> to look into one fact.</p>
"""
HOW_TO_READ = """
- **Wrong** means a false date. “I do not know” is never wrong. Questions about famous people are asked more often and
  count more.
- **Facts seen once** is a share of the training sentences. It estimates (Good and Turing) how often the next question
  is about a fact that was *never* read; its interval is Esty’s, the truth beside it is exact.
- **Theorem 2** (arXiv 2509.04664) turns that share into a guarantee: *any* model errs at least so often, with
  probability 99 %, less its own δ. “Silent” means that the guarantee is below 0 %. The sharper form is proved in
  docs/facts.md.
- **Theorem 1** needs no luck: whoever misjudges answers when asked “is it valid?” (err_iiv) must err about twice as
  often when it answers, less the share |V|/|E| of valid answers among errors and less δ.
- **δ** says how far a model is from calibrated: how much more, or less, probability it gives to the answers that it
  holds for likely than the data does; or, the same number, how steeply its loss changes when these answers are made
  likelier. A calibrated model has δ = 0 and *must* guess.
- **In the figure** a lower bound that says nothing is not drawn; upper bounds are about the memoriser. Its curve has
  training sentences of its own at every N, so the dot may lie a little beside it.
- **α** is how often the data tells the date; else it says “I do not know”.
- **Zipf exponent**: at 0 all people are asked about alike; the higher it is, the more of the questions
  a few of them get.
"""


@dataclass(frozen=True)
class FactsTab:
    """What other parts of the page may listen to."""

    fact: gr.State


def facts(
    n_prompts: int = DEFAULTS.world.n_prompts,
    zipf_exponent: float = DEFAULTS.world.zipf_exponent,
    answer_rate: float = DEFAULTS.world.answer_rate,
    n_samples: int = DEFAULTS.n_samples,
    learner: str = FIRST_LEARNER,
    seed: int = DEFAULTS.seed,
    fact: int | None = None,
) -> dict[str, Any]:
    """One world of arbitrary facts with one computed learner beside its bounds; `fact` adds one person's dates.

    People are numbered from 0, the most asked about first.
    """
    with shown_to_visitor():
        if learner not in EXACT_LEARNERS:
            raise RefusedInputError(f"expected a learner among {', '.join(EXACT_LEARNERS)}, got {learner!r}")
        settings = FactsChoice(n_prompts, zipf_exponent, answer_rate, n_samples, seed, learner).settings
        shown = look(settings)
        if shown.point is None:
            raise RefusedInputError(f"the {learner} is not measured here: {shown.why_not}")
        record = {
            "settings": asdict(settings.world) | {"n_samples": settings.n_samples, "seed": settings.seed},
            "world": asdict(shown.play.point),
            "learner": asdict(shown.point),
            "sentence": re.sub("<.*?>", "", world_sentence(shown.play.point, shown.point)),
            "fact": None if fact is None else fact_record(shown.play, learner, fact),
        }
    return as_plain(record)


def build_facts_tab(session: Session) -> FactsTab:
    """Lay the tab out and wire it."""
    world = PRESETS[FIRST_PRESET].world
    first = FactsChoice(
        world.n_prompts, world.zipf_exponent, world.answer_rate, PRESETS[FIRST_PRESET].n_samples,
        DEFAULTS.seed, FIRST_LEARNER,
    )  # fmt: skip
    first_prompt = first_fact(first.settings)
    card, tiles_html, curve_plot, people_first, who_first, fact_first, dates_first = facts_panels(
        None, first_prompt, *vars(first).values()
    )
    trained, fact = gr.State(time_to_live=3600), gr.State(first_prompt)
    gr.HTML(INTRO)
    with gr.Row():
        with gr.Column(scale=7, min_width=320):
            verdict = gr.HTML(card, elem_id=VERDICT_ID)
            tiles = gr.HTML(tiles_html)
            curve = gr.Plot(curve_plot, show_label=False, elem_id=CURVE_ID)
        with gr.Column(scale=4, min_width=320):
            preset = gr.Dropdown(
                [(choice.title, name) for name, choice in PRESETS.items()], value=FIRST_PRESET,
                label="Start from", filterable=False,
            )  # fmt: skip
            lesson = gr.HTML(lesson_html(FIRST_PRESET))
            learner = gr.Radio(learner_choices(), value=FIRST_LEARNER, label="Learner")
            who = gr.HTML(who_first)
            n_samples = factor_slider(
                LEAST_SAMPLES, MOST_SAMPLES, first.n_samples, label="N: training sentences"
            )
            n_prompts = factor_slider(LEAST_PEOPLE, MOST_PEOPLE, first.n_prompts, label="People in the world")
            zipf_exponent = gr.Slider(
                0,
                3,
                first.zipf_exponent,
                step=0.05,
                label="Zipf exponent: how unevenly people are asked about",
            )
            answer_rate = gr.Slider(
                0.05, 1, first.answer_rate, step=0.05, label="α: how often the data tells the date"
            )
            with gr.Row():
                seed = gr.Number(first.seed, label="Seed", precision=0, minimum=0, min_width=90)
                new_seed = gr.Button("🎲 Another world", size="sm", min_width=140)
    gr.HTML(PEOPLE_INTRO)
    people = gr.HTML(people_first, js_on_load=WORDS_SCRIPT)
    about = gr.HTML(fact_first)
    dates = gr.Plot(dates_first, show_label=False, elem_id=DATES_ID)
    chosen = [n_prompts, zipf_exponent, answer_rate, n_samples, seed, learner]
    panels = [verdict, tiles, curve, people, who, about, dates]
    inputs = [trained, fact, *chosen]
    build_compare_panels(trained, chosen)
    build_network_panel(session, inputs, panels)
    build_iiv_panel(session)
    build_poor_panel()
    with gr.Accordion("How to read this", open=False):
        gr.Markdown(HOW_TO_READ)

    live: dict[str, Any] = {"trigger_mode": "always_last", **UNQUEUED}
    gr.on(
        [n_prompts.input, zipf_exponent.input, answer_rate.input, n_samples.input, learner.input, seed.input],
        show_facts, inputs, panels, **live,
    )  # fmt: skip
    choosing = preset.input(
        choose_preset, preset, [n_prompts, zipf_exponent, answer_rate, n_samples, lesson, fact], **UNQUEUED
    )
    choosing.success(show_facts, inputs, panels, **UNQUEUED)
    new_seed.click(random_seed, None, seed, **UNQUEUED).success(show_facts, inputs, panels, **UNQUEUED)
    people.click(clicked_fact, [trained, *chosen], [about, dates, fact], **UNQUEUED)
    serve_endpoint(facts, "facts")
    serve_endpoint(iiv_endpoint(session), "iiv", on_device=True)
    return FactsTab(fact)


def clicked_fact(event: gr.EventData, trained: Trained | None, *chosen: Any) -> tuple[Any, Any, Any]:
    """The person behind the dot that was clicked; from a browser, so it may be anything."""
    place = getattr(event, "place", None)
    if type(place) is not int or place < 0:
        return gr.skip(), gr.skip(), gr.skip()
    return show_fact(trained, place, *chosen)
