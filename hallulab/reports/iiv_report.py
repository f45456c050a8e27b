"""The report of Is-It-Valid runs: what was found in words, ratios against 2, calibration, poor models, every number."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from hallulab.errors import RefusedInputError
from hallulab.experiments.iiv import RECORDS_PATTERN, IivResult, read_runs
from hallulab.experiments.iiv_calibration import CalibrationRow, calibration_table
from hallulab.experiments.iiv_reduction import IivRow, RescalingCurve, iiv_table, rescaling_curves
from hallulab.experiments.poor_models import FILE_NAME, PoorModels, read_poor_models
from hallulab.records import RecordFile, file_sha256
from hallulab.reports.charts import Chart, chart_png, chart_svg, page_figure
from hallulab.reports.iiv_figures import (
    SET_TITLES,
    bound_chart,
    ratio_chart,
    reliability_chart,
    rescaling_chart,
)
from hallulab.reports.iiv_sentences import (
    calibration_headline,
    calibration_sentences,
    iiv_headline,
    iiv_sentences,
    sets_sentences,
    shown_view,
)
from hallulab.reports.iiv_tables import calibration_tables, points_csv, ratio_table, reduction_tables
from hallulab.reports.page import Finding, Page, PageSection, PageTable, Receipt, page_html
from hallulab.reports.poor_models_report import poor_charts, poor_headline, poor_section, poor_sentences
from hallulab.reports.written import PAGE_NAME, WrittenReport, write_report

WHAT_IT_IS = (
    "Saying whether an answer is valid is easier than giving one. A paper (arXiv 2509.04664) turns this into a bound: "
    "a calibrated model errs at least about twice as often when it generates as when it judges. Here every listed "
    "answer of every question is scored by a local model, so error rate, judging error and bound are computed, not "
    "sampled. Probabilities are compared among the listed answers only and made to sum to 1 there, unless a table says "
    "otherwise."
)


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
                sets_sentences(rows),
                [page_figure(chart) for chart in iiv_charts(rows)],
                [ratio_table(rows)],
            ),
            _calibration_section(calibrations, curves),
        ]
    if poor:
        findings.append(Finding("Poor models", poor_headline(poor), poor_sentences(poor)))
        sections.append(poor_section(poor))
    if rows:
        sections.append(
            PageSection("All numbers", tables=[*reduction_tables(rows), *calibration_tables(calibrations)])
        )
    return Page(
        title="Is it valid? What judging answers says about generating them",
        opening=WHAT_IT_IS,
        findings=findings,
        sections=sections,
        receipt=_receipt(results, poor, record_paths),
    )


def _calibration_section(rows: Sequence[CalibrationRow], curves: Sequence[RescalingCurve]) -> PageSection:
    charts = []
    for question_set in dict.fromkeys(row.question_set for row in rows):
        view = shown_view(question_set)
        charts.append(
            reliability_chart([r for r in rows if (r.question_set, r.view) == (question_set, view)])
        )
    for question_set in dict.fromkeys(curve.question_set for curve in curves):
        chosen = [curve for curve in curves if curve.question_set == question_set]
        if any(curve.slope for curve in chosen):  # nothing lies above the threshold: nothing to rescale
            charts.append(rescaling_chart(chosen))
    others = {row.compared_with for row in rows if row.compared_with}
    told = f" Changes are against {', '.join(sorted(others))}." if others else ""
    return PageSection(
        "Calibration, before and after fine-tuning" if others else "Calibration",
        (f"A model is calibrated when its answers hold as often as it is sure of them.{told}",),
        [page_figure(chart) for chart in charts],
    )


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
