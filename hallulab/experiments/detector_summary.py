"""What two detectors of hallucinated pictures say beside the truth: confusion, AUROC, agreement."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from sklearn.metrics import cohen_kappa_score

from hallulab.scoring.attribute_truth import TRUTHS
from hallulab.theory.clustered_auroc import clustered_auroc
from hallulab.theory.clustered_rate import ClusteredRate, clustered_rate
from hallulab.theory.correlation import spearman
from hallulab.theory.intervals import Interval, wilson_interval

Record = dict[str, Any]
BAD = ("blend", "other")
"""truths that a detector should flag; an unclear one counts for neither side"""


@dataclass(frozen=True)
class ConfusionRow:
    """Images of one truth in one group, and how many of them the δ-verdict puts outside."""

    group: str
    """Whose images: a checkpoint, all of them, the drawn ones, or those drawn and passed through the autoencoder."""
    truth: str
    """What they truly are."""
    n: int
    n_outside: int
    """δ-hallucinations among them."""
    outside: float
    """Their share."""
    interval: Interval | None
    """95 % of the share, seeds being the clusters; None with images of one seed alone."""
    n_seeds: int
    """Seeds they were painted from, or drawings."""


@dataclass(frozen=True)
class DetectorRow:
    """How well one detector finds one kind of bad image in one group."""

    group: str
    detector: str
    """The margin, or the variance with its window."""
    bad: str
    """What is to be found among genuine ones: "blend", or "blend or other"."""
    n_bad: int
    n_genuine: int
    auroc: float | None
    """P(a bad image is rated worse than a genuine one); None where one side has no image."""
    interval: Interval | None
    """95 %, over seeds (or pairs of drawings) drawn again."""


@dataclass(frozen=True)
class AgreementRow:
    """Whether margin and variance flag the same images of one group, whatever the truth."""

    group: str
    window: int
    """Last denoising steps of the variance."""
    n: int
    rank_correlation: float | None
    """Spearman's, of the margin with minus the variance: 1 when they order images alike."""
    kappa: float | None
    """Cohen's, when the variance flags as many images as are outside; None when none or all are."""


@dataclass(frozen=True)
class ProbeRow:
    """Drawings that went through the autoencoder: what they were drawn as, what they are now, what the probe reads."""

    drawn_as: str
    """A whole pet ("genuine") or a blend."""
    decoded_as: str
    """The same read from pixels once decoded: the autoencoder repairs some blends."""
    n: int
    read: dict[str, int]
    """Truth by the probe → pictures."""
    right: float
    """Share that the probe reads as what they are."""
    interval: Interval
    """95 % Wilson interval of that share."""


def groups_of(records: Sequence[Record]) -> dict[str, list[Record]]:
    """Group → its records: each checkpoint's painted images, all painted ones, the drawn ones, the decoded ones."""
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        if record["kind"] == "painted":
            groups[record["checkpoint"]].append(record)
    painted = [record for group in groups.values() for record in group]
    if len(groups) > 1:
        groups["all painted"] = painted
    for kind in ("drawn", "decoded"):
        found = [record for record in records if record["kind"] == kind]
        if found:
            groups[kind] = found
    return dict(groups)


def true_kind(record: Record) -> str:
    """What an image is: a drawn one was made so; a decoded one is read from pixels; a painted one by the probe."""
    return record[{"drawn": "drawn_as", "decoded": "decoded_as"}.get(record["kind"], "truth")]


def confusion(records: Sequence[Record]) -> tuple[ConfusionRow, ...]:
    """Verdict against truth, per group and truth that occurs."""
    rows = []
    for group, members in groups_of(records).items():
        for truth in TRUTHS:
            of_truth = [record for record in members if true_kind(record) == truth]
            if not of_truth:
                continue
            found = _clustered(of_truth, lambda record: not record["inside"])
            rows.append(
                ConfusionRow(
                    group, truth, found.n, found.n_success, found.value, found.interval, found.n_clusters
                )
            )
    return tuple(rows)


def probe_rows(records: Sequence[Record]) -> tuple[ProbeRow, ...]:
    """How far the probe can be believed on what a decoder gives, from the decoded drawings."""
    groups: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in records:
        if record["kind"] == "decoded":
            groups[record["drawn_as"], record["decoded_as"]].append(record)
    rows = []
    for (drawn_as, decoded_as), members in sorted(groups.items(), reverse=True):
        read = {truth: sum(record["truth"] == truth for record in members) for truth in TRUTHS}
        n = len(members)
        interval = wilson_interval(read[decoded_as], n)
        rows.append(ProbeRow(drawn_as, decoded_as, n, read, read[decoded_as] / n, interval))
    return tuple(rows)


def detector_rows(records: Sequence[Record], *, seed: int = 0) -> tuple[DetectorRow, ...]:
    """AUROC of the margin and of every window's variance, per group and kind of bad image."""
    rows = []
    for group, members in groups_of(records).items():
        scores: dict[str, Callable[[Record], float | None]] = {
            "margin": lambda record: -record["margin_nats"]
        }
        for window in _windows(members):
            scores[f"variance, last {window} steps"] = lambda record, key=window: record["x0_variance"][key]
        for bad in ((BAD[0],), BAD):
            if bad == BAD and not any(true_kind(record) == "other" for record in members):
                continue
            rows += [
                _detector_row(group, name, score, bad, members, np.random.default_rng(seed))
                for name, score in scores.items()
            ]
    return tuple(rows)


def agreement(records: Sequence[Record]) -> tuple[AgreementRow, ...]:
    """How alike the two detectors order and flag images, per group and window."""
    rows = []
    for group, members in groups_of(records).items():
        for window in _windows(members):
            both = [record for record in members if record["x0_variance"][window] is not None]
            margins = np.array([record["margin_nats"] for record in both])
            variances = np.array([record["x0_variance"][window] for record in both])
            rows.append(
                AgreementRow(
                    group, int(window), len(both), spearman(margins, -variances), _kappa(margins, variances)
                )
            )
    return tuple(rows)


def verdict_agrees(records: Sequence[Record]) -> dict[str, dict[str, Any]]:
    """Group → share of images, clear ones alone, on which verdict and truth agree, with n and interval."""
    found = {}
    for group, members in groups_of(records).items():
        clear = [record for record in members if true_kind(record) != "unclear"]
        rate = (
            _clustered(clear, lambda record: (true_kind(record) == "genuine") == record["inside"])
            if clear
            else None
        )
        found[group] = {
            "n": len(clear),
            "n_unclear": len(members) - len(clear),
            "agreement": rate and rate.value,
            "interval": rate and rate.interval and asdict(rate.interval),
        }
    return found


def summary_json(records: Sequence[Record]) -> dict[str, Any]:
    """Everything of a run, as the command line prints it."""
    return {
        "confusion": [asdict(row) for row in confusion(records)],
        "probe": [asdict(row) for row in probe_rows(records)],
        "verdict_agrees": verdict_agrees(records),
        "table": [asdict(row) for row in detector_rows(records)],
        "agreement": [asdict(row) for row in agreement(records)],
    }


def _clustered(records: Sequence[Record], is_counted: Callable[[Record], bool]) -> ClusteredRate:
    """Share of records that are counted; painted images of one seed are one cluster, every drawing is its own."""
    clusters: dict[tuple[str, int], list[bool]] = defaultdict(list)
    for record in records:
        number = record["seed"] if record["kind"] == "painted" else record["index"]
        clusters[record["kind"], number].append(is_counted(record))
    found = clustered_rate([sum(one) for one in clusters.values()], [len(one) for one in clusters.values()])
    assert found is not None  # there are records
    return found


def _detector_row(
    group: str,
    name: str,
    score: Callable[[Record], float | None],
    bad: tuple[str, ...],
    members: Sequence[Record],
    rng: np.random.Generator,
) -> DetectorRow:
    # images of one seed start from the same noise, and two drawings share theirs: they are drawn again together
    clusters: dict[int, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    for record in members:
        value, truth = score(record), true_kind(record)
        if value is None or truth not in (*bad, "genuine"):
            continue
        cluster = record["seed"] if record["kind"] == "painted" else record["index"] // 2
        clusters[cluster][truth == "genuine"].append(value)
    found = clustered_auroc(
        [bad_values for bad_values, _ in clusters.values()],
        [genuine_values for _, genuine_values in clusters.values()],
        rng=rng,
    )
    n_bad = sum(len(bad_values) for bad_values, _ in clusters.values())
    n_genuine = sum(len(genuine_values) for _, genuine_values in clusters.values())
    return DetectorRow(
        group, name, " or ".join(bad), n_bad, n_genuine, found and found.value, found and found.interval
    )


def _kappa(margins: np.ndarray, variances: np.ndarray) -> float | None:
    outside = margins <= 0
    if outside.all() or not outside.any():
        return None
    flagged = np.zeros(len(outside), dtype=bool)
    flagged[np.argsort(-variances, kind="stable")[: outside.sum()]] = True
    return float(cohen_kappa_score(outside, flagged))


def _windows(records: Sequence[Record]) -> list[str]:
    """Windows of the variance as the records name them, narrowest first."""
    return sorted({window for record in records for window in record["x0_variance"]}, key=int)
