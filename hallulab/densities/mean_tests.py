"""Tests of the mean of K images, m̂ ≈ E[φ(A(X))]: the paper's, and two whose thresholds know that it is a mean.

[LHZSL] 7.3 holds the density of *one* genuine image at m̂ against the threshold of *one* genuine image. A mean of many
images is no such image, so how often that calls means of genuine images hallucinations follows from the shape of the
fitted mixture: 0 to 100 %. The other two take their thresholds from means of K genuine images, and so keep their
promise. `own_law` asks for the density of m̂ itself as well: the mean of K draws from f_i has the mean of f_i and 1 / K
of its covariance, and is nearly normal (central limit theorem).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from sklearn.mixture import GaussianMixture

from hallulab.densities.feature_frame import FeatureFrame
from hallulab.densities.hcdr import HcdrFrame, Verdict
from hallulab.errors import RefusedInputError
from hallulab.theory.regions import inside_regions

MeanTest = Literal["paper", "k_matched", "own_law"]
MEAN_TESTS: tuple[MeanTest, ...] = get_args(MeanTest)
TEST_WORDS: dict[MeanTest, str] = {
    "paper": "the paper's test",
    "k_matched": "K-matched",
    "own_law": "law of means",
}
N_NULL_MEANS = 400
"""means of K genuine images, per state, behind the thresholds of the last two"""


@dataclass(frozen=True)
class MeanTests:
    """The three tests for means of K images, in one frame."""

    frame: FeatureFrame
    """gives f_i, and the paper's thresholds"""
    n_images: int
    """K"""
    hcdrs: Mapping[MeanTest, HcdrFrame]
    """test → its thresholds and the genuine log-densities behind them"""

    @classmethod
    def of(
        cls,
        frame: FeatureFrame,
        genuine: Mapping[str, NDArray[np.float64]],
        n_images: int,
        *,
        rng: np.random.Generator,
        n_null: int = N_NULL_MEANS,
    ) -> "MeanTests":
        """Draw means of genuine images and let them set the thresholds, at the frame's mass and rule.

        Args:
            frame: at the mass asked for.
            genuine: state → (n, n_kept) features of images that its mixture was not fitted on.
            n_images: K.
            rng: draws the images of each mean, with replacement.
            n_null: means per state.
        """
        states = frame.states
        means = {state: genuine_means(genuine[state], n_images, n_null, rng=rng) for state in states}
        unfinished = cls(frame, n_images, {"paper": frame.hcdr})
        hcdrs: dict[MeanTest, HcdrFrame] = {"paper": frame.hcdr}
        for test in ("k_matched", "own_law"):
            samples = tuple(
                unfinished.log_densities(test, means[state])[:, column] for column, state in enumerate(states)
            )
            hcdrs[test] = replace(frame.hcdr, genuine_log_densities=samples)
        return cls(frame, n_images, hcdrs)

    def with_mass(self, hdr_mass: float) -> "MeanTests":
        """The same null means at another mass."""
        hcdrs = {test: hcdr.with_mass(hdr_mass) for test, hcdr in self.hcdrs.items()}
        return replace(self, frame=self.frame.with_mass(hdr_mass), hcdrs=hcdrs)

    def log_densities(self, test: MeanTest, means: ArrayLike) -> NDArray[np.float64]:
        """(n, n_states) nats of (n, n_kept) means: of one image there, or of a mean of K images there."""
        points = np.asarray(means, dtype=np.float64)
        if test != "own_law":
            return self.frame.log_densities_of_features(points)
        laws = [mixture_moments(self.frame.mixtures[state]) for state in self.frame.states]
        log_density: Any = stats.multivariate_normal.logpdf  # its types know only numbers
        return np.column_stack(
            [
                log_density(points, mean, covariance / self.n_images).reshape(len(points))
                for mean, covariance in laws
            ]
        )

    def decide(self, mean: ArrayLike) -> dict[MeanTest, Verdict]:
        """Test → its verdict on one (n_kept,) mean."""
        point = np.asarray(mean, dtype=np.float64)[None]
        return {test: self.hcdrs[test].decide(self.log_densities(test, point))[0] for test in MEAN_TESTS}

    def outside(self, means: ArrayLike) -> dict[MeanTest, NDArray[np.bool_]]:
        """Test → (n,) whether each of (n, n_kept) means is outside every region."""
        return {
            test: np.asarray(
                ~inside_regions(self.log_densities(test, means), self.hcdrs[test].thresholds).any(axis=1)
            )
            for test in MEAN_TESTS
        }

    def null_log_densities(self, test: MeanTest) -> dict[str, NDArray[np.float64]]:
        """State → (n_null,) log-densities, under it, of the genuine means behind its threshold, nats."""
        hcdr = self.hcdrs[test]
        return dict(zip(hcdr.states, hcdr.genuine_log_densities, strict=True))


def genuine_means(
    features: NDArray[np.float64], n_images: int, n_means: int, *, rng: np.random.Generator
) -> NDArray[np.float64]:
    """(n_means, n_kept) means of `n_images` of the (n, n_kept) features each, drawn with replacement.

    Raises RefusedInputError for means of no image.
    """
    if n_images < 1:
        raise RefusedInputError(f"expected means of at least 1 image, got {n_images}")
    n = len(features)
    draws = rng.integers(n, size=(n_means, n_images)) + n * np.arange(n_means)[:, None]
    # how often each image is drawn is enough, and small however many images a mean has
    times = np.bincount(draws.ravel(), minlength=n_means * n).reshape(n_means, n)
    return times @ features / n_images


def mixture_moments(mixture: GaussianMixture) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean (n_kept,) and covariance (n_kept, n_kept) of one draw from a diagonal mixture."""
    fitted: Any = mixture  # scikit-learn sets its arrays at run time
    weights, means, variances = fitted.weights_, fitted.means_, fitted.covariances_
    mean = weights @ means
    apart = means - mean
    return mean, np.diag(weights @ variances) + (apart.T * weights) @ apart
