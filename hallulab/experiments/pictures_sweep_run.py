"""Runs a sweep of pictures: painted in batches, judged one by one and as means, resumable, by several processes."""

import base64
import re
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np

from hallulab.data.captioned_pictures import PET_FACES
from hallulab.data.held_out_pictures import HeldOutPictures, held_out_pictures
from hallulab.engine.core import Engine
from hallulab.engine.denoising import check_predicts_noise, denoising_losses
from hallulab.engine.picture_batches import picture_batch_size
from hallulab.engine.pictures import PaintSettings, check_prompt, embed_images, stream_images
from hallulab.errors import RefusedInputError
from hallulab.experiments.pictures_cells import CellJudge, mean_json, measure_cell
from hallulab.experiments.pictures_sweep import (
    RECORD_VERSION,
    RECORDS_PATTERN,
    Cell,
    PictureSweep,
    Record,
    SweepRun,
    cell_key,
    cells_of,
    embedding_of,
    image_key,
    images_by_cell,
    read_picture_sweep,
    records_path,
)
from hallulab.experiments.run_folder import begin_or_continue, content_hash, only_writer, record_files
from hallulab.experiments.workers import Workers
from hallulab.records import RecordFile, library_versions
from hallulab.scoring.attribute_truth import truth_records
from hallulab.scoring.picture_frames import NO_FRAME, PictureFrame, frame_of
from hallulab.scoring.picture_recipes import saved_with_recipe
from hallulab.scoring.picture_verdicts import score_embeddings
from hallulab.scoring.pictures import PaintResult
from hallulab.scoring.training_history import steps_in_name, training_history


@dataclass(frozen=True)
class SweepStep:
    """How far a sweep is."""

    n_done: int
    """Images painted and judged, those of other processes not counted until the end."""
    n_total: int
    message: str


def run_picture_sweep(
    engine: Engine, settings: PictureSweep, folder: Path, *, workers: Workers | None = None
) -> Generator[SweepStep]:
    """Paint and judge what `folder` does not hold yet, one record per image, per cell and per checkpoint's loss.

    A batch's PNG files are written first and then its records at once, so that an image counts when it is recorded; a
    recorded image whose file is gone is painted again and not recorded again. With several processes each paints its
    share; the first one measures the cells when all are done.

    Raises RefusedInputError for a preset without a frame, for a folder with a run of other settings, and for one that
    another run is writing to.
    """
    workers = workers or Workers()
    frame, settings = _needed_frame(engine), _complete(engine, settings)
    with engine.job("sweep"), ExitStack() as held:
        frame.check_embedder(engine.clip())
        pictures = _loss_pictures(engine, settings)
        if workers.index == 0:
            held.enter_context(only_writer(folder))
            _begin(engine, frame, settings, folder)
        workers.wait()
        run = read_picture_sweep(folder)
        paint = _paint_settings(engine, settings, run.header["batch_size"])
        mine = workers.share(list(_missing_units(run, folder, paint.batch_size)))
        workers.wait()  # all saw the same before anyone writes more
        sweep = _Sweep(engine, frame, settings, paint, folder, workers.index)
        n_total = len(cells_of(settings)) * settings.n_images
        n_done = len(run.images)
        yield SweepStep(n_done, n_total, "painting")
        for place, unit in enumerate(mine):
            sweep.paint(unit)
            n_done += 0 if unit.is_recorded else len(unit.seeds)
            is_last_of_cell = place + 1 == len(mine) or mine[place + 1].cell != unit.cell
            if workers.n == 1 and is_last_of_cell:
                sweep.measure([unit.cell])
            again = " again, its files are gone" if unit.is_recorded else ""
            yield SweepStep(n_done, n_total, f"{unit.checkpoint}: {unit.prompt}{again}")
        workers.wait()
        if workers.index == 0:
            sweep.measure(cells_of(settings))
            if pictures is not None:
                for checkpoint in sweep.missing_losses():
                    yield SweepStep(n_done, n_total, f"{checkpoint}: loss on held-out pictures")
                    sweep.measure_loss(checkpoint, pictures)
        workers.wait()
        yield SweepStep(len(read_picture_sweep(folder).images), n_total, "painted and judged")


@dataclass(frozen=True)
class Unit:
    """Images that are painted at once."""

    checkpoint: str
    prompt: str
    seeds: tuple[int, ...]
    """consecutive"""
    is_recorded: bool = False
    """whether they were judged before, and only their files are gone"""

    @property
    def cell(self) -> Cell:
        """Checkpoint and prompt."""
        return self.checkpoint, self.prompt


class _Sweep:
    """One process's work on one run."""

    def __init__(
        self,
        engine: Engine,
        frame: PictureFrame,
        settings: PictureSweep,
        paint: PaintSettings,
        folder: Path,
        index: int,
    ):
        self._engine, self._frame, self._settings = engine, frame, settings
        self._paint, self._folder = paint, folder
        self._records = RecordFile(records_path(folder, engine.preset.name, index))
        self._judge = CellJudge(frame, settings.hdr_mass, settings.n_images, seed=settings.seed)

    def paint(self, unit: Unit) -> None:
        """Paint, judge, save and record one batch."""
        started = time.perf_counter()
        pipeline = self._engine.painter(unit.checkpoint)
        n = len(unit.seeds)
        paint = replace(self._paint, n_images=n, seed=unit.seeds[0], batch_size=n)
        *_, last = stream_images(pipeline, unit.prompt, paint)
        clip = self._engine.clip()
        embeddings = embed_images(clip, list(last.images))
        scores = score_embeddings(
            self._frame, clip, embeddings, self._settings.hdr_mass, seed=self._settings.seed
        )
        seconds = (time.perf_counter() - started) / n
        result = PaintResult(
            unit.prompt,
            unit.checkpoint,
            paint,
            last.images,
            scores,
            frame=self._frame.features.embedder,
            paths=tuple(image_path(self._settings, *unit.cell, seed) for seed in unit.seeds),
            x0_variances=tuple(one.x0_variance for one in last.painted),
            checkpoint_sha256=self._engine.checkpoint_sha256("pictures", unit.checkpoint),
            pipeline_sha256=self._engine.checkpoint_sha256(
                "pictures", self._engine.preset.pictures.base_name
            ),
        )
        for row in range(n):
            self._save(result, row)
        if unit.is_recorded:
            return
        truths = self._truths(result)
        self._records.append_all(
            {"kind": "painted", "checkpoint": unit.checkpoint, "prompt": unit.prompt}
            | result.image_json(row)
            | truths[row]
            | {"x0_variance": {str(paint.variance_steps): result.x0_variances[row]}}
            | {"seconds": seconds, "embedding": base64.b64encode(embedding.tobytes()).decode()}
            for row, embedding in enumerate(embeddings)
        )

    def measure(self, cells: Sequence[Cell]) -> None:
        """Record what those cells show that are complete and not recorded yet."""
        run = read_picture_sweep(self._folder)
        measured = {cell_key(record) for record in run.cells}
        images = images_by_cell(run)
        for cell in cells:
            records = images.get(cell, [])
            if cell in measured or len(records) < self._settings.n_images:
                continue
            embeddings = np.stack([embedding_of(record) for record in records])
            found = measure_cell(self._judge, records, embeddings)
            self._records.append(
                {
                    "kind": "cell",
                    "checkpoint": cell[0],
                    "prompt": cell[1],
                    "global_step": run.header["steps"][cell[0]],
                    "training_loss": run.header["training_losses"][cell[0]],
                }
                | found
            )

    def missing_losses(self) -> list[str]:
        """Checkpoints whose loss on held-out pictures is wanted and not recorded yet."""
        measured = read_picture_sweep(self._folder).losses
        return [checkpoint for checkpoint in self._settings.checkpoints if checkpoint not in measured]

    def measure_loss(self, checkpoint: str, pictures: HeldOutPictures) -> None:
        """Record how well a checkpoint finds the noise in pictures it did not learn from."""
        seed = self._settings.seed
        losses = denoising_losses(
            self._engine.painter(checkpoint), pictures.images, pictures.captions, seed=seed
        )
        self._records.append(
            {"kind": "loss", "checkpoint": checkpoint, "pictures": pictures.description}
            | mean_json(losses, seed)
            | {"losses": losses.round(6)}
        )

    def _truths(self, result: PaintResult) -> list[Record]:
        probe = self._engine.attribute_probe()
        return (
            [{"truth": None}] * len(result.images) if probe is None else truth_records(probe, result.images)
        )

    def _save(self, result: PaintResult, row: int) -> None:
        path = self._folder / str(result.paths[row])
        path.parent.mkdir(parents=True, exist_ok=True)
        saved_with_recipe(result.images[row], result.recipe(row), path)


def image_path(settings: PictureSweep, checkpoint: str, prompt: str, seed: int) -> str:
    """Where an image lies below the folder of its run."""
    words = re.sub(r"[^a-z0-9]+", "-", prompt.lower()).strip("-")[:40]
    return f"images/{checkpoint}/{settings.prompts.index(prompt) + 1}-{words}/seed-{seed}.png"


def _loss_pictures(engine: Engine, settings: PictureSweep) -> HeldOutPictures | None:
    """The pictures that losses are measured on, opened before anything is painted; None where none are named."""
    if not settings.loss_pictures:
        return None
    check_predicts_noise(engine.painter(settings.checkpoints[0]))
    size = engine.preset.pictures.size
    return held_out_pictures(settings.loss_pictures, settings.n_loss_pictures, size, seed=settings.seed)


def _begin(engine: Engine, frame: PictureFrame, settings: PictureSweep, folder: Path) -> None:
    """Write the header of a new run; refuse another run's records."""
    file = RecordFile(records_path(folder, engine.preset.name))
    others = [path for path in record_files(folder, RECORDS_PATTERN) if path != file.path]
    if others and not file.read():
        raise RefusedInputError(
            f"expected a new folder or one with {file.path.name}, got {folder} with {others[0].name} alone, which is "
            "another preset's sweep or has lost its settings: choose another folder"
        )
    probe = engine.attribute_probe()
    paint = asdict(_paint_settings(engine, settings, 1))
    decides = {
        "version": RECORD_VERSION,
        "settings": asdict(settings),
        "frame": frame.features.with_mass(settings.hdr_mass).content_hash,
        "embedder": frame.features.embedder,
        "probe": probe.name if probe else None,
        "paint": {key: paint[key] for key in ("steps", "guidance", "size", "variance_steps")},
        "checkpoints": {
            name: content_hash(engine.checkpoint_place("pictures", name)) for name in settings.checkpoints
        },
    }
    begin_or_continue(file, decides, lambda: _about(engine, frame, settings))


def _about(engine: Engine, frame: PictureFrame, settings: PictureSweep) -> Record:
    """What a run's header holds besides what decides."""
    hcdr = frame.features.hcdr.with_mass(settings.hdr_mass)
    judge = CellJudge(frame, settings.hdr_mass, settings.n_images, seed=settings.seed)
    base = engine.preset.pictures.base_name
    tuned = [name for name in settings.checkpoints if name != base]
    # what the base was trained on before is another story
    histories = {name: training_history(engine.checkpoint_place("pictures", name)) for name in tuned}
    return {
        "batch_size": picture_batch_size(engine.device, engine.preset.pictures.size, settings.n_images),
        "base_name": base,
        "steps": {
            name: histories[name].n_steps or steps_in_name(name) if name in histories else 0
            for name in settings.checkpoints
        },
        "training_losses": {
            name: histories[name].loss if name in histories else None for name in settings.checkpoints
        },
        "training_curves": {
            name: [(point.step, point.loss) for point in history.points]
            for name, history in histories.items()
        },
        "thresholds": dict(zip(hcdr.states, hcdr.thresholds, strict=True)),
        "genuine": {
            state: np.sort(sample).round(3)
            for state, sample in zip(hcdr.states, hcdr.genuine_log_densities, strict=True)
        },
        "genuine_means": {
            state: np.sort(sample).round(3)
            for state, sample in judge.tests.null_log_densities("k_matched").items()
        },
        "false_alarms": judge.false_alarms(),
        "genuine_diversity": judge.genuine_diversity(),
        "versions": library_versions(),
    }


def _missing_units(run: SweepRun, folder: Path, batch_size: int) -> Iterator[Unit]:
    """What is left to paint. Batches lie where an unbroken run has them; a torn one is completed alone."""
    settings = run.settings
    done = {image_key(record) for record in run.images}
    for checkpoint, prompt in cells_of(settings):
        for start in range(0, settings.n_images, batch_size):
            seeds = range(settings.seed + start, settings.seed + min(start + batch_size, settings.n_images))
            missing = [seed for seed in seeds if (checkpoint, prompt, seed) not in done]
            lost = [
                seed
                for seed in seeds
                if (checkpoint, prompt, seed) in done
                and not (folder / image_path(settings, checkpoint, prompt, seed)).is_file()
            ]
            for chosen, is_recorded in ((missing, False), (lost, True)):
                for together in _consecutive(chosen):
                    yield Unit(checkpoint, prompt, together, is_recorded)


def _consecutive(numbers: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Runs of numbers that follow one another."""
    for _, together in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        yield tuple(number for _, number in together)


def _paint_settings(engine: Engine, settings: PictureSweep, batch_size: int) -> PaintSettings:
    pictures = engine.preset.pictures
    return PaintSettings(
        n_images=batch_size,
        seed=settings.seed,
        steps=pictures.steps,
        guidance=pictures.guidance,
        size=pictures.size,
        batch_size=batch_size,
    )


def _needed_frame(engine: Engine) -> PictureFrame:
    frame = frame_of(engine)
    if frame is None:
        raise RefusedInputError(NO_FRAME)
    return frame


def _complete(engine: Engine, settings: PictureSweep) -> PictureSweep:
    """The settings with what the preset decides filled in, nothing twice."""
    checkpoints = tuple(dict.fromkeys(settings.checkpoints or engine.checkpoint_names("pictures")))
    for name in checkpoints:
        engine.checkpoint_place("pictures", name)
    prompts = (
        tuple(dict.fromkeys(map(check_prompt, settings.prompts))) or engine.preset.pictures.example_prompts
    )
    if not prompts:
        raise RefusedInputError(
            f"expected prompts to paint, got none, and the preset {engine.preset.name} has no examples: name some"
        )
    pictures = settings.loss_pictures or (PET_FACES if engine.preset.pictures.attribute_probe else "")
    return replace(settings, checkpoints=checkpoints, prompts=tuple(prompts), loss_pictures=pictures)
