"""Bootstrap intervals of a mean, and the paired comparison of two means (Efron and Tibshirani 1993)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hallulab.errors import RefusedInputError
from hallulab.theory.intervals import Interval

N_RESAMPLES = 2_000
N_FLIPS = 10_000
"""random sign patterns of a test, at most"""
DRAWS_AT_ONCE = 1 << 22
"""resampled values held together, at most"""


@dataclass(frozen=True)
class BootstrapMean:
    """A mean with its percentile bootstrap interval."""

    mean: float
    interval: Interval
    """of the mean, in the values' own unit"""
    n: int
    """values it is a mean of"""


@dataclass(frozen=True)
class PairedDifference:
    """How much larger the first of two paired measurements is, on average."""

    mean: float
    """mean of first − second"""
    interval: Interval
    """percentile bootstrap interval of that mean, pairs drawn together"""
    p_value: float
    """two-sided sign-flip test of no difference: share of sign patterns with a mean at least as far from 0"""
    n: int
    """pairs"""
    n_flips: int
    """sign patterns tried, the observed one included; all 2^n of them when the test is exact"""


def bootstrap_interval(
    values: ArrayLike,
    *,
    rng: np.random.Generator,
    confidence: float = 0.95,
    n_resamples: int = N_RESAMPLES,
) -> BootstrapMean | None:
    """Percentile bootstrap interval of a mean.

    Args:
        values: independent measurements, shape (n,), finite.
        rng: source of the resamples.
        confidence: of the interval, in (0, 1).
        n_resamples: samples of size n drawn with replacement.

    Returns: None without a value. One value, or equal ones, give an interval of no width: the bootstrap knows no
    spread that the values do not show.
    Raises RefusedInputError for values that are not finite or not of shape (n,), and for settings out of range.
    """
    sample = _checked_sample(values)
    _check_settings(confidence, n_resamples)
    if not len(sample):
        return None
    means = _resampled_means(sample, n_resamples, rng)
    return BootstrapMean(float(sample.mean()), _percentiles(means, confidence), len(sample))


def paired_difference(
    first: ArrayLike,
    second: ArrayLike,
    *,
    rng: np.random.Generator,
    confidence: float = 0.95,
    n_resamples: int = N_RESAMPLES,
    n_flips: int = N_FLIPS,
) -> PairedDifference | None:
    """Mean difference of paired measurements, with a bootstrap interval and a sign-flip test.

    Args:
        first, second: measurements of the same items in the same order, shape (n,), finite.
        rng: source of resamples and sign flips.
        confidence: of the interval, in (0, 1).
        n_resamples: bootstrap samples.
        n_flips: random sign patterns; where all 2^n are no more than these, each is tried once and the test is exact.

    Returns: None without a pair.
    Raises RefusedInputError for measurements that are not finite or not of one length.
    """
    ours, theirs = _checked_sample(first), _checked_sample(second)
    if len(ours) != len(theirs):
        raise RefusedInputError(
            f"expected pairs, got {len(ours)} and {len(theirs)} values: leave out what only one of them has"
        )
    _check_settings(confidence, n_resamples)
    if n_flips < 1:
        raise RefusedInputError(f"expected at least one sign flip, got {n_flips}")
    difference = ours - theirs
    n = len(difference)
    if not n:
        return None
    means = _resampled_means(difference, n_resamples, rng)
    flipped = (
        _exact_flips(difference) if n < 63 and 2**n <= n_flips else _random_flips(difference, n_flips, rng)
    )
    # sums of the same numbers in another order may differ in the last bits
    is_as_far = np.abs(flipped) >= np.abs(difference.sum()) - 1e-12 * np.abs(difference).sum()
    return PairedDifference(
        mean=float(difference.mean()),
        interval=_percentiles(means, confidence),
        p_value=float(is_as_far.mean()),
        n=n,
        n_flips=len(flipped),
    )


def _resampled_means(
    sample: NDArray[np.float64], n_resamples: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Means of samples drawn with replacement, shape (n_resamples,)."""
    n = len(sample)
    at_once = max(1, DRAWS_AT_ONCE // n)
    means = np.empty(n_resamples)
    for start in range(0, n_resamples, at_once):
        places = rng.integers(n, size=(min(at_once, n_resamples - start), n))
        means[start : start + len(places)] = sample[places].mean(axis=1)
    return means


def _exact_flips(difference: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums of the differences under every sign pattern, shape (2^n,)."""
    sums = np.zeros(1)
    for value in difference:
        sums = np.concatenate([sums + value, sums - value])
    return sums


def _random_flips(
    difference: NDArray[np.float64], n_flips: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Sums under random sign patterns; the observed one is among them, so that no p-value is 0."""
    n = len(difference)
    at_once = max(1, DRAWS_AT_ONCE // n)
    sums = np.empty(n_flips)
    for start in range(0, n_flips, at_once):
        n_rows = min(at_once, n_flips - start)
        bits = rng.integers(0, 2, size=(n_rows, n), dtype=np.int8)
        sums[start : start + n_rows] = (2.0 * bits - 1.0) @ difference
    return np.append(sums, difference.sum())


def percentile_interval(resampled: ArrayLike, confidence: float = 0.95) -> Interval:
    """The middle share of resampled values, shape (n_resamples,)."""
    return _percentiles(np.asarray(resampled, float), confidence)


def _percentiles(means: NDArray[np.float64], confidence: float) -> Interval:
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(low), float(high))


def _checked_sample(values: ArrayLike) -> NDArray[np.float64]:
    sample = np.asarray(values, dtype=float)
    if sample.ndim != 1 or not np.isfinite(sample).all():
        raise RefusedInputError(
            f"expected finite values of shape (n,), got shape {sample.shape} with "
            f"{int(np.size(sample) - np.isfinite(sample).sum())} not finite: leave missing ones out"
        )
    return sample


def _check_settings(confidence: float, n_resamples: int) -> None:
    if not 0 < confidence < 1:
        raise RefusedInputError(f"expected a confidence between 0 and 1, got {confidence}")
    if n_resamples < 1:
        raise RefusedInputError(f"expected at least one resample, got {n_resamples}")
