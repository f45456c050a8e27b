"""The comparisons of one run with the base, each with its p-value corrected for all of them (Holm 1979)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from hallulab.theory.bootstrap import PairedDifference
from hallulab.theory.multiple_tests import holm
from hallulab.theory.paired_tables import paired_differences

LEVEL = 0.05
"""chance of any false finding among all comparisons of a run"""
Key = TypeVar("Key")


@dataclass(frozen=True)
class Comparison(PairedDifference):
    """A paired difference among others."""

    p_holm: float
    """the p-value corrected for every comparison of its run"""

    @property
    def is_rise(self) -> bool:
        """Whether it is above 0 after the correction."""
        return self.p_holm < LEVEL and self.mean > 0

    @property
    def is_fall(self) -> bool:
        """Whether it is below 0 after the correction."""
        return self.p_holm < LEVEL and self.mean < 0


def compared(differences: Mapping[Key, NDArray[np.float64]], *, seed: int) -> dict[Key, Comparison | None]:
    """Every comparison of a run.

    Args:
        differences: key → first − second of every question, shape (n_questions,), the same questions in all; NaN where
            a pair is missing.
        seed: of resamples and sign flips.

    Returns: None where there is no pair.
    """
    if not differences:
        return {}
    table = np.stack(list(differences.values()), axis=1)
    found = paired_differences(table, rng=np.random.default_rng(seed))
    p_values = iter(holm([one.p_value for one in found if one]).tolist())
    return {
        key: None if one is None else Comparison(**vars(one), p_holm=next(p_values))
        for key, one in zip(differences, found, strict=True)
    }
