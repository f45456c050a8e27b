"""One quantity over the worlds of a run: its mean with an interval, and what is missing counted."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from hallulab.theory.intervals import mean_interval

ANYWHERE, SHARE, POSITIVE = (-np.inf, np.inf), (0.0, 1.0), (0.0, np.inf)
"""where a quantity can lie"""


@dataclass(frozen=True)
class OverWorlds:
    """One quantity, averaged over the worlds of a run."""

    mean: float | None
    """None when no world has a value"""
    low: float | None
    """of the 95 % Student-t interval of the mean; None with fewer than two worlds"""
    high: float | None
    n: int
    """worlds that have a value"""
    n_missing: int
    """worlds that have none: left out of the mean"""


def over_worlds(values: Iterable[float | None], *, within: tuple[float, float] = ANYWHERE) -> OverWorlds:
    """Mean with its interval; what is missing is left out and counted.

    Args:
        values: one a world; None or not finite where it is missing.
        within: where values can lie, as `SHARE`; the interval is cut to it.
    """
    given = list(values)
    kept = [value for value in given if value is not None and np.isfinite(value)]
    if not kept:
        return OverWorlds(None, None, None, 0, len(given))
    interval = mean_interval(kept)
    low, high = (interval.low, interval.high) if interval else (None, None)
    if low is not None and high is not None:
        low, high = max(within[0], low), min(within[1], high)
    return OverWorlds(float(np.mean(kept)), low, high, len(kept), len(given) - len(kept))
