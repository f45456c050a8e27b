"""Tables of two detectors of hallucinated pictures beside the truth."""

from collections.abc import Sequence

from hallulab.experiments.detector_summary import AgreementRow, ConfusionRow, DetectorRow
from hallulab.reports.numbers import decimal, percent, span
from hallulab.reports.page import PageTable


def detector_tables(
    confusion: Sequence[ConfusionRow], detectors: Sequence[DetectorRow], agreement: Sequence[AgreementRow]
) -> list[PageTable]:
    """Verdict against truth, AUROC and agreement; without the first two where truth is unknown."""
    tables = []
    if confusion:
        tables.append(
            PageTable(
                "Verdict against truth",
                ("images", "truth", "n", "outside", "share", "95 % interval"),
                [
                    (
                        row.group, row.truth, str(row.n), str(row.n_outside), percent(row.outside),
                        span(row.interval, percent),
                    )
                    for row in confusion
                ],
                note=(
                    "Intervals take seeds, or single drawings, as units. A dash: images of one seed alone."
                ),
            )
        )  # fmt: skip
    if detectors:
        tables.append(
            PageTable(
                "How well each detector finds bad images among genuine ones",
                ("images", "detector", "finds", "bad / genuine", "AUROC", "95 % interval"),
                [
                    (
                        row.group, row.detector, row.bad, f"{row.n_bad} / {row.n_genuine}", decimal(row.auroc, 3),
                        span(row.interval, lambda value: decimal(value, 3)),
                    )
                    for row in detectors
                ],
                note="0.5 is guessing. Intervals over seeds drawn again. A dash: one side has no image.",
            )
        )  # fmt: skip
    tables.append(
        PageTable(
            "Whether margin and variance agree",
            ("images", "last steps", "n", "rank correlation", "kappa"),
            [
                (
                    row.group,
                    str(row.window),
                    str(row.n),
                    decimal(row.rank_correlation, 2),
                    decimal(row.kappa, 2),
                )
                for row in agreement
            ],
            note="Kappa when the variance flags as many images as are outside; a dash where all or none are.",
        )
    )
    return tables
