"""The report of Is-It-Valid runs: what was found in words, ratios against 2, calibration, poor models, every number."""

import csv
from collections.abc import Sequence
from dataclasses import asdict, fields
from io import StringIO
from itertools import groupby
from pathlib import Path

from hallulab.data.candidate_answers import CANDIDATE_SETS
from hallulab.errors import RefusedInputError
from hallulab.experiments.iiv import RECORDS_PATTERN, IivResult, read_runs
from hallulab.experiments.iiv_summary import (
    SCALES,
    VIEWS,
    CalibrationRow,
    Estimate,
    IivRow,
    RescalingCurve,
    calibration_table,
    iiv_table,
    rescaling_curves,
)
from hallulab.experiments.poor_models import FILE_NAME, PoorModels, read_poor_models
from hallulab.records import RecordFile, file_sha256
from hallulab.reports.charts import Chart, chart_png, chart_svg, page_figure
from hallulab.reports.iiv_figures import (
    FACTOR,
    SET_TITLES,
    bound_chart,
    circle_chart,
    ratio_chart,
    reliability_chart,
    rescaling_chart,
    windows_chart,
)
from hallulab.reports.numbers import MISSING, decimal, percent
from hallulab.reports.page import Finding, Page, PageSection, PageTable, Receipt, page_html
from hallulab.reports.written import PAGE_NAME, WrittenReport, write_report
from hallulab.theory.poor_models import WindowPoint

WHAT_IT_IS = (
    "Saying whether an answer is valid is easier than giving one. A paper (arXiv 2509.04664) turns this into a bound: "
    "a calibrated model errs at least about twice as often when it generates as when it judges. Here every listed "
    "answer of every question is scored by a local model, so error rate, judging error and bound are computed, not "
    "sampled. Probabilities are compared among the listed answers only and made to sum to 1 there, unless a table says "
    "otherwise."
)
MAIN_SCALE = "renormalised"


def write_iiv_report(folder: Path, out: Path | None = None) -> WrittenReport:
    """Report on the Is-It-Valid runs, and the poor models, recorded in a folder.

    Args:
        folder: as `iiv --out` leaves it.
        out: the page; `report.html` in `folder` by default. Figures and points are written beside it.

    Raises RefusedInputError for a folder with nothing measured yet, or an `out` that cannot be written.
    """
    results = [result for result in read_runs(folder) if result.scores]
    poor = read_poor_models(RecordFile(folder / FILE_NAME))
    if not results and poor is None:
        raise RefusedInputError(
            f"expected an Is-It-Valid run with at least one scored question, found only begun ones in {folder}: run "
            "`python -m hallulab iiv` with this --out again"
        )
    rows = iiv_table(results)
    charts = [*iiv_charts(rows), *poor_charts(poor)]
    return write_report(
        out or folder / PAGE_NAME,
        html=page_html(iiv_page(results, poor, sorted(folder.glob(RECORDS_PATTERN)))),
        png=chart_png(charts),
        svg=chart_svg(charts),
        points=points_csv(rows),
    )


def iiv_charts(rows: Sequence[IivRow]) -> list[Chart]:
    """The figures of the reduction."""
    return [ratio_chart(rows), bound_chart(rows)] if rows else []


def poor_charts(poor: PoorModels | None) -> list[Chart]:
    """The figures of the poor models."""
    return [windows_chart(poor), circle_chart(poor)] if poor else []


def iiv_page(results: Sequence[IivResult], poor: PoorModels | None, record_paths: Sequence[Path]) -> Page:
    """The page.

    Args:
        results: the runs, in the order in which they are shown.
        poor: the poor models, where they were enumerated.
        record_paths: the files that all of it was read from.
    """
    rows, calibrations, curves = iiv_table(results), calibration_table(results), rescaling_curves(results)
    findings, sections = [], []
    if rows:
        findings.append(Finding("Generating and judging", iiv_headline(rows), iiv_sentences(rows)))
        findings.append(
            Finding("Calibration", calibration_headline(calibrations), calibration_sentences(calibrations))
        )
        sections += [
            PageSection(
                "Generating and judging",
                _sets_sentences(rows),
                [page_figure(chart) for chart in iiv_charts(rows)],
            ),
            _calibration_section(calibrations, curves),
        ]
    if poor:
        findings.append(Finding("Poor models", poor_headline(poor), poor_sentences(poor)))
        sections.append(_poor_section(poor))
    if rows:
        sections.append(
            PageSection("All numbers", tables=[*_reduction_tables(rows), *_calibration_tables(calibrations)])
        )
    return Page(
        title="Is it valid? What judging answers says about generating them",
        opening=WHAT_IT_IS,
        findings=findings,
        sections=sections,
        receipt=_receipt(results, poor, record_paths),
    )


def iiv_headline(rows: Sequence[IivRow]) -> str:
    """The finding in one line."""
    ratios = [row.own_ratio.value for row in _main(rows) if row.own_ratio.value is not None]
    n_above = sum(ratio >= FACTOR for ratio in ratios)
    if not ratios:
        return "No answer was misjudged, so there is no ratio to compare with 2."
    return (
        f"The models err {min(ratios):.2f} to {max(ratios):.2f} times as often when they generate as when they judge; "
        f"2 times or more in {n_above} of {len(ratios)} cases of model and question set."
    )


def iiv_sentences(rows: Sequence[IivRow]) -> list[str]:
    """What to conclude, each sentence true by the numbers of these runs."""
    main = _main(rows)
    said = []
    for question_set, group in groupby(main, key=lambda row: row.question_set):
        first = next(iter(group))
        ratio = "no answer is misjudged" if first.own_ratio.value is None else _times(first)
        said.append(
            f"{SET_TITLES[question_set]}, {first.checkpoint}: {percent(first.err.value)} of its probability is on "
            f"errors, and it misjudges {percent(first.own_err_iiv.value)} of the answers ({ratio}). {_demand(first)}"
        )
    deltas = [row.delta.value for row in main if row.delta.value is not None]
    if any(row.own_ratio.value is not None and row.own_ratio.value < FACTOR for row in main):
        said.append(
            "A ratio below 2 breaks nothing: the factor holds for calibrated models with many possible errors, and δ "
            f"is up to {max(deltas):.2f} here."
        )
    silent = sum((row.bound.value or 0) <= 0 for row in main)
    said.append(
        f"As the paper states it, the bound says nothing in {silent} of {len(main)} cases: it subtracts δ, and "
        "|V|/|E|, which is large where few errors are listed."
    )
    broken = sum(row.is_broken for row in rows)
    said.append(
        f"No bound was broken: {len(rows)} combinations of checkpoint, set and scale, two bounds each."
        if not broken
        else f"Broken bounds: {broken} of {len(rows)} combinations of checkpoint, set and scale."
    )
    return said


def calibration_headline(rows: Sequence[CalibrationRow]) -> str:
    """The most and the least calibrated case in one line."""
    chosen = [row for row in rows if row.view == "is_it_valid" and row.ece.value is not None]
    best, worst = (pick(chosen, key=lambda row: row.ece.value or 0.0) for pick in (min, max))
    return (
        f"Confidence that an answer is valid is off by {percent(best.ece.value)} on {SET_TITLES[best.question_set]} "
        f"({best.checkpoint}) and by {percent(worst.ece.value)} on {SET_TITLES[worst.question_set]} "
        f"({worst.checkpoint}), on average."
    )


def calibration_sentences(rows: Sequence[CalibrationRow]) -> list[str]:
    """Overall confidence, and what fine-tuning changed."""
    said, told = [], {"known_answers"}  # there no single wording is the right one
    for row in rows:
        if row.view == "likeliest" and row.question_set not in told:
            told.add(row.question_set)
            gap = (row.confidence.value or 0.0) - (row.accuracy.value or 0.0)
            how = "over-confident" if gap > 0 else "under-confident"
            said.append(
                f"{SET_TITLES[row.question_set]}, {row.checkpoint}: {percent(row.confidence.value)} sure of its "
                f"likeliest listed answer, which is valid for {percent(row.accuracy.value)} of {row.n_questions} "
                f"questions: {how}."
            )
    changes = [row for row in rows if row.view == "is_it_valid" and row.ece_change.low is not None]
    worse = [row for row in changes if (row.ece_change.low or 0) > 0]
    better = [row for row in changes if (row.ece_change.high or 0) < 0]
    if changes:
        said.append(
            f"Against the first checkpoint, calibration of judging (ECE) is worse in {len(worse)}, better in "
            f"{len(better)} of {len(changes)} cases of fine-tuned model and question set, beyond the 95 % interval."
        )
    return said


def poor_headline(poor: PoorModels) -> str:
    """What a trigram cannot do, in one line."""
    trigram = _of_order(poor.corollary_2, 3)
    fixed = next((point.order for point in poor.corollary_2 if point.least_err == 0), None)
    until = "" if fixed is None else f"; a window of {fixed - 1} words fixes it"
    return f"Every trigram errs in at least {percent(trigram.least_err)} of the paper's example{until}."


def poor_sentences(poor: PoorModels) -> list[str]:
    """What the enumerations found."""
    trigram = _of_order(poor.corollary_2, 3)
    said = []
    if trigram.least_err_on_grid is not None:
        said.append(
            f"The least error rate of {trigram.n_tables} tables of probabilities is "
            f"{decimal(trigram.least_err_on_grid, 4)}; the proof gives {decimal(trigram.least_err, 4)} for all, and "
            f"Theorem 3 at least {decimal(trigram.bound, 4)}."
        )
    fixed = next(
        (place for place, point in enumerate(poor.windows) if point.least_err == 0), len(poor.windows)
    )
    steps = " → ".join(f"{point.least_err:g}" for point in poor.windows[3 : fixed + 1])
    said.append(
        f"With the pronoun at four distances the least error falls as the window grows from n = 4: {steps}."
    )
    linear, richer = poor.circle
    said.append(
        f"A linear score of the plane cannot tell inside from outside of a circle: of {linear.n_models:,} such models "
        f"the best errs in {percent(linear.least_err)} of its answers, at least {percent(linear.bound)} by Theorem 3. "
        f"With the distance from the middle as well: {percent(richer.least_err)}."
    )
    return said


def points_csv(rows: Sequence[IivRow]) -> str:
    """Every row of the reduction table; of an estimate, value and interval."""
    names = [field.name for field in fields(IivRow)]
    written = StringIO()
    writer = csv.writer(written, lineterminator="\n")
    header: list[str] = []
    lines = []
    for row in rows:
        line: dict[str, object] = {}
        for name in names:
            value = getattr(row, name)
            if isinstance(value, Estimate):
                line |= {name: value.value, f"{name}_low": value.low, f"{name}_high": value.high}
            else:
                line[name] = value
        header = list(line)
        lines.append(["" if value is None else value for value in line.values()])
    writer.writerow(header or names)
    writer.writerows(lines)
    return written.getvalue()


def with_interval(estimate: Estimate, digits: int = 3) -> str:
    """A number with its interval, where there is one."""
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return decimal(estimate.value, digits)
    low, high = decimal(estimate.low, digits), decimal(estimate.high, digits)
    return f"{decimal(estimate.value, digits)} [{low}, {high}]"


def _main(rows: Sequence[IivRow]) -> list[IivRow]:
    return [row for row in rows if row.scale == MAIN_SCALE]


def _times(row: IivRow) -> str:
    return f"{row.own_ratio.value:.2f} times as many errors"


def _demand(row: IivRow) -> str:
    """What Theorem 1 asks for, in the better of its two forms."""
    best = max(value for value in (row.bound.value, row.sharp_bound.value, 0.0) if value is not None)
    if best == 0:
        return "Theorem 1 asks for nothing here."
    return f"Theorem 1 asks for at least {percent(best)}."


def _sets_sentences(rows: Sequence[IivRow]) -> list[str]:
    sets = dict.fromkeys(row.question_set for row in rows)
    return [
        "Every question weighs the same. What is judged: "
        + "; ".join(CANDIDATE_SETS[name] for name in sets)
        + "."
    ]


def _calibration_section(rows: Sequence[CalibrationRow], curves: Sequence[RescalingCurve]) -> PageSection:
    charts = []
    for question_set in dict.fromkeys(row.question_set for row in rows):
        view = "is_it_valid" if question_set == "known_answers" else "likeliest"
        charts.append(
            reliability_chart([r for r in rows if (r.question_set, r.view) == (question_set, view)])
        )
    for question_set in dict.fromkeys(curve.question_set for curve in curves):
        chosen = [curve for curve in curves if curve.question_set == question_set]
        if any(curve.slope for curve in chosen):  # nothing lies above the threshold: nothing to rescale
            charts.append(rescaling_chart(chosen))
    return PageSection(
        "Calibration, before and after fine-tuning",
        (
            "A model is calibrated when its answers hold as often as it is sure of them. The first checkpoint is the "
            "base; the others are its fine-tuned versions.",
        ),
        [page_figure(chart) for chart in charts],
    )


def _poor_section(poor: PoorModels) -> PageSection:
    return PageSection(
        "Poor models: errors that no data can cure",
        (
            "A model that cannot tell two prompts apart must give both the same answers. Everything is enumerated, "
            "nothing sampled but the points on the plane.",
        ),
        [page_figure(chart) for chart in poor_charts(poor)],
        [
            _window_table("The two prompts of Corollary 2", poor.corollary_2),
            _window_table("The pronoun at four distances", poor.windows),
            PageTable(
                "Which point lies inside the circle?",
                ("score", "models tried", "least error rate", "opt", "Theorem 3, at least", "least slack"),
                [
                    (
                        point.family, f"{point.n_models:,}", decimal(point.least_err, 4), decimal(point.opt, 4),
                        decimal(point.bound, 4), decimal(point.least_slack, 4),
                    )
                    for point in poor.circle
                ],
                note="Least slack: error rate minus the theorem's value for that model; below 0 it would be broken.",
            ),
        ],
    )  # fmt: skip


def _window_table(title: str, points: Sequence[WindowPoint]) -> PageTable:
    return PageTable(
        title,
        ("n", "told apart", "least error rate", "over tables", "tables", "opt", "opt over tables", "Theorem 3 ≥"),
        [
            (
                str(point.order), str(point.n_contexts), decimal(point.least_err, 4),
                decimal(point.least_err_on_grid, 4), MISSING if point.n_tables is None else f"{point.n_tables:,}",
                decimal(point.opt, 4), decimal(point.opt_on_grid, 4), decimal(point.bound, 4),
            )
            for point in points
        ],
        note="A dash: too many tables to try; the value by the proof stands beside it.",
    )  # fmt: skip


def _reduction_tables(rows: Sequence[IivRow]) -> list[PageTable]:
    return [
        PageTable(
            f"The reduction: {scale.replace('_', ' ')}",
            (
                "set, checkpoint", "questions", "err", "err_iiv", "own threshold", "best threshold", "err / err_iiv",
                "err / own", "err / best", "δ", "|V|/|E|", "lost", "Theorem 1 ≥", "sharper ≥",
            ),
            [
                (
                    f"{SET_TITLES[row.question_set]}, {row.checkpoint}",
                    f"{row.n_questions} of {row.n_questions + row.n_missing}",
                    *map(with_interval, (row.err, row.err_iiv, row.own_err_iiv, row.best_err_iiv)),
                    *(with_interval(ratio, 2) for ratio in (row.ratio, row.own_ratio, row.best_ratio)),
                    with_interval(row.delta),
                    decimal(row.size_term, 3),
                    decimal(row.lost_mass.value, 3),
                    with_interval(row.bound),
                    with_interval(row.sharp_bound),
                )
                for row in group
            ],
            note=(
                f"{SCALES[scale][0].upper()}{SCALES[scale][1:]}. 95 % bootstrap intervals over questions; that at the "
                "best threshold keeps the threshold. |V|/|E|: max|V|/min|E| of the paper. A dash: nothing was "
                "misjudged, or a resample had nothing misjudged."
                + ("" if scale != "as_is" else " Where most is lost, err is small for that reason alone.")
            ),
        )
        for scale in SCALES
        if (group := [row for row in rows if row.scale == scale])
    ]  # fmt: skip


def _calibration_tables(rows: Sequence[CalibrationRow]) -> list[PageTable]:
    titles = {"likeliest": "Calibration of the likeliest answer", "is_it_valid": "Calibration of judging"}
    return [
        PageTable(
            titles[view],
            (
                "set, checkpoint", "questions", "confidence", "valid", "ECE", "MCE", "Brier", "log loss (nats)",
                "ECE, change", "log loss, change",
            ),
            [
                (
                    f"{SET_TITLES[row.question_set]}, {row.checkpoint}",
                    f"{row.n_questions}",
                    *map(
                        with_interval,
                        (
                            row.confidence, row.accuracy, row.ece, row.mce, row.brier, row.log_loss, row.ece_change,
                            row.log_loss_change,
                        ),
                    ),
                )
                for row in group
            ],
            note=(
                f"{VIEWS[view][0].upper()}{VIEWS[view][1:]}. Ten bins; changes against the first checkpoint on the "
                "same questions. ECE and MCE of small samples are biased upwards, MCE most."
                + (
                    " Where many wordings are valid (known answers), the likeliest is valid more often than it is "
                    "likely without being under-confident."
                    if view == "likeliest"
                    else " Half of what is judged is valid, by construction."
                )
            ),
        )
        for view in VIEWS
        if (group := [row for row in rows if row.view == view])
    ]  # fmt: skip


def _of_order(points: Sequence[WindowPoint], order: int) -> WindowPoint:
    return next(point for point in points if point.order == order)


def _receipt(results: Sequence[IivResult], poor: PoorModels | None, record_paths: Sequence[Path]) -> Receipt:
    rows = []
    for result in results:
        settings = {name: value for name, value in asdict(result.settings).items() if name != "question_set"}
        settings |= {f"weights of {model.checkpoint}": model.sha256 for model in result.models}
        settings |= {"checkpoints": tuple(model.checkpoint for model in result.models)}
        name = SET_TITLES[result.settings.question_set]
        rows += [(f"{name}: {key}", _setting(value)) for key, value in settings.items()]
    if poor:
        flat = asdict(poor.settings)
        flat |= {f"circle {key}": value for key, value in flat.pop("circle").items()}
        rows += [(f"poor models: {key}", _setting(value)) for key, value in flat.items()]
    versions = {name: version for result in results for name, version in result.versions.items()}
    versions |= poor.versions if poor else {}
    return Receipt(
        PageTable("Settings", ("setting", "value"), rows),
        versions,
        {path.name: file_sha256(path) for path in record_paths},
    )


def _setting(value: object) -> str:
    if value is None:
        return "all"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
