"""The report of Theorem 2 held against many worlds: where its bounds speak, how often they hold, and by how much."""

import csv
from collections.abc import Sequence
from dataclasses import asdict
from io import StringIO
from pathlib import Path

import numpy as np

from hallulab.errors import RefusedInputError
from hallulab.experiments.facts_audit import AUDITED, AuditRow, FactsAudit, row_of
from hallulab.experiments.facts_audit_run import RECORDS_PATTERN, read_audits
from hallulab.experiments.facts_measure import BOUNDS
from hallulab.records import file_sha256
from hallulab.reports.charts import Chart, Mark, Series, chart_png, chart_svg, page_figure
from hallulab.reports.facts_figures import LEARNER_TITLES, PAPER, SHARP
from hallulab.reports.facts_report import BOUND_TITLES
from hallulab.reports.figures import OUTSIDE
from hallulab.reports.numbers import MISSING, decimal, percent
from hallulab.reports.page import Finding, Page, PageSection, PageTable, Receipt, page_html, setting_text
from hallulab.reports.written import PAGE_NAME, WrittenReport, write_report

WHAT_IT_IS = (
    "A theorem (arXiv 2509.04664, Theorem 2) bounds from the training data alone how often a learner of arbitrary "
    "facts errs, with probability 99 %. Here worlds are drawn one after the other, and each bound is held against "
    "the exact error rate. A bound that excludes no error rate at all, below 0 or above 1, is silent: it cannot fail, "
    "so it is counted apart."
)
SHOWN_SHARE = (0.005, 0.995)
"""of the worlds that a whisker spans"""


def write_theorem_2_report(folder: Path, out: Path | None = None) -> WrittenReport:
    """Report on the worlds of Theorem 2 recorded in a folder.

    Args:
        folder: as `facts --worlds N --out FOLDER` leaves it.
        out: the page; `report.html` in `folder` by default. Figures and points are written beside it.

    Raises RefusedInputError for a folder without a world, or an `out` that cannot be written.
    """
    audits = read_audits(folder)
    if not audits:
        raise RefusedInputError(
            f"expected at least one world of Theorem 2 ({RECORDS_PATTERN}), found none in {folder}: run "
            "`python -m hallulab facts --worlds 1000 --out FOLDER`"
        )
    charts = [audit_chart(audit) for audit in audits]
    page = Page(
        title="Theorem 2 put to the test",
        opening=WHAT_IT_IS,
        findings=[
            Finding(audit_title(audit), audit_headline(audit), audit_sentences(audit)) for audit in audits
        ],
        sections=[
            PageSection(audit_title(audit), (), [page_figure(chart)], [audit_table(audit)])
            for audit, chart in zip(audits, charts, strict=True)
        ],
        receipt=_receipt(audits, sorted(folder.glob(RECORDS_PATTERN))),
    )
    return write_report(
        out or folder / PAGE_NAME,
        html=page_html(page),
        png=chart_png(charts),
        svg=chart_svg(charts),
        points=points_csv(audits),
    )


def audit_title(audit: FactsAudit) -> str:
    """The worlds in a few words."""
    world = audit.settings.world
    return (
        f"{len(audit.worlds):,} worlds: {world.n_prompts:,} people, Zipf {world.zipf_exponent:g}, "
        f"N = {audit.settings.n_samples:,}"
    )


def audit_headline(audit: FactsAudit) -> str:
    """How the paper's two bounds and the sharper ones did on the memoriser, in one line."""
    rows = audit.rows
    said = [f"{BOUND_TITLES[name]}: {held_words(row_of(rows, name))}" for name in BOUNDS]
    return f"On the calibrated memoriser. {'; '.join(said)}."


def held_words(row: AuditRow) -> str:
    """Where it speaks, how often it holds; how often it is silent."""
    if not row.n_spoke:
        return f"silent in all {row.n_worlds:,}"
    return f"held in {row.n_held:,} of {row.n_spoke:,} where it speaks, silent in {row.n_silent:,}"


def audit_sentences(audit: FactsAudit) -> list[str]:
    """What else the worlds say."""
    said = []
    for name, title in (("esty", "Esty's interval"), ("proved", "the proved interval")):
        share, interval = audit.coverage(name)
        low, high = decimal(interval.low), decimal(interval.high)
        said.append(
            f"{title[0].upper()}{title[1:]} of 95 % held the missing mass in {decimal(share)} of the worlds "
            f"({low} to {high})."
        )
    said.append(
        f"99 % of these worlds needed a concentration term of at most {decimal(audit.needed_constant, 2)}/√N for the "
        f"memoriser; Theorem 2 subtracts {decimal(audit.paper_constant, 1)}/√N."
    )
    return said


def audit_table(audit: FactsAudit) -> PageTable:
    """Every bound on every learner that it is about."""
    return PageTable(
        "Where each bound speaks, and how often it holds there",
        (
            "bound: learner",
            "held where it speaks",
            "95 % interval",
            "silent",
            "mean bound",
            "mean error rate",
        ),
        [
            (
                f"{BOUND_TITLES[row.bound]}: {LEARNER_TITLES[row.learner]}",
                f"{row.n_held:,} of {row.n_spoke:,}",
                f"{decimal(row.interval.low, 4)} to {decimal(row.interval.high, 4)}"
                if row.interval
                else MISSING,
                f"{row.n_silent:,}",
                decimal(row.mean_bound, 4),
                decimal(row.mean_err, 4),
            )
            for row in audit.rows
        ],
        note=(
            "Clopper–Pearson intervals, means over the worlds where the bound speaks. Upper bounds are about the "
            "memoriser alone."
        ),
    )


def audit_chart(audit: FactsAudit) -> Chart:
    """The memoriser's error rate among the bounds on it, over the worlds."""
    names = ["the memoriser", *BOUND_TITLES.values()]
    err = [world.err["memoriser"] for world in audit.worlds]
    series = [_spread("error rate, measured", [names[0]], [err], OUTSIDE, "point")]
    for name, title in BOUND_TITLES.items():
        is_lower = name.endswith("lower")
        values = [
            world.lower_bounds[name]["memoriser"] if is_lower else world.upper_bounds[name]
            for world in audit.worlds
        ]
        spoken = [value for value in values if (value > 0 if is_lower else value < 1)]
        colour = SHARP if "sharp" in name else PAPER
        series.append(_spread(title, [title], [spoken], colour, "up" if is_lower else "down"))
    return Chart(
        title=f"Bounds and truth in {audit_title(audit)}",
        caption=(
            f"Means over worlds; whiskers hold {percent(SHOWN_SHARE[1] - SHOWN_SHARE[0])} of them. Triangles up: at "
            "least this; down: at most this. Only worlds in which a bound speaks; without any, its place is empty."
        ),
        series=series,
        x_title="",
        y_title="share of answers that are errors",
        y_range=(-0.02, 1.02),
        x_names=names,
    )


def points_csv(audits: Sequence[FactsAudit]) -> str:
    """Every world: what was seen, each learner's error rate, every bound."""
    written = StringIO()
    writer = csv.writer(written, lineterminator="\n")
    lower = [name for name in BOUNDS if name.endswith("lower")]
    upper = [name for name in BOUNDS if name not in lower]
    world_names = list(asdict(audits[0].settings.world))
    header = [*world_names, "n_samples", "seed", "singleton_rate", "missing_mass", "fewest_errors"]
    header += [f"err_{name}" for name in AUDITED]
    header += [f"{bound}_{name}" for bound in lower for name in AUDITED] + upper
    writer.writerow(header)
    for audit in audits:
        settings = [*asdict(audit.settings.world).values(), audit.settings.n_samples]
        for world in audit.worlds:
            values = [
                *settings, world.seed, world.singleton_rate, world.missing_mass, world.fewest_errors,
                *(world.err[name] for name in AUDITED),
                *(world.lower_bounds[bound][name] for bound in lower for name in AUDITED),
                *(world.upper_bounds[name] for name in upper),
            ]  # fmt: skip
            writer.writerow(["" if value is None else value for value in values])
    return written.getvalue()


def _spread(
    name: str, x: Sequence[str], values: Sequence[Sequence[float]], colour: str, mark: Mark
) -> Series:
    """Means with whiskers over most of the worlds."""
    ends = [np.quantile(one, SHOWN_SHARE).tolist() if len(one) else (None, None) for one in values]
    means = [float(np.mean(one)) if len(one) else None for one in values]
    return Series(name, x, means, colour, mark, [low for low, _ in ends], [high for _, high in ends])


def _receipt(audits: Sequence[FactsAudit], record_paths: Sequence[Path]) -> Receipt:
    rows = []
    for audit in audits:
        settings = asdict(audit.settings)
        flat = settings.pop("world") | settings
        prefix = f"{audit_title(audit)}: " if len(audits) > 1 else ""
        rows += [(f"{prefix}{name}", setting_text(value)) for name, value in flat.items()]
    return Receipt(
        PageTable("Settings", ("setting", "value"), rows),
        {name: version for audit in audits for name, version in audit.versions.items()},
        {path.name: file_sha256(path) for path in record_paths},
    )
