import numpy as np
import pytest

from hallulab.reports.charts import chart_svg
from hallulab.reports.grading_figures import (
    audit_chart,
    audit_figure,
    expected_points_figure,
    observation_1_chart,
    risk_coverage_figure,
    score_chart,
    score_curve_figure,
    scores_chart,
    target_name,
)
from hallulab.scoring.answer_file import EXAMPLE_ANSWERS, GivenAnswer, read_answers
from hallulab.scoring.graded_answers import grade_all
from hallulab.scoring.grading import LABELLED_TARGETS, regrade, score_curve
from hallulab.scoring.grading_audit import audit_by_confidence


@pytest.fixture(scope="module")
def graded():
    return grade_all(read_answers(EXAMPLE_ANSWERS).answers)


@pytest.fixture(scope="module")
def without_confidence():
    return grade_all([GivenAnswer("1", "Where?", "Paris", ("Paris",), ("Rome",))])


def trace(figure, name):
    return next(one for one in figure.data if one.name == name)


def test_risk_and_coverage_carry_the_named_targets_and_the_chosen_one(graded):
    figure = risk_coverage_figure(graded, target=0.75)
    assert {note.text for note in figure.layout.annotations} == {f"{t:g}" for t in LABELLED_TARGETS}
    found = regrade(graded, 0.75).by_confidence
    chosen = trace(figure, "chosen: t = 0.75")
    assert chosen.x[0] == pytest.approx(found.answered.value)
    assert chosen.y[0] == pytest.approx(1 - found.accuracy.value)
    named = trace(figure, "t = 0.75, assistive")
    assert (named.x[0], named.y[0]) == (pytest.approx(chosen.x[0]), pytest.approx(chosen.y[0]))


def test_the_curve_is_the_regraded_score_at_its_targets(graded):
    figure = score_curve_figure(graded, target=0.9)
    line = trace(figure, "as given")
    place = int(np.argmin(abs(np.array(line.x) - 0.9)))
    assert line.y[place] == pytest.approx(regrade(graded, 0.9).as_given.score.mean)
    assert trace(figure, "above t, 95 %").error_y.array is not None


def test_answers_without_confidence_leave_out_what_needs_it(without_confidence):
    assert not risk_coverage_figure(without_confidence).data
    curve = score_curve(without_confidence)
    assert curve is not None
    assert "answers above t alone" not in [series.name for series in score_chart(curve).series]


def test_expected_points_cross_zero_at_the_target():
    line = trace(expected_points_figure(), "t = 0.75, assistive")
    crossing = np.interp(0, np.array(line.y), np.array(line.x))
    assert crossing == pytest.approx(0.75, abs=1e-6)
    assert target_name(0) == "t = 0, binary"
    assert target_name(0.3) == "t = 0.3"


def test_the_audit_is_drawn_live_and_as_a_file(graded):
    points = audit_by_confidence(graded)
    assert list(trace(audit_figure(points), "right of the answered").y) == [p.accuracy.value for p in points]
    assert chart_svg(audit_chart(points)).startswith(b"<?xml")


def test_several_who_answered_are_drawn_each_by_themselves(graded):
    curve = score_curve(graded)
    chart = scores_chart({"a": curve, "b": curve}, target=0.75)
    assert [series.name for series in chart.series] == [
        "a",
        "a, 95 %",
        "b",
        "b, 95 %",
        "always “I do not know”",
    ]
    assert list(chart.series[0].y) == curve.as_given.tolist()
    assert chart_svg(chart).startswith(b"<?xml")


def test_observation_1_is_drawn_from_what_was_enumerated():
    chart = observation_1_chart()
    by_name = {series.name: series for series in chart.series}
    assert list(by_name["binary grading"].y) == [0.0]
    assert "under 0 of 31,053 beliefs" in chart.caption
    two = by_name["2 possible answers"]
    assert two.y == pytest.approx([max(0.0, 2 * t - 1) ** 2 for t in two.x], abs=0.015)
    assert list(two.y) == sorted(two.y)
