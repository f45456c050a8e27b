"""Post-training over rounds: every policy at every target, its behaviour and its calibration, with intervals."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from scipy import stats

from hallulab.experiments.over_worlds import ANYWHERE, POSITIVE, SHARE, OverWorlds, over_worlds
from hallulab.experiments.post_training_run import BASE, CalibrationPoint, PolicyPoint, PostTrainingResult
from hallulab.theory.calibration import N_BINS
from hallulab.theory.multiple_tests import holm

SHARES = ("idk", "wrong", "right", "accuracy")
MEASURES = (*SHARES, "points", "delta", "rule_points")
CALIBRATION_MEASURES = ("accuracy", "confidence", "ece", "mce", "brier", "log_loss")
KEPT, BROKEN, UNDECIDED, SILENT = "kept", "broken", "not decided", "never answers"
"""whether a policy's answers are right at least as often as t"""


RESOLUTION = 1e-9
"""changes of the ECE that differ by less differ by rounding alone"""


@dataclass(frozen=True)
class PolicyRow:
    """One finished policy, graded at one target on prompts that it was not trained on."""

    policy: str
    target: float
    is_trained_on: bool
    """whether its grader used this target"""
    points: OverWorlds
    rule_points: OverWorlds
    """of answering iff the base's own confidence exceeds t, without training"""
    idk: OverWorlds
    wrong: OverWorlds
    """the hallucination rate"""
    right: OverWorlds
    accuracy: OverWorlds
    """right of answered"""
    delta: OverWorlds
    wrong_change: OverWorlds
    """wrong, this policy minus the base, paired by world"""
    idk_change: OverWorlds

    @property
    def word(self) -> str:
        """Whether its answers are right at least as often as t, by the interval over worlds: KEPT, BROKEN, …"""
        if self.accuracy.mean is None:
            return SILENT
        if self.accuracy.low is None or self.accuracy.high is None:
            return UNDECIDED
        if self.accuracy.low >= self.target:
            return KEPT
        return BROKEN if self.accuracy.high < self.target else UNDECIDED


@dataclass(frozen=True)
class PolicyCalibration:
    """The calibration of one finished policy's answers, over worlds."""

    policy: str
    target: float
    """stated to the policy that reads it"""
    n_worlds: int
    accuracy: OverWorlds
    """right among the answers that it gives"""
    confidence: OverWorlds
    ece: OverWorlds
    mce: OverWorlds
    brier: OverWorlds
    log_loss: OverWorlds
    """nats"""
    ece_change: OverWorlds
    """this policy minus the base, paired by world"""
    ece_change_p: float | None
    """two-sided paired t-test over worlds, by Holm's correction over all policies and targets of the table"""
    bins: tuple["CalibrationBin", ...]


@dataclass(frozen=True)
class CalibrationBin:
    """One bin of a reliability diagram, over worlds."""

    share: OverWorlds
    """of the answers"""
    confidence: OverWorlds
    accuracy: OverWorlds
    """n: worlds in which the bin holds more than a trace"""


def policy_table(result: PostTrainingResult) -> tuple[PolicyRow, ...]:
    """Every finished policy at every target that was measured, the base first."""
    settings = result.settings
    targets = sorted({0.0, *settings.targets, *settings.audited_targets})
    rows = []
    for policy in (BASE, *settings.graders):
        for target in targets:
            points = result.finished(policy, target)
            if points:
                rows.append(_row(result, policy, target, points))
    return tuple(rows)


def policy_calibrations(result: PostTrainingResult) -> tuple[PolicyCalibration, ...]:
    """The calibration of every finished policy, the base first."""
    pairs = dict.fromkeys((point.policy, point.target) for point in result.calibrations)
    order = [BASE, *result.settings.graders]
    base = {point.seed: point for point in result.calibrated(BASE, 0.0)}
    rows = [
        _calibration(result.calibrated(policy, target), base)
        for policy, target in sorted(pairs, key=lambda pair: (order.index(pair[0]), pair[1]))
    ]
    tested = [place for place, row in enumerate(rows) if row.ece_change_p is not None]
    adjusted = holm([rows[place].ece_change_p or 0.0 for place in tested])
    for place, p in zip(tested, adjusted, strict=True):
        rows[place] = replace(rows[place], ece_change_p=float(p))
    return tuple(rows)


def result_json(result: PostTrainingResult) -> dict[str, Any]:
    """Settings, every finished policy at every target, and its calibration."""
    return {
        "settings": asdict(result.settings),
        "n_worlds": result.n_worlds,
        "table": [asdict(row) | {"word": row.word} for row in policy_table(result)],
        "calibration": [asdict(row) for row in policy_calibrations(result)],
    }


def row_of(rows: Sequence[PolicyRow], policy: str, target: float) -> PolicyRow | None:
    """One row of the table, if it is there."""
    return next((row for row in rows if (row.policy, row.target) == (policy, target)), None)


def calibration_of(rows: Sequence[PolicyCalibration], policy: str, target: float) -> PolicyCalibration | None:
    """The calibration of one policy, if it is there."""
    return next((row for row in rows if (row.policy, row.target) == (policy, target)), None)


def _row(result: PostTrainingResult, policy: str, target: float, points: Sequence[PolicyPoint]) -> PolicyRow:
    base = {point.seed: point for point in result.finished(BASE, target)}
    paired = [(point, base[point.seed]) for point in points if point.seed in base]
    measured = {
        name: over_worlds(
            [getattr(point, name) for point in points], within=SHARE if name in SHARES else ANYWHERE
        )
        for name in MEASURES
    }
    return PolicyRow(
        policy=policy,
        target=target,
        is_trained_on=target in result.settings.graders.get(policy, ()),
        wrong_change=over_worlds([own.wrong - before.wrong for own, before in paired]),
        idk_change=over_worlds([own.idk - before.idk for own, before in paired]),
        **measured,
    )


def _calibration(points: Sequence[CalibrationPoint], base: dict[int, CalibrationPoint]) -> PolicyCalibration:
    first = points[0]
    changes = [
        point.ece - before.ece
        for point in points
        if point.policy != BASE
        and (before := base.get(point.seed)) is not None
        and point.ece is not None
        and before.ece is not None
    ]
    return PolicyCalibration(
        policy=first.policy,
        target=first.target,
        n_worlds=len(points),
        ece_change=over_worlds(changes),
        ece_change_p=_paired_p(changes),
        bins=tuple(
            CalibrationBin(
                over_worlds([point.bin_share[k] for point in points], within=SHARE),
                over_worlds([point.bin_confidence[k] for point in points], within=SHARE),
                over_worlds([point.bin_accuracy[k] for point in points], within=SHARE),
            )
            for k in range(N_BINS)
        ),
        **{
            name: over_worlds(
                [getattr(point, name) for point in points],
                within=POSITIVE if name == "log_loss" else SHARE,
            )
            for name in CALIBRATION_MEASURES
        },
    )


def _paired_p(changes: Sequence[float]) -> float | None:
    """Student's test that changes are 0 on average; None with fewer than two, or all alike but rounding."""
    if len(changes) < 2 or np.ptp(changes) < RESOLUTION:
        return None
    _, p_value = np.asarray(stats.ttest_1samp(changes, 0.0))
    return float(p_value)
