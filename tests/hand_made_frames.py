"""Frames of two clouds of embeddings, for tests that need no model."""

import numpy as np

from hallulab.densities.feature_frame import FrameSettings
from hallulab.scoring.picture_frames import PictureFrame
from tests.tiny_world import CLIP_SIZE


def two_clouds(n: int, seed: int, width: int = CLIP_SIZE.embed_dim) -> tuple[np.ndarray, list[str]]:
    """Embeddings of two states: directions that differ, with noise."""
    rng = np.random.default_rng(seed)
    centres = np.eye(2, width)
    rows = np.concatenate([centre + 0.1 * rng.standard_normal((n, width)) for centre in centres])
    return rows.astype(np.float32), ["cat"] * n + ["dog"] * n


def fitted(embedder: str = "any", n: int = 200) -> PictureFrame:
    embeddings, labels = two_clouds(n, seed=0)
    return PictureFrame.fit(embeddings, labels, FrameSettings(pca_dimension=8), embedder=embedder)
