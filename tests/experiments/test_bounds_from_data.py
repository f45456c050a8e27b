import numpy as np
import pytest

from hallulab.densities.feature_frame import FrameSettings
from hallulab.errors import RefusedInputError
from hallulab.experiments.bounds_from_data import (
    SampledMeans,
    audit_means,
    empirical_conditional_bound,
    frame_radius,
    held_out_means,
    read_means,
)
from hallulab.scoring.picture_frames import PictureFrame
from hallulab.theory.lower_bounds import MeanSetting, conditional_bound, paper_bound
from hallulab.theory.mean_laws import GaussianMean

RNG = np.random.default_rng(0)


def gaussian_samples(n_states: int, n: int = 4000, n_dimensions: int = 1) -> SampledMeans:
    rng = np.random.default_rng(1)
    return SampledMeans(
        tuple(f"state {i}" for i in range(n_states)),
        tuple(rng.standard_normal((n, n_dimensions)) for _ in range(n_states)),
    )


@pytest.mark.parametrize("n_dimensions", [1, 8])
def test_samples_of_a_known_law_give_its_bounds(n_dimensions):
    setting = MeanSetting((GaussianMean(1.0),) * 3, (1 / 3,) * 3, 0.1, n_dimensions)
    audit = audit_means(gaussian_samples(3, 20_000, n_dimensions), 0.1)
    paper = paper_bound(setting.moments, setting.weights, 0.1)
    assert audit.paper.log_value == pytest.approx(paper.log_value, abs=0.5)
    assert audit.conditional.value == pytest.approx(conditional_bound(setting).value, rel=0.2)
    assert max(audit.offsets) < 0.03
    assert "note" not in audit.sentence()


def test_what_is_proved_holds_for_lopsided_means_too():
    rng = np.random.default_rng(2)
    means = SampledMeans(("a", "b"), (rng.exponential(size=(300, 2)), 3 + rng.standard_normal((200, 2))))
    audit = audit_means(means, 0.2)
    assert 0 < audit.conditional.value <= audit.measured.interval.high
    assert max(audit.offsets) > 0.5
    assert "own means are up to" in audit.sentence()


def test_the_empirical_bound_by_hand():
    # two states, each mean at −2 or 2 with even chance: at t just below 2 all are far, and A* is −2, 0 or 2 with
    # mean square 2, so Chebyshev leaves 1 − 2/t² → ½
    sample = np.array([[-2.0], [2.0]])
    bound = empirical_conditional_bound([sample, sample], np.array([0.5, 0.5]), 0.0)
    assert bound.value == pytest.approx(0.5, abs=0.02)
    assert bound.value <= 0.5


def test_the_measured_rate_is_that_of_all_pairs():
    means = gaussian_samples(2, n=40)
    first, second = (sample[:, 0] for sample in means.samples)
    exact = (np.abs(first[:, None] - second) > 0.3 / 0.5).mean()
    interval = audit_means(means, 0.3).measured.interval
    assert interval.low <= exact <= interval.high


def test_files_are_read(tmp_path):
    rows = RNG.normal(size=(6, 2, 3))
    np.save(tmp_path / "means.npy", rows)
    np.save(tmp_path / "flat.npy", rows[:, :, 0])
    np.savez(tmp_path / "means.npz", cat=rows[:, 0], dog=rows[:5, 1])
    array, flat, named = (read_means(tmp_path / name) for name in ("means.npy", "flat.npy", "means.npz"))
    np.testing.assert_array_equal(array.samples[1], rows[:, 1])
    assert flat.n_dimensions == 1
    assert named.states == ("cat", "dog")
    assert [len(sample) for sample in named.samples] == [6, 5]


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros(5), r"shape \(n, n_states\) or \(n, n_states, n_dimensions\)"),
        (np.zeros((2, 2, 1)), "at least 4 conditional means per state, got 2"),
        (np.full((5, 2, 1), np.nan), "finite conditional means"),
        (np.array([{"a": 1}]), "cannot read"),
    ],
)
def test_files_of_something_else_are_refused(tmp_path, array, words):
    np.save(tmp_path / "means.npy", array)
    with pytest.raises(RefusedInputError, match=words):
        read_means(tmp_path / "means.npy")
    with pytest.raises(RefusedInputError, match="cannot read"):
        read_means(tmp_path / "none.npy")


def test_means_that_never_vary_are_refused():
    with pytest.raises(RefusedInputError, match="means that vary"):
        audit_means(SampledMeans(("a", "b"), (np.zeros((5, 1)),) * 2), 0.1)


@pytest.fixture(scope="module")
def frame() -> PictureFrame:
    rng = np.random.default_rng(3)
    embeddings = np.concatenate([rng.normal(1, 0.3, (200, 6)), rng.normal(-1, 0.3, (200, 6))]).astype(
        np.float32
    )
    labels = ["cat"] * 200 + ["dog"] * 200
    return PictureFrame.fit(embeddings, labels, FrameSettings(pca_dimension=3), embedder="toy")


def test_a_frames_radius_holds_every_region(frame):
    means = held_out_means(frame, 8, rng=np.random.default_rng(0))
    assert [len(sample) for sample in means.samples] == [5, 5]  # 40 held-out images each
    r = frame_radius(frame.features, means)
    for state, sample, threshold in zip(
        means.states, means.samples, frame.features.hcdr.thresholds, strict=True
    ):
        directions = np.random.default_rng(1).standard_normal((4000, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        for mean in sample:
            beyond = frame.features.mixtures[state].score_samples(mean + 1.001 * r * directions)
            assert (beyond <= threshold).all()


def test_a_frame_promises_and_measures(frame):
    means = held_out_means(frame, 8, rng=np.random.default_rng(0))
    record = audit_means(
        means, frame_radius(frame.features, means), n_draws=2000, frame=frame.features
    ).to_json()
    assert record["paper"]["silent"] is True
    assert record["measured_by_frame"]["n"] == 2000
    # the mean of a cat and a dog lies between two far groups
    assert record["measured_by_frame"]["rate"] > 0.95
    with pytest.raises(
        RefusedInputError, match="at least 4 groups of 30 images per state, got 40 images for cat"
    ):
        held_out_means(frame, 30, rng=np.random.default_rng(0))
