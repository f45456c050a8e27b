"""Coverage over many random splits: what the conformal rule promises, and the percentile rule does not."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from hallulab.densities.feature_frame import FeatureFrame, FrameSettings
from hallulab.densities.resplits import half_coverage, resplit_coverage
from hallulab.errors import RefusedInputError
from hallulab.scoring.picture_frames import PictureFrame
from hallulab.theory.regions import conformal_threshold

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


def promised(n_held_out: int) -> float:
    """Expected coverage over random splits of any sample without ties: a fresh one's rank among n + 1 is uniform."""
    return 1 - np.floor(0.1 * (n_held_out + 1) + 1e-9) / (n_held_out + 1)


def test_what_is_promised_is_never_below_the_mass():
    assert all(promised(n) >= 0.9 for n in range(1, 5000))


def test_the_promise_is_exact_over_all_splits_of_a_small_sample():
    """Ten samples, six of them held out: all 210 splits counted."""
    scores = np.random.default_rng(0).normal(size=10)
    for n_held_out, mass in ((6, 0.9), (6, 0.5), (9, 0.8), (3, 0.75)):
        covered = []
        for chosen in combinations(range(10), n_held_out):
            threshold = conformal_threshold(scores[list(chosen)], mass)
            fresh = np.delete(scores, chosen)
            covered.append((fresh >= threshold).mean())
        rank = np.floor((1 - mass) * (n_held_out + 1) + 1e-9)
        assert np.mean(covered) == pytest.approx(1 - rank / (n_held_out + 1))
        assert np.mean(covered) >= mass - 1e-12


@pytest.mark.parametrize("n_held_out", [12, 25, 94, 200, 400, 1000, 1200])
def test_the_mean_over_200_resplits_is_what_is_promised(shipped, n_held_out):
    """Held to the exact expectation from both sides, not to 0.9, below which chance alone may put a mean of 200."""
    found = coverage(shipped, "conformal", n_held_out)
    error = found.std(ddof=1) / np.sqrt(N_RESPLITS)
    assert error < 0.005
    assert abs(found.mean() - promised(n_held_out)) < 3 * error


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
    assert promised(40) == 1 - 4 / 41
    assert np.mean(shares) == pytest.approx(promised(40), abs=3 * error)


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


def test_half_of_the_samples_judge_by_what_the_other_half_set():
    rng = np.random.default_rng(0)
    embeddings = np.concatenate([rng.normal(3, 1, (150, 4)), rng.normal(-3, 1, (150, 4))])
    labels = np.repeat(["cat", "dog"], 150)
    frame = FeatureFrame.fit(
        embeddings, labels, FrameSettings(pca_dimension=2, max_components=2), embedder="test"
    )
    genuine = {"cat": rng.normal(3, 1, (31, 4)), "dog": rng.normal(-3, 1, (40, 4))}
    found = half_coverage(frame, genuine, rng=np.random.default_rng(7))
    again = np.random.default_rng(7)
    halves = {}
    for column, state in enumerate(("cat", "dog")):
        scores = again.permutation(frame.log_densities(genuine[state]))
        half = 16 if state == "cat" else 20
        halves[state] = np.quantile(scores[:half, column], 0.1), scores[half:]
    for state, (_, judged) in halves.items():
        inside = sum(
            any(row[column] > halves[own][0] - 1e-9 for column, own in enumerate(("cat", "dog")))
            for row in judged
        )
        assert found[state] == (inside, {"cat": 15, "dog": 20}[state])
