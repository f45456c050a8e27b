"""What a construction of [LHZSL] is asked to build, refused in words where its theorem does not cover it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hallulab.errors import RefusedInputError
from hallulab.theory.delta import log_delta_of
from hallulab.theory.gaussians import WEIGHT_SUM_TOLERANCE

Theorem = Literal["5.1", "5.2", "5.2.1", "5.3", "C.1"]
Version = Literal["as_written", "repaired", "nonempty"]

ONLY_IN = {
    "covariances": ("5.1", "C.1"),
    "epsilon": ("5.2", "5.2.1"),
    "n_inputs": ("5.2.1",),
    "lipschitz": ("5.3",),
    "hint_norms": ("5.3",),
}
"""settings that only some theorems have"""
LARGEST_ARRAY = 2**26
"""numbers in all covariances of one construction together"""


@dataclass(frozen=True, eq=False)
class Construction:
    """What to build.

    Raises RefusedInputError for a choice that the theorem, or its version, does not cover.
    """

    theorem: Theorem = "5.1"
    version: Version = "repaired"
    n_states: int = 2
    """N"""
    n_dimensions: int | None = None
    """d_a; when not given 2, and for C.1 always N"""
    weights: Sequence[float] | None = None
    """p_i, each above 0; equal when not given, and for C.1 always"""
    delta: float = 0.1
    """δ; in the version as written at most 1"""
    covariances: ArrayLike | None = None
    """5.1: Σ_i of the states before the last, as one variance, as N − 1 variances, or of shape (N − 1, d, d).
    C.1: the variance d of every state. When not given, the construction chooses"""
    epsilon: float = 0.5
    """5.2 and 5.2.1: how far from A* an estimator may be"""
    n_inputs: int = 3
    """5.2.1: how many inputs"""
    lipschitz: float = 1.0
    """5.3: L"""
    hint_norms: float | Sequence[float] = 1.0
    """5.3: ‖δ_i‖, one for all states or one per state"""

    def __post_init__(self) -> None:
        _check_choice("theorem", self.theorem, get_args(Theorem))
        _check_choice("version", self.version, get_args(Version))
        _check_count("n_states", self.n_states)
        _check_count("n_dimensions", self.dimensions)
        _check_count("n_inputs", self.n_inputs)
        _check_length("epsilon", self.epsilon)
        _check_length("lipschitz", self.lipschitz)
        log_delta_of(self.delta)
        self._check_delta_as_written()
        self._check_enough_states()
        if self.theorem == "C.1" and self.dimensions != self.n_states:
            raise RefusedInputError(
                "Theorem C.1 puts state i at the one-hot vector e_i: expected n_dimensions = n_states = "
                f"{self.n_states}, got {self.dimensions}"
            )
        n_numbers = self.n_states * self.dimensions**2 * (self.n_inputs if self.theorem == "5.2.1" else 1)
        if n_numbers > LARGEST_ARRAY:
            raise RefusedInputError(
                f"expected at most {LARGEST_ARRAY:,} numbers in all covariances together, got {n_numbers:,}: "
                "take fewer states, dimensions or inputs"
            )
        # refused here rather than by the construction
        _ = self.probabilities, self.hints

    @property
    def dimensions(self) -> int:
        """d_a."""
        if self.n_dimensions is not None:
            return self.n_dimensions
        return self.n_states if self.theorem == "C.1" else 2

    @property
    def log_delta(self) -> float:
        """log δ, nats."""
        return math.log(self.delta)

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """p_i, shape (n_states,)."""
        equal = np.full(self.n_states, 1 / self.n_states)
        if self.weights is None:
            return equal
        weights = _numbers("weights", self.weights)
        if weights.shape != (self.n_states,):
            raise RefusedInputError(
                f"expected {self.n_states} weights, one per state, got {weights.size}: {self.weights}"
            )
        if not (weights > 0).all():
            raise RefusedInputError(
                f"expected weights above 0, got {weights.min():g}: leave out a state that is never drawn"
            )
        if abs(weights.sum() - 1) > WEIGHT_SUM_TOLERANCE:
            raise RefusedInputError(f"expected weights that sum to 1, got a sum of {weights.sum():.10g}")
        if self.theorem == "C.1" and np.abs(weights - equal).max() > WEIGHT_SUM_TOLERANCE:
            raise RefusedInputError(f"Theorem C.1 is about equal weights 1/N, got {self.weights}")
        return weights / weights.sum()

    @property
    def hints(self) -> NDArray[np.float64]:
        """‖δ_i‖, shape (n_states,)."""
        norms = _numbers("hint_norms", self.hint_norms)
        if norms.shape not in ((), (self.n_states,)):
            raise RefusedInputError(
                f"expected one hint norm, or {self.n_states}, one per state, got {norms.size}"
            )
        if (norms < 0).any():
            raise RefusedInputError(f"expected hint norms of 0 or more, got {norms.min():g}")
        return np.broadcast_to(norms, (self.n_states,))

    def _check_delta_as_written(self) -> None:
        if self.version != "as_written":
            return
        if self.theorem == "C.1" and self.delta >= 1:
            raise RefusedInputError(
                "Theorem C.1 as written allows variances up to −(N − 1)/(N ln δ²), which is positive for δ < 1 only, "
                f"got δ = {self.delta}: take the repaired version"
            )
        if self.delta > 1:
            raise RefusedInputError(
                f"the paper takes δ in (0, 1], got {self.delta}: take the repaired version, which accepts any δ > 0"
            )

    def _check_enough_states(self) -> None:
        if self.n_states == 1 and (self.theorem != "5.1" or self.version == "nonempty"):
            raise RefusedInputError(
                f"expected at least 2 states for Theorem {self.theorem}, version {self.version}: with one, A* is its "
                "mean, where its density is largest; take Theorem 5.1, whose single state can be spread out"
            )


def chosen(theorem: str, choices: dict[str, Any]) -> Construction:
    """The settings of one theorem.

    Args:
        theorem: its number in [LHZSL].
        choices: fields of `Construction`; n_states is the number of weights where only these are given.

    Raises RefusedInputError for an unknown field, for one that this theorem does not have, and as `Construction`.
    """
    known = {field.name for field in fields(Construction)} - {"theorem"}
    for name in choices:
        if name not in known:
            raise RefusedInputError(f"expected choices among {sorted(known)}, got {name!r}")
        if theorem not in ONLY_IN.get(name, get_args(Theorem)):
            raise RefusedInputError(
                f"Theorem {theorem} has no {name}: expected it with {' or '.join(ONLY_IN[name])} only"
            )
    if choices.get("weights") is not None and "n_states" not in choices:
        choices = choices | {"n_states": np.size(choices["weights"])}
    return Construction(theorem, **choices)  # pyright: ignore[reportArgumentType]  # checked as it is made


def _check_choice(name: str, value: object, known: Sequence[str]) -> None:
    if value not in known:
        raise RefusedInputError(f"expected {name} {', '.join(known[:-1])} or {known[-1]}, got {value!r}")


def _check_count(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise RefusedInputError(f"expected {name} as a whole number from 1, got {value!r}")


def _check_length(name: str, value: float) -> None:
    if not (math.isfinite(value) and value >= 0):
        raise RefusedInputError(f"expected {name} of 0 or more, got {value}")


def _numbers(name: str, values: ArrayLike) -> NDArray[np.float64]:
    try:
        numbers = np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise RefusedInputError(f"expected {name} as numbers, got {values!r}") from error
    if not np.isfinite(numbers).all():
        raise RefusedInputError(f"expected finite {name}, got {values}")
    return numbers
