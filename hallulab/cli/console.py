"""What a command prints: one JSON object or readable lines on stdout, everything else on stderr."""

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

from hallulab.records import as_plain


def print_json(result: Mapping[str, Any]) -> None:
    """The one JSON object of `--json`; numbers that are not finite become null."""
    print(json.dumps(as_plain(result), ensure_ascii=False, allow_nan=False))


@dataclass(frozen=True)
class Outcome:
    """What a command found."""

    as_json: Mapping[str, Any]
    show: Callable[[], None]
    """prints it for people"""

    def tell(self, *, as_json: bool) -> None:
        """Print it for programs or for people."""
        if as_json:
            print_json(self.as_json)
        else:
            self.show()


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Rows under their header, columns aligned, every column but the first to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        first, *others = (
            cell.ljust(width) if n == 0 else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  " + "  ".join((first, *others)).rstrip())


def nats(value: float | None) -> str:
    """A log-density as people read it; a dash when it is missing."""
    return "–" if value is None else f"{value:.2f}"


def percent(share: float | None) -> str:
    """A share as people read it; a dash when it is missing."""
    return "–" if share is None else f"{100 * share:.0f} %"


def one_line(message: object) -> str:
    """A message without its line breaks."""
    return " ".join(str(message).split())


def sentence(text: str) -> str:
    """A text with a capital first letter and a full stop."""
    return text[:1].upper() + text[1:].rstrip(".") + "."


def progress_bar(total: int | None, unit: str) -> tqdm:
    """A bar on stderr, silent when nobody watches stderr."""
    return tqdm(total=total, unit=unit, leave=False, file=sys.stderr, disable=not sys.stderr.isatty())


@contextlib.contextmanager
def quiet_stdout() -> Iterator[None]:
    """Whatever libraries print inside goes to stderr, so that stdout holds the result alone."""
    with contextlib.redirect_stdout(sys.stderr):
        yield
