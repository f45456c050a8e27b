"""What the visitor asks and how it is sampled: the controls that every panel of the Ask tab reads."""

from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from hallulab.scoring.words import AskSettings


@dataclass(frozen=True)
class AskInputs:
    """The controls, and what else they all answer to."""

    question: gr.Textbox
    states: gr.Textbox
    checkpoint: gr.Dropdown
    temperature: gr.Slider
    top_p: gr.Slider
    max_new_tokens: gr.Slider
    seed: gr.Number
    hdr_mass: gr.Slider

    def components(self) -> list[Component]:
        """In the order in which `asked` takes their values."""
        return list(vars(self).values())


def asked(
    question: str | None,
    states: str | None,
    checkpoint: str,
    temperature: float,
    top_p: float,
    max_new_tokens: float,
    seed: float,
    hdr_mass: float,
    **more: Any,
) -> AskSettings:
    """The settings that the controls show; gradio sends None for an empty box."""
    return AskSettings(
        question=question or "",
        states=split_states(states),
        checkpoint=checkpoint,
        seed=int(seed),
        hdr_mass=hdr_mass,
        temperature=temperature,
        top_p=top_p,
        max_new_tokens=int(max_new_tokens),
        **more,
    )


def split_states(text: str | None) -> tuple[str, ...]:
    """One state per line; blank lines do not count. Gradio sends None for an empty box."""
    return tuple(line.strip() for line in (text or "").splitlines() if line.strip())
