"""Two detectors of hallucinated pictures beside the truth that only the small world knows.

The first is the δ-verdict's margin; the second the variance of the predicted clean latents over the last denoising
steps (Aithal et al. 2024), which knows no genuine image. Truth of a painted face: its parts, read by a probe. Truth of
a drawn one: it was drawn as a whole pet or as a blend; its variance is that of its last steps painted again.
"""

import json
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from hallulab.data.fauna import BLEND_KINDS, PETS, draw_face, pet_blend, random_face
from hallulab.engine.core import Engine
from hallulab.engine.pictures import (
    MAX_IMAGES,
    PaintSettings,
    embed_images,
    renoised_variances,
    stream_images,
    x0_variances,
)
from hallulab.errors import RefusedInputError
from hallulab.records import RecordFile, as_plain, as_tuples, library_versions
from hallulab.scoring.attribute_truth import truth_records
from hallulab.scoring.picture_frames import PictureFrame, frame_of

RECORDS_PATTERN = "detectors-*.jsonl"
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
    drawn_prompt: str = "a cute pet animal"
    """What drawn pictures are said to show while their last steps are painted again."""
    hdr_mass: float = 0.9
    """Share of genuine images that belong inside."""
    batch_size: int = 16
    """Images painted at once."""

    def __post_init__(self) -> None:
        if not 1 <= self.n_images <= MAX_IMAGES:
            raise RefusedInputError(f"expected from 1 to {MAX_IMAGES} images per prompt, got {self.n_images}")
        if self.n_drawn < 0:
            raise RefusedInputError(f"expected 0 or more drawn pictures, got {self.n_drawn}")
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


def records_path(folder: Path, preset: str) -> Path:
    """The file below `folder` that holds this run's images."""
    return folder / f"detectors-{preset}.jsonl"


def run_detectors(engine: Engine, settings: DetectorSettings, records: RecordFile) -> Iterator[DetectorStep]:
    """Paint, draw and judge, one record per image; what `records` already holds is not made again.

    Raises RefusedInputError for a preset without frame or probe, and for records of other settings.
    """
    frame, settings = _needed_frame(engine), _complete(engine, settings)
    with engine.job("detectors"):
        found = _found_records(engine, frame, settings, records)
        cells = [(checkpoint, prompt) for checkpoint in settings.checkpoints for prompt in settings.prompts]
        painted = [record for record in found if record.get("kind") == "painted"]
        n_of_cell = {
            cell: sum((record["checkpoint"], record["prompt"]) == cell for record in painted)
            for cell in cells
        }
        drawn = sum(record.get("kind") == "drawn" for record in found)
        n_done, n_total = len(painted) + drawn, len(cells) * settings.n_images + 2 * settings.n_drawn
        yield DetectorStep(n_done, n_total)
        for cell in cells:
            for batch in _batches(n_of_cell[cell], settings.n_images, settings.batch_size):
                for record in _painted_records(engine, frame, settings, *cell, batch):
                    records.append(record)
                n_done += len(batch)
                yield DetectorStep(n_done, n_total)
        for batch in _batches(drawn, 2 * settings.n_drawn, settings.batch_size):
            for record in _drawn_records(engine, frame, settings, batch):
                records.append(record)
            n_done += len(batch)
            yield DetectorStep(n_done, n_total)


def read_detector_run(folder: Path) -> tuple[DetectorSettings, list[dict[str, Any]]]:
    """Settings and image records of the run in a folder, finished or killed.

    Raises RefusedInputError when there is none, or it cannot be read by this version.
    """
    paths = sorted(folder.glob(RECORDS_PATTERN))
    if len(paths) != 1:
        raise RefusedInputError(
            f"expected one run of detectors ({RECORDS_PATTERN}) in {folder}, found {len(paths)}: "
            "make one with `python -m hallulab detectors --out FOLDER`"
        )
    found = RecordFile(paths[0]).read()
    try:
        asked = next(record["settings"] for record in found if record.get("kind") == "settings")
        settings = DetectorSettings(**{key: as_tuples(value) for key, value in asked.items()})
    except (StopIteration, KeyError, TypeError) as error:
        raise RefusedInputError(
            f"expected the records of a run of this version in {paths[0]}, found other ones: run it again elsewhere"
        ) from error
    return settings, [record for record in found if record.get("kind") in ("painted", "drawn")]


def drawn_face_image(index: int) -> tuple[str, Image.Image]:
    """Drawing `index` of the comparison and what it truly is: a whole pet where even, a blend where odd."""
    rng = np.random.default_rng([DRAWN_SEED, index])
    if index % 2 == 0:
        return "genuine", draw_face(random_face(PETS[index // 2 % len(PETS)], rng=rng))
    return "blend", draw_face(pet_blend(BLEND_KINDS[index // 2 % len(BLEND_KINDS)], rng=rng))


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
    drawn = [drawn_face_image(index) for index in batch]
    images = [image for _, image in drawn]
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
    """The settings with what the preset decides filled in."""
    checkpoints = settings.checkpoints or engine.checkpoint_names("pictures")
    for name in checkpoints:
        engine.checkpoint_place("pictures", name)
    steps = engine.preset.pictures.steps
    windows = tuple(dict.fromkeys(min(window, steps) for window in settings.variance_windows))
    return replace(
        settings,
        checkpoints=tuple(checkpoints),
        prompts=settings.prompts or engine.preset.pictures.example_prompts,
        variance_windows=windows,
    )


def _found_records(
    engine: Engine, frame: PictureFrame, settings: DetectorSettings, records: RecordFile
) -> list[dict[str, Any]]:
    """What an earlier run left; a header is written for a new one, and another run's records are refused."""
    probe = engine.attribute_probe()
    frame.check_embedder(engine.clip())
    header = {
        "kind": "settings",
        "settings": asdict(settings),
        "frame": frame.features.content_hash,
        "embedder": frame.features.embedder,
        "probe": probe.name if probe else None,
        "paint": asdict(_paint_settings(engine, settings)),
    }
    found = records.read()
    if not found:
        records.append(header | {"versions": library_versions()})
        return []
    theirs = {key: value for key, value in found[0].items() if key != "versions"}
    ours = json.loads(json.dumps(as_plain(header)))  # as it reads once written
    if theirs != ours:
        differing = [key for key in ours if theirs.get(key) != ours[key]]
        raise RefusedInputError(
            f"expected a run with the same settings in {records.path}, got another {', '.join(differing)}: "
            "choose another folder"
        )
    return found
