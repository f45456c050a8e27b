"""Two detectors of hallucinated pictures beside the truth that only the small world knows.

The first is the δ-verdict's margin; the second the variance of the predicted clean latents over the last denoising
steps (Aithal et al. 2024), which knows no genuine image. Truth of a painted face: its parts, read by a probe. Truth of
a drawn one: it was drawn as a whole pet or as a blend; its variance is that of its last steps painted again. Drawings
that went through the autoencoder show how far the probe can be believed on what a decoder gives: their truth is read
from pixels.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from hallulab.data.fauna import BLEND_KINDS, PETS, Face, draw_face, pet_blend, random_face
from hallulab.engine.autoencoder import through_autoencoder
from hallulab.engine.core import Engine
from hallulab.engine.pictures import (
    MAX_IMAGES,
    MAX_SEED,
    PaintSettings,
    check_prompt,
    embed_images,
    renoised_variances,
    stream_images,
    x0_variances,
)
from hallulab.errors import RefusedInputError
from hallulab.experiments.run_folder import (
    SETTINGS,
    begin_or_continue,
    content_hash,
    only_writer,
    record_files,
)
from hallulab.records import RecordFile, as_tuples, library_versions
from hallulab.scoring.attribute_truth import truth_records
from hallulab.scoring.decoded_parts import decoded_truth, repaired_parts
from hallulab.scoring.picture_frames import PictureFrame, frame_of
from hallulab.theory.regions import check_mass

RECORDS_PATTERN = "detectors-*.jsonl"
KINDS = ("painted", "drawn", "decoded")
DRAWN_SEED = 30_000
"""of every drawing judged here; training and the quality bars use other streams"""


@dataclass(frozen=True)
class DetectorSettings:
    """What is painted and drawn for the comparison."""

    checkpoints: tuple[str, ...] = ()
    """Checkpoints to paint with; all of the preset when empty."""
    prompts: tuple[str, ...] = ()
    """Prompts to paint; the preset's examples when empty."""
    n_images: int = 64
    """Images per checkpoint and prompt, with the same seeds for all of them."""
    seed: int = 40_000
    """Image k is painted from seed + k."""
    variance_windows: tuple[int, ...] = (3, 5, 10, 15, 20)
    """Last denoising steps over which the variance is taken, each in turn."""
    n_drawn: int = 150
    """Drawn whole pets, and as many drawn blends."""
    n_decoded: int = 300
    """Drawn whole pets, and as many drawn blends, that go through the autoencoder."""
    drawn_prompt: str = "a cute pet animal"
    """What drawn pictures are said to show while their last steps are painted again."""
    hdr_mass: float = 0.9
    """Share of genuine images that belong inside."""
    batch_size: int = 16
    """Images painted at once."""

    def __post_init__(self) -> None:
        check_mass(self.hdr_mass)
        check_prompt(self.drawn_prompt)
        if not 1 <= self.n_images <= MAX_IMAGES:
            raise RefusedInputError(f"expected from 1 to {MAX_IMAGES} images per prompt, got {self.n_images}")
        if not 0 <= self.seed <= MAX_SEED - self.n_images:
            raise RefusedInputError(f"expected a seed from 0 to {MAX_SEED - self.n_images}, got {self.seed}")
        if not 1 <= self.batch_size <= MAX_IMAGES:
            raise RefusedInputError(f"expected batches of 1 to {MAX_IMAGES} images, got {self.batch_size}")
        for name in ("n_drawn", "n_decoded"):
            if getattr(self, name) < 0:
                raise RefusedInputError(
                    f"expected 0 or more {name.removeprefix('n_')} pictures, got {getattr(self, name)}"
                )
        if not self.variance_windows or min(self.variance_windows) < 2:
            raise RefusedInputError(
                f"expected windows of at least 2 denoising steps, got {list(self.variance_windows)}"
            )


@dataclass(frozen=True)
class DetectorStep:
    """How far a run is."""

    n_done: int
    """Images judged."""
    n_total: int
    """Images in all."""


@dataclass(frozen=True)
class DetectorRun:
    """The records of a run."""

    settings: DetectorSettings
    header: dict[str, Any]
    images: tuple[dict[str, Any], ...]
    """in the order judged"""


def records_path(folder: Path, preset: str) -> Path:
    """The file below `folder` that holds this run's images."""
    return folder / f"detectors-{preset}.jsonl"


def run_detectors(engine: Engine, settings: DetectorSettings, records: RecordFile) -> Iterator[DetectorStep]:
    """Paint, draw and judge, one record per image; what `records` already holds is not made again.

    Raises RefusedInputError for a preset without frame or probe, for records of other settings, and while another run
    writes to them.
    """
    frame, settings = _needed_frame(engine), _complete(engine, settings)
    with engine.job("detectors"), only_writer(records.path.parent):
        found = _found_records(engine, frame, settings, records)
        cells = [(checkpoint, prompt) for checkpoint in settings.checkpoints for prompt in settings.prompts]
        painted = Counter(
            (record["checkpoint"], record["prompt"]) for record in found if record["kind"] == "painted"
        )
        done = Counter(record["kind"] for record in found)
        n_done = done["painted"] + done["drawn"] + done["decoded"]
        n_total = len(cells) * settings.n_images + 2 * (settings.n_drawn + settings.n_decoded)
        yield DetectorStep(n_done, n_total)
        work: list[tuple[range, Callable[[range], list[dict[str, Any]]]]] = [
            (batch, partial(_painted_records, engine, frame, settings, *cell))
            for cell in cells
            for batch in _batches(painted[cell], settings.n_images, settings.batch_size)
        ]
        for kind, n, make in (
            ("drawn", settings.n_drawn, _drawn_records),
            ("decoded", settings.n_decoded, _decoded_records),
        ):
            work += [
                (batch, partial(make, engine, frame, settings))
                for batch in _batches(done[kind], 2 * n, settings.batch_size)
            ]
        for batch, make in work:
            for record in make(batch):
                records.append(record)
            n_done += len(batch)
            yield DetectorStep(n_done, n_total)


def read_detector_run(folder: Path) -> DetectorRun:
    """The run in a folder, finished or killed.

    Raises RefusedInputError when there is none, or it cannot be read by this version.
    """
    paths = record_files(folder, RECORDS_PATTERN)
    if len(paths) != 1:
        raise RefusedInputError(
            f"expected one run of detectors ({RECORDS_PATTERN}) in {folder}, found {len(paths)}: "
            "make one with `python -m hallulab detectors --out FOLDER`"
        )
    found = RecordFile(paths[0]).read()
    try:
        header = next(record for record in found if record.get("kind") == SETTINGS)
        settings = DetectorSettings(**{key: as_tuples(value) for key, value in header["settings"].items()})
    except (StopIteration, KeyError, TypeError) as error:
        raise RefusedInputError(
            f"expected the records of a run of this version in {paths[0]}, found other ones: run it again elsewhere"
        ) from error
    return DetectorRun(settings, header, tuple(record for record in found if record.get("kind") in KINDS))


def drawn_face(index: int) -> tuple[str, Face]:
    """Face `index` of the comparison and what it truly is: a whole pet where even, a blend where odd."""
    rng = np.random.default_rng([DRAWN_SEED, index])
    if index % 2 == 0:
        return "genuine", random_face(PETS[index // 2 % len(PETS)], rng=rng)
    return "blend", pet_blend(BLEND_KINDS[index // 2 % len(BLEND_KINDS)], rng=rng)


def _painted_records(
    engine: Engine,
    frame: PictureFrame,
    settings: DetectorSettings,
    checkpoint: str,
    prompt: str,
    batch: range,
) -> list[dict[str, Any]]:
    paint = replace(_paint_settings(engine, settings), n_images=len(batch), seed=settings.seed + batch.start)
    steps: deque[Tensor] = deque(maxlen=max(settings.variance_windows))
    images: tuple[Image.Image, ...] = ()
    for step in stream_images(engine.painter(checkpoint), prompt, paint):
        steps.append(step.predicted_x0)
        images = step.images
    variances = {window: x0_variances(list(steps)[-window:]) for window in settings.variance_windows}
    return [
        {"kind": "painted", "checkpoint": checkpoint, "prompt": prompt, "seed": paint.seed + row}
        | judged
        | {"x0_variance": {str(window): values[row] for window, values in variances.items()}}
        for row, judged in enumerate(_judged(engine, frame, settings, images))
    ]


def _drawn_records(
    engine: Engine, frame: PictureFrame, settings: DetectorSettings, batch: range
) -> list[dict[str, Any]]:
    drawn = [drawn_face(index) for index in batch]
    images = [draw_face(face) for _, face in drawn]
    checkpoint = settings.checkpoints[-1]
    pipeline = engine.painter(checkpoint)
    paint = replace(_paint_settings(engine, settings), seed=settings.seed + batch.start)
    variances = {
        window: renoised_variances(
            pipeline, images, settings.drawn_prompt, replace(paint, variance_steps=window)
        )
        for window in settings.variance_windows
    }
    return [
        {"kind": "drawn", "checkpoint": checkpoint, "index": index, "drawn_as": drawn[row][0]}
        | judged
        | {"x0_variance": {str(window): values[row] for window, values in variances.items()}}
        for row, (index, judged) in enumerate(
            zip(batch, _judged(engine, frame, settings, images), strict=True)
        )
    ]


def _decoded_records(
    engine: Engine, frame: PictureFrame, settings: DetectorSettings, batch: range
) -> list[dict[str, Any]]:
    drawn = [drawn_face(index) for index in batch]
    images = through_autoencoder(
        engine.painter(settings.checkpoints[-1]), [draw_face(face) for _, face in drawn]
    )
    return [
        {
            "kind": "decoded",
            "index": index,
            "drawn_as": drawn_as,
            "decoded_as": decoded_truth(face, image),
            "repaired": repaired_parts(face, image),
        }
        | judged
        | {"x0_variance": {}}
        for index, (drawn_as, face), image, judged in zip(
            batch, drawn, images, _judged(engine, frame, settings, images), strict=True
        )
    ]


def _judged(
    engine: Engine, frame: PictureFrame, settings: DetectorSettings, images: Sequence[Image.Image]
) -> list[dict[str, Any]]:
    """Per image, the frame's verdict and the probe's reading."""
    embeddings = embed_images(engine.clip(), list(images))
    hcdr = frame.features.hcdr.with_mass(settings.hdr_mass)
    margins = (frame.features.log_densities(embeddings) - hcdr.thresholds).max(axis=1)
    probe = engine.attribute_probe()
    assert probe is not None  # _needed_frame has seen to it
    return [
        {"margin_nats": float(margin), "inside": bool(margin > 0)} | truth
        for margin, truth in zip(margins, truth_records(probe, images), strict=True)
    ]


def _paint_settings(engine: Engine, settings: DetectorSettings) -> PaintSettings:
    pictures = engine.preset.pictures
    return PaintSettings(
        steps=pictures.steps,
        guidance=pictures.guidance,
        size=pictures.size,
        batch_size=settings.batch_size,
        variance_steps=max(settings.variance_windows),
    )


def _batches(n_done: int, n: int, batch_size: int) -> list[range]:
    """What is left of 0 … n, in batches."""
    return [range(start, min(start + batch_size, n)) for start in range(n_done, n, batch_size)]


def _needed_frame(engine: Engine) -> PictureFrame:
    frame = frame_of(engine)
    if frame is None or not engine.preset.pictures.attribute_probe:
        missing = "frame" if frame is None else "attribute_probe"
        raise RefusedInputError(
            f"the preset {engine.preset.name} names no {missing}: detectors can only be compared where the truth is "
            "known, as in small-world"
        )
    return frame


def _complete(engine: Engine, settings: DetectorSettings) -> DetectorSettings:
    """The settings with what the preset decides filled in, nothing twice."""
    checkpoints = tuple(dict.fromkeys(settings.checkpoints or engine.checkpoint_names("pictures")))
    for name in checkpoints:
        engine.checkpoint_place("pictures", name)
    steps = engine.preset.pictures.steps
    windows = tuple(dict.fromkeys(min(window, steps) for window in settings.variance_windows))
    prompts = settings.prompts or engine.preset.pictures.example_prompts
    return replace(
        settings,
        checkpoints=checkpoints,
        prompts=tuple(dict.fromkeys(map(check_prompt, prompts))),
        variance_windows=windows,
    )


def _found_records(
    engine: Engine, frame: PictureFrame, settings: DetectorSettings, records: RecordFile
) -> list[dict[str, Any]]:
    """What an earlier run left; a header is written for a new one, and another run's records are refused."""
    probe = engine.attribute_probe()
    frame.check_embedder(engine.clip())
    decides = {
        "settings": asdict(settings),
        "frame": frame.features.content_hash,
        "embedder": frame.features.embedder,
        "probe": probe.name if probe else None,
        "paint": asdict(_paint_settings(engine, settings)),
        "checkpoints": {
            name: content_hash(engine.checkpoint_place("pictures", name)) for name in settings.checkpoints
        },
    }
    return begin_or_continue(records, decides, lambda: {"versions": library_versions()})
