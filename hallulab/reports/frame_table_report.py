"""The report of a table of frames: what every frame covers and finds, and what tests of means are worth in it."""

import csv
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from hallulab.densities.mean_tests import TEST_WORDS, MeanTest
from hallulab.errors import RefusedInputError
from hallulab.experiments.frame_table import RECORDS_PATTERN
from hallulab.experiments.frame_table_summary import MeansRow, OverFits, TableRow, read_frame_table
from hallulab.experiments.run_folder import record_files
from hallulab.records import file_sha256
from hallulab.reports.charts import Chart, Series, chart_png, chart_svg, page_figure
from hallulab.reports.figures import NEUTRAL, OUTSIDE, STATE_COLOURS
from hallulab.reports.numbers import decimal, percent, span
from hallulab.reports.page import Finding, Page, PageSection, PageTable, Receipt, page_html, setting_text
from hallulab.reports.written import PAGE_NAME, WrittenReport, write_report

COLOURS = (*STATE_COLOURS, NEUTRAL)
TEST_COLOURS: dict[MeanTest, str] = {
    "paper": OUTSIDE,
    "k_matched": STATE_COLOURS[0],
    "own_law": STATE_COLOURS[1],
}
SHOWN_SHARE = 0.1
"""share of blends among the images of a mean that the figure of power shows"""
PAPERS_RULE = "percentile"
WHAT_IT_IS = (
    "A picture counts as a hallucination when it lies outside the regions of genuine pictures. Such regions are "
    "fitted: features are kept in so many dimensions, and each kind of picture is described by so many Gaussians. This "
    "page fits them in every way of a grid, several times each, and counts on pictures that none of them saw."
)


def write_frame_table_report(folder: Path, out: Path | None = None) -> WrittenReport:
    """Report on the table of frames recorded in a folder.

    Args:
        folder: as `frame-table --out` leaves it, finished or not.
        out: the page; `report.html` in `folder` by default. Figures and points are written beside it.

    Raises RefusedInputError for a folder without a fitted frame, or an `out` that cannot be written.
    """
    header, rows = read_frame_table(folder)
    if not rows:
        raise RefusedInputError(
            f"expected a table with at least one frame, found only a begun one in {folder}: run "
            "`python -m hallulab frame-table` with this --out again"
        )
    charts = frame_table_charts(header, rows)
    return write_report(
        out or folder / PAGE_NAME,
        html=page_html(frame_table_page(header, rows, folder)),
        png=chart_png(charts),
        svg=chart_svg(charts),
        points=frame_table_csv(rows),
    )


def frame_table_page(header: Mapping[str, Any], rows: Sequence[TableRow], folder: Path) -> Page:
    """The whole page, from the records alone."""
    images, *means = frame_table_charts(header, rows)
    k = header["settings"]["n_mean_images"]
    return Page(
        title=f"Frames: {len(_papers(rows))} ways to draw the line, {rows[0].n_seeds} fits each",
        opening=WHAT_IT_IS,
        findings=frame_table_findings(header, rows),
        sections=[
            PageSection(
                "What every frame covers and finds",
                (f"Images: {header['source']}. Blends: {header['blend_kind']}.",),
                figures=[page_figure(images)],
                tables=[_image_table(rows)],
            ),
            PageSection(
                f"Tests of the mean of {k} images",
                (
                    "The paper's test asks for the density of one image at the mean, and holds it against the "
                    "threshold of one image. K-matched: the same density, held against means of as many genuine "
                    "images. Law of means: the density of a mean of so many images, which is nearly normal, held "
                    "against the same. False alarms are counted on means of genuine images that no threshold saw.",
                ),
                figures=[page_figure(chart) for chart in means],
                tables=[_means_table(rows)],
            ),
        ],
        receipt=Receipt(
            PageTable(
                "Settings",
                ("setting", "value"),
                [(name, setting_text(value)) for name, value in header["settings"].items()]
                + [(name, str(header[name])) for name in ("source", "embedder", "blend_kind")],
            ),
            header["versions"],
            {path.name: file_sha256(path) for path in record_files(folder, RECORDS_PATTERN)},
        ),
    )


def frame_table_findings(header: Mapping[str, Any], rows: Sequence[TableRow]) -> list[Finding]:
    """At most three: coverage, blends, means; true by the numbers."""
    papers = _papers(rows)
    mass, n_fits = header["settings"]["hdr_mass"], rows[0].n_seeds
    coverage = [share for row in papers for share in row.coverage.values()]
    best = max(papers, key=lambda row: row.auroc)
    worst = min(papers, key=lambda row: row.auroc)
    return [
        Finding(
            "Coverage.",
            f"Between {percent(min(coverage))} and {percent(max(coverage))} of fresh genuine images are inside; "
            f"{percent(mass)} are meant to be.",
            [
                f"{', '.join(f'{n:,} {state}' for state, n in rows[0].n_fresh.items())} images, percentile thresholds, "
                f"mean over {n_fits} fits."
            ],
        ),
        Finding(
            "Blends.",
            f"{_frame(best)} tell blends from genuine images best (AUROC {decimal(best.auroc)}), {_frame(worst)} worst "
            f"({decimal(worst.auroc)}).",
            [
                f"Over {n_fits} fits the best lies between {decimal(best.auroc_range[0])} and "
                f"{decimal(best.auroc_range[1])}, the worst between {decimal(worst.auroc_range[0])} and "
                f"{decimal(worst.auroc_range[1])}."
            ],
        ),
        Finding("Means.", *_means_found(header, papers)),
    ]


def _means_found(header: Mapping[str, Any], rows: Sequence[TableRow]) -> tuple[str, list[str]]:
    meant, k = 1 - header["settings"]["hdr_mass"], header["settings"]["n_mean_images"]
    alarms = {test: _all_alarms(rows, test) for test in TEST_WORDS}
    least, most = min(alarms["paper"]), max(alarms["paper"])
    headline = (
        f"The paper's test calls between {percent(least)} and {percent(most)} of means of {k} genuine images "
        f"hallucinations, depending on the frame and on the fit; {percent(meant)} are meant to be."
    )
    said = [
        f"{words.capitalize()}: between {percent(min(alarms[test]))} and {percent(max(alarms[test]))}."
        for test, words in TEST_WORDS.items()
        if test != "paper"
    ]
    spread = max(rows, key=lambda row: max(_width(share) for share in row.means[0].false_alarms.values()))
    state, widest = max(spread.means[0].false_alarms.items(), key=lambda item: _width(item[1]))
    said.append(
        f"One frame fitted again is enough: with {_frame(spread)}, the paper's test calls from {percent(widest.least)} "
        f"to {percent(widest.most)} of means of {state} images hallucinations, from fit to fit."
    )
    for test, words in TEST_WORDS.items():
        found = [_row_of(row, test).power[SHOWN_SHARE].mean for row in rows]
        said.append(
            f"With {percent(SHOWN_SHARE)} blends among the images, {words} calls {percent(min(found))} to "
            f"{percent(max(found))} of the means hallucinations."
        )
    return headline, said


def frame_table_charts(header: Mapping[str, Any], rows: Sequence[TableRow]) -> list[Chart]:
    """AUROC over dimensions; false alarms and power of the tests of means in every frame."""
    papers = _papers(rows)
    k, meant = header["settings"]["n_mean_images"], 1 - header["settings"]["hdr_mass"]
    return [
        _auroc_chart(papers),
        _means_chart(
            papers,
            "False alarms of tests of means",
            f"Share of means of {k} genuine images that a test calls hallucinations; dots: mean over states and fits, "
            f"whiskers: least and most over them. {percent(meant)} are meant to be.",
            lambda row: list(row.false_alarms.values()),
        ),
        _means_chart(
            papers,
            f"Means with {percent(SHOWN_SHARE)} blends among their images",
            f"Share of such means of {k} images that a test calls hallucinations; dots: mean, whiskers: least and most "
            "over fits. A test that always alarms notices everything.",
            lambda row: [row.power[SHOWN_SHARE]],
        ),
    ]


def _auroc_chart(rows: Sequence[TableRow]) -> Chart:
    counts = sorted({row.n_components for row in rows})
    series = []
    for place, count in enumerate(counts):
        own = [row for row in rows if row.n_components == count]
        series.append(
            Series(
                f"{count} Gaussian{'s' if count > 1 else ''}", [row.pca_dimension for row in own],
                [row.auroc for row in own], COLOURS[place % len(COLOURS)],
                low=[row.auroc_range[0] for row in own], high=[row.auroc_range[1] for row in own],
            )
        )  # fmt: skip
    lowest = min(row.auroc_range[0] for row in rows)
    return Chart(
        title="How well blends are told from genuine images",
        caption="AUROC of the margin; whiskers: least and most over fits. 0.5 is guessing, 1 is perfect.",
        series=series,
        x_title="principal components",
        y_title="AUROC",
        y_range=(lowest - 0.05 * (1 - lowest) - 0.002, 1.002),
        is_log_x=True,
        x_ticks=[(float(one), str(one)) for one in sorted({row.pca_dimension for row in rows})],
    )


def _means_chart(rows: Sequence[TableRow], title: str, caption: str, shares_of: Any) -> Chart:
    names = [f"{row.pca_dimension}/{row.n_components}" for row in rows]
    series = []
    for test, words in TEST_WORDS.items():
        found: list[list[OverFits]] = [shares_of(_row_of(row, test)) for row in rows]
        series.append(
            Series(
                words, names, [sum(one.mean for one in shares) / len(shares) for shares in found],
                TEST_COLOURS[test], "point",
                low=[min(one.least for one in shares) for shares in found],
                high=[max(one.most for one in shares) for shares in found],
            )
        )  # fmt: skip
    return Chart(
        title=title, caption=caption, series=series, x_title="principal components / Gaussians per state",
        y_title="share of means called hallucinations", y_range=(-0.03, 1.05), x_names=names,
    )  # fmt: skip


def _image_table(rows: Sequence[TableRow]) -> PageTable:
    states = list(rows[0].coverage)
    return PageTable(
        "Frames by dimension, mixture and threshold rule",
        (
            "PCA, Gaussians", "rule", *(f"{state} inside" for state in states), "blends outside", "AUROC", "over fits",
            "95 % of the first fit",
        ),
        [
            (
                f"{row.pca_dimension}, {row.n_components}", row.rule,
                *(decimal(row.coverage[state]) for state in states), decimal(row.blends_outside), decimal(row.auroc, 4),
                f"{decimal(row.auroc_range[0], 4)} to {decimal(row.auroc_range[1], 4)}",
                span(row.auroc_interval, decimal),
            )
            for row in rows
        ],
        note=(
            f"Mean over {rows[0].n_seeds} fits, which judge the same images: "
            + ", ".join(f"{n:,} {state}" for state, n in rows[0].n_fresh.items())
            + "."
        ),
    )  # fmt: skip


def _means_table(rows: Sequence[TableRow]) -> PageTable:
    first = rows[0].means[0]
    return PageTable(
        "Means called hallucinations, least and most over fits",
        (
            "PCA, Gaussians", "test", *(f"genuine {state}" for state in first.false_alarms), "all states mixed",
            *(f"{percent(share)} blends" for share in first.power),
        ),
        [
            (
                f"{row.pca_dimension}, {row.n_components}", TEST_WORDS[one.test],
                *map(_least_and_most, one.false_alarms.values()), _least_and_most(one.mixed),
                *map(_least_and_most, one.power.values()),
            )
            for row in _papers(rows)
            for one in row.means
        ],
        note=(
            f"{first.n_means:,} means of each kind and fit, drawn with replacement from images that no threshold saw. "
            "Mixed: genuine images of all states in equal parts, every image right. Blends: that share of a mean's "
            "images, the others genuine images of one state; mean over those states."
        ),
    )  # fmt: skip


def frame_table_csv(rows: Sequence[TableRow]) -> str:
    """One line per frame, rule and test of means; frames by another rule than the percentile have no test."""
    states, power = list(rows[0].coverage), list(rows[0].means[0].power)
    written = StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(
        [
            "pca_dimension", "n_components", "rule", "n_fits", *(f"coverage_{state}" for state in states),
            "blends_outside", "auroc", "auroc_least", "auroc_most", "test",
            *(f"false_alarms_{state}_{end}" for state in states for end in ("least", "mean", "most")),
            *(f"mixed_{end}" for end in ("least", "mean", "most")),
            *(f"power_{share:g}_{end}" for share in power for end in ("least", "mean", "most")),
        ]
    )  # fmt: skip
    for row in rows:
        frame = [
            row.pca_dimension, row.n_components, row.rule, row.n_seeds, *(row.coverage[state] for state in states),
            row.blends_outside, row.auroc, *row.auroc_range,
        ]  # fmt: skip
        for one in row.means or (None,):
            shares = [] if one is None else [*one.false_alarms.values(), one.mixed, *one.power.values()]
            ends = [end for share in shares for end in (share.least, share.mean, share.most)]
            writer.writerow([*frame, one.test if one else "", *ends])
    return written.getvalue()


def _papers(rows: Sequence[TableRow]) -> list[TableRow]:
    return [row for row in rows if row.rule == PAPERS_RULE]


def _row_of(row: TableRow, test: MeanTest) -> MeansRow:
    return next(one for one in row.means if one.test == test)


def _all_alarms(rows: Sequence[TableRow], test: MeanTest) -> list[float]:
    """Of every frame, state and fit the extremes."""
    return [
        end
        for row in rows
        for share in _row_of(row, test).false_alarms.values()
        for end in (share.least, share.most)
    ]


def _width(share: OverFits) -> float:
    return share.most - share.least


def _frame(row: TableRow) -> str:
    return (
        f"{row.pca_dimension} dimensions and {row.n_components} Gaussian{'s' if row.n_components > 1 else ''}"
    )


def _least_and_most(share: OverFits) -> str:
    return f"{decimal(share.least, 2)} to {decimal(share.most, 2)}"
