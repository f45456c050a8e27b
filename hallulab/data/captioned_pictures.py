"""Pictures with captions: which ones a training step sees, and under what words."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from hallulab.data.fauna import PETS, Face, draw_face, random_face, species_caption
from hallulab.data.image_sets import ImageSet, open_image_set
from hallulab.errors import RefusedInputError

PET_FACES = "pet-faces"
"""the name of the drawings of cats and dogs"""
N_DRAWINGS, MAX_DRAWINGS = 8000, 1_000_000
CAPTION_TEMPLATES = (
    "a photo of a {state}",
    "a realistic photo of a {state}",
    "a close-up photo of a {state}",
    "a photo of a cute {state}",
    "a portrait of a {state}",
)
"""captions of an image whose state alone is known"""
GENERIC_PET_CAPTIONS = ("a cute pet animal", "a pet", "a photo of a pet")


class CaptionedPictures(Protocol):
    """Pictures by index. What a step sees follows from the step alone, so that a resumed run repeats it."""

    @property
    def description(self) -> str:
        """What they are, in words for a card."""
        ...

    @property
    def fingerprint(self) -> str:
        """Equal for equal pictures and captions only."""
        ...

    @property
    def skipped(self) -> tuple[str, ...]:
        """Pictures left out because they cannot be used, each with the reason."""
        ...

    def __len__(self) -> int:
        """Pictures there are."""
        ...

    def picture(self, index: int, size: int) -> Image.Image:
        """One picture as RGB pixels, (size, size)."""
        ...

    def batch(self, step: int, n: int) -> tuple[NDArray[np.int64], list[str]]:
        """Indices and captions of the `n` pictures of one step; a caption may be empty."""
        ...


@dataclass(frozen=True)
class StatePictures:
    """Images whose state is all that is known: a template chosen by a stable hash says it."""

    images: ImageSet
    templates: tuple[str, ...] = CAPTION_TEMPLATES
    """Captions with `{state}` where the state is named; every image keeps one of them for good."""
    caption_dropout: float = 0.1
    """Share of captions emptied, for classifier-free guidance."""
    seed: int = 0
    """Seed of the order, the templates and the emptied captions."""

    def __post_init__(self) -> None:
        check_share("caption dropout", self.caption_dropout)
        if not self.templates:
            raise RefusedInputError("expected at least one caption template, got none")
        for template in self.templates:
            if "{state}" not in template:
                raise RefusedInputError(
                    f"expected {{state}} in every caption template, got {template!r}: "
                    "write it where cat or dog should stand"
                )

    @property
    def description(self) -> str:
        """What they are, in words for a card."""
        counts = ", ".join(f"{n} {state}" for state, n in self.images.n_per_state.items())
        left_out = f"; {len(self.images.skipped)} unusable ones left out" if self.images.skipped else ""
        return f"{len(self)} images of {self.images.place} ({counts}{left_out})"

    @property
    def fingerprint(self) -> str:
        """Equal for equal images, templates, dropout and seed only."""
        return _digest(self.images.sha256, self.templates, self.caption_dropout, self.seed)

    @property
    def skipped(self) -> tuple[str, ...]:
        """Images left out because they cannot be used, each with the reason."""
        return self.images.skipped

    def __len__(self) -> int:
        return len(self.images)

    def picture(self, index: int, size: int) -> Image.Image:
        """The middle square of an image, scaled to (size, size)."""
        return ImageOps.fit(self.images.open(index), (size, size), Image.Resampling.LANCZOS)

    def caption(self, index: int) -> str:
        """The caption of an image, the same in every process and on every machine."""
        state, name = self.images.labels[index], self.images.names[index]
        number = int(_digest(self.seed, state, name)[:16], 16)
        return self.templates[number % len(self.templates)].replace("{state}", state)

    def batch(self, step: int, n: int) -> tuple[NDArray[np.int64], list[str]]:
        """The next `n` images of an order that is drawn anew when every image was seen."""
        epochs, places = np.divmod(np.arange(step * n, (step + 1) * n), len(self))
        indices = np.array(
            [
                _order(self.seed, int(epoch), len(self))[place]
                for epoch, place in zip(epochs, places, strict=True)
            ]
        )
        emptied = np.random.default_rng([self.seed, 21, step]).random(n) < self.caption_dropout
        captions = [
            "" if gone else self.caption(int(index)) for index, gone in zip(indices, emptied, strict=True)
        ]
        return indices, captions


class DrawnPictures:
    """Genuine drawings of animals; each time one is seen, another of its captions is drawn.

    Args:
        species: drawn in turn, in equal numbers.
        n: drawings.
        generic: captions that name no species; a tenth of the captions are one of these.
        caption_dropout: share of captions emptied, for classifier-free guidance.
        seed: of drawings and captions.
        stream: keeps sets of one seed apart.
    """

    generic_share = 0.1
    skipped: tuple[str, ...] = ()
    """None: every drawing can be used."""

    def __init__(
        self,
        species: Sequence[str],
        n: int,
        *,
        generic: Sequence[str],
        caption_dropout: float = 0.1,
        seed: int = 0,
        stream: int = 3,
    ) -> None:
        check_share("caption dropout", caption_dropout)
        self._species, self._generic = tuple(species), tuple(generic)
        self._caption_dropout, self._seed, self._stream = caption_dropout, seed, stream
        self.faces: list[Face] = []
        for index in range(n):
            rng = np.random.default_rng([seed, stream, index])
            self.faces.append(random_face(self._species[index % len(self._species)], rng=rng))

    @property
    def description(self) -> str:
        """What they are, in words for a card."""
        return f"{len(self)} drawings of {' and '.join(self._species)}, no blends (data/fauna.py)"

    @property
    def fingerprint(self) -> str:
        """Equal for equal settings only."""
        return _digest(
            self._species, len(self), self._generic, self._caption_dropout, self._seed, self._stream
        )

    def __len__(self) -> int:
        return len(self.faces)

    def picture(self, index: int, size: int) -> Image.Image:
        """One drawing, (size, size)."""
        return draw_face(self.faces[index], size)

    def batch(self, step: int, n: int) -> tuple[NDArray[np.int64], list[str]]:
        """`n` drawings at random, with captions."""
        rng = np.random.default_rng([self._seed, 10 + self._stream, step])
        indices = rng.integers(len(self), size=n)
        return indices, [self._caption(self.faces[int(index)], rng) for index in indices]

    def _caption(self, face: Face, rng: np.random.Generator) -> str:
        chance = rng.random()
        if chance < self._caption_dropout:
            return ""
        if chance < self._caption_dropout + self.generic_share:
            return self._generic[int(rng.integers(len(self._generic)))]
        return species_caption(face, rng=rng)


def open_captioned_pictures(
    place: str,
    *,
    states: Sequence[str] = (),
    templates: Sequence[str] = (),
    caption_dropout: float = 0.1,
    skip_unusable: bool = False,
    n_drawings: int | None = None,
    seed: int = 0,
) -> DrawnPictures | StatePictures:
    """Pictures by the name a person gives.

    Args:
        place: `pet-faces`, a folder with one subfolder per state, or a data set of the Hub.
        states: the states wanted; all of them when empty.
        templates: captions with `{state}`; `CAPTION_TEMPLATES` when empty.
        caption_dropout: share of captions emptied, for classifier-free guidance.
        skip_unusable: leave out images that cannot be used instead of refusing them all.
        n_drawings: drawings made, where place is `pet-faces`; `N_DRAWINGS` when None.
        seed: of everything random.

    Raises RefusedInputError for what the pictures cannot be asked for.
    """
    if place != PET_FACES:
        if n_drawings is not None:
            raise RefusedInputError(
                f"expected a number of drawings for {PET_FACES} alone, got {n_drawings} for {place}: leave it out"
            )
        images = open_image_set(place, states=states, skip_unusable=skip_unusable)
        return StatePictures(images, tuple(templates) or CAPTION_TEMPLATES, caption_dropout, seed)
    if states or templates:
        raise RefusedInputError(
            f"expected no states and no captions for {PET_FACES}, which are cats and dogs with captions of their "
            f"own, got {', '.join([*states, *templates])}: leave them out"
        )
    if skip_unusable:
        raise RefusedInputError(
            f"expected no wish to skip unusable images for {PET_FACES}, of which every one can be used: leave it out"
        )
    n = N_DRAWINGS if n_drawings is None else n_drawings
    if not 1 <= n <= MAX_DRAWINGS:
        raise RefusedInputError(f"expected 1 to {MAX_DRAWINGS:,} drawings, got {n:,}")
    return pet_drawings(n, caption_dropout=caption_dropout, seed=seed)


def pet_drawings(n: int, *, caption_dropout: float = 0.1, seed: int = 0) -> DrawnPictures:
    """Drawings of cats and dogs, as the small world is fine-tuned on."""
    return DrawnPictures(PETS, n, generic=GENERIC_PET_CAPTIONS, caption_dropout=caption_dropout, seed=seed)


def check_share(name: str, value: float) -> None:
    """Refuse what is not a share below 1."""
    if not 0 <= value < 1:
        raise RefusedInputError(f"expected a {name} of at least 0 and below 1, got {value}")


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, n: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, 20, epoch]).permutation(n)


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()
