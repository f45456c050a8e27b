"""Checkpoints × prompts × K images (7.3 of [LHZSL]): what is asked, and the records of what was painted and judged."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hallulab.engine.pictures import MAX_SEED
from hallulab.errors import RefusedInputError
from hallulab.experiments.run_folder import SETTINGS, record_files
from hallulab.experiments.workers import process_path
from hallulab.records import RecordFile, as_tuples
from hallulab.theory.regions import check_mass

RECORDS_PATTERN = "pictures-*.jsonl"
RECORD_VERSION = 2
"""1 tested the mean of unit embeddings, scaled to length 1 again, for the mean of features"""
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
    loss_pictures: str = ""
    """Pictures that the held-out loss is measured on: `pet-faces`, a folder, a data set. Empty: fresh drawings in a
    world of drawings, none elsewhere."""
    n_loss_pictures: int = 256
    """Pictures of them."""

    def __post_init__(self) -> None:
        check_mass(self.hdr_mass)
        if not 2 <= self.n_images <= MAX_PER_CELL:
            why = (
                "one image has no diversity"
                if self.n_images < 2
                else "sweep other seeds to a folder of their own"
            )
            raise RefusedInputError(
                f"expected 2 to {MAX_PER_CELL} images per prompt, got {self.n_images}: {why}"
            )
        if not 0 <= self.seed <= MAX_SEED - self.n_images:
            raise RefusedInputError(f"expected a seed from 0 to {MAX_SEED - self.n_images}, got {self.seed}")
        if not 2 <= self.best_of <= self.n_images:
            raise RefusedInputError(
                f"expected the best of 2 to {self.n_images} images, as many as there are per prompt, got "
                f"{self.best_of}: ask for more images, or for the best of fewer"
            )
        if self.n_loss_pictures < 2:
            raise RefusedInputError(
                f"expected at least 2 pictures to measure a loss on, got {self.n_loss_pictures}"
            )


@dataclass(frozen=True)
class SweepRun:
    """The records of a run."""

    settings: PictureSweep
    header: Record
    images: tuple[Record, ...]
    """in order of checkpoint, prompt and seed, whoever painted them"""
    cells: tuple[Record, ...]
    """in order of checkpoint and prompt; only finished ones"""
    losses: Mapping[str, Record]
    """checkpoint → its loss on held-out pictures; without those not measured"""


def records_path(folder: Path, preset: str, index: int = 0) -> Path:
    """The record file of one process of a run."""
    return process_path(folder / f"pictures-{preset}.jsonl", index)


def read_picture_sweep(folder: Path) -> SweepRun:
    """The run in a folder, finished or killed, the files of all its processes merged.

    Raises RefusedInputError when there is none, several, or one that this version cannot read.
    """
    found = [record for path in record_files(folder, RECORDS_PATTERN) for record in RecordFile(path).read()]
    headers = [record for record in found if record.get("kind") == SETTINGS]
    if len(headers) != 1:
        raise RefusedInputError(
            f"expected one sweep of pictures ({RECORDS_PATTERN}) in {folder}, found {len(headers)}: make one with "
            "`python -m hallulab sweep pictures --out FOLDER`"
        )
    if headers[0].get("version") != RECORD_VERSION:
        raise RefusedInputError(
            f"expected the records of a sweep of this version in {folder}, found other ones: run it again elsewhere"
        )
    try:
        asked = headers[0]["settings"]
        settings = PictureSweep(**{key: as_tuples(value) for key, value in asked.items()})
        order = {cell: place for place, cell in enumerate(cells_of(settings))}
        images = {image_key(record): record for record in found if record["kind"] == "painted"}
        cells = {cell_key(record): record for record in found if record["kind"] == "cell"}
        return SweepRun(
            settings,
            headers[0],
            tuple(images[key] for key in sorted(images, key=lambda key: (order[key[:2]], key[2]))),
            tuple(cells[key] for key in sorted(cells, key=order.__getitem__)),
            {record["checkpoint"]: record for record in found if record["kind"] == "loss"},
        )
    except (KeyError, TypeError) as error:
        raise RefusedInputError(
            f"expected the records of a sweep of this version in {folder}, found other ones: run it again elsewhere"
        ) from error


def embedding_of(record: Mapping[str, Any]) -> NDArray[np.float32]:
    """(d,) embedding of a recorded image."""
    return np.frombuffer(base64.b64decode(record["embedding"]), dtype="<f4")


def cells_of(settings: PictureSweep) -> list[Cell]:
    """Every checkpoint and prompt, in order."""
    return [(checkpoint, prompt) for checkpoint in settings.checkpoints for prompt in settings.prompts]


def cell_key(record: Mapping[str, Any]) -> Cell:
    """The cell of an image's or a cell's record."""
    return record["checkpoint"], record["prompt"]


def image_key(record: Mapping[str, Any]) -> tuple[str, str, int]:
    """What tells a painted image from every other of its run."""
    return record["checkpoint"], record["prompt"], record["seed"]


def images_by_cell(run: SweepRun) -> dict[Cell, list[Record]]:
    """Cell → its painted images, in order of their seeds."""
    cells: dict[Cell, list[Record]] = {}
    for record in run.images:
        cells.setdefault(cell_key(record), []).append(record)
    return cells
