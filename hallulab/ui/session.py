"""What all tabs of one running app share. Nothing of a visitor is kept here: that is `gr.State`."""

from dataclasses import dataclass
from pathlib import Path

from hallulab.engine.core import Engine

DEVICE = "device"
"""`concurrency_id` of every listener that computes on the device: one at a time, in one queue"""


@dataclass(frozen=True)
class Session:
    """The engine behind the page, and what else the app was started with."""

    engine: Engine
    truthfulqa: str | None = None
    """where TruthfulQA is read from; without it its questions are not offered"""
    truthfulqa_missing: str = ""
    """why they are not offered, as a sentence"""
    home: Path | None = None
    """folder of runs that the page may show"""
