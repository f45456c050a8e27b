"""The training loss recorded beside a checkpoint (`losses.jsonl`), and how far its training had come."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hallulab.engine.presets import is_local
from hallulab.records import RecordFile

LOSSES_FILE = "losses.jsonl"
RECENT_STEPS = 50
"""steps before a checkpoint whose mean loss stands for it: the loss of single steps is mostly noise"""


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
        """Mean loss of the last `RECENT_STEPS` steps, or of all where there are fewer; None where none is recorded."""
        if not self.points:
            return None
        begins = max(0, self.points[-1].step - RECENT_STEPS)
        starts = [0, *(point.step for point in self.points[:-1])]
        weights = [
            max(0, point.step - max(start, begins)) for start, point in zip(starts, self.points, strict=True)
        ]
        if not sum(weights):  # steps that do not rise
            return self.points[-1].loss
        return float(np.average([point.loss for point in self.points], weights=weights))


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
