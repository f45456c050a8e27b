"""Pictures with captions that no training step saw: what a training objective is measured on."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from hallulab.data.captioned_pictures import (
    GENERIC_PET_CAPTIONS,
    PET_FACES,
    DrawnPictures,
    open_captioned_pictures,
)
from hallulab.data.fauna import PETS
from hallulab.errors import RefusedInputError

HELD_OUT_STREAM = 40
"""of the drawings here: fine-tuning draws from another one, whatever its seed"""


@dataclass(frozen=True)
class HeldOutPictures:
    """Pictures, each once, with the words they are trained under; no caption is emptied."""

    description: str
    """What they are, in words."""
    images: tuple[Image.Image, ...]
    """RGB, all of one size."""
    captions: tuple[str, ...]


def held_out_pictures(place: str, n: int, size: int, *, seed: int) -> HeldOutPictures:
    """`n` pictures of a place, or all where there are fewer.

    Args:
        place: `pet-faces`, which makes fresh drawings, or a folder or data set that was not trained on: nobody here can
            know whether it was.
        n: pictures.
        size: their side, pixels.
        seed: which ones.

    Raises RefusedInputError for fewer than two pictures, and as `open_captioned_pictures` does.
    """
    if n < 2:
        raise RefusedInputError(f"expected at least 2 pictures to measure a loss on, got {n}")
    if place == PET_FACES:
        # of twice as many draws from four times as many drawings, n are different with a wide margin
        pictures = DrawnPictures(
            PETS, 4 * n, generic=GENERIC_PET_CAPTIONS, caption_dropout=0, seed=seed, stream=HELD_OUT_STREAM
        )
        indices, captions = pictures.batch(0, 2 * n)
    else:
        pictures = open_captioned_pictures(place, caption_dropout=0, seed=seed)
        indices, captions = pictures.batch(0, min(n, len(pictures)))
    _, first = np.unique(indices, return_index=True)
    chosen = np.sort(first)[:n]
    return HeldOutPictures(
        f"{len(chosen)} of {pictures.description}",
        tuple(pictures.picture(int(indices[row]), size) for row in chosen),
        tuple(captions[row] for row in chosen),
    )
