"""A small network learns the world on the page: progress, stop, and what Theorem 1 says of it epoch by epoch."""

import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import gradio as gr

from hallulab.data.coins import check_whole
from hallulab.errors import RefusedInputError
from hallulab.experiments.facts_measure import draw_facts
from hallulab.experiments.facts_run import QWEN, FactsSettings, LearnerPoint
from hallulab.experiments.facts_summary import FactsResult
from hallulab.experiments.facts_training import train_facts_qwen
from hallulab.models.facts_qwen import FactsQwenSettings
from hallulab.reports.charts import chart_figure
from hallulab.reports.facts_figures import training_chart
from hallulab.reports.figures import OUTSIDE
from hallulab.reports.numbers import decimal
from hallulab.ui.parts.controls import UNQUEUED, shown_plot, stop_enabled, wire_stop
from hallulab.ui.parts.density_cards import percent
from hallulab.ui.parts.errors import shown_to_visitor
from hallulab.ui.parts.facts_play import MOST_KEPT, FactsChoice, Trained, measured_network, show_facts
from hallulab.ui.parts.progress import idle_card, progress_card
from hallulab.ui.session import DEVICE, Session

DEFAULTS = FactsQwenSettings()
MAX_EPOCHS, MOST_TRAINED = 60, 600_000
"""epochs, and training sentences × epochs, that one visitor may train with"""
SECONDS_PER_FRAME = 0.7
TITLE = "Train a small network on these very sentences"
NOTE = """
<p class="hl-note">A Qwen2 of two layers reads the training sentences of the world above, again and again. After each
pass, what it would say to every question is read off exactly. Then choose it as the learner, and click facts.</p>
"""
BEFORE_FIRST = "How often the network is wrong appears here, beside the least that Theorem 1 allows."


def train_network(session: Session, epochs: Any, *chosen: Any) -> Iterator[tuple[Any, ...]]:
    """Train and yield (card, figure, network); closing it stops it, and the last network is what exists.

    Args:
        epochs: passes over the training sentences.
        chosen: as `FactsChoice`; its learner is left aside.
    """
    with shown_to_visitor():
        settings = network_settings(epochs, *chosen)
        with session.engine.enter("facts") as ticket:
            for position in ticket.positions():
                yield progress_card(f"Waiting: {position} in front of you."), gr.skip(), gr.skip()
            yield from _frames(settings)


def network_settings(epochs: Any, *chosen: Any) -> FactsSettings:
    """The world on the page for the network; refused when it would take long."""
    settings = replace(FactsChoice(*chosen).settings, learners=(QWEN,))
    n_epochs = check_whole("epochs", epochs, 1, MAX_EPOCHS)
    n_kept = settings.world.n_prompts * (settings.world.n_answers + 1)
    for n, most, what in (
        (settings.n_samples * n_epochs, MOST_TRAINED, "training sentences × epochs"),
        (n_kept, MOST_KEPT, "people × answers"),
    ):
        if n > most:
            raise RefusedInputError(
                f"expected at most {most:,} {what} for the network on this page, got {n:,}: lower one, or use "
                "`hallulab facts --learner qwen`"
            )
    return replace(settings, qwen=replace(DEFAULTS, epochs=n_epochs))


def settled(trained: Trained | None, prompt: int | None, *chosen: Any) -> tuple[Any, ...]:
    """After the last epoch or a Stop: the network as far as it came.

    Args: as `show_facts`.
    Returns: card, Stop, then as `show_facts`.
    """
    card = idle_card("Stopped before the network was read.")
    if trained is not None:
        card = network_card(trained.point, is_done=True)
    return card, stop_enabled(False), *show_facts(trained, prompt, *chosen)


def network_card(point: LearnerPoint, *, is_done: bool) -> str:
    """How far the network has come, and what Theorem 1 says of it."""
    unseen = point.by_frequency[0].err
    guesses = (
        "" if unseen is None else f" On facts that it never read it is wrong {percent(unseen)} of the time."
    )
    bound = (
        f"Theorem 1 allows no less than {percent(point.bound)}"
        if point.bound > 0
        else "Theorem 1 promises nothing at this δ"
    )
    again = " Choose it as the learner above to look into its facts." if is_done else ""
    return (
        f'<div class="hl-card" role="status" style="--hl-tone:{OUTSIDE}"><span class="hl-pill">Epoch {point.epoch}: '
        f'wrong on {percent(point.err)}</span><p class="hl-sentence">{bound}; δ = {decimal(point.delta, 3)}, “I do not '
        f"know” {percent(point.abstained)}.{guesses}{again}</p></div>"
    )


def build_network_panel(session: Session, inputs: list[Any], panels: list[Any]) -> None:
    """Lay the panel out and wire it.

    Args:
        inputs: components of the arguments of `show_facts`; the first holds the network.
        panels: components of what it returns.
    """
    trained, _, *chosen = inputs
    with gr.Accordion(TITLE, open=False):
        gr.HTML(NOTE)
        with gr.Row():
            epochs = gr.Slider(
                1, MAX_EPOCHS, DEFAULTS.epochs, step=1, label="Epochs: passes over the sentences", scale=4
            )
            start = gr.Button("Train the network", variant="primary", scale=2, min_width=160)
            stop = gr.Button("Stop training", variant="stop", scale=1, min_width=120, interactive=False)
        card = gr.HTML(idle_card(BEFORE_FIRST))
        figure = gr.Plot(show_label=False, visible=False)
    starting = start.click(lambda: (stop_enabled(True), None), None, [stop, trained], **UNQUEUED)
    training = starting.then(
        partial(train_network, session), [epochs, *chosen], [card, figure, trained],
        concurrency_id=DEVICE, concurrency_limit=1, api_visibility="private", show_progress="hidden",
    )  # fmt: skip
    training.then(partial(stop_enabled, False), None, stop, **UNQUEUED)
    training.success(settled, inputs, [card, stop, *panels], **UNQUEUED)
    wire_stop(stop, training, settled, inputs, [card, stop, *panels])


def _frames(settings: FactsSettings) -> Iterator[tuple[Any, ...]]:
    facts, counts = draw_facts(settings.world, settings.n_samples, settings.seed)
    points: list[LearnerPoint] = []
    trained: Trained | None = None
    drawn_at = -SECONDS_PER_FRAME
    n_epochs = settings.qwen.epochs
    for epoch in train_facts_qwen(facts, counts, settings.qwen, seed=settings.seed):
        if epoch.learned is not None:
            trained = measured_network(settings, epoch.learned, epoch.epoch, epoch.train_loss)
            points.append(trained.point)
        if trained is not None and (
            time.monotonic() - drawn_at >= SECONDS_PER_FRAME or epoch.epoch == n_epochs
        ):
            card = progress_card(f"Epoch {epoch.epoch} of {n_epochs} …", epoch.epoch, n_epochs)
            yield card + network_card(trained.point, is_done=False), _shown(settings, points), trained
            drawn_at = time.monotonic()


def _shown(settings: FactsSettings, points: list[LearnerPoint]) -> Any:
    figure = chart_figure(training_chart(FactsResult(settings, tuple(points))))
    figure.update_xaxes(range=[0, settings.qwen.epochs])
    return shown_plot(figure.update_yaxes(tickformat=".0%"))
