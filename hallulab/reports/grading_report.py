"""The report of grading runs: graded files, local models with a stated target."""

import csv
from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path

from hallulab.data.graded_by_hand import PARTS
from hallulab.errors import RefusedInputError
from hallulab.experiments import grading, stated_targets
from hallulab.experiments.grade_rules import check_rules
from hallulab.records import RecordFile, file_sha256
from hallulab.reports.answers_report import answers_part
from hallulab.reports.charts import chart_png, chart_svg, page_figure
from hallulab.reports.grading_figures import (
    expected_points_chart,
    observation_1_chart,
)
from hallulab.reports.grading_rules_words import RULES_HEADER, rules_note, rules_rows
from hallulab.reports.page import Page, PageSection, PageTable, Receipt, page_html, setting_text
from hallulab.reports.report_part import ReportPart
from hallulab.reports.targets_report import targets_part
from hallulab.reports.written import PAGE_NAME, WrittenReport, write_report
from hallulab.scoring.grading import READINGS

WHAT_IT_IS = (
    "An exam that gives a point for a right answer and nothing otherwise rewards guessing. A confidence target t takes "
    "t/(1−t) points off for a wrong answer, so that answering pays only for who is right more often than t; t = 0 is "
    "the usual exam. Here the same answers are graded at every t, without any judge model: by written rules."
)
READINGS_NOTE = ", ".join(f"{target:g} {name}" for target, name in READINGS.items())


def write_grading_report(folder: Path, out: Path | None = None) -> WrittenReport:
    """Report on every grading run in a folder.

    Args:
        folder: as `grade` and `targets` leave it with --out.
        out: the page; `report.html` in `folder` by default. Figures and points are written beside it.

    Raises RefusedInputError for a folder without such runs, and for an `out` that cannot be written.
    """
    paths, parts = [], []
    for pattern, read in READERS.items():
        for path in sorted(folder.glob(pattern)):
            paths.append(path)
            parts.append(read(RecordFile(path)))
    if not parts:
        raise RefusedInputError(
            f"expected grading runs ({', '.join(READERS)}), found none in {folder}: make one with "
            "`python -m hallulab grade ANSWERS.jsonl --out FOLDER`"
        )
    charts = [chart for part in parts for chart in part.charts] or [expected_points_chart()]
    page = Page(
        title="Grading that stops rewarding guesses",
        opening=WHAT_IT_IS,
        findings=[part.finding for part in parts],
        sections=[
            *(section for part in parts for section in part.sections),
            _rule_section(),
            _checked_section(),
        ],
        receipt=_receipt(parts, paths),
    )
    return write_report(
        out or folder / PAGE_NAME,
        html=page_html(page),
        png=chart_png(charts),
        svg=chart_svg(charts),
        points=_points_csv(parts),
    )


READERS = {
    grading.RECORDS_PATTERN: answers_part,
    stated_targets.RECORDS_PATTERN: targets_part,
}
"""records → what they give to the page"""


def _rule_section() -> PageSection:
    return PageSection(
        "The rule",
        (
            "Points to be expected of an answer that is right with probability p are p − (1 − p) t/(1 − t): above 0 "
            f"exactly when p > t. What a target suits: {READINGS_NOTE}.",
        ),
        [page_figure(expected_points_chart()), page_figure(observation_1_chart())],
    )


def _checked_section() -> PageSection:
    checks = [check_rules(part) for part in PARTS]
    return PageSection(
        "How often are the written rules right?",
        (
            "Grades come from rules on the words. Here they are held against a person, on answers graded by hand.",
        ),
        tables=[
            PageTable(
                f"{check.part.replace('_', ' ')}: {PARTS[check.part]}",
                RULES_HEADER,
                rules_rows(check),
                note=rules_note(check),
            )
            for check in checks
        ],
    )


def _receipt(parts: Sequence[ReportPart], paths: Sequence[Path]) -> Receipt:
    rows = [
        (f"{part.finding.title}: {name}" if len(parts) > 1 else name, setting_text(value))
        for part in parts
        for name, value in part.settings.items()
    ]
    return Receipt(
        PageTable("Settings", ("setting", "value"), rows),
        {name: version for part in parts for name, version in part.versions.items()},
        {path.name: file_sha256(path) for path in paths},
    )


def _points_csv(parts: Sequence[ReportPart]) -> str:
    """Every graded answer, one a line; columns that a run does not have stay empty."""
    names = list(dict.fromkeys(name for part in parts for point in part.points for name in point))
    written = StringIO()
    writer = csv.DictWriter(written, names, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(_flat(parts))
    return written.getvalue()


def _flat(parts: Sequence[ReportPart]) -> Iterator[dict[str, object]]:
    for part in parts:
        for point in part.points:
            yield {name: "" if value is None else setting_text(value) for name, value in point.items()}
