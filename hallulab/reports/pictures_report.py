"""The report of a sweep of pictures: findings in words, Figures 5 to 7, hallucinated samples, every number."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hallulab.errors import RefusedInputError
from hallulab.experiments.pictures_sweep import RECORDS_PATTERN, SweepRun, read_picture_sweep
from hallulab.experiments.pictures_sweep_summary import SweepSummary, paper_csv, summarise
from hallulab.experiments.run_folder import record_files
from hallulab.records import file_sha256
from hallulab.reports.charts import Chart, chart_png, chart_svg, page_figure
from hallulab.reports.detector_tables import agreement_table, auroc_table, confusion_table
from hallulab.reports.numbers import decimal
from hallulab.reports.page import Page, PagePictures, PageSection, PageTable, Receipt, page_html, setting_text
from hallulab.reports.pictures_figures import (
    calibration_charts,
    guided_chart,
    loss_against_rate_chart,
    loss_chart,
    prompts_chart,
    rate_chart,
    trade_off_charts,
)
from hallulab.reports.pictures_sentences import WHAT_IT_IS, findings
from hallulab.reports.pictures_tables import (
    cell_table,
    checkpoint_table,
    difference_table,
    false_alarm_table,
    guided_table,
    mean_table,
    pair_table,
    trade_off_table,
)
from hallulab.reports.written import PAGE_NAME, WrittenReport, write_report

SAMPLES_PER_CHECKPOINT = 12


def write_pictures_report(folder: Path, out: Path | None = None) -> WrittenReport:
    """Report on the sweep of pictures recorded in a folder; `points.csv` begins with the paper's columns.

    Args:
        folder: as `sweep pictures --out` leaves it, finished or not.
        out: the page; `report.html` in `folder` by default. Figures and points are written beside it.

    Raises RefusedInputError for a folder without a finished cell, or an `out` that cannot be written.
    """
    run = read_picture_sweep(folder)
    if not run.cells:
        raise RefusedInputError(
            f"expected a sweep with at least one finished prompt, found only begun ones in {folder}: run "
            "`python -m hallulab sweep pictures` with this --out again"
        )
    summary = summarise(run)
    charts = [chart for section in _charts(run, summary) for chart in section]
    return write_report(
        out or folder / PAGE_NAME,
        html=page_html(pictures_page(run, summary, folder)),
        png=chart_png(charts),
        svg=chart_svg(charts),
        points=paper_csv(run),
    )


def pictures_page(run: SweepRun, summary: SweepSummary, folder: Path) -> Page:
    """The whole page, from the records and the images beside them."""
    rates, calibration, guided = _charts(run, summary)
    checkpoints = run.settings.checkpoints
    return Page(
        title=f"Pictures: {len(run.images):,} images of {len(checkpoints)} checkpoints",
        opening=WHAT_IT_IS,
        findings=findings(run, summary),
        sections=[
            PageSection(
                "Training and hallucination (Figures 5 and 6)",
                figures=[page_figure(chart) for chart in rates],
                tables=[checkpoint_table(summary), pair_table(summary)],
            ),
            PageSection(
                "Where the line is drawn (Figure 7)",
                figures=[page_figure(chart) for chart in calibration],
                tables=[mean_table(run), false_alarm_table(run)],
            ),
            PageSection(
                "Images outside every region", _lost_files(run, folder), pictures=_samples(run, folder)
            ),
            PageSection(
                "Sampling guided by density",
                (
                    "From the same painted images: plain keeps all, kept keeps what is inside some region, "
                    "best of "
                    f"{run.settings.best_of} keeps the most probable of every {run.settings.best_of}. "
                    "Whether an image "
                    "is inside decides what is kept, so the kept ones are inside by construction; truth "
                    "and diversity "
                    "say what that buys and loses.",
                ),
                figures=[page_figure(chart) for chart in guided],
                tables=[guided_table(summary), difference_table(summary), trade_off_table(summary)],
            ),
            PageSection(
                "Two detectors beside the truth",
                tables=[
                    *([confusion_table(summary.confusion)] if summary.confusion else []),
                    *([auroc_table(summary.detectors)] if summary.detectors else []),
                    agreement_table(summary.agreement),
                ],
            ),
            PageSection("Every cell", tables=[cell_table(run)]),
        ],
        receipt=_receipt(run, folder),
    )


def _charts(run: SweepRun, summary: SweepSummary) -> tuple[list[Chart], list[Chart], list[Chart]]:
    """Figures of each section, without those that have nothing to show."""
    rates = [
        rate_chart(summary.checkpoints),
        loss_chart(run, summary.checkpoints),
        loss_against_rate_chart(summary.checkpoints),
        prompts_chart(run, summary.checkpoints),
    ]
    sections = rates, calibration_charts(run), [guided_chart(summary), *trade_off_charts(summary)]
    shown = [[chart for chart in charts if chart.series] for charts in sections]
    return shown[0], shown[1], shown[2]


def _samples(run: SweepRun, folder: Path) -> list[PagePictures]:
    """Some images outside per checkpoint, spread over the whole range of margins."""
    grids = []
    for checkpoint in run.settings.checkpoints:
        outside = sorted(
            (r for r in run.images if r["checkpoint"] == checkpoint and not r["inside"]),
            key=lambda record: record["margin_nats"],
        )
        outside = [record for record in outside if (folder / record["path"]).is_file()]
        chosen = [outside[place] for place in _spread(len(outside), SAMPLES_PER_CHECKPOINT)]
        if chosen:
            grids.append(
                PagePictures(
                    f"{checkpoint}: {len(chosen)} of {len(outside):,}",
                    [((folder / record["path"]).read_bytes(), _sample_words(record)) for record in chosen],
                    note="From the least probable to the one nearest to its threshold.",
                )
            )
    return grids


def _lost_files(run: SweepRun, folder: Path) -> tuple[str, ...]:
    """That pictures are gone, where some are."""
    n_lost = sum(not (folder / record["path"]).is_file() for record in run.images)
    if not n_lost:
        return ()
    return (
        f"{n_lost:,} of {len(run.images):,} pictures are judged and recorded, but their files are gone: the same "
        "`sweep pictures` command paints them again.",
    )


def _spread(n: int, n_chosen: int) -> list[int]:
    """Places spread evenly over 0 … n − 1, the ends included."""
    if n <= n_chosen:
        return list(range(n))
    return [round(place * (n - 1) / (n_chosen - 1)) for place in range(n_chosen)]


def _sample_words(record: Mapping[str, Any]) -> str:
    truth = f", {record['truth']}" if record["truth"] else ""
    return f"{decimal(record['margin_nats'], 1)} nats{truth}; seed {record['seed']}"


def _receipt(run: SweepRun, folder: Path) -> Receipt:
    header = run.header
    rows = [(name, setting_text(value)) for name, value in header["settings"].items()]
    rows += [(name, setting_text(value)) for name, value in header["paint"].items()]
    rows += [
        ("batch size", str(header["batch_size"])),
        ("frame", header["frame"]),
        ("embedder", header["embedder"]),
        ("probe", header["probe"] or "none"),
    ]
    rows += [(f"SHA-256 of {name}", value or "on the Hub") for name, value in header["checkpoints"].items()]
    paths = record_files(folder, RECORDS_PATTERN)
    return Receipt(
        PageTable("Settings", ("setting", "value"), rows),
        header["versions"],
        {path.name: file_sha256(path) for path in paths},
    )
