"""The report of a run on arbitrary facts: what was found in words, bounds beside truth, every number."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from hallulab.errors import RefusedInputError
from hallulab.experiments.facts import RECORDS_PATTERN, read_runs
from hallulab.experiments.facts_run import QWEN
from hallulab.experiments.facts_summary import FactsResult, LearnerRow
from hallulab.records import file_sha256
from hallulab.reports.charts import Chart, chart_png, chart_svg, page_figure
from hallulab.reports.facts_figures import bounds_chart, frequency_chart, sizes_chart, training_chart
from hallulab.reports.facts_tables import bounds_table, frequency_table, learner_table, points_csv, size_table
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
"""the bounds from training data alone, by their name in records"""
COUNTED_TITLES = {
    "bound": "Theorem 1",
    "sharp_bound": "its sharper form",
    "paper_lower_bound": "Theorem 2 from below",
    "sharp_lower_bound": "its sharper form from below",
    "paper_upper_bound": "Theorem 2 from above",
    "sharp_upper_bound": "its sharper form from above",
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
    charts = [bounds_chart(result)]
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
    said += [_first_size_sentence(name, size) for name, size in result.first_sizes.items()]
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
    """Broken bounds, counted among those that say something: one that says nothing cannot be broken."""
    counts = []
    n_broken = 0
    for name, title in COUNTED_TITLES.items():
        about = [row for row in result.table if name in row.n_silent]
        n = sum(row.n_worlds for row in about)
        spoke = n - sum(row.n_silent[name] for row in about)
        broken = sum(row.n_violated[name] for row in about)
        n_broken += broken
        held = f"held in {spoke - broken} of {spoke} where it speaks" if spoke else "never spoke"
        counts.append(f"{title} {held}, silent in {n - spoke}")
    said = "; ".join(counts)
    verdict = "No bound was broken" if not n_broken else f"Broken bounds: {n_broken}"
    return f"{verdict}. Of learners and worlds: {said}."


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
                bounds_table(result),
                learner_table(result),
                frequency_table(result),
                size_table(result),
            ],
        ),
    ]


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
