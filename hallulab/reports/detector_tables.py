"""Tables of two detectors of hallucinated pictures beside the truth."""

from collections.abc import Sequence

from hallulab.experiments.detector_summary import AgreementRow, ConfusionRow, DetectorRow, ProbeRow
from hallulab.reports.numbers import decimal, percent, span
from hallulab.reports.page import PageTable
from hallulab.scoring.attribute_truth import TRUTHS


def confusion_table(rows: Sequence[ConfusionRow]) -> PageTable:
    """Verdict against truth."""
    return PageTable(
        "Verdict against truth",
        ("images", "truth", "n", "outside", "share", "95 % interval"),
        [
            (
                row.group, row.truth, str(row.n), str(row.n_outside), percent(row.outside),
                span(row.interval, percent),
            )
            for row in rows
        ],
        note="Intervals take seeds, or single drawings, as units. A dash: images of one seed alone.",
    )  # fmt: skip


def auroc_table(rows: Sequence[DetectorRow]) -> PageTable:
    """How well each detector finds bad images."""
    return PageTable(
        "How well each detector finds bad images among genuine ones",
        ("images", "detector", "finds", "bad / genuine", "AUROC", "95 % interval"),
        [
            (
                row.group, row.detector, row.bad, f"{row.n_bad} / {row.n_genuine}", decimal(row.auroc),
                span(row.interval, decimal),
            )
            for row in rows
        ],
        note="0.5 is guessing. Intervals over seeds drawn again. A dash: one side has no image.",
    )  # fmt: skip


def agreement_table(rows: Sequence[AgreementRow]) -> PageTable:
    """Whether the two order and flag images alike."""
    return PageTable(
        "Whether margin and variance agree",
        ("images", "last steps", "n", "rank correlation", "kappa"),
        [
            (row.group, str(row.window), str(row.n), decimal(row.rank_correlation, 2), decimal(row.kappa, 2))
            for row in rows
        ],
        note="Kappa when the variance flags as many images as are outside; a dash where all or none are.",
    )


def probe_table(rows: Sequence[ProbeRow]) -> PageTable:
    """What the probe reads of drawings that went through the autoencoder."""
    return PageTable(
        "Drawings through the autoencoder: what they were, what they are, what the probe reads",
        ("drawn as, is now", "n", *(f"read as {truth}" for truth in TRUTHS), "read right", "95 % interval"),
        [
            (
                f"{row.drawn_as}, {row.decoded_as}", str(row.n), *(str(row.read[truth]) for truth in TRUTHS),
                percent(row.right), span(row.interval, percent),
            )
            for row in rows
        ],
        note=(
            "What they are now is read from pixels: each part is nearer to the drawing, or to the same drawing with "
            "that part of the other pet. The autoencoder repairs some blends, and those are read rightly as genuine."
        ),
    )  # fmt: skip
