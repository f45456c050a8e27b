"""What a training left beside a checkpoint: its losses (`losses.jsonl`), how far it had come, how it was made."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hallulab.engine.presets import is_local, natural_order
from hallulab.records import RecordFile

LOSSES_FILE = "losses.jsonl"
CELL_FILE = "cell.json"
"""beside an adapter: what it was trained from and how"""
_ADAPTER_NAME = re.compile(r"(?P<training>(?:seed(?P<seed>\d+))?.*?)-?epoch-?(?P<epoch>\d+)")
"""how `train words` names its adapters: seed2-lr0.0003-epoch4"""
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


@dataclass(frozen=True)
class AdapterTraining:
    """How one LoRA adapter came about."""

    training: str
    """Which training it is an epoch of: adapters of one training share it."""
    epoch: int | None
    """Passes over the data; None where neither folder nor name tells."""
    seed: int | None
    learning_rate: float | None
    """Peak learning rate; None where it is not recorded."""
    loss: float | None
    """Mean training loss of its last epoch, nats per answer token; None where none is recorded."""


def adapter_training(place: str, checkpoint: str) -> AdapterTraining:
    """How an adapter was trained, by the files of its folder, and by its name where those are silent.

    Args:
        place: its folder, or its id on the Hub, which tells nothing.
        checkpoint: its name.
    """
    found = _ADAPTER_NAME.fullmatch(checkpoint)
    cell = _cell(Path(place)) if is_local(place) else {}
    losses = epoch_losses(place)
    name_seed = int(found["seed"]) if found and found["seed"] else None
    return AdapterTraining(
        training=(found["training"] or "tuned") if found else checkpoint,
        epoch=len(losses) or (int(found["epoch"]) if found else None),
        seed=cell.get("seed", name_seed),
        learning_rate=cell.get("learning_rate"),
        loss=losses[-1] if losses else None,
    )


def order_of_training(made: AdapterTraining | None, checkpoint: str) -> tuple[Any, ...]:
    """Sort key by learning rate, training and epoch; adapters of unknown making by their names."""
    if made is None:
        return 0.0, [], 0, natural_order(checkpoint)
    return made.learning_rate or 0.0, natural_order(made.training), made.epoch or 0, natural_order(checkpoint)


def epoch_losses(place: str | Path) -> list[float]:
    """Mean training loss of each epoch up to an adapter's own, nats per answer token; none where none is recorded."""
    path = Path(place) / LOSSES_FILE
    if not (isinstance(place, Path) or is_local(place)) or not path.is_file():
        return []
    return [float(record["loss"]) for record in RecordFile(path).read() if "loss" in record]


def _cell(folder: Path) -> dict[str, Any]:
    path = folder / CELL_FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def steps_in_name(checkpoint: str) -> int | None:
    """The number a checkpoint's name ends in, as in `step-2800`; None when it ends in none."""
    found = re.search(r"(\d+)$", checkpoint)
    return int(found.group(1)) if found else None
