import json

import pytest

from hallulab.experiments.coin_result import coin_result, with_moments
from hallulab.experiments.coin_settings import CoinSettings
from hallulab.experiments.coin_summary import run_json
from hallulab.records import as_plain
from hallulab.scoring.coin_rule import CoinRule
from tests.hand_made_coins import moment, near_means, point, run

SETTINGS = CoinSettings(coins_per_draw=3, epochs=3, rounds=2)
MOMENTS = [moment(seed, epoch, near_means(3, 1e-4 + seed / 100)) for seed in (1, 0) for epoch in (0, 0.5, 1)]


def test_rounds_are_compared_after_equal_training():
    stopped = run([point(0, 1), point(0, 2), point(0, 2.5), point(1, 1)])
    assert (stopped.last_epoch, stopped.compared_seeds, stopped.reached_epoch) == (1, (0, 1), 1)
    assert [(p.seed, p.epoch) for p in stopped.last_points()] == [(0, 1), (1, 1)]
    untrained = run([point(0, 0), point(0, 0.5)])
    assert (untrained.last_epoch, untrained.last_points(), untrained.last_moments()) == (None, (), ())
    assert run([]).reached_epoch == 0


def test_finished_rounds_are_compared_and_the_others_named():
    points = [point(0, epoch) for epoch in range(5)] + [point(1, 2), point(2, 4)]
    found = run(points, rounds=3)
    assert (found.finished_seeds, found.left_out_seeds, found.last_epoch) == ((0, 2), (1,), 4)


def test_another_line_judges_the_same_moments():
    result = coin_result(SETTINGS, MOMENTS)
    assert [(m.seed, m.epoch) for m in result.moments] == [(s, e) for s in (0, 1) for e in (0, 0.5, 1)]
    judged = result.judged_by(CoinRule(delta=0.4))
    assert judged.moments == result.moments
    assert result.points[0].hallucination_rate == 0
    assert judged.points[0].hallucination_rate == pytest.approx(0.1)
    assert judged.judged_by(SETTINGS.rule) == result
    assert judged.points[0].held_out_hallucination_rate is None


def test_moments_that_are_added_are_judged_alike():
    begun = with_moments(coin_result(SETTINGS, MOMENTS[:2]), MOMENTS[2:4])
    assert with_moments(begun, MOMENTS[4:]) == coin_result(SETTINGS, MOMENTS)
    assert with_moments(begun, []) == begun


def test_json_keeps_the_contract():
    found = json.loads(json.dumps(as_plain(run_json(coin_result(SETTINGS, MOMENTS))), allow_nan=False))
    assert (found["coins_per_draw"], found["flips"], found["variant"]) == (3, 20_000, "fixed")
    assert [(r["seed"], [e["epoch"] for e in r["epochs"]]) for r in found["rounds"]] == [(0, [1]), (1, [1])]
    epoch = found["rounds"][0]["epochs"][0]
    assert {
        "train_loss",
        "conditional_probability",
        "hallucination_rate",
        "n",
        "impossible_share",
    } <= epoch.keys()
    assert found["exact"]["bayes_mean_ceil"]["conditional_probability"] == pytest.approx(0.4535, abs=5e-5)
    assert found["n_rounds_asked"] == found["settings"]["rounds"] == 2
    assert [row["answer"] for row in found["table"]] == ["prediction"]


def test_json_holds_the_other_answers():
    points = [point(7, epoch, answer=a) for epoch in (0, 0.5, 1) for a in ("mode", "mean", "sample")]
    found = run(points, objective="cross_entropy").to_json()
    (only,) = found["rounds"]
    assert (only["seed"], [epoch["epoch"] for epoch in only["epochs"]]) == (7, [1])
    assert only["epochs"][0]["answer"] == "mode"
    assert [epoch["answer"] for epoch in only["other_answers"]["sample"]] == ["sample"]
