"""The frame that judges pictures, and the genuine embeddings behind its thresholds ([LHZSL] 7.3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from hallulab.data.image_sets import ImageSet
from hallulab.densities.feature_frame import FeatureFrame, FrameSettings, split_rows
from hallulab.engine.core import Engine
from hallulab.engine.pictures import embed_images
from hallulab.errors import RefusedInputError
from hallulab.models.clip import LoadedClip

HELD_OUT_FILE = "held_out.safetensors"
N_NULL_MEANS = 400
"""Means of K genuine images drawn for the K-matched null."""
NO_FRAME = (
    "no frame to judge with: fit one with `python -m hallulab frame FOLDER --out FRAME` "
    "and name it in the preset"
)


@dataclass(frozen=True)
class PictureFrame:
    """A feature frame and the held-out genuine embeddings behind its thresholds."""

    features: FeatureFrame
    """Feature chain, mixtures and thresholds."""
    held_out: dict[str, NDArray[np.float32]]
    """State → (n_held_out, d) embeddings the frame was not fitted on."""

    @classmethod
    def fit(
        cls, embeddings: NDArray[np.float32], labels: Sequence[str], settings: FrameSettings, *, embedder: str
    ) -> "PictureFrame":
        """Fit the frame on genuine images' (n, d) embeddings and keep what it held out."""
        features = FeatureFrame.fit(embeddings, labels, settings, embedder=embedder)
        states = np.asarray(labels)
        _, rows = split_rows(states, settings)
        return cls(features, {state: embeddings[rows[states[rows] == state]] for state in features.states})

    def save(self, folder: Path) -> None:
        """Write the frame and its held-out embeddings."""
        self.features.save(folder)
        save_file(
            {state: rows.astype(np.float32) for state, rows in self.held_out.items()}, folder / HELD_OUT_FILE
        )

    @classmethod
    def load(cls, folder: Path | str) -> "PictureFrame":
        """Read what `save` wrote; RefusedInputError when it is missing or damaged."""
        features = FeatureFrame.load(folder)
        path = Path(folder) / HELD_OUT_FILE
        try:
            stored = load_file(path)
            return cls(features, {state: stored[state] for state in features.states})
        except (OSError, SafetensorError, KeyError) as error:
            raise RefusedInputError(
                f"expected the held-out embeddings of every state in {path}, cannot read them ({error}): "
                "fit the frame again with `python -m hallulab frame`"
            ) from error

    def genuine_means(self, n_images: int, *, rng: np.random.Generator) -> dict[str, NDArray[np.float64]]:
        """State → (n_null, d) means of `n_images` of its genuine unit embeddings, drawn with replacement."""
        found = {}
        for state in self.features.states:
            genuine = unit_rows(self.held_out[state])
            draws = rng.integers(len(genuine), size=(N_NULL_MEANS, n_images))
            found[state] = genuine[draws].mean(axis=1)
        return found

    def null_means(self, n_images: int, *, rng: np.random.Generator) -> dict[str, NDArray[np.float64]]:
        """State → (n_null,) log-densities, under it, of means of `n_images` of its genuine embeddings."""
        means = self.genuine_means(n_images, rng=rng)
        return {
            state: self.features.log_densities(means[state])[:, column]
            for column, state in enumerate(self.features.states)
        }

    def check_embedder(self, clip: LoadedClip) -> None:
        """Refuse a model whose embeddings mean nothing to this frame."""
        if self.features.embedder != clip.name:
            raise RefusedInputError(
                f"this frame was fitted on embeddings of {self.features.embedder}, got those of {clip.name}: "
                "use that model, or fit a frame for this one with `python -m hallulab frame`"
            )


def frame_of(engine: Engine) -> PictureFrame | None:
    """The frame the engine's preset names, read once; None when it names none."""
    folder = engine.preset.pictures.frame
    return _load_frame(folder) if folder else None


@lru_cache(maxsize=4)
def _load_frame(folder: str) -> PictureFrame:
    return PictureFrame.load(folder)


def embed_image_set(clip: LoadedClip, images: ImageSet, batch_size: int = 64) -> NDArray[np.float32]:
    """(n, d) embeddings of labelled images, few of them in memory at once."""
    starts = range(0, len(images), batch_size)
    batches = (range(start, min(start + batch_size, len(images))) for start in starts)
    return np.concatenate([embed_images(clip, [images.open(index) for index in batch]) for batch in batches])


def frame_report(frame: PictureFrame) -> dict[str, Any]:
    """The contract of `frame`; coverage is the share of held-out images inside any state's region."""
    features = frame.features
    decided = {state: features.decide(rows) for state, rows in frame.held_out.items()}
    return {
        "states": list(features.states),
        "n_fit": dict(features.n_fit),
        "n_held_out": features.n_held_out,
        "thresholds": dict(zip(features.states, features.hcdr.thresholds.tolist(), strict=True)),
        "coverage": {
            state: sum(not verdict.is_hallucination for verdict in verdicts) / len(verdicts)
            for state, verdicts in decided.items()
        },
        "embedder": features.embedder,
        "frame_hash": features.content_hash,
    }


def unit_rows(embeddings: NDArray[Any]) -> NDArray[np.float64]:
    """(n, d) embeddings, each scaled to length 1."""
    rows = np.asarray(embeddings, dtype=np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
