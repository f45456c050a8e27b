"""Tests of means against scikit-learn, against slow loops, and for the promise they make."""

import numpy as np
import pytest
from scipy import stats
from sklearn.mixture import GaussianMixture

from hallulab.densities.feature_frame import FeatureFrame, FrameSettings, split_rows
from hallulab.densities.mean_tests import MEAN_TESTS, MeanTests, genuine_means, mixture_moments
from hallulab.errors import RefusedInputError

K = 32


def images(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two states of two kinds each: the mean of a state lies between its kinds."""
    rng = np.random.default_rng(seed)
    kinds = {
        "cat": [np.r_[3.0, 0, 1, 0, 0, 0], np.r_[3.0, 0, 0, 1, 0, 0]],
        "dog": [np.r_[0, 3.0, 0, 0, 1, 0], np.r_[0, 3.0, 0, 0, 0, 1]],
    }
    rows = [rng.normal(centres[index % 2], 0.15, 6) for centres in kinds.values() for index in range(n)]
    return np.array(rows), np.repeat(list(kinds), n)


def fitted(n_components: int = 2) -> tuple[FeatureFrame, dict[str, np.ndarray]]:
    """A frame, and state → features of its held-out images."""
    embeddings, labels = images(1000, seed=0)
    settings = FrameSettings(
        pca_dimension=5, max_components=n_components, images_per_component=1, held_out_share=0.5
    )
    frame = FeatureFrame.fit(embeddings, labels, settings, embedder="test")
    _, held_out = split_rows(labels, settings)
    return frame, {
        state: frame.features(embeddings[held_out[labels[held_out] == state]]) for state in frame.states
    }


@pytest.fixture(scope="module")
def frame_and_genuine():
    return fitted()


@pytest.fixture(scope="module")
def tests(frame_and_genuine) -> MeanTests:
    return MeanTests.of(*frame_and_genuine, K, rng=np.random.default_rng(1), n_null=2000)


def fresh_means(frame: FeatureFrame, state: str, n: int = 1000) -> np.ndarray:
    embeddings, labels = images(4000, seed=7)
    return genuine_means(frame.features(embeddings[labels == state]), K, n, rng=np.random.default_rng(2))


def test_means_are_the_slow_ones():
    rows = np.random.default_rng(0).normal(size=(9, 3))
    found = genuine_means(rows, 5, 40, rng=np.random.default_rng(4))
    draws = np.random.default_rng(4).integers(9, size=(40, 5))
    np.testing.assert_allclose(found, rows[draws].mean(axis=1), atol=1e-12)
    with pytest.raises(RefusedInputError, match="means of at least 1 image, got 0"):
        genuine_means(rows, 0, 4, rng=np.random.default_rng(0))


def test_the_papers_test_is_scikit_learns_score_of_the_mean_of_features(frame_and_genuine, tests):
    frame, _ = frame_and_genuine
    embeddings, labels = images(K, seed=3)
    for state in frame.states:
        own = embeddings[labels == state]
        mean = frame.chain.transform(own).mean(axis=0)
        expected = [frame.mixtures[one].score_samples(mean[None])[0] for one in frame.states]
        verdicts = tests.decide(frame.features(own).mean(axis=0))
        for test in ("paper", "k_matched"):
            assert [one.log_density for one in verdicts[test].states] == pytest.approx(expected)
        is_outside = all(score <= limit for score, limit in zip(expected, frame.hcdr.thresholds, strict=True))
        assert verdicts["paper"].is_hallucination == is_outside


def test_it_is_not_the_score_of_the_mean_scaled_to_length_1_again(frame_and_genuine, tests):
    """What a mean of unit vectors gives when it goes through the whole chain: another number."""
    frame, _ = frame_and_genuine
    embeddings, _ = images(K, seed=3)
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    again = frame.log_densities(unit.mean(axis=0)[None])[0]
    ours = tests.log_densities("paper", frame.features(embeddings).mean(axis=0)[None])[0]
    assert np.abs(again - ours).max() > 0.1  # rounding leaves 1e-9


def test_moments_are_those_of_many_draws():
    mixture = GaussianMixture(3, covariance_type="diag", random_state=0)
    mixture.fit(np.random.default_rng(0).normal(size=(400, 2)) * [1, 3])
    mean, covariance = mixture_moments(mixture)
    draws, _ = mixture.sample(200_000)
    np.testing.assert_allclose(mean, draws.mean(axis=0), atol=0.03)
    np.testing.assert_allclose(covariance, np.cov(draws.T), atol=0.1)


def test_the_law_of_means_is_normal_with_a_kth_of_the_covariance(frame_and_genuine, tests):
    frame, _ = frame_and_genuine
    point = fresh_means(frame, "cat", n=3)
    for column, state in enumerate(frame.states):
        mean, covariance = mixture_moments(frame.mixtures[state])
        expected = [stats.multivariate_normal(mean, covariance / K).logpdf(row) for row in point]
        assert tests.log_densities("own_law", point)[:, column] == pytest.approx(expected)


def test_thresholds_from_means_keep_their_promise_and_the_papers_does_not(frame_and_genuine, tests):
    """Means of genuine images that set no threshold: 10 % are meant to be outside. The mean of two kinds is neither."""
    frame, _ = frame_and_genuine
    for state in frame.states:
        outside = {test: found.mean() for test, found in tests.outside(fresh_means(frame, state)).items()}
        assert outside["paper"] > 0.9
        assert outside["k_matched"] == pytest.approx(0.1, abs=0.05)
        assert outside["own_law"] == pytest.approx(0.1, abs=0.05)


def test_with_one_gaussian_the_papers_test_never_alarms():
    frame, genuine = fitted(n_components=1)
    fitted_with = {state: len(mixture.weights_) for state, mixture in frame.mixtures.items()}
    assert set(fitted_with.values()) == {1}
    tests = MeanTests.of(frame, genuine, K, rng=np.random.default_rng(1))
    for state in frame.states:
        assert tests.outside(fresh_means(frame, state))["paper"].mean() == 0


def test_the_law_of_means_notices_what_the_others_do_not(frame_and_genuine, tests):
    """One image of sixteen from the other state; the density of one image is nearly flat between two kinds."""
    frame, _ = frame_and_genuine
    cats, dogs = (fresh_means(frame, state) for state in ("cat", "dog"))
    outside = {test: found.mean() for test, found in tests.outside((15 * cats + dogs) / 16).items()}
    assert outside["own_law"] > 0.95
    assert outside["own_law"] >= outside["k_matched"]


def test_another_mass_moves_every_threshold(tests):
    wide = tests.with_mass(0.99)
    for test in MEAN_TESTS:
        assert (wide.hcdrs[test].thresholds < tests.hcdrs[test].thresholds).all()
        assert wide.null_log_densities(test).keys() == {"cat", "dog"}
