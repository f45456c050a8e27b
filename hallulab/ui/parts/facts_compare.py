"""Two closed panels below the world: every learner beside every bound, and the sentences that they read."""

from html import escape
from itertools import islice
from typing import Any

import gradio as gr

from hallulab.experiments.facts_corpus import training_lines
from hallulab.experiments.facts_measure import draw_facts, play_facts
from hallulab.experiments.facts_run import QWEN, FactsSettings
from hallulab.experiments.facts_summary import FactsResult
from hallulab.models.fact_learners import EXACT_LEARNERS, GROUPED_LEARNERS
from hallulab.reports.charts import chart_figure
from hallulab.reports.facts_figures import bounds_chart
from hallulab.reports.facts_tables import bounds_table
from hallulab.ui.parts.coin_tables import table_html
from hallulab.ui.parts.controls import UNQUEUED, shown_plot
from hallulab.ui.parts.errors import shown_to_visitor
from hallulab.ui.parts.facts_play import MOST_KEPT, FactsChoice, Trained, is_same_world
from hallulab.ui.parts.progress import idle_card
from hallulab.ui.session import DEVICE

N_LINES = 12
"""training sentences that are shown"""
COMPARE_TITLE = "All learners beside all bounds: one table, one figure"
COMPARE_NOTE = """
<p class="hl-note">Every learner on the world above, and everything that the two theorems say about it.</p>
"""
BEFORE_FIRST = "Every bound beside what it bounds appears here."
TEXT_TITLE = "Read the training sentences"
TEXT_NOTE = """
<p class="hl-note">The very text that the learners count and the network reads. <code>python -m hallulab facts --corpus
FILE</code> writes all of it.</p>
"""


def compare_learners(trained: Trained | None, *chosen: Any) -> tuple[Any, Any]:
    """Every learner that this world has room for, the network if it was trained here: table and figure."""
    with shown_to_visitor():
        result = compared(trained, FactsChoice(*chosen).settings)
    table = bounds_table(result)
    body = [[escape(cell) for cell in row] for row in table.rows]
    note = f'<p class="hl-note">{escape(table.note)}{_left_out(result)}</p>'
    figure = chart_figure(bounds_chart(result)).update_yaxes(tickformat=".0%").update_layout(height=540)
    return table_html([escape(title) for title in table.header], body) + note, shown_plot(figure)


def compared(trained: Trained | None, settings: FactsSettings) -> FactsResult:
    """One world with every learner there is room for."""
    world = settings.world
    has_room = world.n_prompts * (world.n_answers + 1) <= MOST_KEPT
    names = tuple(EXACT_LEARNERS) if has_room else GROUPED_LEARNERS
    play = play_facts(FactsSettings(world, settings.n_samples, names, rounds=1, seed=settings.seed))
    points = [play.point, *play.learners.values()]
    if trained is not None and is_same_world(trained.settings, settings):
        points.append(trained.point)
        names = (*names, QWEN)
    return FactsResult(
        FactsSettings(world, settings.n_samples, names, rounds=1, seed=settings.seed), tuple(points)
    )


def show_lines(*chosen: Any) -> str:
    """The first training sentences of the world."""
    with shown_to_visitor():
        settings = FactsChoice(*chosen).settings
        facts, counts = draw_facts(settings.world, settings.n_samples, settings.seed)
        lines = list(islice(training_lines(facts, counts, seed=settings.seed), N_LINES))
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    about = (
        f"The first {len(lines)} of {settings.n_samples:,} sentences about {settings.world.n_prompts:,} people, "
        f"seed {settings.seed}:"
    )
    return (
        f'<div class="hl-card hl-quiet"><p class="hl-note">{about}</p><ol class="hl-lines">{items}</ol></div>'
    )


def build_compare_panels(trained: gr.State, chosen: list[Any]) -> None:
    """Lay the panels out and wire them.

    Args:
        trained: holds the network, if one was trained in this visit.
        chosen: components of the arguments of `FactsChoice`.
    """
    with gr.Accordion(COMPARE_TITLE, open=False):
        gr.HTML(COMPARE_NOTE)
        start = gr.Button("Compare them on this world", size="sm")
        table = gr.HTML(idle_card(BEFORE_FIRST))
        figure = gr.Plot(show_label=False, visible=False)
    start.click(
        compare_learners, [trained, *chosen], [table, figure],
        concurrency_id=DEVICE, concurrency_limit=1, api_visibility="private", show_progress="minimal",
    )  # fmt: skip
    with gr.Accordion(TEXT_TITLE, open=False):
        gr.HTML(TEXT_NOTE)
        show = gr.Button(f"Show the first {N_LINES}", size="sm")
        lines = gr.HTML()
    show.click(show_lines, chosen, lines, **UNQUEUED)


def _left_out(result: FactsResult) -> str:
    missing = [name for name in EXACT_LEARNERS if name not in result.settings.learners]
    if not missing:
        return ""
    return f" Not shown, since they keep every date of every person: {', '.join(missing)}."
