"""The tables of an Is-It-Valid report: the reduction, the ratio against 2, calibration; and every number as CSV."""

import csv
from collections.abc import Sequence
from dataclasses import fields
from io import StringIO

from hallulab.experiments.iiv_calibration import VIEWS, CalibrationRow
from hallulab.experiments.iiv_estimates import Estimate
from hallulab.experiments.iiv_reduction import SCALES, IivRow
from hallulab.reports.iiv_figures import SET_TITLES
from hallulab.reports.iiv_sentences import MAIN_SCALE
from hallulab.reports.numbers import MISSING, decimal
from hallulab.reports.page import PageTable


def ratio_table(rows: Sequence[IivRow]) -> PageTable:
    """err / err_iiv of every checkpoint on every question set: the paper's factor is 2."""
    chosen = {(row.checkpoint, row.question_set): row.own_ratio for row in rows if row.scale == MAIN_SCALE}
    sets = list(dict.fromkeys(question_set for _, question_set in chosen))
    return PageTable(
        "Errors when generating, for one when judging",
        ("checkpoint", *(SET_TITLES[name] for name in sets)),
        [
            (
                checkpoint,
                *(
                    with_interval(chosen[checkpoint, name], 2) if (checkpoint, name) in chosen else MISSING
                    for name in sets
                ),
            )
            for checkpoint in dict.fromkeys(checkpoint for checkpoint, _ in chosen)
        ],
        note=(
            "err / err_iiv at each question's own threshold 1/|E|, 95 % bootstrap intervals over questions. The "
            "paper's factor is 2, for a calibrated model with many possible errors."
        ),
    )


def reduction_tables(rows: Sequence[IivRow]) -> list[PageTable]:
    return [
        PageTable(
            f"The reduction: {scale.replace('_', ' ')}",
            (
                "set, checkpoint", "questions", "err", "err_iiv", "own threshold", "best threshold", "err / err_iiv",
                "err / own", "err / best", "δ", "|V|/|E|", "lost", "Theorem 1 ≥", "sharper ≥",
            ),
            [
                (
                    f"{SET_TITLES[row.question_set]}, {row.checkpoint}",
                    f"{row.n_questions} of {row.n_questions + row.n_missing}",
                    *map(with_interval, (row.err, row.err_iiv, row.own_err_iiv, row.best_err_iiv)),
                    *(with_interval(ratio, 2) for ratio in (row.ratio, row.own_ratio, row.best_ratio)),
                    with_interval(row.delta),
                    decimal(row.size_term, 3),
                    decimal(row.lost_mass.value, 3),
                    with_interval(row.bound),
                    with_interval(row.sharp_bound),
                )
                for row in group
            ],
            note=(
                f"{SCALES[scale][0].upper()}{SCALES[scale][1:]}. 95 % bootstrap intervals over questions; that at the "
                "best threshold keeps the threshold. |V|/|E|: max|V|/min|E| of the paper. A dash: nothing was "
                "misjudged, or a resample had nothing misjudged."
                + ("" if scale != "as_is" else " Where most is lost, err is small for that reason alone.")
            ),
        )
        for scale in SCALES
        if (group := [row for row in rows if row.scale == scale])
    ]  # fmt: skip


def calibration_tables(rows: Sequence[CalibrationRow]) -> list[PageTable]:
    titles = {"likeliest": "Calibration of the likeliest answer", "is_it_valid": "Calibration of judging"}
    return [
        PageTable(
            titles[view],
            (
                "set, checkpoint", "questions", "confidence", "valid", "ECE", "MCE", "Brier", "log loss (nats)",
                "compared with", "ECE, change", "p (Holm)", "log loss, change",
            ),
            [
                (
                    f"{SET_TITLES[row.question_set]}, {row.checkpoint}",
                    f"{row.n_questions}",
                    *map(
                        with_interval,
                        (row.confidence, row.accuracy, row.ece, row.mce, row.brier, row.log_loss),
                    ),
                    row.compared_with or MISSING,
                    with_interval(row.ece_change),
                    decimal(row.ece_change_p, 3),
                    with_interval(row.log_loss_change),
                )
                for row in group
            ],
            note=(
                f"{VIEWS[view][0].upper()}{VIEWS[view][1:]}. Ten bins; changes on the same questions, intervals one by "
                f"one, p-values of no change in ECE corrected for all {_n_compared(group)} of this table. ECE and MCE "
                "of small samples are biased upwards, MCE most."
                + (
                    " Where many wordings are valid (known answers), the likeliest is valid more often than it is "
                    "likely without being under-confident."
                    if view == "likeliest"
                    else " Half of what is judged is valid, by construction."
                )
            ),
        )
        for view in VIEWS
        if (group := [row for row in rows if row.view == view])
    ]  # fmt: skip


def _n_compared(rows: Sequence[CalibrationRow]) -> int:
    return sum(row.ece_change_p is not None for row in rows)


def points_csv(rows: Sequence[IivRow]) -> str:
    """Every row of the reduction table; of an estimate, value and interval."""
    names = [field.name for field in fields(IivRow)]
    written = StringIO()
    writer = csv.writer(written, lineterminator="\n")
    header: list[str] = []
    lines = []
    for row in rows:
        line: dict[str, object] = {}
        for name in names:
            value = getattr(row, name)
            if isinstance(value, Estimate):
                line |= {name: value.value, f"{name}_low": value.low, f"{name}_high": value.high}
            else:
                line[name] = value
        header = list(line)
        lines.append(["" if value is None else value for value in line.values()])
    writer.writerow(header or names)
    writer.writerows(lines)
    return written.getvalue()


def with_interval(estimate: Estimate, digits: int = 3) -> str:
    """A number with its interval, where there is one."""
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return decimal(estimate.value, digits)
    low, high = decimal(estimate.low, digits), decimal(estimate.high, digits)
    return f"{decimal(estimate.value, digits)} [{low}, {high}]"
