"""Mixtures whose every latent state is Gaussian: the setting of Theorems 5.1 to 5.3 of [LHZSL]."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import solve_triangular

from hallulab.errors import RefusedInputError

WEIGHT_SUM_TOLERANCE = 1e-9
SYMMETRY_TOLERANCE = 1e-9
"""largest |Σ − Σᵀ| as a share of the largest |Σ|: what rounding may leave of symmetry"""
LOG_TWO_PI = float(np.log(2 * np.pi))


@dataclass(frozen=True, eq=False)
class GaussianMixture:
    """A(X; Z_i) = N(μ_i, Σ_i), drawn with probability p_i, at one input X (Def. 3.1 and 4.1 of [LHZSL]).

    Arrays or nested lists are accepted, and kept as locked float64 copies. A weight of 0 is accepted: such a state is
    never drawn and adds nothing to the marginal or to A*, but keeps its f_i, because Def. 4.2 asks for every state.

    Raises RefusedInputError for shapes that do not fit together, NaN or infinity, weights that are negative or do not
    sum to 1, and a covariance that is not symmetric positive definite.
    """

    weights: NDArray[np.float64]
    """p_i, shape (n_states,)"""
    means: NDArray[np.float64]
    """μ_i, shape (n_states, n_dimensions)"""
    covariances: NDArray[np.float64]
    """Σ_i, shape (n_states, n_dimensions, n_dimensions)"""

    def __post_init__(self) -> None:
        for name in ("weights", "means", "covariances"):
            object.__setattr__(self, name, _locked_copy(name, getattr(self, name)))
        _check_shapes(self.weights, self.means, self.covariances)
        _check_weights(self.weights)
        for state, covariance in enumerate(self.covariances):
            _check_symmetry(state, covariance)
        # refuse at construction what no later call could use
        _ = self.cholesky_factors

    def to_json(self) -> dict[str, Any]:
        """Weights, means and covariances as nested lists."""
        return {
            "weights": self.weights.tolist(),
            "means": self.means.tolist(),
            "covariances": self.covariances.tolist(),
        }

    @property
    def n_states(self) -> int:
        """N."""
        return len(self.weights)

    @property
    def n_dimensions(self) -> int:
        """d_a, the dimension of a target."""
        return self.means.shape[1]

    @cached_property
    def cholesky_factors(self) -> NDArray[np.float64]:
        """Lower triangular L_i with L_i L_iᵀ = Σ_i, shape (n_states, n_dimensions, n_dimensions)."""
        factors = np.empty_like(self.covariances)
        for state, covariance in enumerate(self.covariances):
            factors[state] = _cholesky(state, covariance)
        factors.flags.writeable = False
        return factors

    @cached_property
    def log_determinants(self) -> NDArray[np.float64]:
        """ln det Σ_i, shape (n_states,)."""
        return 2 * np.log(np.diagonal(self.cholesky_factors, axis1=1, axis2=2)).sum(axis=1)

    @cached_property
    def log_peaks(self) -> NDArray[np.float64]:
        """log f_i(μ_i), the largest value of each log f_i, shape (n_states,), nats."""
        return -(self.n_dimensions * LOG_TWO_PI + self.log_determinants) / 2

    @property
    def optimal_estimator(self) -> NDArray[np.float64]:
        """A* = E[A(X)] = Σ p_i μ_i, what minimises the expected quadratic loss (Lemma B.1), shape (n_dimensions,)."""
        return self.weights @ self.means

    def log_densities(self, points: ArrayLike) -> NDArray[np.float64]:
        """log f_i of every point under every state.

        Args:
            points: shape (n, n_dimensions).

        Returns: shape (n, n_states), nats.
        Raises RefusedInputError for another shape, NaN or infinity.
        """
        return self.log_peaks - self.squared_distances(points) / 2

    def squared_distances(self, points: ArrayLike) -> NDArray[np.float64]:
        """Squared Mahalanobis distances (a − μ_i)ᵀ Σ_i⁻¹ (a − μ_i).

        Args and errors: as `log_densities`.

        Returns: shape (n, n_states).
        """
        rows = self.checked_points(points)
        distances = np.empty((len(rows), self.n_states), order="F")
        with np.errstate(over="ignore"):  # a point too far to square has density 0
            for state, (mean, factor) in enumerate(zip(self.means, self.cholesky_factors, strict=True)):
                whitened = solve_triangular(factor, (rows - mean).T, lower=True, check_finite=False)
                np.einsum("dn,dn->n", whitened, whitened, out=distances[:, state])
        return distances

    def log_marginal(self, points: ArrayLike) -> NDArray[np.float64]:
        """log Σ p_i f_i, the density of A(X) with the latent state averaged out.

        Args and errors: as `log_densities`.

        Returns: shape (n,), nats.
        """
        return self.marginal_of(self.log_densities(points))

    def marginal_of(self, log_densities: NDArray[np.float64]) -> NDArray[np.float64]:
        """log Σ p_i f_i from log-densities that are already known: (n, n_states) → (n,), nats."""
        drawn = self.weights > 0
        joint = log_densities[:, drawn] + np.log(self.weights[drawn])
        # scipy's logsumexp takes ten times as long; where every f_i underflows to 0, so does the sum
        highest = joint.max(axis=1)
        shift = np.where(np.isfinite(highest), highest, 0.0)
        with np.errstate(divide="ignore"):
            return shift + np.log(np.exp(joint - shift[:, None]).sum(axis=1))

    def sample(self, n: int, *, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """Independent draws of A(X), each with the latent state that made it.

        Args:
            n: how many, 0 or more.

        Returns: points, shape (n, n_dimensions), and states, shape (n,).
        Raises RefusedInputError for a negative n.
        """
        if n < 0:
            raise RefusedInputError(f"expected 0 draws or more, got {n}")
        states = rng.choice(self.n_states, size=n, p=self.weights)
        points = rng.standard_normal((n, self.n_dimensions))
        for state in np.unique(states):
            rows = states == state
            points[rows] = self.means[state] + points[rows] @ self.cholesky_factors[state].T
        return points, states

    def checked_points(self, points: ArrayLike) -> NDArray[np.float64]:
        """`points` as float64, if they are finite and of shape (n, n_dimensions).

        Raises RefusedInputError otherwise.
        """
        rows = np.asarray(points, dtype=float)
        if rows.ndim != 2 or rows.shape[1] != self.n_dimensions:
            raise RefusedInputError(f"expected points of shape (n, {self.n_dimensions}), got {rows.shape}")
        if not np.isfinite(rows).all():
            raise RefusedInputError("expected finite points: leave missing ones out and count them")
        return rows


def _locked_copy(name: str, values: ArrayLike) -> NDArray[np.float64]:
    try:
        copy = np.array(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise RefusedInputError(f"expected {name} as numbers in rows of equal length: {error}") from error
    if not np.isfinite(copy).all():
        raise RefusedInputError(f"expected finite {name}, got NaN or infinity")
    copy.flags.writeable = False
    return copy


def _check_shapes(weights: NDArray, means: NDArray, covariances: NDArray) -> None:
    if weights.ndim != 1 or not len(weights):
        raise RefusedInputError(f"need at least one state, got weights of shape {weights.shape}")
    if means.ndim != 2 or len(means) != len(weights) or not means.shape[1]:
        raise RefusedInputError(
            f"expected means of shape ({len(weights)}, n_dimensions), one row per weight, got {means.shape}"
        )
    expected = (*means.shape, means.shape[1])
    if covariances.shape != expected:
        raise RefusedInputError(f"expected covariances of shape {expected}, got {covariances.shape}")


def _check_weights(weights: NDArray) -> None:
    if (weights < 0).any():
        raise RefusedInputError(f"expected weights of 0 or more, got {weights.min():g}")
    if abs(weights.sum() - 1) > WEIGHT_SUM_TOLERANCE:
        raise RefusedInputError(
            f"expected weights that sum to 1, got a sum of {weights.sum():.10g}: divide them by it"
        )


def _check_symmetry(state: int, covariance: NDArray) -> None:
    if np.abs(covariance - covariance.T).max() > SYMMETRY_TOLERANCE * np.abs(covariance).max():
        raise RefusedInputError(f"expected a symmetric covariance, got one for state {state} that is not")


def _cholesky(state: int, covariance: NDArray) -> NDArray[np.float64]:
    try:
        return np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError as error:
        lowest = np.linalg.eigvalsh(covariance)[0]
        raise RefusedInputError(
            f"expected positive definite covariances, but that of state {state} has the eigenvalue {lowest:.3g}: "
            "give every direction a variance above 0"
        ) from error
