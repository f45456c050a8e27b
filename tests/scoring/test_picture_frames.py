"""The frame with its held-out embeddings: saved, loaded, damaged, reported."""

from dataclasses import asdict

import numpy as np
import pytest
from safetensors.numpy import save_file

from hallulab.errors import RefusedInputError
from hallulab.scoring.picture_frames import PictureFrame, frame_report
from hallulab.theory.intervals import wilson_interval
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


@pytest.mark.parametrize("change", ["all ones", "another order", "one less"])
def test_held_out_embeddings_that_set_no_threshold_are_refused(tmp_path, change):
    frame = fitted()
    frame.save(tmp_path)
    changed = {
        "all ones": {state: np.ones_like(rows) for state, rows in frame.held_out.items()},
        "another order": {state: rows[::-1].copy() for state, rows in frame.held_out.items()},
        "one less": {state: rows[1:].copy() for state, rows in frame.held_out.items()},
    }[change]
    save_file(changed, tmp_path / "held_out.safetensors")
    with pytest.raises(
        RefusedInputError, match="thresholds rest on in .*, found others of cat: fit the frame again"
    ):
        PictureFrame.load(tmp_path)


def test_features_of_held_out_images_are_scikit_learns():
    frame = fitted()
    for state, rows in frame.held_out.items():
        expected = frame.features.chain.transform(rows.astype(float))
        np.testing.assert_allclose(frame.held_out_features[state], expected, atol=1e-9)


def test_the_report_counts_on_images_that_set_no_threshold():
    report = frame_report(fitted())
    assert report["n_held_out"] == {"cat": 40, "dog": 40}
    assert report["n_coverage"] == {"cat": 20, "dog": 20}
    for state, share in report["coverage"].items():
        assert 0 <= share <= 1
        assert report["coverage_interval"][state] == asdict(wilson_interval(round(20 * share), 20))
