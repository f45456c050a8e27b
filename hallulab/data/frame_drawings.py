"""The genuine drawings behind the shipped pet-faces frame, so that any of them can be drawn again."""

from collections.abc import Iterator

import numpy as np

from hallulab.data.fauna import PETS, Face, random_face

FRAME_STREAM = 8
"""sets these drawings apart from those of training with the same seed"""


def frame_faces(seed: int, n_per_pet: int) -> Iterator[tuple[str, Face]]:
    """Label and face of every drawing, all of one pet before the next, always the same for a seed."""
    rng = np.random.default_rng([seed, FRAME_STREAM])
    for species in PETS:
        for _ in range(n_per_pet):
            yield species, random_face(species, rng=rng)
