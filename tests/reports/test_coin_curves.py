import pytest

from hallulab.reports.coin_curves import ExactLine, Panel, loss_panel, share_panel
from tests.hand_made_coins import finished, point, run

HEIGHT_PX = 100.0


def labels(*values, curves=()):
    lines = tuple(ExactLine(f"line {index}", value, "#000000") for index, value in enumerate(values))
    return Panel("share", curves, lines, 4, (0.0, 1.0)).labels(HEIGHT_PX)


def test_a_label_stands_above_its_line_where_nothing_is_in_its_way():
    assert [(label.text, label.at, label.is_above) for label in labels(0.5)] == [("line 0 0.500", 0.5, True)]


def test_two_near_lines_have_their_labels_outside():
    # 8 pixels apart: both labels above would overlap by 7 pixels
    assert [label.is_above for label in labels(0.5, 0.42)] == [True, False]


def test_lines_that_fall_together_share_a_label():
    assert [label.text for label in labels(0.5, 0.49)] == ["line 0 0.500 · line 1 0.490"]


@pytest.mark.parametrize(("value", "is_above"), [(0.99, False), (0.01, True)])
def test_labels_stay_inside_the_panel(value, is_above):
    assert labels(value)[0].is_above is is_above


def test_a_label_makes_way_for_a_curve():
    curve = share_panel(finished(2)).curves[0]  # at 0.59: across a label above a line at 0.5
    assert [label.is_above for label in labels(0.5, curves=(curve,))] == [False]


def test_the_exact_value_belongs_to_the_objective():
    def names(objective):
        return [line.name for line in share_panel(run(objective=objective)).lines]

    assert names("squared_error")[1] == "exact rounded average"
    assert names("absolute_error")[1] == "exact median"
    # cross-entropy answers with the mode, which is the best possible already
    assert names("cross_entropy") == ["best possible", "exact hallucination rate"]


def test_the_loss_of_the_untrained_network_does_not_squash_the_rest():
    points = [point(0, 0, validation_loss=50.0), *(point(0, epoch) for epoch in range(1, 5))]
    assert loss_panel(run(points)).y_range == (0, pytest.approx(1.25 * 0.5))


def test_many_rounds_are_not_drawn_one_by_one():
    assert len(share_panel(finished(3)).curves[0].rounds) == 3
    assert share_panel(finished(11)).curves[0].rounds == ()
