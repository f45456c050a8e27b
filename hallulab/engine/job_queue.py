"""One first-come-first-served queue for everything that computes on the device, words and pictures alike."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class Ticket:
    """One job's place in the queue. Use it in a `with` block: leaving the block gives the place up."""

    def __init__(self, queue: "JobQueue", label: str):
        self.label = label
        self._queue = queue

    @property
    def position(self) -> int:
        """Jobs in front of this one, the running one included; 0 means that it is this job's turn."""
        return self._queue.position(self)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Block until it is this job's turn, or until the time is over; whether it is this job's turn."""
        return self._queue.wait(self, timeout_s)

    def positions(self, poll_s: float = 0.25) -> Iterator[int]:
        """The position again and again until it is this job's turn.

        A generator that waits this way yields while it waits, so it can be closed in the middle of waiting.
        """
        while not self.wait(poll_s):
            yield self.position

    def leave(self) -> None:
        """Give the place up, waiting or running; harmless when already given up."""
        self._queue.leave(self)

    def __enter__(self) -> "Ticket":
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()


class JobQueue:
    """Tickets in order of arrival; the first one holds the device.

    Any thread may give a ticket up, because a web server resumes one generator on many threads. It is not
    re-entrant: a job that asks for a second ticket before it leaves waits for itself.
    """

    def __init__(self):
        self._tickets: deque[Ticket] = deque()
        self._changed = threading.Condition()

    def enter(self, label: str) -> Ticket:
        """Take the last place, without waiting for the turn."""
        ticket = Ticket(self, label)
        with self._changed:
            self._tickets.append(ticket)
        return ticket

    @contextmanager
    def job(self, label: str) -> Iterator[Ticket]:
        """Wait for the turn and hold the device inside the `with` block, however the block ends."""
        with self.enter(label) as ticket:
            ticket.wait()
            yield ticket

    @property
    def holder(self) -> Ticket | None:
        """The job that holds the device."""
        with self._changed:
            return self._tickets[0] if self._tickets else None

    @property
    def n_waiting(self) -> int:
        """Jobs that wait for their turn."""
        with self._changed:
            return max(0, len(self._tickets) - 1)

    def position(self, ticket: Ticket) -> int:
        """Jobs in front of this ticket; 0 means its turn. ValueError once the ticket is given up."""
        with self._changed:
            return self._tickets.index(ticket)

    def wait(self, ticket: Ticket, timeout_s: float | None = None) -> bool:
        """Block until it is this ticket's turn or the time is over; whether it is its turn."""
        with self._changed:
            return self._changed.wait_for(lambda: self._tickets.index(ticket) == 0, timeout_s)

    def leave(self, ticket: Ticket) -> None:
        """Take the ticket out of the queue and let the next one start."""
        with self._changed:
            if ticket not in self._tickets:
                return
            self._tickets.remove(ticket)
            self._changed.notify_all()
