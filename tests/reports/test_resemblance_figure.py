"""The figure of resemblances: every other question is in a bar, and the answer's own mark stands at its ratio."""

import numpy as np
import pytest

from hallulab.reports.figures import INSIDE, OUTSIDE
from hallulab.reports.resemblance_figure import RatioOnNull, ratios_on_nulls


def test_bars_hold_the_null_and_marks_stand_at_the_ratios():
    rng = np.random.default_rng(0)
    rows = [
        RatioOnNull("wrong", 0.9, rng.uniform(0.2, 0.5, 40), OUTSIDE),
        RatioOnNull("right", 0.3, rng.uniform(0.2, 0.5, 30), INSIDE),
    ]
    figure = ratios_on_nulls(rows)
    bars = [trace for trace in figure.data if trace.type == "bar"]
    marks = [trace for trace in figure.data if trace.type == "scatter"]
    assert [sum(trace.y) for trace in bars] == [40, 30]
    assert [trace.x[0] for trace in marks] == [0.9, 0.3]
    assert [trace.line.color for trace in marks] == [OUTSIDE, INSIDE]
    assert [note.text for note in figure.layout.annotations] == ["wrong", "right"]
    low, high = figure.layout.xaxis.range
    assert low == 0
    assert high >= 0.9
    # a bar stands where its questions are
    for trace, row in zip(bars, rows, strict=True):
        mean = float(np.average(trace.x, weights=trace.y))
        assert mean == pytest.approx(row.null.mean(), abs=0.02)
