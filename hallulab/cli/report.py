"""`report`: a run as one self-contained page, its figure as files, its points as a table."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hallulab.cli.console import print_json, quiet_stdout
from hallulab.errors import RefusedInputError
from hallulab.reports.written import PAGE_NAME

if TYPE_CHECKING:
    from hallulab.reports.written import WrittenReport


def report(
    run: Annotated[
        Path,
        typer.Argument(help="Folder with the records of runs, as `coins --out` or `facts --out` leaves it."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="The page; RUN/report.html by default. The rest is written beside it. Of several kinds of run, "
            "each page lies in a folder named after page and kind, such as RUN/report-facts/report.html."
        ),
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
    """Write one self-contained HTML page about a run, with figure.png, figure.svg and points.csv beside it.

    Where the folder holds several kinds of run, each gets a page of its own in a folder of its own.
    """
    kinds = _kinds_in(run)
    writers = {kind: write for kind, (_, write) in WRITERS.items()}
    if delta is not None or hdr_mass is not None:
        writers["coins"] = _judged_coins(kinds, delta, hdr_mass)
    with quiet_stdout():
        pages, left_out = _written(run, out, {kind: writers[kind] for kind in kinds})
    if as_json:
        print_json(
            {
                "path": pages[0].written.path,
                "figures": pages[0].written.figures,
                "points": pages[0].written.points,
                "pages": [
                    {
                        "kind": page.kind,
                        "path": page.written.path,
                        "figures": page.written.figures,
                        "points": page.written.points,
                    }
                    for page in pages
                ],
                "not_reported": [{"kind": kind, "why": why} for kind, why in left_out.items()],
            }
        )
        return
    for page in pages:
        about = f" about {page.kind}" if len(kinds) > 1 else ""
        print(f"Wrote {page.written.path}{about}.")
        for path in (*page.written.figures, page.written.points):
            print(f"  {path}")
    for kind, why in left_out.items():
        print(f"Not reported: {kind}, {why}.")


@dataclass(frozen=True)
class _KindPage:
    """The page about one kind of run."""

    kind: str
    written: "WrittenReport"


def _coins(run: Path, out: Path | None) -> "WrittenReport":
    from hallulab.reports.coin_report import write_coin_report

    return write_coin_report(run, out)


def _judged_coins(kinds: list[str], delta: float | None, hdr_mass: float | None) -> "Writer":
    """The writer of coin runs, with another line; refused where there is no coin run."""
    if "coins" not in kinds:
        raise RefusedInputError(
            "expected --delta or --hdr-mass for a coin run, got another run: leave them out"
        )
    from hallulab.reports.coin_report import write_coin_report
    from hallulab.scoring.coin_rule import rule_of

    return partial(write_coin_report, rule=rule_of(delta=delta, hdr_mass=hdr_mass))


def _facts(run: Path, out: Path | None) -> "WrittenReport":
    from hallulab.reports.facts_report import write_facts_report

    return write_facts_report(run, out)


def _theorem_2(run: Path, out: Path | None) -> "WrittenReport":
    from hallulab.reports.theorem_2_report import write_theorem_2_report

    return write_theorem_2_report(run, out)


def _grades(run: Path, out: Path | None) -> "WrittenReport":
    from hallulab.reports.grading_report import write_grading_report

    return write_grading_report(run, out)


def _post_training(run: Path, out: Path | None) -> "WrittenReport":
    from hallulab.reports.post_training_report import write_post_training_report

    return write_post_training_report(run, out)


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


Writer = Callable[[Path, Path | None], "WrittenReport"]
WRITERS: dict[str, tuple[tuple[str, ...], Writer]] = {
    "coins": (("coins-*.jsonl",), _coins),
    "facts": (("facts-*.jsonl",), _facts),
    "theorem-2": (("theorem-2-*.jsonl",), _theorem_2),
    "grades": (("grades-answers-*.jsonl", "grades-targets-*.jsonl"), _grades),
    "post-training": (("grades-post-training-*.jsonl",), _post_training),
    "iiv": (("iiv-*.jsonl",), _iiv),
    "words": (("words-*.jsonl",), _words),
    "pictures": (("pictures-*.jsonl",), _pictures),
    "frame-table": (("frame-table-*.jsonl",), _frame_table),
    "detectors": (("detectors-*.jsonl",), _detectors),
}
"""kind of run → the record files that it leaves, and how it is reported"""


def _kinds_in(run: Path) -> list[str]:
    """The kinds of run that the folder holds; refused in words when it holds none."""
    if not run.is_dir():
        raise RefusedInputError(
            f"expected a folder with the records of a run, found none at {run}: check its path"
        )
    kinds = [kind for kind, (patterns, _) in WRITERS.items() if any(any(run.glob(one)) for one in patterns)]
    if not kinds:
        patterns = ", ".join(one for patterns, _ in WRITERS.values() for one in patterns)
        raise RefusedInputError(
            f"expected records of a run ({patterns}), found none in {run}: make some with "
            "`python -m hallulab coins --out FOLDER`"
        )
    return kinds


def _written(
    run: Path, out: Path | None, writers: dict[str, Writer]
) -> tuple[list[_KindPage], dict[str, str]]:
    """A page for each kind, and why some kinds have none; refused when none has one."""
    if len(writers) == 1:
        return [_KindPage(kind, write(run, out)) for kind, write in writers.items()], {}
    page = out or run / PAGE_NAME
    pages, left_out = [], {}
    for kind, write in writers.items():
        # figures and points lie beside their page under fixed names, so each kind has a folder
        own = page.parent / f"{page.stem}-{kind}" / page.name
        try:
            pages.append(_KindPage(kind, write(run, own)))
        except RefusedInputError as error:
            left_out[kind] = str(error)
    if not pages:
        raise RefusedInputError("; ".join(f"{kind}: {why}" for kind, why in left_out.items()))
    return pages, left_out
