"""The files of a report: the page, its figure twice, its numbers as a table."""

from dataclasses import dataclass
from pathlib import Path

from hallulab.errors import RefusedInputError

PAGE_NAME, PNG_NAME, SVG_NAME, POINTS_NAME = "report.html", "figure.png", "figure.svg", "points.csv"


@dataclass(frozen=True)
class WrittenReport:
    """Where the files of one report are."""

    path: Path
    """of the page"""
    figures: tuple[Path, ...]
    points: Path


def write_report(page: Path, *, html: str, png: bytes, svg: bytes, points: str) -> WrittenReport:
    """Write the page to `page` and the rest beside it.

    Raises RefusedInputError where it cannot be written.
    """
    beside = page.parent
    report = WrittenReport(page, (beside / PNG_NAME, beside / SVG_NAME), beside / POINTS_NAME)
    contents = {page: html.encode(), report.points: points.encode()}
    contents |= dict(zip(report.figures, (png, svg), strict=True))
    try:
        beside.mkdir(parents=True, exist_ok=True)
        for path, content in contents.items():
            path.write_bytes(content)
    except OSError as error:
        raise RefusedInputError(
            f"expected a report file that can be written, got {page} ({error.strerror}): choose another --out"
        ) from error
    return report
