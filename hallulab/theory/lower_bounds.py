"""Lower bounds on the chance that an optimal estimator must hallucinate (Theorem 6.1 of [LHZSL], and proved ones).

The conditional means μ_i are random and independent around a common mean; A* = Σ p_i μ_i. Every bound is on P_H, the
probability that ‖A* − μ_i‖ > r for every i. `docs/bounds.md` holds the proofs, section by section.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special
from scipy.optimize import minimize_scalar, root_scalar

from hallulab.errors import RefusedInputError
from hallulab.theory.delta import log_delta_of
from hallulab.theory.mean_laws import GaussianMean, MeanLaw, Moments
from hallulab.theory.mean_sums import near_probabilities

WEIGHT_TOLERANCE = 1e-9
N_DISTANCES = 240
"""starting points of the search for the best t of `conditional_bound`"""
N_FACTORS = 400
"""starting points of the search for the best α of `moment_bound`"""
MAX_FACTOR = 1e4
SMALLEST = math.ulp(0.0)
"""stands for a product too small for a float, which is not 0; its logarithm is exact"""


@dataclass(frozen=True)
class MeanSetting:
    """What Theorem 6.1 is asked about."""

    laws: tuple[MeanLaw, ...]
    """of each μ_i − μ_0, per axis"""
    weights: tuple[float, ...]
    """p_i, above 0, summing to 1"""
    radius: float
    """r, of a ball around μ_i that holds U_i^δ; 0 or more"""
    n_dimensions: int = 1
    """of an answer; the axes are independent"""

    def __post_init__(self) -> None:
        checked_weights(self.weights, len(self.laws))
        check_radius(self.radius)
        if self.n_dimensions < 1:
            raise RefusedInputError(f"expected at least one dimension, got {self.n_dimensions}")

    @property
    def n_states(self) -> int:
        """N."""
        return len(self.laws)

    @property
    def moments(self) -> tuple[Moments, ...]:
        """σ_i and K_i of each state."""
        return tuple(law.moments(self.n_dimensions) for law in self.laws)

    @property
    def estimator_spread(self) -> float:
        """d = √(Σ p_j² σ_j), root mean squared distance of A* from μ_0."""
        return estimator_spread(self.moments, self.weights)


@dataclass(frozen=True)
class Bound:
    """A lower bound on P_H, or why there is none."""

    name: str
    value: float | None
    """probability; None where the bound says nothing"""
    reason: str | None = None
    """why it says nothing, a sentence"""
    log_value: float | None = None
    """natural logarithm of the value"""
    is_proved: bool = True
    """whether docs/bounds.md holds a proof for this setting"""


@dataclass(frozen=True)
class PaperState:
    """One factor P_i K_i of Theorem 6.1."""

    variance: float
    """σ_i"""
    fourth_ratio: float
    """K_i"""
    alpha: float | None
    """the α > 1 that makes P_i largest; None where no α > 1 has θ_i(α) <= 1"""
    theta: float | None
    """θ_i at that α"""
    factor: float | None
    """P_i"""


@dataclass(frozen=True)
class PaperBound(Bound):
    """Theorem 6.1 as the paper states it. Proved for N = 2 only (docs/bounds.md, 4)."""

    states: tuple[PaperState, ...] = ()
    estimator_spread: float = math.nan
    """d"""


def paper_bound(moments: Sequence[Moments], weights: ArrayLike, radius: float) -> PaperBound:
    """Π_i P_i K_i with P_i = max over α > 1, θ_i(α) <= 1 of (1 − 1/α²)(1 − θ_i(α))² (Theorem 6.1 of [LHZSL]).

    Args:
        moments: σ_i and K_i of each state.
        weights: p_i, shape (N,).
        radius: r.

    Returns: no value and the reason where some state has no α > 1 with θ_i(α) <= 1: the theorem is silent.
    Raises RefusedInputError for weights that do not sum to 1 or a negative r.
    """
    p, r = checked_weights(weights, len(moments)), check_radius(radius)
    spread = estimator_spread(moments, p)
    states = tuple(_paper_state(moment, spread, r) for moment in moments)
    silent = [index for index, state in enumerate(states, start=1) if state.factor is None]
    if silent:
        root = math.sqrt(states[silent[0] - 1].variance)
        reason = (
            f"the theorem is silent here: no α > 1 has θ_i(α) <= 1 for {_counted(silent)}, since d + r = "
            f"{spread:.4g} + {r:.4g} is not below √σ_{silent[0]} = {root:.4g}"
        )
        return PaperBound("paper", None, reason, is_proved=False, states=states, estimator_spread=spread)
    log_value = sum(math.log(state.factor or 0) + math.log(state.fourth_ratio) for state in states)
    return PaperBound(
        "paper",
        max(math.exp(log_value), SMALLEST),
        log_value=log_value,
        is_proved=len(states) == 2,
        states=states,
        estimator_spread=spread,
    )


def _paper_state(moments: Moments, spread: float, radius: float) -> PaperState:
    sigma, root = moments.variance, math.sqrt(moments.variance)
    largest = (root - radius) / spread
    if not largest > 1 + 1e-12:
        return PaperState(sigma, moments.fourth_ratio, None, None, None)

    def slope(alpha: float) -> float:
        """Derivative of log P_i: a falling term minus a rising one, so that it has one root."""
        reach = alpha * spread + radius
        return 2 / (alpha * (alpha**2 - 1)) - 4 * spread * reach / (sigma - reach**2)

    width = largest - 1
    alpha = float(root_scalar(slope, bracket=(1 + 1e-9 * width, largest - 1e-9 * width), xtol=1e-14).root)
    theta = (alpha * spread + radius) ** 2 / sigma
    return PaperState(sigma, moments.fourth_ratio, alpha, theta, (1 - 1 / alpha**2) * (1 - theta) ** 2)


def union_bound(setting: MeanSetting) -> Bound:
    """1 − Σ_i P(‖A* − μ_i‖ <= r) (docs/bounds.md, 1).

    The marginals are exact for Gaussian means, and bounded from above on a lattice for other laws in one dimension.

    Returns: no value where they sum to 1 or more, or for other laws than Gaussian in several dimensions.
    """
    variances = gaussian_variances(setting.laws)
    if variances is not None:
        return union_of(gaussian_near_probabilities(setting, variances))
    if setting.n_dimensions > 1:
        return Bound(
            "union", None, "exact marginals in several dimensions are known for Gaussian means alone"
        )
    near = near_probabilities(setting.laws, setting.weights, setting.radius)
    return union_of([interval.high for interval in near])


def union_of(near: ArrayLike) -> Bound:
    """The union bound from the probabilities P(‖A* − μ_i‖ <= r), or bounds above them, shape (N,)."""
    total = float(np.sum(near))
    if total >= 1:
        return Bound(
            "union",
            None,
            f"it says nothing here: the N probabilities of being near some mean sum to {total:.4g}",
        )
    return Bound("union", 1 - total, log_value=math.log1p(-total))


def gaussian_near_probabilities(setting: MeanSetting, variances: NDArray[np.float64]) -> NDArray[np.float64]:
    """P(‖A* − μ_i‖ <= r) of Gaussian means with these variances per axis, shape (N,); exact."""
    p = np.asarray(setting.weights)
    spread = np.sum(p**2 * variances) - p**2 * variances + (1 - p) ** 2 * variances
    with np.errstate(divide="ignore", invalid="ignore"):
        squared = np.where(spread > 0, setting.radius**2 / spread, math.inf)
    return special.chdtr(setting.n_dimensions, squared)


def two_state_probability(setting: MeanSetting) -> float | None:
    """P_H itself for two states with Gaussian means: P(‖μ_1 − μ_2‖ > r / min p) (docs/bounds.md, 2).

    Returns: None for another number of states or other laws.
    """
    variances = gaussian_variances(setting.laws)
    if setting.n_states != 2 or variances is None:
        return None
    squared = (setting.radius / min(setting.weights)) ** 2 / variances.sum()
    return float(special.chdtrc(setting.n_dimensions, squared))


def conditional_bound(setting: MeanSetting) -> Bound:
    """The paper's argument repaired: condition on far means, then Chebyshev once (docs/bounds.md, 3).

    The best over t > 0 of Π q_i · (1 − V/t²), q_i = P(‖μ_i − μ_0‖ > r + t), V = E[‖A* − μ_0‖² | all that far].

    Returns: no value where no t tried gives more than 0, or a law has no exact tails in this dimension.
    """
    if any(law.tail(0.0, setting.n_dimensions) is None for law in setting.laws):
        return Bound(
            "conditional", None, "exact tails in several dimensions are known for Gaussian means alone"
        )

    def log_bound(t: float) -> float:
        return _log_conditional(setting, t)

    # at small t the bracket is negative; beyond the means' own reach no mean is that far
    start, furthest = (
        1e-2 * setting.estimator_spread,
        max(math.sqrt(moment.variance) for moment in setting.moments),
    )
    best = _largest(log_bound, np.geomspace(start, 20 * furthest, N_DISTANCES))
    if best == -math.inf:
        return Bound(
            "conditional", None, "it says nothing here: no distance t leaves Chebyshev's factor above 0"
        )
    return _bound_of_log("conditional", best)


def _bound_of_log(name: str, log_value: float) -> Bound:
    value = math.exp(log_value)
    if value == 0:
        return Bound(name, None, f"it says next to nothing here: its natural logarithm is {log_value:.0f}")
    return Bound(name, value, log_value=log_value)


def _log_conditional(setting: MeanSetting, t: float) -> float:
    tails = {law: law.tail(setting.radius + t, setting.n_dimensions) for law in set(setting.laws)}
    log_all_far, spread = 0.0, 0.0
    for law, weight in zip(setting.laws, setting.weights, strict=True):
        tail = tails[law]
        if tail is None or tail.probability <= 0:
            return -math.inf
        log_all_far += math.log(tail.probability)
        spread += weight**2 * tail.second_moment / tail.probability
    left = 1 - spread / t**2
    return log_all_far + math.log(left) if left > 0 else -math.inf


def moment_bound(moments: Sequence[Moments], weights: ArrayLike, radius: float) -> Bound:
    """Theorem 6.1 repaired with its own ingredients, for means symmetric about μ_0 (docs/bounds.md, 3).

    The best over α of Π Q_i · (1 − α⁻² Σ w_i/Q_i), Q_i = K_i (1 − θ_i(α))², w_i = p_i² σ_i / d².

    Args and errors: as `paper_bound`.
    """
    p, r = checked_weights(weights, len(moments)), check_radius(radius)
    sigma = np.array([moment.variance for moment in moments])
    ratio = np.array([moment.fourth_ratio for moment in moments])
    spread = estimator_spread(moments, p)
    shares = p**2 * sigma / spread**2

    def log_bound(alpha: float) -> float:
        theta = (alpha * spread + r) ** 2 / sigma
        if (theta >= 1).any():
            return -math.inf
        far = ratio * (1 - theta) ** 2
        left = 1 - float(np.sum(shares / far)) / alpha**2
        return float(np.log(far).sum()) + math.log(left) if left > 0 else -math.inf

    largest = (math.sqrt(sigma.min()) - r) / spread
    best = -math.inf
    if largest > 1:
        best = _largest(log_bound, np.geomspace(1, min(largest, MAX_FACTOR), N_FACTORS))
    if best == -math.inf:
        return Bound(
            "moments", None, "it says nothing here: no α has every θ_i(α) < 1 and Chebyshev's factor above 0"
        )
    return _bound_of_log("moments", best)


def region_radius(delta: float, covariance: ArrayLike) -> float:
    """r: radius of the smallest ball around μ_i that holds U_i^δ of N(μ_i, Σ), exactly (docs/bounds.md).

    Args:
        delta: δ, above 0.
        covariance: Σ, shape (n, n), or a variance.

    Returns: 0 where δ is above the density's peak and the region is empty.
    Raises RefusedInputError for δ <= 0 or what is not a covariance.
    """
    log_delta = log_delta_of(delta)
    matrix = np.atleast_2d(np.asarray(covariance, dtype=float))
    if matrix.shape != (len(matrix),) * 2 or not np.isfinite(matrix).all():
        raise RefusedInputError(f"expected a finite covariance of shape (n, n), got shape {matrix.shape}")
    if not np.allclose(matrix, matrix.T, rtol=1e-9, atol=0):
        raise RefusedInputError("expected a symmetric covariance, got one that differs from its transpose")
    eigenvalues = np.linalg.eigvalsh(matrix)
    if eigenvalues[0] <= 0:
        raise RefusedInputError(
            f"expected a positive definite covariance, got one with the eigenvalue {eigenvalues[0]:.4g}"
        )
    squared = -2 * log_delta - float(np.log(eigenvalues).sum()) - len(matrix) * math.log(2 * math.pi)
    return math.sqrt(max(squared, 0.0) * eigenvalues[-1])


def checked_weights(weights: ArrayLike, n_states: int) -> NDArray[np.float64]:
    """The weights as an array, shape (N,).

    Raises RefusedInputError unless there is one above 0 for each of at least one state and they sum to 1.
    """
    p = np.asarray(weights, dtype=float)
    if n_states < 1:
        raise RefusedInputError("expected at least one state, got none")
    if p.shape != (n_states,):
        raise RefusedInputError(f"expected {n_states} weights, one per state, got shape {p.shape}")
    if not (np.isfinite(p).all() and (p > 0).all()):
        raise RefusedInputError(
            f"expected weights above 0, got {p.tolist()}: leave out a state that has no weight"
        )
    if abs(p.sum() - 1) > WEIGHT_TOLERANCE:
        raise RefusedInputError(f"expected weights that sum to 1, got a sum of {p.sum():.10g}")
    return p


def check_radius(radius: float) -> float:
    """`radius`, if it is finite and 0 or more.

    Raises RefusedInputError otherwise.
    """
    if not 0 <= radius < math.inf:
        raise RefusedInputError(f"expected a radius r of 0 or more, got {radius}")
    return float(radius)


def estimator_spread(moments: Sequence[Moments], weights: ArrayLike) -> float:
    """d = √(Σ p_j² σ_j)."""
    sigma = np.array([moment.variance for moment in moments])
    return math.sqrt(float(np.sum(np.square(np.asarray(weights, dtype=float)) * sigma)))


def gaussian_variances(laws: Sequence[MeanLaw]) -> NDArray[np.float64] | None:
    """Variances per axis, shape (N,), when all laws are Gaussian."""
    if not all(isinstance(law, GaussianMean) for law in laws):
        return None
    return np.array([law.variance for law in laws])


def _largest(function: Callable[[float], float], points: NDArray[np.float64]) -> float:
    """The largest value found: the best of `points`, then a search between its neighbours."""
    values = [function(float(point)) for point in points]
    best = int(np.argmax(values))
    if values[best] == -math.inf:
        return -math.inf
    bounds = float(points[max(best - 1, 0)]), float(points[min(best + 1, len(points) - 1)])
    refined = minimize_scalar(
        lambda point: -max(function(point), -1e300), bounds=bounds, method="bounded", options={"xatol": 1e-10}
    )
    return max(values[best], -float(refined.fun))


def _counted(states: Sequence[int]) -> str:
    if len(states) == 1:
        return f"state {states[0]}"
    return f"{len(states)} states, the first of them state {states[0]}"
