"""The report of a words sweep: what is left of the paper's claim, Table 1 and Figure 4, verdicts, every number."""

import csv
from collections.abc import Mapping
from dataclasses import asdict
from io import StringIO
from pathlib import Path

from hallulab.errors import RefusedInputError
from hallulab.experiments.words_resemblance_run import VARIANTS
from hallulab.experiments.words_sweep import ResemblanceRun, VerdictsRun, WordsSweep, read_words_sweep
from hallulab.records import file_sha256
from hallulab.reports.charts import Chart, chart_png, chart_svg, page_figure
from hallulab.reports.page import Page, PageSection, PageTable, Receipt, page_html
from hallulab.reports.words_figures import paper_chart, resemblance_charts, verdicts_charts
from hallulab.reports.words_sentences import OPENING, resemblance_finding, verdicts_finding
from hallulab.reports.words_tables import resemblance_tables, title_of
from hallulab.reports.words_verdict_tables import verdicts_tables
from hallulab.reports.written import PAGE_NAME, WrittenReport, write_report
from hallulab.scoring.grades import RULES


def write_words_report(folder: Path, out: Path | None = None) -> WrittenReport:
    """Report on the words sweeps recorded in a folder.

    Args:
        folder: as `sweep words --out` leaves it.
        out: the page; `report.html` in `folder` by default. Figures and points are written beside it.

    Raises RefusedInputError for a folder without a scored answer, or an `out` that cannot be written.
    """
    sweep = read_words_sweep(folder)
    charts = words_charts(sweep)
    if not charts:
        raise RefusedInputError(
            f"expected a words sweep with at least one scored answer, found only begun ones in {folder}: run "
            "`python -m hallulab sweep words` with this --out again"
        )
    return write_report(
        out or folder / PAGE_NAME,
        html=page_html(words_page(sweep)),
        png=chart_png(charts),
        svg=chart_svg(charts),
        points=points_csv(sweep),
    )


def words_charts(sweep: WordsSweep) -> list[Chart]:
    """Every figure of a sweep, the paper's numbers beside the first."""
    charts = [chart for run in sweep.resemblance for chart in resemblance_charts(run)]
    if charts:
        charts.insert(2, paper_chart())
    return charts + (list(verdicts_charts(sweep.verdicts)) if sweep.verdicts else [])


def words_page(sweep: WordsSweep) -> Page:
    """The page."""
    verdicts = [sweep.verdicts] if sweep.verdicts else []
    return Page(
        title="Do tuned answers grow more like common wrong answers?",
        opening=OPENING,
        findings=[*map(resemblance_finding, sweep.resemblance), *map(verdicts_finding, verdicts)],
        sections=[
            *(_resemblance_section(run, has_paper=place == 0) for place, run in enumerate(sweep.resemblance)),
            *map(_verdicts_section, verdicts),
            _rules_section(),
        ],
        receipt=_receipt(sweep),
    )


def points_csv(sweep: WordsSweep) -> str:
    """Every scored answer: who gave it to what, and every number of it."""
    written = StringIO()
    writer = csv.writer(written, lineterminator="\n")
    ratios = ("incorrect", "correct", "margin", "null_incorrect", "null_correct", "excess")
    writer.writerow(
        (
            "question_set", "variant", "checkpoint", "seed", "question_id", "grade", "rule", "n_characters", "n_tokens",
            "is_complete", *ratios,
        )
    )  # fmt: skip
    for run in sweep.resemblance:
        for answer in run.result.answers:
            values = [answer.resemblance and getattr(answer.resemblance, name) for name in ratios]
            writer.writerow(
                (
                    run.question_set, run.result.settings.variant, answer.checkpoint, answer.seed, answer.question_id,
                    answer.grade, answer.rule, answer.n_characters, answer.n_tokens, answer.is_complete,
                    *("" if value is None else value for value in values),
                )
            )  # fmt: skip
    return written.getvalue()


def _resemblance_section(run: ResemblanceRun, *, has_paper: bool) -> PageSection:
    settings = run.result.settings
    how = (
        "The question is given as plain text, and question and answer together are scored, as the public code does."
        if VARIANTS[settings.variant].scores_prompt
        else "The question is a turn of the chat format, and the answer alone is scored."
    )
    about = (
        f"{how} {run.result.questions.n} questions, seeds of the answers: {settings.n_seeds}, at most "
        f"{settings.max_new_tokens} tokens, temperature {settings.temperature:g}, top-p {settings.top_p:g}."
    )
    charts = list(resemblance_charts(run))
    if charts and has_paper:
        charts.insert(1, paper_chart())
    figures = [page_figure(chart) for chart in charts]
    return PageSection(title_of(run), (about,), figures, list(resemblance_tables(run)))


def _verdicts_section(run: VerdictsRun) -> PageSection:
    about = (
        "Every checkpoint answers open-ended questions with two acceptable answers each. The frozen base writes "
        "genuine answers under a hint for each; an answer less probable under every hint than all but a tenth of "
        "these is called a hallucination. The verdicts are tested on answers whose truth is known."
    )
    return PageSection(
        "Text verdicts",
        (about,),
        [page_figure(chart) for chart in verdicts_charts(run)],
        list(verdicts_tables(run)),
    )


def _rules_section() -> PageSection:
    return PageSection(
        "How answers are graded",
        tables=[PageTable("Rules", ("rule", "what it decides"), list(RULES.items()))],
    )


def _receipt(sweep: WordsSweep) -> Receipt:
    rows: list[tuple[str, str]] = []
    versions: dict[str, str] = {}
    for run in sweep.resemblance:
        used = run.result.questions
        about = {"questions from": used.source, "questions": used.n, "SHA-256 of questions": used.sha256}
        hashes = {f"SHA-256 of {model.checkpoint}": model.sha256 for model in run.result.models}
        rows += _settings(title_of(run), asdict(run.result.settings) | about | hashes)
        versions |= run.versions
    if sweep.verdicts:
        result = sweep.verdicts.result
        rows += _settings("verdicts", asdict(result.settings) | asdict(result.scored_by))
        rows += _settings(
            "verdicts", {f"SHA-256 of {one.checkpoint}": one.sha256 for one in result.checkpoints}
        )
        versions |= sweep.verdicts.versions
    hashes = {path.name: file_sha256(path) for path in sweep.record_paths}
    return Receipt(PageTable("Settings", ("setting", "value"), rows), versions, hashes)


def _settings(title: str, values: Mapping[str, object]) -> list[tuple[str, str]]:
    return [
        (f"{title}: {name}", ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value))
        for name, value in values.items()
        if value not in ((), [], None)
    ]
