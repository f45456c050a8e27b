"""The report of a comparison of detectors: verdict and variance beside what the pictures truly are."""

import csv
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from hallulab.errors import RefusedInputError
from hallulab.experiments.detector_summary import (
    ConfusionRow,
    DetectorRow,
    ProbeRow,
    agreement,
    confusion,
    detector_rows,
    probe_rows,
)
from hallulab.experiments.picture_detectors import RECORDS_PATTERN, DetectorRun, read_detector_run
from hallulab.experiments.run_folder import record_files
from hallulab.records import file_sha256
from hallulab.reports.charts import Chart, Series, chart_png, chart_svg, page_figure
from hallulab.reports.detector_tables import agreement_table, auroc_table, confusion_table, probe_table
from hallulab.reports.figures import INSIDE, NEUTRAL, OUTSIDE, STATE_COLOURS
from hallulab.reports.numbers import decimal, percent, span
from hallulab.reports.page import Finding, Page, PageSection, PageTable, Receipt, page_html, setting_text
from hallulab.reports.written import PAGE_NAME, WrittenReport, write_report
from hallulab.scoring.attribute_truth import TRUTH_WORDS, Truth

TRUTH_COLOURS: dict[Truth, str] = {
    "genuine": INSIDE,
    "blend": OUTSIDE,
    "other": STATE_COLOURS[0],
    "unclear": NEUTRAL,
}
COLOURS = (*STATE_COLOURS, OUTSIDE, INSIDE, NEUTRAL)
WHAT_IT_IS = (
    "In the small world it is known what a picture shows: a whole pet, a blend of cat and dog, or something else. "
    "Two detectors of hallucinated pictures are held against that. One is the verdict: whether a picture lies outside "
    "the regions of genuine pictures, and by how much. The other looks at how much the picture still changed in the "
    "last steps of painting, and knows no genuine picture."
)


def write_detectors_report(folder: Path, out: Path | None = None) -> WrittenReport:
    """Report on the comparison of detectors recorded in a folder.

    Args:
        folder: as `detectors --out` leaves it, finished or not.
        out: the page; `report.html` in `folder` by default. Figures and points are written beside it.

    Raises RefusedInputError for a folder without a judged picture, or an `out` that cannot be written.
    """
    run = read_detector_run(folder)
    records = run.images
    if not records:
        raise RefusedInputError(
            f"expected a run with at least one picture, found only a begun one in {folder}: run "
            "`python -m hallulab detectors` with this --out again"
        )
    charts = detector_charts(confusion(records), detector_rows(records))
    return write_report(
        out or folder / PAGE_NAME,
        html=page_html(detectors_page(run, folder)),
        png=chart_png(charts),
        svg=chart_svg(charts),
        points=detectors_csv(records),
    )


def detectors_page(run: DetectorRun, folder: Path) -> Page:
    """The whole page, from the records alone."""
    records = run.images
    truths, detectors, probe = confusion(records), detector_rows(records), probe_rows(records)
    charts = detector_charts(truths, detectors)
    return Page(
        title=f"Two detectors beside the truth: {len(records):,} pictures",
        opening=WHAT_IT_IS,
        findings=detector_findings(truths, detectors, probe),
        sections=[
            PageSection(
                "What the verdict says of which pictures",
                (
                    "Truth, read by a probe from painted pictures: "
                    + "; ".join(f"{truth}: {words}" for truth, words in TRUTH_WORDS.items())
                    + ". Drawn pictures were made so; decoded ones are read from pixels.",
                ),
                figures=[page_figure(chart) for chart in charts[:1]],
                tables=[confusion_table(truths)],
            ),
            *(
                [PageSection("How far the probe can be believed", tables=[probe_table(probe)])]
                if probe
                else []
            ),
            PageSection(
                "How well each detector finds bad pictures",
                figures=[page_figure(chart) for chart in charts[1:]],
                tables=[auroc_table(detectors)],
            ),
            PageSection("Whether they agree", tables=[agreement_table(agreement(records))]),
        ],
        receipt=_receipt(run.header, folder),
    )


def detector_findings(
    truths: Sequence[ConfusionRow], detectors: Sequence[DetectorRow], probe: Sequence[ProbeRow]
) -> list[Finding]:
    """At most three: the verdict, the other detector, the probe; true by the numbers."""
    found = [_verdict_finding(truths)]
    best: dict[str, DetectorRow] = {}
    for row in detectors:
        name = "margin" if row.detector == "margin" else "variance"
        if row.group == "drawn" and row.bad == "blend" and row.auroc is not None:
            best[name] = max(best.get(name, row), row, key=lambda one: one.auroc or 0)
    if {"margin", "variance"} <= best.keys():
        margin, variance = best["margin"], best["variance"]
        found.append(
            Finding(
                "The second detector.",
                f"On drawn blends the margin reaches an AUROC of {decimal(margin.auroc)}, the variance at best "
                f"{decimal(variance.auroc)} ({variance.detector.removeprefix('variance, ')}).",
                [
                    f"{row.detector}: {span(row.interval, decimal)}, {row.n_bad} blends, {row.n_genuine} genuine."
                    for row in (margin, variance)
                ],
            )
        )
    if probe:
        found.append(_probe_finding(probe))
    return found


def _verdict_finding(rows: Sequence[ConfusionRow]) -> Finding:
    """What is said of whole pets and of blends, group by group."""
    by_key = {(row.group, row.truth): row for row in rows}
    said = []
    for group in dict.fromkeys(row.group for row in rows):
        parts = [
            f"{row.n_outside} of {row.n} {words}"
            + (f" ({span(row.interval, percent)})" if row.interval else "")
            for truth, words in (("genuine", "genuine ones"), ("blend", "blends"))
            if (row := by_key.get((group, truth)))
        ]
        if parts:
            said.append(f"{group}: outside are {' and '.join(parts)}.")
    drawn = by_key.get(("drawn", "blend"))
    headline = (
        f"The verdict puts {drawn.n_outside} of {drawn.n} drawn blends outside."
        if drawn
        else "What the verdict puts outside depends on what a picture is."
    )
    return Finding("The verdict.", headline, said)


def _probe_finding(rows: Sequence[ProbeRow]) -> Finding:
    headline = "After the autoencoder the probe reads right: " + "; ".join(
        f"{percent(row.right)} of {row.n} {_drawing(row)}" for row in rows
    )
    said = [
        f"{_drawing(row).capitalize()}: read as "
        + ", ".join(f"{truth} {n}" for truth, n in row.read.items() if n)
        + f"; right {span(row.interval, percent)}."
        for row in rows
    ]
    return Finding("The probe.", headline + ".", said)


def _drawing(row: ProbeRow) -> str:
    """What was drawn, and what the autoencoder made of it."""
    drawn, now = (
        {"genuine": "whole pets", "blend": "blends"}[kind] for kind in (row.drawn_as, row.decoded_as)
    )
    return drawn if drawn == now else f"{drawn} that it turned into {now}"


def detector_charts(truths: Sequence[ConfusionRow], detectors: Sequence[DetectorRow]) -> list[Chart]:
    """Shares outside by truth, and AUROC by detector."""
    groups = list(dict.fromkeys(row.group for row in truths))
    shares = [
        Series(
            truth, [row.group for row in own], [row.outside for row in own], colour, "bar",
            low=[row.interval and row.interval.low for row in own],
            high=[row.interval and row.interval.high for row in own],
        )
        for truth, colour in TRUTH_COLOURS.items()
        if (own := [row for row in truths if row.truth == truth])
    ]  # fmt: skip
    known = [row for row in detectors if row.auroc is not None]
    names = list(dict.fromkeys(f"{row.group}: {row.bad}" for row in known))
    kinds = list(dict.fromkeys(row.detector for row in known))
    aurocs = [
        Series(
            detector, [f"{row.group}: {row.bad}" for row in own], [row.auroc for row in own],
            COLOURS[place % len(COLOURS)], "bar",
            low=[row.interval and row.interval.low for row in own],
            high=[row.interval and row.interval.high for row in own],
        )
        for place, detector in enumerate(kinds)
        if (own := [row for row in known if row.detector == detector])
    ]  # fmt: skip
    charts = [
        Chart(
            title="Pictures outside every region, by what they truly are",
            caption="Share of pictures, with 95 % intervals that take seeds (or single drawings) as units.",
            series=shares, x_title="pictures", y_title="share outside", y_range=(0, 1.05), x_names=groups,
        ),
        Chart(
            title="How well bad pictures are told from genuine ones",
            caption="AUROC with 95 % intervals; 0.5 is guessing. Groups without a bad picture are left out.",
            series=aurocs, x_title="pictures: what is to be found", y_title="AUROC", y_range=(0, 1.05), x_names=names,
        ),
    ]  # fmt: skip
    return [chart for chart in charts if chart.series]


def detectors_csv(records: Sequence[dict[str, Any]]) -> str:
    """Every number of the tables in one long table."""
    written = StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(["table", "group", "what", "n", "value", "low", "high"])
    for row in confusion(records):
        writer.writerow(["outside", row.group, row.truth, row.n, row.outside, *_ends(row.interval)])
    for row in detector_rows(records):
        what = f"{row.detector}: {row.bad}"
        n, auroc = row.n_bad + row.n_genuine, "" if row.auroc is None else row.auroc
        writer.writerow(["auroc", row.group, what, n, auroc, *_ends(row.interval)])
    for row in probe_rows(records):
        what = f"drawn as {row.drawn_as}, now {row.decoded_as}"
        writer.writerow(["probe right", "decoded", what, row.n, row.right, *_ends(row.interval)])
    for row in agreement(records):
        value = "" if row.rank_correlation is None else row.rank_correlation
        writer.writerow(["rank correlation", row.group, f"last {row.window} steps", row.n, value, "", ""])
    return written.getvalue()


def _ends(interval: Any) -> tuple[Any, Any]:
    return ("", "") if interval is None else (interval.low, interval.high)


def _receipt(header: Mapping[str, Any], folder: Path) -> Receipt:
    rows = [(name, setting_text(value)) for name, value in header["settings"].items()]
    rows += [(name, setting_text(value)) for name, value in header["paint"].items()]
    rows += [(name, str(header[name])) for name in ("frame", "embedder", "probe")]
    rows += [(f"SHA-256 of {name}", value or "on the Hub") for name, value in header["checkpoints"].items()]
    return Receipt(
        PageTable("Settings", ("setting", "value"), rows),
        header["versions"],
        {path.name: file_sha256(path) for path in record_files(folder, RECORDS_PATTERN)},
    )
