"""What counts as a δ-hallucination of a pmf (Def. 4.2 and 6.2 of [LHZSL])."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hallulab.errors import RefusedInputError
from hallulab.theory.delta import log_delta_of
from hallulab.theory.regions import check_mass, pmf_hdr_threshold

TIE_TOLERANCE_NATS = 1e-9


@dataclass(frozen=True)
class CoinRule:
    """The line between plausible answers and hallucinations, by probability or by mass."""

    hdr_mass: float = 0.9
    """share of the flips' probability that belongs inside; used when `delta` is None"""
    delta: float | None = 0.3
    """an answer with at most this probability hallucinates"""

    def __post_init__(self) -> None:
        _check_number("an HDR mass", self.hdr_mass)
        check_mass(self.hdr_mass)
        if self.delta is not None:
            _check_number("δ", self.delta)
            log_delta_of(self.delta, is_pmf=True)

    def log_delta(self, pmf: ArrayLike) -> NDArray[np.float64]:
        """Threshold of each pmf, nats.

        Args:
            pmf: shape (n, N + 1).

        Returns: shape (n,).
        """
        rows = np.asarray(pmf, dtype=float)
        if self.delta is None:
            return pmf_hdr_threshold(rows, self.hdr_mass)
        # a probability *at* δ hallucinates: rounding must not lift it above
        return np.full(len(rows), log_delta_of(self.delta, is_pmf=True) + TIE_TOLERANCE_NATS)


def rule_of(*, delta: float | None, hdr_mass: float | None) -> CoinRule:
    """The rule by what a person gave: δ, or a mass, or the default without either.

    Raises RefusedInputError for both: only one of them can decide.
    """
    if delta is not None and hdr_mass is not None:
        raise RefusedInputError(
            f"expected δ or an HDR mass, got both ({delta} and {hdr_mass}): choose the one that shall decide"
        )
    if hdr_mass is not None:
        return CoinRule(hdr_mass, None)
    return CoinRule() if delta is None else CoinRule(delta=delta)


def is_outside(probabilities: ArrayLike, log_delta: ArrayLike) -> NDArray[np.bool_]:
    """Whether answers of these probabilities δ-hallucinate: f <= δ, decided in logs.

    Args:
        probabilities: any shape.
        log_delta: threshold, nats; a shape that broadcasts.
    """
    return log_probability(np.asarray(probabilities, dtype=float)) <= np.asarray(log_delta)


def log_probability(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """In nats; −inf for a probability of 0."""
    with np.errstate(divide="ignore"):
        return np.log(probabilities)


def _check_number(name: str, value: object) -> None:
    if not isinstance(value, int | float | np.integer | np.floating) or isinstance(value, bool):
        raise RefusedInputError(f"expected {name} as a number, got {value!r}: write one such as 0.3")
