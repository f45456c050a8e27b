"""The closed panel about models that cannot express the answer: Corollary 2 and Theorem 3 by enumeration."""

from functools import cache
from typing import Any

import gradio as gr

from hallulab.experiments.poor_models import PoorModels, compute_poor_models
from hallulab.reports.figures import OUTSIDE
from hallulab.reports.poor_models_figures import circle_figure, windows_figure
from hallulab.reports.poor_models_report import poor_headline, poor_sentences
from hallulab.ui.parts.controls import UNQUEUED, shown_plot
from hallulab.ui.parts.progress import idle_card
from hallulab.ui.session import DEVICE

TITLE = "Models that cannot express the answer"
NOTE = """
<p class="hl-note">Missing facts are one reason to be wrong, a poor model is another. <b>“She … out of”</b> goes on with
“her mind”, <b>“He … out of”</b> with “his mind”: a trigram sees only the last two words, so <i>no</i> trigram can know.
Every one is tried.</p>
"""
BEFORE_FIRST = "How wrong even the best trigram must be appears here."


def show_poor_models() -> tuple[Any, ...]:
    """Enumerate, and say what was found: card, two figures."""
    found = _found()
    sentences = " ".join(poor_sentences(found))
    card = (
        f'<div class="hl-card" role="status" style="--hl-tone:{OUTSIDE}"><p class="hl-sentence"><b>'
        f"{poor_headline(found)}</b> {sentences}</p></div>"
    )
    return card, shown_plot(windows_figure(found)), shown_plot(circle_figure(found))


def build_poor_panel() -> None:
    """Lay the panel out and wire it."""
    with gr.Accordion(TITLE, open=False):
        gr.HTML(NOTE)
        start = gr.Button("Try every such model", size="sm")
        card = gr.HTML(idle_card(BEFORE_FIRST))
        with gr.Row():
            windows = gr.Plot(show_label=False, visible=False, min_width=320)
            circle = gr.Plot(show_label=False, visible=False, min_width=320)
    waiting = start.click(lambda: idle_card("Trying them all …"), None, card, **UNQUEUED)
    waiting.then(
        show_poor_models, None, [card, windows, circle],
        concurrency_id=DEVICE, concurrency_limit=1, api_visibility="private", show_progress="minimal",
    )  # fmt: skip


@cache
def _found() -> PoorModels:
    """The enumeration has no settings and no chance in it."""
    return compute_poor_models()
