"""What a sweep of pictures shows: cells, checkpoints and their differences, the paper's table."""

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from io import StringIO
from itertools import pairwise
from typing import Any

import numpy as np

from hallulab.densities.mean_tests import MEAN_TESTS
from hallulab.experiments.detector_summary import (
    AgreementRow,
    ConfusionRow,
    DetectorRow,
    agreement,
    confusion,
    detector_rows,
)
from hallulab.experiments.guided_summary import (
    GuidedDifference,
    GuidedRow,
    TradeOff,
    guided_differences,
    guided_rows,
    trade_offs,
)
from hallulab.experiments.pictures_sweep import SweepRun, cell_key
from hallulab.theory.bootstrap import PairedDifference, paired_difference
from hallulab.theory.clustered_rate import ClusteredRate, clustered_rate
from hallulab.theory.intervals import Interval
from hallulab.theory.multiple_tests import holm

Record = Mapping[str, Any]
SHARE_OUTSIDE, MARGIN, LOSS = "share outside", "margin", "held-out loss"


@dataclass(frozen=True)
class CheckpointRow:
    """One checkpoint over all its finished prompts."""

    checkpoint: str
    global_step: int | None
    training_loss: float | None
    """mean of the last steps before it, of the weights in training; None where none is recorded"""
    held_out_loss: float | None
    """mean squared error of the noise predicted by the checkpoint's own weights in pictures it did not learn from"""
    held_out_interval: Interval | None
    """95 %, pictures drawn again"""
    rate: ClusteredRate
    """share of images outside; seeds are the clusters"""
    n_prompts: int
    n_prompts_outside: dict[str, int]
    """test of means → prompts whose mean is outside"""
    margin_nats: float
    """mean over images"""
    diversity: float
    """mean over prompts of the mean cosine distance of two images"""
    x0_variance: float | None
    """mean over images"""


@dataclass(frozen=True)
class PairRow:
    """Two checkpoints on the same seeds, or on the same held-out pictures."""

    first: str
    second: str
    quantity: str
    """share outside, margin in nats, held-out loss"""
    difference: PairedDifference
    """second − first; a pair is one seed, averaged over prompts, or one picture"""
    p_adjusted: float
    """by Holm, over all rows"""


@dataclass(frozen=True)
class SweepSummary:
    """Everything the table and the report show."""

    checkpoints: tuple[CheckpointRow, ...]
    pairs: tuple[PairRow, ...]
    guided: tuple[GuidedRow, ...]
    differences: tuple[GuidedDifference, ...]
    trade_offs: tuple[TradeOff, ...]
    confusion: tuple[ConfusionRow, ...]
    detectors: tuple[DetectorRow, ...]
    agreement: tuple[AgreementRow, ...]


def summarise(run: SweepRun) -> SweepSummary:
    """The summary of what is finished: unfinished cells are left out everywhere."""
    finished = {cell_key(cell) for cell in run.cells}
    images = [record for record in run.images if cell_key(record) in finished]
    with_truth = [record for record in images if record["truth"] is not None]
    best_of, seed = run.settings.best_of, run.settings.seed
    return SweepSummary(
        checkpoint_rows(run.cells, run.losses, images),
        pair_rows(images, run.settings.checkpoints, run.losses, seed=seed),
        guided_rows(images, best_of, seed=seed),
        guided_differences(images, best_of, seed=seed),
        trade_offs(run, images),
        confusion(with_truth),
        detector_rows(with_truth),
        agreement(images),
    )


def checkpoint_rows(
    cells: Sequence[Record], losses: Mapping[str, Record], images: Sequence[Record]
) -> tuple[CheckpointRow, ...]:
    """One row per checkpoint, in their order."""
    return tuple(
        _checkpoint_row(
            name, group, losses.get(name), [image for image in images if image["checkpoint"] == name]
        )
        for name, group in _groups(cells, lambda cell: cell["checkpoint"]).items()
    )


def pair_rows(
    images: Sequence[Record], checkpoints: Sequence[str], losses: Mapping[str, Record], *, seed: int
) -> tuple[PairRow, ...]:
    """Each checkpoint against the one before, and the last against the first fine-tuned one."""
    names = [name for name in checkpoints if any(record["checkpoint"] == name for record in images)]
    pairs = list(pairwise(names))
    if len(names) > 3:
        pairs.append((names[1], names[-1]))
    of_image: dict[str, Callable[[Record], float]] = {
        SHARE_OUTSIDE: lambda record: float(not record["inside"]),
        MARGIN: lambda record: record["margin_nats"],
    }
    rows = []
    for first, second in pairs:
        values = {
            quantity: tuple(_by_seed(images, name, value) for name in (second, first))
            for quantity, value in of_image.items()
        }
        if first in losses and second in losses:
            values[LOSS] = tuple(dict(enumerate(losses[name]["losses"])) for name in (second, first))
        for quantity, (ours, theirs) in values.items():
            both = sorted(ours.keys() & theirs.keys())
            difference = paired_difference(
                [ours[key] for key in both],
                [theirs[key] for key in both],
                rng=np.random.default_rng(seed),
            )
            if difference is not None:
                rows.append(PairRow(first, second, quantity, difference, difference.p_value))
    adjusted = holm([row.p_adjusted for row in rows])
    return tuple(replace(row, p_adjusted=float(p)) for row, p in zip(rows, adjusted, strict=True))


def table_json(run: SweepRun) -> list[dict[str, Any]]:
    """One row per finished cell, as the command line prints it."""
    return [
        {
            "checkpoint": cell["checkpoint"],
            "prompt": cell["prompt"],
            **{name: cell[name] for name in cell if name not in ("kind", "checkpoint", "prompt")},
        }
        for cell in run.cells
    ]


def paper_csv(run: SweepRun) -> str:
    """One line per finished cell: columns and words of the paper's code first, what it did not measure after them."""
    thresholds = run.header["thresholds"]
    percentile = round(100 * (1 - run.settings.hdr_mass), 6)
    written = StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(
        [
            "global_step", "prompt", "K", "hdr_percentile", *(f"log_thr_{state}" for state in thresholds),
            *(f"logp_mean_{state}" for state in thresholds), "inside_hcdr", "decision",
            "checkpoint", "n_outside", "hallucination_rate", "rate_low", "rate_high",
            *(f"inside_{test}" for test in MEAN_TESTS[1:]), "margin_nats", "diversity", "x0_variance",
            "training_loss", "held_out_loss",
        ]
    )  # fmt: skip
    for cell in run.cells:
        mean = cell["mean"]
        inside = mean["paper"]["inside"]
        variance = cell["x0_variance"]
        row = [
            cell["global_step"], cell["prompt"], cell["n"], percentile, *thresholds.values(),
            *(mean["log_density"][state] for state in thresholds), int(inside),
            "IN HCDR" if inside else "OUTSIDE HCDR",
            cell["checkpoint"], cell["n_outside"], cell["hallucination_rate"], cell["interval"]["low"],
            cell["interval"]["high"], *(int(mean[test]["inside"]) for test in MEAN_TESTS[1:]),
            cell["margin_nats"]["mean"], cell["diversity"]["value"], variance["mean"] if variance else None,
            cell["training_loss"], run.losses.get(cell["checkpoint"], {}).get("mean"),
        ]  # fmt: skip
        writer.writerow(["" if value is None else value for value in row])
    return written.getvalue()


def _checkpoint_row(
    name: str, cells: Sequence[Record], loss: Record | None, images: Sequence[Record]
) -> CheckpointRow:
    variances = [cell["x0_variance"]["mean"] for cell in cells if cell["x0_variance"]]
    by_seed = _groups(images, lambda image: image["seed"]).values()
    rate = clustered_rate(
        [sum(not image["inside"] for image in of_seed) for of_seed in by_seed],
        [len(of_seed) for of_seed in by_seed],
    )
    assert rate is not None  # a finished cell has images
    return CheckpointRow(
        name,
        cells[0]["global_step"],
        cells[0]["training_loss"],
        loss["mean"] if loss else None,
        Interval(**loss["interval"]) if loss else None,
        rate,
        len(cells),
        {test: sum(not cell["mean"][test]["inside"] for cell in cells) for test in MEAN_TESTS},
        float(np.mean([cell["margin_nats"]["mean"] for cell in cells])),
        float(np.mean([cell["diversity"]["value"] for cell in cells])),
        float(np.mean(variances)) if variances else None,
    )


def _by_seed(images: Sequence[Record], checkpoint: str, value: Callable[[Record], float]) -> dict[int, float]:
    """Seed → mean over the prompts of a checkpoint; the prompts of a seed share its noise."""
    found = _groups([record for record in images if record["checkpoint"] == checkpoint], lambda r: r["seed"])
    return {seed: float(np.mean([value(record) for record in records])) for seed, records in found.items()}


def _groups(records: Sequence[Record], key: Callable[[Record], Any]) -> dict[Any, list[Record]]:
    groups: dict[Any, list[Record]] = {}
    for record in records:
        groups.setdefault(key(record), []).append(record)
    return groups
