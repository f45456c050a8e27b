"""What a table of frames shows: one row per PCA dimension and mixture size, over all fits."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hallulab.densities.mean_tests import MEAN_TESTS, MeanTest
from hallulab.errors import RefusedInputError
from hallulab.experiments.frame_table import RECORDS_PATTERN
from hallulab.experiments.run_folder import SETTINGS, record_files
from hallulab.records import RecordFile
from hallulab.theory.intervals import Interval, wilson_interval

Record = dict[str, Any]


@dataclass(frozen=True)
class OverFits:
    """A share over several fits of one frame."""

    mean: float
    least: float
    most: float


@dataclass(frozen=True)
class MeansRow:
    """What one test of means does in one frame."""

    test: MeanTest
    false_alarms: dict[str, OverFits]
    """State → share of means of its genuine images that are called hallucinations"""
    mixed: OverFits
    """the same of means of genuine images of all states: every image is right"""
    power: dict[float, OverFits]
    """share of blends among a mean's images → share called hallucinations, mean over the states of the others"""
    n_means: int
    """of each kind, per fit"""


@dataclass(frozen=True)
class TableRow:
    """One frame over all seeds; counts are summed over them."""

    pca_dimension: int
    n_components: int
    rule: str
    """How held-out log-densities become thresholds."""
    n_seeds: int
    coverage: dict[str, float]
    """State → share of fresh genuine images inside some region."""
    coverage_intervals: dict[str, Interval]
    """95 % Wilson intervals of one seed's number of images; the seeds judge the same images."""
    n_fresh: dict[str, int]
    blends_outside: float
    """Share of blends outside every region."""
    auroc: float
    """P(a blend has a smaller margin than a genuine image), mean over seeds."""
    auroc_range: tuple[float, float]
    """Least and greatest over seeds."""
    auroc_interval: Interval
    """95 % of the first seed, images drawn again."""
    means: tuple[MeansRow, ...]
    """One row per test of means, by percentile thresholds; empty for another rule."""


def read_frame_table(folder: Path) -> tuple[Record, tuple[TableRow, ...]]:
    """What was asked, and one row per frame and rule, of the table in a folder.

    Raises RefusedInputError when there is none, or one of another version.
    """
    paths = record_files(folder, RECORDS_PATTERN)
    if len(paths) != 1:
        raise RefusedInputError(
            f"expected one table of frames ({RECORDS_PATTERN}) in {folder}, found {len(paths)}: "
            "make one with `python -m hallulab frame-table --out FOLDER`"
        )
    records = RecordFile(paths[0]).read()
    headers = [record for record in records if record.get("kind") == SETTINGS]
    try:
        rows = table_rows([record for record in records if record.get("kind") == "frame"])
        return headers[0], rows
    except (IndexError, KeyError, TypeError) as error:
        raise RefusedInputError(
            f"expected the records of a table of this version in {paths[0]}, found other ones: make it again elsewhere"
        ) from error


def table_rows(records: Sequence[Record]) -> tuple[TableRow, ...]:
    """Records of all seeds as one row per PCA dimension, mixture size and rule."""
    groups: dict[tuple[int, int], list[Record]] = defaultdict(list)
    for record in records:
        groups[record["pca_dimension"], record["n_components"]].append(record)
    return tuple(
        _row(group, *frame, rule) for frame, group in sorted(groups.items()) for rule in group[0]["inside"]
    )


def _row(group: Sequence[Record], pca_dimension: int, n_components: int, rule: str) -> TableRow:
    n_fresh = group[0]["n_fresh"]
    inside = {state: sum(record["inside"][rule][state] for record in group) for state in n_fresh}
    coverage = {state: inside[state] / (n_fresh[state] * len(group)) for state in n_fresh}
    aurocs = [record["auroc"] for record in group]
    n_outside = sum(record["blends_outside"][rule] for record in group)
    return TableRow(
        pca_dimension=pca_dimension,
        n_components=n_components,
        rule=rule,
        n_seeds=len(group),
        coverage=coverage,
        coverage_intervals={
            state: wilson_interval(round(share * n_fresh[state]), n_fresh[state])
            for state, share in coverage.items()
        },
        n_fresh=n_fresh,
        blends_outside=n_outside / sum(record["n_blends"] for record in group),
        auroc=float(np.mean(aurocs)),
        auroc_range=(min(aurocs), max(aurocs)),
        auroc_interval=Interval(*group[0]["auroc_interval"]),
        means=tuple(_means_row(group, test) for test in MEAN_TESTS) if rule == "percentile" else (),
    )


def _means_row(group: Sequence[Record], test: MeanTest) -> MeansRow:
    first = group[0]["means"]

    def over_fits(count: Callable[[Record], float]) -> OverFits:
        shares = [count(record["means"]) / record["means"]["n"] for record in group]
        return OverFits(float(np.mean(shares)), min(shares), max(shares))

    return MeansRow(
        test,
        {state: over_fits(lambda means, of=state: means["genuine"][of][test]) for state in first["genuine"]},
        over_fits(lambda means: means["mixed"][test]),
        {
            float(share): over_fits(
                lambda means, of=share: float(
                    np.mean([counts[test] for counts in means["blended"][of].values()])
                )
            )
            for share in first["blended"]
        },
        first["n"],
    )
