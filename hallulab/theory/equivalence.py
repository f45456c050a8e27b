"""Whether a mean is as good as zero: the two one-sided tests of Schuirmann (J. Pharmacokinet. Biopharm. 15, 1987)."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from hallulab.errors import RefusedInputError
from hallulab.theory.intervals import Interval, mean_interval

EquivalenceVerdict = Literal["within", "beyond", "undecided"]
SAME = 1e-12
"""values this near are one value, up to rounding"""
MIN_VALUES = 3
"""fewer say too little of how far values spread"""


@dataclass(frozen=True)
class Equivalence:
    """A mean beside a margin that was stated beforehand."""

    mean: float
    interval: Interval | None
    """of 90 % at a level of 5 %: the mean is as good as zero when all of it is within the margin. None where values
    do not spread or are too few"""
    margin: float
    verdict: EquivalenceVerdict
    """`within`: as good as zero. `beyond`: further from it than the margin. `undecided`: this sample cannot say"""
    p_value: float | None
    """of the larger of the two one-sided tests that the mean is at or beyond the margin; None without an interval"""
    n: int


def equivalence_test(values: ArrayLike, *, margin: float, level: float = 0.05) -> Equivalence | None:
    """Test whether the mean of a sample is within ± `margin`.

    Equal values have no spread to test by: with three or more of them the verdict is theirs.

    Args:
        values: independent measurements, shape (n,), finite.
        margin: above 0, in their unit.
        level: chance of calling a mean as good as zero that is not, at most.

    Returns: None without a value.
    Raises RefusedInputError for values that are not finite, or a margin or level out of range.
    """
    sample = np.asarray(values, dtype=float)
    if not (margin > 0 and math.isfinite(margin)) or not 0 < level < 0.5:
        raise RefusedInputError(
            f"expected a margin above 0 and a level below 0.5, got {margin} and {level}: state both"
        )
    interval = mean_interval(sample, confidence=1 - 2 * level)
    if not len(sample):
        return None
    mean, n = float(sample.mean()), len(sample)
    if n < MIN_VALUES or interval is None:
        return Equivalence(mean, None, margin, "undecided", None, n)
    if np.ptp(sample) <= SAME:
        return Equivalence(mean, None, margin, "within" if abs(mean) < margin else "beyond", None, n)
    standard_error = float(sample.std(ddof=1)) / math.sqrt(n)
    p_value = float(stats.t.sf((margin - abs(mean)) / standard_error, n - 1))
    return Equivalence(mean, interval, margin, _verdict(interval, margin), p_value, n)


def _verdict(interval: Interval, margin: float) -> EquivalenceVerdict:
    if -margin < interval.low and interval.high < margin:
        return "within"
    return "beyond" if interval.low > margin or interval.high < -margin else "undecided"
