"""Which frame to fit: every PCA dimension, mixture size and seed, on the same images. What is asked, and of which."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hallulab.data.fauna import BLEND_KINDS, PETS, draw_face, pet_blend, random_face
from hallulab.data.image_sets import ImageSet
from hallulab.densities.feature_frame import FrameSettings, check_counts
from hallulab.engine.pictures import embed_images
from hallulab.errors import RefusedInputError
from hallulab.models.clip import LoadedClip
from hallulab.scoring.picture_frames import embed_image_set

RECORDS_PATTERN = "frame-table-*.jsonl"
DRAWN = "drawn pet faces"

Cell = tuple[int, int, int]
"""PCA dimension, Gaussians per state, seed"""


@dataclass(frozen=True)
class FrameTableSettings:
    """Which frames are tried, and on how many images."""

    pca_dimensions: tuple[int, ...] = (4, 8, 16, 32, 64, 96, 128)
    """Principal components kept; those that the embedding does not have are left out."""
    component_counts: tuple[int, ...] = (1, 2, 6, 12, 24)
    """Gaussians in the mixture of each state."""
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Of the split and the mixtures, each in turn: as many fits of each frame."""
    held_out_share: float = 0.4
    """Share of the images kept for the thresholds."""
    hdr_mass: float = 0.9
    """Share of genuine images that belong inside."""
    n_fit_and_held_out: int = 6000
    """Drawn images per state that are fitted on or held out."""
    n_fresh: int = 2000
    """Drawn images per state that coverage and false alarms are counted on."""
    n_blends: int = 600
    """Blends that no training saw."""
    n_mean_images: int = 64
    """Images of a mean, for the tests of means (the paper's K)."""
    n_means: int = 400
    """Means of each kind that the tests of means are tried on."""
    images_seed: int = 50_000
    """Of every drawing here; training, frame and quality bars use other streams."""

    def __post_init__(self) -> None:
        for name in ("pca_dimensions", "component_counts", "seeds"):
            if not getattr(self, name):
                raise RefusedInputError(f"expected at least one of {name.replace('_', ' ')}, got none")
        for name in ("n_fit_and_held_out", "n_fresh", "n_blends", "n_mean_images", "n_means"):
            if getattr(self, name) < 1:
                raise RefusedInputError(
                    f"expected {name.replace('_', ' ')} of at least 1, got {getattr(self, name)}"
                )
        for cell in self.cells(max(self.pca_dimensions)):
            self.frame(*cell)  # refuses what no frame can be fitted with

    def frame(self, pca_dimension: int, n_components: int, seed: int) -> FrameSettings:
        """How one frame of the table is fitted."""
        return FrameSettings(
            pca_dimension=pca_dimension,
            max_components=n_components,
            images_per_component=1,
            held_out_share=self.held_out_share,
            hdr_mass=self.hdr_mass,
            seed=seed,
        )

    def cells(self, most_dimensions: int) -> list[Cell]:
        """Every frame of the table that so many dimensions allow, none twice.

        Raises RefusedInputError when none is left.
        """
        found = [
            (dimension, count, seed)
            for dimension in dict.fromkeys(self.pca_dimensions)
            for count in dict.fromkeys(self.component_counts)
            for seed in dict.fromkeys(self.seeds)
            if dimension <= most_dimensions
        ]
        if not found:
            raise RefusedInputError(
                f"expected some PCA dimension of at most {most_dimensions}, got {list(self.pca_dimensions)}"
            )
        return found


@dataclass(frozen=True)
class TableImages:
    """Embeddings of genuine images in three parts that share none, and of blends."""

    embeddings: NDArray[np.float32]
    """(n, d) of what is fitted on or held out."""
    labels: tuple[str, ...]
    """Their states."""
    fresh: dict[str, NDArray[np.float32]]
    """State → (n, d) of images that coverage is counted on."""
    blends: NDArray[np.float32]
    """(n, d)."""


@dataclass(frozen=True)
class TableSource:
    """Images of a table before they are embedded, which takes long."""

    name: str
    """Where they come from."""
    embedder: str
    """What embeds them."""
    blend_kind: str
    """What the blends are, in words."""
    width: int
    """Of an embedding."""
    n_per_state: dict[str, int]
    """State → images that are fitted on or held out."""
    embedded: Callable[[], TableImages]
    """Draws or reads them, and embeds them."""

    def check(self, settings: FrameTableSettings) -> list[Cell]:
        """The frames of the table; refused before anything is embedded when these images cannot carry one."""
        n_fit = min(int(n * (1 - settings.held_out_share)) for n in self.n_per_state.values())
        cells = settings.cells(min(self.width, n_fit * len(self.n_per_state) - 1))
        for cell in cells:
            check_counts(self.n_per_state, settings.frame(*cell))
        return cells

    def about(self, settings: FrameTableSettings) -> dict[str, Any]:
        """What a table's records begin with."""
        return {
            "settings": asdict(settings),
            "source": self.name,
            "embedder": self.embedder,
            "blend_kind": self.blend_kind,
        }


def drawn_table_source(clip: LoadedClip, settings: FrameTableSettings) -> TableSource:
    """Drawn cats and dogs, and drawn cat-dog blends."""
    return TableSource(
        name=DRAWN,
        embedder=clip.name,
        blend_kind="drawn faces with parts of a cat and of a dog",
        width=_width(clip),
        n_per_state=dict.fromkeys(PETS, settings.n_fit_and_held_out),
        embedded=lambda: _drawn(clip, settings),
    )


def image_set_table_source(clip: LoadedClip, images: ImageSet, settings: FrameTableSettings) -> TableSource:
    """Images on disk or of a data set: a third of each state is fresh; blends are cross-fades of two fresh images.

    Raises RefusedInputError for fewer than two states, which have nothing to fade into.
    """
    if len(images.states) < 2:
        raise RefusedInputError(f"expected at least two states, got {', '.join(images.states)}")
    return TableSource(
        name=f"{images.place} {images.sha256[:16]}",
        embedder=clip.name,
        blend_kind="pixel averages of two images of different states",
        width=_width(clip),
        n_per_state={state: n - n // 3 for state, n in images.n_per_state.items()},
        embedded=lambda: _of_image_set(clip, images, settings),
    )


def _width(clip: LoadedClip) -> int:
    """Of an embedding; open_clip's models do not all say it."""
    return embed_images(clip, [Image.new("RGB", (64, 64))]).shape[1]


def _drawn(clip: LoadedClip, settings: FrameTableSettings) -> TableImages:
    rng = np.random.default_rng(settings.images_seed)

    def faces(pet: str, n: int) -> list[Image.Image]:
        return [draw_face(random_face(pet, rng=rng)) for _ in range(n)]

    genuine = {pet: embed_images(clip, faces(pet, settings.n_fit_and_held_out)) for pet in PETS}
    fresh = {pet: embed_images(clip, faces(pet, settings.n_fresh)) for pet in PETS}
    kinds = [BLEND_KINDS[index % len(BLEND_KINDS)] for index in range(settings.n_blends)]
    return TableImages(
        embeddings=np.concatenate(list(genuine.values())),
        labels=tuple(pet for pet in PETS for _ in range(settings.n_fit_and_held_out)),
        fresh=fresh,
        blends=embed_images(clip, [draw_face(pet_blend(kind, rng=rng)) for kind in kinds]),
    )


def _of_image_set(clip: LoadedClip, images: ImageSet, settings: FrameTableSettings) -> TableImages:
    rng = np.random.default_rng(settings.images_seed)
    rows = {
        state: rng.permutation([index for index, label in enumerate(images.labels) if label == state])
        for state in images.states
    }
    fresh_rows = {state: own[: len(own) // 3] for state, own in rows.items()}
    used = np.concatenate([own[len(own) // 3 :] for own in rows.values()])
    embeddings = embed_image_set(clip, images)
    states = list(images.states)
    faded = []
    for index in range(settings.n_blends):
        first, second = (states[(index + shift) % len(states)] for shift in (0, 1))
        pair = [images.open(int(rng.choice(fresh_rows[state]))) for state in (first, second)]
        faded.append(cross_fade(*pair))
    return TableImages(
        embeddings=embeddings[used],
        labels=tuple(images.labels[index] for index in used),
        fresh={state: embeddings[own] for state, own in fresh_rows.items()},
        blends=embed_images(clip, faded),
    )


def cross_fade(first: Image.Image, second: Image.Image) -> Image.Image:
    """Half of each image, the second scaled to the first."""
    return Image.blend(first, second.resize(first.size, Image.Resampling.BICUBIC), 0.5)
