"""`report`: a run as one self-contained page, its figure as files, its points as a table."""

from collections.abc import Callable
from functools import partial
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
    delta: Annotated[
        float | None,
        typer.Option(help="Coins: judge by this δ instead of the run's own; nothing is trained."),
    ] = None,
    hdr_mass: Annotated[
        float | None, typer.Option(help="Coins: judge by the region that holds this share of the flips.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write one self-contained HTML page about a run, with figure.png, figure.svg and points.csv beside it."""
    write = _writer_for(run)
    if delta is not None or hdr_mass is not None:
        write = _judged_coins(write, delta, hdr_mass)
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


def _judged_coins(write: "Writer", delta: float | None, hdr_mass: float | None) -> "Writer":
    """The writer of coin runs, with another line; refused for a run of another kind."""
    if write is not _coins:
        raise RefusedInputError(
            "expected --delta or --hdr-mass for a coin run, got another run: leave them out"
        )
    from hallulab.reports.coin_report import write_coin_report
    from hallulab.scoring.coin_rule import rule_of

    return partial(write_coin_report, rule=rule_of(delta=delta, hdr_mass=hdr_mass))


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


Writer = Callable[[Path, Path | None], "WrittenReport"]
WRITERS: dict[str, Writer] = {
    "coins-*.jsonl": _coins,
    "facts-*.jsonl": _facts,
    "grades-*.jsonl": _grades,
    "iiv-*.jsonl": _iiv,
    "words-*.jsonl": _words,
    "pictures-*.jsonl": _pictures,
}
"""how each kind of run is reported, by the record files that it leaves"""


def _writer_for(run: Path) -> Writer:
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
