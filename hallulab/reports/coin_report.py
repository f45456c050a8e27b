"""The report of coin runs: one page, the figure as files, every measured point; from records alone."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hallulab.errors import RefusedInputError
from hallulab.experiments.coin_records import RECORDS_PATTERN, CoinRecords, read_runs
from hallulab.experiments.coin_result import CoinResult
from hallulab.experiments.coin_summary import SummaryRow, summary_table
from hallulab.records import file_sha256
from hallulab.reports.coin_claim import claim_section
from hallulab.reports.coin_effects import effects_section
from hallulab.reports.coin_exports import points_csv
from hallulab.reports.coin_figures import training_figure
from hallulab.reports.coin_report_tables import (
    exact_tables,
    held_out_table,
    right_table,
    rounds_table,
    unrounded_table,
    variants_table,
    wrong_table,
)
from hallulab.reports.coin_sentences import run_headline, run_sentences
from hallulab.reports.coin_stills import training_png, training_svg
from hallulab.reports.coin_words import run_title
from hallulab.reports.page import Finding, Page, PageFigure, PageSection, PageTable, Receipt, page_html
from hallulab.reports.written import PAGE_NAME, WrittenReport, write_report
from hallulab.scoring.coin_rule import CoinRule

WHAT_IT_IS = (
    "N coins are drawn from 2N coins that land heads with different probabilities. A network sees which coins were "
    "drawn and says how many heads will come up. Every probability is known exactly, so its answers can be held "
    "against the truth. An answer hallucinates when it is a count that is not plausible for these coins."
)
HOW_TO_READ = (
    "Figure 3 of arXiv 2509.21473, with the exact values beside the curves. Lines: mean over rounds. Bands: 95 % "
    "interval of that mean. Faint lines: single rounds. Thin dashed lines: exact values, which need no network. All "
    "but "
    "the training loss is computed on every draw in closed form. Dotted, orange: how often the output, before any "
    "rounding, is a number of heads that cannot happen."
)
PUBLIC_CODE = (
    "The public code puts all labels into one token, uses dropout, rounds up, and scores with coins that are one "
    "step too "
    "low. The fixed variant has one token per coin, rounds to the nearest count, and scores with the coins that were "
    "flipped."
)


def write_coin_report(
    folder: Path, out: Path | None = None, *, rule: CoinRule | None = None
) -> WrittenReport:
    """Report on the coin runs recorded in a folder.

    Args:
        folder: as `coins --out` leaves it.
        out: the page; `report.html` in `folder` by default. Figures and points are written beside it.
        rule: by which every run is judged; each by its own when None.

    Raises RefusedInputError for a folder without scored points, or an `out` that cannot be written.
    """
    results = read_runs(folder, rule)
    if not any(result.points for result in results):
        raise RefusedInputError(
            f"expected a coin run with at least one scored point, found only begun ones in {folder}: "
            "run `python -m hallulab coins` with this --out again"
        )
    return write_report(
        out or folder / PAGE_NAME,
        html=page_html(coin_page(results, sorted(folder.glob(RECORDS_PATTERN)))),
        png=training_png(results),
        svg=training_svg(results),
        points=points_csv(results),
    )


def coin_page(results: Sequence[CoinResult], record_paths: Sequence[Path]) -> Page:
    """The page.

    Args:
        results: the runs, in the order in which they are shown.
        record_paths: the files that they were read from.
    """
    rows = summary_table(results)
    sizes = ", ".join(str(n) for n in _distinct(result.settings.coins_per_draw for result in results))
    variants = variants_table(rows)
    return Page(
        title=f"Coin laboratory: N = {sizes}",
        opening=WHAT_IT_IS,
        findings=[
            Finding(run_title(result.settings), run_headline(ways), run_sentences(result, ways))
            for result in results
            for ways in [_rows_of(result, rows)]
        ],
        sections=[
            _training_section(results),
            *claim_section(results),
            *effects_section(results, rows),
            *(
                [PageSection("Fixed against the public code", (PUBLIC_CODE,), tables=[variants])]
                if variants
                else []
            ),
            PageSection(
                "All numbers",
                tables=[
                    right_table(rows),
                    wrong_table(rows),
                    unrounded_table(rows),
                    held_out_table(rows),
                    rounds_table(results),
                    *exact_tables(results),
                ],
            ),
        ],
        receipt=_receipt(results, record_paths),
    )


def _rows_of(result: CoinResult, rows: Sequence[SummaryRow]) -> list[SummaryRow]:
    settings = result.settings
    wanted = (settings.coins_per_draw, settings.variant, settings.objective)
    return [row for row in rows if (row.coins_per_draw, row.variant, row.objective) == wanted]


def _training_section(results: Sequence[CoinResult]) -> PageSection:
    figures = [
        PageFigure(
            run_title(result.settings),
            training_figure([result]),
            training_svg([result]),
            f"{result.settings.flips:,} flips in each round; rounds: {len(result.started_seeds)}.",
        )
        for result in results
    ]
    return PageSection("Training: the loss falls, and the answers?", (HOW_TO_READ,), figures)


def _receipt(results: Sequence[CoinResult], record_paths: Sequence[Path]) -> Receipt:
    versions: dict[str, list[str]] = {}
    for path in record_paths:
        for name, version in CoinRecords(path).versions().items():
            versions.setdefault(name, []).append(version)
    all_settings = [asdict(result.settings) for result in results]
    return Receipt(
        settings=PageTable(
            "Settings",
            ("setting", "value in every run"),
            [
                (
                    name.replace("_", " "),
                    ", ".join(_distinct(_written(settings[name]) for settings in all_settings)),
                )
                for name in all_settings[0]
            ],
            "Where runs differ, every value is listed. δ and mass are those of this page; records hold what any "
            "other line "
            "needs (`report RUN --delta`).",
        ),
        versions={name: ", ".join(_distinct(found)) for name, found in versions.items()},
        record_hashes={path.name: file_sha256(path) for path in record_paths},
    )


def _written(value: Any) -> str:
    return "none" if value is None else str(value)


def _distinct(values: Any) -> list[Any]:
    """Each value once, in order."""
    return list(dict.fromkeys(values))
