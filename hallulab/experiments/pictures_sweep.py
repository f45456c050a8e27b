"""Checkpoints × prompts × K images: painted in batches, judged one by one and as means, resumable (7.3 of [LHZSL])."""

import base64
import json
import re
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hallulab.engine.core import Engine
from hallulab.engine.picture_batches import picture_batch_size
from hallulab.engine.pictures import MAX_SEED, PaintSettings, check_prompt, embed_images, stream_images
from hallulab.engine.presets import is_local
from hallulab.errors import RefusedInputError
from hallulab.experiments.pictures_cells import CellJudge, measure_cell
from hallulab.experiments.workers import Workers, process_path
from hallulab.records import RecordFile, as_plain, as_tuples, folder_sha256, library_versions
from hallulab.scoring.attribute_truth import truth_records
from hallulab.scoring.picture_frames import NO_FRAME, PictureFrame, frame_of
from hallulab.scoring.picture_recipes import saved_with_recipe
from hallulab.scoring.picture_verdicts import score_embeddings
from hallulab.scoring.pictures import PaintResult
from hallulab.scoring.training_history import steps_in_name
from hallulab.theory.regions import check_mass

RECORDS_PATTERN = "pictures-*.jsonl"
LOSS_LINES = 5
"""last lines of `losses.jsonl` whose mean is the training loss at a checkpoint"""
MAX_PER_CELL = 4096

Record = dict[str, Any]
Cell = tuple[str, str]
"""a checkpoint and a prompt"""


@dataclass(frozen=True)
class PictureSweep:
    """What is painted and how it is judged."""

    checkpoints: tuple[str, ...] = ()
    """Who paints; all of the preset when empty."""
    prompts: tuple[str, ...] = ()
    """What is asked for; the preset's examples when empty."""
    n_images: int = 64
    """Images per checkpoint and prompt (the paper's K), with the same seeds for all of them."""
    seed: int = 50_000
    """Image k is painted from seed + k."""
    hdr_mass: float = 0.9
    """Share of genuine images that belong inside."""
    best_of: int = 4
    """Images among which best-of-n sampling chooses one."""

    def __post_init__(self) -> None:
        check_mass(self.hdr_mass)
        if not 2 <= self.n_images <= MAX_PER_CELL:
            raise RefusedInputError(
                f"expected 2 to {MAX_PER_CELL} images per prompt, got {self.n_images}: one image has no diversity"
            )
        if not 0 <= self.seed <= MAX_SEED - self.n_images:
            raise RefusedInputError(f"expected a seed from 0 to {MAX_SEED - self.n_images}, got {self.seed}")
        if self.best_of < 2:
            raise RefusedInputError(f"expected the best of 2 images or more, got {self.best_of}")


@dataclass(frozen=True)
class SweepStep:
    """How far a sweep is."""

    n_done: int
    """Images painted and judged, those of other processes not counted until the end."""
    n_total: int
    message: str


@dataclass(frozen=True)
class Unit:
    """Images that are painted at once."""

    checkpoint: str
    prompt: str
    seeds: tuple[int, ...]
    """consecutive"""


@dataclass(frozen=True)
class SweepRun:
    """The records of a run."""

    settings: PictureSweep
    header: Record
    images: tuple[Record, ...]
    """in order of checkpoint, prompt and seed, whoever painted them"""
    cells: tuple[Record, ...]
    """in order of checkpoint and prompt; only finished ones"""


def records_path(folder: Path, preset: str, index: int = 0) -> Path:
    """The record file of one process of a run."""
    return process_path(folder / f"pictures-{preset}.jsonl", index)


def run_picture_sweep(
    engine: Engine, settings: PictureSweep, folder: Path, *, workers: Workers | None = None
) -> Generator[SweepStep]:
    """Paint and judge what `folder` does not hold yet, one record per image and one per cell.

    A batch's PNG files are written first and then its records at once, so that an image counts when it is recorded.
    With several processes each paints its share; the first one measures the cells when all are done.

    Raises RefusedInputError for a preset without a frame, and for a folder with a run of other settings.
    """
    workers = workers or Workers()
    frame, settings = _needed_frame(engine), _complete(engine, settings)
    with engine.job("sweep"):
        frame.check_embedder(engine.clip())
        if workers.index == 0:
            _begin(engine, frame, settings, folder)
        workers.wait()
        run = read_picture_sweep(folder)
        workers.wait()  # all read the same before anyone writes more
        paint = _paint_settings(engine, settings, run.header["batch_size"])
        sweep = _Sweep(engine, frame, settings, paint, folder, workers.index)
        n_total = len(settings.checkpoints) * len(settings.prompts) * settings.n_images
        n_done = len(run.images)
        yield SweepStep(n_done, n_total, "painting")
        mine = workers.share(list(_missing_units(run, paint.batch_size)))
        for place, unit in enumerate(mine):
            sweep.paint(unit)
            n_done += len(unit.seeds)
            is_last_of_cell = place + 1 == len(mine) or _cell(mine[place + 1]) != _cell(unit)
            if workers.n == 1 and is_last_of_cell:
                sweep.measure([_cell(unit)])
            yield SweepStep(n_done, n_total, f"{unit.checkpoint}: {unit.prompt}")
        workers.wait()
        if workers.index == 0:
            sweep.measure(_cells(settings))
        workers.wait()
        yield SweepStep(len(read_picture_sweep(folder).images), n_total, "painted and judged")


def read_picture_sweep(folder: Path) -> SweepRun:
    """The run in a folder, finished or killed, the files of all its processes merged.

    Raises RefusedInputError when there is none, several, or one that this version cannot read.
    """
    found = [record for path in sorted(folder.glob(RECORDS_PATTERN)) for record in RecordFile(path).read()]
    headers = [record for record in found if record.get("kind") == "settings"]
    if len(headers) != 1:
        raise RefusedInputError(
            f"expected one sweep of pictures ({RECORDS_PATTERN}) in {folder}, found {len(headers)}: make one with "
            "`python -m hallulab sweep pictures --out FOLDER`"
        )
    try:
        asked = headers[0]["settings"]
        settings = PictureSweep(**{key: as_tuples(value) for key, value in asked.items()})
        order = {cell: place for place, cell in enumerate(_cells(settings))}
        images = {_image_key(record): record for record in found if record["kind"] == "painted"}
        cells = {_cell_key(record): record for record in found if record["kind"] == "cell"}
        return SweepRun(
            settings,
            headers[0],
            tuple(images[key] for key in sorted(images, key=lambda key: (order[key[:2]], key[2]))),
            tuple(cells[key] for key in sorted(cells, key=order.__getitem__)),
        )
    except (KeyError, TypeError) as error:
        raise RefusedInputError(
            f"expected the records of a sweep of this version in {folder}, found other ones: run it again elsewhere"
        ) from error


def embedding_of(record: Mapping[str, Any]) -> NDArray[np.float32]:
    """(d,) embedding of a recorded image."""
    return np.frombuffer(base64.b64decode(record["embedding"]), dtype="<f4")


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
            paths=tuple(self._image_path(unit, seed) for seed in unit.seeds),
            x0_variances=tuple(one.x0_variance for one in last.painted),
            checkpoint_sha256=self._engine.checkpoint_sha256("pictures", unit.checkpoint),
            pipeline_sha256=self._engine.checkpoint_sha256(
                "pictures", self._engine.preset.pictures.base_name
            ),
        )
        truths = self._truths(result)
        records = []
        for row, embedding in enumerate(embeddings):
            self._save(result, row)
            records.append(
                {"kind": "painted", "checkpoint": unit.checkpoint, "prompt": unit.prompt}
                | result.image_json(row)
                | truths[row]
                | {"x0_variance": {str(paint.variance_steps): result.x0_variances[row]}}
                | {"seconds": seconds, "embedding": base64.b64encode(embedding.tobytes()).decode()}
            )
        self._records.append_all(records)

    def measure(self, cells: Sequence[Cell]) -> None:
        """Record what those cells show that are complete and not recorded yet."""
        run = read_picture_sweep(self._folder)
        measured = {_cell_key(record) for record in run.cells}
        images = _images_by_cell(run)
        for cell in cells:
            records = images.get(cell, [])
            if cell in measured or len(records) < self._settings.n_images:
                continue
            embeddings = np.stack([embedding_of(record) for record in records])
            found = measure_cell(self._judge, records, embeddings)
            step = 0 if cell[0] == self._engine.preset.pictures.base_name else steps_in_name(cell[0])
            loss = run.header["losses"].get(cell[0])
            self._records.append(
                {
                    "kind": "cell",
                    "checkpoint": cell[0],
                    "prompt": cell[1],
                    "global_step": step,
                    "training_loss": loss["at_checkpoint"] if loss else None,
                }
                | found
            )

    def _truths(self, result: PaintResult) -> list[Record]:
        probe = self._engine.attribute_probe()
        return (
            [{"truth": None}] * len(result.images) if probe is None else truth_records(probe, result.images)
        )

    def _image_path(self, unit: Unit, seed: int) -> str:
        prompt = re.sub(r"[^a-z0-9]+", "-", unit.prompt.lower()).strip("-")[:40]
        place = self._settings.prompts.index(unit.prompt) + 1
        return f"images/{unit.checkpoint}/{place}-{prompt}/seed-{seed}.png"

    def _save(self, result: PaintResult, row: int) -> None:
        path = self._folder / str(result.paths[row])
        path.parent.mkdir(parents=True, exist_ok=True)
        saved_with_recipe(result.images[row], result.recipe(row), path)


def _begin(engine: Engine, frame: PictureFrame, settings: PictureSweep, folder: Path) -> None:
    """Write the header of a new run; refuse another run's records."""
    file = RecordFile(records_path(folder, engine.preset.name))
    probe = engine.attribute_probe()
    paint = asdict(_paint_settings(engine, settings, 1))
    decides = {
        "kind": "settings",
        "settings": asdict(settings),
        "frame": frame.features.with_mass(settings.hdr_mass).content_hash,
        "embedder": frame.features.embedder,
        "probe": probe.name if probe else None,
        "paint": {key: paint[key] for key in ("steps", "guidance", "size", "variance_steps")},
        "checkpoints": {name: _content_hash(engine, name) for name in settings.checkpoints},
    }
    found = [record for record in file.read() if record.get("kind") == "settings"]
    if not found:
        if any(folder.glob(RECORDS_PATTERN)) and file.path not in folder.glob(RECORDS_PATTERN):
            raise RefusedInputError(
                f"expected a folder without another preset's sweep, got {folder}: choose another"
            )
        hcdr = frame.features.hcdr.with_mass(settings.hdr_mass)
        judge = CellJudge(frame, settings.hdr_mass, settings.n_images, seed=settings.seed)
        file.append(
            decides
            | {
                "batch_size": picture_batch_size(
                    engine.device, engine.preset.pictures.size, settings.n_images
                ),
                "base_name": engine.preset.pictures.base_name,
                "losses": {
                    name: _losses(engine.checkpoint_place("pictures", name))
                    for name in settings.checkpoints
                    if name != engine.preset.pictures.base_name
                },
                "thresholds": dict(zip(hcdr.states, hcdr.thresholds, strict=True)),
                "genuine": {
                    state: np.sort(sample).round(3)
                    for state, sample in zip(hcdr.states, hcdr.genuine_log_densities, strict=True)
                },
                "genuine_means": {
                    state: np.sort(sample).round(3) for state, sample in judge.null_means.items()
                },
                "genuine_diversity": judge.genuine_diversity(),
                "versions": library_versions(),
            }
        )
        return
    theirs = {key: found[0].get(key) for key in decides}
    ours = json.loads(json.dumps(as_plain(decides)))  # as it reads once written
    if theirs != ours:
        differing = [key for key in ours if theirs.get(key) != ours[key]]
        raise RefusedInputError(
            f"expected a run with the same settings in {folder}, got another {', '.join(differing)}: "
            "choose another folder"
        )


def _missing_units(run: SweepRun, batch_size: int) -> Iterator[Unit]:
    """What is left to paint. Batches lie where an unbroken run has them; a torn one is completed alone."""
    settings = run.settings
    done = {_image_key(record) for record in run.images}
    for checkpoint, prompt in _cells(settings):
        for start in range(0, settings.n_images, batch_size):
            seeds = range(settings.seed + start, settings.seed + min(start + batch_size, settings.n_images))
            missing = [seed for seed in seeds if (checkpoint, prompt, seed) not in done]
            for _, together in groupby(enumerate(missing), key=lambda pair: pair[1] - pair[0]):
                yield Unit(checkpoint, prompt, tuple(seed for _, seed in together))


def _images_by_cell(run: SweepRun) -> dict[Cell, list[Record]]:
    cells: dict[Cell, list[Record]] = {}
    for record in run.images:
        cells.setdefault(_cell_key(record), []).append(record)
    return cells


def _cells(settings: PictureSweep) -> list[Cell]:
    return [(checkpoint, prompt) for checkpoint in settings.checkpoints for prompt in settings.prompts]


def _cell(unit: Unit) -> Cell:
    return unit.checkpoint, unit.prompt


def _cell_key(record: Mapping[str, Any]) -> Cell:
    return record["checkpoint"], record["prompt"]


def _image_key(record: Mapping[str, Any]) -> tuple[str, str, int]:
    return record["checkpoint"], record["prompt"], record["seed"]


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
    return replace(settings, checkpoints=checkpoints, prompts=tuple(prompts))


def _content_hash(engine: Engine, checkpoint: str) -> str | None:
    """Of a local checkpoint; None for one on the Hub."""
    place = engine.checkpoint_place("pictures", checkpoint)
    return folder_sha256(place) if is_local(place) and Path(place).is_dir() else None


def _losses(place: str) -> Record | None:
    """The training loss recorded beside a UNet; None where there is none."""
    path = Path(place) / "losses.jsonl"
    if not is_local(place) or not path.is_file():
        return None
    lines = [(line["step"], line["loss"]) for line in RecordFile(path).read()]
    if not lines:
        return None
    last = [loss for _, loss in lines[-LOSS_LINES:]]
    return {"curve": lines, "at_checkpoint": sum(last) / len(last)}
