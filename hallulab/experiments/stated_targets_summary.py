"""What stated targets changed, and how binary and uncertainty-aware grading rank the same checkpoints."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hallulab.data.birthday_questions import FREQUENCIES, frequency_label
from hallulab.experiments.stated_targets import CONTROL, PLAIN, StatedTargetsResult
from hallulab.scoring.graded_answers import GradedAnswers, Policy
from hallulab.scoring.grading import GradeSummary, summarise
from hallulab.scoring.grading_audit import AuditPoint, OwnThreshold, audit_as_stated, best_own_thresholds
from hallulab.scoring.grading_rank import QUICK, Standing, models_as_given, rank_ways
from hallulab.theory.bootstrap import PairedDifference, paired_difference
from hallulab.theory.multiple_tests import holm


@dataclass(frozen=True)
class BehaviourRow:
    """One checkpoint under one kind of prompt."""

    checkpoint: str
    prompt: str
    stated_target: float | None
    summary: GradeSummary
    """scored at the stated target; at 0, binary, where none is stated"""
    spoke_change: PairedDifference | None
    """share that is no abstention, this prompt minus the plain one, same questions; None for the plain one"""
    spoke_beyond_control: PairedDifference | None
    """the same, this prompt minus the control: what the target itself changes; None but for stated targets"""
    change_p_holm: float | None = None
    """of `spoke_change`, Holm-adjusted for every checkpoint and prompt in the table"""
    beyond_p_holm: float | None = None
    """of `spoke_beyond_control`, in the same way"""


@dataclass(frozen=True)
class DoseRow:
    """The same sentence with the highest and with the lowest target: does the number itself matter?"""

    checkpoint: str
    lowest: float
    highest: float
    spoke: PairedDifference
    """share that is no abstention, highest minus lowest: below 0 if the model heeds the target"""
    same_text: int
    """questions with the same answer, word for word, at both"""
    n: int
    p_holm: float
    """of no change, Holm-adjusted for all checkpoints"""


@dataclass(frozen=True)
class GradingRow:
    """One checkpoint's plain answers under one grading rule and policy."""

    checkpoint: str
    target: float
    """0: binary grading"""
    policy: Policy
    summary: GradeSummary
    standing: Standing
    """among the checkpoints, under this rule and policy"""
    own_threshold: OwnThreshold | None
    """the confidence above which this checkpoint scores best at this target"""


@dataclass(frozen=True)
class FrequencyRow:
    """One checkpoint's plain answers by how often training mentioned the fact."""

    checkpoint: str
    category: str
    summary: GradeSummary


def behaviour_table(result: StatedTargetsResult) -> tuple[BehaviourRow, ...]:
    """Every checkpoint under every kind of prompt."""
    rows = []
    for checkpoint in result.checkpoints:
        by_prompt = {kind: result.graded(checkpoint, kind.name) for kind in result.settings.prompts}
        plain = next(graded for kind, graded in by_prompt.items() if kind.name == PLAIN)
        control = next(graded for kind, graded in by_prompt.items() if kind.name == CONTROL)
        for kind, graded in by_prompt.items():
            if not graded.answers:
                continue
            rows.append(
                BehaviourRow(
                    checkpoint,
                    kind.name,
                    kind.target,
                    summarise(graded, kind.target or 0.0),
                    None if kind.name == PLAIN else spoke_difference(graded, plain),
                    None if kind.target is None else spoke_difference(graded, control),
                )
            )
    adjusted = holm(
        [found.p_value for row in rows for found in (row.spoke_change, row.spoke_beyond_control) if found]
    )
    left = iter(adjusted.tolist())
    return tuple(
        replace(
            row,
            change_p_holm=next(left) if row.spoke_change else None,
            beyond_p_holm=next(left) if row.spoke_beyond_control else None,
        )
        for row in rows
    )


def dose_table(result: StatedTargetsResult) -> tuple[DoseRow, ...]:
    """Per checkpoint, what changes when the number in the sentence goes from the lowest to the highest target."""
    stated = sorted((kind for kind in result.settings.prompts if kind.target is not None), key=_target_of)
    if len(stated) < 2:
        return ()
    rows = []
    for checkpoint in result.checkpoints:
        low, high = (result.graded(checkpoint, kind.name) for kind in (stated[0], stated[-1]))
        difference = spoke_difference(high, low)
        if difference is None:
            continue
        texts = {one.given.id: one.given.answer for one in low.answers}
        same = sum(texts.get(one.given.id) == one.given.answer for one in high.answers)
        rows.append(
            DoseRow(
                checkpoint, _target_of(stated[0]), _target_of(stated[-1]), difference, same, difference.n, 1.0
            )
        )
    adjusted = holm([row.spoke.p_value for row in rows]).tolist()
    return tuple(replace(row, p_holm=p) for row, p in zip(rows, adjusted, strict=True))


def stated_audit(result: StatedTargetsResult) -> tuple[AuditPoint, ...]:
    """Is what each checkpoint answers when told t right at least as often as t?"""
    told = [
        result.graded(checkpoint, kind.name)
        for checkpoint in result.checkpoints
        for kind in result.settings.prompts
        if kind.target is not None
    ]
    return audit_as_stated(GradedAnswers(tuple(one for graded in told for one in graded.answers)))


def grading_table(
    result: StatedTargetsResult, targets: Sequence[float] | None = None
) -> tuple[GradingRow, ...]:
    """Hallucination rates and points of the plain answers under binary and uncertainty-aware grading, with ranks.

    Args:
        result: the run.
        targets: besides 0, binary; the run's own when None.
    """
    wanted = sorted({0.0, *(result.settings.targets if targets is None else targets)})
    graded = {name: result.graded(name) for name in result.checkpoints}
    everybody = GradedAnswers(tuple(one for own in graded.values() for one in own.answers))
    rows = []
    policies: tuple[Policy, ...] = ("as_given", "by_confidence")
    for target in wanted:
        thresholds = {one.answerer.model: one for one in best_own_thresholds(everybody, target)}
        for policy in policies:
            ways = models_as_given(everybody, policy, target)
            ranking = rank_ways(everybody, ways, target, seed=result.settings.seed, effort=QUICK)
            standing = {one.way.answerer.model: one.at_target for one in ranking.ways if one.way.answerer}
            rows += [
                GradingRow(
                    name, target, policy, summarise(own, target, policy), standing[name], thresholds.get(name)
                )
                for name, own in graded.items()
                if own.answers
            ]
    return tuple(rows)


def frequency_table(result: StatedTargetsResult) -> tuple[FrequencyRow, ...]:
    """Plain answers by category of the question; for birthdays, by how often training mentioned them."""
    categories = {question.id: question.category for question in result.questions}
    rows = []
    for checkpoint in result.checkpoints:
        graded = result.graded(checkpoint)
        for category in sorted(set(categories.values()), key=_category_place):
            own = GradedAnswers(tuple(one for one in graded.answers if categories[one.given.id] == category))
            if own.answers:
                rows.append(FrequencyRow(checkpoint, category, summarise(own, 0.0)))
    return tuple(rows)


def spoke_difference(first: GradedAnswers, second: GradedAnswers) -> PairedDifference | None:
    """How much oftener the first says something other than IDK, on the questions that both were asked.

    An ungradable text counts: it is no abstention.
    """
    ours, theirs = _spoke(first), _spoke(second)
    shared = [key for key in ours if key in theirs]
    return paired_difference(
        [ours[key] for key in shared], [theirs[key] for key in shared], rng=np.random.default_rng(0)
    )


def _category_place(category: str) -> tuple[int, str]:
    """Birthdays by how often they were mentioned; other categories by name."""
    known = [frequency_label(fewest) for fewest, _ in FREQUENCIES]
    return (known.index(category) if category in known else len(known), category)


def _spoke(graded: GradedAnswers) -> dict[str, float]:
    return {one.given.id: float(one.grade not in ("abstained", "empty")) for one in graded.answers}


def _target_of(kind: object) -> float:
    target = getattr(kind, "target", None)
    assert target is not None  # the caller chose those that state one
    return float(target)
