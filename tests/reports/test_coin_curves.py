import pytest

from hallulab.reports.coin_curves import (
    CANNOT_HAPPEN,
    LABEL_GAP_PX,
    ExactLine,
    Panel,
    loss_panel,
    share_panel,
)
from tests.hand_made_coins import finished, point, run

HEIGHT_PX = 100.0


def labels(*values, curves=()):
    lines = tuple(ExactLine(f"line {index}", value, "#000000") for index, value in enumerate(values))
    return Panel("share", curves, lines, 4, (0.0, 1.0)).labels(HEIGHT_PX)


def above(*values, curves=()):
    return [label.y > value for label, value in zip(labels(*values, curves=curves), values, strict=True)]


def test_a_label_stands_just_above_its_line_where_nothing_is_in_its_way():
    (label,) = labels(0.5)
    assert (label.text, label.y) == ("line 0 0.500", 0.5 + LABEL_GAP_PX / HEIGHT_PX)


def test_two_near_lines_have_their_labels_outside():
    # 8 pixels apart: both labels above would overlap by 7 pixels
    assert above(0.5, 0.42) == [True, False]


def test_lines_that_fall_together_share_a_label():
    assert [label.text for label in labels(0.5, 0.49)] == ["line 0 0.500 · line 1 0.490"]


@pytest.mark.parametrize(("value", "is_above"), [(0.99, False), (0.01, True)])
def test_labels_stay_inside_the_panel(value, is_above):
    assert above(value) == [is_above]


def test_a_label_makes_way_for_a_curve():
    curve = share_panel(finished(2)).curves[0]  # at 0.59: across a label above a line at 0.5
    assert above(0.5, curves=(curve,)) == [False]


def test_crowded_labels_stand_together_at_the_top_where_that_is_free():
    # 7 pixels apart, three labels of 15 pixels cannot all stand beside their lines
    assert [label.y for label in labels(0.42, 0.35, 0.28)] == pytest.approx([0.91, 0.76, 0.61])
    beside = [label.y for label in labels(0.70, 0.63, 0.56)]  # lines where the key would be
    assert max(abs(y - line) for y, line in zip(beside, (0.70, 0.63, 0.56), strict=True)) < 0.1


def test_the_exact_value_belongs_to_the_objective():
    def names(objective):
        return [line.name for line in share_panel(run(objective=objective)).lines]

    assert names("squared_error")[1] == "exact rounded average"
    assert names("absolute_error")[1] == "exact median"
    # cross-entropy answers with the mode, which is the best possible already
    assert names("cross_entropy") == ["best possible", "exact hallucination rate"]


def test_the_loss_of_the_untrained_network_does_not_squash_the_rest():
    points = [point(0, 0, expected_loss=50.0), *(point(0, epoch) for epoch in range(1, 5))]
    assert loss_panel(run(points)).y_range == (0, pytest.approx(1.25 * 0.4))


def test_every_objective_has_its_least_possible_loss():
    (line,) = loss_panel(run()).lines
    assert (line.name, line.value) == ("least possible", 0.3125)
    (line,) = loss_panel(run(objective="cross_entropy")).lines
    assert line.label == "least possible 0.781"  # the mean entropy of the six draws


def test_the_output_before_rounding_is_drawn_where_it_is_no_count():
    def names(objective):
        return [curve.name for curve in share_panel(run(objective=objective)).curves]

    assert names("squared_error")[-1] == names("modal")[-1] == CANNOT_HAPPEN
    assert CANNOT_HAPPEN not in names("cross_entropy")  # which answers with a count


def test_many_rounds_are_not_drawn_one_by_one():
    assert len(share_panel(finished(3)).curves[0].rounds) == 3
    assert share_panel(finished(11)).curves[0].rounds == ()
