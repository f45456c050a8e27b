"""A picture of one's own: judged like a painted one; a picture painted here also sets the panel again."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component

from hallulab.errors import RefusedInputError
from hallulab.scoring.given_pictures import GivenPicture, open_given
from hallulab.scoring.image_details import look_closely
from hallulab.scoring.picture_frames import frame_of
from hallulab.scoring.picture_recipes import Recipe, what_differs
from hallulab.ui.parts.controls import LEAST_MASS, MOST_MASS, UNQUEUED
from hallulab.ui.parts.errors import shown_to_visitor
from hallulab.ui.parts.paint_details import details_card
from hallulab.ui.parts.paint_inputs import PaintInputs
from hallulab.ui.parts.paint_painting import MOST_PER_IMAGE, WAYS
from hallulab.ui.parts.progress import idle_card, progress_card
from hallulab.ui.session import DEVICE, Session

TITLE = "Your own picture: judge it, or paint one again"
NOTE = """
<p class="hl-note">Drop any picture: it is compared with the same genuine images. A PNG saved from this page holds its
recipe, and dropping it sets the panel above so that Paint makes it again.</p>
"""
BEFORE_FIRST = "The verdict on your picture appears here."


@dataclass(frozen=True)
class PanelControls:
    """Every control that a recipe sets."""

    inputs: PaintInputs
    way: gr.Radio
    per_image: gr.Slider
    stop_when_decided: gr.Checkbox

    def components(self) -> list[Component]:
        """In the order of `recipe_values`."""
        return [*self.inputs.components(), self.way, self.per_image, self.stop_when_decided]


@dataclass(frozen=True)
class Restored:
    """What the recipe inside a picture brings about."""

    note: str = ""
    """What to say of it; HTML."""
    values: tuple[Any, ...] | None = None
    """Of `PanelControls`; None leaves them as they are."""
    hdr_mass: float | None = None
    """At which the picture was judged; None where it is not known."""


def judge_given(session: Session, path: str | None, hdr_mass: float) -> Iterator[tuple[Any, ...]]:
    """Open, judge, and restore: the card, then the values of every control."""
    untouched = (gr.skip(),) * 10
    if path is None:
        yield idle_card(BEFORE_FIRST), *untouched
        return
    with shown_to_visitor():
        given = open_given(Path(path), "the file")
        found = restored(session, given)
        mass = found.hdr_mass or hdr_mass
        for step in look_closely(session.engine, given.image, hdr_mass=mass):
            if step.result is None:
                yield progress_card(step.message.capitalize() + " …"), *untouched
            else:
                card = details_card(step.result, given.image, "Your picture")
                yield found.note + card, *(found.values or untouched)


def restored(session: Session, given: GivenPicture) -> Restored:
    """What to say of the recipe inside a picture, and the values it gives the panel."""
    try:
        recipe = given.recipe()
    except RefusedInputError as error:
        return Restored(_note(f"{str(error)[:1].upper()}{str(error)[1:]}."))
    if recipe is None:
        return Restored()
    if recipe.checkpoint not in session.engine.checkpoint_names("pictures"):
        return Restored(
            _note(f"Painted by “{recipe.checkpoint}”, a checkpoint that is not here: judged only.")
        )
    said = [
        f"Painted here: “{recipe.prompt}”, {recipe.checkpoint}, seed {recipe.settings.seed}{_way_said(recipe)}. The "
        "panel above is set: press Paint to paint it again.",
        *what_differs(recipe, session.engine, _frame_hash(session, recipe)),
    ]
    mass = _mass_to_show(recipe)
    if mass is not None and not LEAST_MASS <= mass <= MOST_MASS:
        said.append(f"Its HDR mass, {mass:g}, is beyond the slider, which stays where it is.")
        mass = None
    return Restored(_note(" ".join(said)), recipe_values(recipe, mass), mass)


def recipe_values(recipe: Recipe, hdr_mass: float | None) -> tuple[Any, ...]:
    """Values of `PanelControls` that paint the image again, by the way in which it was chosen."""
    settings, choice = recipe.settings, recipe.choice
    seed = settings.seed if choice is None else choice.first_seed
    way = {name: words for words, name in WAYS.items()}["plain" if choice is None else choice.way]
    per_image = gr.skip()
    if choice is not None and choice.best_of is not None and choice.best_of <= MOST_PER_IMAGE:
        per_image = choice.best_of
    elif choice is not None and choice.best_of is not None:  # more than the slider can: the image itself
        seed, way = settings.seed, next(iter(WAYS))
    mass = gr.skip() if hdr_mass is None else hdr_mass
    return (
        recipe.prompt, recipe.checkpoint, 1, seed, settings.steps, settings.guidance, mass, way, per_image, False,
    )  # fmt: skip


def build_given_panel(session: Session, controls: PanelControls) -> None:
    """Lay the panel out and wire it."""
    with gr.Accordion(TITLE, open=False):
        gr.HTML(NOTE)
        with gr.Row():
            with gr.Column(scale=4, min_width=220):
                picture = gr.File(
                    label="Drop a picture here", file_types=["image"], type="filepath", height=150
                )
            with gr.Column(scale=6, min_width=220):
                card = gr.HTML(idle_card(BEFORE_FIRST))
    picture.upload(
        partial(judge_given, session), [picture, controls.inputs.hdr_mass], [card, *controls.components()],
        concurrency_id=DEVICE, concurrency_limit=1, api_visibility="private", show_progress="hidden",
    )  # fmt: skip
    picture.clear(lambda: idle_card(BEFORE_FIRST), None, card, **UNQUEUED)


def _mass_to_show(recipe: Recipe) -> float | None:
    """The mass at which the image was chosen, or judged where none chose it."""
    return recipe.hdr_mass if recipe.choice is None else recipe.choice.hdr_mass


def _frame_hash(session: Session, recipe: Recipe) -> str | None:
    """Of the regions here, at the recipe's mass; None where there are none to compare."""
    frame = frame_of(session.engine)
    if frame is None or recipe.hdr_mass is None:
        return None
    return frame.features.hcdr.with_mass(recipe.hdr_mass).content_hash


def _way_said(recipe: Recipe) -> str:
    if recipe.choice is None:
        return ""
    if recipe.choice.best_of is not None:
        return f", the best of {recipe.choice.best_of} by margin"
    return ", kept because it is inside a region"


def _note(text: str) -> str:
    return f'<p class="hl-sentence hl-recipe">{escape(text)}</p>'
