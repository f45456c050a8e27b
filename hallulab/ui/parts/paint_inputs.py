"""What the visitor wants painted: the controls that every panel of the Paint tab reads."""

from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from hallulab.engine.pictures import PaintSettings, check_prompt
from hallulab.ui.session import Session


@dataclass(frozen=True)
class PaintInputs:
    """The controls, and what else they all answer to."""

    prompt: gr.Textbox
    checkpoint: gr.Dropdown
    n_images: gr.Slider
    seed: gr.Number
    steps: gr.Slider
    guidance: gr.Slider
    hdr_mass: gr.Slider

    def components(self) -> list[Component]:
        """In the order in which `Wanted.of` takes their values."""
        return list(vars(self).values())


@dataclass(frozen=True)
class Wanted:
    """The values of the controls, in the engine's terms."""

    prompt: str
    checkpoint: str | None
    settings: PaintSettings
    hdr_mass: float

    @classmethod
    def of(cls, session: Session, *values: Any) -> "Wanted":
        """What the controls show; gradio sends None for an empty box, and fractions for whole numbers.

        Raises RefusedInputError for a prompt that cannot be used, before anything on the page is cleared for it.
        """
        prompt, checkpoint, n_images, seed, steps, guidance, hdr_mass = values
        settings = PaintSettings(
            n_images=int(n_images),
            seed=int(seed),
            steps=int(steps),
            guidance=float(guidance),
            size=session.engine.preset.pictures.size,
        )
        return cls(check_prompt(prompt or ""), checkpoint, settings, hdr_mass)
