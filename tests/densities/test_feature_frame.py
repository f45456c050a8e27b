import json

import numpy as np
import pytest
from scipy import stats

from hallulab.densities.feature_frame import FeatureFrame, FrameSettings
from hallulab.errors import RefusedInputError

SETTINGS = FrameSettings(pca_dimension=4, seed=3)


def genuine(n_per_state: int = 400, width: int = 12, seed: int = 0):
    rng = np.random.default_rng(seed)
    centres = np.array(
        [np.r_[np.full(6, 2.0), np.zeros(width - 6)], np.r_[np.zeros(width - 6), np.full(6, 2.0)]]
    )
    embeddings = np.concatenate([rng.normal(centre, 0.3, (n_per_state, width)) for centre in centres])
    return embeddings, np.repeat(["cat", "dog"], n_per_state)


@pytest.fixture(scope="module")
def frame() -> FeatureFrame:
    return FeatureFrame.fit(*genuine(), SETTINGS, embedder="test")


def test_log_densities_equal_the_mixture_written_out(frame):
    embeddings, _ = genuine(n_per_state=5, seed=1)
    _, pca, scaler = (step for _, step in frame.chain.steps)
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    z = ((unit - pca.mean_) @ pca.components_.T - scaler.mean_) / scaler.scale_
    for column, state in enumerate(frame.states):
        mixture = frame.mixtures[state]
        by_hand = [
            np.logaddexp.reduce(
                [
                    np.log(weight) + stats.norm.logpdf(row, mean, np.sqrt(variance)).sum()
                    for weight, mean, variance in zip(
                        mixture.weights_, mixture.means_, mixture.covariances_, strict=True
                    )
                ]
            )
            for row in z
        ]
        np.testing.assert_allclose(frame.log_densities(embeddings)[:, column], by_hand, rtol=1e-9)


def test_held_out_images_never_reach_the_fit():
    embeddings, labels = genuine()
    clean = FeatureFrame.fit(embeddings, labels, SETTINGS, embedder="test")
    # a huge change of one image moves the fitted mean unless that image was held out
    moved = 0
    for row in range(40):
        changed = embeddings.copy()
        changed[row] = -50
        refit = FeatureFrame.fit(changed, labels, SETTINGS, embedder="test")
        moved += not np.allclose(refit.chain[1].mean_, clean.chain[1].mean_, atol=1e-12)
    assert 24 <= moved <= 38  # about 80 % of 40 rows are fitted on; the others leave every array alone


def test_genuine_images_are_covered_and_blends_are_not(frame):
    fresh, labels = genuine(n_per_state=1000, seed=2)
    verdicts = frame.decide(fresh)
    for state in frame.states:
        own = [v for v, label in zip(verdicts, labels, strict=True) if label == state]
        covered = np.mean([next(s.inside for s in v.states if s.state == state) for v in own])
        assert 0.82 <= covered <= 0.96  # 80 held-out images: the threshold itself has a standard error of 3 %
    blends = (fresh[:1000] + fresh[1000:]) / 2
    assert np.mean([v.is_hallucination for v in frame.decide(blends)]) == 1


def test_a_saved_frame_decides_the_same(frame, tmp_path):
    frame.save(tmp_path / "frame")
    loaded = FeatureFrame.load(tmp_path / "frame")
    fresh, _ = genuine(n_per_state=20, seed=4)
    np.testing.assert_allclose(loaded.log_densities(fresh), frame.log_densities(fresh), rtol=1e-12)
    np.testing.assert_array_equal(loaded.hcdr.thresholds, frame.hcdr.thresholds)
    assert loaded.content_hash == frame.content_hash
    assert loaded.n_fit == {"cat": 320, "dog": 320}
    assert loaded.n_held_out == {"cat": 80, "dog": 80}


def test_the_content_hash_sees_data_settings_and_embedder(frame):
    embeddings, labels = genuine()
    other_embedder = FeatureFrame.fit(embeddings, labels, SETTINGS, embedder="other")
    embeddings[0, 0] += 1e-3
    other_data = FeatureFrame.fit(embeddings, labels, SETTINGS, embedder="test")
    hashes = {
        frame.content_hash,
        frame.with_mass(0.8).content_hash,
        other_embedder.content_hash,
        other_data.content_hash,
    }
    assert len(hashes) == 4


@pytest.mark.parametrize("damage", ["truncate", "json", "swap", "missing"])
def test_a_damaged_frame_is_refused_in_words(frame, tmp_path, damage):
    frame.save(tmp_path)
    arrays = tmp_path / "frame.safetensors"
    if damage == "truncate":
        arrays.write_bytes(arrays.read_bytes()[:100])
    elif damage == "json":
        (tmp_path / "frame.json").write_text("{")
    elif damage == "swap":
        description = json.loads((tmp_path / "frame.json").read_text())
        (tmp_path / "frame.json").write_text(json.dumps(description | {"hdr_mass": 0.5}))
    else:
        arrays.unlink()
    with pytest.raises(RefusedInputError, match=r"fit it again"):
        FeatureFrame.load(tmp_path)


def test_refusals_say_what_is_needed(frame, tmp_path):
    embeddings, labels = genuine(n_per_state=13)
    with pytest.raises(RefusedInputError, match="at least 50 images per state .* cat has 13, dog has 13"):
        FeatureFrame.fit(embeddings, labels, SETTINGS, embedder="test")
    with pytest.raises(RefusedInputError, match="width 12, got width 7: use the embedder it names"):
        frame.log_densities(np.ones((2, 7)))
    with pytest.raises(RefusedInputError, match="finite embeddings"):
        frame.log_densities(np.full((2, 12), np.nan))
    with pytest.raises(RefusedInputError, match="PCA dimension from 1 to 12"):
        FeatureFrame.fit(*genuine(), FrameSettings(pca_dimension=13), embedder="test")
    with pytest.raises(
        RefusedInputError, match="5 images to fit each Gaussian on, got 320 of cat for 100 of them"
    ):
        FeatureFrame.fit(
            *genuine(), FrameSettings(max_components=100, images_per_component=1), embedder="test"
        )
    for change, words in (
        ({"held_out_share": float("nan")}, "held-out share between 0 and 1"),
        ({"seed": 2**32}, "seed from 0 to 4294967295, got 4294967296"),
        ({"min_held_out": 0}, "min held out of at least 1, got 0"),
        ({"covariance_floor": -1.0}, "covariance floor of at least 0, got -1"),
    ):
        with pytest.raises(RefusedInputError, match=words):
            FrameSettings(**change)
    assert FrameSettings(held_out_share=0.999).min_images == 10_000  # ten of them to fit on
    with pytest.raises(RefusedInputError, match=r"frame folder with frame\.json, found none"):
        FeatureFrame.load(tmp_path / "nowhere")
