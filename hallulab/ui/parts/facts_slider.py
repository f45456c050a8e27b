"""A slider over numbers that grow by factors: 30 people and 30,000 are as far from 3 as each other."""

from html import escape
from pathlib import Path

import gradio as gr

SLIDER_SCRIPT = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
STEPS_OF_A_DECADE = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9)


def round_steps(least: int, most: int) -> list[int]:
    """Round numbers from `least` to `most`, about evenly spaced in logarithms."""
    steps = {round(step * 10**power) for power in range(len(str(most))) for step in STEPS_OF_A_DECADE}
    return sorted({least, most} | {step for step in steps if least < step < most})


def factor_slider(least: int, most: int, value: int, *, label: str, info: str = "") -> gr.HTML:
    """A labelled slider; its value is a whole number, its `input` event comes while it is moved."""
    note = f"<small>{escape(info)}</small>" if info else ""
    title = escape(label)
    return gr.HTML(
        value,
        html_template=(
            f'<div class="hl-slider"><div><span>{title}</span><input type="number" aria-label="number input for '
            f'{title}"></div>{note}<input type="range" min="0" step="1" max="{len(round_steps(least, most)) - 1}" '
            f'aria-label="{title}"></div>'
        ),
        js_on_load=SLIDER_SCRIPT,
        steps=round_steps(least, most),
    )
