import numpy as np
import pytest

from hallulab.reports.charts import chart_svg
from hallulab.reports.grading_figures import (
    audit_chart,
    audit_figure,
    expected_points_figure,
    risk_coverage_figure,
    score_chart,
    score_curve_figure,
    target_name,
)
from hallulab.scoring.answer_file import EXAMPLE_ANSWERS, GivenAnswer, read_answers
from hallulab.scoring.grading import LABELLED_TARGETS, audit, grade_all, regrade, score_curve


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
    points = audit(graded)
    assert list(trace(audit_figure(points), "right of the answered").y) == [p.accuracy.value for p in points]
    assert chart_svg(audit_chart(points)).startswith(b"<?xml")
