import json
from dataclasses import asdict

import numpy as np
import pytest
import torch

from hallulab.data.coins import flip_draws, mean_heads
from hallulab.errors import RefusedInputError
from hallulab.experiments import coins
from hallulab.experiments.coins import (
    CoinPoint,
    CoinSettings,
    CoinStep,
    coin_result,
    coin_truth,
    run_coins,
    train_round,
)
from hallulab.records import RecordFile, as_plain
from hallulab.scoring.coins import coin_pmf


def settings(**changed):
    quick = {"flips": 640, "epochs": 2, "batch_size": 64, "learning_rate": 1e-3}
    return CoinSettings(**(quick | changed))


def points_of(events):
    return [event for event in events if isinstance(event, CoinPoint)]


@pytest.fixture(scope="module")
def two_rounds(tmp_path_factory):
    """One small run that several tests read, and the file it was recorded in."""
    records = RecordFile(tmp_path_factory.mktemp("run") / "coins.jsonl")
    chosen = settings(rounds=2)
    return chosen, list(run_coins(chosen, records=records)), records


def test_every_step_and_every_point_of_every_round_streams(two_rounds):
    _, events, _ = two_rounds
    # 512 training flips in batches of 64 are 8 steps an epoch; scored before training and 4 times an epoch
    assert sum(isinstance(event, CoinStep) for event in events) == 2 * 2 * 8
    assert [(p.seed, p.epoch) for p in points_of(events)] == [
        (seed, quarter / 4) for seed in (0, 1) for quarter in range(9)
    ]
    assert isinstance(events[0], CoinPoint)
    assert events[0].train_loss is None


def test_the_same_seed_trains_the_same_and_each_round_has_its_own(two_rounds):
    chosen, events, _ = two_rounds
    first, second = ([e for e in events if e.seed == seed] for seed in (0, 1))
    assert first == list(train_round(chosen, 0))
    assert [e.train_loss for e in first] != [e.train_loss for e in second]
    assert list(train_round(settings(seed=1), 1)) == second


def test_a_round_learns_the_mean():
    points = points_of(train_round(settings(flips=4000, epochs=2), 0))
    assert points[-1].conditional_probability > 0.57 > points[0].conditional_probability
    assert points[-1].hallucination_rate < points[0].hallucination_rate
    # the least squared error at N = 2 is E[Σp(1 − p)] = 0.3125
    assert 0.26 < points[-1].validation_loss < 0.38 < points[0].validation_loss
    low, high = points[-1].hallucination_interval
    assert low <= points[-1].hallucination_rate <= high
    assert points[-1].n == 800


@pytest.mark.parametrize("variant", ["fixed", "paper_code"])
def test_a_point_is_what_a_plain_loop_over_the_held_out_flips_finds(variant, monkeypatch):
    """Slow twin: one held-out flip at a time, as the public code evaluates."""
    networks = []

    def remembering(*args, **kwargs):
        networks.append(coins.build_coin_transformer(*args, **kwargs))
        return networks[-1]

    chosen = settings(coins_per_draw=3, flips=200, epochs=1, variant=variant)
    monkeypatch.setattr(coins, "_network", lambda s, seed: remembering(3, _shape(s), seed=seed))
    last = points_of(train_round(chosen, 5))[-1]
    flips = flip_draws(3, 200, rng=np.random.default_rng([5, 0]))
    _, held_out = flips.split(0.2, rng=np.random.default_rng([5, 1]))
    errors, probabilities, outside, best, mean_errors = [], [], [], [], []
    for index, heads in zip(held_out.draw_index, held_out.heads, strict=True):
        labels = held_out.draws[index]
        predicted = float(networks[0](torch.from_numpy(labels[None])).detach()[0, 0])
        answer = int(np.rint(predicted) if variant == "fixed" else np.ceil(predicted))
        law = "data" if variant == "fixed" else "shifted"
        probabilities.append(float(coin_pmf(labels, 3, law=law)[answer]) if 0 <= answer <= 3 else 0.0)
        outside.append(not 0 <= answer <= 3 or coin_pmf(labels, 3)[answer] <= 0.3)
        errors.append((predicted - heads) ** 2)
        best.append(coin_pmf(labels, 3).max())
        mean_errors.append((mean_heads(labels, 3) - heads) ** 2)
    assert last.conditional_probability == pytest.approx(np.mean(probabilities))
    assert last.hallucination_rate == pytest.approx(np.mean(outside))
    assert last.validation_loss == pytest.approx(np.mean(errors), rel=1e-4)
    assert last.best_conditional_probability == pytest.approx(np.mean(best))
    assert last.bayes_mean_loss == pytest.approx(np.mean(mean_errors))


def _shape(chosen):
    return coins.CoinTransformerSettings(tokens=chosen.choices.tokens, dropout=chosen.choices.dropout)


def test_the_variants_differ_where_the_public_code_does():
    assert asdict(settings().choices) == {
        "tokens": "coin",
        "dropout": 0.0,
        "rounding": "nearest",
        "law": "data",
    }
    assert asdict(settings(variant="paper_code").choices) == {
        "tokens": "vector", "dropout": 0.1, "rounding": "ceil", "law": "shifted",
    }  # fmt: skip
    paper = points_of(train_round(settings(variant="paper_code"), 0))[-1]
    assert paper.conditional_probability != paper.conditional_probability_data_law
    fixed = points_of(train_round(settings(), 0))[-1]
    assert fixed.conditional_probability == fixed.conditional_probability_data_law


def test_a_network_that_broke_down_is_missing_not_wrong(monkeypatch):
    class Broken(torch.nn.Linear):
        def __call__(self, labels, **_):
            return super().forward(labels.float()[:, :1]) * float("nan")

    monkeypatch.setattr(coins, "_network", lambda *_: Broken(1, 1))
    last = points_of(train_round(settings(), 0))[-1]
    assert (last.n, last.n_missing) == (0, 128)
    assert last.conditional_probability is None
    assert last.hallucination_rate is None
    assert last.validation_loss is None


def test_closing_the_run_stops_it():
    run = run_coins(settings(epochs=10_000))
    events = [next(run) for _ in range(5)]
    run.close()
    assert len(points_of(events)) >= 1
    assert list(run) == []


def test_a_killed_run_goes_on_with_the_round_it_was_in(tmp_path, two_rounds):
    chosen, events, _ = two_rounds
    records = RecordFile(tmp_path / "coins.jsonl")
    killed = run_coins(chosen, records=records)
    for event in killed:
        if event.seed == 1 and event.epoch > 1:
            break
    killed.close()
    again = list(run_coins(chosen, records=records))
    assert points_of(again) == points_of(events)
    assert {event.seed for event in again if isinstance(event, CoinStep)} == {1}


def test_a_finished_run_is_not_run_again_and_more_rounds_can_be_added(two_rounds):
    chosen, events, records = two_rounds
    again = list(run_coins(chosen, records=records))
    assert again == points_of(events)
    header = records.read()[0]
    assert header["versions"]["torch"]
    assert header["settings"]["flips"] == 640


def test_a_folder_with_another_run_is_refused(two_rounds):
    _, _, records = two_rounds
    with pytest.raises(
        RefusedInputError, match=r"the same settings in .*, got another epochs: choose another"
    ):
        next(run_coins(settings(epochs=3, rounds=2), records=records))


def test_result_keeps_the_contract_and_says_how_far_a_stopped_run_came(two_rounds):
    chosen, events, _ = two_rounds
    result = json.loads(
        json.dumps(as_plain(coin_result(chosen, points_of(events)).to_json()), allow_nan=False)
    )
    assert (result["coins_per_draw"], result["flips"], result["variant"]) == (2, 640, "fixed")
    assert [(r["seed"], [e["epoch"] for e in r["epochs"]]) for r in result["rounds"]] == [
        (0, [1, 2]), (1, [1, 2]),
    ]  # fmt: skip
    epoch = result["rounds"][0]["epochs"][0]
    assert {"train_loss", "conditional_probability", "hallucination_rate", "n"} <= epoch.keys()
    assert result["exact"]["bayes_mean_ceil"]["conditional_probability"] == 0.5
    stopped = coin_result(chosen, points_of(events)[:6]).to_json()
    assert [len(r["epochs"]) for r in stopped["rounds"]] == [1]
    assert stopped["n_rounds_asked"] == 2


def test_truth_of_many_coins_uses_the_draws_that_occur():
    truth = coin_truth(settings(coins_per_draw=20, flips=50))
    assert (truth["n_draws"], truth["all_draws"]) == (50, False)


def test_paper_numbers():
    paper = settings(coins_per_draw=5).as_in_paper()
    assert (paper.batch_size, paper.learning_rate, paper.epochs, paper.rounds) == (64, 1e-4, 20, 5)
    assert paper.coins_per_draw == 5


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"coins_per_draw": 0}, "expected coins per draw as a whole number from 1 to 64, got 0"),
        ({"flips": 9}, "expected flips as a whole number from 10"),
        ({"epochs": 0}, "expected epochs as a whole number from 1"),
        ({"epochs": 1.5}, "expected epochs as a whole number"),
        ({"batch_size": 0}, "expected batch size as a whole number"),
        ({"rounds": 0}, "expected rounds as a whole number"),
        ({"seed": -1}, "expected seed as a whole number from 0"),
        ({"learning_rate": 0}, "expected a learning rate above 0"),
        ({"learning_rate": float("nan")}, "expected a learning rate above 0"),
        ({"held_out_share": 1}, "expected a held-out share between 0 and 1"),
        ({"variant": "public"}, "expected variant fixed or paper_code, got 'public'"),
        ({"delta": 2.0}, "expected δ in"),
        ({"hdr_mass": 0.0}, "expected an HDR mass"),
    ],
)
def test_settings_refuse_what_cannot_be_run(changed, words):
    with pytest.raises(RefusedInputError, match=words):
        settings(**changed)
