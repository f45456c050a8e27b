"""The processes of one launch: which one this is, and which part of the work is its own."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from accelerate import PartialState
from accelerate.utils import parse_flag_from_env

Unit = TypeVar("Unit")
PROCESS = "-process-"
"""in the name of a record file, before the number of the process that writes it; the first one's has none"""


@dataclass(frozen=True)
class Workers:
    """Which process of a launch this one is."""

    index: int = 0
    n: int = 1
    wait: Callable[[], None] = lambda: None
    """returns once every process has called it"""

    @classmethod
    def of_launch(cls) -> "Workers":
        """As `accelerate launch` set them up; one process without it. Ask before anything asks for the device."""
        is_launched = int(os.environ.get("LOCAL_RANK", -1)) >= 0
        # without a GPU accelerate joins processes only when told that they stay on the CPU
        on_cpu = parse_flag_from_env("ACCELERATE_USE_CPU") or not torch.accelerator.is_available()
        state = PartialState(cpu=is_launched and on_cpu)
        return cls(state.process_index, state.num_processes, state.wait_for_everyone)

    def share(self, units: Sequence[Unit]) -> Sequence[Unit]:
        """This process's part of the work, the same in every launch of as many; few units leave some with none."""
        return units[len(units) * self.index // self.n : len(units) * (self.index + 1) // self.n]


def process_path(path: Path, index: int) -> Path:
    """The record file of one process of a run whose first process writes to `path`."""
    return path.with_name(f"{path.stem}{PROCESS}{index}{path.suffix}") if index else path


def process_paths(path: Path) -> list[Path]:
    """Every file of a run that is there, the first process's first."""
    others = path.parent.glob(f"{path.stem}{PROCESS}*{path.suffix}")
    return [one for one in (path, *sorted(others)) if one.is_file()]
