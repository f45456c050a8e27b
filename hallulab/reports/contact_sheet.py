"""A contact sheet: one row of images per checkpoint, those outside every region framed."""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from hallulab.errors import RefusedInputError
from hallulab.reports.figures import OUTSIDE

_GROUND, _INK = (255, 255, 255), (40, 40, 48)
_GAP, _FRAME, _TITLE_HEIGHT = 8, 3, 24


@dataclass(frozen=True)
class ContactRow:
    """One line of the sheet."""

    title: str
    """Written above the images."""
    images: Sequence[Image.Image]
    """In order of their seeds."""
    outside: Sequence[bool]
    """Per image, whether it is outside every region."""


def contact_sheet(rows: Sequence[ContactRow], *, tile: int = 72) -> Image.Image:
    """The sheet, every image `tile` pixels wide; RefusedInputError when a row's lengths differ."""
    if not rows or any(len(row.images) != len(row.outside) for row in rows):
        raise RefusedInputError("expected rows of images with one verdict each, got none or unequal numbers")
    n_columns = max(len(row.images) for row in rows)
    pitch = tile + _GAP
    row_height = pitch + _TITLE_HEIGHT
    sheet = Image.new("RGB", (n_columns * pitch + _GAP, len(rows) * row_height + _GAP), _GROUND)
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(14)
    for index, row in enumerate(rows):
        top = index * row_height
        pen.text((_GAP, top + 4), row.title, fill=_INK, font=font)
        for column, (image, is_outside) in enumerate(zip(row.images, row.outside, strict=True)):
            left, upper = _GAP + column * pitch, top + _TITLE_HEIGHT
            if is_outside:
                around = (left - _FRAME, upper - _FRAME, left + tile + _FRAME - 1, upper + tile + _FRAME - 1)
                pen.rectangle(around, fill=OUTSIDE)
            sheet.paste(image.resize((tile, tile), Image.Resampling.BICUBIC), (left, upper))
    return sheet
