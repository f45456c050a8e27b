"""The training loss recorded beside a checkpoint (`losses.jsonl`), and how far its training had come."""

import re
from dataclasses import dataclass
from pathlib import Path

from hallulab.engine.presets import is_local
from hallulab.records import RecordFile

LOSSES_FILE = "losses.jsonl"


@dataclass(frozen=True)
class LossPoint:
    """One line of a history."""

    step: int
    """Training steps done."""
    loss: float
    """Mean training loss since the line before."""


@dataclass(frozen=True)
class TrainingHistory:
    """What a checkpoint's folder tells of its training."""

    points: tuple[LossPoint, ...]
    """In the order written; empty where nothing is recorded, as for a model of the Hub."""

    @property
    def n_steps(self) -> int | None:
        """Steps done."""
        return self.points[-1].step if self.points else None

    @property
    def loss(self) -> float | None:
        """The last loss recorded."""
        return self.points[-1].loss if self.points else None


def training_history(place: str) -> TrainingHistory:
    """The losses beside a checkpoint: a local folder's `losses.jsonl`; empty for any other place."""
    path = Path(place) / LOSSES_FILE
    if not is_local(place) or not path.is_file():
        return TrainingHistory(())
    points = [
        LossPoint(int(record["step"]), float(record["loss"]))
        for record in RecordFile(path).read()
        if isinstance(record.get("step"), int) and isinstance(record.get("loss"), int | float)
    ]
    return TrainingHistory(tuple(points))


def steps_in_name(checkpoint: str) -> int | None:
    """The number a checkpoint's name ends in, as in `step-2800`; None when it ends in none."""
    found = re.search(r"(\d+)$", checkpoint)
    return int(found.group(1)) if found else None
