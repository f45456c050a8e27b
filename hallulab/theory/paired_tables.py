"""Many paired comparisons on the same items: one set of resamples and of sign flips serves them all."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hallulab.errors import RefusedInputError
from hallulab.theory.bootstrap import N_RESAMPLES, PairedDifference
from hallulab.theory.intervals import Interval

N_FLIPS = 10_000
FLIPS_PER_TEST = 100
"""sign patterns are at least so many times the tests, or a correction for many tests could leave no p below 0.05"""
FLIPS_AT_ONCE = 4_096


def paired_differences(
    differences: ArrayLike,
    *,
    rng: np.random.Generator,
    confidence: float = 0.95,
    n_resamples: int = N_RESAMPLES,
    n_flips: int | None = None,
) -> list[PairedDifference | None]:
    """Mean of every column of differences, with a bootstrap interval and a sign-flip test, as `paired_difference`.

    Args:
        differences: first − second of every item (row) in every comparison (column), shape (n_items, n_tests); NaN
            where a pair is missing.
        rng: source of resamples and sign flips; items keep theirs in all comparisons.
        confidence: of each interval, in (0, 1).
        n_resamples: bootstrap samples of items.
        n_flips: random sign patterns; None: enough for a correction for n_tests. Where all 2^n_items are no more, each
            is tried once and the tests are exact.

    Returns: one per column; None where it has no pair.
    Raises RefusedInputError for another shape, infinite values or settings out of range.
    """
    table = np.asarray(differences, dtype=float)
    if table.ndim != 2 or np.isinf(table).any():
        raise RefusedInputError(
            f"expected finite differences of shape (n_items, n_tests), got shape {table.shape}"
        )
    n_items, n_tests = table.shape
    wanted = max(N_FLIPS, FLIPS_PER_TEST * n_tests) if n_flips is None else n_flips
    if not 0 < confidence < 1 or n_resamples < 1 or wanted < 1:
        raise RefusedInputError(
            f"expected a confidence between 0 and 1, at least one resample and one sign flip, got {confidence}, "
            f"{n_resamples} and {wanted}"
        )
    if not n_items:
        return [None] * n_tests
    is_there = np.isfinite(table)
    filled = np.where(is_there, table, 0.0)
    counts = is_there.sum(axis=0)
    low, high = _intervals(filled, is_there, rng, confidence, n_resamples)
    p_values, n_tried = _p_values(filled, rng, wanted)
    means = filled.sum(axis=0) / np.maximum(counts, 1)
    return [
        PairedDifference(mean, Interval(*ends), p, n, n_tried) if n else None
        for mean, *ends, p, n in zip(
            means.tolist(), low.tolist(), high.tolist(), p_values.tolist(), counts.tolist(), strict=True
        )
    ]


def row_means(table: ArrayLike) -> NDArray[np.float64]:
    """Mean of every row over what is there, shape (n_rows,); NaN where nothing is."""
    values = np.asarray(table, dtype=float)
    n = np.isfinite(values).sum(axis=1)
    return np.divide(np.nansum(values, axis=1), n, out=np.full(len(values), np.nan), where=n > 0)


def sign_flip_p_values(
    differences: NDArray[np.float64], *, rng: np.random.Generator, n_flips: int = N_FLIPS
) -> NDArray[np.float64]:
    """Two-sided sign-flip tests of no difference, one per column of (n_items, n_tests) finite differences."""
    return _p_values(differences, rng, n_flips)[0]


def _intervals(
    filled: NDArray[np.float64],
    is_there: NDArray[np.bool_],
    rng: np.random.Generator,
    confidence: float,
    n_resamples: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Percentile intervals of the column means, shape (n_tests,) each."""
    n_items = len(filled)
    drawn = rng.multinomial(n_items, np.full(n_items, 1 / n_items), size=n_resamples).astype(float)
    counts = drawn @ is_there
    # a resample without a pair says nothing; it only comes up where nearly all pairs are missing
    means = np.divide(drawn @ filled, counts, out=np.full(counts.shape, np.nan), where=counts > 0)
    is_known = counts.any(axis=0)
    ends = np.full((2, filled.shape[1]), np.nan)
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    ends[:, is_known] = np.nanquantile(means[:, is_known], tails, axis=0)
    return ends[0], ends[1]


def _p_values(
    filled: NDArray[np.float64], rng: np.random.Generator, n_flips: int
) -> tuple[NDArray[np.float64], int]:
    """Shares of sign patterns with a sum at least as far from 0, the observed pattern included, and their number."""
    n_items = len(filled)
    # sums of the same numbers in another order may differ in the last bits
    reached = np.abs(filled.sum(axis=0)) - 1e-12 * np.abs(filled).sum(axis=0)
    is_exact = n_items < 63 and 2**n_items <= n_flips
    n_as_far, n_tried = np.zeros(filled.shape[1]), 0
    for signs in _every_pattern(n_items) if is_exact else _random_patterns(n_items, n_flips, rng):
        n_as_far += (np.abs(signs @ filled) >= reached).sum(axis=0)
        n_tried += len(signs)
    if not is_exact:  # the observed pattern is one of them, so that no p is 0
        n_as_far, n_tried = n_as_far + 1, n_tried + 1
    return n_as_far / n_tried, n_tried


def _every_pattern(n_items: int):
    for start in range(0, 2**n_items, FLIPS_AT_ONCE):
        numbers = np.arange(start, min(start + FLIPS_AT_ONCE, 2**n_items))
        yield 2.0 * ((numbers[:, None] >> np.arange(n_items)) & 1) - 1.0


def _random_patterns(n_items: int, n_flips: int, rng: np.random.Generator):
    for start in range(0, n_flips, FLIPS_AT_ONCE):
        n_rows = min(FLIPS_AT_ONCE, n_flips - start)
        yield 2.0 * rng.integers(0, 2, size=(n_rows, n_items), dtype=np.int8) - 1.0
