"""From embeddings to verdicts: L2 → PCA → z-score → one diagonal mixture per state → HCDR ([LHZSL] 7.3)."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler

from hallulab.densities.folded_scores import FoldedScores
from hallulab.densities.hcdr import HcdrFrame, ThresholdRule, Verdict
from hallulab.errors import RefusedInputError
from hallulab.theory.regions import check_mass

FRAME_FILE = "frame.json"
ARRAYS_FILE = "frame.safetensors"
MIN_FIT = 10
"""fewest images of a state that its mixture is fitted on"""
MIN_PER_COMPONENT = 5
"""fewest images per Gaussian: fewer would let it collapse onto them"""
MAX_SEED = 2**32 - 1


@dataclass(frozen=True)
class FrameSettings:
    """How a frame is fitted; defaults are the paper's ([LHZSL] 7.3)."""

    pca_dimension: int | None = None
    """principal components kept; None keeps the paper's 128, or all there are when there are fewer"""
    max_components: int = 6
    """most mixture components per state"""
    images_per_component: int = 200
    """fit images per mixture component, between 2 and `max_components` components"""
    covariance_floor: float = 1e-3
    """added to every variance of the mixtures, z-scored units squared"""
    held_out_share: float = 0.2
    """share of each state's images kept for its threshold, never fitted on"""
    min_held_out: int = 10
    """fewest held-out images a threshold may rest on"""
    hdr_mass: float = 0.9
    """share of genuine images that belong inside"""
    threshold_rule: ThresholdRule = "percentile"
    """how held-out log-densities become a threshold"""
    seed: int = 0
    """of the split and the mixtures"""

    def __post_init__(self) -> None:
        if not 0 < self.held_out_share < 1:
            raise RefusedInputError(
                f"expected a held-out share between 0 and 1, such as 0.2, got {self.held_out_share}"
            )
        for name in ("max_components", "images_per_component", "min_held_out"):
            if getattr(self, name) < 1:
                raise RefusedInputError(
                    f"expected {name.replace('_', ' ')} of at least 1, got {getattr(self, name)}"
                )
        if self.pca_dimension is not None and self.pca_dimension < 1:
            raise RefusedInputError(f"expected a PCA dimension of at least 1, got {self.pca_dimension}")
        if not 0 <= self.covariance_floor < math.inf:
            raise RefusedInputError(f"expected a covariance floor of at least 0, got {self.covariance_floor}")
        if not 0 <= self.seed <= MAX_SEED:
            raise RefusedInputError(f"expected a seed from 0 to {MAX_SEED}, got {self.seed}")
        check_mass(self.hdr_mass)

    @property
    def min_images(self) -> int:
        """Fewest images a state needs, to fit on and to hold out."""
        return math.ceil(max(self.min_held_out / self.held_out_share, MIN_FIT / (1 - self.held_out_share)))

    def n_components(self, n_fit: int) -> int:
        """Components of a mixture fitted on this many images."""
        return min(self.max_components, max(2, n_fit // self.images_per_component))


@dataclass(frozen=True)
class FeatureFrame:
    """A fitted feature chain, one mixture per state, and the HCDR frame of their held-out log-densities."""

    chain: Pipeline
    """Normalizer → PCA → StandardScaler, fitted on the fit split alone"""
    mixtures: Mapping[str, GaussianMixture]
    """per state, in the order of `hcdr.states`"""
    hcdr: HcdrFrame
    n_fit: Mapping[str, int]
    """fit images per state"""
    embedder: str
    """what made the embeddings; a frame scores no other embedder's"""
    settings: FrameSettings

    @classmethod
    def fit(
        cls, embeddings: ArrayLike, labels: ArrayLike, settings: FrameSettings, *, embedder: str
    ) -> "FeatureFrame":
        """Fit a frame on genuine images; nothing of the held-out part reaches PCA, z-score or mixtures.

        Args:
            embeddings: shape (n, d), not yet normalised.
            labels: the state of each image, shape (n,), at least one state.
            settings: how to fit.
            embedder: identity of the model that made the embeddings.

        Raises RefusedInputError for a state with too few images (and says how many are needed), for
        embeddings that are not finite, or for more principal components than there are.
        """
        features, states = _checked_embeddings(embeddings), np.asarray(labels).astype(str)
        if states.shape != (len(features),):
            raise RefusedInputError(
                f"expected one label per embedding, got {states.shape} for {features.shape}"
            )
        names, counts = np.unique(states, return_counts=True)
        check_counts(dict(zip(names.tolist(), counts.tolist(), strict=True)), settings)
        fit_rows, held_out_rows = split_rows(states, settings)
        chain = _fitted_chain(features[fit_rows], settings)
        reduced = chain.transform(features)
        names = tuple(names.tolist())
        fit_of = {name: fit_rows[states[fit_rows] == name] for name in names}
        held_out_of = {name: held_out_rows[states[held_out_rows] == name] for name in names}
        mixtures = {name: _fitted_mixture(reduced[fit_of[name]], settings) for name in names}
        hcdr = HcdrFrame(
            names,
            tuple(mixtures[name].score_samples(reduced[held_out_of[name]]) for name in names),
            settings.hdr_mass,
            settings.threshold_rule,
        )
        n_fit = {name: len(rows) for name, rows in fit_of.items()}
        return cls(chain, mixtures, hcdr, n_fit, embedder, settings)

    @property
    def states(self) -> tuple[str, ...]:
        """The latent states, sorted."""
        return self.hcdr.states

    @property
    def n_held_out(self) -> dict[str, int]:
        """Held-out images per state."""
        samples = zip(self.states, self.hcdr.genuine_log_densities, strict=True)
        return {state: len(sample) for state, sample in samples}

    def features(self, embeddings: ArrayLike) -> NDArray[np.float64]:
        """φ of [LHZSL] 7.3: each embedding scaled to length 1, projected, z-scored.

        Args:
            embeddings: shape (n, d).

        Returns: shape (n, n_kept).
        Raises RefusedInputError for embeddings that are not finite or of another width.
        """
        return self._folded.features(self._checked(embeddings))

    def log_densities(self, embeddings: ArrayLike) -> NDArray[np.float64]:
        """log f_i of every embedding under every state.

        Args:
            embeddings: shape (n, d).

        Returns: shape (n, n_states), nats, in the chain's z-scored space.
        Raises RefusedInputError for embeddings that are not finite or of another width.
        """
        return self._folded.log_densities(self._checked(embeddings))

    def log_densities_of_features(self, features: ArrayLike) -> NDArray[np.float64]:
        """log f_i at points of the space that `features` maps into, such as the mean of several images there.

        Args:
            features: shape (n, n_kept).

        Returns: shape (n, n_states), nats.
        Raises RefusedInputError for points that are not finite or of another width.
        """
        points = np.asarray(features, dtype=np.float64)
        _refuse_unusable(points)
        pca: Any = self.chain[1]
        expected = len(pca.components_)
        if points.shape[1] != expected:
            raise RefusedInputError(
                f"expected features of this frame, of width {expected}, got width {points.shape[1]}"
            )
        return self._folded.log_densities_of_features(points)

    def _checked(self, embeddings: ArrayLike) -> NDArray[Any]:
        rows = np.asarray(embeddings)
        _refuse_unusable(rows)
        expected = self.chain[1].n_features_in_
        if rows.shape[1] != expected:
            raise RefusedInputError(
                f"this frame was fitted on embeddings of width {expected}, got width {rows.shape[1]}: "
                f"use the embedder it names ({self.embedder})"
            )
        return rows

    def margins(self, embeddings: ArrayLike) -> NDArray[np.float64]:
        """Nats above the nearest threshold, shape (n,), of (n, d) embeddings; positive is inside some region."""
        return (self.log_densities(embeddings) - self.hcdr.thresholds).max(axis=1)

    @cached_property
    def _folded(self) -> FoldedScores:
        return FoldedScores.of(self.chain, [self.mixtures[state] for state in self.states])

    def decide(self, embeddings: ArrayLike) -> list[Verdict]:
        """One verdict per embedding, shape (n, d)."""
        return self.hcdr.decide(self.log_densities(embeddings))

    def with_mass(self, hdr_mass: float) -> "FeatureFrame":
        """The same frame at another mass; nothing is fitted again."""
        return replace(self, hcdr=self.hcdr.with_mass(hdr_mass))

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 over all fitted arrays and settings, first 16 hexadecimal digits."""
        digest = hashlib.sha256(json.dumps(self._description(), sort_keys=True).encode())
        for name, array in sorted(self._arrays().items()):
            digest.update(name.encode() + np.ascontiguousarray(array, dtype="<f8").tobytes())
        return digest.hexdigest()[:16]

    def save(self, folder: Path | str) -> None:
        """Write `frame.json` and `frame.safetensors` into a folder, made if need be."""
        root = Path(folder)
        root.mkdir(parents=True, exist_ok=True)
        save_file(self._arrays(), root / ARRAYS_FILE)
        description = self._description() | {"content_hash": self.content_hash}
        (root / FRAME_FILE).write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path | str) -> "FeatureFrame":
        """Read a saved frame.

        Raises RefusedInputError when there is none, or when its files are damaged or do not belong together.
        """
        root = Path(folder)
        if not (root / FRAME_FILE).is_file():
            raise RefusedInputError(f"expected a frame folder with {FRAME_FILE}, found none at {root}")
        try:
            description = json.loads((root / FRAME_FILE).read_text(encoding="utf-8"))
            frame = cls._restored(description, load_file(root / ARRAYS_FILE))
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise RefusedInputError(f"the frame at {root} is damaged ({error}): fit it again") from error
        if frame.content_hash != description.get("content_hash"):
            raise RefusedInputError(f"the frame at {root} does not match its content hash: fit it again")
        return frame

    def _description(self) -> dict[str, Any]:
        return {
            "states": list(self.states),
            "n_fit": dict(self.n_fit),
            "embedder": self.embedder,
            "settings": asdict(self.settings),
            "hdr_mass": self.hcdr.hdr_mass,
            "threshold_rule": self.hcdr.threshold_rule,
        }

    def _arrays(self) -> dict[str, NDArray[np.float64]]:
        _, pca, scaler = (step for _, step in self.chain.steps)
        arrays = {
            "pca.mean": pca.mean_, "pca.components": pca.components_,
            "scaler.mean": scaler.mean_, "scaler.scale": scaler.scale_,
        }  # fmt: skip
        for index, (state, sample) in enumerate(
            zip(self.states, self.hcdr.genuine_log_densities, strict=True)
        ):
            mixture = self.mixtures[state]
            arrays[f"{index}.weights"] = mixture.weights_
            arrays[f"{index}.means"] = mixture.means_
            arrays[f"{index}.variances"] = mixture.covariances_
            arrays[f"{index}.held_out"] = sample
        return {name: np.ascontiguousarray(array, dtype=np.float64) for name, array in arrays.items()}

    @classmethod
    def _restored(cls, description: dict[str, Any], arrays: dict[str, np.ndarray]) -> "FeatureFrame":
        states = tuple(description["states"])
        settings = FrameSettings(**description["settings"])
        mixtures = {
            state: _mixture_of(*(arrays[f"{index}.{part}"] for part in ("weights", "means", "variances")))
            for index, state in enumerate(states)
        }
        hcdr = HcdrFrame(
            states,
            tuple(arrays[f"{index}.held_out"] for index in range(len(states))),
            description["hdr_mass"],
            description["threshold_rule"],
        )
        return cls(_chain_of(arrays), mixtures, hcdr, description["n_fit"], description["embedder"], settings)


def split_rows(states: ArrayLike, settings: FrameSettings) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """The rows a frame is fitted on and the rows it holds out, stratified by state; the seed decides."""
    labels = np.asarray(states)
    fit_rows, held_out_rows = train_test_split(
        np.arange(len(labels)),
        test_size=settings.held_out_share, stratify=labels, random_state=settings.seed,
    )  # fmt: skip
    return np.asarray(fit_rows), np.asarray(held_out_rows)


def _checked_embeddings(embeddings: ArrayLike) -> NDArray[np.float64]:
    features = np.asarray(embeddings, dtype=np.float64)
    _refuse_unusable(features)
    return features


def _refuse_unusable(features: NDArray[Any]) -> None:
    if features.ndim != 2:
        raise RefusedInputError(f"expected embeddings of shape (n, d), got {features.shape}")
    if not np.isfinite(features).all():
        raise RefusedInputError("expected finite embeddings: leave a broken image out and count it")


def check_counts(n_per_state: Mapping[str, int], settings: FrameSettings) -> None:
    """Refuse states with too few images for the split or for the Gaussians, saying how many are needed."""
    too_small = [f"{state} has {n}" for state, n in n_per_state.items() if n < settings.min_images]
    if too_small:
        raise RefusedInputError(
            f"a frame needs at least {settings.min_images} images per state "
            f"({settings.min_held_out} of them held out for the threshold, {MIN_FIT} fitted on, at a held-out share of "
            f"{settings.held_out_share:g}), but {', '.join(too_small)}: add images"
        )
    for state, n in n_per_state.items():
        n_fit = n - math.ceil(n * settings.held_out_share)
        n_components = settings.n_components(n_fit)
        if n_components * MIN_PER_COMPONENT > n_fit:
            raise RefusedInputError(
                f"expected at least {MIN_PER_COMPONENT} images to fit each Gaussian on, got {n_fit} of {state} for "
                f"{n_components} of them, which would stand on single images and call new ones strange: allow fewer "
                "Gaussians, or add images"
            )


def _fitted_chain(features: NDArray[np.float64], settings: FrameSettings) -> Pipeline:
    available = min(features.shape[0] - 1, features.shape[1])
    dimension = min(128, available) if settings.pca_dimension is None else settings.pca_dimension
    if not 1 <= dimension <= available:
        raise RefusedInputError(
            f"expected a PCA dimension from 1 to {available} (images to fit on, width), got {dimension}"
        )
    pca = PCA(dimension, svd_solver="full")
    return make_pipeline(Normalizer(), pca, StandardScaler()).fit(features)


def _fitted_mixture(reduced: NDArray[np.float64], settings: FrameSettings) -> GaussianMixture:
    n_components = settings.n_components(len(reduced))
    return GaussianMixture(
        n_components,
        covariance_type="diag",
        reg_covar=settings.covariance_floor,
        max_iter=500,
        random_state=settings.seed,
    ).fit(reduced)


def _chain_of(arrays: dict[str, np.ndarray]) -> Pipeline:
    components = arrays["pca.components"]
    pca = PCA(len(components))
    pca.mean_, pca.components_ = arrays["pca.mean"], components
    pca.n_components_, pca.n_features_in_ = components.shape  # pyright: ignore[reportAttributeAccessIssue]
    pca.explained_variance_ = np.ones(
        len(components)
    )  # read only when whitening, which this chain never does
    scaler = StandardScaler()
    scaler.mean_, scaler.scale_ = arrays["scaler.mean"], arrays["scaler.scale"]
    scaler.var_ = scaler.scale_**2
    scaler.n_features_in_ = len(scaler.scale_)  # pyright: ignore[reportAttributeAccessIssue]
    return make_pipeline(Normalizer(), pca, scaler)


def _mixture_of(weights: np.ndarray, means: np.ndarray, variances: np.ndarray) -> GaussianMixture:
    mixture = GaussianMixture(len(weights), covariance_type="diag")
    mixture.weights_, mixture.means_, mixture.covariances_ = weights, means, variances
    mixture.precisions_cholesky_ = 1 / np.sqrt(variances)
    mixture.n_features_in_ = means.shape[1]  # pyright: ignore[reportAttributeAccessIssue]
    return mixture
