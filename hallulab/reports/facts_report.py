"""The report of a run on arbitrary facts: what was found in words, bounds beside truth, every number."""

import csv
from collections.abc import Sequence
from dataclasses import asdict, fields
from io import StringIO
from pathlib import Path

from hallulab.errors import RefusedInputError
from hallulab.experiments.facts import RECORDS_PATTERN, read_runs
from hallulab.experiments.facts_run import QWEN, LearnerPoint
from hallulab.experiments.facts_summary import LOWER_BOUNDS, FactsResult, LearnerRow, OverWorlds
from hallulab.records import file_sha256
from hallulab.reports.charts import Chart, chart_png, chart_svg, page_figure
from hallulab.reports.facts_figures import (
    LEARNER_TITLES,
    frequency_chart,
    learners_chart,
    sizes_chart,
    training_chart,
)
from hallulab.reports.numbers import decimal, percent
from hallulab.reports.page import Finding, Page, PageSection, PageTable, Receipt, page_html, setting_text
from hallulab.reports.written import PAGE_NAME, WrittenReport, write_report
from hallulab.theory.arbitrary_facts import FirstSize

WHAT_IT_IS = (
    "Invented people have random birthdays, which follow from nothing. A learner reads some of them, many only once, "
    "many never. Asked for one that it never read, it can guess or say that it does not know. A paper (arXiv "
    "2509.04664) bounds from below how often such a learner must state something false. Here everything is computed "
    "exactly, so each bound stands beside the truth."
)
BOUND_TITLES = {
    "paper_lower": "Theorem 2, at least",
    "sharp_lower": "sharper, at least",
    "paper_upper": "Theorem 2, at most",
    "sharp_upper": "sharper, at most",
}
LEARNER_NOTES = {
    "memoriser": "knows what it read and guesses the rest as often as the data answers: the paper's calibrated learner",
    "counter": "the same, but not told how often the data answers",
    "abstainer": "knows what it read and says IDK to the rest",
    "trigram": "counts what followed the full name, else the last name",
    "bigram": "counts what followed the last name",
    "unigram": "counts answers, whoever is asked about",
    QWEN: "a Qwen2 network trained on the same sentences",
}


def write_facts_report(folder: Path, out: Path | None = None) -> WrittenReport:
    """Report on the facts runs recorded in a folder.

    Args:
        folder: as `facts --out` leaves it.
        out: the page; `report.html` in `folder` by default. Figures and points are written beside it.

    Raises RefusedInputError for a folder without measured learners, or an `out` that cannot be written.
    """
    results = [result for result in read_runs(folder) if result.learners]
    if not results:
        raise RefusedInputError(
            f"expected a facts run with at least one measured learner, found only begun ones in {folder}: run "
            "`python -m hallulab facts` with this --out again"
        )
    charts = [chart for result in results for chart in facts_charts(result)]
    return write_report(
        out or folder / PAGE_NAME,
        html=page_html(facts_page(results, sorted(folder.glob(RECORDS_PATTERN)))),
        png=chart_png(charts),
        svg=chart_svg(charts),
        points=points_csv(results),
    )


def facts_charts(result: FactsResult) -> list[Chart]:
    """The figures of one run, without those that have nothing to show."""
    charts = [learners_chart(result)]
    if result.sizes:
        charts.append(sizes_chart(result))
    charts.append(frequency_chart(result))
    if result.training:
        charts.append(training_chart(result))
    return [chart for chart in charts if chart.series]


def facts_page(results: Sequence[FactsResult], record_paths: Sequence[Path]) -> Page:
    """The page.

    Args:
        results: the runs, in the order in which they are shown.
        record_paths: the files that they were read from.
    """
    return Page(
        title="Arbitrary facts: what a language model must get wrong",
        opening=WHAT_IT_IS,
        findings=[
            Finding(run_title(result), facts_headline(result), facts_sentences(result)) for result in results
        ],
        sections=[section for result in results for section in _sections(result)],
        receipt=_receipt(results, record_paths),
    )


def run_title(result: FactsResult) -> str:
    """A run in a few words."""
    settings = result.settings
    return f"{settings.world.n_prompts:,} people, {settings.n_samples:,} training samples"


def facts_headline(result: FactsResult) -> str:
    """The finding in one line."""
    memoriser = _row(result, "memoriser")
    rate = percent(result.singleton_rate.mean)
    if memoriser is None:
        return f"{rate} of the training samples were facts seen once."
    return (
        f"{rate} of the training samples were facts seen once, and the calibrated learner errs in "
        f"{percent(memoriser.err.mean)} of its answers."
    )


def facts_sentences(result: FactsResult) -> list[str]:
    """What to conclude, each sentence true by the numbers of this run."""
    said = [
        f"Next time, {percent(result.missing_mass.mean)} of the questions will be about an answer that training "
        f"never gave; the share seen once, {percent(result.singleton_rate.mean)}, estimates it."
    ]
    memoriser, abstainer = _row(result, "memoriser"), _row(result, "abstainer")
    if memoriser is not None:
        said.append(
            f"The calibrated learner (δ = {decimal(memoriser.delta.mean, 3)}) must err in at least "
            f"{percent(memoriser.bound.mean)} of its answers by Theorem 1."
        )
    if abstainer is not None and abstainer.err.mean == 0:
        said.append(
            "A learner that says IDK to what it never read does not err at all; it pays by not being calibrated: δ = "
            f"{decimal(abstainer.delta.mean, 3)}."
        )
    qwen = _row(result, QWEN)
    if qwen is not None and qwen.by_frequency[0][1].mean is not None:
        said.append(
            f"The trained network errs in {percent(qwen.err.mean)} of its answers, and in "
            f"{percent(qwen.by_frequency[0][1].mean)} of those about facts that it never read; its δ is "
            f"{decimal(qwen.delta.mean, 3)}."
        )
        said.append(_most_calibrated(result.training))
    bigram = _row(result, "bigram")
    if bigram is not None and bigram.ratio.mean is not None:
        said.append(
            f"The bigram errs {bigram.ratio.mean:.1f} times as often as it misjudges answers: Theorem 1 is far from "
            "what a poor model does."
        )
    said += [
        _first_size_sentence(name, size) for name, size in result.first_sizes.items() if name != "paper_upper"
    ]
    said.append(_violations(result))
    return said


def _most_calibrated(training: Sequence[LearnerRow]) -> str:
    best = min(training[1:] or training, key=lambda row: row.delta.mean or 0.0)
    return (
        f"It is closest to calibrated after epoch {best.epoch} of {training[-1].epoch}: there δ is "
        f"{decimal(best.delta.mean, 3)}, and it errs in {percent(best.err.mean)} of its answers, at least "
        f"{percent(best.bound.mean)} by Theorem 1."
    )


def _first_size_sentence(name: str, size: FirstSize) -> str:
    title = BOUND_TITLES[name]
    if size.in_this_world is None:
        some = "never" if size.in_some_world is None else f"from {size.in_some_world:,} training samples on"
        return f"{title}: says nothing in this world at any training size; in a larger one it may {some}."
    until = "" if size.until is None else f" to {size.until:,}"
    return f"{title}: says something in this world from {size.in_this_world:,}{until} training samples."


def _violations(result: FactsResult) -> str:
    n = sum(row.n_worlds for row in result.table)
    broken = {name: sum(row.n_violated[name] for row in result.table) for name in LOWER_BOUNDS}
    if not any(broken.values()):
        return f"No lower bound was broken: {n} learners and worlds, {len(LOWER_BOUNDS)} bounds each."
    return "Broken lower bounds: " + ", ".join(
        f"{name}: {count} of {n}" for name, count in broken.items() if count
    )


def _sections(result: FactsResult) -> list[PageSection]:
    settings = result.settings
    about = (
        f"{settings.world.n_prompts:,} people, {settings.world.n_answers:,} possible answers each, asked for with Zipf "
        f"exponent {settings.world.zipf_exponent:g}; the data answers {percent(settings.world.answer_rate)} of the "
        f"time; {settings.n_samples:,} training samples; worlds: {len(result.worlds)}."
    )
    return [
        PageSection(run_title(result), (about,), [page_figure(chart) for chart in facts_charts(result)]),
        PageSection(
            "All numbers",
            tables=[
                _learner_table(result),
                _theorem_2_table(result),
                _frequency_table(result),
                _size_table(result),
            ],
        ),
    ]


def _learner_table(result: FactsResult) -> PageTable:
    return PageTable(
        "Each learner beside Theorem 1",
        (
            "learner", "error rate", "right", "says IDK", "lost", "Is-It-Valid error", "at best threshold",
            "err / err_iiv", "δ", "Theorem 1", "sharper", "loss (nats)",
        ),
        [
            (
                LEARNER_TITLES[row.learner],
                *(
                    with_interval(over)
                    for over in (
                        row.err, row.right, row.abstained, row.lost_mass, row.err_iiv, row.best_err_iiv, row.ratio,
                        row.delta, row.bound, row.sharp_bound, row.loss,
                    )
                ),
            )
            for row in result.table
        ],
        note=(
            "Mean over worlds, 95 % Student-t interval in brackets; everything within a world is exact. A dash: not "
            "defined, as the loss of a learner that rules out a true answer. "
            + " ".join(f"{LEARNER_TITLES[row.learner]}: {LEARNER_NOTES[row.learner]}." for row in result.table)
        ),
    )  # fmt: skip


def _theorem_2_table(result: FactsResult) -> PageTable:
    rows = [
        (
            LEARNER_TITLES[row.learner],
            *map(with_interval, (row.err, row.paper_lower_bound, row.sharp_lower_bound)),
        )
        for row in result.table
    ]
    return PageTable(
        "Theorem 2: lower bounds from the training data alone",
        ("learner", "error rate", "Theorem 2, at least", "sharper, at least"),
        rows,
        note="Each holds with probability 99 %. Below 0 it says nothing.",
    )


def _frequency_table(result: FactsResult) -> PageTable:
    labels = [one.label for one, _ in result.table[0].by_frequency]
    n_prompts = [f"{one.n_prompts:,}" for one, _ in result.table[0].by_frequency]
    rows: list[tuple[str, ...]] = [("people (first world)", *n_prompts)]
    rows += [
        (LEARNER_TITLES[row.learner], *(with_interval(err) for _, err in row.by_frequency))
        for row in result.table
    ]
    return PageTable("Error rate by how often training answered the fact", ("", *labels), rows)


def _size_table(result: FactsResult) -> PageTable:
    names = (
        "err", "missing_mass", "singleton_rate", "paper_lower_bound", "sharp_lower_bound", "sharp_upper_bound",
        "paper_upper_bound",
    )  # fmt: skip
    return PageTable(
        "The memoriser by training size",
        (
            "N",
            "error rate",
            "missing mass",
            "singleton rate",
            "Theorem 2 ≥",
            "sharper ≥",
            "sharper ≤",
            "Theorem 2 ≤",
        ),
        [(f"{row.n_samples:,}", *(decimal(getattr(row, name), 4) for name in names)) for row in result.sizes],
        note="Means over worlds.",
    )


def points_csv(results: Sequence[FactsResult]) -> str:
    """Every learner in every world at every epoch that was read, with the settings of its run."""
    points = [field.name for field in fields(LearnerPoint) if field.name != "by_frequency"]
    written = StringIO()
    writer = csv.writer(written, lineterminator="\n")
    world_names = list(asdict(results[0].settings.world)) if results else []
    writer.writerow([*world_names, "n_samples", *points])
    for result in results:
        world = list(asdict(result.settings.world).values())
        for point in result.learners:
            values = [getattr(point, name) for name in points]
            writer.writerow(["" if v is None else v for v in (*world, result.settings.n_samples, *values)])
    return written.getvalue()


def _receipt(results: Sequence[FactsResult], record_paths: Sequence[Path]) -> Receipt:
    rows = []
    for result in results:
        settings = asdict(result.settings)
        world, qwen = settings.pop("world"), settings.pop("qwen")
        flat = world | settings | {f"qwen {name}": value for name, value in qwen.items()}
        prefix = f"{run_title(result)}: " if len(results) > 1 else ""
        rows += [(f"{prefix}{name}", setting_text(value)) for name, value in flat.items()]
    versions = {name: version for result in results for name, version in result.versions.items()}
    return Receipt(
        PageTable("Settings", ("setting", "value"), rows),
        versions,
        {path.name: file_sha256(path) for path in record_paths},
    )


def _row(result: FactsResult, learner: str) -> LearnerRow | None:
    return next((row for row in result.table if row.learner == learner), None)


def with_interval(over: OverWorlds) -> str:
    """A mean with its interval, where there is one."""
    if over.mean is None or over.low is None or over.high is None:
        return decimal(over.mean, 3)
    return f"{decimal(over.mean, 3)} [{decimal(over.low, 3)}, {decimal(over.high, 3)}]"
