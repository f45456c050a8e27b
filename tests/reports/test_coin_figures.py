import numpy as np
import pytest

from hallulab.errors import RefusedInputError
from hallulab.experiments.coin_summary import summary_table
from hallulab.reports.coin_figures import comparison_figure, pmf_figure, training_figure
from hallulab.reports.figures import INSIDE, OUTSIDE
from hallulab.scoring.coin_rule import CoinRule
from hallulab.scoring.coins import coin_pmf, judge_estimators
from tests.hand_made_coins import finished, point, run

LABELS = [0, 3]  # p = 1/4 and 1: pmf 0, 3/4, 1/4


def trace(figure, name):
    (found,) = [t for t in figure.data if t.name == name and t.showlegend is not False]
    return found


def traces(figure, start):
    return [t for t in figure.data if t.name.startswith(start)]


def labels(figure):
    return [annotation.text.split("</span> ")[-1] for annotation in figure.layout.annotations]


def pmf_of(delta, **options):
    return pmf_figure(coin_pmf(LABELS, 2), judge_estimators(LABELS, 2, CoinRule(delta=delta)), **options)


def test_bars_are_coloured_by_the_side_of_delta_they_are_on():
    figure = pmf_of(0.3)
    inside, outside = (
        trace(figure, "answering this is plausible"),
        trace(figure, "answering this is a hallucination"),
    )
    assert (list(inside.x), inside.marker.color) == ([1], INSIDE)
    assert (list(outside.x), outside.marker.color) == ([0, 2], OUTSIDE)
    assert list(outside.y) == [0, 0.25]
    assert "δ = 0.300" in labels(figure)
    assert list(trace(pmf_of(0.2), "answering this is plausible").x) == [1, 2]


def test_estimates_stand_where_they_answer():
    figure = pmf_of(0.3)
    answers = {name: trace(figure, name).x[0] for name in
               ("average", "rounded average", "average, rounded up", "most likely count")}  # fmt: skip
    assert list(answers.values()) == [1.25, 1, 2, 1]


def test_flips_are_drawn_as_shares():
    assert list(trace(pmf_of(0.3, flipped=[0, 3, 1]), "4 flips").y) == [0, 0.75, 0.25]
    assert not [t for t in pmf_of(0.3, flipped=[0, 0, 0]).data if "flips" in t.name]


def test_networks_have_their_own_lines_and_one_tag():
    figure = pmf_of(0.3, network_answers=[1.5, 1.62])
    lines = traces(figure, "2 networks")
    assert [list(line.x) for line in lines] == [[1.5, 1.5], [1.62, 1.62]]
    assert [line.showlegend for line in lines] == [True, False]
    assert lines[0].line.dash != trace(pmf_of(0.3), "average").line.dash
    assert "<b>2 networks 1.50 to 1.62</b>" in labels(figure)
    assert "<b>network 1.50</b>" in labels(pmf_of(0.3, network_answers=[1.5]))


def test_a_network_answer_far_off_is_drawn_at_the_edge_with_its_value_on_hover():
    figure = pmf_of(0.3, network_answers=[40.0])
    line = trace(figure, "network")
    assert list(line.x) == [2.5, 2.5]
    assert line.x[0] < figure.layout.xaxis.range[1]
    assert "40 heads" in line.hovertemplate


@pytest.mark.parametrize("answers", [[], [float("nan")]])
def test_no_network_answer_no_line(answers):
    assert not traces(pmf_of(0.3, network_answers=answers), "network")


def test_the_mean_over_rounds_has_a_band_and_its_rounds_behind_it():
    figure = training_figure([finished(3)])
    # rounds answer right with 0.60, 0.58 and 0.56: mean 0.58, standard error 0.02 / √3; t with two degrees is 4.303
    mean = trace(figure, "P(answer is right)")
    np.testing.assert_allclose(mean.y, 0.58)
    (band,) = traces(figure, "P(answer is right), 95 %")
    assert (band.y.max() - band.y.min()) / 2 == pytest.approx(4.303 * 0.02 / 3**0.5, rel=1e-3)
    rounds = [t.y[0] for t in traces(figure, "P(answer is right), seed")]
    assert rounds == pytest.approx([0.6, 0.58, 0.56])


def test_one_round_has_no_band_and_nothing_behind_it():
    names = {t.name for t in training_figure([finished(1)]).data}
    assert names == {
        "training", "expected, exactly", "P(answer is right)", "hallucination rate", "unrounded: cannot happen",
    }  # fmt: skip


def test_the_mean_ends_where_the_slowest_round_is():
    figure = training_figure([run([point(0, 0), point(0, 1), point(0, 2), point(1, 0), point(1, 1)])])
    assert list(trace(figure, "expected, exactly").x) == [0, 1]
    assert [list(t.x) for t in traces(figure, "expected, exactly, seed")] == [[0, 1, 2], [0, 1]]


def test_a_run_without_points_shows_the_exact_values_alone():
    figure = training_figure([run()])
    assert not [t for t in figure.data if len(t.x)]
    assert labels(figure) == [
        "least possible 0.312", "best possible 0.604 · exact rounded average 0.604",
        "exact hallucination rate 0.000",
    ]  # fmt: skip
    assert len(figure.layout.shapes) == 4


def test_paper_code_shows_both_laws():
    figure = training_figure([finished(2, variant="paper_code")])
    np.testing.assert_allclose(trace(figure, "by the public code's law").y, 0.2)
    np.testing.assert_allclose(trace(figure, "P(answer is right)").y, 0.59)
    values = [shape.y0 for shape in figure.layout.shapes][1:]
    assert values == pytest.approx([0.6042, 0.4635, 0.1979, 0.25], abs=5e-5)
    assert "exact, by the public code's law 0.198" in labels(figure)


def test_a_missing_measurement_is_a_gap_in_the_curve_and_in_the_band():
    points = [point(seed, epoch, hallucination_rate=None if epoch == 1 else 0.1 * seed)
              for seed in (0, 1, 2) for epoch in range(4)]  # fmt: skip
    figure = training_figure([run(points)])
    assert np.isnan(trace(figure, "hallucination rate").y[1])
    bands = [sorted(set(t.x)) for t in traces(figure, "hallucination rate, 95 %")]
    assert bands == [[0], [2, 3]]


def test_every_run_has_its_column_and_one_entry_in_the_legend():
    figure = training_figure([finished(2), finished(2, coins_per_draw=3)])
    assert {"N = 2", "N = 3"} <= set(labels(figure))
    assert len([t for t in figure.data if t.name == "training" and t.showlegend]) == 1
    assert "least possible 0.486" in labels(figure)


def test_objectives_are_compared_in_hallucination_and_accuracy():
    rows = summary_table([finished(3), finished(3, objective="cross_entropy")])
    figure = comparison_figure(rows)
    networks = [t for t in figure.data if t.name == "network"]
    assert [panel.text.split(" (")[0] for panel in figure.layout.annotations] == [
        "hallucination rate", "P(answer is right)", "squared error",
    ]  # fmt: skip
    assert list(networks[1].x) == pytest.approx([0.58] * 4)
    assert networks[1].error_x.array[0] == pytest.approx(4.303 * 0.02 / 3**0.5, rel=1e-3)
    ways = ["squared error", "cross-entropy: mode", "cross-entropy: mean", "cross-entropy: sample"]
    assert list(figure.layout.yaxis.ticktext) == ways
    exact = next(t for t in figure.data if t.name == "exact")
    assert list(exact.x)[:2] == [rows[0].hallucination_rate.exact, rows[1].hallucination_rate.exact]
    assert exact.marker.symbol == "circle-open"


def test_rates_of_different_n_are_not_compared():
    with pytest.raises(RefusedInputError, match=r"expected ways to answer for one N, got N = \[2, 3\]"):
        comparison_figure(summary_table([finished(2), finished(2, coins_per_draw=3)]))
    with pytest.raises(RefusedInputError, match="one N"):
        comparison_figure([])
