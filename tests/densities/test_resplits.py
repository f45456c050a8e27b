"""Coverage over many random splits: what the conformal rule promises, and the percentile rule does not."""

from pathlib import Path

import numpy as np
import pytest

from hallulab.densities.feature_frame import FeatureFrame, FrameSettings
from hallulab.densities.resplits import resplit_coverage
from hallulab.errors import RefusedInputError
from hallulab.scoring.picture_frames import PictureFrame

SHIPPED = Path(__file__).parents[2] / "checkpoints" / "clip-mini-pet-frame"
N_RESPLITS = 200


@pytest.fixture(scope="module")
def shipped() -> PictureFrame:
    return PictureFrame.load(SHIPPED)


def coverage(frame: PictureFrame, rule, n_held_out: int) -> np.ndarray:
    return resplit_coverage(
        frame.features, frame.held_out, rule, n_held_out=n_held_out, n_resplits=N_RESPLITS,
        rng=np.random.default_rng(1),
    )  # fmt: skip


@pytest.mark.parametrize("n_held_out", [12, 25, 94, 400, 1200])
def test_conformal_thresholds_do_not_under_cover_on_average(shipped, n_held_out):
    found = coverage(shipped, "conformal", n_held_out)
    # exchangeable samples: the expected coverage is 1 - floor(0.1 (n + 1)) / (n + 1)
    expected = 1 - np.floor(0.1 * (n_held_out + 1) + 1e-9) / (n_held_out + 1)
    error = found.std(ddof=1) / np.sqrt(N_RESPLITS)
    assert expected >= 0.9
    assert abs(found.mean() - expected) < 3 * error
    if expected > 0.9 + 3 * error:  # where chance cannot hide it
        assert found.mean() >= 0.9


def test_percentile_thresholds_under_cover_with_few_held_out_images(shipped):
    found = coverage(shipped, "percentile", 25)
    error = found.std(ddof=1) / np.sqrt(N_RESPLITS)
    assert found.mean() + 3 * error < 0.9


def test_the_whole_fit_repeated_on_200_resplits_does_not_under_cover():
    """Chain, mixtures and thresholds fitted again on every split; 40 held out: 1 - 4/41 = 0.902 is promised."""
    rng = np.random.default_rng(5)
    embeddings = np.concatenate([rng.normal(centre, 1, (260, 5)) for centre in (0, 2)])
    labels = np.repeat(["cat", "dog"], 260)
    shares = []
    for seed in range(N_RESPLITS):
        used = np.concatenate([rng.permutation(260)[:100], 260 + rng.permutation(260)[:100]])
        settings = FrameSettings(
            pca_dimension=3, max_components=2, held_out_share=0.4, threshold_rule="conformal", seed=seed
        )
        frame = FeatureFrame.fit(embeddings[used], labels[used], settings, embedder="test")
        fresh = np.setdiff1d(np.arange(520), used)
        inside = frame.log_densities(embeddings[fresh]) > frame.hcdr.thresholds
        own = inside[np.arange(len(fresh)), (labels[fresh] == "dog").astype(int)]
        shares.append(own.mean())
    error = np.std(shares, ddof=1) / np.sqrt(N_RESPLITS)
    assert np.mean(shares) >= 0.9 - 2 * error
    assert np.mean(shares) == pytest.approx(1 - 4 / 41, abs=4 * error)


def test_the_share_is_the_one_counted_by_hand():
    rng = np.random.default_rng(0)
    embeddings = rng.normal(3, 1, (120, 4))
    frame = FeatureFrame.fit(
        embeddings, ["cat"] * 120, FrameSettings(pca_dimension=2, max_components=2), embedder="test"
    )
    genuine = {"cat": rng.normal(3, 1, (30, 4))}
    (found,) = resplit_coverage(
        frame, genuine, "percentile", n_held_out=20, n_resplits=1, rng=np.random.default_rng(7)
    )
    scores = frame.log_densities(genuine["cat"])[:, 0]
    shuffled = np.random.default_rng(7).permuted(scores[None], axis=1)[0]
    by_hand = sum(score >= np.quantile(shuffled[:20], 0.1) for score in shuffled[20:]) / 10
    assert found == pytest.approx(by_hand)


def test_a_split_that_leaves_nothing_is_refused(shipped):
    n = len(shipped.held_out["cat"])
    with pytest.raises(RefusedInputError, match=f"expected from 1 to {n - 1} held-out samples of cat"):
        coverage(shipped, "conformal", n)
