"""What every benchmark prints: the machine, seconds, a table."""

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch


@dataclass(frozen=True)
class Taken:
    """What one way took."""

    wall_s: float
    processor_s: float
    """of all threads and processes"""

    @property
    def cores(self) -> str:
        """How many cores it had on average: fewer than it has threads mean that others took their share."""
        return f"{self.processor_s / self.wall_s:.2f} cores busy"


class Clock:
    """Time since it was made."""

    def __init__(self):
        self._wall_s, self._processor_s = time.perf_counter(), self._processor_now_s()

    def taken(self) -> Taken:
        """So far."""
        return Taken(time.perf_counter() - self._wall_s, self._processor_now_s() - self._processor_s)

    @staticmethod
    def _processor_now_s() -> float:
        """Of this process and of those it started that have ended."""
        times = os.times()
        return times.user + times.system + times.children_user + times.children_system


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def machine() -> str:
    """What this was measured on."""
    names = [line.split(":")[1].strip() for line in cpu_info() if line.startswith("model name")]
    memory_gb = psutil.virtual_memory().total / 1e9
    return (
        f"{(names or [platform.processor() or 'unknown processor'])[0]}, {os.cpu_count()} cores, "
        f"{memory_gb:.0f} GB; load {os.getloadavg()[0]:.1f}; {torch.get_num_threads()} threads; "
        f"Python {platform.python_version()}, torch {torch.__version__}; {time.strftime('%Y-%m-%d')}"
    )


def cpu_info() -> list[str]:
    """Linux's description of the processor, if there is one."""
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def print_markdown(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """A table that reads well as text and as Markdown."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for cells in (header, tuple("-" * width for width in widths), *rows):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |")
