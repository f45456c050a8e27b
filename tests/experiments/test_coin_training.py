import threading
import time

import pytest
import torch

from hallulab.experiments import coin_round, coin_training
from hallulab.experiments.coin_events import CoinMoment, CoinStep
from hallulab.experiments.coin_objectives import OBJECTIVES
from hallulab.experiments.coin_points import judged_points
from hallulab.experiments.coin_round import CoinRound, train_epoch
from hallulab.experiments.coin_settings import CoinSettings
from hallulab.experiments.coin_training import train_rounds

RELATIVE = 2e-3
"""float32 sums in another order, over a few steps"""


def settings(**changed):
    quick = {"flips": 640, "epochs": 2, "batch_size": 64, "learning_rate": 1e-3, "rounds": 3}
    return CoinSettings(**(quick | changed))


def moments_of(events):
    return [event for event in events if isinstance(event, CoinMoment)]


def of_round(events, seed):
    return [point for point in moments_of(events) if point.seed == seed]


@pytest.fixture(scope="module")
def three_rounds():
    chosen = settings()
    return list(train_rounds(chosen, list(chosen.seeds)))


def test_every_round_is_scored_before_training_and_four_times_an_epoch(three_rounds):
    for seed in (0, 1, 2):
        assert [point.epoch for point in of_round(three_rounds, seed)] == [k / 4 for k in range(9)]
    first = of_round(three_rounds, 0)[0]
    assert first.train_loss is None


def test_a_round_does_not_depend_on_its_company(three_rounds):
    alone = moments_of(train_rounds(settings(), [1]))
    for together, single in zip(of_round(three_rounds, 1), alone, strict=True):
        assert together.validation_loss == pytest.approx(single.validation_loss, rel=RELATIVE)
        assert together.held_out[0].n == single.held_out[0].n
    losses = [of_round(three_rounds, seed)[-1].train_loss for seed in (0, 1, 2)]
    assert len(set(losses)) == 3


def test_training_goes_on_telling_how_far_it_is(monkeypatch):
    monkeypatch.setattr(coin_round, "SECONDS_PER_STEP_EVENT", 0)
    chosen = settings(rounds=2, points_per_epoch=1)
    steps = [event for event in train_rounds(chosen, [0, 1]) if isinstance(event, CoinStep)]
    assert len(steps) >= 8
    assert 0 < steps[0].epoch < 1 < steps[-1].epoch <= 2
    assert steps[-1].train_loss > 0


def test_a_round_learns_the_mean():
    chosen = settings(flips=4000, epochs=2)
    moments = moments_of(train_rounds(chosen, [0]))
    first, *_, last = judged_points(chosen, moments, measured_by=chosen.rule)
    assert last.conditional_probability == pytest.approx(29 / 48)
    assert first.conditional_probability < 29 / 48
    # the least squared error at N = 2 is E[Σp(1 − p)] = 0.3125
    assert 0.3125 <= last.expected_loss < 0.36 < first.expected_loss
    assert last.n == 800


def test_cross_entropy_is_scored_by_every_answer():
    chosen = settings(objective="cross_entropy", epochs=1, points_per_epoch=1)
    moments = moments_of(train_rounds(chosen, [0, 1]))
    (at_end,) = [moment for moment in moments if moment.seed == 1 and moment.epoch == 1]
    assert [scores.answer for scores in at_end.held_out] == list(OBJECTIVES["cross_entropy"].answers)
    assert at_end.output_table(3).shape == (6, 3)


def test_a_network_that_broke_down_is_missing_not_wrong():
    last = moments_of(train_rounds(settings(learning_rate=1.0, epochs=1), [0]))[-1].held_out[0]
    moment = moments_of(train_rounds_from_nan())[-1]
    (broken,) = moment.held_out
    assert last.n + last.n_missing == broken.n + broken.n_missing == 128
    assert (broken.n, broken.n_missing) == (0, 128)
    assert broken.conditional_probability is None
    assert broken.hallucination_rate is None
    assert moment.validation_loss is None
    assert broken.squared_error is None


def train_rounds_from_nan():
    chosen = settings(epochs=1)
    each = CoinRound(chosen, 0, "cpu")
    each.weights.fill_(float("nan"))
    return list(train_epoch([each], chosen))


def test_closing_stops_within_a_step_and_leaves_no_thread():
    before, n_torch_threads = threading.active_count(), torch.get_num_threads()
    training = train_rounds(settings(epochs=10_000), [0, 1, 2])
    events = [next(training) for _ in range(5)]
    training.close()
    assert len(moments_of(events)) >= 1
    assert threading.active_count() == before
    assert torch.get_num_threads() == n_torch_threads


@pytest.fixture
def two_cores():
    n_threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(n_threads)


@pytest.mark.usefixtures("two_cores")
def test_with_helpers_a_run_tells_and_learns_the_same(monkeypatch, three_rounds):
    monkeypatch.setattr(coin_training, "MIN_STEPS_FOR_HELPERS", 0)
    points = moments_of(train_rounds(settings(), [0, 1, 2]))
    for seed in (0, 1, 2):
        for there, here in zip(of_round(points, seed), of_round(three_rounds, seed), strict=True):
            assert there.epoch == here.epoch
            assert there.validation_loss == pytest.approx(here.validation_loss, rel=RELATIVE)


@pytest.mark.usefixtures("two_cores")
@pytest.mark.parametrize("n_events", [1, 40])
def test_closing_ends_the_helpers_too(monkeypatch, n_events):
    """Right after the start, while they still import, and when they train."""
    helpers, make = [], coin_training.CoinHelper
    monkeypatch.setattr(coin_training, "MIN_STEPS_FOR_HELPERS", 0)
    monkeypatch.setattr(
        coin_training, "CoinHelper", lambda chosen: helpers.append(make(chosen)) or helpers[-1]
    )
    training = train_rounds(settings(epochs=10_000), [0, 1, 2])
    for _ in range(n_events):
        next(training)
    started = time.monotonic()
    training.close()
    assert time.monotonic() - started < 60  # 10,000 epochs take hours
    assert [helper.is_alive for helper in helpers] == [False]


def test_what_goes_wrong_in_a_thread_is_raised_by_the_caller(monkeypatch):
    def fail(*_):
        raise MemoryError("no room")

    monkeypatch.setattr(coin_training, "train_epoch", fail)
    with pytest.raises(MemoryError, match="no room"):
        list(train_rounds(settings(), [0, 1]))


@pytest.mark.gpu
def test_on_a_gpu_the_same_code_learns_the_same():
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    chosen = settings(flips=4000)
    here, there = (moments_of(train_rounds(chosen, [0, 1, 2], device=where)) for where in ("cpu", "cuda"))
    for seed in (0, 1, 2):
        assert of_round(there, seed)[-1].validation_loss == pytest.approx(
            of_round(here, seed)[-1].validation_loss, rel=0.05
        )
