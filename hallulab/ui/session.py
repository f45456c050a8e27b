"""What all tabs of one running app share. Nothing of a visitor is kept here: that is `gr.State`."""

from dataclasses import dataclass

from hallulab.engine.core import Engine

DEVICE = "device"
"""`concurrency_id` of every listener that computes on the device: one at a time, in one queue"""


@dataclass(frozen=True)
class Session:
    """The engine behind the page, and the question set it was given."""

    engine: Engine
    truthfulqa: str | None = None
    """path of TruthfulQA's CSV; without it its questions are not offered"""
