import numpy as np
import pytest

from hallulab.data.captioned_pictures import pet_drawings
from hallulab.data.held_out_pictures import held_out_pictures
from hallulab.errors import RefusedInputError
from tests.conftest import draw_images


def test_fresh_drawings_each_once_and_none_of_training():
    found = held_out_pictures("pet-faces", 60, 32, seed=0)
    again = held_out_pictures("pet-faces", 60, 32, seed=0)
    pixels = {image.tobytes() for image in found.images}
    assert len(found.captions) == len(pixels) == 60
    assert all(found.captions)  # none is emptied
    assert [image.tobytes() for image in again.images] == [image.tobytes() for image in found.images]
    trained_on = pet_drawings(500, seed=0)
    assert not pixels & {trained_on.picture(index, 32).tobytes() for index in range(500)}


def test_a_folder_gives_what_it_has(tmp_path):
    folder = draw_images(tmp_path / "images", n=4)
    found = held_out_pictures(str(folder), 60, 16, seed=0)
    assert len({np.asarray(image).tobytes() for image in found.images}) == 8
    assert {"cat" in caption for caption in found.captions} == {True, False}
    assert found.description.startswith("8 of 8 images of")
    assert len(held_out_pictures(str(folder), 3, 16, seed=0).images) == 3


def test_one_picture_has_no_interval():
    with pytest.raises(RefusedInputError, match="at least 2 pictures to measure a loss on, got 1"):
        held_out_pictures("pet-faces", 1, 32, seed=0)
