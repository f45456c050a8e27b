"""The report of grading runs: graded files, local models with a stated target."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from io import StringIO
from pathlib import Path

from hallulab.errors import RefusedInputError
from hallulab.experiments import grading, stated_targets
from hallulab.experiments.grading import GradingResult, read_grading
from hallulab.experiments.stated_targets import CONTROL, PLAIN, StatedTargetsResult, read_stated_targets
from hallulab.experiments.stated_targets_summary import (
    behaviour_table,
    dose_table,
    frequency_table,
    grading_table,
)
from hallulab.records import RecordFile, file_sha256
from hallulab.reports.charts import Chart, chart_png, chart_svg, page_figure
from hallulab.reports.grading_figures import (
    audit_chart,
    expected_points_chart,
    risk_coverage_chart,
    score_chart,
)
from hallulab.reports.numbers import MISSING
from hallulab.reports.page import Finding, Page, PageSection, PageTable, Receipt, page_html, setting_text
from hallulab.reports.written import PAGE_NAME, WrittenReport, write_report
from hallulab.scoring.grading import (
    READINGS,
    GradeSummary,
    Rate,
    audit,
    labelled_risk_coverage,
    regrade,
    score_curve,
)
from hallulab.theory.bootstrap import PairedDifference
from hallulab.theory.intervals import Interval

WHAT_IT_IS = (
    "An exam that gives a point for a right answer and nothing otherwise rewards guessing. A confidence target t takes "
    "t/(1−t) points off for a wrong answer, so that answering pays only for who is right more often than t; t = 0 is "
    "the usual exam. Here the same answers are graded at every t, without any judge model: by written rules."
)
READINGS_NOTE = ", ".join(f"{target:g} {name}" for target, name in READINGS.items())


@dataclass(frozen=True)
class _Part:
    """What one run gives to the page."""

    finding: Finding
    sections: list[PageSection]
    charts: list[Chart]
    settings: Mapping[str, object]
    versions: dict[str, str]
    points: Sequence[Mapping[str, object]]


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
        sections=[*(section for part in parts for section in part.sections), _rule_section()],
        receipt=_receipt(parts, paths),
    )
    return write_report(
        out or folder / PAGE_NAME,
        html=page_html(page),
        png=chart_png(charts),
        svg=chart_svg(charts),
        points=_points_csv(parts),
    )


def grading_part(records: RecordFile) -> _Part:
    """A graded file."""
    result = read_grading(records)
    found = regrade(result.graded, result.settings.target, seed=result.settings.seed)
    curve, risk = score_curve(result.graded, seed=result.settings.seed), labelled_risk_coverage(result.graded)
    audited = audit(result.graded) if risk else ()
    charts = [score_chart(curve, target=found.target)] if curve else []
    charts += [risk_coverage_chart(risk), audit_chart(audited)] if risk else []
    policies = [summary for summary in (found.as_given, found.by_confidence) if summary]
    tables = [_summary_table(policies, found.target)]
    if audited:
        tables.append(
            PageTable(
                "Behavioural calibration: answering only above t",
                ("t", "answered", "right of the answered", "verdict"),
                [(f"{p.target:g}", rate(p.answered), rate(p.accuracy), p.verdict) for p in audited],
                note="95 % Wilson intervals in brackets. Over-confident: even the upper end lies below t.",
            )
        )
    title = f"{result.source}: {len(found.rows)} answers at t = {found.target:g}"
    return _Part(
        Finding(title, _grading_headline(policies), _grading_sentences(result)),
        [PageSection(title, (), [page_figure(chart) for chart in charts], tables)],
        charts,
        asdict(result.settings) | {"source": result.source, "source sha256": result.sha256},
        result.versions,
        [{"run": "grade"} | asdict(row) for row in found.rows],
    )


def targets_part(records: RecordFile) -> _Part:
    """Local models with and without a stated target."""
    result = read_stated_targets(records)
    title = f"Stated targets: {result.settings.question_set}, {len(result.questions)} questions"
    plain = result.graded(result.checkpoints[0]) if result.checkpoints else None
    curve = score_curve(plain) if plain else None
    charts = [score_chart(curve)] if curve else []
    tables = [
        PageTable(
            "What the prompt changes",
            ("checkpoint", "prompt", "answered", "right of these", "speaks − plain", "speaks − control"),
            [
                (
                    row.checkpoint,
                    row.prompt,
                    rate(row.summary.answered),
                    rate(row.summary.accuracy),
                    change(row.spoke_change),
                    change(row.spoke_beyond_control),
                )
                for row in behaviour_table(result)
            ],
            note=(
                "Greedy answers to the same questions. Control: a sentence of like length that states no target. "
                "Speaks: says anything but that it does not know. "
                "Differences in points of a percent, paired by question, with 95 % bootstrap intervals."
            ),
        ),
        PageTable(
            "The same plain answers under binary and uncertainty-aware grading",
            ("checkpoint", "t", "policy", "points", "hallucinations", "rank", "own best threshold"),
            [
                (
                    row.checkpoint,
                    f"{row.target:g}",
                    row.policy.replace("_", " "),
                    score(row.summary),
                    rate(row.summary.hallucination_rate),
                    str(row.rank),
                    MISSING if row.own_threshold is None else f"{max(0.0, row.own_threshold.threshold):.3f}",
                )
                for row in grading_table(result)
            ],
            note=(
                "By confidence: an answer with confidence of t or less is withheld. The best threshold is chosen on "
                "these very answers; above t the model is too sure of itself."
            ),
        ),
        PageTable(
            "By kind of question",
            ("checkpoint", "questions", "correct", "wrong", "abstained", "empty", "ungradable"),
            [
                (row.checkpoint, row.category, *(str(n) for n in row.summary.n_by_grade.values()))
                for row in frequency_table(result)
            ],
        ),
    ]
    return _Part(
        Finding(title, _targets_headline(result), _targets_sentences(result)),
        [PageSection(title, (), [page_figure(chart) for chart in charts], tables)],
        charts,
        asdict(result.settings) | {f"sha256 of {m.checkpoint}": m.sha256 for m in result.models},
        result.versions,
        [{"run": "targets"} | asdict(answer) for answer in result.answers],
    )


READERS = {
    grading.RECORDS_PATTERN: grading_part,
    stated_targets.RECORDS_PATTERN: targets_part,
}
"""records → what they give to the page"""


def _grading_headline(policies: Sequence[GradeSummary]) -> str:
    said = [
        f"{'As given' if summary.policy == 'as_given' else 'with unsure answers withheld'} {score(summary)} points"
        for summary in policies
    ]
    return f"{', '.join(said)} a question."


def _grading_sentences(result: GradingResult) -> list[str]:
    found = regrade(result.graded, result.settings.target)
    grades = found.as_given.n_by_grade
    said = ["By their words: " + ", ".join(f"{count} {name}" for name, count in grades.items()) + "."]
    curve = score_curve(result.graded)
    if curve and curve.break_even is not None:
        said.append(
            f"Above t = {curve.break_even:.2f} these answers, as given, score below always saying “I do not know”."
        )
    if found.by_confidence:
        said.append(
            f"Withholding answers with confidence of {found.target:g} or less takes the hallucination rate from "
            f"{rate(found.as_given.hallucination_rate)} to {rate(found.by_confidence.hallucination_rate)}."
        )
        over_confident = [p for p in audit(result.graded) if p.verdict == "over-confident"]
        said.append(
            "Over-confident at t = " + ", ".join(f"{p.target:g}" for p in over_confident) + "."
            if over_confident
            else "At no named target is it shown to be over-confident."
        )
    if result.bad_lines:
        said.append(
            f"Lines left out: {len(result.bad_lines)} ("
            + ", ".join(str(line.line) for line in result.bad_lines[:10])
            + ")."
        )
    return said


def _targets_headline(result: StatedTargetsResult) -> str:
    doses = dose_table(result)
    if not doses:
        return "Fewer than two targets were stated."
    moved = [row for row in doses if row.spoke.p_value < 0.05 and row.spoke.mean < 0]
    low, high = doses[0].lowest, doses[0].highest
    said = f"{len(moved)} of {len(doses)} checkpoints answer less when the stated target rises from {low:g} to {high:g}"
    control = next((row for row in behaviour_table(result) if row.prompt == CONTROL), None)
    if control is None or control.spoke_change is None:
        return f"{said}."
    return (
        f"{said}; a sentence that states no target changes how often {control.checkpoint} speaks by "
        f"{change(control.spoke_change)} points of a percent."
    )


def _targets_sentences(result: StatedTargetsResult) -> list[str]:
    said = []
    rows = behaviour_table(result)
    for checkpoint in result.checkpoints[:3]:
        own = {row.prompt: row for row in rows if row.checkpoint == checkpoint}
        control = [row for name, row in own.items() if name != PLAIN and row.stated_target is None]
        stated = [row for row in own.values() if row.stated_target is not None]
        if PLAIN in own and control and stated:
            beyond = [abs(row.spoke_beyond_control.mean) for row in stated if row.spoke_beyond_control]
            said.append(
                f"{checkpoint} answers {rate(own[PLAIN].summary.answered)} of the plain questions and "
                f"{rate(control[0].summary.answered)} with a sentence that states no target; stating a target changes "
                f"that by at most {100 * max(beyond, default=0.0):.1f} points more."
            )
    binary = [row for row in grading_table(result) if (row.target, row.policy) == (0.0, "as_given")]
    strict = [row for row in grading_table(result) if (row.target, row.policy) == (0.75, "by_confidence")]
    for before, after in zip(binary[:1], strict[:1], strict=False):
        said.append(
            f"{before.checkpoint}, plain: hallucination rate {rate(before.summary.hallucination_rate)} as given, "
            f"{rate(after.summary.hallucination_rate)} with answers of confidence 0.75 or less withheld."
        )
    return said


def _rule_section() -> PageSection:
    return PageSection(
        "The rule",
        (
            "Points to be expected of an answer that is right with probability p are p − (1 − p) t/(1 − t): above 0 "
            f"exactly when p > t. What a target suits: {READINGS_NOTE}.",
        ),
        [page_figure(expected_points_chart())],
    )


def _summary_table(policies: Sequence[GradeSummary], target: float) -> PageTable:
    grades = list(policies[0].n_by_grade)
    return PageTable(
        f"Graded at t = {target:g}",
        ("policy", "points", *grades, "answered", "right of these", "hallucinations"),
        [
            (
                summary.policy.replace("_", " "),
                score(summary),
                *(str(summary.n_by_grade[name]) for name in grades),
                rate(summary.answered),
                rate(summary.accuracy),
                rate(summary.hallucination_rate),
            )
            for summary in policies
        ],
        note="By confidence: answers with confidence of t or less count as abstained. Ungradable ones have no points.",
    )


def _receipt(parts: Sequence[_Part], paths: Sequence[Path]) -> Receipt:
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


def _points_csv(parts: Sequence[_Part]) -> str:
    """Every graded answer and measured policy, one a line; columns that a run does not have stay empty."""
    names = list(dict.fromkeys(name for part in parts for point in part.points for name in point))
    written = StringIO()
    writer = csv.DictWriter(written, names, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(_flat(parts))
    return written.getvalue()


def _flat(parts: Sequence[_Part]) -> Iterator[dict[str, object]]:
    for part in parts:
        for point in part.points:
            yield {name: "" if value is None else setting_text(value) for name, value in point.items()}


def rate(found: Rate) -> str:
    """A rate with its interval and n."""
    if found.value is None or found.interval is None:
        return MISSING
    low, high = 100 * found.interval.low, 100 * found.interval.high
    return f"{100 * found.value:.1f} % [{low:.1f}, {high:.1f}] of {found.n}"


def score(summary: GradeSummary) -> str:
    """Points a question with their interval."""
    if summary.score is None:
        return MISSING
    return signed(summary.score.mean, summary.score.interval)


def change(found: PairedDifference | None) -> str:
    """A paired difference in points of a percent."""
    if found is None:
        return ""
    low, high = 100 * found.interval.low, 100 * found.interval.high
    return f"{100 * found.mean:+.1f} [{low:+.1f}, {high:+.1f}]".replace("-", "−")


def signed(value: float, interval: Interval) -> str:
    """Points with their sign and interval."""
    return f"{value:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]".replace("-", "−")
