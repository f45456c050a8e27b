"""`report`: a run as one self-contained page, its figure as files, its points as a table."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hallulab.cli.console import print_json, quiet_stdout
from hallulab.errors import RefusedInputError

if TYPE_CHECKING:
    from hallulab.reports.written import WrittenReport


def report(
    run: Annotated[
        Path,
        typer.Argument(help="Folder with the records of a run, as `coins --out` or `facts --out` leaves it."),
    ],
    out: Annotated[
        Path | None, typer.Option(help="The page; RUN/report.html by default. The rest is written beside it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write one self-contained HTML page about a run, with figure.png, figure.svg and points.csv beside it."""
    write = _writer_for(run)
    with quiet_stdout():
        written = write(run, out)
    if as_json:
        print_json(
            {
                "path": written.path,
                "figures": written.figures,
                "points": written.points,
            }
        )
        return
    print(f"Wrote {written.path}.")
    for path in (*written.figures, written.points):
        print(f"  {path}")


def _coins(run: Path, out: Path | None) -> "WrittenReport":
    from hallulab.reports.coin_report import write_coin_report

    return write_coin_report(run, out)


def _facts(run: Path, out: Path | None) -> "WrittenReport":
    from hallulab.reports.facts_report import write_facts_report

    return write_facts_report(run, out)


def _grades(run: Path, out: Path | None) -> "WrittenReport":
    from hallulab.reports.grading_report import write_grading_report

    return write_grading_report(run, out)


def _words(run: Path, out: Path | None) -> "WrittenReport":
    from hallulab.reports.words_report import write_words_report

    return write_words_report(run, out)


def _iiv(run: Path, out: Path | None) -> "WrittenReport":
    from hallulab.reports.iiv_report import write_iiv_report

    return write_iiv_report(run, out)


def _pictures(run: Path, out: Path | None) -> "WrittenReport":
    from hallulab.reports.pictures_report import write_pictures_report

    return write_pictures_report(run, out)


def _frame_table(run: Path, out: Path | None) -> "WrittenReport":
    from hallulab.reports.frame_table_report import write_frame_table_report

    return write_frame_table_report(run, out)


def _detectors(run: Path, out: Path | None) -> "WrittenReport":
    from hallulab.reports.detectors_report import write_detectors_report

    return write_detectors_report(run, out)


WRITERS: dict[str, Callable[[Path, Path | None], "WrittenReport"]] = {
    "coins-*.jsonl": _coins,
    "facts-*.jsonl": _facts,
    "grades-*.jsonl": _grades,
    "iiv-*.jsonl": _iiv,
    "words-*.jsonl": _words,
    "pictures-*.jsonl": _pictures,
    "frame-table-*.jsonl": _frame_table,
    "detectors-*.jsonl": _detectors,
}
"""how each kind of run is reported, by the record files that it leaves"""


def _writer_for(run: Path) -> Callable[[Path, Path | None], "WrittenReport"]:
    """The writer for what the folder holds; refused in words when it holds no run."""
    if not run.is_dir():
        raise RefusedInputError(
            f"expected a folder with the records of a run, found none at {run}: check its path"
        )
    for pattern, write in WRITERS.items():
        if any(run.glob(pattern)):
            return write
    raise RefusedInputError(
        f"expected records of a run ({', '.join(WRITERS)}), found none in {run}: make some with "
        "`python -m hallulab coins --out FOLDER`"
    )
