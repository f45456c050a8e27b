"""A picture of one's own: judged like a painted one; a picture painted here also sets the panel again."""

from collections.abc import Iterator
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from hallulab.errors import RefusedInputError
from hallulab.scoring.given_pictures import GivenPicture, Recipe, open_given
from hallulab.scoring.image_details import look_closely
from hallulab.ui.parts.controls import UNQUEUED
from hallulab.ui.parts.errors import shown_to_visitor
from hallulab.ui.parts.paint_details import details_card
from hallulab.ui.parts.paint_inputs import PaintInputs
from hallulab.ui.parts.paint_painting import WAYS
from hallulab.ui.parts.progress import idle_card, progress_card
from hallulab.ui.session import DEVICE, Session

TITLE = "Your own picture: judge it, or paint one again"
NOTE = """
<p class="hl-note">Drop any picture: it is compared with the same genuine images. A PNG saved from this page holds its
recipe, and dropping it sets the panel above so that Paint makes it again.</p>
"""
BEFORE_FIRST = "The verdict on your picture appears here."
NOTHING = ""


def judge_given(session: Session, path: str | None, hdr_mass: float) -> Iterator[tuple[Any, ...]]:
    """Open, judge, and restore: the card, then the values of prompt, checkpoint, K, seed, steps, guidance, way."""
    untouched = (gr.skip(),) * 7
    if path is None:
        yield idle_card(BEFORE_FIRST), *untouched
        return
    with shown_to_visitor():
        given = open_given(Path(path), "the file")
        note, values = restored(session, given)
        for step in look_closely(session.engine, given.image, hdr_mass=hdr_mass):
            if step.result is None:
                yield progress_card(step.message.capitalize() + " …"), *untouched
            else:
                yield note + details_card(step.result, given.image, "Your picture"), *(values or untouched)


def restored(session: Session, given: GivenPicture) -> tuple[str, tuple[Any, ...] | None]:
    """What to say of the recipe inside a picture, and the values it gives the panel; None when it has none."""
    try:
        recipe = given.recipe()
    except RefusedInputError as error:
        return _note(f"{str(error)[:1].upper()}{str(error)[1:]}."), None
    if recipe is None:
        return NOTHING, None
    if recipe.checkpoint not in session.engine.checkpoint_names("pictures"):
        return _note(f"Painted by “{recipe.checkpoint}”, a checkpoint that is not here: judged only."), None
    return _note(
        f"Painted here: “{recipe.prompt}”, {recipe.checkpoint}, seed {recipe.settings.seed}. The panel above is set: "
        "press Paint to paint it again."
    ), recipe_values(recipe)


def recipe_values(recipe: Recipe) -> tuple[Any, ...]:
    """Prompt, checkpoint, K, seed, steps, guidance and way that paint the image again."""
    settings = recipe.settings
    plain = next(iter(WAYS))
    return recipe.prompt, recipe.checkpoint, 1, settings.seed, settings.steps, settings.guidance, plain


def build_given_panel(session: Session, inputs: PaintInputs, way: gr.Radio) -> None:
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
    panel = [
        inputs.prompt,
        inputs.checkpoint,
        inputs.n_images,
        inputs.seed,
        inputs.steps,
        inputs.guidance,
        way,
    ]
    picture.upload(
        partial(judge_given, session), [picture, inputs.hdr_mass], [card, *panel],
        concurrency_id=DEVICE, concurrency_limit=1, api_visibility="private", show_progress="hidden",
    )  # fmt: skip
    picture.clear(lambda: idle_card(BEFORE_FIRST), None, card, **UNQUEUED)


def _note(text: str) -> str:
    return f'<p class="hl-sentence hl-recipe">{escape(text)}</p>'
