"""Verdicts on images that lie on disk."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hallulab.data.image_folder import open_image
from hallulab.densities.hcdr import Verdict
from hallulab.engine.core import Engine
from hallulab.engine.pictures import embed_images
from hallulab.errors import RefusedInputError
from hallulab.models.clip import LoadedClip
from hallulab.scoring.picture_frames import PictureFrame
from hallulab.scoring.picture_verdicts import ImageScores, score_embeddings, verdict_json
from hallulab.theory.regions import check_mass


@dataclass(frozen=True)
class ScoredImage:
    """One image from a file."""

    path: str
    """Where it lies."""
    verdict: Verdict | None
    """None when the file could not be read."""
    error: str | None = None
    """Why it could not."""

    def to_json(self) -> dict[str, Any]:
        """An entry of `score`'s images, keys as in `paint`."""
        return {"path": self.path, "seed": None, **verdict_json(self.verdict), "error": self.error}


@dataclass(frozen=True)
class FolderScores:
    """What the frame says of images on disk; unreadable ones are counted, not scored."""

    images: tuple[ScoredImage, ...]
    scores: ImageScores

    def to_json(self) -> dict[str, Any]:
        """The contract of `score`."""
        n_unreadable = sum(image.verdict is None for image in self.images)
        return {
            "images": [image.to_json() for image in self.images],
            "n_unreadable": n_unreadable,
            **self.scores.to_json(),
        }


def score_images(
    engine: Engine,
    frame: PictureFrame,
    paths: Sequence[Path],
    *,
    hdr_mass: float = 0.9,
    clip: LoadedClip | None = None,
) -> FolderScores:
    """Judge image files; one that cannot be read is recorded as such and does not stop the others.

    Args:
        engine: whose turn and whose embedder are used.
        frame: judges.
        paths: image files.
        hdr_mass: share of genuine images that belong inside.
        clip: the embedder the frame was made with, where that is not the preset's.

    Raises RefusedInputError when there is none, or none can be read, or another embedder made the frame.
    """
    check_mass(hdr_mass)
    if not paths:
        raise RefusedInputError("expected at least one image file, got none: name files or folders of images")
    errors: dict[int, str] = {}
    embeddings: dict[int, NDArray[np.float32]] = {}
    with engine.job("score"):
        clip = clip or engine.clip()
        frame.check_embedder(clip)
        for index, path in enumerate(paths):
            try:
                embeddings[index] = embed_images(clip, [open_image(path)])[0]
            except RefusedInputError as error:
                errors[index] = str(error)
        if not embeddings:
            raise RefusedInputError(next(iter(errors.values())))
        scores = score_embeddings(frame, clip, np.stack(list(embeddings.values())), hdr_mass, seed=0)
    verdict_of = dict(zip(embeddings, scores.verdicts, strict=True))
    images = tuple(
        ScoredImage(str(path), verdict_of.get(index), errors.get(index)) for index, path in enumerate(paths)
    )
    return FolderScores(images, scores)
