"""Rate and loss over training: what is drawn is what was measured."""

import numpy as np
import pytest

from hallulab.reports.training_figure import RatePoint, training_figure
from hallulab.theory.intervals import Interval

POINTS = [RatePoint("base", 0, 1.0, Interval(0.8, 1.0)), RatePoint("step-99", 99, 0.25, Interval(0.1, 0.5))]


def test_rates_stand_over_the_logarithm_of_steps_with_their_intervals():
    rate = training_figure(POINTS, [], marked=1).data[0]
    assert list(rate.x) == pytest.approx([0, 2])
    assert list(rate.y) == [1.0, 0.25]
    assert np.asarray(rate.error_y.array) == pytest.approx([0, 0.25])
    assert np.asarray(rate.error_y.arrayminus) == pytest.approx([0.2, 0.15])


def test_losses_get_a_panel_of_their_own_and_the_checkpoint_looked_at_a_line_in_both():
    figure = training_figure(POINTS, [(9, 0.5), (99, 0.1)], marked=1)
    assert list(figure.data[0].y) == [0.5, 0.1]
    assert [shape.x0 for shape in figure.layout.shapes] == pytest.approx([2, 2])
    assert len(training_figure(POINTS, []).data) == 1
