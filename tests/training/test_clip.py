"""A rehearsal of the clip training at toy size: formats, cards, the frame, and what it is shown."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hallulab.data.fauna import PETS, pet_blend
from hallulab.densities.feature_frame import FrameSettings
from hallulab.models.clip import load_clip
from hallulab.records import check_card
from hallulab.scoring.picture_frames import PictureFrame
from hallulab.training import clip as clip_training
from hallulab.training.clip import ClipTraining, contrastive_loss, train_clip
from hallulab.training.resumable_loop import LoopSettings
from tests.tiny_world import CLIP_SIZE

REHEARSAL = ClipTraining(
    sizes=CLIP_SIZE,
    batch=4,
    loop=LoopSettings(n_steps=3, learning_rate=1e-3, warmup_steps=1),
    n_frame_drawings=60,
    frame=FrameSettings(pca_dimension=4),
    mixed_precision=False,
)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("clip")
    folders = train_clip(REHEARSAL, out=root / "out", work=root / "work")
    assert [folder.name for folder in folders] == ["clip-mini", "clip-mini-pet-frame"]
    return root / "out"


def test_model_and_frame_load_and_fit_each_other(out):
    clip = load_clip(f"local-dir:{out / 'clip-mini'}")
    frame = PictureFrame.load(out / "clip-mini-pet-frame")
    frame.check_embedder(clip)
    assert frame.features.states == PETS
    assert dict(frame.features.n_fit) == {"cat": 48, "dog": 48}  # 80 % of 60
    assert frame.features.n_held_out == {"cat": 12, "dog": 12}


def test_the_cards_hold(out):
    assert check_card(out / "clip-mini") == []
    assert check_card(out / "clip-mini-pet-frame") == []


def test_no_blend_and_no_mixed_pet_is_ever_shown():
    settings = replace(REHEARSAL, batch=1)
    rng = np.random.default_rng(0)
    faces = [clip_training._training_face(settings, rng) for _ in range(2000)]
    for face in faces:
        parts = {face.ears, face.eyes, face.muzzle, face.coat}
        assert len(parts) == 1 or parts.isdisjoint(PETS)
    assert {pet for pet in PETS if any(face.species == pet for face in faces)} == set(PETS)
    assert not hasattr(clip_training, pet_blend.__name__)


def test_the_contrastive_loss_of_a_perfect_match_by_hand():
    """Two orthogonal pairs at scale s: -log(e^s / (e^s + 1)) in both directions."""
    features = torch.eye(2)
    scale = torch.tensor(2.0)
    expected = -np.log(np.exp(2) / (np.exp(2) + 1))
    assert contrastive_loss(features, features, scale).item() == pytest.approx(expected, rel=1e-5)
