"""The tables of a facts run: every bound beside what it bounds, learners, frequencies, training sizes; and a CSV."""

import csv
from collections.abc import Sequence
from dataclasses import asdict, fields
from io import StringIO

from hallulab.experiments.facts_run import QWEN, LearnerPoint
from hallulab.experiments.facts_summary import FactsResult, LearnerRow, says_something
from hallulab.experiments.over_worlds import OverWorlds
from hallulab.reports.facts_figures import LEARNER_TITLES
from hallulab.reports.numbers import MISSING, decimal
from hallulab.reports.page import PageTable
from hallulab.theory.arbitrary_facts import FirstSize

LEARNER_NOTES = {
    "memoriser": "knows what it read and guesses the rest as often as the data answers: the paper's calibrated learner",
    "counter": "the same, but not told how often the data answers",
    "abstainer": "knows what it read and says IDK to the rest",
    "trigram": "counts what followed the full name, else the last name",
    "bigram": "counts what followed the last name",
    "unigram": "counts answers, whoever is asked about",
    QWEN: "a Qwen2 network trained on the same sentences",
}
BOUND_COLUMNS = {
    "bound": "Theorem 1 ≥",
    "sharp_bound": "sharper ≥",
    "paper_lower_bound": "Theorem 2 ≥",
    "sharp_lower_bound": "sharper ≥",
    "paper_upper_bound": "Theorem 2 ≤",
    "sharp_upper_bound": "sharper ≤",
}
"""bound → its column"""
BOUNDS_NOTE = (
    "Error rate (err), judging error (err_iiv) and δ by both ways, |p̂(A) − p(A)| and the slope of the rescaled loss, "
    "beside every bound on the error rate: at least (≥), at most (≤). In round brackets: the bound says nothing. "
    "Theorem 2 and its sharper form hold with probability 99 %; the upper ones are about the calibrated memoriser. "
    "Last row: the numbers of training samples N at which a bound says something about a calibrated learner here."
)


def bounds_table(result: FactsResult, *, has_intervals: bool = True) -> PageTable:
    """Every bound beside what it bounds, for every learner, and from which N it says something."""

    def measured(over: OverWorlds) -> str:
        return with_interval(over) if has_intervals else decimal(over.mean, 4)

    rows = [
        (
            LEARNER_TITLES[row.learner],
            with_interval(row.err),
            *map(measured, (row.err_iiv, row.delta, row.slope)),
            *(_bound_text(name, row, has_intervals=has_intervals) for name in BOUND_COLUMNS),
        )
        for row in result.table
    ]
    sizes = {f"{name}_bound": size_text(size) for name, size in result.first_sizes.items()}
    says = ["says something at N", *[""] * 4, *(sizes.get(name, MISSING) for name in BOUND_COLUMNS)]
    return PageTable(
        "Every bound beside the error rate that it bounds",
        ("learner", "err", "err_iiv", "δ", "δ as slope", *BOUND_COLUMNS.values()),
        [*rows, says] if sizes else rows,
        note=BOUNDS_NOTE + _of_first_world(result),
    )


def size_text(size: FirstSize) -> str:
    """The training sizes at which a bound says something, for a table."""
    if size.in_this_world is None:
        return "none here"
    return f"{size.in_this_world:,} on" if size.until is None else f"{size.in_this_world:,} to {size.until:,}"


def _of_first_world(result: FactsResult) -> str:
    """|R_c| is drawn anew for every world, and the bounds depend on it."""
    is_drawn = result.settings.world.fewest_answers is not None and len(result.worlds) > 1
    return " Of the first world, since |R_c| is drawn." if is_drawn else ""


def _bound_text(name: str, row: LearnerRow, *, has_intervals: bool) -> str:
    over: OverWorlds | None = getattr(row, name)
    if over is None or over.mean is None:
        return MISSING
    if not says_something(name, over.mean):
        return f"({decimal(over.mean)})"
    return with_interval(over) if has_intervals else decimal(over.mean, 4)


def learner_table(result: FactsResult) -> PageTable:
    return PageTable(
        "More about each learner",
        (
            "learner", "error rate", "right", "says IDK", "lost", "err_iiv at best threshold", "err / err_iiv",
            "loss (nats)",
        ),
        [
            (
                LEARNER_TITLES[row.learner],
                *(
                    with_interval(over)
                    for over in (
                        row.err, row.right, row.abstained, row.lost_mass, row.best_err_iiv, row.ratio, row.loss,
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


def frequency_table(result: FactsResult) -> PageTable:
    labels = [one.label for one, _ in result.table[0].by_frequency]
    n_prompts = [f"{one.n_prompts:,}" for one, _ in result.table[0].by_frequency]
    rows: list[tuple[str, ...]] = [("people (first world)", *n_prompts)]
    rows += [
        (LEARNER_TITLES[row.learner], *(with_interval(err) for _, err in row.by_frequency))
        for row in result.table
    ]
    return PageTable("Error rate by how often training answered the fact", ("", *labels), rows)


def size_table(result: FactsResult) -> PageTable:
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


def with_interval(over: OverWorlds) -> str:
    """A mean with its interval, where there is one."""
    if over.mean is None or over.low is None or over.high is None:
        return decimal(over.mean, 3)
    return f"{decimal(over.mean, 3)} [{decimal(over.low, 3)}, {decimal(over.high, 3)}]"
