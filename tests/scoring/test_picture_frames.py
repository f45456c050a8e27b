"""The frame with its held-out embeddings: saved, loaded, damaged, and the means that it draws."""

import numpy as np
import pytest

from hallulab.errors import RefusedInputError
from hallulab.scoring.picture_frames import N_NULL_MEANS, PictureFrame, unit_rows
from tests.hand_made_frames import fitted, two_clouds


def test_what_it_holds_out_is_what_its_thresholds_rest_on():
    frame = fitted()
    for column, state in enumerate(frame.features.states):
        held_out = frame.features.log_densities(frame.held_out[state])[:, column]
        np.testing.assert_allclose(
            np.sort(held_out), np.sort(frame.features.hcdr.genuine_log_densities[column])
        )


def test_saved_and_loaded_it_decides_the_same(tmp_path):
    frame = fitted()
    frame.save(tmp_path)
    again = PictureFrame.load(tmp_path)
    assert again.features.hcdr.content_hash == frame.features.hcdr.content_hash
    embeddings, _ = two_clouds(5, seed=1)
    np.testing.assert_allclose(
        frame.features.log_densities(embeddings), again.features.log_densities(embeddings)
    )
    for state, rows in frame.held_out.items():
        np.testing.assert_array_equal(rows, again.held_out[state])


@pytest.mark.parametrize("damage", ["missing", "truncated"])
def test_damaged_held_out_embeddings_are_named(tmp_path, damage):
    fitted().save(tmp_path)
    file = tmp_path / "held_out.safetensors"
    content = file.read_bytes()
    file.unlink()
    if damage == "truncated":
        file.write_bytes(content[:50])
    with pytest.raises(RefusedInputError, match=r"held_out\.safetensors, cannot read them"):
        PictureFrame.load(tmp_path)


def test_the_null_means_of_one_image_are_single_images():
    frame = fitted()
    null = frame.null_means(1, rng=np.random.default_rng(0))
    for column, state in enumerate(frame.features.states):
        singles = frame.features.log_densities(unit_rows(frame.held_out[state]))[:, column]
        assert null[state].shape == (N_NULL_MEANS,)
        assert np.abs(null[state][:, None] - singles).min(axis=1).max() < 1e-6


def test_the_null_means_of_many_images_sit_far_inside():
    frame = fitted()
    null = frame.null_means(64, rng=np.random.default_rng(0))
    thresholds = dict(zip(frame.features.states, frame.features.hcdr.thresholds, strict=True))
    for state, means in null.items():
        assert means.min() > thresholds[state]
