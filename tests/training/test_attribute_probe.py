"""A rehearsal of the probe's training: formats, card, resume, and what it is never shown."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hallulab.data.fauna import PETS, pet_blend, random_face
from hallulab.models.attribute_probe import ABSENT, VALUES, ProbeSizes, load_probe
from hallulab.records import check_card
from hallulab.training import attribute_probe
from hallulab.training.attribute_probe import (
    ProbeTraining,
    distorted,
    part_labels,
    train_probe,
    training_faces,
)
from hallulab.training.resumable_loop import LoopSettings

REHEARSAL = ProbeTraining(
    sizes=ProbeSizes(widths=(8, 8), n_hidden=8),
    n_drawings=40,
    batch=8,
    loop=LoopSettings(n_steps=4, learning_rate=1e-3, warmup_steps=1, save_every_steps=2),
)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("probe")
    folders = train_probe(REHEARSAL, out=root / "out", work=root / "work")
    assert [folder.name for folder in folders] == ["pet-parts-probe"]
    return root / "out"


def test_the_probe_loads_and_its_card_holds(out):
    assert check_card(out / "pet-parts-probe") == []
    assert load_probe(out / "pet-parts-probe").model.sizes == REHEARSAL.sizes


def test_the_same_seed_makes_the_same_probe(out, tmp_path):
    train_probe(REHEARSAL, out=tmp_path / "out", work=tmp_path / "work")
    other = tmp_path / "out" / "pet-parts-probe" / "model.safetensors"
    assert other.read_bytes() == (out / "pet-parts-probe" / "model.safetensors").read_bytes()


def test_no_cat_dog_blend_is_ever_shown():
    faces = training_faces(replace(REHEARSAL, n_drawings=3000))
    for face in faces:
        assert not {face.ears, face.eyes, face.muzzle, face.coat}.issuperset(PETS)
    for part in ("ears", "eyes", "muzzle"):
        for pet in PETS:  # each part of each pet, also beside wild ones
            beside_wild = [face for face in faces if getattr(face, part) == pet and face.species is None]
            assert len(beside_wild) > 100
    assert not hasattr(attribute_probe, pet_blend.__name__)


def test_labels_follow_what_was_drawn():
    face = random_face("cat", rng=np.random.default_rng(0))
    labels = part_labels([face, replace(face, eyes="owl", left_out=("muzzle",))])
    assert labels["ears"].tolist() == [VALUES.index("cat")] * 2
    assert labels["eyes"].tolist() == [VALUES.index("cat"), VALUES.index("owl")]
    assert labels["muzzle"].tolist() == [VALUES.index("cat"), VALUES.index(ABSENT)]


def test_distortions_are_repeatable_and_small():
    pixels = torch.rand(6, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    first = distorted(pixels, rng=np.random.default_rng(1))
    torch.testing.assert_close(first, distorted(pixels, rng=np.random.default_rng(1)), rtol=0, atol=0)
    assert not torch.equal(first, distorted(pixels, rng=np.random.default_rng(2)))
    flat = torch.full((2, 3, 64, 64), 0.5)
    assert (distorted(flat, rng=np.random.default_rng(3)) - 0.5).abs().max() < 0.6
