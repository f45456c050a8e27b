"""The simulation: what graders teach a learner of arbitrary facts, with progress and stop."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import gradio as gr

from hallulab.data.coins import check_whole
from hallulab.errors import RefusedInputError
from hallulab.experiments.facts_run import QWEN
from hallulab.experiments.post_training import run_post_training
from hallulab.experiments.post_training_run import (
    BASE,
    BINARY,
    CROWDED,
    LEARNERS,
    STATED,
    BaseEpoch,
    PostTrainingPoint,
    PostTrainingResult,
    PostTrainingSettings,
)
from hallulab.experiments.post_training_summary import PolicyRow, policy_calibrations, policy_table
from hallulab.reports.charts import chart_figure
from hallulab.reports.facts_figures import LEARNER_TITLES
from hallulab.reports.facts_tables import LEARNER_NOTES
from hallulab.reports.post_training_figures import (
    policy_reliability_chart,
    post_training_chart,
    stated_policy_chart,
)
from hallulab.ui.parts.controls import UNQUEUED, shown_plot, stop_enabled, wire_stop
from hallulab.ui.parts.errors import shown_to_visitor
from hallulab.ui.parts.grading_policies import (
    CALIBRATION_NOTE,
    calibrations_table,
    policies_card,
    policies_table,
)
from hallulab.ui.parts.progress import idle_card, progress_card
from hallulab.ui.session import DEVICE, Session

DEFAULTS = PostTrainingSettings()
MAX_WORLDS = 10
"""worlds that one visitor may simulate at once"""
LEAST_SAMPLES, MOST_SAMPLES = 500, 50_000
MOST_TRAINED = 200_000
"""training sentences × epochs × worlds that one visitor may train the network with"""
SECONDS_PER_FRAME = 0.7
BASES = {CROWDED: "a memory with too little room: mixes people up, so it is more or less sure"} | {
    name: LEARNER_NOTES[name] for name in LEARNERS if name != CROWDED
}
"""base → what it is"""
TITLE = "What do such grades teach? Train a policy on them (simulation)"
NOTE = """
<p class="hl-note">A model that has read some birthdays is trained to get the most points: once by binary grading, once
by grades that cost what t says, with t <b>stated in the prompt</b>. It learns no new birthday, only <b>when to say
“I do not know”</b> and how boldly to guess. Nothing is sampled: points and gradients are exact. It is measured on
people that it was not trained on.</p>
"""
BEFORE_FIRST = (
    "What binary grading does to “I do not know”, and whether confidence stays honest, appears here."
)
N_FIGURES = 3
Frame = tuple[Any, ...]


def train_policies(session: Session, learner: Any, n_samples: Any, worlds: Any, seed: Any) -> Iterator[Frame]:
    """Train and yield (card, three figures, two tables, result); closing it stops it, finished policies are kept."""
    with shown_to_visitor():
        settings = chosen_settings(learner, n_samples, worlds, seed)
        with session.engine.enter("grading") as ticket:
            for position in ticket.positions():
                yield progress_card(f"Waiting: {position} in front of you."), *(gr.skip(),) * (N_FIGURES + 3)
            yield from _frames(settings)


def chosen_settings(learner: Any, n_samples: Any, worlds: Any, seed: Any) -> PostTrainingSettings:
    """The run that a visitor chose; refused when it would take long."""
    settings = replace(
        DEFAULTS,
        learner=learner,
        n_samples=check_whole("training sentences", n_samples, LEAST_SAMPLES, MOST_SAMPLES),
        rounds=check_whole("worlds", worlds, 1, MAX_WORLDS),
        seed=check_whole("seed", seed, 0, 2**31),
    )
    n_trained = settings.n_samples * settings.qwen.epochs * settings.rounds
    if settings.learner == QWEN and n_trained > MOST_TRAINED:
        raise RefusedInputError(
            f"expected at most {MOST_TRAINED:,} training sentences × {settings.qwen.epochs} epochs × worlds for the "
            f"network on this page, got {n_trained:,}: lower one, or use `hallulab post-train --learner {QWEN}`"
        )
    return settings


def settled(result: PostTrainingResult | None) -> Frame:
    """After the last policy or a Stop: what was trained stays. Returns: card, three figures, two tables, Stop."""
    if result is None or not _is_told(policy_table(result)):
        return (
            idle_card("Stopped before the first world was finished."),
            *(gr.skip(),) * (N_FIGURES + 2),
            stop_enabled(False),
        )
    return *panels(result), stop_enabled(False)


def panels(result: PostTrainingResult) -> Frame:
    """Card, three figures and two tables of what was trained."""
    rows, calibrations = policy_table(result), policy_calibrations(result)
    learned, told = chart_figure(post_training_chart(result)), chart_figure(stated_policy_chart(rows))
    reliability = chart_figure(policy_reliability_chart(calibrations))
    for figure in (learned, told, reliability):
        figure.update_yaxes(tickformat=".0%")
    reliability.update_xaxes(tickformat=".0%")
    return (
        policies_card(rows, calibrations),
        *map(shown_plot, (learned, told, reliability)),
        policies_table(rows),
        CALIBRATION_NOTE + calibrations_table(calibrations),
    )


def build_policies_panel(session: Session) -> None:
    """Lay the panel out and wire it."""
    result = gr.State(time_to_live=3600)
    with gr.Accordion(TITLE, open=False):
        gr.HTML(NOTE)
        with gr.Row():
            learner = gr.Dropdown(
                [(_base_title(name), name) for name in LEARNERS], value=DEFAULTS.learner, label="Who is trained?",
                filterable=False, scale=3, min_width=220,
            )  # fmt: skip
            n_samples = gr.Slider(
                LEAST_SAMPLES, MOST_SAMPLES, DEFAULTS.n_samples, step=500, label="Sentences it has read before",
                scale=3, min_width=220,
            )  # fmt: skip
        who = gr.HTML(base_note(DEFAULTS.learner))
        with gr.Row():
            worlds = gr.Slider(
                1, MAX_WORLDS, 3, step=1, label="Worlds: intervals need two or more", scale=4, min_width=200
            )
            seed = gr.Number(
                DEFAULTS.seed, label="Seed of the first", precision=0, minimum=0, scale=1, min_width=110
            )
            start = gr.Button("Train the policies", variant="primary", scale=2, min_width=150)
            stop = gr.Button("Stop training", variant="stop", scale=1, min_width=120, interactive=False)
        card = gr.HTML(idle_card(BEFORE_FIRST))
        with gr.Row():
            learned = gr.Plot(show_label=False, visible=False, min_width=320)
            told = gr.Plot(show_label=False, visible=False, min_width=320)
        table = gr.HTML()
        calibration = gr.HTML(min_height=0)
        reliability = gr.Plot(show_label=False, visible=False)
    learner.input(base_note, learner, who, **UNQUEUED)
    shown = [card, learned, told, reliability, table, calibration]
    starting = start.click(lambda: (stop_enabled(True), None), None, [stop, result], **UNQUEUED)
    training = starting.then(
        partial(train_policies, session), [learner, n_samples, worlds, seed], [*shown, result],
        concurrency_id=DEVICE, concurrency_limit=1, api_visibility="private", show_progress="hidden",
    )  # fmt: skip
    training.then(partial(stop_enabled, False), None, stop, **UNQUEUED)
    wire_stop(stop, training, settled, result, [*shown, stop])


def base_note(learner: str) -> str:
    """Who is trained."""
    if learner not in BASES:
        raise gr.Error("Choose one of the learners in the list.", print_exception=False)
    return f'<p class="hl-note"><b>{_base_title(learner)}</b>: {BASES[learner]}.</p>'


def _base_title(learner: str) -> str:
    title = "crowded memory" if learner == CROWDED else LEARNER_TITLES[learner]
    return title[:1].upper() + title[1:]


def _frames(settings: PostTrainingSettings) -> Iterator[Frame]:
    points: list[PostTrainingPoint] = []
    n_total = settings.rounds * (1 + len(settings.graders))
    drawn_at = -SECONDS_PER_FRAME
    for point in run_post_training(settings):
        if isinstance(point, BaseEpoch):
            doing = f"the network reads, epoch {point.epoch} of {point.n_epochs}"
        else:
            points.append(point)
            doing = _policy_words(point)
            if time.monotonic() - drawn_at < SECONDS_PER_FRAME:
                continue
        n_done = len({(one.seed, one.policy) for one in points})
        result = PostTrainingResult.of(settings, points)
        world = f"World {point.seed - settings.seed + 1} of {settings.rounds}"
        shown: Frame = (gr.skip(),) * (N_FIGURES + 2)
        if _is_told(policy_table(result)):
            _, *shown_list = panels(result)
            shown = tuple(shown_list)
        yield progress_card(f"{world}: {doing} …", n_done, n_total), *shown, result
        drawn_at = time.monotonic()
    result = PostTrainingResult.of(settings, points)
    yield *panels(result), result


def _is_told(rows: Sequence[PolicyRow]) -> bool:
    """Whether at least one world is finished: the told policy is its last."""
    return any(row.policy == STATED for row in rows)


def _policy_words(point: PostTrainingPoint) -> str:
    if point.policy == BASE:
        return "before training"
    if point.policy == STATED:
        return "told the target"
    return (
        "binary grading"
        if point.policy == BINARY
        else f"graded at t = {point.policy.removeprefix('target ')}"
    )
