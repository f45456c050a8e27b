"""How far a job on the device is: the one kind of step that the jobs about one question yield."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from hallulab.engine.job_queue import Ticket

Result = TypeVar("Result")


@dataclass(frozen=True)
class JobProgress(Generic[Result]):
    """One step of a job."""

    message: str
    """What is being done, in a few words."""
    fraction: float
    """Share of the work done, 0 to 1."""
    result: Result | None = None
    """What there is so far; the last step holds the whole of it."""


def taking_turns(ticket: Ticket) -> Iterator[JobProgress]:
    """Wait for the device, then say that the model is loaded: a server can stop only what has yielded once."""
    for position in ticket.positions():
        yield JobProgress(f"waiting for {position} other job{'s' if position > 1 else ''}", 0.0)
    yield JobProgress("loading the model", 0.0)
