"""Pictures that somebody gives, opened within limits."""

import base64
import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from hallulab.data.image_folder import UNREADABLE, rgb_image, why_unreadable
from hallulab.errors import RefusedInputError
from hallulab.scoring.picture_recipes import Recipe, text_in

MAX_PIXELS = 32_000_000
"""of a picture, before it is decoded"""
MAX_BASE64_CHARACTERS = 14_000_000
"""of a picture sent as text: about 10 MB"""


@dataclass(frozen=True)
class GivenPicture:
    """A picture from outside."""

    image: Image.Image
    """Upright RGB."""
    text: str | None
    """The text chunk `hallulab` inside it, unread; None when it has none."""

    def recipe(self) -> Recipe | None:
        """What paints it again; None when it was not painted here. RefusedInputError when it is damaged."""
        return None if self.text is None else Recipe.from_text(self.text)


def open_given(source: Path | BinaryIO, name: str = "the picture") -> GivenPicture:
    """Open a picture from somebody; RefusedInputError, calling it `name`, when it is none or too large."""
    try:
        with warnings.catch_warnings(), Image.open(source) as header:
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit below is stricter
            n_pixels = header.width * header.height
            text = text_in(header)
    except UNREADABLE as error:
        raise RefusedInputError(
            f"cannot read {name} as an image ({why_unreadable(error)}): give a PNG, JPEG or WebP picture"
        ) from error
    if n_pixels > MAX_PIXELS:
        raise RefusedInputError(
            f"expected a picture of at most {MAX_PIXELS // 10**6} million pixels, got {n_pixels / 1e6:.0f} million"
        )
    if not isinstance(source, Path):
        source.seek(0)
    return GivenPicture(rgb_image(source, name), text)


def open_base64(data: str) -> GivenPicture:
    """A picture sent as text: base64, with or without `data:image/…;base64,` before it."""
    if len(data) > MAX_BASE64_CHARACTERS:
        raise RefusedInputError(f"expected at most {MAX_BASE64_CHARACTERS} characters, got {len(data)}")
    try:
        pixels = base64.b64decode(data.partition("base64,")[2] or data, validate=True)
    except ValueError as error:
        raise RefusedInputError(
            f"expected a picture as base64 or as a data URI, got other text ({error})"
        ) from error
    return open_given(io.BytesIO(pixels))
