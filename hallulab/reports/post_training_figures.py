"""The figures of post-training: what a grader teaches, one policy for every target, calibration before and after."""

from collections.abc import Sequence

from hallulab.experiments.over_worlds import OverWorlds, over_worlds
from hallulab.experiments.post_training_run import BASE, BINARY, STATED, PostTrainingResult
from hallulab.experiments.post_training_summary import PolicyCalibration, PolicyRow, calibration_of
from hallulab.reports.charts import Chart, Mark, Series
from hallulab.reports.figures import INSIDE, NEUTRAL, OUTSIDE, STATE_COLOURS
from hallulab.reports.numbers import decimal

IDK, TOLD = STATE_COLOURS[1], STATE_COLOURS[0]


def post_training_chart(result: PostTrainingResult) -> Chart:
    """IDK and hallucinations over the steps, under the binary grader and under one that states targets."""
    highest = max(result.settings.targets, default=0.0)
    series = []
    marks: tuple[tuple[str, float, Mark], ...] = ((BINARY, 0.0, "line"), (STATED, highest, "dashed"))
    for policy, target, mark in marks:
        path = result.path(policy, target)
        for name, attribute, colour in (("IDK", "idk", TOLD), ("hallucinations", "wrong", OUTSIDE)):
            over = [over_worlds([getattr(point, attribute) for point in points]) for points in path.values()]
            title = "binary" if policy == BINARY else f"told t = {target:g}"
            series.append(Series(f"{name}, {title}", list(path), [one.mean for one in over], colour, mark))
    return Chart(
        title="What a grader teaches",
        caption=(
            "Share of prompts, never trained on, that are answered with IDK or with an error; mean over worlds. Step 0 "
            "is the base learner. The dashed policy was trained on all targets at once and is told which one holds."
        ),
        series=series,
        x_title="step of exact gradient ascent",
        y_title="share of the prompts",
        y_range=(-0.02, 1.02),
    )


def stated_policy_chart(rows: Sequence[PolicyRow]) -> Chart:
    """One policy for every target: accuracy and coverage where the target is stated."""
    own = [row for row in rows if row.policy == STATED]
    x = [row.target for row in own]
    base = next((row for row in rows if row.policy == BASE), None)
    return Chart(
        title="One policy, told the target, at every t",
        caption=(
            "On prompts never trained on, mean over worlds with 95 % intervals. Also at targets that it was never "
            "trained on. On or above the dashed line it keeps its word."
        ),
        series=[
            Series("accuracy = t", [0.0, 1.0], [0.0, 1.0], NEUTRAL, "dashed"),
            _over("right of the answered", x, [row.accuracy for row in own], TOLD, "point"),
            _over("hallucinations", x, [row.wrong for row in own], OUTSIDE, "line"),
            _over("IDK", x, [row.idk for row in own], IDK, "line"),
            *(
                [Series("hallucinations of the base", [0.0, 1.0], [base.wrong.mean] * 2, OUTSIDE, "dotted")]
                if base
                else []
            ),
        ],
        x_title="stated target t",
        y_title="share",
        y_range=(-0.02, 1.05),
    )


def policy_reliability_chart(rows: Sequence[PolicyCalibration]) -> Chart:
    """Reliability before training, after binary grading, and of the policy that is told the highest trained target."""
    colours = {BASE: INSIDE, BINARY: OUTSIDE, STATED: TOLD}
    chosen = [row for row in shown_policies(rows) if row.policy in colours]
    series = [Series("calibrated", [0.0, 1.0], [0.0, 1.0], NEUTRAL, "dashed")]
    for row in chosen:
        bins = [one for one in row.bins if one.confidence.mean is not None]
        series.append(
            _over(
                policy_title(row.policy, row.target),
                [one.confidence.mean or 0.0 for one in bins],
                [one.accuracy for one in bins],
                colours[row.policy],
                "point",
            )
        )
    errors = "; ".join(f"{policy_title(row.policy, row.target)} {decimal(row.ece.mean)}" for row in chosen)
    return Chart(
        title="Can its confidence be believed, before and after training?",
        caption=(
            "How likely a policy is to give an answer when it answers, against how often that answer is right; prompts "
            "never trained on, ten bins, means over worlds with 95 % intervals. Below the line: over-confident. "
            f"Expected calibration error: {errors}."
        ),
        series=series,
        x_title="confidence",
        y_title="share that is right",
        y_range=(-0.03, 1.03),
    )


def shown_policies(rows: Sequence[PolicyCalibration]) -> list[PolicyCalibration]:
    """The base, binary grading, each grader with a target of its own, and the told policy at the highest of these."""
    own = [row for row in rows if row.policy not in (BASE, BINARY, STATED)]
    wanted = [(BASE, 0.0), (BINARY, 0.0), *((row.policy, row.target) for row in own)]
    if own:
        wanted.append((STATED, max(row.target for row in own)))
    found = [calibration_of(rows, policy, target) for policy, target in wanted]
    return [row for row in found if row is not None]


def policy_title(policy: str, target: float) -> str:
    """A policy in a few words."""
    if policy == BASE:
        return "before training"
    if policy == BINARY:
        return "binary grading"
    return f"told t = {target:g}" if policy == STATED else f"graded at t = {target:g}"


def _over(name: str, x: Sequence[float], over: Sequence[OverWorlds], colour: str, mark: Mark) -> Series:
    return Series(
        name,
        x,
        [one.mean for one in over],
        colour,
        mark,
        [one.low for one in over],
        [one.high for one in over],
    )
