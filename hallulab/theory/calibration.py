"""Calibration by bins of confidence: reliability diagram, ECE and MCE (Guo, Pleiss, Sun, Weinberger 2017)."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hallulab.errors import RefusedInputError

N_BINS = 10

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class BinnedConfidences:
    """Weighted sums over the statements of every group and bin; sums of groups make resamples of groups cheap."""

    weight: Values
    """Σ w, shape (n_groups, n_bins)"""
    confidence: Values
    """Σ w · confidence, same shape"""
    outcome: Values
    """Σ w · outcome, same shape"""

    @cached_property
    def reliability(self) -> "Reliability":
        """Every group once."""
        return self.resampled(np.ones((1, len(self.weight))))[0]

    def resampled(self, counts: ArrayLike) -> list["Reliability"]:
        """The diagram with each group counted as often as given.

        Args:
            counts: shape (n_resamples, n_groups).
        """
        times = np.asarray(counts, float)
        sums = (times @ self.weight, times @ self.confidence, times @ self.outcome)
        return [Reliability(*row) for row in zip(*sums, strict=True)]

    def errors(self, counts: ArrayLike) -> tuple[Values, Values]:
        """ECE and MCE of every resample, each of shape (n_resamples,); arguments as `resampled`."""
        found = [(one.ece, one.mce) for one in self.resampled(counts)]
        ece, mce = np.array(found).T
        return ece, mce


@dataclass(frozen=True, eq=False)
class Reliability:
    """A reliability diagram; bin k holds confidences from k/n_bins up to the next, 1 in the last."""

    weight: Values
    """Σ w, shape (n_bins,)"""
    confidence_sum: Values
    outcome_sum: Values

    @property
    def share(self) -> Values:
        """Of all weight, in each bin."""
        return self.weight / self.weight.sum()

    @property
    def confidence(self) -> Values:
        """Mean confidence of each bin; NaN for an empty one."""
        return _ratio(self.confidence_sum, self.weight)

    @property
    def outcome(self) -> Values:
        """How often the statements of each bin hold; NaN for an empty one."""
        return _ratio(self.outcome_sum, self.weight)

    @property
    def ece(self) -> float:
        """Expected calibration error: mean over the weight of |outcome − confidence| by bin."""
        return float(abs(self.outcome_sum - self.confidence_sum).sum() / self.weight.sum())

    @property
    def mce(self) -> float:
        """Maximum calibration error: the largest |outcome − confidence| of a bin that holds anything."""
        return float(np.nanmax(abs(self.outcome - self.confidence)))


def bin_confidences(
    confidence: ArrayLike,
    outcome: ArrayLike,
    *,
    weight: ArrayLike | None = None,
    group: ArrayLike | None = None,
    n_bins: int = N_BINS,
) -> BinnedConfidences:
    """Sort statements into bins of equal width by how sure the model is of them.

    Args:
        confidence: in [0, 1], shape (n,).
        outcome: 1 where the statement holds, 0 where not, or a probability, shape (n,).
        weight: of each statement, shape (n,); 1 when None.
        group: what is resampled together, whole numbers from 0, shape (n,); everything alone when None.
        n_bins: bins between 0 and 1.

    Raises RefusedInputError without weight, for shapes that disagree, and for numbers outside [0, 1].
    """
    sure, holds = np.asarray(confidence, float), np.asarray(outcome, float)
    weighs = np.ones_like(sure) if weight is None else np.asarray(weight, float)
    groups = np.arange(len(sure)) if group is None else np.asarray(group)
    if not sure.ndim == 1 or not sure.shape == holds.shape == weighs.shape == groups.shape or n_bins < 1:
        raise RefusedInputError(
            f"expected confidence, outcome, weight and group of one shape (n,) and at least one bin, got {sure.shape}, "
            f"{holds.shape}, {weighs.shape}, {groups.shape} and {n_bins}"
        )
    for name, given in (("confidence", sure), ("outcome", holds)):
        if not ((given >= 0) & (given <= 1)).all():
            raise RefusedInputError(f"expected {name} from 0 to 1, got others or NaN")
    if not (weighs >= 0).all() or not weighs.sum() > 0:
        raise RefusedInputError("expected weights of 0 or more that are not all 0")
    bins = np.minimum((sure * n_bins).astype(int), n_bins - 1)
    n_groups = int(groups.max()) + 1
    cells = groups * n_bins + bins
    sums = [
        np.bincount(cells, weights=values, minlength=n_groups * n_bins)
        .astype(float)
        .reshape(n_groups, n_bins)
        for values in (weighs, weighs * sure, weighs * holds)
    ]
    return BinnedConfidences(*sums)


def _ratio(above: Values, below: Values) -> Values:
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)
