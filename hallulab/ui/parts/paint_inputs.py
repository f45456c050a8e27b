"""What the visitor wants painted: the controls that every panel of the Paint tab reads."""

import math
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from hallulab.engine.pictures import PaintSettings, check_prompt
from hallulab.errors import RefusedInputError
from hallulab.theory.regions import check_mass
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
        """What the controls show; gradio sends None for an empty box, and an endpoint whatever it was given.

        Raises RefusedInputError for what cannot be used, before anything on the page is cleared for it.
        """
        prompt, checkpoint, n_images, seed, steps, guidance, hdr_mass = values
        settings = PaintSettings(
            n_images=whole_number("images", n_images),
            seed=whole_number("seed", seed),
            steps=whole_number("steps", steps),
            guidance=number("guidance", guidance),
            size=session.engine.preset.pictures.size,
        )
        return cls(
            check_prompt(prompt if isinstance(prompt, str) else ""),
            checkpoint,
            settings,
            check_mass(number("HDR mass", hdr_mass)),
        )


def number(name: str, value: Any) -> float:
    """The number in a control; RefusedInputError when there is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise RefusedInputError(f"expected a number for {name}, got {_said(value)}")
    return value


def whole_number(name: str, value: Any) -> int:
    """The whole number in a control, which gradio may send as a fraction; RefusedInputError when there is none."""
    if number(name, value) != int(value):
        raise RefusedInputError(f"expected a whole number for {name}, got {value}")
    return int(value)


def _said(value: Any) -> str:
    return "nothing" if value is None or value == "" else repr(value)[:40]
