"""The folded products against scikit-learn's own chain and `score_samples`."""

import numpy as np
import pytest

from hallulab.densities import folded_scores
from hallulab.densities.feature_frame import FeatureFrame, FrameSettings
from hallulab.errors import RefusedInputError


def fitted(n_states: int, width: int, settings: FrameSettings) -> tuple[FeatureFrame, np.ndarray]:
    """A frame on random clouds, and fresh embeddings: some genuine, some far from everything."""
    rng = np.random.default_rng(n_states)
    centres = rng.normal(size=(n_states, width))
    embeddings = np.concatenate([rng.normal(centre, 0.4, (900, width)) for centre in centres])
    labels = np.repeat([f"state {index}" for index in range(n_states)], 900)
    frame = FeatureFrame.fit(embeddings, labels, settings, embedder="test")
    far = 50 * rng.normal(size=(40, width))
    return frame, np.concatenate([embeddings[::7], far]).astype(np.float32)


def score_samples(frame: FeatureFrame, embeddings: np.ndarray) -> np.ndarray:
    """The slow obvious twin."""
    reduced = frame.chain.transform(np.asarray(embeddings, dtype=np.float64))
    return np.column_stack([frame.mixtures[state].score_samples(reduced) for state in frame.states])


@pytest.mark.parametrize("n_states", [1, 2, 5])
@pytest.mark.parametrize("settings", [FrameSettings(pca_dimension=12), FrameSettings(covariance_floor=1e-6)])
def test_equal_to_score_samples(n_states, settings):
    frame, embeddings = fitted(n_states, 40, settings)
    expected = score_samples(frame, embeddings)
    np.testing.assert_allclose(frame.log_densities(embeddings), expected, rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(
        frame.margins(embeddings), (expected - frame.hcdr.thresholds).max(axis=1), rtol=1e-9, atol=1e-6
    )


def test_states_with_different_numbers_of_components():
    settings = FrameSettings(pca_dimension=6, images_per_component=100)
    rng = np.random.default_rng(0)
    embeddings = np.concatenate([rng.normal(0, 1, (900, 10)), rng.normal(2, 1, (300, 10))])
    frame = FeatureFrame.fit(embeddings, ["many"] * 900 + ["few"] * 300, settings, embedder="test")
    assert {state: len(mixture.weights_) for state, mixture in frame.mixtures.items()} == {
        "few": 2,
        "many": 6,
    }
    np.testing.assert_allclose(frame.log_densities(embeddings), score_samples(frame, embeddings), rtol=1e-9)


def test_passes_do_not_change_the_scores(monkeypatch):
    frame, embeddings = fitted(2, 16, FrameSettings(pca_dimension=8))
    whole = frame.log_densities(embeddings)
    monkeypatch.setattr(folded_scores, "ROWS_AT_ONCE", 17)
    np.testing.assert_allclose(frame.log_densities(embeddings), whole, rtol=1e-12)


def test_an_embedding_of_zeros_is_scored_as_scikit_learn_scores_it():
    frame, _ = fitted(2, 16, FrameSettings(pca_dimension=8))
    zeros = np.zeros((1, 16))
    np.testing.assert_allclose(frame.log_densities(zeros), score_samples(frame, zeros), rtol=1e-9)


def test_no_embedding_has_no_density():
    frame, _ = fitted(2, 16, FrameSettings(pca_dimension=8))
    assert frame.log_densities(np.zeros((0, 16))).shape == (0, 2)


def test_features_and_their_scores_are_scikit_learns():
    frame, embeddings = fitted(2, 16, FrameSettings(pca_dimension=8))
    features = frame.features(embeddings)
    np.testing.assert_allclose(
        features, frame.chain.transform(embeddings.astype(np.float64)), rtol=1e-9, atol=1e-9
    )
    before = features.copy()
    np.testing.assert_allclose(frame.log_densities_of_features(features), frame.log_densities(embeddings))
    np.testing.assert_array_equal(features, before)  # what is scored is left as it was
    points = np.random.default_rng(0).normal(size=(30, 8))
    expected = np.column_stack([frame.mixtures[state].score_samples(points) for state in frame.states])
    np.testing.assert_allclose(frame.log_densities_of_features(points), expected, rtol=1e-9)


def test_features_of_another_frame_are_refused():
    frame, _ = fitted(2, 16, FrameSettings(pca_dimension=8))
    with pytest.raises(RefusedInputError, match="features of this frame, of width 8, got width 5"):
        frame.log_densities_of_features(np.zeros((1, 5)))
    with pytest.raises(RefusedInputError, match="finite embeddings"):
        frame.log_densities_of_features(np.full((1, 8), np.nan))
