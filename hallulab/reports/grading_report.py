"""The report of grading runs: graded files, local models with a stated target, post-trained policies."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from io import StringIO
from pathlib import Path

from hallulab.data.graded_by_hand import PARTS
from hallulab.errors import RefusedInputError
from hallulab.experiments import grading, post_training, stated_targets
from hallulab.experiments.grade_rules import check_rules
from hallulab.experiments.post_training import BASE, BINARY, STATED, PostTrainingResult, read_post_training
from hallulab.experiments.post_training_summary import OverWorlds, policy_table, row_of
from hallulab.records import RecordFile, file_sha256
from hallulab.reports.answers_report import answers_part
from hallulab.reports.charts import chart_png, chart_svg, page_figure
from hallulab.reports.grading_figures import (
    expected_points_chart,
    observation_1_chart,
    post_training_chart,
    stated_policy_chart,
)
from hallulab.reports.grading_rules_words import RULES_HEADER, rules_note, rules_rows
from hallulab.reports.numbers import MISSING
from hallulab.reports.page import Finding, Page, PageSection, PageTable, Receipt, page_html, setting_text
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
        folder: as `grade`, `targets` and `post-train` leave it with --out.
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


def post_training_part(records: RecordFile) -> ReportPart:
    """Policies trained by graders."""
    result = read_post_training(records)
    rows = policy_table(result)
    settings = result.settings
    title = (
        f"Post-training: {settings.learner}, {settings.world.n_prompts:,} people, N = {settings.n_samples:,}"
    )
    charts = [post_training_chart(result), stated_policy_chart(rows)]
    table = PageTable(
        "Every finished policy at every target, on prompts it was not trained on",
        (
            "policy",
            "graded at t",
            "trained on t",
            "points",
            "rule: answer above t",
            "IDK",
            "hallucinations",
            "− base",
            "right of answered",
            "δ",
        ),
        [
            (
                row.policy,
                f"{row.target:g}",
                "" if row.policy == BASE else ("yes" if row.is_trained_on else "no"),
                *map(
                    over,
                    (
                        row.points,
                        row.rule_points,
                        row.idk,
                        row.wrong,
                        row.wrong_change,
                        row.accuracy,
                        row.delta,
                    ),
                ),
            )
            for row in rows
        ],
        note=(
            f"Mean over {max((row.idk.n for row in rows), default=0)} worlds, 95 % Student-t intervals in brackets; "
            "within a world everything is a sum over all answers. Rule: the base's likeliest answer iff its confidence "
            "exceeds t, untrained."
        ),
    )
    return ReportPart(
        Finding(title, _post_training_headline(result), _post_training_sentences(result)),
        [PageSection(title, (), [page_figure(chart) for chart in charts], [table])],
        charts,
        asdict(settings),
        result.versions,
        [{"run": "post-train"} | asdict(point) for point in result.points],
    )


READERS = {
    grading.RECORDS_PATTERN: answers_part,
    stated_targets.RECORDS_PATTERN: targets_part,
    post_training.RECORDS_PATTERN: post_training_part,
}
"""records → what they give to the page"""


def _post_training_headline(result: PostTrainingResult) -> str:
    rows = policy_table(result)
    base, binary = row_of(rows, BASE, 0.0), row_of(rows, BINARY, 0.0)
    if base is None or binary is None:
        return "Not finished."
    return (
        f"Binary grading takes “I do not know” from {_percent(base.idk)} to {_percent(binary.idk)} of the prompts, and "
        f"hallucinations from {_percent(base.wrong)} to {_percent(binary.wrong)}."
    )


def _post_training_sentences(result: PostTrainingResult) -> list[str]:
    rows = policy_table(result)
    told = [row for row in rows if row.policy == STATED]
    said = []
    if told:
        kept = [row for row in told if row.keeps_its_word is not False]
        said.append(
            f"One policy that is told the target is right at least as often as t at {len(kept)} of {len(told)} "
            f"targets, {sum(not row.is_trained_on for row in told)} of which it was never trained on."
        )
        last = told[-1]
        said.append(
            f"Told t = {last.target:g} it says IDK to {over(last.idk)} of the prompts and errs in {over(last.wrong)}."
        )
    base, binary = row_of(rows, BASE, 0.0), row_of(rows, BINARY, 0.0)
    if base and binary:
        said.append(
            f"Hallucinations under binary grading, minus the base, by world: {over(binary.wrong_change)}; right of "
            f"the answered: {over(base.accuracy)} before, {over(binary.accuracy)} after."
        )
        said.append(
            f"δ against the data: {over(base.delta)} before, {over(binary.delta)} after binary grading."
        )
    return said


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
    """Every graded answer and measured policy, one a line; columns that a run does not have stay empty."""
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


def over(found: OverWorlds) -> str:
    """A mean over worlds with its interval."""
    if found.mean is None:
        return MISSING
    if found.interval is None:
        return _number(found.mean)
    return f"{_number(found.mean)} [{_number(found.interval.low)}, {_number(found.interval.high)}]"


def _percent(found: OverWorlds) -> str:
    return MISSING if found.mean is None else f"{100 * found.mean:.1f} %"


def _number(value: float) -> str:
    written = f"{value:.3f}"
    return written.lstrip("-") if float(written) == 0 else written.replace("-", "−")
