"""Controls that several tabs share."""

import json
import random
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import gradio as gr
import plotly.graph_objects as go
from gradio.components import Component
from gradio.events import Dependency

from hallulab.ui.parts.verdict import Wording

DEFAULT_HDR_MASS = 0.9
LEAST_MASS, MOST_MASS = 0.5, 0.99
"""ends of the slider"""
MAX_SEED = 2**31 - 1
STOP_SETTLES_S = 0.5
"""gradio sends a cancel beside the Stop listener, not before it, and cancels by function: until it has arrived, a new
job of the same visitor would be ended too"""
UNQUEUED: dict[str, Any] = {"queue": False, "api_visibility": "private", "show_progress": "hidden"}
"""of listeners that answer at once and touch no device"""


def mass_slider(wording: Wording) -> gr.Slider:
    """The HDR mass, which re-decides without a model."""
    return gr.Slider(
        LEAST_MASS,
        MOST_MASS,
        DEFAULT_HDR_MASS,
        step=0.01,
        label=f"HDR mass: share of genuine {wording.things} inside",
        info="Decides again at once, without the model.",
    )


def example_buttons(
    examples: Sequence[str], box: gr.Textbox, *, label: str, per_page: int = 10
) -> gr.Dataset:
    """Texts that fill a box when clicked.

    The browser fills it by itself (gr.Examples asks the server), so that a button pressed at once finds the text.
    """
    buttons = gr.Dataset(
        components=[box],
        samples=[[example] for example in examples],
        label=label,
        type="index",
        samples_per_page=per_page,
    )
    buttons.click(None, buttons, box, js=f"index => {json.dumps(list(examples))}[index]", **UNQUEUED)
    return buttons


def random_seed() -> int:
    """A seed nobody chose."""
    return random.SystemRandom().randrange(MAX_SEED)


def shown_plot(figure: go.Figure | None) -> gr.Plot:
    """A plot with this figure, hidden while there is none."""
    return gr.Plot(figure, visible=figure is not None)


def stop_enabled(enabled: bool) -> gr.Button:
    """The Stop button, pressable only while something runs."""
    return gr.Button(interactive=enabled)


def wire_stop(
    stop: gr.Button,
    running: Dependency,
    stopped: Callable[..., Any],
    inputs: Sequence[Component] | Component | None,
    outputs: Sequence[Component],
) -> None:
    """End a running listener on Stop, and say what is left once its last step has arrived."""
    stopping = stop.click(lambda: None, None, None, cancels=running, **UNQUEUED)
    settled = stopping.then(partial(time.sleep, STOP_SETTLES_S), None, None, **UNQUEUED)
    settled.then(stopped, inputs, outputs, **UNQUEUED)
