"""What a sweep of pictures shows: cells, checkpoints and their differences, guided sampling, the paper's table."""

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from io import StringIO
from itertools import pairwise
from typing import Any

import numpy as np

from hallulab.experiments.detector_summary import (
    AgreementRow,
    ConfusionRow,
    DetectorRow,
    agreement,
    confusion,
    detector_rows,
)
from hallulab.experiments.pictures_sweep import SweepRun, embedding_of
from hallulab.scoring.attribute_truth import TRUTHS
from hallulab.scoring.guided_pictures import best_of_each, keep_inside
from hallulab.theory.bootstrap import PairedDifference, paired_difference
from hallulab.theory.diversity import Diversity, cosine_diversity
from hallulab.theory.intervals import Interval, wilson_interval

Record = Mapping[str, Any]


@dataclass(frozen=True)
class CheckpointRow:
    """One checkpoint over all its finished prompts."""

    checkpoint: str
    global_step: int | None
    training_loss: float | None
    n: int
    """images"""
    n_outside: int
    hallucination_rate: float
    interval: Interval
    """95 % Wilson of the rate"""
    n_prompts: int
    n_prompts_outside: int
    """prompts whose mean is outside, by the paper's test"""
    n_prompts_outside_matched: int
    """prompts whose mean is outside, against means of as many genuine images"""
    margin_nats: float
    """mean over images"""
    diversity: float
    """mean over prompts of the mean cosine distance of two images"""
    x0_variance: float | None
    """mean over images"""


@dataclass(frozen=True)
class PairRow:
    """Two checkpoints on the same seeds."""

    first: str
    second: str
    quantity: str
    """"share outside", or "margin" in nats"""
    difference: PairedDifference
    """second − first; a pair is one seed, averaged over prompts"""


@dataclass(frozen=True)
class GuidedRow:
    """One way of sampling from one checkpoint, from the same painted images."""

    checkpoint: str
    way: str
    """"plain", "kept" or "best of n" """
    n_painted: int
    n: int
    """images that come out"""
    n_outside: int
    """by the frame that chooses: none of the kept, by construction"""
    interval: Interval | None
    """95 % Wilson of their share"""
    truths: dict[str, int] | None
    """truth → images; None in a world where it is not known"""
    genuine: Interval | None
    """95 % Wilson of the share that is truly genuine"""
    diversity: float | None
    """mean over prompts with at least two images"""
    diversity_interval: Interval | None
    """95 %, from the jackknife of each prompt"""
    states: dict[str, int]
    """state → images most probable under it"""
    images_per_kept: float | None
    seconds_per_kept: float | None
    """painting and judging, on the machine of the run"""


@dataclass(frozen=True)
class SweepSummary:
    """Everything the table and the report show."""

    checkpoints: tuple[CheckpointRow, ...]
    pairs: tuple[PairRow, ...]
    guided: tuple[GuidedRow, ...]
    confusion: tuple[ConfusionRow, ...]
    detectors: tuple[DetectorRow, ...]
    agreement: tuple[AgreementRow, ...]


def summarise(run: SweepRun) -> SweepSummary:
    """The summary of what is finished: unfinished cells are left out everywhere."""
    finished = {_key(cell) for cell in run.cells}
    images = [record for record in run.images if _key(record) in finished]
    with_truth = [record for record in images if record["truth"] is not None]
    return SweepSummary(
        checkpoint_rows(run.cells),
        pair_rows(images, run.settings.checkpoints, seed=run.settings.seed),
        guided_rows(images, run.settings.best_of),
        confusion(with_truth),
        detector_rows(with_truth),
        agreement(images),
    )


def checkpoint_rows(cells: Sequence[Record]) -> tuple[CheckpointRow, ...]:
    """One row per checkpoint, in their order."""
    return tuple(_checkpoint_row(name, group) for name, group in _groups(cells, _checkpoint).items())


def pair_rows(images: Sequence[Record], checkpoints: Sequence[str], *, seed: int) -> tuple[PairRow, ...]:
    """Each checkpoint against the one before, and the last against the first fine-tuned one."""
    names = [name for name in checkpoints if any(record["checkpoint"] == name for record in images)]
    pairs = list(pairwise(names))
    if len(names) > 3:
        pairs.append((names[1], names[-1]))
    quantities: dict[str, Callable[[Record], float]] = {
        "share outside": lambda record: float(not record["inside"]),
        "margin": lambda record: record["margin_nats"],
    }
    rows = []
    for first, second in pairs:
        for quantity, value in quantities.items():
            ours, theirs = (_by_seed(images, name, value) for name in (second, first))
            seeds = sorted(ours.keys() & theirs.keys())
            difference = paired_difference(
                [ours[key] for key in seeds],
                [theirs[key] for key in seeds],
                rng=np.random.default_rng(seed),
            )
            if difference is not None:
                rows.append(PairRow(first, second, quantity, difference))
    return tuple(rows)


def guided_rows(images: Sequence[Record], best_of: int) -> tuple[GuidedRow, ...]:
    """Plain, kept and best-of-n sampling per checkpoint, from the same seeds: chosen among what was painted."""
    rows = []
    for checkpoint, group in _groups(images, _checkpoint).items():
        by_prompt = list(_groups(group, lambda record: record["prompt"]).values())
        ways: dict[str, Callable[[Sequence[float]], Sequence[int]]] = {
            "plain": lambda margins: range(len(margins)),
            "kept": keep_inside,
            f"best of {best_of}": lambda margins: best_of_each(margins, best_of),
        }
        for way, choose in ways.items():
            # an incomplete last group of n was painted too: it is part of the price
            chosen = [
                [records[place] for place in choose([record["margin_nats"] for record in records])]
                for records in by_prompt
            ]
            rows.append(_guided_row(checkpoint, way, group, chosen))
    return tuple(rows)


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
    """One line per finished cell: the columns of the paper's code first, what it did not measure after them."""
    thresholds = run.header["thresholds"]
    percentile = round(100 * (1 - run.settings.hdr_mass), 6)
    written = StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(
        [
            "global_step", "prompt", "K", "hdr_percentile", *(f"log_thr_{state}" for state in thresholds),
            *(f"logp_mean_{state}" for state in thresholds), "inside_hcdr", "decision",
            "checkpoint", "n_outside", "hallucination_rate", "rate_low", "rate_high", "inside_k_matched",
            "margin_nats", "diversity", "x0_variance", "training_loss",
        ]
    )  # fmt: skip
    for cell in run.cells:
        mean = cell["mean"]
        inside = mean["paper"]["inside"]
        variance = cell["x0_variance"]
        row = [
            cell["global_step"], cell["prompt"], cell["n"], percentile, *thresholds.values(),
            *(mean["log_density"][state] for state in thresholds), inside,
            "non-hallucination" if inside else "hallucination",
            cell["checkpoint"], cell["n_outside"], cell["hallucination_rate"], cell["interval"]["low"],
            cell["interval"]["high"], mean["k_matched"]["inside"], cell["margin_nats"]["mean"],
            cell["diversity"]["value"], variance["mean"] if variance else None, cell["training_loss"],
        ]  # fmt: skip
        writer.writerow(["" if value is None else value for value in row])
    return written.getvalue()


def _checkpoint_row(name: str, cells: Sequence[Record]) -> CheckpointRow:
    n, n_outside = (sum(cell[key] for cell in cells) for key in ("n", "n_outside"))
    variances = [cell["x0_variance"]["mean"] for cell in cells if cell["x0_variance"]]
    return CheckpointRow(
        name,
        cells[0]["global_step"],
        cells[0]["training_loss"],
        n,
        n_outside,
        n_outside / n,
        wilson_interval(n_outside, n),
        len(cells),
        sum(not cell["mean"]["paper"]["inside"] for cell in cells),
        sum(not cell["mean"]["k_matched"]["inside"] for cell in cells),
        float(np.mean([cell["margin_nats"]["mean"] for cell in cells])),
        float(np.mean([cell["diversity"]["value"] for cell in cells])),
        float(np.mean(variances)) if variances else None,
    )


def _guided_row(
    checkpoint: str, way: str, painted: Sequence[Record], by_prompt: Sequence[Sequence[Record]]
) -> GuidedRow:
    chosen = [record for records in by_prompt for record in records]
    n, n_outside = len(chosen), sum(not record["inside"] for record in chosen)
    truths = None
    if all(record["truth"] is not None for record in painted):
        truths = {truth: sum(record["truth"] == truth for record in chosen) for truth in TRUTHS}
    diversities = [
        found
        for records in by_prompt
        if len(records) > 1
        and (found := cosine_diversity(np.stack([embedding_of(record) for record in records])))
    ]
    mean, interval = _mean_diversity(diversities)
    seconds = sum(record["seconds"] for record in painted)
    return GuidedRow(
        checkpoint,
        way,
        len(painted),
        n,
        n_outside,
        wilson_interval(n_outside, n) if n else None,
        truths,
        wilson_interval(truths["genuine"], n) if truths and n else None,
        mean,
        interval,
        {
            state: sum(
                max(record["log_density"], key=record["log_density"].get) == state for record in chosen
            )
            for state in painted[0]["log_density"]
        },
        len(painted) / n if n else None,
        seconds / n if n else None,
    )


def _mean_diversity(found: Sequence[Diversity]) -> tuple[float | None, Interval | None]:
    """Mean over prompts; its half width is that of a mean of independent estimates."""
    if not found:
        return None, None
    mean = float(np.mean([one.value for one in found]))
    if any(one.interval is None for one in found):
        return mean, None
    half_widths = [one.interval.high - one.value for one in found if one.interval is not None]
    half = float(np.sqrt(np.square(half_widths).sum()) / len(found))
    return mean, Interval(max(0.0, mean - half), mean + half)


def _by_seed(images: Sequence[Record], checkpoint: str, value: Callable[[Record], float]) -> dict[int, float]:
    """Seed → mean over the prompts of a checkpoint; the prompts of a seed share its noise."""
    found = _groups([record for record in images if record["checkpoint"] == checkpoint], lambda r: r["seed"])
    return {seed: float(np.mean([value(record) for record in records])) for seed, records in found.items()}


def _groups(records: Sequence[Record], key: Callable[[Record], Any]) -> dict[Any, list[Record]]:
    groups: dict[Any, list[Record]] = {}
    for record in records:
        groups.setdefault(key(record), []).append(record)
    return groups


def _checkpoint(record: Record) -> str:
    return record["checkpoint"]


def _key(record: Record) -> tuple[str, str]:
    return record["checkpoint"], record["prompt"]


def guided_json(rows: Sequence[GuidedRow]) -> list[dict[str, Any]]:
    """The rows as the command line prints them."""
    return [asdict(row) for row in rows]
