"""Which frame to fit: coverage and detection of blends for every PCA dimension and mixture size, on fresh images."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hallulab.data.fauna import BLEND_KINDS, PETS, draw_face, pet_blend, random_face
from hallulab.data.image_sets import ImageSet
from hallulab.densities.feature_frame import FeatureFrame, FrameSettings
from hallulab.densities.hcdr import THRESHOLD_RULES
from hallulab.engine.pictures import embed_images
from hallulab.errors import RefusedInputError
from hallulab.models.clip import LoadedClip
from hallulab.records import RecordFile, as_plain, library_versions
from hallulab.scoring.picture_frames import embed_image_set
from hallulab.theory.clustered_auroc import clustered_auroc
from hallulab.theory.intervals import Interval, wilson_interval

RECORDS_PATTERN = "frame-table-*.jsonl"
N_CLUSTERS = 100
"""groups of images that the bootstrap draws again: single images would take as long as everything else"""


@dataclass(frozen=True)
class FrameTableSettings:
    """Which frames are tried, and on how many images."""

    pca_dimensions: tuple[int, ...] = (4, 8, 16, 32, 64, 96, 128)
    """Principal components kept; those that the embedding does not have are left out."""
    component_counts: tuple[int, ...] = (1, 2, 6, 12, 24)
    """Gaussians in the mixture of each state."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Of the split and the mixtures, each in turn."""
    held_out_share: float = 0.4
    """Share of the images kept for the thresholds."""
    hdr_mass: float = 0.9
    """Share of genuine images that belong inside."""
    n_fit_and_held_out: int = 6000
    """Drawn images per state that are fitted on or held out."""
    n_fresh: int = 2000
    """Drawn images per state that coverage is counted on."""
    n_blends: int = 600
    """Blends that no training saw."""
    images_seed: int = 50_000
    """Of every drawing here; training, frame and quality bars use other streams."""


@dataclass(frozen=True)
class TableImages:
    """Embeddings of genuine images in three parts that share none, and of blends."""

    source: str
    """Where they come from."""
    embedder: str
    """What embedded them."""
    embeddings: NDArray[np.float32]
    """(n, d) of what is fitted on or held out."""
    labels: tuple[str, ...]
    """Their states."""
    fresh: dict[str, NDArray[np.float32]]
    """State → (n, d) of images that coverage is counted on."""
    blends: NDArray[np.float32]
    """(n, d)."""
    blend_kind: str
    """What the blends are, in words."""


@dataclass(frozen=True)
class TableRow:
    """One frame over all seeds; counts are summed over them."""

    pca_dimension: int
    n_components: int
    rule: str
    """How held-out log-densities become thresholds."""
    n_seeds: int
    coverage: dict[str, float]
    """State → share of fresh genuine images inside some region."""
    coverage_intervals: dict[str, Interval]
    """95 % Wilson intervals of one seed's number of images; the seeds judge the same images."""
    n_fresh: dict[str, int]
    blends_outside: float
    """Share of blends outside every region."""
    auroc: float
    """P(a blend has a smaller margin than a genuine image), mean over seeds."""
    auroc_range: tuple[float, float]
    """Least and greatest over seeds."""
    auroc_interval: Interval
    """95 % of the first seed, images drawn again."""


def drawn_table_images(clip: LoadedClip, settings: FrameTableSettings) -> TableImages:
    """Drawn cats and dogs, and drawn cat-dog blends."""
    rng = np.random.default_rng(settings.images_seed)

    def faces(pet: str, n: int) -> list[Image.Image]:
        return [draw_face(random_face(pet, rng=rng)) for _ in range(n)]

    genuine = {pet: embed_images(clip, faces(pet, settings.n_fit_and_held_out)) for pet in PETS}
    fresh = {pet: embed_images(clip, faces(pet, settings.n_fresh)) for pet in PETS}
    kinds = [BLEND_KINDS[index % len(BLEND_KINDS)] for index in range(settings.n_blends)]
    blends = embed_images(clip, [draw_face(pet_blend(kind, rng=rng)) for kind in kinds])
    return TableImages(
        source="drawn pet faces",
        embedder=clip.name,
        embeddings=np.concatenate(list(genuine.values())),
        labels=tuple(pet for pet in PETS for _ in range(settings.n_fit_and_held_out)),
        fresh=fresh,
        blends=blends,
        blend_kind="drawn faces with parts of a cat and of a dog",
    )


def image_set_table_images(clip: LoadedClip, images: ImageSet, settings: FrameTableSettings) -> TableImages:
    """Images on disk or of a data set: a third of each state is fresh; blends are cross-fades of two fresh images.

    Raises RefusedInputError when a state has too few images for the split.
    """
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
        source=f"{images.place} {images.sha256[:16]}",
        embedder=clip.name,
        embeddings=embeddings[used],
        labels=tuple(images.labels[index] for index in used),
        fresh={state: embeddings[own] for state, own in fresh_rows.items()},
        blends=embed_images(clip, faded),
        blend_kind="pixel averages of two images of different states",
    )


def cross_fade(first: Image.Image, second: Image.Image) -> Image.Image:
    """Half of each image, the second scaled to the first."""
    return Image.blend(first, second.resize(first.size, Image.Resampling.BICUBIC), 0.5)


def run_frame_table(
    images: TableImages, settings: FrameTableSettings, records: RecordFile
) -> Iterator[tuple[int, int]]:
    """Fit and judge frame after frame, one record each, yielding (done, total); finished ones are not fitted again.

    Raises RefusedInputError for records of another table.
    """
    header = as_plain(
        {
            "kind": "settings",
            "settings": asdict(settings),
            "source": images.source,
            "embedder": images.embedder,
            "blend_kind": images.blend_kind,
            "n_blends": len(images.blends),
        }
    )
    found = records.read()
    if not found:
        records.append(header | {"versions": library_versions()})
    elif {key: found[0].get(key) for key in header} != header:
        raise RefusedInputError(
            f"expected the same table in {records.path}, got another one: choose another folder"
        )
    done = {_cell(record) for record in found if record.get("kind") == "frame"}
    cells = _cells(images, settings)
    yield len(done), len(cells)
    for n_done, cell in enumerate((cell for cell in cells if cell not in done), start=len(done) + 1):
        records.append(_frame_record(images, settings, *cell))
        yield n_done, len(cells)


def read_frame_table(folder: Path) -> tuple[dict[str, Any], tuple[TableRow, ...]]:
    """What was asked, and one row per frame and rule, of the table in a folder.

    Raises RefusedInputError when there is none.
    """
    paths = sorted(folder.glob(RECORDS_PATTERN))
    if len(paths) != 1:
        raise RefusedInputError(
            f"expected one table of frames ({RECORDS_PATTERN}) in {folder}, found {len(paths)}: "
            "make one with `python -m hallulab frame-table --out FOLDER`"
        )
    header, *records = RecordFile(paths[0]).read()
    return header, table_rows([record for record in records if record.get("kind") == "frame"])


def table_rows(records: Sequence[dict[str, Any]]) -> tuple[TableRow, ...]:
    """Records of all seeds as one row per PCA dimension, mixture size and rule."""
    groups: dict[tuple[int, int], list[dict[str, Any]]] = defaultdict(list)
    for record in records:
        groups[record["pca_dimension"], record["n_components"]].append(record)
    return tuple(
        _row(group, *frame, rule) for frame, group in sorted(groups.items()) for rule in group[0]["inside"]
    )


def _row(group: list[dict[str, Any]], pca_dimension: int, n_components: int, rule: str) -> TableRow:
    n_fresh = group[0]["n_fresh"]
    inside = {state: sum(record["inside"][rule][state] for record in group) for state in n_fresh}
    coverage = {state: inside[state] / (n_fresh[state] * len(group)) for state in n_fresh}
    aurocs = [record["auroc"] for record in group]
    n_outside = sum(record["blends_outside"][rule] for record in group)
    return TableRow(
        pca_dimension=pca_dimension,
        n_components=n_components,
        rule=rule,
        n_seeds=len(group),
        coverage=coverage,
        coverage_intervals={
            state: wilson_interval(round(share * n_fresh[state]), n_fresh[state])
            for state, share in coverage.items()
        },
        n_fresh=n_fresh,
        blends_outside=n_outside / sum(record["n_blends"] for record in group),
        auroc=float(np.mean(aurocs)),
        auroc_range=(min(aurocs), max(aurocs)),
        auroc_interval=Interval(*group[0]["auroc_interval"]),
    )


def _frame_record(
    images: TableImages, settings: FrameTableSettings, pca_dimension: int, n_components: int, seed: int
) -> dict[str, Any]:
    frame_settings = FrameSettings(
        pca_dimension=pca_dimension,
        max_components=n_components,
        images_per_component=1,
        held_out_share=settings.held_out_share,
        hdr_mass=settings.hdr_mass,
        seed=seed,
    )
    frame = FeatureFrame.fit(images.embeddings, images.labels, frame_settings, embedder=images.embedder)
    of_fresh = {state: frame.log_densities(rows) for state, rows in images.fresh.items()}
    of_blends = frame.log_densities(images.blends)
    inside, outside = {}, {}
    for rule in THRESHOLD_RULES:
        thresholds = replace(frame.hcdr, threshold_rule=rule).thresholds
        inside[rule] = {state: int((rows > thresholds).any(axis=1).sum()) for state, rows in of_fresh.items()}
        outside[rule] = int((~(of_blends > thresholds).any(axis=1)).sum())
    genuine_margins = np.concatenate(
        [(rows - frame.hcdr.thresholds).max(axis=1) for rows in of_fresh.values()]
    )
    blend_margins = (of_blends - frame.hcdr.thresholds).max(axis=1)
    auroc = clustered_auroc(
        [genuine_margins[part::N_CLUSTERS] for part in range(N_CLUSTERS)],
        [blend_margins[part::N_CLUSTERS] for part in range(N_CLUSTERS)],
        rng=np.random.default_rng(seed),
    )
    assert auroc is not None  # there are genuine images and blends
    return {
        "kind": "frame",
        "pca_dimension": pca_dimension,
        "n_components": n_components,
        "seed": seed,
        "inside": inside,
        "n_fresh": {state: len(rows) for state, rows in of_fresh.items()},
        "blends_outside": outside,
        "n_blends": len(images.blends),
        "auroc": auroc.value,
        "auroc_interval": [auroc.interval.low, auroc.interval.high],
        "frame_hash": frame.content_hash,
    }


def _cells(images: TableImages, settings: FrameTableSettings) -> list[tuple[int, int, int]]:
    n_fit = int(len(images.labels) * (1 - settings.held_out_share))
    most = min(images.embeddings.shape[1], n_fit - 1)
    cells = [
        (dimension, count, seed)
        for dimension in settings.pca_dimensions
        for count in settings.component_counts
        for seed in settings.seeds
        if dimension <= most
    ]
    if not cells:
        raise RefusedInputError(
            f"expected some PCA dimension of at most {most}, got {list(settings.pca_dimensions)}"
        )
    return cells


def _cell(record: dict[str, Any]) -> tuple[int, int, int]:
    return record["pca_dimension"], record["n_components"], record["seed"]
