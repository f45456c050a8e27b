"""Post-training over rounds: every policy at every target, with intervals over worlds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hallulab.experiments.post_training import BASE, PolicyPoint, PostTrainingResult
from hallulab.theory.intervals import Interval, mean_interval

SHARES = ("idk", "wrong", "right", "accuracy")
MEASURES = (*SHARES, "points", "delta", "rule_points")


@dataclass(frozen=True)
class OverWorlds:
    """A mean over worlds with Student's 95 % interval."""

    mean: float | None
    """None where no world has a value"""
    interval: Interval | None
    """None with fewer than two worlds"""
    n: int
    """worlds with a value"""


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
    def keeps_its_word(self) -> bool | None:
        """Whether what it answers is right at least as often as t, on average over worlds; None if it never answers."""
        return None if self.accuracy.mean is None else self.accuracy.mean >= self.target


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


def row_of(rows: Sequence[PolicyRow], policy: str, target: float) -> PolicyRow | None:
    """One row of the table, if it is there."""
    return next((row for row in rows if (row.policy, row.target) == (policy, target)), None)


def over_worlds(values: Sequence[float | None], *, is_share: bool = False) -> OverWorlds:
    """Mean and interval of what is there; the interval of a share is cut to 0 … 1."""
    known = [value for value in values if value is not None]
    if not known:
        return OverWorlds(None, None, 0)
    interval = mean_interval(known)
    if interval and is_share:
        interval = Interval(max(0.0, interval.low), min(1.0, interval.high))
    return OverWorlds(float(np.mean(known)), interval, len(known))


def _row(result: PostTrainingResult, policy: str, target: float, points: Sequence[PolicyPoint]) -> PolicyRow:
    base = {point.seed: point for point in result.finished(BASE, target)}
    paired = [(point, base[point.seed]) for point in points if point.seed in base]
    measured = {
        name: over_worlds([getattr(point, name) for point in points], is_share=name in SHARES)
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
