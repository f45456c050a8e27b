"""The contact sheet: every image in its place, only those outside framed."""

import pytest
from PIL import Image

from hallulab.errors import RefusedInputError
from hallulab.reports.contact_sheet import ContactRow, contact_sheet

BLUE, FRAME = (0, 0, 200), (0xD5, 0x5E, 0x00)


def test_only_images_outside_are_framed():
    images = [Image.new("RGB", (10, 10), BLUE)] * 3
    sheet = contact_sheet([ContactRow("step 50", images, [False, True, False])], tile=20)
    assert sheet.size == (3 * 28 + 8, 20 + 8 + 24 + 8)
    corners = [sheet.getpixel((8 + column * 28 - 2, 24 - 2)) for column in range(3)]
    assert [corner == FRAME for corner in corners] == [False, True, False]
    assert [sheet.getpixel((8 + column * 28 + 10, 24 + 10)) for column in range(3)] == [BLUE] * 3


def test_rows_without_verdicts_are_refused():
    with pytest.raises(RefusedInputError, match="expected rows of images with one verdict each"):
        contact_sheet([ContactRow("step 50", [Image.new("RGB", (4, 4))], [])])
    with pytest.raises(RefusedInputError, match="got none"):
        contact_sheet([])
