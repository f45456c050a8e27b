"""A band around a mean curve that holds all of it at once (bootstrap of the largest deviation)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hallulab.errors import RefusedInputError

MIN_CURVES = 5
"""resampling fewer tells too little of how far others might be"""
N_RESAMPLES = 2_000
VALUES_AT_ONCE = 1 << 22
"""of resampled curves held together, at most"""


@dataclass(frozen=True)
class CurveBand:
    """The mean of some curves, and a band of one width around it."""

    mean: NDArray[np.float64]
    """shape (n_places,)"""
    half_width: float | None
    """with the given confidence, no place of the true mean curve is further from `mean`; None for too few curves"""
    n: int
    """curves"""

    @property
    def is_below_zero(self) -> NDArray[np.bool_]:
        """Where the whole band is below 0, shape (n_places,); nowhere without a band."""
        if self.half_width is None:
            return np.zeros(len(self.mean), dtype=bool)
        return self.mean + self.half_width < 0

    @property
    def is_above_zero(self) -> NDArray[np.bool_]:
        """Where the whole band is above 0, shape (n_places,); nowhere without a band."""
        if self.half_width is None:
            return np.zeros(len(self.mean), dtype=bool)
        return self.mean - self.half_width > 0


def simultaneous_band(
    curves: ArrayLike,
    *,
    rng: np.random.Generator,
    confidence: float = 0.95,
    n_resamples: int = N_RESAMPLES,
) -> CurveBand:
    """The mean curve with a band that holds at every place together, however the places hang together.

    Its half width is the quantile of the largest deviation of a resampled mean curve, widened by √(n / (n − 1)), as
    resampling n curves spreads them too little.

    Args:
        curves: independent ones, shape (n, n_places), finite.
        rng: source of the resamples.
        confidence: that the whole true mean curve is in the band.
        n_resamples: samples of n curves drawn with replacement.

    Raises RefusedInputError for anything but at least one finite curve, or a confidence outside (0, 1).
    """
    sample = np.asarray(curves, dtype=float)
    if sample.ndim != 2 or 0 in sample.shape or not np.isfinite(sample).all():
        raise RefusedInputError(
            f"expected finite curves of shape (n, n_places), got {sample.shape}: leave missing ones out"
        )
    if not 0 < confidence < 1 or n_resamples < 1:
        raise RefusedInputError(
            f"expected a confidence between 0 and 1 and at least one resample, got {confidence} and {n_resamples}"
        )
    n, mean = len(sample), sample.mean(axis=0)
    if n < MIN_CURVES:
        return CurveBand(mean, None, n)
    furthest = np.empty(n_resamples)
    at_once = max(1, VALUES_AT_ONCE // sample.shape[1])
    for start in range(0, n_resamples, at_once):
        n_here = min(at_once, n_resamples - start)
        counts = rng.multinomial(n, np.full(n, 1 / n), size=n_here)
        furthest[start : start + n_here] = np.abs(counts @ sample / n - mean).max(axis=1)
    half_width = float(np.quantile(furthest, confidence)) * np.sqrt(n / (n - 1))
    return CurveBand(mean, float(half_width), n)
