"""The page: the order of its tabs, and how it is served."""

import os
import sys
from pathlib import Path

import gradio as gr

from hallulab.engine.core import Engine
from hallulab.engine.presets import Preset
from hallulab.engine.quiet import quiet_libraries
from hallulab.ui.look import CSS, theme
from hallulab.ui.parts.ask_question_sets import find_truthfulqa
from hallulab.ui.session import Session
from hallulab.ui.tabs.ask import build_ask_tab
from hallulab.ui.tabs.coins import build_coins_tab
from hallulab.ui.tabs.density import build_density_tab
from hallulab.ui.tabs.facts import build_facts_tab
from hallulab.ui.tabs.grading import build_grading_tab
from hallulab.ui.tabs.paint import build_paint_tab

MAX_WAITING = 64
"""visitors in the queue before the next is asked to come back later"""
KEEP_FILES_S = 3600
"""age at which pictures made for a visitor are deleted"""
MAX_UPLOAD = "10mb"
"""of a picture that a visitor gives; the server refuses larger bodies"""

LEAD = """
<h1>hallulab</h1>
<p class="hl-lead">Is this output a <b>hallucination</b>? hallulab calls it one when it is improbable under
<b>every</b> possible cause, and shows it among genuine samples of each. Ask a fine-tuned Qwen, paint with a
fine-tuned Stable Diffusion, flip coins, or see why models guess.</p>
"""


def build_app(engine: Engine, *, truthfulqa: str | None = None, home: Path | None = None) -> gr.Blocks:
    """The whole page on one engine; nothing is loaded until a visitor needs it.

    Args:
        engine: with the models.
        truthfulqa: where TruthfulQA is to be read from, as `find_truthfulqa` takes it.
        home: folder of runs that the page may show.
    """
    place, missing = find_truthfulqa(truthfulqa)
    if truthfulqa and missing:
        print(missing, file=sys.stderr)
    session = Session(engine, place, missing, home)
    with gr.Blocks(title="hallulab", analytics_enabled=False, delete_cache=(600, KEEP_FILES_S)) as app:
        gr.HTML(LEAD)
        with gr.Tab("Ask", id="ask"):
            build_ask_tab(session)
        with gr.Tab("Paint", id="paint"):
            build_paint_tab(session)
        with gr.Tab("Coins", id="coins"):
            build_coins_tab(session)
        with gr.Tab("Density", id="density"):
            build_density_tab(session)
        with gr.Tab("Facts", id="facts"):
            build_facts_tab(session)
        with gr.Tab("Grading", id="grading"):
            build_grading_tab(session)
        gr.HTML(f'<p class="hl-note">Models: {engine.preset.title}. Nothing you type is stored.</p>')
    return app.queue(max_size=MAX_WAITING)


def serve(preset: Preset, *, truthfulqa: str | None, home: Path) -> None:
    """Serve `build_app` on this world where gradio's environment says, on loopback by default."""
    # gradio asks its makers about versions and usage otherwise; the page needs no network
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    quiet_libraries()
    build_app(Engine(preset), truthfulqa=truthfulqa, home=home).launch(
        theme=theme(), css=CSS, max_file_size=MAX_UPLOAD, ssr_mode=False, footer_links=["api", "settings"]
    )
