"""Pictures with captions: the order, the words, and that both follow from seed and step alone."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hallulab.data.captioned_pictures import (
    CAPTION_TEMPLATES,
    StatePictures,
    open_captioned_pictures,
    pet_drawings,
)
from hallulab.data.image_sets import ImageSet, open_image_set
from hallulab.errors import RefusedInputError


def unread(_: int) -> bytes:
    raise AssertionError("no image is needed here")


def pictures(n: int, **settings) -> StatePictures:
    names = tuple(f"{'cat' if index % 2 else 'dog'}/{index}.png" for index in range(n))
    return StatePictures(ImageSet("set", names, tuple(name[:3] for name in names), unread), **settings)


def test_every_picture_is_seen_once_before_any_is_seen_again():
    seen = np.concatenate([pictures(10).batch(step, 4)[0] for step in range(5)])  # two rounds of ten
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10))
    assert seen[:10].tolist() != seen[10:].tolist()
    other = np.concatenate([pictures(10, seed=1).batch(step, 4)[0] for step in range(5)])
    assert seen.tolist() != other.tolist()


def test_a_step_follows_from_its_number_alone():
    late_first = pictures(10).batch(7, 4)
    some = pictures(10)
    for step in range(8):
        again = some.batch(step, 4)
    assert again[0].tolist() == late_first[0].tolist()
    assert again[1] == late_first[1]


def test_captions_are_the_same_in_every_process():
    """Frozen here: Python's own `hash` of a text differs between processes."""
    found = [pictures(6).caption(index) for index in range(6)]
    assert found == [
        "a close-up photo of a dog",
        "a photo of a cat",
        "a photo of a dog",
        "a photo of a cat",
        "a close-up photo of a dog",
        "a photo of a cat",
    ]


def test_a_picture_keeps_its_caption_and_all_templates_are_used():
    some = pictures(400, caption_dropout=0.0)
    captions: dict[int, set[str]] = {}
    for step in range(20):
        for index, caption in zip(*some.batch(step, 40), strict=True):
            captions.setdefault(int(index), set()).add(caption)
    assert all(len(found) == 1 for found in captions.values())
    used = Counter(
        min(found).replace("cat", "{state}").replace("dog", "{state}") for found in captions.values()
    )
    assert used.keys() == set(CAPTION_TEMPLATES)
    assert min(used.values()) > 50  # of 80 expected
    assert all(("cat" if index % 2 else "dog") in min(found) for index, found in captions.items())


def test_the_share_of_captions_asked_for_is_emptied():
    emptied = [
        caption == ""
        for step in range(100)
        for caption in pictures(10, caption_dropout=0.2).batch(step, 50)[1]
    ]
    assert np.mean(emptied) == pytest.approx(0.2, abs=0.02)
    assert all(pictures(10, caption_dropout=0.0).batch(step, 50)[1].count("") == 0 for step in range(20))


def test_a_picture_is_the_middle_square(tmp_path):
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, 20:40] = 255
    for state in ("cat", "dog"):
        (tmp_path / state).mkdir()
        Image.fromarray(wide).save(tmp_path / state / "a.png")
    square = StatePictures(open_image_set(tmp_path)).picture(0, 10)
    assert square.size == (10, 10)
    assert np.asarray(square).min() > 230


def test_fingerprints_follow_everything_that_is_learned(tmp_path):
    for state in ("cat", "dog"):
        (tmp_path / state).mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / state / "a.png")
    images = open_image_set(tmp_path)
    found = {
        StatePictures(images, **settings).fingerprint
        for settings in ({}, {"seed": 1}, {"caption_dropout": 0.0}, {"templates": ("a {state}",)})
    }
    assert len(found) == 4
    assert StatePictures(images).fingerprint in found
    drawn = {pet_drawings(4).fingerprint, pet_drawings(5).fingerprint, pet_drawings(4, seed=1).fingerprint}
    assert len(drawn) == 3


def test_drawings_say_what_they_show():
    drawn = pet_drawings(6, caption_dropout=0.0)
    assert drawn.description == "6 drawings of cat and dog, no blends (data/fauna.py)"
    assert drawn.picture(0, 32).size == (32, 32)
    for step in range(10):
        for index, caption in zip(*drawn.batch(step, 8), strict=True):
            species = drawn.faces[int(index)].species
            assert species is not None
            assert species in caption or "pet" in caption


def test_a_name_opens_drawings_or_a_folder(tmp_path: Path):
    for state in ("cat", "dog"):
        (tmp_path / state).mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / state / "a.png")
    assert len(open_captioned_pictures("pet-faces", n_drawings=3)) == 3
    found = open_captioned_pictures(str(tmp_path), templates=["the {state}"], caption_dropout=0.0)
    assert sorted(found.batch(0, 2)[1]) == ["the cat", "the dog"]
    assert found.description == f"2 images of {tmp_path} (1 cat, 1 dog)"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"templates": ("a cat",)}, r"expected \{state\} in every caption template, got 'a cat'"),
        ({"templates": ()}, "at least one caption template"),
        ({"caption_dropout": 1.0}, "expected a caption dropout of at least 0 and below 1, got 1.0"),
        ({"caption_dropout": -0.1}, "got -0.1"),
    ],
)
def test_wrong_settings_are_refused(settings, words):
    with pytest.raises(RefusedInputError, match=words):
        pictures(4, **settings)


def test_drawings_take_no_states_and_no_captions():
    with pytest.raises(
        RefusedInputError, match="no captions for pet-faces.* got cat, a {state}: leave them out"
    ):
        open_captioned_pictures("pet-faces", states=["cat"], templates=["a {state}"])
    with pytest.raises(RefusedInputError, match="expected 1 to 1,000,000 drawings, got 0"):
        open_captioned_pictures("pet-faces", n_drawings=0)
