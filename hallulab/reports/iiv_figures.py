"""The figures of Is-It-Valid: measured ratios against 2, reliability, the rescaled loss."""

from collections.abc import Sequence

from hallulab.experiments.iiv_calibration import CalibrationRow
from hallulab.experiments.iiv_estimates import Estimate
from hallulab.experiments.iiv_reduction import IivRow, RescalingCurve
from hallulab.reports.charts import Chart, Mark, Series
from hallulab.reports.figures import INSIDE, NEUTRAL, OUTSIDE, STATE_COLOURS

SET_TITLES = {
    "truthfulqa": "TruthfulQA",
    "misconceptions": "misconceptions",
    "open_ended": "open-ended",
    "known_answers": "known answers",
    "birthdays": "birthdays",
}
COLOURS = (*STATE_COLOURS, INSIDE, OUTSIDE, NEUTRAL)
FACTOR = 2.0
"""what err is at least, in units of err_iiv, where the other terms of Theorem 1 vanish"""
HIGHEST_RATIO = 16.0


def ratio_chart(rows: Sequence[IivRow], scale: str = "renormalised") -> Chart:
    """err / err_iiv of every checkpoint on every question set, against 2."""
    chosen = [row for row in rows if row.scale == scale]
    names = list(dict.fromkeys(SET_TITLES[row.question_set] for row in chosen))
    checkpoints = list(dict.fromkeys(row.checkpoint for row in chosen))
    series = []
    for checkpoint, colour in zip(checkpoints, _colours(len(checkpoints)), strict=True):
        own = {SET_TITLES[row.question_set]: row.own_ratio for row in chosen if row.checkpoint == checkpoint}
        series.append(_estimates(checkpoint, names, [own.get(name) for name in names], colour, "bar"))
    values = [value for one in series for value in (*(one.high or ()), *one.y) if value is not None]
    series.append(Series("twice", names, [FACTOR] * len(names), OUTSIDE, "dashed"))
    return Chart(
        title="Errors when generating, for one when judging",
        caption=(
            "Error rate when the model generates, divided by its error rate when it only has to judge answers, at each "
            "question's own threshold 1/|E|; 95 % bootstrap intervals over questions. The paper's factor is 2 for a "
            f"calibrated model with many possible errors; below 2, its correction terms are large. Cut off at "
            f"{HIGHEST_RATIO:g}."
        ),
        series=series,
        x_title="",
        y_title="err / err_iiv",
        y_range=(0, min(HIGHEST_RATIO, 1.08 * max([*values, FACTOR]))),
        x_names=names,
    )


def bound_chart(rows: Sequence[IivRow], scale: str = "renormalised") -> Chart:
    """The first checkpoint's error rates above what Theorem 1 says they must be."""
    chosen = {}
    for row in rows:
        if row.scale == scale:
            chosen.setdefault(row.question_set, row)
    first = list(chosen.values())
    names = [SET_TITLES[row.question_set] for row in first]
    return Chart(
        title="The error rate never falls below the bound",
        caption=(
            f"{', '.join(dict.fromkeys(row.checkpoint for row in first))}: error rate among the listed answers with "
            "its 95 % bootstrap interval, and the least Theorem 1 allows, as the paper states it and with nothing "
            "given away. A bound below 0 says nothing and is not drawn; the other checkpoints are in the tables."
        ),
        series=(
            _estimates("errors when generating", names, [row.err for row in first], OUTSIDE, "point"),
            _estimates("errors when judging", names, [row.own_err_iiv for row in first], INSIDE, "point"),
            Series("Theorem 1: at least", names, [_spoken(row.bound) for row in first], STATE_COLOURS[0], "tick"),
            Series("the same, sharper", names, [_spoken(row.sharp_bound) for row in first], STATE_COLOURS[3], "tick"),
        ),
        x_title="",
        y_title="share of answers",
        y_range=(-0.02, 1.02),
        x_names=names,
    )  # fmt: skip


def reliability_chart(rows: Sequence[CalibrationRow]) -> Chart:
    """The reliability diagrams of one question set in one view, a colour for each checkpoint."""
    first = rows[0]
    about = {
        "likeliest": "How sure the model is of its likeliest listed answer, against how often that is valid.",
        "is_it_valid": "How sure the model must be that an answer is valid, against how often it is.",
    }[first.view]
    series = [Series("calibrated", [0.0, 1.0], [0.0, 1.0], NEUTRAL, "dashed")]
    for row, colour in zip(rows, _colours(len(rows)), strict=True):
        bins = [one for one in row.bins if one.confidence is not None]
        series.append(
            Series(
                row.checkpoint,
                [one.confidence or 0.0 for one in bins],
                [one.outcome for one in bins],
                colour,
                "point",
                [one.low for one in bins],
                [one.high for one in bins],
            )
        )
    errors = "; ".join(f"{row.checkpoint} {row.ece.value:.3f}" for row in rows if row.ece.value is not None)
    return Chart(
        title=f"Can its confidence be believed? {SET_TITLES[first.question_set]}",
        caption=(
            f"{about} Dots below the line: over-confident. Ten bins of {first.n_questions} questions, "
            f"95 % intervals. Expected calibration error: {errors}."
        ),
        series=series,
        x_title="confidence",
        y_title="share that is valid",
        y_range=(-0.03, 1.03),
    )


def rescaling_chart(curves: Sequence[RescalingCurve]) -> Chart:
    """L(p̂_s) − L(p̂) on one question set; δ is the slope at s = 1."""
    series = []
    for curve, colour in zip(curves, _colours(len(curves)), strict=True):
        slope = f"{curve.slope:+.3f}".replace("-", "−")
        name = f"{curve.checkpoint}, slope {slope}"
        series.append(Series(name, curve.factors, curve.loss_change, colour))
    values = [value for curve in curves for value in curve.loss_change]
    top, bottom = max([*values, 0.05]), min([*values, -0.05])
    return Chart(
        title=f"What rescaling would do to the loss: {SET_TITLES[curves[0].question_set]}",
        caption=(
            "Every answer above the paper's threshold is made s times as likely, then probabilities are made to sum to "
            "1 again. A calibrated model has its least loss at s = 1; the slope there is δ, with its sign. Sloping up: "
            "too sure of what is above the threshold."
        ),
        series=series,
        x_title="factor s",
        y_title="change of the loss (nats)",
        y_range=(bottom - 0.05 * (top - bottom), top + 0.05 * (top - bottom)),
        marked_x=1.0,
        marked_name="s = 1",
    )


def _estimates(
    name: str, x: Sequence[str], estimates: Sequence[Estimate | None], colour: str, mark: Mark
) -> Series:
    """Values with whiskers; without an interval the whisker has no length."""
    return Series(
        name, x,
        [one.value if one else None for one in estimates],
        colour, mark,
        [(one.value if one.low is None else one.low) if one else None for one in estimates],
        [(one.value if one.high is None else one.high) if one else None for one in estimates],
    )  # fmt: skip


def _spoken(bound: Estimate) -> float | None:
    return bound.value if bound.value is not None and bound.value > 0 else None


def _colours(n: int) -> list[str]:
    return [COLOURS[place % len(COLOURS)] for place in range(n)]
