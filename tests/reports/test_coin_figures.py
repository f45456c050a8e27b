import pytest

from hallulab.experiments.coins import CoinPoint, CoinSettings, coin_result
from hallulab.reports.coin_figures import loss_figure, pmf_figure, probability_figure
from hallulab.reports.figures import INSIDE, OUTSIDE
from hallulab.scoring.coins import CoinRule, coin_pmf, judge_estimators

LABELS = [0, 3]  # p = 1/4 and 1: pmf 0, 3/4, 1/4


def trace(figure, name):
    (found,) = [t for t in figure.data if t.name == name and t.showlegend is not False]
    return found


def point(seed, epoch, **changed):
    values = {
        "train_loss": 0.4 if epoch else None, "validation_loss": 0.5, "conditional_probability": 0.2,
        "conditional_probability_data_law": 0.6, "hallucination_rate": 0.1,
        "hallucination_interval": (0.05, 0.2), "best_conditional_probability": 0.61, "bayes_mean_loss": 0.3,
        "n": 100, "n_missing": 0,
    }  # fmt: skip
    return CoinPoint(seed=seed, epoch=epoch, **(values | changed))


def result(points=(), **changed):
    return coin_result(CoinSettings(flips=20, epochs=4, **changed), points)


def labels(figure):
    return [annotation.text for annotation in figure.layout.annotations]


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
    assert labels(figure) == ["dashed line: δ = 0.300"]
    assert list(trace(pmf_of(0.2), "answering this is plausible").x) == [1, 2]


def test_estimates_stand_where_they_answer():
    figure = pmf_of(0.3)
    answers = {name: trace(figure, name).x[0] for name in
               ("average", "rounded average", "average, rounded up", "most likely count")}  # fmt: skip
    assert list(answers.values()) == [1.25, 1, 2, 1]


def test_flips_are_drawn_as_shares():
    assert list(trace(pmf_of(0.3, flipped=[0, 3, 1]), "4 flips").y) == [0, 0.75, 0.25]
    assert not [t for t in pmf_of(0.3, flipped=[0, 0, 0]).data if "flips" in t.name]


def test_curves_follow_the_points_and_earlier_rounds_stay_behind():
    figure = loss_figure(result([point(0, 0), point(0, 1), point(1, 0)]))
    held_out = [t for t in figure.data if t.name == "held out"]
    assert [(list(t.x), t.opacity) for t in held_out] == [([0, 1], 0.35), ([0], 1)]
    training = [t for t in figure.data if t.name == "training"]
    assert list(training[0].y) == [0.4]
    assert labels(figure) == ["least possible 0.312"]


def test_reference_lines_with_one_value_share_one_label():
    assert labels(probability_figure(result())) == ["best possible 0.604 · rounded average 0.604"]


def test_near_reference_lines_keep_their_own_values_under_one_label():
    figure = probability_figure(result(coins_per_draw=5, variant="paper_code"))
    assert labels(figure) == [
        "best possible 0.411 · average, rounded up 0.370", "the same, by the public code's law 0.258",
    ]  # fmt: skip
    assert [shape.y0 for shape in figure.layout.shapes] == pytest.approx([0.4114, 0.3704, 0.2584], abs=5e-5)


def test_paper_code_shows_both_laws():
    figure = probability_figure(result([point(0, 0), point(0, 1)], variant="paper_code"))
    assert list(trace(figure, "as the public code scores it").y) == [0.2, 0.2]
    assert list(trace(figure, "P(its answer is right)").y) == [0.6, 0.6]
    assert len(figure.layout.shapes) == 3
    assert labels(figure) == [
        "best possible 0.604", "average, rounded up 0.500", "the same, by the public code's law 0.240",
    ]  # fmt: skip


def test_missing_measurements_are_gaps():
    figure = probability_figure(result([point(0, 1, conditional_probability_data_law=None)]))
    assert list(trace(figure, "P(its answer is right)").y) == [None]


@pytest.mark.parametrize("make", [loss_figure, probability_figure])
def test_a_run_without_points_shows_the_exact_values_alone(make):
    assert len(make(result()).data) == 0
