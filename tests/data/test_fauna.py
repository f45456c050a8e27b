"""Drawn animal faces: known attributes, honest captions, blends that are blends."""

from dataclasses import replace

import numpy as np
import pytest

from hallulab.data.fauna import (
    BLEND_KINDS,
    PETS,
    SPECIES,
    WILD,
    caption_words,
    draw_face,
    incomplete_face,
    parts_caption,
    pet_blend,
    random_face,
    species_caption,
    wild_mixture,
)


def test_pets_are_kept_apart_from_the_wild():
    assert set(PETS).isdisjoint(WILD)
    assert set(SPECIES) == {*PETS, *WILD}
    assert len(WILD) >= 6


def test_the_same_seed_draws_the_same_picture():
    first, second = (draw_face(random_face("cat", rng=np.random.default_rng(5))) for _ in range(2))
    assert first.tobytes() == second.tobytes()
    assert (first.mode, first.size) == ("RGB", (64, 64))


@pytest.mark.parametrize("species", SPECIES)
def test_a_random_face_is_of_one_species(species):
    face = random_face(species, rng=np.random.default_rng(0))
    assert face.species == species
    assert {face.ears, face.eyes, face.muzzle, face.coat} == {species}


def test_an_unknown_species_is_refused():
    with pytest.raises(ValueError, match="expected a species out of cat, dog, fox.*got 'snail'"):
        random_face("snail", rng=np.random.default_rng(0))


def test_every_part_changes_the_drawing():
    cat = random_face("cat", rng=np.random.default_rng(1))
    plain = np.asarray(draw_face(cat), dtype=int)
    for part in ("ears", "eyes", "muzzle"):
        other = np.asarray(draw_face(replace(cat, **{part: "dog"})), dtype=int)
        left_out = np.asarray(draw_face(replace(cat, left_out=(part,))), dtype=int)
        assert (abs(plain - other).max(axis=2) > 30).sum() > 20, part
        assert (abs(plain - left_out).max(axis=2) > 30).sum() > 20, part


def test_wild_mixtures_never_hold_a_part_of_a_pet():
    rng = np.random.default_rng(2)
    faces = [wild_mixture(rng=rng) for _ in range(200)]
    assert {part for face in faces for part in (face.ears, face.eyes, face.muzzle, face.coat)} == set(WILD)
    assert sum(face.species is None for face in faces) > 150


def test_there_are_six_kinds_of_blend_and_each_mixes_both_pets():
    assert len(BLEND_KINDS) == 6  # 2 pets in 3 places, less the two pure ones
    for kind in BLEND_KINDS:
        face = pet_blend(kind, rng=np.random.default_rng(3))
        assert (face.ears, face.eyes, face.muzzle) == kind
        assert set(kind) == set(PETS)
        assert face.species is None


def test_a_pure_blend_is_refused():
    with pytest.raises(ValueError, match="expected a blend kind"):
        pet_blend(("cat", "cat", "cat"), rng=np.random.default_rng(0))


def test_captions_name_the_species_or_the_parts():
    rng = np.random.default_rng(4)
    owl = random_face("owl", rng=rng)
    assert all("owl" in species_caption(owl, rng=rng) for _ in range(20))
    mixed = replace(owl, ears="rabbit", muzzle="pig", left_out=("eyes",))
    for _ in range(20):
        caption = parts_caption(mixed, rng=rng)
        assert "rabbit ears" in caption or "long upright ears" in caption
        assert "pig nose" in caption or "flat snout" in caption
        assert "eyes" not in caption
        assert "animal" in caption


def test_incomplete_faces_keep_at_least_one_part_and_mix_none():
    rng = np.random.default_rng(6)
    faces = [incomplete_face("dog", rng=rng) for _ in range(50)]
    assert {len(face.left_out) for face in faces} == {1, 2}
    assert all(face.species == "dog" for face in faces)


def test_the_vocabulary_holds_the_words_of_the_example_prompts():
    words = {word for sentence in caption_words() for word in sentence.replace(",", "").split()}
    prompts = ("a realistic photo of a friendly dog", "a fluffy cat sitting on a sofa", "a cute pet animal")
    assert words >= {word for prompt in prompts for word in prompt.split()}
