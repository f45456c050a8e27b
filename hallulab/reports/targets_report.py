"""What the report says of local models that were told a confidence target."""

from collections.abc import Sequence
from dataclasses import asdict

from hallulab.experiments.stated_targets import CONTROL, PLAIN, StatedTargetsResult, read_stated_targets
from hallulab.experiments.stated_targets_summary import (
    BehaviourRow,
    DoseRow,
    GradingRow,
    behaviour_table,
    dose_table,
    frequency_table,
    grading_table,
    stated_audit,
)
from hallulab.records import RecordFile
from hallulab.reports.charts import page_figure
from hallulab.reports.grading_figures import score_chart
from hallulab.reports.grading_words import (
    AUDIT_HEADER,
    AUDIT_NOTE,
    audit_row,
    behind,
    change,
    p_value,
    range_cell,
    rate,
    score,
)
from hallulab.reports.numbers import MISSING
from hallulab.reports.page import Finding, PageSection, PageTable
from hallulab.reports.report_part import ReportPart
from hallulab.scoring.grades import GRADES
from hallulab.scoring.grading import score_curve
from hallulab.theory.confidence_targets import target_text

N_DESCRIBED = 3
"""checkpoints that sentences are about; the tables have them all"""
STRICT_TARGET = 0.75


def targets_part(records: RecordFile) -> ReportPart:
    """Local models with and without a stated target."""
    result = read_stated_targets(records)
    behaviour, doses, graded = behaviour_table(result), dose_table(result), grading_table(result)
    title = f"Stated targets: {result.settings.question_set}, {len(result.questions)} questions"
    curve = score_curve(result.graded(result.checkpoints[0])) if result.checkpoints else None
    charts = [score_chart(curve)] if curve else []
    tables = [
        _behaviour_page_table(behaviour),
        PageTable(
            "Told t, is at least the share t of what it answers right?",
            AUDIT_HEADER,
            [audit_row(point) for point in stated_audit(result)],
            note=AUDIT_NOTE,
        ),
        _grading_page_table(graded),
        PageTable(
            "By kind of question",
            ("checkpoint", "questions", *GRADES),
            [
                (row.checkpoint, row.category, *(str(row.summary.n_by_grade[name]) for name in GRADES))
                for row in frequency_table(result)
            ],
        ),
    ]
    return ReportPart(
        Finding(title, _headline(doses, behaviour), _sentences(result, behaviour, graded)),
        [PageSection(title, (), [page_figure(chart) for chart in charts], tables)],
        charts,
        asdict(result.settings) | {f"sha256 of {m.checkpoint}": m.sha256 for m in result.models},
        result.versions,
        [{"run": "targets"} | asdict(answer) for answer in result.answers],
    )


def _behaviour_page_table(rows: Sequence[BehaviourRow]) -> PageTable:
    return PageTable(
        "What the prompt changes",
        (
            "checkpoint",
            "prompt",
            "answered",
            "right of these",
            "speaks − plain",
            "p",
            "speaks − control",
            "p",
        ),
        [
            (
                row.checkpoint,
                row.prompt,
                rate(row.summary.answered),
                rate(row.summary.accuracy),
                change(row.spoke_change),
                p_value(row.change_p_holm),
                change(row.spoke_beyond_control),
                p_value(row.beyond_p_holm),
            )
            for row in rows
        ],
        note=(
            "The same questions for every prompt. Control: a sentence of like length that states no target. Speaks: "
            "says anything but that it does not know. Differences in points of a percent, paired by question, with 95 "
            "% bootstrap intervals; p of a sign-flip test, Holm-corrected for the whole table."
        ),
    )


def _grading_page_table(rows: Sequence[GradingRow]) -> PageTable:
    return PageTable(
        "The same plain answers under binary and uncertainty-aware grading",
        (
            "checkpoint", "t", "policy", "points", "points, ungradable wrong … right", "hallucinations", "rank",
            "behind", "p", "own best threshold",
        ),
        [
            (
                row.checkpoint,
                target_text(row.target),
                row.policy.replace("_", " "),
                score(row.summary.score),
                range_cell(row.summary),
                rate(row.summary.hallucination_rate),
                MISSING if row.standing.rank is None else str(row.standing.rank),
                behind(row.standing),
                p_value(row.standing.p_holm),
                MISSING if row.own_threshold is None else f"{max(0.0, row.own_threshold.threshold):.3f}",
            )
            for row in rows
        ],
        note=(
            "By confidence: an answer with confidence of t or less is withheld. Ranks on the questions that all "
            "checkpoints have a score on; behind: points a question fewer than the first, paired; p: Holm-corrected "
            "for all pairs. The best threshold is chosen on these very answers; for true confidences it is t."
        ),
    )  # fmt: skip


def _headline(doses: Sequence[DoseRow], behaviour: Sequence[BehaviourRow]) -> str:
    if not doses:
        return "Fewer than two targets were stated."
    moved = [row for row in doses if row.p_holm < 0.05 and row.spoke.mean < 0]
    low, high = target_text(doses[0].lowest), target_text(doses[0].highest)
    said = f"{len(moved)} of {len(doses)} checkpoints answer less when the stated target rises from {low} to {high}"
    control = next((row for row in behaviour if row.prompt == CONTROL), None)
    if control is None or control.spoke_change is None:
        return f"{said}."
    return (
        f"{said}; a sentence that states no target changes how often {control.checkpoint} speaks by "
        f"{change(control.spoke_change)} points of a percent."
    )


def _sentences(
    result: StatedTargetsResult, behaviour: Sequence[BehaviourRow], graded: Sequence[GradingRow]
) -> list[str]:
    said = []
    for checkpoint in result.checkpoints[:N_DESCRIBED]:
        own = {row.prompt: row for row in behaviour if row.checkpoint == checkpoint}
        stated = [row for row in own.values() if row.stated_target is not None]
        if PLAIN in own and CONTROL in own and stated:
            beyond = [abs(row.spoke_beyond_control.mean) for row in stated if row.spoke_beyond_control]
            said.append(
                f"{checkpoint} answers {rate(own[PLAIN].summary.answered)} of the plain questions and "
                f"{rate(own[CONTROL].summary.answered)} with a sentence that states no target; stating a target "
                f"changes that by at most {100 * max(beyond, default=0.0):.1f} points more."
            )
    binary = next((row for row in graded if (row.target, row.policy) == (0.0, "as_given")), None)
    strict = next(
        (row for row in graded if (row.target, row.policy) == (STRICT_TARGET, "by_confidence")), None
    )
    if binary and strict:
        said.append(
            f"{binary.checkpoint}, plain: hallucination rate {rate(binary.summary.hallucination_rate)} as given, "
            f"{rate(strict.summary.hallucination_rate)} with answers of confidence {STRICT_TARGET:g} or less withheld."
        )
    return said
