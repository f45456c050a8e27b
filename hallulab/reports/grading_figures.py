"""The figures of grading: points at every target, risk against coverage, the audit."""

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
import plotly.graph_objects as go

from hallulab.reports.charts import Chart, Series, chart_figure
from hallulab.reports.figures import INSIDE, NEUTRAL, OUTSIDE, STATE_COLOURS, styled
from hallulab.scoring.graded_answers import GradedAnswers
from hallulab.scoring.grading import LABELLED_TARGETS, READINGS, ScoreCurve, score_curve
from hallulab.scoring.grading_audit import AuditPoint, LabelledRiskCoverage, labelled_risk_coverage
from hallulab.theory.confidence_targets import expected_points, target_text
from hallulab.theory.observation_1 import N_DRAWS, USUAL_ANSWERS, observation_1, share_of_beliefs

AS_GIVEN, BY_CONFIDENCE = STATE_COLOURS[3], STATE_COLOURS[0]
LOWEST_POINTS = -2.0
"""of a chart of points: penalties have no end"""
OBSERVED_TARGETS = tuple(round(0.025 * n, 3) for n in range(40))
CONFIDENCES = tuple(np.linspace(0, 1, 101).tolist())


def target_name(target: float) -> str:
    """A target as a label: `t = 0.75, assistive`."""
    reading = "binary" if target == 0 else READINGS.get(target, "")
    return f"t = {target_text(target)}" + (f", {reading}" if reading else "")


def score_chart(curve: ScoreCurve, *, target: float | None = None) -> Chart:
    """Points a question at every target, as given and with unsure answers withheld."""
    x = curve.targets.tolist()
    series = [
        Series("as given", x, curve.as_given.tolist(), AS_GIVEN),
        *_whiskers("as given", curve, curve.as_given, curve.as_given_low, curve.as_given_high, AS_GIVEN),
    ]
    if curve.by_confidence is not None:
        series += [
            Series("answers above t alone", x, curve.by_confidence.tolist(), BY_CONFIDENCE),
            *_whiskers(
                "above t",
                curve,
                curve.by_confidence,
                curve.by_confidence_low,
                curve.by_confidence_high,
                BY_CONFIDENCE,
            ),
        ]
    series += [
        Series("the same, no wrong answer", x, [curve.best_possible] * len(x), INSIDE, "dashed"),
        Series("always “I do not know”", x, [0.0] * len(x), NEUTRAL, "dashed"),
    ]
    even = "" if curve.break_even is None else f" As given, they fall below it at t = {curve.break_even:.2f}."
    return Chart(
        title="Points a question as mistakes grow dearer",
        caption=(
            "A right answer earns 1, “I do not know” 0, a wrong one −t/(1−t). Dots: the named targets, "
            f"with 95 % intervals over {curve.n} answers{_left_out(curve)}. Below the grey line, saying nothing scores "
            f"better.{even}"
        ),
        series=series,
        x_title="confidence target t",
        y_title="points a question",
        y_range=(LOWEST_POINTS, 1.05),
        marked_x=target,
        marked_name="" if target is None else target_name(target),
    )


def scores_chart(curves: Mapping[str, ScoreCurve], *, target: float | None = None) -> Chart:
    """Points a question at every target of several who answered, each with all their answers."""
    colours = (*STATE_COLOURS, INSIDE, OUTSIDE)
    return Chart(
        title="Points a question as mistakes grow dearer",
        caption=(
            "Everybody as given: a right answer earns 1, “I do not know” 0, a wrong one −t/(1−t). Dots: the named "
            "targets, with 95 % intervals. Lines are over everybody's own answers; the table of ranks compares pairs. "
            f"{'' if len(curves) <= len(colours) else f'The first {len(colours)} of {len(curves)}.'}"
        ),
        series=[
            *(
                series
                for (name, curve), colour in zip(curves.items(), colours, strict=False)
                for series in (
                    Series(name, curve.targets.tolist(), curve.as_given.tolist(), colour),
                    *_whiskers(name, curve, curve.as_given, curve.as_given_low, curve.as_given_high, colour),
                )
            ),
            Series("always “I do not know”", [0.0, 1.0], [0.0, 0.0], NEUTRAL, "dashed"),
        ],
        x_title="confidence target t",
        y_title="points a question",
        y_range=(LOWEST_POINTS, 1.05),
        marked_x=target,
        marked_name="" if target is None else target_name(target),
    )


def risk_coverage_chart(found: LabelledRiskCoverage) -> Chart:
    """Risk against coverage with the named targets as points."""
    curve, is_given = found.curve, found.curve.n_answered > 0
    labelled = [
        (target, coverage, risk)
        for target, coverage, risk in zip(found.targets, found.coverage, found.risk, strict=True)
        if risk is not None
    ]
    top = max(0.05, float(np.nanmax(curve.risk[is_given]))) if is_given.any() else 0.05
    return Chart(
        title="Answering less, erring less",
        caption=(
            "Each point answers only what is above a confidence. To the left it answers less. The lower the curve, the "
            f"better the confidences tell right from wrong; {found.n} questions, mean risk {curve.area:.3f}."
        ),
        series=[
            Series("every threshold", curve.coverage[is_given].tolist(), curve.risk[is_given].tolist(), BY_CONFIDENCE),
            *(
                Series(target_name(target), [coverage], [risk], colour, "point")
                for (target, coverage, risk), colour in zip(
                    labelled, (NEUTRAL, *STATE_COLOURS[1:], OUTSIDE, INSIDE), strict=False
                )
            ),
        ],
        x_title="coverage: share answered",
        y_title="risk: share of these wrong",
        y_range=(-0.02 * top, 1.1 * top),
    )  # fmt: skip


def audit_chart(points: Sequence[AuditPoint]) -> Chart:
    """Is what is answered at t right at least as often as t?"""
    x = [point.target for point in points]
    accuracy = [point.accuracy for point in points]
    return Chart(
        title="Does it keep its word?",
        caption=(
            "Share right of what is answered at each target, with 95 % intervals that hold together, and the share "
            "answered. Over-confident where the whole interval lies below the dashed line."
        ),
        series=[
            Series("accuracy = t", [0.0, 1.0], [0.0, 1.0], NEUTRAL, "dashed"),
            Series(
                "right of the answered", x, [rate.value for rate in accuracy], BY_CONFIDENCE, "point",
                [rate.interval.low if rate.interval else None for rate in accuracy],
                [rate.interval.high if rate.interval else None for rate in accuracy],
            ),
            Series("answered", x, [point.answered.value for point in points], STATE_COLOURS[1], "dotted"),
        ],
        x_title="confidence target t",
        y_title="share",
        y_range=(0, 1.05),
    )  # fmt: skip


def expected_points_chart(targets: Sequence[float] = (0.0, *READINGS)) -> Chart:
    """Points to be expected of answering, by how likely it is right: above 0 exactly where p > t."""
    colours = (NEUTRAL, *STATE_COLOURS)
    return Chart(
        title="When answering pays",
        caption=(
            "Points to be expected of an answer that is right with probability p. Each line crosses 0, what “I do not "
            "know” earns, at p = t; under binary grading, t = 0, it never lies below."
        ),
        series=[
            Series("“I do not know”", [0.0, 1.0], [0.0, 0.0], NEUTRAL, "dashed"),
            *(
                Series(
                    target_name(target), CONFIDENCES, expected_points(CONFIDENCES, target).tolist(), colour
                )
                for target, colour in zip(targets, colours, strict=False)
            ),
        ],
        x_title="probability p that the answer is right",
        y_title="expected points",
        y_range=(LOWEST_POINTS, 1.05),
    )


@cache
def observation_1_chart() -> Chart:
    """Under how many beliefs over all binary graders abstaining is the best thing to do, by the target."""
    binary = [observation_1(n, (0.0,)) for n in USUAL_ANSWERS]
    n_optimal, n_beliefs = sum(one.n_optimal[0] for one in binary), sum(one.n_beliefs for one in binary)
    return Chart(
        title="When is “I do not know” the best answer?",
        caption=(
            f"All binary graders over {_listed([str(n) for n in USUAL_ANSWERS])} possible answers. Dot: at t = 0, "
            f"binary grading, “I do not know” is best under {n_optimal} of {n_beliefs:,} beliefs about the grader, "
            f"all on a grid (Observation 1). Lines: of {N_DRAWS:,} beliefs drawn evenly, the share under which no "
            "answer is right with more than t, so that “I do not know” is best."
        ),
        series=[
            *(
                Series(
                    f"{n} possible answers",
                    OBSERVED_TARGETS,
                    share_of_beliefs(n, OBSERVED_TARGETS, rng=np.random.default_rng(n)).tolist(),
                    colour,
                )
                for n, colour in zip(
                    USUAL_ANSWERS, (STATE_COLOURS[0], STATE_COLOURS[1], STATE_COLOURS[3]), strict=False
                )
            ),
            Series("binary grading", [0.0], [n_optimal / n_beliefs], OUTSIDE, "point"),
        ],
        x_title="confidence target t",
        y_title="share of the beliefs",
        y_range=(-0.03, 1.02),
    )


def observation_1_figure() -> go.Figure:
    """`observation_1_chart` for a page."""
    return chart_figure(observation_1_chart())


def score_curve_figure(answers: GradedAnswers, *, target: float | None = None) -> go.Figure:
    """`score_chart` for a page; an empty figure where no answer can be graded."""
    curve = score_curve(answers)
    return chart_figure(score_chart(curve, target=target)) if curve else styled(go.Figure(), height_px=200)


def risk_coverage_figure(answers: GradedAnswers, *, target: float | None = None) -> go.Figure:
    """Risk against coverage for a page, the named targets written beside their points.

    Args:
        answers: as `grade_all`.
        target: marked by a ring, besides the named ones.

    An empty figure where no answer has a confidence.
    """
    found = labelled_risk_coverage(answers)
    if found is None:
        return styled(go.Figure(), height_px=200)
    # the points' own labels say what a legend would repeat
    figure = chart_figure(risk_coverage_chart(found)).update_traces(
        showlegend=False, selector={"mode": "markers"}
    )
    for named, coverage, risk in zip(found.targets, found.coverage, found.risk, strict=True):
        if risk is not None:
            figure.add_annotation(x=coverage, y=risk, text=f"{named:g}", showarrow=False, yshift=13)
    chosen = None if target is None else labelled_risk_coverage(answers, (target,))
    if chosen and chosen.risk[0] is not None:
        figure.add_scatter(
            x=[chosen.coverage[0]], y=[chosen.risk[0]], mode="markers", name=f"chosen: t = {target:g}",
            marker={"color": "rgba(0,0,0,0)", "size": 18, "line": {"color": OUTSIDE, "width": 3}},
            hovertemplate="%{x:.3f} answered, %{y:.3f} of these wrong<extra></extra>",
        )  # fmt: skip
    return figure


def expected_points_figure(targets: Sequence[float] = (0.0, *READINGS)) -> go.Figure:
    """`expected_points_chart` for a page."""
    return chart_figure(expected_points_chart(targets))


def audit_figure(points: Sequence[AuditPoint]) -> go.Figure:
    """`audit_chart` for a page."""
    return chart_figure(audit_chart(points))


def _listed(texts: Sequence[str]) -> str:
    return f"{', '.join(texts[:-1])} and {texts[-1]}"


def _left_out(curve: ScoreCurve) -> str:
    return f" ({curve.n_ungradable} ungradable ones left out)" if curve.n_ungradable else ""


def _whiskers(
    name: str,
    curve: ScoreCurve,
    mean: np.ndarray,
    low: np.ndarray | None,
    high: np.ndarray | None,
    colour: str,
) -> list[Series]:
    """Intervals at the named targets, so that they can be told from the lines."""
    if low is None or high is None:
        return []
    places = [int(np.argmin(abs(curve.targets - target))) for target in LABELLED_TARGETS]
    x, y, bottom, top = (values[places].tolist() for values in (curve.targets, mean, low, high))
    return [Series(f"{name}, 95 %", x, y, colour, "point", bottom, top)]
