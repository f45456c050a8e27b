import numpy as np
import pytest
import torch

from hallulab.data.coins import all_draws
from hallulab.experiments.coin_objectives import OBJECTIVES
from hallulab.experiments.coin_points import judged_points
from hallulab.experiments.coin_settings import CoinSettings
from hallulab.scoring.coin_rule import CoinRule
from hallulab.scoring.coins import coin_pmf
from tests.hand_made_coins import moment, near_means


def judged(settings, *moments, measured_by=None):
    return judged_points(settings, moments, measured_by=measured_by or settings.rule)


def by_hand(settings, outputs, answer):
    """Slow twin: one draw and one count at a time."""
    n = settings.coins_per_draw
    loss = right = shifted = outside = squares = impossible = 0.0
    for labels, output in zip(all_draws(n), outputs, strict=True):
        pmf, low = coin_pmf(labels, n), coin_pmf(labels, n, law="shifted")
        losses = OBJECTIVES[settings.objective].losses(torch.tensor(np.array([output])).double(), n)[0]
        loss += sum(float(pmf[k] * losses[k]) for k in range(n + 1) if pmf[k])
        predicted = np.exp(output - output.max()) / np.exp(output - output.max()).sum()
        if answer == "sample":
            said = dict(enumerate(predicted))
        elif answer == "mode":
            said = {int(predicted.argmax()): 1.0}
        else:
            raw = predicted @ np.arange(n + 1) if answer == "mean" else output[0]
            said = {int(np.rint(raw) if settings.variant == "fixed" else np.ceil(raw)): 1.0}
            impossible += not (float(raw).is_integer() and 0 <= raw <= n and pmf[int(raw)])
        if answer in ("sample", "mode"):
            impossible += sum(share for count, share in said.items() if pmf[count] == 0)
        for count, share in said.items():
            probability = pmf[count] if 0 <= count <= n else 0.0
            right += share * probability
            shifted += share * (low[count] if 0 <= count <= n else 0.0)
            outside += share * (probability <= settings.delta)
            squares += share * sum(pmf[k] * (count - k) ** 2 for k in range(n + 1))
    n_draws = len(all_draws(n))
    return [value / n_draws for value in (loss, right, shifted, outside, squares, impossible)]


@pytest.mark.parametrize("variant", ["fixed", "paper_code"])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_number_is_the_sum_over_all_draws_and_counts(variant, objective):
    settings = CoinSettings(coins_per_draw=3, variant=variant, objective=objective, delta=0.37)
    n_outputs, answers = OBJECTIVES[objective].n_outputs(3), OBJECTIVES[objective].answers
    rng = np.random.default_rng(0)
    tables = [rng.normal(1.4, 0.9, size=(20, n_outputs)).astype(np.float32) for _ in range(2)]
    points = judged(settings, *(moment(0, epoch, table, answers) for epoch, table in enumerate(tables)))
    assert [(point.epoch, point.answer) for point in points] == [(e, a) for e in (0, 1) for a in answers]
    for point in points:
        loss, right, shifted, outside, squares, impossible = by_hand(
            settings, tables[point.epoch], point.answer
        )
        assert point.expected_loss == pytest.approx(loss)
        assert point.conditional_probability_data_law == pytest.approx(right)
        assert point.conditional_probability == pytest.approx(right if variant == "fixed" else shifted)
        assert point.hallucination_rate == pytest.approx(outside)
        assert point.squared_error == pytest.approx(squares)
        assert point.impossible_share == pytest.approx(impossible)
        assert (point.n_draws, point.hallucination_interval) == (20, None)


def test_the_output_before_rounding_is_what_the_definition_judges():
    # N = 2: the averages of the six draws are 0.75, 1, 1.25, 1.25, 1.5 and 1.75; only 1 can come up
    settings = CoinSettings()
    exact, nearly = (judged(settings, moment(0, 1, near_means(2, off)))[0] for off in (0, 0.01))
    assert exact.impossible_share == pytest.approx(5 / 6)
    assert nearly.impossible_share == 1
    assert exact.far_share == nearly.far_share == pytest.approx(5 / 6)
    assert exact.hallucination_rate == nearly.hallucination_rate == 0  # rounding repairs all of it at δ = 0.3


def test_any_line_judges_the_same_outputs():
    moments = [moment(0, 1, near_means(3, off=1e-4))]
    rates = {
        delta: judged(CoinSettings(coins_per_draw=3, delta=delta), *moments)[0].hallucination_rate
        for delta in (0.3, 0.4, 0.9)
    }
    # halves are rounded up here: {1,2,6}, {2,3,4} and {4,5,6} have the average 1.5 or 2.5
    assert rates == {0.3: 0, 0.4: pytest.approx(0.1), 0.9: 1}
    by_mass = judged(CoinSettings(coins_per_draw=3, delta=None, hdr_mass=0.3), *moments)[0]
    assert 0 < by_mass.hallucination_rate < 1


def test_the_held_out_rate_is_of_the_line_that_was_there_when_these_flips_were_scored():
    settings, moments = CoinSettings(delta=0.4), [moment(0, 1, near_means(2))]
    same, other = (judged(settings, *moments, measured_by=CoinRule(delta=delta))[0] for delta in (0.4, 0.3))
    assert (same.held_out_hallucination_rate, other.held_out_hallucination_rate) == (0.1, None)
    assert same.held_out_hallucination_interval == pytest.approx(
        (0.0179, 0.4042), abs=5e-5
    )  # Wilson, 1 of 10
    assert other.held_out_hallucination_interval is None
    assert other.held_out_conditional_probability == 0.2


def test_outputs_that_are_no_numbers_are_left_out_and_counted():
    outputs = near_means(2)
    outputs[:2] = np.nan, np.inf
    (point,) = judged(CoinSettings(), moment(0, 1, outputs))
    # the first draw is missing; the second says inf heads, which cannot come up and costs without end
    assert (point.n_draws, point.n_draws_missing) == (5, 1)
    assert point.hallucination_rate == pytest.approx(1 / 5)
    assert point.squared_error is None
    assert point.expected_loss is None
    (broken,) = judged(CoinSettings(), moment(0, 1, np.full(6, np.nan)))
    assert (broken.conditional_probability, broken.hallucination_rate) == (None, None)


def test_a_sample_of_draws_has_intervals():
    settings = CoinSettings(coins_per_draw=20, delta=0.21)
    (point,) = judged(settings, moment(0, 1, np.full(4_096, 10.5)))
    low, high = point.hallucination_interval
    assert 0 < low < point.hallucination_rate < high < 1
    low, high = point.conditional_probability_interval
    assert low < point.conditional_probability_data_law < high


def test_many_moments_are_judged_in_parts_that_do_not_show(monkeypatch):
    settings = CoinSettings(coins_per_draw=3)
    moments = [moment(0, epoch, near_means(3, off=0.1 * epoch)) for epoch in range(5)]
    whole = judged(settings, *moments)
    monkeypatch.setattr("hallulab.experiments.coin_points.VALUES_AT_ONCE", 1)
    assert judged(settings, *moments) == whole
