"""Log-densities of many embeddings at once: a fitted feature chain and its mixtures folded into a few products."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import Pipeline

ROWS_AT_ONCE = 4096
"""embeddings per pass: what a pass makes stays in the processor's cache"""


@dataclass(frozen=True)
class FoldedScores:
    """log f_i as matrix products: x/|x| → affine map → squares against every component → log-sum-exp per state.

    A diagonal Gaussian's exponent is −½ Σ (z − m)² p = −½ (z² · p) + z · (m p) − ½ Σ m² p, with precisions p: so the
    components of all states are two products of z² and z. Equal to scikit-learn's chain and `score_samples` up to
    rounding.
    """

    matrix: NDArray[np.float64]
    """(d, n_kept): PCA's axes, divided by the z-score's scale"""
    shift: NDArray[np.float64]
    """(n_kept,): added after the product"""
    quadratic: NDArray[np.float64]
    """(n_kept, n_all): −½ precision of every component of every state"""
    linear: NDArray[np.float64]
    """(n_kept, n_all): mean times precision"""
    constant: NDArray[np.float64]
    """(n_all,): everything of a component's weighted log-density that does not depend on the embedding, nats"""
    first_components: NDArray[np.int_]
    """(n_states,): where each state's components start"""

    @classmethod
    def of(cls, chain: Pipeline, mixtures: Sequence[GaussianMixture]) -> "FoldedScores":
        """Fold a fitted Normalizer → PCA → StandardScaler and one diagonal mixture per state."""
        _, pca, scaler = (step for _, step in chain.steps)
        parts: list[Any] = list(mixtures)  # scikit-learn sets their fitted arrays at run time
        means = np.concatenate([mixture.means_ for mixture in parts])  # (n_all, n_kept)
        variances = np.concatenate([mixture.covariances_ for mixture in parts])
        weights = np.concatenate([mixture.weights_ for mixture in parts])
        normaliser = np.log(weights) - 0.5 * np.log(2 * np.pi * variances).sum(axis=1)
        return cls(
            matrix=pca.components_.T / scaler.scale_,
            shift=-(pca.mean_ @ pca.components_.T + scaler.mean_) / scaler.scale_,
            quadratic=-0.5 / variances.T,
            linear=(means / variances).T,
            constant=normaliser - 0.5 * (means**2 / variances).sum(axis=1),
            first_components=np.cumsum([0, *(len(mixture.weights_) for mixture in parts[:-1])]),
        )

    def features(self, embeddings: NDArray[Any]) -> NDArray[np.float64]:
        """(n, n_kept) z-scored principal components of (n, d) embeddings, each scaled to length 1 first."""
        return _in_passes(self._features, embeddings, self.matrix.shape[1])

    def log_densities(self, embeddings: NDArray[Any]) -> NDArray[np.float64]:
        """(n, n_states) nats of (n, d) embeddings, each scaled to length 1 first."""
        return _in_passes(
            lambda rows: self._densities(self._features(rows)), embeddings, len(self.first_components)
        )

    def log_densities_of_features(self, features: NDArray[Any]) -> NDArray[np.float64]:
        """(n, n_states) nats of (n, n_kept) points of the space that `features` maps into."""
        return _in_passes(self._densities, features, len(self.first_components))

    def _features(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        lengths = np.sqrt(np.einsum("nd,nd->n", rows, rows))
        lengths[lengths == 0] = 1  # as scikit-learn's Normalizer does
        reduced = rows @ self.matrix  # (n, n_kept)
        reduced /= lengths[:, None]
        reduced += self.shift
        return reduced

    def _densities(self, reduced: NDArray[np.float64]) -> NDArray[np.float64]:
        """Overwrites what it is given."""
        weighted = reduced @ self.linear  # (n, n_all)
        np.square(reduced, out=reduced)
        weighted += reduced @ self.quadratic
        weighted += self.constant
        highest = np.maximum.reduceat(weighted, self.first_components, axis=1)  # (n, n_states)
        counts = np.diff([*self.first_components, weighted.shape[1]])
        weighted -= np.repeat(highest, counts, axis=1)
        np.exp(weighted, out=weighted)
        return np.log(np.add.reduceat(weighted, self.first_components, axis=1)) + highest


def _in_passes(
    function: Callable[[NDArray[np.float64]], NDArray[np.float64]], rows: NDArray[Any], width: int
) -> NDArray[np.float64]:
    """`function` of a few rows at a time, its (n, width) results one below the other."""
    found = np.empty((len(rows), width))
    for start in range(0, len(rows), ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        found[part] = function(rows[part].astype(np.float64))
    return found
