"""The HCDR frame and the verdicts it gives: one object for words, pictures and coins."""

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hallulab.errors import RefusedInputError
from hallulab.theory.regions import check_mass, conformal_threshold, inside_regions, percentile_threshold

ThresholdRule = Literal["percentile", "conformal"]
THRESHOLD_RULES = {"percentile": percentile_threshold, "conformal": conformal_threshold}


@dataclass(frozen=True)
class StateVerdict:
    """One candidate under one latent state."""

    state: str
    log_density: float
    """log f_i of the candidate, nats"""
    threshold: float
    """log δ_i, nats: the candidate is inside this state's region when its log-density is above"""
    inside: bool
    n_genuine: int
    """held-out genuine samples behind the threshold; 0 when δ was given or the density is exact"""


@dataclass(frozen=True)
class Verdict:
    """Whether one candidate δ-hallucinates, and by how much (Def. 4.2 and A.1 of [LHZSL])."""

    states: tuple[StateVerdict, ...]
    frame_hash: str
    """content hash of the frame that decided"""

    @property
    def argmax_state(self) -> StateVerdict:
        """The state under which the candidate is most likely."""
        return max(self.states, key=lambda state: state.log_density)

    @property
    def max_log_density(self) -> float:
        """max_i log f_i, nats."""
        return self.argmax_state.log_density

    @property
    def margin_nats(self) -> float:
        """How far above the nearest threshold: max_i (log f_i − log δ_i), nats; positive is inside."""
        return max(state.log_density - state.threshold for state in self.states)

    @property
    def is_hallucination(self) -> bool:
        """Whether the candidate is outside every state's region."""
        return not any(state.inside for state in self.states)

    def to_json(self) -> dict[str, Any]:
        """The verdict's part of the command line's JSON contract."""
        return {
            "states": [vars(state).copy() for state in self.states],
            "max_log_density": self.max_log_density,
            "argmax_state": self.argmax_state.state,
            "margin_nats": self.margin_nats,
            "is_hallucination": self.is_hallucination,
            "frame_hash": self.frame_hash,
        }


@dataclass(frozen=True)
class HcdrFrame:
    """Held-out genuine log-densities per state, and the rule that turns them into thresholds."""

    states: tuple[str, ...]
    genuine_log_densities: tuple[NDArray[np.float64], ...]
    """per state, shape (n_held_out,): log f_i of genuine samples of state i, nats"""
    hdr_mass: float = 0.9
    """share of genuine samples that belong inside"""
    threshold_rule: ThresholdRule = "percentile"
    log_delta: float | None = None
    """an absolute log δ for every state, nats; replaces the mass when given"""
    tie_tolerance_nats: float = 0.0
    """how far below its threshold a candidate still counts as reaching it (rounding of the scorer)"""

    def __post_init__(self) -> None:
        if not self.states or len(set(self.states)) != len(self.states):
            raise RefusedInputError(f"need at least one state and no state twice, got {list(self.states)}")
        if len(self.genuine_log_densities) != len(self.states):
            raise RefusedInputError(
                f"expected genuine log-densities for {len(self.states)} states, "
                f"got {len(self.genuine_log_densities)}"
            )
        if self.threshold_rule not in get_args(ThresholdRule):
            raise RefusedInputError(
                f"expected threshold rule {' or '.join(get_args(ThresholdRule))}, got {self.threshold_rule!r}"
            )
        check_mass(self.hdr_mass)
        if self.log_delta is not None and not np.isfinite(self.log_delta):
            raise RefusedInputError(f"expected a finite log δ in nats, got {self.log_delta}")

    @cached_property
    def thresholds(self) -> NDArray[np.float64]:
        """log δ_i per state, shape (n_states,), nats, the tie tolerance taken off."""
        if self.log_delta is not None:
            return np.full(len(self.states), self.log_delta)
        rule = THRESHOLD_RULES[self.threshold_rule]
        # Def. 6.2 asks for "above"; a sample *at* its own empirical threshold belongs inside
        tolerance = max(self.tie_tolerance_nats, 1e-9)
        return np.array([rule(sample, self.hdr_mass) - tolerance for sample in self.genuine_log_densities])

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 over everything that decides a verdict, first 16 hexadecimal digits."""
        settings = (self.states, self.hdr_mass, self.threshold_rule, self.log_delta, self.tie_tolerance_nats)
        digest = hashlib.sha256(repr(settings).encode())
        for sample in self.genuine_log_densities:
            digest.update(np.ascontiguousarray(sample, dtype="<f8").tobytes())
        return digest.hexdigest()[:16]

    def with_mass(self, hdr_mass: float) -> "HcdrFrame":
        """The same genuine samples at another mass."""
        return replace(self, hdr_mass=hdr_mass, log_delta=None)

    def with_log_delta(self, log_delta: float) -> "HcdrFrame":
        """The same genuine samples at one absolute log δ (nats) for every state."""
        return replace(self, log_delta=log_delta)

    def decide(self, log_densities: ArrayLike) -> list[Verdict]:
        """One verdict per candidate.

        Args:
            log_densities: shape (n, n_states), nats, columns in the order of `states`.

        Raises RefusedInputError for another number of states or NaN.
        """
        densities = np.asarray(log_densities, dtype=float)
        if densities.ndim != 2 or densities.shape[1] != len(self.states):
            raise RefusedInputError(
                f"expected log-densities of shape (n, {len(self.states)}), one column per state, "
                f"got {densities.shape}"
            )
        inside = inside_regions(densities, self.thresholds)
        n_genuine = [
            0 if self.log_delta is not None else len(sample) for sample in self.genuine_log_densities
        ]
        thresholds = self.thresholds.tolist()
        return [
            Verdict(
                tuple(map(StateVerdict, self.states, row, thresholds, row_inside, n_genuine)),
                self.content_hash,
            )
            for row, row_inside in zip(densities.tolist(), inside.tolist(), strict=True)
        ]
