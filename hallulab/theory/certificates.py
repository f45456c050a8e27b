"""Certificates: what a construction claims, each claim with its two sides and whether it holds in numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from hallulab.theory.gaussians import GaussianMixture

ClaimKind = Literal["estimator", "hypothesis", "conclusion"]


@dataclass(frozen=True)
class Claim:
    """One inequality left <= right of a theorem, evaluated."""

    about: str
    """the inequality in symbols"""
    kind: ClaimKind
    """what A* is, what the theorem asks for, or what it promises"""
    left: float
    right: float
    unit: Literal["nats", "length"]
    """of both sides; lengths are in the unit of the target"""
    state: int | None = None
    """i, counted from 1 as in the paper; None where the claim is about no one state"""
    input: int = 1
    """which input X, counted from 1"""
    tolerance: float = 0.0
    """by how much the left side may exceed the right one through rounding alone, in `unit`"""
    blame: str = ""
    """what is wrong in the theorem where the claim fails, as half a sentence"""

    @property
    def margin(self) -> float:
        """right − left, in `unit`: below 0 where the claim fails by more than rounding."""
        return self.right - self.left

    @property
    def holds(self) -> bool:
        """Whether left <= right up to rounding."""
        return self.left <= self.right + self.tolerance

    def to_json(self) -> dict[str, Any]:
        """Both sides, the margin, and whether it holds."""
        return {
            "about": self.about, "kind": self.kind, "input": self.input, "state": self.state,
            "left": self.left, "right": self.right, "unit": self.unit, "tolerance": self.tolerance,
            "margin": self.margin, "margin_nats": self.margin if self.unit == "nats" else None,
            "holds": self.holds,
        }  # fmt: skip


@dataclass(frozen=True)
class Certificate:
    """A construction, built, and every claim about it checked."""

    theorem: str
    version: str
    statement: str
    """what the theorem says, in our words"""
    parameters: Mapping[str, Any]
    """what was asked for, and the numbers that the construction derived from it"""
    log_delta: float
    """log δ, nats"""
    mixtures: tuple[GaussianMixture, ...]
    """A(X; Z) for every input X"""
    claims: tuple[Claim, ...]

    @property
    def holds(self) -> bool:
        """Whether every claim holds."""
        return all(claim.holds for claim in self.claims)

    @property
    def conclusions_hold(self) -> bool:
        """Whether everything that the theorem promises is so, whatever became of its hypotheses."""
        return all(claim.holds for claim in self.claims if claim.kind == "conclusion")

    @property
    def failures(self) -> tuple[Claim, ...]:
        """The claims that do not hold."""
        return tuple(claim for claim in self.claims if not claim.holds)

    @property
    def tightest_claim(self) -> Claim:
        """The conclusion with the least margin."""
        return min((claim for claim in self.claims if claim.kind == "conclusion"), key=lambda one: one.margin)

    @property
    def reason(self) -> str | None:
        """Why the construction fails where it fails worst, in one sentence; None where it holds."""
        if self.holds:
            return None
        worst = min(self.failures, key=lambda claim: (claim.kind != "conclusion", round(claim.margin, 6)))
        return f"{worst.about} is wrong ({worst.left:.6g} against {worst.right:.6g}), because {worst.blame}."

    @cached_property
    def peak_margins(self) -> NDArray[np.float64]:
        """log f_i(μ_i) − log δ, shape (n_inputs, n_states), nats: U_i^δ is empty where it is 0 or less."""
        return np.array([mixture.log_peaks - self.log_delta for mixture in self.mixtures])

    @cached_property
    def region_masses(self) -> NDArray[np.float64]:
        """P(U_i^δ) under state i itself, shape (n_inputs, n_states), exact; 0 where f_i exceeds δ nowhere.

        U_i^δ of a Gaussian is an ellipsoid, {squared Mahalanobis distance < 2 (log f_i(μ_i) − log δ)}.
        """
        return stats.chi2.cdf(2 * np.maximum(self.peak_margins, 0), df=self.mixtures[0].n_dimensions)

    @property
    def remark(self) -> str:
        """Whether the HCDR holds anything, in one sentence: with an empty one, every answer δ-hallucinates."""
        masses = self.region_masses
        n_empty = int((self.peak_margins <= 0).sum())
        if n_empty == masses.size:
            return (
                "The HCDR is empty: f_i exceeds δ nowhere for any state, so every answer δ-hallucinates, the best "
                "and the worst alike."
            )
        if n_empty:
            return f"Empty regions: {n_empty} of {masses.size}; under those states no answer at all is plausible."
        return (
            "Every state has a region; under its own state it holds a share of answers from "
            f"{masses.min():.3g} to {masses.max():.3g}."
        )

    def to_json(self) -> dict[str, Any]:
        """The certificate as one object; a covariance cI is written as its variance c."""
        return {
            "theorem": self.theorem,
            "version": self.version,
            "statement": self.statement,
            "parameters": dict(self.parameters),
            "log_delta": self.log_delta,
            "holds": self.holds,
            "conclusions_hold": self.conclusions_hold,
            "reason": self.reason,
            "remark": self.remark,
            "n_claims": len(self.claims),
            "n_failures": len(self.failures),
            "claims": [claim.to_json() for claim in self.claims],
            "peak_margins_nats": self.peak_margins.tolist(),
            "region_masses": self.region_masses.tolist(),
            "mixtures": [_mixture_to_json(mixture) for mixture in self.mixtures],
        }


def _mixture_to_json(mixture: GaussianMixture) -> dict[str, Any]:
    variances = mixture.covariances[:, 0, 0]
    isotropic = bool((mixture.covariances == variances[:, None, None] * np.eye(mixture.n_dimensions)).all())
    spread = {"variances": variances.tolist()} if isotropic else {"covariances": mixture.covariances.tolist()}
    return {
        "weights": mixture.weights.tolist(),
        "means": mixture.means.tolist(),
        **spread,
        "optimal_estimator": mixture.optimal_estimator.tolist(),
    }
