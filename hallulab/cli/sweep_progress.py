"""Progress of a sweep on stderr, with the time that is left: a bar for people, now and then a line for log files."""

import sys
import time
from types import TracebackType
from typing import Self

from tqdm import tqdm

from hallulab.cli.console import progress_bar

SECONDS_BETWEEN_LINES = 15.0


class SweepProgress:
    """Shows steps that come with what is done and what there is to do; use it in a `with` block."""

    def __init__(self) -> None:
        self._part = ""
        self._bar: tqdm | None = None
        self._began, self._first_done, self._last_line = 0.0, 0, 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def show(self, part: str, message: str, n_done: int, n_total: int) -> None:
        """One step of a part; a new part begins a new bar, and time left counts from its first step."""
        if part != self._part:
            self._begin(part, n_done, n_total)
        said = f"{message}, {self._left(n_done, n_total)} left" if n_done < n_total else message
        if self._bar is not None:
            self._bar.set_description(f"{part}: {said}", refresh=False)
            self._bar.update(n_done - self._bar.n)
        now = time.monotonic()
        if not sys.stderr.isatty() and now - self._last_line > SECONDS_BETWEEN_LINES:
            self._last_line = now
            print(f"{part}: {n_done:,} of {n_total:,}: {said}", file=sys.stderr, flush=True)

    def _begin(self, part: str, n_done: int, n_total: int) -> None:
        if self._bar is not None:
            self._bar.close()
        self._bar = progress_bar(n_total, "step")
        self._bar.update(n_done)
        self._part, self._first_done = part, n_done
        self._began = self._last_line = time.monotonic()

    def _left(self, n_done: int, n_total: int) -> str:
        """Time left at the pace so far, what an earlier run did not counted."""
        n_here = n_done - self._first_done
        if n_here <= 0:
            return "some time"
        left_s = (time.monotonic() - self._began) / n_here * (n_total - n_done)
        return f"{left_s:.0f} s" if left_s < 120 else f"{left_s / 60:.0f} min"
