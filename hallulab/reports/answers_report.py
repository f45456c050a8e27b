"""What the report says of a graded file: everybody who answered by themselves, then who wins under which grading."""

from collections.abc import Sequence
from dataclasses import asdict

from hallulab.data.target_prompts import target_sentence
from hallulab.experiments.grading import GradingResult, read_grading
from hallulab.records import RecordFile
from hallulab.reports.charts import Chart, page_figure
from hallulab.reports.grading_figures import audit_chart, risk_coverage_chart, score_chart, scores_chart
from hallulab.reports.grading_words import (
    AUDIT_HEADER,
    AUDIT_NOTE,
    INTERVALS_NOTE,
    RANK_HEADER,
    RANK_NOTE,
    audit_row,
    break_even_sentence,
    never_wrong_sentence,
    range_cell,
    rank_row,
    rank_sentence,
    rate,
    score,
    threshold_sentence,
    ungradable_sentence,
    verdict_sentence,
    withholding_sentence,
)
from hallulab.reports.numbers import MISSING
from hallulab.reports.page import Finding, PageSection, PageTable
from hallulab.reports.report_part import ReportPart
from hallulab.scoring.graded_answers import Answerer
from hallulab.scoring.grades import GRADES
from hallulab.scoring.grading import GradeSummary, regrade, score_curve
from hallulab.scoring.grading_audit import audit_as_stated, audit_by_confidence, labelled_risk_coverage
from hallulab.theory.confidence_targets import target_text

MAX_NAMED_LINES = 10
OTHERS_HELP = "grade them with --others-are-wrong"


def answers_part(records: RecordFile) -> ReportPart:
    """A graded file."""
    result = read_grading(records)
    t = result.settings.target
    found = regrade(result.graded, t)
    title = f"{result.source}: {len(found.rows)} answers at t = {target_text(t)}"
    charts = _charts(result)
    return ReportPart(
        Finding(title, rank_sentence(result.ranking()), _sentences(result)),
        [
            PageSection(
                title,
                (f"The sentence for the prompt that states this target: “{target_sentence(t)}”",),
                [page_figure(chart) for chart in charts],
                [
                    _summary_table(result),
                    *_audit_tables(result),
                    *_threshold_tables(result),
                    _rank_table(result),
                ],
            )
        ],
        charts,
        asdict(result.settings) | {"source": result.source, "source sha256": result.sha256},
        result.versions,
        [{"run": "grade"} | asdict(row) for row in found.rows],
    )


def _sentences(result: GradingResult) -> list[str]:
    """A few on everybody who answered; never on several together."""
    everybody = result.graded.answerers
    said = []
    for who in everybody:
        own = result.graded.of(who)
        found = regrade(own, result.settings.target)
        about = [
            verdict_sentence(found.as_given),
            ungradable_sentence(found.as_given),
            never_wrong_sentence(found.as_given, OTHERS_HELP),
            withholding_sentence(found),
            break_even_sentence(score_curve(own)),
            _audit_sentence(result, who),
        ]
        name = f"{who.name}: " if len(everybody) > 1 else ""
        said.append(name + " ".join(filter(None, about)))
    if result.bad_lines:
        named = ", ".join(str(line.line) for line in result.bad_lines[:MAX_NAMED_LINES])
        said.append(f"Lines left out: {len(result.bad_lines)} ({named}).")
    return said


def _audit_sentence(result: GradingResult, who: Answerer) -> str:
    points = [point for point in audit_by_confidence(result.graded) if point.answerer == who]
    if not points:
        return ""
    said = {"over-confident": "Over-confident", "keeps its word": "It keeps its word"}
    by_verdict = {
        verdict: [target_text(point.target) for point in points if point.verdict == verdict]
        for verdict in said
    }
    shown = [
        f"{words} at t = {', '.join(by_verdict[verdict])}."
        for verdict, words in said.items()
        if by_verdict[verdict]
    ]
    return " ".join(shown) or "Its confidence is judged at no named target: too little to say."


def _charts(result: GradingResult) -> list[Chart]:
    graded, t = result.graded, result.settings.target
    if len(graded.answerers) > 1:
        curves = {who.name: score_curve(graded.of(who)) for who in graded.answerers}
        known = {name: curve for name, curve in curves.items() if curve}
        return [scores_chart(known, target=t)] if known else []
    curve, risk = score_curve(graded), labelled_risk_coverage(graded)
    charts = [score_chart(curve, target=t)] if curve else []
    return charts + ([risk_coverage_chart(risk), audit_chart(audit_by_confidence(graded))] if risk else [])


def _summary_table(result: GradingResult) -> PageTable:
    t = result.settings.target
    rows = []
    for who in result.graded.answerers:
        found = regrade(result.graded.of(who), t)
        rows += [_summary_row(who, one) for one in (found.as_given, found.by_confidence) if one]
    return PageTable(
        f"Graded at t = {target_text(t)}",
        (
            "who", "policy", "points", *GRADES, "points, ungradable wrong … IDK … right", "answered", "right of these",
            "hallucinations", "without confidence",
        ),
        rows,
        note=(
            "By confidence: answers with confidence of t or less count as abstained. Ungradable ones have no points: "
            f"the range is what the points would be if all of them were wrong, abstentions, or right. {INTERVALS_NOTE}"
        ),
    )  # fmt: skip


def _summary_row(who: Answerer, summary: GradeSummary) -> Sequence[str]:
    return (
        who.name,
        summary.policy.replace("_", " "),
        score(summary.score),
        *(str(summary.n_by_grade[name]) for name in GRADES),
        range_cell(summary),
        rate(summary.answered),
        rate(summary.accuracy),
        rate(summary.hallucination_rate),
        str(summary.n_missing),
    )


def _audit_tables(result: GradingResult) -> list[PageTable]:
    titles = {
        "Behavioural calibration: answering only above t, by its own confidence": audit_by_confidence(
            result.graded
        ),
        "Behavioural calibration: answering a prompt that states t": audit_as_stated(result.graded),
    }
    return [
        PageTable(title, AUDIT_HEADER, [audit_row(point) for point in points], note=AUDIT_NOTE)
        for title, points in titles.items()
        if points
    ]


def _threshold_tables(result: GradingResult) -> list[PageTable]:
    found = result.thresholds()
    if not found:
        return []
    rows = [
        (
            one.answerer.name,
            f"{max(0.0, one.threshold):.3f}",
            MISSING if one.interval is None else f"{one.interval.low:.3f} to {one.interval.high:.3f}",
            f"{one.score:+.3f}".replace("-", "−"),
            str(one.n),
        )
        for one in found
    ]
    return [
        PageTable(
            f"The confidence above which answers score most at t = {target_text(result.settings.target)}",
            ("who", "threshold", "95 % interval", "points with it", "n"),
            rows,
            note=(
                f"{threshold_sentence(found[0], result.settings.target)} Intervals: the questions resampled. "
                "The points are a little too good, since the threshold was chosen by them."
            ),
        )
    ]


def _rank_table(result: GradingResult) -> PageTable:
    ranking = result.ranking()
    return PageTable(
        "Who wins? The same answers under binary grading and at t",
        RANK_HEADER,
        [rank_row(one) for one in ranking.ways],
        note=f"{ranking.n_questions} questions in common. {RANK_NOTE}",
    )
