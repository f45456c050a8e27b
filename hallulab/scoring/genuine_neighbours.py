"""The genuine images nearest to one embedding, among those a frame holds out, and what they look like.

A frame keeps features, not pictures. Those of the shipped frame are drawings that can be drawn again; each one is
believed only if the embedder gives it the very features that the frame kept.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hallulab.data.fauna import PETS, Face, draw_face
from hallulab.data.frame_drawings import frame_faces
from hallulab.densities.feature_frame import FrameSettings, split_rows
from hallulab.engine.pictures import embed_images
from hallulab.models.clip import LoadedClip
from hallulab.scoring.picture_frames import PictureFrame, unit_rows

SAME_PICTURE = 0.9999
"""cosine of kept and new features from which a drawing counts as the one the frame was made with"""


@dataclass(frozen=True)
class Neighbour:
    """One held-out genuine image."""

    state: str
    """Its class."""
    row: int
    """Its place among the held-out images of that class."""
    similarity: float
    """Cosine of its features and those of the image looked at, -1 to 1."""
    picture: Image.Image | None
    """None where the frame does not know what it looked like."""


def nearest_genuine(
    frame: PictureFrame, embedding: NDArray[np.float32], *, n_per_state: int = 2
) -> tuple[Neighbour, ...]:
    """The held-out images of each state most similar to a (d,) embedding, without their pictures."""
    own = unit_rows(embedding[None])[0]
    found = []
    for state in frame.features.states:
        similarity = unit_rows(frame.held_out[state]) @ own
        rows = np.argsort(-similarity)[:n_per_state]
        found += [Neighbour(state, int(row), float(similarity[row]), None) for row in rows]
    return tuple(found)


def drawn_again(
    frame: PictureFrame, folder: str, clip: LoadedClip, neighbours: tuple[Neighbour, ...]
) -> tuple[Neighbour, ...]:
    """The neighbours with their pictures, where the frame is one of drawings and a drawing proves to be the one."""
    faces = _held_out_faces(frame, folder)
    if not faces or not neighbours:
        return neighbours
    visual: Any = clip.model.visual
    side = int(visual.image_size[0])
    pictures = [draw_face(faces[one.state][one.row], side) for one in neighbours]
    features = unit_rows(embed_images(clip, pictures))
    kept = unit_rows(np.stack([frame.held_out[one.state][one.row] for one in neighbours]))
    same = (features * kept).sum(axis=1) >= SAME_PICTURE
    return tuple(
        Neighbour(one.state, one.row, one.similarity, picture if is_same else None)
        for one, picture, is_same in zip(neighbours, pictures, same, strict=True)
    )


def _held_out_faces(frame: PictureFrame, folder: str) -> dict[str, list[Face]]:
    """State → the faces behind `frame.held_out`; empty for a frame that cannot be one of drawings."""
    features = frame.features
    n_held_out = features.n_held_out
    totals = {features.n_fit[state] + n_held_out[state] for state in features.states}
    seed = _card_seed(Path(folder))
    if features.states != tuple(sorted(PETS)) or len(totals) != 1 or seed is None:
        return {}
    return _faces(seed, totals.pop(), features.settings)


@lru_cache(maxsize=2)
def _faces(seed: int, n_per_pet: int, settings: FrameSettings) -> dict[str, list[Face]]:
    labelled = list(frame_faces(seed, n_per_pet))
    _, rows = split_rows([label for label, _ in labelled], settings)
    faces: dict[str, list[Face]] = {pet: [] for pet in PETS}
    for row in rows:
        label, face = labelled[row]
        faces[label].append(face)
    return faces


def _card_seed(folder: Path) -> int | None:
    try:
        seed = json.loads((folder / "card.json").read_text(encoding="utf-8"))["seed"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return seed if isinstance(seed, int) else None
