"""The report of post-training runs: what graders teach a policy, and what becomes of its calibration."""

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, fields
from io import StringIO
from pathlib import Path

from hallulab.errors import RefusedInputError
from hallulab.experiments.facts_run import QWEN
from hallulab.experiments.over_worlds import OverWorlds
from hallulab.experiments.post_training import RECORDS_PATTERN, read_post_training
from hallulab.experiments.post_training_run import BASE, BINARY, STATED, PolicyPoint, PostTrainingResult
from hallulab.experiments.post_training_summary import (
    BROKEN,
    KEPT,
    SILENT,
    UNDECIDED,
    PolicyCalibration,
    PolicyRow,
    calibration_of,
    policy_calibrations,
    policy_table,
    row_of,
)
from hallulab.records import RecordFile, file_sha256
from hallulab.reports.charts import Chart, chart_png, chart_svg, page_figure
from hallulab.reports.facts_figures import LEARNER_TITLES
from hallulab.reports.numbers import MISSING, decimal, percent
from hallulab.reports.page import Finding, Page, PageSection, PageTable, Receipt, page_html, setting_text
from hallulab.reports.post_training_figures import (
    policy_reliability_chart,
    policy_title,
    post_training_chart,
    stated_policy_chart,
)
from hallulab.reports.written import PAGE_NAME, WrittenReport, write_report

WHAT_IT_IS = (
    "A learner of arbitrary facts is trained to get the most points. A binary grader gives 1 point for a right answer "
    "and nothing otherwise; one with a confidence target t takes t/(1−t) points off for a wrong answer. What the "
    "learner knows stays as it is; trained is when it says “I do not know” (IDK) and how much it sharpens its guesses. "
    "Points and gradients are exact, and everything is measured on people it was not trained on."
)


def write_post_training_report(folder: Path, out: Path | None = None) -> WrittenReport:
    """Report on the post-training runs recorded in a folder.

    Args:
        folder: as `post-train` leaves it with --out.
        out: the page; `report.html` in `folder` by default. Figures and points are written beside it.

    Raises RefusedInputError for a folder without a measured policy, or an `out` that cannot be written.
    """
    paths = sorted(folder.glob(RECORDS_PATTERN))
    results = [result for path in paths if (result := read_post_training(RecordFile(path))).points]
    if not results:
        raise RefusedInputError(
            f"expected a post-training run with a measured policy, found none in {folder}: run "
            "`python -m hallulab post-train --out FOLDER`"
        )
    charts = [post_training_charts(result) for result in results]
    page = Page(
        title="What graders teach",
        opening=WHAT_IT_IS,
        findings=[
            Finding(run_title(result), post_training_headline(result), post_training_sentences(result))
            for result in results
        ],
        sections=[
            PageSection(
                run_title(result),
                (),
                [page_figure(chart) for chart in own],
                [policy_page_table(result), calibration_page_table(result)],
            )
            for result, own in zip(results, charts, strict=True)
        ],
        receipt=_receipt(results, paths),
    )
    every = [chart for own in charts for chart in own]
    return write_report(
        out or folder / PAGE_NAME,
        html=page_html(page),
        png=chart_png(every),
        svg=chart_svg(every),
        points=points_csv(results),
    )


def run_title(result: PostTrainingResult) -> str:
    """A run in a few words."""
    settings = result.settings
    learner = LEARNER_TITLES.get(settings.learner, settings.learner)
    epochs = f" ({settings.qwen.epochs} epochs)" if settings.learner == QWEN else ""
    return f"Base: {learner}{epochs}, {settings.world.n_prompts:,} people, N = {settings.n_samples:,}"


def post_training_charts(result: PostTrainingResult) -> list[Chart]:
    """The figures of one run."""
    rows, calibrations = policy_table(result), policy_calibrations(result)
    charts = [post_training_chart(result), stated_policy_chart(rows)]
    return [*charts, policy_reliability_chart(calibrations)] if calibrations else charts


def post_training_headline(result: PostTrainingResult) -> str:
    """What binary grading did, in one line."""
    rows = policy_table(result)
    base, binary = row_of(rows, BASE, 0.0), row_of(rows, BINARY, 0.0)
    if base is None or binary is None:
        return "Not finished."
    return (
        f"Binary grading takes “I do not know” from {percent(base.idk.mean)} to {percent(binary.idk.mean)} of the "
        f"prompts, and hallucinations from {percent(base.wrong.mean)} to {percent(binary.wrong.mean)}."
    )


def post_training_sentences(result: PostTrainingResult) -> list[str]:
    """What to conclude, each sentence true by the numbers of this run."""
    rows, said = policy_table(result), []
    told = [row for row in rows if row.policy == STATED]
    if told:
        said.append(f"One policy that is told the target: {kept_words(told)}.")
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
    said += calibration_sentences(policy_calibrations(result))
    return said


def calibration_sentences(rows: Sequence[PolicyCalibration]) -> list[str]:
    """What training does to calibration."""
    base, binary = calibration_of(rows, BASE, 0.0), calibration_of(rows, BINARY, 0.0)
    if base is None or binary is None or binary.ece.mean is None:
        return []
    compared = [row for row in rows if row.ece_change_p is not None]
    tested = (
        f" (change {over(binary.ece_change)}, p = {decimal(binary.ece_change_p, 4)} after Holm's correction for "
        f"{len(compared)} policies and targets)"
        if binary.ece_change_p is not None
        else ""
    )
    said = [
        f"Calibration of the answers it gives: before training ECE {over(base.ece)}, {percent(base.confidence.mean)} "
        f"sure and {percent(base.accuracy.mean)} right; after binary grading ECE {over(binary.ece)}, "
        f"{percent(binary.confidence.mean)} sure and {percent(binary.accuracy.mean)} right{tested}."
    ]
    graded = [row for row in rows if row.policy not in (BASE, BINARY, STATED)]
    if graded:
        said.append(
            "Trained at a target of its own, ECE is "
            + ", ".join(f"{decimal(row.ece.mean)} at t = {row.target:g}" for row in graded)
            + "."
        )
    return said


def kept_words(told: Sequence[PolicyRow]) -> str:
    """At how many targets above 0 its answers are right at least as often as t, each by its interval.

    Args:
        told: the rows of the policy that is told the target.
    """
    asked = [row for row in told if row.target > 0]  # at t = 0 there is no word to keep
    n = Counter(row.word for row in asked)
    others = [
        f"{words} at {n[word]}"
        for word, words in (
            (UNDECIDED, "not decided"),
            (BROKEN, "less often"),
            (SILENT, "without any answer"),
        )
        if n[word]
    ]
    untrained = sum(not row.is_trained_on for row in asked)
    return (
        f"right at least as often as t at {n[KEPT]} of {len(asked)} targets above 0, by the 95 % interval at each"
        f"{''.join(f', {other}' for other in others)}; it never trained on {untrained} of these targets"
    )


def policy_page_table(result: PostTrainingResult) -> PageTable:
    """Every finished policy at every target."""
    return PageTable(
        "Every finished policy at every target, on prompts it was not trained on",
        (
            "policy", "graded at t", "trained on t", "points", "rule: answer above t", "IDK", "hallucinations",
            "− base", "right of answered", "right at least t", "δ",
        ),
        [_policy_line(row) for row in policy_table(result)],
        note=(
            f"Mean over {result.n_worlds} worlds, 95 % Student-t intervals in brackets; within a world everything is a "
            "sum over all answers. Rule: the base's likeliest answer iff its confidence exceeds t, untrained. Right at "
            "least t: kept where even the lower end of the interval reaches t, broken where even the upper end does "
            "not. Intervals one by one."
        ),
    )  # fmt: skip


def calibration_page_table(result: PostTrainingResult) -> PageTable:
    """The calibration of every finished policy."""
    rows = policy_calibrations(result)
    n_tested = sum(row.ece_change_p is not None for row in rows)
    return PageTable(
        "Calibration before and after, of the answers that are given",
        (
            "policy", "confidence", "right", "ECE", "MCE", "Brier", "log loss (nats)", "ECE − base", "p (Holm)",
        ),
        [
            (
                policy_title(row.policy, row.target),
                *map(over, (row.confidence, row.accuracy, row.ece, row.mce, row.brier, row.log_loss)),
                MISSING if row.policy == BASE else over(row.ece_change),
                decimal(row.ece_change_p, 4),
            )
            for row in rows
        ],
        note=(
            "A statement is an answer other than IDK; its confidence is how likely the policy is to give it when it "
            "answers, and it counts as often as it is given. What is no answer at all counts as wrong above and is "
            "left out here. Exact within a world, over all prompts it was not trained "
            f"on; mean over {result.n_worlds} worlds, 95 % Student-t intervals. Ten bins; MCE looks at bins with at "
            f"least 0.1 % of the answers. p: paired t-test over worlds, corrected for all {n_tested} comparisons. A "
            "dash: it never answers, or there are too few worlds."
        ),
    )  # fmt: skip


def points_csv(results: Sequence[PostTrainingResult]) -> str:
    """Every policy at every measured step, target and half of the prompts, with the base that it began as."""
    names = [field.name for field in fields(PolicyPoint)]
    written = StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(["learner", "n_samples", *names])
    for result in results:
        for point in result.points:
            values = [setting_text(getattr(point, name)) for name in names]
            writer.writerow([result.settings.learner, result.settings.n_samples, *values])
    return written.getvalue()


def over(found: OverWorlds) -> str:
    """A mean over worlds with its interval."""
    if found.mean is None or found.low is None or found.high is None:
        return decimal(found.mean)
    return f"{decimal(found.mean)} [{decimal(found.low)}, {decimal(found.high)}]"


def _policy_line(row: PolicyRow) -> tuple[str, ...]:
    is_base = row.policy == BASE
    return (
        row.policy,
        f"{row.target:g}",
        "" if is_base else ("yes" if row.is_trained_on else "no"),
        *map(over, (row.points, row.rule_points, row.idk, row.wrong)),
        MISSING if is_base else over(row.wrong_change),
        over(row.accuracy),
        row.word,
        over(row.delta),
    )


def _receipt(results: Sequence[PostTrainingResult], record_paths: Sequence[Path]) -> Receipt:
    rows = []
    for result in results:
        settings = asdict(result.settings)
        flat = settings.pop("world") | {f"qwen {key}": value for key, value in settings.pop("qwen").items()}
        prefix = f"{run_title(result)}: " if len(results) > 1 else ""
        rows += [(f"{prefix}{name}", setting_text(value)) for name, value in (flat | settings).items()]
    return Receipt(
        PageTable("Settings", ("setting", "value"), rows),
        {name: version for result in results for name, version in result.versions.items()},
        {path.name: file_sha256(path) for path in record_paths},
    )
