"""The nearest genuine images of the shipped frame are drawn again, and believed only when they prove to be the ones."""

from pathlib import Path

import numpy as np
import pytest

from hallulab.models.clip import LOCAL_DIR, load_clip
from hallulab.scoring.genuine_neighbours import drawn_again, nearest_genuine
from hallulab.scoring.picture_frames import PictureFrame

CHECKPOINTS = Path(__file__).parents[2] / "checkpoints"
FOLDER = CHECKPOINTS / "clip-mini-pet-frame"


@pytest.fixture(scope="module")
def frame() -> PictureFrame:
    return PictureFrame.load(FOLDER)


def test_an_image_is_its_own_nearest_neighbour(frame):
    found = nearest_genuine(frame, frame.held_out["dog"][7], n_per_state=3)
    assert [one.state for one in found] == ["cat"] * 3 + ["dog"] * 3
    assert found[3].row == 7
    assert found[3].similarity == pytest.approx(1)
    own = frame.held_out["dog"][7].astype(float)
    slow = [
        float(row @ own / np.linalg.norm(row) / np.linalg.norm(own))
        for row in frame.held_out["cat"].astype(float)
    ]
    assert [one.similarity for one in found[:3]] == pytest.approx(sorted(slow)[::-1][:3])


def test_kept_features_are_drawn_again_and_only_the_right_seed_is_believed(frame, tmp_path):
    clip = load_clip(f"{LOCAL_DIR}{CHECKPOINTS / 'clip-mini'}")
    found = nearest_genuine(frame, frame.held_out["cat"][0])
    assert all(one.picture is not None for one in drawn_again(frame, str(FOLDER), clip, found))
    (tmp_path / "card.json").write_text('{"seed": 1}')
    assert all(one.picture is None for one in drawn_again(frame, str(tmp_path), clip, found))
    assert drawn_again(frame, str(tmp_path / "none"), clip, found) == found
