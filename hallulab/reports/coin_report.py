"""The report of coin runs: one page, the figure as files, every measured point; from records alone."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hallulab.errors import RefusedInputError
from hallulab.experiments.coin_objectives import objective_of
from hallulab.experiments.coin_summary import CoinResult, OverRounds, SummaryRow, summary_table
from hallulab.experiments.coins import RECORDS_PATTERN, read_runs
from hallulab.records import RecordFile, file_sha256
from hallulab.reports.coin_exports import points_csv
from hallulab.reports.coin_figures import comparison_figure, training_figure
from hallulab.reports.coin_sentences import objective_sentences, run_headline, run_sentences
from hallulab.reports.coin_words import VARIANT_TITLES, estimator_title, run_title, short_way_title
from hallulab.reports.numbers import MISSING, between, decimal, percent
from hallulab.reports.page import Finding, Page, PageFigure, PageSection, PageTable, Receipt, page_html
from hallulab.reports.static_figures import comparison_svg, training_png, training_svg
from hallulab.reports.written import PAGE_NAME, WrittenReport, write_report

WHAT_IT_IS = (
    "N coins are drawn from 2N coins that land heads with different probabilities. A network sees which coins were "
    "drawn and says how many heads will come up. Every probability is known exactly, so its answers can be held "
    "against the truth. An answer hallucinates when it is a count that is not plausible for these coins."
)
HOW_TO_READ = (
    "Figure 3 of arXiv 2509.21473, with the exact values beside the curves. Lines: mean over rounds. Bands: 95 % "
    "interval of that mean. Faint lines: single rounds. Thin dashed lines: exact values, which need no network."
)
MEANS_NOTE = "Mean over rounds, 95 % Student-t interval in brackets."
GAP_NOTE = f"{MEANS_NOTE} Gap: network − exact."


def write_coin_report(folder: Path, out: Path | None = None) -> WrittenReport:
    """Report on the coin runs recorded in a folder.

    Args:
        folder: as `coins --out` leaves it.
        out: the page; `report.html` in `folder` by default. Figures and points are written beside it.

    Raises RefusedInputError for a folder without scored points, or an `out` that cannot be written.
    """
    results = read_runs(folder)
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
            *_objectives_section(rows),
            *_variants_section(rows),
            PageSection(
                "All numbers",
                tables=[
                    _right_table(rows),
                    _wrong_table(rows),
                    _rounds_table(results),
                    *_exact_tables(results),
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


def _objectives_section(rows: Sequence[SummaryRow]) -> Iterator[PageSection]:
    """Only where several objectives were trained for one N."""
    by_size = {n: _ways(rows, n) for n in _distinct(row.coins_per_draw for row in rows)}
    compared = {n: ways for n, ways in by_size.items() if len({row.objective for row in ways}) > 1}
    if not compared:
        return
    yield PageSection(
        "Does another objective hallucinate less?",
        [
            f"N = {n}. {' '.join(found)}"
            for n, ways in compared.items()
            if (found := objective_sentences(ways))
        ],
        [
            PageFigure(
                f"N = {n}",
                comparison_figure(ways),
                comparison_svg(ways),
                "Filled: the network with its 95 % interval over rounds. Hollow: the exact minimiser of the same "
                "objective. Dashed: the network trained on squared error.",
            )
            for n, ways in compared.items()
        ],
        [_objectives_table(n, ways) for n, ways in compared.items()],
    )


def _ways(rows: Sequence[SummaryRow], coins_per_draw: int) -> list[SummaryRow]:
    """Rows of one N that differ in objective and answer alone, where something was measured."""
    return [
        row
        for row in rows
        if row.coins_per_draw == coins_per_draw and row.variant == "fixed" and row.epoch is not None
    ]


def _objectives_table(n: int, rows: Sequence[SummaryRow]) -> PageTable:
    return PageTable(
        f"Objectives, N = {n}",
        (
            "objective, answer", "hallucination rate", "difference", "squared error", "difference",
            "P(right)",
        ),
        [
            (
                short_way_title(row.objective, row.answer, row.variant),
                _share(row.hallucination_rate),
                _share(row.hallucination_rate_difference),
                _number(row.squared_error),
                _number(row.squared_error_difference),
                _share(row.conditional_probability_data_law),
            )
            for row in rows
        ],
        f"{MEANS_NOTE} Differences: to squared error with the same seeds, so on the same flips. "
        f"Sources: {_sources(rows)}.",
    )  # fmt: skip


def _sources(rows: Sequence[SummaryRow]) -> str:
    objectives = [objective_of(name) for name in _distinct(row.objective for row in rows)]
    return "; ".join(f"{objective.title}: {objective.source}" for objective in objectives)


def _variants_section(rows: Sequence[SummaryRow]) -> Iterator[PageSection]:
    """Only where both variants were trained for one N on one objective."""
    pairs = [
        row
        for row in rows
        if {other.variant for other in rows if _same_but_variant(row, other)} == set(VARIANT_TITLES)
    ]
    if not pairs:
        return
    yield PageSection(
        "Fixed against the public code",
        (
            "The public code puts all labels into one token, uses dropout, rounds up, and scores with coins that are "
            "one step too low. The fixed variant has one token per coin, rounds to the nearest count, and scores with "
            "the coins that were flipped.",
        ),
        tables=[
            PageTable(
                "Variants",
                (
                    "run",
                    "P(right)",
                    "as the variant scores it",
                    "hallucination rate",
                    "squared error",
                    "Spearman",
                ),
                [
                    (
                        _row_title(row),
                        _share(row.conditional_probability_data_law),
                        _share(row.conditional_probability),
                        _share(row.hallucination_rate),
                        _number(row.squared_error),
                        _number(row.spearman, 2),
                    )
                    for row in sorted(pairs, key=lambda row: (row.coins_per_draw, row.objective, row.answer))
                ],
                f"{MEANS_NOTE} Spearman: of training loss and P(right) as the variant scores it, over epochs.",
            )
        ],
    )


def _same_but_variant(row: SummaryRow, other: SummaryRow) -> bool:
    return all(
        getattr(row, name) == getattr(other, name)
        for name in ("coins_per_draw", "objective", "answer", "flips")
    )


def _right_table(rows: Sequence[SummaryRow]) -> PageTable:
    return PageTable(
        "Right answers, at the last epoch that all rounds reached",
        ("run", "rounds", "epoch", "P(right)", "exact", "gap, points", "best possible", "Spearman"),
        [
            (
                _row_title(row),
                str(row.n_rounds),
                MISSING if row.epoch is None else str(row.epoch),
                *_beside_exact(row.conditional_probability_data_law, as_percent=True),
                percent(row.best_conditional_probability.exact),
                _number(row.spearman, 2),
            )
            for row in rows
        ],
        f"{GAP_NOTE} Exact: what the objective's exact minimiser reaches over all draws, answered alike. The "
        "network is scored on held-out flips, so it may lie a hair above. Spearman: rank correlation of training "
        "loss and P(right) over the epochs of a round, as the variant scores it.",
    )


def _wrong_table(rows: Sequence[SummaryRow]) -> PageTable:
    return PageTable(
        "Hallucinations and squared error, at the same epoch",
        ("run", "hallucination rate", "exact", "gap, points", "squared error", "exact", "gap"),
        [
            (
                _row_title(row),
                *_beside_exact(row.hallucination_rate, as_percent=True),
                *_beside_exact(row.squared_error, as_percent=False),
            )
            for row in rows
        ],
        f"{GAP_NOTE} Squared error: of the answer as given.",
    )


def _rounds_table(results: Sequence[CoinResult]) -> PageTable:
    return PageTable(
        "Every round at its last scored epoch",
        (
            "run", "seed", "epoch", "training loss", "held-out loss", "P(right)", "hallucination rate",
            "95 % interval", "squared error", "answers", "missing",
        ),
        [
            (
                f"N = {settings.coins_per_draw} · {short_way_title(settings.objective, answer, settings.variant)}",
                str(seed),
                f"{last.epoch:.3g}",
                decimal(last.train_loss, 4),
                decimal(last.validation_loss, 4),
                percent(last.conditional_probability_data_law),
                percent(last.hallucination_rate),
                between(*(last.hallucination_interval or (None, None)), as_percent=True),
                decimal(last.squared_error, 4),
                f"{last.n:,}",
                f"{last.n_missing:,}",
            )
            for result in results
            for settings in [result.settings]
            for seed in result.started_seeds
            for answer in result.answers
            for last in result.round_points(seed, answer)[-1:]
        ],
        "Losses are in each objective's own unit. The interval is Wilson's, over the held-out flips of the round.",
    )  # fmt: skip


def _exact_tables(results: Sequence[CoinResult]) -> list[PageTable]:
    """One per N and rule: exact values depend on nothing else."""
    kinds = {(result.settings.coins_per_draw, result.settings.rule): result for result in results}
    return [_exact_table(result) for result in kinds.values()]


def _exact_table(result: CoinResult) -> PageTable:
    estimators = {name: value for name, value in result.exact.items() if isinstance(value, Mapping)}
    n, n_draws = result.settings.coins_per_draw, result.exact["n_draws"]
    over = f"all {n_draws:,} draws" if result.exact["all_draws"] else f"{n_draws:,} draws that occurred"
    return PageTable(
        f"Exact values, N = {n}, {_rule_words(result)}",
        ("answering with", "P(right)", "by the public code's law", "hallucination rate", "squared error"),
        [
            (
                estimator_title(name),
                decimal(value["conditional_probability"], 4),
                decimal(value["conditional_probability_shifted_law"], 4),
                decimal(value["hallucination_rate"], 4),
                decimal(value["squared_error"], 4),
            )
            for name, value in estimators.items()
        ],
        f"Over {over}. The most likely count is right as often as any answer can be; the average has the least "
        "squared error.",
    )


def _receipt(results: Sequence[CoinResult], record_paths: Sequence[Path]) -> Receipt:
    headers = [
        record
        for path in record_paths
        for record in RecordFile(path).read()
        if record.get("kind") == "settings"
    ]
    versions: dict[str, list[str]] = {}
    for header in headers:
        for name, version in header.get("versions", {}).items():
            versions.setdefault(str(name), []).append(str(version))
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
            "Where runs differ, every value is listed.",
        ),
        versions={name: ", ".join(_distinct(found)) for name, found in versions.items()},
        record_hashes={path.name: file_sha256(path) for path in record_paths},
    )


def _rule_words(result: CoinResult) -> str:
    settings = result.settings
    return f"HDR mass {settings.hdr_mass:g}" if settings.delta is None else f"δ = {settings.delta:g}"


def _row_title(row: SummaryRow) -> str:
    return f"N = {row.coins_per_draw} · {short_way_title(row.objective, row.answer, row.variant)}"


def _beside_exact(over_rounds: OverRounds, *, as_percent: bool) -> tuple[str, str, str]:
    """Mean with interval, exact value, gap."""
    if as_percent:
        gap = None if over_rounds.gap is None else 100 * over_rounds.gap
        return _share(over_rounds), percent(over_rounds.exact), decimal(gap, 1)
    return _number(over_rounds), decimal(over_rounds.exact), decimal(over_rounds.gap)


def _share(over_rounds: OverRounds | None) -> str:
    """A mean share with its interval, in percent."""
    if over_rounds is None or over_rounds.mean is None:
        return MISSING
    interval = between(over_rounds.low, over_rounds.high, as_percent=True)
    mean = percent(over_rounds.mean).replace("-", "−")
    return mean if interval == MISSING else f"{mean} [{interval}]"


def _number(over_rounds: OverRounds | None, digits: int = 3) -> str:
    """A mean with its interval."""
    if over_rounds is None or over_rounds.mean is None:
        return MISSING
    mean = decimal(over_rounds.mean, digits)
    if over_rounds.low is None or over_rounds.high is None:
        return mean
    return f"{mean} [{decimal(over_rounds.low, digits)} to {decimal(over_rounds.high, digits)}]"


def _written(value: Any) -> str:
    return "none" if value is None else str(value)


def _distinct(values: Any) -> list[Any]:
    """Each value once, in order."""
    return list(dict.fromkeys(values))
