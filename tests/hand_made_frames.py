"""Frames of two clouds of embeddings, and what a table of them is made of, for tests that need no model."""

import numpy as np

from hallulab.densities.feature_frame import FrameSettings
from hallulab.experiments.frame_table import TableImages, TableSource
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


def table_images() -> TableImages:
    """What a table of frames is made of; blends lie between the two states."""
    rng = np.random.default_rng(0)
    centres = {"cat": np.r_[np.full(4, 2.0), np.zeros(4)], "dog": np.r_[np.zeros(4), np.full(4, 2.0)]}

    def some(state: str, n: int) -> np.ndarray:
        return rng.normal(centres[state], 0.3, (n, 8)).astype(np.float32)

    blends = (some("cat", 40) + some("dog", 40)) / 2
    return TableImages(
        embeddings=np.concatenate([some("cat", 300), some("dog", 300)]),
        labels=("cat",) * 300 + ("dog",) * 300, fresh={state: some(state, 600) for state in centres}, blends=blends,
    )  # fmt: skip


def table_source() -> TableSource:
    return TableSource("clouds", "test", "means of two", 8, {"cat": 300, "dog": 300}, table_images)
