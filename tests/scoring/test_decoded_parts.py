"""What a decoded drawing is nearest to: drawings whose parts are swapped by hand, and the shipped autoencoder."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import ImageFilter

from hallulab.data.fauna import BLEND_KINDS, PETS, draw_face, pet_blend, random_face
from hallulab.engine.autoencoder import through_autoencoder
from hallulab.engine.core import Engine
from hallulab.engine.presets import load_preset
from hallulab.scoring.decoded_parts import decoded_truth, repaired_parts


@pytest.mark.parametrize("kind", BLEND_KINDS)
def test_a_drawing_is_nearest_to_itself_soft_or_not(kind):
    face = pet_blend(kind, rng=np.random.default_rng(1))
    for picture in (draw_face(face), draw_face(face).filter(ImageFilter.GaussianBlur(0.8))):
        assert repaired_parts(face, picture) == ()
        assert decoded_truth(face, picture) == "blend"


@pytest.mark.parametrize("part", ["ears", "eyes", "muzzle"])
@pytest.mark.parametrize("pet", PETS)
def test_a_swapped_part_is_found(part, pet):
    whole = random_face(pet, rng=np.random.default_rng(2))
    other = PETS[1 - PETS.index(pet)]
    colour = {"cat": "green", "dog": "brown"}[other] if part == "eyes" else whole.eye_colour
    blend = replace(whole, **{part: other}, eye_colour=colour)
    repaired = draw_face(whole)  # as if the autoencoder had turned the part back
    assert repaired_parts(blend, repaired) == (part,)
    assert decoded_truth(blend, repaired) == "genuine"
    assert decoded_truth(whole, draw_face(blend)) == "blend"


def test_the_shipped_autoencoder_leaves_genuine_parts_alone():
    rng = np.random.default_rng(3)
    faces = [random_face(PETS[index % 2], rng=rng) for index in range(24)]
    pipeline = Engine(load_preset(), device="cpu").painter()
    for face, picture in zip(
        faces, through_autoencoder(pipeline, [draw_face(face) for face in faces]), strict=True
    ):
        assert repaired_parts(face, picture) == ()
